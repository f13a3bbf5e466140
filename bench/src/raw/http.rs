//! Just enough HTTP/1.1: heads, and bodies by length or in chunks.
//!
//! Owns a socket's buffer. Refuses to know what is said: paths, statuses and keys are handed out as they come.

use std::io;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Room for a read.
const READ: usize = 16 * 1024;
/// More headers than any proxy under test adds.
const HEADERS: usize = 64;

/// A connection with what was read of it and not yet used.
#[derive(Debug)]
pub struct Wire {
    socket: TcpStream,
    buffer: BytesMut,
}

/// How long a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// So many bytes.
    Bytes(usize),
    /// In chunks.
    Chunked,
}

/// A head, as far as it matters here.
#[derive(Debug, Default)]
pub struct Head {
    /// A request's path.
    pub path: String,
    /// An answer's status.
    pub status: u16,
    /// A request's key, without `Bearer`.
    pub key: String,
    /// The body's length.
    pub length: Option<Length>,
    /// No request may follow on this connection.
    pub closes: bool,
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

impl Wire {
    /// Takes a connected socket.
    ///
    /// # Errors
    /// Nagle's algorithm cannot be turned off.
    pub fn new(socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        Ok(Self { socket, buffer: BytesMut::new() })
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// The socket's.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes).await
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.reserve(READ);
        self.socket.read_buf(&mut self.buffer).await
    }

    /// The next head of a request; `None` at the end of the connection.
    ///
    /// # Errors
    /// The socket's, or no HTTP.
    pub async fn request(&mut self) -> io::Result<Option<Head>> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; HEADERS];
            let mut request = httparse::Request::new(&mut headers);
            if let httparse::Status::Complete(used) = request.parse(&self.buffer).map_err(|_| broken("no request"))? {
                let path = request.path.unwrap_or_default().to_owned();
                let head = Head { path, ..fields(request.headers)? };
                self.buffer.advance(used);
                return Ok(Some(head));
            }
            if self.fill().await? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(broken("half a request")) };
            }
        }
    }

    /// The next head of an answer.
    ///
    /// # Errors
    /// The socket's, its end, or no HTTP.
    pub async fn answer(&mut self) -> io::Result<Head> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; HEADERS];
            let mut answer = httparse::Response::new(&mut headers);
            if let httparse::Status::Complete(used) = answer.parse(&self.buffer).map_err(|_| broken("no answer"))? {
                let status = answer.code.unwrap_or_default();
                let head = Head { status, ..fields(answer.headers)? };
                self.buffer.advance(used);
                return Ok(head);
            }
            if self.fill().await? == 0 {
                return Err(broken("the connection ended before its answer"));
            }
        }
    }

    /// Reads a body of `length` bytes and keeps its beginning, up to `keep` bytes.
    ///
    /// # Errors
    /// The socket's, or its end.
    pub async fn skim(&mut self, length: usize, keep: usize, kept: &mut Vec<u8>) -> io::Result<()> {
        let mut left = length;
        loop {
            let some = left.min(self.buffer.len());
            let room = keep.saturating_sub(kept.len()).min(some);
            kept.extend_from_slice(&self.buffer[..room]);
            self.buffer.advance(some);
            left -= some;
            if left == 0 {
                return Ok(());
            }
            if self.fill().await? == 0 {
                return Err(broken("the body ended too early"));
            }
        }
    }

    /// Reads on in a body; true when it has ended. What it has is appended to `got`.
    ///
    /// # Errors
    /// The socket's, or its end.
    pub async fn read_on(&mut self, body: &mut Decoder, got: &mut Vec<u8>) -> io::Result<bool> {
        let before = got.len();
        loop {
            if body.decode(&mut self.buffer, got)? {
                return Ok(true);
            }
            if got.len() > before {
                return Ok(false);
            }
            if self.fill().await? == 0 {
                return Err(broken("the body broke off"));
            }
        }
    }
}

