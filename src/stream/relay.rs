//! The relay: a committed stream on its way to the client.
//!
//! The upstream's bytes go out as they came in, and what is ready at the same moment goes out in one piece: a stream is
//! mostly the cost of its writes. Nothing waits for what is not there. A chunk that ends inside a frame is the exception: the half frame
//! waits for its other half. A client can't use half a frame, and if the upstream breaks off there, a half that was
//! already sent would swallow the error event that must follow it. (A frame longer than the tap's limit is passed
//! on in pieces all the same; then a blank line closes it before the error event.)
//!
//! A stream ends in one of three ways (contract section 5, `error`): complete, with `[DONE]` added if only that is
//! missing (a response's last event needs none); broken, with one error event and no `[DONE]`; or with the vendor's error event, in whose place the
//! gateway's own goes out. Owns the upstream body: dropping the relay cancels it. Refuses to know slots: an
//! [`Ending`] hears how it went.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};

use super::ending::{Break, End, Ending, Last, Upstream};
use super::gate::{Chunks, Held, closed};
use super::joint::Joint;
use super::tap::{Passed, Stop, Tap};
use crate::clock;
use crate::framing::sse::Block;
use crate::policy::commit::Why;

/// How long an upstream may keep the connection open after `[DONE]` before it is hung up on.
const LINGER: Duration = Duration::from_secs(1);

/// How long a relay waits.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// The longest pause between two pieces of data.
    pub stall: Duration,
    /// A comment goes out when nothing was sent for this long.
    pub keep_alive: Duration,
    /// The stream must have ended by then.
    pub deadline: Instant,
}

/// What keeps a connection alive through which nothing is sent.
pub const COMMENT: Bytes = Bytes::from_static(b": keep-alive\n\n");

enum State {
    /// The upstream is read.
    Flowing,
    /// These bytes, then nothing.
    Last(Bytes),
    Over,
}

pin_project! {
    /// The body for the client. It never fails: what breaks becomes an error event.
    pub struct Relay<B, E>
    where
        E: Ending,
    {
        held: smallvec::IntoIter<[Bytes; 4]>,
        stop: Option<Stop>,
        tap: Tap,
        body: B,
        upstream_ended: bool,
        ending: E,
        told: bool,
        state: State,
        patience: Patience,
        // When data last came. Comments don't count.
        fed: Instant,
        // When anything last went out.
        sent: Instant,
        // One timer, armed when the stream first pauses and again only when it fires too early.
        #[pin]
        timer: Sleep,
        // Who the timer wakes.
        waiting: Option<Waker>,
        // What is ready and not out yet; empty between polls.
        joint: Joint,
    }

    impl<B, E> PinnedDrop for Relay<B, E>
    where
        E: Ending,
    {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if !*this.told {
                this.ending.left(this.tap.tally());
            }
        }
    }
}

