//! The invariants of contract section 7 that can be checked fact by fact, for long histories.
//!
//! Keeps what each request did and what each lane looked like; a violation names the property's letter.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use backstop::policy::capability;
use backstop::policy::chain::{KeyOrder, Level};
use backstop::policy::failure::Kind;
use backstop::policy::id::SlotId;
use backstop::policy::ledger::{LaneId, LaneState, Ledger, Outlook, Refusal};
use backstop::policy::run::{Verdict, Why};
use backstop::policy::time::Instant;
use backstop::world::{Errand, Fact, Scenario, Witness};

use crate::lanes::{Cause, Lanes};

/// Facts of the excerpt that a failure prints.
const EXCERPT: usize = 4_000;

#[derive(Debug)]
struct Request {
    errand: Errand,
    arrived: Instant,
    /// Slot, level and what came of it.
    attempts: Vec<(SlotId, usize, Option<Kind>)>,
    in_flight: Option<(SlotId, u64)>,
    committed: bool,
    over: bool,
    queued: Option<SlotId>,
    has_waited: bool,
    forced: bool,
}

/// Checks every fact as it happens.
pub struct Checker<'a> {
    scenario: &'a Scenario,
    requests: Vec<Request>,
    lanes: Lanes,
    /// What each slot of the asking request's chain looked like before it asked.
    before: HashMap<SlotId, Outlook>,
    queues: HashMap<SlotId, u32>,
    forced: HashMap<SlotId, Instant>,
    number: u64,
    recent: VecDeque<(Instant, Fact)>,
    /// The attempt that failed last: its start and slot, for the lanes that move by it.
    failing: Option<Cause>,
    /// The property's letter or section, and the excerpt.
    pub violations: Vec<(&'static str, String)>,
    /// Decisions, of each reason, that were checked.
    pub tried: [u64; 4],
    pub probes: u64,
    pub waits: u64,
}

impl<'a> Checker<'a> {
    pub fn new(scenario: &'a Scenario) -> Self {
        Self {
            scenario,
            requests: Vec::new(),
            lanes: Lanes::default(),
            before: HashMap::new(),
            queues: HashMap::new(),
            forced: HashMap::new(),
            number: 0,
            recent: VecDeque::new(),
            failing: None,
            violations: Vec::new(),
            tried: [0; 4],
            probes: 0,
            waits: 0,
        }
    }

    fn violated(&mut self, now: Instant, property: &'static str, request: u32, what: &str) {
        if self.violations.iter().filter(|(other, _)| *other == property).count() < 2 {
            let mut text = format!("({property}) at {now:?}, request {request}: {what}\n");
            for (at, fact) in self.recent.iter().filter(|(_, fact)| fact.request().is_none_or(|other| other == request))
            {
                let near = fact.request().is_some() || now.since(*at) < Duration::from_secs(20);
                if near {
                    text.push_str(&format!("    {:>14.6} {fact:?}\n", at.as_micros() as f64 / 1e6));
                }
            }
            self.violations.push((property, text));
        }
    }

    fn level(&self, request: u32, level: usize) -> &Level {
        &self.scenario.topology.chains[self.requests[request as usize].errand.chain].levels[level]
    }

    fn lanes_of(&self, slot: SlotId) -> [LaneId; 4] {
        let info = self.scenario.topology.slots[slot.index()];
        [LaneId::Key(info.key), LaneId::Slot(slot), LaneId::Target(info.target), LaneId::Endpoint(info.endpoint)]
    }

    /// Whether this request's earlier failures or its needs exclude a level (contract sections 1 and 3).
    fn excluded(&self, request: u32, place: usize) -> bool {
        let state = &self.requests[request as usize];
        let chain = &self.scenario.topology.chains[state.errand.chain];
        let level = &chain.levels[place];
        if capability::lack(&state.errand.needs, &level.abilities).is_some() {
            return true;
        }
        let mut networks = 0;
        let mut here = 0;
        let first = state.attempts.first().map(|(_, level, _)| *level);
        for (_, other, kind) in &state.attempts {
            let same = chain.levels[*other].target == level.target;
            here += u32::from(same);
            let window = chain.levels[*other].abilities.context_window.unwrap_or(0);
            match kind {
                Some(Kind::TooLarge) if same => return true,
                Some(Kind::TooLarge) if level.abilities.context_window.is_some_and(|mine| mine <= window) => {
                    return true;
                }
                Some(Kind::Timeout | Kind::Unknown | Kind::ContentFilter) if same => return true,
                Some(Kind::BadRequest) if same && Some(*other) != first => return true,
                Some(Kind::Network) if same => networks += 1,
                _ => {}
            }
        }
        networks >= 2 || here >= self.scenario.run.max_attempts_per_target
    }

