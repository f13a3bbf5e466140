//! What vendors say when something is wrong: one list of troubles, told in the words of each dialect.
//!
//! Owns the names under which a script may ask for a trouble, and how an error becomes a body, headers or an event.
//! Refuses to know when it is sent.

mod anthropic;
mod bedrock;
mod openai;

use serde_json::{Value, json};

use super::answer::Framing;
use super::dialect::Dialect;
use super::script::{ErrorSpec, Fault};

pub(super) use openai::object;

/// What is wrong, whoever says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    BadKey,
    ExpiredKey,
    Forbidden,
    Billing,
    /// Billing as Anthropic says it under 400.
    LowCredit,
    NoModel,
    /// The model is there, but not without an inference profile.
    NoProfile,
    Timeout,
    TooLarge,
    TooLong,
    RateLimit,
    /// As Bedrock words it: tokens, not requests.
    TokenLimit,
    NotReady,
    Filtered,
    Server,
    BadGateway,
    Unavailable,
    GatewayTimeout,
    Overloaded,
    Model,
    ModelStream,
    Invalid,
}

/// The names that a script may use in any dialect: the vendors' own codes, types and exceptions.
const NAMES: [(&str, Trouble); 37] = {
    use Trouble::*;
    [
        ("invalid_api_key", BadKey),
        ("authentication_error", BadKey),
        ("UnrecognizedClientException", BadKey),
        ("ExpiredTokenException", ExpiredKey),
        ("permission_error", Forbidden),
        ("unsupported_country_region_territory", Forbidden),
        ("AccessDeniedException", Forbidden),
        ("insufficient_quota", Billing),
        ("billing_error", Billing),
        ("ServiceQuotaExceededException", Billing),
        ("credit_balance_too_low", LowCredit),
        ("model_not_found", NoModel),
        ("not_found_error", NoModel),
        ("ResourceNotFoundException", NoModel),
        ("on_demand_throughput", NoProfile),
        ("timeout_error", Timeout),
        ("ModelTimeoutException", Timeout),
        ("request_too_large", TooLarge),
        ("context_length_exceeded", TooLong),
        ("prompt_too_long", TooLong),
        ("rate_limit_exceeded", RateLimit),
        ("rate_limit_error", RateLimit),
        ("ThrottlingException", RateLimit),
        ("too_many_tokens", TokenLimit),
        ("ModelNotReadyException", NotReady),
        ("content_filter", Filtered),
        ("content_policy_violation", Filtered),
        ("server_error", Server),
        ("api_error", Server),
        ("InternalServerException", Server),
        ("service_unavailable", Unavailable),
        ("ServiceUnavailableException", Unavailable),
        ("overloaded", Overloaded),
        ("overloaded_error", Overloaded),
        ("ModelErrorException", Model),
        ("ModelStreamErrorException", ModelStream),
        ("ValidationException", Invalid),
    ]
};

impl Trouble {
    /// The trouble of that name; an exception may begin in lower case, as it does in a stream.
    fn named(name: &str) -> Option<Self> {
        let same = |known: &str| known == name || (known.ends_with("Exception") && known.eq_ignore_ascii_case(name));
        NAMES.iter().find(|(known, _)| same(known)).map(|(_, trouble)| *trouble)
    }

    /// What a status usually means.
    fn usual(status: u16) -> Self {
        match status {
            401 => Self::BadKey,
            402 => Self::Billing,
            403 => Self::Forbidden,
            404 => Self::NoModel,
            408 => Self::Timeout,
            413 => Self::TooLarge,
            424 => Self::Model,
            429 => Self::RateLimit,
            502 => Self::BadGateway,
            503 => Self::Unavailable,
            504 => Self::GatewayTimeout,
            529 => Self::Overloaded,
            500..=599 => Self::Server,
            _ => Self::Invalid,
        }
    }
}

/// To whom and about what an error is told.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    pub dialect: Dialect,
    /// The end of the key, which texts may show.
    pub last4: String,
    pub model: String,
    pub request_id: String,
}

/// An error in the words of one dialect.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub status: u16,
    /// OpenAI's and Anthropic's type, the name of Bedrock's exception.
    pub kind: String,
    /// OpenAI's.
    pub code: Option<String>,
    pub message: String,
}

impl Told {
    /// A refusal of a request that is not well-formed.
    pub(super) fn invalid(message: &str) -> Self {
        Self::new(400, "invalid_request_error", message)
    }

    pub(super) fn new(status: u16, kind: &str, message: &str) -> Self {
        Self { status, kind: kind.to_owned(), code: None, message: message.to_owned() }
    }

    /// The trouble as the vendor tells it. `status` is the scripted one, if there is one.
    fn of(trouble: Trouble, status: Option<u16>, scene: &Scene) -> Self {
        let mut told = match scene.dialect {
            Dialect::OpenAi => openai::tell(trouble, &scene.last4),
            Dialect::Anthropic => anthropic::tell(trouble, &scene.model),
            Dialect::Bedrock => bedrock::tell(trouble, status, &scene.model),
        };
        told.status = status.unwrap_or(told.status);
        told
    }

