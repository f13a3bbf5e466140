//! What one attempt sends.
//!
//! Owns the choice between the client's body as it came, the same with what a vendor would refuse taken out, and a body
//! written in the target's dialect. Refuses to know connections and answers.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body::Body;

use super::aws::{Credentials, Signable, Signer, sign};
use super::body::RequestBody;
use super::exchange::{Answer, JSON, Query};
use super::route::Route;
use crate::clock::wall;
use crate::dialect::canonical::{Cannot, Frame, Profile, Rendered};
use crate::dialect::endpoint::Endpoint;
use crate::dialect::openai_chat::request::{ModelName, Segments, splice};
use crate::dialect::resume::{self, Resumption};
use crate::dialect::translate::{self, Translation};
use crate::dialect::vendor::Dialect;
use crate::dialect::{anthropic, openai_chat};
use crate::failover::{Attempt, Miss};
use crate::policy::failure::{Failure, Kind};

const ANTHROPIC_BETA: HeaderName = HeaderName::from_static("anthropic-beta");
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// What an attempt sends.
pub(super) enum Outgoing {
    /// The body as it came, but for the model.
    Plain,
    /// All of it is made already.
    Ready(Box<Ready>),
}

/// A request that is made already.
pub(super) struct Ready {
    uri: Uri,
    headers: HeaderMap,
    body: Segments,
    /// The way back of what was translated.
    pub(super) translation: Option<Translation>,
    /// What could not be carried, for the client to see.
    pub(super) dropped: Option<Box<HeaderValue>>,
}

impl Outgoing {
    /// The way back of what was translated.
    pub(super) fn translation(&self) -> Option<&Translation> {
        match self {
            Self::Plain => None,
            Self::Ready(ready) => ready.translation.as_ref(),
        }
    }

    /// What could not be carried.
    pub(super) fn dropped(&self) -> Option<Box<HeaderValue>> {
        match self {
            Self::Plain => None,
            Self::Ready(ready) => ready.dropped.clone(),
        }
    }

    /// The request; it may have to be made twice.
    pub(super) fn request(&self, route: &Route, attempt: &Attempt<Arc<Query>>) -> Request<RequestBody> {
        match self {
            Self::Plain => plain(route, attempt),
            Self::Ready(ready) => {
                let mut request = Request::new(RequestBody::new(ready.body.clone()));
                *request.method_mut() = Method::POST;
                *request.uri_mut() = ready.uri.clone();
                *request.headers_mut() = ready.headers.clone();
                request
            }
        }
    }
}

impl Ready {
    /// Signs it with AWS's keys.
    ///
    /// # Errors
    /// There are none that are valid now, or it is no request that could be sent.
    async fn sign(&mut self, signer: &Signer) -> Result<Credentials, String> {
        let credentials = signer.credentials().await.map_err(|why| why.to_string())?;
        let host = self.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let path = self.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let headers = [("content-type", "application/json")];
        let signable = Signable { method: &Method::POST, host, path, headers: &headers, body: &self.body };
        let signed = sign(&credentials, signer.region(), &signable, wall()).map_err(|why| why.to_string())?;
        self.headers.extend(signed);
        Ok(credentials)
    }
}

/// Signs what is sent, where that is needed. Gives back the keys, to be renewed should they be refused.
///
/// # Errors
/// Nothing can be signed: the key is of no use now.
pub(super) async fn signed(route: &Route, outgoing: &mut Outgoing) -> Result<Option<Credentials>, Miss<Answer>> {
    let (Some(signer), Outgoing::Ready(ready)) = (&route.signer, outgoing) else { return Ok(None) };
    match ready.sign(signer).await {
        Ok(credentials) => Ok(Some(credentials)),
        Err(why) => {
            tracing::debug!(%why, "a request was not signed");
            Err(Miss { failure: Failure::new(Kind::Auth), answer: None })
        }
    }
}

