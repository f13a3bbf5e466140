//! Open connections to one host, for reuse.
//!
//! Owns who uses which connection: one request at a time, given back when its answer's body has ended, closed when
//! the answer is dropped before (which is how an upstream learns that the client left). Refuses to know what is
//! sent.
//!
//! hyper-util's client does the same for many hosts at once. Its look-ups, its request bookkeeping and the task that it
//! starts for every streamed answer cost a sixth of a whole request; see ARCHITECTURE.md.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::link::Link;
use crate::clock;
use crate::stream::ending::Upstream;
use crate::stream::translated::Translated;

/// Connections that nobody uses now, the last used one last.
#[derive(Debug)]
pub(super) struct Pool {
    idle: Mutex<Vec<(Box<Link>, Instant)>>,
    most: usize,
    keep: Duration,
}

impl Pool {
    /// An empty pool of at most so many connections; an unused one is dropped after `keep`.
    pub(super) const fn new(most: usize, keep: Duration) -> Self {
        Self { idle: Mutex::new(Vec::new()), most, keep }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Box<Link>, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that seems to be alive. The last used one: the others may rest until they are dropped.
    pub(super) fn take(&self) -> Option<Box<Link>> {
        loop {
            let (mut link, since) = self.lock().pop()?;
            if clock::now() - since > self.keep {
                // Those below it have been unused for even longer.
                self.lock().clear();
                return None;
            }
            if link.unpark() {
                return Some(link);
            }
        }
    }

    fn put(&self, mut link: Box<Link>) {
        // One whose upstream answered without reading the whole request may never get there: a fresh one is better.
        if !link.park() {
            return;
        }
        let now = clock::now();
        let mut idle = self.lock();
        // After a burst nobody needs as many for a while, and each takes some 20 KB.
        if idle.len() < self.most {
            idle.push((link, now));
        }
    }

    /// Closes what has been unused for too long, and what the other side has closed.
    pub(super) fn sweep(&self) {
        let now = clock::now();
        self.lock().retain_mut(|(link, since)| now - *since <= self.keep && link.rests());
    }
}

/// The body of an answer, with the connection it comes over.
#[derive(Debug)]
pub struct AnswerBody {
    body: Incoming,
    lent: Option<(Box<Link>, Arc<Pool>)>,
    /// Its beginning may have come with the head.
    fresh: bool,
}

impl AnswerBody {
    pub(super) fn new(body: Incoming, link: Box<Link>, pool: &Arc<Pool>) -> Self {
        let mut answer = Self { body, lent: Some((link, Arc::clone(pool))), fresh: true };
        answer.give_back_at_end();
        answer
    }

    fn give_back_at_end(&mut self) {
        if self.body.is_end_stream() {
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        if let Some((link, pool)) = self.lent.take() {
            pool.put(link);
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let body = &mut this.body;
        let polled = match &mut this.lent {
            Some((link, _)) => {
                let fresh = std::mem::take(&mut this.fresh);
                let there =
                    if fresh { link.look(|quiet| Pin::new(&mut *body).poll_frame(quiet)) } else { Poll::Pending };
                if there.is_ready() {
                    there
                } else {
                    link.drive(context, |quiet| Pin::new(&mut *body).poll_frame(quiet))
                }
            }
            // All of it was read, and the connection is used by somebody else.
            None => Pin::new(body).poll_frame(context),
        };
        match &polled {
            Poll::Ready(Some(Ok(_))) => self.give_back_at_end(),
            Poll::Ready(None) => self.give_back(),
            Poll::Ready(Some(Err(_))) => self.lent = None,
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

/// The body of a stream: as it comes, or in another dialect's words.
#[derive(Debug)]
pub enum StreamBody {
    /// As it comes.
    Plain(AnswerBody),
    /// Translated.
    Translated(Box<Translated<AnswerBody>>),
    /// It has ended.
    Over,
}

impl Upstream for StreamBody {
    fn last_words(&mut self) -> Option<Bytes> {
        match self {
            Self::Translated(body) => body.last_words(),
            Self::Plain(_) | Self::Over => None,
        }
    }
}

impl Body for StreamBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Plain(body) => Pin::new(body).poll_frame(context),
            Self::Translated(body) => Pin::new(body.as_mut()).poll_frame(context),
            Self::Over => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Plain(body) => body.is_end_stream(),
            Self::Translated(body) => body.is_end_stream(),
            Self::Over => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Plain(body) => body.size_hint(),
            Self::Translated(_) => SizeHint::default(),
            Self::Over => SizeHint::with_exact(0),
        }
    }
}
