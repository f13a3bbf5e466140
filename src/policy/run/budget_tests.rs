//! Contract sections 3.3 to 3.6 and the statuses of section 6: retries, the one budget, waits and the honest error.

use super::*;
use crate::policy::capability::{Api, Apis};

fn composed(verdict: Verdict) -> Composed {
    match verdict {
        Verdict::Compose(composed) => composed,
        other => panic!("{other:?} is not composed"),
    }
}

#[test]
fn one_quick_retry_on_500_and_502_when_no_sibling_key_is_usable() {
    for status in [500, 502] {
        let mut table = Table::new(1, 2);
        let mut request = table.request();
        table.walk(&mut request, &http(Kind::ServerError, status), 1);
        let wait = table.waits(&mut request);
        let pause = wait.until.since(Instant::ZERO);
        assert!(pause >= Duration::from_millis(50) && pause <= Duration::from_millis(200), "{pause:?}");
        assert_eq!(table.tried(&mut request), (0, Why::QuickRetry));
        table.fails(&mut request, &http(Kind::ServerError, status));
        assert_eq!(table.turn(&mut request), 1, "only one");
    }
}

#[test]
fn no_quick_retry_on_504_nor_while_a_sibling_key_is_usable() {
    let mut table = Table::new(1, 2);
    let mut request = table.request();
    assert_eq!(table.walk(&mut request, &http(Kind::ServerError, 504), 2), [0, 1]);
    let mut table = Table::new(2, 1);
    let mut request = table.request();
    assert_eq!(table.walk(&mut request, &http(Kind::ServerError, 500), 2), [0, 1]);
}

#[test]
fn network_is_retried_once_then_the_next_target_other_endpoints_first() {
    let mut table = Table::with_endpoints(1, &[0, 0, 2]);
    let mut request = table.request();
    table.walk(&mut request, &Failure::new(Kind::Network), 1);
    table.waits(&mut request);
    assert_eq!(table.tried(&mut request), (0, Why::QuickRetry));
    table.fails(&mut request, &Failure::new(Kind::Network));
    assert_eq!(table.turn(&mut request), 2, "level 1 is behind the endpoint that failed");
}

#[test]
fn a_rate_limit_with_a_short_hint_is_waited_for_before_another_target_is_asked() {
    let mut table = Table::new(1, 2);
    let mut request = table.request();
    table.walk(&mut request, &throttled(2_500), 1);
    let wait = table.waits(&mut request);
    assert_eq!(wait.until, Instant::from_millis(2_500));
    assert_eq!(table.tried(&mut request), (0, Why::SameTargetWait));
    table.fails(&mut request, &throttled(2_500));
    assert_eq!(table.turn(&mut request), 1, "one wait and one more try");
}

#[test]
fn a_longer_hint_is_not_waited_for_and_0_switches_the_wait_off() {
    for (hint, setting) in [(2_501, 2_500), (1_000, 0)] {
        let mut table = Table::new(1, 2);
        table.settings.same_target_wait = Duration::from_millis(setting);
        let mut request = table.request();
        assert_eq!(table.walk(&mut request, &throttled(hint), 2), [0, 1]);
    }
}

#[test]
fn one_waiting_request_per_slot_while_the_others_go_on() {
    let mut table = Table::new(1, 2);
    let (mut one, mut other) = (table.request(), table.request());
    assert_eq!((table.turn(&mut one), table.turn(&mut other)), (0, 0));
    table.fails(&mut one, &throttled(2_000));
    table.fails(&mut other, &throttled(2_000));
    assert!(matches!(table.step(&mut one), Step::Wait(_)));
    assert_eq!(table.turn(&mut other), 1);
}

#[test]
fn no_retry_outlasts_the_deadline() {
    for failure in [http(Kind::ServerError, 500), throttled(1_000)] {
        let mut table = Table::new(1, 1);
        table.settings.deadline = Duration::from_millis(100);
        let mut request = table.request();
        assert_eq!(table.turn(&mut request), 0);
        table.pass(60);
        table.fails(&mut request, &failure);
        assert!(matches!(table.done(&mut request), Verdict::Compose(_)), "{failure:?}");
    }
}

