//! One client: a connection that is kept, a request at a time, every answer compared.
//!
//! Owns when things came. Refuses to count.

use std::io;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::check::Check;
use super::http::{Decoder, Wire};

/// The first content of every stream has this in it.
const FIRST_CONTENT: &[u8] = b"word0000";

/// What all clients send, and what they expect.
#[derive(Debug)]
pub struct Order {
    /// `host:port`.
    pub authority: String,
    /// Head and body.
    pub request: Vec<u8>,
    /// What comes back.
    pub check: Check,
    /// It is a stream.
    pub streamed: bool,
}

impl Order {
    /// A request for `body` at `path`, with more headers.
    pub fn new(authority: &str, path: &str, (more, body): (&[&str], &[u8]), check: Check, streamed: bool) -> Self {
        let named = |name: &str| more.iter().any(|header| header.to_ascii_lowercase().starts_with(name));
        let key = if named("authorization:") { "" } else { "authorization: Bearer client-key\r\n" };
        let more: String = more.iter().map(|header| format!("{header}\r\n")).collect();
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nhost: {authority}\r\n{key}{more}\
             content-type: application/json\r\naccept: application/json\r\nuser-agent: drive/1\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        Self { authority: authority.to_owned(), request, check, streamed }
    }
}

/// When an answer came, from the first byte of the request on.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Its last byte.
    pub whole: Duration,
    /// Its first content, if it is a stream.
    pub first_content: Option<Duration>,
}

/// A client, connected as long as that lasts.
#[derive(Debug, Default)]
pub struct Client {
    wire: Option<Wire>,
    got: Vec<u8>,
}

/// An answer that has begun.
#[derive(Debug)]
pub struct Begun {
    wire: Wire,
    body: Decoder,
    closes: bool,
    since: Instant,
}

impl Client {
    /// Sends a request and reads its whole answer.
    ///
    /// # Errors
    /// Any other answer than the expected one, in words.
    pub async fn exchange(&mut self, order: &Order) -> Result<Times, String> {
        let mut begun = self.begin(order).await?;
        let mut first_content = None;
        if order.streamed {
            self.read_content(&mut begun).await?;
            first_content = Some(begun.since.elapsed());
        }
        let whole = self.finish(begun, order).await?;
        Ok(Times { whole, first_content })
    }

    /// Sends a request and reads the head of its answer.
    ///
    /// # Errors
    /// No answer, or none that is good, in words.
    pub async fn begin(&mut self, order: &Order) -> Result<Begun, String> {
        let words = |error: io::Error| error.to_string();
        let mut wire = match self.wire.take() {
            Some(wire) => wire,
            None => Wire::new(TcpStream::connect(&order.authority).await.map_err(words)?).map_err(words)?,
        };
        let since = Instant::now();
        wire.write(&order.request).await.map_err(words)?;
        let head = wire.answer().await.map_err(words)?;
        let length = head.length.ok_or_else(|| format!("status {} without a length", head.status))?;
        self.got.clear();
        let mut begun = Begun { wire, body: Decoder::new(length), closes: head.closes, since };
        if head.status != 200 {
            while !begun.wire.read_on(&mut begun.body, &mut self.got).await.map_err(words)? {}
            return Err(format!("status {}: {}", head.status, String::from_utf8_lossy(&self.got)));
        }
        Ok(begun)
    }

    /// Reads until the first content of a stream is there.
    ///
    /// # Errors
    /// It ended without, in words.
    pub async fn read_content(&mut self, begun: &mut Begun) -> Result<(), String> {
        let mut seen = 0;
        loop {
            let ended = begun.wire.read_on(&mut begun.body, &mut self.got).await.map_err(|error| error.to_string())?;
            if self.got[seen..].windows(FIRST_CONTENT.len()).any(|window| window == FIRST_CONTENT) {
                // The end was seen, too: nothing is left to be read.
                if ended {
                    begun.body = Decoder::Bytes(0);
                }
                return Ok(());
            }
            if ended {
                return Err("a stream without content".to_owned());
            }
            seen = self.got.len().saturating_sub(FIRST_CONTENT.len());
        }
    }

    /// Reads an answer to its end and compares it. Returns how long it took.
    ///
    /// # Errors
    /// It is not the expected one, in words.
    pub async fn finish(&mut self, mut begun: Begun, order: &Order) -> Result<Duration, String> {
        while !begun.wire.read_on(&mut begun.body, &mut self.got).await.map_err(|error| error.to_string())? {}
        let took = begun.since.elapsed();
        order.check.check(&self.got)?;
        self.wire = (!begun.closes).then_some(begun.wire);
        Ok(took)
    }
}
