//! How the answer is made: its length, the sampling, the thinking, and who asks.
//!
//! Owns which of two fields of one meaning counts. Refuses to know what a model can do.

use super::value::Object;
use super::{is_idle, note};
use crate::dialect::canonical::{Effort, Request, Thinking};
use crate::dialect::openai_chat::request::BadRequest;

const COUNT: &str = "a whole number";

/// Reads all of it.
pub(super) fn read(body: &Object<'_>, request: &mut Request) -> Result<(), BadRequest> {
    request.max_tokens = match body.plain("max_completion_tokens", COUNT)? {
        Some(most) => Some(most),
        None => body.plain("max_tokens", COUNT)?,
    };
    request.temperature = body.plain("temperature", "a number")?;
    request.top_p = body.plain("top_p", "a number")?;
    request.top_k = body.plain::<i64>("top_k", COUNT)?.and_then(|first| u64::try_from(first).ok());
    request.stop = stop(body)?;
    request.user = match body.text("user")? {
        Some(user) => Some(user),
        None => body.text("safety_identifier")?,
    };
    request.service_tier = body.text("service_tier")?;
    if let Some(options) = body.get("stream_options") {
        let options = options.object("an object")?;
        request.include_usage = options.plain("include_usage", "true or false")?.unwrap_or_default();
    }
    // OpenRouter's way to ask for the same.
    if let Some(usage) = body.get("usage") {
        let usage = usage.object("an object")?;
        request.include_usage |= usage.plain::<bool>("include", "true or false")?.unwrap_or_default();
    }
    thinking(body, request)?;
    several(body, request)
}

fn stop(body: &Object<'_>) -> Result<Vec<String>, BadRequest> {
    let wanted = "a string or a list of strings";
    let Some(stop) = body.get("stop") else { return Ok(Vec::new()) };
    if stop.is_text() {
        return Ok(vec![stop.text(wanted)?]);
    }
    stop.items(wanted)?.iter().map(|item| item.text("a string")).collect()
}

/// Anthropic's `thinking`, OpenRouter's `reasoning`, OpenAI's `reasoning_effort`.
fn thinking(body: &Object<'_>, request: &mut Request) -> Result<(), BadRequest> {
    if let Some(value) = body.get("reasoning_effort") {
        let word = value.text("a string, for example `medium`")?;
        request.effort = effort(&word, "reasoning_effort", request);
    }
    if let Some(reasoning) = body.get("reasoning") {
        let reasoning = reasoning.object("an object with `effort`, `max_tokens` or `enabled`")?;
        if let Some(word) = reasoning.text("effort")? {
            request.effort = effort(&word, "reasoning.effort", request);
        }
        request.thinking = match (reasoning.plain("enabled", "true or false")?, reasoning.plain("max_tokens", COUNT)?) {
            (Some(false), _) => Some(Thinking::Off),
            (_, Some(budget)) => Some(Thinking::Budget(budget)),
            (Some(true), None) => Some(Thinking::Adaptive),
            (None, None) => None,
        };
    }
    if let Some(thinking) = body.get("thinking") {
        let wanted = "an object with a `type`: `enabled`, `adaptive` or `disabled`";
        let object = thinking.object(wanted)?;
        request.thinking = Some(match (object.text("type")?.as_deref(), object.plain("budget_tokens", COUNT)?) {
            (Some("disabled"), _) => Thinking::Off,
            (Some("enabled"), Some(budget)) => Thinking::Budget(budget),
            (Some("enabled" | "adaptive" | "auto"), _) => Thinking::Adaptive,
            _ => return Err(thinking.wrong(wanted)),
        });
    }
    Ok(())
}

fn effort(word: &str, field: &'static str, request: &mut Request) -> Option<Effort> {
    let effort = Effort::from_name(word);
    if effort.is_none() {
        note(request, "", field);
    }
    effort
}

/// What the canonical form has no place for, though the answer would look different.
fn several(body: &Object<'_>, request: &mut Request) -> Result<(), BadRequest> {
    if body.plain::<u64>("n", COUNT)?.is_some_and(|count| count > 1) {
        note(request, "", "n");
    }
    for name in ["logprobs", "top_logprobs"] {
        if body.get(name).is_some_and(|value| !is_idle(value.raw().get())) {
            note(request, "", name);
        }
    }
    if body.get("seed").is_some() {
        note(request, "", "seed");
    }
    if body.get("modalities").is_some_and(|value| value.raw().get().contains("audio")) {
        note(request, "", "modalities");
    }
    Ok(())
}
