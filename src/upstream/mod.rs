//! One attempt: one HTTP exchange with an upstream.
//!
//! Owns connections, credentials on the wire and the verdict on what came back. Refuses to know what is
//! tried next: it answers with a reply or with a classified miss.

pub mod aws;
pub mod body;
pub mod client;
pub mod connector;
pub mod exchange;
mod held;
mod link;
mod media;
mod outgoing;
pub mod pool;
mod refusal;
pub mod route;

pub use client::{Client, ClientSettings, Clients};
pub use exchange::{Answer, Delivery, Exchange, Query, Reply};
pub use pool::{AnswerBody, StreamBody};
pub use route::{Route, Routes};
