//! A request body in slices, as it goes upstream.
//!
//! Owns the order of the slices. Never copies one.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::dialect::openai_chat::request::Segments;

/// A body of known length.
#[derive(Debug)]
pub struct RequestBody {
    segments: smallvec::IntoIter<[Bytes; 3]>,
    left: u64,
}

impl RequestBody {
    /// A body of these slices.
    #[must_use]
    pub fn new(segments: Segments) -> Self {
        let left = segments.iter().map(|segment| segment.len() as u64).sum();
        Self { segments: segments.into_iter(), left }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        Poll::Ready(this.segments.next().map(|segment| {
            this.left = this.left.saturating_sub(segment.len() as u64);
            Ok(Frame::data(segment))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
