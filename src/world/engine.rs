//! The event loop: virtual time moves from event to event, and the policy is driven as the service drives it.
//!
//! Owns the order of things: next, permit, outcome after its latency or at its limit, close, missed, next; a
//! wait ends by time or by the ledger's version, and leaves its queue. Decides nothing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::fact::{Fact, Witness};
use super::random::Random;
use super::scenario::{Errand, Scenario};
use super::upstream::{Ending, Upstreams};
use crate::policy::failure::{Failure, Kind};
use crate::policy::id::SlotId;
use crate::policy::ledger::{self, Changes, Ledger, Permit};
use crate::policy::recovery::Recovery;
use crate::policy::run::{Plan, Run, Step, Try};
use crate::policy::settings::{Jitter, RunSettings};
use crate::policy::time::Instant;

/// What came of all requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Requests that arrived.
    pub requests: u64,
    /// … and got an answer.
    pub served: u64,
    /// … and got an error.
    pub failed: u64,
    /// … and left before the end.
    pub left: u64,
    /// Attempts at upstreams.
    pub attempts: u64,
    /// Answers that broke after content.
    pub broken: u64,
}

/// The world after the last event.
#[derive(Debug)]
pub struct Outcome {
    /// What came of the requests.
    pub tally: Tally,
    /// The ledger as it was left.
    pub ledger: Ledger,
    /// The time of the last event.
    pub end: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrive,
    /// A request goes on, if it is still in that state.
    Go(u32, u32),
    Leave(u32),
}

#[derive(Debug)]
enum State {
    Waiting { seen: Option<u64>, queue: Option<SlotId> },
    Attempting { permit: Permit, no: usize, ending: Ending },
    Streaming { permit: Permit, no: usize, broken: bool },
    Over,
}

#[derive(Debug)]
struct Live {
    run: Option<Run>,
    errand: Errand,
    /// Moves with every change of state: an event of an older one is void.
    generation: u32,
    state: State,
}

#[derive(Debug, Clone, Copy)]
struct Sleeper {
    request: u32,
    generation: u32,
    seen: u64,
}

struct World<'a, W> {
    scenario: &'a Scenario,
    run: Arc<RunSettings>,
    witness: &'a mut W,
    ledger: Ledger,
    upstreams: Upstreams,
    arrivals: Random,
    jitter: Random,
    now: Instant,
    agenda: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    serial: u64,
    requests: Vec<Live>,
    /// Requests that wait for the ledger's version to move.
    sleepers: Vec<Sleeper>,
    tally: Tally,
}

/// Runs a scenario until nothing is left to happen.
pub fn simulate<W: Witness>(scenario: &Scenario, witness: &mut W) -> Outcome {
    let mut world = World {
        scenario,
        run: Arc::new(scenario.run),
        witness,
        ledger: scenario.topology.ledger(scenario.cooldowns),
        upstreams: Upstreams::new(scenario.faults.clone(), scenario.seed ^ 1),
        arrivals: Random::new(scenario.seed ^ 2),
        jitter: Random::new(scenario.seed ^ 3),
        now: Instant::ZERO,
        agenda: BinaryHeap::new(),
        serial: 0,
        requests: Vec::new(),
        sleepers: Vec::new(),
        tally: Tally::default(),
    };
    world.at(Instant::ZERO, Event::Arrive);
    while let Some(Reverse((at, _, event))) = world.agenda.pop() {
        world.now = at;
        let before = world.ledger.version();
        world.happen(event);
        if world.ledger.version() != before {
            world.wake();
        }
    }
    Outcome { tally: world.tally, ledger: world.ledger, end: world.now }
}

