//! Whether and how long the model thinks, and what that leaves of the sampling parameters.
//!
//! Claude from 3.7 on thinks up to a budget of tokens, from 4.6 on as long as it finds right. It does not think when it must
//! call a tool, when there is no room for it, or when the turn that it would go on with does not begin with what it thought
//! there. Then the wish is dropped, because it would fail the request. gpt-oss takes an effort. Others take nothing.

use super::content::thought;
use super::model::{Claude, Model};
use super::wire::{Body, ClaudeEffort, ClaudeThinking, NovaInference};
use crate::dialect::canonical::{Effort, Part, Profile, Rendered, Request, Role, Thinking, Turn};

/// The smallest budget.
const LEAST: u64 = 1_024;
/// Room for the answer beside a budget, where nobody says how long it may be.
const ROOM: u64 = 4_096;

/// Where the model stands in the conversation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// It must call a tool.
    pub(super) forced: bool,
    /// Calls and results are told in words.
    pub(super) in_words: bool,
}

/// What the request wishes: how long, by the client's measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wish {
    budget: Option<u64>,
    effort: Option<Effort>,
}

fn wish(request: &Request) -> Option<Wish> {
    let effort = request.effort.filter(|effort| *effort != Effort::None);
    match request.thinking {
        Some(Thinking::Off) => None,
        Some(Thinking::Adaptive) => Some(Wish { budget: None, effort }),
        Some(Thinking::Budget(tokens)) => Some(Wish { budget: Some(tokens), effort }),
        None => effort.map(|_| Wish { budget: None, effort }),
    }
}

/// Writes how the model thinks; says whether it does.
pub(super) fn think(
    request: &Request,
    profile: &Profile<'_>,
    model: Model,
    place: Place,
    body: &mut Body<'_>,
    rendered: &mut Rendered,
) -> bool {
    let wish = wish(request);
    let off = request.thinking == Some(Thinking::Off) || request.effort == Some(Effort::None);
    if let Some(claude) = model.claude() {
        let may = !place.forced && claude.thinks() && begins_with_thought(&request.turns, place.in_words);
        if let Some(wish) = wish.filter(|_| may)
            && claude_thinks(wish, request, profile, claude, body)
        {
            return true;
        }
        // Told not to, or it would be refused: see above.
        if claude.thinks_by_itself() && (off || !may) {
            body.additional_model_request_fields.thinking = Some(ClaudeThinking::Disabled);
        }
    } else if let (Model::GptOss, Some(wish)) = (model, wish) {
        let effort = measure(wish).unwrap_or(Effort::Medium).clamp(Effort::Low, Effort::High);
        body.additional_model_request_fields.reasoning_effort = Some(effort.name());
        return false;
    }
    if wish.is_some() {
        rendered.drop(if request.thinking.is_some() { "thinking" } else { "reasoning_effort" });
    }
    false
}

/// The wish as an effort.
fn measure(wish: Wish) -> Option<Effort> {
    wish.effort.or(wish.budget.map(Effort::of_budget))
}

fn claude_thinks(wish: Wish, request: &Request, profile: &Profile<'_>, claude: Claude, body: &mut Body<'_>) -> bool {
    let additional = &mut body.additional_model_request_fields;
    if claude.adapts() {
        additional.thinking = Some(ClaudeThinking::Adaptive);
        additional.output_config = measure(wish).map(|effort| ClaudeEffort { effort: word(effort, claude) });
        return true;
    }
    let wanted = wish.budget.or(wish.effort.and_then(Effort::budget)).or(Effort::Medium.budget()).unwrap_or(LEAST);
    let wanted = wanted.max(LEAST);
    let room = request.max_tokens.or(profile.abilities.max_output).unwrap_or_else(|| wanted.saturating_add(ROOM));
    if room <= LEAST {
        return false;
    }
    // The budget is a part of the longest answer. One that leaves nothing of it gets half.
    let budget_tokens = if wanted < room { wanted } else { (room / 2).max(LEAST) };
    additional.thinking = Some(ClaudeThinking::Enabled { budget_tokens });
    body.inference_config.max_tokens = Some(room);
    true
}

/// The effort in words that this Claude knows.
fn word(effort: Effort, claude: Claude) -> &'static str {
    let most = match effort {
        Effort::None | Effort::Minimal | Effort::Low => Effort::Low,
        Effort::Medium => Effort::Medium,
        Effort::XHigh if claude.takes_xhigh() => Effort::XHigh,
        Effort::Max if claude.takes_max() => Effort::Max,
        Effort::High | Effort::XHigh | Effort::Max => Effort::High,
    };
    most.name()
}

/// Whether the turn that the model goes on with begins with its own thinking, or needs none. That turn is the first of the
/// model's since a user said something else than results; and the last one, if it is the model's.
fn begins_with_thought(turns: &[Turn], in_words: bool) -> bool {
    if let Some(last) = turns.last().filter(|last| last.role == Role::Assistant) {
        return leads(last);
    }
    let is_result = |part: &Part| matches!(part, Part::Result(_));
    let steps = turns.iter().rev().take_while(|turn| turn.role == Role::Assistant || turn.parts.iter().any(is_result));
    let first = steps.filter(|turn| turn.role == Role::Assistant).last();
    in_words || first.is_none_or(leads)
}

fn leads(turn: &Turn) -> bool {
    let left_out = |part: &&Part| match part {
        Part::Text(text) => text.text.trim().is_empty(),
        Part::Thinking { .. } | Part::Redacted { .. } => thought(part).is_none(),
        Part::Refusal(_)
        | Part::Image(_)
        | Part::Document(_)
        | Part::Audio { .. }
        | Part::Call(_)
        | Part::Result(_) => false,
    };
    turn.parts.iter().find(|part| !left_out(part)).is_none_or(|part| thought(part).is_some())
}

/// Writes the sampling parameters that the model takes.
pub(super) fn sample(request: &Request, model: Model, thinks: bool, body: &mut Body<'_>, rendered: &mut Rendered) {
    let (additional, inference) = (&mut body.additional_model_request_fields, &mut body.inference_config);
    let claude = model.claude();
    let samples = claude.is_none_or(Claude::samples);
    // A Claude that thinks wants its temperature left alone, and nearly all of the nucleus.
    inference.temperature = request
        .temperature
        .map(|temperature| temperature.clamp(0.0, 1.0))
        .filter(|temperature| samples && (!thinks || *temperature >= 1.0));
    inference.top_p = request.top_p.map(|top_p| top_p.clamp(0.0, 1.0)).filter(|top_p| {
        let one_of_both = inference.temperature.is_none() || claude.is_none_or(Claude::samples_twice);
        samples && one_of_both && (!thinks || *top_p >= 0.95)
    });
    let top_k = request.top_k.filter(|_| samples && !thinks);
    match model {
        Model::Claude(_) => additional.top_k = top_k,
        Model::Nova => additional.nova = top_k.map(|top_k| NovaInference { top_k }),
        Model::GptOss | Model::Other => {}
    }
    for (wanted, sent, name) in [
        (request.temperature.is_some(), inference.temperature.is_some(), "temperature"),
        (request.top_p.is_some(), inference.top_p.is_some(), "top_p"),
        (request.top_k.is_some(), additional.top_k.is_some() || additional.nova.is_some(), "top_k"),
    ] {
        if wanted && !sent {
            rendered.drop(name);
        }
    }
}

#[cfg(test)]
#[path = "thinking_tests.rs"]
mod tests;
