//! A stream's frames become canonical events.

use std::borrow::Cow;

use serde::Deserialize;

use super::shape::{Asked, SERVER_TOOL, Tokens, Words, stop};
use crate::dialect::canonical::answer::Sink;
use crate::dialect::canonical::{Event, Frame, Usage, ids};
use crate::framing::eventstream::Message;

/// So much of an exception's text is handed on, in bytes.
const TEXT_LIMIT: usize = 4_000;

/// Reads one stream.
#[derive(Debug)]
pub struct Reader {
    /// The request, for ids of calls that have none.
    request: u64,
    /// How many calls have begun.
    calls: usize,
    /// Blocks that are open and are calls: the block's index, and which call it is.
    open: Vec<(u64, usize)>,
    /// `Start` has been said.
    started: bool,
    /// `Finish` has been said.
    finished: bool,
    /// Nothing more is said.
    over: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockStart<'a> {
    content_block_index: Option<u64>,
    #[serde(borrow)]
    start: Option<Start<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start<'a> {
    #[serde(borrow)]
    tool_use: Option<ToolUse<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUse<'a> {
    #[serde(borrow)]
    tool_use_id: Option<Words<'a>>,
    #[serde(borrow)]
    name: Option<Words<'a>>,
    #[serde(borrow)]
    r#type: Option<Words<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockDelta<'a> {
    content_block_index: Option<u64>,
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
}

/// One of these is there; citations and pictures are passed over.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delta<'a> {
    #[serde(borrow)]
    text: Option<Words<'a>>,
    #[serde(borrow)]
    tool_use: Option<Input<'a>>,
    #[serde(borrow)]
    reasoning_content: Option<Reasoning<'a>>,
}

#[derive(Deserialize)]
struct Input<'a> {
    #[serde(borrow)]
    input: Option<Words<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reasoning<'a> {
    #[serde(borrow)]
    text: Option<Words<'a>>,
    #[serde(borrow)]
    signature: Option<Words<'a>>,
    #[serde(borrow)]
    redacted_content: Option<Words<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockStop {
    content_block_index: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageStop<'a> {
    #[serde(borrow)]
    stop_reason: Option<Words<'a>>,
    #[serde(borrow)]
    additional_model_response_fields: Option<Asked<'a>>,
}

#[derive(Deserialize)]
struct Metadata {
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Exception<'a> {
    #[serde(borrow, alias = "Message")]
    message: Option<Words<'a>>,
}

impl Reader {
    /// Before the first frame.
    #[must_use]
    pub fn new(frame: &Frame) -> Self {
        Self { request: frame.id, calls: 0, open: Vec::new(), started: false, finished: false, over: false }
    }

    /// Reads one frame.
    pub fn read(&mut self, message: &Message, sink: &mut Sink<'_>) {
        if self.over {
            return;
        }
        if matches!(message.message_type.as_str(), "exception" | "error") {
            self.fail(&exception(message), sink);
        } else if self.event(&message.name, &message.payload, sink).is_none() {
            sink(Event::Malformed);
        }
    }

    /// The body has ended. What was finished is over; what was not says nothing more.
    pub fn end(&mut self, sink: &mut Sink<'_>) {
        if self.finished && !self.over {
            self.over = true;
            sink(Event::End);
        }
    }

    /// `None`: nobody can read it.
    fn event(&mut self, name: &str, payload: &[u8], sink: &mut Sink<'_>) -> Option<()> {
        match name {
            "messageStart" => self.begin(sink),
            "contentBlockStart" => {
                let block: BlockStart<'_> = json(payload)?;
                if let Some(call) = block.start.and_then(|start| start.tool_use) {
                    self.call(block.content_block_index, call, sink);
                }
            }
            "contentBlockDelta" => {
                let block: BlockDelta<'_> = json(payload)?;
                if let Some(delta) = block.delta {
                    self.delta(block.content_block_index, delta, sink);
                }
            }
            "contentBlockStop" => {
                let stopped = json::<BlockStop>(payload)?.content_block_index.unwrap_or_default();
                self.open.retain(|(block, _)| *block != stopped);
            }
            "messageStop" => {
                self.finish(json(payload)?, sink);
            }
            "metadata" => {
                if let Some(tokens) = json::<Metadata>(payload)?.usage {
                    self.begin(sink);
                    sink(Event::Usage(Usage::from(tokens)));
                }
                self.end(sink);
            }
            // New kinds of events are no reason to fail.
            _ => {}
        }
        Some(())
    }

