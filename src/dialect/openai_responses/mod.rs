//! OpenAI's Responses API, as its own and other vendors speak it on both sides.
//!
//! Owns what differs from chat: what a request needs and which account it is bound to, the check of a whole answer, the
//! events of a stream. Refuses to know the rest of a body: it passes.

mod input;
pub mod request;
pub mod response;
pub mod stream;
