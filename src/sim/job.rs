//! An answer that is to be played: what is said, what goes wrong, and the bytes of its parts in the dialect asked.
//!
//! Owns those bytes. Refuses to know sockets and time: `act` and `stream` put them on the wire.

use std::time::Duration;

use serde_json::Value;

use super::answer::{Framing, Reply};
use super::dialect::Dialect;
use super::errors::Scene;
use super::eventstream;
use super::script::{Fault, Point};

pub(super) const JSON: &str = "application/json";

/// An answer to play.
#[derive(Debug)]
pub(super) struct Job {
    pub fault: Fault,
    pub reply: Reply,
    /// The script's headers and the fault's.
    pub headers: Vec<(String, String)>,
    /// Whom errors are told to.
    pub scene: Scene,
    /// Whether the client asked for a stream.
    pub streams: bool,
    /// Pause between content chunks.
    pub chunk_delay: Duration,
}

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The next request may come.
    Keep,
    /// Closed in order (FIN).
    Close,
    /// Reset (RST).
    Reset,
}

/// How an answer stops short.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stop {
    Hang,
    End(End),
}

impl Job {
    /// Whether playing it to its end gives the client a whole healthy answer.
    pub(super) fn is_healthy(&self) -> bool {
        let refused = match &self.reply {
            Reply::Refused(_) => true,
            Reply::Whole { status, .. } => *status != 200,
            Reply::Events(_) | Reply::Media { .. } => false,
        };
        self.fault.leaves_answer_whole() && !refused
    }

    /// How the answer stops at `point`, if it does.
    pub(super) fn stop_at(&self, point: Point) -> Option<Stop> {
        let at = |scripted: Option<Point>| scripted == Some(point);
        if at(self.fault.hang) {
            Some(Stop::Hang)
        } else if at(self.fault.reset) {
            Some(Stop::End(End::Reset))
        } else {
            at(self.fault.close).then_some(Stop::End(End::Close))
        }
    }

    pub(super) fn framing(&self) -> Framing {
        match &self.reply {
            Reply::Events(events) => events.framing,
            Reply::Whole { .. } | Reply::Refused(_) | Reply::Media { .. } => Framing::Data,
        }
    }

    /// One event as bytes. Data that is no JSON goes under the name of a delta, where events have names.
    pub(super) fn event(&self, data: &str) -> Vec<u8> {
        let name = match self.framing() {
            Framing::Frames => return eventstream::event(data),
            Framing::Data => None,
            Framing::Named => serde_json::from_str::<Value>(data)
                .ok()
                .and_then(|event| Some(event["type"].as_str()?.to_owned()))
                .or_else(|| (self.scene.dialect == Dialect::Anthropic).then(|| "content_block_delta".to_owned())),
        };
        match name {
            Some(name) => format!("event: {name}\ndata: {data}\n\n").into_bytes(),
            None => format!("data: {data}\n\n").into_bytes(),
        }
    }

    /// What the vendor says while a stream waits, if it says anything.
    pub(super) fn keepalive(&self) -> &'static [u8] {
        match self.scene.dialect {
            Dialect::OpenAi => b": keep-alive\n\n",
            Dialect::Anthropic => b"event: ping\ndata: {\"type\": \"ping\"}\n\n",
            Dialect::Bedrock => b"",
        }
    }

    /// The content type of a stream.
    pub(super) fn stream_type(&self) -> &'static str {
        match self.scene.dialect {
            Dialect::OpenAi | Dialect::Anthropic => "text/event-stream; charset=utf-8",
            Dialect::Bedrock => "application/vnd.amazon.eventstream",
        }
    }

    /// The headers of any answer.
    pub(super) fn headers(&self) -> Vec<(String, String)> {
        let id = match self.scene.dialect {
            Dialect::OpenAi => "x-request-id",
            Dialect::Anthropic => "request-id",
            Dialect::Bedrock => "x-amzn-requestid",
        };
        let mut headers = vec![(id.to_owned(), self.scene.request_id.clone())];
        if let Some(after) = &self.fault.retry_after {
            headers.push(("retry-after".to_owned(), after.as_str().map_or_else(|| after.to_string(), str::to_owned)));
        }
        headers.extend(self.headers.iter().cloned());
        headers
    }
}
