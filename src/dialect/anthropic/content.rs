//! The content of a request's messages becomes canonical.
//!
//! Owns each kind of block. A kind that is not known is left out, and said to be. Refuses to know roles and their order.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::wire::{Str, is_foreign};
use crate::dialect::canonical::{Cache, Call, Document, Image, Part, Source, Text, ToolResult};
use crate::dialect::openai_chat::request::BadRequest;

/// So many different things are named that could not be carried, and so long a name is told.
const MOST_NAMES: usize = 32;
const NAME_BYTES: usize = 96;

/// Notes what cannot be carried. Names come from the client and go into a header: what is no plain word is not told apart.
pub(super) fn note(uncarried: &mut Vec<Cow<'static, str>>, name: impl Into<Cow<'static, str>>) {
    let mut name = name.into();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if name.len() > NAME_BYTES || !name.bytes().all(plain) {
        name = Cow::Borrowed("unknown");
    }
    if uncarried.len() < MOST_NAMES && !uncarried.contains(&name) {
        uncarried.push(name);
    }
}

/// `cache_control`.
#[derive(Debug, Deserialize)]
pub(super) struct CacheControl<'a> {
    #[serde(borrow, default)]
    ttl: Option<Str<'a>>,
}

impl CacheControl<'_> {
    pub(super) fn cache(self) -> Cache {
        Cache { ttl: self.ttl.map(Str::into_string) }
    }
}

fn cache(control: Option<CacheControl<'_>>) -> Option<Cache> {
    control.map(CacheControl::cache)
}

#[derive(Deserialize)]
pub(super) struct Tag<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Str<'a>,
}

#[derive(Deserialize)]
struct TextBlock<'a> {
    #[serde(borrow)]
    text: Str<'a>,
    #[serde(borrow, default)]
    cache_control: Option<CacheControl<'a>>,
}

#[derive(Deserialize)]
struct MediaBlock<'a> {
    #[serde(borrow)]
    source: &'a RawValue,
    #[serde(borrow, default)]
    title: Option<Str<'a>>,
    #[serde(borrow, default)]
    context: Option<Str<'a>>,
    #[serde(borrow, default)]
    citations: Option<&'a RawValue>,
    #[serde(borrow, default)]
    cache_control: Option<CacheControl<'a>>,
}

#[derive(Deserialize)]
struct SearchBlock<'a> {
    #[serde(borrow)]
    source: Str<'a>,
    #[serde(borrow)]
    title: Str<'a>,
    #[serde(borrow)]
    content: &'a RawValue,
    #[serde(borrow, default)]
    cache_control: Option<CacheControl<'a>>,
}

#[derive(Deserialize)]
struct UseBlock<'a> {
    #[serde(borrow)]
    id: Str<'a>,
    #[serde(borrow)]
    name: Str<'a>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    cache_control: Option<CacheControl<'a>>,
}

#[derive(Deserialize)]
struct ResultBlock<'a> {
    #[serde(borrow)]
    tool_use_id: Str<'a>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(default)]
    is_error: Option<bool>,
    #[serde(borrow, default)]
    cache_control: Option<CacheControl<'a>>,
}

#[derive(Deserialize)]
struct ThinkingBlock<'a> {
    #[serde(borrow, default)]
    thinking: Option<Str<'a>>,
    #[serde(borrow, default)]
    signature: Option<Str<'a>>,
}

#[derive(Deserialize)]
struct RedactedBlock<'a> {
    #[serde(borrow)]
    data: Str<'a>,
}

#[derive(Deserialize)]
struct SourceFields<'a> {
    #[serde(borrow, rename = "type")]
    kind: Str<'a>,
    #[serde(borrow, default)]
    media_type: Option<Str<'a>>,
    #[serde(borrow, default)]
    data: Option<Str<'a>>,
    #[serde(borrow, default)]
    url: Option<Str<'a>>,
    #[serde(borrow, default)]
    file_id: Option<Str<'a>>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

