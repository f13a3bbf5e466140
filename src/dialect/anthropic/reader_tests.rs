//! Messages streams become canonical events.

use std::borrow::Cow;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::dialect::canonical::{Stop, Usage};
use crate::framing::sse::{Block as Piece, Frames, events};

pub(in crate::dialect::anthropic) fn owned(event: Event<'_>) -> Event<'static> {
    fn text(text: Cow<'_, str>) -> Cow<'static, str> {
        Cow::Owned(text.into_owned())
    }
    match event {
        Event::Start { id, model } => Event::Start { id: id.map(text), model: model.map(text) },
        Event::Text(said) => Event::Text(text(said)),
        Event::Half(half) => Event::Half(half),
        Event::Refusal(said) => Event::Refusal(text(said)),
        Event::Thinking(said) => Event::Thinking(text(said)),
        Event::Signature(said) => Event::Signature(text(said)),
        Event::Redacted(said) => Event::Redacted(text(said)),
        Event::Call { index, id, name, signature } => {
            Event::Call { index, id: text(id), name: text(name), signature: signature.map(text) }
        }
        Event::Input { index, json } => Event::Input { index, json: text(json) },
        Event::Finish { stop, sequence } => Event::Finish { stop, sequence: sequence.map(text) },
        Event::Usage(usage) => Event::Usage(usage),
        Event::End => Event::End,
        Event::Error(data) => Event::Error(Cow::Owned(data.into_owned())),
        Event::Malformed => Event::Malformed,
    }
}

/// What a stream in pieces says.
pub(in crate::dialect::anthropic) fn heard(pieces: &[&[u8]]) -> Vec<Event<'static>> {
    let frame = Frame { id: 7, created: 0, model: "asked".to_owned(), include_usage: true };
    let mut reader = Reader::new(&frame);
    let mut heard = Vec::new();
    let mut frames = Frames::new(1 << 20);
    let mut read = |block: &[u8], reader: &mut Reader| {
        for event in events(block) {
            if let Some(data) = &event.data {
                reader.read(event.name, data, &mut |event| heard.push(owned(event)));
            }
        }
    };
    for piece in pieces {
        frames.push(Bytes::copy_from_slice(piece));
        while let Some(block) = frames.pull() {
            let (Piece::Whole(bytes) | Piece::Loose(bytes)) = block;
            read(&bytes, &mut reader);
        }
    }
    let rest = frames.rest();
    read(&rest, &mut reader);
    reader.end(&mut |event| heard.push(owned(event)));
    heard
}

/// A stream of these data, named after their types.
fn stream(data: &[&str]) -> String {
    let frame = |data: &&str| {
        let name = data.split('"').nth(3).unwrap_or_default();
        format!("event: {name}\ndata: {data}\n\n")
    };
    data.iter().map(frame).collect()
}

fn said(data: &[&str]) -> Vec<Event<'static>> {
    heard(&[stream(data).as_bytes()])
}

const START: &str = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[],"usage":{"input_tokens":3,"cache_read_input_tokens":7,"output_tokens":1}}}"#;
const STOPPED: &str = r#"{"type":"message_stop"}"#;

fn start() -> Event<'static> {
    Event::Start { id: Some("msg_1".into()), model: Some("claude-x".into()) }
}

/// One of each kind of event.
const ALL: &[&str] = &[
    START,
    r#"{"type": "ping"}"#,
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm é"}}  "#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"Sig"}}"#,
    r#"{"type":"content_block_stop","index":0}"#,
    r#"{"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"D"}}"#,
    r#"{"type":"content_block_stop","index":1}"#,
    r#"{"type":"content_block_start","index":2,"content_block":{"type":"text","text":""}}"#,
    r#"{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"a\n\u00e9"}}"#,
    r#"{"type":"content_block_delta","index":2,"delta":{"type":"citations_delta","citation":{"type":"x","text":"no"}}}"#,
    r#"{"type":"content_block_stop","index":2}"#,
    r#"{"type":"content_block_start","index":3,"content_block":{"type":"server_tool_use","id":"s","name":"web_search","input":{}}}"#,
    r#"{"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{\"query\":1}"}}"#,
    r#"{"type":"content_block_stop","index":3}"#,
    r#"{"type":"content_block_start","index":4,"content_block":{"type":"web_search_tool_result","tool_use_id":"s","content":[{"text":7}]}}"#,
    r#"{"type":"content_block_stop","index":4}"#,
    r#"{"type":"content_block_start","index":5,"content_block":{"type":"tool_use","id":"toolu_1","name":"f","input":{}}}"#,
    r#"{"type":"content_block_delta","index":5,"delta":{"type":"input_json_delta","partial_json":""}}"#,
    r#"{"type":"content_block_delta","index":5,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}"#,
    r#"{"type":"content_block_delta","index":5,"delta":{"type":"input_json_delta","partial_json":"1}"}}"#,
    r#"{"type":"content_block_stop","index":5}"#,
    r#"{"type":"content_block_start","index":6,"content_block":{"type":"tool_use","id":"toolu_2","name":"g","input":{}}}"#,
    r#"{"type":"content_block_stop","index":6}"#,
    r#"{"type":"some_day","index":6}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":9}}"#,
    STOPPED,
];

