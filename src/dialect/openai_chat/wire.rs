//! What whole answers and stream chunks have in common, as all vendors spell it.
//!
//! Owns the lenient reading of one message or delta: a value of an unexpected type says nothing, the rest still counts.
//! Refuses to know whether it stands in a stream.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::shape::Count;
use crate::dialect::canonical::{Stop, Usage};
use crate::dialect::lax::read_lax;

/// OpenRouter's word for reasoning that Claude signed.
pub(super) const CLAUDE: &str = "anthropic-claude-v1";
/// The same for Gemini's.
pub(super) const GEMINI: &str = "google-gemini-v1";

/// One answer calls so many tools at most: what calls more is no answer any more.
pub(super) const CALLS: usize = 1024;

/// A string, if it is one: borrowed unless it has escapes. Empty ones say nothing.
pub(super) fn text(raw: Option<&RawValue>) -> Option<Cow<'_, str>> {
    let raw = raw?.get();
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return if inner.is_empty() { None } else { Some(Cow::Borrowed(inner)) };
    }
    read_lax(raw, |json| serde_json::from_str(json).ok()).map(Cow::Owned)
}

/// An object, if it is one of the expected shape.
pub(super) fn parsed<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    let raw = raw?.get();
    // A derived struct would also take a list for its fields, and nobody means that.
    raw.starts_with('{').then(|| serde_json::from_str(raw).ok())?
}

/// The items of a list; each is read for itself.
pub(super) fn items(raw: Option<&RawValue>) -> Vec<&RawValue> {
    let list = raw.map(RawValue::get).filter(|json| json.starts_with('['));
    list.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
}

/// A message of an answer, or a piece of it. Every field is taken raw: none of them spoils the others.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct Said<'a> {
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) refusal: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) reasoning_content: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) reasoning_details: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) thinking_blocks: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) function_call: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) extra_content: Option<&'a RawValue>,
}

/// A part of a content list, a block of thinking, or a detail of reasoning: their fields do not collide.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct Piece<'a> {
    #[serde(borrow)]
    r#type: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    summary: Option<&'a RawValue>,
    #[serde(borrow)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow)]
    signature: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    format: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

