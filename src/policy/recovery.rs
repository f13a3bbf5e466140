//! What becomes of a stream that breaks after its first content (contract section 5).
//!
//! Owns the three answers and which failures may be recovered from. Refuses to know streams.

use super::failure::Kind;

/// What a chain, or a request, wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Recovery {
    /// One error event, and nothing that looks like an end.
    #[default]
    Error,
    /// Another slot finishes the answer.
    Continue,
    /// Nothing is sent before the answer is complete, so that any failure can restart it.
    Buffer,
}

impl Recovery {
    /// Every answer.
    pub const ALL: [Self; 3] = [Self::Error, Self::Continue, Self::Buffer];

    /// The word in the configuration and in the header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Continue => "continue",
            Self::Buffer => "buffer",
        }
    }

    /// The answer of this [`name`](Self::name).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|recovery| recovery.name() == name)
    }
}

/// Whether somebody else may finish an answer that ended so. What a vendor says about the request itself would be said of
/// its continuation as well.
#[must_use]
pub const fn may_continue(kind: Kind) -> bool {
    match kind {
        Kind::Auth
        | Kind::Billing
        | Kind::RateLimit
        | Kind::Forbidden
        | Kind::Overloaded
        | Kind::ServerError
        | Kind::Network
        | Kind::Timeout
        | Kind::BrokenStream
        | Kind::ModelNotFound
        | Kind::NotCapable
        | Kind::Unknown => true,
        Kind::TooLarge | Kind::ContentFilter | Kind::BadRequest | Kind::Cancelled => false,
    }
}

/// Whether a failure of a target that was to go on from a beginning can be about that: asked afresh it may still answer.
#[must_use]
pub const fn may_refuse_prefill(kind: Kind) -> bool {
    matches!(kind, Kind::BadRequest | Kind::NotCapable | Kind::Unknown)
}

/// Whether a vendor's words, in small letters, refuse to go on from an assistant's message: Anthropic's and Bedrock's, Mistral's,
/// and those of servers whose templates take no such message.
#[must_use]
pub fn refuses_prefill(words: &str) -> bool {
    const WORDS: [&str; 6] = [
        "prefill",
        "must end with a user message",
        "last message must",
        "expected last role",
        "add_generation_prompt",
        "continue_final_message",
    ];
    WORDS.iter().any(|known| words.contains(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back() {
        for recovery in Recovery::ALL {
            assert_eq!(Recovery::from_name(recovery.name()), Some(recovery));
        }
        assert_eq!(Recovery::from_name("retry"), None);
    }

    #[test]
    fn what_is_said_of_the_request_is_said_of_its_continuation() {
        let stays: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| !may_continue(*kind)).collect();
        assert_eq!(stays, [Kind::TooLarge, Kind::ContentFilter, Kind::BadRequest, Kind::Cancelled]);
    }

    #[test]
    fn a_refused_beginning_is_told_from_other_refusals() {
        for words in [
            "this model does not support assistant message prefill. the conversation must end with a user message.",
            "expected last role user or tool (or assistant with prefix true) for serving but got assistant",
            "cannot set `add_generation_prompt` to true when the last message is from the assistant.",
        ] {
            assert!(refuses_prefill(words), "{words}");
        }
        for words in ["messages: final assistant content cannot end with trailing whitespace", "max_tokens: too large"]
        {
            assert!(!refuses_prefill(words), "{words}");
        }
    }
}
