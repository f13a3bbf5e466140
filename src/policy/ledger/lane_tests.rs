//! Contract section 2.4 to 2.9, and the doors of section 3.6 that the ledger keeps.

use super::*;

#[test]
fn m1_and_m2_rate_limited_on_one_key_are_two_states() {
    let mut ledger = ledger(1, 2);
    blow(&mut ledger, SlotId(0), Kind::RateLimit, Instant::ZERO);
    let other = admit(&mut ledger, SlotId(1), Instant::ZERO);
    fail(&mut ledger, other, &hinted(Kind::RateLimit, 60), Instant::ZERO);
    assert_eq!(until(&ledger, SlotId(0), Instant::ZERO), secs(10));
    assert_eq!(until(&ledger, SlotId(1), Instant::ZERO), secs(60));
}

#[test]
fn auth_and_billing_are_lanes_of_the_whole_key_and_a_cooling_key_never_blocks_its_siblings() {
    let mut ledger = ledger(2, 2);
    blow(&mut ledger, SlotId(0), Kind::Auth, Instant::ZERO);
    assert!(matches!(refused(&mut ledger, SlotId(2), secs(1)), Refusal::Cooling { kind: Kind::Auth, .. }));
    let _sibling = admit(&mut ledger, SlotId(1), secs(1));
    let _other_model = admit(&mut ledger, SlotId(3), secs(1));
}

#[test]
fn ladders_are_jittered_by_10_percent_and_hints_are_never_shortened() {
    let (low, high) = (Jitter::from_permille(-100), Jitter::from_permille(100));
    for (jitter, expected) in [(low, 9_000), (high, 11_000)] {
        let mut ledger = ledger(1, 1);
        let permit = admit(&mut ledger, FIRST, Instant::ZERO);
        ledger.close(permit, Outcome::Failed(&http(Kind::RateLimit)), jitter, Instant::ZERO);
        assert_eq!(until(&ledger, FIRST, Instant::ZERO), at(expected));
    }
    let mut wide = Ledger::new(CooldownSettings { jitter_percent: 50, ..CooldownSettings::default() });
    let (endpoint, key, target) = (wide.add_endpoint(), wide.add_key(false), wide.add_target());
    wide.add_slot(SlotInfo { target, key, endpoint, quota_group: None, affinity: 0 });
    let permit = admit(&mut wide, FIRST, Instant::ZERO);
    wide.close(permit, Outcome::Failed(&http(Kind::RateLimit)), low, Instant::ZERO);
    assert_eq!(until(&wide, FIRST, Instant::ZERO), secs(5), "as far as the setting says");
    let mut ledger = ledger(1, 1);
    let permit = admit(&mut ledger, FIRST, Instant::ZERO);
    ledger.close(permit, Outcome::Failed(&hinted(Kind::RateLimit, 10)), low, Instant::ZERO);
    assert_eq!(until(&ledger, FIRST, Instant::ZERO), secs(10));
}

#[test]
fn an_abandoned_attempt_changes_nothing_and_frees_its_probe() {
    let mut ledger = ledger(1, 1);
    blow(&mut ledger, FIRST, Kind::ServerError, Instant::ZERO);
    let before = ledger.view(LaneId::Slot(FIRST), secs(2));
    let probe = admit(&mut ledger, FIRST, secs(2));
    let version = ledger.version();
    assert_eq!(ledger.close(probe, Outcome::Abandoned, Jitter::NONE, secs(2)), Settled::default());
    assert_eq!(ledger.view(LaneId::Slot(FIRST), secs(2)), before);
    assert_ne!(ledger.version(), version, "whoever waits for the probe is woken");
    assert!(admit(&mut ledger, FIRST, secs(2)).is_probe());
}

