//! Load and upstream of the side-by-side benchmark: HTTP/1.1 by hand over sockets, so that they take less time than what
//! they measure.
//!
//! Owns both ends and the comparison of every answer. Refuses to know what is between them.

pub mod drive;
pub mod hold;
pub mod upstream;

mod answers;
mod check;
mod client;
mod http;
mod processor;
