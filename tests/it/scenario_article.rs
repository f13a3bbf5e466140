//! Each promise of the article as a test: keys rotate at once, cooldowns are recorded, grow and end by themselves,
//! and a chain of providers goes on where the keys of one have ended.
//!
//! Owns the scenarios, as data. Real sockets on both sides: a gateway in this process before simulated providers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

mod chain;
mod ladder;
pub mod logs;
mod rotation;

use backstop::sim::{Rule, Script, Sim};

use crate::support::CALM;

/// Two providers with places of their own: `one` with the keys Primary and Backup, `two` with Primary.
pub struct World {
    pub one: Sim,
    pub two: Sim,
}

pub const PRIMARY: &str = "sk-one-primary";
pub const BACKUP: &str = "sk-one-backup";

impl World {
    /// `one` plays these rules, `two` is healthy.
    pub fn start(rules: Vec<Rule>) -> Self {
        Self { one: Sim::start(Script::of(rules)).unwrap(), two: Sim::start(Script::default()).unwrap() }
    }

    /// The configuration of both, with `more` sections.
    pub fn config(&self, more: &str) -> String {
        format!(
            "{{ providers: {{
                one: {{ base_url: '{}', timeouts: {{ first_content: '1s', response_timeout: '1s' }}, auth: [
                    {{ key: '{PRIMARY}', profile: 'Primary' }}, {{ key: '{BACKUP}', profile: 'Backup' }}] }},
                two: {{ base_url: '{}', auth: [{{ key: 'sk-two-primary', profile: 'Primary' }}] }},
            }},
            chains: {{ default: ['one/m1', 'two/m2'] }}, {} {more} }}",
            self.one.base_url("one"),
            self.two.base_url("two"),
            if more.contains("run:") { "" } else { CALM },
        )
    }
}
