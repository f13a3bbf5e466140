//! Properties of the failover contract (section 7, a–g) over random histories in virtual time.
//!
//! `BACKSTOP_SEED=… cargo test --release --locked --test simulate` runs one seed only; `BACKSTOP_SIMULATED`
//! sets the number of requests in total (1,000,000 in a release build, fewer in a debug build).

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::cast_precision_loss)]

mod checker;
mod lanes;
mod liveness;
mod reference;

use std::collections::HashSet;
use std::time::Duration;

use backstop::policy::id::SlotId;
use backstop::policy::ledger::{Ask, LaneId, LaneState, Ledger, Outcome, Refusal};
use backstop::policy::settings::Jitter;
use backstop::policy::time::Instant;
use backstop::world::{Fact, Scenario, Tally, Witness, simulate};
use checker::Checker;
use reference::{Expect, Replay};

/// Seeds to run: one if the environment names it.
fn seeds(first: u64, count: u64) -> Vec<u64> {
    match std::env::var("BACKSTOP_SEED") {
        Ok(seed) => vec![seed.parse().expect("BACKSTOP_SEED is a number")],
        Err(_) => (first..first + count).collect(),
    }
}

fn requests_in_total() -> u64 {
    let default = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
    std::env::var("BACKSTOP_SIMULATED").ok().and_then(|count| count.parse().ok()).unwrap_or(default)
}

fn again(seed: u64, test: &str) -> String {
    format!("again: BACKSTOP_SEED={seed} cargo test --release --locked --test simulate {test} -- --nocapture")
}

#[test]
fn properties_a_to_f_hold_in_a_million_requests() {
    const EACH: u32 = 2_000;
    let mut total = Tally::default();
    let (mut tried, mut probes, mut waits) = ([0; 4], 0, 0);
    for seed in seeds(1, requests_in_total().div_ceil(u64::from(EACH))) {
        let scenario = Scenario::random(seed, EACH);
        let mut checker = Checker::new(&scenario);
        let outcome = simulate(&scenario, &mut checker);
        if !checker.violations.is_empty() {
            let test = "properties_a_to_f_hold_in_a_million_requests";
            panic!("seed {seed}\n{}\n{}", checker.violations.join("\n"), again(seed, test));
        }
        total.requests += outcome.tally.requests;
        total.served += outcome.tally.served;
        total.failed += outcome.tally.failed;
        total.left += outcome.tally.left;
        total.attempts += outcome.tally.attempts;
        total.broken += outcome.tally.broken;
        (0..4).for_each(|why| tried[why] += checker.tried[why]);
        probes += checker.probes;
        waits += checker.waits;
        recovers(seed, &scenario, outcome.ledger, outcome.end);
    }
    println!("{} requests: {total:?}", total.requests);
    println!("attempts by turn, quick retry, wait, force: {tried:?}; probes {probes}; waits {waits}");
}

/// f: every cooldown ends. After the last event and the longest cooldown each slot is let in again, and heals.
fn recovers(seed: u64, scenario: &Scenario, mut ledger: Ledger, end: Instant) {
    let now = end + scenario.cooldowns.hint_max + Duration::from_secs(1);
    for (index, info) in scenario.topology.slots.iter().enumerate() {
        let slot = SlotId(u32::try_from(index).unwrap());
        assert_eq!(ledger.in_flight(slot), 0, "(e) seed {seed}: {slot:?} has a permit that was never closed");
        match ledger.admit(slot, Ask::default(), now) {
            Ok(permit) => drop(ledger.close(permit, Outcome::Complete, Jitter::NONE, now)),
            Err(refusal) => assert_eq!(refusal, Refusal::Disabled, "(f) seed {seed}: {slot:?} at {now:?}"),
        }
        if !scenario.topology.keys[info.key.index()] {
            assert_eq!(ledger.view(LaneId::Slot(slot), now).state, LaneState::Ready, "(f) seed {seed}: {slot:?}");
        }
    }
}

/// Keeps the log and compares every decision with the reference.
struct Agreement<'a> {
    scenario: &'a Scenario,
    lanes: Vec<LaneId>,
    log: Vec<(Instant, Fact)>,
    views: Vec<(LaneId, Shown)>,
    problems: Vec<String>,
    compared: u64,
}

/// What of a lane only a verdict may change.
type Shown = (Option<Instant>, u32, Option<Instant>);

