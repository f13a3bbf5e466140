//! Before and after the first content: errors inside a 200 that nobody sees, headers that go out early, stalls.

use backstop::sim::{self, Fault, Listed, Rule, Script, Sim, Stage};
use serde_json::Value;

use super::{by_hand, lone};
use crate::support::{Answer, CALM, Gateway, STREAM_HEAD, Upstream, chat, event, last_event};

/// A chain of two providers in places of their own; `one` plays the rule, and its limits are short.
async fn two(rule: Rule) -> (Sim, Sim, Gateway) {
    let (one, two) = (Sim::start(Script::of(vec![rule])).unwrap(), Sim::start(Script::default()).unwrap());
    let short = "{ first_content: '500ms', response_timeout: '500ms', stall: '1s' }";
    let text = format!(
        "{{ providers: {{ one: {{ base_url: '{}', keys: ['sk-one-1'], timeouts: {short} }},
            two: {{ base_url: '{}', keys: ['sk-two-1'] }} }},
            chains: {{ default: ['one/m1', 'two/m2'] }}, {CALM} }}",
        one.base_url("one"),
        two.base_url("two")
    );
    let gateway = Gateway::start(&text).await;
    (one, two, gateway)
}

fn finishes(answer: &Answer) -> bool {
    let finish = |data: &String| {
        let event = serde_json::from_str::<Value>(data).unwrap_or_default();
        event.pointer("/choices/0/finish_reason").is_some_and(Value::is_string)
    };
    answer.events().iter().any(finish)
}

#[tokio::test]
async fn every_fault_before_content_is_invisible_in_a_stream() {
    for Listed { name, rule, stream, .. } in sim::faults() {
        let (_one, _two, gateway) = two(rule).await;
        let answer = gateway.stream("default").await;
        assert_eq!((answer.status, answer.whole), (200, true), "{name}: {answer:?}");
        let from_one = sim::pieces("one", "m1", "ne-1", 8).concat();
        let from_two = sim::pieces("two", "m2", "wo-1", 8).concat();
        let done = answer.events().last().is_some_and(|data| data == "[DONE]");
        match stream {
            Stage::BeforeContent => {
                assert_eq!((answer.content(), done), (from_two, true), "{name}");
                assert!(answer.trail().ends_with("two/m2@key-1=ok:200"), "{name}: {}", answer.trail());
                assert!(!answer.text().contains("error"), "{name}: {}", answer.text());
            }
            Stage::Harmless => {
                let content = answer.content();
                assert!(content == from_one || content == from_two, "{name}: {content}");
                assert!(finishes(&answer), "{name}: {}", answer.text());
            }
            Stage::AfterContent => {
                assert!(answer.error()["message"].is_string(), "{name}: {}", answer.text());
                assert!(!done && !finishes(&answer), "{name}: a broken answer looks complete: {}", answer.text());
                assert!(from_one.starts_with(&answer.content()), "{name}: {}", answer.content());
            }
        }
        gateway.idle().await;
    }
}

#[tokio::test]
async fn every_fault_is_invisible_in_a_plain_answer() {
    for Listed { name, rule, plain, .. } in sim::faults() {
        let (_one, _two, gateway) = two(rule).await;
        let answer = gateway.chat("default").await;
        assert_eq!((answer.status, answer.whole), (200, true), "{name}: {answer:?}");
        let (one, two) = (sim::pieces("one", "m1", "ne-1", 8).concat(), sim::pieces("two", "m2", "wo-1", 8).concat());
        let content = answer.content();
        let good = match plain {
            Stage::BeforeContent => content == two,
            Stage::Harmless => content == one || content == two,
            Stage::AfterContent => panic!("{name}: a plain answer is read whole"),
        };
        assert!(good, "{name}: {}", answer.text());
        gateway.idle().await;
    }
}

/// Role, comments and empty deltas are no content: the gate holds, and another provider's stream is seen alone.
#[tokio::test]
async fn a_preamble_of_a_stream_that_fails_is_never_seen() {
    let fault =
        Fault { first_content_delay_ms: 20, keepalive_ms: Some(5), cut_after_chunks: Some(0), ..Fault::default() };
    let (_one, _two, gateway) = two(Rule::of(fault)).await;
    let answer = gateway.stream("default").await;
    assert_eq!(answer.trail(), "one/m1@key-1=broken_stream:200, two/m2@key-1=ok:200");
    assert!(!answer.text().contains("\"m1\""), "{}", answer.text());
    assert_eq!(answer.text().matches("\"role\"").count(), 1, "{}", answer.text());
}

const EARLY: &str =
    "run: { stream_headers_after: '30ms', same_target_wait: 0, retry_pause_min: '1ms', retry_pause_max: '2ms' },";

#[tokio::test]
async fn headers_go_out_before_late_content() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&by_hand(&upstream, EARLY)).await;
    let mut client = gateway.connect().await;
    client.request("POST", "/v1/chat/completions", &[], chat("default", true).to_string().as_bytes()).await;
    let mut server = upstream.accept().await;
    server.asked().await;
    let head = client.head().await;
    assert_eq!(head.status(), 200);
    assert!(head.headers.contains_key("x-backstop-request-id"));
    assert_eq!(client.chunk().await.unwrap(), b": keep-alive\n\n");
    // Only now does the upstream say anything.
    server.write(STREAM_HEAD).await;
    server.write_chunk(event("late").as_bytes()).await;
    assert_eq!(client.chunk().await.unwrap(), event("late").as_bytes());
    server.write_chunk(last_event().as_bytes()).await;
    server.write_chunk(b"").await;
    let rest = client.rest(head).await;
    assert_eq!((rest.text(), rest.whole), (last_event(), true));
    gateway.idle().await;
}

#[tokio::test]
async fn errors_after_early_headers_are_events() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&by_hand(&upstream, EARLY)).await;
    let mut client = gateway.connect().await;
    client.request("POST", "/v1/chat/completions", &[], chat("default", true).to_string().as_bytes()).await;
    let mut server = upstream.accept().await;
    server.asked().await;
    let head = client.head().await;
    assert_eq!(client.chunk().await.unwrap(), b": keep-alive\n\n");
    server.write("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await;
    let rest = client.rest(head).await;
    assert_eq!((rest.whole, &rest.error()["code"]), (true, &"all_attempts_failed".into()), "{}", rest.text());
    assert!(rest.error()["message"].as_str().unwrap().contains("one/m1@K=overloaded:503"));
    assert!(!rest.text().contains("[DONE]"));
    gateway.idle().await;
}

#[tokio::test]
async fn a_stall_after_content_ends_with_an_error_event() {
    let sim =
        Sim::start(Script::of(vec![Rule::of(Fault { stall_after_chunks: Some(2), ..Fault::default() })])).unwrap();
    let gateway = Gateway::start(&lone(&sim.base_url("one"), "run: { stall: '200ms' },")).await;
    let answer = gateway.stream("default").await;
    assert_eq!((answer.status, answer.whole), (200, true));
    assert_eq!(answer.content(), sim::pieces("one", "m1", "cret", 8)[..2].concat());
    assert_eq!(answer.error()["code"], "broken_stream");
    assert!(!answer.text().contains("[DONE]") && !finishes(&answer), "{}", answer.text());
    let lane = gateway.lane("slot", "one/m1@K").await;
    assert_eq!((&lane["kind"], &lane["streak"]), (&"broken_stream".into(), &1.into()));
    crate::support::soon("the cancelled upstream", sim.wait_until(|stats| stats.open_connections == 0)).await;
}
