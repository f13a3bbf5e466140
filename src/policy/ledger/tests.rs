//! One example for each sentence of contract sections 1 (what cools) and 2 (the cooldown ledger).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::policy::failure::Failure;
use crate::policy::settings::Jitter;

const FIRST: SlotId = SlotId(0);

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn secs(secs: u64) -> Instant {
    Instant::from_millis(secs * 1_000)
}

/// `keys` keys of one provider, `targets` targets, one endpoint: slot = target × keys + key.
fn ledger(keys: u32, targets: u32) -> Ledger {
    grouped(keys, targets, None)
}

fn grouped(keys: u32, targets: u32, quota_group: Option<u32>) -> Ledger {
    ledger_of(keys, targets, quota_group, CooldownSettings::default())
}

fn ledger_of(keys: u32, targets: u32, quota_group: Option<u32>, settings: CooldownSettings) -> Ledger {
    let mut ledger = Ledger::new(settings);
    let endpoint = ledger.add_endpoint();
    let keys: Vec<KeyId> = (0..keys).map(|_| ledger.add_key(false)).collect();
    for _ in 0..targets {
        let target = ledger.add_target();
        for key in &keys {
            ledger.add_slot(SlotInfo { target, key: *key, endpoint, quota_group, affinity: 0 });
        }
    }
    ledger
}

fn admit(ledger: &mut Ledger, slot: SlotId, now: Instant) -> Permit {
    ledger.admit(slot, Ask::default(), now).unwrap()
}

fn refused(ledger: &mut Ledger, slot: SlotId, now: Instant) -> Refusal {
    ledger.admit(slot, Ask::default(), now).unwrap_err()
}

fn fail(ledger: &mut Ledger, permit: Permit, failure: &Failure, now: Instant) -> Settled {
    ledger.close(permit, Outcome::Failed(failure), Jitter::NONE, now)
}

fn http(kind: Kind) -> Failure {
    Failure::new(kind).with_status(500)
}

fn hinted(kind: Kind, seconds: u64) -> Failure {
    http(kind).with_hint(Some(Duration::from_secs(seconds)))
}

/// One attempt that fails at once.
fn blow(ledger: &mut Ledger, slot: SlotId, kind: Kind, now: Instant) -> Settled {
    let permit = admit(ledger, slot, now);
    fail(ledger, permit, &http(kind), now)
}

/// One attempt that is answered at once.
fn good(ledger: &mut Ledger, slot: SlotId, now: Instant) {
    let permit = admit(ledger, slot, now);
    ledger.close(permit, Outcome::Complete, Jitter::NONE, now);
}

fn until(ledger: &Ledger, slot: SlotId, now: Instant) -> Instant {
    ledger.view(LaneId::Slot(slot), now).until.unwrap()
}

#[test]
fn each_kind_cools_its_lane_for_its_first_cooldown() {
    let table = [
        (Kind::Auth, LaneId::Key(KeyId(0)), 600),
        (Kind::Billing, LaneId::Key(KeyId(0)), 1_800),
        (Kind::RateLimit, LaneId::Slot(FIRST), 10),
        (Kind::Forbidden, LaneId::Slot(FIRST), 600),
        (Kind::Overloaded, LaneId::Slot(FIRST), 2),
        (Kind::ServerError, LaneId::Slot(FIRST), 2),
        (Kind::Timeout, LaneId::Slot(FIRST), 10),
        (Kind::BrokenStream, LaneId::Slot(FIRST), 2),
        (Kind::ModelNotFound, LaneId::Slot(FIRST), 600),
    ];
    for (kind, lane, first) in table {
        let mut ledger = ledger(3, 2);
        let settled = blow(&mut ledger, FIRST, kind, Instant::ZERO);
        assert_eq!(settled.changes.len(), 1, "{kind:?} cools one lane");
        let change = settled.changes[0];
        assert_eq!((change.lane, change.event, change.until), (lane, Event::Cooled, secs(first)), "{kind:?}");
    }
}

