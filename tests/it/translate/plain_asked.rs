//! The meaning of requests as it stands in their JSON.
//!
//! Owns a naive reader for each dialect, which knows nothing of the product's. Blank texts mean nothing. Refuses to judge.

use serde_json::{Value, json};

use super::Wire;
use super::asked::{Asked, Choice, Offered, Piece, Place, Who};
use super::plain_said::signs;
use super::said::{Called, input};
use super::traffic::base64;

/// The meaning of a request.
pub(super) fn asked(wire: Wire, request: &Value) -> Asked {
    match wire {
        Wire::Chat => chat(request),
        Wire::Messages => messages(request),
        Wire::Converse => converse(request),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn strings(value: &Value) -> Vec<String> {
    if value.is_string() { vec![text(value)] } else { list(value).iter().map(text).collect() }
}

/// A string, or a list of parts read by `part`.
fn content(content: &Value, part: impl Fn(&Value) -> Option<Piece>) -> Vec<Piece> {
    let pieces = match content.as_str() {
        Some(text) => vec![Piece::Text(text.to_owned())],
        None => list(content).iter().filter_map(part).collect(),
    };
    pieces.into_iter().filter(|piece| !matches!(piece, Piece::Text(text) if text.trim().is_empty())).collect()
}

/// A data URL is bytes; any other is a place.
fn url(url: &str) -> Place {
    match url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) {
        Some((kind, data)) => Place::here(kind, base64(data)),
        None => Place::Url(url.to_owned()),
    }
}

fn chat(request: &Value) -> Asked {
    let mut asked = Asked::default();
    for message in list(&request["messages"]) {
        let mut pieces = Vec::new();
        let thought = ["reasoning_content", "reasoning"].map(|name| text(&message[name]));
        if let Some(text) = thought.into_iter().find(|text| !text.is_empty()) {
            pieces.push(Piece::Thinking { text, signature: None });
        }
        pieces.extend(content(&message["content"], chat_part));
        match message["role"].as_str() {
            Some("system" | "developer") => asked.system.extend(pieces.into_iter().filter_map(|piece| match piece {
                Piece::Text(text) => Some(text),
                _ => None,
            })),
            Some("tool") => {
                let id = text(&message["tool_call_id"]);
                asked.say(Who::User, vec![Piece::Result { id, parts: pieces, error: false }]);
            }
            Some("assistant") => {
                pieces.extend(content(&message["refusal"], |_| None));
                pieces.extend(list(&message["tool_calls"]).iter().map(|call| {
                    let function = &call["function"];
                    let input = input(&text(&function["arguments"]));
                    Piece::Call(Called { id: text(&call["id"]), name: text(&function["name"]), input })
                }));
                asked.say(Who::Model, pieces);
            }
            _ => asked.say(Who::User, pieces),
        }
    }
    for tool in list(&request["tools"]).iter().filter(|tool| tool["type"] == "function") {
        asked.tools.push(offered(&tool["function"], &tool["function"]["parameters"]));
    }
    asked.choice = match &request["tool_choice"] {
        Value::String(word) if word == "none" => Choice::Never,
        Value::String(word) if word == "required" => Choice::Any,
        choice if choice["type"] == "function" => Choice::Named(text(&choice["function"]["name"])),
        _ => Choice::Auto,
    };
    asked.parallel = request["parallel_tool_calls"].as_bool();
    asked.schema = match request["response_format"]["type"].as_str() {
        Some("json_schema") => Some(request["response_format"]["json_schema"]["schema"].clone()),
        Some("json_object") => Some(Value::Bool(true)),
        _ => None,
    };
    asked.max_tokens = request["max_completion_tokens"].as_u64().or(request["max_tokens"].as_u64());
    asked.temperature = request["temperature"].as_f64();
    asked.top_p = request["top_p"].as_f64();
    asked.top_k = request["top_k"].as_u64();
    asked.stop = strings(&request["stop"]);
    asked.stream = request["stream"] == true;
    asked.thinks = request["reasoning_effort"].as_str().is_some_and(|effort| effort != "none");
    asked
}

fn chat_part(part: &Value) -> Option<Piece> {
    match part["type"].as_str()? {
        "text" => Some(Piece::Text(text(&part["text"]))),
        "refusal" => Some(Piece::Text(text(&part["refusal"]))),
        "image_url" => Some(Piece::Image(url(part["image_url"]["url"].as_str()?))),
        "file" => {
            let file = &part["file"];
            let id = || Place::File(text(&file["file_id"]));
            let name = file["filename"].as_str().map(str::to_owned);
            Some(Piece::Document(file["file_data"].as_str().map_or_else(id, url), name))
        }
        // Mistral's.
        "document_url" => Some(Piece::Document(url(part["document_url"].as_str()?), None)),
        "input_audio" => Some(Piece::Audio),
        "thinking" => {
            let inner: String = list(&part["thinking"]).iter().map(|inner| text(&inner["text"])).collect();
            Some(Piece::Thinking { text: inner, signature: None })
        }
        _ => None,
    }
}

fn offered(tool: &Value, schema: &Value) -> Offered {
    // No schema is one that any object follows, and every one is of an object.
    let mut schema = if schema.is_object() { schema.clone() } else { json!({}) };
    if schema["type"].is_null() {
        schema["type"] = Value::from("object");
    }
    if schema == json!({ "type": "object" }) {
        schema["properties"] = json!({});
    }
    Offered { name: text(&tool["name"]), description: text(&tool["description"]), schema }
}

fn messages(request: &Value) -> Asked {
    let mut asked = Asked::default();
    let words = |value: &Value| {
        content(value, messages_part).into_iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text),
            _ => None,
        })
    };
    asked.system.extend(words(&request["system"]));
    for message in list(&request["messages"]) {
        match message["role"].as_str() {
            Some("system") => asked.system.extend(words(&message["content"])),
            Some("assistant") => asked.say(Who::Model, content(&message["content"], messages_part)),
            _ => asked.say(Who::User, content(&message["content"], messages_part)),
        }
    }
    // Anthropic's own tools have a type and a version; what they do no other vendor can.
    let tools = list(&request["tools"]).iter().filter(|tool| tool["type"].as_str().is_none_or(|kind| kind == "custom"));
    asked.tools = tools.map(|tool| offered(tool, &tool["input_schema"])).collect();
    asked.choice = match request["tool_choice"]["type"].as_str() {
        Some("none") => Choice::Never,
        Some("any") => Choice::Any,
        Some("tool") => Choice::Named(text(&request["tool_choice"]["name"])),
        _ => Choice::Auto,
    };
    asked.parallel = request["tool_choice"]["disable_parallel_tool_use"].as_bool().map(|disabled| !disabled);
    let format = &request["output_config"]["format"];
    let format = if format.is_null() { &request["output_format"] } else { format };
    asked.schema = (format["type"] == "json_schema").then(|| format["schema"].clone());
    asked.max_tokens = request["max_tokens"].as_u64();
    asked.temperature = request["temperature"].as_f64();
    asked.top_p = request["top_p"].as_f64();
    asked.top_k = request["top_k"].as_u64();
    asked.stop = strings(&request["stop_sequences"]);
    asked.stream = request["stream"] == true;
    asked.thinks = matches!(request["thinking"]["type"].as_str(), Some("enabled" | "adaptive"));
    asked
}

