//! The failover layer as a tower layer: `tower_test` upstreams, a paused clock, the contract's words.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::cast_possible_truncation)]

mod lease;
mod waiting;
mod walk;
mod world;
