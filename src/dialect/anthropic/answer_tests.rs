//! Whole answers: checked, parsed, rendered.

use serde_json::{Value, json};

use super::*;
use crate::dialect::canonical;

const GOOD: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"an \"error\""}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"cache_creation_input_tokens":5,"cache_read_input_tokens":7,"output_tokens":2,"service_tier":"standard"}}"#;

fn frame() -> Frame {
    Frame { id: 255, created: 1, model: "asked".to_owned(), include_usage: true }
}

fn parsed(body: &Value) -> Answer {
    parse(body.to_string().as_bytes(), &frame()).unwrap_or_else(|whole| panic!("{whole:?}: {body}"))
}

fn rendered(answer: &Answer) -> Value {
    serde_json::from_slice(&render(answer, &frame())).unwrap()
}

#[test]
fn answers_errors_and_halves_are_told_apart() {
    let usage = Some(Usage { prompt_tokens: 15, completion_tokens: 2 });
    assert_eq!(inspect(GOOD.as_bytes()), Whole::Good { usage });
    assert_eq!(inspect(br#" {"type":"message","content":[],"error":null}"#), Whole::Good { usage: None });
    for body in [
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
        r#"{"type":"message","content":[],"error":{"message":"no"}}"#,
        r#"{"type":"message","content":"hi"}"#,
        r#"{"content":[]}"#,
        r#"{"type":"message"}"#,
        "[]",
        "null",
        "{}",
    ] {
        assert_eq!(inspect(body.as_bytes()), Whole::Error, "{body}");
        assert_eq!(parse(body.as_bytes(), &frame()).err(), Some(Whole::Error), "{body}");
    }
    for end in 0..GOOD.len() {
        assert_eq!(inspect(&GOOD.as_bytes()[..end]), Whole::NotJson, "cut at {end}");
    }
}

#[test]
fn counts_of_tokens_are_answers_of_their_own() {
    assert_eq!(inspect_count(br#"{"input_tokens":14,"context_management":{}}"#), Whole::Good { usage: None });
    for body in
        [r#"{"input_tokens":null}"#, "{}", r#"{"type":"error","error":{"type":"x"}}"#, r#"{"input_tokens":"7"}"#, "[]"]
    {
        assert_eq!(inspect_count(body.as_bytes()), Whole::Error, "{body}");
    }
    assert_eq!(inspect_count(b"<html>"), Whole::NotJson);
}

#[test]
fn an_answer_goes_through_unchanged() {
    let body = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x",
        "content": [
            { "type": "thinking", "thinking": "hm", "signature": "Sig" },
            { "type": "redacted_thinking", "data": "D" },
            { "type": "text", "text": "a" },
            { "type": "tool_use", "id": "toolu_1", "name": "f", "input": { "b": [1.5] } }
        ],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": { "input_tokens": 3, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 7, "output_tokens": 2, "service_tier": "standard" }
    });
    let answer = parsed(&body);
    assert_eq!(
        answer.usage,
        Some(canonical::Usage { input: 15, cache_read: 7, cache_write: 5, output: 2, reasoning: 0 })
    );
    assert_eq!(answer.stop, Stop::Tools);
    assert_eq!(rendered(&answer), body);
}

#[test]
fn what_only_anthropic_has_is_passed_over() {
    let answer = parsed(&json!({ "type": "message", "content": [
        { "type": "server_tool_use", "id": "s", "name": "web_search", "input": { "query": "q" } },
        { "type": "web_search_tool_result", "tool_use_id": "s", "content": [{ "type": "web_search_result" }] },
        { "type": "text", "text": "a", "citations": [{ "type": "web_search_result_location" }] },
        { "type": "fallback", "text": 7 },
        { "type": "tool_use", "id": "", "name": "f", "input": null },
        { "type": "text", "text": "b" }
    ], "stop_reason": "stop_sequence", "stop_sequence": "END" }));
    let [Part::Text(first), Part::Call(call), Part::Text(second)] = answer.parts.as_slice() else {
        panic!("{answer:?}")
    };
    assert_eq!((first.text.as_str(), second.text.as_str(), call.id.as_str()), ("a", "b", ids::mint(255, 0).as_str()));
    assert_eq!((answer.stop, answer.stop_sequence.as_deref()), (Stop::Sequence, Some("END")));
}

#[test]
fn a_refusal_without_a_word_is_an_answer() {
    let body = json!({ "type": "message", "content": [], "stop_reason": "refusal", "stop_details": { "type": "refusal" }, "usage": { "input_tokens": 1, "output_tokens": 1 } });
    let answer = parsed(&body);
    assert_eq!((answer.parts.len(), answer.stop), (0, Stop::Filtered));
    assert_eq!(rendered(&answer)["stop_reason"], "refusal");
}

#[test]
fn other_vendors_answers_look_like_anthropics() {
    let answer = Answer {
        id: Some("chatcmpl-1".to_owned()),
        parts: vec![
            Part::Thinking { text: "hm".to_owned(), signature: None },
            Part::Text(Text::new("")),
            Part::Refusal("no".to_owned()),
        ],
        usage: Some(canonical::Usage { input: 10, cache_read: 4, cache_write: 1, output: 9, reasoning: 6 }),
        service_tier: Some("scale".to_owned()),
        ..Answer::default()
    };
    assert_eq!(
        rendered(&answer),
        json!({
            "id": "msg_chatcmpl-1", "type": "message", "role": "assistant", "model": "asked",
            "content": [{ "type": "thinking", "thinking": "hm", "signature": "backstop:unsigned" }, { "type": "text", "text": "no" }],
            "stop_reason": "refusal", "stop_sequence": null,
            "usage": { "input_tokens": 5, "cache_creation_input_tokens": 1, "cache_read_input_tokens": 4, "output_tokens": 9, "output_tokens_details": { "thinking_tokens": 6 } }
        })
    );
    let call = |input: &str| {
        Part::Call(Call { id: "call_1".to_owned(), name: "f".to_owned(), input: input.to_owned(), ..Call::default() })
    };
    for (input, object) in
        [("", json!({})), ("[1]", json!({ "input": [1] })), (r#"{"cut"#, json!({ "input": "{\"cut" }))]
    {
        let answer = Answer { parts: vec![call(input)], stop: Stop::End, ..Answer::default() };
        let message = rendered(&answer);
        assert_eq!((&message["content"][0]["input"], &message["stop_reason"]), (&object, &json!("tool_use")));
        assert_eq!((&message["id"], &message["usage"]["input_tokens"]), (&json!("msg_00000000000000ff"), &json!(0)));
    }
}
