//! Error shapes, read into facts. Every reader takes what it understands and ignores the rest.

use serde_json::{Map, Value};

use crate::policy::classify::Facts;

/// So much of a vendor's text is kept, in bytes.
const TEXT_LIMIT: usize = 4 * 1024;
/// Names, codes and types are single words up to this length; longer ones are prose.
const WORD_LIMIT: usize = 96;

/// A whole body: `{"error": …}`, or the error itself, or a list of either.
pub(super) fn body(facts: &mut Facts, json: &Value) {
    match json {
        Value::Array(list) => match list.first() {
            Some(first) if !first.is_array() => body(facts, first),
            _ => {}
        },
        Value::Object(body) => {
            let inner = body.get("error").filter(|error| !error.is_null());
            let inner = inner.or_else(|| body.get("response").and_then(|response| response.get("error")));
            if let Some(inner) = inner {
                error(facts, inner);
            }
            // Cohere, Mistral, xAI and AWS write at the top level, some of them beside `error`.
            members(facts, body);
        }
        Value::String(text) => plain(facts, text),
        _ => {}
    }
}

/// The error itself: an object, or its text alone.
pub(super) fn error(facts: &mut Facts, json: &Value) {
    match json {
        Value::Object(error) => members(facts, error),
        Value::String(text) => say(facts, text),
        Value::Array(list) => list.iter().take(8).for_each(|item| error(facts, item)),
        _ => {}
    }
}

/// Text that is no JSON. Pages from edges are read by their status alone: their words are about themselves.
pub(super) fn plain(facts: &mut Facts, text: &str) {
    if !text.trim_start().starts_with('<') {
        say(facts, text.trim());
    }
}

/// The name of an AWS exception: `prefix#Name:http://…`.
pub(super) fn exception(facts: &mut Facts, name: &str) {
    let name = name.split(':').next().unwrap_or_default();
    set(&mut facts.name, name.rsplit('#').next().unwrap_or_default().trim());
}

/// How much one request asked for, and how much it may: "Limit 30000, Requested 45000".
pub(super) fn sizes(facts: &mut Facts) {
    if facts.requested.is_none() || facts.limit.is_none() {
        let text = facts.message.to_ascii_lowercase();
        facts.requested = number_after(&text, "requested");
        facts.limit = number_after(&text, "limit");
    }
}

fn members(facts: &mut Facts, error: &Map<String, Value>) {
    for key in ["message", "Message", "msg", "detail"] {
        if let Some(text) = error.get(key) {
            prose(facts, text);
        }
    }
    if let Some(Value::String(text)) = error.get("error") {
        say(facts, text);
    }
    for key in ["code", "status", "status_code", "raw_status_code"] {
        code(facts, error.get(key));
    }
    for key in ["type", "error_type"] {
        // `{"type":"error","error":{…}}`: the envelope's word, not the error's.
        if let Some(word) = error.get(key).and_then(Value::as_str).filter(|word| *word != "error") {
            set(&mut facts.error_type, word);
        }
    }
    if let Some(name) = error.get("__type").and_then(Value::as_str) {
        exception(facts, name);
    }
    if let Some(name) = error.get("innererror").and_then(|inner| inner.get("code")).and_then(Value::as_str) {
        set(&mut facts.name, name);
    }
    let details = error.get("details").and_then(Value::as_array);
    if let Some(reason) = details.and_then(|list| list.iter().find_map(|detail| detail.get("reason")?.as_str())) {
        set(&mut facts.name, reason);
    }
    match error.get("metadata").and_then(|metadata| metadata.get("raw")) {
        Some(Value::String(raw)) => say(facts, raw),
        Some(raw @ Value::Object(_)) => say(facts, &raw.to_string()),
        _ => {}
    }
    if let (Some(asked), Some(window)) = (error.get("n_prompt_tokens"), error.get("n_ctx")) {
        (facts.requested, facts.limit) = (asked.as_u64(), window.as_u64());
    }
}

/// A text, a list of texts (FastAPI's `detail`), or an error within.
fn prose(facts: &mut Facts, json: &Value) {
    match json {
        Value::String(text) => say(facts, text),
        Value::Array(list) => {
            for item in list.iter().take(8) {
                match item {
                    Value::String(text) => say(facts, text),
                    item => {
                        if let Some(text) = item.get("msg").or_else(|| item.get("message")).and_then(Value::as_str) {
                            say(facts, text);
                        }
                    }
                }
            }
        }
        Value::Object(inner) => match inner.get("error") {
            Some(Value::Object(inner)) => members(facts, inner),
            _ => members(facts, inner),
        },
        _ => {}
    }
}

/// A code, which is an HTTP status with many vendors, as a number or in digits. The first of each kind counts.
fn code(facts: &mut Facts, json: Option<&Value>) {
    let text = match json {
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.clone(),
        _ => return,
    };
    match text.parse::<u16>() {
        Ok(status) if (400..600).contains(&status) => facts.body_status = facts.body_status.or(Some(status)),
        _ => set(&mut facts.code, &text),
    }
}

fn set(slot: &mut Option<String>, word: &str) {
    if slot.is_none()
        && !word.is_empty()
        && word.len() <= WORD_LIMIT
        && word.bytes().all(|byte| byte.is_ascii_graphic())
    {
        *slot = Some(word.to_owned());
    }
}

/// Adds text, bounded. A cut falls between words, so that no half of a key is left to be recognised.
fn say(facts: &mut Facts, text: &str) {
    let message = &mut facts.message;
    let room = TEXT_LIMIT.saturating_sub(message.len() + 1);
    if text.is_empty() || room == 0 || message.contains(text) {
        return;
    }
    let mut end = text.len();
    if end > room {
        end = (0..=room).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        end = text[..end].rfind(char::is_whitespace).unwrap_or(0);
    }
    if !message.is_empty() && end > 0 {
        message.push('\n');
    }
    message.push_str(&text[..end]);
}

/// The number behind a word, wherever the word has one: "rate limit reached …: Limit 30000".
fn number_after(text: &str, word: &str) -> Option<u64> {
    text.match_indices(word).find_map(|(at, _)| {
        let after = text[at + word.len()..].trim_start_matches([' ', ':']);
        let digits: String =
            after.chars().take_while(|c| c.is_ascii_digit() || *c == ',').filter(|c| *c != ',').collect();
        digits.parse().ok()
    })
}
