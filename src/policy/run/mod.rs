//! One request on its way along a chain: what to do next, until somebody answers or nobody is left.
//!
//! Owns the order of attempts, the retries, the waits and the one budget (contract section 3). Refuses
//! to know how an attempt is made; it is told what came of it. There is no other loop over slots.

mod order;
mod resume;
#[cfg(test)]
mod resume_tests;
mod step;
#[cfg(test)]
mod tests;
mod verdict;
mod wait;

use std::sync::Arc;
use std::time::Duration;

use super::capability::{self, Lack};
use super::chain::Level;
use super::failure::{Failure, Kind, Timer};
use super::id::{ProviderId, SlotId};
use super::ledger::{Ask, Ledger, Own, Permit};
use super::recovery::Recovery;
use super::settings::{Jitter, RunSettings};
use super::time::Instant;

use resume::Resumed;
pub use step::{Entries, Entry, MAX_LEVELS, Plan, Step, Try, Wait, Why};
pub use verdict::{Composed, Verdict};

#[derive(Debug, Clone, Copy)]
struct Retry {
    slot: SlotId,
    level: usize,
    not_before: Instant,
    own: Own,
    why: Why,
    reserved: bool,
}

/// The state of one request.
#[derive(Debug)]
pub struct Run {
    plan: Plan,
    settings: Arc<RunSettings>,
    entries: Entries,
    made: u32,
    /// Bit per level: not asked again in this request.
    closed: u64,
    /// Bit per level: already in the trail as skipped.
    skipped: u64,
    retry: Option<Retry>,
    retried: Vec<SlotId>,
    /// A prompt did not fit a window of this size.
    larger_than: Option<u64>,
    verdict: Option<Verdict>,
    rotation: Option<u32>,
    wait_end: Option<Instant>,
    waited: Option<SlotId>,
    forced: bool,
    /// Of its breaks, if there were any.
    resumed: Option<Box<Resumed>>,
}

impl Run {
    /// A request that has tried nothing yet.
    #[must_use]
    pub const fn new(plan: Plan, settings: Arc<RunSettings>) -> Self {
        Self {
            plan,
            settings,
            entries: Entries::new_const(),
            made: 0,
            closed: 0,
            skipped: 0,
            retry: None,
            retried: Vec::new(),
            larger_than: None,
            verdict: None,
            rotation: None,
            wait_end: None,
            waited: None,
            forced: false,
            resumed: None,
        }
    }

    /// What it was asked.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What happened so far, in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What happened, when nothing more will.
    #[must_use]
    pub fn into_entries(self) -> Entries {
        self.entries
    }

    /// Decides the next step.
    pub fn next(&mut self, ledger: &mut Ledger, now: Instant) -> Step {
        if let Some(verdict) = self.verdict {
            return Step::Done(verdict);
        }
        if now < self.plan.deadline && self.made < self.settings.max_attempts {
            if let Some(step) = self.scan(ledger, now) {
                return step;
            }
            if let Some(step) = self.wait_or_force(ledger, now) {
                return step;
            }
        }
        Step::Done(self.judge(ledger, now))
    }

    fn scan(&mut self, ledger: &mut Ledger, now: Instant) -> Option<Step> {
        let plan_chain = Arc::clone(&self.plan.chain);
        let levels = &plan_chain.levels;
        let network_failed = self.attempts().any(|(_, _, failure)| is_network(failure));
        // The last attempt is kept for the last target.
        let last_one = self.made > 0 && self.made + 1 == self.settings.max_attempts;
        for avoid in [true, false] {
            if !avoid && !network_failed {
                break;
            }
            for place in self.plan.start..levels.len() {
                let place = if last_one { self.plan.start + levels.len() - 1 - place } else { place };
                if let Some(step) = self.try_level(ledger, place, &levels[place], avoid, now) {
                    return Some(step);
                }
            }
        }
        None
    }

    fn try_level(
        &mut self,
        ledger: &mut Ledger,
        place: usize,
        level: &Level,
        avoid: bool,
        now: Instant,
    ) -> Option<Step> {
        if !self.is_open(place, level, true) || self.attempts_on(level) >= self.settings.max_attempts_per_target {
            return None;
        }
        if let Some(permit) = self.admit_one(ledger, place, level, avoid, now) {
            return self.attempt(ledger, permit, place, Why::Turn, now);
        }
        let retry = self.retry.filter(|retry| retry.level == place)?;
        if now < retry.not_before {
            let fits = retry.not_before < self.plan.deadline;
            let wanted = retry.why == Why::SameTargetWait && !retry.reserved;
            if !fits || (wanted && !ledger.reserve_retry(retry.slot, retry.not_before, now)) {
                self.retry = None;
                return None;
            }
            self.retry = Some(Retry { reserved: retry.reserved || wanted, ..retry });
            return Some(Step::Wait(Wait { until: retry.not_before, seen: None, queue: None }));
        }
        self.retry = None;
        self.retried.push(retry.slot);
        let ask = Ask { own: Some(retry.own), waited: false };
        let permit = ledger.admit(retry.slot, ask, now).ok()?;
        self.attempt(ledger, permit, place, retry.why, now)
    }

