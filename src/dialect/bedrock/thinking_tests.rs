//! Thinking and sampling, model by model.

use serde_json::{Value, json};

use super::*;
use crate::dialect::bedrock::fixture::{
    NOVA, OLD, QWEN, SONNET, asked, call, model as answer, result, text, tool, user, write,
};
use crate::dialect::canonical::ToolChoice;
use crate::dialect::vendor::Vendor;
use crate::policy::capability::Abilities;

const OPUS_45: &str = "global.anthropic.claude-opus-4-5-20251101-v1:0";
const OPUS_46: &str = "us.anthropic.claude-opus-4-6-v1";
const SONNET_46: &str = "anthropic.claude-sonnet-4-6";
const OPUS_47: &str = "anthropic.claude-opus-4-7";
const SONNET_5: &str = "global.anthropic.claude-sonnet-5";
const FABLE: &str = "anthropic.claude-fable-5";
const OSS: &str = "openai.gpt-oss-120b-1:0";

fn plain() -> Request {
    asked(vec![user(vec![text("go")])])
}

/// A model, what is wished, and what becomes of it: fields of the model's own, and what is dropped.
type Case<'a> = (&'a str, Option<Thinking>, Option<Effort>, Value, &'a [&'a str]);

#[test]
fn wishes_become_what_the_model_knows() {
    use Effort::{High, Low, Max, Medium, Minimal, None as Never, XHigh};
    use Thinking::{Adaptive, Budget, Off};
    let enabled = |tokens: u64| json!({"thinking": {"type": "enabled", "budget_tokens": tokens}});
    let adaptive = |word: &str| json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": word}});
    let newest = |word: &str| json!({"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": word}});
    let cases: [Case<'_>; 31] = [
        (SONNET, None, None, Value::Null, &[]),
        (SONNET, Some(Off), None, Value::Null, &[]),
        (SONNET, Some(Off), Some(High), Value::Null, &[]),
        (SONNET, None, Some(Never), Value::Null, &[]),
        (SONNET, Some(Budget(5_000)), None, enabled(5_000), &[]),
        (SONNET, Some(Budget(5_000)), Some(High), enabled(5_000), &[]),
        (SONNET, Some(Budget(1)), None, enabled(1_024), &[]),
        (SONNET, Some(Adaptive), None, enabled(16_384), &[]),
        (SONNET, Some(Adaptive), Some(Low), enabled(2_048), &[]),
        (SONNET, None, Some(Minimal), enabled(1_024), &[]),
        (SONNET, None, Some(High), enabled(16_384), &[]),
        (OPUS_45, None, Some(Low), enabled(2_048), &[]),
        (OPUS_46, Some(Adaptive), None, json!({"thinking": {"type": "adaptive"}}), &[]),
        (OPUS_46, Some(Budget(2_000)), None, enabled(2_000), &[]),
        (OPUS_46, None, Some(Max), adaptive("max"), &[]),
        (SONNET_46, None, Some(Minimal), adaptive("low"), &[]),
        (OPUS_47, Some(Budget(2_000)), None, newest("low"), &[]),
        (OPUS_47, None, Some(XHigh), newest("xhigh"), &[]),
        (OPUS_47, Some(Off), None, Value::Null, &[]),
        (SONNET_5, Some(Off), None, json!({"thinking": {"type": "disabled"}}), &[]),
        (SONNET_5, None, Some(Never), json!({"thinking": {"type": "disabled"}}), &[]),
        (SONNET_5, None, None, Value::Null, &[]),
        (FABLE, Some(Off), None, json!({"output_config": {"effort": "low"}}), &["thinking"]),
        (FABLE, None, Some(Never), json!({"output_config": {"effort": "low"}}), &["reasoning_effort"]),
        (OLD, None, Some(High), Value::Null, &["reasoning_effort"]),
        (OLD, Some(Budget(5_000)), Some(High), Value::Null, &["thinking"]),
        (NOVA, None, Some(Medium), Value::Null, &["reasoning_effort"]),
        (QWEN, Some(Adaptive), None, Value::Null, &["thinking"]),
        (OSS, None, Some(Minimal), json!({"reasoning_effort": "low"}), &[]),
        (OSS, Some(Budget(8_000)), None, json!({"reasoning_effort": "medium"}), &[]),
        (OSS, None, Some(Max), json!({"reasoning_effort": "high"}), &[]),
    ];
    for (model, thinking, effort, sent, noted) in cases {
        let (body, dropped) = write(&Request { thinking, effort, ..plain() }, model);
        assert_eq!(body["additionalModelRequestFields"], sent, "{model} {thinking:?} {effort:?}");
        assert_eq!(dropped, noted, "{model} {thinking:?} {effort:?}");
    }
}

