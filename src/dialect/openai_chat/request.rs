//! The head of a request.
//!
//! [`read`] validates the body as JSON in one pass, takes what the gateway needs to know, and notes where things stand
//! for [`splice`]. Refuses to know whether the messages make sense: the vendor says so.

use std::borrow::Cow;

use serde::Deserialize;

use super::needs;
pub use super::splice::{Edit, ModelName, Segments, splice};
pub use crate::dialect::endpoint::Endpoint;
use crate::dialect::fields::{self, Raw, fields};
use crate::policy::capability::Needs;

/// Arrays and objects may be nested this deep: the depth at which common JSON parsers give up.
pub const MAX_DEPTH: usize = 128;

/// A request that no upstream could answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRequest {
    /// For the client: what is wrong and what to do about it.
    pub message: String,
    /// The field that is wrong, if it is one field.
    pub param: Option<&'static str>,
    /// OpenAI's `code`.
    pub code: &'static str,
}

impl BadRequest {
    /// There is no model, and no default to take instead.
    #[must_use]
    pub fn missing_model() -> Self {
        Self::new("you must provide a `model`", Some("model"), "missing_required_parameter")
    }

    pub(in crate::dialect) fn new(message: impl Into<String>, param: Option<&'static str>, code: &'static str) -> Self {
        Self { message: message.into(), param, code }
    }

    pub(in crate::dialect) fn json(message: impl Into<String>) -> Self {
        Self::new(message, None, "invalid_json")
    }

    pub(in crate::dialect) fn wrong_type(param: &'static str, wanted: &str) -> Self {
        Self::new(format!("`{param}` must be {wanted}"), Some(param), "invalid_type")
    }
}

/// What the gateway needs to know of a request. Borrows from the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head<'a> {
    /// The model's name, unescaped. `None` if missing or null; see [`BadRequest::missing_model`].
    pub model: Option<Cow<'a, str>>,
    /// Whether a stream is asked for.
    pub stream: bool,
    /// OpenRouter's `models`: a chain for this request. Empty if not given.
    pub models: Vec<Cow<'a, str>>,
    /// LiteLLM's `fallbacks`: what follows the model. An empty list is a wish too: nothing follows.
    pub fallbacks: Option<Vec<Cow<'a, str>>>,
    /// LiteLLM's `disable_fallbacks`.
    pub disable_fallbacks: bool,
    /// `user`, if it is a string.
    pub user: Option<Cow<'a, str>>,
    /// `prompt_cache_key`, if it is a string.
    pub prompt_cache_key: Option<Cow<'a, str>>,
    /// What the model must be able to do.
    pub needs: Needs,
    /// Where the body is cut. It outlives the head.
    pub edit: Edit,
}

fields! {
    /// The fields that matter, as they stand in the body.
    pub(super) struct Fields {
        model,
        stream,
        models,
        fallbacks,
        disable_fallbacks,
        user,
        prompt_cache_key,
        max_tokens,
        max_completion_tokens,
        messages,
        prompt,
        input,
        tools,
        functions,
        response_format,
        n,
        logprobs,
    }
}

/// Reads the head of a body.
///
/// # Errors
/// A body that is not one JSON object in UTF-8, that has a field of interest twice or with a wrong type, or that is
/// nested deeper than [`MAX_DEPTH`].
#[inline]
pub fn read(body: &[u8]) -> Result<Head<'_>, BadRequest> {
    let fields: Fields<'_> = fields::read(body)?;
    let model = match fields.model {
        Some(raw) if raw.get() != "null" => {
            Some(string(raw).ok_or_else(|| BadRequest::wrong_type("model", "a string: the name of a model"))?)
        }
        _ => None,
    };
    Ok(Head {
        model,
        stream: boolean(fields.stream, "stream")?,
        models: names(fields.models, "models")?.unwrap_or_default(),
        fallbacks: names(fields.fallbacks, "fallbacks")?,
        disable_fallbacks: boolean(fields.disable_fallbacks, "disable_fallbacks")?,
        user: fields.user.and_then(string),
        prompt_cache_key: fields.prompt_cache_key.and_then(string),
        needs: needs::of(&fields),
        edit: Edit::new(body, fields.model, [fields.models, fields.fallbacks, fields.disable_fallbacks]),
    })
}

