//! Server-sent events, cut into frames while they arrive.
//!
//! [`Frames`] takes chunks as the network delivers them and gives back blocks that hold only whole frames: the
//! chunk itself, uncopied, when it ends where a frame ends (the usual case). Only a frame that is split over chunks
//! is copied, once. The blocks put together are the bytes that went in, always. [`events`] reads the frames of a
//! block.
//!
//! Lines end with LF, CRLF or CR, also mixed; a blank line ends a frame. Refuses to know what the data means.

use std::borrow::Cow;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

/// A part of the stream that may be passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// One or more whole frames.
    Whole(Bytes),
    /// A piece of a frame that is longer than the limit: nobody kept it, so nobody can read it.
    Loose(Bytes),
}

/// Cuts a stream into blocks. Feed it with [`push`](Self::push), then drain it with [`pull`](Self::pull).
#[derive(Debug)]
pub struct Frames {
    /// The longest frame that is kept together, in bytes.
    limit: usize,
    /// What has arrived and is not in a block yet.
    chunk: Bytes,
    /// The beginning of a frame whose end is still to come.
    carry: BytesMut,
    /// The last byte of the frame in progress; `None` where a frame begins.
    last: Option<u8>,
    /// The frame in progress was too long and is passed on in pieces.
    loose: bool,
}

impl Frames {
    /// Frames of up to `limit` bytes are kept together.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, chunk: Bytes::new(), carry: BytesMut::new(), last: None, loose: false }
    }

    /// Takes the next chunk. The blocks of the one before must have been pulled, else they come first, joined by a
    /// copy.
    pub fn push(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = chunk;
        } else {
            let mut both = BytesMut::with_capacity(self.chunk.len() + chunk.len());
            both.extend_from_slice(&self.chunk);
            both.extend_from_slice(&chunk);
            self.chunk = both.freeze();
        }
    }

    /// The next block, or `None` when more bytes are needed.
    pub fn pull(&mut self) -> Option<Block> {
        if self.chunk.is_empty() {
            return None;
        }
        let Some(last) = self.last else {
            return match last_end(&self.chunk) {
                Some(end) if end == self.chunk.len() => Some(Block::Whole(std::mem::take(&mut self.chunk))),
                Some(end) => Some(Block::Whole(self.chunk.split_to(end))),
                None => self.keep(),
            };
        };
        let Some(end) = first_end(last, &self.chunk) else {
            return self.keep();
        };
        let rest = self.chunk.split_to(end);
        self.last = None;
        if std::mem::take(&mut self.loose) {
            return Some(Block::Loose(rest));
        }
        self.carry.extend_from_slice(&rest);
        Some(Block::Whole(self.carry.split().freeze()))
    }

    /// No frame ends in the chunk: it is kept for later, or let go if the frame is too long to be kept.
    fn keep(&mut self) -> Option<Block> {
        if !self.loose && self.carry.len() + self.chunk.len() <= self.limit {
            self.last = self.chunk.last().copied().or(self.last);
            self.carry.extend_from_slice(&self.chunk);
            self.chunk = Bytes::new();
            return None;
        }
        self.loose = true;
        if !self.carry.is_empty() {
            return Some(Block::Loose(self.carry.split().freeze()));
        }
        self.last = self.chunk.last().copied().or(self.last);
        Some(Block::Loose(std::mem::take(&mut self.chunk)))
    }

    /// What is left when the stream has ended: a last frame without its blank line, half a frame, or nothing.
    pub fn rest(&mut self) -> Bytes {
        self.last = None;
        self.carry.split().freeze()
    }

    /// Bytes kept back because their frame is not whole.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.carry.len()
    }

    /// Whether a piece of an unfinished frame has been given out as [`Block::Loose`].
    #[must_use]
    pub const fn is_loose(&self) -> bool {
        self.loose
    }
}

/// One frame of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<'a> {
    /// Where the frame stands in the block, its blank line included. Ranges of one block leave no gap.
    pub range: Range<usize>,
    /// The value of the last `event` line.
    pub name: Option<&'a [u8]>,
    /// The `data` lines, joined by LF if there are several. `None` if there are none: comments, `retry`, `id`.
    pub data: Option<Cow<'a, [u8]>>,
}

