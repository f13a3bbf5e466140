//! The `x-backstop-*` headers of every answer (contract section 6).
//!
//! Owns names and values. What a request that was served at once needs is made at start.

use std::sync::LazyLock;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::state::State;
use crate::policy::chain::{Chain, Level};
use crate::policy::failure::Failure;
use crate::policy::id::SlotId;
use crate::policy::run::Entry;
use crate::telemetry::Names;
use crate::telemetry::names::{SlotName, header_value};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-backstop-request-id");
/// The vendor's own id of an answer, under the name that SDKs read.
pub(super) const VENDOR_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROVIDER: HeaderName = HeaderName::from_static("x-backstop-provider");
const MODEL: HeaderName = HeaderName::from_static("x-backstop-model");
const KEY: HeaderName = HeaderName::from_static("x-backstop-key");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-backstop-attempts");
const TRAIL: HeaderName = HeaderName::from_static("x-backstop-trail");
const OVERHEAD: HeaderName = HeaderName::from_static("x-backstop-overhead-ms");
const LITELLM_RETRIES: HeaderName = HeaderName::from_static("x-litellm-attempted-retries");
const LITELLM_FALLBACKS: HeaderName = HeaderName::from_static("x-litellm-attempted-fallbacks");
const LITELLM_MODEL: HeaderName = HeaderName::from_static("x-litellm-model-id");

/// A trail is cut after this many bytes: proxies in front refuse headers of more than 8 KiB.
const TRAIL_BYTES: usize = 4096;

/// What happened to a request, to be told in its headers.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// The request's id.
    pub id: u64,
    /// Its trail.
    pub entries: &'a [Entry],
    /// The chain it walked.
    pub chain: &'a Chain,
    /// The slot that served it.
    pub served: Option<SlotId>,
    /// What the gateway took itself.
    pub overhead: Duration,
}

/// The headers of whole answers that a slot gave at the first attempt: made once, cloned for each such answer. Ten
/// insertions into a map cost four times as much.
#[derive(Debug)]
pub struct Ready(Vec<HeaderMap>);

impl Ready {
    /// Makes the headers of every slot.
    #[must_use]
    pub fn new(names: &Names) -> Self {
        Self(names.slots.iter().map(ready).collect())
    }
}

fn ready(slot: &SlotName) -> HeaderMap {
    let [provider, model, key] = slot.headers.clone();
    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // These differ from answer to answer. A value that is replaced makes no map grow; nearly every vendor has an id.
    headers.insert(VENDOR_ID, HeaderValue::from_static(""));
    headers.insert(REQUEST_ID, HeaderValue::from_static(""));
    headers.insert(OVERHEAD, HeaderValue::from_static(""));
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static(""));
    headers.insert(ATTEMPTS, number(1));
    headers.insert(PROVIDER, provider);
    headers.insert(KEY, key);
    headers.insert(MODEL, model);
    headers.insert(TRAIL, slot.served.clone());
    headers
}

/// The headers of a whole answer of `length` bytes that the vendor calls `vendor_id`.
#[must_use]
pub fn whole(state: &State, told: &Told<'_>, length: usize, vendor_id: Option<HeaderValue>) -> HeaderMap {
    let mut headers = match told.served {
        Some(slot) if told.entries.len() == 1 && !is_named(state, told, slot) && !state.litellm_headers => {
            let mut headers = state.ready.0[slot.index()].clone();
            put(&mut headers, &REQUEST_ID, id_value(told.id));
            put(&mut headers, &OVERHEAD, millis(told.overhead));
            headers
        }
        _ => {
            let mut headers = HeaderMap::with_capacity(16);
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static(""));
            headers.insert(VENDOR_ID, HeaderValue::from_static(""));
            stamp(&mut headers, state, told);
            headers
        }
    };
    put(&mut headers, &CONTENT_LENGTH, HeaderValue::from(length));
    match vendor_id {
        Some(id) => put(&mut headers, &VENDOR_ID, id),
        None => {
            headers.remove(&VENDOR_ID);
        }
    }
    headers
}

/// Replaces a value that is there.
fn put(headers: &mut HeaderMap, name: &HeaderName, value: HeaderValue) {
    if let Some(place) = headers.get_mut(name) {
        *place = value;
    }
}

/// Whether the client named a model that no chain has: its header is not made at start.
fn is_named(state: &State, told: &Told<'_>, slot: SlotId) -> bool {
    last_level(told).is_some_and(|level| *level.model != *state.names.slot(slot).model)
}

/// The request id alone: all there is to say before anything was tried.
pub fn stamp_id(headers: &mut HeaderMap, id: u64) {
    headers.insert(REQUEST_ID, id_value(id));
}

fn id_value(id: u64) -> HeaderValue {
    let mut text = [0_u8; 16];
    for (place, digit) in text.iter_mut().enumerate() {
        let nibble = (id >> (60 - 4 * place)) & 0xf;
        *digit = b"0123456789abcdef"[usize::try_from(nibble).unwrap_or(0)];
    }
    HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("0"))
}

