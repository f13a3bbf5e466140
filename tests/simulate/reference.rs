//! The naive reference: what every lane must look like, recomputed from the whole event log each time.
//!
//! Shares no state and no code with the ledger beyond the settings. Staleness is decided by places in the
//! log (did the attempt begin before the lane last moved?), not by epochs.

mod settle;

use std::collections::HashMap;

use backstop::policy::failure::Kind;
use backstop::policy::id::SlotId;
use backstop::policy::ledger::{LaneId, SlotInfo};
use backstop::policy::run::Why;
use backstop::policy::settings::CooldownSettings;
use backstop::policy::time::Instant;
use backstop::world::{Fact, Topology};

/// What the reference expects of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    Open,
    Cooling(Instant),
    Probing(Instant),
    Disabled,
}

#[derive(Debug, Clone, Copy)]
pub struct Incident {
    pub kind: Kind,
    pub until: Instant,
    began: Instant,
    hinted_until: Option<Instant>,
    early: Option<Instant>,
    probe: Option<((u32, usize), Instant)>,
    /// The request and slot whose failure began this cooldown.
    opener: Option<(u32, SlotId)>,
}

#[derive(Debug, Clone, Default)]
pub struct Lane {
    pub incident: Option<Incident>,
    pub streak: u32,
    /// The place in the log of the last cooldown or recovery.
    moved: usize,
    forget: Instant,
}

#[derive(Debug, Clone)]
struct Attempt {
    slot: SlotId,
    began: usize,
    probes: Vec<LaneId>,
    /// Lanes that this attempt's own good answer closed: it is not stale for them.
    closed: Vec<(LaneId, usize)>,
}

/// One replay of a log.
pub struct Replay<'a> {
    log: &'a [(Instant, Fact)],
    topology: &'a Topology,
    settings: &'a CooldownSettings,
    lanes: HashMap<LaneId, Lane>,
    attempts: HashMap<(u32, usize), Attempt>,
    /// Server-side cooldowns of slots since their target's keys last agreed.
    cooled: Vec<(SlotInfo, Kind, Instant)>,
    forced: HashMap<SlotId, (u32, Instant)>,
    pub problems: Vec<String>,
}

const fn lanes_of(info: &SlotInfo, slot: SlotId) -> [LaneId; 4] {
    [LaneId::Key(info.key), LaneId::Slot(slot), LaneId::Target(info.target), LaneId::Endpoint(info.endpoint)]
}

const fn is_of_key(kind: Kind) -> bool {
    matches!(kind, Kind::Auth | Kind::Billing)
}

impl<'a> Replay<'a> {
    /// Recomputes everything from the first fact to the last.
    pub fn of(log: &'a [(Instant, Fact)], topology: &'a Topology, settings: &'a CooldownSettings) -> Self {
        let mut replay = Self {
            log,
            topology,
            settings,
            lanes: HashMap::new(),
            attempts: HashMap::new(),
            cooled: Vec::new(),
            forced: HashMap::new(),
            problems: Vec::new(),
        };
        for (place, (now, fact)) in log.iter().enumerate() {
            replay.fact(place + 1, *now, fact);
        }
        replay
    }

    fn info(&self, slot: SlotId) -> SlotInfo {
        self.topology.slots[slot.index()]
    }

    pub fn lane(&self, id: LaneId) -> Lane {
        self.lanes.get(&id).cloned().unwrap_or_default()
    }

    /// The streak that counts now: "forgotten max(10 min, 2 × last cooldown) after `until`".
    pub fn streak(&self, id: LaneId, now: Instant) -> u32 {
        let lane = self.lane(id);
        if now >= lane.forget { 0 } else { lane.streak }
    }

    fn door(&self, id: LaneId, now: Instant) -> Expect {
        let Some(incident) = self.lane(id).incident else { return Expect::Open };
        let opens = incident.early.map_or(incident.until, |early| early.min(incident.until));
        if now < opens {
            return Expect::Cooling(opens);
        }
        match incident.probe {
            Some((_, since)) if now < since + self.settings.probe_verdict => {
                Expect::Probing(since + self.settings.probe_verdict)
            }
            _ => Expect::Open,
        }
    }

    /// What a request at the door of a slot must be told.
    pub fn expect(&self, slot: SlotId, now: Instant) -> Expect {
        let info = self.info(slot);
        if self.topology.keys[info.key.index()] {
            return Expect::Disabled;
        }
        let doors = lanes_of(&info, slot).map(|id| self.door(id, now));
        let cooling =
            doors.iter().filter_map(|door| if let Expect::Cooling(until) = door { Some(*until) } else { None });
        let probing =
            doors.iter().filter_map(|door| if let Expect::Probing(until) = door { Some(*until) } else { None });
        match (cooling.max(), probing.max()) {
            (Some(until), _) => Expect::Cooling(until),
            (None, Some(until)) => Expect::Probing(until),
            (None, None) => Expect::Open,
        }
    }

