//! `/v1/responses`: the same dialect on both sides, through failovers, seen from real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

mod account;
mod recorded;
mod review;
mod stream;

use backstop::sim::{self, Fault, Rule, Script, Sim};
use serde_json::{Value, json};

use crate::support::{Answer, CALM, Gateway};

const PATH: &str = "/v1/responses";

/// Two providers of one simulator: `one` with two keys, `two` with one; `more` are fields of `one`.
async fn start(rules: Vec<Rule>, more: &str, sections: &str) -> (Sim, Gateway) {
    let sim = Sim::start(Script::of(rules)).unwrap();
    let calm = if sections.contains("run:") { "" } else { CALM };
    // Two host names: network failures cool an endpoint, and the providers must not share one.
    let two = sim.base_url("two").replace("127.0.0.1", "localhost");
    let text = format!(
        "{{ providers: {{ one: {{ base_url: '{}', keys: ['sk-one-a', 'sk-one-b'], {more} }},
            two: {{ base_url: '{two}', keys: ['sk-two-a'] }} }},
            chains: {{ default: ['one/m1', 'two/m2'] }}, {calm} {sections} }}",
        sim.base_url("one"),
    );
    let gateway = Gateway::start(&text).await;
    (sim, gateway)
}

fn ask(model: &str, stream: bool) -> Value {
    json!({ "model": model, "input": "hi", "stream": stream })
}

impl Gateway {
    async fn respond(&self, body: &Value) -> Answer {
        self.post(PATH, &[], body).await
    }
}

/// The text of a whole answer.
fn text(answer: &Answer) -> String {
    answer.json()["output"][0]["content"][0]["text"].as_str().unwrap_or_default().to_owned()
}

/// The events of a stream: each name, which is its type, and data.
fn named(answer: &Answer) -> Vec<(String, Value)> {
    let text = answer.text();
    let frames = text.split("\n\n").filter(|frame| frame.starts_with("event: "));
    let read = |frame: &str| {
        let (name, data) = frame.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        let name = name.strip_prefix("event: ").unwrap().to_owned();
        assert_eq!(data["type"], name.as_str());
        (name, data)
    };
    frames.map(read).collect()
}

fn healthy(provider: &str, model: &str, last4: &str) -> String {
    sim::pieces(provider, model, last4, 8).concat()
}

#[tokio::test]
async fn an_answer_through_a_failover_is_what_the_second_key_said() {
    let rule = Rule::of(Fault::status(401)).key("sk-one-a");
    let (sim, gateway) = start(vec![rule], "", "").await;
    let body = json!({ "models": ["default"], "store": false, "model": "default", "input": [
        { "role": "user", "content": [{ "type": "input_text", "text": "é\u{0} \"model\"" }] }], "disable_fallbacks": false });
    for path in [PATH, "/responses"] {
        let answer = gateway.post(path, &[], &body).await;
        assert_eq!((answer.status, text(&answer)), (200, healthy("one", "m1", "ne-b")), "{answer:?}");
        assert_eq!(answer.header("x-backstop-model"), "m1");
        assert_eq!(answer.header("content-type"), "application/json");
    }
    let requests = sim.requests();
    assert_eq!(requests.len(), 3, "the first key is not asked again");
    let sent: Value = serde_json::from_slice(&requests[1].body).unwrap();
    assert_eq!(sent, json!({ "model": "m1", "store": false, "input": body["input"] }));
    assert_eq!(requests[1].path, "/one/v1/responses");
    let tokens = ["direction=\"completion\"", "model=\"m1\""];
    assert_eq!(gateway.metric("backstop_tokens_total", &tokens).await, 16.0);
    let asked = ["endpoint=\"responses\"", "status=\"200\""];
    assert_eq!(gateway.metric("backstop_requests_total", &asked).await, 2.0);
}

#[tokio::test]
async fn a_failed_response_inside_a_200_is_of_the_kind_it_says() {
    let failed = |code: &str| {
        json!({ "id": "resp_1", "object": "response", "status": "failed", "output": [], "model": "m1",
            "error": { "code": code, "message": "You exceeded something sk-1234567890." } })
    };
    for (code, trail) in [
        ("insufficient_quota", "one/m1@key-1=billing:200, one/m1@key-2=billing:200, two/m2@key-1=ok:200"),
        ("server_error", "one/m1@key-1=server_error:200, one/m1@key-2=server_error:200, two/m2@key-1=ok:200"),
    ] {
        let fault = Fault { error_in_200: Some(failed(code)), ..Fault::default() };
        let (_sim, gateway) = start(vec![Rule::of(fault).provider("one")], "", "").await;
        let answer = gateway.respond(&ask("default", false)).await;
        assert_eq!((answer.status, answer.trail()), (200, trail));
        assert_eq!(text(&answer), healthy("two", "m2", "wo-a"));
    }
    // The request's own fault comes back as an error that every SDK reads.
    let fault = Fault { error_in_200: Some(failed("invalid_prompt")), ..Fault::default() };
    let (_sim, gateway) = start(vec![Rule::of(fault).provider("one")], "", "").await;
    let answer = gateway.respond(&ask("default", false)).await;
    assert_eq!((answer.status, &answer.error()["code"]), (400, &"invalid_prompt".into()), "{answer:?}");
    assert!(!answer.text().contains("sk-1234567890"), "{}", answer.text());
    assert!(answer.json().get("output").is_none());
}

#[tokio::test]
async fn an_incomplete_response_is_an_answer() {
    let incomplete = json!({ "id": "resp_1", "object": "response", "status": "incomplete", "error": null,
        "incomplete_details": { "reason": "max_output_tokens" }, "output": [] });
    let fault = Fault { error_in_200: Some(incomplete.clone()), ..Fault::default() };
    let (_sim, gateway) = start(vec![Rule::of(fault)], "", "").await;
    let answer = gateway.respond(&ask("default", false)).await;
    assert_eq!((answer.status, answer.json(), answer.header("x-backstop-attempts")), (200, incomplete, "1"));
}

#[tokio::test]
async fn when_everything_failed_the_error_is_openais_with_a_true_status() {
    for stream in [false, true] {
        let (_sim, gateway) = start(vec![Rule::of(Fault::status(429))], "", "").await;
        let answer = gateway.respond(&ask("default", stream)).await;
        assert_eq!((answer.status, &answer.error()["code"]), (429, &"rate_limit_exceeded".into()));
        assert_eq!(answer.error()["attempts"].as_array().unwrap().len(), 3);
    }
}

#[tokio::test]
async fn a_target_that_cannot_see_is_passed_by() {
    let models = "models: { 'one/m1': { vision: false } },";
    let (_sim, gateway) = start(vec![], "", models).await;
    let mut body = ask("default", false);
    body["input"] = json!([{ "role": "user", "content": [{ "type": "input_image", "image_url": "https://x/y.png" }] }]);
    let answer = gateway.respond(&body).await;
    assert_eq!((answer.status, answer.trail()), (200, "one/m1=skipped:no_vision, two/m2@key-1=ok:200"));
}
