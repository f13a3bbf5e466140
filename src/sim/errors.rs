//! The error bodies that OpenAI-speaking vendors send, by status and by code.
//!
//! Owns their shape (`{"error": {message, type, param, code}}`). Refuses to know when they are sent.

use serde_json::{Value, json};

use super::script::{ErrorSpec, Fault};

/// The body of a scripted status: as scripted, else the usual one. The flag says whether it is JSON.
pub(super) fn body(fault: &Fault, status: u16, last4: &str) -> (String, bool) {
    if let Some(body) = &fault.body {
        return match body {
            Value::String(text) => (text.clone(), false),
            other => (other.to_string(), true),
        };
    }
    let error = match &fault.error {
        Some(ErrorSpec::Full(error)) => json!({ "error": error }),
        Some(ErrorSpec::Code(code)) => coded(code, last4),
        None => usual(status, last4),
    };
    (error.to_string(), true)
}

/// An embedded error: a number stands for the usual error of that status.
pub(super) fn embedded(body: &Value, last4: &str) -> Value {
    match body.as_u64().and_then(|n| u16::try_from(n).ok()) {
        Some(status) => usual(status, last4),
        None => body.clone(),
    }
}

/// An error as an event of a stream whose events have names: told there without its envelope.
pub(super) fn event(body: &Value) -> Value {
    let mut event = body.get("error").filter(|error| error.is_object()).unwrap_or(body).clone();
    if event.is_object() {
        event["type"] = "error".into();
        event["sequence_number"] = 0.into();
    }
    event
}

/// The usual error of a status.
pub(super) fn usual(status: u16, last4: &str) -> Value {
    match status {
        401 => coded("invalid_api_key", last4),
        402 => coded("insufficient_quota", last4),
        403 => coded("unsupported_country_region_territory", last4),
        404 => coded("model_not_found", last4),
        408 => object("Request timed out.", "timeout_error", None),
        413 => object("Request too large.", "invalid_request_error", Some("request_too_large")),
        429 => coded("rate_limit_exceeded", last4),
        502 => object("Bad gateway.", "server_error", None),
        503 => coded("service_unavailable", last4),
        504 => object("Gateway timeout.", "timeout_error", None),
        529 => coded("overloaded", last4),
        500..=599 => coded("server_error", last4),
        _ => object("The request is not valid.", "invalid_request_error", None),
    }
}

/// The error of a code that vendors use.
fn coded(code: &str, last4: &str) -> Value {
    let (kind, message) = match code {
        "invalid_api_key" => ("invalid_request_error", format!("Incorrect API key provided: ****{last4}.")),
        "insufficient_quota" => (
            "insufficient_quota",
            "You exceeded your current quota, please check your plan and billing details.".to_owned(),
        ),
        "rate_limit_exceeded" => ("requests", "Rate limit reached for requests.".to_owned()),
        "model_not_found" => {
            ("invalid_request_error", "The model does not exist or you do not have access to it.".to_owned())
        }
        "context_length_exceeded" => {
            ("invalid_request_error", "This model's maximum context length is 1000 tokens.".to_owned())
        }
        "content_filter" | "content_policy_violation" => {
            ("invalid_request_error", "The request was rejected by the safety system.".to_owned())
        }
        "unsupported_country_region_territory" => {
            ("request_forbidden", "Country, region, or territory not supported.".to_owned())
        }
        "overloaded" => {
            return object("The engine is currently overloaded, please try again later.", "overloaded_error", None);
        }
        "service_unavailable" => return object("The service is temporarily unavailable.", "server_error", None),
        "server_error" => {
            return object("The server had an error while processing your request.", "server_error", None);
        }
        _ => ("invalid_request_error", "The request failed.".to_owned()),
    };
    object(&message, kind, Some(code))
}

/// An error body.
pub(super) fn object(message: &str, kind: &str, code: Option<&str>) -> Value {
    json!({ "error": { "message": message, "type": kind, "param": null, "code": code } })
}
