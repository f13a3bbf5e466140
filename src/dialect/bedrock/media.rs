//! Pictures, sound and documents, in the formats that Converse has names for.
//!
//! Bytes only: Converse fetches nothing, and other vendors' files are not there. A document has a name of letters,
//! digits, single blanks, hyphens and brackets, which no other document of the request has: the model sees it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use aws_smithy_types::base64;

use super::wire::{Block, Bytes, Document as Written, Media};
use crate::dialect::canonical::{Cannot, Document, Image, Source};
use crate::policy::capability::Lack;

/// The longest name, with room for a number behind it.
const NAME_LIMIT: usize = 180;

const IMAGES: [(&str, &str); 5] =
    [("image/png", "png"), ("image/jpeg", "jpeg"), ("image/jpg", "jpeg"), ("image/gif", "gif"), ("image/webp", "webp")];

/// By media type, or by the ending of the name.
const DOCUMENTS: [(&str, &str, &str); 9] = [
    ("application/pdf", ".pdf", "pdf"),
    ("text/csv", ".csv", "csv"),
    ("application/msword", ".doc", "doc"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", ".docx", "docx"),
    ("application/vnd.ms-excel", ".xls", "xls"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".xlsx", "xlsx"),
    ("text/html", ".html", "html"),
    ("text/plain", ".txt", "txt"),
    ("text/markdown", ".md", "md"),
];

const SOUNDS: [&str; 8] = ["mp3", "wav", "opus", "aac", "flac", "ogg", "m4a", "webm"];

/// There is no word for sound or documents: all of it is what a model cannot see.
fn lack(words: String) -> Cannot {
    Cannot::Lack(Lack::Vision, words)
}

fn elsewhere(what: &str) -> Cannot {
    Cannot::Lack(Lack::Stateful, format!("the {what} is a file of another vendor's account: send it as base64"))
}

fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

pub(super) fn image(image: &Image) -> Result<Block<'_>, Cannot> {
    match &image.source {
        Source::Base64 { media_type, data } => {
            let essence = essence(media_type);
            let format = IMAGES.iter().find(|(known, _)| *known == essence).map(|(_, format)| *format);
            let format = format
                .ok_or_else(|| lack(format!("Bedrock takes images as PNG, JPEG, GIF and WebP, not as {essence}")))?;
            Ok(Block::Image(Media { format, source: Bytes { bytes: Cow::Borrowed(data) } }))
        }
        Source::Url(_) => Err(lack("Bedrock takes no image URLs: send the image as base64".to_owned())),
        Source::File(_) => Err(elsewhere("image")),
        Source::Text(_) => Err(lack("text is no image".to_owned())),
    }
}

/// Claude hears nothing; other models say themselves whether they do.
pub(super) fn sound<'a>(data: &'a str, format: &str, deaf: bool) -> Result<Block<'a>, Cannot> {
    let known = SOUNDS.into_iter().find(|known| !deaf && known.eq_ignore_ascii_case(format));
    let format = known.ok_or_else(|| lack(format!("this model takes no {format} sound")))?;
    Ok(Block::Audio(Media { format, source: Bytes { bytes: Cow::Borrowed(data) } }))
}

/// Names of documents, each given once.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<String, usize>);

impl Names {
    fn give(&mut self, wanted: Option<&str>) -> String {
        let base = sanitised(wanted.unwrap_or_default());
        let mut count = self.0.get(&base).copied().unwrap_or_default();
        loop {
            count += 1;
            let name = if count == 1 { base.clone() } else { format!("{base} {count}") };
            if count == 1 || !self.0.contains_key(&name) {
                self.0.insert(base, count);
                self.0.entry(name.clone()).or_insert(1);
                return name;
            }
        }
    }
}

fn sanitised(name: &str) -> String {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '(' | ')' | '[' | ']');
    let plain: String = name.chars().take(NAME_LIMIT).map(|letter| if fits(letter) { letter } else { ' ' }).collect();
    let words: Vec<&str> = plain.split_ascii_whitespace().collect();
    if words.is_empty() { "document".to_owned() } else { words.join(" ") }
}

/// `None` for a document without anything in it.
pub(super) fn document<'a>(document: &'a Document, names: &mut Names) -> Result<Option<Block<'a>>, Cannot> {
    let (format, bytes) = match &document.source {
        Source::Base64 { media_type, data } => {
            (format(&essence(media_type), document.name.as_deref())?, Cow::Borrowed(data.as_str()))
        }
        Source::Text(text) => ("txt", Cow::Owned(base64::encode(text))),
        Source::Url(_) => return Err(lack("Bedrock takes no document URLs: send the document as base64".to_owned())),
        Source::File(_) => return Err(elsewhere("document")),
    };
    if bytes.is_empty() {
        return Ok(None);
    }
    let name = names.give(document.name.as_deref());
    let context = document.context.as_deref().filter(|context| !context.trim().is_empty());
    Ok(Some(Block::Document(Written { format, name, source: Bytes { bytes }, context })))
}

fn format(essence: &str, name: Option<&str>) -> Result<&'static str, Cannot> {
    let name = name.unwrap_or_default().to_ascii_lowercase();
    let text = essence.starts_with("text/") || matches!(essence, "application/json" | "application/xml");
    let by_type = DOCUMENTS.iter().find(|(known, _, _)| *known == essence);
    let found = by_type.or_else(|| DOCUMENTS.iter().find(|(_, ending, _)| name.ends_with(ending)));
    found
        .map(|(_, _, format)| *format)
        .or(text.then_some("txt"))
        .ok_or_else(|| lack(format!("Bedrock takes no documents of the type {essence}")))
}
