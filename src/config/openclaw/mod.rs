//! OpenClaw's own configuration file, read as it is.
//!
//! Owns how such a file is recognised, which of its sections are read, and how they are made ready to be read: what
//! they say of other things is taken out with one warning, and what so nearly names a setting that it must be a typing
//! mistake is left to be pointed at. Refuses to know what the sections mean (`resolve`).

mod names;
mod providers;
mod raw;
mod resolve;

use std::collections::{BTreeMap, BTreeSet};

use figment::value::{Dict, Empty, Value};

use super::problem::{Place, nearest};
use super::source::Merged;
use names::{DEFAULTS, OTHER, READ};

pub(super) use raw::{RawAgents, RawAuth, RawModels};

/// That a file is OpenClaw's, and what it needs besides itself.
pub(super) struct OpenClaw {
    /// The environment, and below it what the file's own `env` says.
    pub(super) variables: BTreeMap<String, String>,
    /// Keys that are left out, and the variables they wait for.
    pub(super) absent: Vec<(Place, String)>,
}

/// Recognises OpenClaw's file and makes it ready. The answer is what `${NAME}` stands for in it.
pub(super) fn prepare(merged: &mut Merged, variables: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut variables = variables.clone();
    let own = merged.fields_of("").iter().any(|section| ["providers", "chains"].contains(&section.as_str()));
    let Value::Dict(_, sections) = &mut merged.value else { return variables };
    let Some(mark) = mark(sections, own) else { return variables };
    let mut sieve = Sieve::default();
    own_variables(sections, &mut variables);
    sieve.keep("", sections, &READ, &OTHER);
    sections.remove("env");
    sieve.agents(sections);
    sieve.auth(sections);
    sieve.models(sections, &variables);
    let Sieve { ignored, absent, notes } = sieve;
    if !ignored.is_empty() {
        let ignored: Vec<_> = ignored.into_iter().collect();
        let text =
            format!("this is OpenClaw's file (it has {mark}); not Backstop's and ignored: {}", ignored.join(", "));
        merged.warnings.push(text);
    }
    merged.warnings.extend(notes);
    merged.openclaw = Some(OpenClaw { variables: variables.clone(), absent });
    variables
}

/// What only OpenClaw's file has. In a file with `own` sections of ours fewer things count: what is not known there is
/// rather a mistake.
fn mark(sections: &Dict, own: bool) -> Option<String> {
    let map = |name: &str| match sections.get(name) {
        Some(Value::Dict(_, fields)) => Some(fields),
        _ => None,
    };
    let inner = |section: &str, field: &str| map(section).is_some_and(|fields| fields.contains_key(field));
    for (section, field) in [("models", "providers"), ("models", "mode"), ("auth", "profiles"), ("auth", "order")] {
        if inner(section, field) {
            return Some(format!("{section}.{field}"));
        }
    }
    if map("agents").is_some_and(|agents| matches!(agents.get("list"), Some(Value::Array(..)))) {
        return Some("agents.list".to_owned());
    }
    if own {
        return None;
    }
    if inner("agents", "entries") {
        return Some("agents.entries".to_owned());
    }
    if let Some(section) = ["auth", "agent"].into_iter().find(|section| map(section).is_some()) {
        return Some(section.to_owned());
    }
    let defaults = map("agents")?.get("defaults")?.as_dict();
    let field = defaults.and_then(|fields| DEFAULTS.iter().find(|field| fields.contains_key(**field)));
    let section = OTHER.iter().find(|section| sections.contains_key(**section));
    field.map(|field| format!("agents.defaults.{field}")).or_else(|| section.map(|section| (*section).to_owned()))
}

/// `env: { NAME: "…", vars: { NAME: "…" } }`; the environment itself wins.
fn own_variables(sections: &Dict, variables: &mut BTreeMap<String, String>) {
    let Some(Value::Dict(_, env)) = sections.get("env") else { return };
    let inner = match env.get("vars") {
        Some(Value::Dict(_, vars)) => vars.iter().collect(),
        _ => Vec::new(),
    };
    for (name, value) in env.iter().chain(inner) {
        if let Value::String(_, text) = value
            && variables.get(name).is_none_or(String::is_empty)
        {
            variables.insert(name.clone(), text.clone());
        }
    }
}

/// Takes out what is not ours to read.
#[derive(Default)]
struct Sieve {
    ignored: BTreeSet<String>,
    absent: Vec<(Place, String)>,
    notes: Vec<String>,
}

impl Sieve {
    /// Keeps the fields that are `read`, and those that look like one and are not among `others`.
    fn keep(&mut self, within: &str, fields: &mut Dict, read: &[&str], others: &[&str]) {
        fields.retain(|name, _| {
            let stays = read.contains(&name.as_str())
                || (!others.contains(&name.as_str()) && nearest(name, read.iter().copied()).is_some());
            if !stays {
                self.ignored.insert(format!("{within}{name}"));
            }
            stays
        });
    }

