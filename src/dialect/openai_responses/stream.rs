//! What an event of a Responses stream says, and the event with which the gateway itself ends one.
//!
//! Content is a delta with something in it, a partial image, or anything that is finished: a part, an item, a tool's
//! work. An item that is only announced is none, a function call neither: its arguments follow at once, and if they do
//! not, another slot may still answer. Owns the end, too: `response.completed`, `response.incomplete`, or what some
//! vendors call it, `response.done`. `[DONE]` is a habit of others and says nothing.

use std::borrow::Cow;
use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::error::Category;
use serde_json::json;

use super::response::Response;
use crate::dialect::openai_chat::shape::Weight;
use crate::dialect::openai_chat::stream::{Said, Signal};

static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"error\""));

/// An event, as far as the gateway reads it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Frame<'a> {
    #[serde(borrow)]
    r#type: Option<Cow<'a, str>>,
    delta: Weight,
    error: Weight,
    #[serde(borrow)]
    response: Option<Response<'a>>,
}

/// Reads one event: its `event` and its `data`.
#[must_use]
pub fn scan(event: Option<&[u8]>, data: &[u8]) -> Signal {
    let data = data.trim_ascii();
    if data == b"[DONE]" {
        return Signal::Done;
    }
    if !data.starts_with(b"{") {
        return match event {
            Some(b"error" | b"response.failed") => Signal::Error,
            _ if data.starts_with(b"[") && is_json(data) => Signal::Chunk(Said::default()),
            _ => Signal::Malformed,
        };
    }
    let frame = match serde_json::from_slice::<Frame<'_>>(data) {
        Ok(frame) => frame,
        // Valid JSON of an unexpected shape is judged by its name.
        Err(error) if error.classify() == Category::Data && is_json(data) => Frame::default(),
        Err(_) => return Signal::Malformed,
    };
    let named = event.and_then(|name| std::str::from_utf8(name).ok());
    let kind = frame.r#type.as_deref().or(named).unwrap_or_default();
    match kind {
        "error" | "response.failed" => Signal::Error,
        _ if frame.error.is_full() => Signal::Error,
        // Whatever the event is called, its response says how it went.
        _ if is_end(kind) && frame.response.as_ref().is_some_and(Response::has_failed) => Signal::Error,
        _ if is_end(kind) => {
            let usage = frame.response.and_then(|response| response.usage());
            Signal::Chunk(Said { content: false, finish: true, usage })
        }
        _ => Signal::Chunk(Said { content: is_content(kind, frame.delta), ..Said::default() }),
    }
}

fn is_end(kind: &str) -> bool {
    matches!(kind, "response.completed" | "response.incomplete" | "response.done")
}

/// Whether an event of which only the first bytes are known is the last one: by its name, or by the type near the
/// beginning of its data.
#[must_use]
pub fn is_last(event: Option<&[u8]>, data: &[u8]) -> bool {
    let data = String::from_utf8_lossy(data);
    let typed = || {
        let (_, value) = data.split_once("\"type\"")?;
        value.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?.split('"').next()
    };
    event.and_then(|name| std::str::from_utf8(name).ok()).or_else(typed).is_some_and(is_end)
}

fn is_content(kind: &str, delta: Weight) -> bool {
    match kind.rsplit_once('.').map_or(kind, |(_, last)| last) {
        "delta" => delta.is_full(),
        "done" | "completed" | "partial_image" => true,
        _ => false,
    }
}

/// Whether an event after the first content is a delta, by its name and by the type that its data begins with: then
/// there is nothing to read.
#[must_use]
pub fn is_plain(event: Option<&[u8]>, data: &[u8]) -> bool {
    event.is_some_and(|name| {
        let typed = data.strip_prefix(b"{\"type\":").map(<[u8]>::trim_ascii_start);
        let rest = typed.and_then(|typed| typed.strip_prefix(b"\"")?.strip_prefix(name));
        name.ends_with(b".delta") && rest.is_some_and(|rest| rest.starts_with(b"\",") && rest.ends_with(b"}"))
    }) && ERROR.find(data).is_none()
}

