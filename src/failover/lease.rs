//! One attempt in flight: its permit, closed exactly once whatever happens to the request.
//!
//! Owns the chokepoint from attempts to ledger, metrics and log. Dropping a lease means abandoned.

use std::fmt;
use std::sync::Arc;

use super::observer::{AttemptEnd, Observer};
use super::service::opened;
use super::shared::SharedLedger;
use crate::clock::Clock;
use crate::policy::chain::{Chain, Level};
use crate::policy::failure::Failure;
use crate::policy::id::SlotId;
use crate::policy::ledger::{Change, Outcome, Permit, Settled};
use crate::policy::settings::{Jitter, RunSettings};
use crate::policy::time::Instant;

/// Everything that all requests share.
pub(super) struct Shared {
    pub ledger: Arc<SharedLedger>,
    pub observer: Arc<dyn Observer>,
    pub clock: Clock,
    pub settings: Arc<RunSettings>,
    pub random: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl Shared {
    pub(super) fn jitter(&self) -> Jitter {
        Jitter::from_random((self.random)())
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("ledger", &self.ledger).finish_non_exhaustive()
    }
}

/// An attempt whose stream broke after its first content: what [`Failover::resume`](super::Failover::resume) goes on from.
#[derive(Debug, Clone, Copy)]
pub struct Broken {
    pub(super) slot: SlotId,
    pub(super) level: usize,
    pub(super) failure: Failure,
    pub(super) change: Option<Change>,
}

/// The lease of one attempt.
#[derive(Debug)]
#[must_use = "dropping a lease abandons its attempt"]
pub struct Lease {
    shared: Arc<Shared>,
    chain: Arc<Chain>,
    level: usize,
    slot: SlotId,
    started: Instant,
    permit: Option<Permit>,
}

impl Lease {
    pub(super) fn new(shared: &Arc<Shared>, chain: &Arc<Chain>, level: usize, permit: Permit, now: Instant) -> Self {
        let slot = permit.slot();
        Self { shared: Arc::clone(shared), chain: Arc::clone(chain), level, slot, started: now, permit: Some(permit) }
    }

    /// The slot it is for.
    #[must_use]
    pub const fn slot(&self) -> SlotId {
        self.slot
    }

    /// The level that is tried.
    #[must_use]
    pub fn level(&self) -> &Level {
        &self.chain.levels[self.level]
    }

    /// When the attempt began.
    #[must_use]
    pub const fn started(&self) -> Instant {
        self.started
    }

    /// The first content is there: the verdict of a probe. Returns when that was.
    pub fn answered(&mut self) -> Instant {
        let now = self.shared.clock.now();
        let Some(permit) = &mut self.permit else { return now };
        let changes = self.shared.ledger.with(|ledger| ledger.answered(permit, now));
        if !changes.is_empty() {
            self.shared.observer.changes(&changes);
        }
        now
    }

    /// The answer is complete.
    pub fn complete(mut self) {
        self.close(Outcome::Complete);
    }

    /// The answer was complete at `at`, just now: spares a look at the clock.
    pub fn complete_at(mut self, at: Instant) {
        self.close_at(Outcome::Complete, at);
    }

    /// The attempt failed. Returns what that changed.
    pub fn fail(mut self, failure: &Failure) -> Settled {
        self.close(Outcome::Failed(failure))
    }

    /// The attempt failed, and its request may go on from there.
    pub fn broke(mut self, failure: Failure) -> Broken {
        let settled = self.close(Outcome::Failed(&failure));
        Broken { slot: self.slot, level: self.level, failure, change: opened(settled.changes) }
    }

    fn close(&mut self, outcome: Outcome<'_>) -> Settled {
        if self.permit.is_none() {
            return Settled::default();
        }
        self.close_at(outcome, self.shared.clock.now())
    }

    fn close_at(&mut self, outcome: Outcome<'_>, now: Instant) -> Settled {
        let Some(permit) = self.permit.take() else { return Settled::default() };
        let jitter = if matches!(outcome, Outcome::Failed(_)) { self.shared.jitter() } else { Jitter::NONE };
        let settled = self.shared.ledger.with(|ledger| ledger.close(permit, outcome, jitter, now));
        let end = match outcome {
            Outcome::Complete => AttemptEnd::Complete,
            Outcome::Failed(failure) => AttemptEnd::Failed(failure),
            Outcome::Abandoned => AttemptEnd::Abandoned,
        };
        self.shared.observer.attempt(self.slot, self.level(), end, now.since(self.started));
        if !settled.changes.is_empty() {
            self.shared.observer.changes(&settled.changes);
        }
        settled
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.close(Outcome::Abandoned);
    }
}
