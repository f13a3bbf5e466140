//! What an outcome changes: the only place where lanes move.
//!
//! Owns scope (which lane a failure cools), agreement (three keys cool their target, two failures an
//! endpoint), the blip rule and the verdict of probes. Refuses to know what becomes of the request.

use std::time::Duration;

use super::lane::{Blow, Effect, Seen};
use super::{ENDPOINT, KEY, LaneId, Ledger, Permit, Ramp, SLOT, SlotInfo, TARGET};
use crate::policy::failure::{Failure, Kind, Scope};
use crate::policy::settings::Jitter;
use crate::policy::time::Instant;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// A good answer, to its end.
    Complete,
    /// It failed.
    Failed(&'a Failure),
    /// The client went away, or the gateway did: changes nothing.
    Abandoned,
}

/// What happened to a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A cooldown began.
    Cooled,
    /// A running cooldown got a later end.
    Extended,
    /// The incident is over.
    Recovered,
}

/// One lane that moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Which lane.
    pub lane: LaneId,
    /// What happened to it.
    pub event: Event,
    /// The kind of its incident; that of the failure, or the last one of a recovered lane.
    pub kind: Kind,
    /// Its streak now.
    pub streak: u32,
    /// When it can be asked again; now, for a recovered lane.
    pub until: Instant,
}

/// The lanes that one outcome moved. Empty (and without allocation) for most.
pub type Changes = Vec<Change>;

/// The cooldowns that a failure opened, so that a retry of the same request is not barred by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Own {
    slot: Option<u32>,
    endpoint: Option<u32>,
}

impl Own {
    pub(super) fn opened(&self, place: usize, epoch: u32) -> bool {
        match place {
            SLOT => self.slot == Some(epoch),
            ENDPOINT => self.endpoint == Some(epoch),
            _ => false,
        }
    }
}

/// What closing a permit did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settled {
    /// The lanes that moved.
    pub changes: Changes,
    /// The cooldowns that this outcome opened.
    pub own: Own,
}

impl Ledger {
    /// The first content (or the whole good answer) is there: the verdict of a probe. Once per permit;
    /// later calls change nothing.
    pub fn answered(&mut self, permit: &mut Permit, now: Instant) -> Changes {
        let mut changes = Changes::new();
        if permit.answered {
            return changes;
        }
        permit.answered = true;
        let info = *self.info(permit.slot);
        self.slots[permit.slot.index()].window.attempt(now);
        for (place, id) in Self::lane_ids(&info, permit.slot).into_iter().enumerate() {
            let seen = permit.seen(place);
            if self.succeed(seen, id, now, &mut changes) {
                // Its own good answer ended the incident: a break after it is news and no echo of before.
                permit.epochs[place] = self.lane(id).epoch;
            }
        }
        self.move_ramp(permit, true, !changes.is_empty());
        if !changes.is_empty() || permit.probes != 0 || permit.ramped {
            self.version += 1;
        }
        permit.probes = 0;
        permit.ramped = false;
        changes
    }

    /// Ends an attempt. Takes the permit: there is no second time.
    pub fn close(&mut self, mut permit: Permit, outcome: Outcome<'_>, jitter: Jitter, now: Instant) -> Settled {
        let mut settled = Settled::default();
        match outcome {
            Outcome::Complete => settled.changes = self.answered(&mut permit, now),
            Outcome::Failed(failure) => settled = self.failed(&mut permit, failure, jitter, now),
            Outcome::Abandoned => {}
        }
        self.release(&permit);
        let state = &mut self.slots[permit.slot.index()];
        state.in_flight = state.in_flight.saturating_sub(1);
        settled
    }

    /// Frees what the permit still holds, without a verdict.
    fn release(&mut self, permit: &Permit) {
        if permit.probes == 0 && !permit.ramped {
            return;
        }
        let info = *self.info(permit.slot);
        for id in Self::lane_ids(&info, permit.slot) {
            self.lane_mut(id).release_probe(permit.serial);
        }
        self.move_ramp(permit, false, false);
        self.version += 1;
    }

    fn move_ramp(&mut self, permit: &Permit, good: bool, recovered: bool) {
        let most = self.settings.max_waiters;
        let state = &mut self.slots[permit.slot.index()];
        if recovered && good {
            state.forced = 0;
            state.ramp = (state.waiters > 0).then_some(Ramp { allowed: 1, out: 0 });
            return;
        }
        if let (true, Some(ramp)) = (permit.ramped, &mut state.ramp) {
            ramp.out = ramp.out.saturating_sub(1);
            if good {
                ramp.allowed = ramp.allowed.saturating_mul(2).min(most);
            }
        }
    }

