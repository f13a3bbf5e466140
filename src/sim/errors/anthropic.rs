//! Errors as Anthropic sends them: `{"type": "error", "error": {type, message}, "request_id"}`.
//!
//! Owns those words and the headers that go with them.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::{Told, Trouble};

pub(super) fn tell(trouble: Trouble, model: &str) -> Told {
    use Trouble::{
        BadGateway, BadKey, Billing, ExpiredKey, Filtered, Forbidden, GatewayTimeout, Invalid, LowCredit, Model,
        ModelStream, NoModel, NoProfile, NotReady, Overloaded, RateLimit, Server, Timeout, TokenLimit, TooLarge,
        TooLong, Unavailable,
    };
    let invalid = "invalid_request_error";
    let (status, kind, message) = match trouble {
        BadKey => (401, "authentication_error", "invalid x-api-key"),
        ExpiredKey => (401, "authentication_error", "OAuth token has expired. Please obtain a new token."),
        Forbidden => (403, "permission_error", "Your API key does not have permission to use the specified resource."),
        Billing => (402, "billing_error", "There is an issue with your billing or payment information."),
        LowCredit => (
            400,
            invalid,
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or \
             purchase credits.",
        ),
        NoModel | NoProfile => return Told::new(404, "not_found_error", &format!("model: {model}")),
        Timeout | GatewayTimeout => (504, "timeout_error", "The request timed out."),
        TooLarge => (413, "request_too_large", "Request exceeds the maximum size"),
        TooLong => (400, invalid, "prompt is too long: 200001 tokens > 200000 maximum"),
        RateLimit => (429, "rate_limit_error", "This request would exceed your rate limit of 50 requests per minute."),
        TokenLimit => {
            (429, "rate_limit_error", "This request would exceed your rate limit of 40000 input tokens per minute.")
        }
        Filtered => (400, invalid, "Output blocked by content filtering policy"),
        Server | BadGateway | Model | ModelStream => (500, "api_error", "Internal server error"),
        Unavailable => (503, "api_error", "The service is temporarily unavailable."),
        NotReady | Overloaded => (529, "overloaded_error", "Overloaded"),
        Invalid => (400, invalid, "The request is not valid."),
    };
    Told::new(status, kind, message)
}

/// What goes with an error of that status.
pub(super) fn headers(status: u16) -> Vec<(String, String)> {
    let final_one = matches!(status, 400 | 401 | 404);
    final_one.then(|| ("x-should-retry".to_owned(), "false".to_owned())).into_iter().collect()
}

/// The limits that a 429 tells, when the script says how long they last.
pub(super) fn limits(retry_after: &Value, now: SystemTime) -> Vec<(String, String)> {
    let seconds = retry_after.as_u64().or_else(|| retry_after.as_str()?.parse().ok());
    let Some(seconds) = seconds.filter(|seconds| *seconds < 1_000_000) else { return Vec::new() };
    // Whole seconds are told: the next one, so that nobody comes too early.
    let reset = humantime::format_rfc3339_seconds(now + Duration::from_secs(seconds + 1)).to_string();
    let told = [("limit", "50".to_owned()), ("remaining", "0".to_owned()), ("reset", reset)];
    told.map(|(name, value)| (format!("anthropic-ratelimit-requests-{name}"), value)).into()
}
