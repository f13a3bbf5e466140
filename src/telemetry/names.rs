//! The names behind the policy's indexes, for labels, logs and headers.
//!
//! Owns the tables, filled once at start. Bounded: clients can't add to them.

use http::HeaderValue;

use crate::policy::id::{EndpointId, KeyId, ProviderId, SlotId, TargetId};
use crate::policy::ledger::LaneId;

/// One slot in words.
#[derive(Debug, Clone)]
pub struct SlotName {
    /// The provider's name.
    pub provider: String,
    /// The provider's name of the model; `other` if clients name it.
    pub model: String,
    /// The key's name.
    pub key: String,
    /// `provider/model@key`
    pub label: String,
    /// The three as header values.
    pub headers: [HeaderValue; 3],
    /// The trail of a request that this slot served at once.
    pub served: HeaderValue,
}

impl SlotName {
    /// Names a slot. What cannot stand in a header is written `?` there.
    #[must_use]
    pub fn new(provider: &str, model: &str, key: &str) -> Self {
        let label = format!("{provider}/{model}@{key}");
        Self {
            provider: provider.to_owned(),
            model: model.to_owned(),
            key: key.to_owned(),
            headers: [header_value(provider), header_value(model), header_value(key)],
            served: header_value(&format!("{label}=ok:200")),
            label,
        }
    }
}

/// A text as a header value: what is no visible ASCII becomes `?`.
#[must_use]
pub fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| {
        let plain: String = text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
        HeaderValue::from_str(&plain).unwrap_or(HeaderValue::from_static("?"))
    })
}

/// All names.
#[derive(Debug, Default)]
pub struct Names {
    /// By provider.
    pub providers: Vec<String>,
    /// By target: `provider/model`.
    pub targets: Vec<String>,
    /// By key: `provider@key`.
    pub keys: Vec<String>,
    /// By endpoint: `scheme://host:port`.
    pub endpoints: Vec<String>,
    /// By slot.
    pub slots: Vec<SlotName>,
}

impl Names {
    /// The name of a provider.
    #[must_use]
    pub fn provider(&self, id: ProviderId) -> &str {
        &self.providers[id.index()]
    }

    /// The name of a slot.
    #[must_use]
    pub fn slot(&self, id: SlotId) -> &SlotName {
        &self.slots[id.index()]
    }

    /// What kind of lane it is, and its name.
    #[must_use]
    pub fn lane(&self, id: LaneId) -> (&'static str, &str) {
        match id {
            LaneId::Key(key) => ("key", &self.keys[key.index()]),
            LaneId::Slot(slot) => ("slot", &self.slots[slot.index()].label),
            LaneId::Target(target) => ("target", &self.targets[target.index()]),
            LaneId::Endpoint(endpoint) => ("endpoint", &self.endpoints[endpoint.index()]),
        }
    }

    /// Every lane, slots first.
    pub fn lanes(&self) -> impl Iterator<Item = LaneId> {
        let count = |len: usize| 0..u32::try_from(len).unwrap_or(u32::MAX);
        count(self.slots.len())
            .map(|index| LaneId::Slot(SlotId(index)))
            .chain(count(self.keys.len()).map(|index| LaneId::Key(KeyId(index))))
            .chain(count(self.targets.len()).map(|index| LaneId::Target(TargetId(index))))
            .chain(count(self.endpoints.len()).map(|index| LaneId::Endpoint(EndpointId(index))))
    }
}
