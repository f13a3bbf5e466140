//! The hot routes: a request in, an answer out, whatever happens between.
//!
//! Owns reading the body, the plan's errand, and the answer's frame. One path for streams and whole
//! answers, and for every endpoint that passes through.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use hyper::body::Incoming;
use tower::Service;

use super::body::ReplyBody;
use super::error::ApiError;
use super::headers::{self, Told, VENDOR_ID, stamp, stamp_id};
use super::plan::{Wishes, plan};
use super::state::State;
use super::stream::{Committed, StreamReply};
use super::tail::{Account, LongBody, Tail, count_tokens};
use super::unread::{discard, discard_rest};
use crate::dialect::endpoint::Endpoint;
use crate::dialect::error::redact;
use crate::dialect::openai_chat::request::read;
use crate::dialect::vendor::Dialect;
use crate::dialect::{anthropic, multipart, openai_responses};
use crate::failover::{Errand, GaveUp, Lease, Served};
use crate::policy::chain::Chain;
use crate::policy::recovery::Recovery;
use crate::policy::run::Verdict;
use crate::stream::gate::{Collected, whole};
use crate::stream::relay::{Patience, Relay};
use crate::upstream::route::shows;
use crate::upstream::{Answer, Delivery, Query, Reply};

/// The vendor's own id of an answer, under the name that Anthropic's SDKs read.
const ANTHROPIC_VENDOR_ID: HeaderName = HeaderName::from_static("request-id");
/// What was asked and could not be carried.
const DROPPED: HeaderName = HeaderName::from_static("x-backstop-dropped");
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

const EVENT_STREAM: &str = "text/event-stream";
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// What the failover layer brings back.
pub(super) type Walk = crate::failover::Walk<Reply, Answer>;

/// Serves one request to an endpoint of the API. What goes wrong is an answer too.
///
/// # Errors
/// Never.
pub async fn serve(
    state: Arc<State>,
    endpoint: Endpoint,
    headers: HeaderMap,
    body: Incoming,
) -> Result<Response<ReplyBody>, Infallible> {
    let account = Account::open(&state, endpoint, state.clock.now());
    let id = fastrand::u64(..) ^ state.id_seed;
    let response = match accept(&state, endpoint, &headers, body, &account, id).await {
        Ok(errand) => answer(&state, errand, account).await,
        Err(error) => {
            let mut response = error.response(endpoint.dialect());
            stamp_id(response.headers_mut(), id);
            response
        }
    };
    match response.status() {
        StatusCode::OK => state.metrics.endpoint(endpoint).ok.inc(),
        status => state.metrics.requests.with_label_values(&[endpoint.name(), status.as_str()]).inc(),
    }
    if state.log_requests {
        log(&state, endpoint, &response, id);
    }
    Ok(response)
}

/// Reads and understands a request.
async fn accept(
    state: &State,
    endpoint: Endpoint,
    headers: &HeaderMap,
    body: Incoming,
    account: &Account,
    id: u64,
) -> Result<Errand<Arc<Query>>, ApiError> {
    if !state.client_keys.admit(headers) {
        discard(headers, body);
        return Err(ApiError::wrong_key());
    }
    let mut wishes = Wishes::read(headers);
    let boundary = if wishes.is_json() {
        None
    } else {
        match wishes.boundary(endpoint) {
            Ok(boundary) => Some(boundary),
            Err(error) => {
                discard(headers, body);
                return Err(error);
            }
        }
    };
    if wishes.content_length.is_some_and(|length| length > state.max_body as u64) {
        discard(headers, body);
        return Err(ApiError::too_long(state.max_body));
    }
    let body = read_body(state, body).await?;
    let mut head = match boundary {
        None if endpoint.dialect() == Dialect::Anthropic => anthropic::head::read(&body)?,
        None => read(&body)?,
        Some(boundary) => {
            wishes.pass_content_type();
            multipart::read(&body, boundary)?
        }
    };
    if endpoint == Endpoint::Responses {
        openai_responses::request::complete(&mut head, &body)?;
    }
    let plan = plan(state, endpoint, &wishes, &head, account.arrived())?;
    let delivery = Delivery::of(endpoint, head.stream, plan.recovery);
    let edit = head.edit;
    let headers = wishes.passed_on;
    let request =
        Arc::new(Query { endpoint, body, edit, delivery, headers, id, canonical: OnceLock::new(), sent: None });
    Ok(Errand { plan, request, id, arrived: account.arrived() })
}

