//! What a failure or a success changes, in the words of contract sections 1 and 2.

use std::time::Duration;

use backstop::policy::failure::{Failure, Kind, Scope};
use backstop::policy::id::SlotId;
use backstop::policy::ledger::{LaneId, SlotInfo};
use backstop::policy::settings::Jitter;
use backstop::policy::time::Instant;
use backstop::world::Fact;

use super::{Attempt, Incident, Lane, Replay, is_of_key};

struct Blow {
    place: usize,
    now: Instant,
    number: (u32, usize),
    failure: Failure,
    jitter: Jitter,
}

impl Replay<'_> {
    pub(super) fn is_current(&self, id: LaneId, attempt: &Attempt) -> bool {
        let moved = self.lane(id).moved;
        attempt.began > moved || attempt.closed.contains(&(id, moved))
    }

    /// "Success closes the incident and halves the streak."
    pub(super) fn succeed(&mut self, place: usize, _: Instant, id: LaneId, attempt: &Attempt) -> bool {
        if !self.is_current(id, attempt) {
            return false;
        }
        let Some(lane) = self.lanes.get_mut(&id).filter(|lane| lane.incident.is_some()) else { return false };
        lane.incident = None;
        lane.streak /= 2;
        lane.moved = place;
        true
    }

    pub(super) fn failed(
        &mut self,
        place: usize,
        now: Instant,
        number: (u32, usize),
        failure: Failure,
        jitter: Jitter,
    ) {
        let Some(attempt) = self.attempts.get(&number).cloned() else { return };
        let (slot, info) = (attempt.slot, self.info(attempt.slot));
        if failure.status.is_some() {
            self.succeed(place, now, LaneId::Endpoint(info.endpoint), &attempt);
        }
        let mut blow = Blow { place, now, number, failure, jitter };
        if !matches!(failure.kind, Kind::RateLimit | Kind::Overloaded) {
            blow.failure.hint = None;
        }
        match failure.kind.scope() {
            Scope::Nothing => {}
            Scope::Key => drop(self.strike(LaneId::Key(info.key), &attempt, &blow)),
            Scope::Endpoint => self.endpoint(&attempt, &blow),
            Scope::Slot => {
                if !self.is_blip(&attempt, &blow) {
                    let (cooled, moved) = self.strike(LaneId::Slot(slot), &attempt, &blow);
                    if moved && failure.kind == Kind::RateLimit {
                        self.group(slot, &blow);
                    }
                    self.target(&attempt, cooled, &blow);
                }
            }
        }
        self.free(number);
    }

    /// Begins or prolongs a cooldown: (began, moved at all).
    fn strike(&mut self, id: LaneId, attempt: &Attempt, blow: &Blow) -> (bool, bool) {
        let current = self.is_current(id, attempt);
        let now = blow.now;
        let hint = blow.failure.hint.map(|hint| now + hint.clamp(self.settings.hint_min, self.settings.hint_max));
        let settings = self.settings;
        let lane = self.lanes.entry(id).or_default();
        if let Some(incident) = &mut lane.incident {
            let next = current && (attempt.probes.contains(&id) || now >= incident.until);
            if !next {
                let later = hint.filter(|hint| now < incident.until && *hint > incident.until);
                let Some(later) = later else { return (false, false) };
                incident.until = later;
                incident.hinted_until = Some(later);
                incident.early = incident.early.or(Some(now + settings.hint_probe_every));
                lane.remember(settings.streak_memory);
                return (false, true);
            }
        } else if !current {
            return (false, false);
        }
        let Some(ladder) = settings.ladders.of(blow.failure.kind) else { return (false, false) };
        let streak = if now >= lane.forget { 0 } else { lane.streak };
        let fresh = hint.unwrap_or_else(|| now + ladder.cooldown(streak, blow.jitter));
        let running = lane.incident.map_or(Instant::ZERO, |incident| incident.until);
        let hinted_until = hint.max(lane.incident.and_then(|incident| incident.hinted_until));
        let until = fresh.max(running);
        let early = if is_of_key(blow.failure.kind) {
            Some(now + settings.key_probe_every)
        } else {
            (hinted_until == Some(until)).then_some(now + settings.hint_probe_every)
        };
        let opener = Some((blow.number.0, attempt.slot));
        let incident =
            Incident { kind: blow.failure.kind, until, began: now, hinted_until, early, probe: None, opener };
        lane.incident = Some(incident);
        lane.streak = streak + 1;
        lane.moved = blow.place;
        lane.remember(settings.streak_memory);
        (true, true)
    }

    /// "A slot with ≥ 20 attempts in the last 30 s of which < 20 % failed […] does not cool": whole seconds.
    fn is_blip(&self, attempt: &Attempt, blow: &Blow) -> bool {
        let healthy = self.lane(LaneId::Slot(attempt.slot)).incident.is_none() && attempt.probes.is_empty();
        if !blow.failure.kind.is_server_side() || !healthy {
            return false;
        }
        let (mut attempts, mut failed) = (0, 0);
        for (at, fact) in self.log[..blow.place].iter().rev() {
            if at.as_secs() + self.settings.blip_window.as_secs() <= blow.now.as_secs() {
                break;
            }
            match *fact {
                Fact::Committed { slot, .. } if slot == attempt.slot => attempts += 1,
                Fact::Failed { slot, failure, committed, .. } if slot == attempt.slot => {
                    attempts += u32::from(!committed);
                    failed += u32::from(failure.kind.scope() != Scope::Nothing);
                }
                _ => {}
            }
        }
        attempts >= self.settings.blip_attempts && failed * 100 < attempts * self.settings.blip_percent
    }

    /// "A `rate_limit` of one cools all of the group for that model": the same end, never earlier.
    fn group(&mut self, slot: SlotId, blow: &Blow) {
        let (info, cause) = (self.info(slot), self.lane(LaneId::Slot(slot)).incident);
        let (Some(_), Some(cause)) = (info.quota_group, cause) else { return };
        for (other, sibling) in self.topology.slots.iter().enumerate() {
            let id = SlotId(u32::try_from(other).unwrap());
            if id == slot || sibling.target != info.target || sibling.quota_group != info.quota_group {
                continue;
            }
            let lane = self.lanes.entry(LaneId::Slot(id)).or_default();
            if let Some(incident) = &mut lane.incident {
                incident.hinted_until = incident.hinted_until.max(cause.hinted_until);
                if cause.until > incident.until {
                    incident.until = cause.until;
                    if cause.hinted_until == Some(cause.until) && incident.early.is_none_or(|early| early <= blow.now) {
                        incident.early = Some(blow.now + self.settings.hint_probe_every);
                    }
                    lane.remember(self.settings.streak_memory);
                }
            } else {
                lane.streak = if blow.now >= lane.forget { 1 } else { lane.streak + 1 };
                lane.moved = blow.place;
                lane.incident = Some(Incident { began: blow.now, probe: None, opener: None, ..cause });
                lane.remember(self.settings.streak_memory);
            }
        }
    }

    /// "When three distinct keys of a target (or all, but at least two) fail with the same server-side kind within
    /// 10 s, the target cools"; `model_not_found`: once two keys agree. Failures that opened a cooldown count.
    fn target(&mut self, attempt: &Attempt, cooled: bool, blow: &Blow) {
        let (kind, info) = (blow.failure.kind, self.info(attempt.slot));
        let id = LaneId::Target(info.target);
        let of_target: Vec<usize> =
            (0..self.topology.slots.len()).filter(|slot| self.topology.slots[*slot].target == info.target).collect();
        let mut agree = false;
        if cooled && kind == Kind::ModelNotFound {
            let unknown = of_target.iter().filter(|slot| {
                let lane = self.lane(LaneId::Slot(SlotId(u32::try_from(**slot).unwrap())));
                lane.incident.is_some_and(|incident| incident.kind == kind)
            });
            agree = unknown.count() >= 2;
        } else if cooled && kind.is_server_side() {
            self.cooled.push((info, kind, blow.now));
            let near = |(other, other_kind, at): &&(SlotInfo, Kind, Instant)| {
                other.target == info.target && *other_kind == kind && blow.now.since(*at) < self.settings.target_window
            };
            let mut keys: Vec<_> = self.cooled.iter().filter(near).map(|(other, ..)| other.key).collect();
            keys.sort();
            keys.dedup();
            agree = keys.len() >= of_target.len().min(self.settings.target_keys as usize).max(2);
            if agree {
                self.cooled.retain(|(other, ..)| other.target != info.target);
            }
        }
        let probed = attempt.probes.contains(&id) && (kind.is_server_side() || kind == Kind::ModelNotFound);
        if agree || probed {
            self.strike(id, attempt, blow);
        }
    }

    /// "endpoint, after two in 10 s".
    fn endpoint(&mut self, attempt: &Attempt, blow: &Blow) {
        let id = LaneId::Endpoint(self.info(attempt.slot).endpoint);
        let lane = self.lane(id);
        if lane.incident.is_none() {
            let near = self.log[lane.moved..blow.place].iter().filter(|(at, fact)| {
                let Fact::Failed { request, no, slot, failure, .. } = *fact else { return false };
                failure.kind == Kind::Network
                    && LaneId::Endpoint(self.info(slot).endpoint) == id
                    && self.attempts.get(&(request, no)).is_some_and(|attempt| attempt.began > lane.moved)
                    && blow.now.since(*at) < self.settings.endpoint_window
            });
            if attempt.began <= lane.moved || near.count() < self.settings.endpoint_failures as usize {
                return;
            }
        }
        self.strike(id, attempt, blow);
    }
}

impl Lane {
    fn remember(&mut self, memory: Duration) {
        if let Some(incident) = &self.incident {
            self.forget = incident.until + memory.max(incident.until.since(incident.began) * 2);
        }
    }
}
