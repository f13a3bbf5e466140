//! What a request needs from a model, by looks: byte finders first, a parse only where they find something.
//!
//! Owns the detection. Refuses to know models: [`capability`](crate::policy::capability) compares.

use std::fmt;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::request::Fields;
use crate::dialect::fields::{self, Raw};
use crate::dialect::lax::read_lax;
use crate::policy::capability::Needs;

static TYPE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"type\""));
static IMAGE_URL: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"image_url\""));
/// How the names of two kinds of parts begin.
static INPUT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"input_"));
static DATA_URL: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"data:"));
/// Marks of content whose length says nothing about its tokens. Sound is found with the names of parts.
static OPAQUE: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| [b"base64,".as_slice(), b"\"file_data\""].map(Finder::new));

/// The prompt's bytes per token that the lower bound of its tokens assumes: twice of what English text has. Pages
/// of blanks or of escaped text can have more; a provider's own "too long" stays the judge of what is let through.
pub(in crate::dialect) const BYTES_PER_TOKEN: u64 = 8;

pub(super) fn of(fields: &Fields<'_>) -> Needs {
    let parts = fields.messages.filter(|messages| has_parts(*messages));
    let inputs = parts.map(inputs).unwrap_or_default();
    let images = parts.map(|messages| images(messages, inputs.image)).unwrap_or_default();
    let vision = images.any;
    let opaque = || inputs.audio || parts.is_some_and(is_opaque);
    Needs {
        vision,
        image_urls: images.by_address,
        audio: inputs.audio,
        choices: fields.n.is_some_and(|n| !matches!(n.get(), "1" | "null")),
        logprobs: fields.logprobs.is_some_and(|logprobs| !matches!(logprobs.get(), "false" | "null")),
        tools: [fields.tools, fields.functions].into_iter().flatten().any(is_full_list),
        json_schema: fields.response_format.is_some_and(asks_for_schema),
        context_tokens: if vision || opaque() { 0 } else { context_tokens(fields) },
        max_output_tokens: [fields.max_completion_tokens, fields.max_tokens]
            .into_iter()
            .flatten()
            .find_map(|raw| raw.get().parse().ok()),
        ..Needs::default()
    }
}

/// Whether a message may have something else than plain text for its content: every such part has a type.
fn has_parts(messages: Raw<'_>) -> bool {
    TYPE.find(messages.get().as_bytes()).is_some()
}

/// The names that may be those of parts, all from one pass: conversations are long.
#[derive(Debug, Clone, Copy, Default)]
struct Inputs {
    image: bool,
    audio: bool,
}

fn inputs(messages: Raw<'_>) -> Inputs {
    let text = messages.get().as_bytes();
    let mut inputs = Inputs::default();
    for at in INPUT.find_iter(text) {
        let name = text.get(at + INPUT.needle().len()..).unwrap_or_default();
        inputs.image |= name.starts_with(b"image\"");
        inputs.audio |= name.starts_with(b"audio\"");
    }
    inputs
}

fn is_opaque(messages: Raw<'_>) -> bool {
    OPAQUE.iter().any(|mark| mark.find(messages.get().as_bytes()).is_some())
}

fn context_tokens(fields: &Fields<'_>) -> u64 {
    fields::length([fields.messages, fields.prompt, fields.input, fields.tools]) / BYTES_PER_TOKEN
}

pub(in crate::dialect) fn is_full_list(raw: Raw<'_>) -> bool {
    raw.get().strip_prefix('[').is_some_and(|rest| !rest.trim_ascii_start().starts_with(']'))
}

