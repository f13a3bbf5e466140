//! What OpenClaw's sections mean: agents, their chains, names, numbers, and what is said of models.
//!
//! Owns the rules by which an agent has fallbacks. Refuses to know providers and keys (`providers`).

use std::time::Duration;

use super::raw::{RawAgents, RawAuthCooldowns, RawListed, RawSeller};
use crate::config::ModelTable;
use crate::config::chains::Agent;
use crate::config::problem::{Place, shown};
use crate::config::quantity::Period;
use crate::config::raw::{RawAgent, RawCooldowns};
use crate::config::resolve::Desk;
use crate::policy::capability::Abilities;

/// Alias, what it stands for, and where that is written.
pub(in crate::config) type Aliases = Vec<(Place, String, String)>;

/// `models.providers`.
pub(in crate::config) struct ClawModels {
    /// In file order.
    pub(super) providers: Vec<(String, RawSeller)>,
}

impl Desk {
    /// OpenClaw's part of `models`, in file order, with the mode checked.
    pub(in crate::config) fn claw_models(&mut self, models: &mut super::RawModels) -> ClawModels {
        if let Some(text) = &models.mode {
            self.choose(&Place::of(&["models", "mode"]), text, &[("merge", ()), ("replace", ())]);
        }
        let providers = std::mem::take(&mut models.providers);
        ClawModels { providers: self.merged.in_order("models.providers", providers) }
    }

    /// Every agent as a chain: the default one, those by name, and those of `list` and `entries`.
    pub(in crate::config) fn claw_agents(
        &mut self,
        legacy: Option<RawAgent>,
        mut agents: RawAgents,
        models: &ClawModels,
    ) -> (Vec<Agent>, Aliases) {
        let defaults = agents.named.remove("defaults");
        let at_defaults = Place::of(&["agents", "defaults"]);
        let (mut names, mut choice) = (Aliases::new(), None);
        for (place, raw) in [(at_defaults, defaults), (Place::of(&["agent"]), legacy)] {
            let Some(raw) = raw else { continue };
            for (target, named) in raw.models {
                let place = place.at("models").at(&target);
                // A wildcard names no model.
                if let Some(alias) = named.alias.filter(|_| !target.contains('*')) {
                    names.push((place.at("alias"), alias, target));
                }
            }
            choice = choice.or(raw.model.map(|model| (place.at("model"), model)));
        }
        let mut found: Vec<Agent> = Vec::new();
        if let Some((place, choice)) = choice {
            let agent = self.agent("default".to_owned(), place, choice);
            found.push(agent);
        }
        let named = self.agents(std::mem::take(&mut agents.named));
        found.extend(named);
        let listed = self.listed(agents);
        self.listed_agents(listed, &mut found);
        for agent in &mut found {
            for (_, target) in &mut agent.targets {
                target.target = meant(&target.target, &names, models);
            }
        }
        (found, names)
    }

    /// Agents by id, in file order.
    fn listed(&mut self, agents: RawAgents) -> Vec<(Place, String, RawListed)> {
        let mut found = Vec::new();
        for (at, mut raw) in agents.list.into_iter().enumerate() {
            let place = Place::of(&["agents", "list"]).item(at);
            match raw.id.take() {
                Some(id) => found.push((place, id, raw)),
                None => self.problem(&place, "this agent has no id", Some("{ id: \"main\", model: … }".into())),
            }
        }
        for (id, raw) in self.merged.in_order("agents.entries", agents.entries) {
            found.push((Place::of(&["agents", "entries", &id]), id, raw));
        }
        found
    }

    /// An agent without a model has the default one, fallbacks included; one with a model has its own fallbacks only.
    fn listed_agents(&mut self, listed: Vec<(Place, String, RawListed)>, found: &mut Vec<Agent>) {
        let has_default = found.iter().any(|agent| agent.name == "default");
        let first = listed.iter().position(|(_, _, raw)| raw.default == Some(true)).unwrap_or(0);
        for (at, (place, id, raw)) in listed.into_iter().enumerate() {
            let agent = match raw.model {
                Some(choice) => self.agent(id, place.at("model"), choice),
                None => match found.iter().find(|agent| agent.name == "default") {
                    Some(default) => default.named(id),
                    None => continue,
                },
            };
            if at == first && !has_default && agent.name != "default" {
                found.push(agent.named("default".to_owned()));
            }
            found.push(agent);
        }
    }

