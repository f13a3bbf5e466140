//! A request whose stream broke after its first content goes on along its chain (contract section 5, `continue`).
//!
//! Owns who may be asked again, and who is asked to go on from what was sent and who afresh. Refuses to know what was sent.
//! The budget stays the request's own: nothing of it comes back.

use super::{Run, bit, is_same};
use crate::policy::chain::Level;
use crate::policy::failure::{Failure, Kind};
use crate::policy::ledger::Ledger;

/// What a run remembers of its breaks.
#[derive(Debug, Default)]
pub(super) struct Resumed {
    /// What was sent can be given to a model as its own beginning.
    can_prefill: bool,
    /// Bit per level: it refused that in this request.
    afresh: u64,
    /// The attempt that was asked to go on, by its number.
    prefilled: Option<usize>,
    /// Attempts that use up no turn, by their numbers.
    spared: Vec<usize>,
}

impl Resumed {
    pub(super) fn spares(&self, no: usize) -> bool {
        self.spared.contains(&no)
    }

    /// Whether a target is asked to go on. Unknown counts as unable (contract section 3.5).
    pub(super) fn prefills(&self, level: &Level, place: usize, ledger: &Ledger) -> bool {
        self.can_prefill
            && level.abilities.prefill == Some(true)
            && self.afresh & bit(place) == 0
            && !ledger.refuses_prefill(level.target)
    }

    pub(super) const fn tries(&mut self, no: usize) {
        self.prefilled = Some(no);
    }
}

impl Run {
    /// The stream of the last attempt broke after content, and somebody else shall finish it. The slot it came from may be
    /// asked again when it is usable. `can_prefill`: what was sent can be given to a model as its own beginning.
    /// Returns the attempt's number.
    pub fn resume(&mut self, failure: &Failure, can_prefill: bool) -> usize {
        let no = (self.made as usize).saturating_sub(1);
        self.record(no, failure);
        let resumed = self.resumed.get_or_insert_default();
        resumed.spared.push(no);
        resumed.can_prefill = can_prefill;
        self.retry = None;
        self.retried.clear();
        self.wait_end = None;
        self.waited = None;
        self.forced = false;
        no
    }

    /// What a failure means that only a continuation can have. Returns whether that was all it means.
    pub(super) fn missed_resumed(&mut self, no: usize, place: usize, failure: &Failure) -> bool {
        let Some(resumed) = &mut self.resumed else { return false };
        match failure.kind {
            Kind::NotCapable if resumed.prefilled == Some(no) => {
                // It does not go on from there. Asked afresh it still may give the same answer.
                let chain = std::sync::Arc::clone(&self.plan.chain);
                for (other, level) in chain.levels.iter().enumerate() {
                    if is_same(level, &chain.levels[place]) {
                        resumed.afresh |= bit(other);
                    }
                }
                resumed.spared.push(no);
                true
            }
            // It gave another answer, or none to this request: so would its other keys. The vendor's words are about a
            // request that the client never sent.
            Kind::NotCapable | Kind::BadRequest | Kind::ContentFilter | Kind::TooLarge => {
                self.close_target(place);
                true
            }
            _ => false,
        }
    }
}
