//! The head of a request: what the gateway has to know of it.

use crate::dialect::openai_chat::request::{BadRequest, Head};

/// Reads the head of a body. `models` and `disable_fallbacks` are the gateway's; `fallbacks` is Anthropic's own field here.
///
/// # Errors
/// As [`openai_chat::request::read`](crate::dialect::openai_chat::request::read).
pub fn read(body: &[u8]) -> Result<Head<'_>, BadRequest> {
    crate::dialect::openai_chat::request::read(body)
}
