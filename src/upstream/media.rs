//! Answers that are images, sound, or what was heard: they pass as bytes, with the vendor's content type.
//!
//! Owns what is looked at before the first byte goes out (contract section 4): that there is one, that it is no page, and
//! that what begins like JSON is no error. Events are a stream like any other. Refuses to read the rest.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Response, header};

use super::exchange::{Answer, Query, Reply, Shared, miss, request_id};
use super::outgoing::Outgoing;
use super::pool::AnswerBody;
use super::route::{Route, shows};
use crate::dialect::openai_chat::response::{Whole, inspect_media};
use crate::dialect::openai_chat::stream::{Signal, scan};
use crate::failover::{Attempt, Miss};
use crate::policy::failure::{Failure, Kind};
use crate::stream::gate::{Collected, Rest, whole};

/// What begins like JSON is read up to this length, in bytes, and checked if that is all: transcripts and errors. Images
/// are longer, and nobody waits for their end.
const CHECKED: usize = 64 * 1024;

impl Shared {
    pub(super) async fn media(
        &self,
        route: &Route,
        attempt: &Attempt<Arc<Query>>,
        response: Response<AnswerBody>,
    ) -> Result<Reply, Miss<Answer>> {
        let form = Form::of(response.headers().get(header::CONTENT_TYPE));
        if form == Form::Events {
            return self.stream(route, attempt, &Outgoing::Plain, response).await;
        }
        let (mut parts, body) = response.into_parts();
        let request_id = request_id(route, &mut parts.headers);
        let content_type = parts.headers.remove(header::CONTENT_TYPE);
        let content_type = content_type.filter(|kind| !shows(kind, self.routes.secrets()));
        let (body, all) = begun(body, form).await?;
        let begins = body.begins();
        if let Some(all) = all {
            let good = match inspect_media(&all) {
                Whole::Good { usage } if form.may_be_json() => {
                    return Ok(Reply::Whole { request_id, dropped: None, body: all, usage });
                }
                Whole::Good { .. } => true,
                // What is announced as something else may look like JSON, and be a text in brackets.
                Whole::Error | Whole::NotJson => form != Form::Json && scan(None, &all) != Signal::Error,
            };
            if !good {
                return Err(self.bad_200(route, attempt, &parts.headers, all));
            }
        }
        let page = form == Form::Page || (form == Form::Unknown && begins == Some(b'<'));
        if page || (form == Form::Json && begins != Some(b'{')) {
            return Err(no_answer(Kind::ServerError));
        }
        Ok(Reply::Long { request_id, content_type, body })
    }
}

/// The first bytes of an answer; all of it, too, if it begins like JSON and is short.
async fn begun(body: AnswerBody, form: Form) -> Result<(Rest<AnswerBody>, Option<Bytes>), Miss<Answer>> {
    let cut = |_| no_answer(Kind::BrokenStream);
    let mut body = match whole(body, 0).await.map_err(cut)? {
        Collected::Long(body) => body,
        Collected::Whole(_nothing) => return Err(no_answer(Kind::BrokenStream)),
    };
    let mut ended = false;
    // White space says nothing yet.
    while body.begins().is_none() && !ended && length(&body) <= CHECKED {
        let more = length(&body);
        (body, ended) = body.read_on(more).await.map_err(cut)?;
    }
    if form != Form::Json && !matches!(body.begins(), Some(b'{' | b'[')) {
        return Ok((body, None));
    }
    let (body, ended) = body.read_on(CHECKED).await.map_err(cut)?;
    let all = ended.then(|| joined(body.read()));
    Ok((body, all))
}

fn length(body: &Rest<AnswerBody>) -> usize {
    body.read().iter().map(Bytes::len).sum()
}

fn joined(chunks: &[Bytes]) -> Bytes {
    match chunks {
        [chunk] => chunk.clone(),
        chunks => chunks
            .iter()
            .fold(BytesMut::new(), |mut all, chunk| {
                all.extend_from_slice(chunk);
                all
            })
            .freeze(),
    }
}

const fn no_answer(kind: Kind) -> Miss<Answer> {
    miss(Failure::new(kind).with_status(200))
}

/// What a content type says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Events,
    /// HTML: whatever it says, it is from somebody else.
    Page,
    Other,
    /// Nobody said.
    Unknown,
}

impl Form {
    const fn may_be_json(self) -> bool {
        matches!(self, Self::Json | Self::Unknown)
    }

    fn of(content_type: Option<&HeaderValue>) -> Self {
        let Some(value) = content_type else { return Self::Unknown };
        let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        if essence.eq_ignore_ascii_case(b"application/json") {
            Self::Json
        } else if essence.eq_ignore_ascii_case(b"text/event-stream") {
            Self::Events
        } else if essence.eq_ignore_ascii_case(b"text/html") {
            Self::Page
        } else {
            Self::Other
        }
    }
}
