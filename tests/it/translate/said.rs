//! What an answer says, whatever it is written in.

use backstop::dialect::canonical::{Answer, Event, Part, Stop, Usage};
use serde_json::Value;

use super::Front;

/// An answer's meaning.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) refusal: String,
    pub(super) thinking: String,
    pub(super) signatures: Vec<String>,
    pub(super) redacted: Vec<String>,
    pub(super) calls: Vec<Called>,
    pub(super) stop: Stop,
    pub(super) sequence: Option<String>,
    pub(super) usage: Option<Usage>,
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Called {
    /// Empty where the vendor gave none.
    pub(super) id: String,
    pub(super) name: String,
    pub(super) input: Value,
}

/// The input of a call as its text means it: nothing is an empty object.
pub(super) fn input(text: &str) -> Value {
    let text = if text.trim().is_empty() { "{}" } else { text };
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

impl Said {
    /// The meaning of a canonical answer.
    pub(super) fn of(answer: &Answer) -> Self {
        let mut said =
            Self { stop: answer.stop, sequence: answer.stop_sequence.clone(), usage: answer.usage, ..Self::default() };
        for part in &answer.parts {
            match part {
                Part::Text(text) => said.text.push_str(&text.text),
                Part::Refusal(text) => said.refusal.push_str(text),
                Part::Thinking { text, signature } => {
                    said.thinking.push_str(text);
                    said.signatures.extend(signature.clone());
                }
                Part::Redacted { data } => said.redacted.push(data.clone()),
                Part::Call(call) => {
                    said.calls.push(Called { id: call.id.clone(), name: call.name.clone(), input: input(&call.input) })
                }
                other @ (Part::Image(_) | Part::Document(_) | Part::Audio { .. } | Part::Result(_)) => {
                    panic!("no part of an answer: {other:?}")
                }
            }
        }
        said
    }

    /// The meaning of canonical events. Usage counts as the gateway counts it: the larger of what is repeated.
    pub(super) fn heard(events: &[Event<'_>]) -> Self {
        let mut said = Self::default();
        let mut inputs: Vec<String> = Vec::new();
        for event in events {
            match event {
                Event::Text(text) => said.text.push_str(text),
                Event::Refusal(text) => said.refusal.push_str(text),
                Event::Thinking(text) => said.thinking.push_str(text),
                Event::Signature(text) => said.signatures.push(text.to_string()),
                Event::Redacted(data) => said.redacted.push(data.to_string()),
                Event::Call { id, name, .. } => {
                    said.calls.push(Called { id: id.to_string(), name: name.to_string(), input: Value::Null });
                    inputs.push(String::new());
                }
                Event::Input { index, json } => inputs[*index].push_str(json),
                Event::Finish { stop, sequence } => {
                    said.stop = *stop;
                    said.sequence = sequence.as_ref().map(ToString::to_string);
                }
                Event::Usage(usage) => said.usage = Some(said.usage.unwrap_or_default().or_more(*usage)),
                Event::Start { .. } | Event::Half(_) | Event::End | Event::Malformed | Event::Error(_) => {}
            }
        }
        for (call, text) in said.calls.iter_mut().zip(&inputs) {
            call.input = input(text);
        }
        said
    }

    /// What of it a client of this front can be told.
    pub(super) fn told_in(mut self, front: Front) -> Self {
        match front {
            Front::Chat => {
                // No place for the stop text that was met, no word for a turn that goes on.
                self.sequence = None;
                if matches!(self.stop, Stop::Sequence | Stop::Paused) {
                    self.stop = Stop::End;
                }
            }
            Front::Messages => {
                // A refusal is text there, and the reason to stop says what it is.
                if !self.refusal.is_empty() {
                    self.text.push_str(&std::mem::take(&mut self.refusal));
                    self.stop = Stop::Filtered;
                }
                // It has to be there.
                self.usage.get_or_insert_default();
            }
        }
        self
    }

    /// Compares, where an id that the vendor left out may have become any.
    pub(super) fn assert_is(&self, expected: &Self, who: &str) {
        let mut got = self.clone();
        for (got, expected) in got.calls.iter_mut().zip(&expected.calls) {
            assert!(!got.id.is_empty(), "{who}: a call without an id");
            if expected.id.is_empty() {
                got.id.clear();
            }
        }
        assert_eq!(&got, expected, "{who} (left: what came out)");
    }
}
