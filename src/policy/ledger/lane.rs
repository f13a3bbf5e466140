//! One lane: a thing that cools as a whole (a key, a slot, a target or an endpoint).
//!
//! Owns the life of one incident: open, cool, half-open, step, close. Refuses to know which failures
//! belong to which lane; the [ledger](super) does.

use std::time::Duration;

use crate::policy::failure::Kind;
use crate::policy::settings::{CooldownSettings, Jitter};
use crate::policy::time::Instant;

/// A run of cooldowns without a success between them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Incident {
    pub kind: Kind,
    pub status: Option<u16>,
    /// When its first failure was seen.
    pub first_failure: Instant,
    /// When the current cooldown began.
    pub began: Instant,
    pub until: Instant,
    /// The end of the vendor's longest hint; past if there was none. `until` may be later.
    pub hint_until: Instant,
    /// A probe may pass before `until` from here on; [`Instant::FAR`] if none may.
    pub early_probe: Instant,
    /// The probe in flight: which permit, since when.
    pub probe: Option<(u64, Instant)>,
}

/// The state of one lane.
#[derive(Debug, Clone, Default)]
pub(super) struct Lane {
    /// Moves with every cooldown and every recovery: an outcome that carries an older one is stale.
    pub epoch: u32,
    pub incident: Option<Incident>,
    pub streak: u32,
    /// From here on the streak counts as 0.
    pub forget_at: Instant,
    pub last_kind: Option<Kind>,
    pub last_status: Option<u16>,
    pub last_failure: Option<Instant>,
    pub last_success: Option<Instant>,
}

/// What a lane says to a request at its door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// Healthy.
    Open,
    /// Cooled down, or an early probe is due: one request may pass as the probe.
    ProbeDue,
    /// A probe is in flight; another one may pass at `until`.
    Probing { until: Instant },
    /// Cooling; nobody passes before `until`.
    Cooling { until: Instant, kind: Kind },
}

/// What an attempt knew of a lane when it began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub epoch: u32,
    pub probe: bool,
}

/// A failure as a lane sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Blow {
    pub kind: Kind,
    pub status: Option<u16>,
    /// Bounded already.
    pub hint: Option<Duration>,
    pub jitter: Jitter,
}

/// What a failure did to a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing: stale, or the same incident.
    None,
    /// A new cooldown began.
    Cooled,
    /// The deadline of the running cooldown moved later.
    Extended,
}

impl Incident {
    /// The vendor named `until`.
    const fn is_hinted(&self) -> bool {
        self.hint_until.as_micros() == self.until.as_micros()
    }

    /// Inside the vendor's hint.
    pub(super) fn in_hint(&self, now: Instant) -> bool {
        now < self.hint_until
    }
}

impl Lane {
    pub(super) fn door(&self, settings: &CooldownSettings, now: Instant) -> Door {
        let Some(incident) = &self.incident else { return Door::Open };
        let opens = incident.until.min(incident.early_probe);
        if now < opens {
            return Door::Cooling { until: opens, kind: incident.kind };
        }
        match incident.probe {
            Some((_, since)) if now < since + settings.probe_verdict => {
                Door::Probing { until: since + settings.probe_verdict }
            }
            _ => Door::ProbeDue,
        }
    }

    /// Marks `permit` as the probe of the running incident.
    pub(super) fn take_probe(&mut self, permit: u64, settings: &CooldownSettings, now: Instant) {
        let Some(incident) = &mut self.incident else { return };
        incident.probe = Some((permit, now));
        if now < incident.until && incident.early_probe != Instant::FAR {
            incident.early_probe = now + probe_every(incident.kind, settings);
        }
    }

    /// Frees the probe of `permit` without a verdict.
    pub(super) fn release_probe(&mut self, permit: u64) {
        if let Some(incident) = &mut self.incident
            && incident.probe.is_some_and(|(holder, _)| holder == permit)
        {
            incident.probe = None;
        }
    }

    /// Whether an outcome with this epoch still speaks about the present.
    pub(super) const fn is_current(&self, seen: Seen) -> bool {
        self.epoch == seen.epoch
    }

