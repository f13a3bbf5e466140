//! Canonical events become Messages streams.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::dialect::anthropic::reader::tests::heard;
use crate::dialect::anthropic::stream::scan;
use crate::dialect::openai_chat::stream::Signal;
use crate::framing::sse;

fn written(events: &[Event<'_>]) -> String {
    let frame = Frame { id: 255, created: 0, model: "asked".to_owned(), include_usage: true };
    let mut writer = Writer::new(&frame);
    let mut out = BytesMut::new();
    for event in events {
        writer.write(event, &mut out);
    }
    String::from_utf8(out.to_vec()).unwrap()
}

/// The data of each frame, whose name is its type.
fn frames(text: &str) -> Vec<Value> {
    let data = |event: sse::Event<'_>| {
        let data: Value = serde_json::from_slice(&event.data.unwrap()).unwrap();
        assert_eq!(event.name, data["type"].as_str().map(str::as_bytes));
        data
    };
    sse::events(text.as_bytes()).map(data).collect()
}

/// The blocks of a stream as an Anthropic client puts them together, and that they came one after the other.
fn blocks(text: &str) -> Vec<Value> {
    let mut blocks: Vec<Value> = Vec::new();
    let mut open = false;
    for frame in frames(text) {
        match frame["type"].as_str().unwrap() {
            "content_block_start" => {
                assert!(!open && frame["index"] == blocks.len());
                open = true;
                blocks.push(frame["content_block"].clone());
            }
            "content_block_delta" => {
                assert!(open && frame["index"] == blocks.len() - 1);
                let block = blocks.last_mut().unwrap();
                let delta = &frame["delta"];
                let (kind, field) = match delta["type"].as_str().unwrap() {
                    "text_delta" => ("text", "text"),
                    "thinking_delta" => ("thinking", "thinking"),
                    "signature_delta" => ("thinking", "signature"),
                    "input_json_delta" => ("tool_use", "partial_json"),
                    other => panic!("{other}"),
                };
                assert_eq!(block["type"], kind);
                let so_far = block[field].as_str().unwrap_or_default().to_owned();
                block[field] = format!("{so_far}{}", delta[field].as_str().unwrap()).into();
            }
            "content_block_stop" => {
                assert!(open && frame["index"] == blocks.len() - 1);
                open = false;
            }
            _ => assert!(!open),
        }
    }
    assert!(!open);
    blocks
}

fn call(index: usize) -> Event<'static> {
    Event::Call { index, id: format!("call_{index}").into(), name: "f".into(), signature: None }
}

fn input(index: usize, json: &str) -> Event<'_> {
    Event::Input { index, json: json.into() }
}

fn finish(stop: Stop) -> Event<'static> {
    Event::Finish { stop, sequence: None }
}

fn used(index: usize, partial_json: &str) -> Value {
    json!({ "type": "tool_use", "id": format!("call_{index}"), "name": "f", "input": {}, "partial_json": partial_json })
}

#[test]
fn every_event_is_written_in_order() {
    let usage = |input, output| Event::Usage(Usage { input, cache_read: 4, cache_write: 0, output, reasoning: 0 });
    let text = written(&[
        Event::Start { id: Some("chatcmpl-1".into()), model: Some("gpt-x".into()) },
        usage(10, 1),
        Event::Text("a\n\"b\"".into()),
        Event::Text("c".into()),
        Event::Finish { stop: Stop::Sequence, sequence: Some("END".into()) },
        usage(10, 9),
        Event::End,
        Event::Text("late".into()),
    ]);
    let counts = |output: u64| json!({ "input_tokens": 6, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 4, "output_tokens": output });
    let delta = |text: &str| json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": text } });
    assert_eq!(
        frames(&text),
        [
            json!({ "type": "message_start", "message": { "id": "msg_chatcmpl-1", "type": "message", "role": "assistant", "model": "gpt-x", "content": [], "stop_reason": null, "stop_sequence": null, "usage": counts(1) } }),
            json!({ "type": "ping" }),
            json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
            delta("a\n\"b\""),
            delta("c"),
            json!({ "type": "content_block_stop", "index": 0 }),
            json!({ "type": "message_delta", "delta": { "stop_reason": "stop_sequence", "stop_sequence": "END" }, "usage": counts(9) }),
            json!({ "type": "message_stop" }),
        ]
    );
}