/// What can be said about the body before it is parsed.
pub(in crate::dialect) fn checked_text(body: &[u8]) -> Result<&str, BadRequest> {
    let text = std::str::from_utf8(body)
        .map_err(|error| BadRequest::json(format!("the body is not UTF-8 (at byte {})", error.valid_up_to())))?;
    if text.starts_with('\u{feff}') {
        return Err(BadRequest::json("the body begins with a byte order mark: send plain UTF-8"));
    }
    match body.trim_ascii_start().first() {
        None => return Err(BadRequest::json("the body is empty: send a JSON object")),
        Some(b'{') => {}
        Some(_) => return Err(BadRequest::json("the body is not a JSON object")),
    }
    if too_deep(body) {
        return Err(BadRequest::json(format!("the body is nested deeper than {MAX_DEPTH} levels")));
    }
    Ok(text)
}

pub(in crate::dialect) fn not_read(error: &serde_json::Error) -> BadRequest {
    let text = error.to_string();
    // Every field is taken raw, so data errors can only be duplicates.
    let twice = text.strip_prefix("duplicate field `").and_then(|rest| rest.split_once('`')).map(|(name, _)| name);
    match twice {
        Some(name) => {
            let param = (name == "model").then_some("model");
            BadRequest::new(format!("the body has the field `{name}` twice: send it once"), param, "duplicate_field")
        }
        None => BadRequest::json(format!("the body is not valid JSON: {text}")),
    }
}

/// Whether brackets are nested deeper than [`MAX_DEPTH`]. Few bodies have that many brackets, so few are scanned twice.
fn too_deep(body: &[u8]) -> bool {
    if memchr::memchr2_iter(b'{', b'[', body).nth(MAX_DEPTH).is_none() {
        return false;
    }
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(&byte) = body.get(at) {
        at += 1;
        match byte {
            b'"' => {
                while let Some(found) = memchr::memchr2(b'"', b'\\', &body[at..]) {
                    at += found + 1;
                    if body[at - 1] == b'"' {
                        break;
                    }
                    // What follows a backslash is part of the string, and so is all if the body ends here.
                    at = (at + 1).min(body.len());
                }
            }
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// The text of a JSON string, borrowed unless it has escapes; `None` if it is not a string.
pub(in crate::dialect) fn string(raw: Raw<'_>) -> Option<Cow<'_, str>> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(raw.get()).ok().map(Cow::Owned)
}

pub(in crate::dialect) fn boolean(raw: Option<Raw<'_>>, param: &'static str) -> Result<bool, BadRequest> {
    match raw.map(Raw::get) {
        None | Some("false" | "null") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(BadRequest::wrong_type(param, "true or false")),
    }
}

/// A list of names, or of objects with a `model` (other fields of such an object are not honoured).
pub(in crate::dialect) fn names<'a>(
    raw: Option<Raw<'a>>,
    param: &'static str,
) -> Result<Option<Vec<Cow<'a, str>>>, BadRequest> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        model: Raw<'a>,
    }
    let Some(raw) = raw.filter(|raw| raw.get() != "null") else {
        return Ok(None);
    };
    let wrong = || BadRequest::wrong_type(param, "a list of model names, or of objects with a `model`");
    let list: Vec<Raw<'a>> = serde_json::from_str(raw.get()).map_err(|_| wrong())?;
    let name = |raw: Raw<'a>| {
        if raw.get().starts_with('{') {
            serde_json::from_str::<Named<'a>>(raw.get()).ok().and_then(|named| string(named.model))
        } else {
            string(raw)
        }
    };
    list.into_iter().map(|raw| name(raw).ok_or_else(wrong)).collect::<Result<_, _>>().map(Some)
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
