//! Headers, statuses and bodies of contract section 6, on success and on every kind of failure.

use backstop::sim::{Fault, Point, Rule, Script, Sim};
use serde_json::json;

use crate::support::{Answer, CALM, Gateway, chat};

const SECRETS: [&str; 2] = ["sk-one-aaaa", "sk-two-bbbb"];

/// Two providers with a key each on one simulator.
async fn start(rules: Vec<Rule>, more: &str) -> (Sim, Gateway) {
    let sim = Sim::start(Script::of(rules)).unwrap();
    let calm = if more.contains("run:") { "" } else { CALM };
    let text = format!(
        "{{ providers: {{ one: {{ base_url: '{}', keys: [{{ key: '{}', profile: 'A' }}] }},
            two: {{ base_url: '{}', keys: [{{ key: '{}', profile: 'B' }}] }} }},
            chains: {{ default: ['one/m1', 'two/m2'] }}, {calm} {more} }}",
        sim.base_url("one"),
        SECRETS[0],
        sim.base_url("two"),
        SECRETS[1]
    );
    let gateway = Gateway::start(&text).await;
    (sim, gateway)
}

fn is_request_id(answer: &Answer) -> bool {
    let id = answer.header("x-backstop-request-id");
    id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[tokio::test]
async fn a_good_answer_says_who_gave_it() {
    let (_sim, gateway) = start(vec![Rule::of(Fault::status(503)).provider("one").requests(1, Some(1))], "").await;
    for (trail, attempts) in
        [("one/m1@A=overloaded:503, two/m2@B=ok:200", "2"), ("two/m2@B=ok:200", "1"), ("two/m2@B=ok:200", "1")]
    {
        let answer = if attempts == "2" { gateway.chat("default").await } else { gateway.stream("two/m2").await };
        let told = ["provider", "model", "key", "attempts", "trail"];
        let told = told.map(|name| answer.header(&format!("x-backstop-{name}")).to_owned());
        assert_eq!(told, ["two", "m2", "B", attempts, trail]);
        assert!(is_request_id(&answer));
        assert!(answer.header("x-backstop-overhead-ms").parse::<f64>().is_ok_and(|ms| ms > 0.0));
        assert_eq!(answer.header("x-should-retry"), "");
        assert!(!answer.headers.keys().any(|name| name.as_str().starts_with("x-litellm")));
        if answer.header("content-type") == "text/event-stream" {
            assert_eq!((answer.header("cache-control"), answer.header("x-accel-buffering")), ("no-cache", "no"));
        } else {
            assert_eq!(answer.json()["model"], "m2", "the upstream's own name of the model");
        }
    }
}

#[tokio::test]
async fn litellms_names_are_sent_when_asked_for() {
    let rules = vec![Rule::of(Fault::status(503)).provider("one")];
    let (_sim, gateway) = start(rules, "compat: { litellm_headers: true },").await;
    let litellm = |answer: &Answer| {
        ["attempted-retries", "attempted-fallbacks", "model-id"]
            .map(|n| answer.header(&format!("x-litellm-{n}")).to_owned())
    };
    assert_eq!(litellm(&gateway.chat("default").await), ["1", "1", "m2"]);
    assert_eq!(litellm(&gateway.chat("two/m2").await), ["0", "0", "m2"]);
}

/// One way for all to fail: the fault of each provider, and what the client is told.
struct Row {
    faults: [Fault; 2],
    status: u16,
    code: &'static str,
    trail: &'static str,
    should_retry: &'static str,
}

fn rows() -> Vec<Row> {
    let hang = || Fault { hang: Some(Point::BeforeHeaders), ..Fault::default() };
    let status = |one, two| [Fault::status(one), Fault::status(two)];
    let row = |faults, status, code, trail, should_retry| Row { faults, status, code, trail, should_retry };
    let unknown = || Fault::error(404, "model_not_found");
    vec![
        row(status(429, 429), 429, "rate_limit_exceeded", "one/m1@A=rate_limit:429, two/m2@B=rate_limit:429", ""),
        row([hang(), hang()], 504, "timeout", "one/m1@A=timeout:LIMIT, two/m2@B=timeout:LIMIT", ""),
        row(status(503, 529), 502, "all_attempts_failed", "one/m1@A=overloaded:503, two/m2@B=overloaded:529", ""),
        row(status(429, 503), 502, "all_attempts_failed", "one/m1@A=rate_limit:429, two/m2@B=overloaded:503", ""),
        row(status(401, 402), 502, "all_attempts_failed", "one/m1@A=auth:401, two/m2@B=billing:402", "false"),
        row(
            [unknown(), unknown()],
            404,
            "model_not_found",
            "one/m1@A=model_not_found:404, two/m2@B=model_not_found:404",
            "false",
        ),
    ]
}

#[tokio::test]
async fn when_all_fail_the_client_is_told_everything() {
    for row in rows() {
        for stream in [false, true] {
            let [one, two] = row.faults.clone();
            let rules = vec![Rule::of(one).provider("one"), Rule::of(two).provider("two")];
            let short = "run: { first_content: '700ms', response_timeout: '700ms', same_target_wait: 0 },";
            let (_sim, gateway) = start(rules, short).await;
            let answer = gateway.post("/v1/chat/completions", &[], &chat("default", stream)).await;
            let what = row.trail;
            let trail = row.trail.replace("LIMIT", if stream { "first_content" } else { "response_timeout" });
            assert_eq!((answer.status, answer.trail()), (row.status, trail.as_str()), "{}", answer.text());
            assert_eq!(
                (answer.header("x-backstop-attempts"), answer.header("content-type")),
                ("2", "application/json")
            );
            assert!(is_request_id(&answer) && answer.header("x-backstop-overhead-ms").parse::<f64>().is_ok());
            assert_eq!(
                (answer.header("x-backstop-provider"), answer.header("x-should-retry")),
                ("", row.should_retry),
                "{what}"
            );
            let error = answer.error();
            assert_eq!(error["code"], row.code, "{what}");
            assert!(error["message"].as_str().unwrap().contains(&trail), "{error}");
            let told: Vec<String> = error["attempts"]
                .as_array()
                .unwrap()
                .iter()
                .map(|attempt| {
                    let status = attempt["status"].as_u64().map(|status| format!(":{status}")).unwrap_or_default();
                    let timer = attempt["timer"].as_str().map(|timer| format!(":{timer}")).unwrap_or_default();
                    format!(
                        "{}={}{status}{timer}",
                        attempt["slot"].as_str().unwrap(),
                        attempt["kind"].as_str().unwrap()
                    )
                })
                .collect();
            assert_eq!(told.join(", "), trail);
            assert!(SECRETS.iter().all(|secret| !format!("{answer:?}").contains(secret)));
        }
    }
}

#[tokio::test]
async fn all_cooling_is_a_503_with_the_soonest_recovery() {
    let after = |seconds: u64| Fault { retry_after: Some(seconds.into()), ..Fault::status(503) };
    let (sim, gateway) =
        start(vec![Rule::of(after(290)).provider("one"), Rule::of(after(200)).provider("two")], "").await;
    for (status, attempts) in [(502, "2"), (503, "0")] {
        let answer = gateway.chat("default").await;
        assert_eq!((answer.status, answer.header("x-backstop-attempts")), (status, attempts));
        let after: u64 = answer.header("retry-after").parse().unwrap();
        assert!((150..=200).contains(&after), "the sooner of 290 s and 200 s, not {after}");
    }
    assert_eq!(sim.stats().total().requests, 2);
}

/// What is wrong with the request itself is the first target's own answer, redacted.
#[tokio::test]
async fn a_bad_request_is_the_first_targets_own_answer() {
    let body = json!({ "error": { "message": format!("`n` is wrong, says {}", SECRETS[0]), "type": "invalid_request_error", "param": "n", "code": null } });
    for status in [400, 422] {
        let fault = Fault { body: Some(body.clone()), ..Fault::status(status) };
        let (sim, gateway) = start(vec![Rule::of(fault)], "").await;
        let answer = gateway.chat("default").await;
        assert_eq!((answer.status, answer.header("x-should-retry")), (status, "false"));
        assert_eq!(answer.trail(), format!("one/m1@A=bad_request:{status}"));
        assert_eq!((&answer.error()["param"], answer.header("x-backstop-attempts")), (&"n".into(), "1"));
        assert!(!answer.text().contains(SECRETS[0]), "{}", answer.text());
        assert!(is_request_id(&answer));
        assert_eq!(sim.stats().total().requests, 1, "nobody else is asked");
        assert_eq!(gateway.lane("slot", "one/m1@A").await["state"], "ready", "and nothing cools");
    }
}

/// The gateway's own refusals carry the id under which they are logged.
#[tokio::test]
async fn every_answer_has_an_id() {
    let (_sim, gateway) = start(vec![], "").await;
    let mut ids = std::collections::BTreeSet::new();
    let chat = "/v1/chat/completions";
    for (method, path, body, status) in [
        ("POST", chat, "{", 400),
        ("POST", chat, "{\"model\":\"nobody\"}", 404),
        ("GET", chat, "", 405),
        ("GET", "/v1/nothing", "", 404),
        ("GET", "/v1/models", "", 200),
        ("GET", "/v1/models/nobody", "", 404),
    ] {
        let answer = gateway.send(method, path, &[], body.as_bytes()).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(is_request_id(&answer), "{method} {path}: {answer:?}");
        ids.insert(answer.header("x-backstop-request-id").to_owned());
    }
    assert_eq!(ids.len(), 6, "each is another one");
}
