//! Streams as frames, and what is said of them.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::dialect::canonical::Stop;
use crate::dialect::error::facts_in_event;
use crate::policy::classify::{Family, Overrides, classify};
use crate::policy::failure::Kind;

fn frame(kind: &str, name: &str, payload: &str) -> Message {
    Message {
        message_type: kind.into(),
        name: name.into(),
        error_message: None,
        payload: Bytes::from(payload.to_owned()),
    }
}

fn event(name: &str, payload: &str) -> Message {
    frame("event", name, payload)
}

/// An event as one line.
fn line(event: &Event<'_>) -> String {
    match event {
        Event::Error(data) => format!("error {}", String::from_utf8_lossy(data)),
        event => format!("{event:?}"),
    }
}

/// What is said of frames, up to the end of the body.
fn said(frames: &[Message]) -> Vec<String> {
    let mut reader = Reader::new(&Frame { id: 7, created: 0, model: "m".into(), include_usage: true });
    let mut lines = Vec::new();
    for message in frames {
        reader.read(message, &mut |event| lines.push(line(&event)));
    }
    reader.end(&mut |event| lines.push(line(&event)));
    lines
}

fn lines(events: &[Event<'_>]) -> Vec<String> {
    events.iter().map(line).collect()
}

const START: Event<'static> = Event::Start { id: None, model: None };

fn finish(stop: Stop) -> Event<'static> {
    Event::Finish { stop, sequence: None }
}

