//! A stream whose headers went out before its content was there (contract section 4,
//! `stream_headers_after`): load balancers in front give up on silence.
//!
//! Owns the keep-alive comments until the walk ends; from then on errors are in-band.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::Sleep;

use super::chat::{Walk, composed};
use super::state::State;
use super::tail::{Account, Tail};
use crate::dialect::endpoint::Endpoint;
use crate::stream::relay::Relay;
use crate::stream::spoken::Spoken;
use crate::upstream::{Reply, StreamBody};

const COMMENT: Bytes = Bytes::from_static(b": keep-alive\n\n");

enum Phase {
    /// The walk is still on its way.
    Waiting(Walk, Option<Account>),
    /// A stream was committed.
    Relaying(Pin<Box<Relay<StreamBody, Tail>>>),
    Over,
}

/// The body of such a stream.
pub struct LateBody {
    state: Arc<State>,
    id: u64,
    spoken: Spoken,
    phase: Phase,
    next_comment: Pin<Box<Sleep>>,
}

impl LateBody {
    /// Goes on with `walk` behind headers that are out.
    #[must_use]
    pub fn new(state: &Arc<State>, walk: Walk, account: Account, id: u64) -> Self {
        // The first comment goes out with the headers.
        let next_comment = Box::pin(tokio::time::sleep(Duration::ZERO));
        let spoken = Spoken::at(account.endpoint());
        Self { state: Arc::clone(state), id, spoken, phase: Phase::Waiting(walk, Some(account)), next_comment }
    }

    /// The end of the walk: a stream, or the bytes of an error event.
    fn poll_walk(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Phase::Waiting(walk, account) = &mut self.phase else { return Poll::Ready(None) };
        let walked = ready!(walk.as_mut().poll(context));
        let account = account.take();
        self.phase = Phase::Over;
        let error = match walked {
            Ok(served) => match (served.reply, account) {
                (Reply::Stream { held, spent, .. }, Some(account)) => {
                    let stall = served.lease.level().stall;
                    let tail = Tail::new(&self.state, served.lease, account, self.id).counting(spent);
                    self.phase = Phase::Relaying(Box::pin(Relay::new(held, tail, stall)));
                    return Poll::Ready(None);
                }
                // A stream was asked for, and the exchange gives nothing else then.
                _ => self.spoken.refusal(self.id, "the provider did not stream", "server_error", "server_error"),
            },
            Err(gave_up) => {
                let endpoint = account.as_ref().map_or(Endpoint::Chat, Account::endpoint);
                let error = composed(&self.state, &gave_up, endpoint);
                self.spoken.refusal(self.id, &error.message, error.kind, error.code)
            }
        };
        Poll::Ready(Some(error))
    }
}

impl Body for LateBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if matches!(self.phase, Phase::Waiting(..)) {
            match self.poll_walk(context) {
                Poll::Ready(Some(event)) => return Poll::Ready(Some(Ok(Frame::data(event)))),
                Poll::Ready(None) => {}
                Poll::Pending => {
                    ready!(self.next_comment.as_mut().poll(context));
                    let next = crate::clock::now() + self.state.run.keep_alive;
                    self.next_comment.as_mut().reset(next);
                    // Armed now, so that the next comment wakes us.
                    let _armed = self.next_comment.as_mut().poll(context);
                    return Poll::Ready(Some(Ok(Frame::data(COMMENT))));
                }
            }
        }
        match &mut self.phase {
            Phase::Relaying(relay) => relay.as_mut().poll_frame(context),
            Phase::Waiting(..) | Phase::Over => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.phase {
            Phase::Waiting(..) => false,
            Phase::Relaying(relay) => relay.is_end_stream(),
            Phase::Over => true,
        }
    }
}