fn is_json(data: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(data).is_ok()
}

/// What `response.created` says of the response that follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    id: String,
    model: String,
    created_at: u64,
}

impl Opening {
    /// A response that no vendor has begun.
    #[must_use]
    pub fn own(id: u64) -> Self {
        Self { id: format!("resp_{id:016x}"), model: String::new(), created_at: 0 }
    }
}

/// The opening of a response, if this event has it.
#[must_use]
pub fn opening(data: &[u8]) -> Option<Opening> {
    let response = serde_json::from_slice::<Frame<'_>>(data.trim_ascii()).ok()?.response?;
    let model = response.model.as_deref().unwrap_or_default().to_owned();
    Some(Opening { created_at: response.created_at.0, id: response.id?.into_owned(), model })
}

/// The event with which a response fails, number `sequence` of its stream. Nothing follows it. `code` is a word of the
/// gateway: the API has a list of its own, so it stands in the message. The message is for the client: nothing of a
/// vendor's text belongs in it unredacted.
#[must_use]
pub fn failed_event(opening: &Opening, sequence: u64, message: &str, code: &str) -> Bytes {
    let known = if code.starts_with("rate_limit") { "rate_limit_exceeded" } else { "server_error" };
    let event = json!({
        "type": "response.failed",
        "sequence_number": sequence,
        "response": {
            "id": opening.id, "object": "response", "created_at": opening.created_at, "status": "failed", "model": opening.model,
            "error": { "code": known, "message": format!("{message} ({code})") },
            "incomplete_details": null, "instructions": null, "metadata": {}, "output": [],
            "parallel_tool_calls": true, "temperature": null, "tool_choice": "auto", "tools": [], "top_p": null,
            "usage": null,
        },
    });
    Bytes::from(format!("event: response.failed\ndata: {event}\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::openai_chat::response::Usage;

    fn kind(name: &str, more: &str) -> Signal {
        let data = format!("{{\"type\":\"{name}\",\"sequence_number\":4{more}}}");
        let scanned = scan(Some(name.as_bytes()), data.as_bytes());
        assert_eq!(scan(None, data.as_bytes()), scanned, "with and without a name: {data}");
        scanned
    }

    #[test]
    fn announcements_are_held() {
        for (name, more) in [
            ("response.created", r#","response":{"id":"resp_1","error":null,"output":[]}"#),
            ("response.in_progress", ""),
            ("response.queued", ""),
            ("response.output_item.added", r#","item":{"type":"message","content":[]}"#),
            ("response.output_item.added", r#","item":{"type":"function_call","name":"f","arguments":""}"#),
            ("response.content_part.added", r#","part":{"type":"output_text","text":""}"#),
            ("response.output_text.delta", r#","delta":"""#),
            ("response.web_search_call.searching", ""),
            ("keepalive", ""),
        ] {
            assert_eq!(kind(name, more), Signal::Chunk(Said::default()), "{name}{more}");
        }
    }

    #[test]
    fn content_in_every_form() {
        let content = Signal::Chunk(Said { content: true, ..Said::default() });
        for name in [
            "response.output_text.delta",
            "response.refusal.delta",
            "response.reasoning_text.delta",
            "response.reasoning_summary_text.delta",
            "response.function_call_arguments.delta",
            "response.custom_tool_call_input.delta",
            "response.audio.delta",
        ] {
            assert_eq!(kind(name, r#","delta":"a""#), content, "{name}");
        }
        for name in [
            "response.image_generation_call.partial_image",
            "response.output_item.done",
            "response.function_call_arguments.done",
            "response.web_search_call.completed",
        ] {
            assert_eq!(kind(name, ""), content, "{name}");
        }
    }

    #[test]
    fn ends_errors_and_garbage() {
        let usage = r#","response":{"id":"r","usage":{"input_tokens":5,"output_tokens":3}}"#;
        let tokens = Some(Usage { prompt_tokens: 5, completion_tokens: 3 });
        for name in ["response.completed", "response.incomplete", "response.done"] {
            assert_eq!(
                kind(name, usage),
                Signal::Chunk(Said { content: false, finish: true, usage: tokens }),
                "{name}"
            );
            assert_eq!(kind(name, ""), Signal::Chunk(Said { content: false, finish: true, usage: None }), "{name}");
        }
        assert_eq!(kind("error", r#","code":"server_error","message":"no""#), Signal::Error);
        assert_eq!(kind("response.failed", r#","response":{"error":{"code":"x"}}"#), Signal::Error);
        for more in [r#""status":"failed""#, r#""status":"cancelled""#, r#""error":{"code":"x"}"#] {
            assert_eq!(kind("response.completed", &format!(r#","response":{{{more}}}"#)), Signal::Error, "{more}");
        }
        assert_eq!(scan(None, br#"{"error":{"message":"no"}}"#), Signal::Error);
        assert_eq!(scan(Some(b"error"), b"overloaded"), Signal::Error);
        assert_eq!(scan(None, b"[DONE]"), Signal::Done);
        for data in ["", "ping", "{\"type\":\"response.out", "<html>"] {
            assert_eq!(scan(None, data.as_bytes()), Signal::Malformed, "{data}");
        }
    }

    #[test]
    fn the_last_event_is_known_by_its_first_bytes() {
        for (name, data, last) in [
            (Some("response.completed"), "{\"sequence", true),
            (Some("response.done"), "", true),
            (None, "{\"sequence_number\":4, \"type\" : \"response.incomplete\", \"respo", true),
            (Some("response.output_item.done"), "{\"type\":\"response.completed\"", false),
            (None, "{\"type\":\"response.comple", false),
            (None, "AAAA", false),
        ] {
            assert_eq!(is_last(name.map(str::as_bytes), data.as_bytes()), last, "{name:?} {data}");
        }
    }

    #[test]
    fn a_delta_is_trusted_if_its_data_agrees() {
        let name = "response.output_text.delta";
        for (data, plain) in [
            (format!(r#"{{"type":"{name}","delta":"an \"error\" {{"}}"#), true),
            (format!(r#"{{"type": "{name}", "delta":"a"}}"#), true),
            (format!(r#"{{"type":"{name}","error":{{"message":"no"}}}}"#), false),
            (r#"{"type":"error","message":"no"}"#.to_owned(), false),
            (r#"{"type":"response.failed"}"#.to_owned(), false),
            (format!(r#"{{"type":"{name}","delta":"#), false),
        ] {
            assert_eq!(is_plain(Some(name.as_bytes()), data.as_bytes()), plain, "{data}");
            assert!(!is_plain(None, data.as_bytes()));
        }
    }

    #[test]
    fn the_event_of_a_failure_is_one_frame_that_reads_as_an_error() {
        let opening = opening(br#"{"type":"response.created","response":{"id":"resp_1","model":"m"}}"#);
        let opening = opening.unwrap_or_else(|| unreachable!("it has an id"));
        let event = failed_event(&opening, 7, "a \"quoted\"\nline", "broken_stream");
        let text = String::from_utf8_lossy(&event);
        let data = text.strip_prefix("event: response.failed\ndata: ").and_then(|rest| rest.strip_suffix("\n\n"));
        let data = data.unwrap_or_else(|| unreachable!("{text}"));
        assert!(!data.contains('\n'));
        assert_eq!(scan(None, data.as_bytes()), Signal::Error);
        let json: serde_json::Value = serde_json::from_str(data).unwrap_or_default();
        assert_eq!((&json["response"]["id"], &json["sequence_number"]), (&"resp_1".into(), &7.into()));
        assert_eq!(json["response"]["error"]["code"], "server_error");
    }
}
