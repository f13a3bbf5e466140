//! Chains, aliases and the operator's classifier rows: everything that refers to providers by name.
//!
//! Owns the checks of those names. Refuses to know keys, but for whether anything is left that can be asked.

use std::collections::BTreeMap;

use super::problem::{Place, nearest, shown};
use super::providers::Providers;
use super::quantity::Period;
use super::raw::{RawAgent, RawRow};
use super::resolve::{Desk, meant};
use super::shapes::{Choice, RawChain, RawTarget};
use super::{Chain, ClassifyRow, Provider, Target};
use crate::policy::chain::allows;
use crate::policy::failure::Kind;

/// A chain that an agent stands for, and where its targets are written.
pub(super) struct Agent {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) targets: Vec<(Place, RawTarget)>,
}

impl Desk {
    /// The chains of `agents` and `chains`, in file order; the default agent's is called `default`.
    pub(super) fn chains(
        &mut self,
        agents: Vec<Agent>,
        chains: BTreeMap<String, RawChain>,
        providers: &Providers,
    ) -> Vec<Chain> {
        let mut resolved = Vec::new();
        for Agent { name, place, targets } in agents {
            let targets = self.targets(&place, targets, providers);
            resolved.push((place, Chain::new(name, targets)));
        }
        for (pattern, raw) in self.merged.in_order("chains", chains) {
            let place = Place::of(&["chains", &pattern]);
            let list = self.merged.list_of(&place, "targets");
            let targets = raw.targets.into_iter().enumerate().map(|(at, target)| (list.item(at), target)).collect();
            let targets = self.targets(&place, targets, providers);
            let key_order = raw.key_order.as_ref().and_then(|text| self.key_order(&place.at("key_order"), text));
            let word = raw.stream_recovery.as_ref();
            let stream_recovery = word.and_then(|text| self.recovery(&place.at("stream_recovery"), text));
            let timeouts = self.limits(&place.at("timeouts"), &raw.timeouts);
            let deadline = raw.deadline.map(|Period(deadline)| deadline);
            if deadline.is_some_and(|deadline| deadline.is_zero()) {
                self.problem(&place.at("deadline"), "must be longer than 0", None);
            }
            let chain = Chain {
                stream_recovery,
                timeouts,
                deadline,
                continue_on_content_filter: raw.continue_on_content_filter.unwrap_or(false),
                equivalent: raw.equivalent.unwrap_or(false),
                key_order,
                ..Chain::new(pattern, targets)
            };
            resolved.push((place, chain));
        }
        self.only_once(resolved)
    }

    /// The agents written by their names, in file order.
    pub(super) fn agents(&mut self, agents: BTreeMap<String, RawAgent>) -> Vec<Agent> {
        let mut found = Vec::new();
        for (name, raw) in self.merged.in_order("agents", agents) {
            let place = Place::of(&["agents", &name, "model"]);
            let name = if name == "defaults" { "default".to_owned() } else { name };
            match raw.model {
                Some(choice) => found.push(self.agent(name, place, choice)),
                None => {
                    let hint = "model: { primary: \"provider/model\" }".to_owned();
                    self.problem(&place, "this agent has no model", Some(hint));
                }
            }
        }
        found
    }

    pub(super) fn agent(&mut self, name: String, place: Place, choice: Choice) -> Agent {
        if choice.mixed {
            let what = "`fallbacks` and `fallback` are two spellings of one list";
            self.problem(&place, what, Some("write one of them".into()));
        }
        let at = |fields: Vec<String>| fields.iter().fold(place.clone(), |place, field| place.at(field));
        let targets = choice.targets.into_iter().map(|(fields, target)| (at(fields), target)).collect();
        Agent { name, place, targets }
    }

    fn only_once(&mut self, resolved: Vec<(Place, Chain)>) -> Vec<Chain> {
        let mut chains: Vec<Chain> = Vec::new();
        for (place, chain) in resolved {
            if chain.pattern.trim().is_empty() {
                self.problem(&place, "a chain's name is empty", None);
            } else if chains.iter().any(|known| known.pattern == chain.pattern) {
                let what = format!("there are two chains `{}`", shown(&chain.pattern));
                self.problem(
                    &place,
                    what,
                    Some("agents and chains share their names; agents.defaults is `default`".into()),
                );
            }
            chains.push(chain);
        }
        chains
    }

