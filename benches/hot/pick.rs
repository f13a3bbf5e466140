//! From a model's name to a permit: the name's chain, then the next step of a run over 1, 20 and 200 slots.
//!
//! Measures [`Catalog::resolve`] and [`Run::next`] with the ledger's admission in it. Permits are not given back, so slots fill
//! up; only the order by attempts in flight looks at that. Refuses to measure the lock around the ledger (`contention`) and the
//! headers that steer.

use backstop::policy::chain::{Catalog, Chain, KeyEntry, KeyOrder, ProviderEntry};
use backstop::policy::id::SlotId;
use backstop::policy::run::{Run, Step};
use divan::{Bencher, black_box};

use crate::world::{NOW, SLOTS, World, runs};

/// Whether the next step of a new run over a world is what the benchmark wants to measure.
fn first_step(world: &mut World, is_meant: impl FnOnce(&Step) -> bool) {
    let mut run = runs(world.plan())();
    let step = run.next(&mut world.ledger, NOW);
    assert!(is_meant(&step), "{step:?}");
    give_up_waiting(world, &step);
}

fn give_up_waiting(world: &mut World, step: &Step) {
    if let Step::Wait(wait) = step
        && let Some(slot) = wait.queue
    {
        world.ledger.leave(slot);
    }
}

fn next(bencher: Bencher<'_, '_>, mut world: World) {
    first_step(&mut world, |step| matches!(step, Step::Try(_)));
    bencher.with_inputs(runs(world.plan())).bench_local_refs(|run: &mut Run| run.next(&mut world.ledger, NOW));
}

/// Nothing cools: the first slot is taken.
#[divan::bench(args = SLOTS)]
fn healthy(bencher: Bencher<'_, '_>, slots: u32) {
    next(bencher, World::new(slots, KeyOrder::Ordered));
}

/// The first half of the slots cools and is asked in vain.
#[divan::bench(args = [SLOTS[1], SLOTS[2]])]
fn half_cooling(bencher: Bencher<'_, '_>, slots: u32) {
    next(bencher, World::new(slots, KeyOrder::Ordered).cooling(slots / 2));
}

/// Only the last slot is left.
#[divan::bench(args = [SLOTS[1], SLOTS[2]])]
fn one_left(bencher: Bencher<'_, '_>, slots: u32) {
    next(bencher, World::new(slots, KeyOrder::Ordered).cooling(slots - 1));
}

/// Everything cools: the soonest slot is waited for. With the way out of its queue.
#[divan::bench(args = SLOTS)]
fn all_cooling(bencher: Bencher<'_, '_>, slots: u32) {
    let mut world = World::new(slots, KeyOrder::Ordered).cooling(slots);
    first_step(&mut world, |step| matches!(step, Step::Wait(_)));
    bencher.with_inputs(runs(world.plan())).bench_local_refs(|run| {
        let step = run.next(&mut world.ledger, NOW);
        give_up_waiting(&mut world, &step);
    });
}

/// Twenty keys in each of the orders.
#[divan::bench(args = KeyOrder::ALL)]
fn in_order(bencher: Bencher<'_, '_>, order: KeyOrder) {
    next(bencher, World::new(SLOTS[2], order));
}

/// What a name stands for: a chain, a target in it, a target with its first key, a model that only a client names.
#[divan::bench(args = ["default", "provider-3/some-model-3", "provider-3/some-model-3@key-1", "provider-3/their-own"])]
fn resolve(bencher: Bencher<'_, '_>, name: &str) {
    let catalog = catalog(&World::new(SLOTS[2], KeyOrder::Ordered));
    assert!(catalog.resolve(name).is_ok());
    bencher.bench_local(|| catalog.resolve(black_box(name)));
}

fn catalog(world: &World) -> Catalog {
    let mut catalog = Catalog::new(false);
    for (name, level) in world.names.providers.iter().zip(&world.chain.levels) {
        let key = |slot: &SlotId| KeyEntry { name: world.names.slot(*slot).key.clone(), allowed: Vec::new() };
        let keys = level.slots.iter().map(key).collect();
        catalog.add_provider(ProviderEntry { name: name.clone(), other: level.clone(), keys, allowed: Vec::new() });
    }
    catalog.add_chain(Chain::clone(&world.chain), &world.names.targets);
    catalog
}
