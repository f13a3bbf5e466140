//! tests
mod config;
