//! Canonical events become a stream.
//!
//! Owns the chunks: what stands around a text is written once and copied, so that every text chunk looks like the one
//! before it ([`Repeat`](super::repeat::Repeat) counts on that). Refuses to know who spoke.

use bytes::{BufMut, BytesMut};
use serde::Serialize;

use super::stream::DONE;
use super::written::{self, Counted, Detail, Extra};
use crate::dialect::canonical::{Event, Frame, Sent, Stop, Usage};

/// The longest thought whose text is repeated beside its signature.
const THOUGHT: usize = 1 << 20;
/// What stands behind a delta.
const BEHIND: &[u8] = b",\"finish_reason\":null}]}\n\n";

/// Writes one stream.
#[derive(Debug)]
pub struct Writer {
    frame: Frame,
    /// `data: {` and what all chunks have in common.
    head: Vec<u8>,
    /// The same, up to a choice's delta.
    before: Vec<u8>,
    usage: Option<Usage>,
    /// The thought that has no signature yet, and the number of those before it.
    thought: String,
    thoughts: usize,
    /// Calls without any input so far.
    bare: Vec<usize>,
    over: bool,
}

impl Writer {
    /// Before the first event.
    #[must_use]
    pub fn new(frame: &Frame) -> Self {
        Self {
            frame: frame.clone(),
            head: Vec::new(),
            before: Vec::new(),
            usage: None,
            thought: String::new(),
            thoughts: 0,
            bare: Vec::new(),
            over: false,
        }
    }

    /// Behind what a client has: the id, the model and the role were told.
    #[must_use]
    pub fn resumed(frame: &Frame, sent: &Sent) -> Self {
        let frame = Frame { created: sent.created.unwrap_or(frame.created), ..frame.clone() };
        let mut writer = Self { usage: Some(sent.usage), ..Self::new(&frame) };
        writer.lead(sent.id.as_deref().unwrap_or_default(), sent.model.as_deref());
        writer
    }

