//! A key that fails hands over at once; its cooldown is recorded with kind and time; one log line and one metric
//! sample tell of it.

use backstop::sim::{Fault, Point, Rule};
use serde_json::Value;

use super::logs::Logs;
use super::{PRIMARY, World};
use crate::support::{Answer, Gateway};

/// One way to fail, and what must come of it.
struct Row {
    fault: Fault,
    /// As the trail says it.
    told: &'static str,
    /// What cools, by lane and name; `None` is the endpoint.
    cools: Option<(&'static str, &'static str)>,
    /// Who serves then.
    then: &'static str,
    /// The slots that fail before. What breaks connections hits the whole place, with all its keys.
    failing: &'static [&'static str],
}

const SLOT: Option<(&str, &str)> = Some(("slot", "one/m1@Primary"));
const KEY: Option<(&str, &str)> = Some(("key", "one@Primary"));
const FIRST: &[&str] = &["one/m1@Primary"];
const BOTH: &[&str] = &["one/m1@Primary", "one/m1@Backup"];
const NEXT_KEY: &str = "one/m1@Backup";
const NEXT_PROVIDER: &str = "two/m2@Primary";

fn rows() -> Vec<Row> {
    let status =
        |status, told, cools| Row { fault: Fault::status(status), told, cools, then: NEXT_KEY, failing: FIRST };
    let at = |fault, told, cools, failing| Row { fault, told, cools, then: NEXT_PROVIDER, failing };
    let hang = Fault { hang: Some(Point::BeforeHeaders), ..Fault::default() };
    let reset = Fault { reset: Some(Point::BeforeHeaders), ..Fault::default() };
    vec![
        status(401, "auth:401", KEY),
        status(402, "billing:402", KEY),
        status(403, "forbidden:403", SLOT),
        status(429, "rate_limit:429", SLOT),
        status(500, "server_error:500", SLOT),
        status(502, "server_error:502", SLOT),
        status(503, "overloaded:503", SLOT),
        status(529, "overloaded:529", SLOT),
        at(hang, "timeout", SLOT, FIRST),
        at(reset, "network", None, BOTH),
    ]
}

/// Long cooldowns, so that a slow machine sees them running.
const LONG: &str = "cooldowns: {
    auth: { first: '600s' }, billing: { first: '600s' }, forbidden: { first: '600s' }, rate_limit: { first: '600s', cap: '1h' },
    server_error: { first: '600s', cap: '1h' }, overloaded: { first: '600s', cap: '1h' },
    network: { first: '600s', cap: '1h' }, timeout: { first: '600s', cap: '1h' } },";

#[tokio::test]
async fn every_failure_rotates_at_once_and_is_recorded() {
    for row in rows() {
        for stream in [false, true] {
            fails_over(&row, stream).await;
        }
    }
}