#[test]
fn a_budget_leaves_room_for_the_answer() {
    let budget = |tokens| (Some(Thinking::Budget(tokens)), None);
    let high = (None, Some(Effort::High));
    // The wish, the longest answer asked for, the longest known; the budget and the longest answer sent.
    for ((thinking, effort), asked, known, sent) in [
        (budget(2_000), None, None, Some((2_000, 6_096))),
        (budget(2_000), None, Some(64_000), Some((2_000, 64_000))),
        (budget(80_000), None, Some(64_000), Some((63_999, 64_000))),
        (budget(2_000), Some(2_001), None, Some((2_000, 2_001))),
        (budget(2_000), Some(2_000), None, Some((1_999, 2_000))),
        (budget(2_000), Some(1_025), None, Some((1_024, 1_025))),
        (budget(2_000), Some(1_024), None, None),
        (budget(u64::MAX), None, None, Some((u64::MAX - 1, u64::MAX))),
        (high, None, None, Some((16_384, 20_480))),
        (high, Some(10_000), Some(64_000), Some((7_500, 10_000))),
        (high, Some(1_200), None, Some((1_024, 1_200))),
        (high, Some(0), None, None),
    ] {
        let request = Request { thinking, effort, max_tokens: asked, ..plain() };
        let abilities = Abilities { max_output: known, ..Abilities::default() };
        let profile = Profile { model: SONNET, vendor: Vendor::Bedrock, abilities: &abilities };
        let rendered = crate::dialect::bedrock::render::request(&request, &profile).unwrap();
        let body: Value = serde_json::from_slice(&rendered.body).unwrap();
        let budget = body["additionalModelRequestFields"]["thinking"]["budget_tokens"].as_u64();
        let longest = body["inferenceConfig"]["maxTokens"].as_u64();
        assert_eq!((budget, longest), (sent.map(|sent| sent.0), sent.map_or(asked, |sent| Some(sent.1))), "{asked:?}");
        assert_eq!(rendered.dropped.is_empty(), sent.is_some(), "{asked:?}");
    }
}

