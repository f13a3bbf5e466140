//! A whole answer, parsed.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::shape::{Asked, SERVER_TOOL, Tokens, stop};
use crate::dialect::canonical::{Answer, Call, Frame, Part, Text, ids};
use crate::dialect::openai_chat::response::Whole;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(borrow)]
    output: Output<'a>,
    stop_reason: String,
    usage: Option<Tokens>,
    service_tier: Option<Tier>,
    #[serde(borrow)]
    additional_model_response_fields: Option<Asked<'a>>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    message: Message<'a>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Vec<Block<'a>>,
}

#[derive(Deserialize)]
struct Tier {
    r#type: Option<String>,
}

/// One of these is there; what a client's dialect has no word for is passed over.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block<'a> {
    text: Option<String>,
    #[serde(borrow)]
    tool_use: Option<ToolUse<'a>>,
    reasoning_content: Option<Reasoning>,
    citations_content: Option<Cited>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUse<'a> {
    tool_use_id: Option<String>,
    name: Option<String>,
    r#type: Option<String>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reasoning {
    reasoning_text: Option<Thought>,
    redacted_content: Option<String>,
}

#[derive(Deserialize)]
struct Thought {
    text: Option<String>,
    signature: Option<String>,
}

#[derive(Deserialize)]
struct Cited {
    #[serde(default)]
    content: Vec<CitedText>,
}

#[derive(Deserialize)]
struct CitedText {
    text: Option<String>,
}

/// Reads an answer.
///
/// # Errors
/// It is an error, or no answer. What the model left malformed is an error, too.
pub fn parse(body: &[u8], frame: &Frame) -> Result<Answer, Whole> {
    // A derived struct would also take a list for its fields.
    let read = body.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice::<Body<'_>>(body));
    let Some(Ok(read)) = read else {
        return Err(if serde_json::from_slice::<IgnoredAny>(body).is_ok() { Whole::Error } else { Whole::NotJson });
    };
    let mut answer = Answer {
        usage: read.usage.map(Into::into),
        service_tier: read.service_tier.and_then(|tier| tier.r#type),
        stop_sequence: read.additional_model_response_fields.and_then(Asked::stop_sequence).map(Into::into),
        ..Answer::default()
    };
    let mut calls = 0;
    for block in read.output.message.content {
        add(&mut answer.parts, block, frame, &mut calls);
    }
    answer.stop = stop(&read.stop_reason, calls > 0).ok_or(Whole::Error)?;
    Ok(answer)
}

fn add(parts: &mut Vec<Part>, block: Block<'_>, frame: &Frame, calls: &mut usize) {
    let cited = block.citations_content.map(|cited| cited.content.into_iter().filter_map(|it| it.text).collect());
    if let Some(text) = block.text.or(cited).filter(|text: &String| !text.is_empty()) {
        parts.push(Part::Text(Text::new(text)));
    }
    if let Some(reasoning) = block.reasoning_content {
        if let Some(thought) = reasoning.reasoning_text {
            let signature = thought.signature.filter(|signature| !signature.is_empty());
            parts.push(Part::Thinking { text: thought.text.unwrap_or_default(), signature });
        }
        if let Some(data) = reasoning.redacted_content {
            parts.push(Part::Redacted { data });
        }
    }
    if let Some(call) = block.tool_use.filter(|call| call.r#type.as_deref() != Some(SERVER_TOOL)) {
        let id = call.tool_use_id.filter(|id| !id.is_empty()).unwrap_or_else(|| ids::mint(frame.id, *calls));
        let input = call.input.map_or("{}", RawValue::get).to_owned();
        parts.push(Part::Call(Call { id, name: call.name.unwrap_or_default(), input, ..Call::default() }));
        *calls += 1;
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