#[test]
fn a_stream_is_read() {
    let call = |index: usize, id: &'static str, name: &'static str| Event::Call {
        index,
        id: id.into(),
        name: name.into(),
        signature: None,
    };
    let input = |json: &'static str| Event::Input { index: 0, json: json.into() };
    assert_eq!(
        said(ALL),
        [
            start(),
            Event::Usage(Usage { input: 10, cache_read: 7, output: 1, ..Usage::default() }),
            Event::Thinking("hm é".into()),
            Event::Signature("Sig".into()),
            Event::Redacted("D".into()),
            Event::Text("a\né".into()),
            call(0, "toolu_1", "f"),
            input("{\"a\":"),
            input("1}"),
            call(1, "toolu_2", "g"),
            Event::Finish { stop: Stop::Tools, sequence: None },
            Event::Usage(Usage { output: 9, ..Usage::default() }),
            Event::End,
        ]
    );
}

#[test]
fn input_that_comes_with_the_call_counts_once() {
    let begin = r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"","name":"f","input":{"a":1}}}"#;
    let more =
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\":2}"}}"#;
    let close = r#"{"type":"content_block_stop","index":0}"#;
    let call = Event::Call { index: 0, id: ids::mint(7, 0).into(), name: "f".into(), signature: None };
    let began = Event::Start { id: None, model: None };
    let input = |json: &'static str| Event::Input { index: 0, json: json.into() };
    assert_eq!(said(&[begin, close]), [began.clone(), call.clone(), input(r#"{"a":1}"#)]);
    assert_eq!(said(&[begin, more, close]), [began, call, input(r#"{"a":2}"#)]);
}

#[test]
fn ends_are_told_from_cuts() {
    let delta =
        r#"{"type":"message_delta","delta":{"stop_reason":"stop_sequence","stop_sequence":"END"},"usage":null}"#;
    let finish = Event::Finish { stop: Stop::Sequence, sequence: Some("END".into()) };
    let usage = Event::Usage(Usage { input: 10, cache_read: 7, output: 1, ..Usage::default() });
    let finished = vec![start(), usage.clone(), finish, Event::End];
    assert_eq!(said(&[START, delta, STOPPED, STOPPED, START]), finished);
    assert_eq!(said(&[START, delta]), finished, "finished, if not in so many words");
    assert_eq!(said(&[START, delta, delta, "[DONE]"]), finished);
    assert_eq!(said(&[START]), [start(), usage], "cut off");
}

#[test]
fn errors_end_all_and_garbage_is_told() {
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let failed = [Event::Error(Cow::Borrowed(error.as_bytes()))];
    assert_eq!(said(&[error, START]), failed);
    assert_eq!(heard(&[format!("data: {error}\n\n").as_bytes()]), failed);
    assert_eq!(heard(&[b"event: error\ndata: text\n\n"]), [Event::Error(Cow::Borrowed(b"text"))]);
    for data in
        ["x", "[1]", "{\"cut", "{\"type\":\"message_start\"}", r#"{"type":"content_block_delta","delta":{"text":7}}"#]
    {
        assert_eq!(heard(&[format!("data: {data}\n\n").as_bytes()]), [Event::Malformed], "{data}");
    }
    assert_eq!(heard(&[b"event: ping\ndata: {}\n\n: comment\n\n"]), []);
}

#[test]
fn a_mark_that_nobody_signed_is_no_signature() {
    let signature = r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"backstop:unsigned"}}"#;
    assert_eq!(said(&[signature]), [Event::Start { id: None, model: None }]);
}

proptest! {
    #[test]
    fn splits_change_nothing(cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12), crlf in any::<bool>()) {
        let text = stream(ALL);
        let text = if crlf { text.replace('\n', "\r\n") } else { text };
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &text.as_bytes()[pair[0]..pair[1]]).collect();
        prop_assert_eq!(heard(&pieces), said(ALL));
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        prop_assert_eq!(heard(&bytes), said(ALL));
    }
}
