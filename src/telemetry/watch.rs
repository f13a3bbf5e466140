//! What the failover layer reports, as metrics and log lines.
//!
//! Owns the translation from events to samples and lines. Refuses to change what it is told.

use std::sync::Arc;
use std::time::Duration;

use super::metrics::Metrics;
use super::names::Names;
use crate::failover::{AttemptEnd, Handover, Observer};
use crate::policy::chain::Level;
use crate::policy::failure::Timer;
use crate::policy::id::SlotId;
use crate::policy::ledger::{Change, Event};

/// The observer of the live gateway.
#[derive(Debug)]
pub struct Watch {
    names: Arc<Names>,
    metrics: Arc<Metrics>,
}

impl Watch {
    /// Watches with these names and series.
    #[must_use]
    pub const fn new(names: Arc<Names>, metrics: Arc<Metrics>) -> Self {
        Self { names, metrics }
    }

    fn target(&self, level: &Level) -> &str {
        &self.names.targets[level.target.index()]
    }
}

impl Observer for Watch {
    fn attempt(&self, slot: SlotId, _: &Level, end: AttemptEnd<'_>, _: Duration) {
        let outcome = match end {
            AttemptEnd::Complete => return self.metrics.slot(slot).ok.inc(),
            AttemptEnd::Failed(failure) => failure.kind.name(),
            AttemptEnd::Abandoned => "abandoned",
        };
        let name = self.names.slot(slot);
        self.metrics.attempts.with_label_values(&[&name.provider, &name.model, &name.key, outcome]).inc();
    }

    fn changes(&self, changes: &[Change]) {
        for change in changes {
            let (lane, name) = self.names.lane(change.lane);
            match change.event {
                Event::Cooled => {
                    self.metrics.cooldowns.with_label_values(&[lane, change.kind.name()]).inc();
                    tracing::debug!(lane, name, kind = change.kind.name(), streak = change.streak, "cooling");
                }
                Event::Extended => tracing::debug!(lane, name, kind = change.kind.name(), "cooling for longer"),
                Event::Recovered => {
                    tracing::info!(lane, name, kind = change.kind.name(), streak = change.streak, "recovered");
                }
            }
        }
    }

    fn failover(&self, handover: &Handover<'_>) {
        let (from_slot, from_level) = handover.from;
        let kind = handover.failure.kind.name();
        let (to_target, to) = match handover.to {
            Some((slot, level)) => (self.target(level), self.label(slot, level)),
            None => ("none", "none".to_owned()),
        };
        self.metrics.failovers.with_label_values(&[self.target(from_level), to_target, kind]).inc();
        let from = self.label(from_slot, from_level);
        let cooled = handover.change.map(|change| self.names.lane(change.lane));
        tracing::warn!(
            request = %format_args!("{:016x}", handover.request),
            from,
            to,
            kind,
            status = handover.failure.status,
            timer = handover.failure.timer.map(Timer::name),
            lane = cooled.map(|(lane, _)| lane),
            streak = handover.change.map(|change| change.streak),
            until = handover.change.map(|_| super::log::wall_clock_in(handover.remaining)),
            cooldown_ms = handover.change.map(|_| millis(handover.remaining)),
            elapsed_ms = millis(handover.elapsed),
            "failover"
        );
    }
}

impl Watch {
    /// The slot with the model that was really asked, also where clients name it.
    fn label(&self, slot: SlotId, level: &Level) -> String {
        let name = self.names.slot(slot);
        format!("{}/{}@{}", name.provider, level.model, name.key)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
