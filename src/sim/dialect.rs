//! The wire dialects that the simulator speaks.
//!
//! Owns their names only. What an answer, an error or a frame looks like in each is told where it is made.

use serde::Serialize;

/// What a request was written in, and its answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// OpenAI's paths: chat, Responses, embeddings and the rest; Azure's and Mistral's chat, too.
    OpenAi,
    /// Anthropic Messages.
    Anthropic,
    /// Bedrock Converse and ConverseStream.
    Bedrock,
}
