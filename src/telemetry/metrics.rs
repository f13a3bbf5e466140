//! Every series, declared once. Labels are bounded by the configuration.
//!
//! Owns the registry and the handles that the request path uses without a look-up.

use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
    TextEncoder,
};

use super::names::Names;
use crate::dialect::endpoint::{ENDPOINTS, Endpoint};
use crate::policy::id::SlotId;
use crate::policy::ledger::{LaneState, Ledger};
use crate::policy::time::Instant;

/// Seconds, from a fast local answer to the request deadline.
const DURATION_BUCKETS: [f64; 12] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 180.0, 600.0];
/// Seconds, from what a gateway should cost to what nobody should have to bear.
const OVERHEAD_BUCKETS: [f64; 8] = [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.005, 0.025, 0.1];

/// The handles of one slot.
#[derive(Debug)]
pub struct SlotMetrics {
    /// `backstop_attempts_total{outcome="ok"}`
    pub ok: IntCounter,
    /// `backstop_first_content_seconds`
    pub first_content: Histogram,
    /// `backstop_tokens_total{direction="prompt"}`
    pub prompt_tokens: IntCounter,
    /// `backstop_tokens_total{direction="completion"}`
    pub completion_tokens: IntCounter,
}

/// The handles of one endpoint of the API.
#[derive(Debug)]
pub struct EndpointMetrics {
    /// `backstop_requests_total{status="200"}`
    pub ok: IntCounter,
    /// From the arrival of a request to the last byte of its answer.
    pub duration: Histogram,
}

/// All series.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// By endpoint of the API and HTTP status.
    pub requests: IntCounterVec,
    /// By slot and outcome (`ok`, `abandoned`, or a kind of failure).
    pub attempts: IntCounterVec,
    /// By the target left, the target tried next (`none` if nobody was left) and the kind of failure.
    pub failovers: IntCounterVec,
    /// By kind of lane and kind of failure.
    pub cooldowns: IntCounterVec,
    /// The part of the time before the first content that the gateway took itself.
    pub overhead: Histogram,
    /// Requests that have no complete answer yet.
    pub in_flight: Gauge,
    /// Chunks that were no JSON and were not passed on.
    pub malformed: IntCounter,
    /// Streams that broke after content and that somebody else went on with.
    pub recoveries_continued: IntCounter,
    /// … and that nobody could finish, although their chain or request wanted it.
    pub recoveries_failed: IntCounter,
    lane_state: GaugeVec,
    cooldown_remaining: GaugeVec,
    slot_in_flight: GaugeVec,
    uptime: Gauge,
    slots: Vec<SlotMetrics>,
    endpoints: [EndpointMetrics; ENDPOINTS],
}

