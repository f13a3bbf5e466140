//! A front's answer that breaks and is finished by somebody else: which dialect remembers it, and which asks for the rest.
//!
//! Owns the choice, and what of a request stands against giving a model its own beginning. Refuses to know the shapes.

use std::sync::Arc;

use bytes::Bytes;

use super::canonical::{Cannot, Part, Profile, Rendered, Request, Role, Sent, Text, Thinking, Turn};
use super::translate;
use super::vendor::Dialect;
use super::{anthropic, openai_chat};
use crate::framing::sse::events;

/// How an answer goes on.
#[derive(Debug, Clone)]
pub struct Resumption {
    /// What the client has.
    pub sent: Arc<Sent>,
    /// The model was given that as its own beginning; otherwise it was asked afresh.
    pub prefill: bool,
}

#[derive(Debug)]
enum Reading {
    Chat(openai_chat::resume::Record),
    Messages,
}

/// Remembers what a client has of an answer.
#[derive(Debug)]
pub struct Record {
    reading: Reading,
    sent: Sent,
}

impl Record {
    /// Before the first frame of an answer in the front's dialect.
    #[must_use]
    pub fn new(front: Dialect) -> Self {
        let reading = match front {
            Dialect::OpenAiChat | Dialect::Bedrock => Reading::Chat(openai_chat::resume::Record::default()),
            Dialect::Anthropic => Reading::Messages,
        };
        Self { reading, sent: Sent::default() }
    }

    /// Whole frames go out.
    pub fn keep(&mut self, frames: &[u8]) {
        // What nobody goes on from need not be remembered any more.
        if self.sent.bound.is_some() {
            return;
        }
        for data in events(frames).filter_map(|event| event.data) {
            match &mut self.reading {
                Reading::Chat(record) => record.keep(&data, &mut self.sent),
                Reading::Messages => anthropic::resume::keep(&data, &mut self.sent),
            }
        }
    }

    /// What the client has.
    #[must_use]
    pub const fn sent(&self) -> &Sent {
        &self.sent
    }

    /// The same, to count the tokens of its parts.
    pub const fn sent_mut(&mut self) -> &mut Sent {
        &mut self.sent
    }
}

/// Whether what was sent can be given to a model as its own beginning: it is text, and the request asks for no form of the
/// answer, which no vendor takes together with a beginning.
#[must_use]
pub fn can_prefill(request: &Request, sent: &Sent) -> bool {
    !sent.beginning().is_empty() && request.format.is_none()
}

/// The client's body with the beginning of its answer, for a target of its own dialect. `None` if it holds no conversation.
#[must_use]
pub fn amended(dialect: Dialect, body: &[u8], sent: &Sent, profile: &Profile<'_>) -> Option<Bytes> {
    let body = match dialect {
        Dialect::OpenAiChat => openai_chat::resume::request(body, sent.beginning(), profile.vendor),
        Dialect::Anthropic => anthropic::resume::request(body, sent.beginning()),
        Dialect::Bedrock => None,
    }?;
    Some(Bytes::from(body))
}

/// The same in another dialect.
///
/// # Errors
/// This target, or every one, cannot be asked that.
pub fn rendered(upstream: Dialect, request: &Request, sent: &Sent, profile: &Profile<'_>) -> Result<Rendered, Cannot> {
    let mut request = request.clone();
    let beginning = sent.beginning();
    match request.turns.last_mut() {
        Some(Turn { role: Role::Assistant, parts }) => match parts.last_mut() {
            Some(Part::Text(text)) => text.text.push_str(beginning),
            _ => parts.push(Part::Text(Text::new(beginning))),
        },
        _ => request.turns.push(Turn { role: Role::Assistant, parts: vec![Part::Text(Text::new(beginning))] }),
    }
    // Claude takes no beginning when it thinks.
    request.thinking = request.thinking.map(|_| Thinking::Off);
    request.effort = None;
    translate::render(upstream, &request, profile)
}
