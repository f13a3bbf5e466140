//! Answers that are images, sound, or what was heard: they pass as bytes, with the vendor's content type.
//!
//! Owns what is looked at before the first byte goes out (contract section 4): that there is one, that it is no page, and
//! that a short JSON answer or a first event is no error. Refuses to read the rest.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Response, header};

use super::exchange::{Answer, Query, Reply, Shared, miss, request_id};
use super::pool::AnswerBody;
use super::route::{Route, shows};
use crate::dialect::openai_chat::response::{Whole, inspect_media};
use crate::dialect::openai_chat::stream::{Signal, scan};
use crate::failover::{Attempt, Miss};
use crate::framing::sse::events;
use crate::policy::failure::{Failure, Kind};
use crate::stream::gate::{Collected, whole};

/// JSON up to this length, in bytes, is read whole and checked: transcripts and errors. Images are longer, and nobody
/// waits for their end.
const CHECKED: usize = 64 * 1024;

impl Shared {
    pub(super) async fn media(
        &self,
        route: &Route,
        attempt: &Attempt<Arc<Query>>,
        response: Response<AnswerBody>,
    ) -> Result<Reply, Miss<Answer>> {
        let (mut parts, body) = response.into_parts();
        let request_id = request_id(route, &mut parts.headers);
        let content_type = parts.headers.remove(header::CONTENT_TYPE);
        let content_type = content_type.filter(|kind| !shows(kind, self.routes.secrets()));
        let form = Form::of(content_type.as_ref());
        let checked = if form == Form::Json { CHECKED } else { 0 };
        let body = match whole(body, checked).await {
            Ok(Collected::Whole(body)) if body.is_empty() => return Err(no_answer(Kind::BrokenStream)),
            Ok(Collected::Whole(body)) => {
                return match inspect_media(&body) {
                    Whole::Good { usage } => Ok(Reply::Whole { request_id, body, usage }),
                    Whole::Error | Whole::NotJson => Err(self.bad_200(route, attempt, &parts.headers, body)),
                };
            }
            Ok(Collected::Long(body)) => body,
            Err(_cut) => return Err(no_answer(Kind::BrokenStream)),
        };
        let error = if form == Form::Events { body.read().first().and_then(first_error) } else { None };
        if let Some(error) = error {
            return Err(self.bad_200(route, attempt, &parts.headers, error));
        }
        if form == Form::Page || (form == Form::Json && body.begins() != Some(b'{')) {
            return Err(no_answer(Kind::ServerError));
        }
        Ok(Reply::Long { request_id, content_type, body })
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
}

impl Form {
    fn of(content_type: Option<&HeaderValue>) -> Self {
        let value = content_type.map_or(&b""[..], HeaderValue::as_bytes);
        let essence = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
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

/// The data of the first event, if it is an error.
fn first_error(chunk: &Bytes) -> Option<Bytes> {
    let event = events(chunk).find(|event| event.data.is_some())?;
    let data = event.data.as_deref()?;
    (scan(event.name, data) == Signal::Error).then(|| Bytes::copy_from_slice(data))
}
