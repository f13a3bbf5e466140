//! What is said about thinking to which Claude.

use super::*;
use crate::dialect::canonical::{Call, Text, Turn};

fn planned(request: &Request, model: &str, max_tokens: u64, forced: bool) -> (Plan, Vec<String>) {
    let mut rendered = Rendered::default();
    let claude = Claude::of(model).unwrap_or(Claude::CLASSIC);
    let plan = plan(request, claude, max_tokens, forced, &mut rendered);
    (plan, rendered.dropped.iter().map(ToString::to_string).collect())
}

const OLD: &str = "claude-3-5-sonnet-20241022";
const BUDGET: &str = "claude-sonnet-4-5";
const EITHER: &str = "claude-opus-4-6";
const ADAPTIVE: &str = "claude-opus-4-7";
const UNASKED: &str = "claude-sonnet-5";
const ALWAYS: &str = "claude-fable-5";

#[test]
fn wishes_become_what_each_model_takes() {
    let enabled = |budget_tokens| Some(Config::Enabled { budget_tokens });
    let adaptive = Some(Config::Adaptive { display: None });
    let shown = Some(Config::Adaptive { display: Some("summarized") });
    let (none, dropped_effort, dropped_thinking) = ("", "reasoning_effort", "thinking");
    for (model, thinking, effort, max_tokens, config, word, on, dropped) in [
        (BUDGET, None, None, 9_000, None, None, false, none),
        (UNASKED, None, None, 9_000, None, None, true, none),
        // Efforts.
        (OLD, None, Some(Effort::High), 9_000, None, None, false, dropped_effort),
        (BUDGET, None, Some(Effort::Low), 9_000, enabled(2_048), None, true, none),
        (BUDGET, None, Some(Effort::High), 8_000, enabled(6_000), None, true, none),
        (BUDGET, None, Some(Effort::Low), 1_100, enabled(1_024), None, true, none),
        (BUDGET, None, Some(Effort::Low), 1_024, None, None, false, dropped_effort),
        ("glm-4.6", None, Some(Effort::Minimal), 9_000, enabled(1_024), None, true, none),
        (EITHER, None, Some(Effort::Medium), 500, adaptive, Some("medium"), true, none),
        (EITHER, None, Some(Effort::XHigh), 500, adaptive, Some("max"), true, none),
        (ADAPTIVE, None, Some(Effort::XHigh), 500, shown, Some("xhigh"), true, none),
        (ADAPTIVE, None, Some(Effort::Minimal), 500, shown, Some("low"), true, none),
        // Budgets.
        (OLD, Some(Thinking::Budget(5_000)), None, 9_000, None, None, false, dropped_thinking),
        (BUDGET, Some(Thinking::Budget(5_000)), None, 9_000, enabled(5_000), None, true, none),
        (BUDGET, Some(Thinking::Budget(5_000)), None, 3_000, enabled(2_999), None, true, none),
        (BUDGET, Some(Thinking::Budget(7)), None, 3_000, enabled(1_024), None, true, none),
        (BUDGET, Some(Thinking::Budget(5_000)), None, 1_000, None, None, false, dropped_thinking),
        (EITHER, Some(Thinking::Budget(5_000)), None, 9_000, enabled(5_000), None, true, none),
        (ADAPTIVE, Some(Thinking::Budget(5_000)), None, 9_000, shown, Some("medium"), true, none),
        (ADAPTIVE, Some(Thinking::Budget(5_000)), Some(Effort::Max), 9_000, shown, Some("max"), true, none),
        // As it likes.
        (BUDGET, Some(Thinking::Adaptive), None, 40_000, enabled(16_384), None, true, none),
        (EITHER, Some(Thinking::Adaptive), Some(Effort::Low), 500, adaptive, Some("low"), true, none),
        // Not.
        (OLD, Some(Thinking::Off), None, 9_000, None, None, false, none),
        (BUDGET, Some(Thinking::Off), None, 9_000, Some(Config::Disabled), None, false, none),
        (UNASKED, None, Some(Effort::None), 9_000, Some(Config::Disabled), None, false, none),
        ("claude-sonnet-5-5", None, Some(Effort::None), 9_000, Some(Config::BetweenTools), None, false, none),
        (
            "claude-opus-5",
            Some(Thinking::Off),
            Some(Effort::Max),
            9_000,
            Some(Config::Disabled),
            Some("high"),
            false,
            none,
        ),
        (ALWAYS, None, Some(Effort::None), 9_000, None, Some("low"), true, dropped_effort),
        (ALWAYS, Some(Thinking::Off), None, 9_000, None, Some("low"), true, dropped_thinking),
    ] {
        let request = Request { thinking, effort, ..Request::default() };
        let (plan, noted) = planned(&request, model, max_tokens, false);
        let case = format!("{model} {thinking:?} {effort:?} {max_tokens}");
        assert_eq!(plan, Plan { config, effort: word, on }, "{case}");
        assert_eq!(noted.join(","), dropped, "{case}");
    }
}

#[test]
fn a_forced_tool_ends_thinking_where_it_would_be_refused() {
    let request = Request { effort: Some(Effort::High), ..Request::default() };
    for (model, word, on) in [
        (BUDGET, None, false),
        (EITHER, Some("high"), false),
        (UNASKED, Some("high"), true),
        (ALWAYS, Some("high"), true),
    ] {
        let (plan, dropped) = planned(&request, model, 9_000, true);
        assert_eq!((plan.on, plan.effort, plan.config.is_some()), (on, word, on), "{model}");
        assert_eq!(dropped.is_empty(), on, "{model}");
    }
}

#[test]
fn calls_without_claudes_thinking_end_it() {
    let call = || Part::Call(Call { id: "c".to_owned(), name: "f".to_owned(), ..Call::default() });
    let thought =
        |signature: Option<&str>| Part::Thinking { text: "hm".to_owned(), signature: signature.map(str::to_owned) };
    let redacted = Part::Redacted { data: "D".to_owned() };
    for (parts, on) in [
        (vec![call()], false),
        (vec![thought(None), call()], false),
        (vec![thought(Some("")), call()], false),
        (vec![thought(Some("backstop:unsigned")), call()], false),
        (vec![Part::Text(Text::new("a")), thought(Some("Sig")), call()], false),
        (vec![thought(Some("Sig")), call()], true),
        (vec![Part::Text(Text::new("\n\n")), thought(None), thought(Some("Sig")), call()], true),
        (vec![redacted, call()], true),
        (vec![Part::Text(Text::new("done"))], true),
    ] {
        let turns = vec![
            Turn { role: Role::Assistant, parts: vec![call()] },
            Turn { role: Role::User, parts: vec![] },
            Turn { role: Role::Assistant, parts },
            Turn { role: Role::User, parts: vec![] },
        ];
        let request = Request { turns, thinking: Some(Thinking::Budget(2_000)), ..Request::default() };
        let (plan, dropped) = planned(&request, BUDGET, 9_000, false);
        assert_eq!((plan.on, dropped.is_empty()), (on, on), "{:?}", request.turns[2]);
        assert!(planned(&request, UNASKED, 9_000, false).0.on, "it must take them");
    }
}
