//! A stream's events become canonical.

use crate::dialect::canonical::Frame;
use crate::dialect::canonical::answer::Sink;

/// Reads one stream.
#[derive(Debug)]
pub struct Reader {}

impl Reader {
    /// Before the first event.
    #[must_use]
    pub fn new(_frame: &Frame) -> Self {
        Self {}
    }

    /// Reads one event: its name and its data.
    pub fn read(&mut self, _name: Option<&[u8]>, _data: &[u8], _sink: &mut Sink<'_>) {}

    /// The body has ended. What was finished is over; what was not says nothing more.
    pub fn end(&mut self, _sink: &mut Sink<'_>) {}
}
