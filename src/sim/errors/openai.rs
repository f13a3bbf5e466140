//! Errors as OpenAI-speaking vendors send them: `{"error": {message, type, param, code}}`.
//!
//! Owns that shape and those words.

use serde_json::{Value, json};

use super::{Told, Trouble};

pub(super) fn tell(trouble: Trouble, last4: &str) -> Told {
    use Trouble::{
        BadGateway, BadKey, Billing, ExpiredKey, Filtered, Forbidden, GatewayTimeout, Invalid, LowCredit, Model,
        ModelStream, NoModel, NoProfile, NotReady, Overloaded, RateLimit, Server, Timeout, TokenLimit, TooLarge,
        TooLong, Unavailable,
    };
    let invalid = "invalid_request_error";
    let (status, kind, code, message) = match trouble {
        BadKey => {
            let message = format!("Incorrect API key provided: ****{last4}.");
            return Told { code: Some("invalid_api_key".to_owned()), ..Told::new(401, invalid, &message) };
        }
        ExpiredKey => (401, invalid, Some("invalid_api_key"), "Your API key has expired."),
        Forbidden => (
            403,
            "request_forbidden",
            Some("unsupported_country_region_territory"),
            "Country, region, or territory not supported.",
        ),
        Billing | LowCredit => (
            429,
            "insufficient_quota",
            Some("insufficient_quota"),
            "You exceeded your current quota, please check your plan and billing details.",
        ),
        NoModel | NoProfile => {
            (404, invalid, Some("model_not_found"), "The model does not exist or you do not have access to it.")
        }
        Timeout => (408, "timeout_error", None, "Request timed out."),
        TooLarge => (413, invalid, Some("request_too_large"), "Request too large."),
        TooLong => {
            (400, invalid, Some("context_length_exceeded"), "This model's maximum context length is 1000 tokens.")
        }
        RateLimit => (429, "requests", Some("rate_limit_exceeded"), "Rate limit reached for requests."),
        TokenLimit => (429, "tokens", Some("rate_limit_exceeded"), "Rate limit reached for tokens."),
        Filtered => (400, invalid, Some("content_filter"), "The request was rejected by the safety system."),
        Server | Model | ModelStream => {
            (500, "server_error", None, "The server had an error while processing your request.")
        }
        BadGateway => (502, "server_error", None, "Bad gateway."),
        Unavailable | NotReady => (503, "server_error", None, "The service is temporarily unavailable."),
        GatewayTimeout => (504, "timeout_error", None, "Gateway timeout."),
        Overloaded => (529, "overloaded_error", None, "The engine is currently overloaded, please try again later."),
        Invalid => (400, invalid, None, "The request is not valid."),
    };
    Told { code: code.map(str::to_owned), ..Told::new(status, kind, message) }
}

/// An error body.
pub(in crate::sim) fn object(message: &str, kind: &str, code: Option<&str>) -> Value {
    json!({ "error": { "message": message, "type": kind, "param": null, "code": code } })
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
