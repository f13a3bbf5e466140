//! What goes wrong with a stream, and where: a vendor's moves on its connection for each.
//!
//! Owns the faults and the bytes of each. Refuses to know what becomes of them.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Notify;

use super::frames;
use super::speech::{Dialect, Part, Role};

/// How a stream goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection is reset.
    Reset,
    /// The body ends as bodies do (before an answer: the connection does).
    End,
    /// Nothing comes any more.
    Stall,
    /// The vendor says in its stream that it fails.
    ErrorEvent,
    /// One event that nobody can read; the stream goes on.
    Malformed,
    /// An error where a stream should be.
    JsonError,
    /// HTML where a stream should be.
    Page,
    /// Nothing where a stream should be.
    Empty,
    /// Half of an answer's JSON where a stream should be.
    HalfJson,
    /// AWS's frame of an exception.
    Exception,
    /// A chunk that gives `error` as the reason to finish.
    FinishError,
}

impl Fault {
    pub const ALL: [Self; 11] = [
        Self::Reset,
        Self::End,
        Self::Stall,
        Self::ErrorEvent,
        Self::Malformed,
        Self::JsonError,
        Self::Page,
        Self::Empty,
        Self::HalfJson,
        Self::Exception,
        Self::FinishError,
    ];
}

/// Where it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    BeforeHeaders,
    AfterHeaders,
    /// Behind everything that stands before the first content.
    Preamble,
    /// Behind the thinking.
    Thinking,
    /// Behind so many texts.
    Content(usize),
    /// Behind the first fragment of a tool call's arguments.
    Call,
    /// Behind the reason to finish.
    Finish,
}

/// What a vendor does on its connection.
#[derive(Debug, Clone)]
pub enum Move {
    Send(Vec<u8>),
    /// Ends the connection with a reset.
    Reset,
    /// Ends the connection.
    Close,
    /// Waits until the other side has gone.
    Stall,
    /// Waits until it is told to go on.
    Hold(Arc<Notify>),
}

/// The head of a stream of this type.
pub fn head(content_type: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n").into_bytes()
}