#[test]
fn nothing_goes_out_before_there_is_something_to_say() {
    let began = Event::Start { id: None, model: None };
    assert_eq!(written(&[began.clone(), Event::Usage(Usage::default())]), "");
    let empty = written(&[began, finish(Stop::Filtered), Event::End]);
    let all = frames(&empty);
    assert_eq!(
        (all.len(), &all[0]["message"]["id"], &all[0]["message"]["model"]),
        (4, &json!("msg_00000000000000ff"), &json!("asked"))
    );
    assert_eq!(all[2]["delta"]["stop_reason"], "refusal");
}

#[test]
fn a_cut_answer_does_not_look_complete() {
    for events in [vec![Event::Text("a".into()), Event::End], vec![Event::Text("a".into()), finish(Stop::End)]] {
        assert!(!written(&events).contains("message_delta"), "{events:?}");
    }
}

#[test]
fn thinking_is_closed_by_a_signature_or_by_the_mark_that_there_is_none() {
    let text = written(&[
        Event::Thinking("a".into()),
        Event::Signature("Sig".into()),
        Event::Thinking("b".into()),
        Event::Signature("Sig2".into()),
        Event::Signature("Sig3".into()),
        Event::Redacted("D".into()),
        Event::Thinking("c".into()),
        Event::Text("d".into()),
        Event::Refusal("e".into()),
        finish(Stop::End),
        Event::End,
    ]);
    let thought =
        |thinking: &str, signature: &str| json!({ "type": "thinking", "thinking": thinking, "signature": signature });
    assert_eq!(
        blocks(&text),
        [
            thought("a", "Sig"),
            thought("b", "Sig2"),
            thought("", "Sig3"),
            json!({ "type": "redacted_thinking", "data": "D" }),
            thought("c", "backstop:unsigned"),
            json!({ "type": "text", "text": "de" }),
        ]
    );
    assert!(text.contains(r#""stop_reason":"refusal""#));
}

#[test]
fn calls_by_turns_come_out_one_after_the_other() {
    let end = || [finish(Stop::End), Event::End];
    for (events, expected) in [
        // One after the other, as most vendors send them.
        (
            vec![call(0), input(0, "{\"a\":"), input(0, "1}"), call(1), input(1, "{}")],
            vec![used(0, r#"{"a":1}"#), used(1, "{}")],
        ),
        // By turns.
        (
            vec![
                call(0),
                call(1),
                input(1, "{\"b\""),
                input(0, "{\"a"),
                call(2),
                input(1, ":2}"),
                input(0, "}\":1}"),
                input(2, "{}"),
            ],
            vec![used(0, r#"{"a}":1}"#), used(1, r#"{"b":2}"#), used(2, "{}")],
        ),
        // Without input nobody knows whether there is more to come.
        (vec![call(0), call(1), call(2), input(2, "{}")], vec![used(0, ""), used(1, ""), used(2, "{}")]),
        // What is said in between waits in its place.
        (
            vec![
                call(0),
                input(0, "{"),
                Event::Text("a".into()),
                Event::Text("b".into()),
                call(1),
                Event::Thinking("t".into()),
                Event::Signature("S".into()),
                Event::Redacted("D".into()),
                input(0, "}"),
                Event::Text("c".into()),
            ],
            vec![
                used(0, "{}"),
                json!({ "type": "text", "text": "ab" }),
                used(1, ""),
                json!({ "type": "thinking", "thinking": "t", "signature": "S" }),
                json!({ "type": "redacted_thinking", "data": "D" }),
                json!({ "type": "text", "text": "c" }),
            ],
        ),
        // Cut off by the limit.
        (vec![call(0), input(0, "{\"a"), call(1)], vec![used(0, "{\"a"), used(1, "")]),
    ] {
        let expected: Vec<Value> = expected
            .into_iter()
            .map(|mut block| {
                if block["partial_json"] == "" {
                    block.as_object_mut().unwrap().remove("partial_json");
                }
                block
            })
            .collect();
        let text = written(&[events.clone(), end().to_vec()].concat());
        assert_eq!(blocks(&text), expected, "{events:?}");
        assert!(text.contains(r#""stop_reason":"tool_use""#), "vendors that stop at a call: {text}");
    }
}

#[test]
fn what_waits_is_bounded() {
    let piece = "x".repeat(4 << 20);
    let mut events = vec![call(0), Event::Text("a".into())];
    events.extend((0..5).map(|_| Event::Text(piece.as_str().into())));
    events.extend([finish(Stop::End), Event::End]);
    let text = written(&events);
    assert!(text.contains("event: error\n") && !text.contains("message_stop"));
}

#[test]
fn errors_and_garbage_are_told_to_whoever_reads_the_frames() {
    let text = written(&[
        Event::Malformed,
        Event::Error(b"{\"error\":\n\"no\r\n\"}".as_slice().into()),
        Event::Text("late".into()),
    ]);
    let signals: Vec<Signal> =
        sse::events(text.as_bytes()).map(|event| scan(event.name, &event.data.unwrap())).collect();
    assert_eq!(signals, [Signal::Malformed, Signal::Error]);
    assert!(text.ends_with("event: error\ndata: {\"error\":\"no\"}\n\n"), "{text}");
}

/// Events as readers give them: calls numbered without a gap, each input one JSON object in pieces.
fn conversation() -> impl Strategy<Value = Vec<Event<'static>>> {
    let step = (0..6u8, 0..4usize, "[a-z\"\\\\{}é]{1,6}");
    prop::collection::vec(step, 0..40).prop_map(|steps| {
        let mut events = vec![Event::Start { id: Some("msg_1".into()), model: Some("m".into()) }];
        let mut open: Vec<(usize, Vec<String>)> = Vec::new();
        let mut calls = 0;
        for (kind, which, text) in steps {
            match kind {
                0 => events.push(Event::Text(text.into())),
                1 => events.extend([Event::Thinking(text.into()), Event::Signature("Sig".into())]),
                2 => events.push(Event::Redacted(text.into())),
                3 => {
                    events.push(call(calls));
                    let json = json!({ "a": text }).to_string();
                    let mut pieces: Vec<String> = json.chars().map(String::from).collect();
                    pieces.reverse();
                    open.push((calls, pieces));
                    calls += 1;
                }
                _ => {
                    let place = which % open.len().max(1);
                    if let Some((index, pieces)) = open.get_mut(place)
                        && let Some(json) = pieces.pop()
                    {
                        events.push(Event::Input { index: *index, json: json.into() });
                    }
                }
            }
        }
        for (index, pieces) in open {
            events.extend(pieces.into_iter().rev().map(|json| Event::Input { index, json: json.into() }));
        }
        events.extend([
            finish(Stop::Tools),
            Event::Usage(Usage { input: 3, output: 2, ..Usage::default() }),
            Event::End,
        ]);
        events
    })
}

/// What a conversation says, without the places at which it was cut.
fn meaning(events: &[Event<'_>]) -> (String, Vec<String>, Vec<String>) {
    let (mut text, mut thought, mut calls) = (String::new(), Vec::new(), Vec::new());
    for event in events {
        match event {
            Event::Text(more) => text.push_str(more),
            Event::Thinking(more) | Event::Redacted(more) => thought.push(more.to_string()),
            Event::Call { id, .. } => calls.push(format!("{id}:")),
            Event::Input { index, json } => calls[*index].push_str(json),
            _ => {}
        }
    }
    (text, thought, calls)
}

proptest! {
    #[test]
    fn whatever_the_order_nothing_is_lost_or_misplaced(events in conversation()) {
        let text = written(&events);
        blocks(&text);
        prop_assert_eq!(meaning(&heard(&[text.as_bytes()])), meaning(&events));
    }
}
