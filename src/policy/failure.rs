//! What went wrong with one attempt: its kind, what it cools, and the vendor's hint.
//!
//! Owns the vocabulary of contract section 1. Refuses to know where a failure came from (that is
//! [`classify`](super::classify)) and what becomes of it (that is [`ledger`](super::ledger) and
//! [`run`](super::run)).

use std::time::Duration;

/// The kinds of contract section 1. Matched exhaustively wherever one decides something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The key is wrong, revoked or expired.
    Auth,
    /// The account has no credit left.
    Billing,
    /// The vendor throttles.
    RateLimit,
    /// Region, model access or organisation.
    Forbidden,
    /// The vendor is at capacity.
    Overloaded,
    /// The vendor broke.
    ServerError,
    /// No HTTP answer at all.
    Network,
    /// No first content in time.
    Timeout,
    /// A stream or body cut or stalled after it began.
    BrokenStream,
    /// The target does not exist there.
    ModelNotFound,
    /// The prompt does not fit this model.
    TooLarge,
    /// The target cannot do what was asked.
    NotCapable,
    /// The vendor refused the content.
    ContentFilter,
    /// The request is wrong, whoever is asked.
    BadRequest,
    /// The client went away.
    Cancelled,
    /// Never seen before.
    Unknown,
}

/// The lane a failure cools: three separate answers, never one boolean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Every slot of the key.
    Key,
    /// The one slot.
    Slot,
    /// Every slot behind the same scheme, host and port.
    Endpoint,
    /// Nothing cools.
    Nothing,
}

impl Kind {
    /// Every kind, in the contract's order.
    pub const ALL: [Self; 16] = [
        Self::Auth,
        Self::Billing,
        Self::RateLimit,
        Self::Forbidden,
        Self::Overloaded,
        Self::ServerError,
        Self::Network,
        Self::Timeout,
        Self::BrokenStream,
        Self::ModelNotFound,
        Self::TooLarge,
        Self::NotCapable,
        Self::ContentFilter,
        Self::BadRequest,
        Self::Cancelled,
        Self::Unknown,
    ];

    /// The name in trails, logs, metrics and the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Billing => "billing",
            Self::RateLimit => "rate_limit",
            Self::Forbidden => "forbidden",
            Self::Overloaded => "overloaded",
            Self::ServerError => "server_error",
            Self::Network => "network",
            Self::Timeout => "timeout",
            Self::BrokenStream => "broken_stream",
            Self::ModelNotFound => "model_not_found",
            Self::TooLarge => "too_large",
            Self::NotCapable => "not_capable",
            Self::ContentFilter => "content_filter",
            Self::BadRequest => "bad_request",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }

    /// The kind with this [`name`](Self::name).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What a failure of this kind cools (contract section 1, column "cools").
    #[must_use]
    pub const fn scope(self) -> Scope {
        match self {
            Self::Auth | Self::Billing => Scope::Key,
            Self::RateLimit
            | Self::Forbidden
            | Self::Overloaded
            | Self::ServerError
            | Self::Timeout
            | Self::BrokenStream
            | Self::ModelNotFound => Scope::Slot,
            Self::Network => Scope::Endpoint,
            Self::TooLarge
            | Self::NotCapable
            | Self::ContentFilter
            | Self::BadRequest
            | Self::Cancelled
            | Self::Unknown => Scope::Nothing,
        }
    }

    /// Whether the vendor's side broke: these count towards a target's cooldown and are forgiven as blips.
    #[must_use]
    pub const fn is_server_side(self) -> bool {
        matches!(self, Self::Overloaded | Self::ServerError | Self::Timeout | Self::BrokenStream)
    }
}

/// A limit on time that ended an attempt. The trail names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timer {
    /// DNS, TCP and TLS.
    Connect,
    /// To the first content of a stream.
    FirstContent,
    /// To the whole of an answer that is no stream.
    Response,
    /// Between two contents of a stream.
    Stall,
    /// Of the whole request, or an attempt's share of it.
    Deadline,
}

impl Timer {
    /// The name of the setting, in trails and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::FirstContent => "first_content",
            Self::Response => "response_timeout",
            Self::Stall => "stall",
            Self::Deadline => "deadline",
        }
    }
}

/// One classified failure of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure it is.
    pub kind: Kind,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// How long the vendor said to stay away, from now. Not yet bounded.
    pub hint: Option<Duration>,
    /// The limit that was reached, if one was.
    pub timer: Option<Timer>,
}

impl Failure {
    /// A failure without an HTTP answer and without a hint.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        Self { kind, status: None, hint: None, timer: None }
    }

    /// The same failure with the status it came with.
    #[must_use]
    pub const fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// The same failure with the vendor's hint.
    #[must_use]
    pub const fn with_hint(mut self, hint: Option<Duration>) -> Self {
        self.hint = hint;
        self
    }

    /// The same failure with the limit that was reached.
    #[must_use]
    pub const fn with_timer(mut self, timer: Timer) -> Self {
        self.timer = Some(timer);
        self
    }
}
