//! OpenAI's HTTP API as its own and other vendors speak it: chat, completions, embeddings, moderations.
//!
//! Owns the head of a request, the check of a whole answer and the signals in a stream: what passes is never parsed and
//! written again. What another dialect stands behind is: `parse`, `render`, `answer`, `reader` and `writer`.

pub mod amend;
pub mod answer;
mod halves;
pub(in crate::dialect) mod needs;
pub mod parse;
pub mod reader;
pub mod render;
pub mod repeat;
pub mod request;
pub mod response;
pub mod resume;
pub(in crate::dialect) mod shape;
pub(in crate::dialect) mod splice;
pub mod stream;
mod vendors;
mod wire;
pub mod writer;
mod written;
