//! Canonical parts as Messages' blocks, of requests and of answers.
//!
//! Owns what Anthropic asks of a conversation: no blank text, results first and calls last, ids of its own form, only thinking
//! that Claude signed, four cache marks. Refuses to know tools, sampling and whether the model thinks.

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::wire::is_foreign;
use crate::dialect::canonical::ids::{Rule, fit};
use crate::dialect::canonical::{
    Cache, Call, Cannot, Document, Image, Part, Rendered, Role, Source, Text, ToolResult, Turn,
};
use crate::policy::capability::Lack;

/// So many marks Anthropic takes.
const MOST_MARKS: usize = 4;

/// A cache mark.
#[derive(Debug, Serialize)]
pub(super) struct Mark<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'a str>,
}

/// The mark of a cache, whose time is one that Anthropic knows or left to it.
pub(super) fn mark(cache: Option<&Cache>) -> Option<Mark<'_>> {
    cache.map(|cache| Mark { r#type: "ephemeral", ttl: cache.ttl.as_deref().filter(|ttl| matches!(*ttl, "5m" | "1h")) })
}

/// JSON that stands as it is.
#[derive(Debug)]
pub(super) struct Json<'a>(Cow<'a, str>);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&RawValue>(&self.0).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

/// Where the bytes of a block are.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum SourceOut<'a> {
    Base64 { media_type: Cow<'a, str>, data: &'a str },
    Url { url: &'a str },
    Text { media_type: &'static str, data: Cow<'a, str> },
}

/// A block.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'a> {
    Text {
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<Mark<'a>>,
    },
    Image {
        source: SourceOut<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<Mark<'a>>,
    },
    Document {
        source: SourceOut<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        context: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<Mark<'a>>,
    },
    ToolUse {
        id: Cow<'a, str>,
        name: &'a str,
        input: Json<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<Mark<'a>>,
    },
    ToolResult {
        tool_use_id: Cow<'a, str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<Self>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<Mark<'a>>,
    },
    Thinking {
        thinking: &'a str,
        signature: &'a str,
    },
    RedactedThinking {
        data: &'a str,
    },
}

impl<'a> Block<'a> {
    /// Text, unless it is blank.
    pub(super) fn text(text: &'a Text) -> Option<Self> {
        (!text.text.trim().is_empty())
            .then(|| Self::Text { text: &text.text, cache_control: mark(text.cache.as_ref()) })
    }

    /// A call under an id that is taken as it is.
    pub(super) fn call(call: &'a Call, id: Cow<'a, str>) -> Self {
        Self::ToolUse { id, name: &call.name, input: Json(call.object()), cache_control: mark(call.cache.as_ref()) }
    }

    /// The block's marks, in order.
    pub(super) fn marks<'b>(&'b mut self, into: &mut Vec<&'b mut Option<Mark<'a>>>) {
        match self {
            Self::Text { cache_control, .. }
            | Self::Image { cache_control, .. }
            | Self::Document { cache_control, .. }
            | Self::ToolUse { cache_control, .. } => into.push(cache_control),
            Self::ToolResult { content, cache_control, .. } => {
                for block in content {
                    block.marks(into);
                }
                into.push(cache_control);
            }
            Self::Thinking { .. } | Self::RedactedThinking { .. } => {}
        }
    }
}

/// Takes away the first marks if there are too many; says whether it did.
pub(super) fn keep_last_marks(marks: Vec<&mut Option<Mark<'_>>>) -> bool {
    let marks: Vec<_> = marks.into_iter().filter(|mark| mark.is_some()).collect();
    let surplus = marks.len().saturating_sub(MOST_MARKS);
    for mark in marks.into_iter().take(surplus) {
        *mark = None;
    }
    surplus > 0
}

/// A message.
#[derive(Debug, Serialize)]
pub(super) struct MessageOut<'a> {
    pub(super) role: &'static str,
    pub(super) content: Vec<Block<'a>>,
}

/// The conversation. A turn in which nothing is left goes, and its neighbours become one: Anthropic takes no message that is
/// empty. Without
/// `thinks` no thinking goes along, which would only be refused.
///
/// # Errors
/// It holds what no target of this dialect takes.
pub(super) fn messages<'a>(
    turns: &'a [Turn],
    thinks: bool,
    rendered: &mut Rendered,
) -> Result<Vec<MessageOut<'a>>, Cannot> {
    let mut messages: Vec<MessageOut<'a>> = Vec::with_capacity(turns.len());
    for turn in turns {
        let mut content = Vec::with_capacity(turn.parts.len());
        for part in in_order(turn) {
            content.extend(block(part, thinks, rendered)?);
        }
        let role = match turn.role {
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        match messages.last_mut() {
            _ if content.is_empty() => {}
            Some(last) if last.role == role => last.content.extend(content),
            _ => messages.push(MessageOut { role, content }),
        }
    }
    // What the model is to go on from must not end with a blank.
    if let Some(MessageOut { role: "assistant", content }) = messages.last_mut()
        && let Some(Block::Text { text, .. }) = content.last_mut()
    {
        *text = text.trim_end();
    }
    Ok(messages)
}

/// A user's results come first; the model's calls come last, because what follows a call is taken for its next turn.
fn in_order(turn: &Turn) -> impl Iterator<Item = &Part> {
    let late = |part: &&Part| match turn.role {
        Role::User => !matches!(part, Part::Result(_)),
        Role::Assistant => matches!(part, Part::Call(_)),
    };
    turn.parts.iter().filter(move |part| !late(part)).chain(turn.parts.iter().filter(late))
}

