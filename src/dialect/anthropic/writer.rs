//! Canonical events become a stream.
//!
//! Anthropic's blocks come one after the other, each whole. Other vendors may send pieces of several calls by turns: while a
//! call's JSON is not complete, what follows it waits. The tokens of the prompt stand in the first frame if they are known by
//! then, and all of them in the last but one, which waits for the end. Refuses to know whose events they are.

use bytes::{BufMut, BytesMut};
use serde::Serialize;

use super::stream::STOP;
use super::waiting::{Json, Kind, Queue, Waiting};
use super::wire::{UNSIGNED, UsageOut, message_id, stop_reason};
use crate::dialect::canonical::{Event, Frame, Sent, Stop, Usage, sent};

/// The name of a frame that stands for one nobody could read.
pub(super) const MALFORMED: &str = "backstop_malformed";

/// Writes one stream.
#[derive(Debug)]
pub struct Writer {
    frame: Frame,
    id: Option<String>,
    model: Option<String>,
    usage: Usage,
    /// The first frame is out.
    begun: bool,
    stop: Option<(Stop, Option<String>)>,
    /// Nothing more is written.
    over: bool,
    calls: bool,
    refused: bool,
    /// The number of the next block.
    next: usize,
    open: Open,
    waiting: Queue,
}

/// The block that is being written.
#[derive(Debug)]
enum Open {
    None,
    Text,
    Thinking,
    Call { index: usize, json: Json },
}

#[derive(Serialize)]
struct Message<'a> {
    id: &'a str,
    r#type: &'static str,
    role: &'static str,
    model: &'a str,
    content: [u8; 0],
    stop_reason: Option<&'static str>,
    stop_sequence: Option<&'static str>,
    usage: UsageOut<'static>,
}

/// Writes one value as JSON.
fn json(out: &mut BytesMut, value: &(impl Serialize + ?Sized)) {
    // Into memory, of types that have no way to fail.
    let _written = serde_json::to_writer(out.writer(), value);
}

impl Writer {
    /// Before the first event.
    #[must_use]
    pub fn new(frame: &Frame) -> Self {
        Self {
            frame: frame.clone(),
            id: None,
            model: None,
            usage: Usage::default(),
            begun: false,
            stop: None,
            over: false,
            calls: false,
            refused: false,
            next: 0,
            open: Open::None,
            waiting: Queue::default(),
        }
    }

    /// Behind what a client has: the beginning was told, and a block may be open.
    #[must_use]
    pub fn resumed(frame: &Frame, sent: &Sent) -> Self {
        let open = match sent.open {
            sent::Open::None => Open::None,
            sent::Open::Text => Open::Text,
            sent::Open::Thinking => Open::Thinking,
        };
        Self { usage: sent.usage, begun: true, next: sent.block, open, ..Self::new(frame) }
    }

    /// Writes the frames of an event, if it makes any.
    pub fn write(&mut self, event: &Event<'_>, out: &mut BytesMut) {
        if self.over {
            return;
        }
        match event {
            Event::Start { id, model } => {
                self.id = id.as_deref().map(str::to_owned);
                self.model = model.as_deref().map(str::to_owned);
            }
            Event::Usage(usage) => self.usage = self.usage.or_more(*usage),
            Event::Finish { stop, sequence } => {
                if self.stop.is_none() {
                    self.stop = Some((*stop, sequence.as_deref().map(str::to_owned)));
                }
                self.begin(out);
                self.release(true, out);
                self.close(out);
            }
            Event::End => self.end(out),
            Event::Error(data) => {
                self.over = true;
                out.extend_from_slice(b"event: error\ndata: ");
                out.extend(data.iter().copied().filter(|byte| !matches!(byte, b'\n' | b'\r')));
                out.extend_from_slice(b"\n\n");
            }
            Event::Malformed => {
                out.extend_from_slice(b"event: ");
                out.extend_from_slice(MALFORMED.as_bytes());
                out.extend_from_slice(b"\ndata: x\n\n");
            }
            // Anthropic cuts no character in two, so nobody has half of one.
            Event::Half(_) => {}
            Event::Text(_)
            | Event::Refusal(_)
            | Event::Thinking(_)
            | Event::Signature(_)
            | Event::Redacted(_)
            | Event::Call { .. }
            | Event::Input { .. } => {
                self.begin(out);
                self.content(event, out);
            }
        }
    }

    /// The first frames, once there is something to follow them.
    fn begin(&mut self, out: &mut BytesMut) {
        if self.begun {
            return;
        }
        self.begun = true;
        out.extend_from_slice(b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":");
        json(
            out,
            &Message {
                id: &message_id(self.id.as_deref(), &self.frame),
                r#type: "message",
                role: "assistant",
                model: self.model.as_deref().unwrap_or(&self.frame.model),
                content: [],
                stop_reason: None,
                stop_sequence: None,
                usage: UsageOut::new(self.usage),
            },
        );
        out.extend_from_slice(b"}\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\n");
    }

    fn content(&mut self, event: &Event<'_>, out: &mut BytesMut) {
        self.refused |= matches!(event, Event::Refusal(_));
        self.calls |= matches!(event, Event::Call { .. });
        if let (Event::Input { index, json: piece }, Open::Call { index: open, json }) = (event, &mut self.open)
            && index == open
        {
            json.feed(piece);
            self.delta("input_json_delta", "partial_json", piece, out);
            return self.release(false, out);
        }
        if matches!(&self.open, Open::Call { json, .. } if !json.is_complete()) {
            return self.wait(event, out);
        }
        match event {
            Event::Text(text) | Event::Refusal(text) => {
                self.open_text(out);
                self.delta("text_delta", "text", text, out);
            }
            Event::Thinking(text) => {
                self.open_thinking(out);
                self.delta("thinking_delta", "thinking", text, out);
            }
            Event::Signature(signature) => {
                self.open_thinking(out);
                self.sign(signature, out);
            }
            Event::Redacted(data) => self.redacted(data, out),
            Event::Call { index, id, name, .. } => self.open_call(*index, id, name, out),
            // Of a call that was complete: blanks.
            Event::Input { .. } => {}
            Event::Start { .. }
            | Event::Half(_)
            | Event::Finish { .. }
            | Event::Usage(_)
            | Event::End
            | Event::Error(_)
            | Event::Malformed => {}
        }
    }

