//! The inner service of the failover layer: one attempt on one slot.
//!
//! Owns the way from a query to a good reply or a classified miss. Both kinds of answers are held until
//! they are known to be good: a stream to its first content, a whole answer to its end.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use tower::Service;

use super::client::SendError;
use super::outgoing::{Outgoing, prepare, signed};
use super::pool::{AnswerBody, StreamBody};
use super::route::{Route, Routes, shows};
use crate::clock::wall;
use crate::dialect::anthropic;
use crate::dialect::canonical;
use crate::dialect::endpoint::Endpoint;
use crate::dialect::error::{facts, facts_in_event, safe_message};
use crate::dialect::hint::quota_rest;
use crate::dialect::openai_chat::request::{BadRequest, Edit};
use crate::dialect::openai_chat::response::{Usage, Whole, inspect};
use crate::dialect::openai_responses::response::inspect as inspect_response;
use crate::dialect::translate;
use crate::failover::{Attempt, Clock, Miss, SharedLedger};
use crate::policy::classify::Overrides;
use crate::policy::failure::{Failure, Kind, Timer};
use crate::policy::id::SlotId;
use crate::policy::recovery::Recovery;
use crate::policy::time::Instant;
use crate::stream::gate::{Collected, GateError, GateLimits, Held, Rest, hold, whole};
use crate::stream::spoken::Spoken;
use crate::stream::translated::{Spent, Translated};

/// What the client asked, as every attempt sends it.
#[derive(Debug)]
pub struct Query {
    /// Which endpoint of the API.
    pub endpoint: Endpoint,
    /// The body as it came.
    pub body: Bytes,
    /// Where it is cut for each target.
    pub edit: Edit,
    /// How its answer is passed on.
    pub delivery: Delivery,
    /// The client's own headers that are passed on.
    pub headers: HeaderMap,
    /// The request's id.
    pub id: u64,
    /// What was asked, without a dialect: read when the first target needs it.
    pub canonical: OnceLock<Result<canonical::Request, BadRequest>>,
    /// What the client has of the answer already, if its stream broke.
    pub sent: Option<Arc<canonical::Sent>>,
}

impl Query {
    /// The same, for who goes on from what the client has.
    #[must_use]
    pub fn resumed(&self, sent: Arc<canonical::Sent>) -> Self {
        Self {
            endpoint: self.endpoint,
            body: self.body.clone(),
            edit: self.edit.clone(),
            delivery: self.delivery,
            headers: self.headers.clone(),
            id: self.id,
            canonical: OnceLock::new(),
            sent: Some(sent),
        }
    }

    /// What was asked, without a dialect.
    pub fn canonical(&self) -> &Result<canonical::Request, BadRequest> {
        self.canonical.get_or_init(|| translate::parse(self.endpoint.dialect(), &self.body))
    }
}

/// How an answer is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Read whole and checked.
    Whole,
    /// Event by event, from its first content on.
    Stream,
    /// Event by event, when the last one is there.
    Buffered,
    /// Byte by byte, from the first on, but for JSON and events: images and sound.
    Bytes,
}

impl Delivery {
    /// How an endpoint's answers are passed on, if a stream was asked for or not.
    #[must_use]
    pub const fn of(endpoint: Endpoint, stream: bool, recovery: Recovery) -> Self {
        match (endpoint.is_media(), stream, recovery) {
            (true, ..) => Self::Bytes,
            (false, true, Recovery::Buffer) => Self::Buffered,
            (false, true, Recovery::Error | Recovery::Continue) => Self::Stream,
            (false, false, _) => Self::Whole,
        }
    }

    /// Whether the vendor is asked for a stream.
    #[must_use]
    pub const fn is_stream(self) -> bool {
        matches!(self, Self::Stream | Self::Buffered)
    }
}

/// A good answer.
pub enum Reply {
    /// Whole and checked.
    Whole {
        /// The vendor's id of the answer.
        request_id: Option<HeaderValue>,
        /// What was asked and could not be carried to it.
        dropped: Option<Box<HeaderValue>>,
        /// JSON.
        body: Bytes,
        /// The tokens it took.
        usage: Option<Usage>,
    },
    /// Too long to be held, or no JSON: passed on as it is.
    Long {
        /// The vendor's id of the answer.
        request_id: Option<HeaderValue>,
        /// What it is, if the vendor said so.
        content_type: Option<HeaderValue>,
        /// The rest with what was read of it.
        body: Rest<AnswerBody>,
    },
    /// A stream at its first content.
    Stream {
        /// The vendor's id of the answer.
        request_id: Option<HeaderValue>,
        /// What was asked and could not be carried to it.
        dropped: Option<Box<HeaderValue>>,
        /// What was held, and the rest.
        held: Held<StreamBody>,
        /// Where the tokens of a translated stream are counted.
        spent: Option<Arc<Spent>>,
    },
}

