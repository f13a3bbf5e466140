//! Canonical events become a stream.

use bytes::BytesMut;

use crate::dialect::canonical::{Event, Frame};

/// Writes one stream.
#[derive(Debug)]
pub struct Writer {}

impl Writer {
    /// Before the first event.
    #[must_use]
    pub fn new(_frame: &Frame) -> Self {
        Self {}
    }

    /// Writes the frames of an event, if it makes any.
    pub fn write(&mut self, _event: &Event<'_>, _out: &mut BytesMut) {}
}
