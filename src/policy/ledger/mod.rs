//! The cooldown ledger: which slot may be tried now, and what an outcome changes.
//!
//! Owns the lanes of every key, slot, target and endpoint (contract section 2) and the permits of
//! attempts in flight. Refuses to know chains and requests ([`run`](super::run) does), clocks and locks.
//!
//! Tables are append-only and indexes are never reused: a permit survives a reload.

mod lane;
mod permit;
mod settle;
#[cfg(test)]
mod tests;
mod view;
mod window;

use std::time::Duration;

use super::failure::Kind;
use super::id::{EndpointId, KeyId, SlotId, TargetId};
use super::settings::CooldownSettings;
use super::time::Instant;
use lane::{Door, Lane};
use window::Window;

pub use permit::{Ask, LaneId, Permit, Refusal, SlotInfo};
pub use settle::{Change, Changes, Event, Outcome, Own, Settled};
pub use view::{LaneState, LaneView, Outlook};

/// Those who waited are let in 1, 2, 4, 8 … at a time after a good probe.
#[derive(Debug, Clone, Copy)]
struct Ramp {
    allowed: u32,
    out: u32,
}

#[derive(Debug)]
struct Slot {
    info: SlotInfo,
    lane: Lane,
    in_flight: u32,
    window: Window,
    rest_until: Instant,
    waiters: u32,
    ramp: Option<Ramp>,
    /// A request waits to try this slot again, until then.
    retry_reserved: Instant,
    forced: u32,
    last_forced: Instant,
}

#[derive(Debug, Default)]
struct Key {
    lane: Lane,
    disabled: bool,
}

#[derive(Debug, Default)]
struct Target {
    lane: Lane,
    slots: Vec<SlotId>,
    /// Requests that began at one of its keys by round robin.
    rotation: u32,
    /// Recent server-side cooldowns of its slots.
    recent: Vec<(KeyId, Kind, Instant)>,
    /// It has refused to go on from an assistant's message.
    refuses_prefill: bool,
}

#[derive(Debug, Default)]
struct Endpoint {
    lane: Lane,
    /// Recent failures to get any answer.
    recent: Vec<Instant>,
}

/// All lanes of one gateway.
#[derive(Debug)]
pub struct Ledger {
    settings: CooldownSettings,
    slots: Vec<Slot>,
    keys: Vec<Key>,
    targets: Vec<Target>,
    endpoints: Vec<Endpoint>,
    serial: u64,
    version: u64,
}

/// The place of each lane in [`Permit::epochs`].
const KEY: usize = 0;
const SLOT: usize = 1;
const TARGET: usize = 2;
const ENDPOINT: usize = 3;

impl Ledger {
    /// An empty ledger.
    #[must_use]
    pub const fn new(settings: CooldownSettings) -> Self {
        Self {
            settings,
            slots: Vec::new(),
            keys: Vec::new(),
            targets: Vec::new(),
            endpoints: Vec::new(),
            serial: 0,
            version: 0,
        }
    }

    /// The numbers it works by.
    #[must_use]
    pub const fn settings(&self) -> &CooldownSettings {
        &self.settings
    }

    /// Adds a key.
    pub fn add_key(&mut self, disabled: bool) -> KeyId {
        self.keys.push(Key { disabled, ..Key::default() });
        KeyId(position(self.keys.len()))
    }

    /// Adds a target.
    pub fn add_target(&mut self) -> TargetId {
        self.targets.push(Target::default());
        TargetId(position(self.targets.len()))
    }

    /// Adds an endpoint.
    pub fn add_endpoint(&mut self) -> EndpointId {
        self.endpoints.push(Endpoint::default());
        EndpointId(position(self.endpoints.len()))
    }

    /// Adds a slot of a key, a target and an endpoint that were added before.
    pub fn add_slot(&mut self, info: SlotInfo) -> SlotId {
        self.slots.push(Slot {
            info,
            lane: Lane::default(),
            in_flight: 0,
            window: Window::new(),
            rest_until: Instant::ZERO,
            waiters: 0,
            ramp: None,
            retry_reserved: Instant::ZERO,
            forced: 0,
            last_forced: Instant::ZERO,
        });
        let id = SlotId(position(self.slots.len()));
        self.targets[info.target.index()].slots.push(id);
        id
    }

