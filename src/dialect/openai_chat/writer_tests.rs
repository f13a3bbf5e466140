//! Tests of [`writer`](super).

use std::borrow::Cow;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::dialect::openai_chat::reader::Reader;
use crate::dialect::openai_chat::repeat::Repeat;
use crate::dialect::openai_chat::stream::{Said, Signal, scan};
use crate::framing::sse;

fn frame(include_usage: bool) -> Frame {
    Frame { id: 7, created: 1_700_000_000, model: "claude".to_owned(), include_usage }
}

fn write(events: &[Event<'_>], include_usage: bool) -> String {
    let mut writer = Writer::new(&frame(include_usage));
    let mut out = BytesMut::new();
    for event in events {
        writer.write(event, &mut out);
    }
    String::from_utf8(out.to_vec()).unwrap()
}

const START: Event<'_> = Event::Start { id: Some(Cow::Borrowed("msg_1")), model: None };
const FINISH: Event<'_> = Event::Finish { stop: Stop::End, sequence: None };

/// Each chunk's delta, and what is no delta as it stands.
fn deltas(stream: &str) -> Vec<String> {
    let around =
        r#"{"id":"chatcmpl-msg_1","object":"chat.completion.chunk","created":1700000000,"model":"claude","choices":["#;
    stream
        .split_terminator("\n\n")
        .map(|frame| {
            let data = frame.strip_prefix("data: ").unwrap_or(frame);
            let Some(rest) = data.strip_prefix(around) else { return data.to_owned() };
            rest.strip_prefix(r#"{"index":0,"delta":"#).unwrap_or(rest).replace(r#","finish_reason":null}]}"#, "")
        })
        .collect()
}

#[test]
fn every_event_makes_its_chunk() {
    let usage = Usage { input: 9, cache_read: 4, cache_write: 2, output: 5, reasoning: 3 };
    let events = [
        START,
        Event::Thinking("a".into()),
        Event::Thinking("b".into()),
        Event::Signature("s".into()),
        Event::Redacted("d".into()),
        Event::Text("say \"x\"\n".into()),
        Event::Refusal("no".into()),
        Event::Call { index: 0, id: "t".into(), name: "f".into(), signature: Some("g".into()) },
        Event::Input { index: 0, json: "{\"x\":1}".into() },
        Event::Call { index: 1, id: "u".into(), name: "g".into(), signature: None },
        Event::Usage(Usage { output: 0, ..usage }),
        Event::Finish { stop: Stop::Tools, sequence: None },
        Event::Usage(Usage { input: 0, ..usage }),
        Event::End,
        Event::Text("late".into()),
    ];
    let expected = [
        r#"{"role":"assistant","content":""}"#,
        r#"{"reasoning_content":"a"}"#,
        r#"{"reasoning_content":"b"}"#,
        r#"{"reasoning_details":[{"type":"reasoning.text","text":"ab","signature":"s","format":"anthropic-claude-v1","index":0}]}"#,
        r#"{"reasoning_details":[{"type":"reasoning.encrypted","data":"d","format":"anthropic-claude-v1","index":1}]}"#,
        r#"{"content":"say \"x\"\n"}"#,
        r#"{"refusal":"no"}"#,
        r#"{"tool_calls":[{"index":0,"id":"t","type":"function","function":{"name":"f","arguments":""},"extra_content":{"google":{"thought_signature":"g"}}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":1}"}}]}"#,
        r#"{"tool_calls":[{"index":1,"id":"u","type":"function","function":{"name":"g","arguments":""}}]}"#,
        // Nothing is no JSON.
        r#"{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]}"#,
        r#"{},"finish_reason":"tool_calls"}]}"#,
        r#"],"usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14,"prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":2},"completion_tokens_details":{"reasoning_tokens":3}}}"#,
        "[DONE]",
    ];
    assert_eq!(deltas(&write(&events, true)), expected);
    let unasked = deltas(&write(&events, false));
    assert!(
        !unasked.iter().any(|chunk| chunk.contains("usage")) && unasked.last().map(String::as_str) == Some("[DONE]")
    );
}

#[test]
fn reasons_ids_and_models() {
    for (stop, reason) in [
        (Stop::End, "stop"),
        (Stop::Sequence, "stop"),
        (Stop::Paused, "stop"),
        (Stop::Length, "length"),
        (Stop::Tools, "tool_calls"),
        (Stop::Filtered, "content_filter"),
    ] {
        let stream = write(&[START, Event::Finish { stop, sequence: Some("x".into()) }], false);
        assert!(stream.contains(&format!(r#""delta":{{}},"finish_reason":"{reason}""#)), "{stop:?}");
    }
    for (id, expected) in [
        (Some("chatcmpl-9"), "chatcmpl-9"),
        (Some("gen-1"), "chatcmpl-gen-1"),
        (Some(""), "chatcmpl-0000000000000007"),
        (None, "chatcmpl-0000000000000007"),
    ] {
        let start = Event::Start { id: id.map(Cow::Borrowed), model: Some("a \"b\"".into()) };
        let stream = write(&[start], false);
        assert!(
            stream.starts_with(&format!(r#"data: {{"id":"{expected}","object""#))
                && stream.contains(r#""model":"a \"b\"""#),
            "{stream}"
        );
    }
    // A stream that nobody began, and one that says nothing at all.
    assert!(write(&[Event::Text("a".into())], false).contains(r#""role":"assistant""#));
    assert_eq!(write(&[Event::End], true), "data: [DONE]\n\n");
}

#[test]
fn the_gates_scan_sees_what_was_meant() {
    let frames = |events: &[Event<'_>]| {
        let stream = write(events, true);
        let block = Bytes::from(stream);
        let signal = |event: sse::Event<'_>| scan(event.name, &event.data.unwrap_or_default());
        sse::events(&block).map(signal).collect::<Vec<_>>()
    };
    let content = Signal::Chunk(Said { content: true, ..Said::default() });
    let finish = Signal::Chunk(Said { finish: true, ..Said::default() });
    assert_eq!(frames(&[START, Event::Text("a".into()), FINISH]), [Signal::Chunk(Said::default()), content, finish]);
    assert_eq!(
        frames(&[Event::Error(b"{\"error\":\r\n{}}".as_slice().into()), Event::Text("a".into())]),
        [Signal::Error]
    );
    assert_eq!(frames(&[Event::Malformed]), [Signal::Malformed]);
    assert_eq!(frames(&[START, Event::End]).last(), Some(&Signal::Done));
}

#[test]
fn text_chunks_are_alike() {
    let mut writer = Writer::new(&frame(false));
    let mut block = |event: &Event<'_>| {
        let mut out = BytesMut::new();
        writer.write(event, &mut out);
        out
    };
    let mut repeat = Repeat::default();
    block(&START);
    repeat.learn(&block(&Event::Text("first".into())));
    for text in ["second", " ä{}[]: ", "x"] {
        assert!(repeat.fits(&block(&Event::Text(text.into()))), "{text}");
    }
    assert!(!repeat.fits(&block(&FINISH)));
}

/// An answer's events, in an order that readers give them.
fn answers() -> impl Strategy<Value = Vec<Event<'static>>> {
    let text = || "[ -~äö😀\\n\\r\\t\"\\\\]{1,12}".prop_map(Cow::Owned);
    let thought = (text(), proptest::option::of("[a-zA-Z0-9+/=]{1,20}")).prop_map(|(text, sign)| {
        let sign = sign.map(|sign| Event::Signature(sign.into()));
        std::iter::once(Event::Thinking(text)).chain(sign).collect::<Vec<_>>()
    });
    let redacted = "[a-z]{1,9}".prop_map(|data| vec![Event::Redacted(data.into())]);
    let said = prop_oneof![text().prop_map(|text| vec![Event::Text(text)]), thought, redacted];
    let calls = proptest::collection::vec(("[a-zA-Z0-9_]{1,9}", text(), proptest::option::of("[a-z]{3}")), 0..3);
    (proptest::collection::vec(said, 0..6), calls, 0_usize..4, any::<[u16; 5]>()).prop_map(
        |(said, calls, stop, counts)| {
            let mut events = vec![START];
            events.extend(said.into_iter().flatten());
            let called = !calls.is_empty();
            for (index, (id, json, sign)) in calls.into_iter().enumerate() {
                let id = format!("{id}{index}");
                events.push(Event::Call { index, id: id.into(), name: "f".into(), signature: sign.map(Cow::Owned) });
                events.push(Event::Input { index, json });
            }
            let stop = match stop {
                0 => Stop::Length,
                1 => Stop::Filtered,
                _ if called => Stop::Tools,
                _ => Stop::End,
            };
            events.push(Event::Finish { stop, sequence: None });
            let [input, read, written, output, reasoning] = counts.map(u64::from);
            let cache_read = read.min(input);
            let usage = Usage {
                input,
                cache_read,
                cache_write: written.min(input - cache_read),
                output,
                reasoning: reasoning.min(output),
            };
            events.push(Event::Usage(usage));
            events.push(Event::End);
            events
        },
    )
}

fn read(stream: &[u8], cuts: &[usize]) -> Vec<String> {
    let mut frames = sse::Frames::new(1 << 16);
    let mut reader = Reader::new(&frame(true));
    let mut seen = Vec::new();
    let mut at = 0;
    for cut in cuts.iter().copied().chain([stream.len()]) {
        frames.push(Bytes::copy_from_slice(&stream[at..cut.max(at)]));
        at = cut.max(at);
        while let Some(sse::Block::Whole(block)) = frames.pull() {
            for event in sse::events(&block) {
                if let Some(data) = &event.data {
                    reader.read(event.name, data, &mut |event| seen.push(format!("{event:?}")));
                }
            }
        }
    }
    reader.end(&mut |event| seen.push(format!("{event:?}")));
    seen
}

proptest! {
    /// What is written reads back as what it was, however it is cut.
    #[test]
    fn what_is_written_reads_the_same(events in answers(), mut cuts in proptest::collection::vec(0_usize..4_000, 0..8)) {
        let stream = write(&events, true).into_bytes();
        let mut expected: Vec<_> = events.iter().map(|event| format!("{event:?}")).collect();
        expected[0] = format!("{:?}", Event::Start { id: Some("chatcmpl-msg_1".into()), model: Some("claude".into()) });
        prop_assert_eq!(read(&stream, &[]), expected.clone());
        cuts.retain(|cut| *cut <= stream.len());
        cuts.sort_unstable();
        prop_assert_eq!(read(&stream, &cuts), expected.clone());
        let every: Vec<_> = (0..stream.len()).collect();
        prop_assert_eq!(read(&stream, &every), expected);
    }

    /// Whatever a vendor sends: the reader and the writer survive it, and what they write is frames.
    #[test]
    fn any_data_is_survived(cut in 0_usize..900, length in 0_usize..30, with in proptest::sample::select(vec!["", "null", "7", "\"x\"", "[]", "{}", "[[", "\\u"])) {
        const CHUNK: &str = r#"{"id":"x","model":"m","choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"a"}]},{"type":"text","text":"b"}],"reasoning_details":[{"type":"reasoning.text","text":"c","signature":"s"}],"tool_calls":[{"index":0,"id":"","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"g"}}}],"refusal":"no"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":9,"prompt_tokens_details":{"cached_tokens":1}},"x_groq":{"usage":{}}}"#;
        let start = cut.min(CHUNK.len());
        let data = format!("{}{with}{}", &CHUNK[..start], &CHUNK[(start + length).min(CHUNK.len())..]);
        let mut reader = Reader::new(&frame(true));
        let mut writer = Writer::new(&frame(true));
        let mut out = BytesMut::new();
        for data in [data.as_bytes(), CHUNK.as_bytes(), data.as_bytes()] {
            reader.read(None, data, &mut |event| writer.write(&event, &mut out));
        }
        reader.end(&mut |event| writer.write(&event, &mut out));
        prop_assert!(out.is_empty() || out.ends_with(b"\n\n"));
    }
}
