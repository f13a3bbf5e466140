//! Streams between two dialects: event by event, and each in time.

use serde_json::{Value, json};

use super::{CHAT, MESSAGES, begun, ending, event, frames, lone, opened, stream};
use crate::support::{Gateway, STREAM_HEAD, Upstream};

fn overloaded() -> String {
    event(&json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } }))
}

#[tokio::test]
async fn each_text_reaches_the_client_before_the_next_one_is_written() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&lone(&upstream, "anthropic", "")).await;
    let (mut client, mut server) = opened(&gateway, &upstream, CHAT).await;
    server.write(STREAM_HEAD).await;
    server.write_chunk(begun(&["one"]).as_bytes()).await;
    client.head().await;
    let mut seen = String::new();
    for (sent, then) in [("one", " two"), (" two", " three"), (" three", "")] {
        while !seen.contains(&format!("\"content\":\"{sent}\"")) {
            seen.push_str(&String::from_utf8(client.chunk().await.expect("no end yet")).unwrap());
        }
        if !then.is_empty() {
            let delta = json!({ "type": "text_delta", "text": then });
            let next = event(&json!({ "type": "content_block_delta", "index": 0, "delta": delta }));
            server.write_chunk(next.as_bytes()).await;
        }
    }
    server.write_chunk(ending().concat().as_bytes()).await;
    server.write_chunk(b"").await;
    while let Some(chunk) = client.chunk().await.filter(|chunk| !chunk.is_empty()) {
        seen.push_str(&String::from_utf8(chunk).unwrap());
    }
    assert!(seen.ends_with("data: [DONE]\n\n"), "{seen}");
    assert_eq!(seen.matches("\"finish_reason\":\"stop\"").count(), 1);
    assert!(!seen.contains("\"usage\":{"), "nobody asked for it: {seen}");
    gateway.idle().await;
    assert_eq!(
        gateway.metric("backstop_tokens_total", &["direction=\"completion\""]).await,
        5.0,
        "counted all the same"
    );
    assert_eq!(gateway.metric("backstop_tokens_total", &["direction=\"prompt\""]).await, 7.0);
}

#[tokio::test]
async fn a_chats_stream_becomes_messages_events_in_order() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&lone(&upstream, "openai_chat", "")).await;
    let (mut client, mut server) = opened(&gateway, &upstream, MESSAGES).await;
    let chunk = |choices: Value| json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-x", "choices": choices });
    let delta =
        |delta: Value, finish: Option<&str>| chunk(json!([{ "index": 0, "delta": delta, "finish_reason": finish }]));
    let call = |function: Value| json!({ "tool_calls": [{ "index": 0, "id": "call_1", "type": "function", "function": function }] });
    let mut usage = chunk(json!([]));
    usage["usage"] = json!({ "prompt_tokens": 7, "completion_tokens": 5 });
    let parts = [
        delta(json!({ "role": "assistant", "content": "" }), None),
        delta(json!({ "content": "Let me " }), None),
        delta(json!({ "content": "look." }), None),
        delta(call(json!({ "name": "look", "arguments": "" })), None),
        delta(json!({ "tool_calls": [{ "index": 0, "function": { "arguments": "{\"at\":1}" } }] }), None),
        delta(json!({}), Some("tool_calls")),
        usage,
    ];
    let body: String =
        parts.iter().map(|part| format!("data: {part}\n\n")).chain(["data: [DONE]\n\n".to_owned()]).collect();
    server.write(stream(&body)).await;
    let got = client.answer().await;
    let frames = frames(&got);
    let names: Vec<&str> = frames.iter().map(|(name, _)| name.as_str()).filter(|name| *name != "ping").collect();
    let expected = [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(names, expected, "{}", got.text());
    let (_, last) = &frames[frames.len() - 2];
    let last: Value = serde_json::from_str(last).unwrap();
    assert_eq!((&last["delta"]["stop_reason"], &last["usage"]["output_tokens"]), (&"tool_use".into(), &5.into()));
    assert_eq!(got.header("x-backstop-trail"), "one/m1@K=ok:200");
}

