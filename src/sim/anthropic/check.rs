//! What Anthropic refuses, where a translation goes wrong easily: each with the vendor's own words.
//!
//! Pure. Owns those rules. Refuses to be complete: fields that it does not know pass.

use serde_json::Value;

use crate::sim::encode::is_base64;
use crate::sim::thinking;

/// Cache marks that a request may have.
const MARKS: usize = 4;
/// The least that thinking may be given, in tokens.
const LEAST_BUDGET: u64 = 1_024;

/// A block of a message, and where it stands.
#[derive(Clone, Copy)]
struct Block<'a> {
    message: usize,
    at: usize,
    value: &'a Value,
}

/// A run of messages of one role, which the vendor merges.
struct Turn<'a> {
    role: &'a str,
    blocks: Vec<Block<'a>>,
}

/// Why the vendor refuses the request, if it does. `counts`: only tokens are to be counted.
pub(super) fn refusal(body: &Value, counts: bool) -> Option<String> {
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let turns = turns(messages);
    fields(body, counts)
        .or_else(|| tools(body))
        .or_else(|| messages.iter().enumerate().find_map(|(at, message)| text(at, message, messages.len())))
        .or_else(|| turns.iter().flat_map(|turn| &turn.blocks).find_map(|block| shape(*block)))
        .or_else(|| pairs(&turns))
        .or_else(|| thinks(body, &turns))
}

/// Whether the last message brings what a tool said.
pub(super) fn has_results(body: &Value) -> bool {
    let last = body["messages"].as_array().and_then(|messages| messages.last());
    last.is_some_and(|last| {
        last["content"].as_array().into_iter().flatten().any(|block| block["type"] == "tool_result")
    })
}

/// The cache marks of a request.
pub(super) fn marks(body: &Value) -> usize {
    ["system", "tools", "messages"].iter().map(|part| marks_in(&body[*part])).sum()
}