#[test]
fn kinds_that_are_about_the_request_cool_nothing() {
    let kinds = [Kind::TooLarge, Kind::NotCapable, Kind::ContentFilter, Kind::BadRequest, Kind::Unknown];
    for kind in kinds.into_iter().chain([Kind::Cancelled]) {
        let mut ledger = ledger(1, 1);
        assert!(blow(&mut ledger, FIRST, kind, Instant::ZERO).changes.is_empty(), "{kind:?}");
        let _open = admit(&mut ledger, FIRST, Instant::ZERO);
    }
}

#[test]
fn network_cools_the_endpoint_after_two_in_10_s() {
    let network = Failure::new(Kind::Network);
    for (second, cools) in [(9_999, true), (10_000, false)] {
        let mut ledger = ledger(2, 1);
        let permit = admit(&mut ledger, FIRST, Instant::ZERO);
        assert!(fail(&mut ledger, permit, &network, Instant::ZERO).changes.is_empty());
        let permit = admit(&mut ledger, SlotId(1), at(second));
        let changes = fail(&mut ledger, permit, &network, at(second)).changes;
        let lanes: Vec<LaneId> = changes.iter().map(|change| change.lane).collect();
        assert_eq!(lanes == [LaneId::Endpoint(EndpointId(0))], cools, "after {second} ms: {lanes:?}");
    }
}

#[test]
fn one_blip_is_not_an_outage_with_20_attempts_of_which_less_than_20_percent_failed() {
    for (successes, cools) in [(18, true), (19, false)] {
        let mut ledger = ledger(1, 1);
        for _ in 0..successes {
            good(&mut ledger, FIRST, secs(1));
        }
        let settled = blow(&mut ledger, FIRST, Kind::ServerError, secs(2));
        assert_eq!(!settled.changes.is_empty(), cools, "{successes} good ones before");
    }
    let mut ledger = ledger(1, 1);
    (0..19).for_each(|_| good(&mut ledger, FIRST, secs(1)));
    assert!(!blow(&mut ledger, FIRST, Kind::RateLimit, secs(2)).changes.is_empty(), "a 429 is no blip");
}

#[test]
fn attempts_older_than_30_s_do_not_forgive_a_blip() {
    let mut ledger = ledger(1, 1);
    (0..100).for_each(|_| good(&mut ledger, FIRST, secs(1)));
    assert!(!blow(&mut ledger, FIRST, Kind::ServerError, secs(31)).changes.is_empty());
}

#[test]
fn three_distinct_keys_that_fail_alike_within_10_s_cool_the_target() {
    let mut ledger = ledger(4, 1);
    blow(&mut ledger, SlotId(0), Kind::Overloaded, secs(0));
    // The same key twice does not count twice.
    blow(&mut ledger, SlotId(0), Kind::Overloaded, secs(3));
    blow(&mut ledger, SlotId(1), Kind::Overloaded, secs(4));
    assert_eq!(ledger.view(LaneId::Target(TargetId(0)), secs(4)).state, LaneState::Ready);
    blow(&mut ledger, SlotId(2), Kind::Overloaded, secs(5));
    assert_eq!(ledger.view(LaneId::Target(TargetId(0)), secs(5)).until, Some(secs(7)));
    assert!(matches!(refused(&mut ledger, SlotId(3), secs(6)), Refusal::Cooling { .. }), "not burned through");
}

#[test]
fn a_key_that_fails_once_more_with_another_kind_still_agrees() {
    let mut ledger = ledger(3, 1);
    blow(&mut ledger, SlotId(0), Kind::Overloaded, secs(0));
    blow(&mut ledger, SlotId(0), Kind::ServerError, secs(3));
    blow(&mut ledger, SlotId(1), Kind::Overloaded, secs(4));
    blow(&mut ledger, SlotId(2), Kind::Overloaded, secs(5));
    assert_eq!(ledger.view(LaneId::Target(TargetId(0)), secs(5)).state, LaneState::Cooling);
}