/// What a piece says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Thought<'a> {
    /// Text for the client.
    Text(Cow<'a, str>),
    /// A refusal.
    Refusal(Cow<'a, str>),
    /// Thinking.
    Thinking(Cow<'a, str>),
    /// Claude's signature under it.
    Signature(Cow<'a, str>),
    /// Claude's encrypted thinking.
    Redacted(Cow<'a, str>),
    /// Gemini's signature for a call.
    ForCall(Cow<'a, str>, Cow<'a, str>),
}

/// Reads the pieces of a list: of content, of `reasoning_details` or of `thinking_blocks`.
pub(super) fn thoughts<'a>(list: Option<&'a RawValue>, sink: &mut dyn FnMut(Thought<'a>)) {
    for piece in items(list).into_iter().filter_map(|raw| parsed::<Piece<'a>>(Some(raw))) {
        let format = text(piece.format);
        let claude = format.as_deref().is_none_or(|format| format == CLAUDE);
        let mut say = |thought: Option<Thought<'a>>| thought.into_iter().for_each(&mut *sink);
        match text(piece.r#type).as_deref() {
            Some("text" | "output_text") => say(text(piece.text).map(Thought::Text)),
            Some("refusal") => say(text(piece.refusal).map(Thought::Refusal)),
            Some("thinking" | "reasoning.text" | "reasoning.summary") => {
                let plain = text(piece.thinking).or_else(|| text(piece.text)).or_else(|| text(piece.summary));
                say(plain.map(Thought::Thinking));
                // Mistral's thinking is a list of texts.
                for inner in items(piece.thinking).into_iter().filter_map(|raw| parsed::<Piece<'a>>(Some(raw))) {
                    say(text(inner.text).map(Thought::Thinking));
                }
                say(text(piece.signature).filter(|_| claude).map(Thought::Signature));
            }
            Some("redacted_thinking" | "reasoning.encrypted") => {
                say(match (text(piece.data), text(piece.id), format.as_deref()) {
                    (Some(data), Some(id), Some(GEMINI)) => Some(Thought::ForCall(id, data)),
                    (Some(data), _, _) if claude => Some(Thought::Redacted(data)),
                    _ => None,
                });
            }
            _ => {}
        }
    }
}

/// A call, or a piece of one.
#[derive(Debug, Clone, Default)]
pub(super) struct Called<'a> {
    pub(super) index: Option<u64>,
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) name: Option<Cow<'a, str>>,
    /// Some vendors send an object where a string of JSON belongs.
    pub(super) arguments: Option<Cow<'a, str>>,
    pub(super) signature: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawCall<'a> {
    #[serde(borrow)]
    index: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    function: Option<&'a RawValue>,
    #[serde(borrow)]
    extra_content: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawFunction<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

/// The calls of a message, the old `function_call` included.
pub(super) fn calls<'a>(said: &Said<'a>) -> Vec<Called<'a>> {
    let mut calls: Vec<Called<'a>> = Vec::new();
    for raw in items(said.tool_calls).into_iter().take(CALLS) {
        let Some(call) = parsed::<RawCall<'a>>(Some(raw)) else { continue };
        let (name, arguments) = function(call.function);
        let index = call.index.and_then(|index| index.get().parse().ok());
        calls.push(Called { index, id: text(call.id), name, arguments, signature: google(call.extra_content) });
    }
    if said.function_call.is_some_and(|call| call.get().starts_with('{')) {
        let (name, arguments) = function(said.function_call);
        calls.push(Called { name, arguments, ..Called::default() });
    }
    // Older Gemini models sign the message, which is the first of its calls.
    if let (Some(first), Some(signature)) = (calls.first_mut(), google(said.extra_content)) {
        first.signature.get_or_insert(signature);
    }
    calls
}

fn function(raw: Option<&RawValue>) -> (Option<Cow<'_, str>>, Option<Cow<'_, str>>) {
    let Some(function) = parsed::<RawFunction<'_>>(raw) else { return (None, None) };
    let object = |raw: &'_ RawValue| raw.get().starts_with('{');
    let arguments = match function.arguments {
        Some(raw) if object(raw) => Some(Cow::Borrowed(raw.get())),
        other => text(other),
    };
    (text(function.name), arguments)
}

/// Gemini's `thought_signature`, where its OpenAI endpoint hides it.
fn google(extra: Option<&RawValue>) -> Option<Cow<'_, str>> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Extra<'a> {
        #[serde(borrow)]
        google: Option<&'a RawValue>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Google<'a> {
        #[serde(borrow)]
        thought_signature: Option<&'a RawValue>,
    }
    let extra: Extra<'_> = parsed(extra)?;
    let google: Google<'_> = parsed(extra.google)?;
    text(google.thought_signature)
}

/// Why the model stopped, in any vendor's word. What is not known is taken for an end: the vendor did end the answer.
pub(super) fn stop(word: &str) -> Stop {
    match word {
        "length" | "max_tokens" | "model_length" | "insufficient_system_resource" => Stop::Length,
        "tool_calls" | "function_call" | "tool_use" => Stop::Tools,
        "content_filter" | "refusal" | "safety" => Stop::Filtered,
        _ => Stop::End,
    }
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Tokens {
    prompt_tokens: Count,
    completion_tokens: Count,
    total_tokens: Count,
    prompt_tokens_details: Option<PromptTokens>,
    completion_tokens_details: Option<CompletionTokens>,
    /// DeepSeek's.
    prompt_cache_hit_tokens: Count,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct PromptTokens {
    cached_tokens: Count,
    cache_write_tokens: Count,
    /// LiteLLM's word for them.
    cache_creation_tokens: Count,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct CompletionTokens {
    reasoning_tokens: Count,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Groq<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

/// The tokens of an answer or a chunk, also where Groq alone puts them.
pub(super) fn usage(usage: Option<&RawValue>, groq: Option<&RawValue>) -> Option<Usage> {
    let tokens: Tokens = match parsed(usage) {
        Some(tokens) => tokens,
        None => parsed(parsed::<Groq<'_>>(groq)?.usage)?,
    };
    let prompt = tokens.prompt_tokens_details.unwrap_or_default();
    let input = tokens.prompt_tokens.0;
    let mut output = tokens.completion_tokens.0;
    let mut reasoning = tokens.completion_tokens_details.unwrap_or_default().reasoning_tokens.0;
    // xAI and Gemini leave the reasoning out of the answer's tokens, but not out of the total.
    let unsaid = tokens.total_tokens.0.saturating_sub(input.saturating_add(output));
    if unsaid > 0 && (reasoning == 0 || reasoning == unsaid) {
        output += unsaid;
        reasoning = unsaid;
    }
    let cache_read = prompt.cached_tokens.0.max(tokens.prompt_cache_hit_tokens.0).min(input);
    let cache_write = prompt.cache_write_tokens.0.max(prompt.cache_creation_tokens.0).min(input - cache_read);
    Some(Usage { input, cache_read, cache_write, output, reasoning: reasoning.min(output) })
}
