//! An answer without a dialect, whole or as events.

use std::borrow::Cow;

use super::request::Part;

/// Why the model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stop {
    /// It had said all.
    #[default]
    End,
    /// It wrote one of the request's stop texts.
    Sequence,
    /// The longest answer, or the end of its window.
    Length,
    /// It calls tools.
    Tools,
    /// It refused, or a filter did.
    Filtered,
    /// Anthropic's long turn that goes on when it is sent back.
    Paused,
}

/// Tokens as a vendor counted them, in one way of counting: parts are included in their wholes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Of the prompt: cached ones, read or written, included.
    pub input: u64,
    /// Of `input`, read from a cache.
    pub cache_read: u64,
    /// Of `input`, written to a cache.
    pub cache_write: u64,
    /// Of the answer: reasoning included.
    pub output: u64,
    /// Of `output`, thought. 0 where the vendor does not say.
    pub reasoning: u64,
}

impl Usage {
    /// Both together: the parts of an answer that several slots gave.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write: self.cache_write.saturating_add(other.cache_write),
            output: self.output.saturating_add(other.output),
            reasoning: self.reasoning.saturating_add(other.reasoning),
        }
    }

    /// The larger of both in each count: vendors repeat counts, some of them as 0.
    #[must_use]
    pub fn or_more(self, other: Self) -> Self {
        Self {
            input: self.input.max(other.input),
            cache_read: self.cache_read.max(other.cache_read),
            cache_write: self.cache_write.max(other.cache_write),
            output: self.output.max(other.output),
            reasoning: self.reasoning.max(other.reasoning),
        }
    }
}

/// A whole answer.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The vendor's id.
    pub id: Option<String>,
    /// The vendor's name of the model.
    pub model: Option<String>,
    /// Text, refusal, thinking, calls; in order.
    pub parts: Vec<Part>,
    /// Why it ends.
    pub stop: Stop,
    /// The stop text that ended it.
    pub stop_sequence: Option<String>,
    /// Its tokens.
    pub usage: Option<Usage>,
    /// The tier that served it, as the vendor words it.
    pub service_tier: Option<String>,
}

/// One thing that a stream says. A reader gives them in an order that a writer can rely on: one `Start` first, `Finish`
/// once, `Usage` any number of times (each replaces what it repeats, see [`Usage::or_more`]), `End` last. After `Error`
/// nothing counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// The answer begins.
    Start {
        /// The vendor's id.
        id: Option<Cow<'a, str>>,
        /// The vendor's name of the model.
        model: Option<Cow<'a, str>>,
    },
    /// More text. Never empty.
    Text(Cow<'a, str>),
    /// The second half (UTF-16) of a character whose first one the client has: where a broken answer is continued.
    Half(u16),
    /// More of a refusal. Never empty.
    Refusal(Cow<'a, str>),
    /// More thinking. After a `Signature` it is a new block of it.
    Thinking(Cow<'a, str>),
    /// Claude's signature under the thinking before it, which may be empty.
    Signature(Cow<'a, str>),
    /// Thinking for Claude's own eyes, whole.
    Redacted(Cow<'a, str>),
    /// A call begins.
    Call {
        /// Which one of the answer's calls, from 0 without a gap.
        index: usize,
        /// Its id, never empty.
        id: Cow<'a, str>,
        /// The tool.
        name: Cow<'a, str>,
        /// Gemini's `thought_signature`.
        signature: Option<Cow<'a, str>>,
    },
    /// More of a call's input.
    Input {
        /// Which call.
        index: usize,
        /// A piece of JSON. Never empty.
        json: Cow<'a, str>,
    },
    /// The model has stopped.
    Finish {
        /// Why.
        stop: Stop,
        /// The stop text that ended it.
        sequence: Option<Cow<'a, str>>,
    },
    /// Tokens, so far or in all.
    Usage(Usage),
    /// The vendor says that all is said.
    End,
    /// The vendor failed: its own words, for the classifier and not for the client.
    Error(Cow<'a, [u8]>),
    /// A frame that nobody can read.
    Malformed,
}

impl Event<'_> {
    /// Whether it is something that a client waits for, or the end of it.
    #[must_use]
    pub const fn is_content(&self) -> bool {
        match self {
            Self::Text(_)
            | Self::Half(_)
            | Self::Refusal(_)
            | Self::Thinking(_)
            | Self::Signature(_)
            | Self::Redacted(_)
            | Self::Call { .. }
            | Self::Input { .. }
            | Self::Finish { .. } => true,
            Self::Start { .. } | Self::Usage(_) | Self::End | Self::Error(_) | Self::Malformed => false,
        }
    }
}

/// Who takes the events.
pub type Sink<'s> = dyn FnMut(Event<'_>) + 's;
