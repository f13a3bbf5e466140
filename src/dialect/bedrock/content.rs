//! Turns become messages.
//!
//! Bedrock wants user and assistant in turn, the user first, no blank text, and a text beside a document; a user's results
//! come first, the model's calls last, because what follows a call is taken for its next turn. What is left out may leave
//! a message empty: then it is left out, and its neighbours join.
//!
//! Blocks of tools are refused when a request offers none. Then calls and results are told in words instead:
//! `[called NAME with INPUT]`, `[NAME answered: TEXT]`, `[NAME failed: TEXT]`. A tool nobody can call is not offered for
//! their sake.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::cache::{Marks, mark};
use super::media::{self, Names};
use super::thinking::Place;
use super::wire::{Block, Message, Reasoning, ToolResult, ToolUse};
use crate::dialect::canonical::{self, Call, Cannot, Part, Rendered, Request, Role, Turn, ids};

/// What the user says where the conversation has to begin with a user, and does not.
const OPENING: &str = "Continue.";

/// A message in the making. A user's results are early, a model's calls are late.
#[derive(Debug)]
struct Draft<'a> {
    role: Role,
    early: Vec<Block<'a>>,
    late: Vec<Block<'a>>,
}

/// What one request's turns share.
pub(super) struct Content<'a, 'r> {
    place: Place<'r>,
    /// What the model thought goes along. It would be refused by one that does not think.
    thinks: bool,
    marks: &'r mut Marks,
    rendered: &'r mut Rendered,
    names: Names,
    /// Names of tools by the ids of their calls.
    called: BTreeMap<&'a str, &'a str>,
}

impl<'a, 'r> Content<'a, 'r> {
    pub(super) fn new(place: Place<'r>, thinks: bool, marks: &'r mut Marks, rendered: &'r mut Rendered) -> Self {
        Self { place, thinks, marks, rendered, names: Names::default(), called: BTreeMap::new() }
    }

