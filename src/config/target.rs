//! One entry of a chain: a target, and what is so for it in this chain only.
//!
//! Owns the resolved form and its checks. Refuses to know the chain around it, and whether the provider may be asked.

use super::Timeouts;
use super::problem::Place;
use super::quantity::Period;
use super::resolve::Desk;
use super::shapes::RawTarget;
use crate::policy::capability::Abilities;

/// `provider/model` as one chain asks it. The same target in two chains may have different settings; what cools is
/// the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Index into [`Config::providers`](super::Config::providers).
    pub provider: usize,
    /// The provider's own name of the model.
    pub model: String,
    /// Limits that replace the provider's and the general ones. Connecting has none of its own.
    pub timeouts: Timeouts,
    /// What this chain says of the model, before all that is known otherwise.
    pub abilities: Abilities,
}

impl Target {
    /// A target without settings of its own.
    #[must_use]
    pub fn plain(provider: usize, model: &str) -> Self {
        Self { provider, model: model.to_owned(), timeouts: Timeouts::default(), abilities: Abilities::default() }
    }

    /// Whether both ask the same model of the same provider.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.provider == other.provider && self.model == other.model
    }
}

impl Desk {
    /// Puts what was written beside a target's name onto it.
    pub(super) fn adjust(&mut self, place: &Place, raw: &RawTarget, target: &mut Target) {
        let limits = &raw.timeouts;
        for (field, period) in [
            ("first_content", limits.first_content),
            ("response_timeout", limits.response_timeout),
            ("stall", limits.stall),
        ] {
            if period.is_some_and(|Period(period)| period.is_zero()) {
                self.problem(&place.at("timeouts").at(field), "must be longer than 0", None);
            }
        }
        for (field, size) in [("context_window", raw.context_window), ("max_output", raw.max_output)] {
            if size == Some(0) {
                self.problem(&place.at(field), "must be at least 1", Some("leave it out if unknown".into()));
            }
        }
        let plain = |period: Option<Period>| period.map(|Period(period)| period);
        target.timeouts = Timeouts {
            connect: None,
            first_content: plain(limits.first_content),
            response_timeout: plain(limits.response_timeout),
            stall: plain(limits.stall),
        };
        target.abilities = Abilities {
            context_window: raw.context_window,
            max_output: raw.max_output,
            vision: raw.vision,
            tools: raw.tools,
            json_schema: raw.json_schema,
            reasoning: raw.reasoning,
            prefill: raw.prefill,
            ..Abilities::default()
        };
    }
}