    /// What a slot is made of.
    #[must_use]
    pub fn info(&self, slot: SlotId) -> &SlotInfo {
        &self.slots[slot.index()].info
    }

    /// Moves whenever somebody who was refused might be admitted now.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The next number of a target's round robin. Each has its own: requests that alternate between two targets
    /// would else see every other key only.
    pub fn rotate(&mut self, target: TargetId) -> u32 {
        let turn = &mut self.targets[target.index()].rotation;
        *turn = turn.wrapping_add(1);
        turn.wrapping_sub(1)
    }

    /// Attempts in flight on a slot.
    #[must_use]
    pub fn in_flight(&self, slot: SlotId) -> u32 {
        self.slots[slot.index()].in_flight
    }

    /// Whether its vendor said that no quota is left: last choice, never excluded.
    #[must_use]
    pub fn is_resting(&self, slot: SlotId, now: Instant) -> bool {
        now < self.slots[slot.index()].rest_until
    }

    /// Notes remaining quota at zero until `reset` from now; bounded by the setting.
    pub fn rest(&mut self, slot: SlotId, reset: Duration, now: Instant) {
        self.slots[slot.index()].rest_until = now + reset.min(self.settings.quota_rest_max);
    }

    /// Notes that a target has refused to go on from an assistant's message.
    pub fn refuse_prefill(&mut self, target: TargetId) {
        self.targets[target.index()].refuses_prefill = true;
    }

    /// Whether a target has refused that, so that it is asked afresh (contract section 5).
    #[must_use]
    pub fn refuses_prefill(&self, target: TargetId) -> bool {
        self.targets[target.index()].refuses_prefill
    }

    const fn lane_ids(info: &SlotInfo, slot: SlotId) -> [LaneId; 4] {
        [LaneId::Key(info.key), LaneId::Slot(slot), LaneId::Target(info.target), LaneId::Endpoint(info.endpoint)]
    }

    fn lane(&self, id: LaneId) -> &Lane {
        match id {
            LaneId::Key(key) => &self.keys[key.index()].lane,
            LaneId::Slot(slot) => &self.slots[slot.index()].lane,
            LaneId::Target(target) => &self.targets[target.index()].lane,
            LaneId::Endpoint(endpoint) => &self.endpoints[endpoint.index()].lane,
        }
    }

    fn lane_mut(&mut self, id: LaneId) -> &mut Lane {
        match id {
            LaneId::Key(key) => &mut self.keys[key.index()].lane,
            LaneId::Slot(slot) => &mut self.slots[slot.index()].lane,
            LaneId::Target(target) => &mut self.targets[target.index()].lane,
            LaneId::Endpoint(endpoint) => &mut self.endpoints[endpoint.index()].lane,
        }
    }

    /// Asks to try a slot now.
    ///
    /// # Errors
    /// Why not, and when to ask again.
    pub fn admit(&mut self, slot: SlotId, ask: Ask, now: Instant) -> Result<Permit, Refusal> {
        let info = self.slots[slot.index()].info;
        if self.keys[info.key.index()].disabled {
            return Err(Refusal::Disabled);
        }
        let mut probes = 0_u8;
        let mut cooling: Option<(Instant, Kind)> = None;
        let mut probing: Option<Instant> = None;
        for (place, id) in Self::lane_ids(&info, slot).into_iter().enumerate() {
            let lane = self.lane(id);
            match lane.door(&self.settings, now) {
                Door::Open => {}
                Door::ProbeDue => probes |= 1 << place,
                Door::Probing { until } => probing = probing.max(Some(until)),
                Door::Cooling { .. } if ask.own.is_some_and(|own| own.opened(place, lane.epoch)) => {}
                Door::Cooling { until, kind } => {
                    if cooling.is_none_or(|(latest, _)| until > latest) {
                        cooling = Some((until, kind));
                    }
                }
            }
        }
        if let Some((until, kind)) = cooling {
            return Err(Refusal::Cooling { until, kind });
        }
        if let Some(until) = probing {
            return Err(Refusal::Probing { until });
        }
        let ramped = ask.waited && probes == 0 && self.slots[slot.index()].ramp.is_some();
        if ramped && let Some(ramp) = &mut self.slots[slot.index()].ramp {
            if ramp.out >= ramp.allowed {
                return Err(Refusal::Busy);
            }
            ramp.out += 1;
        }
        Ok(self.issue(slot, probes, ramped, now))
    }

