//! The check of a whole 200 answer of `/v1/responses`, and its errors in the shape that clients read.
//!
//! Owns what counts as an answer: a response object that is over and did not fail. One that is `incomplete` is an answer: the model
//! stopped at a limit that the client set, or at a filter.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::error::Category;
use serde_json::{Value, json};

use crate::dialect::openai_chat::response::{Usage, Whole, not_an_answer};
use crate::dialect::openai_chat::shape::{Count, Weight};

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Tokens {
    input_tokens: Count,
    output_tokens: Count,
}

/// A response object, as far as the gateway reads it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Response<'a> {
    #[serde(borrow)]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) model: Option<Cow<'a, str>>,
    pub(super) created_at: Count,
    #[serde(borrow)]
    status: Option<Cow<'a, str>>,
    output: Weight,
    error: Weight,
    usage: Option<Tokens>,
}

impl Response<'_> {
    fn is_answer(&self) -> bool {
        let unfinished = matches!(self.status.as_deref(), Some("in_progress" | "queued"));
        self.output != Weight::Nothing && !unfinished && !self.has_failed()
    }

    /// Whether it says that nothing more comes and that it is no answer.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.status.as_deref(), Some("failed" | "cancelled")) || self.error.is_full()
    }

    /// The tokens, if they were given.
    pub(super) fn usage(&self) -> Option<Usage> {
        let tokens = self.usage?;
        Some(Usage { prompt_tokens: tokens.input_tokens.0, completion_tokens: tokens.output_tokens.0 })
    }
}

/// The tokens of a body that counts them as `input_tokens` and `output_tokens`, whatever else it is.
#[must_use]
pub fn usage(body: &[u8]) -> Option<Usage> {
    serde_json::from_slice::<Response<'_>>(body).ok()?.usage()
}

/// Looks at the body of a 200 answer to a request that did not ask for a stream.
#[must_use]
#[inline(never)]
pub fn inspect(body: &[u8]) -> Whole {
    if !body.trim_ascii_start().starts_with(b"{") {
        return not_an_answer(body);
    }
    match serde_json::from_slice::<Response<'_>>(body) {
        Ok(response) if response.is_answer() => Whole::Good { usage: response.usage() },
        Ok(_) => Whole::Error,
        Err(error) if error.classify() == Category::Data => not_an_answer(body),
        Err(_) => Whole::NotJson,
    }
}

/// A failed response or an error event as the error body that clients know: `{"error": {message, type, param, code}}`.
/// `None` if it is one already, or none at all.
#[must_use]
pub fn as_error(data: &[u8]) -> Option<Bytes> {
    let event: Value = serde_json::from_slice(data).ok()?;
    let error = match event.get("error") {
        Some(error) if event["object"] != "response" && event["type"] != "error" && !error.is_null() => return None,
        Some(error) if !error.is_null() => error,
        _ => event.pointer("/response/error").filter(|error| !error.is_null()).unwrap_or(&event),
    };
    let message = error.get("message")?;
    let kind = error.get("type").filter(|kind| kind.is_string() && **kind != "error");
    let error = json!({
        "message": message,
        "type": kind.unwrap_or(&Value::from("invalid_request_error")),
        "param": error.get("param"),
        "code": error.get("code"),
    });
    Some(Bytes::from(json!({ "error": error }).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"id":"resp_1","object":"response","status":"completed","error":null,"model":"m","output":[{"type":"message","content":[{"type":"output_text","text":"error"}]}],"usage":{"input_tokens":7,"output_tokens":2,"total_tokens":9}}"#;

    #[test]
    fn answers_and_failures_are_told_apart() {
        let usage = Some(Usage { prompt_tokens: 7, completion_tokens: 2 });
        assert_eq!(inspect(GOOD.as_bytes()), Whole::Good { usage });
        assert_eq!(inspect(GOOD.replace("completed", "incomplete").as_bytes()), Whole::Good { usage });
        for body in [
            GOOD.replace("completed", "failed"),
            GOOD.replace("completed", "cancelled"),
            GOOD.replace("completed", "in_progress"),
            GOOD.replace("completed", "queued"),
            GOOD.replace("\"error\":null", "\"error\":{\"code\":\"server_error\",\"message\":\"no\"}"),
            GOOD.replace("\"output\"", "\"choices\""),
            r#"{"error":{"message":"no"}}"#.to_owned(),
            r#"{"detail":"Not Found"}"#.to_owned(),
            "[]".to_owned(),
            r#"{"status":7,"output":[]}"#.to_owned(),
        ] {
            assert_eq!(inspect(body.as_bytes()), Whole::Error, "{body}");
        }
        for end in 0..GOOD.len() {
            assert_eq!(inspect(&GOOD.as_bytes()[..end]), Whole::NotJson, "cut at {end}");
        }
    }

    #[test]
    fn every_error_is_told_in_the_same_shape() {
        for data in [
            r#"{"type":"response.failed","response":{"id":"resp_1","error":{"code":"c","message":"m"}}}"#,
            r#"{"type":"error","code":"c","message":"m","param":null,"sequence_number":3}"#,
            r#"{"type":"error","sequence_number":2,"error":{"code":"c","message":"m"}}"#,
            r#"{"object":"response","status":"failed","error":{"code":"c","message":"m"}}"#,
        ] {
            let error: Value =
                as_error(data.as_bytes()).and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
            let expected = json!({ "message": "m", "type": "invalid_request_error", "param": null, "code": "c" });
            assert_eq!(error["error"], expected, "{data}");
        }
        for data in [r#"{"error":{"message":"m"}}"#, "{}", "no", r#"{"detail":"x"}"#] {
            assert_eq!(as_error(data.as_bytes()), None, "{data}");
        }
    }
}