    /// What `models.providers.*.models` says of models, after everything that the operator said in our own words.
    pub(in crate::config) fn claw_abilities(&mut self, models: &ClawModels, table: &mut ModelTable) {
        for (name, seller) in &models.providers {
            let place = Place::of(&["models", "providers", name, "models"]);
            for (at, sold) in seller.models.iter().enumerate() {
                let place = place.item(at);
                let Some(id) = &sold.id else {
                    self.problem(&place, "this model has no id", Some("{ id: \"the provider's name of it\" }".into()));
                    continue;
                };
                for (field, size) in [("contextWindow", sold.context_window), ("maxTokens", sold.max_tokens)] {
                    if size == Some(0) {
                        self.problem(&place.at(field), "must be at least 1", Some("leave it out if unknown".into()));
                    }
                }
                let inputs = sold.input.iter().flatten().enumerate();
                for (index, text) in inputs {
                    let kinds = [("text", ()), ("image", ()), ("audio", ()), ("video", ())];
                    self.choose(&place.at("input").item(index), text, &kinds);
                }
                let abilities = Abilities {
                    context_window: sold.context_window.or(seller.context_window),
                    max_output: sold.max_tokens.or(seller.max_tokens),
                    vision: sold.input.as_ref().map(|kinds| kinds.iter().any(|kind| kind == "image")),
                    reasoning: sold.reasoning,
                    ..Abilities::default()
                };
                table.correct(&format!("{name}/{id}"), abilities);
            }
        }
    }

    /// `auth.cooldowns`, where our own `cooldowns` leave it open.
    pub(in crate::config) fn claw_cooldowns(&mut self, raw: &RawAuthCooldowns, cooldowns: &mut RawCooldowns) {
        let place = Place::of(&["auth", "cooldowns"]);
        let mut period = |field: &str, number: Option<f64>, unit: f64| {
            let number = number?;
            let time = Duration::try_from_secs_f64(number * unit).ok().filter(|time| !time.is_zero());
            if time.is_none() {
                self.problem(&place.at(field), "must be a number above 0", None);
            }
            time
        };
        let billing = (
            period("billingBackoffHours", raw.billing_first, 3_600.0),
            period("billingMaxHours", raw.billing_cap, 3_600.0),
        );
        let auth = (
            period("authPermanentBackoffMinutes", raw.auth_first, 60.0),
            period("authPermanentMaxMinutes", raw.auth_cap, 60.0),
        );
        let memory = period("failureWindowHours", raw.memory, 3_600.0);
        for ((first, cap), ladder, field) in [
            (billing, &mut cooldowns.billing, "billingMaxHours"),
            (auth, &mut cooldowns.auth, "authPermanentMaxMinutes"),
        ] {
            if first.zip(cap).is_some_and(|(first, cap)| first > cap) {
                self.problem(&place.at(field), "must not be shorter than the first one", None);
                continue;
            }
            // One of the two alone must not contradict our default of the other.
            const HOUR: Duration = Duration::from_secs(3_600);
            let cap = cap.or(first.filter(|first| *first > HOUR));
            let first = first.or(cap.filter(|cap| *cap < HOUR));
            ladder.first = ladder.first.or(first.map(Period));
            ladder.cap = ladder.cap.or(cap.map(Period));
        }
        cooldowns.streak_memory = cooldowns.streak_memory.or(memory.map(Period));
    }
}

impl Agent {
    /// The same targets under another name.
    fn named(&self, name: String) -> Self {
        Self { name, place: self.place.clone(), targets: self.targets.clone() }
    }
}

/// OpenClaw's words for a target: an alias, or a model that one provider has, stand for the whole.
fn meant(text: &str, names: &Aliases, models: &ClawModels) -> String {
    if let Some((_, _, target)) = names.iter().find(|(_, alias, _)| alias == text) {
        return target.clone();
    }
    if text.contains('/') {
        return text.to_owned();
    }
    let sells = |(_, seller): &&(String, RawSeller)| seller.models.iter().any(|sold| sold.id.as_deref() == Some(text));
    let mut sellers = models.providers.iter().filter(sells);
    match (sellers.next(), sellers.next()) {
        (Some((name, _)), None) => format!("{name}/{text}"),
        _ => text.to_owned(),
    }
}

/// A provider's name as it may be shown in a hint.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", shown(name))
}