/// A vendor's answer that is no good, for the cases in which the client gets it.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its content type.
    pub content_type: Option<HeaderValue>,
    /// Its body, bounded; not yet redacted.
    pub body: Bytes,
    /// The slot it came from.
    pub slot: SlotId,
}

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Anthropic's name for it.
const ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// What all attempts share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) routes: Arc<Routes>,
    pub(super) overrides: Overrides,
    pub(super) ledger: Arc<SharedLedger>,
    pub(super) clock: Clock,
    pub(super) limits: GateLimits,
    /// An upstream that was silent for this long and then hung up has timed out (contract section 1).
    silence: Duration,
}

/// The service that makes attempts. Always ready.
#[derive(Debug, Clone)]
pub struct Exchange(Arc<Shared>);

impl Exchange {
    /// A service over the slots' routes. The ledger only hears of quotas at zero. An upstream that hangs up after
    /// `silence` has timed out; before, it broke.
    #[must_use]
    pub fn new(
        routes: Arc<Routes>,
        overrides: Overrides,
        ledger: Arc<SharedLedger>,
        clock: Clock,
        limits: GateLimits,
        silence: Duration,
    ) -> Self {
        Self(Arc::new(Shared { routes, overrides, ledger, clock, limits, silence }))
    }

    /// What an error event says that came after a stream's first content, and its words without secrets.
    #[must_use]
    pub fn judge_event(&self, slot: SlotId, data: &[u8]) -> (Failure, String) {
        let route = self.0.routes.of(slot);
        let facts = facts_in_event(route.family, 200, data)
            .unwrap_or_else(|| facts(route.family, 200, &HeaderMap::new(), data, wall()));
        let secrets: Vec<&str> = self.0.routes.secrets().collect();
        let words = safe_message(&facts.message, &secrets);
        (self.0.classify(route, Endpoint::Chat, facts), words)
    }
}

impl Service<Attempt<Arc<Query>>> for Exchange {
    type Response = Reply;
    type Error = Miss<Answer>;
    type Future = Pin<Box<dyn Future<Output = Result<Reply, Miss<Answer>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt<Arc<Query>>) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move { shared.exchange(&attempt).await })
    }
}

impl Shared {
    async fn exchange(&self, attempt: &Attempt<Arc<Query>>) -> Result<Reply, Miss<Answer>> {
        let route = self.routes.of(attempt.slot);
        let mut outgoing = prepare(route, attempt)?;
        // Boxed: few keys sign.
        let credentials = match &route.signer {
            None => None,
            Some(_) => Box::pin(signed(route, &mut outgoing)).await?.map(Box::new),
        };
        let (make, connect) = (|| outgoing.request(route, attempt), Some(attempt.level().connect));
        // Made where it is awaited: a future that is moved is copied.
        let sent = match attempt.first_content {
            None => route.client.send(make, connect).await,
            Some(_) => Box::pin(self.by_first_content(attempt, route.client.send(make, connect))).await?,
        };
        let response = sent.map_err(|error| self.no_answer(&error, attempt.slot, attempt.started))?;
        if response.status() != StatusCode::OK {
            let mut miss = Box::pin(self.refused(route, attempt, response)).await;
            if attempt.prefill {
                self.refused_prefill(attempt, &mut miss);
            }
            if let (Some(signer), Some(credentials), Kind::Auth) = (&route.signer, &credentials, miss.failure.kind) {
                signer.refuse(credentials);
            }
            return Err(miss);
        }
        if let Some(rest) = quota_rest(response.headers(), wall()) {
            let now = self.clock.now();
            self.ledger.with(|ledger| ledger.rest(attempt.slot, rest, now));
        }
        if is_encoded(response.headers()) {
            // It was told not to: what cannot be read cannot be checked.
            return Err(miss(Failure::new(Kind::ServerError).with_status(200)));
        }
        match attempt.request.delivery {
            Delivery::Whole => self.whole(route, attempt, &outgoing, response).await,
            // Boxed like all that is not usual: what it holds would make every answer's future as large.
            Delivery::Stream | Delivery::Buffered => Box::pin(self.stream(route, attempt, &outgoing, response)).await,
            Delivery::Bytes => Box::pin(self.media(route, attempt, response)).await,
        }
    }

