//! The failover layer around a `tower_test` mock, on a paused clock.
//!
//! Owns the set-up and the recording observer. Slots are numbered through all levels: with `&[2, 1]`
//! the first level has slots 0 and 1, the second has slot 2. Each level is a provider of its own.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backstop::failover::{
    Attempt, AttemptEnd, Clock, Errand, Failover, FailoverLayer, GaveUp, Handover, Miss, Observer, Served, SharedLedger,
};
use backstop::policy::capability::{Abilities, Needs};
use backstop::policy::chain::{Chain, KeyOrder, Level};
use backstop::policy::failure::Failure;
use backstop::policy::id::{ProviderId, SlotId};
use backstop::policy::ledger::{Ask, Change, LaneId, LaneView, Ledger, Outcome, SlotInfo};
use backstop::policy::recovery::Recovery;
use backstop::policy::run::Plan;
use backstop::policy::settings::{CooldownSettings, Jitter, RunSettings};
use tokio::task::JoinHandle;
use tower::util::MapErr;
use tower::{Layer, Service, ServiceExt};
use tower_test::mock::{Handle, Mock, SendResponse};

/// A reply is the slot that gave it; a vendor's answer is a number that the test chose.
pub type Ended = Result<Served<u32>, GaveUp<usize>>;
type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Upstream = Mock<Attempt<&'static str>, u32>;
type Inner = MapErr<Upstream, fn(BoxError) -> Miss<usize>>;

/// How a mocked upstream says that an attempt failed.
#[derive(Debug)]
pub struct Missed(pub Failure, pub Option<usize>);

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.kind.name())
    }
}

impl std::error::Error for Missed {}

fn to_miss(error: BoxError) -> Miss<usize> {
    let Missed(failure, answer) = *error.downcast().expect("the mock was closed or a reply was forgotten");
    Miss { failure, answer: answer.map(Box::new) }
}

/// The numbers of a world.
#[derive(Clone, Copy)]
pub struct Tuning {
    pub cooldown: CooldownSettings,
    pub run: RunSettings,
    /// What the layer is given as random; 100 is no jitter.
    pub random: u64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { cooldown: CooldownSettings::default(), run: RunSettings::default(), random: 100 }
    }
}

/// A failover as the observer was told of it.
#[derive(Debug, Clone)]
pub struct Told {
    pub request: u64,
    pub from: u32,
    pub to: Option<u32>,
    pub failure: Failure,
    pub change: Option<Change>,
    pub remaining: Duration,
    pub elapsed: Duration,
}

/// Keeps all that it hears.
#[derive(Default)]
pub struct Recorder {
    attempts: Mutex<Vec<(u32, String)>>,
    failovers: Mutex<Vec<Told>>,
}

impl Recorder {
    /// Each attempt's slot and end, in order.
    pub fn attempts(&self) -> Vec<(u32, String)> {
        self.attempts.lock().unwrap().clone()
    }

    pub fn failovers(&self) -> Vec<Told> {
        self.failovers.lock().unwrap().clone()
    }
}

impl Observer for Recorder {
    fn attempt(&self, slot: SlotId, _: &Level, end: AttemptEnd<'_>, _: Duration) {
        let end = match end {
            AttemptEnd::Complete => "complete",
            AttemptEnd::Failed(failure) => failure.kind.name(),
            AttemptEnd::Abandoned => "abandoned",
        };
        self.attempts.lock().unwrap().push((slot.0, end.to_owned()));
    }

    fn changes(&self, changes: &[Change]) {
        assert!(!changes.is_empty(), "nobody is told of nothing");
    }

    fn failover(&self, handover: &Handover<'_>) {
        self.failovers.lock().unwrap().push(Told {
            request: handover.request,
            from: handover.from.0.0,
            to: handover.to.map(|(slot, _)| slot.0),
            failure: handover.failure,
            change: handover.change,
            remaining: handover.remaining,
            elapsed: handover.elapsed,
        });
    }
}

pub struct World {
    pub ledger: Arc<SharedLedger>,
    pub clock: Clock,
    pub heard: Arc<Recorder>,
    pub upstream: Handle<Attempt<&'static str>, u32>,
    pub plan: Plan,
    service: Failover<Inner>,
}

impl World {
    pub fn new(keys: &[usize]) -> Self {
        Self::tuned(keys, Tuning::default())
    }