    /// Slots that this request could still be sent to and that would take it now.
    fn missed_slots(&self, request: u32) -> Vec<SlotId> {
        self.slots_left(request, |outlook| outlook.refusal.is_none())
    }

    /// Slots that could be waited for (3.6): usable within `max_wait` and the deadline, and not too many wait.
    fn soon_slots(&self, now: Instant, request: u32) -> Vec<SlotId> {
        let state = &self.requests[request as usize];
        let end = (now + self.scenario.run.max_wait).min(state.arrived + state.errand.deadline);
        if state.has_waited {
            return Vec::new();
        }
        let until_soon =
            |outlook: &Outlook| matches!(outlook.refusal, Some(Refusal::Cooling { until, .. }) if until < end);
        let mut soon = self.slots_left(request, until_soon);
        soon.retain(|slot| self.queues.get(slot).is_none_or(|queue| *queue < self.scenario.cooldowns.max_waiters));
        soon
    }

    fn slots_left(&self, request: u32, wanted: impl Fn(&Outlook) -> bool) -> Vec<SlotId> {
        let state = &self.requests[request as usize];
        let chain = &self.scenario.topology.chains[state.errand.chain];
        let mut missed = Vec::new();
        for place in state.errand.start..chain.levels.len() {
            if self.excluded(request, place) {
                continue;
            }
            let fresh = chain.levels[place].slots.iter().filter(|slot| {
                let tried = state.attempts.iter().any(|(tried, ..)| tried == *slot);
                !tried && self.before.get(slot).is_some_and(&wanted)
            });
            missed.extend(fresh);
        }
        missed
    }

    fn tried(&mut self, now: Instant, fact: &Fact, ledger: &Ledger) {
        let Fact::Tried { request, no, slot, level, why, limit, probe, .. } = *fact else { return };
        self.tried[why as usize] += 1;
        let state = &self.requests[request as usize];
        let deadline = state.arrived + state.errand.deadline;
        let (made, committed, busy) = (state.attempts.len(), state.committed || state.over, state.in_flight.is_some());
        let again = state.attempts.iter().filter(|(tried, ..)| *tried == slot).count();
        if made != no || made >= self.scenario.run.max_attempts as usize {
            self.violated(now, "b", request, &format!("attempt {no} after {made}"));
        }
        if now + limit > deadline {
            self.violated(now, "b", request, "an attempt may outlast the deadline");
        }
        if committed || busy {
            self.violated(now, "c", request, "an attempt after commit or beside another");
        }
        let retry = matches!(why, Why::QuickRetry | Why::SameTargetWait);
        if again > 1 || (again == 1 && !retry) {
            self.violated(now, "3.3", request, &format!("{slot:?} is tried again for {why:?}"));
        }
        if self.excluded(request, level) {
            self.violated(now, "3", request, &format!("level {level} is excluded by an earlier failure"));
        }
        self.check_order(now, request, slot, level, why);
        self.check_door(now, request, slot, why, probe, ledger);
        let state = &mut self.requests[request as usize];
        state.attempts.push((slot, level, None));
        state.in_flight = Some((slot, self.number));
    }

