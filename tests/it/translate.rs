//! Between two dialects nothing is lost that both can say. Requests, answers and streams, recorded ones and some written
//! here, go through parsers, the canonical form and renderers, and are compared by their meaning.
//!
//! Owns the meaning: [`said`] of an answer, [`asked`] of a request, and readers of it (`plain_…`) that know JSON and share
//! nothing with the product. What is lost on a way, because one side cannot say it, stands in one function for each way.
//! Refuses to know sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "it says how much was there, and where it looked")]

mod answers;
mod asked;
mod named;
mod own;
mod own_requests;
mod pairs;
mod plain_asked;
mod plain_said;
mod requests;
mod said;
mod shape;
mod shape_messages;
mod streams;
mod switch;
mod targets;
mod through;
pub(crate) mod traffic;

use backstop::dialect::canonical::Frame;

/// Whose bytes they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    Chat,
    Messages,
    Converse,
}

/// What a client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Front {
    Chat,
    Messages,
}

impl Front {
    const ALL: [Self; 2] = [Self::Chat, Self::Messages];

    const fn wire(self) -> Wire {
        match self {
            Self::Chat => Wire::Chat,
            Self::Messages => Wire::Messages,
        }
    }
}

/// What the gateway says of every answer of these tests.
fn frame() -> Frame {
    Frame { id: 7, created: 1_700_000_000, model: "the-targets-model".to_owned(), include_usage: true }
}
