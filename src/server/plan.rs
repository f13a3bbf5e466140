//! From what a client asked to a plan: whose model, which key first, how much time.
//!
//! Owns the request headers and body fields that steer failover (contract section 3.7 and 3.8).

use std::borrow::Cow;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::error::ApiError;
use super::state::State;
use crate::dialect::endpoint::Endpoint;
use crate::dialect::multipart;
use crate::dialect::openai_chat::request::{BadRequest, Head};
use crate::policy::capability::Needs;
use crate::policy::chain::Choice;
use crate::policy::recovery::Recovery;
use crate::policy::run::{MAX_LEVELS, Plan};
use crate::policy::time::Instant;

/// What a client's headers say to the gateway and to the vendor, read in one pass.
#[derive(Debug, Default)]
pub struct Wishes<'a> {
    /// Passed on to the vendor.
    pub passed_on: HeaderMap,
    /// The length of the body, if it was announced.
    pub content_length: Option<u64>,
    content_type: Option<&'a HeaderValue>,
    fallbacks: Option<&'a HeaderValue>,
    deadline_ms: Option<&'a HeaderValue>,
    litellm_timeout: Option<&'a HeaderValue>,
    stream_recovery: Option<&'a HeaderValue>,
    session: Option<&'a HeaderValue>,
}

impl<'a> Wishes<'a> {
    /// Reads the headers of a request.
    #[must_use]
    pub fn read(headers: &'a HeaderMap) -> Self {
        let mut wishes = Self::default();
        for (name, value) in headers {
            let place = match name.as_str() {
                "content-type" => &mut wishes.content_type,
                "content-length" => {
                    wishes.content_length = value.to_str().ok().and_then(|text| text.parse().ok());
                    continue;
                }
                "x-backstop-fallbacks" => &mut wishes.fallbacks,
                "x-backstop-deadline-ms" => &mut wishes.deadline_ms,
                "x-backstop-stream-recovery" => &mut wishes.stream_recovery,
                "x-litellm-timeout" => &mut wishes.litellm_timeout,
                "x-session-id" => &mut wishes.session,
                // They concern the vendor.
                "anthropic-beta"
                | "anthropic-version"
                | "http-referer"
                | "idempotency-key"
                | "openai-beta"
                | "traceparent"
                | "tracestate"
                | "x-client-request-id"
                | "x-title" => {
                    wishes.passed_on.insert(name.clone(), value.clone());
                    continue;
                }
                _ => continue,
            };
            *place = Some(value);
        }
        wishes
    }

    /// Whether the body can be JSON, by its type.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.content_type.is_none_or(|value| {
            let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
            essence.trim_ascii().eq_ignore_ascii_case(b"application/json")
        })
    }
}

impl<'a> Wishes<'a> {
    /// What divides the parts of a body that is a form.
    ///
    /// # Errors
    /// The endpoint takes no forms, or the body is announced as something else than a form.
    pub fn boundary(&self, endpoint: Endpoint) -> Result<&'a str, ApiError> {
        if !endpoint.takes_forms() {
            return Err(ApiError::not_json());
        }
        self.content_type.and_then(|value| multipart::boundary(value.to_str().ok()?)).ok_or_else(ApiError::no_form)
    }

    /// The vendor must know the boundary, too.
    pub fn pass_content_type(&mut self) {
        if let Some(value) = self.content_type {
            self.passed_on.insert(header::CONTENT_TYPE, value.clone());
        }
    }
}

/// Makes the plan of a request.
///
/// # Errors
/// A model that is missing or unknown, or a header that cannot be read.
pub fn plan(
    state: &State,
    endpoint: Endpoint,
    wishes: &Wishes<'_>,
    head: &Head<'_>,
    now: Instant,
) -> Result<Plan, ApiError> {
    let choice = choose(state, endpoint, wishes, head)?;
    let most = choice.chain.deadline.unwrap_or(state.run.deadline);
    let deadline = now + deadline(wishes)?.map_or(most, |asked| asked.min(most));
    let recovery = match stream_recovery(wishes)?.or(choice.chain.recovery).unwrap_or(state.run.stream_recovery) {
        Recovery::Continue if !can_continue(endpoint, head) => Recovery::Error,
        recovery => recovery,
    };
    Ok(Plan {
        chain: choice.chain,
        start: choice.start,
        key: choice.key,
        session: session(wishes, head),
        needs: Needs { api: endpoint.api(), ..head.needs },
        // Images and sound take their time to the first byte, streamed or not.
        stream: head.stream && !endpoint.is_media(),
        recovery,
        same_model: endpoint == Endpoint::Embeddings,
        deadline,
    })
}