async fn read_body(state: &State, body: Incoming) -> Result<Bytes, ApiError> {
    let mut reading = pin!(whole(body, state.max_body));
    // Most bodies came with their head: then no timer is needed.
    let read = match poll_fn(|context| Poll::Ready(reading.as_mut().poll(context))).await {
        Poll::Ready(read) => Ok(read),
        Poll::Pending => tokio::time::timeout(state.body_timeout, reading).await,
    };
    match read {
        Ok(Ok(Collected::Whole(body))) => Ok(body),
        Ok(Ok(Collected::Long(body))) => {
            discard_rest(body.unread());
            Err(ApiError::too_long(state.max_body))
        }
        Ok(Err(_broken)) => Err(ApiError::request(
            StatusCode::BAD_REQUEST,
            "incomplete_body",
            "the body broke off before its announced end",
        )),
        Err(_elapsed) => {
            let message = format!("the body did not come within {} s", state.body_timeout.as_secs());
            Err(ApiError::request(StatusCode::REQUEST_TIMEOUT, "body_timeout", message))
        }
    }
}

/// What is needed of a request when its answer is there.
struct Asked {
    id: u64,
    chain: Arc<Chain>,
    deadline: tokio::time::Instant,
    /// What is asked again if its stream breaks and somebody else shall go on.
    again: Option<Arc<Query>>,
}

/// Walks the chain; a stream that takes too long gets its headers before its content.
async fn answer(state: &Arc<State>, errand: Errand<Arc<Query>>, account: Account) -> Response<ReplyBody> {
    let plan = &errand.plan;
    let stream = plan.stream;
    let again = (stream && plan.recovery == Recovery::Continue).then(|| Arc::clone(&errand.request));
    let deadline = state.clock.at(plan.deadline);
    let asked = Asked { id: errand.id, chain: Arc::clone(&plan.chain), deadline, again };
    let mut walk: Walk = state.failover.clone().call(errand);
    let walked = if stream {
        let patience = state.run.stream_headers_after;
        let since = state.clock.now().since(account.arrived());
        match tokio::time::timeout(patience.saturating_sub(since), &mut walk).await {
            Ok(walked) => walked,
            Err(_elapsed) => return late(state, walk, account, asked),
        }
    } else {
        walk.await
    };
    match walked {
        Ok(served) => good(state, served, account, asked),
        Err(gave_up) => bad(state, &gave_up, &account, asked.id),
    }
}

fn good(state: &Arc<State>, served: Served<Reply>, account: Account, asked: Asked) -> Response<ReplyBody> {
    let Served { reply, lease, entries, waited, at, resume } = served;
    let Asked { id, chain, deadline, again } = asked;
    let slot = lease.slot();
    let dialect = account.endpoint().dialect();
    let overhead = at.since(account.arrived()).saturating_sub(waited);
    state.metrics.overhead.observe(overhead.as_secs_f64());
    state.metrics.slot(slot).first_content.observe(at.since(lease.started()).as_secs_f64());
    let told = Told { id, entries: &entries, chain: &chain, served: Some(slot), overhead };
    let (body, mut headers, vendor_id) = match reply {
        Reply::Whole { request_id, dropped, body, usage } => {
            count_tokens(state, &lease, usage);
            lease.complete_at(at);
            let mut headers = headers::whole(state, &told, body.len(), request_id);
            tell_dropped(&mut headers, dropped);
            (ReplyBody::full(body), headers, None)
        }
        Reply::Long { request_id, content_type, body } => {
            let headers = passing(state, &told, content_type.unwrap_or(OCTETS));
            let patience = patience(account.endpoint(), &lease);
            let body = LongBody::new(body, lease, account, patience);
            (ReplyBody::Long(Box::new(body)), headers, request_id)
        }
        Reply::Stream { request_id, dropped, held, spent } => {
            let body = match (resume, again) {
                (Some(run), Some(query)) => {
                    let committed = Committed { lease, held, spent };
                    let body = StreamReply::committed(state, committed, run, account, query, id, deadline);
                    ReplyBody::Served(Box::pin(body))
                }
                _ => {
                    let stall = patience(account.endpoint(), &lease);
                    let patience = Patience { stall, keep_alive: state.run.keep_alive, deadline };
                    let tail = Tail::new(state, lease, account, id).counting(spent);
                    ReplyBody::Stream(Box::pin(Relay::new(held, tail, patience)))
                }
            };
            let mut headers = passing(state, &told, HeaderValue::from_static(EVENT_STREAM));
            no_buffering(&mut headers);
            tell_dropped(&mut headers, dropped);
            (body, headers, request_id)
        }
    };
    if let Some(vendor_id) = vendor_id {
        headers.insert(VENDOR_ID, vendor_id);
    }
    if dialect == Dialect::Anthropic
        && let Some(vendor_id) = headers.remove(VENDOR_ID)
    {
        headers.insert(ANTHROPIC_VENDOR_ID, vendor_id);
    }
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    response
}

