//! Tests of [`answer`](super).

use serde_json::{Value, json};

use super::*;
use crate::dialect::canonical::Usage;

fn frame() -> Frame {
    Frame { id: 7, created: 1_700_000_000, model: "asked".to_owned(), include_usage: false }
}

fn read(message: &str, rest: &str) -> Answer {
    let body = format!(
        r#"{{"id":"x","model":"m","choices":[{{"index":0,"message":{message}{rest}}}],"usage":{{"prompt_tokens":3,"completion_tokens":2}}}}"#
    );
    parse(body.as_bytes(), &frame()).unwrap_or_else(|bad| panic!("{body}: {bad:?}"))
}

fn short(answer: &Answer) -> String {
    let part = |part: &Part| match part {
        Part::Text(text) => format!("text {}", text.text),
        Part::Refusal(text) => format!("no {text}"),
        Part::Thinking { text, signature } => format!("think {text} {}", signature.as_deref().unwrap_or("-")),
        Part::Redacted { data } => format!("redacted {data}"),
        Part::Call(call) => {
            format!("{} {} {} {}", call.id, call.name, call.input, call.signature.as_deref().unwrap_or("-"))
        }
        other => format!("{other:?}"),
    };
    let parts: Vec<_> = answer.parts.iter().map(part).collect();
    format!("{} = {:?}", parts.join(" | "), answer.stop)
}

#[test]
fn messages_of_every_vendor() {
    let minted = ids::mint(7, 0);
    for (message, rest, expected) in [
        (r#"{"content":"a"}"#, r#","finish_reason":"stop""#, "text a = End".to_owned()),
        (r#"{"content":"a"}"#, r#","finish_reason":"length""#, "text a = Length".to_owned()),
        (r#"{"content":null,"refusal":"b"}"#, r#","finish_reason":"stop""#, "no b = Filtered".to_owned()),
        (r#"{"content":"a","reasoning_content":"t"}"#, "", "think t - | text a = End".to_owned()),
        (
            r#"{"content":"a","reasoning":"t","reasoning_details":[{"type":"reasoning.text","text":"t","format":"unknown"}]}"#,
            "",
            "think t - | text a = End".to_owned(),
        ),
        (
            r#"{"content":"a","reasoning":"t","reasoning_details":[{"type":"reasoning.text","text":"t","signature":"s","format":"anthropic-claude-v1"},{"type":"reasoning.encrypted","data":"d","format":"anthropic-claude-v1"}]}"#,
            "",
            "think t s | redacted d | text a = End".to_owned(),
        ),
        (
            r#"{"content":"a","reasoning":"t","reasoning_details":[{"type":"reasoning.encrypted","data":"d","format":"openai-responses-v1"}]}"#,
            "",
            "think t - | text a = End".to_owned(),
        ),
        (
            r#"{"content":"a","reasoning_content":"t","thinking_blocks":[{"type":"thinking","thinking":"t","signature":"s"}]}"#,
            "",
            "think t s | text a = End".to_owned(),
        ),
        (
            r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"t"},{"type":"text","text":"u"}]},{"type":"text","text":"a"}]}"#,
            "",
            "think tu - | text a = End".to_owned(),
        ),
        (
            r#"{"content":"","tool_calls":[{"id":"","type":"function","function":{"name":"f","arguments":"{}"}}],"extra_content":{"google":{"thought_signature":"s"}}}"#,
            r#","finish_reason":"stop""#,
            format!("{minted} f {{}} s = Tools"),
        ),
        (
            r#"{"content":null,"tool_calls":[{"id":"c","function":{"name":"f","arguments":{"x":1}}}],"reasoning_details":[{"type":"reasoning.encrypted","data":"s","id":"c","format":"google-gemini-v1"}]}"#,
            r#","finish_reason":"tool_calls""#,
            "c f {\"x\":1} s = Tools".to_owned(),
        ),
        (
            r#"{"content":null,"function_call":{"name":"f","arguments":"{}"}}"#,
            r#","finish_reason":"function_call""#,
            format!("{minted} f {{}} - = Tools"),
        ),
        (r#"{"content":"a"}"#, r#","finish_reason":"stop","stop_reason":"END""#, "text a = Sequence".to_owned()),
    ] {
        assert_eq!(short(&read(message, rest)), expected, "{message}");
    }
}