impl<W: Witness> World<'_, W> {
    fn at(&mut self, at: Instant, event: Event) {
        self.serial += 1;
        self.agenda.push(Reverse((at, self.serial, event)));
    }

    fn tell(&mut self, fact: Fact) {
        self.witness.fact(self.now, &fact, &self.ledger);
    }

    fn moved(&mut self, changes: &Changes) {
        for change in changes {
            self.tell(Fact::Moved { change: *change });
        }
    }

    /// Whoever slept on an older version goes on now, in the order in which they fell asleep.
    fn wake(&mut self) {
        let version = self.ledger.version();
        let (woken, asleep) =
            std::mem::take(&mut self.sleepers).into_iter().partition(|sleeper| sleeper.seen != version);
        self.sleepers = asleep;
        let woken: Vec<Sleeper> = woken;
        for Sleeper { request, generation, .. } in woken {
            self.at(self.now, Event::Go(request, generation));
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive => self.arrive(),
            Event::Go(request, generation) => {
                if self.requests[request as usize].generation == generation {
                    self.go_on(request);
                }
            }
            Event::Leave(request) => self.leave(request),
        }
    }

    fn arrive(&mut self) {
        let traffic = self.scenario.traffic;
        let left = traffic.requests.saturating_sub(u32::try_from(self.requests.len()).unwrap_or(u32::MAX));
        let crowd = if self.arrivals.chance(traffic.bursts) { 20 } else { 1 };
        for _ in 0..left.min(crowd) {
            self.admit_client();
        }
        if left > crowd {
            let pause = self.arrivals.pause(traffic.pause);
            self.at(self.now + pause, Event::Arrive);
        }
    }

    fn admit_client(&mut self) {
        let request = u32::try_from(self.requests.len()).unwrap_or(u32::MAX);
        let errand = self.scenario.errand(&mut self.arrivals);
        let plan = Plan {
            chain: Arc::clone(&self.scenario.topology.chains[errand.chain]),
            start: errand.start,
            key: errand.key,
            session: errand.session,
            needs: errand.needs,
            stream: errand.stream,
            recovery: Recovery::Error,
            same_model: false,
            deadline: self.now + errand.deadline,
        };
        let run = Some(Run::new(plan, Arc::clone(&self.run)));
        let state = State::Waiting { seen: None, queue: None };
        self.requests.push(Live { run, errand, generation: 0, state });
        self.tally.requests += 1;
        self.tell(Fact::Arrived { request, errand });
        if let Some(leaves) = errand.leaves {
            self.at(self.now + leaves, Event::Leave(request));
        }
        self.at(self.now, Event::Go(request, 0));
    }

    fn enter(&mut self, request: u32, state: State) -> (State, u32) {
        let live = &mut self.requests[request as usize];
        live.generation += 1;
        (std::mem::replace(&mut live.state, state), live.generation)
    }

    fn go_on(&mut self, request: u32) {
        let (before, _) = self.enter(request, State::Over);
        match before {
            State::Waiting { seen, queue } => {
                if let Some(slot) = queue {
                    self.ledger.leave(slot);
                }
                if seen.is_some() {
                    self.sleepers.retain(|sleeper| sleeper.request != request);
                }
                self.tell(Fact::Woke { request });
                self.step(request);
            }
            State::Attempting { permit, no, ending } => self.ended(request, permit, no, ending),
            State::Streaming { permit, no, broken } => {
                let slot = permit.slot();
                if broken {
                    self.tally.broken += 1;
                    self.fail(request, permit, no, Failure::new(Kind::BrokenStream).with_status(200), true);
                } else {
                    let settled = self.ledger.close(permit, ledger::Outcome::Complete, Jitter::NONE, self.now);
                    self.tell(Fact::Completed { request, slot });
                    self.moved(&settled.changes);
                }
            }
            State::Over => {}
        }
    }

    fn step(&mut self, request: u32) {
        self.tell(Fact::Asked { request });
        let Some(run) = &mut self.requests[request as usize].run else { return };
        match run.next(&mut self.ledger, self.now) {
            Step::Try(tried) => self.attempt(request, tried),
            Step::Wait(wait) => {
                let state = State::Waiting { seen: wait.seen, queue: wait.queue };
                let (_, generation) = self.enter(request, state);
                self.tell(Fact::Waits { request, until: wait.until, queue: wait.queue });
                if let Some(seen) = wait.seen {
                    self.sleepers.push(Sleeper { request, generation, seen });
                }
                self.at(wait.until, Event::Go(request, generation));
            }
            Step::Done(verdict) => {
                self.tally.failed += 1;
                self.requests[request as usize].run = None;
                self.tell(Fact::GaveUp { request, verdict });
            }
        }
    }

    fn attempt(&mut self, request: u32, tried: Try) {
        let Try { permit, no, level, why, limit, .. } = tried;
        let slot = permit.slot();
        let info = self.scenario.topology.slots[slot.index()];
        let fate = self.requests[request as usize].errand.fate;
        let reply = self.upstreams.reply(slot.index(), &info, fate, self.now);
        let probe = permit.is_probe();
        self.tally.attempts += 1;
        self.tell(Fact::Tried { request, no, slot, level, why, limit, probe, would: reply });
        let silent = reply.after >= limit;
        let ending = if silent { Ending::Failed(Failure::new(Kind::Timeout)) } else { reply.ending };
        let (_, generation) = self.enter(request, State::Attempting { permit, no, ending });
        self.at(self.now + reply.after.min(limit), Event::Go(request, generation));
    }

    fn ended(&mut self, request: u32, mut permit: Permit, no: usize, ending: Ending) {
        let slot = permit.slot();
        let (length, broken) = match ending {
            Ending::Failed(failure) => {
                self.fail(request, permit, no, failure, false);
                self.step(request);
                return;
            }
            Ending::Good(length) => (length, false),
            Ending::Broken(length) => (length, true),
        };
        let changes = self.ledger.answered(&mut permit, self.now);
        self.tally.served += 1;
        self.requests[request as usize].run = None;
        self.tell(Fact::Committed { request, slot });
        self.moved(&changes);
        let length = if self.requests[request as usize].errand.stream { length } else { std::time::Duration::ZERO };
        let (_, generation) = self.enter(request, State::Streaming { permit, no, broken });
        self.at(self.now + length, Event::Go(request, generation));
    }

    fn fail(&mut self, request: u32, permit: Permit, no: usize, failure: Failure, committed: bool) {
        let slot = permit.slot();
        let jitter = Jitter::from_random(self.jitter.number());
        let settled = self.ledger.close(permit, ledger::Outcome::Failed(&failure), jitter, self.now);
        self.tell(Fact::Failed { request, no, slot, failure, jitter, committed });
        self.moved(&settled.changes);
        let pause = Jitter::from_random(self.jitter.number());
        if let Some(run) = &mut self.requests[request as usize].run {
            run.missed(no, &failure, settled.own, &self.ledger, pause, self.now);
        }
    }

    fn leave(&mut self, request: u32) {
        let (before, _) = self.enter(request, State::Over);
        match before {
            State::Over => return,
            State::Waiting { queue, .. } => {
                self.sleepers.retain(|sleeper| sleeper.request != request);
                if let Some(slot) = queue {
                    self.ledger.leave(slot);
                }
            }
            State::Attempting { permit, .. } | State::Streaming { permit, .. } => {
                let slot = permit.slot();
                self.ledger.close(permit, ledger::Outcome::Abandoned, Jitter::NONE, self.now);
                self.tell(Fact::Abandoned { request, slot });
            }
        }
        self.tally.left += 1;
        self.requests[request as usize].run = None;
        self.tell(Fact::Left { request });
    }
}
