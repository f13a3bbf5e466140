//! A stream's frames become canonical events.

use crate::dialect::canonical::Frame;
use crate::dialect::canonical::answer::Sink;
use crate::framing::eventstream::Message;

/// Reads one stream.
#[derive(Debug)]
pub struct Reader {}

impl Reader {
    /// Before the first frame.
    #[must_use]
    pub fn new(_frame: &Frame) -> Self {
        Self {}
    }

    /// Reads one frame.
    pub fn read(&mut self, _message: &Message, _sink: &mut Sink<'_>) {}

    /// The body has ended. What was finished is over; what was not says nothing more.
    pub fn end(&mut self, _sink: &mut Sink<'_>) {}
}
