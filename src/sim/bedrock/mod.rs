//! Bedrock Converse: what is asked, and the healthy answer, whole and as events.
//!
//! Pure functions. What the service refuses is `check`'s business, frames are `eventstream`'s. Refuses to know sockets,
//! delays and faults.

mod check;

use serde_json::{Value, json};

use super::answer::{Events, Framing, Reply, Who, arguments, is_silent, said, said_tokens, split, tokens};
use super::ask::{Ask, Message, format, function};
use super::encode::mix;
use super::errors::Told;
use super::http1::Request;
use super::route::{Endpoint, Place};
use super::{prefill, thinking};

/// Milliseconds that every answer says it took.
const LATENCY: u64 = 100;
/// What the service pads its events with, more or less of it.
const PADDING: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01234567";

/// What the body asks, and why the service refuses it, if it does.
pub(super) fn ask(place: &Place, request: &Request) -> (Ask, Option<Told>) {
    let model = place.model.clone().unwrap_or_default();
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
        let told = Told::new(400, "SerializationException", "The request body is not valid JSON");
        return (Ask { model, ..Ask::default() }, Some(told));
    };
    let tools = body.pointer("/toolConfig/tools").and_then(Value::as_array).map(|tools| {
        let specs = tools.iter().filter_map(|tool| tool.get("toolSpec"));
        specs.map(|spec| function(&spec["name"], spec.pointer("/inputSchema/json"))).collect()
    });
    let chosen = body.pointer("/toolConfig/toolChoice/tool/name");
    // The schema is JSON in a text.
    let schema = body.pointer("/outputConfig/textFormat/structure/jsonSchema/schema").and_then(Value::as_str);
    let schema: Option<Value> = schema.and_then(|schema| serde_json::from_str(schema).ok());
    let thinking = body.pointer("/additionalModelRequestFields/thinking/type");
    let thinking = thinking.or_else(|| body.pointer("/additionalModelRequestFields/reasoning_config/type"));
    let ask = Ask {
        model,
        stream: Some(place.endpoint == Endpoint::ConverseStream),
        messages: check::has_results(&body).then(|| Message::of("tool")).into_iter().collect(),
        tools,
        tool_choice: chosen.map_or(Value::Null, |name| json!({ "function": { "name": name } })),
        response_format: schema.map_or(Value::Null, |schema| format(&schema)),
        thinks: matches!(thinking.and_then(Value::as_str), Some("enabled" | "adaptive")),
        caches: check::has_cache_points(&body),
        prefill: prefill::of(&body),
        ..Ask::default()
    };
    (ask, check::refusal(&body).map(|message| Told::new(400, "ValidationException", &message)))
}

/// The whole answer.
pub(super) fn message(ask: &Ask, who: &Who) -> Value {
    let mut content = Vec::new();
    if ask.thinks {
        let (text, signature) = (thinking::TEXT, thinking::sign(thinking::TEXT));
        content.push(json!({ "reasoningContent": { "reasoningText": { "text": text, "signature": signature } } }));
    }
    match ask.tool() {
        Some(tool) => {
            let input: Value = serde_json::from_str(&arguments(tool)).unwrap_or_default();
            content.push(json!({ "toolUse": { "toolUseId": call_id(who), "name": tool["name"], "input": input } }));
        }
        None if is_silent(ask, who) => {}
        None => content.push(json!({ "text": said(ask, who).concat() })),
    }
    json!({
        "output": { "message": { "role": "assistant", "content": content } }, "stopReason": stop_reason(ask),
        "usage": usage(ask, who), "metrics": { "latencyMs": LATENCY },
    })
}

fn usage(ask: &Ask, who: &Who) -> Value {
    // A marked prompt has some tokens of each sort.
    let part = if ask.caches { tokens(who) / 4 } else { 0 };
    let input = tokens(who) - 2 * part;
    let output = said_tokens(ask, who) + usize::from(ask.thinks);
    json!({
        "inputTokens": input, "outputTokens": output, "totalTokens": tokens(who) + output,
        "cacheReadInputTokens": part, "cacheWriteInputTokens": part, "serverToolUsage": {},
    })
}

fn stop_reason(ask: &Ask) -> &'static str {
    if ask.tool().is_some() { "tool_use" } else { "end_turn" }
}

fn call_id(who: &Who) -> String {
    format!("tooluse_sim{:08}", who.number)
}

/// The whole answer, event by event. Only a tool's block is begun by an event of its own.
pub(super) fn stream(ask: &Ask, who: &Who) -> Reply {
    let mut sent = 0;
    let mut event = |name: &str, mut payload: Value| {
        sent += 1;
        let length = usize::try_from(mix(who.number, sent) % PADDING.len() as u64).unwrap_or(0);
        payload["p"] = PADDING.get(..=length).unwrap_or_default().into();
        json!({ name: payload }).to_string()
    };
    let preamble = vec![event("messageStart", json!({ "role": "assistant" }))];
    let mut content = Vec::new();
    let index = usize::from(ask.thinks);
    let delta = |index: usize, delta: Value| json!({ "contentBlockIndex": index, "delta": delta });
    if ask.thinks {
        let signature = thinking::sign(thinking::TEXT);
        for part in [json!({ "text": thinking::TEXT }), json!({ "signature": signature })] {
            content.push(event("contentBlockDelta", delta(0, json!({ "reasoningContent": part }))));
        }
        content.push(event("contentBlockStop", json!({ "contentBlockIndex": 0 })));
    }
    if let Some(tool) = ask.tool() {
        let start = json!({ "toolUse": { "toolUseId": call_id(who), "name": tool["name"] } });
        content.push(event("contentBlockStart", json!({ "contentBlockIndex": index, "start": start })));
        let fragments = split(&arguments(tool), who.chunks.saturating_sub(2));
        for part in std::iter::once(String::new()).chain(fragments) {
            content.push(event("contentBlockDelta", delta(index, json!({ "toolUse": { "input": part } }))));
        }
    } else {
        for piece in said(ask, who) {
            content.push(event("contentBlockDelta", delta(index, json!({ "text": piece }))));
        }
    }
    let stop = (!is_silent(ask, who)).then(|| event("contentBlockStop", json!({ "contentBlockIndex": index })));
    let last = event("messageStop", json!({ "stopReason": stop_reason(ask) }));
    let finish = stop.into_iter().chain([last]).collect();
    let metadata = json!({ "usage": usage(ask, who), "metrics": { "latencyMs": LATENCY } });
    let done = Some(event("metadata", metadata));
    Reply::Events(Events { framing: Framing::Frames, preamble, content, finish, usage: None, done })
}