/// Reads content at one place of the request, and notes what it leaves out.
pub(super) struct Reading<'r> {
    /// Where, for the client: `messages.3.content`.
    pub(super) at: String,
    pub(super) uncarried: &'r mut Vec<Cow<'static, str>>,
}

impl Reading<'_> {
    fn wrong(&self, place: usize, kind: &str, error: &serde_json::Error) -> BadRequest {
        let message = format!("`{}.{place}` is no readable `{kind}` block: {error}", self.at);
        BadRequest::new(message, Some("messages"), "invalid_type")
    }

    fn bad(&self, place: usize, what: &str) -> BadRequest {
        BadRequest::new(format!("`{}.{place}` {what}", self.at), Some("messages"), "invalid_type")
    }

    fn block<'a, T: Deserialize<'a>>(&self, place: usize, kind: &str, raw: &'a RawValue) -> Result<T, BadRequest> {
        // A derived struct would also take a list for its fields.
        if !raw.get().starts_with('{') {
            return Err(self.bad(place, "must be a block: an object with a `type`"));
        }
        serde_json::from_str(raw.get()).map_err(|error| self.wrong(place, kind, &error))
    }

    /// The blocks of a content; a plain string is one of text.
    fn list<'a>(&self, raw: &'a RawValue) -> Result<Result<Vec<&'a RawValue>, Str<'a>>, BadRequest> {
        let wrong = || {
            let message = format!("`{}` must be a string or a list of blocks", self.at);
            BadRequest::new(message, Some("messages"), "invalid_type")
        };
        if raw.get().starts_with('"') {
            return serde_json::from_str(raw.get()).map(Err).map_err(|_| wrong());
        }
        serde_json::from_str(raw.get()).map(Ok).map_err(|_| wrong())
    }

    /// The content of a message.
    pub(super) fn parts(&mut self, raw: &RawValue) -> Result<Vec<Part>, BadRequest> {
        let blocks = match self.list(raw)? {
            Ok(blocks) => blocks,
            Err(text) => return Ok(vec![Part::Text(Text::new(text.into_string()))]),
        };
        let mut parts = Vec::with_capacity(blocks.len());
        for (place, raw) in blocks.into_iter().enumerate() {
            let kind = self.block::<Tag<'_>>(place, "known", raw)?.kind;
            parts.extend(self.part(place, &kind.0, raw)?);
        }
        Ok(parts)
    }

    fn part(&mut self, place: usize, kind: &str, raw: &RawValue) -> Result<Option<Part>, BadRequest> {
        Ok(Some(match kind {
            "tool_use" => {
                let block: UseBlock<'_> = self.block(place, kind, raw)?;
                Part::Call(Call {
                    id: block.id.into_string(),
                    name: block.name.into_string(),
                    input: block.input.map(|input| input.get().to_owned()).unwrap_or_default(),
                    signature: None,
                    cache: cache(block.cache_control),
                })
            }
            "tool_result" => {
                let block: ResultBlock<'_> = self.block(place, kind, raw)?;
                Part::Result(ToolResult {
                    id: block.tool_use_id.into_string(),
                    parts: self.result(place, block.content)?,
                    is_error: block.is_error.unwrap_or_default(),
                    cache: cache(block.cache_control),
                })
            }
            "thinking" => {
                let block: ThinkingBlock<'_> = self.block(place, kind, raw)?;
                let signature = block.signature.map(Str::into_string);
                Part::Thinking {
                    text: block.thinking.map(Str::into_string).unwrap_or_default(),
                    signature: signature.filter(|signature| !is_foreign(Some(signature))),
                }
            }
            "redacted_thinking" => {
                Part::Redacted { data: self.block::<RedactedBlock<'_>>(place, kind, raw)?.data.into_string() }
            }
            _ => return self.plain_part(place, kind, raw),
        }))
    }

    /// What may also stand in a tool's result.
    fn plain_part(&mut self, place: usize, kind: &str, raw: &RawValue) -> Result<Option<Part>, BadRequest> {
        Ok(Some(match kind {
            "text" => {
                let block: TextBlock<'_> = self.block(place, kind, raw)?;
                Part::Text(Text { text: block.text.into_string(), cache: cache(block.cache_control) })
            }
            "image" => {
                let block: MediaBlock<'_> = self.block(place, kind, raw)?;
                let source = self.source(place, block.source)?;
                Part::Image(Image { source, detail: None, cache: cache(block.cache_control) })
            }
            "document" => {
                let block: MediaBlock<'_> = self.block(place, kind, raw)?;
                if block.citations.is_some_and(|citations| citations.get().contains("true")) {
                    note(self.uncarried, "messages.content.citations");
                }
                Part::Document(Document {
                    source: self.source(place, block.source)?,
                    name: block.title.map(Str::into_string),
                    context: block.context.map(Str::into_string),
                    cache: cache(block.cache_control),
                })
            }
            // What a client's own search found: a text with a title and an address.
            "search_result" => {
                let block: SearchBlock<'_> = self.block(place, kind, raw)?;
                Part::Document(Document {
                    source: Source::Text(self.joined(block.content)?),
                    name: Some(block.title.into_string()),
                    context: Some(block.source.into_string()),
                    cache: cache(block.cache_control),
                })
            }
            other => {
                note(self.uncarried, format!("messages.content.{other}"));
                return Ok(None);
            }
        }))
    }

    fn result(&mut self, place: usize, content: Option<&RawValue>) -> Result<Vec<Part>, BadRequest> {
        let Some(content) = content else { return Ok(Vec::new()) };
        let mut inner = Reading { at: format!("{}.{place}.content", self.at), uncarried: self.uncarried };
        let blocks = match inner.list(content)? {
            Ok(blocks) => blocks,
            Err(text) => return Ok(vec![Part::Text(Text::new(text.into_string()))]),
        };
        let mut parts = Vec::with_capacity(blocks.len());
        for (place, raw) in blocks.into_iter().enumerate() {
            let kind = inner.block::<Tag<'_>>(place, "known", raw)?.kind;
            parts.extend(inner.plain_part(place, &kind.0, raw)?);
        }
        Ok(parts)
    }

    /// The texts of a content that is carried as one, joined.
    fn joined(&mut self, content: &RawValue) -> Result<String, BadRequest> {
        let blocks = match self.list(content)? {
            Ok(blocks) => blocks,
            Err(text) => return Ok(text.into_string()),
        };
        let mut texts = Vec::with_capacity(blocks.len());
        for (place, raw) in blocks.into_iter().enumerate() {
            match self.block::<Tag<'_>>(place, "known", raw)?.kind.0.as_ref() {
                "text" => texts.push(self.block::<TextBlock<'_>>(place, "text", raw)?.text.into_string()),
                other => note(self.uncarried, format!("messages.content.document.{other}")),
            }
        }
        Ok(texts.join("\n"))
    }

    fn source(&mut self, place: usize, raw: &RawValue) -> Result<Source, BadRequest> {
        let fields: SourceFields<'_> = self.block(place, "source", raw)?;
        let source = match fields.kind.0.as_ref() {
            "base64" => fields.media_type.zip(fields.data).map(|(media_type, data)| Source::Base64 {
                media_type: media_type.into_string(),
                data: data.into_string(),
            }),
            "url" => fields.url.map(|url| Source::Url(url.into_string())),
            "file" => fields.file_id.map(|file| Source::File(file.into_string())),
            "text" => fields.data.map(|text| Source::Text(text.into_string())),
            "content" => match fields.content {
                Some(content) => Some(Source::Text(self.joined(content)?)),
                None => None,
            },
            _ => None,
        };
        source.ok_or_else(|| self.bad(place, "has a `source` that is not known, or lacks what belongs to it"))
    }
}
