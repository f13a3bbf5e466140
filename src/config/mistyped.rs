//! Names that are anybody's to choose, and so nearly one that means something that they must be typing mistakes.
//!
//! Owns those comparisons. Refuses to know names that mean something only where they stand: those are checked there.

use figment::value::Value;

use super::builtin::builtin;
use super::problem::{Place, distance, nearest, shown};
use super::providers::Providers;
use super::resolve::{Desk, meant};
use super::{Chain, Family, ModelTable};
use crate::policy::capability::Abilities;

impl Desk {
    pub(super) fn mistyped(&mut self, chains: &[Chain], providers: &Providers, models: &ModelTable, level: &str) {
        self.mistyped_level(level);
        self.mistyped_models(chains, providers, models);
        if chains.iter().all(|chain| chain.pattern != "default") {
            self.mistyped_default("agents", "defaults");
            self.mistyped_default("chains", "default");
        }
        for name in self.names("models") {
            let known = || providers.iter().map(|(known, _)| known.as_str());
            let Some((provider, _)) = name.split_once('/') else { continue };
            // A model's own name may hold a vendor's.
            if builtin(provider).is_some() || known().any(|known| known == provider) {
                continue;
            }
            if let Some(close) = nearest(provider, known()) {
                let place = Place::of(&["models", &name]);
                self.warn(format!("{place}: there is no provider `{}`: did you mean `{close}`?", shown(provider)));
            }
        }
    }

    /// A chain that is nearly the one that everybody asks for, where that one is missing.
    fn mistyped_default(&mut self, section: &str, meant: &str) {
        for name in self.names(section) {
            if nearest(&name, [meant]).is_some() {
                let hint = format!("did you mean `{meant}`?");
                self.problem(
                    &Place::of(&[section, &name]),
                    "there is no chain `default`, and this is nearly it",
                    Some(hint),
                );
            }
        }
    }

    /// To a filter, a word that is no level is the name of a part of the program: nothing would be logged.
    fn mistyped_level(&mut self, filter: &str) {
        const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
        const WORDS: [(&str, &str); 8] = [
            ("warning", "warn"),
            ("information", "info"),
            ("verbose", "debug"),
            ("fatal", "error"),
            ("critical", "error"),
            ("none", "off"),
            ("silent", "off"),
            ("quiet", "off"),
        ];
        let place = Place::of(&["server", "log", "level"]);
        let alone = !filter.contains([',', '=', '[', '{']);
        let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word)) || word.len() == 1;
        let words = filter.split(',').map(str::trim).filter(|word| !word.contains(['=', '[', '{']) && !is_level(word));
        for word in words.filter(|word| !word.is_empty()) {
            let what = format!("`{}` is not a log level", shown(word));
            let meant_by = WORDS.iter().find(|(other, _)| other.eq_ignore_ascii_case(word)).map(|(_, level)| level);
            if let Some(level) = meant_by {
                let hint = format!("did you mean `{level}`? known: {}", LEVELS.join(", "));
                self.problem(&place, what, Some(hint));
            } else if alone || nearest(word, LEVELS).is_some() {
                self.problem(&place, what, Some(meant(word, &LEVELS)));
            }
        }
    }

    /// Models that a vendor's table lacks and that are one slip from one that it has. Nobody knows all models, so this
    /// is no more than a warning.
    fn mistyped_models(&mut self, chains: &[Chain], providers: &Providers, models: &ModelTable) {
        let mut names = Vec::new();
        for chain in chains {
            for target in &chain.targets {
                let Some((provider, _)) = providers.get(target.provider) else { continue };
                // Deployments have names of their own.
                let is_vendor = builtin(provider).is_some_and(|known| known.needs_key && known.family != Family::Azure);
                if !is_vendor || models.abilities(provider, &target.model) != Abilities::default() {
                    continue;
                }
                if names.is_empty() {
                    names = ModelTable::names();
                }
                let bare = target.model.rsplit('/').next().unwrap_or_default();
                if let Some(close) = names.iter().find(|name| is_slip(bare, name)) {
                    let (chain, written) = (shown(&chain.pattern), shown(&target.model));
                    self.warn(format!(
                        "the chain `{chain}` asks {provider} for `{written}`, which is not known: did you mean `{close}`?"
                    ));
                }
            }
        }
    }

    /// The names in a section.
    fn names(&self, section: &str) -> Vec<String> {
        match self.merged.value.find_ref(section) {
            Some(Value::Dict(_, fields)) => fields.keys().cloned().collect(),
            _ => Vec::new(),
        }
    }
}

/// One letter too many, too few or wrong, or two that changed places. Another version is another model.
fn is_slip(written: &str, known: &str) -> bool {
    let digits = |name: &str| name.chars().filter(char::is_ascii_digit).collect::<String>();
    let letters = |name: &str| {
        let mut letters: Vec<_> = name.to_ascii_lowercase().chars().collect();
        letters.sort_unstable();
        letters
    };
    known.len() > 5
        && digits(written) == digits(known)
        && match distance(written, known) {
            1 => true,
            2 => letters(written) == letters(known),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_not_another_version() {
        for slip in ["claude-opos-4-5", "claude-ops-4-5", "claude-opuss-4-5", "cluade-opus-4-5", "Claude-opus-4.5"] {
            assert!(is_slip(slip, "claude-opus-4-5"), "{slip}");
        }
        for other in ["claude-opus-4-6", "claude-opus-5-4", "claude-opus-4-5-fast", "claude-4-5-opus", "opus-4-5"] {
            assert!(!is_slip(other, "claude-opus-4-5"), "{other}");
        }
    }
}