/// What the client wants to become of its stream.
fn stream_recovery(wishes: &Wishes<'_>) -> Result<Option<Recovery>, ApiError> {
    let Some(value) = wishes.stream_recovery else { return Ok(None) };
    let word = value.to_str().unwrap_or_default().trim().to_ascii_lowercase();
    let wrong = || {
        let message = "the header `x-backstop-stream-recovery` must be error, continue or buffer";
        ApiError::request(StatusCode::BAD_REQUEST, "invalid_header", message)
    };
    Recovery::from_name(&word).map(Some).ok_or_else(wrong)
}

/// Whether somebody else could finish such an answer: one text, of which nothing is told but itself.
const fn can_continue(endpoint: Endpoint, head: &Head<'_>) -> bool {
    matches!(endpoint, Endpoint::Chat | Endpoint::Messages) && !head.needs.choices && !head.needs.logprobs
}

fn choose(state: &State, endpoint: Endpoint, wishes: &Wishes<'_>, head: &Head<'_>) -> Result<Choice, ApiError> {
    let resolve =
        |model: &str| state.catalog.resolve(model).map_err(|unknown| ApiError::unknown_model(model, &unknown));
    let strict = head.disable_fallbacks || is_off(wishes);
    if let Some(names) = own_chain(head) {
        if names.len() > MAX_LEVELS {
            let message = format!("a request may name {MAX_LEVELS} models at most");
            return Err(ApiError::request(StatusCode::BAD_REQUEST, "too_many_models", message));
        }
        let choice =
            state.catalog.compose(&names).map_err(|(model, unknown)| ApiError::unknown_model(&model, &unknown))?;
        return Ok(if strict { choice.strict() } else { choice });
    }
    let model = head.model.as_deref().ok_or_else(BadRequest::missing_model)?;
    let choice = resolve(model)?;
    let strict = strict || (endpoint.needs_own_chain() && !state.catalog.is_named(&choice.chain, model));
    Ok(if strict { choice.strict() } else { choice })
}

/// The chain that the request brings along: OpenRouter's `models`, or LiteLLM's `fallbacks`.
fn own_chain<'a>(head: &'a Head<'_>) -> Option<Vec<&'a str>> {
    let more: &[Cow<'_, str>] = match &head.fallbacks {
        Some(fallbacks) => fallbacks,
        None if head.models.is_empty() => return None,
        None => &head.models,
    };
    let mut names: Vec<&str> = head.model.as_deref().into_iter().collect();
    for name in more {
        if !names.contains(&name.as_ref()) {
            names.push(name);
        }
    }
    (!names.is_empty()).then_some(names)
}

fn is_off(wishes: &Wishes<'_>) -> bool {
    wishes.fallbacks.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"off"))
}

/// The time the client gives: `x-backstop-deadline-ms`, or LiteLLM's `x-litellm-timeout` in seconds.
fn deadline(wishes: &Wishes<'_>) -> Result<Option<Duration>, ApiError> {
    let wrong = |name: &str, wanted: &str| {
        ApiError::request(StatusCode::BAD_REQUEST, "invalid_header", format!("the header `{name}` must be {wanted}"))
    };
    if let Some(value) = wishes.deadline_ms {
        let millis = value.to_str().ok().and_then(|text| text.trim().parse::<u64>().ok()).filter(|millis| *millis > 0);
        let millis = millis.ok_or_else(|| wrong("x-backstop-deadline-ms", "a whole number of milliseconds above 0"))?;
        return Ok(Some(Duration::from_millis(millis)));
    }
    if let Some(value) = wishes.litellm_timeout {
        let seconds = value.to_str().ok().and_then(|text| text.trim().parse::<f64>().ok());
        let time =
            seconds.filter(|seconds| *seconds > 0.0).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        return time.map(Some).ok_or_else(|| wrong("x-litellm-timeout", "a number of seconds above 0"));
    }
    Ok(None)
}

/// What keeps a session together: `x-session-id`, then `prompt_cache_key`, then `user`; hashed (FNV-1a, 64 bit).
fn session(wishes: &Wishes<'_>, head: &Head<'_>) -> Option<u64> {
    let named = wishes.session.map(HeaderValue::as_bytes);
    let named = named.or_else(|| head.prompt_cache_key.as_deref().map(str::as_bytes));
    let named = named.or_else(|| head.user.as_deref().map(str::as_bytes))?;
    Some(
        named
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)),
    )
}
