//! One entry of a chain: a target, and what is so for it in this chain only.
//!
//! Owns the resolved form and its checks, and those of what a chain may set for all its targets. Refuses to know the chain around it, and whether the provider may be asked.

use std::time::Duration;

use super::problem::{Place, shown};
use super::quantity::Period;
use super::raw::RawTimeouts;
use super::resolve::{Desk, meant};
use super::shapes::RawTarget;
use crate::policy::capability::Abilities;
use crate::policy::recovery::Recovery;

/// Limits of a provider, a target or a chain that replace the general ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timeouts {
    /// DNS, TCP and TLS together.
    pub connect: Option<Duration>,
    /// To the first content of a stream.
    pub first_content: Option<Duration>,
    /// To the whole of a non-streaming answer.
    pub response_timeout: Option<Duration>,
    /// Between two contents of a stream.
    pub stall: Option<Duration>,
}

impl Timeouts {
    /// None.
    pub const NONE: Self = Self { connect: None, first_content: None, response_timeout: None, stall: None };

    /// What is set here, and what this leaves open from `other`.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            connect: self.connect.or(other.connect),
            first_content: self.first_content.or(other.first_content),
            response_timeout: self.response_timeout.or(other.response_timeout),
            stall: self.stall.or(other.stall),
        }
    }
}

/// `provider/model` as one chain asks it. The same target in two chains may have different settings; what cools is
/// the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Index into [`Config::providers`](super::Config::providers).
    pub provider: usize,
    /// The provider's own name of the model.
    pub model: String,
    /// Limits that replace the chain's, the provider's and the general ones.
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
        target.timeouts = self.limits(&place.at("timeouts"), &raw.timeouts);
        for (field, size) in [("context_window", raw.context_window), ("max_output", raw.max_output)] {
            if size == Some(0) {
                self.problem(&place.at(field), "must be at least 1", Some("leave it out if unknown".into()));
            }
        }
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

    /// Limits wherever they are written: none of them is nothing.
    pub(super) fn limits(&mut self, place: &Place, raw: &RawTimeouts) -> Timeouts {
        let mut longer = |field: &str, period: Option<Period>| {
            let period = period.map(|Period(period)| period);
            if period.is_some_and(|period| period.is_zero()) {
                self.problem(&place.at(field), "must be longer than 0", None);
            }
            period
        };
        Timeouts {
            connect: longer("connect", raw.connect),
            first_content: longer("first_content", raw.first_content),
            response_timeout: longer("response_timeout", raw.response_timeout),
            stall: longer("stall", raw.stall),
        }
    }

    /// A word for what becomes of a broken stream.
    pub(super) fn recovery(&mut self, place: &Place, text: &str) -> Option<Recovery> {
        let found = Recovery::from_name(text);
        if found.is_none() {
            let what = format!("`{}` is no way to recover a stream", shown(text));
            self.problem(place, what, Some(meant(text, &Recovery::ALL.map(Recovery::name))));
        }
        found
    }
}