    fn targets(&mut self, place: &Place, written: Vec<(Place, RawTarget)>, providers: &Providers) -> Vec<Target> {
        if written.is_empty() {
            self.problem(place, "this chain has no target", Some("a target is written \"provider/model\"".into()));
        }
        let mut targets: Vec<Target> = Vec::new();
        for (place, raw) in written {
            let Some(mut target) = self.target(&place, &raw.target, providers) else { continue };
            self.adjust(&place, &raw, &mut target);
            if targets.iter().any(|known| known.is_same(&target)) {
                self.warn(format!("{place}: `{}` stands twice in this chain: once is enough", shown(&raw.target)));
            } else {
                targets.push(target);
            }
        }
        targets
    }

    /// `provider/model`, cut at the first `/`.
    fn target(&mut self, place: &Place, text: &str, providers: &Providers) -> Option<Target> {
        let Some((name, model)) = text.split_once('/').filter(|(name, model)| !name.is_empty() && !model.is_empty())
        else {
            let what = format!("`{}` is not a target", shown(text));
            self.problem(place, what, Some("a target is written \"provider/model\"".into()));
            return None;
        };
        let Some(provider) = providers.iter().position(|(known, _)| known == name) else {
            let close = nearest(name, providers.iter().map(|(known, _)| known.as_str()).chain(self.known_elsewhere()));
            let section = if self.merged.openclaw.is_some() { "models.providers" } else { "providers" };
            let hint = match close {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("add {section}: {{ \"{}\": {{ .. }} }}", shown(name)),
            };
            self.problem(place, format!("there is no provider `{}`", shown(name)), Some(hint));
            return None;
        };
        if let Some(provider) = providers.get(provider).and_then(|(_, provider)| provider.as_ref()) {
            self.may_be_asked(place, provider, model);
        }
        if model.contains('*') {
            let hint = "name one model; a chain's name may be a wildcard, its targets may not".to_owned();
            self.problem(place, "a target is one model, not a wildcard", Some(hint));
        }
        if !model.bytes().all(|b| b.is_ascii_graphic() && b != b',') {
            self.problem(place, "a model's name is visible ASCII without commas", None);
        }
        Some(Target::plain(provider, model))
    }

    /// Whether the provider, and then a key of it, may be asked for a model.
    fn may_be_asked(&mut self, place: &Place, provider: &Provider, model: &str) {
        let name = shown(&provider.name);
        if !allows(provider.models.as_deref().unwrap_or_default(), model) {
            let hint = format!("add it to providers.{name}.models");
            self.problem(place, format!("`{name}` may not be asked for this model"), Some(hint));
        } else if !provider.keys.iter().any(|key| allows(key.models.as_deref().unwrap_or_default(), model)) {
            let left_out = self.merged.absent.iter().any(|(at, _)| at.0.get(1) == Some(&provider.name));
            let what = format!("no key of `{name}` may be used for this model");
            if left_out {
                // The key that may is one of those whose variable is unset, for all that can be known.
                self.warn(format!("{place}: {what}: it is skipped"));
            } else {
                self.problem(place, what, Some(format!("add it to the models of a key of providers.{name}")));
            }
        }
    }

    /// Aliases of chains and targets, in file order.
    pub(super) fn aliases(
        &mut self,
        raw: BTreeMap<String, String>,
        chains: &[Chain],
        providers: &Providers,
    ) -> Vec<(String, String)> {
        let aliases = self.merged.in_order("aliases", raw);
        for (alias, meaning) in &aliases {
            let place = Place::of(&["aliases", alias]);
            let is_chain = |name: &str| chains.iter().any(|chain| chain.pattern == name);
            if is_chain(alias) {
                self.problem(&place, "a chain has this name, and chains come first", Some("rename one".into()));
            }
            if aliases.iter().any(|(other, _)| other == meaning) && !is_chain(meaning) {
                let hint = "name a chain or \"provider/model\"".to_owned();
                self.problem(&place, "an alias may not stand for an alias", Some(hint));
            } else if !is_chain(meaning) {
                self.target(&place, meaning, providers);
            }
        }
        aliases
    }

    /// Aliases that another program's sections give; those that a chain or an alias of our own has are left out.
    pub(super) fn more_aliases(
        &mut self,
        found: Vec<(Place, String, String)>,
        chains: &[Chain],
        providers: &Providers,
        aliases: &mut Vec<(String, String)>,
    ) {
        for (place, alias, meaning) in found {
            let is_chain = chains.iter().any(|chain| chain.pattern == alias);
            if is_chain || aliases.iter().any(|(known, _)| *known == alias) {
                self.warn(format!("{place}: a chain or an alias is called `{}` already", shown(&alias)));
            } else if self.target(&place, &meaning, providers).is_some() {
                aliases.push((alias, meaning));
            }
        }
    }

