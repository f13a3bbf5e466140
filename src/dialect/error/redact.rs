//! Vendor text without keys: for clients, logs and trails.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memmem;

const REDACTED: &str = "[redacted]";
/// So much of a vendor's text is shown, in characters.
const SHOWN: usize = 300;
/// Shorter secrets (the `EMPTY` of a local server) are words of any text, and none worth hiding.
const SHORTEST_SECRET: usize = 6;
/// What looks like a key is at least this long.
const SHORTEST_KEY: usize = 8;
/// A run of letters and digits of this length, with some of both, is taken for a key.
const LONG_RUN: usize = 20;
/// What the keys of known vendors begin with.
const KEY_PREFIXES: [&str; 20] = [
    "sk-",
    "sk_",
    "rk-",
    "pk-",
    "pk_",
    "xai-",
    "gsk_",
    "AIza",
    "AQ.",
    "AKIA",
    "ASIA",
    "ya29.",
    "ABSK",
    "bedrock-api-key-",
    "hf_",
    "r8_",
    "nvapi-",
    "pplx-",
    "csk-",
    "eyJ",
];
/// Long names that operators need and that open nothing.
const ID_PREFIXES: [&str; 9] = ["req_", "resp_", "chatcmpl-", "cmpl-", "msg_", "gen-", "call_", "toolu_", "call-"];

/// `body` with everything that looks like a key, and each of `secrets` (of 6 bytes and more, also as JSON
/// writes them), replaced by `[redacted]`. JSON stays JSON. Borrowed if there is nothing to hide.
#[must_use]
pub fn redact<'a>(body: &'a [u8], secrets: &[&str]) -> Cow<'a, [u8]> {
    let mut found = key_like(body);
    for secret in secrets.iter().filter(|secret| secret.len() >= SHORTEST_SECRET) {
        find(body, secret, &mut found);
        let written = serde_json::Value::from(*secret).to_string();
        let written = &written[1..written.len() - 1];
        for spelling in [written.to_owned(), written.replace('/', "\\/")] {
            if spelling != **secret {
                find(body, &spelling, &mut found);
            }
        }
    }
    if found.is_empty() {
        return Cow::Borrowed(body);
    }
    found.sort_unstable_by_key(|range| range.start);
    let mut shown = Vec::with_capacity(body.len());
    let mut at = 0;
    for range in found {
        if range.start >= at {
            shown.extend_from_slice(&body[at..range.start]);
            shown.extend_from_slice(REDACTED.as_bytes());
        }
        at = at.max(range.end);
    }
    shown.extend_from_slice(&body[at..]);
    Cow::Owned(shown)
}

/// A vendor's text fit to be shown: redacted, on one line, at most 300 characters.
#[must_use]
pub fn safe_message(message: &str, secrets: &[&str]) -> String {
    let shown = redact(message.as_bytes(), secrets);
    let shown = String::from_utf8_lossy(&shown);
    let mut line = String::with_capacity(shown.len().min(SHOWN + 1));
    for (count, word) in
        shown.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).enumerate()
    {
        if count > 0 {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > SHOWN * 4 {
            break;
        }
    }
    if let Some((end, _)) = line.char_indices().nth(SHOWN) {
        line.truncate(end);
        line.push('…');
    }
    line
}

fn find(body: &[u8], secret: &str, found: &mut Vec<Range<usize>>) {
    found.extend(memmem::find_iter(body, secret).map(|at| whole_escapes(body, at..at + secret.len())));
}

/// The range grown to whole JSON escapes at both ends, so that no lone backslash is left behind.
fn whole_escapes(body: &[u8], mut range: Range<usize>) -> Range<usize> {
    let hex = body[..range.start].iter().rev().take(4).take_while(|byte| byte.is_ascii_hexdigit()).count();
    let unicode =
        (0..=hex).map(|back| range.start - back).find(|at| *at > 0 && body[at - 1] == b'u' && escapes(body, at - 1));
    if let Some(at) = unicode {
        range.start = at - 2;
    } else if escapes(body, range.start) {
        range.start -= 1;
    }
    if escapes(body, range.end) {
        range.end = body.len().min(after_escape(body, range.end));
    }
    range
}

/// Whether the byte at `at` is escaped by the backslash before it.
fn escapes(body: &[u8], at: usize) -> bool {
    body[..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// Where the escape ends whose letter is at `at`: after `n`, or after `u00e9`.
fn after_escape(body: &[u8], at: usize) -> usize {
    if body.get(at) == Some(&b'u') { at + 5 } else { at + 1 }
}

fn key_like(body: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    for token in body.split(|byte| !is_token(*byte)) {
        let end = at + token.len();
        // The `n` of a `\n` before a key is none of its letters.
        let start = if escapes(body, at) { end.min(after_escape(body, at)) } else { at };
        if looks_like_a_key(&body[start..end]) {
            found.push(start..end);
        }
        at = end + 1;
    }
    found
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.*+".contains(&byte)
}

fn looks_like_a_key(token: &[u8]) -> bool {
    if token.len() < SHORTEST_KEY && !token.starts_with(b"***") {
        return false;
    }
    if memmem::find(token, b"***").is_some() || KEY_PREFIXES.iter().any(|prefix| token.starts_with(prefix.as_bytes())) {
        return true;
    }
    !ID_PREFIXES.iter().any(|prefix| token.starts_with(prefix.as_bytes()))
        && token.split(|byte| !byte.is_ascii_alphanumeric()).any(|run| {
            run.len() >= LONG_RUN && run.iter().any(u8::is_ascii_digit) && run.iter().any(u8::is_ascii_alphabetic)
        })
}
