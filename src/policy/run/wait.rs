//! When everything cools: wait for the soonest slot, or force one probe (contract section 3.6).
//!
//! Owns that choice. Refuses to know what an admissible slot is for; the scan has found none.

use std::sync::Arc;
use std::time::Duration;

use super::{Run, Step, Wait, Why};
use crate::policy::failure::Kind;
use crate::policy::id::SlotId;
use crate::policy::ledger::{Ledger, Refusal};
use crate::policy::time::Instant;

impl Run {
    pub(super) fn wait_or_force(&mut self, ledger: &mut Ledger, now: Instant) -> Option<Step> {
        let end = self.wait_end.unwrap_or(now + self.settings.max_wait).min(self.plan.deadline);
        let mut soonest: Option<(Instant, SlotId)> = None;
        let mut least_bad: Option<((u8, Instant), SlotId, usize)> = None;
        for (place, slot) in self.untried() {
            let outlook = ledger.outlook(slot, now);
            let ready = match outlook.refusal {
                Some(Refusal::Cooling { until, .. }) => until,
                // A verdict may come at any moment.
                Some(Refusal::Probing { until }) => until.min(end),
                Some(Refusal::Disabled) => continue,
                Some(Refusal::Busy | Refusal::Paced { .. }) | None => end,
            };
            if ready <= end && soonest.is_none_or(|(at, _)| ready < at) && ledger.has_room(slot) {
                soonest = Some((ready, slot));
            }
            let rank = (badness(outlook.kind), ready);
            if !outlook.hinted && least_bad.is_none_or(|(best, ..)| rank < best) {
                least_bad = Some((rank, slot, place));
            }
        }
        if let Some((until, slot)) = soonest
            && now < end
            && ledger.join(slot)
        {
            self.wait_end = Some(end);
            self.waited = Some(slot);
            let until = until.max(now + Duration::from_micros(1));
            return Some(Step::Wait(Wait { until, seen: Some(ledger.version()), queue: Some(slot) }));
        }
        let (_, slot, place) = least_bad.filter(|_| !self.forced)?;
        self.forced = true;
        let permit = ledger.force(slot, now).ok()?;
        self.attempt(ledger, permit, place, Why::Forced, now)
    }

    /// Slots of open levels that this request has not tried, with their levels.
    fn untried(&mut self) -> Vec<(usize, SlotId)> {
        let chain = Arc::clone(&self.plan.chain);
        let mut found = Vec::new();
        for (place, level) in chain.levels.iter().enumerate().skip(self.plan.start) {
            if self.is_open(place, level, false) && self.attempts_on(level) < self.settings.max_attempts_per_target {
                found.extend(level.slots.iter().filter(|slot| !self.has_tried(**slot)).map(|slot| (place, *slot)));
            }
        }
        found
    }
}

/// How bad it looks for a cooling slot: what passes by itself is asked before what somebody must repair.
const fn badness(kind: Option<Kind>) -> u8 {
    match kind {
        None => 0,
        Some(Kind::Overloaded | Kind::ServerError | Kind::Network | Kind::Timeout | Kind::BrokenStream) => 1,
        Some(Kind::RateLimit) => 2,
        Some(Kind::Forbidden | Kind::ModelNotFound) => 3,
        Some(
            Kind::Auth
            | Kind::Billing
            | Kind::TooLarge
            | Kind::NotCapable
            | Kind::ContentFilter
            | Kind::BadRequest
            | Kind::Cancelled
            | Kind::Unknown,
        ) => 4,
    }
}
