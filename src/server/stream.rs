//! A stream whose headers are out: it waits for content, relays it, and goes on where it broke (contract sections 4 and 5).
//!
//! Owns the keep-alive comments while it waits, the record of what the client has, and the error event when nobody goes on.
//! Load balancers in front give up on silence; from here on errors are in-band. Refuses to know how a continuation is made.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep};

use super::chat::{Walk, composed};
use super::headers::slot_label;
use super::state::State;
use super::tail::{Account, Interrupted, Tail};
use crate::dialect::canonical::{Bound, Usage};
use crate::dialect::endpoint::Endpoint;
use crate::dialect::resume::{Record, can_prefill};
use crate::failover::{Lease, Served};
use crate::policy::recovery::may_continue;
use crate::policy::run::Run;
use crate::stream::ending::Complaint;
use crate::stream::gate::Held;
use crate::stream::relay::{COMMENT, Patience, Relay};
use crate::stream::spoken::Spoken;
use crate::stream::translated::Spent;
use crate::upstream::{Query, Reply, StreamBody};

type Part = Pin<Box<Relay<StreamBody, Tail>>>;

enum Phase {
    /// Somebody is asked: for the answer, or for the rest of it.
    Waiting(Walk),
    /// A stream was committed.
    Relaying(Part),
    Over,
}

/// What it takes to go on where a stream broke.
struct Recovery {
    query: Arc<Query>,
    record: Record,
    /// The tokens of the parts that broke.
    earlier: Usage,
    /// The way on, while a part is relayed.
    run: Option<Box<Run>>,
    /// What the client is told if nobody goes on: set when the first part broke.
    complaint: Option<Complaint>,
}

/// A committed stream, and what settles it.
pub struct Committed {
    /// Its lease.
    pub lease: Lease,
    /// What was held, and the rest.
    pub held: Held<StreamBody>,
    /// Where the tokens of a translated stream are counted.
    pub spent: Option<Arc<Spent>>,
}

/// The body of such a stream.
pub struct StreamReply {
    state: Arc<State>,
    id: u64,
    spoken: Spoken,
    account: Option<Account>,
    phase: Phase,
    recovery: Option<Box<Recovery>>,
    next_comment: Pin<Box<Sleep>>,
    deadline: Instant,
}

impl StreamReply {
    /// Waits for the end of `walk`. If what it brings breaks, somebody else goes on with `query`, if there is one.
    #[must_use]
    pub fn late(
        state: &Arc<State>,
        walk: Walk,
        account: Account,
        query: Option<Arc<Query>>,
        id: u64,
        deadline: Instant,
    ) -> Self {
        // The first comment goes out with the headers.
        Self::new(state, Phase::Waiting(walk), account, query, id, deadline, crate::clock::now())
    }

    /// Relays a stream; if it breaks, somebody else goes on from there along `run` with `query`.
    #[must_use]
    pub fn committed(
        state: &Arc<State>,
        committed: Committed,
        run: Box<Run>,
        account: Account,
        query: Arc<Query>,
        id: u64,
        deadline: Instant,
    ) -> Self {
        let mut reply = Self::new(state, Phase::Over, account, Some(query), id, deadline, deadline);
        reply.relay(committed, Some(run));
        reply
    }

    fn new(
        state: &Arc<State>,
        phase: Phase,
        account: Account,
        query: Option<Arc<Query>>,
        id: u64,
        deadline: Instant,
        comment: Instant,
    ) -> Self {
        let endpoint = account.endpoint();
        let recovery = query.map(|query| {
            let record = Record::new(endpoint.dialect());
            Box::new(Recovery { query, record, earlier: Usage::default(), run: None, complaint: None })
        });
        Self {
            state: Arc::clone(state),
            id,
            spoken: Spoken::at(endpoint),
            account: Some(account),
            phase,
            recovery,
            next_comment: Box::pin(tokio::time::sleep_until(comment)),
            deadline,
        }
    }

    fn relay(&mut self, Committed { lease, held, spent }: Committed, run: Option<Box<Run>>) {
        let patience =
            Patience { stall: lease.level().stall, keep_alive: self.state.run.keep_alive, deadline: self.deadline };
        let tail = match (&mut self.recovery, self.account.take()) {
            (None, Some(account)) => Tail::new(&self.state, lease, account, self.id),
            (recovery, account) => {
                if let Some(recovery) = recovery {
                    recovery.run = run;
                }
                self.account = account;
                Tail::part(&self.state, lease, self.id)
            }
        };
        self.phase = Phase::Relaying(Box::pin(Relay::new(held, tail.counting(spent), patience)));
    }

    /// The walk is over: a stream, or nobody. Returns what goes out before anything else.
    fn walked(&mut self, walked: Result<Served<Reply>, crate::failover::GaveUp<crate::upstream::Answer>>) -> Bytes {
        self.phase = Phase::Over;
        match walked {
            Ok(Served { reply: Reply::Stream { held, spent, .. }, lease, resume, .. }) => {
                let seam = self.seam(&lease);
                self.relay(Committed { lease, held, spent }, resume);
                seam
            }
            // A stream was asked for, and the exchange gives nothing else then.
            Ok(_) => self.failed("the provider did not stream", "server_error"),
            Err(gave_up) => {
                if let Some(complaint) = self.recovery.as_mut().and_then(|recovery| recovery.complaint.take()) {
                    let message = format!("{}; nobody could finish it", complaint.message);
                    self.state.metrics.recoveries_failed.inc();
                    return self.failed(&message, complaint.code);
                }
                let account = self.account.take();
                let endpoint = account.as_ref().map_or(Endpoint::Chat, Account::endpoint);
                let error = composed(&self.state, &gave_up, endpoint);
                self.spoken.refusal(self.id, &error.message, error.kind, error.code)
            }
        }
    }

