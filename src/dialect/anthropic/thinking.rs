//! Whether a Claude thinks about a request, and how it is told.
//!
//! Owns the table from wishes (chat's effort, Messages' thinking) to what a version takes, and the cases in which Anthropic
//! refuses thinking. Refuses to know the rest of the request.

use serde::Serialize;

use super::blocks::begins_with_thinking;
use super::models::{Claude, Thinks};
use crate::dialect::canonical::{Effort, Part, Rendered, Request, Role, Thinking};

/// The smallest budget that Anthropic takes.
const LEAST_BUDGET: u64 = 1_024;

/// `thinking`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Config {
    Enabled {
        budget_tokens: u64,
    },
    Adaptive {
        #[serde(skip_serializing_if = "Option::is_none")]
        display: Option<&'static str>,
    },
    Disabled,
    BetweenTools,
}

/// What is sent about thinking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Plan {
    pub(super) config: Option<Config>,
    /// `output_config.effort`.
    pub(super) effort: Option<&'static str>,
    /// Whether the model will think.
    pub(super) on: bool,
}

/// What a request wishes, and under which name its client knows the wish.
enum Wish {
    Nothing,
    Off,
    On(&'static str),
}

fn wish(request: &Request) -> Wish {
    match (request.thinking, request.effort) {
        (Some(Thinking::Off), _) | (None, Some(Effort::None)) => Wish::Off,
        (Some(Thinking::Adaptive | Thinking::Budget(_)), _) => Wish::On("thinking"),
        (None, Some(_)) => Wish::On("reasoning_effort"),
        (None, None) => Wish::Nothing,
    }
}

/// The plan for a request whose answer has at most `max_tokens` and must call a tool if `forced`.
pub(super) fn plan(request: &Request, claude: Claude, max_tokens: u64, forced: bool, rendered: &mut Rendered) -> Plan {
    let effort = |quiet| request.effort.and_then(|effort| claude.effort(effort, quiet));
    let name = match wish(request) {
        Wish::Nothing => return Plan { on: claude.thinks_unasked(), ..Plan::default() },
        Wish::Off => return off(request, claude, rendered),
        Wish::On(name) => name,
    };
    let quiet = Plan { config: None, effort: effort(false), on: false };
    // It would be refused, or the conversation is one that a thinking Claude would not take.
    let refused = !claude.thinks_unasked() && (forced || lacks_thinking(request));
    if refused || claude.thinks() == Thinks::Never {
        rendered.drop(name);
        return quiet;
    }
    let budget = |tokens: u64, most: u64| {
        let tokens = tokens.min(most).max(LEAST_BUDGET);
        (tokens < max_tokens).then_some(Config::Enabled { budget_tokens: tokens })
    };
    let adaptive = |effort| Plan { config: Some(Config::Adaptive { display: display(claude) }), effort, on: true };
    let config = match (claude.thinks(), request.thinking) {
        (Thinks::ByBudget | Thinks::Either, Some(Thinking::Budget(tokens))) => {
            budget(tokens, max_tokens.saturating_sub(1))
        }
        (Thinks::Adaptively, Some(Thinking::Budget(tokens))) => {
            return adaptive(effort(false).or_else(|| claude.effort(Effort::of_budget(tokens), false)));
        }
        (Thinks::Either | Thinks::Adaptively, _) => return adaptive(effort(false)),
        (Thinks::ByBudget | Thinks::Never, _) => {
            let wished = request.effort.unwrap_or(Effort::High).budget().unwrap_or(LEAST_BUDGET);
            // A quarter at least is for the answer.
            budget(wished, max_tokens / 4 * 3)
        }
    };
    if config.is_none() {
        rendered.drop(name);
    }
    Plan { config, on: config.is_some(), ..quiet }
}

/// Thinking is not wanted. Who thinks all the same is asked for as little as there is.
fn off(request: &Request, claude: Claude, rendered: &mut Rendered) -> Plan {
    let effort = request.effort.and_then(|effort| claude.effort(effort, true));
    let config = match claude.off() {
        Some("between_tools") => Config::BetweenTools,
        Some(_) => Config::Disabled,
        None => {
            rendered.drop(if request.thinking.is_some() { "thinking" } else { "reasoning_effort" });
            return Plan { config: None, effort: claude.effort(Effort::Low, false), on: true };
        }
    };
    Plan { config: (claude.thinks() != Thinks::Never).then_some(config), effort, on: false }
}

/// Those who know no other way say nothing of what they think unless they are asked.
fn display(claude: Claude) -> Option<&'static str> {
    (claude.thinks() == Thinks::Adaptively).then_some("summarized")
}

/// Whether the model's last turn calls tools and does not begin with what Claude thought: another vendor made it.
fn lacks_thinking(request: &Request) -> bool {
    let last = request.turns.iter().rev().find(|turn| turn.role == Role::Assistant);
    last.is_some_and(|turn| turn.parts.iter().any(|part| matches!(part, Part::Call(_))) && !begins_with_thinking(turn))
}

#[cfg(test)]
#[path = "thinking_tests.rs"]
mod tests;
