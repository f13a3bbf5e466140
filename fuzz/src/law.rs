//! What must hold of any bytes. Each function is a target; it panics when its law is broken.

use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use serde::de::IgnoredAny;

use crate::dialect::canonical::answer::Sink;
use crate::dialect::canonical::{Answer, Event, Frame, Profile, Rendered, Request};
use crate::dialect::openai_chat::request::{BadRequest, Head, ModelName, splice};
use crate::dialect::vendor::Vendor;
use crate::dialect::{anthropic, bedrock, error, multipart, openai_chat, openai_responses};
use crate::framing::{eventstream, sse};
use crate::policy::capability::Abilities;
use crate::policy::classify::{Facts, Family, Overrides, classify};

/// Frames of events and streams are at most so long here.
const LIMIT: usize = 1 << 16;

/// Models that each mean other rules.
const MODELS: [(&str, Vendor); 8] = [
    ("gpt-4o", Vendor::OpenAi),
    ("o3", Vendor::OpenAi),
    ("mistral-large-latest", Vendor::Mistral),
    ("deepseek-reasoner", Vendor::DeepSeek),
    ("claude-sonnet-4-5", Vendor::Anthropic),
    ("claude-3-5-sonnet-20241022", Vendor::Anthropic),
    ("us.anthropic.claude-opus-4-6-v1", Vendor::Bedrock),
    ("amazon.nova-lite-v1:0", Vendor::Bedrock),
];

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

fn frame() -> Frame {
    Frame { id: 1, created: 1, model: "m".to_owned(), include_usage: true }
}

/// Chunks of any sizes, as the bytes themselves say.
fn chunks(data: &[u8]) -> Vec<&[u8]> {
    let Some((size, rest)) = data.split_first() else { return Vec::new() };
    rest.chunks(usize::from(*size).max(1)).collect()
}

/// Server-sent events: nothing is lost, and splits change nothing.
pub fn sse(data: &[u8]) {
    let read = |chunks: &[&[u8]], limit: usize| {
        let mut frames = sse::Frames::new(limit);
        let (mut bytes, mut events) = (Vec::new(), Vec::new());
        let mut take = |block: &[u8], whole: bool| {
            bytes.extend_from_slice(block);
            let data = sse::events(block).filter_map(|event| event.data.map(|data| data.into_owned()));
            events.extend(data.filter(|_| whole));
        };
        for chunk in chunks {
            frames.push(Bytes::copy_from_slice(chunk));
            while let Some(block) = frames.pull() {
                match block {
                    sse::Block::Whole(block) => take(&block, true),
                    sse::Block::Loose(block) => take(&block, false),
                }
            }
        }
        take(&frames.rest(), true);
        (bytes, events)
    };
    let chunks = chunks(data);
    let whole = chunks.concat();
    assert_eq!(read(&chunks, usize::MAX), read(&[&whole], usize::MAX));
    assert_eq!(read(&chunks, 16).0, whole);
}

/// AWS frames: splits change nothing, no more is kept than came, and a corrupt stream stays so. The bytes are tried as they
/// are, and as a frame whose checksums are right.
pub fn eventstream(data: &[u8]) {
    let read = |chunks: &[&[u8]]| {
        let mut messages = eventstream::Messages::new(LIMIT);
        let mut read = Vec::new();
        for chunk in chunks {
            messages.push(Bytes::copy_from_slice(chunk));
            loop {
                match messages.pull() {
                    Ok(Some(message)) => read.push(message),
                    Ok(None) => break,
                    Err(corrupt) => {
                        assert_eq!(messages.pull(), Err(corrupt));
                        return (read, None);
                    }
                }
            }
        }
        (read, Some(messages.kept()))
    };
    let mut framed = vec![0, 0, 0, 0, 0, 0, 0, data.first().copied().unwrap_or_default()];
    framed[..4].copy_from_slice(&(data.len() as u32 + 16).to_be_bytes());
    framed.extend(crc32(&framed).to_be_bytes());
    framed.extend(data);
    framed.extend(crc32(&framed).to_be_bytes());
    for bytes in [data, &framed] {
        let whole = read(&[bytes]);
        assert!(whole.1.is_none_or(|kept| kept <= bytes.len()));
        assert_eq!(read(&bytes.chunks(1).collect::<Vec<_>>()), whole);
        let mut reader = bedrock::reader::Reader::new(&frame());
        let messages = whole.0;
        told(|sink| {
            messages.iter().for_each(|message| reader.read(message, sink));
            reader.end(sink);
        });
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let bit = |crc: u32| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc)))
}

