//! Streams of Responses: what happens before the first content is invisible, what happens after it is told.

use backstop::sim::{self, Fault, Listed, Rule, Script, Sim, Stage, StreamError};
use serde_json::{Value, json};

use super::{PATH, ask, healthy, named, start};
use crate::support::{Answer, CALM, Gateway, Upstream, soon};

/// The text of all deltas.
fn said(answer: &Answer) -> String {
    let deltas = named(answer).into_iter().filter(|(name, _)| name == "response.output_text.delta");
    deltas.map(|(_, data)| data["delta"].as_str().unwrap().to_owned()).collect()
}

fn last(answer: &Answer) -> (String, Value) {
    named(answer).pop().unwrap_or_default()
}

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

#[tokio::test]
async fn every_fault_is_hidden_before_content_and_told_after_it() {
    for Listed { name, rule, stream, .. } in sim::faults() {
        // Of a chat it cuts `[DONE]` only, of a response its last event.
        let stream = if name == "length_too_short" { Stage::AfterContent } else { stream };
        let (_one, _two, gateway) = two(rule).await;
        let answer = gateway.respond(&ask("default", true)).await;
        assert_eq!((answer.status, answer.whole), (200, true), "{name}: {answer:?}");
        assert!(!answer.text().contains("[DONE]"), "{name}");
        let (end, data) = last(&answer);
        match stream {
            Stage::AfterContent => {
                assert_eq!(end, "response.failed", "{name}: {}", answer.text());
                assert_eq!(data["response"]["error"]["code"], "server_error", "{name}");
                assert_eq!(data["response"]["id"], "resp_sim00000001", "{name}: the id that the client knows");
                assert_eq!(data["sequence_number"], named(&answer).len() - 1, "{name}: {}", answer.text());
                let begun = healthy("one", "m1", "ne-1");
                assert!(begun.starts_with(&said(&answer)) && !said(&answer).is_empty(), "{name}");
            }
            stage => {
                assert_eq!(end, "response.completed", "{name}: {}", answer.text());
                let (provider, model, last4) =
                    if stage == Stage::Harmless { ("one", "m1", "ne-1") } else { ("two", "m2", "wo-1") };
                assert_eq!(said(&answer), healthy(provider, model, last4), "{name}");
                let numbers: Vec<u64> =
                    named(&answer).iter().map(|(_, data)| data["sequence_number"].as_u64().unwrap()).collect();
                assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>(), "{name}: one stream, no seam");
            }
        }
    }
}

#[tokio::test]
async fn every_fault_is_hidden_in_a_whole_answer() {
    for Listed { name, rule, plain, .. } in sim::faults() {
        let (_one, _two, gateway) = two(rule).await;
        let answer = gateway.respond(&ask("default", false)).await;
        let who = if plain == Stage::Harmless { healthy("one", "m1", "ne-1") } else { healthy("two", "m2", "wo-1") };
        assert_eq!((answer.status, super::text(&answer)), (200, who), "{name}");
    }
}

#[tokio::test]
async fn a_stream_passes_byte_by_byte() {
    let (_sim, gateway) = start(vec![], "", "").await;
    let through = gateway.respond(&ask("default", true)).await;
    assert_eq!(through.header("content-type"), "text/event-stream");
    // The same words from another simulator: its answers differ by number and key only.
    let sim = Sim::start(Script::default()).unwrap();
    let mut direct = crate::support::Wire::connect(sim.addr()).await;
    let body = ask("m1", true).to_string();
    direct.request("POST", "/one/v1/responses", &[("authorization", "Bearer sk-one-a")], body.as_bytes()).await;
    assert_eq!(through.text(), direct.answer().await.text());
    assert_eq!(gateway.metric("backstop_tokens_total", &["direction=\"completion\""]).await, 8.0);
}

#[tokio::test]
async fn a_quota_that_is_used_up_inside_a_200_stream_goes_to_the_next_key() {
    let quota = json!({ "error": { "type": "insufficient_quota", "code": "insufficient_quota",
        "message": "You exceeded your current quota, please check your plan and billing details." } });
    let error = StreamError { after_chunks: 0, body: quota };
    let rule = Rule::of(Fault { error_in_stream: Some(error), ..Fault::default() }).key("sk-one-a");
    let (_sim, gateway) = start(vec![rule], "", "").await;
    let answer = gateway.respond(&ask("default", true)).await;
    assert_eq!(answer.trail(), "one/m1@key-1=billing:200, one/m1@key-2=ok:200");
    assert_eq!(said(&answer), healthy("one", "m1", "ne-b"));
}

