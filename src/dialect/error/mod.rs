//! What went wrong, as neutral facts: every shape in which vendors wrap an error, read leniently.
//!
//! Owns the shapes of error bodies, error events and exception frames, and what of them may be shown
//! ([`redact`](fn@redact), [`safe_message`]). Refuses to know what a fact means: that is
//! [`policy::classify`](crate::policy::classify).

mod read;
mod redact;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::LazyLock;
use std::time::SystemTime;

use http::{HeaderMap, HeaderName};
use memchr::memmem;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::hint;
use crate::policy::classify::{Facts, Family};

pub use redact::{redact, safe_message};

/// So much of an error body is read, in bytes.
pub const READ_LIMIT: usize = 64 * 1024;

static AMZN_ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// Built once: every event of every stream is searched.
static ERROR: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(b"error"));
static FAILED: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(b"response.failed"));

/// The facts of an HTTP answer that is an error, or a 200 that is none of what was asked for.
#[must_use]
pub fn facts(family: Family, status: u16, headers: &HeaderMap, body: &[u8], wall: SystemTime) -> Facts {
    let mut facts = Facts::new(family, Some(status));
    let text = readable(body);
    let json = serde_json::from_str::<Value>(&text).ok();
    match &json {
        Some(json) => read::body(&mut facts, json),
        None => read::plain(&mut facts, &text),
    }
    if let Some(name) = headers.get(&AMZN_ERROR_TYPE).and_then(|name| name.to_str().ok()) {
        read::exception(&mut facts, name);
    }
    read::sizes(&mut facts);
    // An outage has nothing to do with the quota's next reset: only what is said outright counts there.
    facts.hint = if status >= 500 {
        hint::explicit_hint(headers, json.as_ref(), &facts.message, wall)
    } else {
        hint::retry_hint(headers, json.as_ref(), &facts.message, wall)
    };
    facts
}

/// The facts of an error inside a good answer: the JSON of a whole body or of one event's data. `None` if
/// it is no error, which costs two byte searches for almost every event. `status` is the answer's own.
#[must_use]
pub fn facts_in_event(family: Family, status: u16, json: &[u8]) -> Option<Facts> {
    // Every shape below holds one of these words.
    if ERROR.find(json).is_none() && FAILED.find(json).is_none() {
        return None;
    }
    let json = json.trim_ascii();
    let envelope = match json.first() {
        Some(b'[') => serde_json::from_slice::<Vec<Envelope<'_>>>(json).ok()?.into_iter().next()?,
        _ => serde_json::from_slice::<Envelope<'_>>(json).ok()?,
    };
    let error = envelope.error(json)?;
    let mut facts = Facts::new(family, Some(status));
    if let Some(error) = &error {
        read::error(&mut facts, error);
        // Only waits count here: points in time need a clock, and no vendor sends one in an event.
        facts.hint = hint::explicit_hint(&HeaderMap::new(), Some(error), &facts.message, SystemTime::UNIX_EPOCH);
    }
    read::sizes(&mut facts);
    Some(facts)
}

/// The facts of an AWS event stream frame whose `:message-type` is `exception` (`name` is its
/// `:exception-type`) or `error` (`name` is its `:error-code`, and the payload may be its `:error-message`).
#[must_use]
pub fn facts_of_exception(name: &str, payload: &[u8]) -> Facts {
    let mut facts = Facts::new(Family::Bedrock, Some(200));
    let text = readable(payload);
    match serde_json::from_str::<Value>(&text) {
        Ok(json) => read::body(&mut facts, &json),
        Err(_) => read::plain(&mut facts, &text),
    }
    read::exception(&mut facts, name);
    read::sizes(&mut facts);
    facts
}

/// What of an event tells an error, left unparsed: answers are long, errors are rare.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    #[serde(borrow)]
    choices: Option<&'a RawValue>,
}

impl Envelope<'_> {
    /// `None`: no error. `Some(None)`: an error of which nothing is told.
    fn error(&self, whole: &[u8]) -> Option<Option<Value>> {
        if let Some(error) = self.error.and_then(told) {
            return Some(Some(error));
        }
        if let Some(choices) = self.choices.filter(|choices| ERROR.find(choices.get().as_bytes()).is_some()) {
            let choices = serde_json::from_str::<Vec<Choice<'_>>>(choices.get()).ok()?;
            let broken = choices.iter().find(|choice| choice.error.is_some() || is(choice.finish_reason, "error"))?;
            return Some(broken.error.and_then(told));
        }
        let failed = is(self.kind, "response.failed");
        if failed || is(self.kind, "response.completed") || is(self.kind, "response.done") {
            let response = self.response.and_then(|response| serde_json::from_str::<Envelope<'_>>(response.get()).ok());
            let error = response.and_then(|response| response.error.and_then(told));
            return (failed || error.is_some()).then_some(error);
        }
        if is(self.kind, "error") || is(self.object, "error") {
            return Some(serde_json::from_slice(whole.get(..READ_LIMIT).unwrap_or(whole)).ok());
        }
        None
    }
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
}

fn is(raw: Option<&RawValue>, word: &str) -> bool {
    raw.is_some_and(|raw| raw.get().strip_prefix('"').and_then(|raw| raw.strip_suffix('"')) == Some(word))
}

/// An `error` member that tells of an error: some vendors send an empty one with good answers.
fn told(raw: &RawValue) -> Option<Value> {
    match raw.get() {
        "{}" | "\"\"" | "false" | "[]" => None,
        error if error.len() > READ_LIMIT => Some(Value::Null),
        error => serde_json::from_str(error).ok(),
    }
}

/// The beginning of a body as text, without a byte order mark.
fn readable(body: &[u8]) -> Cow<'_, str> {
    let body = body.get(..READ_LIMIT).unwrap_or(body);
    String::from_utf8_lossy(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body))
}
