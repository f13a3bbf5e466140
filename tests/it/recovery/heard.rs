//! What a client makes of an answer's stream, in either dialect: its text, how often it began and ended, and what is
//! wrong with the order of its events.
//!
//! Owns the reading, which shares nothing with the product. Refuses to know what should have come.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Front;
use crate::support::Answer;

/// An answer, as far as these tests look.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard {
    pub(super) status: u16,
    pub(super) trail: String,
    pub(super) text: String,
    pub(super) thinking: String,
    pub(super) refusal: String,
    /// Names of tools, and arguments.
    pub(super) calls: Vec<(String, String)>,
    pub(super) ids: BTreeSet<String>,
    pub(super) models: BTreeSet<String>,
    /// How often it said who speaks.
    pub(super) roles: usize,
    pub(super) finishes: Vec<String>,
    /// `[DONE]` or `message_stop`.
    pub(super) ends: usize,
    pub(super) errors: Vec<Value>,
    /// Each telling of the tokens, in and out, as they were known then.
    pub(super) usage: Vec<(u64, u64)>,
    pub(super) comments: Vec<String>,
    /// What is no lawful stream.
    pub(super) flaws: Vec<String>,
    /// The block that is open, of Messages.
    open: Option<u64>,
    blocks: u64,
    over: bool,
}

impl Heard {
    /// Reads what came.
    pub(super) fn of(front: Front, answer: &Answer) -> Self {
        let mut heard = Self { status: answer.status, trail: answer.trail().to_owned(), ..Self::default() };
        if !answer.header("content-type").starts_with("text/event-stream") {
            return heard;
        }
        if !answer.whole {
            heard.flaws.push("the body had no end".to_owned());
        }
        for frame in answer.text().replace("\r\n", "\n").split("\n\n").filter(|frame| !frame.is_empty()) {
            heard.frame(front, frame);
        }
        heard.text = joined(&heard.text);
        heard
    }

    /// A whole answer with one beginning and one end.
    pub(super) fn is_normal(&self) -> bool {
        self.status == 200 && self.ends == 1 && self.finishes.len() == 1 && self.errors.is_empty()
    }

    /// It ends with an error and nothing else.
    pub(super) fn is_broken(&self) -> bool {
        self.status == 200 && self.ends == 0 && self.finishes.is_empty() && self.errors.len() == 1
    }

    /// The seams' slots, by their comments.
    pub(super) fn seams(&self) -> Vec<&str> {
        self.comments.iter().filter_map(|comment| comment.strip_prefix("backstop: continued by ")).collect()
    }

    /// A normal answer of this text, in one piece for all that its client can tell.
    pub(super) fn assert_whole(&self, text: &str, who: &str) {
        assert_eq!(self.text, text, "{who}: {self:#?}");
        assert!(self.is_normal(), "{who}: {self:#?}");
        self.assert_one(who);
    }

    /// An answer that ends with an error behind a beginning of this text.
    pub(super) fn assert_broken(&self, text: &str, who: &str) {
        assert!(self.is_broken(), "{who}: {self:#?}");
        // Half of a letter may have come.
        let begun = self.text.trim_end_matches(char::REPLACEMENT_CHARACTER);
        assert!(text.starts_with(begun), "{who}: {self:#?}");
        self.assert_one(who);
    }

    /// One id, one role, one model, and lawful events.
    pub(super) fn assert_one(&self, who: &str) {
        assert_eq!((self.ids.len(), self.models.len(), self.roles), (1, 1, 1), "{who}: {self:#?}");
        assert!(self.flaws.is_empty(), "{who}: {self:#?}");
    }

    fn frame(&mut self, front: Front, frame: &str) {
        let (mut name, mut data) = (None, None);
        for line in frame.lines() {
            if let Some(comment) = line.strip_prefix(':') {
                self.comments.push(comment.trim().to_owned());
            } else if let Some(text) = line.strip_prefix("data:") {
                data = Some(text.trim_start().to_owned());
            } else if let Some(text) = line.strip_prefix("event:") {
                name = Some(text.trim().to_owned());
            } else if !line.trim().is_empty() {
                self.flaws.push(format!("no line of a stream: {line}"));
            }
        }
        let Some(data) = data else { return };
        if self.over {
            self.flaws.push(format!("behind the end: {data}"));
        }
        if data == "[DONE]" {
            self.ends += 1;
            self.over = true;
            return;
        }
        let Ok(event) = serde_json::from_str::<Value>(&marked(&data)) else {
            self.flaws.push(format!("no JSON: {data}"));
            return;
        };
        match front {
            Front::Chat => self.chunk(&event),
            Front::Messages => {
                if name.as_deref() != event["type"].as_str() {
                    self.flaws.push(format!("{name:?} is called {event}"));
                }
                self.event(&event);
            }
        }
    }