    /// Asks to probe a slot although it cools, because every slot of the chain does (contract 3.6).
    ///
    /// # Errors
    /// Inside a vendor's hint, while somebody probes, and faster than the pace.
    pub fn force(&mut self, slot: SlotId, now: Instant) -> Result<Permit, Refusal> {
        let info = self.slots[slot.index()].info;
        if self.keys[info.key.index()].disabled {
            return Err(Refusal::Disabled);
        }
        let mut probes = 0_u8;
        let mut began = Instant::ZERO;
        for (place, id) in Self::lane_ids(&info, slot).into_iter().enumerate() {
            let Some(incident) = &self.lane(id).incident else { continue };
            if incident.in_hint(now) {
                return Err(Refusal::Cooling { until: incident.hint_until, kind: incident.kind });
            }
            if let Some((_, since)) = incident.probe
                && now < since + self.settings.probe_verdict
            {
                return Err(Refusal::Probing { until: since + self.settings.probe_verdict });
            }
            began = began.max(incident.began);
            probes |= 1 << place;
        }
        let state = &mut self.slots[slot.index()];
        let pace = self.settings.forced_probe_pace;
        let step = (state.forced as usize).min(pace.len() - 1);
        let until = state.last_forced.max(began) + pace[step];
        if now < until {
            return Err(Refusal::Paced { until });
        }
        state.forced = state.forced.saturating_add(1);
        state.last_forced = now;
        Ok(self.issue(slot, probes, false, now))
    }

    fn issue(&mut self, slot: SlotId, probes: u8, ramped: bool, now: Instant) -> Permit {
        self.serial += 1;
        let serial = self.serial;
        let ids = Self::lane_ids(&self.slots[slot.index()].info, slot);
        let settings = self.settings;
        let epochs = ids.map(|id| self.lane(id).epoch);
        if probes != 0 {
            for (place, id) in ids.into_iter().enumerate() {
                if probes & (1 << place) != 0 {
                    self.lane_mut(id).take_probe(serial, &settings, now);
                }
            }
        }
        let state = &mut self.slots[slot.index()];
        state.in_flight += 1;
        Permit { slot, serial, epochs, probes, ramped, answered: false }
    }

    /// Reserves the one wait-and-retry of a slot until `until` (contract 3.3). Expires by itself.
    pub fn reserve_retry(&mut self, slot: SlotId, until: Instant, now: Instant) -> bool {
        let state = &mut self.slots[slot.index()];
        let free = now >= state.retry_reserved;
        if free {
            state.retry_reserved = until;
        }
        free
    }

    /// Joins those who wait for a slot; `false` if enough do. Balanced by [`leave`](Self::leave).
    pub fn join(&mut self, slot: SlotId) -> bool {
        let room = self.has_room(slot);
        if room {
            self.slots[slot.index()].waiters += 1;
        }
        room
    }

    /// Whether one more may wait for a slot.
    #[must_use]
    pub fn has_room(&self, slot: SlotId) -> bool {
        self.slots[slot.index()].waiters < self.settings.max_waiters
    }

    /// Leaves those who wait for a slot.
    pub fn leave(&mut self, slot: SlotId) {
        let state = &mut self.slots[slot.index()];
        state.waiters = state.waiters.saturating_sub(1);
    }
}

/// The index of the entry that was pushed last.
fn position(len: usize) -> u32 {
    u32::try_from(len.saturating_sub(1)).unwrap_or(u32::MAX)
}
