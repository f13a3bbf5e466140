//! A whole answer: parsed, rendered.
//!
//! Owns the message of the first choice and what stands around it. Refuses to know who asked.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::response::{Whole, inspect};
use super::wire::{self, Said, Thought};
use super::written::{Counted, Detail, Extra, WrittenCall, WrittenFunction, answer_id, arguments, finish_reason};
use crate::dialect::canonical::{Answer, Call, Frame, Part, Stop, Text, ids};
use crate::dialect::endpoint::Endpoint;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    x_groq: Option<&'a RawValue>,
    #[serde(borrow, default)]
    service_tier: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Choice<'a> {
    #[serde(borrow)]
    message: Said<'a>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
    /// vLLM's: the stop text, or a token's number.
    #[serde(borrow)]
    stop_reason: Option<&'a RawValue>,
}

/// Reads an answer.
///
/// # Errors
/// It is an error, or no answer.
pub fn parse(body: &[u8], frame: &Frame) -> Result<Answer, Whole> {
    match inspect(body, Endpoint::Chat) {
        Whole::Good { .. } => {}
        bad @ (Whole::Error | Whole::NotJson) => return Err(bad),
    }
    let body: Body<'_> = serde_json::from_slice(body).map_err(|_| Whole::Error)?;
    let choice = body.choices.first().ok_or(Whole::Error)?;
    let owned = |raw| wire::text(raw).map(String::from);
    let (parts, refused) = message(&choice.message, frame);
    let calls = parts.iter().any(|part| matches!(part, Part::Call(_)));
    let reason = wire::text(choice.finish_reason);
    let mut stop_sequence = owned(choice.stop_reason);
    let stop = match reason.as_deref().map_or(Stop::End, wire::stop) {
        Stop::End if calls => Stop::Tools,
        Stop::End if refused => Stop::Filtered,
        Stop::End if stop_sequence.is_some() => Stop::Sequence,
        stop => stop,
    };
    if stop != Stop::Sequence {
        stop_sequence = None;
    }
    Ok(Answer {
        id: owned(body.id),
        model: owned(body.model),
        parts,
        stop,
        stop_sequence,
        usage: wire::usage(body.usage, body.x_groq),
        service_tier: owned(body.service_tier),
    })
}

/// The parts of a message, and whether it refuses.
fn message(said: &Said<'_>, frame: &Frame) -> (Vec<Part>, bool) {
    let mut parts = Vec::new();
    let mut refused = false;
    let mut signatures: Vec<(String, String)> = Vec::new();
    let mut add = |thought: Thought<'_>| match thought {
        Thought::Text(text) => parts.push(Part::Text(Text::new(text))),
        Thought::Refusal(text) => {
            refused = true;
            parts.push(Part::Refusal(text.into_owned()));
        }
        Thought::Thinking(more) => match parts.last_mut() {
            Some(Part::Thinking { text, signature: None }) => text.push_str(&more),
            _ => parts.push(Part::Thinking { text: more.into_owned(), signature: None }),
        },
        Thought::Signature(sign) => match parts.last_mut() {
            Some(Part::Thinking { signature: signature @ None, .. }) => *signature = Some(sign.into_owned()),
            _ => parts.push(Part::Thinking { text: String::new(), signature: Some(sign.into_owned()) }),
        },
        Thought::Redacted(data) => parts.push(Part::Redacted { data: data.into_owned() }),
        Thought::ForCall(id, signature) if signatures.len() < wire::CALLS => {
            signatures.push((id.into_owned(), signature.into_owned()));
        }
        Thought::ForCall(..) => {}
    };
    let list = [said.reasoning_details, said.thinking_blocks].into_iter().find(|list| !wire::items(*list).is_empty());
    let mut told = false;
    wire::thoughts(list.flatten(), &mut |thought| {
        told |= matches!(thought, Thought::Thinking(_));
        add(thought);
    });
    let plain = wire::text(said.reasoning_content).or_else(|| wire::text(said.reasoning));
    if let Some(text) = plain.filter(|_| !told) {
        add(Thought::Thinking(text));
    }
    match wire::text(said.content) {
        Some(text) => add(Thought::Text(text)),
        None => wire::thoughts(said.content, &mut add),
    }
    if let Some(refusal) = wire::text(said.refusal) {
        add(Thought::Refusal(refusal));
    }
    for (number, call) in wire::calls(said).into_iter().enumerate() {
        let id = call.id.map_or_else(|| ids::mint(frame.id, number), String::from);
        let known = || signatures.iter().find(|(of, _)| *of == id).map(|(_, signature)| signature.clone());
        let signature = call.signature.map(String::from).or_else(known);
        let name = call.name.map(String::from).unwrap_or_default();
        let input = call.arguments.map(String::from).unwrap_or_default();
        parts.push(Part::Call(Call { id, name, input, signature, cache: None }));
    }
    (parts, refused)
}

#[derive(Serialize)]
struct Written<'a> {
    id: String,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: [WrittenChoice<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Counted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
}

#[derive(Serialize)]
struct WrittenChoice<'a> {
    index: u8,
    message: WrittenMessage<'a>,
    logprobs: (),
    finish_reason: &'static str,
}

#[derive(Default, Serialize)]
struct WrittenMessage<'a> {
    role: &'static str,
    content: Option<String>,
    refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasoning_details: Vec<Detail<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WrittenCall<'a>>,
}

/// Writes an answer.
#[must_use]
pub fn render(answer: &Answer, frame: &Frame) -> Vec<u8> {
    let mut message = WrittenMessage { role: "assistant", ..WrittenMessage::default() };
    for part in &answer.parts {
        let index = message.reasoning_details.len();
        match part {
            Part::Text(text) => message.content.get_or_insert_default().push_str(&text.text),
            Part::Refusal(text) => message.refusal.get_or_insert_default().push_str(text),
            Part::Thinking { text, signature } => {
                if !text.is_empty() {
                    message.reasoning_content.get_or_insert_default().push_str(text);
                }
                message.reasoning_details.push(Detail::thought(Some(text), signature.as_deref(), index));
            }
            Part::Redacted { data } => message.reasoning_details.push(Detail::redacted(data, index)),
            Part::Call(call) => message.tool_calls.push(WrittenCall {
                id: call.id.as_str().into(),
                r#type: "function",
                function: WrittenFunction { name: &call.name, arguments: arguments(call).into() },
                extra_content: call.signature.as_deref().map(Extra::signature),
            }),
            // No model answers with them in this dialect.
            Part::Image(_) | Part::Document(_) | Part::Audio { .. } | Part::Result(_) => {}
        }
    }
    if message.tool_calls.is_empty() && message.refusal.is_none() {
        message.content.get_or_insert_default();
    }
    let stop = if answer.stop == Stop::End && !message.tool_calls.is_empty() { Stop::Tools } else { answer.stop };
    let written = Written {
        id: answer_id(answer.id.as_deref(), frame),
        object: "chat.completion",
        created: frame.created,
        model: answer.model.as_deref().unwrap_or(&frame.model),
        choices: [WrittenChoice { index: 0, message, logprobs: (), finish_reason: finish_reason(stop) }],
        usage: answer.usage.map(Counted::from),
        service_tier: answer.service_tier.as_deref().and_then(service_tier),
    };
    serde_json::to_vec(&written).unwrap_or_default()
}

/// The tiers that OpenAI's clients know.
fn service_tier(tier: &str) -> Option<&'static str> {
    match tier {
        "default" | "standard" => Some("default"),
        "priority" => Some("priority"),
        "flex" => Some("flex"),
        "scale" => Some("scale"),
        _ => None,
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