    /// Writes the frames of an event, if it makes any.
    pub fn write(&mut self, event: &Event<'_>, out: &mut BytesMut) {
        if self.over {
            return;
        }
        match event {
            Event::Start { id, model } => self.start(id.as_deref(), model.as_deref(), out),
            Event::Text(text) => self.text(b"{\"content\":", text, out),
            Event::Half(half) => self.half(*half, out),
            Event::Refusal(text) => self.text(b"{\"refusal\":", text, out),
            Event::Thinking(text) => {
                if self.thought.len() <= THOUGHT {
                    self.thought.push_str(text);
                }
                self.text(b"{\"reasoning_content\":", text, out);
            }
            Event::Signature(signature) => self.signature(signature, out),
            Event::Redacted(data) => self.redacted(data, out),
            Event::Call { index, id, name, signature } => self.call(*index, id, name, signature.as_deref(), out),
            Event::Input { index, json } => self.input(*index, json, out),
            Event::Finish { stop, .. } => self.finish(*stop, out),
            Event::Usage(usage) => self.usage = Some(self.usage.unwrap_or_default().or_more(*usage)),
            Event::End => self.end(out),
            Event::Error(data) => {
                self.over = true;
                out.put_slice(b"event: error\ndata: ");
                out.extend(data.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
                out.put_slice(b"\n\n");
            }
            Event::Malformed => out.put_slice(b"data: !\n\n"),
        }
    }

    fn start(&mut self, id: Option<&str>, model: Option<&str>, out: &mut BytesMut) {
        if !self.head.is_empty() {
            return;
        }
        self.lead(&written::answer_id(id, &self.frame), model);
        self.delta(out, |out| out.put_slice(b"{\"role\":\"assistant\",\"content\":\"\"}"));
    }

    /// What all chunks begin with.
    fn lead(&mut self, id: &str, model: Option<&str>) {
        let mut head = b"data: {\"id\":".to_vec();
        json(&id, &mut head);
        head.extend_from_slice(b",\"object\":\"chat.completion.chunk\",\"created\":");
        json(&self.frame.created, &mut head);
        head.extend_from_slice(b",\"model\":");
        json(&model.unwrap_or(&self.frame.model), &mut head);
        self.before = head.clone();
        self.before.extend_from_slice(b",\"choices\":[{\"index\":0,\"delta\":");
        self.head = head;
    }

    /// One chunk with a delta. A stream whose first event is not its start gets one.
    fn delta(&mut self, out: &mut BytesMut, write: impl FnOnce(&mut BytesMut)) {
        if self.head.is_empty() {
            self.start(None, None, out);
        }
        out.put_slice(&self.before);
        write(out);
        out.put_slice(BEHIND);
    }

    fn text(&mut self, before: &[u8], text: &str, out: &mut BytesMut) {
        self.delta(out, |out| {
            out.put_slice(before);
            json(&text, out.writer());
            out.put_slice(b"}");
        });
    }

    /// No string of Rust's holds half a character.
    fn half(&mut self, half: u16, out: &mut BytesMut) {
        self.delta(out, |out| out.put_slice(format!("{{\"content\":\"\\u{half:04x}\"}}").as_bytes()));
    }

    /// The whole thought again, beside its signature: only together do they go back to Claude.
    fn signature(&mut self, signature: &str, out: &mut BytesMut) {
        let thought = std::mem::take(&mut self.thought);
        let text = Some(thought.as_str()).filter(|text| text.len() <= THOUGHT);
        self.details(&Detail::thought(text, Some(signature), self.thoughts), out);
    }

    fn redacted(&mut self, data: &str, out: &mut BytesMut) {
        self.thought.clear();
        self.details(&Detail::redacted(data, self.thoughts), out);
    }

    fn details(&mut self, detail: &Detail<'_>, out: &mut BytesMut) {
        self.thoughts += 1;
        self.delta(out, |out| {
            out.put_slice(b"{\"reasoning_details\":[");
            json(detail, out.writer());
            out.put_slice(b"]}");
        });
    }

    fn call(&mut self, index: usize, id: &str, name: &str, signature: Option<&str>, out: &mut BytesMut) {
        self.bare.push(index);
        self.delta(out, |out| {
            out.put_slice(b"{\"tool_calls\":[{\"index\":");
            json(&index, out.writer());
            out.put_slice(b",\"id\":");
            json(&id, out.writer());
            out.put_slice(b",\"type\":\"function\",\"function\":{\"name\":");
            json(&name, out.writer());
            out.put_slice(b",\"arguments\":\"\"}");
            if let Some(signature) = signature {
                out.put_slice(b",\"extra_content\":");
                json(&Extra::signature(signature), out.writer());
            }
            out.put_slice(b"}]}");
        });
    }

    fn input(&mut self, index: usize, input: &str, out: &mut BytesMut) {
        self.bare.retain(|call| *call != index);
        self.delta(out, |out| {
            out.put_slice(b"{\"tool_calls\":[{\"index\":");
            json(&index, out.writer());
            out.put_slice(b",\"function\":{\"arguments\":");
            json(&input, out.writer());
            out.put_slice(b"}}]}");
        });
    }

    fn finish(&mut self, stop: Stop, out: &mut BytesMut) {
        // Clients parse what came, and nothing is no JSON.
        for index in std::mem::take(&mut self.bare) {
            self.input(index, "{}", out);
        }
        if self.head.is_empty() {
            self.start(None, None, out);
        }
        out.put_slice(&self.before);
        out.put_slice(b"{},\"finish_reason\":");
        json(&written::finish_reason(stop), out.writer());
        out.put_slice(b"}]}\n\n");
    }

    fn end(&mut self, out: &mut BytesMut) {
        self.over = true;
        if self.frame.include_usage && !self.head.is_empty() {
            out.put_slice(&self.head);
            out.put_slice(b",\"choices\":[],\"usage\":");
            json(&Counted::from(self.usage.unwrap_or_default()), out.writer());
            out.put_slice(b"}\n\n");
        }
        out.put_slice(DONE);
    }
}

/// Strings and numbers are always JSON, and memory takes them always.
fn json(value: &impl Serialize, out: impl std::io::Write) {
    serde_json::to_writer(out, value).unwrap_or_default();
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
