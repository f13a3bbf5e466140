//! Whose frames a stream is made of, and so how they are read.
//!
//! Owns the choice between the dialects of streams. Refuses to know what is held, passed or dropped.

use bytes::Bytes;

use crate::dialect::anthropic::stream as messages;
use crate::dialect::endpoint::Endpoint;
use crate::dialect::media;
use crate::dialect::openai_chat::stream::{Said, Signal, error_event, is_plain, scan};
use crate::dialect::openai_responses::stream as responses;
use crate::dialect::openai_responses::stream::Opening;
use crate::framing::sse::Event;
use crate::policy::commit::Seen;

/// Whose frames a stream is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Spoken {
    /// Chat and completions: data alone, `[DONE]` at the end.
    #[default]
    Chat,
    /// Responses: named events, of which one is the end.
    Responses,
    /// Messages: named events, `message_stop` at the end.
    Messages,
    /// Images, sound and transcripts: events of many kinds, one of them an end.
    Media,
}

impl Spoken {
    /// What an endpoint's streams are made of.
    #[must_use]
    pub const fn at(endpoint: Endpoint) -> Self {
        match endpoint {
            Endpoint::Responses => Self::Responses,
            Endpoint::Messages => Self::Messages,
            _ if endpoint.is_media() => Self::Media,
            _ => Self::Chat,
        }
    }

    /// The most that is held of a stream before its first content, in bytes, where `usual` is for a chat: the first two
    /// events of a response repeat the instructions and the tools of its request, which has `asked` bytes.
    #[must_use]
    pub const fn most_held(self, usual: usize, asked: usize) -> usize {
        if matches!(self, Self::Responses) { usual.saturating_add(asked.saturating_mul(3)) } else { usual }
    }

    /// The frame that tells a client that a stream failed which never began.
    #[must_use]
    pub fn refusal(self, id: u64, message: &str, kind: &str, code: &str) -> Bytes {
        match self {
            Self::Chat => error_event(message, kind, code),
            Self::Responses => responses::failed_event(&Opening::own(id), 0, message, code),
            Self::Messages => messages::error_event(message, messages_kind(kind)),
            Self::Media => media::error_event(message, kind, code),
        }
    }

    fn is_plain(self, event: &Event<'_>, data: &[u8]) -> bool {
        match self {
            Self::Chat => event.name != Some(b"error") && is_plain(data),
            Self::Responses => responses::is_plain(event.name, data),
            Self::Messages => messages::is_plain(event.name, data),
            // They are few, and none is told by its name alone.
            Self::Media => false,
        }
    }

    fn scan(self, event: &Event<'_>, data: &[u8]) -> Signal {
        match self {
            Self::Chat => scan(event.name, data),
            Self::Responses => responses::scan(event.name, data),
            Self::Messages => messages::scan(event.name, data),
            Self::Media => media::scan(event.name, data),
        }
    }

    /// What a frame says; `None` if it has no data.
    pub(super) fn read(self, event: &Event<'_>, trusted: bool) -> Option<Signal> {
        let data = match (&event.data, event.name) {
            (Some(data), _) => data.as_ref(),
            (None, Some(b"error")) => b"",
            (None, _) => return None,
        };
        if trusted && self.is_plain(event, data) {
            return Some(Signal::Chunk(Said::default()));
        }
        Some(self.scan(event, data))
    }

    pub(super) const fn seen(self, signal: Signal) -> Seen {
        match signal {
            Signal::Chunk(said) if said.content => Seen::Content,
            // An end without anything before it is no image.
            Signal::Chunk(said) if said.finish && !matches!(self, Self::Media) => Seen::End,
            Signal::Chunk(_) => Seen::Preamble,
            Signal::Done => match self {
                Self::Chat | Self::Messages => Seen::End,
                Self::Responses | Self::Media => Seen::Preamble,
            },
            Signal::Error => Seen::Error,
            Signal::Malformed => Seen::Malformed,
        }
    }
}

/// Anthropic's word for one of the gateway's own kinds of errors.
pub(super) fn messages_kind(kind: &str) -> &'static str {
    match kind {
        "invalid_request_error" => "invalid_request_error",
        "rate_limit_error" => "rate_limit_error",
        _ => "api_error",
    }
}
