//! What a frame of a chat or completions stream says, and the one event the gateway itself writes.
//!
//! Owns two readings of the same frame: [`scan`] parses it, for the gate; [`is_plain`] finds with prebuilt byte
//! finders that there is nothing to parse, for the many chunks after the first content. Refuses to know what an
//! error means and what is done about it.

use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;
use serde::de::IgnoredAny;
use serde_json::error::Category;

use super::response::Usage;
use super::shape::Body;

/// The end of a stream that ended well.
pub const DONE: &[u8] = b"data: [DONE]\n\n";

static FINISH: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"finish_reason\""));
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"error\""));

/// What one frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// A chunk of the answer; a preamble if it says nothing.
    Chunk(Said),
    /// The vendor failed.
    Error,
    /// `[DONE]`.
    Done,
    /// Not JSON.
    Malformed,
}

/// What a chunk says. One chunk can say it all (Mistral's last one does).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Said {
    /// Text, reasoning, a refusal or a tool call that is not empty.
    pub content: bool,
    /// A choice is finished. With several choices one is enough: the contract asks for a sign that the vendor
    /// ended the answer by itself, and a stream that is cut after it still misses `[DONE]`.
    pub finish: bool,
    /// The tokens so far.
    pub usage: Option<Usage>,
}

/// Reads one frame: its `event` and its `data`.
#[must_use]
pub fn scan(event: Option<&[u8]>, data: &[u8]) -> Signal {
    if event == Some(b"error") {
        return Signal::Error;
    }
    let data = data.trim_ascii();
    match data.first() {
        Some(b'{') => {}
        Some(b'[') if data == b"[DONE]" => return Signal::Done,
        Some(b'[') => return scan_list(data),
        _ => return Signal::Malformed,
    }
    match serde_json::from_slice::<Body>(data) {
        Ok(body) if body.is_error() => Signal::Error,
        Ok(body) => {
            let choices = body.choices.unwrap_or_default();
            Signal::Chunk(Said { content: choices.content, finish: choices.finish, usage: body.usage() })
        }
        // Valid JSON of an unexpected shape passes; only what no client could parse is called malformed.
        Err(error) if error.classify() == Category::Data && is_json(data) => Signal::Chunk(Said::default()),
        // Half a character, which some vendors send: text, whatever else it is.
        Err(_) if is_json(data) => Signal::Chunk(Said { content: true, ..Said::default() }),
        Err(_) => Signal::Malformed,
    }
}

/// Gemini wraps its errors in a list.
fn scan_list(data: &[u8]) -> Signal {
    match serde_json::from_slice::<Vec<Body>>(data) {
        Ok(list) if list.iter().any(Body::is_error) => Signal::Error,
        _ if is_json(data) => Signal::Chunk(Said::default()),
        _ => Signal::Malformed,
    }
}

fn is_json(data: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(data).is_ok()
}

/// Whether a frame's data is a chunk with neither a finish reason nor an error, by its bytes alone: then [`scan`]
/// has nothing to say about it that matters after the first content. False only means that it must be parsed.
/// Inside a JSON string both names have their quotes escaped, so text that talks about errors costs nothing.
#[must_use]
pub fn is_plain(data: &[u8]) -> bool {
    data.first() == Some(&b'{') && data.last() == Some(&b'}') && all_null(&FINISH, data) && all_null(&ERROR, data)
}

/// Whether every field of the finder's name is null.
fn all_null(name: &Finder<'_>, data: &[u8]) -> bool {
    let mut rest = data;
    while let Some(at) = name.find(rest) {
        rest = &rest[at + name.needle().len()..];
        let value = match rest {
            [b':', b'n', ..] => continue,
            _ => rest.trim_ascii_start().strip_prefix(b":").map(<[u8]>::trim_ascii_start),
        };
        if !value.is_some_and(|value| value.starts_with(b"null")) {
            return false;
        }
    }
    true
}

/// OpenAI's `error.type` for a status.
#[must_use]
pub const fn kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}