    fn attempt(&mut self, ledger: &mut Ledger, permit: Permit, place: usize, why: Why, now: Instant) -> Option<Step> {
        let level = &self.plan.chain.levels[place];
        let full = match self.plan.stream {
            true => (level.first_content, Timer::FirstContent),
            false => (level.response_timeout, Timer::Response),
        };
        let left = self.plan.deadline.since(now);
        let share = if self.targets_left(place) { left / 2 } else { left };
        let first = if full.0 <= share { full } else { (share, Timer::Deadline) };
        // What is held beyond its first content has the rest of the time for all of it.
        let holds = self.plan.stream && (self.plan.recovery == Recovery::Buffer || self.resumed.is_some());
        let ((limit, timer), first_content) =
            if holds { ((left, Timer::Deadline), Some(first)) } else { (first, None) };
        let prefill = self.resumed.as_ref().is_some_and(|resumed| resumed.prefills(level, place, ledger));
        let slot = permit.slot();
        if limit.is_zero() {
            ledger.close(permit, super::ledger::Outcome::Abandoned, Jitter::NONE, now);
            return None;
        }
        let no = self.made as usize;
        self.made += 1;
        if let Some(resumed) = self.resumed.as_mut().filter(|_| prefill) {
            resumed.tries(no);
        }
        self.entries.push(Entry::Attempt { slot, level: place, failure: None });
        Some(Step::Try(Try { permit, no, level: place, why, limit, timer, first_content, prefill }))
    }

    /// Told what came of an attempt that failed. The ledger must have been told before.
    pub fn missed(&mut self, no: usize, failure: &Failure, own: Own, ledger: &Ledger, jitter: Jitter, now: Instant) {
        let Some((slot, place)) = self.record(no, failure) else { return };
        if self.missed_resumed(no, place, failure) {
            return;
        }
        match failure.kind {
            Kind::Auth
            | Kind::Billing
            | Kind::Forbidden
            | Kind::Overloaded
            | Kind::BrokenStream
            | Kind::ModelNotFound
            | Kind::NotCapable => {}
            Kind::RateLimit => {
                let hint = failure.hint.map(|hint| ledger.bounded(hint));
                if let Some(hint) = hint.filter(|hint| *hint <= self.settings.same_target_wait) {
                    self.plan_retry(slot, place, now + hint, own, Why::SameTargetWait);
                }
            }
            Kind::ServerError => {
                if matches!(failure.status, Some(500 | 502)) {
                    self.plan_retry(slot, place, now + self.pause(jitter), own, Why::QuickRetry);
                }
            }
            Kind::Network => {
                let chain = Arc::clone(&self.plan.chain);
                if self.first_network_failure(&chain.levels[place]) {
                    self.plan_retry(slot, place, now + self.pause(jitter), own, Why::QuickRetry);
                } else {
                    self.close_target(place);
                }
            }
            Kind::Timeout | Kind::Unknown => self.close_target(place),
            Kind::TooLarge => {
                let window = self.plan.chain.levels[place].abilities.context_window.unwrap_or(0);
                self.larger_than = Some(self.larger_than.unwrap_or(0).max(window));
                self.close_target(place);
            }
            Kind::ContentFilter if self.plan.chain.continue_on_content_filter => self.close_target(place),
            Kind::BadRequest if self.first_level() != Some(place) => self.close_target(place),
            Kind::ContentFilter | Kind::BadRequest => self.verdict = Some(Verdict::Return(no)),
            Kind::Cancelled => self.verdict = Some(Verdict::Compose(Composed::CANCELLED)),
        }
    }

    fn pause(&self, jitter: Jitter) -> Duration {
        jitter.between(self.settings.retry_pause_min, self.settings.retry_pause_max)
    }

    fn plan_retry(&mut self, slot: SlotId, level: usize, not_before: Instant, own: Own, why: Why) {
        if !self.retried.contains(&slot) {
            self.retry = Some(Retry { slot, level, not_before, own, why, reserved: false });
        }
    }

