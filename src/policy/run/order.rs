//! Which key of a level gets its turn first (contract section 3.2).
//!
//! Owns the key orders and the last place of resting keys. Refuses to know levels beside its own.

use super::Run;
use crate::policy::chain::{KeyOrder, Level};
use crate::policy::id::SlotId;
use crate::policy::ledger::{Ask, Ledger, Permit};
use crate::policy::time::Instant;

impl Run {
    /// The first slot of a level, in the level's order, that was not tried yet and is usable.
    pub(super) fn admit_one(
        &mut self,
        ledger: &mut Ledger,
        place: usize,
        level: &Level,
        avoid: bool,
        now: Instant,
    ) -> Option<Permit> {
        let sorted;
        let slots: &[SlotId] = if level.order == KeyOrder::Ordered && self.plan.key.is_none() {
            &level.slots
        } else {
            sorted = self.sorted(ledger, place, level);
            &sorted
        };
        // One more key after a first network failure stands for the quick retry.
        let avoid = avoid && !self.first_network_failure(level);
        let mut resting = false;
        for last_choice in [false, true] {
            if last_choice && !resting {
                break;
            }
            for &slot in slots {
                let rests = ledger.is_resting(slot, now);
                resting |= rests;
                if rests != last_choice || self.has_tried(slot) || (avoid && self.endpoint_failed(ledger, slot)) {
                    continue;
                }
                let waited = self.waited == Some(slot) && self.wait_end.is_some_and(|end| now < end);
                if let Ok(permit) = ledger.admit(slot, Ask { own: None, waited }, now) {
                    return Some(permit);
                }
            }
        }
        None
    }

    fn sorted(&mut self, ledger: &mut Ledger, place: usize, level: &Level) -> Vec<SlotId> {
        let mut slots = level.slots.to_vec();
        match level.order {
            KeyOrder::Ordered => {}
            KeyOrder::RoundRobin => {
                let turn = *self.rotation.get_or_insert_with(|| ledger.rotate(level.target)) as usize;
                let len = slots.len().max(1);
                slots.rotate_left(turn % len);
            }
            KeyOrder::LeastInFlight => slots.sort_by_key(|slot| ledger.in_flight(*slot)),
            KeyOrder::Session => {
                if let Some(session) = self.plan.session {
                    slots.sort_by_key(|slot| std::cmp::Reverse(rendezvous(session, ledger.info(*slot).affinity)));
                }
            }
        }
        if let Some(key) = self.plan.key.filter(|_| place == self.plan.start) {
            slots.sort_by_key(|slot| *slot != key);
        }
        slots
    }
}

/// The weight of a key for a session: the highest wins (rendezvous hashing; the mixer is splitmix64's).
fn rendezvous(session: u64, key: u64) -> u64 {
    let mut x = session ^ key.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15;
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
