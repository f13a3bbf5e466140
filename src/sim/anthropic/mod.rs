//! Anthropic Messages: what is asked, and the healthy answer, whole and as events.
//!
//! Pure functions. What the vendor refuses is `check`'s business. Refuses to know sockets, delays and faults.

mod check;

use serde_json::{Value, json};

use super::answer::{self, Events, Framing, Reply, Who, arguments, is_silent, said, split, tokens};
use super::ask::{Ask, Message, format, function};
use super::encode::mix;
use super::errors::Told;
use super::http1::Request;
use super::route::{Endpoint, Place};
use super::{prefill, thinking};

/// What the body asks, and why the vendor refuses it, if it does.
pub(super) fn ask(place: &Place, request: &Request) -> (Ask, Option<Told>) {
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
        return (Ask::default(), Some(Told::invalid("The request body is not valid JSON")));
    };
    let tools = body["tools"].as_array().map(|tools| {
        // Tools of another type are the vendor's own, and are not called here.
        let own = tools.iter().filter(|tool| tool.get("type").is_none_or(|kind| kind == "custom"));
        own.map(|tool| function(&tool["name"], tool.get("input_schema"))).collect()
    });
    let choice = &body["tool_choice"];
    let schema = body.pointer("/output_config/format").or_else(|| body.get("output_format"));
    let ask = Ask {
        model: body["model"].as_str().unwrap_or_default().to_owned(),
        stream: body["stream"].as_bool(),
        messages: check::has_results(&body).then(|| Message::of("tool")).into_iter().collect(),
        tools,
        tool_choice: match choice["type"].as_str() {
            Some("none") => "none".into(),
            Some("tool") => json!({ "function": { "name": choice["name"] } }),
            _ => Value::Null,
        },
        response_format: schema.map_or(Value::Null, |form| format(&form["schema"])),
        thinks: matches!(body["thinking"]["type"].as_str(), Some("enabled" | "adaptive")),
        caches: check::marks(&body) > 0,
        prefill: prefill::of(&body).filter(|_| place.endpoint == Endpoint::Messages),
        ..Ask::default()
    };
    let version = request.headers.contains_key("anthropic-version");
    let refused = if version {
        check::refusal(&body, place.endpoint == Endpoint::CountTokens)
    } else {
        Some("anthropic-version: header is required".to_owned())
    };
    (ask, refused.map(|message| Told::invalid(&message)))
}

/// The count of a prompt's tokens.
pub(super) fn count(who: &Who) -> Value {
    json!({ "input_tokens": tokens(who) })
}

/// The whole answer.
pub(super) fn message(ask: &Ask, who: &Who) -> Value {
    let mut content = Vec::new();
    if ask.thinks {
        content.push(json!({ "type": "thinking", "thinking": thinking::TEXT,
            "signature": thinking::sign(thinking::TEXT) }));
    }
    match ask.tool() {
        Some(tool) => {
            let input: Value = serde_json::from_str(&arguments(tool)).unwrap_or_default();
            content.push(json!({ "type": "tool_use", "id": call_id(who), "name": tool["name"], "input": input }));
        }
        None if is_silent(ask, who) => {}
        None => content.push(json!({ "type": "text", "text": said(ask, who).concat() })),
    }
    let mut message = frame(ask, who);
    message["content"] = content.into();
    message["stop_reason"] = stop_reason(ask).into();
    message["usage"]["output_tokens"] = said_tokens(ask, who).into();
    message
}

