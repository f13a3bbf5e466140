//! Instructions and turns become messages.
//!
//! Owns what this dialect keeps apart: a message for each tool's result, in front of what the user says. A `tool` message
//! holds text only, so what else a tool gave follows in the user's message; that it failed is said by a first word,
//! `Error:`, for this dialect has no flag. Refuses to know what is around the messages.

use std::borrow::Cow;

use serde::Serialize;

use super::content::{Content, Piece, Pieces, content};
use crate::dialect::canonical::{Call, Cannot, Part, Profile, Rendered, Request, Role, ToolResult, Turn, ids};
use crate::dialect::openai_chat::vendors::{self, Habits, Past};
use crate::dialect::openai_chat::written::{Detail, Extra, WrittenCall, WrittenFunction};
use crate::dialect::vendor::Vendor;

/// What stands where a tool gave no text.
const ELSEWHERE: &str = "The result is in the next message.";
/// What an assistant says between a tool and a user, where somebody must.
pub(in crate::dialect::openai_chat) const BRIDGE: &str = "OK.";

/// One message.
#[derive(Default, Serialize)]
pub(super) struct Message<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<Cow<'a, str>>,
    content: Option<Content<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasoning_details: Vec<Detail<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WrittenCall<'a>>,
}

impl<'a> Message<'a> {
    fn new(role: &'static str, content: Content<'a>) -> Self {
        Self { role, content: Some(content), ..Self::default() }
    }
}

/// All messages of a request.
pub(super) fn all<'a>(
    request: &'a Request,
    profile: &Profile<'_>,
    habits: &'static Habits,
    rendered: &mut Rendered,
) -> Result<Vec<Message<'a>>, Cannot> {
    let mut pieces = Pieces { profile, habits, rendered };
    let mut messages = Vec::new();
    let system: Vec<_> = request.system.iter().map(|text| pieces.text(text)).collect();
    if !system.is_empty() {
        messages.push(Message::new("system", content(system)));
    }
    for turn in &request.turns {
        match turn.role {
            Role::User => user(turn, &mut pieces, &mut messages)?,
            Role::Assistant => assistant(turn, &mut pieces, &mut messages)?,
        }
    }
    Ok(messages)
}

fn user<'a>(turn: &'a Turn, pieces: &mut Pieces<'_, '_>, messages: &mut Vec<Message<'a>>) -> Result<(), Cannot> {
    let mut said = Vec::new();
    for part in &turn.parts {
        if let Part::Result(result) = part {
            messages.push(tool(result, pieces, &mut said)?);
        }
    }
    let answers = turn.parts.iter().any(|part| matches!(part, Part::Result(_)));
    for part in &turn.parts {
        said.extend(pieces.piece(part)?);
    }
    if said.is_empty() && answers {
        return Ok(());
    }
    if answers && pieces.habits.bridged {
        messages.push(Message::new("assistant", Content::Plain(BRIDGE.into())));
    }
    messages.push(Message::new("user", content(said)));
    Ok(())
}

/// A result's message. What is no text goes to `rest`, with a word on whose it is.
fn tool<'a>(
    result: &'a ToolResult,
    pieces: &mut Pieces<'_, '_>,
    rest: &mut Vec<Piece<'a>>,
) -> Result<Message<'a>, Cannot> {
    let id = ids::fit(&result.id, pieces.habits.ids);
    pieces.unmark(result.cache.as_ref());
    let mut texts = Vec::new();
    let mut others = Vec::new();
    for part in &result.parts {
        match pieces.piece(part)? {
            Some(text @ Piece::Text { .. }) => texts.push(text),
            other => others.extend(other),
        }
    }
    if result.is_error {
        match texts.first_mut() {
            Some(Piece::Text { text, .. }) => text.to_mut().insert_str(0, "Error: "),
            _ => texts.push(Piece::Text { text: "Error".into(), cache_control: None }),
        }
    }
    if !others.is_empty() {
        if texts.is_empty() {
            texts.push(Piece::Text { text: ELSEWHERE.into(), cache_control: None });
        }
        let text = format!("The result of the tool call {id}:").into();
        rest.push(Piece::Text { text, cache_control: None });
        rest.append(&mut others);
    }
    Ok(Message { tool_call_id: Some(id), ..Message::new("tool", content(texts)) })
}