fn messages_part(block: &Value) -> Option<Piece> {
    match block["type"].as_str()? {
        "text" => Some(Piece::Text(text(&block["text"]))),
        "image" => Some(Piece::Image(source(&block["source"])?)),
        "document" => {
            let name = block["title"].as_str().map(str::to_owned);
            Some(Piece::Document(source(&block["source"])?, name))
        }
        "tool_use" => {
            let (id, name) = (text(&block["id"]), text(&block["name"]));
            Some(Piece::Call(Called { id, name, input: block["input"].clone() }))
        }
        "tool_result" => Some(Piece::Result {
            id: text(&block["tool_use_id"]),
            parts: content(&block["content"], messages_part),
            error: block["is_error"] == true,
        }),
        "thinking" => {
            let signature = block["signature"].as_str().filter(|text| signs(text)).map(str::to_owned);
            Some(Piece::Thinking { text: text(&block["thinking"]), signature })
        }
        "redacted_thinking" => Some(Piece::Redacted(text(&block["data"]))),
        _ => None,
    }
}

fn source(source: &Value) -> Option<Place> {
    Some(match source["type"].as_str()? {
        "base64" => Place::here(source["media_type"].as_str()?, base64(source["data"].as_str()?)),
        "url" => Place::Url(text(&source["url"])),
        "text" => Place::Text(text(&source["data"])),
        _ => Place::File(text(&source["file_id"])),
    })
}

