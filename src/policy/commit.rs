//! When the client is bound to one answer (contract section 4).
//!
//! Owns the decision: hold, commit or fail. Refuses to know bytes: a dialect says what a frame was, the gate says
//! how much is held.

/// What one frame of a stream was, as far as committing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Seen {
    /// A role, an empty delta, a comment: nothing a client waits for.
    Preamble,
    /// A text, reasoning, refusal or tool-call delta.
    Content,
    /// The vendor says that the answer is over.
    End,
    /// The vendor says that it failed.
    Error,
    /// Nothing that can be read.
    Malformed,
}

/// What becomes of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Nothing reaches the client yet.
    Hold,
    /// The client gets what is held and all that follows.
    Commit(Why),
    /// The next slot is tried; the client never knows.
    Fail,
}

/// Why a stream was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// There is content.
    Content,
    /// The answer is over and empty, which is legal.
    Empty,
    /// More preamble than may be held.
    Full,
}

/// The decision over one stream, frame by frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    most: usize,
}

impl Commit {
    /// How much may be held, in bytes: more commits.
    pub const HELD_BYTES: usize = 256 * 1024;

    /// At most `most` bytes are held.
    #[must_use]
    pub const fn new(most: usize) -> Self {
        Self { most }
    }

    /// The verdict after a frame.
    #[must_use]
    pub const fn frame(&self, seen: Seen) -> Verdict {
        match seen {
            Seen::Preamble | Seen::Malformed => Verdict::Hold,
            Seen::Content => Verdict::Commit(Why::Content),
            Seen::End => Verdict::Commit(Why::Empty),
            Seen::Error => Verdict::Fail,
        }
    }

    /// The verdict when `held` bytes are held and none of their frames decided it.
    #[must_use]
    pub const fn holding(&self, held: usize) -> Verdict {
        if held > self.most { Verdict::Commit(Why::Full) } else { Verdict::Hold }
    }
}

impl Default for Commit {
    fn default() -> Self {
        Self::new(Self::HELD_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_content_an_end_an_error_and_the_bound_decide() {
        let commit = Commit::default();
        for (seen, verdict) in [
            (Seen::Preamble, Verdict::Hold),
            (Seen::Malformed, Verdict::Hold),
            (Seen::Content, Verdict::Commit(Why::Content)),
            (Seen::End, Verdict::Commit(Why::Empty)),
            (Seen::Error, Verdict::Fail),
        ] {
            assert_eq!(commit.frame(seen), verdict);
        }
        assert_eq!(commit.holding(0), Verdict::Hold);
        assert_eq!(commit.holding(256 * 1024), Verdict::Hold);
        assert_eq!(commit.holding(256 * 1024 + 1), Verdict::Commit(Why::Full));
    }
}
