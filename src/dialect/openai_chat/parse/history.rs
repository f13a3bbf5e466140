//! What an assistant's message holds besides its text: thoughts in every vendor's spelling, and calls.
//!
//! Owns which spelling counts when there are several, and whose signature is whose. Refuses to know order and roles.

use super::note;
use super::value::Object;
use crate::dialect::canonical::{Call, Part, Request};
use crate::dialect::openai_chat::request::BadRequest;
use crate::dialect::openai_chat::wire::{CALLS, CLAUDE, GEMINI};

/// What the model thought.
#[derive(Debug, Default)]
pub(super) struct Thoughts {
    /// In order.
    pub(super) parts: Vec<Part>,
    /// Gemini's signatures, each with the id of its call.
    signatures: Vec<(String, String)>,
}

/// Reads the thoughts: OpenRouter's list, else LiteLLM's blocks, else a plain text.
pub(super) fn thoughts(message: &Object<'_>, request: &mut Request) -> Result<Thoughts, BadRequest> {
    let mut thoughts = Thoughts::default();
    details(message, &mut thoughts, request)?;
    if thoughts.parts.is_empty() {
        blocks(message, &mut thoughts)?;
    }
    let plain = match message.text("reasoning_content")? {
        Some(text) if !text.is_empty() => text,
        _ => message.text("reasoning")?.unwrap_or_default(),
    };
    let is_thinking = |part: &&mut Part| matches!(part, Part::Thinking { .. });
    let mut thinking: Vec<_> = thoughts.parts.iter_mut().filter(is_thinking).collect();
    match thinking.as_mut_slice() {
        [] if !plain.is_empty() => thoughts.parts.insert(0, Part::Thinking { text: plain, signature: None }),
        // A signature that came in a stream behind its text.
        [Part::Thinking { text, .. }] if text.is_empty() => *text = plain,
        _ => {}
    }
    Ok(thoughts)
}

/// OpenRouter's `reasoning_details`. Pieces of one thought that a client kept apart are put together.
fn details(message: &Object<'_>, thoughts: &mut Thoughts, request: &mut Request) -> Result<(), BadRequest> {
    let Some(details) = message.get("reasoning_details") else { return Ok(()) };
    let mut last = None;
    for item in details.items("a list of objects with a `type`")? {
        let detail = item.object("an object with a `type`")?;
        let kind = detail.text("type")?.unwrap_or_default();
        let format = detail.text("format")?;
        let claude = format.as_deref().is_none_or(|format| format == CLAUDE);
        let index = detail.get("index").map(|value| value.raw().get().to_owned());
        match kind.as_str() {
            "reasoning.text" | "reasoning.summary" => {
                let name = if kind == "reasoning.text" { "text" } else { "summary" };
                let more = detail.text(name)?.unwrap_or_default();
                let sign = detail.text("signature")?.filter(|sign| claude && !sign.is_empty());
                match thoughts.parts.last_mut() {
                    Some(Part::Thinking { text, signature }) if signature.is_none() && last == Some(index.clone()) => {
                        text.push_str(&more);
                        *signature = sign;
                    }
                    _ => thoughts.parts.push(Part::Thinking { text: more, signature: sign }),
                }
                last = Some(index);
            }
            "reasoning.encrypted" => {
                let data = detail.text("data")?.unwrap_or_default();
                match (detail.text("id")?, format.as_deref()) {
                    (Some(id), Some(GEMINI)) if thoughts.signatures.len() < CALLS => {
                        thoughts.signatures.push((id, data))
                    }
                    _ if claude => thoughts.parts.push(Part::Redacted { data }),
                    _ => note(request, "messages", "reasoning_details"),
                }
            }
            _ => note(request, "messages", "reasoning_details"),
        }
    }
    thoughts.parts.retain(|part| !matches!(part, Part::Thinking { text, signature: None } if text.is_empty()));
    Ok(())
}

