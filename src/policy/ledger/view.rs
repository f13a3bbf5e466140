//! What people, metrics and the run are shown of a lane (contract section 2.9). Holds no secret.
//!
//! Owns the read side. Refuses to change anything.

use super::lane::{Door, Lane};
use super::{LaneId, Ledger, Refusal};
use crate::policy::failure::Kind;
use crate::policy::id::SlotId;
use crate::policy::time::Instant;

/// Where a lane stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaneState {
    /// Healthy.
    Ready,
    /// Cooling until its deadline.
    Cooling,
    /// Cooled down; the next request is the probe.
    HalfOpen,
    /// The probe is in flight.
    Probing,
    /// Switched off.
    Disabled,
}

impl LaneState {
    /// The word in status answers and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Cooling => "cooling",
            Self::HalfOpen => "half_open",
            Self::Probing => "probing",
            Self::Disabled => "disabled",
        }
    }
}

/// Everything recorded for a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneView {
    /// Where it stands.
    pub state: LaneState,
    /// The kind of the running incident, else of the last failure.
    pub kind: Option<Kind>,
    /// The HTTP status that came with it.
    pub status: Option<u16>,
    /// Cooldowns without enough successes between them.
    pub streak: u32,
    /// When the running incident's first failure was seen.
    pub first_failure: Option<Instant>,
    /// The last failure.
    pub last_failure: Option<Instant>,
    /// The end of the running cooldown.
    pub until: Option<Instant>,
    /// The last good answer.
    pub last_success: Option<Instant>,
    /// Attempts in flight.
    pub in_flight: u32,
}

/// What a run weighs when everything cools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlook {
    /// What [`Ledger::admit`] would say; `None` if it would admit.
    pub refusal: Option<Refusal>,
    /// The kind of the worst lane, if one has an incident.
    pub kind: Option<Kind>,
    /// A vendor's hint runs: no forced probe.
    pub hinted: bool,
}

impl Ledger {
    /// What is recorded for a lane.
    #[must_use]
    pub fn view(&self, id: LaneId, now: Instant) -> LaneView {
        let lane = self.lane(id);
        let incident = lane.incident.as_ref();
        LaneView {
            state: self.state(id, lane, now),
            kind: incident.map(|incident| incident.kind).or(lane.last_kind),
            status: incident.map_or(lane.last_status, |incident| incident.status),
            streak: if now >= lane.forget_at { 0 } else { lane.streak },
            first_failure: incident.map(|incident| incident.first_failure),
            last_failure: lane.last_failure,
            until: incident.map(|incident| incident.until),
            last_success: lane.last_success,
            in_flight: self.lane_in_flight(id),
        }
    }

    fn state(&self, id: LaneId, lane: &Lane, now: Instant) -> LaneState {
        let disabled = match id {
            LaneId::Key(key) => self.keys[key.index()].disabled,
            LaneId::Slot(slot) => self.keys[self.info(slot).key.index()].disabled,
            LaneId::Target(_) | LaneId::Endpoint(_) => false,
        };
        if disabled {
            return LaneState::Disabled;
        }
        match (&lane.incident, lane.door(&self.settings, now)) {
            (None, _) => LaneState::Ready,
            (Some(_), Door::Probing { .. }) => LaneState::Probing,
            (Some(incident), _) if now < incident.until => LaneState::Cooling,
            (Some(_), _) => LaneState::HalfOpen,
        }
    }

    fn lane_in_flight(&self, id: LaneId) -> u32 {
        let of = |belongs: &dyn Fn(&super::SlotInfo) -> bool| {
            self.slots.iter().filter(|slot| belongs(&slot.info)).map(|slot| slot.in_flight).sum()
        };
        match id {
            LaneId::Slot(slot) => self.in_flight(slot),
            LaneId::Key(key) => of(&|info| info.key == key),
            LaneId::Target(target) => of(&|info| info.target == target),
            LaneId::Endpoint(endpoint) => of(&|info| info.endpoint == endpoint),
        }
    }

    /// What a slot looks like from outside, without asking to be admitted.
    #[must_use]
    pub fn outlook(&self, slot: SlotId, now: Instant) -> Outlook {
        let info = self.info(slot);
        let mut outlook = Outlook { refusal: None, kind: None, hinted: false };
        let mut latest = Instant::ZERO;
        let mut probing: Option<Instant> = None;
        for id in Self::lane_ids(info, slot) {
            let lane = self.lane(id);
            let Some(incident) = &lane.incident else { continue };
            if outlook.kind.is_none() || incident.until > latest {
                outlook.kind = Some(incident.kind);
                latest = incident.until;
            }
            outlook.hinted |= incident.in_hint(now);
            match lane.door(&self.settings, now) {
                Door::Open | Door::ProbeDue => {}
                Door::Probing { until } => probing = probing.max(Some(until)),
                Door::Cooling { until, kind } => {
                    let later = match outlook.refusal {
                        Some(Refusal::Cooling { until: other, .. }) => until > other,
                        _ => true,
                    };
                    if later {
                        outlook.refusal = Some(Refusal::Cooling { until, kind });
                    }
                }
            }
        }
        if self.keys[info.key.index()].disabled {
            outlook.refusal = Some(Refusal::Disabled);
        } else if outlook.refusal.is_none() {
            outlook.refusal = probing.map(|until| Refusal::Probing { until });
        }
        outlook
    }
}
