//! A stream's events become canonical.
//!
//! What Anthropic's own tools do in between, and citations, are passed over. Refuses to know who asked and what becomes of it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::wire::{Str, Tokens, is_foreign, stop};
use crate::dialect::canonical::answer::Sink;
use crate::dialect::canonical::{Event, Frame, ids};

/// Blocks that may be open at a time. Anthropic opens one; who opens more than so many is not followed.
const MOST_OPEN: usize = 256;

/// Reads one stream.
#[derive(Debug)]
pub struct Reader {
    request: u64,
    started: bool,
    finished: bool,
    /// After the end, and after an error.
    over: bool,
    calls: usize,
    open: Vec<OpenCall>,
}

/// A call whose block is open.
#[derive(Debug)]
struct OpenCall {
    block: u64,
    call: usize,
    /// The input that came with its beginning. It counts if no other follows.
    input: Option<String>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    id: Option<Str<'a>>,
    #[serde(borrow, default)]
    model: Option<Str<'a>>,
    #[serde(default)]
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Str<'a>,
    #[serde(borrow, default)]
    text: Option<Str<'a>>,
    #[serde(borrow, default)]
    thinking: Option<Str<'a>>,
    #[serde(borrow, default)]
    signature: Option<Str<'a>>,
    #[serde(borrow, default)]
    data: Option<Str<'a>>,
    #[serde(borrow, default)]
    id: Option<Str<'a>>,
    #[serde(borrow, default)]
    name: Option<Str<'a>>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    text: Option<Str<'a>>,
    #[serde(borrow, default)]
    thinking: Option<Str<'a>>,
    #[serde(borrow, default)]
    signature: Option<Str<'a>>,
    #[serde(borrow, default)]
    partial_json: Option<Str<'a>>,
    #[serde(borrow, default)]
    stop_reason: Option<Str<'a>>,
    #[serde(borrow, default)]
    stop_sequence: Option<Str<'a>>,
}

/// An event's data. What a block or a delta is made of is read when its event is one that counts.
#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Str<'a>,
    #[serde(default)]
    index: Option<u64>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(default)]
    usage: Option<Tokens>,
}

fn read<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok())
}

impl Reader {
    /// Before the first event.
    #[must_use]
    pub fn new(frame: &Frame) -> Self {
        Self { request: frame.id, started: false, finished: false, over: false, calls: 0, open: Vec::new() }
    }

    /// Reads one event: its name and its data.
    pub fn read(&mut self, name: Option<&[u8]>, data: &[u8], sink: &mut Sink<'_>) {
        if self.over {
            return;
        }
        if name == Some(b"error") {
            return self.fail(data, sink);
        }
        let trimmed = data.trim_ascii();
        let parsed = std::str::from_utf8(trimmed).ok().filter(|text| text.starts_with('{'));
        let Some(event) = parsed.and_then(|text| serde_json::from_str::<Data<'_>>(text).ok()) else {
            // A habit of servers that are not Anthropic's.
            if trimmed != b"[DONE]" {
                sink(Event::Malformed);
            }
            return;
        };
        let named = name.and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default();
        let kind = if event.kind.0.is_empty() { named } else { event.kind.0.as_ref() };
        let read = match kind {
            "error" => return self.fail(data, sink),
            "message_start" => self.message(&event, sink),
            "content_block_start" => self.begin(&event, sink),
            "content_block_delta" => self.more(&event, sink),
            "content_block_stop" => self.close(event.index.unwrap_or_default(), sink),
            "message_delta" => self.finish(&event, sink),
            "message_stop" => {
                self.end_all(sink);
                Some(())
            }
            _ => Some(()),
        };
        if read.is_none() {
            sink(Event::Malformed);
        }
    }

    /// The body has ended. What was finished is over; what was not says nothing more.
    pub fn end(&mut self, sink: &mut Sink<'_>) {
        if self.finished && !self.over {
            self.end_all(sink);
        }
    }

    fn fail(&mut self, data: &[u8], sink: &mut Sink<'_>) {
        self.over = true;
        sink(Event::Error(data.into()));
    }

    fn end_all(&mut self, sink: &mut Sink<'_>) {
        self.start(sink);
        self.over = true;
        sink(Event::End);
    }

