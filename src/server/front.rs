//! The way in: hot routes as plain calls, the rest through axum's router.
//!
//! Owns the table of routes. The hot ones are matched before the router (docs: ARCHITECTURE.md says what
//! the router costs).

use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Shared};
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::body::Incoming;
use tower::ServiceExt;

use super::body::ReplyBody;
use super::error::ApiError;
use super::headers::stamp_id;
use super::state::State;
use super::unread::discard;
use super::{chat, models, ops};
use crate::dialect::endpoint::Endpoint;
use crate::dialect::vendor::Dialect;

/// The service of one connection after another.
#[derive(Clone)]
pub struct Front {
    state: Arc<State>,
    router: Router,
}

impl Front {
    /// All routes over `state`.
    #[must_use]
    pub fn new(state: Arc<State>) -> Self {
        let router = Router::new()
            .route("/livez", get(|| async { "ok" }))
            .route("/readyz", get(readyz))
            .route("/status", get(status))
            .route("/metrics", get(metrics))
            .route("/v1/models", get(list_models))
            .route("/v1/models/{*id}", get(get_model))
            .fallback(not_found)
            .method_not_allowed_fallback(wrong_method)
            .with_state(Arc::clone(&state));
        Self { state, router }
    }
}

impl hyper::service::Service<Request<Incoming>> for Front {
    type Response = Response<ReplyBody>;
    type Error = std::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        match hot(request.method(), request.uri().path()) {
            Some(endpoint) => {
                let (parts, body) = request.into_parts();
                Box::pin(chat::serve(Arc::clone(&self.state), endpoint, parts.headers, body))
            }
            None => {
                let routed = self.router.clone().oneshot(request);
                let id = fastrand::u64(..) ^ self.state.id_seed;
                Box::pin(async move {
                    let mut response = routed.await?.map(ReplyBody::Routed);
                    stamp_id(response.headers_mut(), id);
                    Ok(response)
                })
            }
        }
    }
}

/// The endpoint of a hot route. The path is taken with and without `/v1`: both are seen as base URLs.
fn hot(method: &Method, path: &str) -> Option<Endpoint> {
    if method != Method::POST {
        return None;
    }
    endpoint(path)
}

fn endpoint(path: &str) -> Option<Endpoint> {
    match path.strip_prefix("/v1").unwrap_or(path) {
        "/chat/completions" => Some(Endpoint::Chat),
        "/completions" => Some(Endpoint::Completions),
        "/embeddings" => Some(Endpoint::Embeddings),
        "/moderations" => Some(Endpoint::Moderations),
        "/responses" => Some(Endpoint::Responses),
        "/images/generations" => Some(Endpoint::ImageGenerations),
        "/images/edits" => Some(Endpoint::ImageEdits),
        "/images/variations" => Some(Endpoint::ImageVariations),
        "/audio/speech" => Some(Endpoint::Speech),
        "/audio/transcriptions" => Some(Endpoint::Transcriptions),
        "/audio/translations" => Some(Endpoint::Translations),
        "/messages" => Some(Endpoint::Messages),
        "/messages/count_tokens" => Some(Endpoint::CountTokens),
        _ => None,
    }
}

async fn readyz(Shared(state): Shared<Arc<State>>) -> impl IntoResponse {
    let (ready, detail) = ops::ready(&state);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CONTENT_TYPE, "application/json")], detail.to_string())
}

async fn status(Shared(state): Shared<Arc<State>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], ops::status(&state).to_string())
}

async fn metrics(Shared(state): Shared<Arc<State>>) -> axum::response::Response {
    let now = state.clock.now();
    match state.ledger.with(|ledger| state.metrics.render(&state.names, ledger, now)) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// In whose words a request without a body is asked: Anthropic's clients name their version.
fn spoken(headers: &HeaderMap) -> Dialect {
    if headers.contains_key("anthropic-version") { Dialect::Anthropic } else { Dialect::OpenAiChat }
}

async fn list_models(
    Shared(state): Shared<Arc<State>>,
    uri: axum::http::Uri,
    headers: HeaderMap,
) -> axum::response::Response {
    let dialect = spoken(&headers);
    if !state.client_keys.admit(&headers) {
        return routed_in(&ApiError::wrong_key(), dialect);
    }
    let list = match dialect {
        Dialect::Anthropic => models::page(&state, uri.query().unwrap_or_default()),
        Dialect::OpenAiChat | Dialect::Bedrock => models::list(&state),
    };
    ([(header::CONTENT_TYPE, "application/json")], list.to_string()).into_response()
}

async fn get_model(
    Shared(state): Shared<Arc<State>>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> axum::response::Response {
    let dialect = spoken(&headers);
    if !state.client_keys.admit(&headers) {
        return routed_in(&ApiError::wrong_key(), dialect);
    }
    let Ok(Path(id)) = id else {
        return routed_in(&ApiError::request(StatusCode::BAD_REQUEST, "invalid_url", "the path is not UTF-8"), dialect);
    };
    match models::get(&state, &id, dialect) {
        Ok(model) => ([(header::CONTENT_TYPE, "application/json")], model.to_string()).into_response(),
        Err(error) => routed_in(&error, dialect),
    }
}

async fn not_found(request: Request<axum::body::Body>) -> axum::response::Response {
    let (parts, body) = request.into_parts();
    discard(&parts.headers, body);
    let path = parts.uri.path();
    if let Some(endpoint) = endpoint(path) {
        return not_allowed(&parts.method, endpoint.dialect());
    }
    let below = path.strip_prefix("/v1").unwrap_or(path).strip_prefix("/responses/");
    if below.is_some_and(|below| is_stored(&parts.method, below)) {
        let message = "stored responses are not served: they are in the account of the vendor that made them, and this \
                       gateway does not know which; it serves POST /v1/responses";
        return routed(&ApiError::request(StatusCode::NOT_FOUND, "unknown_url", message));
    }
    let asked: String = path.chars().take(200).collect();
    let asked = format!("there is no {} {asked}", parts.method);
    let message = if below.is_some() {
        let served: Vec<String> = Endpoint::ALL.iter().map(|endpoint| format!("/v1{}", endpoint.path())).collect();
        let other: Vec<&str> = served.iter().map(String::as_str).filter(|path| *path != "/v1/responses").collect();
        format!("{asked}; of this part of the API, POST /v1/responses is served, beside it {}", other.join(", "))
    } else {
        format!("{asked}; point your SDK's base URL at this server's /v1")
    };
    routed(&ApiError::request(StatusCode::NOT_FOUND, "unknown_url", message))
}

/// Whether a path below `/responses/` means a response that was made before, as opposed to something made from a body.
fn is_stored(method: &Method, below: &str) -> bool {
    method != Method::POST || below.starts_with("resp_") || below.ends_with("/cancel")
}

async fn wrong_method(request: Request<axum::body::Body>) -> axum::response::Response {
    let (parts, body) = request.into_parts();
    discard(&parts.headers, body);
    not_allowed(&parts.method, spoken(&parts.headers))
}

fn not_allowed(method: &Method, dialect: Dialect) -> axum::response::Response {
    let message = format!("{method} is not allowed here");
    routed_in(&ApiError::request(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message), dialect)
}

/// An API error as axum wants it.
fn routed(error: &ApiError) -> axum::response::Response {
    routed_in(error, Dialect::OpenAiChat)
}

fn routed_in(error: &ApiError, dialect: Dialect) -> axum::response::Response {
    error.response(dialect).map(axum::body::Body::new).into_response()
}
