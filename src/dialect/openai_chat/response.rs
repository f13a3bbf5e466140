//! The check of a whole 200 answer before it is passed on.
//!
//! Owns the answer to "is this what was asked for?". Refuses to change it, and to say what an error means
//! ([`dialect::error`](crate::dialect::error) does).

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::de::IgnoredAny;
use serde_json::error::Category;

use super::shape::{Body, Weight};
use crate::dialect::canonical;
use crate::dialect::endpoint::Endpoint;
use crate::dialect::openai_responses;

/// Tokens as the vendor counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Of the prompt, cached ones included.
    pub prompt_tokens: u64,
    /// Of the answer, reasoning included; 0 for embeddings.
    pub completion_tokens: u64,
}

impl Usage {
    /// The larger of both in each count.
    #[must_use]
    pub fn or_more(self, other: Self) -> Self {
        Self {
            prompt_tokens: self.prompt_tokens.max(other.prompt_tokens),
            completion_tokens: self.completion_tokens.max(other.completion_tokens),
        }
    }
}

impl From<Usage> for canonical::Usage {
    fn from(usage: Usage) -> Self {
        Self { input: usage.prompt_tokens, output: usage.completion_tokens, ..Self::default() }
    }
}

impl From<canonical::Usage> for Usage {
    fn from(usage: canonical::Usage) -> Self {
        Self { prompt_tokens: usage.input, completion_tokens: usage.output }
    }
}

/// What a body under status 200 is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    /// An answer of the endpoint that was asked.
    Good {
        /// The tokens, if they were given.
        usage: Option<Usage>,
    },
    /// JSON, but an error or no answer of this endpoint.
    Error,
    /// Not JSON, or only half of it: nothing, HTML, cut off.
    NotJson,
}

/// Looks at the body of a 200 answer to a request that did not ask for a stream.
#[must_use]
#[inline]
pub fn inspect(body: &[u8], endpoint: Endpoint) -> Whole {
    if matches!(endpoint, Endpoint::Chat | Endpoint::Completions)
        && let Some(usage) = skim(body)
    {
        return Whole::Good { usage: Some(usage) };
    }
    // A derived struct would also take a list for its fields.
    if !body.trim_ascii_start().starts_with(b"{") {
        return not_an_answer(body);
    }
    let answer: Body = match serde_json::from_slice(body) {
        Ok(answer) => answer,
        Err(error) => {
            return match error.classify() {
                Category::Data => not_an_answer(body),
                Category::Syntax | Category::Eof | Category::Io => Whole::NotJson,
            };
        }
    };
    let complete = match endpoint {
        Endpoint::Chat | Endpoint::Completions => answer.choices.is_some_and(|choices| choices.count > 0),
        Endpoint::Embeddings => answer.data != Weight::Nothing,
        Endpoint::Moderations => answer.results != Weight::Nothing,
        // Theirs are looked at elsewhere: none of them is a good answer here.
        Endpoint::Responses
        | Endpoint::ImageGenerations
        | Endpoint::ImageEdits
        | Endpoint::ImageVariations
        | Endpoint::Speech
        | Endpoint::Transcriptions
        | Endpoint::Translations
        | Endpoint::Messages
        | Endpoint::CountTokens => false,
    };
    if complete && !answer.is_error() { Whole::Good { usage: answer.usage() } } else { Whole::Error }
}

/// Looks at a JSON answer of images or audio. They have no common shape: what is no error is one.
#[must_use]
pub fn inspect_media(body: &[u8]) -> Whole {
    match serde_json::from_slice::<Body>(body) {
        _ if !body.trim_ascii_start().starts_with(b"{") => not_an_answer(body),
        Ok(answer) if answer.is_error() => Whole::Error,
        Ok(_) => Whole::Good { usage: openai_responses::response::usage(body) },
        Err(_) => not_an_answer(body),
    }
}

static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"error\""));
static PROMPT_TOKENS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"prompt_tokens\":"));
static COMPLETION_TOKENS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"completion_tokens\":"));

/// The usual answer, told by a walk over its brackets: whole, with choices and usage, and nowhere the word
/// `"error"` outside of a text. `None` says nothing: then the body is parsed. (A parse costs twice as much.)
fn skim(body: &[u8]) -> Option<Usage> {
    if ERROR.find(body).is_some() {
        return None;
    }
    let mut depth = 0_u32;
    let mut at = 0;
    let mut choices = false;
    let mut usage: Option<usize> = None;
    let mut usage_end = 0;
    loop {
        match *body.get(at)? {
            b'"' => {
                let end = string_end(body, at + 1)?;
                if depth == 1 {
                    match &body[at..end] {
                        b"\"choices\"" => choices |= body[end..].starts_with(b":[{"),
                        b"\"usage\"" if body[end..].starts_with(b":{") => usage = Some(end),
                        _ => {}
                    }
                }
                at = end;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                if depth == 1 && usage.is_some() && usage_end == 0 {
                    usage_end = at;
                }
                if depth == 0 {
                    break;
                }
            }
            _ => {}
        }
        at += 1;
    }
    if !choices || !body[at + 1..].trim_ascii().is_empty() {
        return None;
    }
    let usage = body.get(usage?..usage_end)?;
    Some(Usage {
        prompt_tokens: number_after(&PROMPT_TOKENS, usage)?,
        completion_tokens: number_after(&COMPLETION_TOKENS, usage)?,
    })
}

