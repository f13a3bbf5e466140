//! Integration tests, in one binary: real sockets, scenarios as data.

mod classify;
mod config;
mod sim;
mod wire;
