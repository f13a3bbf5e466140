//! Whatever comes, well formed or not: nothing here panics, and what is written is JSON.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::reader::tests::heard;
use super::{amend, answer, head, parse, render, stream, writer};
use crate::dialect::canonical::{Frame, Profile};
use crate::dialect::openai_chat::response::Whole;
use crate::dialect::vendor::Vendor;
use crate::policy::capability::Abilities;

const SEEDS: &[&str] = &[
    r#"{"model":"m","max_tokens":5000,"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral","ttl":"1h"}}],"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA"}},{"type":"document","source":{"type":"content","content":[{"type":"text","text":"x"}]},"title":"T"}]},{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"backstop:unsigned"},{"type":"tool_use","id":"a.b","name":"f","input":{"a":[1.5]}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a.b","content":[{"type":"text","text":"r"}],"is_error":true}]}],"tools":[{"name":"f","description":"d","input_schema":{"type":"object"},"strict":true}],"tool_choice":{"type":"tool","name":"f","disable_parallel_tool_use":true},"thinking":{"type":"enabled","budget_tokens":2000},"output_config":{"format":{"type":"json_schema","schema":{"type":"object"}},"effort":"max"},"temperature":1.5,"top_p":0.97,"stop_sequences":["x"],"metadata":{"user_id":"u"},"service_tier":"auto","stream":true,"context_management":{"edits":[{"type":"clear_thinking_20251015"}]}}"#,
    r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"thinking","thinking":"hm","signature":"Sig"},{"type":"text","text":"a"},{"type":"tool_use","id":"toolu_1","name":"f","input":{"b":[1.5]}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":3,"cache_creation_input_tokens":5,"output_tokens":2}}"#,
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":3}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}}\n\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"partial_json\":\"{}\"}}\n\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":2}}\n\ndata: {\"type\":\"message_stop\"}\n\n",
];

/// Pieces that are put over others.
const PIECES: &[&str] = &[
    "null",
    "{}",
    "[]",
    "\"\"",
    "7",
    "-1e999",
    "18446744073709551616",
    "true",
    "\"\\ud83d\"",
    "\\",
    "\"",
    ",",
    "{",
    "]",
    "\u{1F600}",
    "\"type\"",
    "\"thinking\"",
    "\"tool_result\"",
    "\"system\"",
    "\"none\"",
    "[[[[[[[[",
    "\n\n",
    "\r",
    "data: ",
];

fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), 0..24usize, prop::sample::select(PIECES));
    let changes = prop::collection::vec(change, 0..6);
    (prop::sample::select(SEEDS), changes).prop_map(|(seed, changes)| {
        let mut bytes = seed.as_bytes().to_vec();
        for (place, length, piece) in changes {
            let start = place.index(bytes.len() + 1);
            let end = (start + length).min(bytes.len());
            bytes.splice(start..end, piece.bytes());
        }
        bytes
    })
}

/// Seeds of which one value is another: still JSON, of another shape.
fn reshaped() -> impl Strategy<Value = Vec<u8>> {
    let values =
        prop::sample::select(&["null", "{}", "[]", "\"\"", "7", "-1", "true", "\"text\"", "[{}]", "[\"a\"]"][..]);
    (prop::sample::select(&SEEDS[..2]), any::<prop::sample::Index>(), values).prop_map(|(seed, place, value)| {
        let colons: Vec<usize> = seed.match_indices("\":").map(|(at, _)| at + 2).collect();
        let start = colons[place.index(colons.len())];
        let rest: &str = &seed[start..];
        let length = first_value(rest);
        [&seed[..start], value, &seed[start + length..]].concat().into_bytes()
    })
}

fn first_value(text: &str) -> usize {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde::de::IgnoredAny>();
    values.next();
    values.byte_offset()
}

fn survive(body: &[u8]) -> Result<(), TestCaseError> {
    let frame = Frame { id: 1, created: 1, model: "m".to_owned(), include_usage: true };
    let abilities = Abilities::default();
    let _head = head::read(body);
    for model in ["claude-3-5-sonnet-latest", "claude-sonnet-4-5", "claude-opus-5", "gpt-4o"] {
        let profile = Profile { model, vendor: Vendor::Anthropic, abilities: &abilities };
        if let Ok(request) = parse::request(body)
            && let Ok(rendered) = render::request(&request, &profile)
        {
            let again = parse::request(&rendered.body);
            prop_assert!(again.is_ok(), "{:?}: {}", again, String::from_utf8_lossy(&rendered.body));
        }
        if let Some(amended) = amend::amend(&Bytes::copy_from_slice(body), &profile) {
            prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&amended.body).is_ok());
        }
    }
    if let Ok(answer) = answer::parse(body, &frame) {
        let rendered = answer::render(&answer, &frame);
        let good = matches!(answer::inspect(&rendered), Whole::Good { .. });
        prop_assert!(good, "{}", String::from_utf8_lossy(&rendered));
    }
    let _count = answer::inspect_count(body);
    let _signal = (stream::scan(None, body), stream::is_plain(None, body));
    let (mut out, mut writer) = (BytesMut::new(), writer::Writer::new(&frame));
    for event in heard(&[body]) {
        writer.write(&event, &mut out);
    }
    heard(&[&out]);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn mutations_are_survived(body in mutated()) {
        survive(&body)?;
    }

    #[test]
    fn other_shapes_are_survived(body in reshaped()) {
        survive(&body)?;
    }

    #[test]
    fn noise_is_survived(body in prop::collection::vec(any::<u8>(), 0..80)) {
        survive(&body)?;
    }
}

#[test]
fn deep_nesting_is_survived() {
    for (open, close) in [("[", "]"), ("{\"content\":[", "]}"), ("{\"a\":", "}")] {
        for depth in [100, 10_000] {
            let deep = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let body = format!(
                r#"{{"max_tokens":1,"messages":[{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"a.b","content":{deep}}}]}}]}}"#
            );
            survive(body.as_bytes()).unwrap();
            survive(
                format!(r#"{{"type":"message","content":[{{"type":"tool_use","name":"f","input":{deep}}}]}}"#)
                    .as_bytes(),
            )
            .unwrap();
        }
    }
}
