//! The ledger under its lock: what requests take of it, alone and beside seven other threads of them.
//!
//! Measures two holds of the lock a request, for its next step and for its end, with nothing in between but the making of the next
//! run: far more often than requests come. A sample is many batches of a hundred requests, the items, so that threads meet in it
//! also where they take turns on fewer cores. Refuses to measure wake-ups: nobody waits.

use backstop::failover::SharedLedger;
use backstop::policy::chain::KeyOrder;
use backstop::policy::ledger::Outcome;
use backstop::policy::run::{Run, Step};
use backstop::policy::settings::Jitter;
use divan::Bencher;
use divan::counter::ItemsCount;

use crate::world::{NOW, SLOTS, World, runs};

/// Requests in a batch.
const BATCH: usize = 100;

/// Whether there was a slot for it.
fn pick_and_settle(shared: &SharedLedger, mut run: Run) -> bool {
    let Step::Try(tried) = shared.with(|ledger| run.next(ledger, NOW)) else { return false };
    let settled = shared.with(|ledger| ledger.close(tried.permit, Outcome::Complete, Jitter::NONE, NOW));
    settled.changes.is_empty()
}

fn shared(bencher: Bencher<'_, '_>, world: World) {
    let runs = runs(world.plan());
    let shared = SharedLedger::new(world.ledger);
    assert!(pick_and_settle(&shared, runs()));
    bencher.counter(ItemsCount::new(BATCH)).bench(|| (0..BATCH).filter(|_| pick_and_settle(&shared, runs())).count());
}

#[divan::bench(args = SLOTS, threads = [1, 8], sample_size = 100, max_time = 3)]
fn healthy(bencher: Bencher<'_, '_>, slots: u32) {
    shared(bencher, World::new(slots, KeyOrder::Ordered));
}

/// The lock is held for longer: half of the slots are asked in vain.
#[divan::bench(args = [SLOTS[1], SLOTS[2]], threads = [1, 8], sample_size = 20, max_time = 3)]
fn half_cooling(bencher: Bencher<'_, '_>, slots: u32) {
    shared(bencher, World::new(slots, KeyOrder::Ordered).cooling(slots / 2));
}