/// A chat's request: what is read can be written for every target.
pub fn chat_request(data: &[u8]) {
    if let Ok(request) = openai_chat::parse::request(data) {
        rendered(&request);
    }
}

/// The same of Messages.
pub fn messages_request(data: &[u8]) {
    if let Ok(request) = anthropic::parse::request(data) {
        rendered(&request);
    }
}

fn rendered(request: &Request) {
    for (model, vendor) in MODELS {
        let profile = Profile { model, vendor, abilities: &Abilities::default() };
        let render = match vendor {
            Vendor::Anthropic => anthropic::render::request,
            Vendor::Bedrock => bedrock::render::request,
            _ => openai_chat::render::request,
        };
        if let Ok(Rendered { body, dropped, .. }) = render(request, &profile) {
            assert!(is_json(&body), "{model}: {}", String::from_utf8_lossy(&body));
            assert!((1..dropped.len()).all(|at| !dropped[..at].contains(&dropped[at])), "{dropped:?}");
        }
    }
}

/// Whole answers: what is read can be written in both fronts' dialects.
pub fn chat_answer(data: &[u8]) {
    if let Ok(answer) = openai_chat::answer::parse(data, &frame()) {
        written(&answer);
    }
}

/// The same of Messages.
pub fn messages_answer(data: &[u8]) {
    let _ = anthropic::answer::inspect(data);
    if let Ok(answer) = anthropic::answer::parse(data, &frame()) {
        written(&answer);
    }
}

/// The same of Converse.
pub fn converse_answer(data: &[u8]) {
    if let Ok(answer) = bedrock::answer::parse(data, &frame()) {
        written(&answer);
    }
}

fn written(answer: &Answer) {
    assert!(is_json(&openai_chat::answer::render(answer, &frame())));
    assert!(is_json(&anthropic::answer::render(answer, &frame())));
}

/// Streams: what is read is in the promised order, and can be written in both fronts' dialects.
pub fn chat_stream(data: &[u8]) {
    let mut reader = openai_chat::reader::Reader::new(&frame());
    told(|sink| {
        for event in sse::events(data) {
            if let Some(data) = event.data {
                reader.read(event.name, &data, sink);
            }
        }
        reader.end(sink);
    });
    for event in sse::events(data) {
        let data = event.data.unwrap_or_default();
        let _ = openai_chat::stream::scan(event.name, &data);
        let _ = openai_chat::stream::is_plain(&data);
        let _ = openai_responses::stream::scan(event.name, &data);
        let _ = openai_responses::stream::is_plain(event.name, &data);
        let _ = openai_responses::stream::is_last(event.name, &data);
    }
}

/// The same of Messages.
pub fn messages_stream(data: &[u8]) {
    let mut reader = anthropic::reader::Reader::new(&frame());
    told(|sink| {
        for event in sse::events(data) {
            if let Some(data) = event.data {
                reader.read(event.name, &data, sink);
            }
        }
        reader.end(sink);
    });
    for event in sse::events(data) {
        let data = event.data.unwrap_or_default();
        let _ = anthropic::stream::scan(event.name, &data);
        let _ = anthropic::stream::is_plain(event.name, &data);
    }
}

/// The same of Converse: a frame a line, `type name payload`.
pub fn converse_stream(data: &[u8]) {
    let mut reader = bedrock::reader::Reader::new(&frame());
    told(|sink| {
        for line in data.split(|byte| *byte == b'\n') {
            let mut words = line.splitn(3, |byte| *byte == b' ');
            let mut word = || words.next().unwrap_or_default();
            let text = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
            let (message_type, name) = (text(word()), text(word()));
            let message = eventstream::Message {
                error_message: (message_type == "error").then(|| name.clone()),
                message_type,
                name,
                payload: Bytes::copy_from_slice(word()),
            };
            reader.read(&message, sink);
        }
        reader.end(sink);
    });
}