    /// Returns whether it closed an incident.
    fn succeed(&mut self, seen: Seen, id: LaneId, now: Instant, changes: &mut Changes) -> bool {
        let lane = self.lane_mut(id);
        let kind = lane.incident.as_ref().map(|incident| incident.kind);
        let closed = lane.succeed(seen, now);
        let (true, Some(kind)) = (closed, kind) else { return false };
        let streak = lane.streak;
        changes.push(Change { lane: id, event: Event::Recovered, kind, streak, until: now });
        true
    }

    fn failed(&mut self, permit: &mut Permit, failure: &Failure, jitter: Jitter, now: Instant) -> Settled {
        let mut settled = Settled::default();
        let info = *self.info(permit.slot);
        if failure.kind == Kind::Cancelled {
            return settled;
        }
        let window = &mut self.slots[permit.slot.index()].window;
        if !permit.answered {
            window.attempt(now);
        }
        if failure.kind.scope() != Scope::Nothing {
            window.failure(now);
        }
        let blow = self.blow(failure, jitter);
        if failure.status.is_some() && failure.kind != Kind::Network {
            // Any HTTP answer shows that the endpoint is there, whatever the answer says.
            self.succeed(permit.seen(ENDPOINT), LaneId::Endpoint(info.endpoint), now, &mut settled.changes);
        }
        match failure.kind.scope() {
            Scope::Key => {
                self.strike(permit.seen(KEY), LaneId::Key(info.key), &blow, now, &mut settled.changes);
            }
            Scope::Slot => self.slot_failed(permit, &info, &blow, now, &mut settled),
            Scope::Endpoint => self.endpoint_failed(permit, &info, &blow, now, &mut settled),
            Scope::Nothing => {}
        }
        if !settled.changes.is_empty() {
            self.version += 1;
        }
        settled
    }

    /// Bounds the hint; only throttling kinds take one.
    fn blow(&self, failure: &Failure, jitter: Jitter) -> Blow {
        let hint = match failure.kind {
            Kind::RateLimit | Kind::Overloaded => failure.hint.map(|hint| self.bounded(hint)),
            Kind::Auth
            | Kind::Billing
            | Kind::Forbidden
            | Kind::ServerError
            | Kind::Network
            | Kind::Timeout
            | Kind::BrokenStream
            | Kind::ModelNotFound
            | Kind::TooLarge
            | Kind::NotCapable
            | Kind::ContentFilter
            | Kind::BadRequest
            | Kind::Cancelled
            | Kind::Unknown => None,
        };
        Blow { kind: failure.kind, status: failure.status, hint, jitter }
    }

    /// A hint within the bounds of contract section 1.
    #[must_use]
    pub fn bounded(&self, hint: Duration) -> Duration {
        hint.clamp(self.settings.hint_min, self.settings.hint_max)
    }

    fn strike(&mut self, seen: Seen, id: LaneId, blow: &Blow, now: Instant, changes: &mut Changes) -> Effect {
        let settings = self.settings;
        let lane = self.lane_mut(id);
        let effect = lane.fail(seen, blow, &settings, now);
        self.note(id, effect, changes);
        effect
    }

    fn note(&mut self, id: LaneId, effect: Effect, changes: &mut Changes) {
        let event = match effect {
            Effect::None => return,
            Effect::Cooled => Event::Cooled,
            Effect::Extended => Event::Extended,
        };
        if let LaneId::Slot(slot) = id {
            self.slots[slot.index()].ramp = None;
        }
        let lane = self.lane(id);
        if let Some(incident) = &lane.incident {
            let (kind, until) = (incident.kind, incident.until);
            changes.push(Change { lane: id, event, kind, streak: lane.streak, until });
        }
    }

