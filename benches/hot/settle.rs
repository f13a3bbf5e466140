//! The end of an attempt in the ledger: what closing a permit costs, by its outcome.
//!
//! Measures [`Ledger::close`] on permits of 200 slots, each closed once; between samples an hour passes, so that what cooled may be
//! asked again. Refuses to measure the lock (`contention`) and what is reported of it (`metrics`, `walk`).
//!
//! [`Ledger::close`]: backstop::policy::ledger::Ledger::close

use std::cell::{Cell, RefCell};
use std::time::Duration;

use backstop::policy::chain::KeyOrder;
use backstop::policy::id::SlotId;
use backstop::policy::ledger::{Ask, Outcome};
use backstop::policy::settings::Jitter;
use divan::Bencher;

use crate::world::{NOW, SLOTS, THROTTLED, World};

/// Every slot once in a sample.
const ALL: u32 = SLOTS[2];

fn close(bencher: Bencher<'_, '_>, outcome: Outcome<'_>, answered: bool) {
    let ledger = RefCell::new(World::new(ALL, KeyOrder::Ordered).ledger);
    let made = Cell::new(0);
    bencher
        .with_inputs(|| {
            let number = made.replace(made.get() + 1);
            let now = NOW + Duration::from_secs(3_600) * (number / ALL);
            let mut ledger = ledger.borrow_mut();
            let mut permit = ledger.admit(SlotId(number % ALL), Ask::default(), now).expect("its time has come");
            if answered {
                ledger.answered(&mut permit, now);
            }
            (permit, now)
        })
        .bench_local_values(|(permit, now)| ledger.borrow_mut().close(permit, outcome, Jitter::NONE, now));
}

/// A whole answer: its first content and its end are one.
#[divan::bench(sample_size = ALL)]
fn complete(bencher: Bencher<'_, '_>) {
    close(bencher, Outcome::Complete, false);
}

/// A stream, whose first content was told before.
#[divan::bench(sample_size = ALL)]
fn complete_stream(bencher: Bencher<'_, '_>) {
    close(bencher, Outcome::Complete, true);
}

/// A failure that cools its slot.
#[divan::bench(sample_size = ALL)]
fn failed(bencher: Bencher<'_, '_>) {
    close(bencher, Outcome::Failed(&THROTTLED), false);
}

/// The client went away.
#[divan::bench(sample_size = ALL)]
fn abandoned(bencher: Bencher<'_, '_>) {
    close(bencher, Outcome::Abandoned, false);
}
