//! One example for each sentence of contract section 3 (choosing the next slot), and the next steps of section 1.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::policy::capability::{Abilities, Needs};
use crate::policy::chain::{Chain, KeyOrder};
use crate::policy::id::{KeyId, ProviderId};
use crate::policy::ledger::{Outcome, SlotInfo};
use crate::policy::settings::CooldownSettings;

/// A world of its own for each test: `keys` keys for each of the targets, slot = target × keys + key.
pub(super) struct Table {
    pub(super) ledger: Ledger,
    pub(super) levels: Vec<Level>,
    pub(super) settings: RunSettings,
    pub(super) now: Instant,
}

/// One request in it.
pub(super) struct Request {
    pub(super) run: Run,
    pub(super) pending: Option<Try>,
}

impl Table {
    pub(super) fn new(keys: u32, targets: u32) -> Self {
        Self::with_endpoints(keys, &(0..targets).collect::<Vec<_>>())
    }

    /// One target for each entry, on the endpoint that it names.
    fn with_endpoints(keys: u32, endpoints: &[u32]) -> Self {
        let mut ledger = Ledger::new(CooldownSettings::default());
        let known: Vec<_> = endpoints.iter().map(|_| ledger.add_endpoint()).collect();
        let mut levels = vec![];
        for (number, endpoint) in endpoints.iter().enumerate() {
            let target = ledger.add_target();
            let slots: Vec<SlotId> = (0..keys)
                .map(|affinity| {
                    let key = ledger.add_key(false);
                    let endpoint = known[*endpoint as usize];
                    let affinity = u64::from(affinity) * 977 + 5;
                    ledger.add_slot(SlotInfo { target, key, endpoint, quota_group: None, affinity })
                })
                .collect();
            levels.push(Level {
                provider: ProviderId(u32::try_from(number).unwrap()),
                target,
                model: Arc::from(format!("m{number}")),
                slots: slots.into(),
                order: KeyOrder::Ordered,
                abilities: Abilities::default(),
                unserved: None,
                connect: Duration::from_secs(5),
                first_content: Duration::from_secs(60),
                response_timeout: Duration::from_secs(300),
                stall: Duration::from_secs(30),
            });
        }
        Self { ledger, levels, settings: RunSettings::default(), now: Instant::ZERO }
    }

    pub(super) fn plan(&self) -> Plan {
        let chain = Chain::new("default", self.levels.clone());
        Plan {
            chain: Arc::new(chain),
            start: 0,
            key: None,
            session: None,
            needs: Needs::default(),
            stream: true,
            recovery: Recovery::Error,
            same_model: false,
            deadline: self.now + self.settings.deadline,
        }
    }

    pub(super) fn request(&self) -> Request {
        self.planned(self.plan())
    }

    pub(super) fn planned(&self, plan: Plan) -> Request {
        Request { run: Run::new(plan, std::sync::Arc::new(self.settings)), pending: None }
    }

    fn pass(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
    }

    /// The slot cools from now on.
    fn cool(&mut self, slot: u32, failure: &Failure) {
        let permit = self.ledger.admit(SlotId(slot), Ask::default(), self.now).unwrap();
        self.ledger.close(permit, Outcome::Failed(failure), Jitter::NONE, self.now);
    }

    fn step(&mut self, request: &mut Request) -> Step {
        request.run.next(&mut self.ledger, self.now)
    }

    /// The slot that is tried next, and why.
    pub(super) fn tried(&mut self, request: &mut Request) -> (u32, Why) {
        match self.step(request) {
            Step::Try(tried) => {
                let shown = (tried.permit.slot().0, tried.why);
                request.pending = Some(tried);
                shown
            }
            other => panic!("{other:?} is no attempt"),
        }
    }

    pub(super) fn turn(&mut self, request: &mut Request) -> u32 {
        let (slot, why) = self.tried(request);
        assert_eq!(why, Why::Turn);
        slot
    }

    pub(super) fn waits(&mut self, request: &mut Request) -> Wait {
        match self.step(request) {
            Step::Wait(wait) => {
                self.now = wait.until;
                wait.queue.into_iter().for_each(|slot| self.ledger.leave(slot));
                wait
            }
            other => panic!("{other:?} is no wait"),
        }
    }

    pub(super) fn done(&mut self, request: &mut Request) -> Verdict {
        match self.step(request) {
            Step::Done(verdict) => verdict,
            other => panic!("{other:?} is not the end"),
        }
    }