/// The frames of a block; a last one without its blank line counts.
#[must_use]
pub const fn events(block: &[u8]) -> Events<'_> {
    Events { block, at: 0 }
}

/// Iterator of [`events`].
#[derive(Debug, Clone)]
pub struct Events<'a> {
    block: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Events<'a> {
    type Item = Event<'a>;

    fn next(&mut self) -> Option<Event<'a>> {
        let start = self.at;
        let mut event = Event { range: start..start, name: None, data: None };
        let mut any = false;
        while self.at < self.block.len() {
            let (line, next) = line(self.block, self.at);
            self.at = next;
            if line.is_empty() {
                // A blank line before anything else is the LF of a CRLF that was split, or padding.
                if any {
                    break;
                }
                continue;
            }
            any = true;
            field(&mut event, line);
        }
        event.range.end = self.at;
        (self.at > start).then_some(event)
    }
}

fn field<'a>(event: &mut Event<'a>, line: &'a [u8]) {
    let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
    if let Some(value) = value(line, b"data") {
        event.data = Some(match event.data.take() {
            None => Cow::Borrowed(value),
            Some(before) => {
                let mut joined = before.into_owned();
                joined.push(b'\n');
                joined.extend_from_slice(value);
                Cow::Owned(joined)
            }
        });
    } else if let Some(value) = value(line, b"event") {
        event.name = Some(value);
    }
}

