//! When slots cool: waiting for the soonest one, single-file probes, forced probes.

use std::time::Duration;

use backstop::policy::failure::{Failure, Kind};
use backstop::policy::ledger::{LaneState, LaneView};
use backstop::policy::run::{Composed, Verdict};
use backstop::policy::settings::{CooldownSettings, RunSettings};

use super::world::{Ended, Missed, Tuning, World, pass};

const BROKEN: Failure = Failure::new(Kind::ServerError).with_status(500);
const AUTH: Failure = Failure::new(Kind::Auth).with_status(401);

const fn limited(seconds: u64) -> Failure {
    Failure::new(Kind::RateLimit).with_status(429).with_hint(Some(Duration::from_secs(seconds)))
}

fn composed(ended: Ended) -> Composed {
    match ended {
        Err(gave_up) => match gave_up.verdict {
            Verdict::Compose(composed) => composed,
            other => panic!("{other:?}"),
        },
        Ok(served) => panic!("served by {}", served.reply),
    }
}

fn few_waiters(max_waiters: u32) -> Tuning {
    Tuning { cooldown: CooldownSettings { max_waiters, ..CooldownSettings::default() }, ..Tuning::default() }
}

#[tokio::test(start_paused = true)]
async fn the_quick_retry_comes_after_50_to_200_ms() {
    for (random, pause) in [(0, 50), (100, 125), (200, 200)] {
        let mut world = World::tuned(&[1], Tuning { random, ..Tuning::default() });
        let request = world.request();
        world.attempt_on(0).await.send_error(Missed(BROKEN, None));
        let again = world.attempt_on(0).await;
        assert_eq!(world.millis(), pause, "with random {random}");
        again.send_response(0);
        request.await.unwrap().unwrap().lease.complete();
    }
}