    async fn whole(
        &self,
        route: &Route,
        attempt: &Attempt<Arc<Query>>,
        outgoing: &Outgoing,
        response: Response<AnswerBody>,
    ) -> Result<Reply, Miss<Answer>> {
        let (mut parts, body) = response.into_parts();
        let request_id = request_id(route, &mut parts.headers);
        let body = match whole(body, self.limits.whole_bytes).await {
            Ok(Collected::Whole(body)) => body,
            // Nobody reads it, but a page or a text is no answer at any length, and nobody can translate what he did not read.
            Ok(Collected::Long(body)) if body.begins() != Some(b'{') || outgoing.translation().is_some() => {
                return Err(miss(Failure::new(Kind::ServerError).with_status(200)));
            }
            Ok(Collected::Long(body)) => return Ok(Reply::Long { request_id, content_type: Some(JSON), body }),
            Err(_cut) => return Err(miss(Failure::new(Kind::BrokenStream).with_status(200))),
        };
        if let Some(translation) = outgoing.translation() {
            return match translation.answer(&body) {
                Ok((body, usage)) => Ok(Reply::Whole {
                    request_id,
                    dropped: outgoing.dropped(),
                    body: Bytes::from(body),
                    usage: usage.map(Usage::from),
                }),
                Err(_) => Err(self.bad_200(route, attempt, &parts.headers, body)),
            };
        }
        let whole = match attempt.request.endpoint {
            Endpoint::Responses => inspect_response(&body),
            Endpoint::Messages => anthropic::answer::inspect(&body),
            Endpoint::CountTokens => anthropic::answer::inspect_count(&body),
            endpoint => inspect(&body, endpoint),
        };
        match whole {
            Whole::Good { usage } => Ok(Reply::Whole { request_id, dropped: outgoing.dropped(), body, usage }),
            Whole::Error | Whole::NotJson => Err(self.bad_200(route, attempt, &parts.headers, body)),
        }
    }

    pub(super) async fn stream(
        &self,
        route: &Route,
        attempt: &Attempt<Arc<Query>>,
        outgoing: &Outgoing,
        response: Response<AnswerBody>,
    ) -> Result<Reply, Miss<Answer>> {
        let (mut parts, body) = response.into_parts();
        let request_id = request_id(route, &mut parts.headers);
        let spoken = Spoken::at(attempt.request.endpoint);
        let held_bytes = spoken.most_held(self.limits.held_bytes, attempt.request.body.len());
        let (body, spent) = match outgoing.translation() {
            None => (StreamBody::Plain(body), None),
            Some(translation) => {
                let translated = Translated::new(body, translation, self.limits.frame_bytes);
                let spent = translated.spent();
                (StreamBody::Translated(Box::new(translated)), Some(spent))
            }
        };
        let limits = GateLimits { held_bytes, ..self.limits };
        let held = if attempt.first_content.is_none() {
            hold(body, &limits, spoken).await
        } else {
            self.hold_long(attempt, body, &limits, spent.as_deref()).await?
        };
        match held {
            Ok(held) if attempt.request.delivery == Delivery::Buffered => {
                let held = self.keep(route, attempt, &parts.headers, held).await?;
                Ok(Reply::Stream { request_id, dropped: outgoing.dropped(), held, spent })
            }
            Ok(held) => Ok(Reply::Stream { request_id, dropped: outgoing.dropped(), held, spent }),
            // It gave another answer: nothing is wrong with it.
            Err(_) if spent.is_some_and(|spent| spent.diverged()) => {
                Err(miss(Failure::new(Kind::NotCapable).with_status(200)))
            }
            Err(GateError::Event(data)) => Err(self.bad_200(route, attempt, &parts.headers, data)),
            Err(GateError::NotSse(body)) => Err(self.bad_200(route, attempt, &parts.headers, body)),
            Err(GateError::Ended { silent }) if silent >= self.silence => {
                Err(miss(Failure::new(Kind::Timeout).with_status(200)))
            }
            Err(GateError::Ended { .. } | GateError::Broken(_)) => {
                Err(miss(Failure::new(Kind::BrokenStream).with_status(200)))
            }
        }
    }

    fn no_answer(&self, error: &SendError, slot: SlotId, started: Instant) -> Miss<Answer> {
        let silent = self.clock.now().since(started);
        let kind = if !error.connecting && silent >= self.silence { Kind::Timeout } else { Kind::Network };
        tracing::debug!(slot = slot.0, kind = kind.name(), reason = %error.reason, "no answer from upstream");
        let failure = Failure::new(kind);
        miss(if error.too_late { failure.with_timer(Timer::Connect) } else { failure })
    }
}

pub(super) const fn miss(failure: Failure) -> Miss<Answer> {
    Miss { failure, answer: None }
}

pub(super) fn request_id(route: &Route, headers: &mut HeaderMap) -> Option<HeaderValue> {
    let id = headers.remove(REQUEST_ID).or_else(|| headers.remove(ANTHROPIC_REQUEST_ID))?;
    (!shows(&id, route.secrets())).then_some(id)
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get(http::header::CONTENT_ENCODING).is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}
