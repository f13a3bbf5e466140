//! `GET /v1/models` and `/v1/models/{id}`: chains, aliases and targets as OpenAI's clients list them.
//!
//! Owns the shape of a model object. Refuses to ask upstreams.

use serde_json::{Value, json};

use super::error::ApiError;
use super::state::State;

/// Every name that a request may use.
#[must_use]
pub fn list(state: &State) -> Value {
    let data: Vec<Value> = state.catalog.names().iter().map(|name| model(name)).collect();
    json!({ "object": "list", "data": data })
}

/// One of them; any `provider/model` of a configured provider counts.
///
/// # Errors
/// Nothing is called that.
pub fn get(state: &State, id: &str) -> Result<Value, ApiError> {
    state.catalog.resolve(id).map(|_| model(id)).map_err(|unknown| ApiError::unknown_model(id, &unknown))
}

fn model(name: &str) -> Value {
    let owner = name.split_once('/').map_or("backstop", |(provider, _)| provider);
    json!({ "id": name, "object": "model", "created": 0, "owned_by": owner })
}