impl<'a> Agreement<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let slots = scenario.topology.slots.iter().zip(0..);
        let lanes = slots.flat_map(|(info, slot)| {
            let slot = LaneId::Slot(SlotId(slot));
            [LaneId::Key(info.key), slot, LaneId::Target(info.target), LaneId::Endpoint(info.endpoint)]
        });
        let lanes: HashSet<LaneId> = lanes.collect();
        let lanes = lanes.into_iter().collect();
        Self { scenario, lanes, log: Vec::new(), views: Vec::new(), problems: Vec::new(), compared: 0 }
    }

    fn compare(&mut self, now: Instant, ledger: &Ledger) {
        let replay = Replay::of(&self.log, &self.scenario.topology, &self.scenario.cooldowns);
        for problem in &replay.problems {
            self.problems.push(format!("reference: {problem}"));
        }
        for index in 0..self.scenario.topology.slots.len() {
            let slot = SlotId(u32::try_from(index).unwrap());
            let expected = replay.expect(slot, now);
            let found = match ledger.outlook(slot, now).refusal {
                None => Expect::Open,
                Some(Refusal::Cooling { until, .. }) => Expect::Cooling(until),
                Some(Refusal::Probing { until }) => Expect::Probing(until),
                Some(Refusal::Disabled) => Expect::Disabled,
                Some(other) => panic!("{other:?} is not an outlook"),
            };
            self.compared += 1;
            if found != expected {
                self.problems.push(format!("{now:?} {slot:?}: the ledger says {found:?}, the reference {expected:?}"));
            }
        }
        for &id in &self.lanes {
            let (view, lane) = (ledger.view(id, now), replay.lane(id));
            let expected = (lane.incident.map(|incident| incident.until), replay.streak(id, now));
            let kind = lane.incident.is_none_or(|incident| Some(incident.kind) == view.kind);
            if (view.until, view.streak) != expected || !kind {
                self.problems.push(format!("{now:?} {id:?}: {view:?}, the reference says {lane:?}"));
            }
        }
    }
}

impl Witness for Agreement<'_> {
    fn fact(&mut self, now: Instant, fact: &Fact, ledger: &Ledger) {
        if !self.problems.is_empty() {
            return;
        }
        self.log.push((now, *fact));
        let views = self.lanes.iter().map(|&id| {
            let view = ledger.view(id, Instant::ZERO);
            (id, (view.until, view.streak, view.first_failure))
        });
        let views: Vec<(LaneId, Shown)> = views.collect();
        if matches!(fact, Fact::Abandoned { .. } | Fact::Left { .. }) && views != self.views {
            self.problems.push(format!("(e) {now:?} {fact:?} changed a lane"));
        }
        self.views = views;
        if matches!(fact, Fact::Asked { .. } | Fact::Tried { .. }) {
            self.compare(now, ledger);
        }
    }
}

#[test]
fn every_admission_agrees_with_the_reference_that_recomputes_from_the_log() {
    let (mut compared, mut requests) = (0, 0);
    let count = if cfg!(debug_assertions) { 100 } else { 400 };
    for seed in seeds(1_000_000, count) {
        let scenario = Scenario::random(seed, 120);
        let mut agreement = Agreement::new(&scenario);
        requests += simulate(&scenario, &mut agreement).tally.requests;
        compared += agreement.compared;
        if let Some(problem) = agreement.problems.first() {
            let last = agreement.log.iter().filter(|(_, fact)| !matches!(fact, Fact::Asked { .. })).rev().take(60);
            let mut lines: Vec<String> = last.map(|(at, fact)| format!("    {at:?} {fact:?}")).collect();
            lines.reverse();
            panic!("seed {seed}: {problem}\n{}\n{}", lines.join("\n"), again(seed, "every_admission"));
        }
    }
    println!("{compared} looks at slots in {requests} requests agree with the reference");
}

#[test]
fn property_g_the_same_configuration_seed_and_script_give_the_same_trail() {
    for seed in seeds(2_000_000, 10) {
        let scenario = Scenario::random(seed, 500);
        let (mut first, mut second): (Vec<(Instant, Fact)>, Vec<(Instant, Fact)>) = (Vec::new(), Vec::new());
        simulate(&scenario, &mut first);
        simulate(&scenario, &mut second);
        assert!(first.len() > 500);
        let differs = first.iter().zip(&second).find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(first.len(), second.len(), "seed {seed}");
    }
}
