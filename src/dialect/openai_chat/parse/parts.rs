//! The content of a message: text, pictures, files, sound.
//!
//! Owns the kinds of parts and where their bytes are. Refuses to know who speaks.

use aws_smithy_types::base64;

use super::value::{Object, Value};
use super::{history, note};
use crate::dialect::canonical::{Cache, Document, Image, Part, Request, Source, Text};
use crate::dialect::openai_chat::request::BadRequest;

const URL: &str = "an `https:` URL, or a `data:` URL with the bytes in base64";

/// Reads a message's content. Kinds of parts that the canonical form does not hold are noted.
pub(super) fn read(content: &Value<'_>, request: &mut Request) -> Result<Vec<Part>, BadRequest> {
    let wanted = "a string or a list of parts";
    if content.is_text() {
        return Ok(vec![Part::Text(Text::new(content.text(wanted)?))]);
    }
    let mut parts = Vec::new();
    for item in content.items(wanted)? {
        let part = item.object("a part: an object with a `type`")?;
        let kind = part.need("type", "the kind of the part, for example `text`")?.text("a string")?;
        parts.extend(one(&kind, &part, request)?);
    }
    Ok(parts)
}

fn one(kind: &str, part: &Object<'_>, request: &mut Request) -> Result<Option<Part>, BadRequest> {
    let cache = cache(part)?;
    Ok(Some(match kind {
        "text" | "input_text" | "output_text" => {
            let text = part.need("text", "a string")?.text("a string")?;
            Part::Text(Text { text, cache })
        }
        "image_url" => {
            let value = part.need("image_url", "an object with a `url`")?;
            let (url, detail) = if value.is_text() {
                (source(&value)?, None)
            } else {
                let image = value.object("an object with a `url`")?;
                (source(&image.need("url", URL)?)?, image.text("detail")?)
            };
            Part::Image(Image { source: url, detail, cache })
        }
        "file" => {
            let file = part.need("file", "an object with `file_data` or `file_id`")?;
            file_part(&file.object("an object with `file_data` or `file_id`")?, cache)?
        }
        "document_url" => {
            let source = source(&part.need("document_url", URL)?)?;
            Part::Document(Document { source, name: part.text("document_name")?, context: None, cache })
        }
        "input_audio" => {
            let wanted = "an object with `data` and `format`";
            let audio = part.need("input_audio", wanted)?;
            let audio = audio.object(wanted)?;
            let data = audio.need("data", "the sound in base64")?.text("the sound in base64")?;
            Part::Audio { data, format: audio.need("format", "`wav` or `mp3`")?.text("`wav` or `mp3`")? }
        }
        "refusal" => Part::Refusal(part.need("refusal", "a string")?.text("a string")?),
        "thinking" => match history::thinking_text(part)? {
            text if text.is_empty() => return Ok(None),
            text => Part::Thinking { text, signature: None },
        },
        other => {
            note(request, "messages.content", other);
            return Ok(None);
        }
    }))
}

fn file_part(file: &Object<'_>, cache: Option<Cache>) -> Result<Part, BadRequest> {
    let name = file.text("filename")?;
    let source = match file.text("file_id")?.filter(|_| file.get("file_data").is_none()) {
        Some(id) if id.starts_with("http") => Source::Url(id),
        Some(id) => Source::File(id),
        None => source(&file.need("file_data", URL)?)?,
    };
    Ok(match source {
        Source::Base64 { media_type, data } if media_type.starts_with("image/") => {
            Part::Image(Image { source: Source::Base64 { media_type, data }, detail: None, cache })
        }
        source => Part::Document(Document { source: as_text(source), name, context: None, cache }),
    })
}

/// Plain text is more useful to every vendor than its base64.
fn as_text(source: Source) -> Source {
    match source {
        Source::Base64 { media_type, data } if media_type.starts_with("text/") => {
            match base64::decode(&data).ok().and_then(|bytes| String::from_utf8(bytes).ok()) {
                Some(text) => Source::Text(text),
                None => Source::Base64 { media_type, data },
            }
        }
        source => source,
    }
}

/// Where the bytes are that a URL means.
fn source(value: &Value<'_>) -> Result<Source, BadRequest> {
    let url = value.text(URL)?;
    let scheme = url.split(':').next().unwrap_or_default().to_ascii_lowercase();
    match scheme.as_str() {
        "data" => data(&url).ok_or_else(|| value.wrong(URL)),
        "http" | "https" | "gs" | "s3" => Ok(Source::Url(url)),
        _ => Err(value.wrong(URL)),
    }
}

fn data(url: &str) -> Option<Source> {
    let (head, data) = url.get("data:".len()..)?.split_once(',')?;
    let media_type = match head.split(';').next().unwrap_or_default().trim() {
        "" => "text/plain".to_owned(),
        kind => kind.to_ascii_lowercase(),
    };
    let data = if head.split(';').any(|word| word.trim().eq_ignore_ascii_case("base64")) {
        data.to_owned()
    } else {
        base64::encode(unescaped(data))
    };
    Some(Source::Base64 { media_type, data })
}

/// The bytes behind a URL's percent signs.
fn unescaped(text: &str) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let text = text.as_bytes();
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match (byte, digit(text.get(at + 1)), digit(text.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
                at += 3;
            }
            _ => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
    bytes
}

/// A cache mark as OpenRouter and LiteLLM spell it.
pub(super) fn cache(object: &Object<'_>) -> Result<Option<Cache>, BadRequest> {
    let Some(mark) = object.get("cache_control") else { return Ok(None) };
    let mark = mark.object("an object with a `type`")?;
    Ok(Some(Cache { ttl: mark.text("ttl")? }))
}

/// Where a part keeps its mark, if it may have one.
pub(super) fn mark(part: &mut Part) -> Option<&mut Option<Cache>> {
    match part {
        Part::Text(text) => Some(&mut text.cache),
        Part::Image(image) => Some(&mut image.cache),
        Part::Document(document) => Some(&mut document.cache),
        Part::Call(call) => Some(&mut call.cache),
        Part::Result(result) => Some(&mut result.cache),
        Part::Refusal(_) | Part::Audio { .. } | Part::Thinking { .. } | Part::Redacted { .. } => None,
    }
}
