//! Pieces that are ready at the same moment, as one.
//!
//! Owns how many are joined. Refuses to know whether more is ready: whoever pulls them says so.

use bytes::{Bytes, BytesMut};

/// Pieces are joined until there are so many bytes.
const FULL: usize = 16 * 1024;
/// Room for the first of them: about two events of a chat.
const ROOM: usize = 1024;

/// Joins pieces. They are copied: one that is kept would keep the buffer that the next one is read into.
#[derive(Debug, Default)]
pub(super) struct Joint(BytesMut);

impl Joint {
    /// Adds a piece; gives back what there is when it is enough.
    pub(super) fn push(&mut self, piece: Bytes) -> Option<Bytes> {
        if self.0.is_empty() && piece.len() >= FULL {
            return Some(piece);
        }
        if self.0.capacity() == 0 {
            self.0.reserve(piece.len().max(ROOM));
        }
        self.0.extend_from_slice(&piece);
        if self.0.len() < FULL { None } else { self.take() }
    }

    /// What there is, if there is anything.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        if self.0.is_empty() { None } else { Some(self.0.split().freeze()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_out_as_one_in_their_order() {
        let mut joint = Joint::default();
        assert_eq!(joint.take(), None);
        assert_eq!(joint.push(Bytes::from_static(b"one ")), None);
        assert_eq!(joint.push(Bytes::from_static(b"two")), None);
        assert_eq!(joint.take().as_deref(), Some(b"one two".as_slice()));
        assert_eq!(joint.take(), None);
    }

    #[test]
    fn no_more_is_joined_than_is_enough_and_what_is_long_is_not_copied() {
        let mut joint = Joint::default();
        let long = Bytes::from(vec![b'x'; FULL]);
        let same = joint.push(long.clone()).unwrap();
        assert_eq!(same.as_ptr(), long.as_ptr());
        assert_eq!(joint.push(Bytes::from_static(b"y")), None);
        assert_eq!(joint.push(long).map(|full| full.len()), Some(FULL + 1));
        assert_eq!(joint.take(), None);
    }

    #[test]
    fn a_buffer_is_used_again_once_nobody_has_what_was_in_it() {
        let mut joint = Joint::default();
        assert_eq!(joint.push(Bytes::from_static(b"first")), None);
        let first = joint.take().unwrap();
        let place = first.as_ptr();
        drop(first);
        for _ in 0..200 {
            assert_eq!(joint.push(Bytes::from_static(b"another piece")), None);
            let next = joint.take().unwrap();
            assert!(next.as_ptr() as usize - (place as usize) < ROOM);
        }
    }
}