fn assistant<'a>(turn: &'a Turn, pieces: &mut Pieces<'_, '_>, messages: &mut Vec<Message<'a>>) -> Result<(), Cannot> {
    let mut message = Message { role: "assistant", ..Message::default() };
    let mut said = Vec::new();
    let mut thought = String::new();
    let has_calls = turn.parts.iter().any(|part| matches!(part, Part::Call(_)));
    let index = std::cell::Cell::new(0);
    let next = || index.replace(index.get() + 1);
    for part in &turn.parts {
        match (part, pieces.habits.past) {
            (Part::Call(call), _) => {
                if pieces.habits.past == Past::Details
                    && let Some(signature) = &call.signature
                {
                    message.reasoning_details.push(Detail::of_call(signature, &call.id, next()));
                }
                pieces.unmark(call.cache.as_ref());
                let written = written(call, message.tool_calls.is_empty(), pieces);
                message.tool_calls.push(written);
            }
            (Part::Thinking { text, signature }, Past::Details) => {
                let signature = signature.as_deref().filter(|signature| !signature.is_empty());
                message.reasoning_details.push(Detail::thought(Some(text), signature, next()));
            }
            (Part::Redacted { data }, Past::Details) => message.reasoning_details.push(Detail::redacted(data, next())),
            (Part::Thinking { text, .. }, Past::Content) if has_calls => thought.push_str(text),
            (Part::Thinking { .. }, Past::Content | Past::Dropped) => pieces.rendered.drop("messages.content.thinking"),
            (Part::Redacted { .. }, Past::Content | Past::Dropped) => {
                pieces.rendered.drop("messages.content.redacted_thinking");
            }
            (
                Part::Text(_)
                | Part::Refusal(_)
                | Part::Image(_)
                | Part::Document(_)
                | Part::Audio { .. }
                | Part::Result(_),
                _,
            ) => said.extend(pieces.piece(part)?),
        }
    }
    if pieces.habits.past == Past::Content && has_calls {
        message.reasoning_content = Some(thought);
    }
    if !said.is_empty() {
        message.content = Some(joined(said));
    }
    // Nobody takes a message that says nothing; a turn that only thought is one where thoughts are dropped.
    if message.content.is_some() || has_calls || !message.reasoning_details.is_empty() {
        if !has_calls {
            message.content.get_or_insert(Content::Plain("".into()));
        }
        messages.push(message);
    }
    Ok(())
}

/// The model's own texts belong together: nothing stands between them.
fn joined(pieces: Vec<Piece<'_>>) -> Content<'_> {
    if !pieces.iter().all(|piece| matches!(piece, Piece::Text { cache_control: None, .. })) {
        return Content::Parts(pieces);
    }
    let mut all = Cow::Borrowed("");
    for piece in pieces {
        match piece {
            Piece::Text { text, .. } if all.is_empty() => all = text,
            Piece::Text { text, .. } => all.to_mut().push_str(&text),
            Piece::ImageUrl { .. } | Piece::File { .. } | Piece::DocumentUrl { .. } | Piece::InputAudio { .. } => {}
        }
    }
    Content::Plain(all)
}

/// A call. Gemini wants a signature under the first one of a turn, if need be its stand-in.
fn written<'a>(call: &'a Call, is_first: bool, pieces: &Pieces<'_, '_>) -> WrittenCall<'a> {
    let gemini = pieces.profile.vendor == Vendor::Gemini;
    let stand_in = || vendors::unsigned(pieces.profile).filter(|_| is_first);
    let signature = call.signature.as_deref().filter(|_| gemini).or_else(stand_in);
    WrittenCall {
        id: ids::fit(&call.id, pieces.habits.ids),
        r#type: "function",
        // Vendors read the history's calls, so what was cut off is made whole.
        function: WrittenFunction { name: &call.name, arguments: call.object() },
        extra_content: signature.map(Extra::signature),
    }
}

#[cfg(test)]
#[path = "messages_tests.rs"]
mod tests;
