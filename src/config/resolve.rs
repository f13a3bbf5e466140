//! From raw to resolved: reads every section, collects every problem, and builds the [`Config`] only if there is none.
//!
//! Owns the order of the work and the collection of problems. Refuses to know how a file is spelled (`shapes`) and
//! where it came from (`source`); providers, chains and numbers are resolved next door.

use figment::error::{Actual, Kind as Wrong};
use figment::value::{Dict, Empty, Value};

use super::cures;
use super::problem::{Place, nearest, shown};
use super::raw::{Raw, RawModel};
use super::source::Merged;
use super::{Config, ConfigError, UnknownModel};
use crate::config::ModelTable;
use crate::policy::capability::Abilities;

/// Where problems and warnings go while sections are resolved.
pub(super) struct Desk {
    pub(super) merged: Merged,
    /// Places whose values could not be read: what follows from that is not reported again.
    unread: Vec<Place>,
}

impl Desk {
    /// Notes a problem, unless it only follows from a value that could not be read.
    pub(super) fn problem(&mut self, place: &Place, what: impl Into<String>, hint: Option<String>) {
        if !self.unread.iter().any(|unread| unread.touches(place)) {
            self.merged.note(place, what, hint);
        }
    }

    /// Notes something that is not wrong.
    pub(super) fn warn(&mut self, text: String) {
        self.merged.warnings.push(text);
    }

    /// The one of `choices` with this name; a problem with the nearest one otherwise.
    pub(super) fn choose<T: Copy>(&mut self, place: &Place, text: &str, choices: &[(&'static str, T)]) -> Option<T> {
        let found = choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice);
        if found.is_none() {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            self.problem(place, format!("`{}` is not a choice here", shown(text)), Some(meant(text, &names)));
        }
        found
    }

    /// Whether nothing is wrong so far.
    pub(super) fn is_clean(&self) -> bool {
        self.merged.problems.is_empty()
    }

    /// Reads the mirror. A value that does not fit is noted, taken out, and the rest is read again, so that one
    /// mistake does not hide the next.
    fn read(&mut self) -> Raw {
        loop {
            let error = match Raw::deserialize(&self.merged.value) {
                Ok(raw) => return raw,
                Err(error) => error,
            };
            let place = Place(error.path.clone());
            if self.reread(&place, &error.kind) {
                continue;
            }
            let (what, hint) = cures::explain(&place, &error.kind);
            self.problem(&place, what, hint);
            let attempt = self.unread.iter().filter(|unread| **unread == place).count();
            if !take_out(&mut self.merged.value, &place.0, attempt) {
                return Raw::default();
            }
            // An unknown field has nothing else depend on it.
            if !matches!(error.kind, Wrong::UnknownField(..)) {
                self.unread.push(place);
            }
        }
    }
}

impl Desk {
    /// Reads a text that came from a variable as the number, or the true or false, that its place wants.
    fn reread(&mut self, place: &Place, wrong: &Wrong) -> bool {
        let Wrong::InvalidType(Actual::Str(text), expected) = wrong else { return false };
        let text = text.trim();
        let value: Option<Value> = match expected.as_str() {
            "a boolean" => text.parse::<bool>().ok().map(Into::into),
            "f32" | "f64" => text.parse::<f64>().ok().map(Into::into),
            "u8" | "u16" | "u32" | "u64" | "usize" => text.parse::<i64>().ok().map(Into::into),
            _ => None,
        };
        let from_variable = self.merged.replaced.iter().any(|(at, _)| at == place);
        match (value, at_mut(&mut self.merged.value, &place.0)) {
            (Some(Value::Bool(_, value)), Some(at)) if from_variable => *at = Value::Bool(at.tag(), value),
            (Some(Value::Num(_, value)), Some(at)) if from_variable => *at = Value::Num(at.tag(), value),
            _ => return false,
        }
        true
    }
}

fn at_mut<'a>(value: &'a mut Value, path: &[String]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |value, name| match value {
        Value::Dict(_, fields) => fields.get_mut(name),
        Value::Array(_, items) => items.get_mut(name.parse::<usize>().ok()?),
        _ => None,
    })
}

