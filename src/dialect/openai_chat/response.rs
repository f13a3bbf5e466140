//! The check of a whole 200 answer before it is passed on.
//!
//! Owns the answer to "is this what was asked for?". Refuses to change it, and to say what an error means
//! ([`dialect::error`](crate::dialect::error) does).

use serde::de::IgnoredAny;
use serde_json::error::Category;

use super::request::Endpoint;
use super::shape::{Body, Weight};

/// Tokens as the vendor counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Of the prompt, cached ones included.
    pub prompt_tokens: u64,
    /// Of the answer, reasoning included; 0 for embeddings.
    pub completion_tokens: u64,
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
pub fn inspect(body: &[u8], endpoint: Endpoint) -> Whole {
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
    };
    if complete && !answer.is_error() { Whole::Good { usage: answer.usage() } } else { Whole::Error }
}

fn not_an_answer(body: &[u8]) -> Whole {
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