#[test]
fn one_budget_of_max_attempts_of_which_the_last_is_kept_for_the_last_target() {
    let mut table = Table::new(3, 5);
    let mut request = table.request();
    let slots = table.walk(&mut request, &throttled(60_000), 12);
    assert_eq!(slots, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12], "the twelfth goes to the last target");
    assert!(matches!(table.done(&mut request), Verdict::Compose(_)));
}

#[test]
fn while_targets_are_left_an_attempt_gets_at_most_half_of_the_remaining_time() {
    let mut table = Table::new(1, 2);
    table.settings.deadline = Duration::from_secs(20);
    let mut request = table.request();
    table.turn(&mut request);
    assert_eq!(request.pending.as_ref().unwrap().limit, Duration::from_secs(10));
    table.pass(10_000);
    table.fails(&mut request, &Failure::new(Kind::Timeout));
    table.turn(&mut request);
    assert_eq!(request.pending.as_ref().unwrap().limit, Duration::from_secs(10), "the last one gets the rest");
}

#[test]
fn a_first_content_limit_holds_for_streams_and_a_response_timeout_for_the_rest() {
    for (stream, limit) in [(true, 60), (false, 300)] {
        let mut table = Table::new(1, 1);
        let mut request = table.planned(Plan { stream, ..table.plan() });
        table.turn(&mut request);
        assert_eq!(request.pending.as_ref().unwrap().limit, Duration::from_secs(limit));
    }
}

#[test]
fn after_the_deadline_nothing_is_tried() {
    let mut table = Table::new(2, 2);
    let mut request = table.request();
    table.pass(600_000);
    assert!(matches!(table.done(&mut request), Verdict::Compose(_)));
}

#[test]
fn a_target_known_not_to_serve_the_request_is_skipped_and_the_trail_says_why() {
    let mut table = Table::new(1, 2);
    table.levels[0].abilities.vision = Some(false);
    let needs = Needs { vision: true, ..Needs::default() };
    let mut request = table.planned(Plan { needs, ..table.plan() });
    assert_eq!(table.turn(&mut request), 1, "unknown counts as able");
    assert_eq!(request.run.entries()[0], Entry::Skipped { level: 0, lack: Lack::Vision });
    table.levels.truncate(1);
    let mut alone = table.planned(Plan { needs, ..table.plan() });
    assert_eq!(table.done(&mut alone), Verdict::Unfit(Lack::Vision));
}

#[test]
fn what_one_account_keeps_is_asked_of_that_provider_only() {
    let mut table = Table::new(2, 3);
    // The first does not speak it at all, so the second is the one that has answered before.
    table.levels[0].abilities.apis = Apis::of(&[Api::Chat]);
    let needs = Needs { api: Api::Responses, stateful: true, ..Needs::default() };
    let mut request = table.planned(Plan { needs, ..table.plan() });
    table.walk(&mut request, &OVERLOADED, 2);
    assert!(matches!(table.done(&mut request), Verdict::Compose(_)), "both keys, and nobody else");
    let skipped: Vec<_> =
        request.run.entries().iter().filter(|entry| matches!(entry, Entry::Skipped { .. })).copied().collect();
    let expected =
        [Entry::Skipped { level: 0, lack: Lack::Endpoint }, Entry::Skipped { level: 2, lack: Lack::Stateful }];
    assert_eq!(skipped, expected);
}

#[test]
fn embeddings_never_change_the_model_unless_targets_are_marked_equivalent() {
    for equivalent in [false, true] {
        let mut table = Table::new(1, 2);
        let mut plan = Plan { same_model: true, ..table.plan() };
        Arc::get_mut(&mut plan.chain).unwrap().equivalent = equivalent;
        let mut request = table.planned(plan);
        table.walk(&mut request, &OVERLOADED, 1);
        assert_eq!(matches!(table.step(&mut request), Step::Try(_)), equivalent);
    }
}

#[test]
fn when_everything_is_cooling_it_waits_for_the_soonest_slot_within_max_wait() {
    let mut table = Table::new(2, 1);
    table.cool(0, &throttled(4_000));
    table.cool(1, &throttled(3_000));
    let mut request = table.request();
    let wait = table.waits(&mut request);
    assert_eq!((wait.until, wait.queue), (Instant::from_millis(3_000), Some(SlotId(1))));
    assert_eq!(table.turn(&mut request), 1);
}

