//! AWS event stream frames, cut while they arrive.
//!
//! A frame says its length first, and a checksum of that. Both are looked at as soon as they are there, so that a wrong
//! length is an error at once and nobody waits for, or makes room for, bytes that never come. What is a whole frame is
//! read by AWS's own crate, which checks the second checksum. Refuses to know what a payload means.

use aws_smithy_eventstream::frame::read_message_from;
use aws_smithy_types::event_stream::HeaderValue;
use bytes::{Buf, Bytes, BytesMut};

/// The frame's length, its headers' length, and the checksum of both.
const PRELUDE: usize = 12;
/// A prelude and the frame's checksum.
const EMPTY: usize = PRELUDE + 4;

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
pub struct Messages {
    /// The longest frame that is taken, in bytes.
    limit: usize,
    /// What has arrived and is in no frame yet.
    chunk: Bytes,
    /// The beginning of a frame whose end is still to come.
    carry: BytesMut,
    /// Nobody knows where the next frame would begin.
    corrupt: bool,
}

impl Messages {
    /// Frames of up to `limit` bytes are taken.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, chunk: Bytes::new(), carry: BytesMut::new(), corrupt: false }
    }

    /// Takes the next chunk. The frames of the one before must have been pulled, else they come first, joined by a copy.
    pub fn push(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = chunk;
        } else {
            let mut both = BytesMut::with_capacity(self.chunk.len().saturating_add(chunk.len()));
            both.extend_from_slice(&self.chunk);
            both.extend_from_slice(&chunk);
            self.chunk = both.freeze();
        }
    }

    /// The next frame, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// A checksum is wrong, a frame is too long, or these are no frames. It stays so.
    pub fn pull(&mut self) -> Result<Option<Message>, Corrupt> {
        if self.corrupt {
            return Err(Corrupt);
        }
        let pulled = self.next();
        if pulled.is_err() {
            self.corrupt = true;
            (self.chunk, self.carry) = (Bytes::new(), BytesMut::new());
        }
        pulled
    }

    fn next(&mut self) -> Result<Option<Message>, Corrupt> {
        if self.carry.is_empty() {
            return match length(&self.chunk, self.limit)? {
                Some(length) if length <= self.chunk.len() => read(&self.chunk.split_to(length)).map(Some),
                _ => {
                    self.carry.extend_from_slice(&std::mem::take(&mut self.chunk));
                    Ok(None)
                }
            };
        }
        self.fill(PRELUDE);
        let Some(length) = length(&self.carry, self.limit)? else { return Ok(None) };
        self.fill(length);
        if self.carry.len() < length {
            return Ok(None);
        }
        read(&self.carry.split()).map(Some)
    }

    /// Moves bytes from the chunk until `length` of them are carried, or none are left.
    fn fill(&mut self, length: usize) {
        let some = length.saturating_sub(self.carry.len()).min(self.chunk.len());
        self.carry.extend_from_slice(&self.chunk.split_to(some));
    }

    /// Bytes of a frame that is not whole.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.carry.len()
    }
}

/// The length of the frame that begins here, if its prelude is there: checked, and not longer than `limit`.
fn length(mut bytes: &[u8], limit: usize) -> Result<Option<usize>, Corrupt> {
    let Some(checked) = bytes.get(..8).filter(|_| bytes.len() >= PRELUDE) else { return Ok(None) };
    let expected = crc32(checked);
    let (length, headers, checksum) = (bytes.get_u32() as usize, bytes.get_u32() as usize, bytes.get_u32());
    let fits = length <= limit && length.checked_sub(EMPTY).is_some_and(|room| headers <= room);
    if checksum == expected && fits { Ok(Some(length)) } else { Err(Corrupt) }
}

/// CRC-32 as in Ethernet, bit by bit. The crate checks a prelude's only once the frame is whole, which is too late.
fn crc32(bytes: &[u8]) -> u32 {
    let bit = |crc: u32| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc)))
}

/// Reads a whole frame.
fn read(frame: &[u8]) -> Result<Message, Corrupt> {
    let read = read_message_from(frame).map_err(|_| Corrupt)?;
    let mut message = Message { payload: read.payload().clone(), ..Message::default() };
    for header in read.headers() {
        let HeaderValue::String(value) = header.value() else { continue };
        match header.name().as_str() {
            ":message-type" => value.as_str().clone_into(&mut message.message_type),
            ":event-type" | ":exception-type" | ":error-code" => value.as_str().clone_into(&mut message.name),
            ":error-message" => message.error_message = Some(value.as_str().to_owned()),
            _ => {}
        }
    }
    Ok(message)
}

#[cfg(test)]
#[path = "eventstream_tests.rs"]
mod tests;
