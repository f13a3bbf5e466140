//! Which rule a request gets: matching, counting, limits and chance.
//!
//! Owns each rule's counters. Refuses to know sockets; time since the script was installed is an argument,
//! and chance depends on seed and request number only.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::time::Duration;

use super::encode::mix;
use super::script::{Fault, KeyLimit, Match, Rule, Script, When};

/// A script being played.
#[derive(Debug)]
pub(super) struct Picker {
    pub script: Script,
    /// One for each rule, in the rules' order.
    counters: Vec<Counter>,
}

/// What one rule has seen.
#[derive(Default)]
struct Counter {
    matched: u64,
    /// Times of the requests that each key was granted within the window.
    granted: HashMap<String, VecDeque<Duration>>,
}

/// The parts of a request that rules match.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub provider: &'a str,
    pub key: &'a str,
    /// The key's name or last four characters.
    pub label: &'a str,
    pub model: &'a str,
    pub path: &'a str,
}

/// The rule that decides, if any.
#[derive(Debug)]
pub(super) struct Picked {
    pub name: String,
    pub fault: Fault,
    /// How long until the key's limit lets a request through again.
    pub limited_for: Option<Duration>,
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `granted` is keyed by secrets.
        f.debug_struct("Counter").field("matched", &self.matched).finish_non_exhaustive()
    }
}

impl Picker {
    pub(super) fn new(script: Script) -> Self {
        let counters = script.rules.iter().map(|_| Counter::default()).collect();
        Self { script, counters }
    }

    /// Counts the request and takes the first rule that matches and is active `now` after installation.
    pub(super) fn pick(&mut self, subject: Subject<'_>, now: Duration) -> Option<Picked> {
        let mut first = None;
        for (rule, counter) in self.script.rules.iter().zip(&mut self.counters) {
            if !rule.matches.fits(subject) {
                continue;
            }
            // Rules behind the deciding one count too, so that a rule's numbers do not depend on its neighbours.
            counter.matched += 1;
            if first.is_some() || !rule.when.active(counter.matched, now) {
                continue;
            }
            let limited_for = match &rule.fault.key_limit {
                None => None,
                Some(limit) => match counter.over(limit, subject.key, now) {
                    None => continue,
                    over => over,
                },
            };
            first = Some(Picked { name: name(rule), fault: rule.fault.clone(), limited_for });
        }
        first
    }
}

fn name(rule: &Rule) -> String {
    rule.name.clone().unwrap_or_else(|| rule.fault.describe())
}

impl Counter {
    /// Grants the request (`None`), or says how long until one is granted.
    fn over(&mut self, limit: &KeyLimit, key: &str, now: Duration) -> Option<Duration> {
        let window = Duration::from_millis(limit.per_ms);
        let granted = self.granted.entry(key.to_owned()).or_default();
        while granted.front().is_some_and(|at| *at + window <= now) {
            granted.pop_front();
        }
        if granted.len() < limit.requests as usize {
            granted.push_back(now);
            return None;
        }
        let free = granted.front().map_or(now, |at| *at) + window;
        Some(free.saturating_sub(now))
    }
}

impl When {
    fn active(&self, number: u64, now: Duration) -> bool {
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let in_range = self.requests.is_none_or(|(from, to)| number >= from && to.is_none_or(|to| number <= to));
        in_range
            && self.after_ms.is_none_or(|after| now >= after)
            && self.until_ms.is_none_or(|until| now < until)
            && self.every_n.is_none_or(|n| number.is_multiple_of(n))
            && self.probability.is_none_or(|share| chance(self.seed, number) < share)
    }
}

impl Match {
    fn fits(&self, subject: Subject<'_>) -> bool {
        let fits = |pattern: &Option<String>, text: &str| pattern.as_ref().is_none_or(|p| like(p, text));
        fits(&self.provider, subject.provider)
            && fits(&self.model, subject.model)
            && fits(&self.path, subject.path)
            && (fits(&self.key, subject.key) || fits(&self.key, subject.label))
    }
}

/// Whether `text` is `pattern`, in which one `*` stands for any text.
fn like(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text.strip_prefix(head).is_some_and(|rest| rest.ends_with(tail)),
    }
}

/// A number in 0..1 that depends on its arguments only.
fn chance(seed: u64, number: u64) -> f64 {
    f64::from(u32::try_from(mix(seed, number) >> 32).unwrap_or(u32::MAX)) / 4_294_967_296.0
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn subject(key: &str) -> Subject<'_> {
        Subject { provider: "openai", key, label: "name", model: "gpt-4o", path: "/openai/v1/chat/completions" }
    }

    fn statuses(script: &str, requests: u32) -> Vec<u16> {
        let mut picker = Picker::new(Script::parse(script).expect("a script"));
        let pick = |n| picker.pick(subject("sk-1"), MS * n).and_then(|p| p.fault.status).unwrap_or(200);
        (0..requests).map(pick).collect()
    }

    #[test]
    fn the_first_active_rule_decides() {
        let script = "[{ when: { requests: [2, 3] }, fault: { status: 500 } }, { when: { requests: [3, null] }, fault: { status: 401 } }]";
        assert_eq!(statuses(script, 5), [200, 500, 500, 401, 401]);
    }

    #[test]
    fn time_opens_and_closes_a_rule() {
        assert_eq!(
            statuses("[{ when: { after_ms: 1, until_ms: 3 }, fault: { status: 503 } }]", 4),
            [200, 503, 503, 200]
        );
    }

    #[test]
    fn every_nth_request() {
        assert_eq!(statuses("[{ when: { every_n: 3 }, fault: { status: 500 } }]", 6), [200, 200, 500, 200, 200, 500]);
    }

    #[test]
    fn flaky_is_repeatable_and_about_right() {
        let flaky = |seed| {
            let script = format!("[{{ when: {{ probability: 0.25, seed: {seed} }}, fault: {{ status: 500 }} }}]");
            statuses(&script, 1_000)
        };
        assert_eq!(flaky(7), flaky(7));
        assert_ne!(flaky(7), flaky(8));
        let failed = flaky(7).iter().filter(|s| **s == 500).count();
        assert!((200..300).contains(&failed), "{failed} of 1000 at 25 %");
    }

    #[test]
    fn patterns() {
        assert!(like("gpt-*", "gpt-4o") && like("*", "") && like("a*c", "abc"));
        assert!(!like("gpt", "gpt-4o") && !like("ab*ba", "aba"));
    }

    #[test]
    fn a_key_limit_counts_each_key_and_frees_with_time() {
        let script = "[{ fault: { key_limit: { requests: 2, per_ms: 10 } } }]";
        let mut picker = Picker::new(Script::parse(script).expect("a script"));
        let mut limited = |key, ms| picker.pick(subject(key), MS * ms).and_then(|p| p.limited_for);
        assert_eq!([limited("a", 0), limited("a", 4)], [None, None]);
        assert_eq!(limited("a", 5), Some(MS * 5));
        assert_eq!(limited("b", 5), None, "another key has its own limit");
        assert_eq!(limited("a", 10), None, "the first request left the window");
    }
}
