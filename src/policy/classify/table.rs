//! The rows of the classifier: data only, in the order in which they are believed.
//!
//! A row is a conjunction; the first row that holds decides. Words that vendors use for anything
//! (`invalid_request_error`, `api_error`, `ValidationException`, …) have no row: they would hide what the
//! text says, and count only when there is no error status to go by ([`PROMISED_STATUS`]).

use super::Family;
use crate::policy::failure::Kind;
use Kind::{
    Auth, BadRequest, Billing, ContentFilter, Forbidden, ModelNotFound, NotCapable, Overloaded, RateLimit, ServerError,
    Timeout, TooLarge,
};

/// Which word of the facts a row looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Name,
    Code,
    Type,
}

/// One row. An error inside a 200 that names no status meets every `statuses`, so each row has a word or a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) family: Option<Family>,
    pub(super) statuses: &'static [(u16, u16)],
    pub(super) word: Option<(Field, &'static str)>,
    /// Parts of the message, in lower case; all must be there.
    pub(super) text: &'static [&'static str],
    pub(super) kind: Kind,
}

const ANY: &[(u16, u16)] = &[(0, u16::MAX)];
/// Refusals. Bodies of other statuses may quote a prompt that happens to hold one of the phrases.
const REFUSED: &[(u16, u16)] = &[(400, 404), (422, 422), (429, 429)];
/// Where local servers say what they cannot do.
const UNABLE: &[(u16, u16)] = &[(400, 400), (404, 404), (422, 422), (500, 501)];
const SIZE: &[(u16, u16)] = &[(400, 400), (413, 413), (422, 422), (429, 429), (500, 500)];
const BUSY: &[(u16, u16)] = &[(408, 408), (424, 424), (429, 429), (498, 499), (500, 599)];
const THROTTLED: &[(u16, u16)] = &[(400, 400), (402, 403), (429, 429), (500, 599)];
const GONE: &[(u16, u16)] = &[(404, 404), (410, 410)];

const fn word(field: Field, word: &'static str, kind: Kind) -> Row {
    Row { family: None, statuses: ANY, word: Some((field, word)), text: &[], kind }
}

const fn name(value: &'static str, kind: Kind) -> Row {
    word(Field::Name, value, kind)
}

const fn code(value: &'static str, kind: Kind) -> Row {
    word(Field::Code, value, kind)
}

const fn of_type(value: &'static str, kind: Kind) -> Row {
    word(Field::Type, value, kind)
}

const fn says(statuses: &'static [(u16, u16)], text: &'static [&'static str], kind: Kind) -> Row {
    Row { family: None, statuses, word: None, text, kind }
}

impl Row {
    const fn of(mut self, family: Family) -> Self {
        self.family = Some(family);
        self
    }

    const fn on(mut self, statuses: &'static [(u16, u16)]) -> Self {
        self.statuses = statuses;
        self
    }

    const fn and(mut self, text: &'static [&'static str]) -> Self {
        self.text = text;
        self
    }
}