#[test]
fn stale_outcomes_are_inert() {
    let mut ledger = ledger(1, 1);
    let [late_failure, late_success] = [0; 2].map(|_| admit(&mut ledger, FIRST, Instant::ZERO));
    blow(&mut ledger, FIRST, Kind::ServerError, secs(1));
    ledger.close(late_success, Outcome::Complete, Jitter::NONE, secs(2));
    assert_eq!(ledger.view(LaneId::Slot(FIRST), secs(2)).state, LaneState::Cooling, "it began before");
    good(&mut ledger, FIRST, secs(3));
    assert!(fail(&mut ledger, late_failure, &http(Kind::ServerError), secs(4)).changes.is_empty());
    assert_eq!(ledger.view(LaneId::Slot(FIRST), secs(4)).state, LaneState::Ready);
}

#[test]
fn a_permit_is_answered_at_most_once() {
    let mut ledger = ledger(1, 1);
    blow(&mut ledger, FIRST, Kind::ServerError, Instant::ZERO);
    let mut probe = admit(&mut ledger, FIRST, secs(2));
    assert_eq!(ledger.answered(&mut probe, secs(3)).len(), 1);
    assert!(ledger.answered(&mut probe, secs(4)).is_empty());
    assert!(ledger.close(probe, Outcome::Complete, Jitter::NONE, secs(5)).changes.is_empty());
    assert_eq!(ledger.in_flight(FIRST), 0);
}

#[test]
fn recorded_for_each_lane_are_state_kind_status_streak_failures_until_success_and_in_flight() {
    let mut ledger = ledger(1, 1);
    good(&mut ledger, FIRST, secs(1));
    let failure = Failure::new(Kind::Overloaded).with_status(529);
    let permit = admit(&mut ledger, FIRST, secs(2));
    fail(&mut ledger, permit, &failure, secs(3));
    let probe = admit(&mut ledger, FIRST, secs(5));
    fail(&mut ledger, probe, &failure, secs(6));
    let _in_flight = admit(&mut ledger, FIRST, secs(10));
    let expected = LaneView {
        state: LaneState::Probing,
        kind: Some(Kind::Overloaded),
        status: Some(529),
        streak: 2,
        first_failure: Some(secs(3)),
        last_failure: Some(secs(6)),
        until: Some(secs(10)),
        last_success: Some(secs(1)),
        in_flight: 1,
    };
    assert_eq!(ledger.view(LaneId::Slot(FIRST), secs(11)), expected);
}

#[test]
fn any_http_answer_shows_that_the_endpoint_is_there() {
    let mut ledger = ledger(2, 1);
    for slot in [0, 1] {
        let permit = admit(&mut ledger, SlotId(slot), Instant::ZERO);
        fail(&mut ledger, permit, &Failure::new(Kind::Network), Instant::ZERO);
    }
    blow(&mut ledger, FIRST, Kind::BadRequest, secs(2));
    assert_eq!(ledger.view(LaneId::Endpoint(EndpointId(0)), secs(2)).state, LaneState::Ready);
}

#[test]
fn a_retry_is_not_barred_by_the_cooldown_that_the_request_itself_just_opened() {
    let mut ledger = ledger(1, 1);
    let own = blow(&mut ledger, FIRST, Kind::ServerError, Instant::ZERO).own;
    let ask = Ask { own: Some(own), waited: false };
    let retry = ledger.admit(FIRST, ask, at(100)).unwrap();
    ledger.close(retry, Outcome::Complete, Jitter::NONE, at(200));
    assert_eq!(ledger.view(LaneId::Slot(FIRST), at(200)).state, LaneState::Ready);
    blow(&mut ledger, FIRST, Kind::ServerError, at(300));
    assert!(ledger.admit(FIRST, ask, at(400)).is_err(), "but by any other");
}

#[test]
fn a_forced_probe_comes_at_most_every_1_2_then_5_s() {
    let mut ledger = ledger(1, 1);
    blow(&mut ledger, FIRST, Kind::Forbidden, Instant::ZERO);
    let mut last = Instant::ZERO;
    for pace in [1, 2, 5, 5] {
        let due = last + Duration::from_secs(pace);
        assert_eq!(ledger.force(FIRST, due - Duration::from_millis(1)).unwrap_err(), Refusal::Paced { until: due });
        let forced = ledger.force(FIRST, due).unwrap();
        assert!(forced.is_probe());
        fail(&mut ledger, forced, &http(Kind::Forbidden), due);
        last = due;
    }
}

