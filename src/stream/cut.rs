//! Frames inside a block: where one begins, its data, and the block without some of them.
//!
//! Owns the slicing. Refuses to know what frames say.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::framing::sse::Event;

/// The data of a block that is a single frame in the usual form, `data: …` and LF LF.
pub(super) fn single(block: &[u8]) -> Option<&[u8]> {
    let data = block.strip_prefix(b"data: ")?.strip_suffix(b"\n\n")?;
    memchr::memchr2(b'\n', b'\r', data).is_none().then_some(data)
}

/// Where a frame's first line begins. Blank lines before it, such as the LF of a CRLF that was split, are nobody's
/// and stay.
pub(super) fn first_line(block: &[u8], event: &Event<'_>) -> usize {
    let blank = block[event.range.clone()].iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
    event.range.start + blank
}

pub(super) fn data_of(block: &Bytes, event: &Event<'_>) -> Bytes {
    match &event.data {
        None => Bytes::new(),
        Some(std::borrow::Cow::Borrowed(data)) => block.slice_ref(data),
        Some(std::borrow::Cow::Owned(data)) => Bytes::copy_from_slice(data),
    }
}

/// The block up to `end` without the dropped frames; a copy only if there are any.
pub(super) fn without(mut block: Bytes, end: usize, dropped: &[Range<usize>]) -> Bytes {
    block.truncate(end);
    if dropped.is_empty() {
        return block;
    }
    let mut kept = BytesMut::with_capacity(end);
    let mut at = 0;
    for range in dropped {
        kept.extend_from_slice(&block[at..range.start]);
        at = range.end;
    }
    kept.extend_from_slice(&block[at..]);
    kept.freeze()
}
