//! What an event of a stream of images, sound or a transcript says, and the event with which the gateway itself ends one.
//!
//! Vendors differ in what they send and agree in little: whatever has data and is no error is content. Owns the end, too:
//! a `type` whose last word is `done` or `completed`, or `[DONE]`. There may be several (one for each image).

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::error::Category;
use serde_json::json;

use super::openai_chat::shape::Weight;
use super::openai_chat::stream::{Said, Signal, scan as scan_chunk};
use super::openai_responses::response::usage;

/// An event, as far as the gateway reads it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Frame<'a> {
    #[serde(borrow)]
    r#type: Option<Cow<'a, str>>,
    object: Weight,
    error: Weight,
}

/// Reads one event: its `event` and its `data`.
#[must_use]
pub fn scan(event: Option<&[u8]>, data: &[u8]) -> Signal {
    let data = data.trim_ascii();
    if event == Some(b"error") {
        return Signal::Error;
    }
    if data == b"[DONE]" {
        // Alone it is no answer.
        return Signal::Chunk(Said { content: false, finish: true, usage: None });
    }
    let content = Signal::Chunk(Said { content: true, ..Said::default() });
    if !data.starts_with(b"{") {
        return match scan_chunk(None, data) {
            Signal::Chunk(_) => content,
            other => other,
        };
    }
    let frame = match serde_json::from_slice::<Frame<'_>>(data) {
        Ok(frame) => frame,
        // Valid JSON of an unexpected shape is judged by its name.
        Err(error) if error.classify() == Category::Data => Frame::default(),
        Err(_) => return Signal::Malformed,
    };
    let named = event.and_then(|name| std::str::from_utf8(name).ok());
    let kind = frame.r#type.as_deref().or(named).unwrap_or_default();
    if kind == "error" || frame.error.is_full() || frame.object == Weight::TheWordError {
        return Signal::Error;
    }
    match kind.rsplit_once('.').map_or(kind, |(_, last)| last) {
        "done" | "completed" => Signal::Chunk(Said { content: true, finish: true, usage: usage(data) }),
        "keepalive" | "ping" => Signal::Chunk(Said::default()),
        _ => content,
    }
}

/// The event that tells a client that a stream failed, in the shape of OpenAI's own. Nothing follows it. The message is
/// for the client: nothing of a vendor's text belongs in it unredacted.
#[must_use]
pub fn error_event(message: &str, kind: &str, code: &str) -> Bytes {
    let error = json!({ "message": message, "type": kind, "param": null, "code": code });
    Bytes::from(format!("event: error\ndata: {}\n\n", json!({ "type": "error", "error": error })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::openai_chat::response::Usage;

    fn said(data: &str) -> Signal {
        scan(None, data.as_bytes())
    }

    #[test]
    fn what_is_no_error_is_content() {
        let content = Signal::Chunk(Said { content: true, ..Said::default() });
        for text in [
            r#"{"type":"image_generation.partial_image","b64_json":"eA=="}"#,
            r#"{"type":"transcript.text.delta","delta":"error"}"#,
            r#"{"object":"transcription.chunk","error":null}"#,
            r#"{"type":7}"#,
            "[1]",
        ] {
            assert_eq!(said(text), content, "{text}");
        }
        assert_eq!(said(r#"{"type":"keepalive"}"#), Signal::Chunk(Said::default()));
    }

    #[test]
    fn ends_errors_and_garbage() {
        let end = |usage| Signal::Chunk(Said { content: true, finish: true, usage });
        for name in ["image_generation.completed", "image_edit.completed", "speech.audio.done", "transcript.text.done"]
        {
            assert_eq!(said(&format!("{{\"type\":\"{name}\"}}")), end(None), "{name}");
            assert_eq!(scan(Some(name.as_bytes()), b"{}"), end(None), "{name}");
        }
        let usage = Some(Usage { prompt_tokens: 5, completion_tokens: 3 });
        let text = r#"{"type":"speech.audio.done","usage":{"input_tokens":5,"output_tokens":3}}"#;
        assert_eq!(said(text), end(usage));
        assert_eq!(said("[DONE]"), Signal::Chunk(Said { content: false, finish: true, usage: None }));
        for text in [
            r#"{"type":"error","message":"no"}"#,
            r#"{"error":{"message":"no"}}"#,
            r#"{"object":"error","message":"no"}"#,
            r#"[{"error":{"code":429}}]"#,
        ] {
            assert_eq!(said(text), Signal::Error, "{text}");
        }
        assert_eq!(scan(Some(b"error"), b"overloaded"), Signal::Error);
        for text in ["", "ping", r#"{"type":"error","#, "<html>"] {
            assert_eq!(said(text), Signal::Malformed, "{text}");
        }
    }

    #[test]
    fn the_error_event_is_one_frame_that_reads_as_an_error() {
        let event = error_event("a \"quoted\"\nline", "server_error", "broken_stream");
        let data = event.strip_prefix(b"event: error\ndata: ").and_then(|rest| rest.strip_suffix(b"\n\n"));
        let data = data.unwrap_or_default();
        assert!(!data.contains(&b'\n'));
        assert_eq!(scan(None, data), Signal::Error);
    }
}
