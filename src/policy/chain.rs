//! What `model` means: a name becomes an ordered list of levels, each a target with its slots.
//!
//! Owns contract section 3.7: chains, wildcards, aliases, `provider/model`, bare names, and the chain a
//! request brings along. Refuses to know which slot is usable now ([`run`](super::run) asks the ledger).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::capability::{Abilities, Lack};
use super::id::{ProviderId, SlotId, TargetId};
use super::recovery::Recovery;

/// The order in which the keys of a target get their turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyOrder {
    /// As configured, which keeps prompt caches warm.
    #[default]
    Ordered,
    /// Each request begins one key further.
    RoundRobin,
    /// The key with the fewest attempts in flight.
    LeastInFlight,
    /// A session sticks to a key, by rendezvous hash.
    Session,
}

impl KeyOrder {
    /// Every order.
    pub const ALL: [Self; 4] = [Self::Ordered, Self::RoundRobin, Self::LeastInFlight, Self::Session];

    /// The name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ordered => "ordered",
            Self::RoundRobin => "round_robin",
            Self::LeastInFlight => "least_in_flight",
            Self::Session => "session",
        }
    }
}

/// One target of a chain with everything that a run has to know about it.
#[derive(Debug, Clone)]
pub struct Level {
    /// Whose account space it is in.
    pub provider: ProviderId,
    /// The lane it shares; the provider's `other` target if only a client named it.
    pub target: TargetId,
    /// The provider's own name of the model.
    pub model: Arc<str>,
    /// Its slots, in configured order.
    pub slots: Arc<[SlotId]>,
    /// How the slots take turns.
    pub order: KeyOrder,
    /// What is known about the model.
    pub abilities: Abilities,
    /// It cannot be served at all by this build.
    pub unserved: Option<Lack>,
    /// A connection must be there within this.
    pub connect: Duration,
    /// A stream's first content must come within this.
    pub first_content: Duration,
    /// A non-streaming answer must be whole within this.
    pub response_timeout: Duration,
    /// The longest pause between two contents of a stream.
    pub stall: Duration,
}

/// An ordered list of levels.
#[derive(Debug, Clone)]
pub struct Chain {
    /// Its name, `provider/model` for a single target, or `request` if the client wrote it.
    pub name: Arc<str>,
    /// First choice first.
    pub levels: Vec<Level>,
    /// A content refusal is not returned but the next target is tried.
    pub continue_on_content_filter: bool,
    /// Embeddings may move from one target to another.
    pub equivalent: bool,
    /// What becomes of a stream that breaks after its first content; `None` takes the general setting.
    pub recovery: Option<Recovery>,
    /// A request must have ended within this; `None` takes the general setting.
    pub deadline: Option<Duration>,
}

impl Chain {
    /// A chain without settings of its own.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, levels: Vec<Level>) -> Self {
        let name = name.into();
        Self { name, levels, continue_on_content_filter: false, equivalent: false, recovery: None, deadline: None }
    }
}

/// What a model name stands for.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The chain to walk.
    pub chain: Arc<Chain>,
    /// The level to begin with.
    pub start: usize,
    /// The key to ask first, by its place among the level's slots.
    pub key: Option<SlotId>,
}

/// Nothing is called that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownModel {
    /// The nearest names there are, best first.
    pub nearest: Vec<String>,
}

/// One provider as the catalog knows it.
#[derive(Debug, Clone)]
pub struct ProviderEntry {
    /// Its name.
    pub name: String,
    /// A level for models that only a client names: its lane is shared by all of them.
    pub other: Level,
    /// Its keys, in the order of the level's slots.
    pub keys: Vec<KeyEntry>,
    /// Models it may be asked for; empty for any.
    pub allowed: Vec<String>,
}

/// One key of a provider as the catalog knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEntry {
    /// Its name.
    pub name: String,
    /// Models it may be used for, each a name or a pattern with `*`; empty for any.
    pub allowed: Vec<String>,
}

impl KeyEntry {
    /// Whether it may be used for `model`.
    #[must_use]
    pub fn allows(&self, model: &str) -> bool {
        allows(&self.allowed, model)
    }
}

/// Every name that a request may use.
#[derive(Debug, Default)]
pub struct Catalog {
    exact: BTreeMap<String, Arc<Chain>>,
    wildcards: Vec<(String, Arc<Chain>)>,
    aliases: BTreeMap<String, String>,
    /// `provider/model` → the first chain that has it, and where.
    targets: BTreeMap<String, (Arc<Chain>, usize)>,
    /// A bare model name → `provider/model`, first in file order.
    bare: BTreeMap<String, String>,
    providers: BTreeMap<String, ProviderEntry>,
    /// In file order, for `/v1/models`.
    names: Vec<String>,
    /// Unknown names go to the chain `default`.
    unknown_to_default: bool,
}

