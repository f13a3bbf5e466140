//! Anthropic's Messages.
//!
//! Owns every fact about their bytes: as a front's requests and answers, and as an upstream's. Refuses to know other
//! dialects: between them stands [`canonical`](super::canonical).

pub mod amend;
pub mod answer;
pub mod error;
pub mod head;
pub mod parse;
pub mod reader;
pub mod render;
pub mod stream;
pub mod writer;
