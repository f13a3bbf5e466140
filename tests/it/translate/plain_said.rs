//! The meaning of answers as it stands in their JSON.
//!
//! Owns a naive reader for each dialect, which knows nothing of the product's: a stream is put together as its vendor's
//! own clients do, and then read as a whole answer. Refuses to judge.

use backstop::dialect::canonical::{Stop, Usage};
use serde_json::{Map, Value, json};

use super::Wire;
use super::said::{Called, Said, input};

/// The meaning of a whole answer.
pub(super) fn whole(wire: Wire, answer: &Value) -> Said {
    match wire {
        Wire::Chat => chat(answer),
        Wire::Messages => messages(answer),
        Wire::Converse => converse(answer),
    }
}

/// The whole answer that a stream's events make, in its own dialect. Converse's are `{"name": payload}`.
pub(super) fn put_together(wire: Wire, events: &[Value]) -> Value {
    match wire {
        Wire::Chat => chat_stream(events),
        Wire::Messages => messages_stream(events),
        Wire::Converse => converse_stream(events),
    }
}

/// The JSON of the `data` lines of a stream.
pub(super) fn data(stream: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(stream);
    let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
    data.filter_map(|data| serde_json::from_str(data.trim()).ok()).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn chat(answer: &Value) -> Said {
    let choice = &answer["choices"][0];
    let message = &choice["message"];
    let mut said = Said { refusal: text(&message["refusal"]), text: text(&message["content"]), ..Said::default() };
    for part in message["content"].as_array().into_iter().flatten() {
        match part["type"].as_str() {
            Some("thinking") => {
                let inner = part["thinking"].as_array().into_iter().flatten();
                said.thinking.extend(inner.map(|inner| text(&inner["text"])));
            }
            _ => said.text.push_str(&text(&part["text"])),
        }
    }
    let spelled = ["reasoning_content", "reasoning"].map(|name| text(&message[name]));
    said.thinking.push_str(spelled.iter().find(|text| !text.is_empty()).map_or("", String::as_str));
    let told = !said.thinking.is_empty();
    for detail in message["reasoning_details"].as_array().into_iter().flatten() {
        let claudes = detail["format"].as_str().is_none_or(|format| format == "anthropic-claude-v1");
        match detail["type"].as_str() {
            Some("reasoning.text" | "reasoning.summary") if !told => {
                said.thinking.extend(["text", "summary"].map(|name| text(&detail[name])));
            }
            Some("reasoning.encrypted") if claudes => said.redacted.push(text(&detail["data"])),
            _ => {}
        }
        said.signatures.extend(detail["signature"].as_str().filter(|_| claudes).map(str::to_owned));
    }
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let function = &call["function"];
        let arguments = input(&text(&function["arguments"]));
        said.calls.push(Called { id: text(&call["id"]), name: text(&function["name"]), input: arguments });
    }
    said.stop = match choice["finish_reason"].as_str() {
        Some("length") => Stop::Length,
        Some("tool_calls" | "function_call") => Stop::Tools,
        Some("content_filter") => Stop::Filtered,
        // Some vendors say "stop" whatever came.
        _ if !said.calls.is_empty() => Stop::Tools,
        _ if !said.refusal.is_empty() => Stop::Filtered,
        _ => Stop::End,
    };
    let usage = if answer["usage"].is_object() { &answer["usage"] } else { &answer["x_groq"]["usage"] };
    said.usage = usage.is_object().then(|| chat_usage(usage));
    said
}

fn chat_usage(usage: &Value) -> Usage {
    let (input, output) = (number(&usage["prompt_tokens"]), number(&usage["completion_tokens"]));
    // xAI and Gemini leave reasoning out of the answer's tokens, and count it in the sum.
    let unsaid = number(&usage["total_tokens"]).saturating_sub(input + output);
    let prompt = &usage["prompt_tokens_details"];
    Usage {
        input,
        // One of Azure's models counts more from the cache than there was.
        cache_read: number(&prompt["cached_tokens"]).min(input),
        cache_write: number(&prompt["cache_write_tokens"]),
        output: output + unsaid,
        reasoning: number(&usage["completion_tokens_details"]["reasoning_tokens"]).max(unsaid),
    }
}