/// Takes what a reader says, checks its order, and has it written.
fn told(read: impl FnOnce(&mut Sink<'_>)) {
    let frame = frame();
    let mut chat = (openai_chat::writer::Writer::new(&frame), BytesMut::new());
    let mut messages = (anthropic::writer::Writer::new(&frame), BytesMut::new());
    let (mut started, mut finished, mut over, mut calls) = (false, false, false, 0);
    read(&mut |event| {
        assert!(!over, "nothing follows an end or an error: {event:?}");
        match &event {
            Event::Start { .. } => assert!(!std::mem::replace(&mut started, true), "started twice"),
            Event::Finish { .. } => assert!(!std::mem::replace(&mut finished, true), "finished twice"),
            Event::Text(text)
            | Event::Refusal(text)
            | Event::Thinking(text)
            | Event::Signature(text)
            | Event::Redacted(text) => assert!(started && !text.is_empty(), "{event:?}"),
            Event::Call { index, id, .. } => {
                assert!(started && *index == calls && !id.is_empty(), "{event:?}");
                calls += 1;
            }
            Event::Input { index, json } => assert!(*index < calls && !json.is_empty(), "{event:?}"),
            // A vendor may say that all is said without a reason to stop: whoever waits for one sees a broken stream.
            Event::End | Event::Error(_) => over = true,
            Event::Usage(_) | Event::Half(_) | Event::Malformed => {}
        }
        // These two are for the relay, in whatever bytes the vendor sent.
        let raw = matches!(event, Event::Error(_) | Event::Malformed);
        let mut aside = [BytesMut::new(), BytesMut::new()];
        let [for_chat, for_messages] = if raw { aside.each_mut() } else { [&mut chat.1, &mut messages.1] };
        chat.0.write(&event, for_chat);
        messages.0.write(&event, for_messages);
    });
    for block in [chat.1, messages.1] {
        for event in sse::events(&block) {
            let data = event.data.unwrap_or_default();
            assert!(data.is_empty() || &*data == b"[DONE]" || is_json(&data), "{}", String::from_utf8_lossy(&data));
        }
    }
}

/// Heads of requests: both ways to read them find the same; what is read can be cut and put together, and amended for
/// every target.
pub fn heads(data: &[u8]) {
    both_ways(data, openai_chat::request::read);
    both_ways(data, anthropic::head::read);
    let body = Bytes::copy_from_slice(data);
    let spliced = |head: &Head<'_>| {
        let parts = splice(&body, &head.edit, &ModelName::new("m/\"1\""));
        let whole: Vec<u8> = parts.into_iter().flatten().collect();
        assert!(is_json(&whole), "{}", String::from_utf8_lossy(&whole));
    };
    if let Ok(mut head) = openai_chat::request::read(data) {
        spliced(&head);
        let _ = openai_responses::request::complete(&mut head, data);
    }
    if let Ok(head) = anthropic::head::read(data) {
        spliced(&head);
    }
    for (model, vendor) in MODELS {
        let profile = Profile { model, vendor, abilities: &Abilities::default() };
        for amend in [openai_chat::amend::amend, anthropic::amend::amend] {
            if let Some(amended) = amend(&body, &profile) {
                assert!(is_json(&amended.body), "{}", String::from_utf8_lossy(&amended.body));
            }
        }
    }
    let (first, rest) = data.split_at(data.iter().position(|byte| *byte == b'\n').unwrap_or_default());
    if let Some(boundary) = std::str::from_utf8(first).ok().and_then(multipart::boundary) {
        let _ = multipart::read(rest, boundary);
    }
}

/// A key with an escape has to be parsed by `serde_json`; the body as it came is usually scanned.
fn both_ways(data: &[u8], read: fn(&[u8]) -> Result<Head<'_>, BadRequest>) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((before, after)) = text.split_once('{').filter(|(_, after)| !after.trim_start().starts_with('}')) else {
        return;
    };
    let parsed = format!("{before}{{\"\\u005f\":0,{after}");
    match (read(data), read(parsed.as_bytes())) {
        (Ok(head), Ok(other)) => assert_eq!(Head { edit: other.edit.clone(), ..head }, other),
        (one, other) => assert_eq!(one.map_err(|error| error.code).err(), other.map_err(|error| error.code).err()),
    }
}

/// Errors of all shapes: bounded, classified, and redacted into what is no longer.
pub fn errors(data: &[u8]) {
    let (status, rest) = data.split_first().map_or((0, data), |(first, rest)| (*first, rest));
    let family = Family::ALL[usize::from(status) % Family::ALL.len()];
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(rest.get(..24).unwrap_or(rest)) {
        headers.insert("retry-after", value.clone());
        headers.insert("x-ratelimit-reset-tokens", value);
    }
    let judged = |facts: &Facts| {
        assert!(facts.message.len() <= 4 * 1024);
        let _ = classify(facts, &Overrides::default());
    };
    judged(&error::facts(family, 400 + u16::from(status), &headers, rest, SystemTime::UNIX_EPOCH));
    judged(&error::facts_of_exception("throttlingException", rest));
    if let Some(facts) = error::facts_in_event(family, 200, rest) {
        judged(&facts);
    }
    let shown = error::redact(rest, &["a secret of the gateway"]);
    assert!(!is_json(rest) || is_json(&shown), "{}", String::from_utf8_lossy(&shown));
}