    /// The attempt in flight fails.
    pub(super) fn fails(&mut self, request: &mut Request, failure: &Failure) {
        let Try { permit, no, .. } = request.pending.take().unwrap();
        let settled = self.ledger.close(permit, Outcome::Failed(failure), Jitter::NONE, self.now);
        request.run.missed(no, failure, settled.own, &self.ledger, Jitter::NONE, self.now);
    }

    /// Turn after turn, each failing alike.
    fn walk(&mut self, request: &mut Request, failure: &Failure, turns: usize) -> Vec<u32> {
        let mut slots = vec![];
        for _ in 0..turns {
            slots.push(self.turn(request));
            self.fails(request, failure);
        }
        slots
    }
}

pub(super) fn http(kind: Kind, status: u16) -> Failure {
    Failure::new(kind).with_status(status)
}

fn throttled(hint_millis: u64) -> Failure {
    http(Kind::RateLimit, 429).with_hint(Some(Duration::from_millis(hint_millis)))
}

const OVERLOADED: Failure = Failure::new(Kind::Overloaded).with_status(529);

#[test]
fn same_level_first_all_usable_keys_of_a_target_then_the_next_target() {
    let mut table = Table::new(2, 2);
    let mut request = table.request();
    assert_eq!(table.walk(&mut request, &OVERLOADED, 2), [0, 1]);
    assert_eq!(table.turn(&mut request), 2);
}

#[test]
fn at_most_three_attempts_on_one_target_in_a_request() {
    let mut table = Table::new(5, 2);
    let mut request = table.request();
    assert_eq!(table.walk(&mut request, &throttled(60_000), 6), [0, 1, 2, 5, 6, 7]);
    assert!(matches!(table.done(&mut request), Verdict::Compose(_)));
}

#[test]
fn every_kind_of_the_next_key_goes_to_the_next_key() {
    let kinds = [
        (Kind::Auth, 401),
        (Kind::Billing, 402),
        (Kind::RateLimit, 429),
        (Kind::Forbidden, 403),
        (Kind::Overloaded, 529),
        (Kind::ServerError, 504),
        (Kind::ModelNotFound, 404),
        (Kind::NotCapable, 404),
    ];
    for (kind, status) in kinds {
        let mut table = Table::new(2, 2);
        let mut request = table.request();
        table.walk(&mut request, &http(kind, status), 1);
        assert_eq!(table.turn(&mut request), 1, "{kind:?}");
    }
}

#[test]
fn a_silent_target_is_not_asked_twice_in_a_request_nor_one_that_says_something_never_seen() {
    for kind in [Kind::Timeout, Kind::Unknown, Kind::TooLarge] {
        let mut table = Table::new(2, 2);
        let mut request = table.request();
        assert_eq!(table.walk(&mut request, &Failure::new(kind), 2), [0, 2], "{kind:?}");
    }
}

#[test]
fn too_large_goes_on_to_larger_or_unknown_windows_once_each_else_the_first_such_answer_is_returned() {
    let mut table = Table::new(1, 4);
    for (level, window) in [Some(8_000), Some(8_000), Some(32_000), None].into_iter().enumerate() {
        table.levels[level].abilities.context_window = window;
    }
    let mut request = table.request();
    assert_eq!(table.walk(&mut request, &http(Kind::TooLarge, 413), 3), [0, 2, 3]);
    assert_eq!(table.done(&mut request), Verdict::Return(0));
}

#[test]
fn a_bad_request_is_returned_from_the_first_target_tried_and_recorded_from_a_fallback() {
    let mut table = Table::new(2, 3);
    let mut first = table.request();
    table.walk(&mut first, &http(Kind::BadRequest, 400), 1);
    assert_eq!(table.done(&mut first), Verdict::Return(0));
    let mut second = table.request();
    table.walk(&mut second, &http(Kind::Timeout, 408), 1);
    assert_eq!(table.walk(&mut second, &http(Kind::BadRequest, 400), 2), [2, 4]);
}

#[test]
fn a_content_refusal_is_returned_unless_the_chain_opts_in_to_going_on() {
    for goes_on in [false, true] {
        let mut table = Table::new(2, 2);
        let mut plan = table.plan();
        Arc::get_mut(&mut plan.chain).unwrap().continue_on_content_filter = goes_on;
        let mut request = table.planned(plan);
        table.walk(&mut request, &http(Kind::ContentFilter, 400), 1);
        if goes_on {
            assert_eq!(table.turn(&mut request), 2);
        } else {
            assert_eq!(table.done(&mut request), Verdict::Return(0));
        }
    }
}