fn fields(headers: &[httparse::Header<'_>]) -> io::Result<Head> {
    let mut head = Head::default();
    for header in headers {
        let text = || std::str::from_utf8(header.value).map_err(|_| broken("a header that is no text"));
        if header.name.eq_ignore_ascii_case("content-length") {
            let length = text()?.trim().parse().map_err(|_| broken("a length that is no number"))?;
            head.length = Some(Length::Bytes(length));
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            head.length = Some(Length::Chunked);
        } else if header.name.eq_ignore_ascii_case("authorization") {
            text()?.trim_start_matches("Bearer ").clone_into(&mut head.key);
        } else if header.name.eq_ignore_ascii_case("x-api-key") {
            text()?.clone_into(&mut head.key);
        } else if header.name.eq_ignore_ascii_case("connection") {
            head.closes = text()?.eq_ignore_ascii_case("close");
        }
    }
    Ok(head)
}

/// A body that is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoder {
    /// So many bytes are missing.
    Bytes(usize),
    /// A chunk's length comes next.
    Size,
    /// So many bytes of a chunk are missing, and its line end.
    Chunk(usize),
    /// Behind the last chunk.
    Trailer,
}

impl Decoder {
    /// For a body of that length.
    pub const fn new(length: Length) -> Self {
        match length {
            Length::Bytes(length) => Self::Bytes(length),
            Length::Chunked => Self::Size,
        }
    }

    /// Takes from `buffer` what it can; true when the body has ended.
    fn decode(&mut self, buffer: &mut BytesMut, got: &mut Vec<u8>) -> io::Result<bool> {
        loop {
            match *self {
                Self::Bytes(left) => {
                    let some = left.min(buffer.len());
                    got.extend_from_slice(&buffer[..some]);
                    buffer.advance(some);
                    *self = Self::Bytes(left - some);
                    return Ok(left == some);
                }
                Self::Size => {
                    let Some(line) = line(buffer) else { return Ok(false) };
                    let digits = std::str::from_utf8(&line).map_err(|_| broken("a chunk without a length"))?;
                    let digits = digits.split(';').next().unwrap_or_default().trim();
                    let size = usize::from_str_radix(digits, 16).map_err(|_| broken("a chunk without a length"))?;
                    *self = if size == 0 { Self::Trailer } else { Self::Chunk(size) };
                }
                Self::Chunk(0) => {
                    let Some(line) = line(buffer) else { return Ok(false) };
                    if !line.is_empty() {
                        return Err(broken("a chunk that is longer than it says"));
                    }
                    *self = Self::Size;
                }
                Self::Chunk(left) => {
                    if buffer.is_empty() {
                        return Ok(false);
                    }
                    let some = left.min(buffer.len());
                    got.extend_from_slice(&buffer[..some]);
                    buffer.advance(some);
                    *self = Self::Chunk(left - some);
                }
                Self::Trailer => {
                    let Some(line) = line(buffer) else { return Ok(false) };
                    if line.is_empty() {
                        return Ok(true);
                    }
                }
            }
        }
    }
}

/// A line without its end, if it is all there.
fn line(buffer: &mut BytesMut) -> Option<BytesMut> {
    let end = buffer.windows(2).position(|pair| pair == b"\r\n")?;
    let line = buffer.split_to(end);
    buffer.advance(2);
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_come_together_wherever_they_are_cut() {
        let wire = b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nt: 1\r\n\r\nrest";
        for cut in 0..wire.len() - 4 {
            let (mut body, mut got) = (Decoder::new(Length::Chunked), Vec::new());
            let mut buffer = BytesMut::from(&wire[..cut]);
            assert!(!body.decode(&mut buffer, &mut got).unwrap(), "{cut}");
            buffer.extend_from_slice(&wire[cut..]);
            assert!(body.decode(&mut buffer, &mut got).unwrap(), "{cut}");
            assert_eq!((got.as_slice(), &buffer[..]), (&b"hello world"[..], &b"rest"[..]));
        }
    }

    #[test]
    fn what_is_no_chunk_is_an_error() {
        for wire in ["x\r\n", "2\r\nabc\r\n"] {
            let (mut body, mut got) = (Decoder::Size, Vec::new());
            assert!(body.decode(&mut BytesMut::from(wire), &mut got).is_err(), "{wire}");
        }
    }

    #[test]
    fn a_body_with_a_length_ends_there() {
        let (mut body, mut got) = (Decoder::new(Length::Bytes(3)), Vec::new());
        assert!(!body.decode(&mut BytesMut::from("ab"), &mut got).unwrap());
        assert!(body.decode(&mut BytesMut::from("cd"), &mut got).unwrap());
        assert_eq!(got, b"abc");
    }
}
