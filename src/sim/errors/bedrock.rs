//! Errors as Bedrock sends them: an exception's name in `x-amzn-errortype` or in a frame, and `{"message"}`.
//!
//! Owns those words, and which of them a stream has a frame for.

use serde_json::{Value, json};

use super::{Told, Trouble};

/// The exceptions that a stream of events knows; everything else that breaks it is a frame of type `error`.
const IN_STREAM: [&str; 5] = [
    "InternalServerException",
    "ModelStreamErrorException",
    "ServiceUnavailableException",
    "ThrottlingException",
    "ValidationException",
];

pub(super) fn tell(trouble: Trouble, status: Option<u16>, model: &str) -> Told {
    use Trouble::{
        BadGateway, BadKey, Billing, ExpiredKey, Filtered, Forbidden, GatewayTimeout, Invalid, LowCredit, Model,
        ModelStream, NoModel, NoProfile, NotReady, Overloaded, RateLimit, Server, Timeout, TokenLimit, TooLarge,
        TooLong, Unavailable,
    };
    let validation = "ValidationException";
    let (status, kind, message) = match trouble {
        BadKey => (403, "UnrecognizedClientException", "The security token included in the request is invalid."),
        ExpiredKey => (403, "ExpiredTokenException", "The security token included in the request is expired"),
        Forbidden => (403, "AccessDeniedException", "You don't have access to the model with the specified model ID."),
        Billing | LowCredit => (
            400,
            "ServiceQuotaExceededException",
            "Your request exceeds the service quota for your account. Please wait before trying again.",
        ),
        NoModel if status == Some(404) => (
            404,
            "ResourceNotFoundException",
            "This model version has reached the end of its life. Please refer to the AWS documentation.",
        ),
        NoModel => (400, validation, "The provided model identifier is invalid."),
        NoProfile => {
            let message = format!(
                "Invocation of model ID {model} with on-demand throughput isn’t supported. Retry your request with the \
                 ID or ARN of an inference profile that contains this model."
            );
            return Told::new(400, validation, &message);
        }
        Timeout => {
            (408, "ModelTimeoutException", "The model timed out while processing the request. Try your request again.")
        }
        TooLarge | TooLong if model.contains("nova") => (
            400,
            validation,
            "The model returned the following errors: Input Tokens Exceeded: Number of input tokens exceeds maximum \
             length. Please update the input to try again.",
        ),
        TooLarge | TooLong => (400, validation, "Input is too long for requested model."),
        RateLimit => (429, "ThrottlingException", "Too many requests, please wait before trying again."),
        TokenLimit => (429, "ThrottlingException", "Too many tokens, please wait before trying again."),
        NotReady => (429, "ModelNotReadyException", "The model is not ready for inference. Try your request again."),
        Filtered => {
            (400, validation, "The model returned the following errors: Output blocked by content filtering policy")
        }
        Server | BadGateway | GatewayTimeout => (
            500,
            "InternalServerException",
            "The system encountered an unexpected error during processing. Try your request again.",
        ),
        Unavailable | Overloaded => (503, "ServiceUnavailableException", "Bedrock is unable to process your request."),
        Model => (424, "ModelErrorException", "The model failed to process the request. Try your request again."),
        ModelStream => (424, "ModelStreamErrorException", "The model's stream broke. Try your request again."),
        Invalid => (400, validation, "The request is not valid."),
    };
    Told::new(status, kind, message)
}

/// The header that names the exception, with the tail that AWS puts behind it.
pub(super) fn headers(kind: &str) -> Vec<(String, String)> {
    let value = format!("{kind}:http://internal.amazon.com/coral/com.amazon.bedrock/");
    vec![("x-amzn-errortype".to_owned(), value)]
}

/// An error as an event: one key that is the exception, or `:error`. A scripted object is taken as it is if it is that.
pub(super) fn event(body: &Value, told: Option<&Told>) -> Value {
    let Some(told) = told else {
        let scripted = |name: &String| name.ends_with("Exception") || name == ":error";
        let is_event = body.as_object().is_some_and(|event| event.len() == 1 && event.keys().all(scripted));
        let code = body.as_str().unwrap_or("InternalFailure");
        return if is_event {
            body.clone()
        } else {
            json!({ ":error": { "code": code, "message": body.to_string() } })
        };
    };
    if !IN_STREAM.contains(&told.kind.as_str()) {
        return json!({ ":error": { "code": told.kind, "message": told.message } });
    }
    let mut payload = json!({ "message": told.message });
    if told.kind == "ModelStreamErrorException" {
        payload["originalStatusCode"] = 500.into();
        payload["originalMessage"] = "Internal Server Error".into();
    }
    let mut name = told.kind.clone();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    json!({ name: payload })
}
