//! The front: connections, routes, client keys, and what a client is told.
//!
//! Owns HTTP towards clients. Refuses to know files, providers' credentials and how attempts are made.

pub mod accept;
pub mod body;
pub mod chat;
pub mod error;
pub mod front;
pub mod headers;
pub mod keys;
pub mod models;
pub mod ops;
pub mod plan;
pub mod state;
mod stream;
pub mod tail;
pub mod unread;
mod upkeep;

pub use accept::{ServeOptions, listen, serve};
pub use state::State;
