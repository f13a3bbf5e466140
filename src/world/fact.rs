//! Everything that happens in the world, one fact at a time.
//!
//! Owns the vocabulary of the event log. Refuses to judge.

use std::time::Duration;

use super::scenario::Errand;
use super::upstream::Reply;
use crate::policy::failure::Failure;
use crate::policy::id::SlotId;
use crate::policy::ledger::{Change, Ledger};
use crate::policy::run::{Verdict, Why};
use crate::policy::settings::Jitter;
use crate::policy::time::Instant;

/// One fact about one request, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// It came in.
    Arrived {
        /// Which request.
        request: u32,
        /// What it wants.
        errand: Errand,
    },
    /// Its run is about to be asked for the next step.
    Asked {
        /// Which request.
        request: u32,
    },
    /// A slot was admitted; its attempt begins.
    Tried {
        /// Which request.
        request: u32,
        /// The attempt's number in the request.
        no: usize,
        /// The slot.
        slot: SlotId,
        /// Its level.
        level: usize,
        /// Why.
        why: Why,
        /// The answer must come within this.
        limit: Duration,
        /// It probes a lane.
        probe: bool,
        /// What the slot would do with this request, if it were given the time.
        would: Reply,
    },
    /// It sleeps.
    Waits {
        /// Which request.
        request: u32,
        /// At most until then.
        until: Instant,
        /// In this slot's queue.
        queue: Option<SlotId>,
    },
    /// It sleeps no longer and has left the queue.
    Woke {
        /// Which request.
        request: u32,
    },
    /// First content or the whole good answer: the client is bound to this attempt.
    Committed {
        /// Which request.
        request: u32,
        /// The slot that answered.
        slot: SlotId,
    },
    /// The attempt failed, and its permit was closed.
    Failed {
        /// Which request.
        request: u32,
        /// The attempt's number in the request.
        no: usize,
        /// The slot.
        slot: SlotId,
        /// How.
        failure: Failure,
        /// The jitter that the ledger was given.
        jitter: Jitter,
        /// After its first content.
        committed: bool,
    },
    /// The answer ended well, and its permit was closed.
    Completed {
        /// Which request.
        request: u32,
        /// The slot.
        slot: SlotId,
    },
    /// The client left while an attempt was in flight, and its permit was closed.
    Abandoned {
        /// Which request.
        request: u32,
        /// The slot.
        slot: SlotId,
    },
    /// The client left.
    Left {
        /// Which request.
        request: u32,
    },
    /// Nobody answered: what the client is told.
    GaveUp {
        /// Which request.
        request: u32,
        /// What it is told.
        verdict: Verdict,
    },
    /// A lane moved by the outcome before.
    Moved {
        /// How.
        change: Change,
    },
}

impl Fact {
    /// The request it is about; `None` for lanes.
    #[must_use]
    pub const fn request(&self) -> Option<u32> {
        match *self {
            Self::Arrived { request, .. }
            | Self::Asked { request }
            | Self::Tried { request, .. }
            | Self::Waits { request, .. }
            | Self::Woke { request }
            | Self::Committed { request, .. }
            | Self::Failed { request, .. }
            | Self::Completed { request, .. }
            | Self::Abandoned { request, .. }
            | Self::Left { request }
            | Self::GaveUp { request, .. } => Some(request),
            Self::Moved { .. } => None,
        }
    }
}

/// Hears of every fact, with the ledger as it is then.
pub trait Witness {
    /// Something happened.
    fn fact(&mut self, now: Instant, fact: &Fact, ledger: &Ledger);
}

impl Witness for () {
    fn fact(&mut self, _: Instant, _: &Fact, _: &Ledger) {}
}

/// Keeps the whole log.
impl Witness for Vec<(Instant, Fact)> {
    fn fact(&mut self, now: Instant, fact: &Fact, _: &Ledger) {
        self.push((now, *fact));
    }
}
