//! The one attempt loop.
//!
//! Owns: asking the run for the next step and performing it, one oneshot on a clone of the inner service
//! per attempt. Every endpoint, streaming or not, goes through here. Refuses to decide anything.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tower::{Service, ServiceExt};

use super::lease::{Broken, Lease, Shared};
use super::observer::Handover;
use crate::policy::chain::{Chain, Level};
use crate::policy::failure::{Failure, Kind, Timer};
use crate::policy::id::SlotId;
use crate::policy::ledger::{Change, Changes, Event, Settled};
use crate::policy::recovery::Recovery;
use crate::policy::run::{Entries, Plan, Run, Step, Try, Verdict, Wait};
use crate::policy::time::Instant;

/// A request on its way into the failover layer.
#[derive(Debug, Clone)]
pub struct Errand<Q> {
    /// Where it may go.
    pub plan: Plan,
    /// What the attempts send. Cloned for each.
    pub request: Q,
    /// Its id in the logs.
    pub id: u64,
    /// When it arrived.
    pub arrived: Instant,
}

/// One attempt for the inner service.
#[derive(Debug)]
pub struct Attempt<Q> {
    /// The slot to use.
    pub slot: SlotId,
    /// The chain that is walked.
    pub chain: Arc<Chain>,
    /// The level to serve it with.
    pub level: usize,
    /// What to send.
    pub request: Q,
    /// When it began.
    pub started: Instant,
    /// If it is held beyond its first content: that must be there within this.
    pub first_content: Option<(Duration, Timer)>,
    /// The target goes on from what was sent already.
    pub prefill: bool,
}

impl<Q> Attempt<Q> {
    /// The level to serve it with.
    #[must_use]
    pub fn level(&self) -> &Level {
        &self.chain.levels[self.level]
    }
}

/// An attempt that brought no good answer.
#[derive(Debug)]
pub struct Miss<A> {
    /// What went wrong.
    pub failure: Failure,
    /// The vendor's own answer, for the cases in which the client gets it.
    pub answer: Option<Box<A>>,
}

/// A request that was served.
#[derive(Debug)]
pub struct Served<R> {
    /// The inner service's reply.
    pub reply: R,
    /// To be closed when the reply is complete; dropping it means the client went away.
    pub lease: Lease,
    /// What happened, in order; the last attempt is the one that served.
    pub entries: Entries,
    /// The time spent in attempts and pauses: what the gateway did not take itself.
    pub waited: Duration,
    /// When the answer was there.
    pub at: Instant,
    /// The way on if its stream breaks, where the plan wants that.
    pub resume: Option<Box<Run>>,
}

/// A request that nobody served.
#[derive(Debug)]
pub struct GaveUp<A> {
    /// How it ends.
    pub verdict: Verdict,
    /// The vendor's answer, if the verdict is to return it.
    pub answer: Option<Box<A>>,
    /// What happened, in order.
    pub entries: Entries,
    /// The chain that was walked.
    pub chain: Arc<Chain>,
    /// The time spent in attempts and pauses.
    pub waited: Duration,
}

/// A request on its way along its chain.
pub type Walk<R, A> = Pin<Box<dyn Future<Output = Result<Served<R>, GaveUp<A>>> + Send>>;

/// The failover service. Always ready.
#[derive(Debug, Clone)]
pub struct Failover<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Failover<S> {
    pub(super) const fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }
}

impl<S, Q, R, A> Service<Errand<Q>> for Failover<S>
where
    S: Service<Attempt<Q>, Response = R, Error = Miss<A>> + Clone + Send + 'static,
    S::Future: Send,
    Q: Clone + Send + 'static,
    R: Send + 'static,
    A: Send + 'static,
{
    type Response = Served<R>;
    type Error = GaveUp<A>;
    type Future = Walk<R, A>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, errand: Errand<Q>) -> Self::Future {
        let Errand { plan, request, id, arrived } = errand;
        let run = Run::new(plan, Arc::clone(&self.shared.settings));
        Box::pin(walk(self.inner.clone(), Arc::clone(&self.shared), run, request, (id, arrived), None))
    }
}

impl<S> Failover<S> {
    /// Goes on after a stream that broke: the attempts send `request`. `can_prefill`: what was sent can be given to a model
    /// as its own beginning.
    pub fn resume<Q, R, A>(
        &self,
        mut run: Run,
        broken: Broken,
        can_prefill: bool,
        request: Q,
        (id, arrived): (u64, Instant),
    ) -> Walk<R, A>
    where
        S: Service<Attempt<Q>, Response = R, Error = Miss<A>> + Clone + Send + 'static,
        S::Future: Send,
        Q: Clone + Send + 'static,
        R: Send + 'static,
        A: Send + 'static,
    {
        let Broken { slot, level, failure, change } = broken;
        let no = run.resume(&failure, can_prefill);
        let fallen = Fallen { no, slot, level, failure, change };
        Box::pin(walk(self.inner.clone(), Arc::clone(&self.shared), run, request, (id, arrived), Some(fallen)))
    }
}

/// A failed attempt that the request has not gone on from yet.
struct Fallen {
    no: usize,
    slot: SlotId,
    level: usize,
    failure: Failure,
    change: Option<Change>,
}

