//! How a stream ends, and who hears of it.
//!
//! Owns the vocabulary between a relay and whoever settles its attempt. Refuses to know both.

use bytes::Bytes;

use super::tap::Tally;

/// How a stream ended.
#[derive(Clone, PartialEq, Eq)]
pub enum End {
    /// With a finish reason.
    Complete,
    /// Without one.
    Broken(Break),
    /// With an error event of the vendor: its data.
    Error(Bytes),
}

/// How a stream broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// The connection broke.
    Cut,
    /// Nothing came for the stall limit.
    Stalled,
    /// The request's time is over.
    Deadline,
    /// The body ended, or said `[DONE]`, without a finish reason.
    Unfinished,
}

impl Break {
    /// What a client is told of it.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Cut => "the connection to the provider broke before the answer was complete",
            Self::Stalled => "the provider stopped sending before the answer was complete",
            Self::Deadline => "the request's deadline came before the answer was complete",
            Self::Unfinished => "the provider ended the stream before the answer was complete",
        }
    }
}

/// What a client is told of a stream that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// In words: nothing of a vendor's text belongs in them unredacted.
    pub message: String,
    /// In one word.
    pub code: &'static str,
}

/// What a client is told at the end of a stream that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Last {
    /// An error event in the relay's own words.
    Own,
    /// An error event in these words.
    Words(Complaint),
    /// Nothing: somebody goes on from here.
    Nothing,
}

/// Hears how a stream ended.
pub trait Ending {
    /// Called at most once, before the client has the last byte. What it returns matters for anything but
    /// [`End::Complete`].
    fn end(&mut self, end: End, tally: &Tally) -> Last;

    /// Called instead if the relay is dropped before: the client went away.
    fn left(&mut self, tally: &Tally);
}
