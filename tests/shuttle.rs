//! Concurrency of the shared ledger and its leases under a model checker (`--features shuttle`).
//!
//! The ledger's lock is shuttle's here, so every order of lock holders is on offer. Time stands still:
//! a paused runtime is entered and never driven, so no timer saves a wake-up that got lost, and shuttle
//! reports the deadlock. Cooldowns last 0 s: a slot that failed is half-open at once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use backstop::failover::{
    Attempt, AttemptEnd, Clock, Errand, Failover, FailoverLayer, Handover, Miss, Observer, SharedLedger,
};
use backstop::policy::capability::{Abilities, Needs};
use backstop::policy::chain::{Chain, KeyOrder, Level};
use backstop::policy::failure::{Failure, Kind};
use backstop::policy::id::{ProviderId, SlotId};
use backstop::policy::ledger::{Ask, Change, Ledger, Outcome, Permit, SlotInfo};
use backstop::policy::recovery::Recovery;
use backstop::policy::run::Plan;
use backstop::policy::settings::{CooldownSettings, Jitter, Ladder, RunSettings};
use backstop::policy::time::Instant;
use shuttle::future::{block_on, yield_now};
use shuttle::{check_pct, check_random, thread};
use tower::{Layer, Service};

const FULL: Failure = Failure::new(Kind::Overloaded).with_status(503);
const NOW: Instant = Instant::ZERO;
const SLOT: SlotId = SlotId(0);
const MAX_WAITERS: u32 = 4;
const SCHEDULES: usize = 3_000;

fn explore(test: impl Fn() + Send + Sync + Clone + 'static) {
    check_random(test.clone(), SCHEDULES);
    check_pct(test, SCHEDULES, 3);
}

/// One slot that has failed once: the next permit is its probe.
fn half_open() -> SharedLedger {
    let mut settings = CooldownSettings { max_waiters: MAX_WAITERS, ..CooldownSettings::default() };
    settings.ladders.overloaded = Ladder::secs(0, 1, 0);
    let mut ledger = Ledger::new(settings);
    let (target, key, endpoint) = (ledger.add_target(), ledger.add_key(false), ledger.add_endpoint());
    ledger.add_slot(SlotInfo { target, key, endpoint, quota_group: None, affinity: 0 });
    let permit = ledger.admit(SLOT, Ask::default(), NOW).unwrap();
    ledger.close(permit, Outcome::Failed(&FULL), Jitter::NONE, NOW);
    SharedLedger::new(ledger)
}

fn admit(shared: &SharedLedger) -> Option<Permit> {
    shared.with(|ledger| ledger.admit(SLOT, Ask::default(), NOW)).ok()
}

fn close(shared: &SharedLedger, permit: Permit, outcome: Outcome<'_>) {
    shared.with(|ledger| ledger.close(permit, outcome, Jitter::NONE, NOW));
}

/// Nobody is left in flight or in the queue.
fn assert_at_rest(shared: &SharedLedger) {
    shared.with(|ledger| {
        assert_eq!(ledger.in_flight(SLOT), 0, "in flight");
        let places = (0..=MAX_WAITERS).filter(|_| ledger.join(SLOT)).count();
        assert_eq!(places, MAX_WAITERS as usize, "free places in the queue");
    });
}

fn spawn_all(count: usize, work: impl Fn(usize) + Send + Sync + 'static) -> Vec<thread::JoinHandle<()>> {
    let work = Arc::new(work);
    let spawn = |no| {
        let work = Arc::clone(&work);
        thread::spawn(move || work(no))
    };
    (0..count).map(spawn).collect()
}

