//! The mirror of OpenClaw's sections, as far as they are read.
//!
//! Owns their names. Refuses to know what they mean. Nothing here derives `Debug`: keys are still plain text.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};

use crate::config::problem::nearest;
use crate::config::raw::{RawAgent, RawModel, mirror};
use crate::config::shapes::{Choice, Spelled, Spelling};

/// Fields of `models.providers.*` that are read.
pub(super) const PROVIDER: [&str; 7] = ["baseUrl", "apiKey", "api", "headers", "models", "contextWindow", "maxTokens"];

/// Fields of `models.providers.*.models[]` that are read.
pub(super) const MODEL: [&str; 6] = ["id", "api", "reasoning", "input", "contextWindow", "maxTokens"];

/// Fields of `auth.cooldowns` that are read.
pub(super) const COOLDOWNS: [&str; 5] = [
    "billingBackoffHours",
    "billingMaxHours",
    "authPermanentBackoffMinutes",
    "authPermanentMaxMinutes",
    "failureWindowHours",
];

mirror! {
    RawListed {
        id: Option<String>,
        model: Option<Choice>,
        default: Option<bool>,
    }

    RawAuth {
        profiles: BTreeMap<String, RawProfile>,
        order: BTreeMap<String, Vec<String>>,
        cooldowns: RawAuthCooldowns,
    }

    RawProfile {
        provider: Option<String>,
        mode: Option<String>,
    }

    RawAuthCooldowns {
        billing_first = "billingBackoffHours": Option<f64>,
        billing_cap = "billingMaxHours": Option<f64>,
        auth_first = "authPermanentBackoffMinutes": Option<f64>,
        auth_cap = "authPermanentMaxMinutes": Option<f64>,
        memory = "failureWindowHours": Option<f64>,
    }

    RawSeller {
        base_url = "baseUrl": Option<String>,
        api_key = "apiKey": Option<String>,
        api: Option<String>,
        headers: BTreeMap<String, String>,
        models: Vec<RawSold>,
        context_window = "contextWindow": Option<u64>,
        max_tokens = "maxTokens": Option<u64>,
    }

    RawSold {
        id: Option<String>,
        api: Option<String>,
        reasoning: Option<bool>,
        input: Option<Vec<String>>,
        context_window = "contextWindow": Option<u64>,
        max_tokens = "maxTokens": Option<u64>,
    }
}

/// `agents`: ours by their names, and OpenClaw's `list` and `entries`.
#[derive(Default, Clone)]
pub(in crate::config) struct RawAgents {
    pub(in crate::config) named: BTreeMap<String, RawAgent>,
    pub(super) list: Vec<RawListed>,
    pub(super) entries: BTreeMap<String, RawListed>,
}

/// `models`: corrections by their names, and OpenClaw's `mode` and `providers`.
#[derive(Default, Clone)]
pub(in crate::config) struct RawModels {
    pub(in crate::config) corrections: BTreeMap<String, RawModel>,
    pub(super) mode: Option<String>,
    pub(super) providers: BTreeMap<String, RawSeller>,
}

impl<'de> Deserialize<'de> for RawAgents {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Agents)
    }
}

struct Agents;

impl<'de> Visitor<'de> for Agents {
    type Value = RawAgents;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("agents by their names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawAgents, A::Error> {
        let mut agents = RawAgents::default();
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "list" => match map.next_value()? {
                    Listed::List(list) => agents.list = list,
                    Listed::Agent(agent) => drop(agents.named.insert(name, *agent)),
                },
                "entries" => agents.entries = map.next_value()?,
                _ => drop(agents.named.insert(name, map.next_value()?)),
            }
        }
        Ok(agents)
    }
}

/// `agents.list`: OpenClaw's, or an agent of that name.
enum Listed {
    List(Vec<RawListed>),
    Agent(Box<RawAgent>),
}

impl<'de> Deserialize<'de> for Listed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Spelling(PhantomData::<Self>))
    }
}

impl Spelled for Listed {
    const EXPECTED: &'static str = "a list of agents, each { id, model }";

    fn from_text<E: Error>(_text: &str) -> Result<Self, E> {
        Err(E::invalid_type(Unexpected::Other("a text"), &Self::EXPECTED))
    }

    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        RawAgent::deserialize(MapAccessDeserializer::new(map)).map(|agent| Self::Agent(Box::new(agent)))
    }

    fn from_list<'de, A: SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(Self::List)
    }
}

impl<'de> Deserialize<'de> for RawModels {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Models)
    }
}

/// A field of `models`: a model's name, but none that nearly is one of OpenClaw's fields.
struct ModelField(String);

impl<'de> Deserialize<'de> for ModelField {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        const FIELDS: &[&str] = &["providers", "mode"];
        let name = String::deserialize(from)?;
        let fields = FIELDS.iter().copied();
        if !FIELDS.contains(&name.as_str()) && nearest(&name, fields).is_some() {
            return Err(D::Error::unknown_field(&name, FIELDS));
        }
        Ok(Self(name))
    }
}

struct Models;

impl<'de> Visitor<'de> for Models {
    type Value = RawModels;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("models by their names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawModels, A::Error> {
        let mut models = RawModels::default();
        while let Some(ModelField(name)) = map.next_key::<ModelField>()? {
            match name.as_str() {
                "mode" => models.mode = map.next_value()?,
                "providers" => models.providers = map.next_value()?,
                _ => drop(models.corrections.insert(name, map.next_value()?)),
            }
        }
        Ok(models)
    }
}
