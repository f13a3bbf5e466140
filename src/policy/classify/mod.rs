//! What an upstream's answer means: neutral facts in, one [`Failure`] out.
//!
//! Owns the order in which facts are believed: an operator's rows, then exception or error name, code,
//! type, message phrase and, last, status, because statuses lie. The rows themselves are in `table.rs`.
//! Refuses to know bytes, headers and JSON (a dialect gathers the facts) and what a kind leads to (the
//! ledger and the run do).

mod table;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use super::failure::{Failure, Kind};
use super::id::ProviderId;
use table::{Field, PROMISED_STATUS, ROWS, Row, STATUSES};

/// Who words an error: the dialect spoken, not the company.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// OpenAI and everything that speaks like it: Azure, OpenRouter, xAI, Groq, Mistral, DeepSeek, llama.cpp, vLLM, …
    OpenAi,
    /// Anthropic Messages.
    Anthropic,
    /// AWS Bedrock, all of its operations.
    Bedrock,
    /// Google's native API, at AI Studio and at Vertex.
    Gemini,
    /// Cohere's own API.
    Cohere,
    /// Ollama's own API.
    Ollama,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 6] = [Self::OpenAi, Self::Anthropic, Self::Bedrock, Self::Gemini, Self::Cohere, Self::Ollama];

    /// The name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Bedrock => "bedrock",
            Self::Gemini => "gemini",
            Self::Cohere => "cohere",
            Self::Ollama => "ollama",
        }
    }

    /// The family with this [`name`](Self::name).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.name() == name)
    }
}

/// What one failed exchange said. Vendor text may echo parts of a key: `Debug` shows its length only.
#[derive(Clone, PartialEq, Eq)]
pub struct Facts {
    /// Whose words these are.
    pub family: Family,
    /// The provider, for operators' rows that name one; whoever gathers the facts may leave it out.
    pub provider: Option<ProviderId>,
    /// The status of the HTTP answer; 200 for an error inside a good answer.
    pub status: Option<u16>,
    /// An HTTP status (400–599) that the body names, as a number or in digits.
    pub body_status: Option<u16>,
    /// The exception's name, or the innermost reason a vendor gives.
    pub name: Option<String>,
    /// The vendor's error code, unless it is an HTTP status.
    pub code: Option<String>,
    /// The vendor's error type.
    pub error_type: Option<String>,
    /// The vendor's text, bounded.
    pub message: String,
    /// What this one request would have used, in the vendor's unit.
    pub requested: Option<u64>,
    /// What one request may use, in the same unit.
    pub limit: Option<u64>,
    /// How long to stay away, from now, as the vendor said it.
    pub hint: Option<Duration>,
}

impl Facts {
    /// Facts of which only the status is known; `None` if there was no HTTP answer.
    #[must_use]
    pub const fn new(family: Family, status: Option<u16>) -> Self {
        Self {
            family,
            provider: None,
            status,
            body_status: None,
            name: None,
            code: None,
            error_type: None,
            message: String::new(),
            requested: None,
            limit: None,
            hint: None,
        }
    }

    /// The status that stands for the error: the body's own before the answer's, and never a 2xx.
    fn error_status(&self) -> Option<u16> {
        self.body_status.or_else(|| self.status.filter(|status| !(200..300).contains(status)))
    }

    fn field(&self, field: Field) -> Option<&str> {
        match field {
            Field::Name => self.name.as_deref(),
            Field::Code => self.code.as_deref(),
            Field::Type => self.error_type.as_deref(),
        }
    }
}

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facts")
            .field("family", &self.family)
            .field("provider", &self.provider)
            .field("status", &self.status)
            .field("body_status", &self.body_status)
            .field("name", &self.name)
            .field("code", &self.code)
            .field("error_type", &self.error_type)
            .field("message", &format_args!("[{} bytes]", self.message.len()))
            .field("requested", &self.requested)
            .field("limit", &self.limit)
            .field("hint", &self.hint)
            .finish()
    }
}

/// An operator's row: every condition that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// Only errors of this family.
    pub family: Option<Family>,
    /// Only errors of this provider.
    pub provider: Option<ProviderId>,
    /// The answer's status, or the one its body names.
    pub status: Option<u16>,
    /// The exception's name, without regard to case.
    pub name: Option<String>,
    /// The code, without regard to case.
    pub code: Option<String>,
    /// The type, without regard to case.
    pub error_type: Option<String>,
    /// A part of the vendor's text, without regard to case.
    pub text: Option<String>,
    /// What it is.
    pub kind: Kind,
}