fn plain(route: &Route, attempt: &Attempt<Arc<Query>>) -> Request<RequestBody> {
    let query = &attempt.request;
    let segments = splice(&query.body, &query.edit, &route.model_name(&attempt.level().model));
    let body = RequestBody::new(segments);
    let length = HeaderValue::from(body.size_hint().lower());
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = route.address(query.endpoint).clone();
    *request.headers_mut() = route.headers.clone();
    request.headers_mut().insert(header::CONTENT_LENGTH, length);
    pass_headers(request.headers_mut(), query, route.dialect);
    request
}

/// Decides what an attempt sends, and makes it unless the body passes as it is.
///
/// # Errors
/// The target cannot be asked that, or nobody can.
pub(super) fn prepare(route: &Route, attempt: &Attempt<Arc<Query>>) -> Result<Outgoing, Miss<Answer>> {
    let query = &attempt.request;
    let same = route.dialect == query.endpoint.dialect();
    if same && route.is_plain && query.sent.is_none() {
        return Ok(Outgoing::Plain);
    }
    let profile =
        Profile { model: &attempt.level().model, vendor: route.vendor, abilities: &attempt.level().abilities };
    let given = query.sent.as_deref().filter(|_| attempt.prefill);
    let body = given.filter(|_| same).and_then(|sent| resume::amended(route.dialect, &query.body, sent, &profile));
    let asked = body.as_ref().unwrap_or(&query.body);
    let made = match same.then(|| passed(route, query, asked, &profile)) {
        Some(None) if route.by_model.is_none() && query.sent.is_none() => return Ok(Outgoing::Plain),
        Some(None) => Made::unchanged(route.dialect, asked, query, &route.model_name(&attempt.level().model)),
        Some(Some(made)) => made,
        None => written(route, attempt, &profile)?,
    };
    let Made { body, mut translation, dropped } = made;
    if let Some(sent) = &query.sent {
        let way = Resumption { sent: Arc::clone(sent), prefill: attempt.prefill };
        translation.get_or_insert_with(|| own(route, query, &profile, None)).resumption = Some(way);
    }
    let stream = query.delivery.is_stream();
    let uri = route.uri(query.endpoint, stream, &attempt.level().model).ok_or_else(|| unaddressable(attempt))?;
    let mut headers = route.headers.clone();
    let length: u64 = body.iter().map(|segment| segment.len() as u64).sum();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    pass_headers(&mut headers, query, route.dialect);
    Ok(Outgoing::Ready(Box::new(Ready { uri, headers, body, translation, dropped })))
}

/// A body for a target.
struct Made {
    body: Segments,
    translation: Option<Translation>,
    dropped: Option<Box<HeaderValue>>,
}

impl Made {
    fn unchanged(dialect: Dialect, body: &Bytes, query: &Query, model: &ModelName) -> Self {
        let spliced = if query.sent.is_none() { None } else { cut(dialect, body, model) };
        let body = spliced.unwrap_or_else(|| splice(&query.body, &query.edit, model));
        Self { body, translation: None, dropped: None }
    }
}

/// A body that is not the client's own with another model.
fn cut(dialect: Dialect, body: &Bytes, model: &ModelName) -> Option<Segments> {
    let head = match dialect {
        Dialect::Anthropic => anthropic::head::read(body),
        Dialect::OpenAiChat | Dialect::Bedrock => openai_chat::request::read(body),
    };
    Some(splice(body, &head.ok()?.edit, model))
}

/// The client's body in its own dialect, if something must change that the target would refuse.
fn passed(route: &Route, query: &Query, body: &Bytes, profile: &Profile<'_>) -> Option<Made> {
    if !matches!(query.endpoint, Endpoint::Chat | Endpoint::Messages | Endpoint::CountTokens) {
        return None;
    }
    let amended = translate::amend(route.dialect, body, profile)?;
    // It was read once. What cannot be read now goes out as the client sent it.
    let body = cut(route.dialect, &amended.body, &route.model_name(profile.model))?;
    Some(Made { body, translation: None, dropped: dropped(&amended.dropped) })
}