/// The table. Sections in the order of belief: exceptions to a word, names, codes, types, phrases.
pub(super) const ROWS: &[Row] = &[
    // A word that says one thing while the text says a more exact one.
    says(ANY, &["extra usage is required", "long context"], TooLarge),
    code("rate_limit_exceeded", TooLarge).and(&["request too large for"]),
    says(&[(402, 402)], &["fewer max_tokens"], NotCapable),
    says(&[(402, 402)], &["can only afford"], NotCapable),
    says(&[(402, 402)], &["usage limit", "try again"], RateLimit),
    name("AccessDeniedException", Billing).and(&["invalid_payment_instrument"]),
    name("AccessDeniedException", Auth).and(&["api key"]),
    name("AccessDeniedException", Auth).and(&["bearer token"]),
    code("RESOURCE_EXHAUSTED", Billing).and(&["credits are depleted"]),
    // Names: AWS exceptions, Google's ErrorInfo reasons, Azure's inner codes.
    name("UnrecognizedClientException", Auth),
    name("InvalidClientTokenId", Auth),
    name("ExpiredTokenException", Auth),
    name("ExpiredToken", Auth),
    name("InvalidSignatureException", Auth),
    name("SignatureDoesNotMatch", Auth),
    name("IncompleteSignatureException", Auth),
    name("MissingAuthenticationTokenException", Auth),
    name("AccessDeniedException", Forbidden),
    name("ThrottlingException", RateLimit),
    name("ThrottledException", RateLimit),
    name("TooManyRequestsException", RateLimit),
    // Not `billing`: AWS does not say whether the quota is the account's or the model's, and the smaller lane heals sooner.
    name("ServiceQuotaExceededException", RateLimit),
    name("ModelNotReadyException", RateLimit),
    name("ServiceUnavailableException", Overloaded),
    name("InternalServerException", ServerError),
    name("InternalFailure", ServerError),
    name("ModelTimeoutException", Timeout),
    name("ModelErrorException", ServerError),
    name("ModelStreamErrorException", ServerError),
    name("ResourceNotFoundException", ModelNotFound),
    name("API_KEY_INVALID", Auth),
    name("CREDENTIALS_MISSING", Auth),
    name("ACCESS_TOKEN_EXPIRED", Auth),
    name("ACCESS_TOKEN_TYPE_UNSUPPORTED", Auth),
    name("BILLING_DISABLED", Billing),
    name("SERVICE_DISABLED", Forbidden),
    name("API_KEY_SERVICE_BLOCKED", Forbidden),
    name("RATE_LIMIT_EXCEEDED", RateLimit),
    name("ResponsibleAIPolicyViolation", ContentFilter),
    // Codes.
    code("content_filter", ContentFilter),
    code("content_policy_violation", ContentFilter),
    code("moderation_blocked", ContentFilter),
    code("data_inspection_failed", ContentFilter),
    code("invalid_api_key", Auth),
    code("expired_api_key", Auth),
    code("account_deactivated", Auth),
    code("organization_restricted", Auth),
    code("UNAUTHENTICATED", Auth),
    code("insufficient_quota", Billing),
    code("billing_not_active", Billing),
    code("billing_hard_limit_reached", Billing),
    code("context_length_exceeded", TooLarge),
    code("request_too_large", TooLarge),
    code("tokens_limit_reached", TooLarge),
    code("rate_limit_exceeded", RateLimit),
    code("RateLimitReached", RateLimit),
    // Google's daily quotas, too: they are told per model, so the key's other models must stay usable.
    code("RESOURCE_EXHAUSTED", RateLimit),
    code("UNAVAILABLE", Overloaded),
    code("server_is_overloaded", Overloaded),
    code("slow_down", Overloaded),
    code("capacity_exceeded", Overloaded),
    code("model_not_found", ModelNotFound),
    code("model_decommissioned", ModelNotFound),
    code("DeploymentNotFound", ModelNotFound),
    code("NOT_FOUND", ModelNotFound).of(Family::Gemini).and(&["model"]),
    code("unsupported_country_region_territory", Forbidden),
    code("model_terms_required", Forbidden),
    // The model produced a bad tool call or bad JSON: neither the request nor the service is broken, another model may do it.
    code("tool_use_failed", NotCapable),
    code("json_validate_failed", NotCapable),
    // What another account keeps or can decrypt: perhaps that of the provider's next key.
    code("previous_response_not_found", NotCapable),
    code("invalid_encrypted_content", NotCapable),
    // Types.
    of_type("content_filter", ContentFilter),
    of_type("authentication_error", Auth),
    of_type("invalid_authentication_error", Auth),
    of_type("billing_error", Billing),
    of_type("insufficient_quota", Billing),
    of_type("exceeded_current_quota_error", Billing),
    of_type("rate_limit_error", RateLimit),
    of_type("rate_limited", RateLimit),
    of_type("service_tier_capacity_exceeded", RateLimit),
    of_type("rate_limit_reached_error", RateLimit),
    of_type("overloaded_error", Overloaded),
    of_type("engine_overloaded_error", Overloaded),
    of_type("unavailable_error", Overloaded),
    of_type("request_too_large", TooLarge),
    of_type("exceed_context_size_error", TooLarge),
    of_type("TOO_MANY_TOKENS", TooLarge),
    of_type("not_supported_error", NotCapable),
    of_type("invalid_model", ModelNotFound),
    of_type("not_found_error", ModelNotFound).and(&["model"]),
    // Phrases: refused content.
    says(REFUSED, &["content filtering policy"], ContentFilter),
    says(REFUSED, &["content management policy"], ContentFilter),
    says(REFUSED, &["content exists risk"], ContentFilter),
    says(REFUSED, &["input was flagged"], ContentFilter),
    says(REFUSED, &["flagged as potentially violating"], ContentFilter),
    says(REFUSED, &["rejected as a result of our safety system"], ContentFilter),
    says(REFUSED, &["content violates usage guidelines"], ContentFilter),
    // Phrases: money.
    says(REFUSED, &["credit balance is too low"], Billing),
    says(REFUSED, &["key limit exceeded"], Billing),
    says(REFUSED, &["insufficient credits"], Billing),
    says(REFUSED, &["insufficient balance"], Billing),
    says(REFUSED, &["used all available credits"], Billing),
    says(REFUSED, &["doesn't have any credits"], Billing),
    says(REFUSED, &["reached your specified api usage limits"], Billing),
    says(REFUSED, &["out of call volume quota"], Billing),
    says(REFUSED, &["enable billing"], Billing),
    says(REFUSED, &["exceeded your current quota"], Billing).of(Family::OpenAi),
    // Phrases: the key.
    says(REFUSED, &["incorrect api key"], Auth),
    says(REFUSED, &["invalid api key"], Auth),
    says(REFUSED, &["api key not valid"], Auth),
    says(REFUSED, &["api key expired"], Auth),
    says(REFUSED, &["api key is invalid"], Auth),
    says(REFUSED, &["invalid x-api-key"], Auth),
    says(REFUSED, &["unregistered callers"], Auth),
    says(REFUSED, &["security token included in the request is"], Auth),
    says(REFUSED, &["token has been revoked"], Auth),
    says(REFUSED, &["key has been revoked"], Auth),
    says(REFUSED, &["token has expired"], Auth),
    says(REFUSED, &["organization has been disabled"], Auth),
    // Phrases: what this target cannot do. Parameters a model refuses stay `bad_request`: the client can mend them.
    says(UNABLE, &["previous response with id", "not found"], NotCapable),
    says(UNABLE, &["item with id", "not found"], NotCapable),
    says(UNABLE, &["no endpoints found that support"], NotCapable),
    says(UNABLE, &["no endpoints found that can handle"], NotCapable),
    says(UNABLE, &["no endpoints", "data policy"], NotCapable),
    says(UNABLE, &["no allowed providers are available"], NotCapable),
    says(UNABLE, &["does not support tools"], NotCapable),
    says(UNABLE, &["doesn't support tool use"], NotCapable),
    says(UNABLE, &["does not support image"], NotCapable),
    says(UNABLE, &["image input is not supported"], NotCapable),
    says(UNABLE, &["does not support audio"], NotCapable),
    says(UNABLE, &["does not support response format"], NotCapable),
    says(UNABLE, &["does not support assistant message prefill"], NotCapable),
    says(UNABLE, &["does not support embeddings"], NotCapable),
    says(UNABLE, &["doesn't support counting tokens"], NotCapable),
    says(&[(500, 500)], &["tools param requires"], NotCapable),
    // A local server without a way out; a hosted one may fetch the same address.
    says(&[(500, 500)], &["cannot make get request"], NotCapable),
    says(&[(500, 500)], &["cannot use both json_schema and grammar"], BadRequest),
    // Phrases: length.
    says(SIZE, &["maximum context length"], TooLarge),
    says(SIZE, &["maximum prompt length"], TooLarge),
    says(SIZE, &["context window"], TooLarge),
    says(SIZE, &["exceed context limit"], TooLarge),
    says(SIZE, &["exceeds the available context size"], TooLarge),
    says(SIZE, &["prompt is too long"], TooLarge),
    says(SIZE, &["prompt too long"], TooLarge),
    says(SIZE, &["input is too long"], TooLarge),
    says(SIZE, &["input tokens exceeded"], TooLarge),
    says(SIZE, &["input token count"], TooLarge),
    says(SIZE, &["is too large to process", "tokens"], TooLarge),
    says(SIZE, &["too many tokens: size limit exceeded"], TooLarge),
    says(SIZE, &["request too large for"], TooLarge),
    says(SIZE, &["tokens + `max_new_tokens` must be"], TooLarge),
    // Phrases: the model. The model lives, the endpoint is the wrong one: the client's mistake, and cooling the slot
    // would take it from those who ask rightly.
    says(GONE, &["not a chat model"], BadRequest),
    says(GONE, &["is a chat model and not supported"], BadRequest),
    says(REFUSED, &["is not a valid model id"], ModelNotFound),
    says(REFUSED, &["model not found"], ModelNotFound),
    says(REFUSED, &["invalid model:"], ModelNotFound),
    says(REFUSED, &["model identifier is invalid"], ModelNotFound),
    says(REFUSED, &["on-demand throughput isn't supported"], ModelNotFound),
    says(REFUSED, &["supported api model names are"], ModelNotFound),
    says(REFUSED, &["no endpoints found for"], ModelNotFound),
    says(&[(400, 400), (404, 404)], &["model", "does not exist"], ModelNotFound),
    says(GONE, &["model", "not found"], ModelNotFound),
    says(GONE, &["model", "was removed"], ModelNotFound),
    says(GONE, &["model", "deprecated"], ModelNotFound),
    says(GONE, &["model", "end of life"], ModelNotFound),
    // Phrases: access.
    says(REFUSED, &["location is not supported"], Forbidden),
    // A restricted key: it is a good one, and may be one for other paths.
    says(REFUSED, &["missing scopes"], Forbidden),
    says(REFUSED, &["insufficient permissions for this operation"], Forbidden),
    says(&[(400, 400)], &["operation not allowed"], Forbidden).of(Family::Bedrock),
    // Phrases: load.
    says(BUSY, &["overloaded"], Overloaded),
    says(BUSY, &["at capacity"], Overloaded),
    says(BUSY, &["over capacity"], Overloaded),
    says(THROTTLED, &["too many requests"], RateLimit),
    says(THROTTLED, &["rate limit exceeded"], RateLimit),
    says(THROTTLED, &["rate limit reached"], RateLimit),
    says(THROTTLED, &["rate-limited"], RateLimit),
    says(THROTTLED, &["request was throttled"], RateLimit),
    // Types that are sure of themselves only beside their status.
    of_type("tokens", RateLimit).on(&[(429, 429)]),
    of_type("requests", RateLimit).on(&[(429, 429)]),
];