fn marks_in(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(marks_in).sum(),
        Value::Object(fields) => {
            // Inputs and schemas are the client's own.
            let own = fields.iter().filter(|(name, _)| !matches!(name.as_str(), "input" | "input_schema"));
            let marked = fields.get("cache_control").is_some_and(Value::is_object);
            usize::from(marked) + own.map(|(_, field)| marks_in(field)).sum::<usize>()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn fields(body: &Value, counts: bool) -> Option<String> {
    let refuse = |text: &str| Some(text.to_owned());
    let blank = |stop: &Value| stop.as_str().is_some_and(|stop| stop.trim().is_empty());
    if body["model"].as_str().is_none_or(str::is_empty) {
        refuse("model: Field required")
    } else if body.get("max_tokens").is_none() && !counts {
        refuse("max_tokens: Field required")
    } else if !counts && body["max_tokens"].as_u64().is_none_or(|most| most == 0) {
        refuse("max_tokens: Input should be greater than or equal to 1")
    } else if body.get("messages").is_none() {
        refuse("messages: Field required")
    } else if body["messages"].as_array().is_none_or(Vec::is_empty) {
        refuse("messages: at least one message is required")
    } else if body["temperature"].as_f64().is_some_and(|heat| !(0.0..=1.0).contains(&heat)) {
        refuse("temperature: range: 0..1")
    } else if body["stop_sequences"].as_array().into_iter().flatten().any(blank) {
        refuse("stop_sequences: each stop sequence must contain non-whitespace")
    } else if marks(body) > MARKS {
        let found = marks(body);
        Some(format!("A maximum of {MARKS} blocks with cache_control may be provided. Found {found}."))
    } else {
        None
    }
}

fn tools(body: &Value) -> Option<String> {
    let tools = body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    if body.get("tool_choice").is_some_and(Value::is_object) && tools.is_empty() {
        return Some("tool_choice: `tool_choice` may only be specified while providing `tools`".to_owned());
    }
    let own = |tool: &Value| tool.get("type").is_none_or(|kind| kind == "custom");
    tools.iter().enumerate().filter(|(_, tool)| own(tool)).find_map(|(at, tool)| {
        let name = tool["name"].as_str().unwrap_or_default();
        if !is_word(name) || name.len() > 128 {
            Some(format!("tools.{at}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"))
        } else if !tool["input_schema"].is_object() {
            Some(format!("tools.{at}.custom.input_schema: Field required"))
        } else if tool["input_schema"]["type"] != "object" {
            Some(format!("tools.{at}.custom.input_schema.type: Input should be 'object'"))
        } else {
            None
        }
    })
}

/// Roles, and text that says nothing. Only the last message of the assistant may be empty.
fn text(at: usize, message: &Value, count: usize) -> Option<String> {
    let role = message["role"].as_str().unwrap_or_default();
    if !matches!(role, "user" | "assistant" | "system") {
        return Some(format!("messages.{at}.role: Input should be 'user' or 'assistant'"));
    }
    let (empty, texts): (bool, Vec<&str>) = match &message["content"] {
        Value::String(text) => (text.is_empty(), vec![text]),
        Value::Array(blocks) => (
            blocks.is_empty(),
            blocks.iter().filter(|block| block["type"] == "text").map(|b| b["text"].as_str().unwrap_or("")).collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            return Some(format!("messages.{at}.content: Input should be a valid list"));
        }
    };
    if empty && (role != "assistant" || at + 1 < count) {
        let text = "all messages must have non-empty content except for the optional final assistant message";
        Some(format!("messages.{at}: {text}"))
    } else if !empty && texts.iter().any(|text| text.is_empty()) {
        Some("messages: text content blocks must be non-empty".to_owned())
    } else if !empty && texts.iter().any(|text| text.trim().is_empty()) {
        Some("messages: text content blocks must contain non-whitespace text".to_owned())
    } else {
        None
    }
}

fn turns(messages: &[Value]) -> Vec<Turn<'_>> {
    let mut turns: Vec<Turn<'_>> = Vec::new();
    for (message, value) in messages.iter().enumerate() {
        let role = value["role"].as_str().unwrap_or_default();
        // A text alone is a block of text.
        let content = &value["content"];
        let blocks = content.as_array().map_or(std::slice::from_ref(content), Vec::as_slice).iter().enumerate();
        let blocks = blocks.map(|(at, value)| Block { message, at, value });
        match turns.last_mut().filter(|turn| turn.role == role) {
            Some(turn) => turn.blocks.extend(blocks),
            None if role == "system" => {}
            None => turns.push(Turn { role, blocks: blocks.collect() }),
        }
    }
    turns
}

/// What a block may hold.
fn shape(Block { message, at, value }: Block<'_>) -> Option<String> {
    let place = |field: &str, text: &str| Some(format!("messages.{message}.content.{at}.{field}: {text}"));
    let pattern = "String should match pattern '^[a-zA-Z0-9_-]+$'";
    let word = |field: &str| value[field].as_str().is_some_and(is_word);
    let kind = value["type"].as_str().unwrap_or_default();
    let source = &value["source"];
    match kind {
        "tool_use" if !word("id") => place("tool_use.id", pattern),
        "tool_use" if !word("name") => place("tool_use.name", pattern),
        "tool_use" if !value["input"].is_object() => place("tool_use.input", "Input should be a valid dictionary"),
        "tool_result" if !word("tool_use_id") => place("tool_result.tool_use_id", pattern),
        "image" | "document" if source["type"] == "base64" => {
            let media = source["media_type"].as_str().unwrap_or_default();
            let known = ["image/jpeg", "image/png", "image/gif", "image/webp", "application/pdf"];
            if !known.contains(&media) {
                place(&format!("{kind}.source.base64.media_type"), "Input should be 'image/jpeg', 'image/png', …")
            } else if !source["data"].as_str().is_some_and(is_base64) {
                place(&format!("{kind}.source.base64.data"), "invalid base64 data")
            } else {
                None
            }
        }
        "image" | "document" if source["type"] == "url" => {
            let url = source["url"].as_str().unwrap_or_default();
            let good = url.starts_with("https://") || url.starts_with("http://");
            if good { None } else { place(&format!("{kind}.source.url.url"), "Only HTTP(S) URLs are supported") }
        }
        "thinking" => {
            let text = value["thinking"].as_str().unwrap_or_default();
            match value["signature"].as_str() {
                None => place("thinking.signature", "Field required"),
                Some(signature) if thinking::is_signed(text, signature) => None,
                Some(_) => Some(format!("messages.{message}.content.{at}: Invalid `signature` in `thinking` block")),
            }
        }
        _ => None,
    }
}

/// Every call has its result at the start of the next turn, every result its call in the turn before.
fn pairs(turns: &[Turn<'_>]) -> Option<String> {
    let ids = |turn: &Turn<'_>, kind: &str, field: &str| -> Vec<String> {
        let blocks = turn.blocks.iter().filter(|block| block.value["type"] == kind);
        blocks.filter_map(|block| block.value[field].as_str().map(str::to_owned)).collect()
    };
    turns.iter().enumerate().find_map(|(at, turn)| {
        let before = at.checked_sub(1).and_then(|at| turns.get(at));
        let called = before.filter(|turn| turn.role == "assistant").map(|turn| ids(turn, "tool_use", "id"));
        let called = called.unwrap_or_default();
        let results = turn.blocks.iter().filter(|block| block.value["type"] == "tool_result");
        for Block { message, at, value } in results.copied() {
            let id = value["tool_use_id"].as_str().unwrap_or_default();
            if !called.iter().any(|call| call == id) {
                return Some(format!(
                    "messages.{message}.content.{at}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. \
                     Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
                ));
            }
        }
        let calls = if turn.role == "assistant" { ids(turn, "tool_use", "id") } else { Vec::new() };
        let next = turns.get(at + 1).into_iter().flat_map(|turn| &turn.blocks);
        let answered: Vec<&str> = next
            .take_while(|block| block.value["type"] == "tool_result")
            .filter_map(|block| block.value["tool_use_id"].as_str())
            .collect();
        let left: Vec<String> = calls.into_iter().filter(|id| !answered.contains(&id.as_str())).collect();
        let message = turn.blocks.first().map_or(0, |block| block.message);
        (!left.is_empty()).then(|| {
            format!(
                "messages.{message}: `tool_use` ids were found without `tool_result` blocks immediately after: {}. Each \
                 `tool_use` block must have a corresponding `tool_result` block in the next message.",
                left.join(", ")
            )
        })
    })
}

/// What thinking forbids.
fn thinks(body: &Value, turns: &[Turn<'_>]) -> Option<String> {
    let kind = body["thinking"]["type"].as_str().unwrap_or_default();
    if !matches!(kind, "enabled" | "adaptive") {
        return None;
    }
    let budget = body["thinking"]["budget_tokens"].as_u64().unwrap_or(0);
    let most = body["max_tokens"].as_u64().unwrap_or(u64::MAX);
    if kind == "enabled" && budget < LEAST_BUDGET {
        let text = "thinking.enabled.budget_tokens: Input should be greater than or equal to";
        return Some(format!("{text} {LEAST_BUDGET}"));
    }
    if kind == "enabled" && budget >= most {
        return Some("`max_tokens` must be greater than `thinking.budget_tokens`.".to_owned());
    }
    if body["temperature"].as_f64().is_some_and(|heat| heat < 1.0) {
        return Some("`temperature` may only be set to 1 when thinking is enabled.".to_owned());
    }
    if matches!(body["tool_choice"]["type"].as_str(), Some("any" | "tool")) {
        return Some("Thinking may not be enabled when tool_choice forces tool use.".to_owned());
    }
    // Only a turn that goes on has to have begun with thinking: a prefill, and the one whose tools have just answered.
    let last = match turns {
        [.., last] if last.role == "assistant" => last,
        [.., last, results] if results.blocks.iter().any(|block| block.value["type"] == "tool_result") => last,
        _ => return None,
    };
    let first = last.blocks.first().filter(|_| kind == "enabled")?;
    let found = first.value["type"].as_str().unwrap_or("text");
    (!matches!(found, "thinking" | "redacted_thinking")).then(|| {
        format!(
            "messages.{}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{found}`. When `thinking` \
             is enabled, a final `assistant` message must start with a thinking block.",
            first.message
        )
    })
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}