#[tokio::test]
async fn an_error_before_the_content_is_invisible_and_after_it_an_error_event() {
    for (path, done) in [(CHAT, "[DONE]"), (MESSAGES, "message_stop")] {
        let upstream = Upstream::start().await;
        let gateway = Gateway::start(&lone(&upstream, "anthropic", "")).await;
        let (mut client, mut server) = opened(&gateway, &upstream, path).await;
        server.write(stream(&(begun(&[]) + &overloaded()))).await;
        let mut server = upstream.accept().await;
        server.asked().await;
        server.write(stream(&(begun(&["well"]) + &ending().concat()))).await;
        let got = client.answer().await;
        assert_eq!(got.trail(), "one/m1@K=overloaded:200, one/m1@L=ok:200", "{path}");
        assert!(got.text().contains("well") && got.text().contains(done), "{}", got.text());

        let gateway = Gateway::start(&lone(&upstream, "anthropic", "")).await;
        let (mut client, mut server) = opened(&gateway, &upstream, path).await;
        server.write(stream(&(begun(&["half"]) + &overloaded() + &ending().concat()))).await;
        let got = client.answer().await;
        let text = got.text();
        assert!(text.contains("half") && text.contains("\"error\":{") && !text.contains(done), "{path}: {text}");
        gateway.idle().await;
        assert_eq!(gateway.lane("slot", "one/m1@K").await["kind"], "overloaded", "{path}");
    }
}

#[tokio::test]
async fn a_finished_stream_that_lacks_its_last_event_is_finalised_and_an_unfinished_one_is_broken() {
    for (path, done) in [(CHAT, "[DONE]"), (MESSAGES, "message_stop")] {
        let [stop, delta, _] = ending();
        let upstream = Upstream::start().await;
        let gateway = Gateway::start(&lone(&upstream, "anthropic", "")).await;
        let (mut client, mut server) = opened(&gateway, &upstream, path).await;
        server.write(stream(&(begun(&["all"]) + &stop + &delta))).await;
        let got = client.answer().await;
        assert_eq!(got.text().matches(done).count(), if path == CHAT { 1 } else { 2 }, "{}", got.text());
        gateway.idle().await;
        assert_eq!(gateway.lane("slot", "one/m1@K").await["kind"], Value::Null);

        // Connections of the first gateway would be used again.
        let gateway = Gateway::start(&lone(&upstream, "anthropic", "")).await;
        let (mut client, mut server) = opened(&gateway, &upstream, path).await;
        server.write(stream(&(begun(&["half"]) + &stop))).await;
        let got = client.answer().await;
        assert!(!got.text().contains(done) && got.text().contains("\"error\":{"), "{}", got.text());
        gateway.idle().await;
        assert_eq!(gateway.lane("slot", "one/m1@K").await["kind"], "broken_stream");
    }
}

#[tokio::test]
async fn what_is_no_stream_is_judged_by_its_own_words() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&lone(&upstream, "anthropic", "")).await;
    let (mut client, mut server) = opened(&gateway, &upstream, CHAT).await;
    let limited = json!({ "type": "error", "error": { "type": "rate_limit_error", "message": "slow down" } });
    server.write(stream(&limited.to_string())).await;
    // It was read to its end, so its connection is used again.
    server.asked().await;
    server.write(stream(&(begun(&["well"]) + &ending().concat()))).await;
    assert_eq!(client.answer().await.trail(), "one/m1@K=rate_limit:200, one/m1@L=ok:200");
}

#[tokio::test]
async fn a_connection_whose_stream_was_translated_is_used_again() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&lone(&upstream, "anthropic", "")).await;
    let (mut client, mut server) = opened(&gateway, &upstream, CHAT).await;
    server.write(stream(&(begun(&["one"]) + &ending().concat()))).await;
    assert!(client.answer().await.whole);
    gateway.idle().await;
    client.request("POST", CHAT, &[], super::ask(true).to_string().as_bytes()).await;
    server.asked().await;
    server.write(stream(&(begun(&["two"]) + &ending().concat()))).await;
    assert_eq!(client.answer().await.content(), "two");
}
