//! Messages in front, and every dialect behind: what passes as it is, what is translated, and what is told of errors.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

mod cross;
mod own_words;
mod pass;
mod streams;

use serde_json::{Value, json};

use crate::support::{Answer, CALM, Gateway, Upstream, Wire};

const MESSAGES: &str = "/v1/messages";
const CHAT: &str = "/v1/chat/completions";

/// The configuration of one provider, `one`, of a dialect, with keys K and L and the chain `default` of its model m1.
fn lone(upstream: &Upstream, dialect: &str, more: &str) -> String {
    format!(
        "{{ providers: {{ one: {{ dialect: '{dialect}', base_url: '{}', keys: [
            {{ key: 'sk-one-secret', profile: 'K' }}, {{ key: 'sk-two-secret', profile: 'L' }}] }} }},
        chains: {{ default: ['one/m1'] }}, {CALM} {more} }}",
        upstream.base_url()
    )
}

fn ask(stream: bool) -> Value {
    json!({ "model": "default", "max_tokens": 64, "stream": stream, "messages": [{ "role": "user", "content": "hi" }] })
}

/// One exchange: a request to `path`, and what the upstream answers with. Gives back what the upstream was asked and what
/// the client got.
async fn exchange(
    gateway: &Gateway,
    upstream: &Upstream,
    (path, headers, body): (&str, &[(&str, &str)], &Value),
    answer: impl AsRef<[u8]>,
) -> (String, http::HeaderMap, Vec<u8>, Answer) {
    let mut client = gateway.connect().await;
    client.request("POST", path, headers, body.to_string().as_bytes()).await;
    let mut server = upstream.accept().await;
    let (head, asked) = server.asked().await;
    server.write(answer).await;
    (head.line, head.headers, asked, client.answer().await)
}

/// An answer of JSON with its head.
fn whole(status: &str, body: &Value) -> String {
    whole_text(status, &body.to_string())
}

fn whole_text(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// A stream with its head and its end.
fn stream(body: &str) -> String {
    format!("{}{:x}\r\n{body}\r\n0\r\n\r\n", crate::support::STREAM_HEAD, body.len())
}

/// Anthropic's answer of one text.
fn message(text: &str) -> Value {
    json!({ "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x",
        "content": [{ "type": "text", "text": text }], "stop_reason": "end_turn", "stop_sequence": null,
        "usage": { "input_tokens": 3, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 0,
            "output_tokens": 5 } })
}

/// OpenAI's answer of one text.
fn completion(text: &str) -> Value {
    json!({ "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-x",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12,
            "prompt_tokens_details": { "cached_tokens": 4 } } })
}

fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap())
}

/// Anthropic's stream up to and with these texts.
fn begun(texts: &[&str]) -> String {
    let mut events = event(&json!({ "type": "message_start", "message": { "id": "msg_1", "type": "message",
        "role": "assistant", "model": "claude-x", "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": { "input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 1 } } }));
    let block = json!({ "type": "text", "text": "" });
    events += &event(&json!({ "type": "content_block_start", "index": 0, "content_block": block }));
    events += &event(&json!({ "type": "ping" }));
    for text in texts {
        let delta = json!({ "type": "text_delta", "text": text });
        events += &event(&json!({ "type": "content_block_delta", "index": 0, "delta": delta }));
    }
    events
}

/// Its end: the stop reason, and `message_stop`.
fn ending() -> [String; 3] {
    [
        event(&json!({ "type": "content_block_stop", "index": 0 })),
        event(&json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn", "stop_sequence": null },
            "usage": { "output_tokens": 5 } })),
        event(&json!({ "type": "message_stop" })),
    ]
}

/// `event` and `data` of all frames.
fn frames(answer: &Answer) -> Vec<(String, String)> {
    let text = answer.text();
    let frame = |frame: &str| {
        let line = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
        (line("event: "), line("data: "))
    };
    text.split("\n\n").filter(|text| !text.trim().is_empty()).map(frame).collect()
}

/// The client's and the upstream's side of a request that the upstream has read.
async fn opened(gateway: &Gateway, upstream: &Upstream, path: &str) -> (Wire, Wire) {
    let mut client = gateway.connect().await;
    client.request("POST", path, &[], ask(true).to_string().as_bytes()).await;
    let mut server = upstream.accept().await;
    server.asked().await;
    (client, server)
}