    /// Keeps what comes behind a call that is not complete.
    fn wait(&mut self, event: &Event<'_>, out: &mut BytesMut) {
        if !self.waiting.push(event) {
            let error = br#"{"type":"error","error":{"type":"api_error","message":"a call's input does not end"}}"#;
            self.write(&Event::Error(error.as_slice().into()), out);
        }
    }

    /// Writes what waited, up to the next call that is not complete; `all`: nothing more comes.
    fn release(&mut self, all: bool, out: &mut BytesMut) {
        while all || !matches!(&self.open, Open::Call { json, .. } if !json.is_complete()) {
            let Some(Waiting { kind, text }) = self.waiting.pop() else { return };
            match kind {
                Kind::Text => {
                    self.open_text(out);
                    self.delta("text_delta", "text", &text, out);
                }
                Kind::Thinking(signature) => {
                    self.open_thinking(out);
                    if !text.is_empty() {
                        self.delta("thinking_delta", "thinking", &text, out);
                    }
                    if let Some(signature) = signature {
                        self.sign(&signature, out);
                    }
                }
                Kind::Redacted => self.redacted(&text, out),
                Kind::Call { index, id, name } => {
                    self.open_call(index, &id, &name, out);
                    if !text.is_empty() {
                        self.delta("input_json_delta", "partial_json", &text, out);
                        if let Open::Call { json, .. } = &mut self.open {
                            json.feed(&text);
                        }
                    }
                }
            }
        }
    }

    fn open_text(&mut self, out: &mut BytesMut) {
        if !matches!(self.open, Open::Text) {
            self.close(out);
            self.start_block(out, |out| out.extend_from_slice(br#"{"type":"text","text":""}"#));
            self.open = Open::Text;
        }
    }

    fn open_thinking(&mut self, out: &mut BytesMut) {
        if !matches!(self.open, Open::Thinking) {
            self.close(out);
            self.start_block(out, |out| {
                out.extend_from_slice(br#"{"type":"thinking","thinking":"","signature":""}"#);
            });
            self.open = Open::Thinking;
        }
    }

    fn open_call(&mut self, index: usize, id: &str, name: &str, out: &mut BytesMut) {
        self.close(out);
        self.start_block(out, |out| {
            out.extend_from_slice(br#"{"type":"tool_use","id":"#);
            json(out, id);
            out.extend_from_slice(br#","name":"#);
            json(out, name);
            out.extend_from_slice(br#","input":{}}"#);
        });
        self.open = Open::Call { index, json: Json::default() };
    }

    fn redacted(&mut self, data: &str, out: &mut BytesMut) {
        self.close(out);
        self.start_block(out, |out| {
            out.extend_from_slice(br#"{"type":"redacted_thinking","data":"#);
            json(out, data);
            out.extend_from_slice(b"}");
        });
        self.stop_block(out);
    }

    /// The signature under the open thinking, which ends it.
    fn sign(&mut self, signature: &str, out: &mut BytesMut) {
        self.delta("signature_delta", "signature", signature, out);
        self.stop_block(out);
        self.open = Open::None;
    }

    fn start_block(&self, out: &mut BytesMut, block: impl FnOnce(&mut BytesMut)) {
        out.extend_from_slice(b"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":");
        json(out, &self.next);
        out.extend_from_slice(b",\"content_block\":");
        block(out);
        out.extend_from_slice(b"}\n\n");
    }

    fn delta(&self, kind: &str, field: &str, text: &str, out: &mut BytesMut) {
        out.extend_from_slice(b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":");
        json(out, &self.next);
        out.extend_from_slice(b",\"delta\":{\"type\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\",\"");
        out.extend_from_slice(field.as_bytes());
        out.extend_from_slice(b"\":");
        json(out, text);
        out.extend_from_slice(b"}}\n\n");
    }

    fn stop_block(&mut self, out: &mut BytesMut) {
        out.extend_from_slice(b"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":");
        json(out, &self.next);
        out.extend_from_slice(b"}\n\n");
        self.next += 1;
    }

    /// Ends the open block, if one is.
    fn close(&mut self, out: &mut BytesMut) {
        match std::mem::replace(&mut self.open, Open::None) {
            Open::None => {}
            Open::Thinking => self.sign(UNSIGNED, out),
            Open::Text | Open::Call { .. } => self.stop_block(out),
        }
    }

    /// The last frames. An answer that never finished has none: what is cut off does not look complete.
    fn end(&mut self, out: &mut BytesMut) {
        self.over = true;
        let Some((stop, sequence)) = self.stop.take() else { return };
        self.release(true, out);
        self.close(out);
        let reason = stop_reason(stop, self.calls, self.refused);
        out.extend_from_slice(b"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":");
        json(out, reason);
        out.extend_from_slice(b",\"stop_sequence\":");
        json(out, &sequence.filter(|_| reason == "stop_sequence"));
        out.extend_from_slice(b"},\"usage\":");
        json(out, &UsageOut::new(self.usage));
        out.extend_from_slice(b"}\n\n");
        out.extend_from_slice(STOP);
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