impl Catalog {
    /// An empty catalog.
    #[must_use]
    pub fn new(unknown_to_default: bool) -> Self {
        Self { unknown_to_default, ..Self::default() }
    }

    /// Adds a provider. Before the chains that use it.
    pub fn add_provider(&mut self, entry: ProviderEntry) {
        self.providers.insert(entry.name.clone(), entry);
    }

    /// Adds a chain under its name, which may be a wildcard (`gpt-*`). `targets` are the full names of its levels.
    pub fn add_chain(&mut self, chain: Chain, targets: &[String]) {
        let name = chain.name.to_string();
        let chain = Arc::new(chain);
        if name.contains('*') {
            self.wildcards.push((name, Arc::clone(&chain)));
        } else {
            self.names.push(name.clone());
            self.exact.insert(name, Arc::clone(&chain));
        }
        for (place, target) in targets.iter().enumerate() {
            self.add_target(target, &chain, place);
        }
    }

    fn add_target(&mut self, target: &str, chain: &Arc<Chain>, place: usize) {
        if !self.targets.contains_key(target) {
            self.names.push(target.to_owned());
            self.targets.insert(target.to_owned(), (Arc::clone(chain), place));
        }
        if let Some((_, model)) = target.split_once('/') {
            self.bare.entry(model.to_owned()).or_insert_with(|| target.to_owned());
        }
    }

    /// Adds another name for a model or chain.
    pub fn add_alias(&mut self, alias: String, model: String) {
        self.names.push(alias.clone());
        self.aliases.insert(alias, model);
    }

    /// Every exact name in file order: chains, their targets, aliases. What `/v1/models` lists.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Every chain, wildcards last.
    pub fn chains(&self) -> impl Iterator<Item = &Arc<Chain>> {
        let exact = self.names.iter().filter_map(|name| self.exact.get(name));
        exact.chain(self.wildcards.iter().map(|(_, chain)| chain))
    }

    /// What `model` stands for, in the order of contract section 3.7.
    ///
    /// # Errors
    /// The nearest names, if nothing is called that.
    pub fn resolve(&self, model: &str) -> Result<Choice, UnknownModel> {
        // A key is looked for before the open names (wildcards, a provider's other models), which would swallow it.
        if !self.is_written(model)
            && let Some((bare, key)) = model.rsplit_once('@')
            && let Some(choice) = self.named(bare)
            && let Some(choice) = self.with_key(choice, key)
        {
            return Ok(choice);
        }
        if let Some(choice) = self.named(model) {
            return Ok(choice);
        }
        match self.exact.get("default") {
            Some(chain) if self.unknown_to_default => Ok(first(chain)),
            _ => Err(UnknownModel { nearest: self.nearest(model) }),
        }
    }

    /// The configuration names it literally (some models have an `@` of their own).
    fn is_written(&self, name: &str) -> bool {
        self.exact.contains_key(name)
            || self.aliases.contains_key(name)
            || self.targets.contains_key(name)
            || self.bare.contains_key(name)
    }

    fn named(&self, model: &str) -> Option<Choice> {
        if let Some(chain) = self.exact.get(model) {
            return Some(first(chain));
        }
        let wildcards = self.wildcards.iter().filter(|(pattern, _)| matches(pattern, model));
        // The most specific pattern wins, the earlier one among equals.
        let best = wildcards.rev().max_by_key(|(pattern, _)| pattern.len());
        if let Some((_, chain)) = best {
            return Some(first(chain));
        }
        if let Some(meant) = self.aliases.get(model) {
            return self.exact.get(meant).map(first).or_else(|| self.target(meant));
        }
        self.target(model).or_else(|| self.target(self.bare.get(model)?))
    }

    /// Whether `chain`, which `model` stands for, is the one of that name, or of which it is an alias: no wildcard.
    #[must_use]
    pub fn is_named(&self, chain: &Chain, model: &str) -> bool {
        *chain.name == *model || self.aliases.get(model).is_some_and(|meant| *chain.name == **meant)
    }

