//! What a client is told when nobody answered (contract section 6, "all failed").
//!
//! Owns the status of a composed error and which vendor answer is returned instead. Refuses to know how
//! an error is written in a dialect.

use std::time::Duration;

use super::{Run, is_same};
use crate::policy::capability::Lack;
use crate::policy::chain::Level;
use crate::policy::failure::{Failure, Kind};
use crate::policy::ledger::{Ledger, Refusal};
use crate::policy::time::Instant;

/// How a request ends that nobody served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Return the vendor's answer to attempt `.0`.
    Return(usize),
    /// Compose an error that lists the attempts.
    Compose(Composed),
    /// No target of the chain can serve such a request.
    Unfit(Lack),
}

/// The frame of a composed error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Composed {
    /// The HTTP status.
    pub status: u16,
    /// The soonest recovery from now.
    pub retry_after: Option<Duration>,
    /// Whether asking again can help.
    pub should_retry: bool,
}

impl Composed {
    /// The client went away; nobody reads it.
    pub(super) const CANCELLED: Self = Self { status: 499, retry_after: None, should_retry: false };
}

#[derive(Default)]
struct Survey {
    slots: u32,
    rate_limited: u32,
    timed_out: u32,
    not_found: u32,
    hopeless: u32,
    soonest: Option<Instant>,
}

impl Run {
    pub(super) fn judge(&mut self, ledger: &Ledger, now: Instant) -> Verdict {
        if let Some(no) = self.answer_to_return() {
            return Verdict::Return(no);
        }
        let survey = self.survey(ledger, now);
        if survey.slots == 0 {
            let lacks = self.plan.chain.levels.iter().skip(self.plan.start).filter_map(|level| self.lack(level));
            if let Some(lack) = lacks.min_by_key(|lack| is_the_gateways(*lack)) {
                return Verdict::Unfit(lack);
            }
        }
        let all = |count: u32| survey.slots > 0 && count == survey.slots;
        let status = if all(survey.rate_limited) {
            429
        } else if all(survey.not_found) {
            404
        } else if self.made == 0 {
            503
        } else if all(survey.timed_out) {
            504
        } else {
            502
        };
        Verdict::Compose(Composed {
            status,
            retry_after: survey.soonest.map(|at| at.since(now)),
            should_retry: !all(survey.hopeless),
        })
    }

    /// The vendor's own words, where they say more than a list of attempts.
    fn answer_to_return(&self) -> Option<usize> {
        let first_level = self.first_level()?;
        let kinds =
            || self.attempts().enumerate().filter_map(|(no, (_, level, failure))| Some((no, level, failure?.kind)));
        let first = kinds().find(|(_, level, kind)| *level == first_level && is_about_the_request(*kind));
        if let Some((no, ..)) = first {
            return Some(no);
        }
        match kinds().last() {
            Some((_, _, Kind::TooLarge)) => kinds().find(|(.., kind)| *kind == Kind::TooLarge).map(|(no, ..)| no),
            Some((no, _, Kind::Unknown)) => Some(no),
            _ => None,
        }
    }

    /// What each slot that could have served it suffers from: this request's failure, else its cooldown.
    fn survey(&self, ledger: &Ledger, now: Instant) -> Survey {
        let mut survey = Survey::default();
        for level in self.plan.chain.levels.iter().skip(self.plan.start) {
            if self.lack(level).is_some() {
                continue;
            }
            for &slot in level.slots.iter() {
                let outlook = ledger.outlook(slot, now);
                let tried = self.attempts().rev().find(|(tried, ..)| *tried == slot);
                let kind = tried.and_then(|(.., failure)| failure).map(|failure| failure.kind).or(outlook.kind);
                // Keys that were spared because their target is silent would have timed out too.
                let kind = kind.or_else(|| self.was_silent(level).then_some(Kind::Timeout));
                survey.slots += 1;
                survey.rate_limited += u32::from(kind == Some(Kind::RateLimit));
                survey.timed_out += u32::from(kind == Some(Kind::Timeout));
                survey.not_found += u32::from(kind == Some(Kind::ModelNotFound));
                survey.hopeless += u32::from(kind.is_some_and(needs_repair));
                if let Some(Refusal::Cooling { until, .. } | Refusal::Probing { until }) = outlook.refusal {
                    survey.soonest = Some(survey.soonest.map_or(until, |at| at.min(until)));
                }
            }
        }
        survey
    }

    fn was_silent(&self, level: &Level) -> bool {
        let levels = &self.plan.chain.levels;
        let timed_out = |failure: Option<&Failure>| failure.is_some_and(|failure| failure.kind == Kind::Timeout);
        self.attempts().any(|(_, place, failure)| timed_out(failure) && is_same(&levels[place], level))
    }
}

/// For reasons of the gateway: a reason of the request says more to the client.
const fn is_the_gateways(lack: Lack) -> bool {
    match lack {
        Lack::Dialect | Lack::NoKey | Lack::Disabled | Lack::NoKeyForModel | Lack::Endpoint | Lack::Stateful => true,
        Lack::Vision
        | Lack::ImageUrls
        | Lack::Audio
        | Lack::Choices
        | Lack::Logprobs
        | Lack::Tools
        | Lack::JsonSchema
        | Lack::Context
        | Lack::MaxOutput
        | Lack::NotEquivalent => false,
    }
}

const fn is_about_the_request(kind: Kind) -> bool {
    matches!(kind, Kind::TooLarge | Kind::NotCapable | Kind::ContentFilter | Kind::BadRequest)
}

/// Nothing that waiting cures.
const fn needs_repair(kind: Kind) -> bool {
    matches!(kind, Kind::Auth | Kind::Billing | Kind::Forbidden | Kind::ModelNotFound | Kind::NotCapable)
}