pub(in crate::dialect) fn asks_for_schema(raw: Raw<'_>) -> bool {
    #[derive(Deserialize)]
    struct Format {
        r#type: String,
    }
    memchr::memmem::find(raw.get().as_bytes(), b"json_schema").is_some()
        && serde_json::from_str::<Format>(raw.get()).is_ok_and(|format| format.r#type == "json_schema")
}

/// The images of a conversation.
#[derive(Debug, Clone, Copy, Default)]
struct Images {
    any: bool,
    /// Some are somewhere else.
    by_address: bool,
}

fn images(messages: Raw<'_>, input: bool) -> Images {
    if !input && IMAGE_URL.find(messages.get().as_bytes()).is_none() {
        return Images::default();
    }
    #[derive(Deserialize)]
    struct Message {
        #[serde(default)]
        content: Content,
    }
    let read = read_lax(messages.get(), |messages| serde_json::from_str::<Vec<Message>>(messages).ok());
    read.unwrap_or_default().into_iter().fold(Images::default(), |all, message| all.and(message.content.0))
}

impl Images {
    const fn and(self, other: Self) -> Self {
        Self { any: self.any || other.any, by_address: self.by_address || other.by_address }
    }
}

/// The images of a message's content.
#[derive(Default)]
struct Content(Images);

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Parts)
    }
}

struct Parts;

impl<'de> Visitor<'de> for Parts {
    type Value = Content;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("text or a list of parts")
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Content, E> {
        Ok(Content::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Content, A::Error> {
        #[derive(Deserialize)]
        struct Part<'a> {
            #[serde(default, borrow)]
            r#type: Option<Raw<'a>>,
            #[serde(default, borrow)]
            image_url: Option<Raw<'a>>,
        }
        let mut images = Images::default();
        while let Some(part) = seq.next_element::<Part<'de>>()? {
            let kind = part.r#type.map_or("", Raw::get);
            if matches!(kind, "\"image_url\"" | "\"input_image\"") {
                let by_address = part.image_url.is_some_and(|url| DATA_URL.find(url.get().as_bytes()).is_none());
                images = images.and(Images { any: true, by_address });
            }
        }
        Ok(Content(images))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Content::default())
    }
}

#[cfg(test)]
mod tests {
    use crate::dialect::openai_chat::request::read;

    #[test]
    fn text_that_is_hard_to_read_hides_no_image() {
        for odd in [r#""\ud83d""#, r#""\udc00\ud800""#, r#"[{"type":"text","text":"\uDBFF"}]"#] {
            let vision = |kind: &str| {
                let part = format!(r#"{{"type":"{kind}","image_url":{{"url":"https://example.com/a.png"}}}}"#);
                let first = format!(r#"{{"role":"user","content":{odd},"x":1e999}}"#);
                let body = format!(r#"{{"model":"m","messages":[{first},{{"role":"user","content":[{part}]}}]}}"#);
                read(body.as_bytes()).map(|head| head.needs.vision).unwrap_or_else(|error| unreachable!("{error:?}"))
            };
            assert!(vision("image_url"), "{odd}");
            assert!(!vision("text"), "{odd}");
        }
    }

    #[test]
    fn kinds_of_parts_are_told_apart() {
        let needs = |part: &str| {
            let text = "x".repeat(80);
            let body =
                format!(r#"{{"model":"m","messages":[{{"content":[{part},{{"type":"text","text":"{text}"}}]}}]}}"#);
            let needs = read(body.as_bytes()).map(|head| head.needs).unwrap_or_else(|error| unreachable!("{error:?}"));
            (needs.vision, needs.audio, needs.context_tokens == 0)
        };
        for (part, expected) in [
            (r#"{"type":"input_audio","input_audio":{"data":"AA"}}"#, (false, true, true)),
            (r#"{"type":"input_image"},{"type":"input_audio"}"#, (true, true, true)),
            (r#"{"type":"input_text"},{"type":"input_image"}"#, (true, false, true)),
            (r#"{"type":"input_file","file_data":"AA"}"#, (false, false, true)),
            (r#"{"type":"x","url":"data:a/b;base64,AA"}"#, (false, false, true)),
            (r#"{"type":"text","text":"\"input_image\" input_audio"}"#, (false, false, false)),
        ] {
            assert_eq!(needs(part), expected, "{part}");
        }
    }
}
