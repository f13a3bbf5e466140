//! OpenAI's HTTP API as its own and other vendors speak it: chat, completions, embeddings, moderations.
//!
//! Owns the head of a request, the check of a whole answer and the signals in a stream. Bytes are never
//! parsed and written again here: they pass.

pub(in crate::dialect) mod needs;
pub mod repeat;
pub mod request;
pub mod response;
pub(in crate::dialect) mod shape;
pub(in crate::dialect) mod splice;
pub mod stream;
