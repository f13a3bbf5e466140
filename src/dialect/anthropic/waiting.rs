//! What a stream says behind a call whose input is not complete yet.
//!
//! Owns the sign that it is, and the order in which the rest waits. Refuses to know how blocks are written.

use std::collections::VecDeque;

use crate::dialect::canonical::Event;

/// So much may wait, in bytes. A stream with more is broken.
const MOST: usize = 16 * 1024 * 1024;
/// What a block costs besides its text.
const BLOCK: usize = 64;

/// Whether a piece of JSON is complete, told from its brackets.
#[derive(Debug, Default)]
pub(super) struct Json {
    depth: u32,
    in_string: bool,
    escaped: bool,
    complete: bool,
}

impl Json {
    pub(super) fn feed(&mut self, piece: &str) {
        for byte in piece.bytes() {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => {
                    self.depth = self.depth.saturating_add(1);
                    self.complete = false;
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.complete = self.depth == 0;
                }
                _ => {}
            }
        }
    }

    /// Whether an object or a list has ended. Of anything else nobody can tell.
    pub(super) const fn is_complete(&self) -> bool {
        self.complete
    }
}

/// A block that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) kind: Kind,
    /// What is in it so far.
    pub(super) text: String,
}

#[derive(Debug)]
pub(super) enum Kind {
    Text,
    /// With its signature, if it has one already.
    Thinking(Option<String>),
    Redacted,
    Call {
        index: usize,
        id: String,
        name: String,
    },
}

/// What waits, in order.
#[derive(Debug, Default)]
pub(super) struct Queue {
    blocks: VecDeque<Waiting>,
    bytes: usize,
}

impl Queue {
    /// Takes an event's content; false if more waits than may.
    pub(super) fn push(&mut self, event: &Event<'_>) -> bool {
        let last = self.blocks.back_mut();
        let (kind, text) = match (event, last) {
            (Event::Text(text) | Event::Refusal(text), Some(Waiting { kind: Kind::Text, text: known }))
            | (Event::Thinking(text), Some(Waiting { kind: Kind::Thinking(None), text: known })) => {
                known.push_str(text);
                return self.has_room(text.len());
            }
            (Event::Signature(text), Some(Waiting { kind: Kind::Thinking(none @ None), .. })) => {
                *none = Some(text.to_string());
                return self.has_room(text.len());
            }
            (Event::Input { index, json }, _) => {
                let of = |block: &&mut Waiting| matches!(&block.kind, Kind::Call { index: its, .. } if its == index);
                if let Some(block) = self.blocks.iter_mut().find(of) {
                    block.text.push_str(json);
                }
                return self.has_room(json.len());
            }
            (Event::Text(text) | Event::Refusal(text), _) => (Kind::Text, text.as_ref()),
            (Event::Thinking(text), _) => (Kind::Thinking(None), text.as_ref()),
            (Event::Signature(text), _) => (Kind::Thinking(Some(text.to_string())), ""),
            (Event::Redacted(data), _) => (Kind::Redacted, data.as_ref()),
            (Event::Call { index, id, name, .. }, _) => {
                (Kind::Call { index: *index, id: id.to_string(), name: name.to_string() }, "")
            }
            (
                Event::Start { .. }
                | Event::Half(_)
                | Event::Finish { .. }
                | Event::Usage(_)
                | Event::End
                | Event::Error(_)
                | Event::Malformed,
                _,
            ) => return true,
        };
        self.blocks.push_back(Waiting { kind, text: text.to_owned() });
        self.has_room(BLOCK + text.len())
    }

    fn has_room(&mut self, more: usize) -> bool {
        self.bytes = self.bytes.saturating_add(more);
        self.bytes <= MOST
    }

    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let block = self.blocks.pop_front();
        if block.is_none() {
            self.bytes = 0;
        }
        block
    }
}