fn chat_stream(events: &[Value]) -> Value {
    let mut message = Map::new();
    let mut calls: Vec<Value> = Vec::new();
    let mut details: Vec<Value> = Vec::new();
    let mut finish = Value::Null;
    let mut usage = Value::Null;
    for event in events {
        for spent in [&event["usage"], &event["x_groq"]["usage"]].into_iter().filter(|spent| spent.is_object()) {
            usage = spent.clone();
        }
        let choices = event["choices"].as_array().into_iter().flatten();
        for choice in choices.filter(|choice| number(&choice["index"]) == 0) {
            if choice["finish_reason"].is_string() {
                finish = choice["finish_reason"].clone();
            }
            for (name, more) in choice["delta"].as_object().into_iter().flatten() {
                match (name.as_str(), more) {
                    ("tool_calls", Value::Array(fragments)) => {
                        fragments.iter().for_each(|one| chat_call(&mut calls, one))
                    }
                    ("reasoning_details", Value::Array(more)) => details.extend(more.iter().cloned()),
                    ("content", Value::Array(parts)) => parts.iter().for_each(|part| chat_part(&mut message, part)),
                    ("content" | "refusal" | "reasoning" | "reasoning_content", Value::String(more)) => {
                        let so_far = text(message.get(name).unwrap_or(&Value::Null));
                        message.insert(name.clone(), Value::from(so_far + more));
                    }
                    _ => {}
                }
            }
        }
    }
    for (name, list) in [("tool_calls", calls), ("reasoning_details", details)] {
        if !list.is_empty() {
            message.insert(name.to_owned(), Value::Array(list));
        }
    }
    json!({ "choices": [{ "index": 0, "message": message, "finish_reason": finish }], "usage": usage })
}

/// A part of Mistral's content: its thinking is kept where others have theirs.
fn chat_part(message: &mut Map<String, Value>, part: &Value) {
    let (name, more) = match part["type"].as_str() {
        Some("thinking") => {
            let inner = part["thinking"].as_array().into_iter().flatten();
            ("reasoning_content", inner.map(|inner| text(&inner["text"])).collect())
        }
        _ => ("content", text(&part["text"])),
    };
    let so_far = text(message.get(name).unwrap_or(&Value::Null));
    message.insert(name.to_owned(), Value::from(so_far + &more));
}

fn chat_call(calls: &mut Vec<Value>, fragment: &Value) {
    let at = fragment["index"].as_u64().map_or(calls.len(), |index| usize::try_from(index).unwrap());
    if at == calls.len() {
        calls.push(json!({ "id": "", "function": { "name": "", "arguments": "" } }));
    }
    let call = &mut calls[at];
    if fragment["id"].is_string() {
        call["id"] = fragment["id"].clone();
    }
    for name in ["name", "arguments"] {
        let both = text(&call["function"][name]) + &text(&fragment["function"][name]);
        call["function"][name] = Value::from(both);
    }
}

fn messages(answer: &Value) -> Said {
    let mut said = Said::default();
    for block in answer["content"].as_array().into_iter().flatten() {
        match block["type"].as_str() {
            Some("text") => said.text.push_str(&text(&block["text"])),
            Some("thinking") => {
                said.thinking.push_str(&text(&block["thinking"]));
                said.signatures.extend(block["signature"].as_str().filter(|text| signs(text)).map(str::to_owned));
            }
            Some("redacted_thinking") => said.redacted.push(text(&block["data"])),
            Some("tool_use") => said.calls.push(Called {
                id: text(&block["id"]),
                name: text(&block["name"]),
                input: block["input"].clone(),
            }),
            // What Anthropic's own tools do is no part of a conversation elsewhere.
            _ => {}
        }
    }
    said.stop = match answer["stop_reason"].as_str() {
        Some("stop_sequence") => Stop::Sequence,
        Some("max_tokens" | "model_context_window_exceeded") => Stop::Length,
        Some("tool_use") => Stop::Tools,
        Some("refusal") => Stop::Filtered,
        Some("pause_turn") => Stop::Paused,
        _ => Stop::End,
    };
    said.sequence = answer["stop_sequence"].as_str().map(str::to_owned);
    let usage = &answer["usage"];
    let (read, written) = (number(&usage["cache_read_input_tokens"]), number(&usage["cache_creation_input_tokens"]));
    said.usage = usage.is_object().then(|| Usage {
        input: number(&usage["input_tokens"]) + read + written,
        cache_read: read,
        cache_write: written,
        output: number(&usage["output_tokens"]),
        reasoning: number(&usage["output_tokens_details"]["thinking_tokens"]),
    });
    said
}

/// Whether it is Claude's: the gateway marks other vendors' thinking, because the field must be there.
pub(super) fn signs(signature: &str) -> bool {
    !signature.is_empty() && signature != "backstop:unsigned"
}

