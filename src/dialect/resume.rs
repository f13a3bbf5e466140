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
    /// Tokens that are told too early: they go out with what follows.
    back: Bytes,
}

impl Record {
    /// Before the first frame of an answer in the front's dialect.
    #[must_use]
    pub fn new(front: Dialect) -> Self {
        let reading = match front {
            Dialect::OpenAiChat | Dialect::Bedrock => Reading::Chat(openai_chat::resume::Record::default()),
            Dialect::Anthropic => Reading::Messages,
        };
        Self { reading, sent: Sent::default(), back: Bytes::new() }
    }

    /// Takes whole frames on their way out; gives back what goes out now.
    pub fn keep(&mut self, mut frames: Bytes) -> Bytes {
        // A comment is nothing that follows.
        if !self.back.is_empty() && events(&frames).all(|event| event.data.is_none()) {
            return frames;
        }
        let before = std::mem::take(&mut self.back);
        // What nobody goes on from need not be remembered any more.
        if self.sent.bound.is_none() {
            let mut early = None;
            for event in events(&frames) {
                let Some(data) = &event.data else { continue };
                let tokens = match &mut self.reading {
                    Reading::Chat(record) => record.keep(data, &mut self.sent),
                    Reading::Messages => {
                        anthropic::resume::keep(data, &mut self.sent);
                        false
                    }
                };
                early = tokens.then_some(event.range.start);
            }
            if let Some(at) = early {
                self.back = frames.split_off(at);
            }
        }
        if before.is_empty() { frames } else { Bytes::from([before, frames].concat()) }
    }

    /// What was kept back, when the answer ends as it is.
    pub fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.back)
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

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
    const TOKENS: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3}}\n\n";
    const FINISH: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

    /// What goes out, block by block, and what was kept back.
    fn kept(blocks: &[String]) -> (Vec<String>, String) {
        let mut record = Record::new(Dialect::OpenAiChat);
        let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap_or_default();
        let out = blocks.iter().map(|block| text(record.keep(Bytes::from(block.clone())))).collect();
        (out, text(record.rest()))
    }

    #[test]
    fn tokens_that_come_too_early_go_out_with_what_follows() {
        let whole = format!("{TEXT}{FINISH}{TOKENS}");
        assert_eq!(kept(std::slice::from_ref(&whole)), (vec![whole], String::new()));
        let (out, rest) = kept(&[format!("{TEXT}{TOKENS}"), FINISH.to_owned()]);
        assert_eq!((out, rest), (vec![TEXT.to_owned(), format!("{TOKENS}{FINISH}")], String::new()));
        let comment = ": keep-alive\n\n".to_owned();
        let (out, rest) = kept(&[TOKENS.to_owned(), comment.clone(), FINISH.to_owned()]);
        assert_eq!((out, rest), (vec![String::new(), comment, format!("{TOKENS}{FINISH}")], String::new()));
        let (out, rest) = kept(&[TEXT.to_owned(), TOKENS.to_owned()]);
        assert_eq!((out, rest), (vec![TEXT.to_owned(), String::new()], TOKENS.to_owned()));
        let (out, rest) = kept(&[format!("{TOKENS}{TEXT}")]);
        assert_eq!((out, rest), (vec![format!("{TOKENS}{TEXT}")], String::new()));
    }
}