/// The value of a line if its field is `name`.
fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    match line.strip_prefix(name)? {
        [] => Some(&[]),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

/// The line that begins at `at`, and where the next one begins.
fn line(block: &[u8], at: usize) -> (&[u8], usize) {
    let rest = &block[at..];
    match memchr::memchr2(b'\n', b'\r', rest) {
        None => (rest, block.len()),
        Some(end) => {
            let crlf = rest[end] == b'\r' && rest.get(end + 1) == Some(&b'\n');
            (&rest[..end], at + end + if crlf { 2 } else { 1 })
        }
    }
}

const fn ends_line(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r'
}

/// Where the last whole frame of a chunk ends; a frame begins where the chunk begins.
fn last_end(chunk: &[u8]) -> Option<usize> {
    if chunk.ends_with(b"\n\n") {
        return Some(chunk.len());
    }
    let mut before = chunk.len();
    while let Some(at) = memchr::memrchr2(b'\n', b'\r', &chunk[..before]) {
        let crlf = at > 0 && chunk[at] == b'\n' && chunk[at - 1] == b'\r';
        before = if crlf { at - 1 } else { at };
        if before > 0 && ends_line(chunk[before - 1]) {
            return Some(at + 1);
        }
    }
    None
}

/// Where the frame in progress, whose last byte so far is `last`, ends in the chunk.
fn first_end(last: u8, chunk: &[u8]) -> Option<usize> {
    let mut line_start = ends_line(last).then_some(0);
    let mut after_cr = last == b'\r';
    for at in memchr::memchr2_iter(b'\n', b'\r', chunk) {
        let here = line_start == Some(at);
        if here && after_cr && chunk[at] == b'\n' {
            after_cr = false;
        } else if here {
            let crlf = chunk[at] == b'\r' && chunk.get(at + 1) == Some(&b'\n');
            return Some(at + if crlf { 2 } else { 1 });
        } else {
            after_cr = chunk[at] == b'\r';
        }
        line_start = Some(at + 1);
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Blocks and the rest, for chunks.
    fn run(chunks: &[&[u8]], limit: usize) -> (Vec<Block>, Bytes) {
        let mut frames = Frames::new(limit);
        let mut blocks = Vec::new();
        for chunk in chunks {
            frames.push(Bytes::copy_from_slice(chunk));
            while let Some(block) = frames.pull() {
                blocks.push(block);
            }
        }
        (blocks, frames.rest())
    }

    fn data(chunks: &[&[u8]]) -> Vec<(Option<Vec<u8>>, Vec<u8>)> {
        let (blocks, rest) = run(chunks, usize::MAX);
        let mut found = Vec::new();
        for block in blocks.into_iter().chain([Block::Whole(rest)]) {
            let Block::Whole(bytes) = block else { continue };
            for event in events(&bytes) {
                if let Some(data) = event.data {
                    found.push((event.name.map(<[u8]>::to_vec), data.into_owned()));
                }
            }
        }
        found
    }

    #[test]
    fn a_chunk_of_whole_frames_is_not_copied() {
        let chunk = Bytes::from_static(b"data: 1\n\ndata: 2\n\n");
        let mut frames = Frames::new(64);
        frames.push(chunk.clone());
        let Some(Block::Whole(block)) = frames.pull() else { unreachable!("a whole block") };
        assert_eq!(block.as_ptr(), chunk.as_ptr());
        assert_eq!(block.len(), chunk.len());
        assert_eq!((frames.pull(), frames.kept()), (None, 0));
    }

    #[test]
    fn only_the_tail_is_kept_back() {
        let (blocks, rest) = run(&[b"data: 1\n\ndata: 2", b"\n", b"\ndata: 3\n\ndata: 4"], 64);
        let whole = |text: &'static str| Block::Whole(Bytes::from_static(text.as_bytes()));
        assert_eq!(blocks, [whole("data: 1\n\n"), whole("data: 2\n\n"), whole("data: 3\n\n")]);
        assert_eq!(rest, "data: 4");
    }

    #[test]
    fn every_line_ending_and_every_field_form() {
        let text = b"\xEF\xBB\xBFdata:a\r\n\r\n: comment\r\rdata: b\ndata:  c\n\nevent: error\rid: 3\rdata\r\revent:x\r\n\ndatum: no\n\ndata: end";
        let found = data(&[text]);
        let expected: [(Option<&[u8]>, &[u8]); 4] =
            [(None, b"a"), (None, b"b\n c"), (Some(b"error"), b""), (None, b"end")];
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!((found.0.as_deref(), found.1.as_slice()), expected);
        }
    }

    #[test]
    fn a_frame_over_the_limit_goes_through_in_pieces_and_the_next_one_is_read() {
        let (blocks, rest) = run(&[b"data: 1234", b"5678", b"90\n", b"\ndata: 2\n\n"], 12);
        let loose = |text: &'static str| Block::Loose(Bytes::from_static(text.as_bytes()));
        assert_eq!(
            blocks,
            [
                loose("data: 1234"),
                loose("5678"),
                loose("90\n"),
                loose("\n"),
                Block::Whole(Bytes::from_static(b"data: 2\n\n"))
            ]
        );
        assert!(rest.is_empty());
    }

    #[test]
    fn an_event_of_megabytes_in_small_pieces() {
        let mut text = b"data: ".to_vec();
        text.resize(3 << 20, b'x');
        text.extend_from_slice(b"\n\n");
        let (blocks, rest) = run(&text.chunks(1_000).collect::<Vec<_>>(), 4 << 20);
        assert_eq!(blocks, [Block::Whole(Bytes::from(text))]);
        assert!(rest.is_empty());
    }

    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop::sample::select(vec![
            "\n",
            "\r",
            "\r\n",
            "\n\n",
            "\r\n\r\n",
            "data: é{\"a\":1}",
            "data",
            "data:x",
            "event: error",
            ": c",
        ]);
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn splits_change_neither_bytes_nor_events(
            text in stream(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
            limit in prop::sample::select(vec![4usize, 1 << 20]),
        ) {
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            at.extend([0, text.len()]);
            at.sort_unstable();
            let chunks: Vec<&[u8]> = at.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            let (blocks, rest) = run(&chunks, limit);
            let mut joined = Vec::new();
            for block in &blocks {
                let (Block::Whole(bytes) | Block::Loose(bytes)) = block;
                joined.extend_from_slice(bytes);
            }
            joined.extend_from_slice(&rest);
            prop_assert_eq!(&joined, &text);
            prop_assert_eq!(data(&chunks), data(&[&text]));
            let bytes: Vec<&[u8]> = text.chunks(1).collect();
            prop_assert_eq!(data(&bytes), data(&[&text]));
        }

        #[test]
        fn ranges_leave_no_gap(text in stream()) {
            let mut at = 0;
            for event in events(&text) {
                prop_assert_eq!(event.range.start, at);
                at = event.range.end;
            }
            prop_assert_eq!(at, text.len());
        }
    }
}
