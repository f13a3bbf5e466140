//! What a client already has of an answer whose stream broke.
//!
//! Owns the record and whether an answer can go on from it (contract section 5, `continue`). Each front's dialect keeps it as
//! the frames go out. Refuses to know who goes on.

use super::Usage;

/// So much of an answer is remembered, in bytes of text and thinking together; what is longer is not continued. More than the
/// longest answers of today (128,000 tokens).
pub const MOST: usize = 1 << 20;

/// Why an answer cannot be finished by somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// A tool was called.
    Call,
    /// Thinking that its vendor signed.
    Signed,
    /// The model said no.
    Refusal,
    /// More than one answer.
    Choices,
    /// More text than is remembered.
    Long,
    /// A block that only its vendor can make.
    Foreign,
    /// Its finish reason: there is nothing to finish.
    Finished,
}

impl Bound {
    /// In words, for the log and the client.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Call => "a tool call had begun",
            Self::Signed => "its thinking is signed",
            Self::Refusal => "it is a refusal",
            Self::Choices => "it has several choices",
            Self::Long => "it is too long to be remembered",
            Self::Foreign => "it holds what only its provider can make",
            Self::Finished => "it had its finish reason",
        }
    }
}

/// The block that is open where the stream broke (Messages).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Open {
    /// None.
    #[default]
    None,
    /// Text.
    Text,
    /// Thinking.
    Thinking,
}

/// What a client has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sent {
    /// The answer's id.
    pub id: Option<String>,
    /// The name of the model.
    pub model: Option<String>,
    /// Seconds since 1970, where the dialect says that.
    pub created: Option<u64>,
    /// The text.
    pub text: String,
    /// Unsigned thinking.
    pub thinking: String,
    /// The first half (UTF-16) of the character behind the text.
    pub half: Option<u16>,
    /// The tokens of the parts so far.
    pub usage: Usage,
    /// The number of the open block, or of the next one.
    pub block: usize,
    /// Which block is open.
    pub open: Open,
    /// Why nobody else can finish it.
    pub bound: Option<Bound>,
}

impl Sent {
    /// Adds text.
    pub fn say(&mut self, text: &str) {
        self.text.push_str(text);
        self.measure();
    }

    /// Adds unsigned thinking.
    pub fn think(&mut self, text: &str) {
        self.thinking.push_str(text);
        self.measure();
    }

    /// Nobody else can finish it: the first reason stays.
    pub fn bind(&mut self, why: Bound) {
        self.bound.get_or_insert(why);
    }

    /// What a model is given as its own beginning. Without white space at the end, which some vendors refuse and the others
    /// write again.
    #[must_use]
    pub fn beginning(&self) -> &str {
        self.text.trim_end()
    }

    /// The white space behind the [`beginning`](Self::beginning).
    #[must_use]
    pub fn white(&self) -> &str {
        &self.text[self.beginning().len()..]
    }

    fn measure(&mut self) {
        if self.text.len() + self.thinking.len() > MOST {
            self.bind(Bound::Long);
            self.text = String::new();
            self.thinking = String::new();
        }
    }
}
