//! Nobody is locked out and nobody is hammered: lone targets, crowds and queues (contract 2.2, 2.3, 3.6).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::Log;
use backstop::policy::capability::Abilities;
use backstop::policy::chain::{Chain, KeyOrder, Level};
use backstop::policy::failure::Kind;
use backstop::policy::id::{EndpointId, KeyId, ProviderId, SlotId, TargetId};
use backstop::policy::ledger::{Event, LaneId, SlotInfo};
use backstop::policy::run::Why;
use backstop::policy::settings::{CooldownSettings, RunSettings};
use backstop::policy::time::Instant;
use backstop::world::{Fact, Faults, Hints, Limit, Scenario, TargetFault, Topology, Traffic, Window, simulate};

const MINUTE: u64 = 60;

fn at(secs: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(secs)
}

/// One target with one key, asked five times a second for so many seconds.
fn lone(secs: u64) -> Scenario {
    let slots: Arc<[SlotId]> = Arc::from([SlotId(0)]);
    let level = Level {
        provider: ProviderId(0),
        target: TargetId(0),
        model: Arc::from("m"),
        slots,
        order: KeyOrder::Ordered,
        abilities: Abilities::default(),
        unserved: None,
        connect: Duration::from_secs(5),
        first_content: Duration::from_secs(5),
        response_timeout: Duration::from_secs(5),
        stall: Duration::from_secs(30),
    };
    let chain = Chain::new("m", vec![level]);
    let info = SlotInfo { target: TargetId(0), key: KeyId(0), endpoint: EndpointId(0), quota_group: None, affinity: 1 };
    let topology =
        Topology { keys: vec![false], targets: 1, endpoints: 1, slots: vec![info], chains: vec![Arc::new(chain)] };
    let faults = Faults {
        keys: vec![vec![]],
        targets: vec![vec![]],
        endpoints: vec![vec![]],
        limits: vec![None],
        flaky: vec![0],
        breaks: vec![0],
        latency: vec![Duration::from_millis(100)],
        windows: vec![None],
        end: None,
    };
    let requests = u32::try_from(secs * 5).unwrap();
    let traffic = Traffic { requests, pause: Duration::from_millis(200), bursts: 0, leavers: 0, special: 0 };
    let (cooldowns, run) = (CooldownSettings::default(), RunSettings::default());
    Scenario { seed: 7, topology, faults, traffic, cooldowns, run }
}

fn log_of(scenario: &Scenario) -> Log {
    let mut log = Log::new();
    simulate(scenario, &mut log);
    log
}

fn tries(log: &Log) -> Vec<(Instant, Why)> {
    let tries = log.iter().filter_map(|(at, fact)| match fact {
        Fact::Tried { why, .. } => Some((*at, *why)),
        _ => None,
    });
    tries.collect()
}

/// The pauses between attempts, retries of the same request aside.
fn pauses(log: &Log, from: Instant, to: Instant) -> Vec<Duration> {
    let times: Vec<Instant> = tries(log)
        .into_iter()
        .filter(|(at, why)| *why != Why::QuickRetry && from <= *at && *at < to)
        .map(|(at, _)| at)
        .collect();
    times.windows(2).map(|pair| pair[1].since(pair[0])).collect()
}

#[test]
fn a_lone_target_is_never_locked_out_and_never_hammered() {
    let faults = [
        TargetFault::ServerError(500),
        TargetFault::ServerError(504),
        TargetFault::Overloaded(None),
        TargetFault::Silent,
        TargetFault::NotFound,
        TargetFault::Forbidden,
    ];
    for fault in faults {
        let mut scenario = lone(20 * MINUTE);
        scenario.faults.targets[0] = vec![Window { from: at(60), to: at(18 * MINUTE), what: fault }];
        let log = log_of(&scenario);
        // The first minute of the outage climbs the ladder.
        let pauses = pauses(&log, at(2 * MINUTE), at(17 * MINUTE));
        let longest = pauses.iter().max().unwrap();
        // A pace of 5 s, an attempt of at most 5 s (silent) and a wait of at most 5 s.
        assert!(*longest <= Duration::from_millis(11_000), "{fault:?}: locked out for {longest:?}");
        let shortest = pauses.iter().min().unwrap();
        assert!(*shortest >= Duration::from_millis(1_000), "{fault:?}: hammered after {shortest:?}");
        let per_minute = pauses.len() / 15;
        assert!(per_minute <= 60 / 4, "{fault:?}: {per_minute} attempts a minute");
        let served = log.iter().filter(|(at_, fact)| *at_ > at(19 * MINUTE) && matches!(fact, Fact::Committed { .. }));
        assert!(served.count() > 200, "{fault:?}: it does not come back");
    }
}

#[test]
fn a_lone_key_without_credit_comes_back_by_itself() {
    for kind in [Kind::Auth, Kind::Billing] {
        let mut scenario = lone(40 * MINUTE);
        scenario.run.max_wait = Duration::ZERO;
        scenario.faults.keys[0] = vec![Window { from: at(60), to: at(30 * MINUTE), what: kind }];
        let log = log_of(&scenario);
        let back = log.iter().find(|(when, fact)| *when > at(30 * MINUTE) && matches!(fact, Fact::Committed { .. }));
        let (back, _) = back.unwrap();
        assert!(*back < at(30 * MINUTE + 10), "{kind:?}: back at {back:?}");
    }
}

