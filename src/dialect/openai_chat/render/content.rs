//! The content of one message: a string where it can be one, else parts.
//!
//! Owns where a vendor wants the bytes of pictures and documents. Refuses to know whose message it is.

use std::borrow::Cow;

use serde::Serialize;

use super::lack;
use crate::dialect::canonical::{Cache, Cannot, Document, Image, Part, Profile, Rendered, Source, Text};
use crate::dialect::openai_chat::vendors::{Documents, Habits, Pictures};
use crate::policy::capability::Lack;

/// What a message says.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Content<'a> {
    Plain(Cow<'a, str>),
    Parts(Vec<Piece<'a>>),
}

/// One part.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Piece<'a> {
    Text {
        text: Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<Mark<'a>>,
    },
    ImageUrl {
        image_url: Url<'a>,
    },
    File {
        file: File<'a>,
    },
    DocumentUrl {
        document_url: Cow<'a, str>,
    },
    InputAudio {
        input_audio: Audio<'a>,
    },
}

#[derive(Serialize)]
pub(super) struct Mark<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'a str>,
}

#[derive(Serialize)]
pub(super) struct Url<'a> {
    url: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

#[derive(Serialize)]
pub(super) struct File<'a> {
    filename: &'a str,
    file_data: Cow<'a, str>,
}

#[derive(Serialize)]
pub(super) struct Audio<'a> {
    data: &'a str,
    format: &'a str,
}

/// Writes parts for one vendor.
pub(super) struct Pieces<'r, 'p> {
    pub(super) profile: &'r Profile<'p>,
    pub(super) habits: &'static Habits,
    pub(super) rendered: &'r mut Rendered,
}

impl Pieces<'_, '_> {
    /// Texts with their marks, where the vendor knows marks.
    pub(super) fn text<'a>(&mut self, text: &'a Text) -> Piece<'a> {
        Piece::Text { text: text.text.as_str().into(), cache_control: self.mark(text.cache.as_ref()) }
    }

    fn mark<'a>(&mut self, cache: Option<&'a Cache>) -> Option<Mark<'a>> {
        let cache = cache?;
        if self.habits.marks {
            return Some(Mark { r#type: "ephemeral", ttl: cache.ttl.as_deref() });
        }
        self.rendered.drop("cache_control");
        None
    }

    /// Something that has no place for a mark.
    pub(super) fn unmark(&mut self, cache: Option<&Cache>) {
        if cache.is_some() {
            self.rendered.drop("cache_control");
        }
    }

    /// A part of a user's message, or of a tool's result.
    pub(super) fn piece<'a>(&mut self, part: &'a Part) -> Result<Option<Piece<'a>>, Cannot> {
        Ok(Some(match part {
            Part::Text(text) => self.text(text),
            Part::Refusal(text) => Piece::Text { text: text.into(), cache_control: None },
            Part::Image(image) => self.image(image)?,
            Part::Document(document) => self.document(document)?,
            Part::Audio { data, format } => Piece::InputAudio { input_audio: Audio { data, format } },
            // They are no content here; whoever asks for content has taken them out.
            Part::Call(_) | Part::Result(_) | Part::Thinking { .. } | Part::Redacted { .. } => return Ok(None),
        }))
    }

    fn image<'a>(&mut self, image: &'a Image) -> Result<Piece<'a>, Cannot> {
        self.unmark(image.cache.as_ref());
        if self.habits.pictures == Pictures::IfKnown && self.profile.abilities.vision != Some(true) {
            return Err(lack(Lack::Vision, "the vendor's models take no images, as far as is known"));
        }
        let url = match &image.source {
            Source::Url(_) if self.habits.pictures == Pictures::Bytes => {
                return Err(lack(Lack::Vision, "the vendor takes images only with their bytes, not as URLs"));
            }
            Source::Url(url) => Cow::Borrowed(url.as_str()),
            Source::Base64 { media_type, data } => data_url(media_type, data),
            Source::Text(_) => return Err(lack(Lack::Vision, "an image cannot be a text")),
            Source::File(_) => return Err(lack(Lack::Stateful, "the image is in another vendor's account")),
        };
        Ok(Piece::ImageUrl { image_url: Url { url, detail: image.detail.as_deref() } })
    }

    fn document<'a>(&mut self, document: &'a Document) -> Result<Piece<'a>, Cannot> {
        if let Source::Text(text) = &document.source {
            let about = [document.name.as_deref(), document.context.as_deref(), Some(text.as_str())];
            let about: Vec<_> = about.into_iter().flatten().collect();
            let text = about.join("\n\n").into();
            return Ok(Piece::Text { text, cache_control: self.mark(document.cache.as_ref()) });
        }
        self.unmark(document.cache.as_ref());
        if document.context.is_some() {
            self.rendered.drop("messages.content.document.context");
        }
        let (data, is_url) = match &document.source {
            Source::Url(url) => (Cow::Borrowed(url.as_str()), true),
            Source::Base64 { media_type, data } => (data_url(media_type, data), false),
            Source::Text(_) | Source::File(_) => {
                return Err(lack(Lack::Stateful, "the document is in another vendor's account"));
            }
        };
        match (self.habits.documents, is_url) {
            (Documents::Url, _) => Ok(Piece::DocumentUrl { document_url: data }),
            (Documents::Anywhere, _) | (Documents::Bytes, false) => {
                let filename = document.name.as_deref().unwrap_or("document.pdf");
                Ok(Piece::File { file: File { filename, file_data: data } })
            }
            (Documents::Bytes, true) => Err(lack(Lack::Vision, "the vendor takes documents only with their bytes")),
            (Documents::Refused, _) => Err(lack(Lack::Vision, "the vendor takes no documents")),
        }
    }
}

fn data_url<'a>(media_type: &str, data: &str) -> Cow<'a, str> {
    Cow::Owned(format!("data:{media_type};base64,{data}"))
}

/// A string if there is nothing but text, and no mark that would be lost.
pub(super) fn content(pieces: Vec<Piece<'_>>) -> Content<'_> {
    let plain = |piece: &Piece<'_>| matches!(piece, Piece::Text { cache_control: None, .. });
    if !pieces.iter().all(plain) {
        return Content::Parts(pieces);
    }
    let mut texts = pieces.into_iter().filter_map(|piece| match piece {
        Piece::Text { text, .. } => Some(text),
        Piece::ImageUrl { .. } | Piece::File { .. } | Piece::DocumentUrl { .. } | Piece::InputAudio { .. } => None,
    });
    let first = texts.next().unwrap_or_default();
    let all = texts.fold(first, |mut all, text| {
        all.to_mut().push_str("\n\n");
        all.to_mut().push_str(&text);
        all
    });
    Content::Plain(all)
}
