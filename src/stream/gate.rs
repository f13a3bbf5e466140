//! The gate: an answer is held until it is known to be one (contract section 4).
//!
//! [`hold`] waits for a stream's first content, [`whole`] for a whole body. Until they return the client has
//! nothing, and an error only means that the next slot is tried. Owns the bytes in the meantime. Refuses to know
//! deadlines: the caller puts one timer around the call.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use smallvec::SmallVec;

use super::spoken::Spoken;
use super::tap::{Judged, Stop, Tap};
use crate::clock;
use crate::framing::sse::Block;
use crate::policy::commit::{Commit, Verdict, Why};

/// Chunks in order, as they arrived.
pub type Chunks = SmallVec<[Bytes; 4]>;

/// How much the gate holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateLimits {
    /// A stream's preamble, in bytes: more commits.
    pub held_bytes: usize,
    /// The longest frame that is read, in bytes; a longer one passes unread.
    pub frame_bytes: usize,
    /// The longest body that is read whole, in bytes; a longer one passes unread.
    pub whole_bytes: usize,
}

impl Default for GateLimits {
    fn default() -> Self {
        Self { held_bytes: Commit::HELD_BYTES, frame_bytes: Tap::FRAME_BYTES, whole_bytes: 16 * 1024 * 1024 }
    }
}

/// The most that is read of a body that should have been a stream, in bytes: enough for an error.
const NOT_SSE_BYTES: usize = 64 * 1024;

/// A stream that has been committed: give it to a [`Relay`](super::relay::Relay).
pub struct Held<B> {
    /// Why it was committed.
    pub why: Why,
    /// What has arrived so far and belongs to the client, verbatim.
    pub chunks: Chunks,
    /// What ends the stream after these chunks, if it is known already.
    pub stop: Option<Stop>,
    /// Has read all of it.
    pub tap: Tap,
    /// The rest.
    pub body: B,
    /// There is no rest.
    pub ended: bool,
}

/// A stream that failed before its first content. Its `Debug` leaves the vendor's text out.
pub enum GateError<E> {
    /// An error event: its data.
    Event(Bytes),
    /// The body ended.
    Ended {
        /// How long nothing had come before.
        silent: Duration,
    },
    /// The connection broke.
    Broken(E),
    /// It is no event stream but JSON or HTML: the body, up to 64 KiB of it.
    NotSse(Bytes),
}

impl<E: fmt::Debug> fmt::Debug for GateError<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(data) => write!(formatter, "Event({} bytes)", data.len()),
            Self::Ended { silent } => write!(formatter, "Ended {{ silent: {silent:?} }}"),
            Self::Broken(error) => write!(formatter, "Broken({error:?})"),
            Self::NotSse(body) => write!(formatter, "NotSse({} bytes)", body.len()),
        }
    }
}

/// Holds a stream until its first content, its end, or the limit.
///
/// # Errors
/// An error event, the end of the body, a broken connection, or something that is no event stream: before any content.
pub async fn hold<B>(body: B, limits: &GateLimits, spoken: Spoken) -> Result<Held<B>, GateError<B::Error>>
where
    B: Body<Data = Bytes> + Unpin,
{
    hold_on(body, limits, Tap::new(limits.frame_bytes, spoken)).await
}

/// Holds a stream that continues another one, whose client has content already.
///
/// # Errors
/// As [`hold`].
pub async fn hold_more<B>(body: B, limits: &GateLimits, spoken: Spoken) -> Result<Held<B>, GateError<B::Error>>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut tap = Tap::new(limits.frame_bytes, spoken);
    tap.overrun();
    hold_on(body, limits, tap).await
}

async fn hold_on<B>(mut body: B, limits: &GateLimits, mut tap: Tap) -> Result<Held<B>, GateError<B::Error>>
where
    B: Body<Data = Bytes> + Unpin,
{
    let commit = Commit::new(limits.held_bytes);
    let mut chunks = Chunks::new();
    let mut held = 0;
    let mut begun = false;
    let mut last = clock::now();
    loop {
        let Some(chunk) = next_chunk(&mut body).await.map_err(GateError::Broken)? else {
            return match tap.judge_rest(&commit) {
                Judged::Commit(why, passed) => {
                    chunks.extend(closed(passed.bytes, &tap));
                    Ok(Held { why, chunks, stop: passed.stop, tap, body, ended: true })
                }
                Judged::Fail(data) => Err(GateError::Event(data)),
                Judged::Hold(_) => Err(GateError::Ended { silent: clock::now() - last }),
            };
        };
        last = clock::now();
        if !begun && let Some(first) = chunk.trim_ascii_start().first() {
            begun = true;
            if matches!(first, b'{' | b'[' | b'<') {
                return Err(GateError::NotSse(not_sse(chunk, body).await));
            }
        }
        tap.push(chunk);
        while let Some(block) = tap.pull() {
            let judged = match block {
                Block::Whole(block) => tap.judge(block, &commit),
                Block::Loose(block) => Judged::Hold(tap.pass_loose(block)),
            };
            match judged {
                Judged::Commit(why, passed) => {
                    chunks.push(passed.bytes);
                    return Ok(Held { why, chunks, stop: passed.stop, tap, body, ended: false });
                }
                Judged::Fail(data) => return Err(GateError::Event(data)),
                Judged::Hold(block) => {
                    held += block.len();
                    chunks.push(block);
                }
            }
        }
        if let Verdict::Commit(why) = commit.holding(held + tap.kept()) {
            tap.overrun();
            return Ok(Held { why, chunks, stop: None, tap, body, ended: false });
        }
    }
}