/// An error event in OpenAI's shape. After it comes no `[DONE]`: a truncated answer never looks complete.
/// The message is for the client: nothing of a vendor's text belongs in it unredacted.
#[must_use]
pub fn error_event(message: &str, kind: &str, code: &str) -> Bytes {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    Bytes::from(format!(
        "data: {{\"error\":{{\"message\":{},\"type\":{},\"param\":null,\"code\":{}}}}}\n\n",
        quoted(message),
        quoted(kind),
        quoted(code)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(data: &str) -> Signal {
        scan(None, data.as_bytes())
    }

    fn delta(delta: &str) -> Signal {
        said(&format!(r#"{{"choices":[{{"index":0,"delta":{delta},"finish_reason":null}}],"usage":null}}"#))
    }

    #[test]
    fn preambles_are_not_content() {
        let preamble = Signal::Chunk(Said::default());
        for text in [
            r#"{"role":"assistant"}"#,
            r#"{"role":"assistant","content":"","refusal":null}"#,
            r#"{"role":"assistant","content":null,"tool_calls":[],"reasoning_content":""}"#,
            "{}",
            "null",
        ] {
            assert_eq!(delta(text), preamble, "{text}");
        }
        for text in [r#"{"choices":[],"prompt_filter_results":[{}]}"#, r#"{"type":"ping"}"#, r#"{"choices":7}"#, "[1]"]
        {
            assert_eq!(said(text), preamble, "{text}");
        }
    }

    #[test]
    fn content_in_every_form() {
        let content = Signal::Chunk(Said { content: true, ..Said::default() });
        for text in [
            r#"{"content":"a"}"#,
            r#"{"content":"\u00e9"}"#,
            r#"{"content":[{"type":"thinking","thinking":[]}]}"#,
            r#"{"content":"","reasoning":"We"}"#,
            r#"{"content":null,"reasoning_content":"We"}"#,
            r#"{"refusal":"no"}"#,
            r#"{"tool_calls":[{"index":0}]}"#,
            r#"{"function_call":{"name":"f"}}"#,
            r#"{"content":"error"}"#,
        ] {
            assert_eq!(delta(text), content, "{text}");
        }
        assert_eq!(said(r#"{"choices":[{"text":"-stack","finish_reason":null}]}"#), content);
        assert_eq!(
            said(
                r#"{"choices":[{"delta":{"content":"3"},"finish_reason":"stop"}],"usage":{"prompt_tokens":22,"completion_tokens":8}}"#
            ),
            Signal::Chunk(Said {
                content: true,
                finish: true,
                usage: Some(Usage { prompt_tokens: 22, completion_tokens: 8 })
            })
        );
        assert_eq!(
            said(
                r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"x_groq":{"usage":{"prompt_tokens":1,"completion_tokens":2}}}"#
            ),
            Signal::Chunk(Said {
                content: false,
                finish: true,
                usage: Some(Usage { prompt_tokens: 1, completion_tokens: 2 })
            })
        );
    }

    #[test]
    fn errors_done_and_garbage() {
        for text in [
            r#"{"error":{"message":"no"}}"#,
            r#"{"error":"no"}"#,
            r#"{"error":{"code":400},"choices":[{"delta":{"content":""},"finish_reason":null}]}"#,
            r#"{"choices":[{"delta":{"content":""},"finish_reason":"error"}]}"#,
            r#"[{"error":{"code":429}}]"#,
            r#"{"object":"error","message":"no"}"#,
        ] {
            assert_eq!(said(text), Signal::Error, "{text}");
            assert!(!is_plain(text.as_bytes()), "{text}");
        }
        assert_eq!(scan(Some(b"error"), b"overloaded"), Signal::Error);
        assert_eq!(said("[DONE]"), Signal::Done);
        assert_eq!(said(" [DONE] "), Signal::Done);
        for text in ["", "ping", r#"{"choices":[{"#, "<html>", "[DONE", r#"{"choices":7"#] {
            assert_eq!(said(text), Signal::Malformed, "{text}");
        }
    }

    #[test]
    fn plain_chunks_need_no_parse() {
        for text in [
            r#"{"choices":[{"delta":{"content":"an \"error\": \"finish_reason\":\"stop\""},"finish_reason":null}],"error":null,"usage":null}"#,
            r#"{"choices":[{"delta":{"content":"a"},"finish_reason" :  null,"native_finish_reason":"x"}]}"#,
            r#"{"choices":[{"delta":{"content":"a"}}]}"#,
        ] {
            assert!(is_plain(text.as_bytes()), "{text}");
        }
        for text in [
            r#"{"choices":[{"finish_reason":"stop"}]}"#,
            r#"{"choices":[{"finish_reason": "stop"}]}"#,
            r#"{"choices":[{"finish_reason":null},{"finish_reason":"stop"}]}"#,
            r#"{"error" : {}}"#,
            "[DONE]",
            "{\"cut",
        ] {
            assert!(!is_plain(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn the_error_event_is_one_frame_of_valid_json() {
        let event = error_event("a \"quoted\"\nline", "server_error", "broken_stream");
        let data = event.strip_prefix(b"data: ").and_then(|rest| rest.strip_suffix(b"\n\n")).unwrap_or_default();
        assert!(!data.contains(&b'\n'));
        assert_eq!(scan(None, data), Signal::Error);
    }
}
