//! The one body type of all answers.
//!
//! Owns the choice between them, without a box for the usual one.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::stream::StreamReply;
use super::tail::{LongBody, Tail};
use crate::stream::relay::Relay;
use crate::upstream::StreamBody;

/// Any failure while an answer is sent.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What is sent to a client.
pub enum ReplyBody {
    /// A whole body.
    Full(Option<Bytes>),
    /// A committed stream.
    Stream(Pin<Box<Relay<StreamBody, Tail>>>),
    /// A long answer that is passed on unread.
    Long(Box<LongBody>),
    /// A stream whose headers are out before its content is there, or which somebody else goes on with if it breaks.
    Served(Pin<Box<StreamReply>>),
    /// What the router answers.
    Routed(axum::body::Body),
}

impl ReplyBody {
    /// A whole body; none for no bytes.
    #[must_use]
    pub fn full(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::Full(None) } else { Self::Full(Some(bytes)) }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(relay) => relay.as_mut().poll_frame(context).map_err(|never| match never {}),
            Self::Long(body) => Pin::new(body.as_mut()).poll_frame(context),
            Self::Served(stream) => stream.as_mut().poll_frame(context).map_err(|never| match never {}),
            Self::Routed(body) => Pin::new(body).poll_frame(context).map_err(BoxError::from),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_none(),
            Self::Stream(relay) => relay.is_end_stream(),
            Self::Long(body) => body.is_end_stream(),
            Self::Served(stream) => stream.is_end_stream(),
            Self::Routed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream(relay) => relay.size_hint(),
            Self::Long(body) => body.size_hint(),
            Self::Served(stream) => stream.size_hint(),
            Self::Routed(body) => body.size_hint(),
        }
    }
}