/// All headers of contract section 6.
pub fn stamp(headers: &mut HeaderMap, state: &State, told: &Told<'_>) {
    stamp_id(headers, told.id);
    let attempts = told.entries.iter().filter(|entry| matches!(entry, Entry::Attempt { .. })).count();
    headers.insert(ATTEMPTS, number(attempts));
    headers.insert(OVERHEAD, millis(told.overhead));
    if let Some(slot) = told.served {
        let [provider, model, key] = state.names.slot(slot).headers.clone();
        headers.insert(PROVIDER, provider);
        headers.insert(KEY, key);
        let named = last_level(told).filter(|_| is_named(state, told, slot));
        headers.insert(MODEL, named.map_or(model, |level| header_value(&level.model)));
    }
    let at_once = told.served.filter(|slot| told.entries.len() == 1 && !is_named(state, told, *slot));
    let trail = match at_once {
        Some(slot) => state.names.slot(slot).served.clone(),
        None => header_value(&trail(told, &state.names)),
    };
    headers.insert(TRAIL, trail);
    if state.litellm_headers {
        litellm(headers, told, attempts);
    }
}

/// LiteLLM's names for some of it, for clients that read those.
fn litellm(headers: &mut HeaderMap, told: &Told<'_>, attempts: usize) {
    let mut levels: Vec<usize> = told
        .entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Attempt { level, .. } => Some(*level),
            Entry::Skipped { .. } => None,
        })
        .collect();
    levels.dedup();
    headers.insert(LITELLM_RETRIES, number(attempts.saturating_sub(1)));
    headers.insert(LITELLM_FALLBACKS, number(levels.len().saturating_sub(1)));
    if let Some(level) = last_level(told) {
        headers.insert(LITELLM_MODEL, header_value(&level.model));
    }
}

fn last_level<'a>(told: &Told<'a>) -> Option<&'a Level> {
    told.entries.iter().rev().find_map(|entry| match entry {
        Entry::Attempt { level, .. } => told.chain.levels.get(*level),
        Entry::Skipped { .. } => None,
    })
}

/// All attempts and skipped targets in order.
fn trail(told: &Told<'_>, names: &Names) -> String {
    let mut text = String::new();
    for one in told.entries {
        let next = entry(one, told.chain, names);
        if text.len() + next.len() > TRAIL_BYTES {
            text.push_str(", ...");
            break;
        }
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(&next);
    }
    text
}

/// One attempt or skipped target in words.
#[must_use]
pub fn entry(entry: &Entry, chain: &Chain, names: &Names) -> String {
    match entry {
        Entry::Attempt { slot, level, failure } => {
            let slot = slot_label(*slot, &chain.levels[*level], names);
            match failure {
                None => format!("{slot}=ok:200"),
                Some(Failure { kind, timer: Some(timer), .. }) => format!("{slot}={}:{}", kind.name(), timer.name()),
                Some(Failure { kind, status: Some(status), .. }) => format!("{slot}={}:{status}", kind.name()),
                Some(Failure { kind, .. }) => format!("{slot}={}", kind.name()),
            }
        }
        Entry::Skipped { level, lack } => {
            format!("{}=skipped:{}", target_label(&chain.levels[*level], names), lack.name())
        }
    }
}

/// `provider/model@key`, with the model that was really asked.
#[must_use]
pub fn slot_label(slot: SlotId, level: &Level, names: &Names) -> String {
    format!("{}@{}", target_label(level, names), names.slot(slot).key)
}

/// `provider/model`, with the model that was really asked.
#[must_use]
pub fn target_label(level: &Level, names: &Names) -> String {
    format!("{}/{}", names.provider(level.provider), level.model)
}

fn number(value: usize) -> HeaderValue {
    const SMALL: [&str; 13] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"];
    SMALL.get(value).map_or_else(|| HeaderValue::from(value), |text| HeaderValue::from_static(text))
}

/// Milliseconds with two places, rounded up; what a gateway should take is written once.
fn millis(duration: Duration) -> HeaderValue {
    static SHORT: LazyLock<Vec<HeaderValue>> = LazyLock::new(|| (0..100).map(hundredths_text).collect());
    let hundredths = duration.as_micros().div_ceil(10);
    let short = usize::try_from(hundredths).ok().and_then(|index| SHORT.get(index));
    short.cloned().unwrap_or_else(|| hundredths_text(hundredths))
}

fn hundredths_text(hundredths: u128) -> HeaderValue {
    header_value(&format!("{}.{:02}", hundredths / 100, hundredths % 100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_have_two_places() {
        let cases = [(0, "0.00"), (70, "0.07"), (999, "1.00"), (3, "0.01"), (1_000, "1.00"), (12_345_678, "12345.68")];
        for (micros, text) in cases {
            assert_eq!(millis(Duration::from_micros(micros)), text);
        }
        assert!(millis(Duration::MAX).to_str().is_ok());
    }
}
