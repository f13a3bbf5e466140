//! How a stream ends, and who hears of it.
//!
//! Owns the vocabulary between an upstream, a relay and whoever settles its attempt. Refuses to know all three.

use bytes::Bytes;
use http_body::Body;

use super::tap::Tally;

/// The body of an upstream's stream.
pub trait Upstream: Body<Data = Bytes> + Unpin {
    /// What it still has to say when it breaks off behind its finish reason: who writes a stream anew may have waited for the
    /// tokens.
    fn last_words(&mut self) -> Option<Bytes> {
        None
    }
}

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
