//! What of a request to another target Anthropic would refuse.
//!
//! A conversation that another vendor continued for a while holds its thinking, which nobody signed, and its ids. Both pass
//! through a client that speaks Messages, and neither is taken back by Anthropic. Everything else of the body stays as it is.

use std::borrow::Cow;
use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::content::Tag;
use super::models::Claude;
use super::wire::{OWN, Str, is_foreign};
use crate::dialect::canonical::ids::{Rule, fit};
use crate::dialect::canonical::{Amended, Profile};
use crate::dialect::members::Members;

static SIGNATURE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"signature\""));
static MAX_TOKENS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"max_tokens\""));
static TOOL_USE_ID: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"tool_use_id\""));

/// The body for a target, if it must change: foreign thinking goes, and with it what cannot be without; an answer longer than
/// the model gives becomes the longest that it gives. The usual body costs three passes of a byte finder.
#[must_use]
pub fn amend(body: &Bytes, profile: &Profile<'_>) -> Option<Amended> {
    if !is_suspicious(body) && !asks_for_more(body, profile) {
        return None;
    }
    let mut request = Members::read(std::str::from_utf8(body).ok()?)?;
    let messages: Vec<&RawValue> = serde_json::from_str(request.get("messages")?.get()).ok()?;
    let mut history = History::default();
    let messages: Vec<Cow<'_, RawValue>> = messages.into_iter().filter_map(|raw| history.message(raw)).collect();
    let mut dropped: Vec<Cow<'static, str>> = Vec::new();
    if history.unthinking {
        dropped.push("messages.content.thinking".into());
    }
    let claude = Claude::of(profile.model).unwrap_or(Claude::CLASSIC);
    let lacks = history.last_calls && !history.last_begins_with_thinking && !claude.thinks_unasked();
    let stops_thinking = lacks && thinks(request.get("thinking"));
    let longest = shortened(&request, profile);
    if !history.changed && !stops_thinking && longest.is_none() {
        return None;
    }
    let messages = serde_json::value::to_raw_value(&messages).ok()?;
    if history.changed {
        request.set("messages", &messages);
    }
    if let Some(longest) = longest {
        request.set("max_tokens", &longest);
        dropped.push("max_tokens".into());
    }
    if stops_thinking {
        request.remove("thinking");
        dropped.push("thinking".into());
        if without_clearing(&mut request) {
            dropped.push("context_management".into());
        }
    }
    Some(Amended { body: Bytes::from(request.write()), dropped })
}

/// Whether there may be a `max_tokens` above what the model gives.
fn asks_for_more(body: &[u8], profile: &Profile<'_>) -> bool {
    let Some(most) = profile.abilities.max_output else { return false };
    let more = |at: usize| {
        let rest = body[at + MAX_TOKENS.needle().len()..].trim_ascii_start();
        let digits = rest.strip_prefix(b":").map(<[u8]>::trim_ascii_start).unwrap_or_default();
        let digits = digits.split(|byte| !byte.is_ascii_digit()).next().unwrap_or_default();
        std::str::from_utf8(digits).ok().and_then(|text| text.parse::<u64>().ok()).is_some_and(|asked| asked > most)
    };
    MAX_TOKENS.find_iter(body).any(more)
}

/// What the model gives, if more is asked. A budget for thinking that would not fit is the client's to change.
fn shortened(request: &Members<'_>, profile: &Profile<'_>) -> Option<u64> {
    #[derive(Deserialize)]
    struct Thinking {
        budget_tokens: u64,
    }
    let most = profile.abilities.max_output?;
    let asked: u64 = request.get("max_tokens")?.get().parse().ok()?;
    let thinking = request.get("thinking").and_then(|raw| serde_json::from_str::<Thinking>(raw.get()).ok());
    (asked > most && thinking.is_none_or(|thinking| thinking.budget_tokens < most)).then_some(most)
}

/// Whether there may be thinking that Claude did not sign, or a call that it did not make.
fn is_suspicious(body: &[u8]) -> bool {
    let value = |at: usize, finder: &Finder<'_>| {
        let rest = body[at + finder.needle().len()..].trim_ascii_start();
        rest.strip_prefix(b":").map(<[u8]>::trim_ascii_start).and_then(|rest| rest.strip_prefix(b"\""))
    };
    let foreign =
        |at| value(at, &SIGNATURE).is_some_and(|value| value.starts_with(OWN.as_bytes()) || value.starts_with(b"\""));
    let other = |at| value(at, &TOOL_USE_ID).is_some_and(|value| !is_claudes(value));
    SIGNATURE.find_iter(body).any(foreign) || TOOL_USE_ID.find_iter(body).any(other)
}