#[test]
fn all_keys_if_it_has_fewer_than_three_but_at_least_two() {
    let mut two = ledger(2, 1);
    blow(&mut two, SlotId(0), Kind::ServerError, secs(0));
    blow(&mut two, SlotId(1), Kind::ServerError, secs(1));
    assert_eq!(two.view(LaneId::Target(TargetId(0)), secs(1)).state, LaneState::Cooling);
    let mut one = ledger(1, 1);
    blow(&mut one, SlotId(0), Kind::ServerError, secs(0));
    blow(&mut one, SlotId(0), Kind::ServerError, secs(3));
    assert_eq!(one.view(LaneId::Target(TargetId(0)), secs(3)).state, LaneState::Ready);
}

#[test]
fn an_unknown_model_cools_the_target_once_two_keys_agree() {
    let mut ledger = ledger(4, 1);
    blow(&mut ledger, SlotId(0), Kind::ModelNotFound, secs(0));
    blow(&mut ledger, SlotId(1), Kind::ModelNotFound, secs(100));
    assert_eq!(ledger.view(LaneId::Target(TargetId(0)), secs(100)).until, Some(secs(700)));
    let mut strict = ledger_of(3, 1, None, CooldownSettings { model_keys: 3, ..CooldownSettings::default() });
    for slot in 0..3 {
        assert_eq!(strict.view(LaneId::Target(TargetId(0)), secs(9)).until, None, "{slot} of the three that it takes");
        blow(&mut strict, SlotId(slot), Kind::ModelNotFound, secs(9));
    }
    assert_eq!(strict.view(LaneId::Target(TargetId(0)), secs(9)).until, Some(secs(609)));
}

#[test]
fn a_hint_is_bounded_to_at_least_1_s_and_at_most_1_h() {
    for (said, taken) in [(0, 1), (7, 7), (7_200, 3_600)] {
        let mut ledger = ledger(1, 1);
        let permit = admit(&mut ledger, FIRST, Instant::ZERO);
        fail(&mut ledger, permit, &hinted(Kind::RateLimit, said), Instant::ZERO);
        assert_eq!(until(&ledger, FIRST, Instant::ZERO), secs(taken), "said {said}");
    }
}

#[test]
fn one_probe_is_let_through_every_5_min_while_a_long_hint_runs() {
    let mut ledger = ledger(1, 1);
    let permit = admit(&mut ledger, FIRST, Instant::ZERO);
    fail(&mut ledger, permit, &hinted(Kind::RateLimit, 3_600), Instant::ZERO);
    assert!(matches!(refused(&mut ledger, FIRST, secs(299)), Refusal::Cooling { until, .. } if until == secs(300)));
    let probe = admit(&mut ledger, FIRST, secs(300));
    assert!(probe.is_probe());
    assert!(matches!(refused(&mut ledger, FIRST, secs(300)), Refusal::Cooling { until, .. } if until == secs(600)));
}

#[test]
fn a_failed_early_probe_without_a_hint_leaves_the_long_hint_and_its_probes() {
    let mut ledger = ledger(1, 1);
    let permit = admit(&mut ledger, FIRST, Instant::ZERO);
    fail(&mut ledger, permit, &hinted(Kind::RateLimit, 3_600), Instant::ZERO);
    let probe = admit(&mut ledger, FIRST, secs(300));
    fail(&mut ledger, probe, &http(Kind::ServerError), secs(301));
    assert_eq!(until(&ledger, FIRST, secs(301)), secs(3_600), "never earlier");
    assert!(matches!(refused(&mut ledger, FIRST, secs(302)), Refusal::Cooling { until, .. } if until == secs(601)));
    assert!(matches!(ledger.force(FIRST, secs(400)), Err(Refusal::Cooling { .. })), "never inside a hint");
}

#[test]
fn auth_and_billing_are_probed_every_15_min_at_the_latest() {
    let mut ledger = ledger(1, 1);
    blow(&mut ledger, FIRST, Kind::Billing, Instant::ZERO);
    assert!(matches!(refused(&mut ledger, FIRST, secs(899)), Refusal::Cooling { .. }));
    let probe = admit(&mut ledger, FIRST, secs(900));
    ledger.close(probe, Outcome::Complete, Jitter::NONE, secs(901));
    let _back = admit(&mut ledger, FIRST, secs(901));
}

