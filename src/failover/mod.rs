//! The failover layer: performs the steps of a [run](crate::policy::run) through one inner service.
//!
//! Owns the one attempt loop, the shared ledger and the leases of attempts in flight. Knows the policy
//! only: requests, replies and vendor answers are opaque here.

pub mod layer;
pub mod lease;
pub mod observer;
pub mod service;
pub mod shared;
mod sync;

pub use crate::clock::Clock;
pub use layer::FailoverLayer;
pub use lease::{Broken, Lease};
pub use observer::{AttemptEnd, Handover, Observer};
pub use service::{Attempt, Errand, Failover, GaveUp, Miss, Served, Walk};
pub use shared::SharedLedger;
