//! Whether and how long the model thinks, and what that leaves of the sampling parameters.
//!
//! Older Claudes think up to a budget of tokens, newer ones as long as they find right. A Claude that thinks only when it is
//! asked refuses to when it must call a tool, and when the turn that it goes on with does not begin with what it thought
//! there. Then the wish is dropped, because it would fail the request. gpt-oss takes an effort. Others take nothing.

use super::content::thought;
use super::model::{Maker, Model};
use super::wire::{Body, ClaudeEffort, ClaudeThinking, NovaInference};
use crate::dialect::anthropic::models::{Claude, Sampling, Thinks};
use crate::dialect::canonical::{Effort, Part, Profile, Rendered, Request, Role, Thinking, Turn};

/// The smallest budget.
const LEAST_BUDGET: u64 = 1_024;
/// Room for the answer beside a budget, where nobody says how long it may be.
const ROOM: u64 = 4_096;
/// A thinking Claude takes no smaller `top_p`.
const LEAST_THINKING_TOP_P: f64 = 0.95;

/// Where the model stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) profile: &'a Profile<'a>,
    pub(super) model: Model,
    /// It must call a tool.
    pub(super) forced: bool,
    /// Calls and results are told in words.
    pub(super) in_words: bool,
}

/// What a request wishes, and under which name its client knows the wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Nothing,
    Off(&'static str),
    On(&'static str),
}

fn wish(request: &Request) -> Wish {
    match (request.thinking, request.effort) {
        (Some(Thinking::Off), _) => Wish::Off("thinking"),
        (None, Some(Effort::None)) => Wish::Off("reasoning_effort"),
        (Some(Thinking::Adaptive | Thinking::Budget(_)), _) => Wish::On("thinking"),
        (None, Some(_)) => Wish::On("reasoning_effort"),
        (None, None) => Wish::Nothing,
    }
}

/// Writes how the model thinks; says whether it is a Claude that will.
pub(super) fn think(request: &Request, place: Place<'_>, body: &mut Body<'_>, rendered: &mut Rendered) -> bool {
    match (place.model.maker, wish(request)) {
        (Maker::Claude(claude), Wish::Nothing) => claude.thinks_unasked(),
        (Maker::Claude(claude), Wish::Off(name)) => keep_quiet(name, claude, body, rendered),
        (Maker::Claude(claude), Wish::On(name)) => {
            let refused =
                !claude.thinks_unasked() && (place.forced || !begins_with_thought(&request.turns, place.in_words));
            let thinks = !refused && ask(request, place, claude, body);
            if !thinks {
                rendered.drop(name);
            }
            thinks
        }
        (Maker::GptOss, Wish::On(_)) => {
            let effort = measure(request).unwrap_or(Effort::Medium).clamp(Effort::Low, Effort::High);
            body.additional_model_request_fields.reasoning_effort = Some(effort.name());
            false
        }
        (Maker::Nova | Maker::Other, Wish::On(name)) => {
            rendered.drop(name);
            false
        }
        (Maker::Nova | Maker::GptOss | Maker::Other, Wish::Nothing | Wish::Off(_)) => false,
    }
}

/// Who thinks unasked is told not to. Who thinks all the same is asked for as little as there is.
fn keep_quiet(name: &'static str, claude: Claude, body: &mut Body<'_>, rendered: &mut Rendered) -> bool {
    if !claude.thinks_unasked() {
        return false;
    }
    let additional = &mut body.additional_model_request_fields;
    match claude.off() {
        Some(kind) => additional.thinking = Some(ClaudeThinking { r#type: kind, ..ClaudeThinking::default() }),
        None => {
            rendered.drop(name);
            additional.output_config = claude.effort(Effort::Low, false).map(|effort| ClaudeEffort { effort });
        }
    }
    claude.off().is_none()
}

/// The wish as an effort.
fn measure(request: &Request) -> Option<Effort> {
    let tokens = if let Some(Thinking::Budget(tokens)) = request.thinking { Some(tokens) } else { None };
    request.effort.or(tokens.map(Effort::of_budget))
}

/// Asks a Claude to think, if it can and there is room for it.
fn ask(request: &Request, place: Place<'_>, claude: Claude, body: &mut Body<'_>) -> bool {
    let additional = &mut body.additional_model_request_fields;
    let budget = match (claude.thinks(), request.thinking) {
        (Thinks::Never, _) => return false,
        (Thinks::ByBudget | Thinks::Either, Some(Thinking::Budget(tokens))) => Some(tokens),
        (Thinks::ByBudget, _) => None,
        (Thinks::Either | Thinks::Adaptively, _) => {
            // Those who know no other way say nothing of what they think unless they are asked.
            let display = (claude.thinks() == Thinks::Adaptively).then_some("summarized");
            additional.thinking = Some(ClaudeThinking { r#type: "adaptive", display, ..ClaudeThinking::default() });
            let effort = measure(request).filter(|_| place.model.takes_effort());
            let effort = effort.and_then(|effort| claude.effort(effort, false));
            additional.output_config = effort.map(|effort| ClaudeEffort { effort });
            return true;
        }
    };
    let wanted = budget.or(request.effort.unwrap_or(Effort::High).budget()).unwrap_or(LEAST_BUDGET).max(LEAST_BUDGET);
    let limit = body.inference_config.max_tokens.or(place.profile.abilities.max_output);
    let room = limit.unwrap_or_else(|| wanted.saturating_add(ROOM));
    // Who names tokens knows what is left of them. Of others a quarter at least is for the answer.
    let exact = budget.is_some() || limit.is_none();
    let most = if exact { room.saturating_sub(1) } else { room / 4 * 3 };
    let tokens = wanted.min(most).max(LEAST_BUDGET);
    if tokens >= room {
        return false;
    }
    let budget_tokens = Some(tokens);
    additional.thinking = Some(ClaudeThinking { r#type: "enabled", budget_tokens, ..ClaudeThinking::default() });
    body.inference_config.max_tokens = Some(room);
    true
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

/// Writes the sampling parameters that the model takes. What goes is told, unless it is what a model does anyway.
pub(super) fn sample(request: &Request, model: Model, thinks: bool, body: &mut Body<'_>, rendered: &mut Rendered) {
    let (additional, inference) = (&mut body.additional_model_request_fields, &mut body.inference_config);
    let sampling = model.claude().map_or(Sampling::Free, Claude::sampling);
    let fixed = sampling == Sampling::Fixed;
    let mut temperature = request.temperature;
    if temperature.is_some_and(|temperature| temperature > 1.0) {
        temperature = Some(1.0);
        rendered.drop("temperature");
    }
    if (fixed || thinks) && temperature.take().is_some_and(|temperature| temperature < 1.0) {
        rendered.drop("temperature");
    }
    let one_of_two = sampling == Sampling::OneOfTwo && temperature.is_some();
    let mut top_p = request.top_p;
    let unfit = |top_p: &mut f64| fixed || one_of_two || thinks && *top_p < LEAST_THINKING_TOP_P;
    if top_p.take_if(unfit).is_some_and(|top_p| top_p < 1.0) {
        rendered.drop("top_p");
    }
    (inference.temperature, inference.top_p) = (temperature, top_p);
    match (model.maker, request.top_k) {
        (Maker::Claude(_), Some(top_k)) if !fixed && !thinks => additional.top_k = Some(top_k),
        (Maker::Nova, Some(top_k)) => additional.nova = Some(NovaInference { top_k }),
        (Maker::Claude(_) | Maker::GptOss | Maker::Other, Some(_)) => rendered.drop("top_k"),
        (_, None) => {}
    }
}

#[cfg(test)]
#[path = "thinking_tests.rs"]
mod tests;
