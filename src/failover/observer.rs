//! What the failover layer tells the outside: one call per attempt, per lane that moved, per failover.
//!
//! Owns the events. Refuses to know logs and metrics; telemetry implements [`Observer`].

use std::time::Duration;

use crate::policy::chain::Level;
use crate::policy::failure::Failure;
use crate::policy::id::SlotId;
use crate::policy::ledger::Change;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptEnd<'a> {
    /// A good answer, to its end.
    Complete,
    /// It failed.
    Failed(&'a Failure),
    /// The client went away.
    Abandoned,
}

/// A request goes on from a failed attempt.
#[derive(Debug, Clone, Copy)]
pub struct Handover<'a> {
    /// The request's id.
    pub request: u64,
    /// The slot that failed, with its level.
    pub from: (SlotId, &'a Level),
    /// The slot that is tried next, with its level; `None` if nobody is left.
    pub to: Option<(SlotId, &'a Level)>,
    /// What came of the attempt.
    pub failure: Failure,
    /// The cooldown it opened or prolonged, if it did.
    pub change: Option<Change>,
    /// How long the cooldown runs from now.
    pub remaining: Duration,
    /// Time since the request arrived.
    pub elapsed: Duration,
}

/// Hears of everything that happens in the failover layer. Called outside the lock; must be quick.
pub trait Observer: Send + Sync {
    /// An attempt ended after `elapsed`.
    fn attempt(&self, slot: SlotId, level: &Level, end: AttemptEnd<'_>, elapsed: Duration);
    /// Lanes moved.
    fn changes(&self, changes: &[Change]);
    /// The chokepoint of contract section 6: one call, one log line, one metric sample per failover.
    fn failover(&self, handover: &Handover<'_>);
}