async fn fails_over(row: &Row, stream: bool) {
    let what = format!("{} (stream: {stream})", row.told);
    let rule = Rule::of(row.fault.clone());
    let world = World::start(vec![if row.failing == FIRST { rule.key(PRIMARY) } else { rule }]);
    let logs = Logs::capture();
    let gateway = Gateway::start(&world.config(LONG)).await;

    let answer = if stream { gateway.stream("default").await } else { gateway.chat("default").await };
    assert_eq!(answer.status, 200, "{what}: {answer:?}");
    let limit = if stream { "timeout:first_content" } else { "timeout:response_timeout" };
    let told = if row.told == "timeout" { limit } else { row.told };
    let mut trail: Vec<String> = row.failing.iter().map(|slot| format!("{slot}={told}")).collect();
    trail.push(format!("{}=ok:200", row.then));
    assert_eq!(answer.trail(), trail.join(", "), "{what}");
    assert_served_by(&answer, row.then);

    let (kind, status) = split(row.told);
    let endpoint = format!("http://{}", world.one.addr());
    let (lane, name) = row.cools.unwrap_or(("endpoint", &endpoint));
    let seen = gateway.lane(lane, name).await;
    assert_eq!(
        (&seen["state"], &seen["kind"], &seen["streak"]),
        (&"cooling".into(), &kind.into(), &1.into()),
        "{what}"
    );
    assert_eq!(seen["status"], status.map_or(Value::Null, Into::into), "{what}");
    assert!(seen["until"].is_string() && seen["first_failure"].is_string(), "{what}: {seen}");
    let left = seen["remaining_ms"].as_u64().unwrap();
    assert!((480_000..=660_000).contains(&left), "{what}: 600 s ± 10 %, {left} ms are left");

    // What cools is passed by, without an attempt: the key of an endpoint that cools too.
    let again = gateway.chat("default").await;
    let next = if row.cools.is_some() { NEXT_KEY } else { NEXT_PROVIDER };
    assert_eq!(again.trail(), format!("{next}=ok:200"), "{what}");

    let lines = logs.failovers();
    assert_eq!(lines.len(), row.failing.len(), "{what}: {lines:#?}");
    let line = lines.last().unwrap();
    assert_eq!(
        (&line["from"], &line["to"], &line["kind"]),
        (&(*row.failing.last().unwrap()).into(), &row.then.into(), &kind.into())
    );
    assert_eq!(line["status"], status.map_or(Value::Null, Into::into), "{what}");
    let timer = told.strip_prefix("timeout:").map_or(Value::Null, Into::into);
    assert_eq!(line["timer"], timer, "{what}");
    assert_eq!((&line["lane"], &line["streak"]), (&lane.into(), &1.into()), "{what}: {line}");
    assert!(line["until"].is_string() && line["elapsed_ms"].is_u64(), "{what}: {line}");

    let to = format!("to=\"{}\"", row.then.split('@').next().unwrap());
    let labels = ["from=\"one/m1\"", &to, &format!("kind=\"{kind}\"")];
    assert_eq!(gateway.metric("backstop_failovers_total", &labels).await, 1.0, "{what}");
    let all = if row.failing == FIRST { 1.0 } else { 2.0 };
    assert_eq!(gateway.metric("backstop_failovers_total", &[]).await, all, "{what}: no other failover is counted");
    let cooldowns = gateway.metric("backstop_cooldowns_total", &[&format!("kind=\"{kind}\"")]).await;
    assert_eq!(cooldowns, 1.0, "{what}");
}

fn assert_served_by(answer: &Answer, slot: &str) {
    let (target, key) = slot.split_once('@').unwrap();
    let (provider, model) = target.split_once('/').unwrap();
    let told = ["provider", "model", "key"].map(|name| answer.header(&format!("x-backstop-{name}")).to_owned());
    assert_eq!(told, [provider, model, key]);
    assert!(answer.content().starts_with(&format!("I am {target} with key")), "{}", answer.content());
}

/// `auth:401` → its kind and status.
fn split(told: &str) -> (&str, Option<u16>) {
    told.split_once(':').map_or((told, None), |(kind, status)| (kind, status.parse().ok()))
}

#[tokio::test]
async fn a_wrong_key_cools_longer_than_a_throttled_one() {
    let world =
        World::start(vec![Rule::of(Fault::status(401)).key(PRIMARY), Rule::of(Fault::status(429)).key(super::BACKUP)]);
    let gateway = Gateway::start(&world.config("")).await;
    assert_eq!(gateway.chat("default").await.header("x-backstop-attempts"), "3");
    let wrong = gateway.lane("key", "one@Primary").await["remaining_ms"].as_u64().unwrap();
    let throttled = gateway.lane("slot", "one/m1@Backup").await["remaining_ms"].as_u64().unwrap();
    assert!(wrong > 10 * throttled, "{wrong} ms against {throttled} ms");
}