#[test]
fn the_client_who_went_away_is_tried_for_no_more() {
    let mut table = Table::new(2, 2);
    let mut request = table.request();
    table.walk(&mut request, &Failure::new(Kind::Cancelled), 1);
    assert!(matches!(table.done(&mut request), Verdict::Compose(Composed { status: 499, .. })));
}

#[test]
fn an_unknown_failure_of_the_last_target_is_returned() {
    let mut table = Table::new(1, 2);
    let mut request = table.request();
    table.walk(&mut request, &OVERLOADED, 1);
    table.walk(&mut request, &http(Kind::Unknown, 299), 1);
    assert_eq!(table.done(&mut request), Verdict::Return(1));
}

#[test]
fn key_order_ordered_is_the_array_order() {
    let mut table = Table::new(3, 1);
    for _ in 0..3 {
        let mut request = table.request();
        assert_eq!(table.turn(&mut request), 0);
    }
}

#[test]
fn key_order_round_robin_begins_each_request_one_key_further() {
    let mut table = Table::new(3, 1);
    table.levels[0].order = KeyOrder::RoundRobin;
    let mut requests: Vec<Request> = (0..4).map(|_| table.request()).collect();
    let firsts: Vec<u32> = requests.iter_mut().map(|request| table.turn(request)).collect();
    assert_eq!(firsts, [0, 1, 2, 0]);
}

#[test]
fn round_robin_is_fair_to_each_target_whoever_else_is_asked_in_between() {
    let mut table = Table::new(2, 2);
    table.levels.iter_mut().for_each(|level| level.order = KeyOrder::RoundRobin);
    let mut requests: Vec<Request> =
        (0..4).map(|number| table.planned(Plan { start: number % 2, ..table.plan() })).collect();
    let firsts: Vec<u32> = requests.iter_mut().map(|request| table.turn(request)).collect();
    assert_eq!(firsts, [0, 2, 1, 3]);
}

#[test]
fn key_order_least_in_flight_takes_the_idlest_key() {
    let mut table = Table::new(3, 1);
    table.levels[0].order = KeyOrder::LeastInFlight;
    let mut requests: Vec<Request> = (0..4).map(|_| table.request()).collect();
    let firsts: Vec<u32> = requests.iter_mut().map(|request| table.turn(request)).collect();
    assert_eq!(firsts, [0, 1, 2, 0]);
}

#[test]
fn a_session_sticks_to_one_usable_key_and_sessions_spread() {
    let mut table = Table::new(4, 1);
    table.levels[0].order = KeyOrder::Session;
    let first = |table: &mut Table, session| {
        let mut request = table.planned(Plan { session: Some(session), ..table.plan() });
        table.turn(&mut request)
    };
    let keys: Vec<u32> = (0..40).map(|session| first(&mut table, session)).collect();
    let again: Vec<u32> = (0..40).map(|session| first(&mut table, session)).collect();
    assert_eq!(keys, again);
    assert!((0..4).all(|key| keys.contains(&key)), "{keys:?}");
    table.cool(keys[0], &http(Kind::Auth, 401));
    assert_ne!(first(&mut table, 0), keys[0], "the usable key that the hash picks");
    let others = (1..40_usize).filter(|session| keys[*session] != keys[0]);
    for session in others {
        assert_eq!(first(&mut table, session as u64), keys[session], "only its own sessions move");
    }
}

#[test]
fn a_key_that_is_asked_for_comes_first() {
    let mut table = Table::new(3, 1);
    let mut request = table.planned(Plan { key: Some(SlotId(2)), ..table.plan() });
    assert_eq!(table.walk(&mut request, &OVERLOADED, 3), [2, 0, 1]);
}

#[test]
fn a_key_without_remaining_quota_is_last_choice() {
    let mut table = Table::new(2, 2);
    table.ledger.rest(SlotId(0), Duration::from_secs(30), table.now);
    let mut request = table.request();
    assert_eq!(table.walk(&mut request, &OVERLOADED, 2), [1, 0]);
}

#[test]
fn a_cooling_key_is_passed_over() {
    let mut table = Table::new(2, 2);
    table.cool(0, &OVERLOADED);
    let mut request = table.request();
    assert_eq!(table.turn(&mut request), 1);
}

#[path = "budget_tests.rs"]
mod budget;