/// Whether a turn begins with thinking that Claude signed.
pub(super) fn begins_with_thinking(turn: &Turn) -> bool {
    let goes = |part: &&Part| match part {
        Part::Text(text) => text.text.trim().is_empty(),
        Part::Thinking { signature, .. } => is_foreign(signature.as_deref()),
        Part::Refusal(_)
        | Part::Image(_)
        | Part::Document(_)
        | Part::Audio { .. }
        | Part::Call(_)
        | Part::Result(_)
        | Part::Redacted { .. } => false,
    };
    let first = turn.parts.iter().find(|part| !goes(part));
    matches!(first, Some(Part::Thinking { .. } | Part::Redacted { .. }))
}

fn block<'a>(part: &'a Part, thinks: bool, rendered: &mut Rendered) -> Result<Option<Block<'a>>, Cannot> {
    Ok(match part {
        Part::Text(text) => Block::text(text),
        Part::Refusal(text) if text.trim().is_empty() => None,
        Part::Refusal(text) => Some(Block::Text { text, cache_control: None }),
        Part::Image(picture) => Some(image(picture, rendered)?),
        Part::Document(paper) => Some(document(paper)?),
        Part::Audio { .. } => {
            return Err(Cannot::Lack(Lack::Vision, "Messages takes no audio".to_owned()));
        }
        Part::Call(call) => Some(Block::call(call, fit(&call.id, Rule::Anthropic))),
        Part::Result(result) => Some(tool_result(result, rendered)?),
        Part::Thinking { text, signature } => match signature.as_deref() {
            Some(signature) if !is_foreign(Some(signature)) => {
                thinks.then_some(Block::Thinking { thinking: text, signature })
            }
            _ => {
                if !text.is_empty() {
                    rendered.drop("messages.content.thinking");
                }
                None
            }
        },
        Part::Redacted { data } => thinks.then_some(Block::RedactedThinking { data }),
    })
}

fn tool_result<'a>(result: &'a ToolResult, rendered: &mut Rendered) -> Result<Block<'a>, Cannot> {
    let mut content = Vec::with_capacity(result.parts.len());
    for part in &result.parts {
        content.extend(block(part, false, rendered)?);
    }
    if result.is_error && content.is_empty() {
        // Refused: an error has to say something.
        content.push(Block::Text { text: "error", cache_control: None });
    }
    Ok(Block::ToolResult {
        tool_use_id: fit(&result.id, Rule::Anthropic),
        content,
        is_error: result.is_error,
        cache_control: mark(result.cache.as_ref()),
    })
}

fn image<'a>(image: &'a Image, rendered: &mut Rendered) -> Result<Block<'a>, Cannot> {
    if image.detail.as_deref().is_some_and(|detail| detail != "auto") {
        rendered.drop("messages.content.image_url.detail");
    }
    let source = match &image.source {
        Source::Url(url) => SourceOut::Url { url },
        Source::Base64 { media_type, data } => {
            let media_type = match media_type.to_ascii_lowercase().as_str() {
                "image/png" | "image/jpeg" | "image/gif" | "image/webp" => Cow::Borrowed(media_type.as_str()),
                "image/jpg" => Cow::Borrowed("image/jpeg"),
                _ => return Err(unknown_form("images", media_type)),
            };
            SourceOut::Base64 { media_type, data }
        }
        Source::Text(_) => return Err(unknown_form("images", "text")),
        Source::File(_) => return Err(kept_elsewhere()),
    };
    Ok(Block::Image { source, cache_control: mark(image.cache.as_ref()) })
}

fn document(document: &Document) -> Result<Block<'_>, Cannot> {
    let plain = |data| SourceOut::Text { media_type: "text/plain", data };
    let source = match &document.source {
        Source::Url(url) => SourceOut::Url { url },
        Source::Text(text) => plain(Cow::Borrowed(text.as_str())),
        Source::Base64 { media_type, data } => match media_type.split(';').next().unwrap_or_default().trim() {
            "application/pdf" => SourceOut::Base64 { media_type: Cow::Borrowed("application/pdf"), data },
            text if text.starts_with("text/") || text == "application/json" => {
                let bytes = aws_smithy_types::base64::decode(data).ok();
                let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
                plain(Cow::Owned(text.ok_or_else(|| unknown_form("documents", "text that is not UTF-8 in base64"))?))
            }
            _ => return Err(unknown_form("documents", media_type)),
        },
        Source::File(_) => return Err(kept_elsewhere()),
    };
    Ok(Block::Document {
        source,
        title: document.name.as_deref().filter(|name| !name.is_empty()),
        context: document.context.as_deref().filter(|context| !context.is_empty()),
        cache_control: mark(document.cache.as_ref()),
    })
}

fn unknown_form(what: &str, form: &str) -> Cannot {
    let form: String = form.chars().filter(|letter| !letter.is_control()).take(64).collect();
    Cannot::Lack(Lack::Vision, format!("Messages takes no {what} of the form {form}"))
}

fn kept_elsewhere() -> Cannot {
    Cannot::Lack(Lack::Stateful, "a file is kept in the account of one vendor: send its bytes".to_owned())
}