    pub fn tuned(keys: &[usize], tuning: Tuning) -> Self {
        let clock = Clock::start();
        let mut ledger = Ledger::new(tuning.cooldown);
        let levels = keys.iter().enumerate().map(|(no, keys)| level(&mut ledger, no, *keys, &tuning.run)).collect();
        let chain = Chain::new("test", levels);
        let ledger = Arc::new(SharedLedger::new(ledger));
        let heard = Arc::new(Recorder::default());
        let random = tuning.random;
        let layer = FailoverLayer::new(
            Arc::clone(&ledger),
            tuning.run,
            clock,
            Arc::clone(&heard) as Arc<dyn Observer>,
            Arc::new(move || random),
        );
        let (mock, upstream) = tower_test::mock::pair();
        let service = layer.layer(mock.map_err(to_miss as fn(BoxError) -> Miss<usize>));
        let plan = Plan {
            chain: Arc::new(chain),
            start: 0,
            key: None,
            session: None,
            needs: Needs::default(),
            stream: true,
            recovery: Recovery::Error,
            same_model: false,
            deadline: clock.now() + tuning.run.deadline,
        };
        Self { ledger, clock, heard, upstream, plan, service }
    }

    /// Sends a request; it runs by itself.
    pub fn request(&mut self) -> JoinHandle<Ended> {
        let arrived = self.clock.now();
        let errand = Errand { plan: self.plan.clone(), request: "body", id: 1, arrived };
        tokio::spawn(self.service.call(errand))
    }

    /// The next attempt that reaches the upstream: its slot, and the means to answer it.
    pub async fn attempt(&mut self) -> (u32, SendResponse<u32>) {
        let next = tokio::time::timeout(Duration::from_secs(3_600), self.upstream.next_request());
        let (attempt, respond) = next.await.expect("no attempt came").expect("the layer is gone");
        assert_eq!(attempt.request, "body", "each attempt sends the client's request");
        assert!(attempt.level().slots.contains(&attempt.slot), "the slot is one of the level's");
        (attempt.slot.0, respond)
    }

    /// The next attempt, which must be for `slot`.
    pub async fn attempt_on(&mut self, slot: u32) -> SendResponse<u32> {
        let (got, respond) = self.attempt().await;
        assert_eq!(got, slot, "the slot that was tried");
        respond
    }

    /// Lets everything run that can run (and 1 ms pass); no attempt may come of it.
    pub async fn quiet(&mut self) {
        self.quiet_for(Duration::from_millis(1)).await;
    }

    pub async fn quiet_for(&mut self, time: Duration) {
        if let Ok(Some((attempt, _))) = tokio::time::timeout(time, self.upstream.next_request()).await {
            panic!("an attempt on {:?} that nobody asked for", attempt.slot);
        }
    }

    /// A failure of `slot` outside of any request of this test.
    pub fn cool(&self, slot: u32, failure: &Failure) {
        let now = self.clock.now();
        self.ledger.with(|ledger| {
            let permit = ledger.admit(SlotId(slot), Ask::default(), now).unwrap();
            ledger.close(permit, Outcome::Failed(failure), Jitter::NONE, now);
        });
    }

    pub fn lane(&self, slot: u32) -> LaneView {
        let now = self.clock.now();
        self.ledger.with(|ledger| ledger.view(LaneId::Slot(SlotId(slot)), now))
    }

    pub fn millis(&self) -> u64 {
        self.clock.now().as_micros() / 1_000
    }
}

/// Lets virtual time pass.
pub async fn pass(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

fn level(ledger: &mut Ledger, no: usize, keys: usize, run: &RunSettings) -> Level {
    let (target, endpoint) = (ledger.add_target(), ledger.add_endpoint());
    let slots = (0..keys).map(|affinity| {
        let key = ledger.add_key(false);
        ledger.add_slot(SlotInfo { target, key, endpoint, quota_group: None, affinity: affinity as u64 })
    });
    Level {
        provider: ProviderId(no as u32),
        target,
        model: format!("m{no}").into(),
        slots: slots.collect(),
        order: KeyOrder::Ordered,
        abilities: Abilities::default(),
        unserved: None,
        connect: Duration::from_secs(5),
        first_content: run.first_content,
        response_timeout: run.response_timeout,
        stall: run.stall,
    }
}
