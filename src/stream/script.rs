//! A scripted upstream body for the tests of this room.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::Sleep;

use super::ending::Upstream;

/// What the upstream does next.
#[derive(Clone)]
pub(super) enum Act {
    Send(Bytes),
    Pause(Duration),
    Break,
    Hang,
}

/// Does its acts in order, then ends.
pub(super) struct Script {
    acts: VecDeque<Act>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Script {
    pub(super) fn new(acts: impl IntoIterator<Item = Act>) -> Self {
        Self { acts: acts.into_iter().collect(), pause: None }
    }

    /// These chunks, then the end.
    pub(super) fn chunks<T: AsRef<[u8]>>(chunks: impl IntoIterator<Item = T>) -> Self {
        Self::new(chunks.into_iter().map(|chunk| send(chunk.as_ref())))
    }
}

pub(super) fn send(bytes: &[u8]) -> Act {
    Act::Send(Bytes::copy_from_slice(bytes))
}

impl Upstream for Script {}

impl Body for Script {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        loop {
            if let Some(pause) = &mut self.pause {
                std::task::ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            match self.acts.pop_front() {
                None => return Poll::Ready(None),
                Some(Act::Send(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some(Act::Break) => return Poll::Ready(Some(Err("reset"))),
                Some(Act::Pause(time)) => self.pause = Some(Box::pin(tokio::time::sleep(time))),
                Some(Act::Hang) => {
                    self.acts.push_front(Act::Hang);
                    return Poll::Pending;
                }
            }
        }
    }
}