#[test]
fn what_is_no_answer() {
    for (body, bad) in [
        (r#"{"error":{"message":"no"}}"#, Whole::Error),
        (r#"{"choices":[]}"#, Whole::Error),
        (r#"{"choices":[7]}"#, Whole::Error),
        (r#"[{"error":{"code":429}}]"#, Whole::Error),
        ("<html>", Whole::NotJson),
        (r#"{"choices":[{"message":"#, Whole::NotJson),
    ] {
        assert_eq!(parse(body.as_bytes(), &frame()).err(), Some(bad), "{body}");
    }
}

fn written(answer: &Answer) -> Value {
    serde_json::from_slice(&render(answer, &frame())).unwrap()
}

#[test]
fn an_answer_as_openai_writes_it() {
    let thinking = |text: &str, signature: Option<&str>| Part::Thinking {
        text: text.to_owned(),
        signature: signature.map(str::to_owned),
    };
    let call = Call {
        id: "t".to_owned(),
        name: "f".to_owned(),
        input: String::new(),
        signature: Some("g".to_owned()),
        cache: None,
    };
    let answer = Answer {
        id: Some("msg_1".to_owned()),
        model: Some("claude".to_owned()),
        parts: vec![
            thinking("a", Some("s")),
            Part::Redacted { data: "d".to_owned() },
            thinking("b", None),
            Part::Text(Text::new("x")),
            Part::Text(Text::new("y")),
            Part::Call(call),
        ],
        stop: Stop::Tools,
        usage: Some(Usage { input: 9, cache_read: 4, cache_write: 0, output: 5, reasoning: 3 }),
        service_tier: Some("standard".to_owned()),
        ..Answer::default()
    };
    let expected = json!({
        "id": "chatcmpl-msg_1", "object": "chat.completion", "created": 1_700_000_000, "model": "claude",
        "choices": [{
            "index": 0,
            "message": {
                "role": "assistant", "content": "xy", "refusal": null, "reasoning_content": "ab",
                "reasoning_details": [
                    {"type": "reasoning.text", "text": "a", "signature": "s", "format": "anthropic-claude-v1", "index": 0},
                    {"type": "reasoning.encrypted", "data": "d", "format": "anthropic-claude-v1", "index": 1},
                    {"type": "reasoning.text", "text": "b", "format": "unknown", "index": 2},
                ],
                "tool_calls": [{
                    "id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"},
                    "extra_content": {"google": {"thought_signature": "g"}},
                }],
            },
            "logprobs": null, "finish_reason": "tool_calls",
        }],
        "usage": {
            "prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14,
            "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 3},
        },
        "service_tier": "default",
    });
    assert_eq!(written(&answer), expected);
    let again = parse(&render(&answer, &frame()), &frame()).unwrap();
    assert_eq!(short(&again), "think a s | redacted d | think b - | text xy | t f {} g = Tools");
}

#[test]
fn content_is_null_only_beside_something_else() {
    let message =
        |parts: Vec<Part>| written(&Answer { parts, ..Answer::default() })["choices"][0]["message"]["content"].clone();
    assert_eq!(message(vec![]), json!(""));
    assert_eq!(message(vec![Part::Call(Call::default())]), Value::Null);
    assert_eq!(message(vec![Part::Refusal("no".to_owned())]), Value::Null);
    assert_eq!(message(vec![Part::Text(Text::new("a"))]), json!("a"));
    assert_eq!(written(&Answer::default())["model"], json!("asked"));
}
