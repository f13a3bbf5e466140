//! What of a request to another target Anthropic would refuse.

use bytes::Bytes;

use crate::dialect::canonical::{Amended, Profile};

/// The body for a target, if it must change: foreign thinking goes, and with it what cannot be without.
#[must_use]
pub fn amend(_body: &Bytes, _profile: &Profile<'_>) -> Option<Amended> {
    None
}
