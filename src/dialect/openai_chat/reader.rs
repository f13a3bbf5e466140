//! A stream's events become canonical.
//!
//! Owns what all vendors of this dialect do differently in their chunks. Refuses to know what an error means: its data is
//! handed on.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::halves::Halves;
use super::shape::Weight;
use super::wire::{self, Called, Said, Thought};
use crate::dialect::canonical::answer::Sink;
use crate::dialect::canonical::{Event, Frame, Stop, ids};

/// So much of a call's input is kept until its name comes.
const HELD: usize = 1 << 20;

/// Reads one stream.
#[derive(Debug)]
pub struct Reader {
    /// The request's id, for calls whose vendor gives none.
    request: u64,
    started: bool,
    finished: bool,
    /// The end was told, or a failure: nothing counts any more.
    over: bool,
    refused: bool,
    /// Thinking came as plain text since the last signature: details only repeat it.
    plain: bool,
    calls: Vec<Open>,
    halves: Halves,
    /// Gemini's signatures that came before their calls, as OpenRouter sends them.
    signatures: Vec<(String, String)>,
}

/// A call that has begun.
#[derive(Debug, Default)]
struct Open {
    /// The vendor's number for it, which several calls may have.
    index: Option<u64>,
    id: String,
    /// Whether its name is known and told.
    told: bool,
    /// What came of its input before its name.
    held: String,
    signature: Option<String>,
    /// Its input came whole with its name: what follows under the same number is another call.
    whole: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Chunk<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    choices: Option<First<'a>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    x_groq: Option<&'a RawValue>,
    error: Weight,
    object: Weight,
    r#type: Weight,
    message: Weight,
    detail: Weight,
}

impl Chunk<'_> {
    fn is_error(&self) -> bool {
        let choice = self.choices.as_ref().map(|first| &first.0);
        let failed =
            |choice: &Choice<'_>| choice.error.is_full() || choice.finish_reason.is_some_and(is_the_word_error);
        self.error.is_full()
            || self.object == Weight::TheWordError
            || self.r#type == Weight::TheWordError
            || choice.is_some_and(|choice| choice.as_ref().is_some_and(failed))
            || (choice.is_none() && (self.message.is_full() || self.detail.is_full()))
    }
}

fn is_the_word_error(raw: &RawValue) -> bool {
    raw.get() == "\"error\""
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Choice<'a> {
    index: Option<u64>,
    #[serde(borrow)]
    delta: Option<Said<'a>>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
    /// vLLM's: the stop text, or a token's number.
    #[serde(borrow)]
    stop_reason: Option<&'a RawValue>,
    error: Weight,
}

/// The first choice of a list: another one is not asked for.
struct First<'a>(Option<Choice<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for First<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Choices<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Choices<'a> {
            type Value = First<'a>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list of choices")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<First<'a>, A::Error> {
                let mut first = None;
                while let Some(choice) = seq.next_element::<Choice<'a>>()? {
                    if choice.index.is_none_or(|index| index == 0) {
                        first.get_or_insert(choice);
                    }
                }
                Ok(First(first))
            }
        }
        deserializer.deserialize_seq(Choices(PhantomData))
    }
}

impl Reader {
    /// Before the first event.
    #[must_use]
    pub fn new(frame: &Frame) -> Self {
        Self {
            request: frame.id,
            started: false,
            finished: false,
            over: false,
            refused: false,
            plain: false,
            calls: Vec::new(),
            halves: Halves::default(),
            signatures: Vec::new(),
        }
    }

