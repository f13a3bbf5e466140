//! The messages of a chat become instructions and turns.
//!
//! Owns roles and their order: what follows what, which call a result answers. Refuses to know what a part of a
//! message is.

use std::collections::VecDeque;

use super::value::{Object, Value};
use super::{history, note, parts};
use crate::dialect::canonical::{Cache, Part, Request, Role, Text, ToolResult, Turn};
use crate::dialect::openai_chat::request::BadRequest;

const CONTENT: &str = "a string or a list of parts";

/// Reads all messages.
pub(super) fn read(body: &Object<'_>, request: &mut Request) -> Result<(), BadRequest> {
    let list = "a list of messages, each with a `role` and its `content`";
    let messages = body.need("messages", list)?;
    let messages = messages.items(list)?;
    if messages.is_empty() {
        let message = "`messages` is empty: it must have at least one message";
        return Err(BadRequest::new(message, Some("messages"), "empty_array"));
    }
    let mut talk = Talk { request, nameless: VecDeque::new(), named: 0 };
    for message in &messages {
        talk.message(message)?;
    }
    for turn in &mut request.turns {
        turn.parts.sort_by_key(|part| !matches!(part, Part::Result(_)));
    }
    Ok(())
}

/// The conversation so far.
struct Talk<'r> {
    request: &'r mut Request,
    /// Calls that their vendor gave no id (Gemini's empty ones, the old functions): the id they got here, and the tool.
    nameless: VecDeque<(String, String)>,
    /// How many ids were given here.
    named: usize,
}

impl Talk<'_> {
    fn message(&mut self, value: &Value<'_>) -> Result<(), BadRequest> {
        let message = value.object("an object with a `role` and its `content`")?;
        let roles = "`system`, `developer`, `user`, `assistant` or `tool`";
        let role = message.need("role", roles)?;
        let cache = parts::cache(&message)?;
        match role.text(roles)?.as_str() {
            "system" | "developer" => self.system(&message, cache)?,
            "user" => {
                self.note_name(&message);
                let mut parts = self.heard(&message)?;
                mark_last(&mut parts, cache);
                self.push(Role::User, parts);
            }
            "assistant" => self.assistant(&message, cache)?,
            "tool" => self.result(&message, cache)?,
            "function" => self.function_result(&message, cache)?,
            _ => return Err(role.wrong(roles)),
        }
        Ok(())
    }

    fn push(&mut self, role: Role, parts: Vec<Part>) {
        match self.request.turns.last_mut() {
            Some(turn) if turn.role == role => turn.parts.extend(parts),
            _ => self.request.turns.push(Turn { role, parts }),
        }
    }

    fn system(&mut self, message: &Object<'_>, cache: Option<Cache>) -> Result<(), BadRequest> {
        self.note_name(message);
        let mut parts = parts::read(&message.need("content", CONTENT)?, self.request)?;
        mark_last(&mut parts, cache);
        for part in parts {
            match part {
                Part::Text(text) => self.request.system.push(text),
                Part::Image(_) => note(self.request, "messages.content", "image_url"),
                Part::Document(_) => note(self.request, "messages.content", "file"),
                Part::Audio { .. } => note(self.request, "messages.content", "input_audio"),
                Part::Refusal(_) | Part::Call(_) | Part::Result(_) | Part::Thinking { .. } | Part::Redacted { .. } => {
                    note(self.request, "messages.content", "other")
                }
            }
        }
        Ok(())
    }

    fn assistant(&mut self, message: &Object<'_>, cache: Option<Cache>) -> Result<(), BadRequest> {
        self.note_name(message);
        if message.get("audio").is_some() {
            note(self.request, "messages", "audio");
        }
        let mut thoughts = history::thoughts(message, self.request)?;
        let mut parts = std::mem::take(&mut thoughts.parts);
        if let Some(content) = message.get("content") {
            let said = parts::read(&content, self.request)?;
            // An empty text beside calls is how some vendors say null.
            parts.extend(
                said.into_iter().filter(|part| !matches!(part, Part::Text(Text { text, .. }) if text.is_empty())),
            );
        }
        if let Some(refusal) = message.text("refusal")?.filter(|refusal| !refusal.is_empty()) {
            parts.push(Part::Refusal(refusal));
        }
        for mut call in history::calls(message, &thoughts)? {
            if call.id.is_empty() {
                self.named += 1;
                call.id = format!("call_{}", self.named);
                self.nameless.push_back((call.id.clone(), call.name.clone()));
            }
            parts.push(Part::Call(call));
        }
        mark_last(&mut parts, cache);
        self.push(Role::Assistant, parts);
        Ok(())
    }

    fn result(&mut self, message: &Object<'_>, cache: Option<Cache>) -> Result<(), BadRequest> {
        let wanted = "the `id` of the tool call that this message answers";
        let id = message.need("tool_call_id", wanted)?.text(wanted)?;
        let id = if id.is_empty() { self.nameless.pop_front().map(|(id, _)| id).unwrap_or_default() } else { id };
        self.push_result(id, message, cache)
    }

    fn function_result(&mut self, message: &Object<'_>, cache: Option<Cache>) -> Result<(), BadRequest> {
        let wanted = "the name of the function that this message answers for";
        let value = message.need("name", wanted)?;
        let name = value.text(wanted)?;
        let Some(at) = self.nameless.iter().position(|(_, called)| *called == name) else {
            return Err(value.wrong("the name of a function that an assistant's `function_call` before it called"));
        };
        let id = self.nameless.remove(at).map(|(id, _)| id).unwrap_or_default();
        self.push_result(id, message, cache)
    }

    /// What is not the model's own words: it neither thinks nor refuses.
    fn heard(&mut self, message: &Object<'_>) -> Result<Vec<Part>, BadRequest> {
        let parts = parts::read(&message.need("content", CONTENT)?, self.request)?;
        let own = |part: Part| match part {
            Part::Refusal(text) => Some(Part::Text(Text::new(text))),
            Part::Thinking { .. } => {
                note(self.request, "messages.content", "thinking");
                None
            }
            part => Some(part),
        };
        Ok(parts.into_iter().filter_map(own).collect())
    }

    fn push_result(&mut self, id: String, message: &Object<'_>, cache: Option<Cache>) -> Result<(), BadRequest> {
        let mut parts = self.heard(message)?;
        let inner = parts.iter_mut().filter_map(parts::mark).filter_map(Option::take).last();
        let result = ToolResult { id, parts, is_error: false, cache: cache.or(inner) };
        self.push(Role::User, vec![Part::Result(result)]);
        Ok(())
    }

    fn note_name(&mut self, message: &Object<'_>) {
        if message.get("name").is_some() {
            note(self.request, "messages", "name");
        }
    }
}

/// A mark on a message is one behind its last part.
fn mark_last(parts: &mut [Part], cache: Option<Cache>) {
    if let (Some(cache), Some(mark)) = (cache, parts.iter_mut().filter_map(parts::mark).next_back()) {
        mark.get_or_insert(cache);
    }
}