    /// The trouble of a name; a name that no vendor has is told as it is.
    fn named(name: &str, status: Option<u16>, scene: &Scene) -> Self {
        let Some(trouble) = Trouble::named(name) else {
            let told = Self::new(status.unwrap_or(400), name, "The request failed.");
            return match scene.dialect {
                Dialect::OpenAi => {
                    Self { kind: "invalid_request_error".to_owned(), code: Some(name.to_owned()), ..told }
                }
                Dialect::Anthropic | Dialect::Bedrock => told,
            };
        };
        let mut told = Self::of(trouble, status, scene);
        if trouble == Trouble::Filtered && scene.dialect == Dialect::OpenAi {
            told.code = Some(name.to_owned());
        }
        told
    }

    /// The body of an error answer.
    pub(super) fn body(&self, scene: &Scene) -> Value {
        match scene.dialect {
            Dialect::OpenAi => object(&self.message, &self.kind, self.code.as_deref()),
            Dialect::Anthropic => {
                json!({ "type": "error", "error": { "type": self.kind, "message": self.message },
                    "request_id": scene.request_id })
            }
            Dialect::Bedrock => json!({ "message": self.message }),
        }
    }

    /// The headers that the vendor sends with it.
    pub(super) fn headers(&self, scene: &Scene) -> Vec<(String, String)> {
        match scene.dialect {
            Dialect::OpenAi => Vec::new(),
            Dialect::Anthropic => anthropic::headers(self.status),
            Dialect::Bedrock => bedrock::headers(&self.kind),
        }
    }
}

/// An error answer, ready for the wire.
#[derive(Debug)]
pub(super) struct Page {
    pub status: u16,
    pub is_json: bool,
    pub body: String,
    pub headers: Vec<(String, String)>,
}

impl Page {
    pub(super) fn of(told: &Told, scene: &Scene) -> Self {
        Self { status: told.status, is_json: true, body: told.body(scene).to_string(), headers: told.headers(scene) }
    }
}

/// The error answer that a fault scripts, if it does: as scripted, else the usual one.
pub(super) fn page(fault: &Fault, scene: &Scene) -> Option<Page> {
    if fault.status.is_none() && !fault.is_named_error() {
        return None;
    }
    let told = match &fault.error {
        Some(ErrorSpec::Code(name)) => Told::named(name, fault.status, scene),
        Some(ErrorSpec::Full(_)) | None => {
            let status = fault.status.unwrap_or(500);
            Told::of(Trouble::usual(status), Some(status), scene)
        }
    };
    let mut page = Page::of(&told, scene);
    if let (429, Some(after), Dialect::Anthropic) = (page.status, &fault.retry_after, scene.dialect) {
        page.headers.extend(anthropic::limits(after, crate::clock::wall()));
    }
    match (&fault.body, &fault.error) {
        (Some(Value::String(text)), _) => {
            // Pages that are no JSON come from what stands before the vendor.
            page = Page { is_json: false, body: text.clone(), headers: Vec::new(), ..page };
        }
        (Some(body), _) => page.body = body.to_string(),
        (None, Some(ErrorSpec::Full(error))) => page.body = enveloped(error, scene).to_string(),
        (None, Some(ErrorSpec::Code(_)) | None) => {}
    }
    Some(page)
}

/// An error object in its envelope.
fn enveloped(error: &Value, scene: &Scene) -> Value {
    match scene.dialect {
        Dialect::OpenAi => json!({ "error": error }),
        Dialect::Anthropic => json!({ "type": "error", "error": error, "request_id": scene.request_id }),
        Dialect::Bedrock => error.clone(),
    }
}

/// The trouble that a scripted body stands for: a number for the usual error of that status, a text for its name.
fn meant(body: &Value, scene: &Scene) -> Option<Told> {
    match (body.as_u64().and_then(|n| u16::try_from(n).ok()), body.as_str()) {
        (Some(status), _) => Some(Told::of(Trouble::usual(status), None, scene)),
        (None, Some(name)) => Trouble::named(name).map(|_| Told::named(name, None, scene)),
        (None, None) => None,
    }
}

/// An error under a 200.
pub(super) fn embedded(body: &Value, scene: &Scene) -> Page {
    let told = meant(body, scene);
    let page = told.map(|told| Page { status: 200, ..Page::of(&told, scene) });
    page.unwrap_or_else(|| Page { status: 200, is_json: true, body: body.to_string(), headers: Vec::new() })
}

/// An error as an event of a stream: what a frame or a `data:` line holds.
pub(super) fn event(body: &Value, scene: &Scene, framing: Framing) -> String {
    let told = meant(body, scene);
    let event = match (scene.dialect, told) {
        (Dialect::Bedrock, told) => bedrock::event(body, told.as_ref()),
        (Dialect::OpenAi | Dialect::Anthropic, told) => {
            let body = told.map_or_else(|| body.clone(), |told| told.body(scene));
            if scene.dialect == Dialect::OpenAi && framing == Framing::Named { openai::event(&body) } else { body }
        }
    };
    event.to_string()
}
