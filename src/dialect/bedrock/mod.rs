//! Amazon Bedrock's Converse and ConverseStream.
//!
//! Owns every fact about their bytes as an upstream's. Refuses to know other dialects, signatures and frames: between them
//! stands [`canonical`](super::canonical), `upstream/aws` signs, and `framing/eventstream` cuts. Which Claude takes what, `anthropic/models` says.

pub mod answer;
mod cache;
mod content;
#[cfg(test)]
#[path = "fixture_tests.rs"]
mod fixture;
mod media;
mod model;
pub mod reader;
pub mod render;
mod shape;
mod thinking;
mod tools;
mod wire;
