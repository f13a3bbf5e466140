//! A whole answer: checked, parsed, rendered.
//!
//! Blocks that only Anthropic has (its own tools and what they found) are passed over; what the model says of it stays.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::blocks::Block;
use super::wire::{Str, Tokens, UNSIGNED, UsageOut, is_foreign, message_id, stop, stop_reason};
use crate::dialect::canonical::{Answer, Call, Frame, Part, Stop, Text, ids};
use crate::dialect::openai_chat::response::{Usage, Whole, not_an_answer};
use crate::dialect::openai_chat::shape::Weight;

/// A message, as far as the gateway reads it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    r#type: Option<MessageWord>,
    content: Option<Vec<IgnoredAny>>,
    error: Weight,
    usage: Option<Tokens>,
}

/// The word `message`.
#[derive(Deserialize)]
enum MessageWord {
    #[serde(rename = "message")]
    Message,
}

/// Looks at the body of a 200 answer that passes as it is.
#[must_use]
pub fn inspect(body: &[u8]) -> Whole {
    check(body, |message: Message| {
        let whole = message.r#type.is_some() && message.content.is_some() && !message.error.is_full();
        whole.then(|| message.usage.map(usage))
    })
}

/// Looks at the body of a 200 answer to a count of tokens. What is counted is not used.
#[must_use]
pub fn inspect_count(body: &[u8]) -> Whole {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Count {
        input_tokens: Option<u64>,
        error: Weight,
    }
    check(body, |count: Count| (count.input_tokens.is_some() && !count.error.is_full()).then_some(None))
}

fn check<'a, T: Deserialize<'a>>(body: &'a [u8], good: impl Fn(T) -> Option<Option<Usage>>) -> Whole {
    // A derived struct would also take a list for its fields.
    if !body.trim_ascii_start().starts_with(b"{") {
        return not_an_answer(body);
    }
    match serde_json::from_slice::<T>(body) {
        Ok(answer) => good(answer).map_or(Whole::Error, |usage| Whole::Good { usage }),
        Err(error) if error.classify() == Category::Data => not_an_answer(body),
        Err(_) => Whole::NotJson,
    }
}

/// Anthropic's counts in the neutral way: what is cached is part of the prompt.
pub(super) fn usage(tokens: Tokens) -> Usage {
    let usage = tokens.usage();
    Usage { prompt_tokens: usage.input, completion_tokens: usage.output }
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default)]
    id: Option<Str<'a>>,
    #[serde(borrow, default)]
    model: Option<Str<'a>>,
    #[serde(borrow)]
    content: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    stop_reason: Option<Str<'a>>,
    #[serde(borrow, default)]
    stop_sequence: Option<Str<'a>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Tier<'a> {
    #[serde(borrow, default)]
    service_tier: Option<Str<'a>>,
}

#[derive(Deserialize)]
struct BlockFields<'a> {
    #[serde(borrow, rename = "type")]
    kind: Str<'a>,
    #[serde(borrow, default)]
    text: Option<Str<'a>>,
    #[serde(borrow, default)]
    thinking: Option<Str<'a>>,
    #[serde(borrow, default)]
    signature: Option<Str<'a>>,
    #[serde(borrow, default)]
    data: Option<Str<'a>>,
    #[serde(borrow, default)]
    id: Option<Str<'a>>,
    #[serde(borrow, default)]
    name: Option<Str<'a>>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
}