    fn begin(&mut self, sink: &mut Sink<'_>) {
        if !self.started {
            self.started = true;
            sink(Event::Start { id: None, model: None });
        }
    }

    fn call(&mut self, block: Option<u64>, call: ToolUse<'_>, sink: &mut Sink<'_>) {
        if self.finished || call.r#type.is_some_and(|kind| kind.0 == SERVER_TOOL) {
            return;
        }
        self.begin(sink);
        let index = self.calls;
        self.calls += 1;
        self.open.push((block.unwrap_or_default(), index));
        let id = call.tool_use_id.map(|id| id.0).filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| Cow::Owned(ids::mint(self.request, index)));
        let name = call.name.map(|name| name.0).unwrap_or_default();
        sink(Event::Call { index, id, name, signature: None });
    }

    fn delta(&mut self, block: Option<u64>, delta: Delta<'_>, sink: &mut Sink<'_>) {
        if self.finished {
            return;
        }
        self.begin(sink);
        let mut say = |words: Option<Words<'_>>, event: &dyn Fn(Cow<'_, str>, &mut Sink<'_>)| {
            if let Some(Words(words)) = words.filter(|words| !words.0.is_empty()) {
                event(words, sink);
            }
        };
        say(delta.text, &|text, sink| sink(Event::Text(text)));
        if let Some(reasoning) = delta.reasoning_content {
            say(reasoning.text, &|text, sink| sink(Event::Thinking(text)));
            say(reasoning.signature, &|signature, sink| sink(Event::Signature(signature)));
            say(reasoning.redacted_content, &|data, sink| sink(Event::Redacted(data)));
        }
        let block = block.unwrap_or_default();
        let call = self.open.iter().rev().find(|(open, _)| *open == block);
        if let (Some(&(_, index)), Some(call)) = (call, delta.tool_use) {
            say(call.input, &|json, sink| sink(Event::Input { index, json }));
        }
    }

    fn finish(&mut self, stopped: MessageStop<'_>, sink: &mut Sink<'_>) {
        if self.finished {
            return;
        }
        self.begin(sink);
        let reason = stopped.stop_reason.map(|reason| reason.0).unwrap_or_default();
        match stop(&reason, self.calls > 0) {
            Some(stop) => {
                self.finished = true;
                let sequence = stopped.additional_model_response_fields.and_then(Asked::stop_sequence);
                sink(Event::Finish { stop, sequence });
            }
            None => {
                let error = serde_json::json!({ "code": reason, "message": "the model's output is malformed" });
                self.fail(&error, sink);
            }
        }
    }

    fn fail(&mut self, error: &serde_json::Value, sink: &mut Sink<'_>) {
        self.over = true;
        let event = serde_json::json!({ "type": "error", "error": error });
        sink(Event::Error(Cow::Owned(event.to_string().into_bytes())));
    }
}

fn json<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Option<T> {
    // A derived struct would also take a list for its fields.
    payload.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(payload).ok())?
}

/// An exception, in a shape that [`facts_in_event`](crate::dialect::error::facts_in_event) reads: `__type` is where AWS's
/// JSON protocols say an exception's name.
fn exception(message: &Message) -> serde_json::Value {
    let text = match json::<Exception<'_>>(&message.payload) {
        Some(exception) => exception.message.map(|words| words.0),
        None => Some(String::from_utf8_lossy(&message.payload)).filter(|text| !text.is_empty()),
    };
    let text = text.or(message.error_message.as_deref().map(Cow::Borrowed)).unwrap_or_default();
    let end = (0..=TEXT_LIMIT.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    serde_json::json!({ "__type": message.name, "message": &text[..end] })
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