#[test]
fn remaining_quota_at_zero_never_excludes_and_lasts_at_most_60_s() {
    let mut ledger = ledger(1, 1);
    ledger.rest(FIRST, Duration::from_secs(500), Instant::ZERO);
    assert!(ledger.is_resting(FIRST, secs(59)));
    assert!(!ledger.is_resting(FIRST, secs(60)));
    let _open = admit(&mut ledger, FIRST, secs(1));
}

#[test]
fn a_rate_limit_of_one_cools_all_of_its_quota_group_for_that_model() {
    let mut ledger = grouped(2, 2, Some(1));
    let permit = admit(&mut ledger, SlotId(0), Instant::ZERO);
    let settled = fail(&mut ledger, permit, &hinted(Kind::RateLimit, 30), Instant::ZERO);
    assert_eq!(settled.changes.len(), 2);
    assert_eq!(until(&ledger, SlotId(1), Instant::ZERO), secs(30));
    let _other_model = admit(&mut ledger, SlotId(2), Instant::ZERO);
    let _and_key = admit(&mut ledger, SlotId(3), Instant::ZERO);
}

#[test]
fn a_long_hint_of_the_group_reaches_a_sibling_that_cools_already() {
    let mut ledger = grouped(2, 1, Some(1));
    blow(&mut ledger, SlotId(1), Kind::Overloaded, Instant::ZERO);
    let permit = admit(&mut ledger, SlotId(0), Instant::ZERO);
    fail(&mut ledger, permit, &hinted(Kind::RateLimit, 3_600), Instant::ZERO);
    assert!(matches!(ledger.force(SlotId(1), secs(60)), Err(Refusal::Cooling { .. })), "never inside a hint");
    assert!(admit(&mut ledger, SlotId(1), secs(300)).is_probe(), "one probe every 5 min");
}

#[test]
fn a_cooldown_ends_because_now_is_until() {
    let mut ledger = ledger(1, 1);
    blow(&mut ledger, FIRST, Kind::ServerError, Instant::ZERO);
    assert!(matches!(refused(&mut ledger, FIRST, at(1_999)), Refusal::Cooling { until, .. } if until == at(2_000)));
    assert!(admit(&mut ledger, FIRST, at(2_000)).is_probe());
}

#[test]
fn each_failure_after_a_cooldown_ended_takes_the_next_step_up_to_the_cap() {
    let mut ledger = ledger(1, 1);
    let mut now = Instant::ZERO;
    let mut steps = vec![];
    for _ in 0..5 {
        blow(&mut ledger, FIRST, Kind::ServerError, now);
        let end = until(&ledger, FIRST, now);
        steps.push(end.since(now).as_secs());
        now = end;
    }
    assert_eq!(steps, [2, 4, 8, 15, 15]);
}

#[test]
fn twenty_concurrent_429s_are_one_step() {
    let mut ledger = ledger(1, 1);
    let permits: Vec<Permit> = (0..20).map(|_| admit(&mut ledger, FIRST, Instant::ZERO)).collect();
    for (millis, permit) in (0..).zip(permits) {
        // The last ones come when the first cooldown is over: they are still the same incident.
        fail(&mut ledger, permit, &http(Kind::RateLimit), at(millis * 1_000));
    }
    let view = ledger.view(LaneId::Slot(FIRST), secs(20));
    assert_eq!((view.streak, view.until), (1, Some(secs(10))));
}

#[test]
fn an_active_deadline_may_move_later_by_a_longer_hint_never_earlier() {
    let mut ledger = ledger(1, 1);
    let [one, two, three] = [0; 3].map(|_| admit(&mut ledger, FIRST, Instant::ZERO));
    fail(&mut ledger, one, &hinted(Kind::RateLimit, 20), Instant::ZERO);
    let longer = fail(&mut ledger, two, &hinted(Kind::RateLimit, 40), secs(1));
    assert_eq!(longer.changes[0].event, Event::Extended);
    assert!(fail(&mut ledger, three, &hinted(Kind::RateLimit, 5), secs(2)).changes.is_empty());
    let view = ledger.view(LaneId::Slot(FIRST), secs(2));
    assert_eq!((view.until, view.streak), (Some(secs(41)), 1));
}

