//! HTTP/1.1 by hand: reads a request, writes bytes.
//!
//! Written by hand because a proper server library refuses to do what faults need. Owns framing of requests
//! and of chunks. Refuses to know what is answered.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::sleep;

use super::script::Trickle;

/// Largest request head, bytes.
const MAX_HEAD: usize = 1 << 20;
/// Largest line that announces a chunk, bytes.
const MAX_CHUNK_LINE: usize = 1 << 10;
/// Bytes of a next request that are kept while one is answered.
const MAX_PIPELINED: usize = 1 << 16;

/// A request that was read completely.
#[derive(Debug)]
pub(super) struct Request {
    pub method: Method,
    /// The request target: path and query.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Whether the client is done with the connection after the answer.
    pub last: bool,
}

impl Request {
    /// The path without its query.
    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

/// Why no request was read.
#[derive(Debug)]
pub(super) enum Unread {
    /// The client left.
    Gone,
    /// The client sent something else: the status to refuse it with.
    Bad(u16),
}

impl From<io::Error> for Unread {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// Reads one request; `buf` keeps what came after it.
pub(super) async fn read(stream: &mut TcpStream, buf: &mut BytesMut, max_body: usize) -> Result<Request, Unread> {
    let head = until(stream, buf, b"\r\n\r\n", MAX_HEAD, 431).await?;
    let mut request = parse(&head).ok_or(Unread::Bad(400))?;
    let field = |name: &str| request.headers.get(name).and_then(|v| v.to_str().ok());
    if field("expect").is_some_and(|v| v.eq_ignore_ascii_case("100-continue")) {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let chunked = field("transfer-encoding").is_some_and(|v| v.to_ascii_lowercase().ends_with("chunked"));
    let length = match field("content-length") {
        Some(text) => text.trim().parse::<usize>().map_err(|_| Unread::Bad(400))?,
        None => 0,
    };
    request.body = if chunked {
        chunked_body(stream, buf, max_body).await?
    } else if length > max_body {
        return Err(Unread::Bad(413));
    } else {
        exactly(stream, buf, length).await?
    };
    Ok(request)
}

/// Takes bytes up to and including `end`; more than `max` of them are refused with `status`.
async fn until(
    stream: &mut TcpStream,
    buf: &mut BytesMut,
    end: &[u8],
    max: usize,
    status: u16,
) -> Result<Bytes, Unread> {
    let mut seen = 0;
    loop {
        let from = seen.min(buf.len());
        if let Some(at) = memmem::find(buf.get(from..).unwrap_or_default(), end) {
            return Ok(buf.split_to(from + at + end.len()).freeze());
        }
        if buf.len() > max {
            return Err(Unread::Bad(status));
        }
        // The end may lie across two reads.
        seen = buf.len().saturating_sub(end.len() - 1);
        more(stream, buf).await?;
    }
}

async fn exactly(stream: &mut TcpStream, buf: &mut BytesMut, length: usize) -> Result<Bytes, Unread> {
    buf.reserve(length.saturating_sub(buf.len()));
    while buf.len() < length {
        more(stream, buf).await?;
    }
    Ok(buf.split_to(length).freeze())
}

async fn more(stream: &mut TcpStream, buf: &mut BytesMut) -> Result<(), Unread> {
    if stream.read_buf(buf).await? == 0 { Err(Unread::Gone) } else { Ok(()) }
}

async fn chunked_body(stream: &mut TcpStream, buf: &mut BytesMut, max: usize) -> Result<Bytes, Unread> {
    let mut body = BytesMut::new();
    loop {
        let line = until(stream, buf, b"\r\n", MAX_CHUNK_LINE, 400).await?;
        let text = std::str::from_utf8(&line).map_err(|_| Unread::Bad(400))?;
        let size = text.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| Unread::Bad(400))?;
        if size > max.saturating_sub(body.len()) {
            return Err(Unread::Bad(413));
        }
        if size == 0 {
            // Trailers end with an empty line.
            while until(stream, buf, b"\r\n", MAX_HEAD, 431).await?.len() > 2 {}
            return Ok(body.freeze());
        }
        body.extend_from_slice(&exactly(stream, buf, size).await?);
        if exactly(stream, buf, 2).await? != b"\r\n".as_slice() {
            return Err(Unread::Bad(400));
        }
    }
}

fn parse(head: &[u8]) -> Option<Request> {
    let mut lines = head.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let start = std::str::from_utf8(lines.next()?).ok()?;
    let mut words = start.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let mut headers = HeaderMap::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let colon = memchr::memchr(b':', line)?;
        let name = HeaderName::from_bytes(line.get(..colon)?).ok()?;
        let mut value = HeaderValue::from_bytes(line.get(colon + 1..)?.trim_ascii()).ok()?;
        value
            .set_sensitive(matches!(name.as_str(), "authorization" | "x-api-key" | "api-key" | "x-amz-security-token"));
        headers.append(name, value);
    }
    let close = headers.get("connection").is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"close"));
    Some(Request {
        method: method.parse().ok()?,
        target: target.to_owned(),
        headers,
        body: Bytes::new(),
        last: close || version != "HTTP/1.1",
    })
}

/// Resolves when the client has gone. What it sends meanwhile is kept for the next request, bounded.
pub(super) async fn gone(read: &mut ReadHalf<'_>, buf: &mut BytesMut) {
    while buf.len() < MAX_PIPELINED {
        match read.read_buf(buf).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
    std::future::pending().await
}

/// The way out: every byte of an answer goes through [`Wire::send`].
#[derive(Debug)]
pub(super) struct Wire<'a> {
    pub write: WriteHalf<'a>,
    pub trickle: Option<Trickle>,
}

impl Wire<'_> {
    /// Writes all of `bytes`, slowly if the script says so.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(trickle) = &self.trickle else { return self.write.write_all(bytes).await };
        for part in bytes.chunks(trickle.bytes.max(1)) {
            self.write.write_all(part).await?;
            sleep(Duration::from_millis(trickle.every_ms)).await;
        }
        Ok(())
    }

    /// Writes one chunk of a chunked body in one piece.
    pub(super) async fn chunk(&mut self, data: &[u8]) -> io::Result<()> {
        self.send(&chunk(data)).await
    }
}

/// One chunk of a chunked body.
pub(super) fn chunk(data: &[u8]) -> Vec<u8> {
    let mut out = format!("{:x}\r\n", data.len()).into_bytes();
    out.extend(data);
    out.extend(b"\r\n");
    out
}

/// The head of a response. `framing` is the line that says how the body ends.
pub(super) fn head(status: u16, content_type: &str, framing: &str, headers: &[(String, String)]) -> Vec<u8> {
    let reason = http::StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or("Unknown");
    let mut out = format!("HTTP/1.1 {status} {reason}\r\n");
    let own = [("content-type", content_type), ("server", "backstop-sim")];
    // A scripted header replaces ours instead of standing beside it.
    for (name, value) in own {
        let scripted = headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        if !scripted && !value.is_empty() {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    for (name, value) in headers {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    out.push_str(framing);
    out.push_str("\r\n\r\n");
    out.into_bytes()
}