#[tokio::test(start_paused = true)]
async fn one_request_waits_for_a_short_hint_while_the_others_go_on() {
    let mut world = World::new(&[1, 1]);
    let first = world.request();
    let second = world.request();
    let (one, two) = (world.attempt_on(0).await, world.attempt_on(0).await);
    one.send_error(Missed(limited(2), None));
    world.quiet().await;
    two.send_error(Missed(limited(2), None));
    world.attempt_on(1).await.send_response(1);
    assert_eq!(second.await.unwrap().unwrap().reply, 1, "somebody waits for slot 0 already");
    world.attempt_on(0).await.send_response(0);
    assert_eq!(world.millis(), 2_000);
    assert_eq!(first.await.unwrap().unwrap().reply, 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_has_60_s_and_a_whole_answer_300_s() {
    for (stream, limit) in [(true, 60_000), (false, 300_000)] {
        let mut world = World::new(&[1]);
        world.plan.stream = stream;
        let request = world.request();
        let _silent = world.attempt_on(0).await;
        assert_eq!(composed(request.await.unwrap()).status, 504);
        assert_eq!(world.millis(), limit, "stream: {stream}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_never_gets_ready_runs_into_the_limit() {
    let mut world = World::new(&[1]);
    world.upstream.allow(0);
    assert_eq!(composed(world.request().await.unwrap()).status, 504);
    assert_eq!(world.millis(), 60_000);
    assert_eq!(world.heard.attempts(), [(0, "timeout".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn the_soonest_slot_is_waited_for() {
    let mut world = World::new(&[1, 1]);
    world.cool(0, &limited(4));
    world.cool(1, &limited(3));
    let request = world.request();
    world.attempt_on(1).await.send_response(1);
    assert_eq!(world.millis(), 3_000);
    request.await.unwrap().unwrap().lease.complete();
}

#[tokio::test(start_paused = true)]
async fn beyond_max_wait_or_the_deadline_the_answer_is_immediate() {
    for (hint, deadline) in [(6, 600), (3, 2)] {
        let mut world = World::new(&[1]);
        world.plan.deadline = world.clock.now() + Duration::from_secs(deadline);
        world.cool(0, &limited(hint));
        let told = composed(world.request().await.unwrap());
        assert_eq!(world.millis(), 0, "hint {hint} s, deadline {deadline} s");
        assert_eq!((told.status, told.retry_after), (429, Some(Duration::from_secs(hint))));
        assert!(world.heard.attempts().is_empty() && world.heard.failovers().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_goes_on_as_soon_as_a_probe_succeeds() {
    let mut world = World::new(&[1]);
    world.cool(0, &BROKEN);
    pass(2_000).await;
    let probing = world.request();
    let probe = world.attempt_on(0).await;
    let waiting = world.request();
    world.quiet_for(Duration::from_millis(700)).await;
    probe.send_response(0);
    world.attempt_on(0).await.send_response(0);
    assert_eq!(world.millis(), 2_700, "no timer was waited for");
    probing.await.unwrap().unwrap().lease.complete();
    waiting.await.unwrap().unwrap().lease.complete();
    assert!(world.heard.failovers().is_empty(), "waiting is no failover");
}

#[tokio::test(start_paused = true)]
async fn waiters_are_released_1_2_4_8() {
    let mut world = World::new(&[1]);
    world.cool(0, &BROKEN);
    let requests: Vec<_> = (0..32).map(|_| world.request()).collect();
    let probe = world.attempt_on(0).await;
    assert_eq!(world.millis(), 2_000);
    world.quiet().await;
    probe.send_response(0);
    // Those in flight at a time: 1 after the probe, then twice as many with each good answer.
    let mut asked = std::collections::VecDeque::new();
    for allowed in [1, 2, 4, 8, 16] {
        while asked.len() < allowed {
            asked.push_back(world.attempt_on(0).await);
        }
        world.quiet().await;
        asked.pop_front().unwrap().send_response(0);
    }
    let mut replies = 6;
    while replies < 32 {
        let next = if let Some(next) = asked.pop_front() { next } else { world.attempt_on(0).await };
        next.send_response(0);
        replies += 1;
    }
    for request in requests {
        request.await.unwrap().unwrap().lease.complete();
    }
    assert_eq!(world.lane(0).in_flight, 0);
    world.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn at_most_max_waiters_wait_for_a_slot() {
    let mut world = World::tuned(&[1], few_waiters(2));
    world.cool(0, &limited(3));
    let waiting = [world.request(), world.request()];
    world.quiet().await;
    let told = composed(world.request().await.unwrap());
    assert_eq!((world.millis(), told.status), (1, 429), "the third is answered at once");
    for request in waiting {
        world.attempt_on(0).await.send_response(0);
        request.await.unwrap().unwrap().lease.complete();
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_while_waiting_leaves_the_queue() {
    let mut world = World::tuned(&[1], few_waiters(1));
    world.cool(0, &limited(3));
    let gone = world.request();
    world.quiet().await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    let request = world.request();
    world.attempt_on(0).await.send_response(0);
    assert_eq!(world.millis(), 3_000, "the place in the queue was free");
    request.await.unwrap().unwrap().lease.complete();
    assert_eq!(world.heard.attempts(), [(0, "complete".to_owned())], "who only waited has attempted nothing");
}

#[tokio::test(start_paused = true)]
async fn one_request_probes_and_the_other_uses_another_slot() {
    let mut world = World::new(&[2]);
    world.cool(0, &limited(2));
    pass(2_000).await;
    let requests = [world.request(), world.request(), world.request()];
    let probe = world.attempt_on(0).await;
    assert_eq!(world.lane(0).state, LaneState::Probing);
    for _ in 0..2 {
        world.attempt_on(1).await.send_response(1);
    }
    world.quiet().await;
    probe.send_response(0);
    for request in requests {
        request.await.unwrap().unwrap().lease.complete();
    }
    assert_eq!(world.lane(0).state, LaneState::Ready);
}

#[tokio::test(start_paused = true)]
async fn the_verdict_of_a_probe_falls_at_its_first_content() {
    let mut world = World::new(&[1]);
    world.cool(0, &BROKEN);
    pass(2_000).await;
    let request = world.request();
    world.attempt_on(0).await.send_response(0);
    let served = request.await.unwrap().unwrap();
    let LaneView { state, streak, in_flight, .. } = world.lane(0);
    assert_eq!((state, streak, in_flight), (LaneState::Ready, 0, 1), "the stream still runs");
    served.lease.complete();
}

#[tokio::test(start_paused = true)]
async fn a_probe_without_a_verdict_lets_another_one_in_after_10_s() {
    let run = RunSettings { max_wait: Duration::from_secs(20), ..RunSettings::default() };
    let mut world = World::tuned(&[1], Tuning { run, ..Tuning::default() });
    world.cool(0, &BROKEN);
    pass(2_000).await;
    let _slow = world.request();
    let _held = world.attempt_on(0).await;
    let request = world.request();
    world.attempt_on(0).await.send_response(0);
    assert_eq!(world.millis(), 12_000);
    request.await.unwrap().unwrap().lease.complete();
}

#[tokio::test(start_paused = true)]
async fn a_failed_probe_takes_the_next_step() {
    let mut world = World::new(&[1, 1]);
    world.cool(0, &limited(2));
    pass(2_000).await;
    let request = world.request();
    world.attempt_on(0).await.send_error(Missed(Failure::new(Kind::RateLimit).with_status(429), None));
    world.attempt_on(1).await.send_response(1);
    request.await.unwrap().unwrap().lease.complete();
    let lane = world.lane(0);
    assert_eq!((lane.state, lane.streak), (LaneState::Cooling, 2));
    assert_eq!(lane.until, Some(world.clock.now() + Duration::from_secs(20)));
}

#[tokio::test(start_paused = true)]
async fn a_lone_target_is_forced_every_1_then_2_then_5_s() {
    let mut world = World::new(&[1]);
    world.cool(0, &AUTH);
    for pause in [1_000, 2_000, 5_000, 5_000] {
        pass(pause - 1).await;
        let early = world.millis();
        assert_eq!(composed(world.request().await.unwrap()).status, 503, "{early} ms: refused");
        assert_eq!(world.millis(), early, "at once");
        pass(1).await;
        let request = world.request();
        world.attempt_on(0).await.send_error(Missed(AUTH, None));
        assert_eq!(world.millis(), early + 1, "forced");
        assert_eq!(composed(request.await.unwrap()).status, 502);
    }
    pass(5_000).await;
    let request = world.request();
    world.attempt_on(0).await.send_response(0);
    request.await.unwrap().unwrap().lease.complete();
    let request = world.request();
    world.attempt_on(0).await.send_response(0);
    request.await.unwrap().unwrap().lease.complete();
}

#[tokio::test(start_paused = true)]
async fn nobody_is_forced_inside_a_vendors_hint() {
    let mut world = World::new(&[1]);
    world.cool(0, &limited(60));
    pass(10_000).await;
    let told = composed(world.request().await.unwrap());
    assert_eq!((told.status, told.retry_after), (429, Some(Duration::from_secs(50))));
    world.quiet().await;
}