    /// Reads one event: its name and its data.
    pub fn read(&mut self, name: Option<&[u8]>, data: &[u8], sink: &mut Sink<'_>) {
        if self.over {
            return;
        }
        let data = data.trim_ascii();
        if name == Some(b"error") {
            return self.fail(data, sink);
        }
        match data.first() {
            Some(b'{') => {}
            Some(b'[') if data == b"[DONE]" => return self.finish_all(sink),
            Some(b'[') => return self.list(data, sink),
            _ => return sink(Event::Malformed),
        }
        match serde_json::from_slice::<Chunk<'_>>(data) {
            Ok(chunk) if chunk.is_error() => self.fail(data, sink),
            Ok(chunk) => self.chunk(&chunk, sink),
            Err(error) if error.classify() == Category::Data && is_json(data) => {}
            Err(_) => sink(Event::Malformed),
        }
    }

    /// The body has ended. What was finished is over; what was not says nothing more.
    pub fn end(&mut self, sink: &mut Sink<'_>) {
        if self.finished && !self.over {
            self.finish_all(sink);
        }
    }

    fn finish_all(&mut self, sink: &mut Sink<'_>) {
        self.over = true;
        sink(Event::End);
    }

    fn fail(&mut self, data: &[u8], sink: &mut Sink<'_>) {
        self.over = true;
        sink(Event::Error(Cow::Borrowed(data)));
    }

    /// Gemini wraps its errors in a list.
    fn list(&mut self, data: &[u8], sink: &mut Sink<'_>) {
        match serde_json::from_slice::<Vec<Chunk<'_>>>(data) {
            Ok(list) if list.iter().any(Chunk::is_error) => self.fail(data, sink),
            _ if is_json(data) => {}
            _ => sink(Event::Malformed),
        }
    }

    fn chunk(&mut self, chunk: &Chunk<'_>, sink: &mut Sink<'_>) {
        let choice = chunk.choices.as_ref().and_then(|first| first.0.as_ref());
        let usage = wire::usage(chunk.usage, chunk.x_groq);
        let id = wire::text(chunk.id);
        // Azure's first chunk is about the prompt: it has neither.
        if !self.started && (id.is_some() || choice.is_some() || usage.is_some()) {
            self.started = true;
            sink(Event::Start { id, model: wire::text(chunk.model) });
        }
        if let Some(choice) = choice.filter(|_| !self.finished) {
            if let Some(delta) = &choice.delta {
                self.delta(delta, sink);
            }
            if let Some(reason) = wire::text(choice.finish_reason) {
                self.finish(&reason, wire::text(choice.stop_reason), sink);
            }
        }
        if let Some(usage) = usage {
            sink(Event::Usage(usage));
        }
    }

    fn finish(&mut self, reason: &str, sequence: Option<Cow<'_, str>>, sink: &mut Sink<'_>) {
        for number in 0..self.calls.len() {
            self.tell(number, Some(Cow::Borrowed("")), sink);
        }
        if let Some(rest) = self.halves.flush() {
            sink(Event::Text(Cow::Borrowed(rest)));
        }
        self.finished = true;
        let stop = match (wire::stop(reason), &sequence) {
            (Stop::End, _) if !self.calls.is_empty() => Stop::Tools,
            (Stop::End, _) if self.refused => Stop::Filtered,
            (Stop::End, Some(_)) => Stop::Sequence,
            (stop, _) => stop,
        };
        sink(Event::Finish { stop, sequence: sequence.filter(|_| stop == Stop::Sequence) });
    }

    fn delta(&mut self, said: &Said<'_>, sink: &mut Sink<'_>) {
        self.reasoning(said, sink);
        match self.halves.join(said.content) {
            Some(text) => sink(Event::Text(text)),
            None => wire::thoughts(said.content, &mut |thought| self.thought(thought, false, sink)),
        }
        if let Some(refusal) = wire::text(said.refusal) {
            self.thought(Thought::Refusal(refusal), false, sink);
        }
        if said.tool_calls.is_some() || said.function_call.is_some() {
            for call in wire::calls(said) {
                self.call(call, sink);
            }
        }
    }

    fn reasoning(&mut self, said: &Said<'_>, sink: &mut Sink<'_>) {
        let plain = wire::text(said.reasoning_content).or_else(|| wire::text(said.reasoning));
        if let Some(text) = plain {
            self.plain = true;
            sink(Event::Thinking(text));
        }
        // LiteLLM's blocks repeat what OpenRouter's details say.
        let list = said.reasoning_details.or(said.thinking_blocks);
        let repeats = self.plain;
        wire::thoughts(list, &mut |thought| {
            if matches!(thought, Thought::Signature(_)) {
                self.plain = false;
            }
            self.thought(thought, repeats, sink);
        });
    }

    /// One piece of a list. `repeats`: its text was said already.
    fn thought(&mut self, thought: Thought<'_>, repeats: bool, sink: &mut Sink<'_>) {
        match thought {
            Thought::Text(text) => sink(Event::Text(text)),
            Thought::Refusal(text) => {
                self.refused = true;
                sink(Event::Refusal(text));
            }
            Thought::Thinking(text) if !repeats => sink(Event::Thinking(text)),
            Thought::Thinking(_) => {}
            Thought::Signature(signature) => sink(Event::Signature(signature)),
            Thought::Redacted(data) => sink(Event::Redacted(data)),
            Thought::ForCall(id, signature) if self.signatures.len() < wire::CALLS => {
                self.signatures.push((id.into_owned(), signature.into_owned()));
            }
            Thought::ForCall(..) => {}
        }
    }

    fn call(&mut self, call: Called<'_>, sink: &mut Sink<'_>) {
        let number = match self.which(&call) {
            Some(number) => number,
            None if self.calls.len() < wire::CALLS => self.open(&call),
            None => return,
        };
        let open = &mut self.calls[number];
        if let Some(signature) = call.signature.filter(|_| !open.told) {
            open.signature = Some(signature.into_owned());
        }
        open.whole |= !open.told && call.arguments.as_deref().is_some_and(is_object);
        self.tell(number, call.name, sink);
        let open = &mut self.calls[number];
        match call.arguments {
            Some(json) if open.told => sink(Event::Input { index: number, json }),
            Some(json) if open.held.len() < HELD => open.held.push_str(&json),
            Some(_) | None => {}
        }
    }

    fn open(&mut self, call: &Called<'_>) -> usize {
        let number = self.calls.len();
        let id = call.id.as_deref().map_or_else(|| ids::mint(self.request, number), str::to_owned);
        let at = self.signatures.iter().position(|(of, _)| *of == id);
        let signature = at.map(|at| self.signatures.swap_remove(at).1);
        self.calls.push(Open { index: call.index, id, signature, ..Open::default() });
        number
    }

    /// The call that a piece belongs to; `None` if it begins one.
    fn which(&self, call: &Called<'_>) -> Option<usize> {
        let last = |wanted: &dyn Fn(&Open) -> bool| self.calls.iter().rposition(wanted);
        if let Some(id) = call.id.as_deref()
            && let Some(known) = last(&|open| open.id == id)
        {
            return Some(known);
        }
        let at = match call.index {
            Some(_) => last(&|open| open.index == call.index),
            None => self.calls.len().checked_sub(1),
        }?;
        let names_again = call.name.is_some() && self.calls[at].told;
        // A name under a number that had one: another call, unless it is merely repeated in every piece.
        let begins = names_again && (call.id.is_some() || call.index.is_none() || self.calls[at].whole);
        (!begins).then_some(at)
    }

    /// Tells that a call begins, once, when its name is known.
    fn tell(&mut self, number: usize, name: Option<Cow<'_, str>>, sink: &mut Sink<'_>) {
        let (Some(name), Some(open)) = (name, self.calls.get_mut(number).filter(|open| !open.told)) else { return };
        open.told = true;
        let signature = open.signature.take().map(Cow::Owned);
        sink(Event::Call { index: number, id: Cow::Borrowed(&open.id), name, signature });
        if !open.held.is_empty() {
            sink(Event::Input { index: number, json: Cow::Owned(std::mem::take(&mut open.held)) });
        }
    }
}

fn is_json(data: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(data).is_ok()
}

fn is_object(json: &str) -> bool {
    json.starts_with('{') && serde_json::from_str::<&RawValue>(json).is_ok()
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
