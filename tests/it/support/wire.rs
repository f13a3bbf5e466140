//! HTTP/1.1 by hand: connections byte by byte, and upstreams that a test writes itself.
//!
//! Owns framing. Refuses to know gateways.

use std::net::{Ipv4Addr, SocketAddr};

use http::HeaderMap;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Answer, soon};

/// The head of a request or an answer.
#[derive(Debug, Clone)]
pub struct Head {
    /// `POST /v1/… HTTP/1.1` or `HTTP/1.1 200 OK`.
    pub line: String,
    pub headers: HeaderMap,
}

impl Head {
    fn parse(text: &str) -> Self {
        let mut lines = text.split("\r\n");
        let line = lines.next().unwrap().to_owned();
        let mut headers = HeaderMap::new();
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            let name: http::HeaderName = name.parse().unwrap();
            headers.append(name, value.parse().unwrap());
        }
        Self { line, headers }
    }

    pub fn status(&self) -> u16 {
        self.line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{self:?}"))
    }

    fn length(&self) -> Option<usize> {
        self.headers.get("content-length").map(|value| value.to_str().unwrap().parse().unwrap())
    }

    fn is_chunked(&self) -> bool {
        self.headers.get("transfer-encoding").is_some_and(|value| value == "chunked")
    }
}

/// One HTTP/1.1 connection, byte by byte: the client's side of a gateway, or an upstream's.
pub struct Wire {
    pub stream: TcpStream,
    read: Vec<u8>,
}

impl Wire {
    pub fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { stream, read: Vec::new() }
    }

    pub async fn connect(addr: SocketAddr) -> Self {
        Self::new(TcpStream::connect(addr).await.unwrap())
    }

    /// Writes all of `bytes`.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        soon("writing", self.stream.write_all(bytes.as_ref())).await.unwrap();
    }

    /// Writes a request with `Content-Length`.
    pub async fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: gateway\r\ncontent-length: {}\r\n", body.len());
        if method == "POST" && !headers.iter().any(|(name, _)| *name == "content-type") {
            head.push_str("content-type: application/json\r\n");
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        self.write([head.as_bytes(), body].concat()).await;
    }

    /// Writes one HTTP chunk; an empty one ends the body.
    pub async fn write_chunk(&mut self, data: &[u8]) {
        self.write([format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat()).await;
    }

    /// Reads more. False at the end of the connection, however it ends.
    async fn more(&mut self) -> bool {
        matches!(soon("reading", self.stream.read_buf(&mut self.read)).await, Ok(1..))
    }

    /// Bytes up to and with `end`; `None` if the connection ends before.
    async fn through(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.read.windows(end.len()).position(|window| window == end) {
                return Some(self.read.drain(..at + end.len()).collect());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.read.len() < length {
            if !self.more().await {
                return None;
            }
        }
        Some(self.read.drain(..length).collect())
    }

    /// The next head; `None` if the connection ends before.
    pub async fn try_head(&mut self) -> Option<Head> {
        let bytes = self.through(b"\r\n\r\n").await?;
        Some(Head::parse(std::str::from_utf8(&bytes).unwrap().trim_end()))
    }

    pub async fn head(&mut self) -> Head {
        self.try_head().await.expect("a head before the end of the connection")
    }

    /// The next HTTP chunk of a body; `Some` of nothing at its end, `None` if it broke off.
    pub async fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = self.through(b"\r\n").await?;
        let length = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
        let mut data = self.exactly(length + 2).await?;
        data.truncate(length);
        Some(data)
    }

    /// Reads a request: its head and body. `None` if the connection ends before.
    pub async fn try_asked(&mut self) -> Option<(Head, Vec<u8>)> {
        let head = self.try_head().await?;
        let body = self.exactly(head.length().unwrap_or(0)).await?;
        Some((head, body))
    }

    pub async fn asked(&mut self) -> (Head, Vec<u8>) {
        self.try_asked().await.expect("a request before the end of the connection")
    }

    /// Reads a whole answer.
    pub async fn answer(&mut self) -> Answer {
        let head = self.head().await;
        self.rest(head).await
    }

    /// Reads the body behind a head.
    pub async fn rest(&mut self, head: Head) -> Answer {
        let mut answer = Answer { status: head.status(), headers: head.headers.clone(), chunks: vec![], whole: false };
        if !head.is_chunked() {
            let body = self.exactly(head.length().unwrap_or(0)).await;
            answer.whole = body.is_some();
            answer.chunks.extend(body);
            return answer;
        }
        while let Some(chunk) = self.chunk().await {
            if chunk.is_empty() {
                answer.whole = true;
                break;
            }
            answer.chunks.push(chunk);
        }
        answer
    }

    /// Waits until the other side has closed or reset the connection.
    pub async fn closed(&mut self) {
        while self.more().await {}
    }
}

/// An upstream that a test writes by hand.
pub struct Upstream {
    pub addr: SocketAddr,
    listener: TcpListener,
}

/// A head of a stream, as vendors send it.
pub const STREAM_HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

impl Upstream {
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        Self { addr: listener.local_addr().unwrap(), listener }
    }

    /// The next connection.
    pub async fn accept(&self) -> Wire {
        Wire::new(soon("a connection", self.listener.accept()).await.unwrap().0)
    }

    /// The base URL of a provider that lives here.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }
}

/// A content event.
pub fn event(text: &str) -> String {
    let delta = json!({ "choices": [{ "index": 0, "delta": { "content": text }, "finish_reason": null }] });
    format!("data: {delta}\n\n")
}

/// The last event of a good stream, and its end.
pub fn last_event() -> String {
    let finish = json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }] });
    format!("data: {finish}\n\ndata: [DONE]\n\n")
}

/// A whole plain answer with its head.
pub fn plain_answer(text: &str) -> String {
    let body = json!({ "choices": [{ "index": 0, "message": { "role": "assistant", "content": text },
        "finish_reason": "stop" }] })
    .to_string();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}