/// Reads an answer.
///
/// # Errors
/// It is an error, or no answer.
pub fn parse(body: &[u8], frame: &Frame) -> Result<Answer, Whole> {
    match inspect(body) {
        Whole::Good { .. } => {}
        other => return Err(other),
    }
    let fields: Fields<'_> = serde_json::from_slice(body).map_err(|_| Whole::Error)?;
    let mut parts = Vec::with_capacity(fields.content.len());
    let mut calls = 0;
    for raw in fields.content {
        // A block of a kind that is not known may have anything in these fields.
        let Ok(block) = serde_json::from_str::<BlockFields<'_>>(raw.get()) else { continue };
        parts.extend(part(block, frame, &mut calls));
    }
    let text = |raw: Option<Str<'_>>| raw.map(Str::into_string);
    let tokens = |raw: &RawValue| serde_json::from_str::<Tokens>(raw.get()).ok();
    let tier = |raw: &RawValue| serde_json::from_str::<Tier<'_>>(raw.get()).ok()?.service_tier.map(Str::into_string);
    Ok(Answer {
        id: text(fields.id),
        model: text(fields.model),
        parts,
        stop: fields.stop_reason.map_or(Stop::End, |reason| stop(&reason.0)),
        stop_sequence: text(fields.stop_sequence),
        usage: fields.usage.and_then(tokens).map(Tokens::usage),
        service_tier: fields.usage.and_then(tier),
    })
}

fn part(block: BlockFields<'_>, frame: &Frame, calls: &mut usize) -> Option<Part> {
    Some(match block.kind.0.as_ref() {
        "text" => Part::Text(Text::new(block.text?.into_string())),
        "thinking" => {
            let signature = block.signature.map(Str::into_string);
            Part::Thinking {
                text: block.thinking.map(Str::into_string).unwrap_or_default(),
                signature: signature.filter(|signature| !is_foreign(Some(signature))),
            }
        }
        "redacted_thinking" => Part::Redacted { data: block.data?.into_string() },
        "tool_use" => {
            let index = *calls;
            *calls += 1;
            let id = block.id.filter(|id| !id.0.is_empty()).map(Str::into_string);
            Part::Call(Call {
                id: id.unwrap_or_else(|| ids::mint(frame.id, index)),
                name: block.name?.into_string(),
                input: block.input.map(|input| input.get().to_owned()).unwrap_or_default(),
                signature: None,
                cache: None,
            })
        }
        _ => return None,
    })
}

#[derive(Serialize)]
struct MessageOut<'a> {
    id: String,
    r#type: &'static str,
    role: &'static str,
    model: &'a str,
    content: Vec<Block<'a>>,
    stop_reason: &'static str,
    stop_sequence: Option<&'a str>,
    usage: UsageOut<'a>,
}

/// Writes an answer.
#[must_use]
pub fn render(answer: &Answer, frame: &Frame) -> Vec<u8> {
    let content: Vec<Block<'_>> = answer.parts.iter().filter_map(block).collect();
    let calls = content.iter().any(|block| matches!(block, Block::ToolUse { .. }));
    let refused = answer.parts.iter().any(|part| matches!(part, Part::Refusal(_)));
    let reason = stop_reason(answer.stop, calls, refused);
    let mut usage = UsageOut::new(answer.usage.unwrap_or_default());
    usage.service_tier =
        answer.service_tier.as_deref().filter(|tier| matches!(*tier, "standard" | "priority" | "batch"));
    let message = MessageOut {
        id: message_id(answer.id.as_deref(), frame),
        r#type: "message",
        role: "assistant",
        model: answer.model.as_deref().unwrap_or(&frame.model),
        content,
        stop_reason: reason,
        stop_sequence: answer.stop_sequence.as_deref().filter(|_| reason == "stop_sequence"),
        usage,
    };
    serde_json::to_vec(&message).unwrap_or_default()
}

fn block(part: &Part) -> Option<Block<'_>> {
    match part {
        Part::Text(text) if text.text.is_empty() => None,
        Part::Text(text) => Some(Block::Text { text: &text.text, cache_control: None }),
        Part::Refusal(text) if text.is_empty() => None,
        Part::Refusal(text) => Some(Block::Text { text, cache_control: None }),
        Part::Call(call) => Some(Block::call(call, Cow::Borrowed(call.id.as_str()))),
        Part::Thinking { text, signature } => {
            Some(Block::Thinking { thinking: text, signature: signature.as_deref().unwrap_or(UNSIGNED) })
        }
        Part::Redacted { data } => Some(Block::RedactedThinking { data }),
        // No model of a chat answers with these.
        Part::Image(_) | Part::Document(_) | Part::Audio { .. } | Part::Result(_) => None,
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
