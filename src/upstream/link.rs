//! One connection to an upstream, driven by whoever uses it.
//!
//! hyper gives a connection as two halves: one to send requests with, and one that must be polled for anything to happen,
//! which is usually given a task of its own. Here the request's own task polls both. So nothing is handed from task to
//! task, and what has arrived at the same moment is passed on in one write: a reader that asks for the next piece gets it at
//! once if it is there (`docs/performance.md` has what that saves).
//!
//! Owns both halves and who is woken. Refuses to know what is sent, and when a connection is used again.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Connection, SendRequest};

use super::body::RequestBody;
use super::connector::Socket;

/// A connection.
pub(super) struct Link {
    sender: SendRequest<RequestBody>,
    /// `None` when it has ended.
    connection: Option<Connection<Socket, RequestBody>>,
    bell: Arc<Bell>,
    /// What rings the bell.
    waker: Waker,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("ended", &self.connection.is_none()).finish_non_exhaustive()
    }
}

impl Link {
    /// Joins the halves.
    pub(super) fn new(sender: SendRequest<RequestBody>, connection: Connection<Socket, RequestBody>) -> Self {
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(Arc::clone(&bell));
        Self { sender, connection: Some(connection), bell, waker }
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    /// The connection broke, or what came is no HTTP.
    pub(super) async fn exchange(&mut self, request: Request<RequestBody>) -> hyper::Result<Response<Incoming>> {
        // It is driven at once: that there is something to send needs nobody to wake.
        self.bell.mute();
        let mut answer = pin!(self.sender.send_request(request));
        poll_fn(|context| self.drive(context, |quiet| answer.as_mut().poll(quiet))).await
    }

    /// Lets the connection do what it can, and then looks at what came of it. Only the connection ever makes the other half
    /// ready, so `look` needs nobody to wake.
    pub(super) fn drive<T>(
        &mut self,
        context: &Context<'_>,
        mut look: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if !self.bell.hush(context.waker()) {
            return Poll::Pending;
        }
        for _ in 0..TURNS {
            self.turn();
            if let Poll::Ready(seen) = look(&mut Context::from_waker(Waker::noop())) {
                self.bell.unhush();
                return Poll::Ready(seen);
            }
            if self.bell.rest() {
                return Poll::Pending;
            }
        }
        // It yields, so that others have their turn.
        self.bell.unhush();
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Looks at what came of driving it last.
    pub(super) fn look<T>(&self, look: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        // What is taken out makes room, and that rings.
        self.bell.mute();
        let seen = look(&mut Context::from_waker(Waker::noop()));
        self.bell.unhush();
        seen
    }

    /// It is put away until it is needed again; false if it is of no use any more.
    pub(super) fn park(&mut self) -> bool {
        if !self.bell.park() || !self.is_ready() {
            self.turn();
        }
        self.is_ready()
    }

    /// It is needed again; false if it is of no use any more. What nobody rang for is as it was put away.
    pub(super) fn unpark(&mut self) -> bool {
        if !self.bell.unpark() {
            self.turn();
        }
        self.is_ready()
    }

    /// Whether it still waits for a request: neither ended nor busy.
    pub(super) fn rests(&mut self) -> bool {
        self.turn();
        self.is_ready()
    }

    fn is_ready(&self) -> bool {
        self.connection.is_some() && self.sender.is_ready()
    }

    fn turn(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        if let Poll::Ready(ended) = Pin::new(connection).poll(&mut Context::from_waker(&self.waker)) {
            self.connection = None;
            if let Err(error) = ended {
                tracing::debug!(%error, "upstream connection ended");
            }
        }
    }
}

/// A connection that was rung while it was driven is driven once more at once; after that its task is woken.
const TURNS: usize = 2;

/// Nobody drives it: whoever did last is woken.
const OPEN: u8 = 0;
/// The same, and it was rung since it was driven.
const LOUD: u8 = 1;
/// The same, and whoever drives it now finds what he found last time: nothing.
const RESTING: u8 = 2;
/// It is being driven.
const HUSHED: u8 = 3;
/// It was rung meanwhile.
const RUNG: u8 = 4;
/// Nobody needs it.
const PARKED: u8 = 5;
/// It was rung meanwhile.
const STALE: u8 = 6;

/// Wakes the task that drives a connection, but not while it does: the halves of a connection wake each other all the time,
/// and each of that would poll the whole task in vain. It also knows when a connection need not be driven.
#[derive(Debug, Default)]
struct Bell {
    state: AtomicU8,
    task: Mutex<Option<Waker>>,
}

impl Bell {
    /// From now on it is driven by the task of this waker; false if that would be in vain.
    fn hush(&self, waker: &Waker) -> bool {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_some_and(|known| known.will_wake(waker)) {
            if self.state.load(Ordering::SeqCst) == RESTING {
                return false;
            }
        } else {
            *task = Some(waker.clone());
        }
        self.mute();
        true
    }

    /// Whatever rings from now on is found by whoever drives it next, and that is at once.
    fn mute(&self) {
        self.state.store(HUSHED, Ordering::SeqCst);
    }

    /// Moves from one state to another, if it is in that one.
    fn moved(&self, from: u8, to: u8) -> bool {
        self.state.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Nobody drives it any more. Whoever is handed something comes back for more, so a ring meanwhile wakes nobody. Most
    /// rang for what was just taken out; if it was the upstream that hung up, the next request finds that out.
    fn unhush(&self) {
        self.state.store(OPEN, Ordering::SeqCst);
    }

    /// Nobody drives it any more, because there is nothing; false if it was rung meanwhile.
    fn rest(&self) -> bool {
        let quiet = self.moved(HUSHED, RESTING);
        if !quiet {
            self.mute();
        }
        quiet
    }

    /// Nobody needs it; false if it was rung since it was driven.
    fn park(&self) -> bool {
        let quiet = self.moved(OPEN, PARKED);
        if !quiet {
            self.state.store(PARKED, Ordering::SeqCst);
        }
        quiet
    }

    /// Somebody needs it; false if it was rung meanwhile.
    fn unpark(&self) -> bool {
        self.state.swap(OPEN, Ordering::SeqCst) == PARKED
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let ring = |state| match state {
            OPEN | RESTING => Some(LOUD),
            HUSHED => Some(RUNG),
            PARKED => Some(STALE),
            _ => None,
        };
        let (Ok(before) | Err(before)) = self.state.fetch_update(Ordering::SeqCst, Ordering::SeqCst, ring);
        if !matches!(before, OPEN | LOUD | RESTING) {
            return;
        }
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(task) = task {
            task.wake();
        }
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
