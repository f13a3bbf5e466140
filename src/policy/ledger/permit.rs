//! What is asked of the ledger and what it hands out.
//!
//! Owns the names of lanes and slots, the permit and the refusal. Decides nothing.

use super::settle::Own;
use crate::policy::failure::Kind;
use crate::policy::id::{EndpointId, KeyId, SlotId, TargetId};
use crate::policy::time::Instant;

/// Names one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LaneId {
    /// Cools on `auth` and `billing`.
    Key(KeyId),
    /// Cools on everything that is between one key and one model.
    Slot(SlotId),
    /// Cools when several keys agree.
    Target(TargetId),
    /// Cools on `network`.
    Endpoint(EndpointId),
}

/// What a slot is made of.
#[derive(Debug, Clone, Copy)]
pub struct SlotInfo {
    /// The model at its provider.
    pub target: TargetId,
    /// The credential.
    pub key: KeyId,
    /// Where it is sent.
    pub endpoint: EndpointId,
    /// Keys with the same group share one vendor quota.
    pub quota_group: Option<u32>,
    /// The same on every replica: what session affinity hashes.
    pub affinity: u64,
}

/// Why a slot is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ask {
    /// The request failed on this slot before and tries it again: its own cooldown does not bar it.
    pub own: Option<Own>,
    /// The request has waited for this slot.
    pub waited: bool,
}

/// Why a slot may not be tried now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A lane cools; it may be asked again at `until`.
    Cooling {
        /// When the last of its cooling lanes lets somebody pass.
        until: Instant,
        /// What the lane cools for.
        kind: Kind,
    },
    /// Somebody else probes it; without a verdict another probe may pass at `until`.
    Probing {
        /// When another probe may pass.
        until: Instant,
    },
    /// Recovered a moment ago: those who waited are let in by and by.
    Busy,
    /// A forced probe has to wait for its pace.
    Paced {
        /// When it may be forced.
        until: Instant,
    },
    /// Switched off by configuration.
    Disabled,
}

/// The right to make one attempt on one slot. Closed exactly once, by [`close`](super::Ledger::close).
#[derive(Debug)]
#[must_use = "a permit that is not closed leaves its slot in flight for ever"]
pub struct Permit {
    pub(super) slot: SlotId,
    pub(super) serial: u64,
    pub(super) epochs: [u32; 4],
    /// Bit per lane: this attempt is that lane's probe.
    pub(super) probes: u8,
    pub(super) ramped: bool,
    pub(super) answered: bool,
}

impl Permit {
    /// The slot it is for.
    #[must_use]
    pub const fn slot(&self) -> SlotId {
        self.slot
    }

    /// Whether this attempt probes a lane that cooled.
    #[must_use]
    pub const fn is_probe(&self) -> bool {
        self.probes != 0
    }

    /// Whether the first content was reported.
    #[must_use]
    pub const fn is_answered(&self) -> bool {
        self.answered
    }
}