impl Override {
    /// A row that has no condition yet. As long as it has none, it matches nothing.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        Self { family: None, provider: None, status: None, name: None, code: None, error_type: None, text: None, kind }
    }

    /// Whether nothing but the family and the provider is asked for: such a row would swallow every error.
    #[must_use]
    pub const fn is_unconditional(&self) -> bool {
        self.status.is_none()
            && self.name.is_none()
            && self.code.is_none()
            && self.error_type.is_none()
            && self.text.is_none()
    }

    fn matches(&self, facts: &Facts, text: &str) -> bool {
        let same = |wanted: &Option<String>, given: &Option<String>| match (wanted, given) {
            (None, _) => true,
            (Some(wanted), Some(given)) => wanted.eq_ignore_ascii_case(given),
            (Some(_), None) => false,
        };
        !self.is_unconditional()
            && self.family.is_none_or(|family| family == facts.family)
            && (self.provider.is_none() || self.provider == facts.provider)
            && (self.status.is_none() || self.status == facts.status || self.status == facts.body_status)
            && same(&self.name, &facts.name)
            && same(&self.code, &facts.code)
            && same(&self.error_type, &facts.error_type)
            && self.text.as_ref().is_none_or(|part| text.contains(&normal(part)))
    }
}

/// The operators' rows, tried in their order before the built-in table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overrides {
    /// First match wins.
    pub rows: Vec<Override>,
}

/// The failure that `facts` describe. The hint is passed on for the kinds that the contract gives one.
#[must_use]
pub fn classify(facts: &Facts, overrides: &Overrides) -> Failure {
    let kind = kind(facts, overrides);
    let hint = facts.hint.filter(|_| matches!(kind, Kind::RateLimit | Kind::Overloaded));
    Failure { kind, status: facts.status, hint, timer: None }
}

/// The same failure of an endpoint that stands beside chat on its slots' lanes: what says that a model or a path is
/// not there or not allowed says so of this endpoint only, and must not take the slot from those who chat.
#[must_use]
pub const fn beside_chat(failure: Failure) -> Failure {
    let kind = match (failure.kind, failure.status) {
        (Kind::ModelNotFound | Kind::Forbidden, _)
        | (Kind::BadRequest | Kind::Unknown, Some(404 | 405))
        | (Kind::ServerError, Some(501)) => Kind::NotCapable,
        (kind, _) => kind,
    };
    Failure { kind, ..failure }
}

fn kind(facts: &Facts, overrides: &Overrides) -> Kind {
    let text = normal(&facts.message);
    if let Some(row) = overrides.rows.iter().find(|row| row.matches(facts, &text)) {
        return row.kind;
    }
    let status = facts.error_status();
    if status == Some(413) || asks_more_than_allowed(facts, status) {
        return Kind::TooLarge;
    }
    ROWS.iter()
        .find(|row| row_matches(row, facts, status, &text))
        .map(|row| row.kind)
        .or_else(|| status.or_else(|| promised_status(facts)).map(by_status))
        .unwrap_or(if facts.status.is_some() { Kind::ServerError } else { Kind::Unknown })
}

/// One request over a whole limit never fits, however long one waits: no throttling, though it may come as 429.
fn asks_more_than_allowed(facts: &Facts, status: Option<u16>) -> bool {
    let over = matches!((facts.requested, facts.limit), (Some(requested), Some(limit)) if requested > limit);
    over && matches!(status, None | Some(400 | 413 | 429))
}

fn row_matches(row: &Row, facts: &Facts, status: Option<u16>, text: &str) -> bool {
    row.family.is_none_or(|family| family == facts.family)
        && status.is_none_or(|status| row.statuses.iter().any(|(low, high)| (*low..=*high).contains(&status)))
        && row.word.is_none_or(|(field, word)| facts.field(field).is_some_and(|given| word.eq_ignore_ascii_case(given)))
        && row.text.iter().all(|part| text.contains(part))
}

/// The status that a general word stands for, where no status was sent (an error inside a 200).
fn promised_status(facts: &Facts) -> Option<u16> {
    [Field::Name, Field::Code, Field::Type].into_iter().filter_map(|field| facts.field(field)).find_map(|word| {
        PROMISED_STATUS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, status)| *status)
    })
}

fn by_status(status: u16) -> Kind {
    STATUSES.iter().find(|(low, high, _)| (*low..=*high).contains(&status)).map_or(Kind::Unknown, |(_, _, kind)| *kind)
}

/// Lower case, with the typographic apostrophe that AWS writes made a plain one.
fn normal(text: &str) -> String {
    text.to_lowercase().replace('\u{2019}', "'")
}
