//! Backstop: a failover gateway for LLM APIs.
//!
//! A request becomes a plan (an ordered list of slots), a pure run decides the next step, a tower
//! failover layer performs the steps through one inner service, and a commit gate decides the instant
//! after which the client is bound to one answer. ARCHITECTURE.md has the map.

pub mod dialect;
pub mod failover;
pub mod framing;
pub mod policy;
pub mod stream;
pub mod world;