    fn fact(&mut self, place: usize, now: Instant, fact: &Fact) {
        match *fact {
            Fact::Tried { request, no, slot, why, .. } => self.tried(place, now, (request, no), slot, why),
            Fact::Committed { request, .. } => self.committed(place, now, request),
            Fact::Failed { request, no, failure, jitter, .. } => {
                self.failed(place, now, (request, no), failure, jitter)
            }
            // An abandoned attempt changes nothing and frees its probe.
            Fact::Abandoned { request, .. } => self.free(self.last(request)),
            Fact::Completed { .. }
            | Fact::Arrived { .. }
            | Fact::Asked { .. }
            | Fact::Waits { .. }
            | Fact::Woke { .. }
            | Fact::Left { .. }
            | Fact::GaveUp { .. }
            | Fact::Moved { .. } => {}
        }
    }

    fn last(&self, request: u32) -> (u32, usize) {
        let numbers = self.attempts.keys().filter(|(other, _)| *other == request);
        numbers.max().copied().unwrap_or((request, 0))
    }

    fn tried(&mut self, place: usize, now: Instant, attempt: (u32, usize), slot: SlotId, why: Why) {
        let ids = lanes_of(&self.info(slot), slot);
        match why {
            Why::Turn => {
                if self.expect(slot, now) != Expect::Open {
                    self.problems.push(format!("{now:?} {attempt:?} admitted {slot:?}: {:?}", self.expect(slot, now)));
                }
            }
            Why::QuickRetry | Why::SameTargetWait => self.retry(now, attempt, slot),
            Why::Forced => self.force(now, attempt, slot),
        }
        let mut probes = Vec::new();
        for id in ids {
            let door = self.door(id, now);
            let every = self.settings.hint_probe_every;
            let key_every = self.settings.key_probe_every;
            let Some(incident) = self.lanes.get_mut(&id).and_then(|lane| lane.incident.as_mut()) else { continue };
            if door == Expect::Open || why == Why::Forced {
                incident.probe = Some((attempt, now));
                if now < incident.until && incident.early.is_some() {
                    incident.early = Some(now + if is_of_key(incident.kind) { key_every } else { every });
                }
                probes.push(id);
            }
        }
        self.attempts.insert(attempt, Attempt { slot, began: place, probes, closed: Vec::new() });
    }

    /// "Not barred by the cooldown that the request itself just opened", but by any other.
    fn retry(&mut self, now: Instant, attempt: (u32, usize), slot: SlotId) {
        for id in lanes_of(&self.info(slot), slot) {
            let own = self.lane(id).incident.is_some_and(|incident| incident.opener == Some((attempt.0, slot)));
            match self.door(id, now) {
                Expect::Open | Expect::Disabled => {}
                Expect::Cooling(_) if own => {}
                door => self.problems.push(format!("{now:?} {attempt:?} retried {slot:?}, {id:?} {door:?}")),
            }
        }
    }

    /// "Never inside a vendor's hint, at most every 1, 2, then 5 s."
    fn force(&mut self, now: Instant, attempt: (u32, usize), slot: SlotId) {
        for id in lanes_of(&self.info(slot), slot) {
            let Some(incident) = self.lane(id).incident else { continue };
            if incident.hinted_until.is_some_and(|until| now < until) {
                self.problems.push(format!("{now:?} {attempt:?} forced {slot:?} inside the hint of {id:?}"));
            }
            if incident.probe.is_some_and(|(_, since)| now < since + self.settings.probe_verdict) {
                self.problems.push(format!("{now:?} {attempt:?} forced {slot:?} beside the probe of {id:?}"));
            }
        }
        let (count, last) = self.forced.get(&slot).copied().unwrap_or_default();
        let pace = self.settings.forced_probe_pace[(count as usize).min(2)];
        if count > 0 && now < last + pace {
            self.problems.push(format!("{now:?} {attempt:?} forced {slot:?} {:?} after the last", now.since(last)));
        }
        self.forced.insert(slot, (count + 1, now));
    }

    fn free(&mut self, attempt: (u32, usize)) {
        for lane in self.lanes.values_mut() {
            if let Some(incident) = &mut lane.incident
                && incident.probe.is_some_and(|(holder, _)| holder == attempt)
            {
                incident.probe = None;
            }
        }
        if let Some(attempt) = self.attempts.get_mut(&attempt) {
            attempt.probes.clear();
        }
    }

    fn committed(&mut self, place: usize, now: Instant, request: u32) {
        let number = self.last(request);
        let Some(attempt) = self.attempts.get(&number).cloned() else { return };
        for id in lanes_of(&self.info(attempt.slot), attempt.slot) {
            if self.succeed(place, now, id, &attempt) {
                if let Some(attempt) = self.attempts.get_mut(&number) {
                    attempt.closed.push((id, place));
                }
                self.forced.remove(&attempt.slot);
            }
        }
        self.free(number);
    }
}
