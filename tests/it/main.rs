//! Integration tests, in one binary: real sockets, scenarios as data.

mod classify;
mod config;
mod failover;
mod sim;
mod tidy;
mod wire;
