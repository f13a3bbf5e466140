//! What an answer that is no good means, and what of it a client may see.
//!
//! Owns the reading of a refusal's body and the vendor's words in the client's own dialect. Refuses to know what is done
//! about a failure.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};

use super::exchange::{Answer, JSON, Query, Shared};
use super::pool::AnswerBody;
use super::route::Route;
use crate::clock::wall;
use crate::dialect::endpoint::Endpoint;
use crate::dialect::error::{facts, facts_in_event, safe_message};
use crate::dialect::openai_responses::response::as_error;
use crate::dialect::translate;
use crate::failover::{Attempt, Miss};
use crate::policy::classify::{Facts, beside_chat, classify};
use crate::policy::failure::Failure;
use crate::stream::gate::{Collected, whole};

/// The most that is read of an error body, in bytes.
const ERROR_BODY: usize = 256 * 1024;
/// An error's status is known; its body may take this long.
const ERROR_BODY_TIME: Duration = Duration::from_secs(5);

impl Shared {
    /// An answer with another status than 200.
    pub(super) async fn refused(
        &self,
        route: &Route,
        attempt: &Attempt<Arc<Query>>,
        response: Response<AnswerBody>,
    ) -> Miss<Answer> {
        let (mut parts, body) = response.into_parts();
        let body = match tokio::time::timeout(ERROR_BODY_TIME, whole(body, ERROR_BODY)).await {
            Ok(Ok(Collected::Whole(body))) => body,
            // The status alone has to do.
            Ok(Ok(Collected::Long(_)) | Err(_)) | Err(_) => Bytes::new(),
        };
        let facts = facts(route.family, parts.status.as_u16(), &parts.headers, &body, wall());
        let content_type = parts.headers.remove(http::header::CONTENT_TYPE);
        let told = self.translated(route, attempt, parts.status, &facts);
        let failure = self.classify(route, attempt.request.endpoint, facts);
        let (content_type, body) = told.map_or((content_type, body), |told| (Some(JSON), told));
        let slot = attempt.slot;
        Miss { failure, answer: Some(Box::new(Answer { status: parts.status, content_type, body, slot })) }
    }

    /// An error under status 200: it is of the kind its own content says.
    pub(super) fn bad_200(
        &self,
        route: &Route,
        attempt: &Attempt<Arc<Query>>,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Miss<Answer> {
        let facts = facts_in_event(route.family, 200, &body)
            .unwrap_or_else(|| facts(route.family, 200, headers, &body, wall()));
        let status = facts.body_status.and_then(|status| StatusCode::from_u16(status).ok());
        let endpoint = attempt.request.endpoint;
        let status = status.filter(|status| status.as_u16() >= 400).unwrap_or(StatusCode::BAD_REQUEST);
        let told = match endpoint {
            Endpoint::Responses => as_error(&body),
            _ => self.translated(route, attempt, status, &facts),
        };
        let failure = self.classify(route, endpoint, facts);
        let content_type = Some(JSON);
        let (body, slot) = (told.unwrap_or(body), attempt.slot);
        Miss { failure, answer: Some(Box::new(Answer { status, content_type, body, slot })) }
    }

    pub(super) fn classify(&self, route: &Route, endpoint: Endpoint, mut facts: Facts) -> Failure {
        facts.provider = Some(route.provider);
        let failure = classify(&facts, &self.overrides);
        if endpoint.is_beside_chat() { beside_chat(failure) } else { failure }
    }

    /// The vendor's words as the client's dialect has errors; `None` if it is the vendor's own dialect.
    fn translated(
        &self,
        route: &Route,
        attempt: &Attempt<Arc<Query>>,
        status: StatusCode,
        facts: &Facts,
    ) -> Option<Bytes> {
        let front = attempt.request.endpoint.dialect();
        if front == route.dialect {
            return None;
        }
        let secrets: Vec<&str> = self.routes.secrets().collect();
        let words = safe_message(&facts.message, &secrets);
        let words = if words.is_empty() { format!("the provider answered {status}") } else { words };
        Some(translate::error(front, status.as_u16(), &words))
    }
}
