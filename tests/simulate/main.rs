//! Properties of the failover contract (section 7, a–g) over random histories in virtual time.
//!
//! `BACKSTOP_SEED=… cargo test --locked --test simulate` runs one seed only; `BACKSTOP_SIMULATED`
//! sets the number of requests in total (1,000,000 in a release build, fewer in a debug build).
//! With `-- --nocapture` it prints what it covered.
//!
//! Where the contract leaves room, these readings are checked:
//! - Only failures that opened a cooldown of their slot count when keys agree that their target is the cause;
//!   forgiven blips and echoes of the same incident do not.
//! - A blip is forgiven even if it came with a hint.
//! - A streak is one number per lane, whatever the kinds of its failures; it is forgotten after its time also when no
//!   success closed the incident, and what comes then is a new incident.
//! - A probe whose failure is about something else (a bad request, the key, the network) ends without a verdict.
//! - The time of the last failure and the last success is recorded for stale outcomes too: inert means that no
//!   state, deadline or streak moves.
//! - Who has waited for a slot and is held back by the ramp of 3.6 may go on to the next usable target meanwhile.
//! - "The last attempt is kept for the last target" that is still open; "half of the time" while any other target is.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss
)]

mod checker;
mod lanes;
mod liveness;
mod reference;

use std::collections::HashSet;
use std::sync::OnceLock;
use std::time::Duration;

use backstop::policy::id::SlotId;
use backstop::policy::ledger::{Ask, LaneId, LaneState, Ledger, Outcome, Refusal};
use backstop::policy::settings::Jitter;
use backstop::policy::time::Instant;
use backstop::world::{Fact, Scenario, Tally, Witness, simulate};
use checker::Checker;
use reference::{Expect, Replay};

type Log = Vec<(Instant, Fact)>;

/// Seeds to run: one if the environment names it.
fn seeds(first: u64, count: u64) -> Vec<u64> {
    match std::env::var("BACKSTOP_SEED") {
        Ok(seed) => vec![seed.parse().expect("BACKSTOP_SEED is a number")],
        Err(_) => (first..first + count).collect(),
    }
}

fn requests_in_total() -> u64 {
    std::env::var("BACKSTOP_SIMULATED").ok().and_then(|count| count.parse().ok()).unwrap_or(100_000)
}

fn again(seed: u64, test: &str) -> String {
    format!("again: BACKSTOP_SEED={seed} cargo test --locked --test simulate {test} -- --nocapture")
}

/// What the long histories showed: run once, asked by each property's test.
#[derive(Default)]
struct Report {
    violations: Vec<(&'static str, String)>,
    total: Tally,
    tried: [u64; 4],
    probes: u64,
    waits: u64,
}

fn report() -> &'static Report {
    static REPORT: OnceLock<Report> = OnceLock::new();
    REPORT.get_or_init(|| {
        let mut report = Report::default();
        for seed in seeds(1, requests_in_total().div_ceil(u64::from(EACH))) {
            report.watch(seed);
        }
        let Report { total, tried, probes, waits, .. } = &report;
        println!("{} requests: {total:?}", total.requests);
        println!("attempts by turn, quick retry, wait, force: {tried:?}; probes {probes}; waits {waits}");
        report
    })
}

/// Requests of each long history.
const EACH: u32 = 2_000;

impl Report {
    fn watch(&mut self, seed: u64) {
        let scenario = Scenario::random(seed, EACH);
        let mut checker = Checker::new(&scenario);
        let outcome = simulate(&scenario, &mut checker);
        let violations = checker.violations.drain(..);
        self.violations.extend(
            violations.map(|(property, text)| (property, format!("seed {seed} {text}{}", again(seed, "property")))),
        );
        if let Err(text) = recovers(&scenario, outcome.ledger, outcome.end) {
            self.violations.push(("f", format!("seed {seed}: {text}\n{}", again(seed, "property"))));
        }
        let (total, tally) = (&mut self.total, outcome.tally);
        total.requests += tally.requests;
        total.served += tally.served;
        total.failed += tally.failed;
        total.left += tally.left;
        total.attempts += tally.attempts;
        total.broken += tally.broken;
        (0..4).for_each(|why| self.tried[why] += checker.tried[why]);
        self.probes += checker.probes;
        self.waits += checker.waits;
    }

