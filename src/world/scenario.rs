//! A whole scenario: who is there, what breaks, who asks. Random ones come from a seed.
//!
//! Owns the description. Refuses to run it ([`engine`](super::engine) does).

use std::sync::Arc;
use std::time::Duration;

use super::random::Random;
use super::upstream::{Fate, Faults, Hints, Limit, TargetFault, Window};
use crate::policy::capability::{Abilities, Needs};
use crate::policy::chain::{Chain, KeyOrder, Level};
use crate::policy::failure::Kind;
use crate::policy::id::{EndpointId, KeyId, ProviderId, SlotId, TargetId};
use crate::policy::ledger::{Ledger, SlotInfo};
use crate::policy::settings::{CooldownSettings, RunSettings};
use crate::policy::time::Instant;

/// Who is there.
#[derive(Debug, Clone, Default)]
pub struct Topology {
    /// Keys, and whether each is switched off.
    pub keys: Vec<bool>,
    /// The number of targets.
    pub targets: u32,
    /// The number of endpoints.
    pub endpoints: u32,
    /// The slots, by their index.
    pub slots: Vec<SlotInfo>,
    /// The chains that requests choose from.
    pub chains: Vec<Arc<Chain>>,
}

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errand {
    /// Which chain it walks.
    pub chain: usize,
    /// The level to begin with.
    pub start: usize,
    /// The key to ask first.
    pub key: Option<SlotId>,
    /// Its session.
    pub session: Option<u64>,
    /// What the model must be able to do.
    pub needs: Needs,
    /// The answer is a stream.
    pub stream: bool,
    /// It must have ended so long after it arrived.
    pub deadline: Duration,
    /// The client leaves after this.
    pub leaves: Option<Duration>,
    /// What is special about it.
    pub fate: Fate,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// Requests in total.
    pub requests: u32,
    /// The mean pause between two arrivals.
    pub pause: Duration,
    /// So many of a thousand arrivals come as a burst of twenty.
    pub bursts: u64,
    /// So many of a thousand clients leave early.
    pub leavers: u64,
    /// So many of a thousand requests are special.
    pub special: u64,
}

/// Everything that one simulation needs; the same one always gives the same history.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Seeds arrivals, replies and jitter.
    pub seed: u64,
    /// Who is there.
    pub topology: Topology,
    /// What breaks.
    pub faults: Faults,
    /// Who asks.
    pub traffic: Traffic,
    /// The ledger's numbers.
    pub cooldowns: CooldownSettings,
    /// The run's numbers.
    pub run: RunSettings,
}

impl Topology {
    /// A ledger that knows everybody.
    #[must_use]
    pub fn ledger(&self, settings: CooldownSettings) -> Ledger {
        let mut ledger = Ledger::new(settings);
        for disabled in &self.keys {
            ledger.add_key(*disabled);
        }
        for _ in 0..self.targets {
            ledger.add_target();
        }
        for _ in 0..self.endpoints {
            ledger.add_endpoint();
        }
        for slot in &self.slots {
            ledger.add_slot(*slot);
        }
        ledger
    }

    fn random(random: &mut Random) -> Self {
        let mut topology = Self::default();
        let providers = random.range(1, 4);
        let mut models = Vec::new();
        let mut keys_of = Vec::new();
        for _ in 0..providers {
            let first = topology.keys.len() as u64;
            let count = random.range(1, 5);
            topology.keys.extend((0..count).map(|_| random.chance(30)));
            keys_of.push(first..first + count);
            // One provider in four is reached through the endpoint of another one.
            if topology.endpoints == 0 || random.chance(750) {
                topology.endpoints += 1;
            }
        }
        for _ in 0..random.range(1, 5) {
            let provider = random.below(providers);
            let target = topology.targets;
            topology.targets += 1;
            let grouped = random.chance(300);
            let endpoint = EndpointId(narrow(provider.min(u64::from(topology.endpoints) - 1)));
            let first = narrow(topology.slots.len() as u64);
            for key in keys_of[index(provider)].clone() {
                topology.slots.push(SlotInfo {
                    target: TargetId(target),
                    key: KeyId(narrow(key)),
                    endpoint,
                    quota_group: grouped.then_some(narrow(key % 2)),
                    affinity: random.number(),
                });
            }
            let slots: Vec<SlotId> = (first..narrow(topology.slots.len() as u64)).map(SlotId).collect();
            models.push(level(random, provider, target, slots));
        }
        for _ in 0..random.range(1, 3) {
            topology.chains.push(Arc::new(chain(random, &models)));
        }
        topology
    }
}

fn level(random: &mut Random, provider: u64, target: u32, slots: Vec<SlotId>) -> Level {
    const ORDERS: [KeyOrder; 4] = [KeyOrder::Ordered, KeyOrder::RoundRobin, KeyOrder::LeastInFlight, KeyOrder::Session];
    let abilities = Abilities {
        context_window: random.chance(400).then(|| random.range(1, 4) * 1_000),
        vision: random.chance(200).then_some(false),
        ..Abilities::default()
    };
    Level {
        provider: ProviderId(narrow(provider)),
        target: TargetId(target),
        model: Arc::from(format!("m{target}")),
        slots: slots.into(),
        order: random.pick(&ORDERS).copied().unwrap_or_default(),
        abilities,
        unserved: None,
        connect: Duration::from_secs(5),
        first_content: Duration::from_secs(random.range(5, 60)),
        response_timeout: Duration::from_secs(300),
        stall: Duration::from_secs(30),
    }
}

