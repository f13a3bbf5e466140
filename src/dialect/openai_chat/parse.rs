//! A request becomes canonical.
//!
//! Owns which fields of a chat the canonical form holds, and the names of those it does not. Refuses to know where the
//! request goes.

mod history;
mod messages;
mod options;
mod parts;
mod tools;
mod value;

use std::borrow::Cow;

use crate::dialect::canonical::Request;
use crate::dialect::openai_chat::request::{self, BadRequest};

use self::value::Object;

/// So many names are noted: a client that sends more has seen enough of them.
const NOTES: usize = 64;

/// The fields that are read here, and the gateway's own. LiteLLM's `mock_testing_…` are as good as not there.
const KNOWN: [&str; 31] = [
    "disable_fallbacks",
    "fallbacks",
    "function_call",
    "functions",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "modalities",
    "model",
    "models",
    "n",
    "parallel_tool_calls",
    "reasoning",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "stream",
    "stream_options",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_logprobs",
    "top_p",
    "usage",
    "user",
];

/// Reads a request.
///
/// # Errors
/// What the vendor would refuse, too, because nobody can know what it means.
pub fn request(body: &[u8]) -> Result<Request, BadRequest> {
    let head = request::read(body)?;
    let text = std::str::from_utf8(body).unwrap_or_default();
    let body = Object::body(text).ok_or_else(|| BadRequest::json("the names of the body's fields cannot be read"))?;
    let mut request = Request { stream: head.stream, ..Request::default() };
    messages::read(&body, &mut request)?;
    tools::read(&body, &mut request)?;
    options::read(&body, &mut request)?;
    for (name, value) in &body.members.0 {
        // This one is a wish by being there.
        let searches = name == "web_search_options" && value.get() != "null";
        let idle = is_idle(value.get()) && !searches;
        if !KNOWN.contains(&name.as_ref()) && !name.starts_with("mock_testing_") && !idle {
            note(&mut request, "", name);
        }
    }
    Ok(request)
}

/// Whether a value asks for nothing.
fn is_idle(json: &str) -> bool {
    matches!(json, "null" | "false" | "[]" | "{}" | "\"\"") || json.parse::<f64>() == Ok(0.0)
}

/// Notes a field, or a kind of it, that the canonical form cannot hold. A client's own words end in a header: what is
/// no plain word is not repeated.
fn note(request: &mut Request, field: &'static str, kind: &str) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':');
    let kind = if (1..=64).contains(&kind.len()) && kind.bytes().all(plain) { kind } else { "other" };
    let name = if field.is_empty() { kind.to_owned() } else { format!("{field}.{kind}") };
    if request.uncarried.len() < NOTES && !request.uncarried.iter().any(|known| *known == name) {
        request.uncarried.push(Cow::Owned(name));
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