#[test]
fn a_wrong_hint_cannot_lock_a_key_out_but_is_not_forced_either() {
    let mut scenario = lone(70 * MINUTE);
    // The first attempt is throttled for two hours, the vendor says: bounded to one, and wrong.
    let wrong = TargetFault::Overloaded(Some(Duration::from_secs(7_200)));
    scenario.faults.targets[0] = vec![Window { from: at(0), to: at(1), what: wrong }];
    let log = log_of(&scenario);
    let tried: Vec<(Instant, Why)> = tries(&log).into_iter().filter(|(when, _)| *when >= at(2)).collect();
    let (probe, why) = tried[0];
    assert!(probe >= at(300) && probe < at(303), "the first early probe is after 5 min: {probe:?}");
    assert_eq!(why, Why::Turn);
    assert!(tried.len() > 1_000, "and its success ends the incident");
}

#[test]
fn early_probes_of_a_true_long_hint_keep_their_pace() {
    let mut scenario = lone(59 * MINUTE);
    let long = TargetFault::Overloaded(Some(Duration::from_secs(3_600)));
    scenario.faults.targets[0] = vec![Window { from: at(0), to: at(100 * MINUTE), what: long }];
    let log = log_of(&scenario);
    let tried: Vec<Instant> = tries(&log).into_iter().map(|(when, _)| when).filter(|when| *when > at(2)).collect();
    assert!((10..=12).contains(&tried.len()), "{tried:?}");
    assert!(tried.windows(2).all(|pair| pair[1].since(pair[0]) >= Duration::from_secs(300)), "{tried:?}");
}

/// A crowd of a hundred a second meets a slot that comes back after three seconds.
fn crowd() -> Log {
    let mut scenario = lone(60);
    scenario.traffic.requests = 2_000;
    scenario.traffic.bursts = 1_000;
    scenario.faults.targets[0] = vec![Window { from: at(0), to: at(3), what: TargetFault::ServerError(504) }];
    log_of(&scenario)
}

#[test]
fn at_most_64_wait_for_a_slot() {
    let (mut waiting, mut most) = (HashSet::new(), 0);
    for (_, fact) in &crowd() {
        match *fact {
            Fact::Waits { request, queue: Some(_), .. } => drop(waiting.insert(request)),
            Fact::Woke { request } | Fact::Left { request } => drop(waiting.remove(&request)),
            _ => {}
        }
        most = most.max(waiting.len());
    }
    assert_eq!(most, 64);
}

#[test]
fn those_who_waited_are_let_in_1_2_4_8_at_a_time_after_a_good_probe() {
    let log = crowd();
    let is_recovery = |(_, fact): &(Instant, Fact)| matches!(fact, Fact::Moved { change } if change.event == Event::Recovered && change.lane == LaneId::Slot(SlotId(0)));
    let recovered = log.iter().position(is_recovery).unwrap();
    let queued = log[..recovered].iter().filter_map(|(_, fact)| match fact {
        Fact::Waits { request, queue: Some(_), .. } => Some(*request),
        _ => None,
    });
    let queued: HashSet<u32> = queued.collect();
    let (mut allowed, mut out, mut peaks) = (1, HashSet::new(), vec![]);
    for (when, fact) in &log[recovered..] {
        // Longer than max_wait nobody is held back.
        if when.since(log[recovered].0) > Duration::from_secs(1) {
            break;
        }
        match fact {
            Fact::Tried { request, .. } if queued.contains(request) => drop(out.insert(*request)),
            Fact::Committed { request, .. } if out.remove(request) => allowed = (allowed * 2).min(64),
            _ => {}
        }
        assert!(out.len() <= allowed, "{} are out, {allowed} are allowed", out.len());
        peaks.push(out.len());
    }
    assert!(peaks.iter().max().unwrap() >= &8, "the ramp opens: {peaks:?}");
}

#[test]
fn twenty_concurrent_429s_are_one_step() {
    let mut scenario = lone(60);
    // A burst of twenty meets an empty bucket.
    scenario.traffic = Traffic { requests: 20, bursts: 1_000, ..scenario.traffic };
    scenario.faults.limits[0] = Some(Limit { burst: 0, every: Duration::from_secs(100), hints: Hints::Silent });
    scenario.run.max_wait = Duration::ZERO;
    scenario.run.max_attempts = 1;
    let log = log_of(&scenario);
    let failed = log.iter().filter(|(_, fact)| matches!(fact, Fact::Failed { .. })).count();
    let slot = LaneId::Slot(SlotId(0));
    let steps: Vec<u32> = log
        .iter()
        .filter_map(|(_, fact)| match fact {
            Fact::Moved { change } if change.lane == slot && change.event == Event::Cooled => Some(change.streak),
            _ => None,
        })
        .collect();
    assert_eq!((failed, steps), (20, vec![1]));
}
