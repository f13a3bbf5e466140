//! Whether what the gateway writes has the shape that clients of Messages expect: every documented event, in order.

use serde_json::Value;

use super::shape::{check, fields, filled};

const STOPS: [&str; 6] = ["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal", "pause_turn"];

/// A whole answer of Messages.
pub(super) fn messages(answer: &Value) -> Result<(), String> {
    head(answer)?;
    check(STOPS.iter().any(|known| answer["stop_reason"] == *known), "stop_reason", answer)?;
    let sequence = answer["stop_reason"] == "stop_sequence";
    check(sequence || answer["stop_sequence"].is_null(), "stop_sequence", answer)?;
    let blocks = answer["content"].as_array().ok_or("no content")?;
    blocks.iter().try_for_each(block)
}

fn head(message: &Value) -> Result<(), String> {
    fields(message, "id! type! role! model! content! stop_reason! stop_sequence! stop_details usage!")?;
    check(message["type"] == "message" && message["role"] == "assistant", "its own facts", message)?;
    check(filled(&message["id"]) && filled(&message["model"]), "its own facts", message)?;
    usage(&message["usage"], true)
}

fn usage(usage: &Value, whole: bool) -> Result<(), String> {
    let known = "output_tokens! cache_creation_input_tokens cache_read_input_tokens service_tier output_tokens_details";
    let known = format!("{known} {}", if whole { "input_tokens!" } else { "input_tokens" });
    fields(usage, &known)?;
    let counts = ["input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"];
    counts.iter().try_for_each(|name| check(usage[name].is_u64() || usage[name].is_null(), name, usage))?;
    check(usage["output_tokens"].is_u64(), "output_tokens", usage)
}

fn block(block: &Value) -> Result<(), String> {
    match block["type"].as_str() {
        Some("text") => {
            fields(block, "type! text! citations")?;
            check(filled(&block["text"]), "a blank text is refused when it comes back", block)
        }
        Some("thinking") => {
            fields(block, "type! thinking! signature!")?;
            check(block["thinking"].is_string() && block["signature"].is_string(), "thinking", block)
        }
        Some("redacted_thinking") => fields(block, "type! data!"),
        Some("tool_use") => {
            fields(block, "type! id! name! input!")?;
            // The id is the vendor's own, so that it is known there when it comes back; elsewhere it is fitted then.
            let named = filled(&block["id"]) && filled(&block["name"]);
            check(named && block["input"].is_object(), "a call", block)
        }
        _ => Err(format!("no block of an answer: {block}")),
    }
}

/// The events of a stream, each with its name, which is the type of its data.
fn events(stream: &[u8]) -> Result<Vec<Value>, String> {
    let text = std::str::from_utf8(stream).map_err(|error| error.to_string())?;
    let Some(text) = text.strip_suffix("\n\n") else { return Err(format!("does not end with a frame: {text:?}")) };
    let event = |frame: &str| {
        let wrong = || format!("no frame of Messages: {frame:?}");
        let (name, data) =
            frame.strip_prefix("event: ").and_then(|rest| rest.split_once("\ndata: ")).ok_or_else(wrong)?;
        let data: Value = serde_json::from_str(data).map_err(|error| format!("{error}: {frame}"))?;
        if data["type"] == name { Ok(data) } else { Err(wrong()) }
    };
    text.split("\n\n").map(event).collect()
}

/// A whole stream: `message_start`, the blocks one after the other, `message_delta`, `message_stop`; `ping` anywhere.
pub(super) fn messages_stream(stream: &[u8]) -> Result<(), String> {
    let events: Vec<Value> = events(stream)?.into_iter().filter(|event| event["type"] != "ping").collect();
    let [start, blocks @ .., delta, stop] = events.as_slice() else { return Err("no beginning or no end".to_owned()) };
    check(start["type"] == "message_start", "the first event", start)?;
    fields(start, "type! message!")?;
    head(&start["message"])?;
    let empty = start["message"]["content"].as_array().is_some_and(Vec::is_empty);
    check(empty && start["message"]["stop_reason"].is_null(), "nothing is said yet", start)?;
    let mut open: Option<(u64, &str)> = None;
    let mut next = 0;
    for event in blocks {
        let at = event["index"].as_u64().ok_or_else(|| format!("no index: {event}"))?;
        match (event["type"].as_str(), open) {
            (Some("content_block_start"), None) => {
                fields(event, "type! index! content_block!")?;
                check(at == next, "indexes rise by one", event)?;
                open = Some((at, begun(&event["content_block"])?));
                next += 1;
            }
            (Some("content_block_delta"), Some((index, kind))) => {
                fields(event, "type! index! delta!")?;
                check(at == index, "a delta of the open block", event)?;
                belongs(&event["delta"], kind)?;
            }
            (Some("content_block_stop"), Some((index, _))) => {
                fields(event, "type! index!")?;
                check(at == index, "the open block ends", event)?;
                open = None;
            }
            _ => return Err(format!("out of order: {event}")),
        }
    }
    check(open.is_none() && delta["type"] == "message_delta", "blocks end before the message does", delta)?;
    fields(delta, "type! delta! usage!")?;
    fields(&delta["delta"], "stop_reason! stop_sequence! stop_details")?;
    check(STOPS.iter().any(|known| delta["delta"]["stop_reason"] == *known), "stop_reason", delta)?;
    usage(&delta["usage"], false)?;
    check(*stop == serde_json::json!({ "type": "message_stop" }), "the last event", stop)
}

/// What an opened block is; it says nothing yet.
fn begun(block: &Value) -> Result<&'static str, String> {
    match block["type"].as_str() {
        Some("text") => {
            fields(block, "type! text! citations")?;
            check(block["text"] == "", "an empty text", block).map(|()| "text")
        }
        Some("thinking") => {
            fields(block, "type! thinking! signature!")?;
            check(block["thinking"] == "" && block["signature"] == "", "empty thinking", block).map(|()| "thinking")
        }
        Some("redacted_thinking") => fields(block, "type! data!").map(|()| "redacted_thinking"),
        Some("tool_use") => {
            super::shape_messages::block(block)?;
            check(block["input"].as_object().is_some_and(serde_json::Map::is_empty), "an empty input", block)?;
            Ok("tool_use")
        }
        _ => Err(format!("no block of an answer: {block}")),
    }
}

fn belongs(delta: &Value, kind: &str) -> Result<(), String> {
    let (wanted, field) = match delta["type"].as_str() {
        Some("text_delta") => ("text", "text"),
        Some("thinking_delta") => ("thinking", "thinking"),
        Some("signature_delta") => ("thinking", "signature"),
        Some("input_json_delta") => ("tool_use", "partial_json"),
        _ => return Err(format!("no delta: {delta}")),
    };
    fields(delta, &format!("type! {field}!"))?;
    check(wanted == kind && delta[field].is_string(), &format!("within a block of {kind}"), delta)
}
