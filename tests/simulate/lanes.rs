//! What the checker remembers of each lane: property f (ladders) and the single-file probes of 2.3.

use std::collections::HashMap;

use backstop::policy::ledger::{Change, Event, LaneId};
use backstop::policy::settings::CooldownSettings;
use backstop::policy::time::Instant;

/// The failure by which lanes move.
#[derive(Debug, Clone, Copy)]
pub struct Cause {
    /// The number of the fact with which its attempt began.
    pub began: u64,
    /// The lanes of its slot.
    pub lanes: [LaneId; 4],
    /// A hint decides, not the ladder.
    pub hinted: bool,
}

#[derive(Debug, Default, Clone, Copy)]
struct Track {
    /// Of the running incident.
    until: Option<Instant>,
    began: Instant,
    /// The fact's number of the last cooldown.
    cooled: u64,
    streak: u32,
    forget: Instant,
    probe: Option<(u32, Instant)>,
    early: Option<Instant>,
}

/// Every lane that ever moved.
#[derive(Debug, Default)]
pub struct Lanes(HashMap<LaneId, Track>);

impl Lanes {
    /// "One request is the probe; after 10 s without a verdict another one is admitted."
    pub fn probed(
        &mut self,
        id: LaneId,
        request: u32,
        early: bool,
        settings: &CooldownSettings,
        now: Instant,
    ) -> Vec<&'static str> {
        let mut problems = Vec::new();
        let track = self.0.entry(id).or_default();
        if track.probe.is_some_and(|(other, since)| other != request && now.since(since) < settings.probe_verdict) {
            problems.push("a second probe beside the first");
        }
        track.probe = Some((request, now));
        if early {
            if track.early.is_some_and(|last| now.since(last) < settings.hint_probe_every) {
                problems.push("early probes follow too fast");
            }
            track.early = Some(now);
        }
        problems
    }

    /// The request's attempt is over: it holds no probe any more.
    pub fn resolve(&mut self, request: u32) {
        for track in self.0.values_mut() {
            if track.probe.is_some_and(|(holder, _)| holder == request) {
                track.probe = None;
            }
        }
    }

    /// One step at a time, within the ladder, capped, never earlier, never by an attempt of the same incident.
    pub fn moved(
        &mut self,
        change: &Change,
        cause: Option<&Cause>,
        settings: &CooldownSettings,
        number: u64,
        now: Instant,
    ) -> Option<String> {
        let before = self.0.get(&change.lane).copied().unwrap_or_default();
        let mut after = Track { streak: change.streak, probe: None, ..before };
        let mut problem = None;
        if change.event == Event::Recovered {
            after.until = None;
            after.early = None;
        } else {
            if before.until.is_some_and(|until| change.until < until) {
                problem = Some("an active deadline moved earlier");
            }
            if change.event == Event::Cooled {
                // A sibling of a quota group cools by a failure that is not its own.
                let own = cause.filter(|cause| cause.lanes.contains(&change.lane));
                problem = problem.or_else(|| step(change, own, &before, settings, now));
                after.cooled = number;
                after.began = now;
            }
            after.until = Some(change.until);
            let twice = change.until.since(after.began) * 2;
            after.forget = change.until + settings.streak_memory.max(twice);
        }
        self.0.insert(change.lane, after);
        problem.map(|problem| format!("{problem}: {change:?} by {cause:?}, before: {before:?}"))
    }
}

fn step(
    change: &Change,
    cause: Option<&Cause>,
    before: &Track,
    settings: &CooldownSettings,
    now: Instant,
) -> Option<&'static str> {
    let streak = if now >= before.forget { 0 } else { before.streak };
    if change.streak != streak + 1 {
        return Some("not one step");
    }
    let cause = cause?;
    if before.until.is_some() && cause.began <= before.cooled {
        return Some("an attempt of the same incident takes a step");
    }
    if cause.hinted {
        return None;
    }
    let ladder = settings.ladders.of(change.kind)?;
    let raw = ladder.first.saturating_mul(ladder.factor.saturating_pow(streak));
    let running = before.until.unwrap_or_default();
    let least = (now + (raw * 9 / 10).min(ladder.cap)).max(running);
    let most = (now + (raw * 11 / 10).min(ladder.cap)).max(running);
    (change.until < least || change.until > most).then_some("not that step of the ladder")
}
