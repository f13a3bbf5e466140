//! Every series, declared once. Labels are bounded by the configuration.
//!
//! Owns the registry and the handles that the request path uses without a look-up.

use prometheus::core::Collector;
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
    Registry, TextEncoder,
};

use super::names::Names;
use crate::dialect::openai_chat::request::Endpoint;
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
    pub in_flight: IntGauge,
    /// Chunks that were no JSON and were not passed on.
    pub malformed: IntCounter,
    lane_state: GaugeVec,
    cooldown_remaining: GaugeVec,
    slot_in_flight: GaugeVec,
    uptime: Gauge,
    slots: Vec<SlotMetrics>,
    endpoints: [EndpointMetrics; 4],
}

impl Metrics {
    /// Declares every series.
    ///
    /// # Errors
    /// Never, unless two series share a name.
    pub fn new(names: &Names) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let slot_labels = ["provider", "model", "key"];
        let requests =
            counters(&registry, "requests_total", "Requests by endpoint and status", &["endpoint", "status"])?;
        let attempts = counters(
            &registry,
            "attempts_total",
            "Attempts by slot and outcome",
            &["provider", "model", "key", "outcome"],
        )?;
        let failovers =
            counters(&registry, "failovers_total", "Requests that went on after a failure", &["from", "to", "kind"])?;
        let cooldowns = counters(&registry, "cooldowns_total", "Cooldowns that began", &["lane", "kind"])?;
        let tokens =
            counters(&registry, "tokens_total", "Tokens as vendors count them", &["provider", "model", "direction"])?;
        let duration =
            histograms(&registry, "request_duration_seconds", "Whole requests", &["endpoint"], &DURATION_BUCKETS)?;
        let first = histograms(
            &registry,
            "first_content_seconds",
            "Attempts to their first content",
            &["provider", "model"],
            &DURATION_BUCKETS,
        )?;
        let overhead = Histogram::with_opts(
            HistogramOpts::new("backstop_overhead_seconds", "Time the gateway itself took before the first content")
                .buckets(OVERHEAD_BUCKETS.to_vec()),
        )?;
        let in_flight = IntGauge::new("backstop_requests_in_flight", "Requests without a complete answer yet")?;
        let malformed = IntCounter::new("backstop_malformed_chunks_total", "Stream chunks that were skipped")?;
        let lane_state = gauges(
            &registry,
            "lane_state",
            "0 ready, 1 cooling, 2 half-open, 3 probing, 4 disabled",
            &["lane", "name"],
        )?;
        let cooldown_remaining = gauges(
            &registry,
            "cooldown_remaining_seconds",
            "Seconds until a cooling lane may be asked",
            &["lane", "name"],
        )?;
        let slot_in_flight = gauges(&registry, "attempts_in_flight", "Attempts in flight", &slot_labels)?;
        let uptime = Gauge::new("backstop_uptime_seconds", "Seconds since the start")?;
        register(&registry, overhead.clone())?;
        register(&registry, in_flight.clone())?;
        register(&registry, malformed.clone())?;
        register(&registry, uptime.clone())?;
        let slots = names
            .slots
            .iter()
            .map(|slot| SlotMetrics {
                ok: attempts.with_label_values(&[&slot.provider, &slot.model, &slot.key, "ok"]),
                first_content: first.with_label_values(&[&slot.provider, &slot.model]),
                prompt_tokens: tokens.with_label_values(&[&slot.provider, &slot.model, "prompt"]),
                completion_tokens: tokens.with_label_values(&[&slot.provider, &slot.model, "completion"]),
            })
            .collect();
        let endpoints = Endpoint::ALL.map(|endpoint| EndpointMetrics {
            ok: requests.with_label_values(&[endpoint.name(), "200"]),
            duration: duration.with_label_values(&[endpoint.name()]),
        });
        Ok(Self {
            endpoints,
            registry,
            requests,
            attempts,
            failovers,
            cooldowns,
            overhead,
            in_flight,
            malformed,
            lane_state,
            cooldown_remaining,
            slot_in_flight,
            uptime,
            slots,
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

fn register(registry: &Registry, collector: impl Collector + 'static) -> Result<(), prometheus::Error> {
    registry.register(Box::new(collector))
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
    let series = IntCounterVec::new(Opts::new(format!("backstop_{name}"), help), labels)?;
    register(registry, series.clone())?;
    Ok(series)
}

fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, prometheus::Error> {
    let series = GaugeVec::new(Opts::new(format!("backstop_{name}"), help), labels)?;
    register(registry, series.clone())?;
    Ok(series)
}

fn histograms(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
    buckets: &[f64],
) -> Result<HistogramVec, prometheus::Error> {
    let options = HistogramOpts::new(format!("backstop_{name}"), help).buckets(buckets.to_vec());
    let series = HistogramVec::new(options, labels)?;
    register(registry, series.clone())?;
    Ok(series)
}
