//! Integration tests, in one binary: real sockets, scenarios as data.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests read clocks and the environment, and end by panicking"
)]

mod classify;
mod config;
mod docs;
mod failover;
mod hostile;
mod hostile_support;
mod media;
mod pairs;
mod path;
mod responses;
mod scenario_article;
mod secrets;
mod sim;
mod support;
mod tidy;
mod wire;