/// Resolves everything, or says everything that is wrong.
pub(super) fn resolve(merged: Merged) -> Result<Config, ConfigError> {
    let mut desk = Desk { unread: merged.settled.clone(), merged };
    // A file that could not be parsed has one problem; nothing below would say anything true about it.
    if desk.merged.problems.iter().any(|problem| problem.path.is_empty()) {
        return Err(ConfigError { problems: desk.merged.problems });
    }
    let mut raw = desk.read();
    if let Some(openclaw) = &mut desk.merged.openclaw {
        desk.merged.absent.append(&mut openclaw.absent);
    }

    let server = desk.server(raw.server);
    let upstream = desk.upstream(raw.upstream);
    let mut models = desk.models(std::mem::take(&mut raw.models.corrections));
    let (providers, agents, names) = if desk.merged.openclaw.is_some() {
        let sold = desk.claw_models(&mut raw.models);
        let (agents, names) = desk.claw_agents(raw.agent, raw.agents, &sold);
        desk.claw_abilities(&sold, &mut models);
        desk.claw_cooldowns(&raw.auth.cooldowns, &mut raw.cooldowns);
        (desk.claw_providers(raw.providers, &raw.auth, sold, &agents), agents, names)
    } else {
        (desk.providers(raw.providers), desk.agents(raw.agents.named), Vec::new())
    };
    let chains = desk.chains(agents, raw.chains, &providers);
    let mut aliases = desk.aliases(raw.aliases, &chains, &providers);
    desk.more_aliases(names, &chains, &providers, &mut aliases);
    let cooldown = desk.cooldowns(raw.cooldowns);
    let run = desk.run(&raw.run);
    let overrides = desk.rows(raw.classify, &providers);
    let unknown_model = desk.unknown_model(raw.unknown_model, chains.iter().any(|chain| chain.pattern == "default"));
    desk.mistyped(&chains, &providers, &models, &server.log.level);
    desk.usable(&providers, &chains);

    if !desk.is_clean() {
        return Err(ConfigError { problems: desk.merged.problems });
    }
    Ok(Config {
        server,
        upstream,
        providers: providers.into_iter().filter_map(|(_, provider)| provider).collect(),
        chains,
        aliases,
        models,
        cooldown,
        run,
        overrides,
        unknown_model,
        litellm_headers: raw.compat.litellm_headers.unwrap_or(false),
        warnings: desk.merged.warnings,
    })
}

impl Desk {
    fn unknown_model(&mut self, text: Option<String>, has_default: bool) -> UnknownModel {
        let place = Place::of(&["unknown_model"]);
        let choices = [("refuse", UnknownModel::Refuse), ("default", UnknownModel::Default)];
        let chosen = text.and_then(|text| self.choose(&place, &text, &choices)).unwrap_or_default();
        if chosen == UnknownModel::Default && !has_default {
            self.problem(&place, "there is no chain `default`", Some("add chains: { default: [..] }".into()));
        }
        chosen
    }

    fn models(&mut self, raw: std::collections::BTreeMap<String, RawModel>) -> ModelTable {
        let mut table = ModelTable::builtin().unwrap_or_else(|broken| {
            self.problem(&Place::default(), format!("the built-in model table is broken: {broken}"), None);
            ModelTable::default()
        });
        for (name, raw) in raw {
            let abilities = Abilities {
                context_window: raw.context_window,
                max_output: raw.max_output,
                vision: raw.vision,
                tools: raw.tools,
                json_schema: raw.json_schema,
                reasoning: raw.reasoning,
                prefill: raw.prefill,
                ..Abilities::default()
            };
            let place = Place::of(&["models", &name]);
            for (field, size) in [("context_window", raw.context_window), ("max_output", raw.max_output)] {
                if size == Some(0) {
                    self.problem(&place.at(field), "must be at least 1", Some("leave it out if unknown".into()));
                }
            }
            table.correct(&name, abilities);
        }
        table
    }
}

/// What to write instead: the nearest of the known names, and all of them.
pub(super) fn meant(text: &str, known: &[&'static str]) -> String {
    let all = known.join(", ");
    let begun = || known.iter().copied().find(|name| text.len() >= 3 && name.starts_with(text));
    match nearest(text, known.iter().copied()).or_else(begun) {
        Some(name) => format!("did you mean `{name}`? known: {all}"),
        None => format!("known: {all}"),
    }
}

/// Takes out the value at `path`. An item of a list is replaced, so that its siblings keep their index: by one
/// placeholder after the other (`attempt`) until one fits, for lists of anything.
fn take_out(value: &mut Value, path: &[String], attempt: usize) -> bool {
    let Some((first, rest)) = path.split_first() else { return false };
    match value {
        Value::Dict(_, fields) if rest.is_empty() => fields.remove(first).is_some(),
        Value::Dict(_, fields) => fields.get_mut(first).is_some_and(|inner| take_out(inner, rest, attempt)),
        Value::Array(_, items) => {
            let Some(at) = first.parse::<usize>().ok().filter(|at| *at < items.len()) else { return false };
            if rest.is_empty() && attempt > 3 {
                items.remove(at);
                return true;
            }
            let Some(item) = items.get_mut(at) else { return false };
            if !rest.is_empty() {
                return take_out(item, rest, attempt);
            }
            *item = match attempt {
                0 => Value::Empty(item.tag(), Empty::Unit),
                1 => Value::String(item.tag(), String::new()),
                2 => Value::Dict(item.tag(), Dict::new()),
                _ => Value::Num(item.tag(), 0_u8.into()),
            };
            true
        }
        _ => false,
    }
}