    pub(super) fn fail(&mut self, seen: Seen, blow: &Blow, settings: &CooldownSettings, now: Instant) -> Effect {
        self.last_failure = Some(now);
        self.last_kind = Some(blow.kind);
        self.last_status = blow.status;
        let current = self.is_current(seen);
        match &mut self.incident {
            None if current => self.cool(blow, settings, now),
            // It began before an incident that is over by now.
            None => Effect::None,
            Some(incident) if current && (seen.probe || now >= incident.until) => self.cool(blow, settings, now),
            Some(incident) if now < incident.until => {
                let later = blow.hint.map(|hint| now + hint).filter(|until| *until > incident.until);
                let Some(until) = later else { return Effect::None };
                incident.until = until;
                incident.hint_until = until;
                if incident.early_probe == Instant::FAR {
                    incident.early_probe = first_early_probe(incident.kind, true, now, settings);
                }
                self.remember(settings);
                Effect::Extended
            }
            Some(_) => Effect::None,
        }
    }

    /// Starts the next cooldown: the first of a new incident or the next step of the running one.
    fn cool(&mut self, blow: &Blow, settings: &CooldownSettings, now: Instant) -> Effect {
        let Some(ladder) = settings.ladders.of(blow.kind) else { return Effect::None };
        let forgotten = now >= self.forget_at;
        if forgotten {
            // Nobody asked for so long: this is a new incident, though no success closed the old one.
            self.streak = 0;
        }
        let first_failure = self.incident.as_ref().filter(|_| !forgotten).map_or(now, |old| old.first_failure);
        let cooldown =
            blow.hint.unwrap_or_else(|| ladder.cooldown(self.streak, blow.jitter.within(settings.jitter_percent)));
        let fresh = now + cooldown;
        let until = self.incident.as_ref().map_or(fresh, |incident| fresh.max(incident.until));
        self.streak = self.streak.saturating_add(1);
        self.epoch = self.epoch.wrapping_add(1);
        // What an earlier hint said still holds when this failure brings none, or a shorter one.
        let hint = blow.hint.map_or(Instant::ZERO, |_| fresh);
        let hint_until = self.incident.as_ref().map_or(hint, |incident| hint.max(incident.hint_until));
        self.incident = Some(Incident {
            kind: blow.kind,
            status: blow.status,
            first_failure,
            began: now,
            until,
            hint_until,
            early_probe: first_early_probe(blow.kind, hint_until == until, now, settings),
            probe: None,
        });
        self.remember(settings);
        Effect::Cooled
    }

    /// The streak outlives `until` by the memory, or by twice the last cooldown if that is longer.
    fn remember(&mut self, settings: &CooldownSettings) {
        if let Some(incident) = &self.incident {
            let twice = incident.until.since(incident.began).saturating_mul(2);
            self.forget_at = incident.until + settings.streak_memory.max(twice);
        }
    }

    /// A good answer. Returns whether it closed an incident.
    pub(super) fn succeed(&mut self, seen: Seen, now: Instant) -> bool {
        self.last_success = Some(now);
        if self.incident.is_none() || !self.is_current(seen) {
            return false;
        }
        self.incident = None;
        self.epoch = self.epoch.wrapping_add(1);
        self.streak /= 2;
        true
    }

    /// Cools because a sibling of the same quota group did: same end, never earlier.
    pub(super) fn join(&mut self, sibling: &Incident, settings: &CooldownSettings, now: Instant) -> Effect {
        match &mut self.incident {
            Some(incident) => {
                incident.hint_until = incident.hint_until.max(sibling.hint_until);
                if sibling.until <= incident.until {
                    return Effect::None;
                }
                incident.until = sibling.until;
                if sibling.is_hinted() && (incident.early_probe == Instant::FAR || incident.early_probe <= now) {
                    incident.early_probe = first_early_probe(incident.kind, true, now, settings);
                }
                self.remember(settings);
                Effect::Extended
            }
            None => {
                if now >= self.forget_at {
                    self.streak = 0;
                }
                self.streak = self.streak.saturating_add(1);
                self.epoch = self.epoch.wrapping_add(1);
                self.last_failure = Some(now);
                self.last_kind = Some(sibling.kind);
                self.last_status = sibling.status;
                self.incident = Some(Incident { first_failure: now, began: now, probe: None, ..*sibling });
                self.remember(settings);
                Effect::Cooled
            }
        }
    }
}

/// The pause between early probes of a kind.
fn probe_every(kind: Kind, settings: &CooldownSettings) -> Duration {
    if matches!(kind, Kind::Auth | Kind::Billing) { settings.key_probe_every } else { settings.hint_probe_every }
}

fn first_early_probe(kind: Kind, hinted: bool, now: Instant, settings: &CooldownSettings) -> Instant {
    if hinted || matches!(kind, Kind::Auth | Kind::Billing) { now + probe_every(kind, settings) } else { Instant::FAR }
}
