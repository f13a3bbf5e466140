//! The frames of a stream that passes as it is.

use bytes::Bytes;

use crate::dialect::openai_chat::stream::Signal;

/// The end of a stream that ended well.
pub const STOP: &[u8] = b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// Reads one frame: its `event` and its `data`.
#[must_use]
pub fn scan(_event: Option<&[u8]>, _data: &[u8]) -> Signal {
    Signal::Malformed
}

/// Whether a frame says nothing that matters after the first content, by its bytes alone.
#[must_use]
pub fn is_plain(_event: Option<&[u8]>, _data: &[u8]) -> bool {
    false
}

/// An error event. After it comes no `message_stop`. Nothing of a vendor's text belongs in the message unredacted.
#[must_use]
pub fn error_event(_message: &str, _kind: &str) -> Bytes {
    Bytes::new()
}
