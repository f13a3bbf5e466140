//! tests
mod failover;