/// A message that has not said anything yet.
fn frame(ask: &Ask, who: &Who) -> Value {
    let (read, written, plain) = prompt(ask, who);
    json!({
        "id": format!("msg_sim{:08}", who.number), "type": "message", "role": "assistant", "model": ask.model,
        "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": {
            "input_tokens": plain, "cache_read_input_tokens": read, "cache_creation_input_tokens": written,
            "cache_creation": { "ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0 },
            "output_tokens": 1, "service_tier": "standard",
        },
    })
}

/// The prompt's tokens: read from the cache, written to it, and neither. A marked prompt has some of each.
pub(super) fn prompt(ask: &Ask, who: &Who) -> (usize, usize, usize) {
    let all = tokens(who);
    let part = if ask.caches { all / 4 } else { 0 };
    (part, part, all - 2 * part)
}

/// The answer's tokens.
pub(super) fn said_tokens(ask: &Ask, who: &Who) -> usize {
    answer::said_tokens(ask, who) + usize::from(ask.thinks)
}

fn stop_reason(ask: &Ask) -> &'static str {
    if ask.tool().is_some() { "tool_use" } else { "end_turn" }
}

fn call_id(who: &Who) -> String {
    format!("toolu_sim{:08}", who.number)
}

/// The whole answer, event by event.
pub(super) fn stream(ask: &Ask, who: &Who) -> Reply {
    let mut write = Writer { number: who.number, sent: 0 };
    let mut preamble = vec![write.event(&json!({ "type": "message_start", "message": frame(ask, who) }))];
    let mut content = Vec::new();
    let index = usize::from(ask.thinks);
    if ask.thinks {
        preamble.push(write.start(0, &json!({ "type": "thinking", "thinking": "", "signature": "" })));
        content.push(write.delta(0, &json!({ "type": "thinking_delta", "thinking": thinking::TEXT })));
        let signature = thinking::sign(thinking::TEXT);
        content.push(write.delta(0, &json!({ "type": "signature_delta", "signature": signature })));
        content.push(write.stop(0));
    }
    if let Some(tool) = ask.tool() {
        // The tool's name is content. The first fragment is empty, as most vendors' are.
        let block = json!({ "type": "tool_use", "id": call_id(who), "name": tool["name"], "input": {} });
        content.push(write.start(index, &block));
        let fragments = split(&arguments(tool), who.chunks.saturating_sub(2));
        let fragments = std::iter::once(String::new()).chain(fragments);
        content.extend(
            fragments.map(|part| write.delta(index, &json!({ "type": "input_json_delta", "partial_json": part }))),
        );
    } else if !is_silent(ask, who) {
        let block = write.start(index, &json!({ "type": "text", "text": "" }));
        if ask.thinks { &mut content } else { &mut preamble }.push(block);
        let pieces = said(ask, who).into_iter();
        content.extend(pieces.map(|piece| write.delta(index, &json!({ "type": "text_delta", "text": piece }))));
    }
    preamble.push("{\"type\": \"ping\"}".to_owned());
    let mut usage = frame(ask, who)["usage"].take();
    usage["output_tokens"] = said_tokens(ask, who).into();
    let delta = json!({ "stop_reason": stop_reason(ask), "stop_sequence": null });
    let stop = (!is_silent(ask, who)).then(|| write.stop(index));
    let last = write.event(&json!({ "type": "message_delta", "delta": delta, "usage": usage }));
    let finish = stop.into_iter().chain([last]).collect();
    let done = Some(write.event(&json!({ "type": "message_stop" })));
    Reply::Events(Events { framing: Framing::Named, preamble, content, finish, usage: None, done })
}

/// Writes events as the vendor does: blanks before the last bracket, more or fewer.
struct Writer {
    number: u64,
    sent: u64,
}

impl Writer {
    fn event(&mut self, event: &Value) -> String {
        self.sent += 1;
        let blanks = usize::try_from(mix(self.number, self.sent) % 12).unwrap_or(0);
        let mut text = event.to_string();
        text.pop();
        text.extend(std::iter::repeat_n(' ', blanks));
        text.push('}');
        text
    }

    fn start(&mut self, index: usize, block: &Value) -> String {
        self.event(&json!({ "type": "content_block_start", "index": index, "content_block": block }))
    }

    fn delta(&mut self, index: usize, delta: &Value) -> String {
        self.event(&json!({ "type": "content_block_delta", "index": index, "delta": delta }))
    }

    fn stop(&mut self, index: usize) -> String {
        self.event(&json!({ "type": "content_block_stop", "index": index }))
    }
}