    /// `provider/model`: goes on along the first chain that has it, else stands alone.
    fn target(&self, name: &str) -> Option<Choice> {
        if let Some((chain, place)) = self.targets.get(name) {
            return Some(Choice { chain: Arc::clone(chain), start: *place, key: None });
        }
        let (provider, model) = name.split_once('/')?;
        let entry = self.providers.get(provider)?;
        if model.is_empty() || !allows(&entry.allowed, model) {
            return None;
        }
        let mut level = Level { model: Arc::from(model), ..entry.other.clone() };
        if entry.keys.iter().any(|key| !key.allows(model)) {
            let slots = entry.keys.iter().zip(entry.other.slots.iter()).filter(|(key, _)| key.allows(model));
            level.slots = slots.map(|(_, slot)| *slot).collect();
            if level.slots.is_empty() {
                level.unserved = level.unserved.or(Some(Lack::NoKeyForModel));
            }
        }
        let chain = Chain::new(name, vec![level]);
        Some(Choice { chain: Arc::new(chain), start: 0, key: None })
    }

    fn with_key(&self, choice: Choice, key: &str) -> Option<Choice> {
        let level = &choice.chain.levels[choice.start];
        let entry = self.providers.values().find(|entry| entry.other.provider == level.provider)?;
        if !entry.keys.iter().find(|known| known.name == key)?.allows(&level.model) {
            // It is a wish for the first turn, and this key has none.
            return Some(choice);
        }
        // A level has slots of those keys only that may be used for its model.
        let place = entry.keys.iter().filter(|key| key.allows(&level.model)).position(|known| known.name == key)?;
        let slot = *level.slots.get(place)?;
        Some(Choice { key: Some(slot), ..choice })
    }

    /// A chain that the request brought along: each name stands for its first level only.
    ///
    /// # Errors
    /// The first name that is unknown.
    pub fn compose(&self, names: &[impl AsRef<str>]) -> Result<Choice, (String, UnknownModel)> {
        let mut levels = Vec::with_capacity(names.len());
        let mut key = None;
        for name in names {
            let name = name.as_ref();
            let choice = self.resolve(name).map_err(|unknown| (name.to_owned(), unknown))?;
            if levels.is_empty() {
                key = choice.key;
            }
            // The name of a chain stands for the whole of it, a target for itself.
            let whole = self.exact.contains_key(name);
            let last = if whole { choice.chain.levels.len() } else { choice.start + 1 };
            levels.extend_from_slice(&choice.chain.levels[choice.start..last]);
        }
        let chain = Chain::new("request", levels);
        Ok(Choice { chain: Arc::new(chain), start: 0, key })
    }

    /// Up to three names close to `model`.
    fn nearest(&self, model: &str) -> Vec<String> {
        let wanted = model.to_lowercase();
        let mut scored: Vec<(usize, &String)> = self
            .names
            .iter()
            .filter_map(|name| {
                let known = name.to_lowercase();
                // A bare name is as good as the whole of it.
                let bare = known.split_once('/').map_or(known.as_str(), |(_, model)| model);
                let near = |text: &str| {
                    Some(distance(&wanted, text)).filter(|score| *score <= text.len().max(wanted.len()) / 2)
                };
                let score = near(&known).into_iter().chain(near(bare)).min()?;
                Some((score, name))
            })
            .collect();
        scored.sort();
        scored.into_iter().take(3).map(|(_, name)| name.clone()).collect()
    }
}

impl Choice {
    /// The same choice without anything to fall back to: keys still rotate.
    #[must_use]
    pub fn strict(self) -> Self {
        let level = self.chain.levels[self.start].clone();
        let chain = Chain { name: Arc::clone(&self.chain.name), levels: vec![level], ..*self.chain };
        Self { chain: Arc::new(chain), start: 0, key: self.key }
    }
}

fn first(chain: &Arc<Chain>) -> Choice {
    Choice { chain: Arc::clone(chain), start: 0, key: None }
}

/// Whether `model` fits one of these names and patterns; none of them allows all.
#[must_use]
pub fn allows(allowed: &[String], model: &str) -> bool {
    allowed.is_empty() || allowed.iter().any(|pattern| matches(pattern, model))
}

/// Whether `name` fits `pattern`, in which each `*` stands for any text.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, mut tail)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut rest) = name.strip_prefix(head) else { return false };
    while let Some((middle, next)) = tail.split_once('*') {
        let Some(found) = rest.find(middle) else { return false };
        rest = &rest[found + middle.len()..];
        tail = next;
    }
    rest.ends_with(tail)
}

/// Levenshtein distance, bounded by the lengths of what is compared (names are short).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(128).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().take(128).enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (corner + usize::from(a != *b)).min(above + 1).min(row[j] + 1);
            corner = above;
        }
    }
    row[right.len()]
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