/// LiteLLM's `thinking_blocks`, which are Anthropic's own.
fn blocks(message: &Object<'_>, thoughts: &mut Thoughts) -> Result<(), BadRequest> {
    let Some(blocks) = message.get("thinking_blocks") else { return Ok(()) };
    let wanted = "a list of `thinking` and `redacted_thinking` blocks";
    for item in blocks.items(wanted)? {
        let block = item.object("a block: an object with a `type`")?;
        match block.text("type")?.as_deref() {
            Some("redacted_thinking") => {
                thoughts.parts.push(Part::Redacted { data: block.text("data")?.unwrap_or_default() });
            }
            Some("thinking") => {
                let signature = block.text("signature")?.filter(|signature| !signature.is_empty());
                thoughts.parts.push(Part::Thinking { text: thinking_text(&block)?, signature });
            }
            _ => return Err(item.wrong("a `thinking` or a `redacted_thinking` block")),
        }
    }
    Ok(())
}

/// The text of a `thinking` block: a string, or Mistral's list of texts.
pub(super) fn thinking_text(block: &Object<'_>) -> Result<String, BadRequest> {
    let Some(thinking) = block.get("thinking") else { return Ok(String::new()) };
    let wanted = "a string or a list of texts";
    if !thinking.is_list() {
        return thinking.text(wanted);
    }
    let mut text = String::new();
    for item in thinking.items(wanted)? {
        text.push_str(&item.object("a part with a `text`")?.text("text")?.unwrap_or_default());
    }
    Ok(text)
}

/// The tools that were called. An id may be empty: Gemini's are.
pub(super) fn calls(message: &Object<'_>, thoughts: &Thoughts) -> Result<Vec<Call>, BadRequest> {
    let mut calls = Vec::new();
    let wanted = "a list of calls, each with an `id` and a `function`";
    if let Some(list) = message.get("tool_calls") {
        for item in list.items(wanted)? {
            let call = item.object("a call: an object with an `id` and a `function`")?;
            calls.push(one(&call, thoughts)?);
        }
    }
    if let Some(function) = message.get("function_call") {
        let function = function.object("an object with `name` and `arguments`")?;
        calls.push(function_call(&function)?);
    }
    // Older Gemini models sign the message, which is the first of its calls.
    if let (Some(first), Some(signature)) = (calls.first_mut(), signature(message)?) {
        first.signature.get_or_insert(signature);
    }
    Ok(calls)
}

fn one(object: &Object<'_>, thoughts: &Thoughts) -> Result<Call, BadRequest> {
    let wanted = "the id of the call, which its `tool` message repeats";
    let id = object.need("id", wanted)?.text(wanted)?;
    let mut call = match object.get("custom") {
        Some(custom) => {
            let custom = custom.object("an object with `name` and `input`")?;
            let name = custom.need("name", "a string")?.text("a string")?;
            Call { name, input: custom.text("input")?.unwrap_or_default(), ..Call::default() }
        }
        None => {
            let function = object.need("function", "an object with `name` and `arguments`")?;
            function_call(&function.object("an object with `name` and `arguments`")?)?
        }
    };
    let known = || thoughts.signatures.iter().find(|(of, _)| *of == id).map(|(_, signature)| signature.clone());
    call.signature = signature(object)?.or_else(known);
    call.cache = super::parts::cache(object)?;
    Ok(Call { id, ..call })
}

fn function_call(function: &Object<'_>) -> Result<Call, BadRequest> {
    let name = function.need("name", "a string")?.text("a string")?;
    let input = match function.get("arguments") {
        None => String::new(),
        // Not the way it is written, but what it means is plain.
        Some(arguments) if arguments.is_object() => arguments.raw().get().to_owned(),
        Some(arguments) => arguments.text("a string of JSON")?,
    };
    Ok(Call { name, input, ..Call::default() })
}

/// Gemini's signature, where its OpenAI endpoint hides it.
fn signature(object: &Object<'_>) -> Result<Option<String>, BadRequest> {
    let Some(extra) = object.get("extra_content").filter(super::value::Value::is_object) else { return Ok(None) };
    let extra = extra.object("an object")?;
    let Some(google) = extra.get("google").filter(super::value::Value::is_object) else { return Ok(None) };
    google.object("an object")?.text("thought_signature")
}
