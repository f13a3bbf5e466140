//! Errors in Anthropic's shape.

use serde_json::{Value, json};

/// Anthropic's `error.type` for a status.
#[must_use]
pub const fn kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 | 408 => "timeout_error",
        503 | 529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

/// An error's body. `attempts` tells what was tried, if anything was; clients of Anthropic pass over it. The message is for the
/// client: nothing of a vendor's text belongs in it unredacted.
#[must_use]
pub fn body(status: u16, message: &str, request_id: Option<&str>, attempts: &[Value]) -> Value {
    let mut error = json!({ "type": kind(status), "message": message });
    if !attempts.is_empty() {
        error["attempts"] = attempts.into();
    }
    json!({ "type": "error", "error": error, "request_id": request_id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_anthropics_shape_and_lists_what_was_tried() {
        let plain =
            json!({ "type": "error", "error": { "type": "overloaded_error", "message": "no" }, "request_id": null });
        assert_eq!(body(529, "no", None, &[]), plain);
        let told = body(429, "no", Some("req_1"), &[json!({ "target": "a/b" })]);
        assert_eq!(told["request_id"], "req_1");
        assert_eq!(
            told["error"],
            json!({ "type": "rate_limit_error", "message": "no", "attempts": [{ "target": "a/b" }] })
        );
    }
}