/// General words and the status they are sent with elsewhere, for errors inside a 200.
pub(super) const PROMISED_STATUS: &[(&str, u16)] = &[
    ("ValidationException", 400),
    ("invalid_request_error", 400),
    ("invalid_prompt", 400),
    ("INVALID_ARGUMENT", 400),
    ("FAILED_PRECONDITION", 400),
    ("BadRequestError", 400),
    ("permission_error", 403),
    ("PERMISSION_DENIED", 403),
    ("not_found_error", 404),
    ("NOT_FOUND", 404),
    ("api_error", 500),
    ("server_error", 500),
    ("internal_error", 500),
    ("internal_server_error", 500),
    ("INTERNAL", 500),
    ("service_unavailable", 503),
    ("timeout_error", 504),
    ("DEADLINE_EXCEEDED", 504),
];

/// What a status means when nothing better is known; the first range that holds it.
pub(super) const STATUSES: &[(u16, u16, Kind)] = &[
    (400, 400, BadRequest),
    (401, 401, Auth),
    (402, 402, Billing),
    (403, 403, Forbidden),
    (404, 405, BadRequest),
    (408, 408, Timeout),
    (409, 409, BadRequest),
    (410, 410, ModelNotFound),
    (413, 413, TooLarge),
    (415, 415, BadRequest),
    (422, 422, BadRequest),
    (424, 424, ServerError),
    (429, 429, RateLimit),
    (451, 451, Forbidden),
    // Groq's flex tier without capacity.
    (498, 498, Overloaded),
    (499, 499, Timeout),
    (503, 503, Overloaded),
    (529, 529, Overloaded),
    (500, 599, ServerError),
];
