//! What a slot is asked: as little as its model takes.
//!
//! Owns the choice of endpoint and limit by what is known of the model: its name, its vendor, whether it thinks.
//! Refuses to know how it is sent.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};

use crate::config::{Family, Key, Provider, Unserved};
use crate::dialect::openai_chat::request::{Endpoint, read};
use crate::policy::chain::Level;
use crate::upstream::{Delivery, Query};

/// Some vendors refuse less than this, in tokens; nobody charges noticeably for it.
const SHORT: u32 = 16;
/// Room to think, in tokens: OpenAI answers 400 when a model's thoughts alone do not fit, others with nothing at all.
const THOUGHTFUL: u32 = 1_024;

/// What is asked.
pub(super) struct Question {
    /// Which endpoint of the API suits the model.
    pub(super) endpoint: Endpoint,
    /// As an attempt takes it.
    pub(super) query: Arc<Query>,
}

impl Question {
    /// The question for one key at one level.
    ///
    /// # Errors
    /// Why there is nothing to ask, in words.
    pub(super) fn of(provider: &Provider, key: &Key, level: &Level) -> Result<Self, &'static str> {
        match provider.unserved {
            Some(Unserved::Dialect) => return Err("this version does not speak its dialect"),
            Some(Unserved::NoKey) => return Err("no key: its variable is unset or empty"),
            Some(Unserved::Disabled) => return Err("disabled in the configuration"),
            None => {}
        }
        if key.disabled {
            return Err("disabled in the configuration");
        }
        let (endpoint, body) = asked(provider.family, &level.model, level.abilities.reasoning)?;
        let body = Bytes::from(body.to_string());
        // The model's name is spliced in for each attempt, as it is for clients.
        let edit = read(&body).map_err(|_| "no question could be made for its model")?.edit;
        let (delivery, headers, canonical) = (Delivery::Whole, HeaderMap::new(), OnceLock::new());
        let query = Query { endpoint, body, edit, delivery, headers, id: 0, canonical, sent: None };
        Ok(Self { endpoint, query: Arc::new(query) })
    }
}

/// Where a model is asked, and what. Its name is all there is to tell; almost all are for chats.
///
/// # Errors
/// A picture or a recording is no tiny question.
fn asked(family: Family, model: &str, reasoning: Option<bool>) -> Result<(Endpoint, Value), &'static str> {
    let name = model.to_ascii_lowercase();
    let bare = name.rsplit('/').next().unwrap_or_default();
    let has = |parts: &[&str]| parts.iter().any(|part| bare.contains(part));
    let begins = |parts: &[&str]| parts.iter().any(|part| bare.starts_with(part));
    if has(&["dall-e", "image", "whisper", "transcribe", "tts", "imagen", "flux"]) {
        return Err("made for images or sound: not asked, it would cost more than a few tokens");
    }
    if has(&["embed"]) || begins(&["voyage-", "bge-", "gte-", "e5-", "all-minilm"]) {
        return Ok((Endpoint::Embeddings, json!({ "model": model, "input": "ok" })));
    }
    if has(&["moderation"]) {
        return Ok((Endpoint::Moderations, json!({ "model": model, "input": "ok" })));
    }
    if begins(&["gpt-3.5-turbo-instruct", "davinci-002", "babbage-002"]) {
        let body = json!({ "model": model, "prompt": "Say ok.", "max_tokens": SHORT });
        return Ok((Endpoint::Completions, body));
    }
    // OpenAI serves these by its newer endpoint only.
    if family == Family::OpenAi && begins(&["gpt-5", "o1-", "o3-"]) && (has(&["codex"]) || bare.ends_with("-pro")) {
        let body = json!({ "model": model, "input": "Say ok.", "max_output_tokens": THOUGHTFUL });
        return Ok((Endpoint::Responses, body));
    }
    let (field, limit) = limit(family, model, reasoning);
    let body = json!({ "model": model, "messages": [{ "role": "user", "content": "Say ok." }], field: limit });
    Ok((Endpoint::Chat, body))
}

/// The field that limits the answer, and the limit.
fn limit(family: Family, model: &str, reasoning: Option<bool>) -> (&'static str, u32) {
    let openai = family == Family::OpenAi;
    // An unknown model of OpenAI is newer than the table, and the new ones think.
    let thinks = reasoning.unwrap_or(openai);
    // OpenAI's own models that think refuse `max_tokens`, behind other names of their vendor (Azure) too.
    let own = ["gpt-5", "o1", "o3", "o4"].iter().any(|name| model.starts_with(name));
    let field =
        if openai || (family == Family::Other && thinks && own) { "max_completion_tokens" } else { "max_tokens" };
    (field, if thinks { THOUGHTFUL } else { SHORT })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_suits_the_model() {
        let cases = [
            ("gpt-4o", Endpoint::Chat),
            ("claude-opus-4-5", Endpoint::Chat),
            ("text-embedding-3-small", Endpoint::Embeddings),
            ("mistral-embed", Endpoint::Embeddings),
            ("BAAI/bge-large-en-v1.5", Endpoint::Embeddings),
            ("omni-moderation-latest", Endpoint::Moderations),
            ("gpt-3.5-turbo-instruct", Endpoint::Completions),
            ("gpt-3.5-turbo", Endpoint::Chat),
            ("gpt-5", Endpoint::Chat),
            ("gpt-5-codex", Endpoint::Responses),
            ("o3-pro", Endpoint::Responses),
        ];
        for (model, expected) in cases {
            let (endpoint, _) = asked(Family::OpenAi, model, None).unwrap();
            assert_eq!(endpoint, expected, "{model}");
        }
        for model in ["gpt-image-1", "whisper-1", "gpt-4o-mini-tts", "dall-e-3"] {
            assert!(asked(Family::OpenAi, model, None).is_err(), "{model}");
        }
    }

    #[test]
    fn models_that_think_get_room_and_the_field_they_take() {
        let cases = [
            (Family::OpenAi, "gpt-4o", Some(false), ("max_completion_tokens", SHORT)),
            (Family::OpenAi, "gpt-5", Some(true), ("max_completion_tokens", THOUGHTFUL)),
            (Family::OpenAi, "gpt-9", None, ("max_completion_tokens", THOUGHTFUL)),
            (Family::Other, "o3", Some(true), ("max_completion_tokens", THOUGHTFUL)),
            (Family::Other, "llama", None, ("max_tokens", SHORT)),
            (Family::Anthropic, "claude-opus-4-5", None, ("max_tokens", SHORT)),
            (Family::Gemini, "gemini-2.5-pro", Some(true), ("max_tokens", THOUGHTFUL)),
            (Family::OpenRouter, "openai/gpt-5", Some(true), ("max_tokens", THOUGHTFUL)),
        ];
        for (family, model, reasoning, expected) in cases {
            assert_eq!(limit(family, model, reasoning), expected, "{model}");
        }
    }
}