/// The end of the string that begins at `start`, behind its quote: the first quote that no backslash escapes.
fn string_end(body: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        at += memchr::memchr(b'"', body.get(at..)?)?;
        let slashes = body[start..at].iter().rev().take_while(|byte| **byte == b'\\').count();
        at += 1;
        if slashes % 2 == 0 {
            return Some(at);
        }
    }
}

/// The whole number behind a key, if one stands there plainly.
fn number_after(key: &Finder<'_>, text: &[u8]) -> Option<u64> {
    let digits = &text[key.find(text)? + key.needle().len()..];
    let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    if end == 0 || end > 18 || matches!(digits.get(end), Some(b'.' | b'e' | b'E')) {
        return None;
    }
    Some(digits[..end].iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

pub(in crate::dialect) fn not_an_answer(body: &[u8]) -> Whole {
    if serde_json::from_slice::<IgnoredAny>(body).is_ok() { Whole::Error } else { Whole::NotJson }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9},"error":null}"#;

    fn chat(body: &str) -> Whole {
        inspect(body.as_bytes(), Endpoint::Chat)
    }

    #[test]
    fn a_good_answer_gives_its_usage() {
        let usage = Some(Usage { prompt_tokens: 7, completion_tokens: 2 });
        assert_eq!(chat(GOOD), Whole::Good { usage });
        assert_eq!(chat(r#"{"choices":[{"text":""}]}"#), Whole::Good { usage: None });
        assert_eq!(
            inspect(br#"{"data":[],"usage":{"prompt_tokens":3.0,"completion_tokens":null}}"#, Endpoint::Embeddings),
            Whole::Good { usage: Some(Usage { prompt_tokens: 3, completion_tokens: 0 }) }
        );
        assert_eq!(inspect(br#"{"results":[{}]}"#, Endpoint::Moderations), Whole::Good { usage: None });
    }

    #[test]
    fn the_skim_says_what_the_parse_says() {
        let plain = GOOD.replace(",\"error\":null", "");
        assert_eq!(skim(plain.as_bytes()), Some(Usage { prompt_tokens: 7, completion_tokens: 2 }));
        assert_eq!(skim(GOOD.as_bytes()), None, "the word error is left to the parse");
        let tricky = r#"{"choices":[{"message":{"content":"a \\\" } ] {\"error\": \\"}}],"usage":{"a":{"b":1},"prompt_tokens":7,"completion_tokens":2}}"#;
        assert_eq!(skim(tricky.as_bytes()), Some(Usage { prompt_tokens: 7, completion_tokens: 2 }));
        for end in 0..plain.len() {
            assert_eq!(skim(&plain.as_bytes()[..end]), None, "cut at {end}");
        }
        for odd in [
            plain.replace('7', "7.5"),
            plain.replace(":7", ":\"7\""),
            plain.replace("[{", "[["),
            format!("{plain} {{}}"),
            plain.replace("usage", "usages"),
        ] {
            assert_eq!(skim(odd.as_bytes()), None, "{odd}");
        }
    }

    #[test]
    fn half_an_answer_is_not_json_wherever_it_is_cut() {
        for end in 0..GOOD.len() {
            assert_eq!(chat(&GOOD[..end]), Whole::NotJson, "cut at {end}");
        }
        for body in ["<html>502</html>", " \n", "{\"choices\":[]} {}", "nul"] {
            assert_eq!(chat(body), Whole::NotJson, "{body}");
        }
    }

    #[test]
    fn errors_under_200_in_every_shape() {
        for body in [
            r#"{"error":{"message":"no"}}"#,
            r#"{"error":"no"}"#,
            r#"[{"error":{"code":429}}]"#,
            r#"{"message":"no"}"#,
            r#"{"detail":["no"]}"#,
            r#"{"object":"error","message":"no"}"#,
            r#"{"type":"error","error":{"type":"overloaded_error"}}"#,
            r#"{"choices":[{"finish_reason":"error","message":{}}]}"#,
            r#"{"choices":[{"error":{"code":502},"message":{}}]}"#,
            r#"{"choices":[{}],"error":{"code":502}}"#,
            r#"{"choices":[]}"#,
            r#"{"choices":"none"}"#,
            "{}",
            "[]",
            "null",
            "\"overloaded\"",
        ] {
            assert_eq!(chat(body), Whole::Error, "{body}");
        }
        assert_eq!(inspect(GOOD.as_bytes(), Endpoint::Embeddings), Whole::Error);
    }

    #[test]
    fn an_empty_error_is_none() {
        for body in [r#"{"choices":[{}],"error":{}}"#, r#"{"choices":[{"error":null}],"error":""}"#] {
            assert_eq!(chat(body), Whole::Good { usage: None }, "{body}");
        }
    }
}