/// The client's request in the target's dialect.
fn written(route: &Route, attempt: &Attempt<Arc<Query>>, profile: &Profile<'_>) -> Result<Made, Miss<Answer>> {
    let query = &attempt.request;
    let rendered = match (query.canonical(), query.sent.as_deref().filter(|_| attempt.prefill)) {
        (Ok(request), None) => translate::render(route.dialect, request, profile),
        (Ok(request), Some(sent)) => resume::rendered(route.dialect, request, sent, profile),
        (Err(bad), _) => Err(Cannot::Bad(bad.clone())),
    };
    let Rendered { body, dropped: left, schema_tool } = rendered.map_err(|cannot| refused(attempt, &cannot))?;
    let translation = own(route, query, profile, schema_tool);
    let mut segments = Segments::new();
    segments.push(Bytes::from(body));
    Ok(Made { body: segments, translation: Some(translation), dropped: dropped(&left) })
}

/// The way back of an answer in the client's words.
fn own(route: &Route, query: &Query, profile: &Profile<'_>, schema_tool: Option<String>) -> Translation {
    let created = wall().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let include_usage = query.canonical().as_ref().is_ok_and(|request| request.include_usage);
    let frame = Frame { id: query.id, created, model: profile.model.to_owned(), include_usage };
    let (upstream, front) = (route.dialect, query.endpoint.dialect());
    Translation { upstream, front, frame, schema_tool, resumption: None }
}

/// The client's headers that concern this vendor. Betas add up; what else is given twice is the client's.
fn pass_headers(headers: &mut HeaderMap, query: &Query, dialect: Dialect) {
    for (name, value) in &query.headers {
        let text = name.as_str();
        let whose = if *name == ANTHROPIC_VERSION {
            // What is written here is written for the version that the route names.
            dialect == Dialect::Anthropic && query.endpoint.dialect() == dialect
        } else if text.starts_with("anthropic-") {
            dialect == Dialect::Anthropic
        } else {
            !text.starts_with("openai-") || dialect == Dialect::OpenAiChat
        };
        if !whose {
            continue;
        }
        let both = (*name == ANTHROPIC_BETA).then(|| headers.get(name)).flatten();
        let both = both
            .and_then(|own| HeaderValue::from_bytes(&[own.as_bytes(), value.as_bytes()].join(b",".as_slice())).ok());
        headers.insert(name, both.unwrap_or_else(|| value.clone()));
    }
}

/// The names of what could not be carried.
fn dropped(names: &[std::borrow::Cow<'static, str>]) -> Option<Box<HeaderValue>> {
    /// A client can name as many fields as it likes.
    const MOST: usize = 1_024;
    let mut text = String::new();
    for name in names {
        let name: String = name.chars().filter(|letter| letter.is_ascii_graphic() && *letter != ',').take(96).collect();
        if text.len() + name.len() > MOST {
            text.push_str(", ...");
            break;
        }
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(&name);
    }
    if text.is_empty() { None } else { HeaderValue::try_from(text).ok().map(Box::new) }
}

/// The target, or nobody, can be asked that.
fn refused(attempt: &Attempt<Arc<Query>>, cannot: &Cannot) -> Miss<Answer> {
    let failure = match cannot {
        Cannot::Lack(..) => Failure::new(Kind::NotCapable),
        Cannot::Bad(_) => Failure::new(Kind::BadRequest).with_status(400),
    };
    own_refusal(attempt, failure, &translate::words(cannot))
}

/// The model's name makes no address.
fn unaddressable(attempt: &Attempt<Arc<Query>>) -> Miss<Answer> {
    own_refusal(attempt, Failure::new(Kind::NotCapable), "the model's name cannot be part of an address")
}

fn own_refusal(attempt: &Attempt<Arc<Query>>, failure: Failure, words: &str) -> Miss<Answer> {
    let status = StatusCode::BAD_REQUEST;
    let body = translate::error(attempt.request.endpoint.dialect(), status.as_u16(), words);
    let answer = Answer { status, content_type: Some(JSON), body, slot: attempt.slot };
    Miss { failure, answer: Some(Box::new(answer)) }
}