    /// All messages of a request.
    pub(super) fn messages(&mut self, request: &'a Request) -> Result<Vec<Message<'a>>, Cannot> {
        let mut drafts: Vec<Draft<'a>> = Vec::new();
        for turn in &request.turns {
            let draft = self.turn(turn)?;
            if draft.early.is_empty() && draft.late.is_empty() {
                continue;
            }
            match drafts.last_mut().filter(|last| last.role == draft.role) {
                Some(last) => {
                    last.early.extend(draft.early);
                    last.late.extend(draft.late);
                }
                None => drafts.push(draft),
            }
        }
        if drafts.first().is_some_and(|first| first.role == Role::Assistant) {
            let opening = vec![Block::Text(Cow::Borrowed(OPENING))];
            drafts.insert(0, Draft { role: Role::User, early: opening, late: Vec::new() });
        }
        let mut messages: Vec<Message<'a>> = drafts.into_iter().map(Draft::message).collect();
        // What the model is to go on from must not end with a blank.
        if let Some(Message { role: Role::Assistant, content }) = messages.last_mut()
            && let Some(Block::Text(text)) = content.last_mut()
        {
            *text = Cow::Owned(text.trim_end().to_owned());
        }
        Ok(messages)
    }

    fn turn(&mut self, turn: &'a Turn) -> Result<Draft<'a>, Cannot> {
        let mut draft = Draft { role: turn.role, early: Vec::new(), late: Vec::new() };
        for part in &turn.parts {
            let late = match turn.role {
                Role::User => !matches!(part, Part::Result(_)),
                Role::Assistant => matches!(part, Part::Call(_)),
            };
            let blocks = self.part(turn.role, part)?;
            let mark = mark(part).filter(|_| !blocks.is_empty());
            let mark = self.marks.take(mark, self.rendered).map(Block::CachePoint);
            let blocks = blocks.into_iter().chain(mark);
            if late { draft.late.extend(blocks) } else { draft.early.extend(blocks) }
        }
        Ok(draft)
    }

    fn part(&mut self, role: Role, part: &'a Part) -> Result<Vec<Block<'a>>, Cannot> {
        let block = match part {
            Part::Text(text) => text_block(&text.text),
            Part::Refusal(text) => text_block(text),
            Part::Image(_) | Part::Document(_) | Part::Audio { .. } => match role {
                Role::User => self.media(part)?,
                Role::Assistant => {
                    self.rendered.drop("messages.content.image");
                    None
                }
            },
            Part::Call(call) => Some(self.call(call)),
            Part::Result(result) => return self.result(result),
            Part::Thinking { .. } | Part::Redacted { .. } => {
                let block = thought(part).filter(|_| self.place.model.claude().is_some());
                if block.is_none() {
                    self.rendered.drop("messages.content.thinking");
                }
                block.filter(|_| self.thinks)
            }
        };
        Ok(block.into_iter().collect())
    }

    /// A picture, a document or sound.
    fn media(&mut self, part: &'a Part) -> Result<Option<Block<'a>>, Cannot> {
        match part {
            Part::Image(image) => {
                if image.detail.as_deref().is_some_and(|detail| detail != "auto") {
                    self.rendered.drop("messages.content.image_url.detail");
                }
                media::image(image).map(Some)
            }
            Part::Document(document) => media::document(document, &mut self.names),
            Part::Audio { data, format } => media::sound(data, format, self.place.model.claude().is_some()).map(Some),
            Part::Text(_)
            | Part::Refusal(_)
            | Part::Call(_)
            | Part::Result(_)
            | Part::Thinking { .. }
            | Part::Redacted { .. } => Ok(None),
        }
    }

    fn call(&mut self, call: &'a Call) -> Block<'a> {
        self.called.insert(&call.id, &call.name);
        let input = call.object();
        if self.place.in_words {
            return Block::Text(Cow::Owned(format!("[called {} with {input}]", call.name)));
        }
        Block::ToolUse(ToolUse {
            tool_use_id: ids::fit(&call.id, ids::Rule::Bedrock),
            name: &call.name,
            input: RawValue::from_string(input.into_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned()),
        })
    }

    fn result(&mut self, result: &'a canonical::ToolResult) -> Result<Vec<Block<'a>>, Cannot> {
        let mut content = Vec::new();
        for part in &result.parts {
            match part {
                Part::Text(text) => content.push(Block::Text(Cow::Borrowed(text.text.as_str()))),
                part => content.extend(self.media(part)?),
            }
        }
        if self.place.in_words {
            return Ok(self.told(result, content));
        }
        if content.is_empty() {
            // An error has to say something.
            content.push(Block::Text(Cow::Borrowed(if result.is_error { "error" } else { "" })));
        }
        if result.is_error && !self.place.model.takes_status() {
            self.rendered.drop("messages.content.is_error");
        }
        Ok(vec![Block::ToolResult(ToolResult {
            tool_use_id: ids::fit(&result.id, ids::Rule::Bedrock),
            content,
            status: (result.is_error && self.place.model.takes_status()).then_some("error"),
        })])
    }

    /// A result in words, and its pictures behind it.
    fn told(&self, result: &canonical::ToolResult, content: Vec<Block<'a>>) -> Vec<Block<'a>> {
        let name = self.called.get(result.id.as_str()).copied().unwrap_or("the tool");
        let (texts, others): (Vec<_>, Vec<_>) = content.into_iter().partition(|block| matches!(block, Block::Text(_)));
        let texts: Vec<&str> = texts
            .iter()
            .filter_map(|block| if let Block::Text(text) = block { Some(text.as_ref()) } else { None })
            .collect();
        let how = if result.is_error { "failed" } else { "answered" };
        let words = format!("[{name} {how}: {}]", texts.join("\n"));
        std::iter::once(Block::Text(Cow::Owned(words))).chain(others).collect()
    }
}

impl<'a> Draft<'a> {
    fn message(mut self) -> Message<'a> {
        let blocks = || self.early.iter().chain(&self.late);
        let document = blocks().find_map(|block| match block {
            Block::Document(document) => Some(document.name.clone()),
            Block::Text(_)
            | Block::Image(_)
            | Block::Audio(_)
            | Block::ToolUse(_)
            | Block::ToolResult(_)
            | Block::ReasoningContent(_)
            | Block::CachePoint(_) => None,
        });
        if let Some(name) = document.filter(|_| !blocks().any(|block| matches!(block, Block::Text(_)))) {
            self.late.push(Block::Text(Cow::Owned(name)));
        }
        self.early.append(&mut self.late);
        Message { role: self.role, content: self.early }
    }
}

fn text_block(text: &str) -> Option<Block<'_>> {
    (!text.trim().is_empty()).then_some(Block::Text(Cow::Borrowed(text)))
}

/// What Claude thought, if it is Claude's: another vendor's signature, or one of the gateway's own, would be refused.
pub(super) fn thought(part: &Part) -> Option<Block<'_>> {
    let claudes = |text: &str| !text.is_empty() && !text.starts_with("backstop:");
    match part {
        Part::Thinking { text, signature } => {
            let signature = signature.as_deref().filter(|signature| claudes(signature))?;
            Some(Block::ReasoningContent(Reasoning::ReasoningText { text, signature }))
        }
        Part::Redacted { data } => {
            let base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
            let fits = claudes(data) && data.bytes().all(base64);
            fits.then_some(Block::ReasoningContent(Reasoning::RedactedContent(data)))
        }
        Part::Text(_)
        | Part::Refusal(_)
        | Part::Image(_)
        | Part::Document(_)
        | Part::Audio { .. }
        | Part::Call(_)
        | Part::Result(_) => None,
    }
}
