//! The neutral form between two dialects: one request, one answer, one stream of events.
//!
//! Owns what a conversation means when nobody's spelling is left. Each dialect parses to it and renders from it; the
//! same dialect on both sides never comes here, so that bytes pass as they are. Refuses to know any vendor's wire.

pub mod answer;
pub mod ids;
pub mod request;
pub mod seam;
pub mod sent;

pub use answer::{Answer, Event, Stop, Usage};
pub use request::{
    Amended, Cache, Call, Cannot, Document, Effort, Format, Image, Part, Profile, Rendered, Request, Role, Source,
    Text, Thinking, Tool, ToolChoice, ToolResult, Turn,
};
pub use seam::{Diverged, Seam};
pub use sent::{Bound, Sent};

impl Profile<'_> {
    /// The longest answer that is asked of this target. Messages demands a number, so one that is larger than what a model
    /// gives is a bound and no wish: who falls back along a chain is not kept from a model by it.
    #[must_use]
    pub fn max_tokens(&self, request: &Request, rendered: &mut Rendered) -> Option<u64> {
        let (asked, most) = (request.max_tokens, self.abilities.max_output);
        let (Some(tokens), Some(most)) = (asked, most) else { return asked };
        if tokens > most {
            rendered.drop("max_tokens");
        }
        Some(tokens.min(most))
    }
}

/// What every rendered answer says of itself, whoever gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The request's id at this gateway, for answers whose vendor gives none.
    pub id: u64,
    /// When, in seconds since 1970.
    pub created: u64,
    /// The target's name of the model, for answers that do not say it.
    pub model: String,
    /// Whether a stream's client asked for the tokens at its end (chat's `stream_options.include_usage`).
    pub include_usage: bool,
}
