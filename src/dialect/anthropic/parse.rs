//! A request becomes canonical.

use crate::dialect::canonical::Request;
use crate::dialect::openai_chat::request::BadRequest;

/// Reads a request.
///
/// # Errors
/// What Anthropic would refuse, too, because nobody can know what it means.
pub fn request(_body: &[u8]) -> Result<Request, BadRequest> {
    Ok(Request::default())
}