fn messages_stream(events: &[Value]) -> Value {
    let mut message = Value::Null;
    let mut blocks: Vec<Value> = Vec::new();
    let mut inputs: Vec<String> = Vec::new();
    for event in events {
        let at = usize::try_from(number(&event["index"])).unwrap();
        match event["type"].as_str() {
            Some("message_start") => message = event["message"].clone(),
            Some("content_block_start") => {
                blocks.push(event["content_block"].clone());
                inputs.push(String::new());
            }
            Some("content_block_delta") => {
                let delta = &event["delta"];
                for name in ["text", "thinking", "signature"] {
                    if let Some(more) = delta[name].as_str() {
                        blocks[at][name] = Value::from(text(&blocks[at][name]) + more);
                    }
                }
                inputs[at].push_str(delta["partial_json"].as_str().unwrap_or_default());
            }
            Some("message_delta") => {
                for name in ["stop_reason", "stop_sequence"] {
                    message[name] = event["delta"][name].clone();
                }
                for (name, count) in event["usage"].as_object().into_iter().flatten().filter(|(_, at)| !at.is_null()) {
                    message["usage"][name] = count.clone();
                }
            }
            _ => {}
        }
    }
    for (block, text) in blocks.iter_mut().zip(&inputs).filter(|(block, _)| block["type"] == "tool_use") {
        block["input"] = input(text);
    }
    if message.is_object() {
        message["content"] = Value::Array(blocks);
    }
    message
}

fn converse(answer: &Value) -> Said {
    let mut said = Said::default();
    for block in answer["output"]["message"]["content"].as_array().into_iter().flatten() {
        said.text.push_str(&text(&block["text"]));
        let thought = &block["reasoningContent"];
        said.thinking.push_str(&text(&thought["reasoningText"]["text"]));
        said.signatures.extend(thought["reasoningText"]["signature"].as_str().map(str::to_owned));
        said.redacted.extend(thought["redactedContent"].as_str().map(str::to_owned));
        let call = &block["toolUse"];
        // What Amazon's own tools do is no part of a conversation elsewhere.
        if call.is_object() && call["type"] != "server_tool_use" {
            let input = if call["input"].is_null() { json!({}) } else { call["input"].clone() };
            said.calls.push(Called { id: text(&call["toolUseId"]), name: text(&call["name"]), input });
        }
    }
    said.stop = match answer["stopReason"].as_str() {
        Some("stop_sequence") => Stop::Sequence,
        Some("max_tokens" | "model_context_window_exceeded") => Stop::Length,
        Some("tool_use") => Stop::Tools,
        Some("guardrail_intervened" | "content_filtered") => Stop::Filtered,
        _ => Stop::End,
    };
    said.sequence = answer["additionalModelResponseFields"]["stop_sequence"].as_str().map(str::to_owned);
    let usage = &answer["usage"];
    let (read, written) = (number(&usage["cacheReadInputTokens"]), number(&usage["cacheWriteInputTokens"]));
    said.usage = usage.is_object().then(|| Usage {
        input: number(&usage["inputTokens"]) + read + written,
        cache_read: read,
        cache_write: written,
        output: number(&usage["outputTokens"]),
        reasoning: 0,
    });
    said
}

fn converse_stream(events: &[Value]) -> Value {
    let mut blocks: Vec<Value> = Vec::new();
    let mut answer = json!({});
    for event in events {
        for (name, payload) in event.as_object().into_iter().flatten() {
            let at = usize::try_from(number(&payload["contentBlockIndex"])).unwrap();
            match name.as_str() {
                "contentBlockStart" | "contentBlockDelta" => {
                    blocks.resize(blocks.len().max(at + 1), json!({}));
                    let more = if name == "contentBlockStart" { &payload["start"] } else { &payload["delta"] };
                    converse_block(&mut blocks[at], more);
                }
                "messageStop" => {
                    answer["stopReason"] = payload["stopReason"].clone();
                    answer["additionalModelResponseFields"] = payload["additionalModelResponseFields"].clone();
                }
                "metadata" => answer["usage"] = payload["usage"].clone(),
                _ => {}
            }
        }
    }
    for block in &mut blocks {
        if let Some(text) = block["toolUse"]["input"].as_str().map(input) {
            block["toolUse"]["input"] = text;
        }
    }
    answer["output"] = json!({ "message": { "content": blocks } });
    answer
}

fn converse_block(block: &mut Value, more: &Value) {
    let mut grow = |pointer: &[&str], more: &Value| {
        if let Some(more) = more.as_str() {
            let place = pointer.iter().fold(&mut *block, |place, name| &mut place[*name]);
            *place = Value::from(text(place) + more);
        }
    };
    grow(&["text"], &more["text"]);
    for name in ["toolUseId", "name", "type", "input"] {
        grow(&["toolUse", name], &more["toolUse"][name]);
    }
    for name in ["text", "signature"] {
        grow(&["reasoningContent", "reasoningText", name], &more["reasoningContent"][name]);
    }
    grow(&["reasoningContent", "redactedContent"], &more["reasoningContent"]["redactedContent"]);
}
