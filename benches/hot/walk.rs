//! The one loop around an upstream that answers at once, with the lease's end.
//!
//! Measures what failover adds to an attempt: plan to permit, timer, lease, ledger, metrics, trail. Refuses to measure the
//! attempt, and waiting: the runtime is there for timers to be made in, and never runs. Nobody listens to the log.

use std::convert::Infallible;
use std::future::Ready;
use std::sync::Arc;
use std::task::{Context, Poll};

use backstop::failover::{Attempt, Clock, Errand, FailoverLayer, Miss, Served, SharedLedger};
use backstop::policy::chain::KeyOrder;
use backstop::policy::failure::{Failure, Kind};
use backstop::policy::run::Plan;
use backstop::policy::settings::RunSettings;
use backstop::policy::time::Instant;
use backstop::telemetry::{Metrics, Watch};
use divan::Bencher;
use tower::{Layer, Service};

use crate::body::{ready, runtime};
use crate::world::{SLOTS, World};

/// Answers at once, or cannot: the first `unable` levels of a chain.
#[derive(Clone)]
struct AtOnce {
    unable: usize,
}

impl Service<Attempt<()>> for AtOnce {
    type Response = ();
    type Error = Miss<Infallible>;
    type Future = Ready<Result<(), Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt<()>) -> Self::Future {
        // It cools nothing, so that the next request finds the same; and no other key of the target is asked.
        let failure = Failure::new(Kind::Unknown);
        std::future::ready(if attempt.level < self.unable { Err(Miss { failure, answer: None }) } else { Ok(()) })
    }
}

fn measure(bencher: Bencher<'_, '_>, slots: u32, unable: usize) {
    let runtime = runtime();
    let _entered = runtime.enter();
    let world = World::new(slots, KeyOrder::Ordered);
    let plan = Plan { deadline: Instant::FAR, ..world.plan() };
    let metrics = Metrics::new(&world.names).expect("every series has a name of its own");
    let watch = Watch::new(Arc::new(world.names), Arc::new(metrics));
    let layer = FailoverLayer::new(
        Arc::new(SharedLedger::new(world.ledger)),
        RunSettings::default(),
        Clock::start(),
        Arc::new(watch),
        Arc::new(|| 100),
    );
    let mut failover = layer.layer(AtOnce { unable });
    let errand = || Errand { plan: plan.clone(), request: (), id: 1, arrived: Instant::ZERO };
    let mut walk = |errand| match ready(failover.call(errand)) {
        Ok(Served { lease, entries, .. }) => {
            lease.complete();
            Some(entries)
        }
        Err(_) => None,
    };
    assert_eq!(walk(errand()).map(|entries| entries.len()), Some(unable + 1));
    bencher.with_inputs(errand).bench_local_values(walk);
}

#[divan::bench(args = SLOTS)]
fn served(bencher: Bencher<'_, '_>, slots: u32) {
    measure(bencher, slots, 0);
}

/// Somebody has to be asked before.
#[divan::bench(args = [SLOTS[1], SLOTS[2]])]
fn served_by_the_next(bencher: Bencher<'_, '_>, slots: u32) {
    measure(bencher, slots, 1);
}
