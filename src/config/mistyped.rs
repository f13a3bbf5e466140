//! Names that are anybody's to choose, and so nearly one that means something that they must be typing mistakes.
//!
//! Owns those comparisons. Refuses to know names that mean something only where they stand: those are checked there.

use figment::value::Value;

use super::Chain;
use super::builtin::builtin;
use super::problem::{Place, nearest, shown};
use super::providers::Providers;
use super::resolve::Desk;

impl Desk {
    pub(super) fn mistyped(&mut self, chains: &[Chain], providers: &Providers) {
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

    /// The names in a section.
    fn names(&self, section: &str) -> Vec<String> {
        match self.merged.value.find_ref(section) {
            Some(Value::Dict(_, fields)) => fields.keys().cloned().collect(),
            _ => Vec::new(),
        }
    }
}