#[test]
fn when_a_cooldown_has_ended_one_request_is_the_probe_and_another_after_10_s() {
    let mut ledger = ledger(1, 1);
    blow(&mut ledger, FIRST, Kind::ServerError, Instant::ZERO);
    let _probe = admit(&mut ledger, FIRST, secs(2));
    assert_eq!(refused(&mut ledger, FIRST, at(11_999)), Refusal::Probing { until: secs(12) });
    assert!(admit(&mut ledger, FIRST, secs(12)).is_probe());
}

#[test]
fn a_probes_verdict_falls_at_first_content_and_not_at_the_end_of_the_stream() {
    let mut ledger = ledger(1, 1);
    blow(&mut ledger, FIRST, Kind::ServerError, Instant::ZERO);
    let mut probe = admit(&mut ledger, FIRST, secs(2));
    let changes = ledger.answered(&mut probe, secs(3));
    assert_eq!(changes[0].event, Event::Recovered);
    assert!(!admit(&mut ledger, FIRST, secs(3)).is_probe());
}

#[test]
fn a_stream_that_breaks_after_a_good_probe_cools_the_slot_again() {
    let mut ledger = ledger(1, 1);
    blow(&mut ledger, FIRST, Kind::BrokenStream, Instant::ZERO);
    let mut probe = admit(&mut ledger, FIRST, secs(2));
    ledger.answered(&mut probe, secs(3));
    let settled = fail(&mut ledger, probe, &http(Kind::BrokenStream), secs(4));
    assert_eq!(settled.changes[0].event, Event::Cooled);
    assert_eq!(until(&ledger, FIRST, secs(4)), secs(6));
}

#[test]
fn success_closes_the_incident_and_halves_the_streak() {
    let mut ledger = ledger(1, 1);
    for now in [0, 2, 6, 14] {
        blow(&mut ledger, FIRST, Kind::ServerError, secs(now));
    }
    assert_eq!(ledger.view(LaneId::Slot(FIRST), secs(14)).streak, 4);
    good(&mut ledger, FIRST, secs(30));
    let view = ledger.view(LaneId::Slot(FIRST), secs(30));
    assert_eq!((view.state, view.streak), (LaneState::Ready, 2));
    blow(&mut ledger, FIRST, Kind::ServerError, secs(31));
    assert_eq!(until(&ledger, FIRST, secs(31)), secs(39), "the third step");
}

#[test]
fn the_streak_is_forgotten_10_min_after_until() {
    for (later, step) in [(599, 8), (600, 2)] {
        let mut ledger = ledger(1, 1);
        blow(&mut ledger, FIRST, Kind::ServerError, secs(0));
        blow(&mut ledger, FIRST, Kind::ServerError, secs(2));
        let now = secs(6 + later);
        blow(&mut ledger, FIRST, Kind::ServerError, now);
        assert_eq!(until(&ledger, FIRST, now).since(now), Duration::from_secs(step), "{later} s after until");
    }
}

#[test]
fn the_streak_is_forgotten_twice_the_last_cooldown_after_until_if_that_is_longer() {
    let mut ledger = ledger(1, 1);
    blow(&mut ledger, FIRST, Kind::Auth, Instant::ZERO);
    assert_eq!(ledger.view(LaneId::Key(KeyId(0)), secs(1_799)).streak, 1);
    assert_eq!(ledger.view(LaneId::Key(KeyId(0)), secs(1_800)).streak, 0);
}

#[test]
fn a_failed_probe_takes_the_next_step_and_a_probe_answered_429_has_failed() {
    let mut ledger = ledger(1, 1);
    blow(&mut ledger, FIRST, Kind::ServerError, Instant::ZERO);
    blow(&mut ledger, FIRST, Kind::RateLimit, secs(2));
    let view = ledger.view(LaneId::Slot(FIRST), secs(2));
    assert_eq!((view.streak, view.until), (2, Some(secs(22))));
}

#[path = "lane_tests.rs"]
mod lanes;
