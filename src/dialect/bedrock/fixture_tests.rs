//! Requests for the tests of this dialect, and how they are written.

use serde_json::{Value, json};

use super::render;
use crate::dialect::canonical::{
    Cache, Call, Cannot, Part, Profile, Rendered, Request, Role, Text, Tool, ToolResult, Turn,
};
use crate::dialect::vendor::Vendor;
use crate::policy::capability::Abilities;

pub(super) const SONNET: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
pub(super) const OLD: &str = "anthropic.claude-3-5-sonnet-20241022-v2:0";
pub(super) const NOVA: &str = "us.amazon.nova-2-lite-v1:0";
pub(super) const QWEN: &str = "qwen.qwen3-32b-v1:0";

pub(super) fn try_write(asked: &Request, model: &str) -> Result<Rendered, Cannot> {
    render::request(asked, &Profile { model, vendor: Vendor::Bedrock, abilities: &Abilities::default() })
}

/// The body, and what was dropped.
pub(super) fn write(asked: &Request, model: &str) -> (Value, Vec<String>) {
    let rendered = try_write(asked, model).unwrap();
    let dropped = rendered.dropped.iter().map(ToString::to_string).collect();
    (serde_json::from_slice(&rendered.body).unwrap(), dropped)
}

pub(super) fn text(text: &str) -> Part {
    Part::Text(Text::new(text))
}

pub(super) fn marked(text: &str, ttl: Option<&str>) -> Text {
    Text { text: text.into(), cache: Some(Cache { ttl: ttl.map(Into::into) }) }
}

pub(super) fn user(parts: Vec<Part>) -> Turn {
    Turn { role: Role::User, parts }
}

pub(super) fn model(parts: Vec<Part>) -> Turn {
    Turn { role: Role::Assistant, parts }
}

pub(super) fn call(id: &str, input: &str) -> Part {
    Part::Call(Call { id: id.into(), name: "f".into(), input: input.into(), ..Call::default() })
}

pub(super) fn result(id: &str, parts: Vec<Part>) -> Part {
    Part::Result(ToolResult { id: id.into(), parts, ..ToolResult::default() })
}

pub(super) fn tool(name: &str) -> Tool {
    let schema = serde_json::value::to_raw_value(&json!({"type": "object", "properties": {}})).unwrap();
    Tool { name: name.into(), description: Some("Does it.".into()), schema: Some(schema), strict: None, cache: None }
}

pub(super) fn asked(turns: Vec<Turn>) -> Request {
    Request { turns, ..Request::default() }
}
