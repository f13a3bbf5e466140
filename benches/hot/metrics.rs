//! What is recorded of a request, and how `/metrics` is made of it.
//!
//! Measures the samples that the server, the tail and the observer take, by their handles where these have them, and the text for
//! Prometheus over 1, 20 and 200 slots. Samples are long enough for eight threads to meet in them. Refuses to measure clocks (the
//! times are made up) and the log: nobody listens.

use std::sync::Arc;
use std::time::Duration;

use backstop::dialect::endpoint::Endpoint;
use backstop::failover::{AttemptEnd, Handover, Observer};
use backstop::policy::chain::{Chain, KeyOrder};
use backstop::policy::id::SlotId;
use backstop::policy::ledger::{Change, Event, LaneId, Ledger};
use backstop::telemetry::{Metrics, Names, Watch};
use divan::{Bencher, black_box};

use crate::world::{NOW, SLOTS, THROTTLED, World};

const SLOT: SlotId = SlotId(7);
const TOOK: Duration = Duration::from_millis(740);

/// A gateway, as far as it is recorded.
struct Recorded {
    ledger: Ledger,
    chain: Arc<Chain>,
    names: Arc<Names>,
    metrics: Arc<Metrics>,
    watch: Watch,
}

impl Recorded {
    fn new(slots: u32) -> Self {
        let World { ledger, chain, names } = World::new(slots, KeyOrder::Ordered);
        let metrics = Arc::new(Metrics::new(&names).expect("every series has a name of its own"));
        let names = Arc::new(names);
        let watch = Watch::new(Arc::clone(&names), Arc::clone(&metrics));
        Self { ledger, chain, names, metrics, watch }
    }

    /// All that is recorded of a stream that the first slot served.
    fn request(&self, slot: SlotId) {
        let metrics = &self.metrics;
        metrics.in_flight.inc();
        metrics.endpoint(Endpoint::Chat).ok.inc();
        metrics.overhead.observe(0.000_08);
        let own = metrics.slot(slot);
        own.first_content.observe(0.31);
        own.prompt_tokens.inc_by(256);
        own.completion_tokens.inc_by(64);
        self.watch.attempt(slot, &self.chain.levels[0], AttemptEnd::Complete, TOOK);
        metrics.in_flight.dec();
        metrics.endpoint(Endpoint::Chat).duration.observe(TOOK.as_secs_f64());
    }

    /// What is recorded besides of an attempt that cooled its slot, and of the way on.
    fn failover(&self, slot: SlotId) {
        let [first, second, ..] = self.chain.levels.as_slice() else { unreachable!("there are more targets") };
        let (lane, until) = (LaneId::Slot(slot), NOW + Duration::from_secs(3));
        let change = Change { lane, event: Event::Cooled, kind: THROTTLED.kind, streak: 1, until };
        self.watch.attempt(slot, first, AttemptEnd::Failed(&THROTTLED), TOOK);
        self.watch.changes(&[change]);
        self.watch.failover(&Handover {
            request: 17,
            from: (slot, first),
            to: Some((second.slots[0], second)),
            failure: THROTTLED,
            change: Some(change),
            remaining: Duration::from_secs(3),
            elapsed: TOOK,
        });
    }
}

#[divan::bench(threads = [1, 8], sample_size = 50_000, max_time = 3)]
fn request(bencher: Bencher<'_, '_>) {
    let recorded = Recorded::new(SLOTS[2]);
    bencher.bench(|| recorded.request(black_box(SLOT)));
}

#[divan::bench(threads = [1, 8], sample_size = 5_000, max_time = 3)]
fn failover(bencher: Bencher<'_, '_>) {
    let recorded = Recorded::new(SLOTS[2]);
    bencher.bench(|| recorded.failover(black_box(SLOT)));
}

/// The text that Prometheus gets, every lane in it.
#[divan::bench(args = SLOTS)]
fn render(bencher: Bencher<'_, '_>, slots: u32) {
    let Recorded { ledger, names, metrics, .. } = Recorded::new(slots);
    assert!(metrics.render(&names, &ledger, NOW).is_ok_and(|text| !text.is_empty()));
    bencher.bench_local(|| metrics.render(&names, &ledger, NOW));
}
