//! Simulated upstreams: what each slot answers to a request at a time.
//!
//! Owns outages, limits, flakiness and latencies. Refuses to know the policy's state: an upstream does
//! not care who asks.

use std::time::Duration;

use super::random::Random;
use crate::policy::failure::{Failure, Kind};
use crate::policy::ledger::SlotInfo;
use crate::policy::time::Instant;

/// Something that holds from one time to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window<T> {
    /// It begins.
    pub from: Instant,
    /// It is over.
    pub to: Instant,
    /// What holds.
    pub what: T,
}

impl<T: Copy> Window<T> {
    fn at(windows: &[Self], now: Instant) -> Option<T> {
        windows.iter().find(|window| window.from <= now && now < window.to).map(|window| window.what)
    }
}

/// What can be wrong with a whole target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetFault {
    /// 529, maybe with a hint.
    Overloaded(Option<Duration>),
    /// A 5xx of this status.
    ServerError(u16),
    /// It never says anything.
    Silent,
    /// 404 unknown model.
    NotFound,
    /// 403 for this model.
    Forbidden,
    /// It lacks something that nobody knew.
    NotCapable,
}

/// What a limit says about its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hints {
    /// Nothing.
    Silent,
    /// The truth.
    True,
    /// This, whatever is true.
    Wrong(Duration),
}

/// A token bucket per slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Requests at once.
    pub burst: u32,
    /// One more after each of these.
    pub every: Duration,
    /// What a 429 says.
    pub hints: Hints,
}

/// Everything that goes wrong.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Per key: `auth` or `billing` windows.
    pub keys: Vec<Vec<Window<Kind>>>,
    /// Per target.
    pub targets: Vec<Vec<Window<TargetFault>>>,
    /// Per endpoint: nothing answers.
    pub endpoints: Vec<Vec<Window<()>>>,
    /// Per slot.
    pub limits: Vec<Option<Limit>>,
    /// Per slot: so many of a thousand attempts fail somehow.
    pub flaky: Vec<u64>,
    /// Per slot: so many of a thousand streams break after content.
    pub breaks: Vec<u64>,
    /// Per target: the mean time to first content.
    pub latency: Vec<Duration>,
    /// Per target: its true context window, known to the configuration or not.
    pub windows: Vec<Option<u64>>,
    /// From then on nothing is wrong any more, limits aside.
    pub end: Option<Instant>,
}

/// What is special about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nothing.
    Plain,
    /// Every upstream calls it a bad request.
    Bad,
    /// Every upstream refuses its content.
    Filtered,
    /// Its prompt has so many tokens.
    Long(u64),
    /// It makes every upstream say something never seen before.
    Odd,
}

/// How an attempt ends if it is given the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With a good answer whose stream then takes so long.
    Good(Duration),
    /// With content and then a cut after so long.
    Broken(Duration),
    /// Without content.
    Failed(Failure),
}

/// What an upstream does with an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// First content or the failure comes after this.
    pub after: Duration,
    /// And then.
    pub ending: Ending,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: u32,
    filled: Instant,
}

/// All upstreams with their state.
#[derive(Debug)]
pub struct Upstreams {
    faults: Faults,
    buckets: Vec<Bucket>,
    random: Random,
}

impl Upstreams {
    /// Upstreams with these faults.
    #[must_use]
    pub fn new(faults: Faults, seed: u64) -> Self {
        let bucket =
            |limit: &Option<Limit>| Bucket { tokens: limit.map_or(0, |limit| limit.burst), filled: Instant::ZERO };
        let buckets = faults.limits.iter().map(bucket).collect();
        Self { faults, buckets, random: Random::new(seed) }
    }

    /// What `slot` does with an attempt that begins now.
    pub fn reply(&mut self, slot: usize, info: &SlotInfo, fate: Fate, now: Instant) -> Reply {
        let healed = self.faults.end.is_some_and(|end| now >= end);
        let quick = self.random.millis(1, 400);
        let outage = if healed { None } else { self.outage(info, now) };
        if let Some(failure) = outage.or_else(|| self.own_fault(info, fate)) {
            let after = if failure.kind == Kind::Timeout { Duration::from_secs(100_000) } else { quick };
            return Reply { after, ending: Ending::Failed(failure) };
        }
        if let Some(failure) = self.limited(slot, now) {
            return Reply { after: quick, ending: Ending::Failed(failure) };
        }
        if !healed && self.random.chance(self.faults.flaky[slot]) {
            return Reply { after: quick, ending: Ending::Failed(self.flake()) };
        }
        let after = self.random.pause(self.faults.latency[info.target.index()]);
        let length = self.random.millis(0, 30_000);
        let broken = !healed && self.random.chance(self.faults.breaks[slot]);
        Reply { after, ending: if broken { Ending::Broken(length) } else { Ending::Good(length) } }
    }

    fn outage(&self, info: &SlotInfo, now: Instant) -> Option<Failure> {
        if Window::at(&self.faults.endpoints[info.endpoint.index()], now).is_some() {
            return Some(Failure::new(Kind::Network));
        }
        if let Some(kind) = Window::at(&self.faults.keys[info.key.index()], now) {
            let status = if kind == Kind::Billing { 402 } else { 401 };
            return Some(Failure::new(kind).with_status(status));
        }
        Window::at(&self.faults.targets[info.target.index()], now).map(|fault| match fault {
            TargetFault::Overloaded(hint) => Failure::new(Kind::Overloaded).with_status(529).with_hint(hint),
            TargetFault::ServerError(status) => Failure::new(Kind::ServerError).with_status(status),
            TargetFault::Silent => Failure::new(Kind::Timeout),
            TargetFault::NotFound => Failure::new(Kind::ModelNotFound).with_status(404),
            TargetFault::Forbidden => Failure::new(Kind::Forbidden).with_status(403),
            TargetFault::NotCapable => Failure::new(Kind::NotCapable).with_status(404),
        })
    }

