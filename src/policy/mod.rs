//! The pure core: what a failure is, what cools and for how long, and which slot is tried next.
//!
//! Owns every decision of the failover contract. Knows no async, I/O, clock, randomness, logging or
//! metrics: time ([`time::Instant`]) and jitter are arguments, so the live gateway, the property tests
//! and the simulator in virtual time drive the same code.

pub mod capability;
pub mod chain;
pub mod classify;

pub mod commit;
pub mod failure;
pub mod id;
pub mod ledger;
pub mod recovery;
pub mod run;
pub mod settings;
pub mod time;