fn converse(request: &Value) -> Asked {
    let mut asked = Asked::default();
    let system = list(&request["system"]).iter().filter_map(|part| part["text"].as_str());
    asked.system.extend(system.map(str::to_owned));
    for message in list(&request["messages"]) {
        let who = if message["role"] == "assistant" { Who::Model } else { Who::User };
        asked.say(who, content(&message["content"], converse_part));
    }
    let tools = &request["toolConfig"];
    for tool in list(&tools["tools"]).iter().map(|tool| &tool["toolSpec"]).filter(|tool| tool.is_object()) {
        asked.tools.push(offered(tool, &tool["inputSchema"]["json"]));
    }
    asked.choice = match &tools["toolChoice"] {
        choice if choice["any"].is_object() => Choice::Any,
        choice if choice["tool"].is_object() => Choice::Named(text(&choice["tool"]["name"])),
        _ => Choice::Auto,
    };
    let more = &request["additionalModelRequestFields"];
    asked.parallel = more["tool_choice"]["disable_parallel_tool_use"].as_bool().map(|disabled| !disabled);
    let format = &request["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"];
    asked.schema = format.as_str().map(|schema| serde_json::from_str(schema).expect("a schema is JSON"));
    let inference = &request["inferenceConfig"];
    asked.max_tokens = inference["maxTokens"].as_u64();
    asked.temperature = inference["temperature"].as_f64();
    asked.top_p = inference["topP"].as_f64();
    asked.top_k = more["top_k"].as_u64().or(more["inferenceConfig"]["topK"].as_u64());
    asked.stop = strings(&inference["stopSequences"]);
    asked
}

fn converse_part(block: &Value) -> Option<Piece> {
    let (kind, inner) = block.as_object()?.iter().next()?;
    let place = |prefix: &str| {
        let source = &inner["source"];
        let kind = format!("{prefix}{}", text(&inner["format"]));
        source["text"].as_str().map_or_else(
            || Place::here(&kind, base64(source["bytes"].as_str().unwrap_or_default())),
            |text| Place::Text(text.to_owned()),
        )
    };
    match kind.as_str() {
        "text" => Some(Piece::Text(text(inner))),
        "json" => Some(Piece::Text(inner.to_string())),
        "image" => Some(Piece::Image(place("image/"))),
        "document" => Some(Piece::Document(place("application/"), None)),
        "toolUse" => {
            let (id, name) = (text(&inner["toolUseId"]), text(&inner["name"]));
            Some(Piece::Call(Called { id, name, input: inner["input"].clone() }))
        }
        "toolResult" => Some(Piece::Result {
            id: text(&inner["toolUseId"]),
            parts: content(&inner["content"], converse_part),
            error: inner["status"] == "error",
        }),
        "reasoningContent" => {
            let thought = &inner["reasoningText"];
            match inner["redactedContent"].as_str() {
                Some(data) => Some(Piece::Redacted(data.to_owned())),
                None => Some(Piece::Thinking {
                    text: text(&thought["text"]),
                    signature: thought["signature"].as_str().map(str::to_owned),
                }),
            }
        }
        _ => None,
    }
}
