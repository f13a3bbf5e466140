//! Incremental decoders of what frames a stream. Knows no vendor.

pub mod sse;