    fn holds(&self, property: &str) {
        let broken = self.violations.iter().find(|(other, _)| *other == property);
        if let Some((_, text)) = broken {
            panic!("{text}");
        }
        // What was never exercised was not checked.
        let all = self.total.served > 0 && self.total.broken > 0 && self.tried.iter().all(|count| *count > 0);
        assert!(all || std::env::var("BACKSTOP_SEED").is_ok(), "{:?} {:?}", self.total, self.tried);
    }
}

#[test]
fn property_a_no_cooling_slot_while_another_is_usable_but_for_probes_and_own_retries() {
    report().holds("a");
}

#[test]
fn property_b_at_most_max_attempts_and_an_end_by_the_deadline() {
    report().holds("b");
}

#[test]
fn property_c_no_attempt_starts_after_commit() {
    report().holds("c");
}

/// Stronger than the letter: at every decision the admissible slot whose turn it is gets asked, so the client gets
/// its answer if it would have answered within the limit; and nobody gives up while such a slot is left.
#[test]
fn property_d_an_admissible_slot_that_would_have_answered_is_asked_at_its_turn() {
    report().holds("d");
}

#[test]
fn property_e_each_permit_is_answered_at_most_once_and_closed_exactly_once() {
    report().holds("e");
}

#[test]
fn property_f_ladders_are_monotone_within_an_incident_and_capped_and_every_cooldown_ends() {
    report().holds("f");
}

#[test]
fn probes_are_single_file_and_early_ones_keep_their_pace() {
    report().holds("2.3");
}

#[test]
fn every_slot_is_tried_once_but_for_its_one_retry() {
    report().holds("3.3");
}

#[test]
fn what_earlier_failures_exclude_is_not_tried() {
    report().holds("3");
}

#[test]
fn ordered_keys_take_their_turns_in_the_array_order() {
    report().holds("3.2");
}

#[test]
fn queues_are_bounded_and_forced_probes_paced() {
    report().holds("3.6");
}

/// f: every cooldown ends. After the last event and the longest cooldown each slot is let in again, and heals.
fn recovers(scenario: &Scenario, mut ledger: Ledger, end: Instant) -> Result<(), String> {
    let now = end + scenario.cooldowns.hint_max + Duration::from_secs(1);
    for (index, info) in scenario.topology.slots.iter().enumerate() {
        let slot = SlotId(u32::try_from(index).unwrap());
        if ledger.in_flight(slot) != 0 {
            return Err(format!("{slot:?} has a permit that was never closed"));
        }
        match ledger.admit(slot, Ask::default(), now) {
            Ok(permit) => drop(ledger.close(permit, Outcome::Complete, Jitter::NONE, now)),
            Err(Refusal::Disabled) if scenario.topology.keys[info.key.index()] => continue,
            Err(refusal) => return Err(format!("{slot:?} is refused at {now:?}: {refusal:?}")),
        }
        let view = ledger.view(LaneId::Slot(slot), now);
        if view.state != LaneState::Ready {
            return Err(format!("{slot:?} does not heal: {view:?}"));
        }
    }
    Ok(())
}

/// Keeps the log and compares every decision with the reference.
struct Agreement<'a> {
    scenario: &'a Scenario,
    lanes: Vec<LaneId>,
    log: Log,
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
    for seed in seeds(1_000_000, requests_in_total() / 1_000) {
        let scenario = Scenario::random(seed, u32::try_from(40 + seed % 160).unwrap());
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
        let (mut first, mut second): (Log, Log) = (Log::new(), Log::new());
        simulate(&scenario, &mut first);
        simulate(&scenario, &mut second);
        assert!(first.len() > 500);
        let differs = first.iter().zip(&second).find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(first.len(), second.len(), "seed {seed}");
    }
}