    fn chunk(&mut self, chunk: &Value) {
        if chunk["error"].is_object() {
            self.over = true;
            self.errors.push(chunk["error"].clone());
            return;
        }
        self.named(chunk);
        if let (Some(input), Some(output)) =
            (chunk["usage"]["prompt_tokens"].as_u64(), chunk["usage"]["completion_tokens"].as_u64())
        {
            self.usage.push((input, output));
        }
        for choice in chunk["choices"].as_array().into_iter().flatten() {
            let delta = &choice["delta"];
            self.roles += usize::from(delta["role"].is_string());
            if !self.finishes.is_empty() && delta["content"].as_str().is_some_and(|text| !text.is_empty()) {
                self.flaws.push(format!("behind the reason to finish: {chunk}"));
            }
            push(&mut self.text, &delta["content"]);
            push(&mut self.thinking, &delta["reasoning_content"]);
            push(&mut self.refusal, &delta["refusal"]);
            for call in delta["tool_calls"].as_array().into_iter().flatten() {
                let function = &call["function"];
                if let Some(name) = function["name"].as_str() {
                    self.calls.push((name.to_owned(), String::new()));
                }
                match self.calls.last_mut() {
                    Some((_, arguments)) => push(arguments, &function["arguments"]),
                    None => self.flaws.push(format!("arguments of no tool: {chunk}")),
                }
            }
            self.finishes.extend(choice["finish_reason"].as_str().map(str::to_owned));
        }
    }

    fn named(&mut self, whose: &Value) {
        self.ids.extend(whose["id"].as_str().map(str::to_owned));
        self.models.extend(whose["model"].as_str().map(str::to_owned));
    }

    fn event(&mut self, event: &Value) {
        let index = event["index"].as_u64();
        match event["type"].as_str().unwrap_or_default() {
            "message_start" => {
                self.roles += 1;
                self.named(&event["message"]);
                self.spent(&event["message"]["usage"]);
            }
            "content_block_start" => {
                if self.open.is_some() || index != Some(self.blocks) {
                    self.flaws.push(format!("a block at the wrong time: {event}"));
                }
                self.open = index;
                self.blocks += 1;
                let block = &event["content_block"];
                push(&mut self.text, &block["text"]);
                if block["type"] == "tool_use" {
                    self.calls.push((block["name"].as_str().unwrap_or_default().to_owned(), String::new()));
                }
            }
            "content_block_delta" => {
                if self.open != index {
                    self.flaws.push(format!("a delta of no open block: {event}"));
                }
                push(&mut self.text, &event["delta"]["text"]);
                push(&mut self.thinking, &event["delta"]["thinking"]);
                if let Some((_, arguments)) = self.calls.last_mut() {
                    push(arguments, &event["delta"]["partial_json"]);
                }
            }
            "content_block_stop" if self.open.take() != index => {
                self.flaws.push(format!("the end of no open block: {event}"));
            }
            "content_block_stop" => {}
            "message_delta" => {
                if self.open.is_some() {
                    self.flaws.push(format!("within a block: {event}"));
                }
                self.finishes.extend(event["delta"]["stop_reason"].as_str().map(str::to_owned));
                self.spent(&event["usage"]);
            }
            "message_stop" => {
                self.ends += 1;
                self.over = true;
            }
            "error" => {
                self.over = true;
                self.errors.push(event["error"].clone());
            }
            _ => {}
        }
    }

    fn spent(&mut self, usage: &Value) {
        let before = self.usage.last().map_or(0, |(input, _)| *input);
        if let Some(output) = usage["output_tokens"].as_u64() {
            self.usage.push((usage["input_tokens"].as_u64().unwrap_or(before), output));
        }
    }
}

fn push(text: &mut String, more: &Value) {
    text.push_str(more.as_str().unwrap_or_default());
}

/// Where the marks for halves of letters begin: a plane for private use.
const MARKS: u32 = 0xf_0000;
const SURROGATES: std::ops::Range<u32> = 0xd800..0xe000;

/// JSON in which each escaped half of a letter is a letter of its own, so that a strict reader takes it.
fn marked(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let escape = &rest[at..];
        let unit = escape.strip_prefix("\\u").and_then(|digits| u32::from_str_radix(digits.get(..4)?, 16).ok());
        let half = unit.filter(|unit| SURROGATES.contains(unit));
        let length = if let Some(half) = half {
            text.extend(char::from_u32(MARKS + (half - SURROGATES.start)));
            6
        } else {
            // The escaped letter stands in one byte, always.
            let length = escape.len().min(2);
            text.push_str(&escape[..length]);
            length
        };
        rest = &escape[length..];
    }
    text + rest
}

/// The text with each pair of marks as the letter that it is, and those that are alone as replacements.
fn joined(text: &str) -> String {
    let mut units = Vec::with_capacity(text.len());
    for letter in text.chars() {
        let half = u32::from(letter).checked_sub(MARKS).filter(|half| *half < SURROGATES.end - SURROGATES.start);
        match half.and_then(|half| u16::try_from(half + SURROGATES.start).ok()) {
            Some(half) => units.push(half),
            None => units.extend_from_slice(letter.encode_utf16(&mut [0; 2])),
        }
    }
    String::from_utf16_lossy(&units)
}

#[test]
fn halves_of_letters_are_put_together() {
    let halves = [r#""a\\ud83d \ud83d""#, r#""\ude00\n\"\u00e9""#, r#""\ud83d""#];
    let text: String = halves.iter().map(|half| serde_json::from_str::<String>(&marked(half)).unwrap()).collect();
    assert_eq!(joined(&text), "a\\ud83d 😀\n\"é\u{fffd}");
}
