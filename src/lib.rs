//! Backstop: a failover gateway for LLM APIs.
//!
//! A request becomes a plan (an ordered list of slots), a pure run decides the next step, a tower
//! failover layer performs the steps through one inner service, and a commit gate decides the instant
//! after which the client is bound to one answer. ARCHITECTURE.md has the map.

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dialect;
pub mod failover;
pub mod framing;
pub mod policy;
pub mod secret;
pub mod server;
pub mod sim;
pub mod stream;
pub mod telemetry;
pub mod upstream;
pub mod world;
