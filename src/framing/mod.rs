//! Streams cut into frames.

pub mod eventstream;
pub mod sse;