/// The last bytes of a stream that ended without a blank line. Unless they are its `[DONE]`, a frame of the
/// gateway's own will follow and must not become part of theirs.
pub(super) fn closed(bytes: Bytes, tap: &Tap) -> Chunks {
    let mut chunks = Chunks::new();
    if !bytes.is_empty() {
        let blank = bytes.iter().all(|byte| matches!(byte, b'\n' | b'\r'));
        chunks.push(bytes);
        if !blank && !tap.ends_bare() {
            chunks.push(Bytes::from_static(b"\n\n"));
        }
    }
    chunks
}

/// The next data; frames without data (trailers) are skipped.
async fn next_chunk<B>(body: &mut B) -> Result<Option<Bytes>, B::Error>
where
    B: Body<Data = Bytes> + Unpin,
{
    while let Some(frame) = body.frame().await {
        if let Ok(chunk) = frame?.into_data()
            && !chunk.is_empty()
        {
            return Ok(Some(chunk));
        }
    }
    Ok(None)
}

/// As much of the body as an error can be; what breaks off is still worth reading.
async fn not_sse<B>(first: Bytes, mut body: B) -> Bytes
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut all = BytesMut::from(first);
    while all.len() < NOT_SSE_BYTES {
        match next_chunk(&mut body).await {
            Ok(Some(chunk)) => all.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    all.truncate(NOT_SSE_BYTES);
    all.freeze()
}

/// What [`whole`] got.
pub enum Collected<B> {
    /// The whole body.
    Whole(Bytes),
    /// A body over the limit: it is passed on unread.
    Long(Rest<B>),
}

/// What a body says of its length is believed up to here, in bytes, before it is there. Room that nobody writes to takes no
/// memory, and a longer body may have to move while it grows.
const BELIEVED: u64 = 32 * 1024 * 1024;

/// Reads a whole body of up to `limit` bytes; without a copy if it comes in one chunk.
///
/// # Errors
/// The body broke off.
pub async fn whole<B>(mut body: B, limit: usize) -> Result<Collected<B>, B::Error>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut one = Bytes::new();
    // Chunks are copied as they come, so that the buffer they were read into can be read into again.
    let mut all = Vec::new();
    while let Some(chunk) = next_chunk(&mut body).await? {
        if one.is_empty() && all.is_empty() {
            one = chunk;
        } else {
            if all.is_empty() {
                let rest = body.size_hint().lower().min(BELIEVED);
                // Where there is not that much room, it grows as it comes.
                let _ = all.try_reserve_exact(one.len() + chunk.len() + usize::try_from(rest).unwrap_or(0));
                all.extend_from_slice(&std::mem::take(&mut one));
            }
            all.extend_from_slice(&chunk);
        }
        if one.len() + all.len() > limit {
            let read = if all.is_empty() { one } else { Bytes::from(all) };
            return Ok(Collected::Long(Rest { chunks: Chunks::from_iter([read]).into_iter(), body }));
        }
        // A body of known length says that it is over; asking again would only find that out once more.
        if body.is_end_stream() {
            break;
        }
    }
    Ok(Collected::Whole(if all.is_empty() { one } else { Bytes::from(all) }))
}

/// What was read of a long body, then the rest of it.
pub struct Rest<B> {
    chunks: smallvec::IntoIter<[Bytes; 4]>,
    body: B,
}

impl<B> Rest<B> {
    /// What was read of it, in pieces.
    #[must_use]
    pub fn read(&self) -> &[Bytes] {
        self.chunks.as_slice()
    }

    /// Reads on, until it is more than `limit` bytes in all. Also says whether that is all there is.
    ///
    /// # Errors
    /// The body broke off.
    pub async fn read_on(self, limit: usize) -> Result<(Self, bool), B::Error>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let Self { chunks, mut body } = self;
        let mut chunks: Chunks = chunks.collect();
        let mut length: usize = chunks.iter().map(Bytes::len).sum();
        let mut ended = body.is_end_stream();
        while !ended && length <= limit {
            match next_chunk(&mut body).await? {
                Some(chunk) => {
                    length += chunk.len();
                    chunks.push(chunk);
                    ended = body.is_end_stream();
                }
                None => ended = true,
            }
        }
        Ok((Self { chunks: chunks.into_iter(), body }, ended && length <= limit))
    }

    /// What was not read.
    #[must_use]
    pub fn unread(self) -> B {
        self.body
    }

    /// The first byte that is no white space, of what was read.
    #[must_use]
    pub fn begins(&self) -> Option<u8> {
        self.chunks.as_slice().iter().find_map(|chunk| chunk.trim_ascii_start().first().copied())
    }
}

impl<B> Body for Rest<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        match this.chunks.next() {
            Some(chunk) => Poll::Ready(Some(Ok(Frame::data(chunk)))),
            None => Pin::new(&mut this.body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.chunks.len() == 0 && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let held: u64 = self.chunks.as_slice().iter().map(|chunk| chunk.len() as u64).sum();
        let rest = self.body.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(held));
        }
        hint.set_lower(rest.lower().saturating_add(held));
        hint
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