/// Names what was asked and could not be carried to who answered.
fn tell_dropped(headers: &mut HeaderMap, dropped: Option<Box<HeaderValue>>) {
    if let Some(dropped) = dropped {
        headers.insert(DROPPED, *dropped);
    }
}

/// How long an answer may pause. Between two images, or before the sound goes on, there may be silence for as long as a
/// whole answer takes.
fn patience(endpoint: Endpoint, lease: &Lease) -> Duration {
    let level = lease.level();
    if endpoint.is_media() { level.stall.max(level.response_timeout) } else { level.stall }
}

/// The headers of an answer that is passed on as it comes.
fn passing(state: &State, told: &Told<'_>, content_type: HeaderValue) -> HeaderMap {
    // Enough for all of them: a map that grows costs more than it holds. The connection keeps it for its next request.
    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(header::CONTENT_TYPE, content_type);
    stamp(&mut headers, state, told);
    headers
}

/// Proxies in front must not hold a stream back.
fn no_buffering(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
}

fn bad(state: &State, gave_up: &GaveUp<Answer>, account: &Account, id: u64) -> Response<ReplyBody> {
    let overhead = state.clock.now().since(account.arrived()).saturating_sub(gave_up.waited);
    let mut response = match vendors_answer(state, gave_up) {
        Some(response) => response,
        None => composed(state, gave_up, account.endpoint()).response(account.endpoint().dialect()),
    };
    let told = Told { id, entries: &gave_up.entries, chain: &gave_up.chain, served: None, overhead };
    stamp(response.headers_mut(), state, &told);
    response
}

/// The error of a request that nobody served.
pub(super) fn composed(state: &State, gave_up: &GaveUp<Answer>, endpoint: Endpoint) -> ApiError {
    let frame = match gave_up.verdict {
        Verdict::Unfit(lack) => return ApiError::unfit(lack, &gave_up.chain.name, endpoint),
        Verdict::Compose(frame) => frame,
        // The answer was lost: say at least that somebody refused.
        Verdict::Return(_) => crate::policy::run::Composed { status: 502, retry_after: None, should_retry: false },
    };
    ApiError::composed(&frame, &gave_up.entries, &gave_up.chain, &state.names)
}

/// The vendor's own words, redacted: only where they say more than a list of attempts.
fn vendors_answer(state: &State, gave_up: &GaveUp<Answer>) -> Option<Response<ReplyBody>> {
    let answer = gave_up.answer.as_deref()?;
    // A redirect or an empty 204 is no answer to an API's client.
    if !answer.status.is_client_error() && !answer.status.is_server_error() {
        return None;
    }
    let secrets: Vec<&str> = state.routes.secrets().collect();
    let body = Bytes::from(redact(&answer.body, &secrets).into_owned());
    let mut response = Response::new(ReplyBody::full(body));
    *response.status_mut() = answer.status;
    let json = HeaderValue::from_static("application/json");
    let content_type = answer.content_type.clone().filter(|kind| !shows(kind, state.routes.secrets()));
    response.headers_mut().insert(header::CONTENT_TYPE, content_type.unwrap_or(json));
    response.headers_mut().insert("x-should-retry", HeaderValue::from_static("false"));
    Some(response)
}

fn late(state: &Arc<State>, walk: Walk, account: Account, asked: Asked) -> Response<ReplyBody> {
    let Asked { id, deadline, again, .. } = asked;
    let body = StreamReply::late(state, walk, account, again, id, deadline);
    let mut response = Response::new(ReplyBody::Served(Box::pin(body)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
    no_buffering(headers);
    stamp_id(headers, id);
    response
}

fn log(state: &State, endpoint: Endpoint, response: &Response<ReplyBody>, id: u64) {
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    tracing::info!(
        request = %format_args!("{id:016x}"),
        endpoint = endpoint.name(),
        status = response.status().as_u16(),
        attempts = header("x-backstop-attempts"),
        trail = header("x-backstop-trail"),
        uptime_ms = state.clock.now().as_micros() / 1_000,
        "request"
    );
}