impl Metrics {
    /// Declares every series.
    ///
    /// # Errors
    /// Never, unless two series share a name.
    pub fn new(names: &Names) -> Result<Self, prometheus::Error> {
        let all = Series(Registry::new());
        let slot = ["provider", "model", "key"];
        let requests = all.counters("requests_total", "Requests by endpoint and status", &["endpoint", "status"])?;
        let attempts =
            all.counters("attempts_total", "Attempts by slot and outcome", &["provider", "model", "key", "outcome"])?;
        let tokens =
            all.counters("tokens_total", "Tokens as vendors count them", &["provider", "model", "direction"])?;
        let duration =
            all.histograms("request_duration_seconds", "Whole requests", &["endpoint"], &DURATION_BUCKETS)?;
        let first_help = "Attempts to their first content";
        let first = all.histograms("first_content_seconds", first_help, &["provider", "model"], &DURATION_BUCKETS)?;
        let overhead_help = "Time the gateway itself took before the first content";
        let overhead = all.histograms("overhead_seconds", overhead_help, &[], &OVERHEAD_BUCKETS)?;
        let slots = names.slots.iter().map(|slot| SlotMetrics {
            ok: attempts.with_label_values(&[&slot.provider, &slot.model, &slot.key, "ok"]),
            first_content: first.with_label_values(&[&slot.provider, &slot.model]),
            prompt_tokens: tokens.with_label_values(&[&slot.provider, &slot.model, "prompt"]),
            completion_tokens: tokens.with_label_values(&[&slot.provider, &slot.model, "completion"]),
        });
        let recoveries_help = "Streams that broke after content where somebody else was to finish them";
        let recoveries = all.counters("stream_recoveries_total", recoveries_help, &["outcome"])?;
        let endpoints = Endpoint::ALL.map(|endpoint| EndpointMetrics {
            ok: requests.with_label_values(&[endpoint.name(), "200"]),
            duration: duration.with_label_values(&[endpoint.name()]),
        });
        let state_help = "0 ready, 1 cooling, 2 half-open, 3 probing, 4 disabled";
        let remaining_help = "Seconds until a cooling lane may be asked";
        Ok(Self {
            endpoints,
            slots: slots.collect(),
            overhead: overhead.with_label_values::<&str>(&[]),
            failovers: all.counters(
                "failovers_total",
                "Requests that went on after a failure",
                &["from", "to", "kind"],
            )?,
            cooldowns: all.counters("cooldowns_total", "Cooldowns that began", &["lane", "kind"])?,
            in_flight: all
                .gauges("requests_in_flight", "Requests without a complete answer yet", &[])?
                .with_label_values::<&str>(&[]),
            malformed: all
                .counters("malformed_chunks_total", "Stream chunks that were skipped", &[])?
                .with_label_values::<&str>(&[]),
            recoveries_continued: recoveries.with_label_values(&["continued"]),
            recoveries_failed: recoveries.with_label_values(&["failed"]),
            lane_state: all.gauges("lane_state", state_help, &["lane", "name"])?,
            cooldown_remaining: all.gauges("cooldown_remaining_seconds", remaining_help, &["lane", "name"])?,
            slot_in_flight: all.gauges("attempts_in_flight", "Attempts in flight", &slot)?,
            uptime: all.gauges("uptime_seconds", "Seconds since the start", &[])?.with_label_values::<&str>(&[]),
            requests,
            attempts,
            registry: all.0,
        })
    }

    /// The handles of a slot.
    #[must_use]
    pub fn slot(&self, id: SlotId) -> &SlotMetrics {
        &self.slots[id.index()]
    }

    /// The handles of an endpoint.
    #[must_use]
    pub const fn endpoint(&self, endpoint: Endpoint) -> &EndpointMetrics {
        &self.endpoints[endpoint as usize]
    }

    /// Everything in Prometheus' text format; lanes as the ledger has them now.
    ///
    /// # Errors
    /// Never, unless a series was declared wrong.
    pub fn render(&self, names: &Names, ledger: &Ledger, now: Instant) -> Result<Vec<u8>, prometheus::Error> {
        for id in names.lanes() {
            let (lane, name) = names.lane(id);
            let view = ledger.view(id, now);
            let state = match view.state {
                LaneState::Ready => 0.0,
                LaneState::Cooling => 1.0,
                LaneState::HalfOpen => 2.0,
                LaneState::Probing => 3.0,
                LaneState::Disabled => 4.0,
            };
            let remaining = view.until.map_or(0.0, |until| until.since(now).as_secs_f64());
            self.lane_state.with_label_values(&[lane, name]).set(state);
            self.cooldown_remaining.with_label_values(&[lane, name]).set(remaining);
        }
        for (index, slot) in names.slots.iter().enumerate() {
            let id = SlotId(u32::try_from(index).unwrap_or(u32::MAX));
            let gauge = self.slot_in_flight.with_label_values(&[&slot.provider, &slot.model, &slot.key]);
            gauge.set(f64::from(ledger.in_flight(id)));
        }
        self.uptime.set(now.since(Instant::ZERO).as_secs_f64());
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

/// The registry while series are declared.
struct Series(Registry);

impl Series {
    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        let series = IntCounterVec::new(Opts::new(format!("backstop_{name}"), help), labels)?;
        self.0.register(Box::new(series.clone()))?;
        Ok(series)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, prometheus::Error> {
        let series = GaugeVec::new(Opts::new(format!("backstop_{name}"), help), labels)?;
        self.0.register(Box::new(series.clone()))?;
        Ok(series)
    }

    fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<HistogramVec, prometheus::Error> {
        let options = HistogramOpts::new(format!("backstop_{name}"), help).buckets(buckets.to_vec());
        let series = HistogramVec::new(options, labels)?;
        self.0.register(Box::new(series.clone()))?;
        Ok(series)
    }
}
