//! A whole answer: checked, parsed, rendered.

use crate::dialect::canonical::{Answer, Frame};
use crate::dialect::openai_chat::response::Whole;

/// Looks at the body of a 200 answer that passes as it is.
#[must_use]
pub fn inspect(_body: &[u8]) -> Whole {
    Whole::Error
}

/// Looks at the body of an answer to `count_tokens`.
#[must_use]
pub fn inspect_count(_body: &[u8]) -> Whole {
    Whole::Error
}

/// Reads an answer.
///
/// # Errors
/// It is an error, or no answer.
pub fn parse(_body: &[u8], _frame: &Frame) -> Result<Answer, Whole> {
    Ok(Answer::default())
}

/// Writes an answer.
#[must_use]
pub fn render(_answer: &Answer, _frame: &Frame) -> Vec<u8> {
    Vec::new()
}