/// The loop. A block and no `async fn`: that would keep each of its arguments twice.
#[expect(clippy::manual_async_fn, reason = "see above")]
fn walk<S, Q, R, A>(
    inner: S,
    shared: Arc<Shared>,
    mut run: Run,
    request: Q,
    (id, arrived): (u64, Instant),
    mut fallen: Option<Fallen>,
) -> impl Future<Output = Result<Served<R>, GaveUp<A>>>
where
    S: Service<Attempt<Q>, Response = R, Error = Miss<A>> + Clone,
    Q: Clone,
{
    async move {
        let chain = Arc::clone(&run.plan().chain);
        let mut answers: Vec<(usize, Box<A>)> = Vec::new();
        let mut waited = Duration::ZERO;
        loop {
            let now = shared.clock.now();
            let step = shared.ledger.with(|ledger| run.next(ledger, now));
            let tried = match step {
                Step::Wait(wait) => {
                    pause(&shared, wait).await;
                    waited += shared.clock.now().since(now);
                    continue;
                }
                Step::Done(verdict) => {
                    // The attempt whose answer the client gets was not left.
                    let left = fallen.filter(|fallen| verdict != Verdict::Return(fallen.no));
                    report(&shared, &chain, id, arrived, left.as_ref(), None);
                    return Err(give_up(verdict, answers, run, chain, waited));
                }
                Step::Try(tried) => tried,
            };
            report(&shared, &chain, id, arrived, fallen.take().as_ref(), Some((tried.permit.slot(), tried.level)));
            let Try { permit, no, level, limit, timer, first_content, prefill, .. } = tried;
            let mut lease = Lease::new(&shared, &chain, level, permit, now);
            let attempt = Attempt {
                slot: lease.slot(),
                chain: Arc::clone(&chain),
                level,
                request: request.clone(),
                started: now,
                first_content,
                prefill,
            };
            // A service that is ready needs no future that carries the attempt about until it is.
            let mut service = inner.clone();
            let outcome = match poll_fn(|context| Poll::Ready(service.poll_ready(context))).await {
                Poll::Ready(Ok(())) => tokio::time::timeout(limit, service.call(attempt)).await,
                Poll::Ready(Err(miss)) => Ok(Err(miss)),
                Poll::Pending => Box::pin(tokio::time::timeout(limit, service.oneshot(attempt))).await,
            };
            let miss = match outcome {
                Ok(Ok(reply)) => {
                    let at = lease.answered();
                    waited += at.since(now);
                    let (entries, resume) = leave(run);
                    return Ok(Served { reply, lease, entries, waited, at, resume });
                }
                Ok(Err(miss)) => miss,
                Err(_elapsed) => Miss { failure: Failure::new(Kind::Timeout).with_timer(timer), answer: None },
            };
            let slot = lease.slot();
            let Settled { changes, own } = lease.fail(&miss.failure);
            let settled = shared.clock.now();
            waited += settled.since(now);
            let jitter = shared.jitter();
            shared.ledger.with(|ledger| run.missed(no, &miss.failure, own, ledger, jitter, settled));
            answers.extend(miss.answer.map(|answer| (no, answer)));
            let change = opened(changes);
            fallen = Some(Fallen { no, slot, level, failure: miss.failure, change });
        }
    }
}

/// An answer may prove that the endpoint is back, and cool the slot all the same.
pub(super) fn opened(changes: Changes) -> Option<Change> {
    changes.into_iter().find(|change| change.event != Event::Recovered)
}

/// What is left of a run when somebody answers.
fn leave(run: Run) -> (Entries, Option<Box<Run>>) {
    let plan = run.plan();
    if plan.stream && plan.recovery == Recovery::Continue {
        (run.entries().into(), Some(Box::new(run)))
    } else {
        (run.into_entries(), None)
    }
}

/// Sleeps as the step says, and leaves the queue whatever ends the sleep.
async fn pause(shared: &Shared, wait: Wait) {
    let _queued = wait.queue.map(|slot| shared.ledger.queued(slot));
    let until = tokio::time::sleep_until(shared.clock.at(wait.until));
    match wait.seen {
        None => until.await,
        Some(seen) => {
            // In a fixed order: the same script gives the same trail.
            tokio::select! {
                biased;
                () = until => {}
                () = shared.ledger.changed(seen) => {}
            }
        }
    }
}

/// One call per failover, when it is known where the request goes next.
fn report(
    shared: &Shared,
    chain: &Chain,
    id: u64,
    arrived: Instant,
    fallen: Option<&Fallen>,
    to: Option<(SlotId, usize)>,
) {
    let Some(fallen) = fallen else { return };
    let now = shared.clock.now();
    shared.observer.failover(&Handover {
        request: id,
        from: (fallen.slot, &chain.levels[fallen.level]),
        to: to.map(|(slot, level)| (slot, &chain.levels[level])),
        failure: fallen.failure,
        change: fallen.change,
        remaining: fallen.change.map(|change| change.until.since(now)).unwrap_or_default(),
        elapsed: now.since(arrived),
    });
}

fn give_up<A>(
    verdict: Verdict,
    answers: Vec<(usize, Box<A>)>,
    run: Run,
    chain: Arc<Chain>,
    waited: Duration,
) -> GaveUp<A> {
    let answer = match verdict {
        Verdict::Return(wanted) => answers.into_iter().find(|(no, _)| *no == wanted).map(|(_, answer)| answer),
        Verdict::Compose(_) | Verdict::Unfit(_) => None,
    };
    GaveUp { verdict, answer, entries: run.into_entries(), chain, waited }
}
