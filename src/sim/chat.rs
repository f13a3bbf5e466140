//! Healthy answers of chat and of completions, whole and as chunks.
//!
//! Pure functions from what was asked to JSON. Refuses to know sockets, delays and faults.

use serde_json::{Value, json};

use super::answer::{CREATED, Events, Framing, Reply, Who, arguments, call_id, said, said_tokens, split, text, tokens};
use super::ask::Ask;

/// The data of a stream's last event.
const DONE: &str = "[DONE]";

/// The whole answer.
pub(super) fn answer(ask: &Ask, who: &Who) -> Value {
    let mut message = json!({ "role": "assistant", "content": null, "refusal": null, "annotations": [] });
    let finish = if let Some(function) = ask.tool() {
        message["tool_calls"] = json!([{ "id": call_id(who), "type": "function",
            "function": { "name": function["name"], "arguments": arguments(function) } }]);
        "tool_calls"
    } else {
        message["content"] = said(ask, who).concat().into();
        "stop"
    };
    json!({
        "id": chat_id(who), "object": "chat.completion", "created": CREATED, "model": ask.model,
        "choices": [{ "index": 0, "message": message, "logprobs": null, "finish_reason": finish }],
        "usage": usage(ask, who), "service_tier": "default", "system_fingerprint": "fp_sim",
    })
}

pub(super) fn stream(ask: &Ask, who: &Who) -> Reply {
    let wants_usage = ask.wants_usage();
    let frame = |choices: Value, used: Value| {
        let mut chunk = json!({
            "id": chat_id(who), "object": "chat.completion.chunk", "created": CREATED, "model": ask.model,
            "service_tier": "default", "system_fingerprint": "fp_sim", "choices": choices,
        });
        if wants_usage {
            chunk["usage"] = used;
        }
        chunk.to_string()
    };
    let delta = |delta: Value, finish: Option<&str>| {
        let choice = json!({ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish });
        frame(json!([choice]), Value::Null)
    };
    let mut content = Vec::new();
    let (role, finish) = if let Some(function) = ask.tool() {
        content.push(delta(
            json!({ "tool_calls": [{ "index": 0, "id": call_id(who), "type": "function",
                "function": { "name": function["name"], "arguments": "" } }] }),
            None,
        ));
        let fragments = split(&arguments(function), who.chunks.saturating_sub(1).max(1));
        content.extend(
            fragments
                .into_iter()
                .map(|part| delta(json!({ "tool_calls": [{ "index": 0, "function": { "arguments": part } }] }), None)),
        );
        (json!({ "role": "assistant", "content": null }), "tool_calls")
    } else {
        content.extend(said(ask, who).into_iter().map(|piece| delta(json!({ "content": piece }), None)));
        (json!({ "role": "assistant", "content": "", "refusal": null }), "stop")
    };
    let mut preamble = vec![delta(role, None)];
    if ask.azure {
        preamble.insert(0, judged());
    }
    Reply::Events(Events {
        framing: Framing::Data,
        preamble,
        content,
        finish: vec![delta(json!({}), Some(finish))],
        usage: wants_usage.then(|| frame(json!([]), usage(ask, who))),
        done: Some(DONE.to_owned()),
    })
}

fn completion_frame(ask: &Ask, who: &Who, text: &str, finish: Option<&str>) -> Value {
    json!({
        "id": format!("cmpl-sim{:08}", who.number), "object": "text_completion", "created": CREATED,
        "model": ask.model, "choices": [{ "index": 0, "text": text, "logprobs": null, "finish_reason": finish }],
    })
}

pub(super) fn completion(ask: &Ask, who: &Who) -> Value {
    let mut body = completion_frame(ask, who, &text(ask, who).concat(), Some("stop"));
    body["usage"] = usage(ask, who);
    body
}

pub(super) fn completion_stream(ask: &Ask, who: &Who) -> Reply {
    let mut last = completion_frame(ask, who, "", None);
    last["choices"] = json!([]);
    last["usage"] = usage(ask, who);
    Reply::Events(Events {
        framing: Framing::Data,
        preamble: Vec::new(),
        content: text(ask, who).iter().map(|piece| completion_frame(ask, who, piece, None).to_string()).collect(),
        finish: vec![completion_frame(ask, who, "", Some("stop")).to_string()],
        usage: ask.wants_usage().then(|| last.to_string()),
        done: Some(DONE.to_owned()),
    })
}

/// What Azure says before anything else: its verdict on the prompt, in a chunk without choices.
fn judged() -> String {
    let verdict = json!({ "hate": { "filtered": false, "severity": "safe" } });
    let prompt = json!([{ "prompt_index": 0, "content_filter_results": verdict }]);
    json!({ "choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": prompt })
        .to_string()
}

fn chat_id(who: &Who) -> String {
    format!("chatcmpl-sim{:08}", who.number)
}

fn usage(ask: &Ask, who: &Who) -> Value {
    let (prompt, said) = (tokens(who), said_tokens(ask, who));
    json!({
        "prompt_tokens": prompt, "completion_tokens": said, "total_tokens": prompt + said,
        "prompt_tokens_details": { "cached_tokens": 0, "audio_tokens": 0 },
        "completion_tokens_details": { "reasoning_tokens": 0, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0 },
    })
}