    fn slot_failed(&mut self, permit: &Permit, info: &SlotInfo, blow: &Blow, now: Instant, settled: &mut Settled) {
        let id = LaneId::Slot(permit.slot);
        if blow.kind.is_server_side() && self.is_blip(permit, now) {
            let lane = self.lane_mut(id);
            lane.last_failure = Some(now);
            lane.last_kind = Some(blow.kind);
            lane.last_status = blow.status;
            return;
        }
        let effect = self.strike(permit.seen(SLOT), id, blow, now, &mut settled.changes);
        if effect == Effect::Cooled {
            settled.own.slot = Some(self.lane(id).epoch);
        }
        if blow.kind == Kind::RateLimit && effect != Effect::None {
            self.cool_group(permit, info, now, &mut settled.changes);
        }
        let target = LaneId::Target(info.target);
        let probed = permit.probes & (1 << TARGET) != 0;
        let agrees = effect == Effect::Cooled && self.keys_agree(info, blow.kind, now);
        let concerns_target = blow.kind.is_server_side() || blow.kind == Kind::ModelNotFound;
        if agrees || (probed && concerns_target) {
            self.strike(permit.seen(TARGET), target, blow, now, &mut settled.changes);
        }
    }

    /// Enough traffic, few failures, and no incident that this attempt should have ended.
    fn is_blip(&self, permit: &Permit, now: Instant) -> bool {
        let state = &self.slots[permit.slot.index()];
        let (attempts, failed) = state.window.counts(self.settings.blip_window, now);
        permit.probes == 0
            && state.lane.incident.is_none()
            && attempts >= self.settings.blip_attempts
            && u64::from(failed) * 100 < u64::from(attempts) * u64::from(self.settings.blip_percent)
    }

    fn cool_group(&mut self, permit: &Permit, info: &SlotInfo, now: Instant, changes: &mut Changes) {
        let (Some(group), Some(incident)) = (info.quota_group, self.lane(LaneId::Slot(permit.slot)).incident) else {
            return;
        };
        let settings = self.settings;
        let siblings = self.targets[info.target.index()].slots.clone();
        for sibling in siblings {
            let state = &mut self.slots[sibling.index()];
            if sibling != permit.slot && state.info.quota_group == Some(group) {
                let effect = state.lane.join(&incident, &settings, now);
                self.note(LaneId::Slot(sibling), effect, changes);
            }
        }
    }

    /// Whether so many distinct keys failed alike that the target itself is the cause.
    fn keys_agree(&mut self, info: &SlotInfo, kind: Kind, now: Instant) -> bool {
        let keys = u32::try_from(self.targets[info.target.index()].slots.len()).unwrap_or(u32::MAX);
        if kind == Kind::ModelNotFound {
            let unknown = |slot: &&super::SlotId| {
                let incident = &self.slots[slot.index()].lane.incident;
                incident.as_ref().is_some_and(|incident| incident.kind == Kind::ModelNotFound)
            };
            let agree = self.targets[info.target.index()].slots.iter().filter(unknown).count();
            return agree >= self.settings.model_keys as usize;
        }
        if !kind.is_server_side() {
            return false;
        }
        let needed = self.settings.target_keys.min(keys).max(2) as usize;
        let window = self.settings.target_window;
        let recent = &mut self.targets[info.target.index()].recent;
        recent.retain(|(key, other, at)| (*key != info.key || *other != kind) && now.since(*at) < window);
        recent.push((info.key, kind, now));
        let agree = recent.iter().filter(|(_, other, _)| *other == kind).count() >= needed;
        if agree {
            recent.clear();
        }
        agree
    }

    fn endpoint_failed(&mut self, permit: &Permit, info: &SlotInfo, blow: &Blow, now: Instant, settled: &mut Settled) {
        let id = LaneId::Endpoint(info.endpoint);
        let seen = permit.seen(ENDPOINT);
        let settings = self.settings;
        let endpoint = &mut self.endpoints[info.endpoint.index()];
        if endpoint.lane.incident.is_none() {
            if !endpoint.lane.is_current(seen) {
                return;
            }
            endpoint.recent.retain(|at| now.since(*at) < settings.endpoint_window);
            endpoint.recent.push(now);
            endpoint.lane.last_failure = Some(now);
            endpoint.lane.last_kind = Some(blow.kind);
            endpoint.lane.last_status = None;
            if endpoint.recent.len() < settings.endpoint_failures as usize {
                return;
            }
            endpoint.recent.clear();
        }
        if self.strike(seen, id, blow, now, &mut settled.changes) == Effect::Cooled {
            settled.own.endpoint = Some(self.lane(id).epoch);
        }
    }
}

impl Permit {
    /// What this attempt knew of the lane at `place` when it began.
    fn seen(&self, place: usize) -> Seen {
        Seen { epoch: self.epochs[place], probe: self.probes & (1 << place) != 0 }
    }
}
