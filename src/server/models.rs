//! `GET /v1/models` and `/v1/models/{id}`: chains, aliases and targets as OpenAI's and Anthropic's clients list them.
//!
//! Owns the shape of a model object. Refuses to ask upstreams.

use serde_json::{Value, json};

use super::error::ApiError;
use super::state::State;
use crate::dialect::vendor::Dialect;

/// Every name that a request may use.
#[must_use]
pub fn list(state: &State) -> Value {
    let data: Vec<Value> = state.catalog.names().iter().map(|name| model(name, Dialect::OpenAiChat)).collect();
    json!({ "object": "list", "data": data })
}

/// The same as Anthropic's clients page through it: `limit` (20; 1,000 at most), `after_id`, `before_id`.
#[must_use]
pub fn page(state: &State, query: &str) -> Value {
    let value = |wanted: &str| {
        let fields = query.split('&').filter_map(|field| field.split_once('='));
        fields.filter(|(name, _)| *name == wanted).map(|(_, value)| unescaped(value)).next()
    };
    let names = state.catalog.names();
    let limit = value("limit").and_then(|text| text.parse().ok()).unwrap_or(20).clamp(1, 1_000);
    let place = |id: Option<String>| id.and_then(|id| names.iter().position(|name| **name == *id));
    let (before, after) = (place(value("before_id")), place(value("after_id")));
    let (from, to) = match (before, after) {
        (Some(before), _) => (before.saturating_sub(limit), before),
        (None, after) => {
            let from = after.map_or(0, |at| at + 1);
            (from, from.saturating_add(limit).min(names.len()))
        }
    };
    let shown = names.get(from..to).unwrap_or_default();
    let more = if before.is_some() { from > 0 } else { to < names.len() };
    json!({
        "data": shown.iter().map(|name| model(name, Dialect::Anthropic)).collect::<Vec<_>>(),
        "has_more": more,
        "first_id": shown.first(),
        "last_id": shown.last(),
    })
}

/// `%2F` and its like as the bytes they stand for.
fn unescaped(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend_from_slice(&part.as_bytes()[2..]);
            }
            None => bytes.extend(b"%".iter().copied().chain(part.bytes())),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// One of them; any `provider/model` of a configured provider counts.
///
/// # Errors
/// Nothing is called that.
pub fn get(state: &State, id: &str, dialect: Dialect) -> Result<Value, ApiError> {
    state.catalog.resolve(id).map(|_| model(id, dialect)).map_err(|unknown| ApiError::unknown_model(id, &unknown))
}

fn model(name: &str, dialect: Dialect) -> Value {
    match dialect {
        Dialect::Anthropic => {
            json!({ "type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z" })
        }
        Dialect::OpenAiChat | Dialect::Bedrock => {
            let owner = name.split_once('/').map_or("backstop", |(provider, _)| provider);
            json!({ "id": name, "object": "model", "created": 0, "owned_by": owner })
        }
    }
}