    /// a: no cooling lane, but for probes, own retries and forced probes when nobody is usable.
    fn check_door(&mut self, now: Instant, request: u32, slot: SlotId, why: Why, probe: bool, ledger: &Ledger) {
        let views = self.lanes_of(slot).map(|id| (id, ledger.view(id, now)));
        let retry = matches!(why, Why::QuickRetry | Why::SameTargetWait);
        if why == Why::Turn && !probe && views.iter().any(|(_, view)| view.state != LaneState::Ready) {
            self.violated(now, "a", request, &format!("{slot:?} is admitted, no probe: {views:?}"));
        }
        if why == Why::Forced {
            let usable = self.missed_slots(request);
            if !usable.is_empty() {
                self.violated(now, "a", request, &format!("{slot:?} is forced although {usable:?} is usable"));
            }
            let soon = self.soon_slots(now, request);
            let twice = std::mem::replace(&mut self.requests[request as usize].forced, true);
            if twice || !soon.is_empty() {
                self.violated(now, "3.6", request, &format!("forced twice ({twice}) or {soon:?} could be waited for"));
            }
            let before = self.before.get(&slot).copied();
            if before.is_some_and(|outlook| outlook.hinted || matches!(outlook.refusal, Some(Refusal::Probing { .. })))
            {
                self.violated(now, "a", request, &format!("{slot:?} is forced: {before:?}"));
            }
            let last = self.forced.insert(slot, now);
            if last.is_some_and(|last| now.since(last) < Duration::from_secs(1)) {
                self.violated(now, "3.6", request, &format!("{slot:?} is hammered: last forced {last:?}"));
            }
        }
        if !probe {
            return;
        }
        self.probes += 1;
        for (id, view) in views {
            if view.until.is_none() || (retry && view.state == LaneState::Cooling) {
                continue;
            }
            let early = why == Why::Turn && view.state == LaneState::Cooling;
            for problem in self.lanes.probed(id, request, early, &self.scenario.cooldowns, now) {
                self.violated(now, "2.3", request, &format!("{slot:?}, {id:?}: {problem}"));
            }
        }
    }

    /// The turn of 3.1 and 3.2: the first level with a usable key, and in the array order the first such key.
    fn check_order(&mut self, now: Instant, request: u32, slot: SlotId, level: usize, why: Why) {
        let state = &self.requests[request as usize];
        let network = state.attempts.iter().any(|(.., kind)| *kind == Some(Kind::Network));
        let last = !state.attempts.is_empty() && state.attempts.len() + 1 == self.scenario.run.max_attempts as usize;
        // Who has waited is let in by and by (3.6) and may be sent on to the next target instead.
        if why != Why::Turn || network || state.has_waited {
            return;
        }
        let usable = self.missed_slots(request);
        let places = usable.iter().filter_map(|slot| {
            let chain = &self.scenario.topology.chains[state.errand.chain];
            chain.levels.iter().position(|level| level.slots.contains(slot))
        });
        // "The last attempt is kept for the last target."
        let expected = if last { places.max() } else { places.min() };
        if expected != Some(level) {
            self.violated(now, "d", request, &format!("level {level} is asked, it is the turn of {expected:?}"));
            return;
        }
        let ordered = self.level(request, level).order == KeyOrder::Ordered && state.errand.key.is_none();
        let first = usable.iter().find(|slot| self.level(request, level).slots.contains(slot)).copied();
        if ordered && first != Some(slot) {
            self.violated(now, "3.2", request, &format!("{slot:?} is asked, it is the turn of {first:?}"));
        }
    }

    /// b and d: it ends in time, and nobody who would have taken it was left out.
    fn gave_up(&mut self, now: Instant, request: u32, verdict: Verdict) {
        let state = &self.requests[request as usize];
        let deadline = state.arrived + state.errand.deadline;
        let spent = now >= deadline || state.attempts.len() >= self.scenario.run.max_attempts as usize;
        let returned = matches!(verdict, Verdict::Return(_));
        let last = state.attempts.last().and_then(|(_, level, kind)| Some((*level, (*kind)?)));
        let settled = returned && last.is_some_and(|(_, kind)| matches!(kind, Kind::BadRequest | Kind::ContentFilter));
        if now > deadline {
            self.violated(now, "b", request, &format!("it ends {:?} after its deadline", now.since(deadline)));
        }
        let missed = self.missed_slots(request);
        if !spent && !settled && !missed.is_empty() {
            self.violated(now, "d", request, &format!("{verdict:?} although {missed:?} would have been admitted"));
        }
        let soon = self.soon_slots(now, request);
        if !spent && !settled && !soon.is_empty() {
            self.violated(now, "3.6", request, &format!("{verdict:?} although {soon:?} could be waited for"));
        }
        let state = &mut self.requests[request as usize];
        if std::mem::replace(&mut state.over, true) || state.in_flight.is_some() {
            self.violated(now, "e", request, "it gives up twice or with a permit in flight");
        }
    }

