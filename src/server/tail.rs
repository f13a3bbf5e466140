//! What is still to do when an answer's bytes are out: settle the lease, count tokens and time.
//!
//! Owns the end of a request that has begun to answer. Dropped before the end, the client went away.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use super::body::BoxError;
use super::state::State;
use crate::dialect::canonical::Bound;
use crate::dialect::endpoint::Endpoint;
use crate::dialect::openai_chat::response::Usage;
use crate::failover::{Broken, Lease};
use crate::policy::failure::{Failure, Kind, Scope, Timer};
use crate::policy::recovery::may_continue;
use crate::policy::time::Instant;
use crate::stream::ending::{Break, Complaint, End, Ending, Last};
use crate::stream::gate::Rest;
use crate::stream::tap::Tally;
use crate::stream::translated::Spent;
use crate::upstream::AnswerBody;

/// The account of one request: counted as in flight until it is dropped, with its duration then.
pub struct Account {
    state: Arc<State>,
    endpoint: Endpoint,
    arrived: Instant,
}

impl Account {
    /// Opens an account for a request that arrived now.
    #[must_use]
    pub fn open(state: &Arc<State>, endpoint: Endpoint, arrived: Instant) -> Self {
        state.metrics.in_flight.inc();
        Self { state: Arc::clone(state), endpoint, arrived }
    }

    /// When the request arrived.
    #[must_use]
    pub const fn arrived(&self) -> Instant {
        self.arrived
    }

    /// Which endpoint it asked.
    #[must_use]
    pub const fn endpoint(&self) -> Endpoint {
        self.endpoint
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let elapsed = self.state.clock.now().since(self.arrived);
        self.state.metrics.in_flight.dec();
        self.state.metrics.endpoint(self.endpoint).duration.observe(elapsed.as_secs_f64());
    }
}

/// A stream that broke after its first content, where somebody else may finish it.
pub struct Interrupted {
    /// What the failover layer goes on from.
    pub broken: Broken,
    /// What came of it.
    pub kind: Kind,
    /// What the client is told if nobody does.
    pub complaint: Complaint,
    /// The tokens it took, if they are known.
    pub usage: Option<Usage>,
    /// Why nobody else can finish it, if that was known before the client could see it.
    pub bound: Option<Bound>,
}

/// The end of a stream.
pub struct Tail {
    state: Arc<State>,
    lease: Option<Lease>,
    account: Option<Account>,
    id: u64,
    spent: Option<Arc<Spent>>,
    /// Somebody waits to go on if it breaks.
    waits: bool,
    interrupted: Option<Interrupted>,
}

impl Tail {
    /// Waits for the end of the stream that `lease` is for.
    #[must_use]
    pub fn new(state: &Arc<State>, lease: Lease, account: Account, id: u64) -> Self {
        let (state, lease, account) = (Arc::clone(state), Some(lease), Some(account));
        Self { state, lease, account, id, spent: None, waits: false, interrupted: None }
    }

    /// The same for a part of an answer, whose account somebody else keeps. If it breaks, nothing is told to the client:
    /// [`interrupted`](Self::interrupted) has it.
    #[must_use]
    pub fn part(state: &Arc<State>, lease: Lease, id: u64) -> Self {
        let (state, lease) = (Arc::clone(state), Some(lease));
        Self { state, lease, account: None, id, spent: None, waits: true, interrupted: None }
    }

    /// The tokens of a translated stream are counted there.
    #[must_use]
    pub fn counting(mut self, spent: Option<Arc<Spent>>) -> Self {
        self.spent = spent;
        self
    }

    /// How the part broke, if it did.
    pub const fn interrupted(&mut self) -> Option<Interrupted> {
        self.interrupted.take()
    }

    fn usage(&self, tally: &Tally) -> Option<Usage> {
        self.spent.as_ref().and_then(|spent| spent.usage()).or(tally.usage)
    }

    fn failed(&mut self, lease: Lease, failure: Failure, message: String, tally: &Tally) -> Last {
        let name = self.state.names.slot(lease.slot());
        tracing::warn!(
            request = %format_args!("{:016x}", self.id),
            slot = name.label,
            kind = failure.kind.name(),
            timer = failure.timer.map(Timer::name),
            elapsed_ms = self.account.as_ref().map(|account| elapsed_ms(&self.state, account)),
            "stream broken"
        );
        let complaint = Complaint { message, code: failure.kind.name() };
        if self.waits {
            let (kind, usage) = (failure.kind, self.usage(tally));
            let bound = self.spent.as_ref().and_then(|spent| spent.bound());
            self.interrupted = Some(Interrupted { broken: lease.broke(failure), kind, complaint, usage, bound });
            return Last::Nothing;
        }
        let _settled = lease.fail(&failure);
        Last::Words(complaint)
    }
}