#[test]
fn else_one_forced_probe_of_the_least_bad_slot() {
    let mut table = Table::new(3, 1);
    table.cool(0, &http(Kind::Auth, 401));
    table.cool(1, &http(Kind::Timeout, 408));
    table.cool(2, &throttled(60_000));
    table.pass(1_000);
    let mut request = table.request();
    assert_eq!(table.tried(&mut request), (1, Why::Forced));
    table.fails(&mut request, &http(Kind::Timeout, 408));
    assert!(matches!(table.done(&mut request), Verdict::Compose(_)), "only one");
}

#[test]
fn else_the_honest_error_at_once_with_the_soonest_recovery() {
    let mut table = Table::new(2, 1);
    table.cool(0, &throttled(60_000));
    table.cool(1, &throttled(40_000));
    table.pass(10_000);
    let mut request = table.request();
    let Composed { status, retry_after, should_retry } = composed(table.done(&mut request));
    assert_eq!((status, retry_after, should_retry), (429, Some(Duration::from_secs(30)), true));
}

#[test]
fn the_65th_does_not_wait() {
    let mut table = Table::new(1, 1);
    table.cool(0, &throttled(4_000));
    let mut requests: Vec<Request> = (0..65).map(|_| table.request()).collect();
    let last = requests.pop().unwrap();
    assert!(requests.iter_mut().all(|request| matches!(table.step(request), Step::Wait(_))));
    assert!(matches!(table.done(&mut { last }), Verdict::Compose(_)));
}

#[test]
fn the_status_is_429_504_502_or_503() {
    let table = [
        (throttled(60_000), 429),
        (Failure::new(Kind::Timeout), 504),
        (OVERLOADED, 502),
        (http(Kind::ServerError, 504), 502),
        (http(Kind::Auth, 401), 502),
        (http(Kind::ModelNotFound, 404), 404),
    ];
    for (failure, expected) in table {
        let mut world = Table::new(1, 1);
        let mut request = world.request();
        world.walk(&mut request, &failure, 1);
        assert_eq!(composed(world.done(&mut request)).status, expected, "{failure:?}");
    }
    let mut all_cooling = Table::new(1, 1);
    all_cooling.cool(0, &http(Kind::Forbidden, 403));
    let mut request = all_cooling.request();
    assert_eq!(composed(all_cooling.done(&mut request)).status, 503);
}

#[test]
fn should_retry_is_false_where_a_retry_cannot_help() {
    for (kind, helps) in [(Kind::Auth, false), (Kind::Forbidden, false), (Kind::Overloaded, true)] {
        let mut table = Table::new(1, 1);
        let mut request = table.request();
        table.walk(&mut request, &http(kind, 400), 1);
        assert_eq!(composed(table.done(&mut request)).should_retry, helps, "{kind:?}");
    }
}

#[test]
fn the_first_targets_bad_request_like_answer_wins_over_what_came_later() {
    let mut table = Table::new(1, 2);
    let mut request = table.request();
    table.walk(&mut request, &http(Kind::NotCapable, 404), 1);
    table.walk(&mut request, &throttled(60_000), 1);
    assert_eq!(table.done(&mut request), Verdict::Return(0));
}

#[test]
fn no_wait_of_a_request_uses_up_another_key() {
    let mut table = Table::new(1, 1);
    table.cool(0, &OVERLOADED);
    let mut request = table.request();
    table.waits(&mut request);
    assert!(request.run.entries().is_empty());
    assert_eq!(table.ledger.info(SlotId(0)).key, KeyId(0));
    assert_eq!(table.turn(&mut request), 0);
}

#[test]
fn who_finds_the_soonest_queue_full_waits_for_the_next_slot() {
    let mut table = Table::new(2, 1);
    table.cool(0, &throttled(3_000));
    table.cool(1, &throttled(4_000));
    let mut requests: Vec<Request> = (0..65).map(|_| table.request()).collect();
    let queues: Vec<Option<SlotId>> = requests
        .iter_mut()
        .map(|request| match table.step(request) {
            Step::Wait(wait) => wait.queue,
            other => panic!("{other:?} is no wait"),
        })
        .collect();
    assert!(queues[..64].iter().all(|queue| *queue == Some(SlotId(0))));
    assert_eq!(queues[64], Some(SlotId(1)));
}
