//! The head of a request: what the gateway has to know of it.
//!
//! `models` and `disable_fallbacks` are the gateway's and are cut out of the body. `fallbacks` is Anthropic's own here: it passes.
//! Refuses to know whether the messages make sense.

use std::fmt;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::dialect::fields::{self, Raw, fields};
use crate::dialect::lax::read_lax;
use crate::dialect::openai_chat::needs::{BYTES_PER_TOKEN, asks_for_schema, is_full_list};
use crate::dialect::openai_chat::request::{BadRequest, Edit, Head, boolean, names, string};
use crate::policy::capability::Needs;

static IMAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"image\""));
/// The mark of content whose length says nothing about its tokens.
static BASE64: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"base64\""));

fields! {
    /// The fields that matter, as they stand in the body.
    struct Fields {
        model,
        stream,
        models,
        disable_fallbacks,
        metadata,
        system,
        messages,
        tools,
        output_config,
        output_format,
    }
}

/// Reads the head of a body, of a message or of a count of its tokens.
///
/// # Errors
/// As [`openai_chat::request::read`](crate::dialect::openai_chat::request::read).
pub fn read(body: &[u8]) -> Result<Head<'_>, BadRequest> {
    let fields: Fields<'_> = fields::read(body)?;
    let model = match fields.model {
        Some(raw) if raw.get() != "null" => {
            Some(string(raw).ok_or_else(|| BadRequest::wrong_type("model", "a string: the name of a model"))?)
        }
        _ => None,
    };
    Ok(Head {
        model,
        stream: boolean(fields.stream, "stream")?,
        models: names(fields.models, "models")?.unwrap_or_default(),
        fallbacks: None,
        disable_fallbacks: boolean(fields.disable_fallbacks, "disable_fallbacks")?,
        user: fields.metadata.and_then(|raw| member(raw, |metadata: Metadata<'_>| metadata.user_id)).and_then(string),
        prompt_cache_key: None,
        needs: needs(&fields),
        edit: Edit::new(body, fields.model, [fields.models, fields.disable_fallbacks, None]),
    })
}

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow, default)]
    user_id: Option<Raw<'a>>,
}

#[derive(Deserialize)]
struct OutputConfig<'a> {
    #[serde(borrow, default)]
    format: Option<Raw<'a>>,
}

/// A member of an object; `None` if the value is no such object.
fn member<'a, T: Deserialize<'a>>(raw: Raw<'a>, take: impl Fn(T) -> Option<Raw<'a>>) -> Option<Raw<'a>> {
    serde_json::from_str::<T>(raw.get()).ok().and_then(take)
}

fn needs(fields: &Fields<'_>) -> Needs {
    let vision = fields.messages.is_some_and(has_images);
    let opaque = fields.messages.is_some_and(|messages| BASE64.find(messages.get().as_bytes()).is_some());
    let bytes = fields::length([fields.system, fields.messages, fields.tools]);
    let format = fields.output_config.and_then(|raw| member(raw, |config: OutputConfig<'_>| config.format));
    Needs {
        vision,
        tools: fields.tools.is_some_and(is_full_list),
        json_schema: [format, fields.output_format].into_iter().flatten().any(asks_for_schema),
        context_tokens: if vision || opaque { 0 } else { bytes / BYTES_PER_TOKEN },
        // It has to be there, so it is a bound and no wish (`Profile::max_tokens`).
        max_output_tokens: None,
        ..Needs::default()
    }
}

fn has_images(messages: Raw<'_>) -> bool {
    #[derive(Deserialize)]
    struct Message {
        #[serde(default)]
        content: Content,
    }
    IMAGE.find(messages.get().as_bytes()).is_some()
        && read_lax(messages.get(), |messages| serde_json::from_str::<Vec<Message>>(messages).ok())
            .is_some_and(|messages| messages.iter().any(|message| message.content.image))
}

/// Whether there is an image in a message's content, or in that of a tool's result in it.
#[derive(Default)]
struct Content {
    image: bool,
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Blocks)
    }
}

struct Blocks;

impl<'de> Visitor<'de> for Blocks {
    type Value = Content;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("text or a list of blocks")
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Content, E> {
        Ok(Content::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Content, A::Error> {
        #[derive(Deserialize)]
        struct Block {
            #[serde(default)]
            r#type: String,
            #[serde(default)]
            content: Content,
        }
        let mut content = Content::default();
        while let Some(block) = seq.next_element::<Block>()? {
            content.image |= block.r#type == "image" || block.content.image;
        }
        Ok(content)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Content::default())
    }
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