fn conversation() -> Vec<Message> {
    vec![
        event("messageStart", r#"{"p":"abcd","role":"assistant"}"#),
        event("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"hm"}},"p":"ab"}"#),
        event("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"signature":"sig"}}}"#),
        event("contentBlockStop", r#"{"contentBlockIndex":0}"#),
        event(
            "contentBlockDelta",
            r#"{"contentBlockIndex":1,"delta":{"reasoningContent":{"redactedContent":"eA=="}}}"#,
        ),
        event("contentBlockStop", r#"{"contentBlockIndex":1}"#),
        event("contentBlockDelta", r#"{"contentBlockIndex":2,"delta":{"text":""}}"#),
        event("contentBlockDelta", r#"{"contentBlockIndex":2,"delta":{"citation":{"title":"t"}}}"#),
        event("contentBlockDelta", r#"{"contentBlockIndex":2,"delta":{"text":"H\u00e9 \"you\""}}"#),
        event("contentBlockStop", r#"{"contentBlockIndex":2}"#),
        event(
            "contentBlockStart",
            r#"{"contentBlockIndex":3,"start":{"toolUse":{"toolUseId":"s","name":"x","type":"server_tool_use"}}}"#,
        ),
        event("contentBlockDelta", r#"{"contentBlockIndex":3,"delta":{"toolUse":{"input":"{\"code\":1}"}}}"#),
        event("contentBlockStop", r#"{"contentBlockIndex":3}"#),
        event(
            "contentBlockStart",
            r#"{"contentBlockIndex":4,"start":{"toolResult":{"toolUseId":"s","status":"success"}}}"#,
        ),
        event("contentBlockDelta", r#"{"contentBlockIndex":4,"delta":{"toolResult":[{"json":{}}]}}"#),
        event("contentBlockStop", r#"{"contentBlockIndex":4}"#),
        event(
            "contentBlockStart",
            r#"{"contentBlockIndex":5,"start":{"toolUse":{"toolUseId":"t1","name":"f","type":"tool_use"}}}"#,
        ),
        event("contentBlockDelta", r#"{"contentBlockIndex":5,"delta":{"toolUse":{"input":""}}}"#),
        event("contentBlockDelta", r#"{"contentBlockIndex":5,"delta":{"toolUse":{"input":"{\"a\""}}}"#),
        event("contentBlockDelta", r#"{"contentBlockIndex":5,"delta":{"toolUse":{"input":":1}"}}}"#),
        event("contentBlockStop", r#"{"contentBlockIndex":5}"#),
        event("contentBlockStart", r#"{"contentBlockIndex":6,"start":{"toolUse":{"name":"g"}}}"#),
        event("contentBlockStop", r#"{"contentBlockIndex":6}"#),
        event("messageStop", r#"{"stopReason":"tool_use"}"#),
        event(
            "metadata",
            r#"{"usage":{"inputTokens":3,"outputTokens":4,"cacheReadInputTokens":5,"cacheWriteInputTokens":6},"metrics":{}}"#,
        ),
    ]
}

#[test]
fn a_stream_with_everything_is_told_in_order() {
    let minted = ids::mint(7, 1);
    let call = |index, id, name: &'static str| Event::Call { index, id, name: name.into(), signature: None };
    let input = |json: &'static str| Event::Input { index: 0, json: json.into() };
    assert_eq!(
        said(&conversation()),
        lines(&[
            START,
            Event::Thinking("hm".into()),
            Event::Signature("sig".into()),
            Event::Redacted("eA==".into()),
            Event::Text("Hé \"you\"".into()),
            call(0, "t1".into(), "f"),
            input("{\"a\""),
            input(":1}"),
            call(1, minted.into(), "g"),
            finish(Stop::Tools),
            Event::Usage(Usage { input: 14, cache_read: 5, cache_write: 6, output: 4, reasoning: 0 }),
            Event::End,
        ])
    );
}

#[test]
fn text_without_escapes_is_not_copied() {
    let message = event("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"plain é"}}"#);
    let mut reader = Reader::new(&Frame { id: 7, created: 0, model: String::new(), include_usage: false });
    let mut borrowed = false;
    reader.read(&message, &mut |event| borrowed |= matches!(event, Event::Text(Cow::Borrowed("plain é"))));
    assert!(borrowed);
}

#[test]
fn how_streams_begin_and_end() {
    let text = event("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"a"}}"#);
    let stop = event("messageStop", r#"{"stopReason":"end_turn"}"#);
    let usage = event("metadata", r#"{"usage":{"inputTokens":1,"outputTokens":2}}"#);
    let said_text = Event::Text("a".into());
    let said_usage = Event::Usage(Usage { input: 1, output: 2, ..Usage::default() });
    let cases: [(&[Message], &[Event<'_>]); 8] = [
        (&[], &[]),
        (std::slice::from_ref(&text), &[START, said_text.clone()]),
        (&[text.clone(), stop.clone()], &[START, said_text.clone(), finish(Stop::End), Event::End]),
        (
            &[text.clone(), stop.clone(), usage.clone(), text.clone(), stop.clone()],
            &[START, said_text.clone(), finish(Stop::End), said_usage.clone(), Event::End],
        ),
        (
            &[usage.clone(), text.clone(), stop.clone()],
            &[START, said_usage.clone(), said_text.clone(), finish(Stop::End), Event::End],
        ),
        (&[stop.clone(), text.clone()], &[START, finish(Stop::End), Event::End]),
        (&[event("newEvent", "{}"), event("initial-response", "")], &[]),
        (
            &[event("contentBlockDelta", "{"), text.clone(), event("messageStop", "[]"), stop],
            &[Event::Malformed, START, said_text, Event::Malformed, finish(Stop::End), Event::End],
        ),
    ];
    for (frames, events) in cases {
        assert_eq!(said(frames), lines(events));
    }
}

#[test]
fn the_stop_text_is_what_claude_itself_said() {
    let fields = r#"{"stopReason":"stop_sequence","additionalModelResponseFields":{"delta":{"stop_sequence":"END"}}}"#;
    let finish = Event::Finish { stop: Stop::Sequence, sequence: Some("END".into()) };
    assert_eq!(said(&[event("messageStop", fields)]), lines(&[START, finish, Event::End]));
}

/// What a failed stream's last event means.
fn meaning(frames: &[Message]) -> (Option<String>, String, Kind) {
    let mut reader = Reader::new(&Frame { id: 7, created: 0, model: String::new(), include_usage: false });
    let mut found = None;
    for message in frames {
        reader.read(message, &mut |event| {
            if let Event::Error(data) = event {
                assert!(found.is_none(), "one error");
                found = facts_in_event(Family::Bedrock, 200, &data);
            }
        });
    }
    reader.end(&mut |event| unreachable!("nothing follows an error: {event:?}"));
    let facts = found.unwrap();
    let kind = classify(&facts, &Overrides::default()).kind;
    (facts.name, facts.message, kind)
}

#[test]
fn exceptions_keep_their_name_and_are_classified() {
    let long = format!(r#"{{"message":"{}"}}"#, "é".repeat(200_000));
    for (kind, name, payload, expected, message) in [
        ("exception", "throttlingException", r#"{"message":"Too many tokens"}"#, Kind::RateLimit, "Too many tokens"),
        (
            "exception",
            "modelStreamErrorException",
            r#"{"message":"m","originalStatusCode":400}"#,
            Kind::ServerError,
            "m",
        ),
        ("exception", "internalServerException", r#"{"message":"m"}"#, Kind::ServerError, "m"),
        ("exception", "serviceUnavailableException", r#"{"Message":"m"}"#, Kind::Overloaded, "m"),
        ("exception", "modelTimeoutException", r#"{"message":"m"}"#, Kind::Timeout, "m"),
        ("exception", "validationException", r#"{"message":"not a PNG"}"#, Kind::BadRequest, "not a PNG"),
        (
            "exception",
            "validationException",
            r#"{"message":"Input is too long for requested model."}"#,
            Kind::TooLarge,
            "Input is too long for requested model.",
        ),
        ("exception", "accessDeniedException", "no JSON", Kind::Forbidden, "no JSON"),
        ("exception", "throttlingException", "{}", Kind::RateLimit, ""),
        ("exception", "throttlingException", &long, Kind::RateLimit, &"é".repeat(2_000)),
        ("error", "InternalFailure", "it broke", Kind::ServerError, "it broke"),
        ("exception", "", "", Kind::ServerError, ""),
    ] {
        let (found, text, kind) = meaning(&[frame(kind, name, payload)]);
        assert_eq!((found.unwrap_or_default().as_str(), kind), (name, expected), "{name} {payload}");
        assert_eq!(text, message, "{name}");
    }
    let mut error = frame("error", "ThrottlingException", "");
    error.error_message = Some("slow down".into());
    assert_eq!(meaning(&[error]), (Some("ThrottlingException".into()), "slow down".into(), Kind::RateLimit));
}

#[test]
fn an_exception_may_come_at_any_time_and_nothing_follows() {
    let mut frames = conversation();
    frames.truncate(9);
    frames.push(frame("exception", "modelStreamErrorException", r#"{"message":"m"}"#));
    frames.push(event("messageStop", r#"{"stopReason":"end_turn"}"#));
    assert_eq!(meaning(&frames).2, Kind::ServerError);
    let said = said(&frames);
    assert!(said.last().is_some_and(|last| last.starts_with("error")), "{said:?}");
}

#[test]
fn malformed_output_is_a_failure_of_the_upstream() {
    for reason in ["malformed_model_output", "malformed_tool_use"] {
        let stop = event("messageStop", &format!(r#"{{"stopReason":"{reason}"}}"#));
        assert_eq!(meaning(&[stop, event("metadata", "{}")]).2, Kind::ServerError, "{reason}");
    }
}

proptest! {
    #[test]
    fn damaged_frames_are_survived(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        drop in any::<prop::sample::Index>(),
    ) {
        let mut frames = conversation();
        frames.remove(drop.index(frames.len()));
        let message = &mut frames[which.index(24)];
        let mut bytes = message.payload.to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        message.payload = Bytes::from(bytes);
        let said = said(&frames);
        prop_assert!(said.iter().filter(|line| line.starts_with("Finish")).count() <= 1);
        prop_assert!(said.iter().filter(|line| line.starts_with("Start")).count() <= 1);
    }
}