    /// The mark where somebody went on; nothing at the beginning of an answer.
    fn seam(&self, lease: &Lease) -> Bytes {
        let resumed = self.recovery.as_ref().is_some_and(|recovery| recovery.complaint.is_some());
        if !resumed {
            return Bytes::new();
        }
        let slot = slot_label(lease.slot(), lease.level(), &self.state.names);
        tracing::info!(request = %format_args!("{:016x}", self.id), slot, "stream continued");
        self.state.metrics.recoveries_continued.inc();
        Bytes::from(format!(": backstop: continued by {}\n\n", slot.replace(['\r', '\n'], " ")))
    }

    /// A part broke after content: somebody else is asked for the rest, or the client is told.
    fn broke(&mut self, interrupted: Interrupted, loose: bool) -> Option<Bytes> {
        let Interrupted { broken, kind, complaint, usage, bound } = interrupted;
        let Some(recovery) = &mut self.recovery else { return Some(self.failed(&complaint.message, complaint.code)) };
        if let Some(bound) = bound {
            recovery.record.sent_mut().bind(bound);
        }
        let sent = recovery.record.sent();
        let own = if recovery.complaint.is_none() { sent.usage } else { Usage::default() };
        let told = usage.map_or_else(Usage::default, Usage::from);
        recovery.earlier = recovery.earlier.plus(own.or_more(told));
        let bound = sent.bound.map(Bound::words);
        let bound = bound.or(loose.then_some("half an event was sent")).or((!may_continue(kind)).then_some(""));
        let run = recovery.run.take();
        let (None, Some(run)) = (bound, run) else {
            let mut message = complaint.message;
            if let Some(why) = bound.filter(|why| !why.is_empty()) {
                message.push_str("; nobody can finish it: ");
                message.push_str(why);
            }
            self.state.metrics.recoveries_failed.inc();
            let event = self.failed(&message, complaint.code);
            return Some(if loose { closed(&event) } else { event });
        };
        recovery.complaint.get_or_insert(complaint);
        recovery.record.sent_mut().usage = recovery.earlier;
        let sent = Arc::new(recovery.record.sent().clone());
        let prefill = recovery.query.canonical().as_ref().is_ok_and(|request| can_prefill(request, &sent));
        let query = Arc::new(recovery.query.resumed(sent));
        let arrived = self.account.as_ref().map_or(crate::policy::time::Instant::ZERO, Account::arrived);
        self.phase = Phase::Waiting(self.state.failover.resume(*run, broken, prefill, query, (self.id, arrived)));
        self.next_comment.as_mut().reset(crate::clock::now() + self.state.run.keep_alive);
        None
    }

    /// The event of a stream that ends here.
    fn failed(&mut self, message: &str, code: &str) -> Bytes {
        self.phase = Phase::Over;
        self.account = None;
        self.spoken.refusal(self.id, message, "server_error", code)
    }

    fn poll_bytes(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            match &mut self.phase {
                Phase::Waiting(walk) => match walk.as_mut().poll(context) {
                    Poll::Ready(walked) => {
                        let bytes = self.walked(walked);
                        if !bytes.is_empty() {
                            return Poll::Ready(Some(bytes));
                        }
                    }
                    Poll::Pending => {
                        ready!(self.next_comment.as_mut().poll(context));
                        self.next_comment.as_mut().reset(crate::clock::now() + self.state.run.keep_alive);
                        // Armed now, so that the next comment wakes us.
                        let _armed = self.next_comment.as_mut().poll(context);
                        return Poll::Ready(Some(COMMENT));
                    }
                },
                Phase::Relaying(part) => match ready!(part.as_mut().poll_frame(context)) {
                    Some(Ok(frame)) => {
                        let Ok(mut bytes) = frame.into_data() else { continue };
                        if let Some(recovery) = &mut self.recovery {
                            bytes = recovery.record.keep(bytes);
                        }
                        if !bytes.is_empty() {
                            return Poll::Ready(Some(bytes));
                        }
                    }
                    None => {
                        let loose = part.is_loose();
                        let interrupted = part.as_mut().ending().interrupted();
                        self.phase = Phase::Over;
                        let rest = self.recovery.as_mut().map(|recovery| recovery.record.rest());
                        let last = match interrupted {
                            // If somebody else goes on, the tokens so far are part of the sum.
                            Some(interrupted) => self.broke(interrupted, loose),
                            None => rest.filter(|rest| !rest.is_empty()),
                        };
                        if last.is_some() {
                            return Poll::Ready(last);
                        }
                    }
                },
                Phase::Over => {
                    self.account = None;
                    return Poll::Ready(None);
                }
            }
        }
    }
}

/// An event behind half of one.
fn closed(event: &Bytes) -> Bytes {
    let mut closed = BytesMut::from(b"\n\n".as_slice());
    closed.extend_from_slice(event);
    closed.freeze()
}

impl Body for StreamReply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.poll_bytes(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.phase {
            Phase::Waiting(_) => false,
            Phase::Relaying(part) => self.recovery.is_none() && part.is_end_stream(),
            Phase::Over => true,
        }
    }
}