    fn own_fault(&self, info: &SlotInfo, fate: Fate) -> Option<Failure> {
        match fate {
            Fate::Plain => None,
            Fate::Bad => Some(Failure::new(Kind::BadRequest).with_status(400)),
            Fate::Filtered => Some(Failure::new(Kind::ContentFilter).with_status(400)),
            Fate::Odd => Some(Failure::new(Kind::Unknown).with_status(299)),
            Fate::Long(tokens) => {
                let fits = self.faults.windows[info.target.index()].is_none_or(|window| tokens <= window);
                (!fits).then(|| Failure::new(Kind::TooLarge).with_status(413))
            }
        }
    }

    fn limited(&mut self, slot: usize, now: Instant) -> Option<Failure> {
        let limit = self.faults.limits[slot]?;
        let bucket = &mut self.buckets[slot];
        let every = limit.every.max(Duration::from_micros(1));
        while bucket.tokens < limit.burst && bucket.filled + every <= now {
            bucket.tokens += 1;
            bucket.filled = bucket.filled + every;
        }
        if bucket.tokens == limit.burst {
            bucket.filled = now;
        }
        if let Some(left) = bucket.tokens.checked_sub(1) {
            bucket.tokens = left;
            return None;
        }
        let hint = match limit.hints {
            Hints::Silent => None,
            Hints::True => Some((bucket.filled + every).since(now)),
            Hints::Wrong(hint) => Some(hint),
        };
        Some(Failure::new(Kind::RateLimit).with_status(429).with_hint(hint))
    }

    fn flake(&mut self) -> Failure {
        match self.random.below(8) {
            0 => Failure::new(Kind::Network),
            1 => Failure::new(Kind::Timeout).with_status(408),
            2 => Failure::new(Kind::ServerError).with_status(500),
            3 => Failure::new(Kind::ServerError).with_status(502),
            4 => Failure::new(Kind::ServerError).with_status(504),
            5 => Failure::new(Kind::RateLimit).with_status(429).with_hint(Some(self.random.millis(10, 8_000))),
            6 => Failure::new(Kind::Unknown).with_status(299),
            _ => Failure::new(Kind::Overloaded).with_status(503),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::id::{EndpointId, KeyId, TargetId};

    const INFO: SlotInfo =
        SlotInfo { target: TargetId(0), key: KeyId(0), endpoint: EndpointId(0), quota_group: None, affinity: 0 };

    fn upstreams(limit: Option<Limit>, targets: Vec<Window<TargetFault>>) -> Upstreams {
        let faults = Faults {
            keys: vec![vec![]],
            targets: vec![targets],
            endpoints: vec![vec![]],
            limits: vec![limit],
            flaky: vec![0],
            breaks: vec![0],
            latency: vec![Duration::from_millis(10)],
            windows: vec![Some(100)],
            end: None,
        };
        Upstreams::new(faults, 1)
    }

    fn failure(upstreams: &mut Upstreams, fate: Fate, now: Instant) -> Option<Failure> {
        match upstreams.reply(0, &INFO, fate, now).ending {
            Ending::Failed(failure) => Some(failure),
            Ending::Good(_) | Ending::Broken(_) => None,
        }
    }

    #[test]
    fn a_limit_lets_its_burst_pass_then_says_when_it_is_over() {
        let limit = Limit { burst: 2, every: Duration::from_secs(3), hints: Hints::True };
        let mut upstreams = upstreams(Some(limit), vec![]);
        let at = Instant::from_millis;
        assert_eq!(failure(&mut upstreams, Fate::Plain, at(0)), None);
        assert_eq!(failure(&mut upstreams, Fate::Plain, at(0)), None);
        let throttled = failure(&mut upstreams, Fate::Plain, at(1_000));
        assert_eq!(throttled.and_then(|failure| failure.hint), Some(Duration::from_secs(2)));
        assert_eq!(failure(&mut upstreams, Fate::Plain, at(3_000)), None);
        assert!(failure(&mut upstreams, Fate::Plain, at(3_000)).is_some());
    }

    #[test]
    fn an_outage_holds_from_its_beginning_to_before_its_end() {
        let (from, to) = (Instant::from_millis(10), Instant::from_millis(20));
        let mut upstreams = upstreams(None, vec![Window { from, to, what: TargetFault::Forbidden }]);
        let kinds = [9, 10, 19, 20].map(|millis| {
            failure(&mut upstreams, Fate::Plain, Instant::from_millis(millis)).map(|failure| failure.kind)
        });
        assert_eq!(kinds, [None, Some(Kind::Forbidden), Some(Kind::Forbidden), None]);
    }

    #[test]
    fn a_prompt_fits_its_window_or_is_too_large() {
        let mut upstreams = upstreams(None, vec![]);
        assert_eq!(failure(&mut upstreams, Fate::Long(100), Instant::ZERO), None);
        let kind = failure(&mut upstreams, Fate::Long(101), Instant::ZERO).map(|failure| failure.kind);
        assert_eq!(kind, Some(Kind::TooLarge));
    }
}
