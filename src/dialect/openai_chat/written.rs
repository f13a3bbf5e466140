//! The pieces that answers, streams and histories of this dialect are written from.
//!
//! Owns their spelling. Refuses to know which of the three is being written.

use std::borrow::Cow;

use serde::Serialize;

use super::wire::{CLAUDE, GEMINI};
use crate::dialect::canonical::{Call, Frame, Stop, Usage};

/// The id of an answer in this dialect: the vendor's, as OpenAI's begin.
pub(super) fn answer_id(id: Option<&str>, frame: &Frame) -> String {
    match id {
        Some(id) if id.starts_with("chatcmpl-") => id.to_owned(),
        Some(id) if !id.is_empty() => format!("chatcmpl-{id}"),
        _ => format!("chatcmpl-{:016x}", frame.id),
    }
}

/// This dialect's word for why the model stopped.
pub(super) const fn finish_reason(stop: Stop) -> &'static str {
    match stop {
        // A paused turn goes on when it is sent back, which this dialect has no word for.
        Stop::End | Stop::Sequence | Stop::Paused => "stop",
        Stop::Length => "length",
        Stop::Tools => "tool_calls",
        Stop::Filtered => "content_filter",
    }
}

/// Tokens as this dialect writes them.
#[derive(Debug, Serialize)]
pub(super) struct Counted {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: CountedPrompt,
    completion_tokens_details: CountedCompletion,
}

#[derive(Debug, Serialize)]
struct CountedPrompt {
    cached_tokens: u64,
    #[serde(skip_serializing_if = "is_none")]
    cache_write_tokens: u64,
}

#[derive(Debug, Serialize)]
struct CountedCompletion {
    reasoning_tokens: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

impl From<Usage> for Counted {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.input,
            completion_tokens: usage.output,
            total_tokens: usage.input.saturating_add(usage.output),
            prompt_tokens_details: CountedPrompt {
                cached_tokens: usage.cache_read,
                cache_write_tokens: usage.cache_write,
            },
            completion_tokens_details: CountedCompletion { reasoning_tokens: usage.reasoning },
        }
    }
}

/// A piece of OpenRouter's `reasoning_details`, which both forms of an answer and a history hold.
#[derive(Debug, Serialize)]
pub(super) struct Detail<'d> {
    pub(super) r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) signature: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'d str>,
    pub(super) format: &'static str,
    pub(super) index: usize,
}

impl<'d> Detail<'d> {
    /// A thought and its signature.
    pub(super) const fn thought(text: Option<&'d str>, signature: Option<&'d str>, index: usize) -> Self {
        // What nobody signed is as OpenRouter words it for models that sign nothing.
        let format = if signature.is_some() { CLAUDE } else { "unknown" };
        Self { r#type: "reasoning.text", text, signature, data: None, id: None, format, index }
    }

    /// A thought for Claude's own eyes.
    pub(super) const fn redacted(data: &'d str, index: usize) -> Self {
        let kind = "reasoning.encrypted";
        Self { r#type: kind, text: None, signature: None, data: Some(data), id: None, format: CLAUDE, index }
    }

    /// Gemini's signature of a call.
    pub(super) const fn of_call(signature: &'d str, id: &'d str, index: usize) -> Self {
        let kind = "reasoning.encrypted";
        Self { r#type: kind, text: None, signature: None, data: Some(signature), id: Some(id), format: GEMINI, index }
    }
}

/// Gemini's signature, where its OpenAI endpoint has it.
#[derive(Debug, Serialize)]
pub(super) struct Extra<'d> {
    google: ExtraGoogle<'d>,
}

#[derive(Debug, Serialize)]
struct ExtraGoogle<'d> {
    thought_signature: &'d str,
}

impl<'d> Extra<'d> {
    pub(super) const fn signature(thought_signature: &'d str) -> Self {
        Self { google: ExtraGoogle { thought_signature } }
    }
}

/// A call, as answers and histories hold it.
#[derive(Debug, Serialize)]
pub(super) struct WrittenCall<'d> {
    pub(super) id: Cow<'d, str>,
    pub(super) r#type: &'static str,
    pub(super) function: WrittenFunction<'d>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) extra_content: Option<Extra<'d>>,
}

/// A call's input as the model wrote it, also if it was cut off; nothing is an object without members.
pub(super) fn arguments(call: &Call) -> &str {
    if call.input.trim().is_empty() { "{}" } else { &call.input }
}

#[derive(Debug, Serialize)]
pub(super) struct WrittenFunction<'d> {
    pub(super) name: &'d str,
    pub(super) arguments: Cow<'d, str>,
}
