//! Cooldowns grow, end by themselves, and are waited for or probed when everything cools.

use std::time::Duration;

use backstop::policy::ledger::{LaneId, LaneView};
use backstop::sim::{Fault, Point, Rule};

use super::World;
use crate::support::{Gateway, until};

/// Everything recorded for a slot, exact to the microsecond.
fn view(gateway: &Gateway, slot: &str) -> LaneView {
    let names = &gateway.state.names;
    let is = |lane: &LaneId| names.lane(*lane) == ("slot", slot);
    let lane = names.lanes().find(is).unwrap();
    gateway.state.ledger.with(|ledger| ledger.view(lane, gateway.state.clock.now()))
}

/// The configuration with `one` as the whole chain and only its first key.
fn lone(world: &World, more: &str) -> String {
    let text = world.config(more).replace("['one/m1', 'two/m2']", "['one/m1']");
    text.replace(", { key: 'sk-one-backup', profile: 'Backup' }", "")
}

async fn cooled_down(gateway: &Gateway) {
    until("the end of the cooldown", async || gateway.lane("slot", "one/m1@Primary").await["state"] == "half_open")
        .await;
}

#[tokio::test]
async fn cooldowns_are_progressive_up_to_their_cap() {
    let world = World::start(vec![Rule::of(Fault::status(429))]);
    let short = "cooldowns: { rate_limit: { first: '40ms', factor: 2, cap: '150ms' } },";
    let text = world.config(short).replace(", { key: 'sk-one-backup', profile: 'Backup' }", "");
    let gateway = Gateway::start(&text).await;
    for (streak, millis) in [(1, 40), (2, 80), (3, 150), (4, 150)] {
        let answer = gateway.chat("default").await;
        assert_eq!(answer.trail(), "one/m1@Primary=rate_limit:429, two/m2@Primary=ok:200");
        let view = view(&gateway, "one/m1@Primary");
        assert_eq!(view.streak, streak);
        let cooldown = view.until.unwrap().since(view.last_failure.unwrap());
        let (least, most) = (Duration::from_millis(millis * 9 / 10), Duration::from_millis(millis * 11 / 10));
        assert!(least <= cooldown && cooldown <= most.min(Duration::from_millis(150)), "step {streak}: {cooldown:?}");
        cooled_down(&gateway).await;
    }
}

#[tokio::test]
async fn a_key_recovers_by_itself() {
    let world = World::start(vec![Rule::of(Fault::status(429)).requests(1, Some(1))]);
    let gateway = Gateway::start(&world.config("cooldowns: { rate_limit: { first: '50ms' } },")).await;
    assert_eq!(gateway.chat("default").await.header("x-backstop-key"), "Backup");
    cooled_down(&gateway).await;
    assert_eq!(gateway.chat("default").await.trail(), "one/m1@Primary=ok:200");
    let lane = gateway.lane("slot", "one/m1@Primary").await;
    assert_eq!((&lane["state"], &lane["streak"]), (&"ready".into(), &0.into()));
    assert!(lane["last_success"].is_string() && lane["until"].is_null(), "{lane}");
}

#[tokio::test]
async fn when_everything_cools_the_soonest_slot_is_waited_for() {
    let world = World::start(vec![Rule::of(Fault::status(503)).requests(1, Some(1))]);
    let text = lone(&world, "cooldowns: { overloaded: { first: '700ms' } }, run: { max_wait: '20s' },");
    let gateway = Gateway::start(&text).await;
    assert_eq!(gateway.chat("default").await.status, 502);
    let end = view(&gateway, "one/m1@Primary").until.unwrap();
    let answer = gateway.chat("default").await;
    assert_eq!((answer.status, answer.trail()), (200, "one/m1@Primary=ok:200"));
    assert!(view(&gateway, "one/m1@Primary").last_success.unwrap() >= end, "nobody was asked while it cooled");
    // What was waited for is not the gateway's own time.
    assert!(answer.header("x-backstop-overhead-ms").parse::<f64>().unwrap() < 600.0);
}

/// The first forced probe may be made at once, the next one hardly ever.
const PACED: &str = "cooldowns: { overloaded: { first: '1h', cap: '1h' }, forced_probe_pace: ['1ms', '1h', '1h'] },
    run: { max_wait: 0 },";

#[tokio::test]
async fn a_lone_slot_is_probed_once_and_not_hammered() {
    let world = World::start(vec![Rule::of(Fault::status(503)).requests(1, Some(2))]);
    let gateway = Gateway::start(&lone(&world, PACED)).await;
    assert_eq!(gateway.chat("default").await.header("x-backstop-attempts"), "1");
    until("a forced probe", async || gateway.chat("default").await.trail() == "one/m1@Primary=overloaded:503").await;
    let refused = gateway.chat("default").await;
    assert_eq!((refused.status, refused.header("x-backstop-attempts")), (503, "0"), "at once, and honest");
    assert_eq!(world.one.stats().total().requests, 2);
}

#[tokio::test]
async fn a_forced_probe_that_succeeds_ends_the_cooldown() {
    let world = World::start(vec![Rule::of(Fault::status(503)).requests(1, Some(1))]);
    let gateway = Gateway::start(&lone(&world, PACED)).await;
    assert_eq!(gateway.chat("default").await.status, 502);
    until("a forced probe", async || gateway.chat("default").await.trail() == "one/m1@Primary=ok:200").await;
    assert_eq!(gateway.lane("slot", "one/m1@Primary").await["state"], "ready");
    assert_eq!(world.one.stats().total().requests, 2);
}

#[tokio::test]
async fn a_vendors_hint_is_not_probed_against() {
    let world = World::start(vec![Rule::of(Fault { retry_after: Some(250.into()), ..Fault::status(429) })]);
    let gateway = Gateway::start(&lone(&world, "")).await;
    assert_eq!(gateway.chat("default").await.status, 429);
    let refused = gateway.chat("default").await;
    assert_eq!((refused.status, refused.header("x-backstop-attempts")), (429, "0"));
    let after: u64 = refused.header("retry-after").parse().unwrap();
    assert!((200..=250).contains(&after), "{after}");
    assert_eq!(world.one.stats().total().requests, 1);
}

/// The model that was asked for beats another one, if it is to be had soon.
#[tokio::test]
async fn a_short_hint_is_waited_for_and_a_blip_is_tried_again() {
    let hint = Fault { retry_after: Some(1.into()), ..Fault::status(429) };
    let reset = Fault { reset: Some(Point::BeforeHeaders), ..Fault::default() };
    for (fault, told) in [
        (hint, "rate_limit:429"),
        (Fault::status(500), "server_error:500"),
        (Fault::status(502), "server_error:502"),
        (reset, "network"),
    ] {
        let world = World::start(vec![Rule::of(fault).requests(1, Some(1))]);
        // Another target stands behind it, and no other key.
        let text = world.config("run: { retry_pause_min: '1ms', retry_pause_max: '2ms' },");
        let text = text.replace(", { key: 'sk-one-backup', profile: 'Backup' }", "");
        let gateway = Gateway::start(&text).await;
        let answer = gateway.chat("default").await;
        assert_eq!(answer.trail(), format!("one/m1@Primary={told}, one/m1@Primary=ok:200"));
        assert_eq!(gateway.lane("slot", "one/m1@Primary").await["state"], "ready");
    }
}