#[test]
fn a_forced_probe_is_never_inside_a_hint_nor_beside_another_probe() {
    let mut inside = ledger(1, 1);
    let permit = admit(&mut inside, FIRST, Instant::ZERO);
    fail(&mut inside, permit, &hinted(Kind::RateLimit, 60), Instant::ZERO);
    assert!(matches!(inside.force(FIRST, secs(59)), Err(Refusal::Cooling { until, .. }) if until == secs(60)));
    let mut beside = ledger(1, 1);
    blow(&mut beside, FIRST, Kind::ServerError, Instant::ZERO);
    let _probe = admit(&mut beside, FIRST, secs(2));
    assert!(matches!(beside.force(FIRST, secs(8)), Err(Refusal::Probing { .. })));
}

#[test]
fn a_short_hint_inside_a_long_cooldown_bars_forced_probes_only_as_long_as_it_runs() {
    let mut ledger = ledger(1, 1);
    blow(&mut ledger, FIRST, Kind::Forbidden, Instant::ZERO);
    let forced = ledger.force(FIRST, secs(1)).unwrap();
    fail(&mut ledger, forced, &hinted(Kind::RateLimit, 20), secs(1));
    assert!(matches!(ledger.force(FIRST, secs(20)), Err(Refusal::Cooling { until, .. }) if until == secs(21)));
    assert!(ledger.force(FIRST, secs(21)).is_ok());
}

#[test]
fn at_most_64_wait_for_a_slot() {
    let mut ledger = ledger(1, 1);
    assert!((0..64).all(|_| ledger.join(FIRST)));
    assert!(!ledger.join(FIRST));
    ledger.leave(FIRST);
    assert!(ledger.join(FIRST));
}

#[test]
fn after_a_good_probe_those_who_waited_are_released_1_2_4_8() {
    let mut ledger = ledger(1, 1);
    blow(&mut ledger, FIRST, Kind::ServerError, Instant::ZERO);
    (0..20).for_each(|_| assert!(ledger.join(FIRST)));
    good(&mut ledger, FIRST, secs(2));
    let waited = Ask { own: None, waited: true };
    let mut out: Vec<Permit> = vec![];
    for most in [1, 2, 4, 8] {
        while let Ok(permit) = ledger.admit(FIRST, waited, secs(3)) {
            out.push(permit);
        }
        assert_eq!(out.len(), most);
        assert_eq!(ledger.admit(FIRST, waited, secs(3)).unwrap_err(), Refusal::Busy);
        let _newcomer = admit(&mut ledger, FIRST, secs(3));
        // One good answer doubles what is allowed and makes room for itself.
        ledger.answered(&mut out[0], secs(3));
        out.remove(0).retire(&mut ledger);
    }
}

impl Permit {
    fn retire(self, ledger: &mut Ledger) {
        ledger.close(self, Outcome::Complete, Jitter::NONE, secs(3));
    }
}

#[test]
fn one_waiting_request_per_slot_reserves_the_same_target_wait() {
    let mut ledger = ledger(1, 1);
    assert!(ledger.reserve_retry(FIRST, secs(2), secs(0)));
    assert!(!ledger.reserve_retry(FIRST, secs(3), secs(1)));
    assert!(ledger.reserve_retry(FIRST, secs(4), secs(2)), "it expires by itself");
}

#[test]
fn a_key_that_is_switched_off_is_never_admitted() {
    let mut ledger = Ledger::new(CooldownSettings::default());
    let (key, target, endpoint) = (ledger.add_key(true), ledger.add_target(), ledger.add_endpoint());
    let slot = ledger.add_slot(SlotInfo { target, key, endpoint, quota_group: None, affinity: 0 });
    assert_eq!(refused(&mut ledger, slot, Instant::ZERO), Refusal::Disabled);
    assert_eq!(ledger.force(slot, secs(60)).unwrap_err(), Refusal::Disabled);
    assert_eq!(ledger.view(LaneId::Key(key), Instant::ZERO).state, LaneState::Disabled);
}
