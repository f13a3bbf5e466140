//! The ledger as all requests share it: one short lock, and a wake-up when its version moves.
//!
//! Owns mutual exclusion and wake-up. Decides nothing.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::sync::Mutex;
use crate::policy::id::SlotId;
use crate::policy::ledger::Ledger;

/// The ledger behind its lock, with those who wait for it to move.
#[derive(Debug)]
pub struct SharedLedger {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    ledger: Ledger,
    /// Woken all at once: at most 64 a slot wait, and most are refused again.
    sleepers: Vec<(u64, Waker)>,
    next_sleeper: u64,
}

impl SharedLedger {
    /// Shares a ledger.
    #[must_use]
    pub fn new(ledger: Ledger) -> Self {
        Self { state: Mutex::new(State { ledger, sleepers: Vec::new(), next_sleeper: 0 }) }
    }

    /// Works on the ledger under its lock, then wakes the sleepers if its version moved.
    pub fn with<R>(&self, work: impl FnOnce(&mut Ledger) -> R) -> R {
        let mut state = self.state.lock();
        let before = state.ledger.version();
        let result = work(&mut state.ledger);
        let moved = state.ledger.version() != before;
        let sleepers = if moved { std::mem::take(&mut state.sleepers) } else { Vec::new() };
        drop(state);
        for (_, waker) in sleepers {
            waker.wake();
        }
        result
    }

    /// Ends when the ledger's version is no longer `seen`.
    #[must_use]
    pub const fn changed(&self, seen: u64) -> Changed<'_> {
        Changed { shared: self, seen, sleeper: None }
    }

    /// Stands for one request that waits for `slot`: leaves the queue when dropped.
    pub(super) const fn queued(&self, slot: SlotId) -> Queued<'_> {
        Queued { shared: self, slot }
    }
}

/// The future of [`SharedLedger::changed`]. Forgets its waker when dropped.
#[derive(Debug)]
pub struct Changed<'a> {
    shared: &'a SharedLedger,
    seen: u64,
    sleeper: Option<u64>,
}

impl Future for Changed<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.shared.state.lock();
        if state.ledger.version() != self.seen {
            return Poll::Ready(());
        }
        let sleeper = self.sleeper;
        let known = state.sleepers.iter_mut().find(|(id, _)| Some(*id) == sleeper);
        if let Some((_, waker)) = known {
            waker.clone_from(context.waker());
        } else {
            let id = state.next_sleeper;
            state.next_sleeper += 1;
            state.sleepers.push((id, context.waker().clone()));
            drop(state);
            self.sleeper = Some(id);
        }
        Poll::Pending
    }
}

impl Drop for Changed<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.sleeper {
            self.shared.state.lock().sleepers.retain(|(other, _)| *other != id);
        }
    }
}

/// See [`SharedLedger::queued`].
#[derive(Debug)]
pub(super) struct Queued<'a> {
    shared: &'a SharedLedger,
    slot: SlotId,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.shared.with(|ledger| ledger.leave(self.slot));
    }
}
