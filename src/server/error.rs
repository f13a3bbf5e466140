//! Errors as OpenAI's clients know them (contract section 6).
//!
//! Owns the shape, the statuses of the gateway's own refusals, and the error that lists all attempts.
//! Refuses to pass on vendor text that was not redacted.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::body::ReplyBody;
use crate::dialect::anthropic;
use crate::dialect::endpoint::Endpoint;
use crate::dialect::openai_chat::request::BadRequest;
use crate::dialect::vendor::Dialect;
use crate::policy::capability::Lack;
use crate::policy::chain::{Chain, UnknownModel};
use crate::policy::run::{Composed, Entry};
use crate::telemetry::Names;

/// One error for a client.
#[derive(Debug, Clone)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// What happened, and what to do.
    pub message: String,
    /// OpenAI's `type`.
    pub kind: &'static str,
    /// OpenAI's `code`.
    pub code: &'static str,
    /// The field that is wrong.
    pub param: Option<&'static str>,
    /// Every attempt: slot, kind, status.
    pub attempts: Vec<Value>,
    /// When asking again can help.
    pub retry_after: Option<Duration>,
    /// Whether asking again can help; `None` leaves it to the client.
    pub should_retry: Option<bool>,
}

impl ApiError {
    /// An error of the request itself.
    #[must_use]
    pub fn request(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            kind: "invalid_request_error",
            code,
            param: None,
            attempts: Vec::new(),
            retry_after: None,
            should_retry: Some(false),
        }
    }

    /// No or a wrong client key.
    #[must_use]
    pub fn wrong_key() -> Self {
        Self::request(
            StatusCode::UNAUTHORIZED,
            "invalid_api_key",
            // The first words are OpenAI's: LiteLLM tells a wrong key from a bad request by them.
            "Incorrect API key provided: this gateway wants one of its own client keys, as `Authorization: Bearer <key>` \
             or `x-api-key`",
        )
    }

    /// The body is announced as something else than JSON.
    #[must_use]
    pub fn not_json() -> Self {
        Self::request(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_content_type",
            "the body must be JSON: send `content-type: application/json`",
        )
    }

    /// The body of an endpoint that takes forms is neither a form nor JSON.
    #[must_use]
    pub fn no_form() -> Self {
        Self::request(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_content_type",
            "the body must be a form: send `content-type: multipart/form-data; boundary=...`, or JSON",
        )
    }

    /// The body is longer than `most` bytes.
    #[must_use]
    pub fn too_long(most: usize) -> Self {
        let message = format!("the body is longer than this gateway takes ({most} bytes)");
        Self::request(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message)
    }

    /// Nothing is called `model`.
    #[must_use]
    pub fn unknown_model(model: &str, unknown: &UnknownModel) -> Self {
        let model: String = model.chars().take(200).collect();
        let hint = match unknown.nearest.as_slice() {
            [] => "GET /v1/models lists what there is; a provider's own model is written provider/model".to_owned(),
            names => format!("the nearest names are {} (a model is written provider/model)", names.join(", ")),
        };
        let mut error = Self::request(
            StatusCode::NOT_FOUND,
            "model_not_found",
            format!("no model or chain is called `{model}`: {hint}"),
        );
        error.param = Some("model");
        error
    }

    /// No target of the chain can do what was asked.
    #[must_use]
    pub fn unfit(lack: Lack, chain: &str, endpoint: Endpoint) -> Self {
        if (lack, endpoint) == (Lack::Endpoint, Endpoint::CountTokens) {
            let message = format!("no target of `{chain}` counts tokens: only those that speak Anthropic's dialect do");
            return Self::request(StatusCode::NOT_IMPLEMENTED, lack.name(), message);
        }
        let why = match lack {
            Lack::Vision => "takes images",
            Lack::ImageUrls => "takes images by their address: send their bytes as a data URL",
            Lack::Audio => "takes sound in messages",
            Lack::Choices => "gives more than one answer to a request: leave out `n`, or ask as often",
            Lack::Logprobs => "gives the probabilities of its tokens: leave out `logprobs`",
            Lack::Tools => "takes tools",
            Lack::JsonSchema => "takes a JSON schema",
            Lack::Context => "has a context window for a prompt of this length",
            Lack::MaxOutput => "gives answers of the length asked for",
            Lack::NoKey => "has a key in this gateway's configuration",
            Lack::Disabled => "is switched on in this gateway's configuration",
            Lack::NoKeyForModel => "has a key that may be used for this model",
            Lack::Dialect => "can be served by this version of the gateway",
            Lack::Endpoint => "is known to have this endpoint; a provider that does says so in its `endpoints` setting",
            Lack::NotEquivalent => "is marked as equivalent",
            Lack::Stateful => "is at the provider that keeps what this request builds on",
        };
        let status = match lack {
            Lack::Dialect => StatusCode::NOT_IMPLEMENTED,
            Lack::NoKey | Lack::Disabled | Lack::NoKeyForModel => StatusCode::SERVICE_UNAVAILABLE,
            Lack::Vision
            | Lack::ImageUrls
            | Lack::Audio
            | Lack::Choices
            | Lack::Logprobs
            | Lack::Tools
            | Lack::JsonSchema
            | Lack::Context
            | Lack::MaxOutput
            | Lack::Endpoint
            | Lack::NotEquivalent
            | Lack::Stateful => StatusCode::BAD_REQUEST,
        };
        Self::request(status, lack.name(), format!("no target of `{chain}` {why}"))
    }

    /// Every attempt failed, or every slot cools.
    #[must_use]
    pub fn composed(composed: &Composed, entries: &[Entry], chain: &Chain, names: &Names) -> Self {
        let (kind, code, message) = match composed.status {
            429 => ("rate_limit_error", "rate_limit_exceeded", "every provider is rate-limited"),
            404 => ("invalid_request_error", "model_not_found", "no provider knows this model"),
            503 => ("server_error", "all_cooling", "every provider is cooling down after failures"),
            504 => ("server_error", "timeout", "every provider timed out"),
            _ => ("server_error", "all_attempts_failed", "every provider failed"),
        };
        let attempts: Vec<Value> = entries.iter().map(|entry| attempt(entry, chain, names)).collect();
        let listed: Vec<String> = entries.iter().map(|entry| super::headers::entry(entry, chain, names)).collect();
        let tail = if listed.is_empty() { String::new() } else { format!(": {}", listed.join(", ")) };
        Self {
            status: StatusCode::from_u16(composed.status).unwrap_or(StatusCode::BAD_GATEWAY),
            message: format!("{message} (chain `{}`){tail}", chain.name),
            kind,
            code,
            param: None,
            attempts,
            retry_after: composed.retry_after,
            should_retry: (!composed.should_retry).then_some(false),
        }
    }

    /// The body.
    #[must_use]
    pub fn json(&self) -> Bytes {
        let mut error = json!({
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        });
        if !self.attempts.is_empty() {
            error["attempts"] = Value::Array(self.attempts.clone());
        }
        Bytes::from(json!({ "error": error }).to_string())
    }

    /// The body in Anthropic's shape. Its type goes by the status alone, as theirs do.
    fn messages_json(&self) -> Bytes {
        let body = anthropic::error::body(self.status.as_u16(), &self.message, None, &self.attempts);
        Bytes::from(body.to_string())
    }

    /// The whole answer, in the client's dialect.
    #[must_use]
    pub fn response(&self, dialect: Dialect) -> Response<ReplyBody> {
        let body = match dialect {
            Dialect::Anthropic => self.messages_json(),
            Dialect::OpenAiChat | Dialect::Bedrock => self.json(),
        };
        let mut response = Response::new(ReplyBody::full(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(after) = self.retry_after {
            // Whole seconds, rounded up: a client that comes earlier comes for nothing.
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if self.should_retry == Some(false) {
            headers.insert("x-should-retry", HeaderValue::from_static("false"));
        }
        response
    }
}

impl From<BadRequest> for ApiError {
    fn from(bad: BadRequest) -> Self {
        let mut error = Self::request(StatusCode::BAD_REQUEST, bad.code, bad.message);
        error.param = bad.param;
        error
    }
}

fn attempt(entry: &Entry, chain: &Chain, names: &Names) -> Value {
    match entry {
        Entry::Attempt { slot, level, failure } => {
            let mut attempt = json!({
                "slot": super::headers::slot_label(*slot, &chain.levels[*level], names),
                "kind": failure.map(|failure| failure.kind.name()),
                "status": failure.and_then(|failure| failure.status),
            });
            if let Some(timer) = failure.and_then(|failure| failure.timer) {
                attempt["timer"] = timer.name().into();
            }
            attempt
        }
        Entry::Skipped { level, lack } => json!({
            "target": super::headers::target_label(&chain.levels[*level], names),
            "skipped": lack.name(),
        }),
    }
}