    fn record(&mut self, no: usize, failure: &Failure) -> Option<(SlotId, usize)> {
        let entries = self.entries.iter_mut().filter_map(|entry| match entry {
            Entry::Attempt { slot, level, failure } => Some((*slot, *level, failure)),
            Entry::Skipped { .. } => None,
        });
        let (slot, level, place) = entries.into_iter().nth(no)?;
        *place = Some(*failure);
        Some((slot, level))
    }

    fn attempts(&self) -> impl DoubleEndedIterator<Item = (SlotId, usize, Option<&Failure>)> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Attempt { slot, level, failure } => Some((*slot, *level, failure.as_ref())),
            Entry::Skipped { .. } => None,
        })
    }

    /// The attempts that use up a turn: one whose stream began, or whose prefill was refused, does not.
    fn turns(&self) -> impl Iterator<Item = (SlotId, usize)> {
        let spares = |no| self.resumed.as_ref().is_some_and(|resumed| resumed.spares(no));
        let spent = move |(no, (slot, level, _))| (!spares(no)).then_some((slot, level));
        self.attempts().enumerate().filter_map(spent)
    }

    fn has_tried(&self, slot: SlotId) -> bool {
        self.turns().any(|(tried, _)| tried == slot)
    }

    fn attempts_on(&self, level: &Level) -> u32 {
        let levels = &self.plan.chain.levels;
        let same = self.turns().filter(|(_, place)| is_same(&levels[*place], level));
        u32::try_from(same.count()).unwrap_or(u32::MAX)
    }

    fn first_level(&self) -> Option<usize> {
        self.attempts().next().map(|(_, level, _)| level)
    }

    /// Exactly one network failure on this target so far: it has its quick retry.
    fn first_network_failure(&self, level: &Level) -> bool {
        let levels = &self.plan.chain.levels;
        let failed =
            self.attempts().filter(|(_, place, failure)| is_same(&levels[*place], level) && is_network(*failure));
        failed.count() == 1
    }

    fn endpoint_failed(&self, ledger: &Ledger, slot: SlotId) -> bool {
        let endpoint = ledger.info(slot).endpoint;
        self.attempts().any(|(tried, _, failure)| is_network(failure) && ledger.info(tried).endpoint == endpoint)
    }

    fn close_target(&mut self, place: usize) {
        let chain = Arc::clone(&self.plan.chain);
        for (other, level) in chain.levels.iter().enumerate() {
            if is_same(level, &chain.levels[place]) {
                self.closed |= bit(other);
            }
        }
    }

    /// What a level lacks for this request.
    fn lack(&self, level: &Level) -> Option<Lack> {
        if let Some(lack) = level.unserved {
            return Some(lack);
        }
        let first = &self.plan.chain.levels[self.plan.start];
        if self.plan.same_model && !self.plan.chain.equivalent && level.model != first.model {
            return Some(Lack::NotEquivalent);
        }
        let lack = capability::lack(&self.plan.needs, &level.abilities);
        if lack.is_none() && self.plan.needs.stateful && self.keeper() != Some(level.provider) {
            return Some(Lack::Stateful);
        }
        lack
    }

    /// The provider that keeps what a request builds on, for all anyone knows: the first that could serve it.
    fn keeper(&self) -> Option<ProviderId> {
        let able =
            |level: &&Level| level.unserved.is_none() && capability::lack(&self.plan.needs, &level.abilities).is_none();
        self.plan.chain.levels.iter().skip(self.plan.start).find(able).map(|level| level.provider)
    }

    fn is_open(&mut self, place: usize, level: &Level, note: bool) -> bool {
        if self.closed & bit(place) != 0 {
            return false;
        }
        if let Some(lack) = self.lack(level) {
            if note && self.skipped & bit(place) == 0 {
                self.skipped |= bit(place);
                self.entries.push(Entry::Skipped { level: place, lack });
            }
            return false;
        }
        match (self.larger_than, level.abilities.context_window) {
            (Some(bound), Some(window)) => window > bound,
            _ => true,
        }
    }

    /// Whether another target could still be asked after the one at `place`.
    fn targets_left(&self, place: usize) -> bool {
        let levels = &self.plan.chain.levels;
        levels.iter().enumerate().skip(place + 1).any(|(other, level)| {
            self.closed & bit(other) == 0 && self.lack(level).is_none() && !is_same(level, &levels[place])
        })
    }
}

fn bit(place: usize) -> u64 {
    1_u64.checked_shl(u32::try_from(place).unwrap_or(u32::MAX)).unwrap_or(0)
}

fn is_same(one: &Level, other: &Level) -> bool {
    one.target == other.target && one.model == other.model
}

fn is_network(failure: Option<&Failure>) -> bool {
    failure.is_some_and(|failure| failure.kind == Kind::Network)
}