    /// The operator's classifier rows.
    pub(super) fn rows(&mut self, raw: Vec<RawRow>, providers: &Providers) -> Vec<ClassifyRow> {
        const KINDS: [&str; 15] = [
            Kind::Auth.name(),
            Kind::Billing.name(),
            Kind::RateLimit.name(),
            Kind::Forbidden.name(),
            Kind::Overloaded.name(),
            Kind::ServerError.name(),
            Kind::Network.name(),
            Kind::Timeout.name(),
            Kind::BrokenStream.name(),
            Kind::ModelNotFound.name(),
            Kind::TooLarge.name(),
            Kind::NotCapable.name(),
            Kind::ContentFilter.name(),
            Kind::BadRequest.name(),
            Kind::Unknown.name(),
        ];
        let mut rows = Vec::new();
        for (at, raw) in raw.into_iter().enumerate() {
            let place = Place::of(&["classify"]).item(at);
            if let Some(name) = raw.provider.as_deref().filter(|name| providers.iter().all(|(known, _)| known != name))
            {
                let hint = nearest(name, providers.iter().map(|(known, _)| known.as_str()));
                let hint = hint.map(|close| format!("did you mean `{close}`?"));
                self.problem(&place.at("provider"), format!("there is no provider `{}`", shown(name)), hint);
            }
            if raw.status.is_some_and(|status| !(100..=599).contains(&status)) {
                self.problem(&place.at("status"), "this is not an HTTP status", None);
            }
            if raw.status.is_none() && raw.code.is_none() && raw.kind_of_error.is_none() && raw.contains.is_none() {
                let hint = "give at least one of status, code, type, contains".to_owned();
                self.problem(&place, "this row matches every failure", Some(hint));
            }
            if raw.contains.as_deref() == Some("") {
                let hint = "write a part of the error's text, or leave it out".to_owned();
                self.problem(&place.at("contains"), "every text contains nothing", Some(hint));
            }
            let text = raw.kind.unwrap_or_default();
            // The client's leaving is seen here, never told by a vendor.
            let Some(kind) = Kind::from_name(&text).filter(|kind| *kind != Kind::Cancelled) else {
                self.problem(
                    &place.at("kind"),
                    format!("`{}` is not a kind", shown(&text)),
                    Some(meant(&text, &KINDS)),
                );
                continue;
            };
            rows.push(ClassifyRow {
                provider: raw.provider,
                status: raw.status,
                code: raw.code,
                kind_of_error: raw.kind_of_error,
                contains: raw.contains,
                kind,
            });
        }
        rows
    }

    /// A configuration with which no request could ever be answered is an error; a chain like that, a warning.
    pub(super) fn usable(&mut self, providers: &Providers, chains: &[Chain]) {
        if !self.is_clean() {
            return;
        }
        let can_ask =
            |provider: &Provider| provider.unserved.is_none() && provider.keys.iter().any(|key| !key.disabled);
        let able = |target: &Target| {
            providers.get(target.provider).and_then(|(_, provider)| provider.as_ref()).is_some_and(can_ask)
        };
        let (dead, alive): (Vec<_>, Vec<_>) = chains.iter().partition(|chain| !chain.targets.iter().any(able));
        let any = if chains.is_empty() {
            providers.iter().any(|(_, provider)| provider.as_ref().is_some_and(can_ask))
        } else {
            !alive.is_empty()
        };
        if any {
            for chain in dead {
                let text = format!("the chain `{}` has no key that can be used", shown(&chain.pattern));
                self.warn(text);
            }
            return;
        }
        let mut unset: Vec<&str> = self.merged.absent.iter().map(|(_, variable)| variable.as_str()).collect();
        unset.dedup();
        let hint = if unset.is_empty() {
            "enable a key of a provider that is served".to_owned()
        } else {
            format!("set at least one of {}", unset.join(", "))
        };
        let section = if chains.is_empty() { "providers" } else { "chains" };
        // The section may be spelled `agents`: the place is the whole.
        self.problem(&Place::default(), format!("none of the {section} has a key that can be used"), Some(hint));
    }
}
