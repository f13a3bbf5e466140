//! Bytes through the product: an answer parsed and rendered, a stream read and written, however it is cut.

use std::borrow::Cow;

use backstop::dialect::canonical::{Answer, Event};
use backstop::dialect::openai_chat::response::Whole;
use backstop::dialect::{anthropic, bedrock, openai_chat};
use backstop::framing::eventstream::{Message, Messages};
use backstop::framing::sse::{Block, Frames, events};
use bytes::{Bytes, BytesMut};
use serde_json::Value;

use super::{Front, Wire, frame};

/// Frames longer than this are not kept together.
const LIMIT: usize = 4 << 20;

pub(super) fn parse(wire: Wire, body: &[u8]) -> Result<Answer, Whole> {
    match wire {
        Wire::Chat => openai_chat::answer::parse(body, &frame()),
        Wire::Messages => anthropic::answer::parse(body, &frame()),
        Wire::Converse => bedrock::answer::parse(body, &frame()),
    }
}

pub(super) fn render(front: Front, answer: &Answer) -> Vec<u8> {
    match front {
        Front::Chat => openai_chat::answer::render(answer, &frame()),
        Front::Messages => anthropic::answer::render(answer, &frame()),
    }
}

/// What a stream says, and what clients of each front get of it.
#[derive(Debug, PartialEq, Default)]
pub(super) struct Heard {
    pub(super) events: Vec<Event<'static>>,
    pub(super) chat: Vec<u8>,
    pub(super) messages: Vec<u8>,
}

impl Heard {
    pub(super) fn written(&self, front: Front) -> &[u8] {
        match front {
            Front::Chat => &self.chat,
            Front::Messages => &self.messages,
        }
    }
}

/// Both fronts' writers, and a record of what they were told.
struct Ear {
    chat: openai_chat::writer::Writer,
    messages: anthropic::writer::Writer,
    out: [BytesMut; 2],
    events: Vec<Event<'static>>,
}

impl Ear {
    fn new() -> Self {
        Self {
            chat: openai_chat::writer::Writer::new(&frame()),
            messages: anthropic::writer::Writer::new(&frame()),
            out: Default::default(),
            events: Vec::new(),
        }
    }

    fn hear(&mut self, event: &Event<'_>) {
        self.chat.write(event, &mut self.out[0]);
        self.messages.write(event, &mut self.out[1]);
        self.events.push(owned(event));
    }

    fn all(self) -> Heard {
        let [chat, messages] = self.out.map(|out| out.to_vec());
        Heard { events: self.events, chat, messages }
    }
}

/// Reads a stream that arrives in these chunks.
pub(super) fn stream<'a>(wire: Wire, chunks: impl Iterator<Item = &'a [u8]>) -> Heard {
    match wire {
        Wire::Chat => {
            let mut reader = openai_chat::reader::Reader::new(&frame());
            server_sent(chunks, |name, data, ear| match data {
                Some(data) => reader.read(name, data, &mut |event| ear.hear(&event)),
                None => reader.end(&mut |event| ear.hear(&event)),
            })
        }
        Wire::Messages => {
            let mut reader = anthropic::reader::Reader::new(&frame());
            server_sent(chunks, |name, data, ear| match data {
                Some(data) => reader.read(name, data, &mut |event| ear.hear(&event)),
                None => reader.end(&mut |event| ear.hear(&event)),
            })
        }
        Wire::Converse => {
            let mut frames = Messages::new(LIMIT);
            let mut messages = Vec::new();
            for chunk in chunks {
                frames.push(Bytes::copy_from_slice(chunk));
                while let Some(message) = frames.pull().expect("checksums are right") {
                    messages.push(message);
                }
            }
            assert_eq!(frames.kept(), 0, "half a frame is left");
            converse(&messages)
        }
    }
}

/// Cuts server-sent events and gives each one to `read`; at the end nothing.
fn server_sent<'a>(
    chunks: impl Iterator<Item = &'a [u8]>,
    mut read: impl FnMut(Option<&[u8]>, Option<&[u8]>, &mut Ear),
) -> Heard {
    let mut ear = Ear::new();
    let mut frames = Frames::new(LIMIT);
    let mut all = |block: &[u8], ear: &mut Ear| {
        for event in events(block) {
            if let Some(data) = &event.data {
                read(event.name, Some(data), ear);
            }
        }
    };
    for chunk in chunks {
        frames.push(Bytes::copy_from_slice(chunk));
        while let Some(block) = frames.pull() {
            let Block::Whole(block) = block else { panic!("a frame of more than {LIMIT} bytes") };
            all(&block, &mut ear);
        }
    }
    all(&frames.rest(), &mut ear);
    read(None, None, &mut ear);
    ear.all()
}

/// Reads the frames of a Converse stream.
pub(super) fn converse(messages: &[Message]) -> Heard {
    let mut ear = Ear::new();
    let mut reader = bedrock::reader::Reader::new(&frame());
    for message in messages {
        reader.read(message, &mut |event| ear.hear(&event));
    }
    reader.end(&mut |event| ear.hear(&event));
    ear.all()
}

/// The bytes of a stream whose events are these. Messages' are named by their type.
pub(super) fn to_stream(wire: Wire, events: &[Value]) -> Vec<u8> {
    let frames = events.iter().map(|event| match event["type"].as_str() {
        Some(name) if wire == Wire::Messages => format!("event: {name}\ndata: {event}\n\n"),
        _ => format!("data: {event}\n\n"),
    });
    let end = if wire == Wire::Chat { "data: [DONE]\n\n" } else { "" };
    (frames.collect::<String>() + end).into_bytes()
}

/// The frames of a Converse stream whose events are these: `{"name": payload}`.
pub(super) fn to_messages(events: &[Value]) -> Vec<Message> {
    let entries = events.iter().filter_map(|event| event.as_object()?.iter().next());
    let message = |(name, payload): (&String, &Value)| Message {
        message_type: "event".to_owned(),
        name: name.clone(),
        error_message: None,
        payload: Bytes::from(payload.to_string()),
    };
    entries.map(message).collect()
}

/// The same event, kept.
fn owned(event: &Event<'_>) -> Event<'static> {
    fn keep(text: &str) -> Cow<'static, str> {
        Cow::Owned(text.to_owned())
    }
    let some = |text: &Option<Cow<'_, str>>| text.as_deref().map(keep);
    match event {
        Event::Start { id, model } => Event::Start { id: some(id), model: some(model) },
        Event::Text(text) => Event::Text(keep(text)),
        Event::Half(half) => Event::Half(*half),
        Event::Refusal(text) => Event::Refusal(keep(text)),
        Event::Thinking(text) => Event::Thinking(keep(text)),
        Event::Signature(text) => Event::Signature(keep(text)),
        Event::Redacted(data) => Event::Redacted(keep(data)),
        Event::Call { index, id, name, signature } => {
            Event::Call { index: *index, id: keep(id), name: keep(name), signature: some(signature) }
        }
        Event::Input { index, json } => Event::Input { index: *index, json: keep(json) },
        Event::Finish { stop, sequence } => Event::Finish { stop: *stop, sequence: some(sequence) },
        Event::Usage(usage) => Event::Usage(*usage),
        Event::End => Event::End,
        Event::Error(words) => Event::Error(Cow::Owned(words.to_vec())),
        Event::Malformed => Event::Malformed,
    }
}