    fn waits(&mut self, now: Instant, request: u32, until: Instant, queue: Option<SlotId>) {
        self.waits += 1;
        let state = &self.requests[request as usize];
        let deadline = state.arrived + state.errand.deadline;
        let first_wait = !state.has_waited;
        if until > deadline || until <= now {
            self.violated(now, "b", request, &format!("it waits until {until:?}, its deadline is {deadline:?}"));
        }
        let Some(slot) = queue else { return };
        // Who has waited may be held back although the slot is open: the ramp of 3.6.
        let missed = if first_wait { self.missed_slots(request) } else { Vec::new() };
        if !missed.is_empty() {
            self.violated(now, "d", request, &format!("it waits although {missed:?} is usable"));
        }
        let state = &mut self.requests[request as usize];
        state.queued = Some(slot);
        state.has_waited = true;
        let queue = self.queues.entry(slot).or_default();
        *queue += 1;
        if *queue > self.scenario.cooldowns.max_waiters {
            self.violated(now, "3.6", request, "more than 64 wait");
        }
    }

    fn unqueue(&mut self, request: u32) {
        if let Some(slot) = self.requests[request as usize].queued.take() {
            *self.queues.entry(slot).or_default() -= 1;
        }
    }

    /// e: each permit is closed exactly once.
    fn closed(&mut self, now: Instant, request: u32, slot: SlotId) {
        let held = self.requests[request as usize].in_flight.take();
        if held.is_none_or(|(other, _)| other != slot) {
            self.violated(now, "e", request, &format!("{slot:?} is closed, in flight was {held:?}"));
        }
        self.lanes.resolve(request);
    }

    /// Keeps the fact for the excerpt of a failure.
    fn note(&mut self, now: Instant, fact: &Fact) {
        self.number += 1;
        if self.recent.len() == EXCERPT {
            self.recent.pop_front();
        }
        if !matches!(fact, Fact::Asked { .. }) {
            self.recent.push_back((now, *fact));
        }
    }
}

impl Witness for Checker<'_> {
    fn fact(&mut self, now: Instant, fact: &Fact, ledger: &Ledger) {
        self.note(now, fact);
        match *fact {
            Fact::Arrived { errand, .. } => self.requests.push(Request {
                errand,
                arrived: now,
                attempts: Vec::new(),
                in_flight: None,
                committed: false,
                over: false,
                queued: None,
                has_waited: false,
                forced: false,
            }),
            Fact::Asked { request } => {
                let chain = &self.scenario.topology.chains[self.requests[request as usize].errand.chain];
                self.before.clear();
                for slot in chain.levels.iter().flat_map(|level| level.slots.iter()) {
                    self.before.insert(*slot, ledger.outlook(*slot, now));
                }
            }
            Fact::Tried { .. } => self.tried(now, fact, ledger),
            Fact::Waits { request, until, queue } => self.waits(now, request, until, queue),
            Fact::Woke { request } => self.unqueue(request),
            Fact::Committed { request, slot } => {
                let state = &mut self.requests[request as usize];
                let deadline = state.arrived + state.errand.deadline;
                let twice = std::mem::replace(&mut state.committed, true);
                if twice || state.in_flight.is_none_or(|(other, _)| other != slot) || now > deadline {
                    self.violated(now, "e", request, "answered twice, without a permit or after the deadline");
                }
                self.lanes.resolve(request);
                self.failing = None;
            }
            Fact::Failed { request, no, slot, failure, .. } => {
                let state = &mut self.requests[request as usize];
                state.attempts[no].2 = Some(failure.kind);
                let began = state.in_flight.map_or(0, |(_, began)| began);
                let taken = matches!(failure.kind, Kind::RateLimit | Kind::Overloaded) && failure.hint.is_some();
                let lanes = self.lanes_of(slot);
                self.failing = Some(Cause { began, lanes, hinted: taken });
                self.closed(now, request, slot);
            }
            Fact::Completed { request, slot } | Fact::Abandoned { request, slot } => self.closed(now, request, slot),
            Fact::Left { request } => {
                self.unqueue(request);
                self.requests[request as usize].over = true;
            }
            Fact::GaveUp { request, verdict } => self.gave_up(now, request, verdict),
            Fact::Moved { change } => {
                let settings = self.scenario.cooldowns;
                if let Some(problem) = self.lanes.moved(&change, self.failing.as_ref(), &settings, self.number, now) {
                    self.violated(now, "f", u32::MAX, &problem);
                }
            }
        }
    }
}
