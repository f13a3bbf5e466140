//! A mock upstream that costs little: one route, prebuilt answers.
//!
//! Owns the pace of a stream: every event is its own write, and in lockstep the next one waits until the reader has
//! the last. Refuses to know the proxy.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpListener;

use crate::wire;

/// Lets the writer of a stream wait for its reader, so that no two events share a read.
#[derive(Debug, Default)]
pub struct Lockstep(Mutex<Turn>);

#[derive(Debug, Default)]
struct Turn {
    seen: bool,
    writer: Option<Waker>,
}

impl Lockstep {
    /// The reader has the event.
    pub fn seen(&self) {
        let writer = {
            let mut turn = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            turn.seen = true;
            turn.writer.take()
        };
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    fn poll_seen(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut turn = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut turn.seen) {
            return Poll::Ready(());
        }
        turn.writer = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// What a mock answers from.
#[derive(Debug, Default)]
pub struct Mock {
    lockstep: Option<Arc<Lockstep>>,
    streams: Mutex<HashMap<usize, Arc<[Bytes]>>>,
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    max_completion_tokens: Option<usize>,
}

type Answer = Response<Either<Full<Bytes>, Events>>;

impl Mock {
    /// A mock that waits for its reader between events, if there is a lockstep.
    #[must_use]
    pub fn new(lockstep: Option<Arc<Lockstep>>) -> Arc<Self> {
        Arc::new(Self { lockstep, streams: Mutex::default() })
    }

    /// Serves until the task is dropped.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            let Ok((socket, _)) = listener.accept().await else { continue };
            let _ = socket.set_nodelay(true);
            let mock = Arc::clone(&self);
            let service = service_fn(move |request| {
                let mock = Arc::clone(&mock);
                async move { Ok::<_, Infallible>(mock.answer(request).await) }
            });
            // A proxy that goes away ends its connection: nothing to tell anyone.
            tokio::spawn(async move {
                let _ =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
            });
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        if request.method() != Method::POST || request.uri().path() != wire::PATH {
            return refuse(StatusCode::NOT_FOUND);
        }
        let bearer = request.headers().get(AUTHORIZATION).is_some_and(|value| value.as_bytes().starts_with(b"Bearer "));
        if !bearer {
            return refuse(StatusCode::UNAUTHORIZED);
        }
        let Ok(body) = request.into_body().collect().await else { return refuse(StatusCode::BAD_REQUEST) };
        let Ok(asked) = serde_json::from_slice::<Asked>(&body.to_bytes()) else {
            return refuse(StatusCode::BAD_REQUEST);
        };
        if asked.stream {
            let events = self.events(asked.max_completion_tokens.unwrap_or(64));
            let events = Events { events, next: 0, paused: false, lockstep: self.lockstep.clone() };
            respond("text/event-stream; charset=utf-8", Either::Right(events))
        } else {
            respond("application/json", Either::Left(Full::new(wire::plain_answer())))
        }
    }

    fn events(&self, contents: usize) -> Arc<[Bytes]> {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(streams.entry(contents).or_insert_with(|| wire::stream_events(contents).into()))
    }
}

fn respond(content_type: &'static str, body: Either<Full<Bytes>, Events>) -> Answer {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(content_type));
    response.headers_mut().insert("x-request-id", hyper::header::HeaderValue::from_static("req_bench"));
    response
}

fn refuse(status: StatusCode) -> Answer {
    let mut response = respond("application/json", Either::Left(Full::new(Bytes::from_static(b"{}"))));
    *response.status_mut() = status;
    response
}

/// The body of a stream. `Pending` after each event but the role makes the server write each of them by itself.
#[derive(Debug)]
struct Events {
    events: Arc<[Bytes]>,
    next: usize,
    paused: bool,
    lockstep: Option<Arc<Lockstep>>,
}

impl Events {
    fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.paused {
            return Poll::Ready(());
        }
        if let Some(lockstep) = &self.lockstep {
            ready!(lockstep.poll_seen(cx));
        } else {
            self.paused = false;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.paused = false;
        Poll::Ready(())
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        ready!(this.poll_pause(cx));
        let event = this.events.get(this.next).cloned();
        this.next += 1;
        // A commit gate holds the role until the first content comes: waiting for its reader would wait for ever.
        this.paused = this.next > 1;
        Poll::Ready(event.map(|event| Ok(Frame::data(event))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_role_goes_out_before_its_reader_has_it() {
        let lockstep = Arc::new(Lockstep::default());
        let events: Arc<[Bytes]> = wire::stream_events(2).into();
        let mut body = Events { events, next: 0, paused: false, lockstep: Some(Arc::clone(&lockstep)) };
        let mut poll = || Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop()));
        assert!(poll().is_ready(), "the role");
        assert!(poll().is_ready(), "the first content");
        assert!(poll().is_pending());
        assert!(poll().is_pending());
        for _ in 0..4 {
            lockstep.seen();
            assert!(matches!(poll(), Poll::Ready(Some(Ok(_)))));
            assert!(poll().is_pending());
        }
        lockstep.seen();
        assert!(matches!(poll(), Poll::Ready(None)));
    }
}