/// Whether an id, up to its quote, is one that Anthropic made.
fn is_claudes(value: &[u8]) -> bool {
    let id = value.split(|byte| *byte == b'"').next().unwrap_or_default();
    id.starts_with(b"toolu_") && id.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Whether the field turns thinking on.
fn thinks(thinking: Option<&RawValue>) -> bool {
    let kind = thinking.and_then(|raw| serde_json::from_str::<Tag<'_>>(raw.get()).ok());
    kind.is_some_and(|tag| matches!(tag.kind.0.as_ref(), "enabled" | "adaptive"))
}

/// Takes out the edits that clear thinking: they are refused where there is none.
fn without_clearing(request: &mut Members<'_>) -> bool {
    let Some(mut management) = request.remove("context_management").map(Cow::into_owned) else { return false };
    let mut cleared = false;
    if let Some(mut members) = Members::read(management.get())
        && let Some(edits) = members.get("edits").and_then(|raw| serde_json::from_str::<Vec<&RawValue>>(raw.get()).ok())
    {
        let clears = |raw: &&RawValue| {
            let tag = serde_json::from_str::<Tag<'_>>(raw.get());
            tag.is_ok_and(|tag| tag.kind.0.starts_with("clear_thinking"))
        };
        let kept: Vec<&RawValue> = edits.iter().copied().filter(|raw| !clears(raw)).collect();
        if kept.len() < edits.len() {
            cleared = true;
            if kept.is_empty() {
                return true;
            }
            let kept = serde_json::value::to_raw_value(&kept).ok();
            members.set("edits", &kept);
            if let Ok(changed) = serde_json::value::to_raw_value(&members) {
                management = changed;
            }
        }
    }
    request.set("context_management", &management);
    cleared
}

/// What was found in the messages so far.
#[derive(Debug, Default)]
struct History {
    changed: bool,
    /// Thinking was taken out.
    unthinking: bool,
    /// The model's last message calls tools.
    last_calls: bool,
    last_begins_with_thinking: bool,
}

#[derive(Deserialize)]
struct Role<'a> {
    #[serde(borrow)]
    role: Str<'a>,
}

#[derive(Deserialize)]
struct Signed<'a> {
    #[serde(borrow, default)]
    signature: Option<Str<'a>>,
}

impl History {
    /// A message as it is sent; `None` if nothing is left of it.
    fn message<'a>(&mut self, raw: &'a RawValue) -> Option<Cow<'a, RawValue>> {
        let assistant = serde_json::from_str::<Role<'_>>(raw.get()).is_ok_and(|role| role.role.0 == "assistant");
        if assistant {
            (self.last_calls, self.last_begins_with_thinking) = (false, false);
        }
        let as_it_is = Some(Cow::Borrowed(raw));
        let Some(mut message) = Members::read(raw.get()) else { return as_it_is };
        let Some(content) = message.get("content") else { return as_it_is };
        let Ok(blocks) = serde_json::from_str::<Vec<&RawValue>>(content.get()) else { return as_it_is };
        let mut kept = Vec::with_capacity(blocks.len());
        let mut changed = false;
        for raw in blocks {
            match self.block(raw, assistant && kept.is_empty()) {
                Some(Cow::Borrowed(raw)) => kept.push(Cow::Borrowed(raw)),
                other => {
                    changed = true;
                    kept.extend(other);
                }
            }
        }
        if !changed {
            return as_it_is;
        }
        self.changed = true;
        if kept.is_empty() {
            return None;
        }
        let kept = serde_json::value::to_raw_value(&kept).ok();
        message.set("content", &kept);
        serde_json::value::to_raw_value(&message).ok().map(Cow::Owned)
    }

    /// A block as it is sent; `None` if it is not.
    fn block<'a>(&mut self, raw: &'a RawValue, first: bool) -> Option<Cow<'a, RawValue>> {
        let as_it_is = Some(Cow::Borrowed(raw));
        let Ok(tag) = serde_json::from_str::<Tag<'_>>(raw.get()) else { return as_it_is };
        match tag.kind.0.as_ref() {
            "thinking" => {
                let signature = serde_json::from_str::<Signed<'_>>(raw.get()).ok().and_then(|signed| signed.signature);
                if is_foreign(signature.as_ref().map(|signature| signature.0.as_ref())) {
                    self.unthinking = true;
                    return None;
                }
                self.last_begins_with_thinking |= first;
                as_it_is
            }
            "redacted_thinking" => {
                self.last_begins_with_thinking |= first;
                as_it_is
            }
            "tool_use" => {
                self.last_calls = true;
                refit(raw, "id")
            }
            "tool_result" => refit(raw, "tool_use_id"),
            _ => as_it_is,
        }
    }
}

/// The block with an id that Anthropic takes.
fn refit<'a>(raw: &'a RawValue, field: &'static str) -> Option<Cow<'a, RawValue>> {
    let as_it_is = Some(Cow::Borrowed(raw));
    let Some(mut members) = Members::read(raw.get()) else { return as_it_is };
    let Some(Ok(id)) = members.get(field).map(|id| serde_json::from_str::<Str<'_>>(id.get())) else { return as_it_is };
    let fitted = fit(&id.0, Rule::Anthropic).into_owned();
    if fitted == id.0 {
        return as_it_is;
    }
    members.set(field, &fitted);
    serde_json::value::to_raw_value(&members).ok().map(Cow::Owned).or(as_it_is)
}

#[cfg(test)]
#[path = "amend_tests.rs"]
mod tests;