    fn agents(&mut self, sections: &mut Dict) {
        if let Some(Value::Dict(_, agent)) = sections.get_mut("agent") {
            self.keep("agent.", agent, &["model"], &[]);
        }
        let Some(Value::Dict(_, agents)) = sections.get_mut("agents") else { return };
        agents.retain(|name, value| {
            let stays = matches!(value, Value::Dict(..)) || (name == "list" && matches!(value, Value::Array(..)));
            if !stays {
                self.ignored.insert(format!("agents.{name}"));
            }
            stays
        });
        for (name, value) in agents {
            match value {
                Value::Dict(_, defaults) if name == "defaults" => {
                    self.keep("agents.defaults.", defaults, &["model", "models"], &["modelPolicy"]);
                    self.part("agents.defaults.models.*.", defaults, "models", &["alias"]);
                }
                Value::Dict(..) if name == "entries" => {
                    self.each("agents.entries.*.", value, &["model", "default"]);
                }
                Value::Array(..) => self.each("agents.list[].", value, &["id", "model", "default"]),
                _ => {}
            }
        }
    }

    fn auth(&mut self, sections: &mut Dict) {
        let Some(Value::Dict(_, auth)) = sections.get_mut("auth") else { return };
        self.keep("auth.", auth, &["profiles", "order", "cooldowns"], &[]);
        self.part("auth.profiles.*.", auth, "profiles", &["provider", "mode"]);
        if let Some(Value::Dict(_, cooldowns)) = auth.get_mut("cooldowns") {
            let others = [
                "billingBackoffHoursByProvider",
                "overloadedProfileRotations",
                "overloadedBackoffMs",
                "rateLimitedProfileRotations",
            ];
            self.keep("auth.cooldowns.", cooldowns, &raw::COOLDOWNS, &others);
        }
    }

    fn models(&mut self, sections: &mut Dict, variables: &BTreeMap<String, String>) {
        let Some(Value::Dict(_, models)) = sections.get_mut("models") else { return };
        for other in ["bedrockDiscovery", "proxy", "pricing"] {
            if models.remove(other).is_some() {
                self.ignored.insert(format!("models.{other}"));
            }
        }
        let Some(Value::Dict(_, providers)) = models.get_mut("providers") else { return };
        self.each_of("models.providers.*.", providers, &raw::PROVIDER);
        for (name, provider) in providers {
            let Value::Dict(_, fields) = provider else { continue };
            let place = Place::of(&["models", "providers", name]);
            self.part("models.providers.*.models[].", fields, "models", &raw::MODEL);
            if let Some(Value::Dict(_, headers)) = fields.get_mut("headers") {
                let names: Vec<_> = headers.keys().cloned().collect();
                for header in names {
                    let place = place.at("headers").at(&header);
                    if headers.get_mut(&header).is_some_and(|value| !self.secret(&place, value, variables)) {
                        headers.remove(&header);
                        self.notes.push(format!("{place}: its value is not there: this header is left out"));
                    }
                }
            }
            if let Some(key) = fields.get_mut("apiKey") {
                let place = place.at("apiKey");
                self.named_variable(&place, key, variables);
                if !self.secret(&place, key, variables) {
                    *key = Value::Empty(key.tag(), Empty::Unit);
                }
            }
        }
    }

    /// OpenClaw's secret references. `false`, and noted, if there is none to be had.
    fn secret(&mut self, place: &Place, value: &mut Value, variables: &BTreeMap<String, String>) -> bool {
        if let Value::Dict(tag, reference) = value {
            let text = |field: &str| match reference.get(field) {
                Some(Value::String(_, text)) => Some(text.clone()),
                _ => None,
            };
            match (text("source").as_deref(), text("id")) {
                (Some("env"), Some(id)) => *value = Value::String(*tag, format!("${{{id}}}")),
                (Some("file" | "exec" | "store"), Some(_)) => {
                    self.notes.push(format!("{place}: secrets from a file or a program of OpenClaw's are not read"));
                    return false;
                }
                _ => return true,
            }
        }
        let Value::String(_, text) = value else { return true };
        let name = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        let Some(name) = name.filter(|name| !name.contains([':', '$', '{'])) else { return true };
        if variables.get(name).is_some_and(|value| !value.is_empty()) {
            return true;
        }
        self.absent.push((place.clone(), name.to_owned()));
        false
    }

    /// A key may be the bare name of a variable.
    fn named_variable(&mut self, place: &Place, value: &mut Value, variables: &BTreeMap<String, String>) {
        let Value::String(_, text) = value else { return };
        let legal = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
        if !text.bytes().all(legal) || !text.contains('_') {
            return;
        }
        if variables.get(text.as_str()).is_some_and(|value| !value.is_empty()) {
            *text = format!("${{{text}}}");
        } else {
            self.notes.push(format!("{place}: this looks like a variable's name, and there is none: taken as the key"));
        }
    }

    fn part(&mut self, within: &str, fields: &mut Dict, field: &str, read: &[&str]) {
        if let Some(value) = fields.get_mut(field) {
            self.each(within, value, read);
        }
    }

    /// Keeps what is read in each of a map's or a list's values.
    fn each(&mut self, within: &str, value: &mut Value, read: &[&str]) {
        match value {
            Value::Dict(_, fields) => self.each_of(within, fields, read),
            Value::Array(_, items) => {
                for item in items {
                    if let Value::Dict(_, inner) = item {
                        self.keep(within, inner, read, &[]);
                    }
                }
            }
            _ => {}
        }
    }

    fn each_of(&mut self, within: &str, fields: &mut Dict, read: &[&str]) {
        for inner in fields.values_mut() {
            if let Value::Dict(_, inner) = inner {
                self.keep(within, inner, read, &[]);
            }
        }
    }
}
