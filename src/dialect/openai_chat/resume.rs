//! A chat that breaks and goes on.
//!
//! Owns what of its frames must be remembered while they go out, and the request that goes on from there. Refuses to know when
//! that is done.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::halves::Halves;
use super::shape::Weight;
use super::wire::{self, Said, Thought};
use crate::dialect::canonical::{Bound, Sent};
use crate::dialect::members::Members;
use crate::dialect::vendor::Vendor;

/// Remembers what goes out.
#[derive(Debug, Default)]
pub struct Record {
    halves: Halves,
    finished: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Chunk<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    created: Option<u64>,
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    x_groq: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Choice<'a> {
    index: u64,
    #[serde(borrow)]
    delta: Option<Said<'a>>,
    finish_reason: Weight,
    logprobs: Weight,
}

impl Record {
    /// A frame's data goes out. Returns whether it tells the tokens and nothing else, although the answer is not finished: if
    /// it is finished by somebody else, they are not all.
    pub fn keep(&mut self, data: &[u8], sent: &mut Sent) -> bool {
        let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(data) else {
            // `[DONE]`, or what no client understands either.
            return false;
        };
        if sent.id.is_none() {
            sent.id = wire::text(chunk.id).map(std::borrow::Cow::into_owned);
            sent.model = wire::text(chunk.model).map(std::borrow::Cow::into_owned);
            sent.created = chunk.created;
        }
        let usage = wire::usage(chunk.usage, chunk.x_groq);
        if let Some(usage) = usage {
            sent.usage = sent.usage.or_more(usage);
        }
        for choice in &chunk.choices {
            if choice.index != 0 || choice.logprobs.is_full() {
                sent.bind(Bound::Choices);
            }
            if let Some(delta) = &choice.delta {
                self.delta(delta, sent);
            }
            if choice.finish_reason.is_full() {
                self.finished = true;
                sent.bind(Bound::Finished);
            }
        }
        usage.is_some() && chunk.choices.is_empty() && !self.finished
    }

    fn delta(&mut self, said: &Said<'_>, sent: &mut Sent) {
        let full = |raw: Option<&RawValue>| raw.is_some_and(|raw| !matches!(raw.get(), "null" | "\"\"" | "[]" | "{}"));
        if full(said.tool_calls) || full(said.function_call) {
            sent.bind(Bound::Call);
        }
        if full(said.refusal) {
            sent.bind(Bound::Refusal);
        }
        let plain = wire::text(said.reasoning_content).or_else(|| wire::text(said.reasoning));
        let repeats = plain.is_some();
        if let Some(text) = plain {
            sent.think(&text);
        }
        for list in [said.reasoning_details, said.thinking_blocks] {
            wire::thoughts(list, &mut |thought| keep(thought, repeats, sent));
        }
        if let Some(text) = self.halves.join(said.content) {
            sent.say(&text);
        } else {
            wire::thoughts(said.content, &mut |thought| keep(thought, false, sent));
        }
        sent.half = self.halves.waiting();
    }
}

fn keep(thought: Thought<'_>, repeats: bool, sent: &mut Sent) {
    match thought {
        Thought::Text(text) => sent.say(&text),
        Thought::Thinking(text) if !repeats => sent.think(&text),
        Thought::Thinking(_) => {}
        Thought::Refusal(_) => sent.bind(Bound::Refusal),
        Thought::Signature(_) | Thought::Redacted(_) | Thought::ForCall(..) => sent.bind(Bound::Signed),
    }
}

#[derive(Serialize)]
struct Turn<'a> {
    role: &'static str,
    content: &'a str,
    /// Mistral's and DeepSeek's word for a message that is to be continued.
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<bool>,
}

/// The request that goes on from `beginning`: the client's own, with that as the assistant's last words. `None` if there is
/// nothing to add it to.
#[must_use]
pub fn request(body: &[u8], beginning: &str, vendor: Vendor) -> Option<Vec<u8>> {
    let mut members = Members::read(std::str::from_utf8(body).ok()?)?;
    let mut messages: Vec<Box<RawValue>> = serde_json::from_str(members.get("messages")?.get()).ok()?;
    let prefix = matches!(vendor, Vendor::Mistral | Vendor::DeepSeek).then_some(true);
    match messages.last().and_then(|last| joined(last, beginning)) {
        Some(last) => *messages.last_mut()? = last,
        None => messages
            .push(serde_json::value::to_raw_value(&Turn { role: "assistant", content: beginning, prefix }).ok()?),
    }
    members.set("messages", &messages);
    if vendor == Vendor::Vllm {
        members.set("add_generation_prompt", &false);
        members.set("continue_final_message", &true);
    }
    Some(members.write())
}

/// The client's own beginning with more behind it; `None` if its last message is no plain text of the assistant.
pub(in crate::dialect) fn joined(last: &RawValue, more: &str) -> Option<Box<RawValue>> {
    #[derive(Deserialize)]
    struct Last {
        role: String,
        content: String,
    }
    let last_words: Last = serde_json::from_str(last.get()).ok().filter(|last: &Last| last.role == "assistant")?;
    let mut members = Members::read(last.get())?;
    members.set("content", &(last_words.content + more));
    RawValue::from_string(String::from_utf8(members.write()).ok()?).ok()
}

#[cfg(test)]
#[path = "resume_tests.rs"]
mod tests;