#[tokio::test]
async fn a_vendors_error_after_content_is_told_without_its_secrets() {
    let body = json!({ "code": "rate_limit_exceeded", "message": "Rate limit for key sk-one-a-secret reached." });
    let error = StreamError { after_chunks: 2, body };
    let rule = Rule::of(Fault { error_in_stream: Some(error), ..Fault::default() }).provider("one");
    let (_sim, gateway) = start(vec![rule], "", "").await;
    let answer = gateway.respond(&ask("default", true)).await;
    let (end, data) = last(&answer);
    assert_eq!((end.as_str(), &data["response"]["error"]["code"]), ("response.failed", &"rate_limit_exceeded".into()));
    let message = data["response"]["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("Rate limit for key [redacted] reached") && message.ends_with("(rate_limit)"),
        "{message}"
    );
    assert_eq!(gateway.lane("slot", "one/m1@key-1").await["kind"], "rate_limit");
}

#[tokio::test]
async fn a_tool_call_streams_through_a_failover() {
    let cut = Fault { cut_after_chunks: Some(0), ..Fault::default() };
    let (_sim, gateway) = start(vec![Rule::of(cut).provider("one")], "", "").await;
    let mut body = ask("default", true);
    body["tools"] = json!([{ "type": "function", "name": "weather", "strict": true,
        "parameters": { "type": "object", "properties": { "city": { "type": "string" } } } }]);
    let answer = gateway.respond(&body).await;
    assert_eq!(answer.header("x-backstop-provider"), "two", "the announced call of `one` is never seen");
    let events = named(&answer);
    let done = events.iter().find(|(name, _)| name == "response.function_call_arguments.done").unwrap();
    assert_eq!(done.1["arguments"], r#"{"city":"sim"}"#);
    assert_eq!(events.iter().filter(|(name, _)| name == "response.output_item.added").count(), 1);
}

const EARLY: &str =
    "run: { stream_headers_after: '30ms', same_target_wait: 0, retry_pause_min: '1ms', retry_pause_max: '2ms' },";

#[tokio::test]
async fn errors_after_early_headers_are_events_of_a_response() {
    let upstream = Upstream::start().await;
    let text = format!(
        "{{ providers: {{ one: {{ base_url: '{}', keys: ['sk-one-secret'] }} }}, chains: {{ default: ['one/m1'] }}, {EARLY} }}",
        upstream.base_url()
    );
    let gateway = Gateway::start(&text).await;
    let mut client = gateway.connect().await;
    client.request("POST", PATH, &[], ask("default", true).to_string().as_bytes()).await;
    let mut server = upstream.accept().await;
    server.asked().await;
    let head = client.head().await;
    assert_eq!(client.chunk().await.unwrap(), b": keep-alive\n\n");
    server.write("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await;
    let rest = client.rest(head).await;
    let (end, data) = last(&rest);
    assert_eq!((rest.whole, end.as_str()), (true, "response.failed"), "{}", rest.text());
    let message = data["response"]["error"]["message"].as_str().unwrap();
    assert!(message.contains("one/m1@key-1=overloaded:503") && message.contains("all_attempts_failed"), "{message}");
    gateway.idle().await;
}

#[tokio::test]
async fn a_client_that_leaves_cancels_the_upstream() {
    let stall = Rule::of(Fault { stall_after_chunks: Some(2), ..Fault::default() });
    let (sim, gateway) = start(vec![stall], "", "").await;
    let mut client = gateway.connect().await;
    client.request("POST", PATH, &[], ask("default", true).to_string().as_bytes()).await;
    client.head().await;
    drop(client);
    soon("the cancelled upstream", sim.wait_until(|stats| stats.open_connections == 0)).await;
    gateway.idle().await;
    assert_eq!(gateway.lane("slot", "one/m1@key-1").await["state"], "ready");
}