#[test]
fn no_thinking_where_it_would_be_refused() {
    let thought = || Part::Thinking { text: String::new(), signature: Some("sig".into()) };
    let go = || user(vec![text("go")]);
    let said = |id: &str| user(vec![result(id, vec![text("r")])]);
    let cases: [(&str, Vec<Turn>, bool); 9] = [
        ("nothing yet", vec![go()], true),
        (
            "calls of an earlier turn",
            vec![go(), answer(vec![call("a", "")]), said("a"), answer(vec![text("x")]), go()],
            true,
        ),
        ("its own thinking leads", vec![go(), answer(vec![thought(), call("a", "")]), said("a")], true),
        ("another's call", vec![go(), answer(vec![call("a", "")]), said("a")], false),
        ("text leads", vec![go(), answer(vec![text("x"), thought(), call("a", "")]), said("a")], false),
        (
            "it thought at the first of several steps",
            vec![go(), answer(vec![thought(), call("a", "")]), said("a"), answer(vec![call("b", "")]), said("b")],
            true,
        ),
        (
            "it did not",
            vec![go(), answer(vec![call("a", "")]), said("a"), answer(vec![thought(), call("b", "")]), said("b")],
            false,
        ),
        ("an answer to go on with", vec![go(), answer(vec![text("x")])], false),
        ("one that it thought about", vec![go(), answer(vec![thought(), text("x")])], true),
    ];
    for (what, turns, thinks) in cases {
        let request = Request { effort: Some(Effort::Low), tools: vec![tool("f")], turns, ..Request::default() };
        let (body, dropped) = write(&request, SONNET);
        assert_eq!(body.get("additionalModelRequestFields").is_some(), thinks, "{what}");
        assert_eq!(dropped == ["reasoning_effort"], !thinks, "{what}");
        let told = Request { tools: Vec::new(), ..request };
        let last = told.turns.last().is_some_and(|turn| turn.role == Role::Assistant);
        let (body, _) = write(&told, SONNET);
        assert_eq!(body.get("additionalModelRequestFields").is_some(), thinks || !last, "{what}, told in words");
    }
    for choice in [ToolChoice::Any, ToolChoice::Named("f".into())] {
        let request =
            Request { effort: Some(Effort::Low), tools: vec![tool("f")], tool_choice: Some(choice), ..plain() };
        let (body, dropped) = write(&request, SONNET);
        assert_eq!((body.get("additionalModelRequestFields"), dropped), (None, vec!["reasoning_effort".to_owned()]));
        let (body, dropped) = write(&request, SONNET_5);
        assert_eq!(body["additionalModelRequestFields"]["thinking"]["type"], "adaptive");
        assert!(dropped.is_empty(), "who thinks unasked does so before a forced call, too");
    }
}

#[test]
fn sampling_as_the_model_takes_it() {
    let all = || Request { temperature: Some(0.5), top_p: Some(0.9), top_k: Some(40), ..plain() };
    for (model, request, inference, additional, noted) in [
        (OLD, all(), json!({"temperature": 0.5, "topP": 0.9}), json!({"top_k": 40}), vec![]),
        (SONNET, all(), json!({"temperature": 0.5}), json!({"top_k": 40}), vec!["top_p"]),
        (SONNET, Request { temperature: None, ..all() }, json!({"topP": 0.9}), json!({"top_k": 40}), vec![]),
        (OPUS_47, all(), Value::Null, Value::Null, vec!["temperature", "top_p", "top_k"]),
        (NOVA, all(), json!({"temperature": 0.5, "topP": 0.9}), json!({"inferenceConfig": {"topK": 40}}), vec![]),
        (QWEN, all(), json!({"temperature": 0.5, "topP": 0.9}), Value::Null, vec!["top_k"]),
        (
            QWEN,
            Request { temperature: Some(1.7), ..plain() },
            json!({"temperature": 1.0}),
            Value::Null,
            vec!["temperature"],
        ),
        (OPUS_47, Request { temperature: Some(1.0), top_p: Some(1.0), ..plain() }, Value::Null, Value::Null, vec![]),
    ] {
        let (body, dropped) = write(&request, model);
        assert_eq!(
            (&body["inferenceConfig"], &body["additionalModelRequestFields"]),
            (&inference, &additional),
            "{model}"
        );
        assert_eq!(dropped, noted, "{model}");
    }
    for (temperature, top_p, inference, noted) in [
        (Some(0.5), Some(0.9), json!({"maxTokens": 5_120}), vec!["temperature", "top_p", "top_k"]),
        (None, Some(0.96), json!({"maxTokens": 5_120, "topP": 0.96}), vec!["top_k"]),
        (Some(1.0), Some(1.0), json!({"maxTokens": 5_120, "topP": 1.0}), vec!["top_k"]),
    ] {
        let request = Request { temperature, top_p, effort: Some(Effort::Minimal), ..all() };
        let (body, dropped) = write(&request, SONNET);
        assert_eq!((&body["inferenceConfig"], dropped), (&inference, noted.into_iter().map(str::to_owned).collect()));
    }
}
