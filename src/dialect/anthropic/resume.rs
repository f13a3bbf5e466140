//! A message that breaks and goes on.
//!
//! Owns what of its frames must be remembered while they go out, and the request that goes on from there. Refuses to know when
//! that is done.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::wire::{Str, Tokens, is_foreign};
use crate::dialect::canonical::sent::Open;
use crate::dialect::canonical::{Bound, Sent};
use crate::dialect::members::Members;
use crate::dialect::openai_chat::resume::joined;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<Str<'a>>,
    #[serde(borrow)]
    model: Option<Str<'a>>,
    usage: Option<Tokens>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Piece<'a> {
    #[serde(borrow)]
    r#type: Str<'a>,
    #[serde(borrow)]
    text: Option<Str<'a>>,
    #[serde(borrow)]
    thinking: Option<Str<'a>>,
    #[serde(borrow)]
    signature: Option<Str<'a>>,
    #[serde(borrow)]
    stop_reason: Option<Str<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Frame<'a> {
    #[serde(borrow)]
    r#type: Str<'a>,
    index: usize,
    #[serde(borrow)]
    message: Option<Message<'a>>,
    #[serde(borrow)]
    content_block: Option<Piece<'a>>,
    #[serde(borrow)]
    delta: Option<Piece<'a>>,
    usage: Option<Tokens>,
}

/// A frame's data goes out.
pub fn keep(data: &[u8], sent: &mut Sent) {
    let Ok(frame) = serde_json::from_slice::<Frame<'_>>(data) else { return };
    let tokens = frame.usage.or(frame.message.as_ref().and_then(|message| message.usage));
    if let Some(tokens) = tokens {
        sent.usage = sent.usage.or_more(tokens.usage());
    }
    match frame.r#type.0.as_ref() {
        "message_start" => {
            let message = frame.message.unwrap_or_default();
            let text = |text: Option<Str<'_>>| text.map(Str::into_string).filter(|text| !text.is_empty());
            (sent.id, sent.model) = (text(message.id), text(message.model));
        }
        "content_block_start" => {
            let block = frame.content_block.unwrap_or_default();
            sent.block = frame.index;
            sent.open = match block.r#type.0.as_ref() {
                "text" => Open::Text,
                "thinking" => Open::Thinking,
                other => {
                    sent.bind(match other {
                        "tool_use" => Bound::Call,
                        "redacted_thinking" => Bound::Signed,
                        _ => Bound::Foreign,
                    });
                    Open::None
                }
            };
            piece(block, sent);
        }
        "content_block_delta" => piece(frame.delta.unwrap_or_default(), sent),
        "message_delta" if frame.delta.is_some_and(|delta| delta.stop_reason.is_some()) => sent.bind(Bound::Finished),
        "content_block_stop" => {
            sent.block = frame.index + 1;
            sent.open = Open::None;
        }
        _ => {}
    }
}

fn piece(piece: Piece<'_>, sent: &mut Sent) {
    if let Some(text) = piece.text {
        sent.say(&text.0);
    }
    if let Some(thinking) = piece.thinking {
        sent.think(&thinking.0);
    }
    if piece.signature.is_some_and(|signature| !is_foreign(Some(&signature.0))) {
        sent.bind(Bound::Signed);
    }
}

#[derive(Serialize)]
struct Turn<'a> {
    role: &'static str,
    content: &'a str,
}

/// The request that goes on from `beginning`: the client's own, with that as the assistant's last words. It does not think,
/// because Claude takes no beginning then. `None` if there is nothing to add it to.
#[must_use]
pub fn request(body: &[u8], beginning: &str) -> Option<Vec<u8>> {
    let mut members = Members::read(std::str::from_utf8(body).ok()?)?;
    let mut messages: Vec<Box<RawValue>> = serde_json::from_str(members.get("messages")?.get()).ok()?;
    match messages.last().and_then(|last| joined(last, beginning)) {
        Some(last) => *messages.last_mut()? = last,
        // Two messages of one role are one turn there.
        None => messages.push(serde_json::value::to_raw_value(&Turn { role: "assistant", content: beginning }).ok()?),
    }
    members.set("messages", &messages);
    members.remove("thinking");
    Some(members.write())
}

#[cfg(test)]
#[path = "resume_tests.rs"]
mod tests;