impl<B, E> Relay<B, E>
where
    B: Upstream,
    E: Ending,
{
    /// Takes over from the gate. Must be called inside a tokio runtime with a timer.
    pub fn new(held: Held<B>, ending: E, patience: Patience) -> Self {
        let fed = clock::now();
        let Patience { stall, keep_alive, deadline } = patience;
        Self {
            held: held.chunks.into_iter(),
            stop: held.stop,
            tap: held.tap,
            body: held.body,
            upstream_ended: held.ended,
            ending,
            told: false,
            state: State::Flowing,
            patience,
            fed,
            sent: fed,
            timer: tokio::time::sleep_until((fed + stall.min(keep_alive)).min(deadline)),
            waiting: None,
            joint: Joint::default(),
        }
    }

    /// Who hears of the end.
    pub fn ending(self: Pin<&mut Self>) -> &mut E {
        self.project().ending
    }

    /// Gives back what it has not passed on; `over` is a body that has ended.
    pub fn surrender(self: Pin<&mut Self>, over: B) -> Held<B> {
        let this = self.project();
        *this.told = true;
        *this.state = State::Over;
        let spoken = this.tap.spoken();
        Held {
            why: Why::Full,
            chunks: std::mem::replace(this.held, Chunks::new().into_iter()).collect(),
            stop: this.stop.take(),
            tap: std::mem::replace(this.tap, Tap::new(0, spoken)),
            body: std::mem::replace(this.body, over),
            ended: *this.upstream_ended,
        }
    }

    /// Whether the client has half of a frame.
    #[must_use]
    pub const fn is_loose(&self) -> bool {
        self.tap.is_loose()
    }

    /// All that is ready, in one piece; `None` when all is out.
    fn poll_joined(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            let polled = self.as_mut().poll_bytes(cx);
            let joint = self.as_mut().project().joint;
            match polled {
                Poll::Ready(Some(bytes)) => match joint.push(bytes) {
                    Some(full) => return Poll::Ready(Some(full)),
                    None => continue,
                },
                Poll::Ready(None) | Poll::Pending => {
                    return joint.take().map_or(polled, |bytes| Poll::Ready(Some(bytes)));
                }
            }
        }
    }

    /// What goes out next; `None` when all is out.
    fn poll_bytes(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            let this = self.as_mut().project();
            if !matches!(this.state, State::Flowing) {
                return Poll::Ready(match std::mem::replace(this.state, State::Over) {
                    State::Last(bytes) => Some(bytes),
                    State::Flowing | State::Over => None,
                });
            }
            if let Some(chunk) = this.held.next() {
                if this.held.len() == 0 && this.stop.is_none() && this.tap.done() {
                    self.as_mut().complete();
                }
                if !chunk.is_empty() {
                    return Poll::Ready(Some(chunk));
                }
                continue;
            }
            if let Some(stop) = this.stop.take() {
                self.as_mut().fail(match stop {
                    Stop::Error(data) => End::Error(data),
                    Stop::Unfinished => End::Broken(Break::Unfinished),
                });
                continue;
            }
            if let Some(block) = this.tap.pull() {
                match block {
                    Block::Whole(block) => {
                        let passed = this.tap.pass(block);
                        if let Some(bytes) = self.as_mut().take(passed) {
                            return Poll::Ready(Some(bytes));
                        }
                    }
                    Block::Loose(piece) => {
                        let bytes = this.tap.pass_loose(piece);
                        let passed = Passed { fed: !bytes.is_empty(), bytes, stop: None };
                        if let Some(bytes) = self.as_mut().take(passed) {
                            return Poll::Ready(Some(bytes));
                        }
                    }
                }
                continue;
            }
            if *this.upstream_ended {
                self.as_mut().finish();
                continue;
            }
            // One that never pauses hears no timer.
            if (*this.sent).max(*this.fed) >= this.patience.deadline && !*this.told {
                self.as_mut().broke(Break::Deadline);
                continue;
            }
            if let Some(comment) = ready!(self.as_mut().poll_upstream(cx)) {
                return Poll::Ready(Some(comment));
            }
        }
    }

    /// Bytes that were read: out they go, unless there are none.
    fn take(mut self: Pin<&mut Self>, passed: Passed) -> Option<Bytes> {
        let this = self.as_mut().project();
        let now = clock::now();
        if !passed.bytes.is_empty() {
            *this.sent = now;
        }
        if passed.fed {
            *this.fed = now;
        }
        *this.stop = passed.stop;
        if this.tap.done() && !*this.told {
            self.complete();
        }
        (!passed.bytes.is_empty()).then_some(passed.bytes)
    }

    /// Takes a chunk from the upstream, or learns that there is none; or finds that a comment is due.
    fn poll_upstream(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let this = self.as_mut().project();
        match Pin::new(&mut *this.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Ok(chunk) = frame.into_data() {
                    this.tap.push(chunk);
                }
            }
            Poll::Ready(Some(Err(_))) => self.broke(Break::Cut),
            Poll::Ready(None) => {
                *this.upstream_ended = true;
                let passed = this.tap.pass_rest();
                *this.stop = passed.stop;
                *this.held = closed(passed.bytes, this.tap).into_iter();
            }
            Poll::Pending => match ready!(self.as_mut().poll_silence(cx)) {
                Some(how) => self.broke(how),
                None => return Poll::Ready(Some(COMMENT)),
            },
        }
        Poll::Ready(None)
    }

    /// Ready when nothing has come for too long, or a comment is due.
    fn poll_silence(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Break>> {
        let mut this = self.project();
        let armed = this.waiting.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if armed && !this.timer.is_elapsed() {
            return Poll::Pending;
        }
        *this.waiting = Some(cx.waker().clone());
        let Patience { stall, keep_alive, deadline } = *this.patience;
        let stalled = *this.fed + if this.tap.done() { LINGER } else { stall };
        loop {
            ready!(this.timer.as_mut().poll(cx));
            let now = clock::now();
            if now >= deadline {
                return Poll::Ready(Some(Break::Deadline));
            }
            if now >= stalled {
                return Poll::Ready(Some(Break::Stalled));
            }
            // Half a frame is no place for a comment, and behind the end nobody waits.
            let quiet = this.tap.is_loose() || this.tap.done();
            let comment = now >= *this.sent + keep_alive && !quiet;
            if comment {
                *this.sent = now;
            }
            let next = if quiet { stalled } else { stalled.min(*this.sent + keep_alive) };
            this.timer.as_mut().reset(next.min(deadline));
            if comment {
                // Asked again, it must be armed again.
                *this.waiting = None;
                return Poll::Ready(None);
            }
        }
    }

    /// The answer is whole; the upstream may still say something.
    fn complete(self: Pin<&mut Self>) {
        let mut this = self.project();
        if !std::mem::replace(this.told, true) {
            this.ending.end(End::Complete, this.tap.tally());
            let due = clock::now() + LINGER;
            if this.timer.deadline() > due {
                this.timer.as_mut().reset(due);
                *this.waiting = None;
            }
        }
    }

    /// The upstream has ended and all it sent is out.
    fn finish(mut self: Pin<&mut Self>) {
        let this = self.as_mut().project();
        if this.tap.done() {
            *this.state = State::Over;
            self.complete();
        } else {
            self.broke(Break::Unfinished);
        }
    }

    /// The stream broke. With a finish reason it only lacks its `[DONE]`: the answer was whole, whatever broke
    /// after it.
    fn broke(mut self: Pin<&mut Self>, how: Break) {
        let this = self.as_mut().project();
        if let Some(bytes) = this.body.last_words().filter(|_| !*this.upstream_ended && !*this.told) {
            this.tap.push(bytes);
            *this.upstream_ended = true;
        } else if this.tap.finished() && !*this.told {
            let closing = this.tap.after_half(this.tap.closing());
            *this.state = if closing.is_empty() { State::Over } else { State::Last(closing) };
            self.complete();
        } else {
            self.fail(End::Broken(how));
        }
    }

    /// The stream must not go on: one error event and no `[DONE]`, unless the answer was already whole.
    fn fail(self: Pin<&mut Self>, end: End) {
        let this = self.project();
        *this.stop = None;
        if std::mem::replace(this.told, true) {
            *this.state = State::Over;
            return;
        }
        let (message, code) = match &end {
            End::Broken(Break::Deadline) => (Break::Deadline.message(), "timeout"),
            End::Broken(how) => (how.message(), "broken_stream"),
            End::Error(_) | End::Complete => ("the provider reported an error in its stream", "upstream_error"),
        };
        let event = match this.ending.end(end, this.tap.tally()) {
            Last::Words(complaint) => this.tap.failure(&complaint.message, complaint.code),
            Last::Own => this.tap.failure(message, code),
            Last::Nothing => {
                *this.state = State::Over;
                return;
            }
        };
        *this.state = State::Last(this.tap.after_half(event));
    }
}

impl<B, E> Body for Relay<B, E>
where
    B: Upstream,
    E: Ending,
{
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.poll_joined(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Unknown until it is over, even if the upstream knew: bytes can be added and dropped.
    fn size_hint(&self) -> SizeHint {
        if self.is_end_stream() { SizeHint::with_exact(0) } else { SizeHint::default() }
    }
}

#[cfg(test)]
#[path = "relay_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "responses_tests.rs"]
mod responses_tests;
