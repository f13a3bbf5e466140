//! What operators and their machines ask: `/livez`, `/readyz`, `/status`, `/metrics`.
//!
//! Owns the shapes. Shows names and states, never a secret.

use serde_json::{Value, json};

use super::state::State;
use crate::policy::ledger::{LaneId, LaneState, LaneView};
use crate::policy::time::Instant;
use crate::telemetry::log::{wall_clock_ago, wall_clock_in};

/// Whether traffic may be sent here, with the reason in words.
#[must_use]
pub fn ready(state: &State) -> (bool, Value) {
    let now = state.clock.now();
    let (usable, slots) = state.ledger.with(|ledger| {
        let slots = state.names.lanes().filter_map(|lane| match lane {
            LaneId::Slot(slot) => Some(slot),
            LaneId::Key(_) | LaneId::Target(_) | LaneId::Endpoint(_) => None,
        });
        let looks: Vec<bool> = slots.map(|slot| ledger.outlook(slot, now).refusal.is_none()).collect();
        (looks.iter().filter(|usable| **usable).count(), looks.len())
    });
    // A gateway whose slots all cool still knows better than its load balancer what to do about it.
    let ready = !state.is_draining();
    let status = if ready { "ready" } else { "draining" };
    (ready, json!({ "status": status, "usable_slots": usable, "slots": slots }))
}

/// Every lane as the ledger has it, and every chain.
#[must_use]
pub fn status(state: &State) -> Value {
    let now = state.clock.now();
    let views: Vec<(LaneId, LaneView)> =
        state.ledger.with(|ledger| state.names.lanes().map(|lane| (lane, ledger.view(lane, now))).collect());
    let lanes: Vec<Value> = views.iter().map(|(id, view)| lane(state, *id, view, now)).collect();
    let chains: Vec<Value> = state
        .catalog
        .chains()
        .map(|chain| {
            let targets: Vec<String> =
                chain.levels.iter().map(|level| super::headers::target_label(level, &state.names)).collect();
            json!({ "name": *chain.name, "targets": targets })
        })
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_ms": now.as_micros() / 1_000,
        "requests_in_flight": state.metrics.in_flight.get(),
        "chains": chains,
        "lanes": lanes,
    })
}

fn lane(state: &State, id: LaneId, view: &LaneView, now: Instant) -> Value {
    let (lane, name) = state.names.lane(id);
    let past = |at: Option<Instant>| at.map(|at| wall_clock_ago(now.since(at)));
    let cooling = matches!(view.state, LaneState::Cooling);
    json!({
        "lane": lane,
        "name": name,
        "state": view.state.name(),
        "kind": view.kind.map(|kind| kind.name()),
        "status": view.status,
        "streak": view.streak,
        "first_failure": past(view.first_failure),
        "last_failure": past(view.last_failure),
        "until": view.until.filter(|_| cooling).map(|until| wall_clock_in(until.since(now))),
        "remaining_ms": view.until.map_or(0, |until| until.since(now).as_millis() as u64),
        "last_success": past(view.last_success),
        "in_flight": view.in_flight,
    })
}
