//! AWS event stream frames, cut while they arrive.

use bytes::Bytes;

/// One frame, its checksums checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// `:message-type`: `event`, `exception` or `error`.
    pub message_type: String,
    /// `:event-type`, `:exception-type` or `:error-code`.
    pub name: String,
    /// `:error-message`, if it has one.
    pub error_message: Option<String>,
    /// The payload.
    pub payload: Bytes,
}

/// Why a stream cannot be read on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corrupt;

/// Cuts a stream into frames. Feed it with [`push`](Self::push), then drain it with [`pull`](Self::pull).
#[derive(Debug)]
pub struct Messages {}

impl Messages {
    /// Frames of up to `limit` bytes are taken.
    #[must_use]
    pub fn new(_limit: usize) -> Self {
        Self {}
    }

    /// Takes the next chunk.
    pub fn push(&mut self, _chunk: Bytes) {}

    /// The next frame, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// A checksum is wrong, a frame is too long, or these are no frames.
    pub fn pull(&mut self) -> Result<Option<Message>, Corrupt> {
        Ok(None)
    }

    /// Bytes of a frame that is not whole.
    #[must_use]
    pub fn kept(&self) -> usize {
        0
    }
}