fn join_all(threads: Vec<thread::JoinHandle<()>>) {
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn who_waits_wakes_however_a_probe_is_closed() {
    for outcome in [Outcome::Complete, Outcome::Failed(&FULL), Outcome::Abandoned] {
        explore(move || {
            let shared = Arc::new(half_open());
            let probe = admit(&shared).unwrap();
            let seen = shared.with(|ledger| ledger.version());
            let waiting = Arc::clone(&shared);
            let waiters = spawn_all(3, move |_| block_on(waiting.changed(seen)));
            close(&shared, probe, outcome);
            join_all(waiters);
            assert_at_rest(&shared);
        });
    }
}

#[test]
fn a_waiter_that_gives_up_takes_nobodys_wake_up() {
    explore(|| {
        let shared = Arc::new(half_open());
        let probe = admit(&shared).unwrap();
        let seen = shared.with(|ledger| ledger.version());
        let waiting = Arc::clone(&shared);
        let waiters = spawn_all(3, move |no| {
            let mut changed = pin!(waiting.changed(seen));
            // The first one polls once and goes; the others had another waker before.
            let _ = changed.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            if no > 0 {
                block_on(changed);
            }
        });
        close(&shared, probe, Outcome::Abandoned);
        join_all(waiters);
    });
}

#[test]
fn one_of_many_is_the_probe_and_every_permit_is_closed_once() {
    for outcome in [Outcome::Complete, Outcome::Failed(&FULL), Outcome::Abandoned] {
        explore(move || {
            let shared = Arc::new(half_open());
            let probing = Arc::new(AtomicBool::new(false));
            let ledger = Arc::clone(&shared);
            let threads = spawn_all(4, move |_| {
                let Some(permit) = admit(&ledger) else { return };
                let probes = permit.is_probe();
                if probes {
                    assert!(!probing.swap(true, SeqCst), "two probes at a time");
                }
                thread::yield_now();
                if probes {
                    probing.store(false, SeqCst);
                }
                close(&ledger, permit, outcome);
            });
            join_all(threads);
            assert_at_rest(&shared);
        });
    }
}

/// Upstreams that take one pause and fail `failures` times first.
#[derive(Clone, Default)]
struct Upstream {
    attempts: Arc<AtomicUsize>,
    failures: Arc<AtomicUsize>,
    busy: Arc<AtomicUsize>,
    /// A good answer was given: more than one may be asked at a time.
    good: Arc<AtomicBool>,
}

struct Busy(Arc<AtomicUsize>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Service<Attempt<()>> for Upstream {
    type Response = ();
    type Error = Miss<()>;
    type Future = Pin<Box<dyn Future<Output = Result<(), Miss<()>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Miss<()>>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Attempt<()>) -> Self::Future {
        let upstream = self.clone();
        Box::pin(async move {
            upstream.attempts.fetch_add(1, SeqCst);
            let others = upstream.busy.fetch_add(1, SeqCst);
            let _busy = Busy(Arc::clone(&upstream.busy));
            assert!(others == 0 || upstream.good.load(SeqCst), "two probes at a time");
            yield_now().await;
            let fail = upstream.failures.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
            if fail {
                return Err(Miss { failure: FULL, answer: None });
            }
            upstream.good.store(true, SeqCst);
            Ok(())
        })
    }
}

#[derive(Default)]
struct Count {
    ended: AtomicUsize,
    failovers: AtomicUsize,
}

impl Observer for Count {
    fn attempt(&self, _: SlotId, _: &Level, _: AttemptEnd<'_>, _: Duration) {
        self.ended.fetch_add(1, SeqCst);
    }

    fn changes(&self, _: &[Change]) {}

    fn failover(&self, _: &Handover<'_>) {
        self.failovers.fetch_add(1, SeqCst);
    }
}

/// Requests at a lone half-open slot, through the whole layer.
struct World {
    shared: Arc<SharedLedger>,
    upstream: Upstream,
    heard: Arc<Count>,
    service: Failover<Upstream>,
    errand: Errand<()>,
}

impl World {
    fn new(failures: usize) -> Self {
        let shared = Arc::new(half_open());
        let info = shared.with(|ledger| *ledger.info(SLOT));
        let heard = Arc::new(Count::default());
        let upstream = Upstream { failures: Arc::new(AtomicUsize::new(failures)), ..Upstream::default() };
        let observer = Arc::clone(&heard) as Arc<dyn Observer>;
        let settings = RunSettings::default();
        let clock = Clock::start();
        let layer = FailoverLayer::new(Arc::clone(&shared), settings, clock, observer, Arc::new(|| 100));
        let service = layer.layer(upstream.clone());
        let level = Level {
            provider: ProviderId(0),
            target: info.target,
            model: "m".into(),
            slots: [SLOT].into(),
            order: KeyOrder::Ordered,
            abilities: Abilities::default(),
            unserved: None,
            connect: Duration::from_secs(5),
            first_content: settings.first_content,
            response_timeout: settings.response_timeout,
            stall: settings.stall,
        };
        let chain = Chain::new("m", vec![level]);
        let plan = Plan {
            chain: Arc::new(chain),
            start: 0,
            key: None,
            session: None,
            needs: Needs::default(),
            stream: true,
            recovery: Recovery::Error,
            same_model: false,
            deadline: NOW + settings.deadline,
        };
        let errand = Errand { plan, request: (), id: 1, arrived: NOW };
        Self { shared, upstream, heard, service, errand }
    }

    /// Each of `count` clients in a thread of its own: `client` is given its number and its request.
    fn run(&self, count: usize, client: impl Fn(usize, Request) + Send + Sync + 'static) {
        let (service, errand) = (self.service.clone(), self.errand.clone());
        join_all(spawn_all(count, move |no| client(no, service.clone().call(errand.clone()))));
        assert_at_rest(&self.shared);
        assert_eq!(self.heard.ended.load(SeqCst), self.upstream.attempts.load(SeqCst), "one event per attempt");
        assert_eq!(self.upstream.busy.load(SeqCst), 0);
    }
}

type Request = <Failover<Upstream> as Service<Errand<()>>>::Future;

/// Runs `test` where timers can be made and never fire.
fn explore_layer(test: impl Fn() + Send + Sync + Clone + 'static) {
    let frozen = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let _entered = frozen.enter();
    explore(test);
}

#[test]
fn all_who_wait_for_a_probe_are_served_after_it() {
    explore_layer(|| {
        let world = World::new(0);
        world.run(4, |_, request| block_on(request).unwrap().lease.complete());
        assert_eq!(world.upstream.attempts.load(SeqCst), 4);
        assert_eq!(world.heard.failovers.load(SeqCst), 0);
    });
}

#[test]
fn a_failed_probe_passes_the_turn_on() {
    explore_layer(|| {
        let world = World::new(2);
        let lost = Arc::new(AtomicUsize::new(0));
        let gave_up = Arc::clone(&lost);
        world.run(4, move |_, request| match block_on(request) {
            Ok(served) => served.lease.complete(),
            Err(_) => {
                gave_up.fetch_add(1, SeqCst);
            }
        });
        assert_eq!(lost.load(SeqCst), 2, "those who met a failure have nowhere else to go");
        assert_eq!(world.upstream.attempts.load(SeqCst), 4);
        assert_eq!(world.heard.failovers.load(SeqCst), 2);
    });
}

#[test]
fn clients_that_leave_at_any_moment_hold_nobody_up() {
    for polls in 1..=3 {
        explore_layer(move || {
            let world = World::new(0);
            world.run(4, move |no, mut request| {
                if no < 2 {
                    for _ in 0..polls {
                        // What was served is dropped with its lease; else the request itself is.
                        if request.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                            return;
                        }
                        thread::yield_now();
                    }
                } else {
                    block_on(request).unwrap().lease.complete();
                }
            });
        });
    }
}

