//! Anthropic's Messages.
//!
//! Owns every fact about their bytes: as a front's requests and answers, and as an upstream's. Refuses to know other
//! dialects: between them stands [`canonical`](super::canonical).

pub mod amend;
pub mod answer;
mod blocks;
mod content;
pub mod error;
pub mod head;
pub(in crate::dialect) mod models;
pub mod parse;
pub mod reader;
pub mod render;
pub mod resume;
pub mod stream;
mod thinking;
mod tools;
mod waiting;
pub(in crate::dialect) mod wire;
pub mod writer;

#[cfg(test)]
#[path = "survival_tests.rs"]
mod survival;
