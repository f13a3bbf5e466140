//! Frames whole, in pieces, damaged and cut.

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, Message as Written};
use proptest::prelude::*;

use super::*;

const LIMIT: usize = 1 << 20;

fn frame(headers: &[(&'static str, &str)], payload: &str) -> Vec<u8> {
    let mut message = Written::new(payload.as_bytes().to_vec());
    for (name, value) in headers {
        message = message.add_header(Header::new(*name, HeaderValue::String((*value).to_owned().into())));
    }
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes).unwrap();
    bytes
}

fn event(name: &str, payload: &str) -> Vec<u8> {
    frame(&[(":event-type", name), (":content-type", "application/json"), (":message-type", "event")], payload)
}

/// All that is read of chunks, and how it ends.
fn run<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, limit: usize) -> (Vec<Message>, Result<usize, Corrupt>) {
    let mut messages = Messages::new(limit);
    let mut read = Vec::new();
    for chunk in chunks {
        messages.push(Bytes::copy_from_slice(chunk));
        loop {
            match messages.pull() {
                Ok(Some(message)) => read.push(message),
                Ok(None) => break,
                Err(corrupt) => return (read, Err(corrupt)),
            }
        }
    }
    (read, Ok(messages.kept()))
}

fn conversation() -> Vec<u8> {
    [
        event("messageStart", r#"{"role":"assistant"}"#),
        event("contentBlockDelta", &format!(r#"{{"delta":{{"text":"{}"}}}}"#, "ü".repeat(300))),
        event("empty", ""),
        frame(&[(":exception-type", "throttlingException"), (":message-type", "exception")], r#"{"message":"slow"}"#),
        frame(&[(":error-code", "InternalError"), (":error-message", "it broke"), (":message-type", "error")], ""),
        frame(&[], "no headers"),
    ]
    .concat()
}

#[test]
fn every_kind_of_frame_is_read() {
    let (read, end) = run([conversation().as_slice()], LIMIT);
    assert_eq!(end, Ok(0));
    let heads: Vec<_> = read.iter().map(|it| (it.message_type.as_str(), it.name.as_str())).collect();
    assert_eq!(
        heads,
        [
            ("event", "messageStart"),
            ("event", "contentBlockDelta"),
            ("event", "empty"),
            ("exception", "throttlingException"),
            ("error", "InternalError"),
            ("", ""),
        ]
    );
    assert_eq!(read[0].payload, r#"{"role":"assistant"}"#);
    assert_eq!(read[4].error_message.as_deref(), Some("it broke"));
    assert_eq!(read[5].payload, "no headers");
}

#[test]
fn a_header_that_is_no_text_is_passed_over() {
    let message = Written::new(&b"x"[..])
        .add_header(Header::new(":event-type", HeaderValue::Bool(true)))
        .add_header(Header::new("when", HeaderValue::Int64(7)))
        .add_header(Header::new(":message-type", HeaderValue::String("event".into())));
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes).unwrap();
    let (read, _) = run([bytes.as_slice()], LIMIT);
    assert_eq!((read[0].message_type.as_str(), read[0].name.as_str()), ("event", ""));
}

#[test]
fn no_damaged_byte_goes_unnoticed() {
    let good = [event("messageStart", r#"{"role":"assistant"}"#), event("messageStop", "{}")].concat();
    let first = event("messageStart", r#"{"role":"assistant"}"#).len();
    for at in 0..first {
        for bit in [0x01, 0x80] {
            let mut bad = good.clone();
            bad[at] ^= bit;
            assert_eq!(run([bad.as_slice()], LIMIT), (Vec::new(), Err(Corrupt)), "byte {at}");
            assert_eq!(run(bad.chunks(1), LIMIT), (Vec::new(), Err(Corrupt)), "byte {at}, byte by byte");
        }
    }
}

#[test]
fn a_wrong_prelude_is_an_error_before_the_frame_is_there() {
    let whole = event("contentBlockDelta", &"x".repeat(500));
    let mut bad = whole.clone();
    bad[9] ^= 1;
    let prelude = |length: u32, headers: u32| {
        let mut bytes = [length.to_be_bytes(), headers.to_be_bytes()].concat();
        bytes.extend(crc32(&bytes).to_be_bytes());
        bytes
    };
    assert_eq!(prelude(whole.len() as u32, 0)[..4], whole[..4], "the test's own prelude is one");
    for (prelude, limit) in [
        (bad[..PRELUDE].to_vec(), LIMIT),
        (whole[..PRELUDE].to_vec(), whole.len() - 1),
        (prelude(u32::MAX, 0), usize::MAX >> 40),
        (prelude(0, 0), LIMIT),
        (prelude(15, 0), LIMIT),
        (prelude(100, 85), LIMIT),
        (prelude(100, u32::MAX), LIMIT),
        (b"data: {\"no\":\"frame\"}\n\n"[..PRELUDE].to_vec(), LIMIT),
        (b"HTTP/1.1 502"[..PRELUDE].to_vec(), LIMIT),
    ] {
        assert_eq!(run([prelude.as_slice()], limit), (Vec::new(), Err(Corrupt)));
        let (read, end) = run(prelude.chunks(1), limit);
        assert_eq!((read, end), (Vec::new(), Err(Corrupt)));
    }
    assert_eq!(run([whole.as_slice()], whole.len()).1, Ok(0), "a frame as long as the limit is taken");
    let huge = prelude(LIMIT as u32, 0);
    assert_eq!(run([huge.as_slice()], LIMIT), (Vec::new(), Ok(PRELUDE)), "room is made for what has come only");
}

#[test]
fn what_is_corrupt_stays_so() {
    let mut messages = Messages::new(LIMIT);
    messages.push(Bytes::from_static(b"no frame at all"));
    assert_eq!(messages.pull(), Err(Corrupt));
    messages.push(Bytes::from(event("messageStop", "{}")));
    assert_eq!((messages.pull(), messages.kept()), (Err(Corrupt), 0));
}

#[test]
fn a_cut_inside_a_frame_leaves_something() {
    let whole = conversation();
    let mut ends = vec![0];
    while let Some(length) = length(&whole[ends[ends.len() - 1]..], LIMIT).unwrap() {
        ends.push(ends[ends.len() - 1] + length);
    }
    for cut in 0..=whole.len() {
        let (read, end) = run([&whole[..cut]], LIMIT);
        let before = ends.iter().rposition(|end| *end <= cut).unwrap();
        assert_eq!((read.len(), end), (before, Ok(cut - ends[before])), "cut at {cut}");
    }
}

#[test]
fn frames_that_were_not_pulled_come_first() {
    let mut messages = Messages::new(LIMIT);
    messages.push(Bytes::from(event("one", "")));
    messages.push(Bytes::from(event("two", "")));
    let names: Vec<_> = std::iter::from_fn(|| messages.pull().unwrap()).map(|message| message.name).collect();
    assert_eq!(names, ["one", "two"]);
}

proptest! {
    #[test]
    fn splits_change_nothing(cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20)) {
        let whole = conversation();
        let expected = run([whole.as_slice()], LIMIT);
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(whole.len() + 1)).collect();
        at.extend([0, whole.len()]);
        at.sort_unstable();
        let chunks = at.windows(2).map(|pair| &whole[pair[0]..pair[1]]);
        prop_assert_eq!(run(chunks, LIMIT), expected.clone());
        prop_assert_eq!(run(whole.chunks(1), LIMIT), expected);
    }

    /// Any bytes, those with a right prelude, too: read or refused, never more kept than came.
    #[test]
    fn anything_is_survived(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        headers in 0u32..64,
        limit in 0usize..300,
    ) {
        let mut framed = [(bytes.len() as u32 + 16).to_be_bytes(), headers.to_be_bytes()].concat();
        framed.extend(crc32(&framed).to_be_bytes());
        framed.extend(&bytes);
        framed.extend(crc32(&framed).to_be_bytes());
        for input in [&bytes, &framed] {
            let (_, end) = run(input.chunks(7), limit);
            prop_assert!(end.is_err() || end.is_ok_and(|kept| kept <= input.len()));
        }
    }
}
