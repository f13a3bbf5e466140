//! A body whose chunks are all there, and a runtime that nobody drives.
//!
//! Owns both, so that what is asynchronous is done by one poll. Refuses to wait: what is not ready at once is a mistake of
//! the benchmark.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use backstop::stream::ending::Upstream;
use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::runtime::{Builder, Runtime};

/// An upstream's body.
pub struct Chunks(std::vec::IntoIter<Bytes>);

impl Chunks {
    /// These chunks, then the end.
    pub fn new(chunks: Vec<Bytes>) -> Self {
        Self(chunks.into_iter())
    }
}

impl Upstream for Chunks {}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.next().map(|chunk| Ok(Frame::data(chunk))))
    }
}

/// What a future comes to that has nothing to wait for.
pub fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("there is nothing to wait for"),
    }
}

/// Reads a body to its end.
pub fn drain<B>(body: &mut B) -> usize
where
    B: Body<Data = Bytes, Error = Infallible> + ?Sized + Unpin,
{
    let mut context = Context::from_waker(Waker::noop());
    let mut length = 0;
    while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut *body).poll_frame(&mut context) {
        length += frame.data_ref().map_or(0, Bytes::len);
    }
    length
}

/// For timers to be made in: entered, never run.
pub fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a runtime without sockets can be had")
}