fn chain(random: &mut Random, models: &[Level]) -> Chain {
    let mut levels: Vec<Level> = Vec::new();
    let mut rest: Vec<&Level> = models.iter().collect();
    let count = random.range(1, models.len() as u64);
    for _ in 0..count {
        levels.push(rest.swap_remove(index(random.below(rest.len() as u64))).clone());
    }
    Chain { continue_on_content_filter: random.chance(200), ..Chain::new("default", levels) }
}

impl Scenario {
    /// A random scenario of so many requests.
    #[must_use]
    pub fn random(seed: u64, requests: u32) -> Self {
        let mut random = Random::new(seed);
        let topology = Topology::random(&mut random);
        // One world in ten is nearly idle: streaks are forgotten there.
        let pause = if random.chance(100) { random.millis(10_000, 300_000) } else { random.millis(20, 4_000) };
        let horizon = pause * requests;
        let faults = faults(&mut random, &topology, horizon);
        let traffic = Traffic { requests, pause, bursts: 10, leavers: random.range(0, 60), special: 30 };
        Self { seed, faults, traffic, cooldowns: CooldownSettings::default(), run: run(&mut random), topology }
    }

    /// The request with this number.
    #[must_use]
    pub fn errand(&self, random: &mut Random) -> Errand {
        let chain = index(random.below(self.topology.chains.len() as u64));
        let levels = &self.topology.chains[chain].levels;
        let start = if random.chance(100) { index(random.below(levels.len() as u64)) } else { 0 };
        let fate = if !random.chance(self.traffic.special) {
            Fate::Plain
        } else {
            match random.below(6) {
                0 => Fate::Bad,
                1 => Fate::Filtered,
                2 => Fate::Odd,
                _ => Fate::Long(random.range(500, 5_000)),
            }
        };
        let known = random.chance(500);
        let context_tokens = if let (Fate::Long(tokens), true) = (fate, known) { tokens / 2 } else { 0 };
        let lowered = if random.chance(100) { random.millis(1, 20_000) } else { self.run.deadline };
        Errand {
            chain,
            start,
            key: if random.chance(50) { random.pick(&levels[start].slots).copied() } else { None },
            session: random.chance(700).then(|| random.below(50)),
            needs: Needs { vision: random.chance(150), context_tokens, ..Needs::default() },
            stream: random.chance(700),
            deadline: self.run.deadline.min(lowered),
            leaves: random.chance(self.traffic.leavers).then(|| random.millis(0, 8_000)),
            fate,
        }
    }
}

fn run(random: &mut Random) -> RunSettings {
    let defaults = RunSettings::default();
    let mut settings = defaults;
    if random.chance(300) {
        settings.max_attempts = narrow(random.range(1, 6));
    }
    if random.chance(300) {
        settings.deadline = random.millis(2_000, 60_000);
    }
    if random.chance(200) {
        settings.max_wait = random.millis(0, 8_000);
    }
    if random.chance(200) {
        settings.same_target_wait = Duration::ZERO;
    }
    settings
}

/// Windows of trouble, each of a hundredth up to a third of the whole time.
fn windows<T>(
    random: &mut Random,
    chance: u64,
    horizon: Duration,
    what: &mut dyn FnMut(&mut Random) -> T,
) -> Vec<Window<T>> {
    let micros = u64::try_from(horizon.as_micros()).unwrap_or(u64::MAX);
    let mut windows = Vec::new();
    while windows.len() < 6 && random.chance(chance) {
        let from = Instant::from_micros(random.below(micros));
        let to = from + Duration::from_micros(random.range(micros / 100, micros / 3));
        windows.push(Window { from, to, what: what(random) });
    }
    windows
}

fn faults(random: &mut Random, topology: &Topology, horizon: Duration) -> Faults {
    let mut faults = Faults { end: Some(Instant::ZERO + horizon), ..Faults::default() };
    for _ in &topology.keys {
        let mut kind = |random: &mut Random| if random.chance(500) { Kind::Auth } else { Kind::Billing };
        faults.keys.push(windows(random, 250, horizon, &mut kind));
    }
    for _ in 0..topology.endpoints {
        faults.endpoints.push(windows(random, 300, horizon, &mut |_| ()));
    }
    for _ in 0..topology.targets {
        faults.targets.push(windows(random, 600, horizon, &mut target_fault));
        faults.latency.push(random.millis(50, 6_000));
        faults.windows.push(random.chance(500).then(|| random.range(1, 4) * 1_000));
    }
    for _ in &topology.slots {
        faults.limits.push(random.chance(350).then(|| limit(random)));
        faults.flaky.push(if random.chance(400) { random.range(1, 400) } else { 0 });
        faults.breaks.push(if random.chance(300) { random.range(1, 300) } else { 0 });
    }
    faults
}

fn target_fault(random: &mut Random) -> TargetFault {
    match random.below(8) {
        0 => TargetFault::Overloaded(None),
        1 => TargetFault::Overloaded(Some(random.millis(500, 60_000))),
        2 | 3 => TargetFault::ServerError(*random.pick(&[500, 502, 504, 520]).unwrap_or(&500)),
        4 => TargetFault::Silent,
        5 => TargetFault::NotFound,
        6 => TargetFault::Forbidden,
        _ => TargetFault::NotCapable,
    }
}

fn limit(random: &mut Random) -> Limit {
    let hints = match random.below(5) {
        0 | 1 => Hints::Silent,
        2 | 3 => Hints::True,
        _ => Hints::Wrong(random.millis(0, 7_200_000)),
    };
    Limit { burst: narrow(random.range(1, 10)), every: random.millis(100, 20_000), hints }
}

fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn index(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