    /// What comes first comes first, even if the vendor left it out.
    fn start(&mut self, sink: &mut Sink<'_>) {
        if !self.started {
            self.started = true;
            sink(Event::Start { id: None, model: None });
        }
    }

    fn message(&mut self, event: &Data<'_>, sink: &mut Sink<'_>) -> Option<()> {
        let message: Message<'_> = read(event.message)?;
        if !self.started {
            self.started = true;
            let text = |text: Option<Str<'_>>| text.map(Str::into_string).filter(|text| !text.is_empty());
            let (id, model) = (text(message.id), text(message.model));
            sink(Event::Start { id: id.map(Into::into), model: model.map(Into::into) });
        }
        if let Some(tokens) = message.usage {
            sink(Event::Usage(tokens.usage()));
        }
        Some(())
    }

    fn begin(&mut self, event: &Data<'_>, sink: &mut Sink<'_>) -> Option<()> {
        let Some(block) = read::<Block<'_>>(event.content_block) else {
            // Only blocks that are not known have other things in these fields.
            return event.content_block.map(|_| ());
        };
        self.start(sink);
        match block.kind.0.as_ref() {
            "text" => said(block.text, Event::Text, sink),
            "thinking" => {
                said(block.thinking, Event::Thinking, sink);
                signed(block.signature, sink);
            }
            "redacted_thinking" => said(block.data, Event::Redacted, sink),
            "tool_use" => {
                let call = self.calls;
                self.calls += 1;
                let input = block.input.map(RawValue::get).filter(|input| !matches!(*input, "{}" | "null" | "\"\""));
                if self.open.len() == MOST_OPEN {
                    self.open.remove(0);
                }
                let block_index = event.index.unwrap_or_default();
                self.open.push(OpenCall { block: block_index, call, input: input.map(str::to_owned) });
                let id = block.id.filter(|id| !id.0.is_empty()).map(|id| id.0);
                sink(Event::Call {
                    index: call,
                    id: id.unwrap_or_else(|| ids::mint(self.request, call).into()),
                    name: block.name.unwrap_or_default().0,
                    signature: None,
                });
            }
            _ => {}
        }
        Some(())
    }

    fn more(&mut self, event: &Data<'_>, sink: &mut Sink<'_>) -> Option<()> {
        let delta: Delta<'_> = read(event.delta)?;
        self.start(sink);
        said(delta.text, Event::Text, sink);
        said(delta.thinking, Event::Thinking, sink);
        signed(delta.signature, sink);
        let block = event.index.unwrap_or_default();
        if let Some(json) = delta.partial_json.filter(|json| !json.0.is_empty())
            && let Some(open) = self.open.iter_mut().rfind(|open| open.block == block)
        {
            open.input = None;
            sink(Event::Input { index: open.call, json: json.0 });
        }
        Some(())
    }

    fn close(&mut self, block: u64, sink: &mut Sink<'_>) -> Option<()> {
        if let Some(at) = self.open.iter().rposition(|open| open.block == block) {
            let open = self.open.remove(at);
            if let Some(input) = open.input {
                sink(Event::Input { index: open.call, json: input.into() });
            }
        }
        Some(())
    }

    fn finish(&mut self, event: &Data<'_>, sink: &mut Sink<'_>) -> Option<()> {
        let delta: Delta<'_> = read(event.delta)?;
        self.start(sink);
        if let Some(reason) = delta.stop_reason
            && !self.finished
        {
            self.finished = true;
            let sequence = delta.stop_sequence.map(|sequence| sequence.0);
            sink(Event::Finish { stop: stop(&reason.0), sequence });
        }
        if let Some(tokens) = event.usage {
            sink(Event::Usage(tokens.usage()));
        }
        Some(())
    }
}

/// Says it if it is something.
fn said<'a>(text: Option<Str<'a>>, event: fn(std::borrow::Cow<'a, str>) -> Event<'a>, sink: &mut Sink<'_>) {
    if let Some(text) = text.filter(|text| !text.0.is_empty()) {
        sink(event(text.0));
    }
}

/// A signature, unless it is the mark of a gateway that there is none.
fn signed(signature: Option<Str<'_>>, sink: &mut Sink<'_>) {
    said(signature.filter(|signature| !is_foreign(Some(&signature.0))), Event::Signature, sink);
}

#[cfg(test)]
#[path = "reader_tests.rs"]
pub(super) mod tests;
