//! Wire shapes as pure functions: what was asked, what was answered, what went wrong.
//!
//! Owns every fact about a vendor's bytes. Refuses to know sockets, slots or cooldowns.

pub mod anthropic;
pub mod bedrock;
pub mod canonical;
pub mod endpoint;
pub mod error;
mod fields;
pub mod hint;
mod lax;
pub mod media;
pub mod members;
pub mod multipart;
pub mod openai_chat;
pub mod openai_responses;
pub mod resume;
mod scan;
mod stand_in;
pub mod translate;
pub mod vendor;
