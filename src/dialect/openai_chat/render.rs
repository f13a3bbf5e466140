//! A canonical request becomes a chat.

use crate::dialect::canonical::{Cannot, Profile, Rendered, Request};

/// Writes a request for a target.
///
/// # Errors
/// It holds what no target of this dialect takes.
pub fn request(_request: &Request, _profile: &Profile<'_>) -> Result<Rendered, Cannot> {
    Ok(Rendered::default())
}
