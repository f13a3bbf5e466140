//! The frames of a stream that passes as it is.
//!
//! Owns two readings of a frame, as [`openai_chat::stream`](crate::dialect::openai_chat::stream) does. The first frame counts the
//! prompt, which the last one need not repeat: whoever keeps the tokens keeps the larger of both. Refuses to know what is done
//! about an error.

use std::borrow::Cow;
use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::error::Category;
use serde_json::json;

use super::answer::usage;
use super::wire::{Str, Tokens};
use super::writer::MALFORMED;
use crate::dialect::openai_chat::shape::Weight;
use crate::dialect::openai_chat::stream::{Said, Signal};

/// The end of a stream that ended well.
pub const STOP: &[u8] = b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"error\""));

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    usage: Option<Tokens>,
}

/// A block that begins, or more of one.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Piece<'a> {
    #[serde(borrow)]
    r#type: Str<'a>,
    text: Weight,
    thinking: Weight,
    partial_json: Weight,
    signature: Weight,
    citation: Weight,
    content: Weight,
    stop_reason: Weight,
}

impl Piece<'_> {
    const fn says_something(&self) -> bool {
        self.text.is_full()
            || self.thinking.is_full()
            || self.partial_json.is_full()
            || self.signature.is_full()
            || self.citation.is_full()
            || self.content.is_full()
    }
}

/// A frame, as far as the gateway reads it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Frame<'a> {
    #[serde(borrow)]
    r#type: Option<Str<'a>>,
    error: Weight,
    message: Option<Message>,
    #[serde(borrow)]
    content_block: Piece<'a>,
    #[serde(borrow)]
    delta: Piece<'a>,
    usage: Option<Tokens>,
}

/// Reads one frame: its `event` and its `data`.
#[must_use]
pub fn scan(event: Option<&[u8]>, data: &[u8]) -> Signal {
    match event {
        Some(b"error") => return Signal::Error,
        Some(name) if name == MALFORMED.as_bytes() => return Signal::Malformed,
        _ => {}
    }
    let data = data.trim_ascii();
    if !data.starts_with(b"{") {
        return Signal::Malformed;
    }
    let frame = match serde_json::from_slice::<Frame<'_>>(data) {
        Ok(frame) => frame,
        // Valid JSON of an unexpected shape is judged by its name.
        Err(error) if error.classify() == Category::Data && is_json(data) => Frame::default(),
        Err(_) => return Signal::Malformed,
    };
    let named = event.map(String::from_utf8_lossy);
    let kind = frame.r#type.map(|kind| kind.0).or(named).unwrap_or(Cow::Borrowed(""));
    if kind == "error" || frame.error.is_full() {
        return Signal::Error;
    }
    let tokens = frame.usage.or(frame.message.and_then(|message| message.usage)).map(usage);
    let said = match kind.as_ref() {
        "message_stop" => return Signal::Done,
        "message_start" => Said { usage: tokens, ..Said::default() },
        "message_delta" => Said { content: false, finish: frame.delta.stop_reason.is_full(), usage: tokens },
        "content_block_start" => {
            // A call, redacted thinking, what a server's tool found: whatever is no empty text is content.
            let empty = matches!(frame.content_block.r#type.0.as_ref(), "" | "text" | "thinking");
            Said { content: !empty || frame.content_block.says_something(), ..Said::default() }
        }
        "content_block_delta" => Said { content: frame.delta.says_something(), ..Said::default() },
        _ => Said::default(),
    };
    Signal::Chunk(said)
}

fn is_json(data: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(data).is_ok()
}

/// Whether a frame says nothing that matters after the first content, by its bytes alone: more of a block, or a ping. False only
/// means that it must be read.
#[must_use]
pub fn is_plain(event: Option<&[u8]>, data: &[u8]) -> bool {
    let kind: &[u8] = match event {
        Some(b"content_block_delta") | None => b"\"content_block_delta\"",
        Some(b"ping") => b"\"ping\"",
        Some(_) => return false,
    };
    let typed = data.strip_prefix(b"{\"type\":").map(<[u8]>::trim_ascii_start);
    typed.and_then(|typed| typed.strip_prefix(kind)).is_some_and(|rest| {
        matches!(rest.first(), Some(b',' | b'}')) && rest.trim_ascii_end().ends_with(b"}") && ERROR.find(rest).is_none()
    })
}

/// An error event. After it comes no `message_stop`. Nothing of a vendor's text belongs in the message unredacted.
#[must_use]
pub fn error_event(message: &str, kind: &str) -> Bytes {
    let error = json!({ "type": "error", "error": { "type": kind, "message": message } });
    Bytes::from(format!("event: error\ndata: {error}\n\n"))
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
