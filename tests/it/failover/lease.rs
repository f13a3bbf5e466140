//! Leases: whatever becomes of a request, its attempt is closed exactly once, and says so.

use std::time::Duration;

use backstop::policy::failure::{Failure, Kind};
use backstop::policy::id::{EndpointId, SlotId};
use backstop::policy::ledger::{Ask, Event, LaneId, LaneState, LaneView};

use super::world::{Missed, World, pass};

const BROKEN: Failure = Failure::new(Kind::ServerError).with_status(500);
const FULL: Failure = Failure::new(Kind::Overloaded).with_status(503);
const NETWORK: Failure = Failure::new(Kind::Network);

fn ends(world: &World) -> Vec<(u32, String)> {
    world.heard.attempts()
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_mid_attempt_changes_nothing() {
    let mut world = World::new(&[1]);
    let request = world.request();
    let _held = world.attempt_on(0).await;
    assert_eq!(world.lane(0).in_flight, 1);
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    let LaneView { state, streak, in_flight, last_failure, last_success, .. } = world.lane(0);
    assert_eq!((state, streak, in_flight), (LaneState::Ready, 0, 0));
    assert_eq!((last_failure, last_success), (None, None));
    assert_eq!(ends(&world), [(0, "abandoned".to_owned())]);
    assert!(world.heard.failovers().is_empty());
    world.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_probe_is_free_for_the_next_one() {
    let mut world = World::new(&[1]);
    world.cool(0, &FULL);
    pass(2_000).await;
    let gone = world.request();
    let _held = world.attempt_on(0).await;
    let waiting = world.request();
    world.quiet().await;
    assert_eq!(world.lane(0).state, LaneState::Probing);
    gone.abort();
    let probe = world.attempt_on(0).await;
    assert_eq!(world.millis(), 2_001, "who waits is the probe as soon as the first one left");
    assert_eq!((world.lane(0).state, world.lane(0).streak), (LaneState::Probing, 1));
    probe.send_response(0);
    waiting.await.unwrap().unwrap().lease.complete();
    assert_eq!(ends(&world), [(0, "abandoned".to_owned()), (0, "complete".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_after_commit_abandons_the_attempt() {
    let mut world = World::new(&[1]);
    let request = world.request();
    world.attempt_on(0).await.send_response(0);
    let served = request.await.unwrap().unwrap();
    assert_eq!(world.lane(0).in_flight, 1);
    assert!(ends(&world).is_empty(), "not ended yet");
    drop(served);
    assert_eq!((world.lane(0).state, world.lane(0).in_flight), (LaneState::Ready, 0));
    assert_eq!(ends(&world), [(0, "abandoned".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_after_commit_cools_and_is_not_tried_elsewhere() {
    let mut world = World::new(&[2, 1]);
    let request = world.request();
    world.attempt_on(0).await.send_response(0);
    let served = request.await.unwrap().unwrap();
    pass(500).await;
    let settled = served.lease.fail(&Failure::new(Kind::BrokenStream));
    assert_eq!(settled.changes.len(), 1);
    let LaneView { state, kind, streak, until, in_flight, .. } = world.lane(0);
    assert_eq!((state, kind, streak), (LaneState::Cooling, Some(Kind::BrokenStream), 1));
    assert_eq!(until, Some(world.clock.now() + Duration::from_secs(2)));
    assert_eq!(in_flight, 0);
    assert_eq!(ends(&world), [(0, "broken_stream".to_owned())]);
    assert!(world.heard.failovers().is_empty(), "the client is bound to this answer");
    world.quiet_for(Duration::from_secs(3_600)).await;
}

#[tokio::test(start_paused = true)]
async fn concurrent_failures_are_one_incident() {
    let mut world = World::new(&[2]);
    let requests = [world.request(), world.request(), world.request()];
    let attempts = [world.attempt_on(0).await, world.attempt_on(0).await, world.attempt_on(0).await];
    for attempt in attempts {
        attempt.send_error(Missed(FULL, None));
        world.attempt_on(1).await.send_response(1);
    }
    for request in requests {
        request.await.unwrap().unwrap().lease.complete();
    }
    assert_eq!(world.lane(0).streak, 1);
    let changed: Vec<_> = world.heard.failovers().iter().map(|told| told.change.is_some()).collect();
    assert_eq!(changed, [true, false, false], "one of three failovers opened the cooldown");
}

#[tokio::test(start_paused = true)]
async fn a_stale_good_answer_does_not_end_a_later_cooldown() {
    let mut world = World::new(&[2]);
    let slow = world.request();
    let late = world.attempt_on(0).await;
    let request = world.request();
    world.attempt_on(0).await.send_error(Missed(FULL, None));
    world.attempt_on(1).await.send_response(1);
    request.await.unwrap().unwrap().lease.complete();
    late.send_response(0);
    slow.await.unwrap().unwrap().lease.complete();
    assert_eq!((world.lane(0).state, world.lane(0).streak), (LaneState::Cooling, 1));
}

#[tokio::test(start_paused = true)]
async fn a_stale_failure_does_not_reopen_an_incident_that_is_over() {
    let mut world = World::new(&[2]);
    let slow = world.request();
    let late = world.attempt_on(0).await;
    world.cool(0, &FULL);
    pass(2_000).await;
    let request = world.request();
    world.attempt_on(0).await.send_response(0);
    request.await.unwrap().unwrap().lease.complete();
    late.send_error(Missed(FULL, None));
    world.attempt_on(1).await.send_response(1);
    slow.await.unwrap().unwrap().lease.complete();
    assert_eq!((world.lane(0).state, world.lane(0).streak), (LaneState::Ready, 0));
    assert_eq!(world.heard.failovers()[0].change, None);
}

#[tokio::test(start_paused = true)]
async fn a_failover_tells_where_it_went_and_what_it_cost() {
    let mut world = World::new(&[1, 1]);
    pass(100).await;
    let request = world.request();
    let attempt = world.attempt_on(0).await;
    pass(40).await;
    assert!(world.heard.failovers().is_empty());
    attempt.send_error(Missed(FULL, None));
    world.attempt_on(1).await.send_response(1);
    request.await.unwrap().unwrap().lease.complete();
    let [told] = world.heard.failovers().try_into().unwrap();
    assert_eq!((told.request, told.from, told.to), (1, 0, Some(1)));
    assert_eq!((told.failure, told.elapsed), (FULL, Duration::from_millis(40)));
    let change = told.change.unwrap();
    assert_eq!((change.lane, change.event, change.streak), (LaneId::Slot(SlotId(0)), Event::Cooled, 1));
    assert_eq!(told.remaining, Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_failover_names_the_cooldown_and_not_a_lane_that_recovered_with_it() {
    let mut world = World::new(&[1, 1]);
    let endpoint = world.ledger.with(|ledger| ledger.info(SlotId(0)).endpoint);
    world.cool(0, &NETWORK);
    world.cool(0, &NETWORK);
    pass(2_000).await;
    let request = world.request();
    // The answer proves that the endpoint is back, and cools the slot.
    world.attempt_on(0).await.send_error(Missed(FULL, None));
    world.attempt_on(1).await.send_response(1);
    request.await.unwrap().unwrap().lease.complete();
    assert_eq!(state_of(&world, endpoint), LaneState::Ready);
    let change = world.heard.failovers()[0].change.unwrap();
    assert_eq!((change.lane, change.event), (LaneId::Slot(SlotId(0)), Event::Cooled));
    assert_eq!(world.heard.failovers()[0].remaining, Duration::from_secs(2));
}

fn state_of(world: &World, endpoint: EndpointId) -> LaneState {
    let now = world.clock.now();
    world.ledger.with(|ledger| ledger.view(LaneId::Endpoint(endpoint), now)).state
}

#[tokio::test(start_paused = true)]
async fn a_lost_request_between_attempts_holds_nothing() {
    let mut world = World::new(&[1, 1]);
    let request = world.request();
    world.attempt_on(0).await.send_error(Missed(BROKEN, None));
    world.quiet().await;
    assert_eq!(world.lane(0).in_flight, 0, "between an attempt and its quick retry");
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    world.quiet_for(Duration::from_secs(1)).await;
    let now = world.clock.now();
    let permit = world.ledger.with(|ledger| ledger.admit(SlotId(1), Ask::default(), now)).unwrap();
    assert!(!permit.is_probe());
    assert_eq!(ends(&world), [(0, "server_error".to_owned())]);
}