/// A version and its sleepers as they must not be written.
#[derive(Default)]
struct Careless {
    version: shuttle::sync::Mutex<u64>,
    sleepers: shuttle::sync::Mutex<Vec<Waker>>,
}

#[test]
#[should_panic(expected = "deadlock")]
fn the_check_finds_a_version_that_is_compared_before_the_waker_is_registered() {
    explore(|| {
        let careless = Arc::new(Careless::default());
        let waiting = Arc::clone(&careless);
        let waiters = spawn_all(1, move |_| {
            block_on(std::future::poll_fn(|context| {
                if *waiting.version.lock().unwrap() != 0 {
                    return Poll::Ready(());
                }
                waiting.sleepers.lock().unwrap().push(context.waker().clone());
                Poll::Pending
            }));
        });
        *careless.version.lock().unwrap() += 1;
        for waker in std::mem::take(&mut *careless.sleepers.lock().unwrap()) {
            waker.wake();
        }
        join_all(waiters);
    });
}

#[test]
#[should_panic(expected = "two probes at a time")]
fn the_check_finds_an_admission_that_looks_first_and_takes_later() {
    explore(|| {
        let shared = Arc::new(half_open());
        let probing = Arc::new(AtomicBool::new(false));
        let threads = spawn_all(2, move |_| {
            if shared.with(|ledger| ledger.outlook(SLOT, NOW)).refusal.is_some() {
                return;
            }
            assert!(!probing.swap(true, SeqCst), "two probes at a time");
            if let Some(permit) = admit(&shared) {
                probing.store(false, SeqCst);
                close(&shared, permit, Outcome::Abandoned);
            }
        });
        join_all(threads);
    });
}
