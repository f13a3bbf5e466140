//! What goes into a run and what comes out of it: the plan, the steps, the trail.
//!
//! Owns the types only. Decides nothing.

use std::sync::Arc;
use std::time::Duration;

use super::verdict::Verdict;
use crate::policy::capability::{Lack, Needs};
use crate::policy::chain::Chain;
use crate::policy::failure::{Failure, Timer};
use crate::policy::id::SlotId;
use crate::policy::ledger::Permit;
use crate::policy::recovery::Recovery;
use crate::policy::time::Instant;

/// What a request asks of its chain.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The levels to walk.
    pub chain: Arc<Chain>,
    /// The level to begin with.
    pub start: usize,
    /// The key to ask first.
    pub key: Option<SlotId>,
    /// Keeps a session on one key where the key order is [`Session`](crate::policy::chain::KeyOrder::Session).
    pub session: Option<u64>,
    /// What the model must be able to do.
    pub needs: Needs,
    /// The answer is a stream.
    pub stream: bool,
    /// What becomes of the stream if it breaks after its first content.
    pub recovery: Recovery,
    /// Another model's answer is of no use (embeddings): only levels with the first one's model are asked.
    pub same_model: bool,
    /// When the request must have ended.
    pub deadline: Instant,
}

/// The most levels a chain may have.
pub const MAX_LEVELS: usize = 64;

/// Why an attempt is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It is this slot's turn.
    Turn,
    /// One more try on the same slot after a short pause.
    QuickRetry,
    /// The vendor asked for a short wait.
    SameTargetWait,
    /// Everything cools, and somebody has to find out.
    Forced,
}

/// One attempt to make.
#[derive(Debug)]
pub struct Try {
    /// The right to make it.
    pub permit: Permit,
    /// Its number in the request, from 0.
    pub no: usize,
    /// The level it belongs to.
    pub level: usize,
    /// Why it is made.
    pub why: Why,
    /// The attempt must have its verdict within this: first content (of a stream), or the whole answer.
    pub limit: Duration,
    /// Which limit that is.
    pub timer: Timer,
    /// Of an attempt that is held beyond its first content: that must be there within this.
    pub first_content: Option<(Duration, Timer)>,
    /// The target goes on from what was sent; otherwise it is asked afresh.
    pub prefill: bool,
}

/// A pause: until a time, or until the ledger's version moves on from `seen`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// The latest time to go on.
    pub until: Instant,
    /// Go on earlier when the version is no longer this one.
    pub seen: Option<u64>,
    /// The slot that is waited for: [`leave`](crate::policy::ledger::Ledger::leave) it afterwards, whatever ended the wait.
    pub queue: Option<SlotId>,
}

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Make this attempt.
    Try(Try),
    /// Pause, then ask again.
    Wait(Wait),
    /// Nobody is left to ask.
    Done(Verdict),
}

/// One line of the trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// An attempt; without a failure it is in flight or served.
    Attempt {
        /// The slot that was tried.
        slot: SlotId,
        /// Its level.
        level: usize,
        /// What came of it.
        failure: Option<Failure>,
    },
    /// A level that was passed over.
    Skipped {
        /// Which.
        level: usize,
        /// Why.
        lack: Lack,
    },
}

/// A trail. The first two lines need no allocation: most requests have one.
pub type Entries = smallvec::SmallVec<[Entry; 2]>;