fn elapsed_ms(state: &State, account: &Account) -> u64 {
    u64::try_from(state.clock.now().since(account.arrived).as_millis()).unwrap_or(u64::MAX)
}

impl Ending for Tail {
    fn end(&mut self, end: End, tally: &Tally) -> Last {
        let Some(lease) = self.lease.take() else { return Last::Own };
        self.count(&lease, tally);
        let last = match end {
            End::Complete => {
                lease.complete();
                Last::Own
            }
            // The request's own limit says nothing of the slot: the lease is dropped, and nobody goes on.
            End::Broken(Break::Deadline) => Last::Own,
            End::Broken(how) => {
                let failure = Failure::new(Kind::BrokenStream).with_status(200);
                let failure = if how == Break::Stalled { failure.with_timer(Timer::Stall) } else { failure };
                self.failed(lease, failure, how.message().to_owned(), tally)
            }
            End::Error(data) => {
                let (failure, words) = self.state.exchange.judge_event(lease.slot(), &data);
                // After content, what does not name a lane of its own is a broken stream. What is said of the request stays:
                // nobody else would answer it.
                let failure = if failure.kind.scope() == Scope::Nothing && (!self.waits || may_continue(failure.kind)) {
                    Failure::new(Kind::BrokenStream).with_status(200)
                } else {
                    failure
                };
                let message = format!("the provider reported an error in its stream: {words}");
                self.failed(lease, failure, message, tally)
            }
        };
        self.account = None;
        last
    }

    fn left(&mut self, tally: &Tally) {
        if let Some(lease) = self.lease.take() {
            self.count(&lease, tally);
        }
    }
}

impl Tail {
    fn count(&self, lease: &Lease, tally: &Tally) {
        if tally.malformed > 0 {
            self.state.metrics.malformed.inc_by(u64::from(tally.malformed));
        }
        count_tokens(&self.state, lease, self.usage(tally));
    }
}

/// Counts the tokens of an answer for its slot.
pub fn count_tokens(state: &State, lease: &Lease, usage: Option<Usage>) {
    let Some(usage) = usage else { return };
    let metrics = state.metrics.slot(lease.slot());
    metrics.prompt_tokens.inc_by(usage.prompt_tokens);
    metrics.completion_tokens.inc_by(usage.completion_tokens);
}

/// A long answer on its way: complete when its last byte was read, cut when none comes for the stall limit.
pub struct LongBody {
    body: Rest<AnswerBody>,
    lease: Option<Lease>,
    stall: Duration,
    /// Armed while the upstream is silent.
    silence: Option<Pin<Box<Sleep>>>,
    /// Why it is cut, while what came before is on its way.
    cut: Option<BoxError>,
    _account: Account,
}

impl LongBody {
    /// Passes on `body`.
    #[must_use]
    pub const fn new(body: Rest<AnswerBody>, lease: Lease, account: Account, stall: Duration) -> Self {
        Self { body, lease: Some(lease), stall, silence: None, cut: None, _account: account }
    }

    /// The next bytes, or the end of patience.
    fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.silence = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from)));
        }
        let stall = self.stall;
        ready!(self.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep(stall))).as_mut().poll(context));
        Poll::Ready(Some(Err(BoxError::from(Break::Stalled.message()))))
    }
}

impl Body for LongBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if let Some(why) = this.cut.take() {
            return Poll::Ready(Some(Err(why)));
        }
        let polled = this.poll_body(context);
        match polled {
            Poll::Ready(None) => {
                if let Some(lease) = this.lease.take() {
                    lease.complete();
                }
            }
            Poll::Ready(Some(Err(why))) => {
                if let Some(lease) = this.lease.take() {
                    let _settled = lease.fail(&Failure::new(Kind::BrokenStream).with_status(200));
                }
                // The server forgets what it has not written yet when a body fails. While it waits for more, it writes.
                this.cut = Some(why);
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(Some(Ok(_))) => {
                if this.body.is_end_stream()
                    && let Some(lease) = this.lease.take()
                {
                    lease.complete();
                }
            }
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