/// An answer of a known length.
pub fn whole(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// The bytes as HTTP chunks of at most `size`; the end of the body is [`LAST`].
pub fn chunks(bytes: &[u8], size: usize) -> Vec<u8> {
    let chunk = |data: &[u8]| [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat();
    bytes.chunks(size).flat_map(chunk).collect()
}

/// The end of a chunked body.
pub const LAST: &[u8] = b"0\r\n\r\n";

/// A whole stream, each part a chunk of its own.
pub fn healthy(dialect: Dialect, parts: &[Part]) -> Vec<Move> {
    let body = parts.iter().flat_map(|part| chunks(&part.bytes, usize::MAX));
    vec![Move::Send(head(dialect.content_type()).into_iter().chain(body).chain(LAST.iter().copied()).collect())]
}

/// How many parts stand before a place.
pub fn parts_before(parts: &[Part], place: Place) -> usize {
    let nth = |role: Role, count: usize| {
        let found = parts.iter().enumerate().filter(|(_, part)| part.role == role).nth(count.saturating_sub(1));
        found.map(|(at, _)| at + 1).unwrap_or_else(|| panic!("no {role:?} number {count}"))
    };
    let preamble = parts.iter().take_while(|part| part.role == Role::Preamble).count();
    match place {
        Place::BeforeHeaders | Place::AfterHeaders => 0,
        Place::Preamble | Place::Content(0) => preamble,
        Place::Thinking => nth(Role::Thinking, parts.iter().filter(|part| part.role == Role::Thinking).count()),
        Place::Content(count) => nth(Role::Text, count),
        Place::Call => nth(Role::Call, 2),
        Place::Finish => nth(Role::Finish, 1),
    }
}

/// The stream up to the place, and the fault.
pub fn faulty(dialect: Dialect, parts: &[Part], fault: Fault, place: Place) -> Vec<Move> {
    let (before, behind) = parts.split_at(parts_before(parts, place));
    let sent = |parts: &[Part]| -> Vec<u8> { parts.iter().flat_map(|part| chunks(&part.bytes, usize::MAX)).collect() };
    let mut begun = if place == Place::BeforeHeaders { Vec::new() } else { head(dialect.content_type()) };
    begun.extend(sent(before));
    let instead = |bytes: Vec<u8>| vec![Move::Send(bytes)];
    match fault {
        Fault::Reset => vec![Move::Send(begun), Move::Reset],
        Fault::End if place == Place::BeforeHeaders => vec![Move::Close],
        Fault::End => instead([&begun, LAST].concat()),
        Fault::Stall => vec![Move::Send(begun), Move::Stall],
        Fault::ErrorEvent | Fault::Exception | Fault::FinishError => {
            instead([begun, chunks(&complaint(dialect, fault), usize::MAX), LAST.to_vec()].concat())
        }
        Fault::Malformed => {
            instead([begun, chunks(&malformed(dialect), usize::MAX), sent(behind), LAST.to_vec()].concat())
        }
        Fault::JsonError => instead(whole("200 OK", JSON, &error_body(dialect).to_string())),
        Fault::Page => instead(whole("200 OK", "content-type: text/html\r\n", "<html><body>Busy</body></html>")),
        Fault::Empty => instead(whole("200 OK", &format!("content-type: {}\r\n", dialect.content_type()), "")),
        Fault::HalfJson => instead(whole("200 OK", JSON, r#"{"id":"x","choices":[{"index":0,"mess"#)),
    }
}

const JSON: &str = "content-type: application/json\r\n";

/// A vendor's error about itself, as a body.
fn error_body(dialect: Dialect) -> Value {
    match dialect {
        Dialect::OpenAi => json!({ "error": { "message": "The server is overloaded.", "type": "server_error",
            "param": null, "code": "server_error" } }),
        Dialect::Anthropic => {
            json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } })
        }
        Dialect::Bedrock => {
            json!({ "__type": "ServiceUnavailableException", "message": "Bedrock is unable to process your request." })
        }
    }
}

/// The same in a stream.
fn complaint(dialect: Dialect, fault: Fault) -> Vec<u8> {
    let message = json!({ "message": "Bedrock is unable to process your request." });
    match (dialect, fault) {
        (Dialect::OpenAi, Fault::FinishError) => {
            let choice = json!({ "index": 0, "delta": { "content": "" }, "finish_reason": "error" });
            format!("data: {}\n\n", json!({ "choices": [choice] })).into_bytes()
        }
        (Dialect::OpenAi, _) => format!("data: {}\n\n", error_body(dialect)).into_bytes(),
        (Dialect::Anthropic, _) => format!("event: error\ndata: {}\n\n", error_body(dialect)).into_bytes(),
        (Dialect::Bedrock, Fault::Exception) => frames::exception("serviceUnavailableException", &message),
        (Dialect::Bedrock, _) => frames::error("InternalError", "An internal server error occurred."),
    }
}

fn malformed(dialect: Dialect) -> Vec<u8> {
    match dialect {
        Dialect::OpenAi => b"data: {\"choices\":[{\"index\":0,\"delta\":{\"conte\n\n".to_vec(),
        Dialect::Anthropic => b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"ind\n\n".to_vec(),
        Dialect::Bedrock => frames::raw_event("contentBlockDelta", b"{\"contentBlockIndex\":0,\"del"),
    }
}

/// How the refusal of a last message of the assistant looks.
pub fn refusal(dialect: Dialect) -> Vec<u8> {
    let message =
        "This model does not support assistant message prefill. The conversation must end with a user message.";
    let (headers, body) = match dialect {
        Dialect::OpenAi => (JSON, json!({ "error": { "message": message, "type": "invalid_request_error" } })),
        Dialect::Anthropic => {
            let error = json!({ "type": "invalid_request_error", "message": message });
            (JSON, json!({ "type": "error", "error": error }))
        }
        Dialect::Bedrock => (
            "content-type: application/json\r\nx-amzn-errortype: ValidationException\r\n",
            json!({ "message": message }),
        ),
    };
    whole("400 Bad Request", headers, &body.to_string())
}

/// How bytes end somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The connection is reset.
    Reset,
    /// The connection is closed within the body.
    Close,
    /// The body has its end, as if that were all.
    Body,
    /// Nothing comes any more.
    Stall,
}

/// A stream's bytes in HTTP chunks of at most `size`, and this end of them.
pub fn written(content_type: &str, bytes: &[u8], size: usize, ending: Ending) -> Vec<Move> {
    let sent = [head(content_type), chunks(bytes, size)].concat();
    match ending {
        Ending::Reset => vec![Move::Send(sent), Move::Reset],
        Ending::Close => vec![Move::Send(sent), Move::Close],
        Ending::Body => vec![Move::Send([&sent, LAST].concat())],
        Ending::Stall => vec![Move::Send(sent), Move::Stall],
    }
}
