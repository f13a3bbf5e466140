//! Whole answers: each kind of block, each reason to stop, and what is no answer.

use proptest::prelude::*;

use super::*;
use crate::dialect::canonical::{Stop, Usage};

fn frame() -> Frame {
    Frame { id: 7, created: 0, model: "m".into(), include_usage: false }
}

fn body(content: &str, stop: &str) -> String {
    format!(
        r#"{{"metrics":{{"latencyMs":1}},"output":{{"message":{{"content":[{content}],"role":"assistant"}}}},"stopReason":"{stop}",
            "usage":{{"inputTokens":10,"outputTokens":5,"totalTokens":35,"cacheReadInputTokens":12,"cacheWriteInputTokens":8,
            "cacheDetails":[]}},"serviceTier":{{"type":"flex"}}}}"#
    )
}

fn read(content: &str, stop: &str) -> Answer {
    parse(body(content, stop).as_bytes(), &frame()).unwrap()
}

/// A part as one line.
fn line(part: &Part) -> String {
    match part {
        Part::Text(text) => format!("text {}", text.text),
        Part::Thinking { text, signature } => format!("thinking {text} {signature:?}"),
        Part::Redacted { data } => format!("redacted {data}"),
        Part::Call(call) => format!("call {} {} {}", call.id, call.name, call.input),
        Part::Refusal(_) | Part::Image(_) | Part::Document(_) | Part::Audio { .. } | Part::Result(_) => "?".into(),
    }
}

#[test]
fn every_block_becomes_a_part_in_its_order() {
    let minted = ids::mint(7, 0);
    let answer = read(
        r#"{"reasoningContent":{"reasoningText":{"text":"hm","signature":"sig"}}},
           {"reasoningContent":{"reasoningText":{"text":"no signature"}}},
           {"reasoningContent":{"redactedContent":"c2VjcmV0"}},
           {"text":"Hello \"you\""},{"text":""},
           {"citationsContent":{"content":[{"text":"cited"},{"text":" too"}],"citations":[{"title":"t"}]}},
           {"toolUse":{"toolUseId":"s1","name":"nova_code_interpreter","input":{},"type":"server_tool_use"}},
           {"toolResult":{"toolUseId":"s1","content":[{"json":{}}]}},
           {"toolUse":{"name":"f","input":{"a": [1, "x"]},"type":"tool_use"}},
           {"toolUse":{"toolUseId":"t2","name":"g"}},
           {"newKind":{"x":1}}"#,
        "tool_use",
    );
    assert_eq!(
        answer.parts.iter().map(line).collect::<Vec<_>>(),
        [
            "thinking hm Some(\"sig\")",
            "thinking no signature None",
            "redacted c2VjcmV0",
            "text Hello \"you\"",
            "text cited too",
            &format!("call {minted} f {{\"a\": [1, \"x\"]}}"),
            "call t2 g {}",
        ]
    );
    assert_eq!(answer.stop, Stop::Tools);
    assert_eq!(answer.service_tier.as_deref(), Some("flex"));
}

#[test]
fn cached_tokens_are_counted_once() {
    let usage = Usage { input: 30, cache_read: 12, cache_write: 8, output: 5, reasoning: 0 };
    assert_eq!(read(r#"{"text":"a"}"#, "end_turn").usage, Some(usage));
}

#[test]
fn each_reason_to_stop() {
    let call = r#"{"toolUse":{"toolUseId":"t","name":"f","input":{}}}"#;
    for (reason, content, stop) in [
        ("end_turn", "", Stop::End),
        ("stop_sequence", "", Stop::Sequence),
        ("max_tokens", "", Stop::Length),
        ("model_context_window_exceeded", "", Stop::Length),
        ("tool_use", call, Stop::Tools),
        ("end_turn", call, Stop::Tools),
        ("max_tokens", call, Stop::Length),
        ("guardrail_intervened", "", Stop::Filtered),
        ("content_filtered", "", Stop::Filtered),
        ("something_new", "", Stop::End),
    ] {
        assert_eq!(read(content, reason).stop, stop, "{reason}");
    }
    for reason in ["malformed_model_output", "malformed_tool_use"] {
        assert_eq!(parse(body("", reason).as_bytes(), &frame()).map(|_| ()), Err(Whole::Error), "{reason}");
    }
}

#[test]
fn the_stop_text_is_what_claude_itself_said() {
    for (fields, sequence) in [
        (r#""additionalModelResponseFields":{"stop_sequence":"END"},"#, Some("END")),
        (r#""additionalModelResponseFields":{"stop_sequence":null},"#, None),
        ("", None),
    ] {
        let body = body("", "stop_sequence").replacen('{', &format!("{{{fields}"), 1);
        assert_eq!(parse(body.as_bytes(), &frame()).unwrap().stop_sequence.as_deref(), sequence);
    }
}

#[test]
fn what_is_no_answer() {
    for (body, whole) in [
        (r#"{"message":"The model is busy"}"#, Whole::Error),
        (r#"{"output":{},"stopReason":"end_turn"}"#, Whole::Error),
        (r#"{"output":{"message":{"content":[]}}}"#, Whole::Error),
        (r#"[{"message":{"content":[]}},"end_turn"]"#, Whole::Error),
        ("null", Whole::Error),
        ("", Whole::NotJson),
        ("<html>", Whole::NotJson),
        (r#"{"output":{"message":{"content":[{"text":"cut o"#, Whole::NotJson),
    ] {
        assert_eq!(parse(body.as_bytes(), &frame()).map(|_| ()), Err(whole), "{body}");
    }
}

proptest! {
    #[test]
    fn damaged_answers_are_survived(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let content = r#"{"text":"\u00e9"},{"toolUse":{"toolUseId":"t","name":"f","input":{"a":1}}},{"reasoningContent":{"redactedContent":"eA=="}}"#;
        let mut bytes = body(content, "end_turn").into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if cut {
            bytes.truncate(at);
        }
        let _ = parse(&bytes, &frame());
    }
}