#[tokio::test]
async fn when_all_keys_cool_the_next_provider_answers_without_asking_them_again() {
    let world = World::start(vec![Rule::of(Fault { retry_after: Some(600.into()), ..Fault::status(429) })]);
    let gateway = Gateway::start(&world.config("")).await;
    let first = gateway.chat("default").await;
    let trail = "one/m1@Primary=rate_limit:429, one/m1@Backup=rate_limit:429, two/m2@Primary=ok:200";
    assert_eq!(first.trail(), trail);
    for _ in 0..3 {
        assert_eq!(gateway.chat("default").await.trail(), "two/m2@Primary=ok:200");
    }
    assert_eq!(world.one.stats().total().requests, 2);
}

#[tokio::test]
async fn keys_of_one_quota_group_cool_together_for_that_model_only() {
    let world = World::start(vec![Rule::of(Fault::status(429)).key(PRIMARY).model("m1")]);
    let text = world.config("").replace("profile: 'Primary' }, ", "profile: 'Primary', quota_group: 'g' }, ").replace(
        "profile: 'Backup' }",
        "profile: 'Backup', quota_group: 'g' }, { key: 'sk-one-third', profile: 'Third' }",
    );
    let gateway = Gateway::start(&text.replace("['one/m1', 'two/m2']", "['one/m1', 'one/m2', 'two/m2']")).await;
    let answer = gateway.chat("default").await;
    assert_eq!(answer.trail(), "one/m1@Primary=rate_limit:429, one/m1@Third=ok:200");
    assert_eq!(gateway.lane("slot", "one/m1@Backup").await["state"], "cooling");
    assert_eq!(gateway.lane("slot", "one/m2@Backup").await["state"], "ready");
    assert_eq!(gateway.chat("one/m2@Backup").await.trail(), "one/m2@Backup=ok:200");
}

#[tokio::test]
async fn two_models_on_one_key_cool_separately() {
    let world = World::start(vec![Rule::of(Fault::status(429)).model("m1")]);
    let text = world.config("").replace("default: [", "other: ['one/m3', 'two/m2'], default: [");
    let gateway = Gateway::start(&text).await;
    assert_eq!(gateway.chat("default").await.header("x-backstop-provider"), "two");
    assert_eq!(gateway.lane("slot", "one/m1@Primary").await["state"], "cooling");
    assert_eq!(gateway.lane("slot", "one/m3@Primary").await["state"], "ready");
    assert_eq!(gateway.chat("other").await.trail(), "one/m3@Primary=ok:200");
}

#[tokio::test]
async fn keys_that_fail_alike_cool_their_target() {
    let world = World::start(vec![Rule::of(Fault::status(503))]);
    let gateway = Gateway::start(&world.config(LONG)).await;
    assert_eq!(gateway.chat("default").await.header("x-backstop-attempts"), "3");
    let target = gateway.lane("target", "one/m1").await;
    assert_eq!((&target["state"], &target["kind"]), (&"cooling".into(), &"overloaded".into()));
    assert_eq!(gateway.lane("target", "two/m2").await["state"], "ready");
}

/// A spent quota is no failure: the key is only the last choice until its reset.
#[tokio::test]
async fn a_key_with_a_spent_quota_is_asked_last() {
    let headers = [("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "55s")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let world = World::start(vec![Rule::of(Fault { headers, ..Fault::default() }).key(PRIMARY)]);
    let gateway = Gateway::start(&world.config("")).await;
    assert_eq!(gateway.chat("default").await.trail(), "one/m1@Primary=ok:200");
    assert_eq!(gateway.chat("default").await.trail(), "one/m1@Backup=ok:200");
    assert_eq!(gateway.lane("slot", "one/m1@Primary").await["state"], "ready");
    // Both spent: the key order counts again, and nobody is locked out.
    let other =
        Fault { headers: [("x-ratelimit-remaining-requests".to_owned(), "0".to_owned())].into(), ..Fault::default() };
    world.one.set_script(backstop::sim::Script::of(vec![Rule::of(other)]));
    for _ in 0..3 {
        assert_eq!(gateway.chat("default").await.header("x-backstop-provider"), "one");
    }
}
