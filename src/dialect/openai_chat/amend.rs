//! What of a chat the vendors that speak it would refuse: a small table of their differences.

use bytes::Bytes;

use crate::dialect::canonical::{Amended, Profile};

/// The body for a target, if it must change.
#[must_use]
pub fn amend(_body: &Bytes, _profile: &Profile<'_>) -> Option<Amended> {
    None
}
