//! What operators and their machines ask: `/livez`, `/readyz`, `/status`, `/metrics`.
//!
//! Owns the shapes. Shows names and states, never a secret.

use std::time::Duration;

use serde_json::{Value, json};

use super::headers::target_label;
use super::state::State;
use crate::policy::capability::Lack;
use crate::policy::chain::Level;
use crate::policy::failure::Kind;
use crate::policy::id::SlotId;
use crate::policy::ledger::{LaneId, LaneState, LaneView, Ledger};
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

/// Every lane as the ledger has it, every chain, and every slot as a request would find it.
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
            let targets: Vec<String> = chain.levels.iter().map(|level| target_label(level, &state.names)).collect();
            json!({ "name": *chain.name, "targets": targets })
        })
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "now": wall_clock_ago(Duration::ZERO),
        "uptime_ms": now.as_micros() / 1_000,
        "requests_in_flight": state.metrics.in_flight.get(),
        "chains": chains,
        "slots": slots(state, now),
        "lanes": lanes,
    })
}

/// Every slot once, in the order of the chains; those of models that only clients name come last.
fn slots(state: &State, now: Instant) -> Vec<Value> {
    let levels = state.catalog.chains().flat_map(|chain| &chain.levels);
    let chained = levels.flat_map(|level| level.slots.iter().map(move |slot| (*slot, Some(level))));
    let others = state.names.lanes().filter_map(|lane| match lane {
        LaneId::Slot(slot) => Some((slot, None)),
        LaneId::Key(_) | LaneId::Target(_) | LaneId::Endpoint(_) => None,
    });
    let mut seen = vec![false; state.names.slots.len()];
    let each: Vec<(SlotId, Option<&Level>)> =
        chained.chain(others).filter(|(slot, _)| !std::mem::replace(&mut seen[slot.index()], true)).collect();
    let found: Vec<Found> =
        state.ledger.with(|ledger| each.iter().map(|(slot, _)| Found::look(ledger, *slot, now)).collect());
    each.iter().zip(&found).map(|((slot, level), found)| slot_row(state, *slot, *level, found, now)).collect()
}

/// A slot with the lane that says whether it may be asked: its own, or another one that is worse off.
struct Found {
    own: LaneView,
    lane: LaneId,
    view: LaneView,
}

impl Found {
    fn look(ledger: &Ledger, slot: SlotId, now: Instant) -> Self {
        let info = ledger.info(slot);
        let own = ledger.view(LaneId::Slot(slot), now);
        let mut found = Self { own, lane: LaneId::Slot(slot), view: own };
        for lane in [LaneId::Key(info.key), LaneId::Target(info.target), LaneId::Endpoint(info.endpoint)] {
            let view = ledger.view(lane, now);
            // Of several that cool, the last one to end decides.
            if (weight(view.state), view.until) > (weight(found.view.state), found.view.until) {
                (found.lane, found.view) = (lane, view);
            }
        }
        found
    }
}

/// How much a lane in this state keeps requests away from its slots.
const fn weight(state: LaneState) -> u8 {
    match state {
        LaneState::Ready => 0,
        LaneState::HalfOpen => 1,
        LaneState::Probing => 2,
        LaneState::Cooling => 3,
        LaneState::Disabled => 4,
    }
}

fn slot_row(state: &State, slot: SlotId, level: Option<&Level>, found: &Found, now: Instant) -> Value {
    let name = state.names.slot(slot);
    let view = &found.view;
    let barred = match view.state {
        LaneState::Cooling | LaneState::Probing | LaneState::HalfOpen => true,
        LaneState::Ready | LaneState::Disabled => false,
    };
    let (lane, lane_name) = state.names.lane(found.lane);
    let cooling = matches!(view.state, LaneState::Cooling);
    json!({
        "slot": name.label,
        "target": format!("{}/{}", name.provider, name.model),
        "key": name.key,
        "in_chain": level.is_some(),
        "unserved": level.and_then(|level| level.unserved).map(Lack::name),
        "usable": matches!(view.state, LaneState::Ready | LaneState::HalfOpen),
        "state": view.state.name(),
        "blocked_by": barred.then(|| json!({ "lane": lane, "name": lane_name })),
        "kind": view.kind.map(Kind::name),
        "status": view.status,
        "streak": view.streak,
        "until": view.until.filter(|_| cooling).map(|until| wall_clock_in(until.since(now))),
        "remaining_ms": view.until.map_or(0, |until| until.since(now).as_millis() as u64),
        "last_success": found.own.last_success.map(|at| wall_clock_ago(now.since(at))),
        "in_flight": found.own.in_flight,
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
