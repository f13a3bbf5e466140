//! `backstop probe`: one tiny real request to each slot, and what the gateway would make of the answer.
//!
//! Owns the arguments, the choice of slots and the exit status. What is asked is in [`question`], asking in [`ask`],
//! the report in [`report`].

mod ask;
mod question;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::period::period;
use super::terminal::Format;
use super::{EXIT_INTERRUPTED, EXIT_USAGE, environment, fail};
use crate::app;
use crate::config::{Config, load};
use crate::policy::chain::Chain;
use crate::policy::id::SlotId;
use crate::server::State;
use question::Question;

/// The arguments of `backstop probe`.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Only slots with this in their name (provider/model@key); `*` stands for any text
    #[arg(value_name = "PATTERN")]
    patterns: Vec<String>,
    /// The configuration that `serve` would get
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Only the slots of this chain
    #[arg(long, value_name = "NAME")]
    chain: Option<String>,
    /// How long each slot may take
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = period)]
    timeout: Duration,
    /// Requests at a time; of these at most 2 to one provider
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// One slot of the configuration.
struct Candidate {
    slot: SlotId,
    chain: Arc<Chain>,
    level: usize,
    /// Every chain it is in.
    chains: Vec<String>,
    /// What is asked, or why nothing is.
    question: Result<Question, &'static str>,
}

pub(super) fn run(options: &Options) -> ExitCode {
    let config = match load(options.config.as_deref(), environment()) {
        Ok(config) => config,
        Err(error) => return fail(EXIT_USAGE, error),
    };
    // One thread: requests wait for vendors, and a signal is listened to before the first one is sent.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, format_args!("cannot start the runtime: {error}")),
    };
    let code = runtime.block_on(async {
        let state = match app::build(&config) {
            Ok(gateway) => gateway.state,
            Err(error) => return fail(EXIT_USAGE, error),
        };
        let candidates = match choose(&config, &state, options) {
            Ok(candidates) => candidates,
            Err(error) => return fail(EXIT_USAGE, error),
        };
        let asked = ask::all(&state, candidates, options.timeout, usize::from(options.concurrency)).await;
        report::print(&asked, &state, &config, Format::of(options.json));
        if asked.interrupted {
            return ExitCode::from(EXIT_INTERRUPTED);
        }
        ExitCode::from(u8::from(!asked.is_good()))
    });
    // A name that is still being looked up would hold the process.
    runtime.shutdown_background();
    code
}

/// The slots that are meant, in the order of the configuration, each once.
fn choose(config: &Config, state: &State, options: &Options) -> Result<Vec<Candidate>, String> {
    let mut found: Vec<Candidate> = Vec::new();
    let wanted = |name: &str| options.chain.as_deref().is_none_or(|chain| chain == name);
    for written in config.chains.iter().filter(|chain| wanted(&chain.pattern)) {
        // The catalog lists wildcards last; people expect their own order.
        let Some(chain) = state.catalog.chains().find(|chain| *chain.name == *written.pattern) else { continue };
        for (place, level) in chain.levels.iter().enumerate() {
            let provider = &config.providers[level.provider.index()];
            let keys = provider.keys.iter().filter(|key| key.serves(&level.model));
            for (slot, key) in level.slots.iter().zip(keys) {
                if let Some(known) = found.iter_mut().find(|candidate| candidate.slot == *slot) {
                    known.chains.push(written.pattern.clone());
                    continue;
                }
                found.push(Candidate {
                    slot: *slot,
                    chain: Arc::clone(chain),
                    level: place,
                    chains: vec![written.pattern.clone()],
                    question: Question::of(provider, key, level),
                });
            }
        }
    }
    if let (Some(chain), true) = (&options.chain, found.is_empty()) {
        let names: Vec<&str> = config.chains.iter().map(|chain| chain.pattern.as_str()).collect();
        return Err(format!("no chain is called `{chain}`: there are {}", names.join(", ")));
    }
    narrow(found, state, &options.patterns)
}

/// Those that one of the patterns means; a pattern that means none is a mistake.
fn narrow(found: Vec<Candidate>, state: &State, patterns: &[String]) -> Result<Vec<Candidate>, String> {
    let label = |candidate: &Candidate| state.names.slot(candidate.slot).label.as_str();
    for pattern in patterns {
        if !found.iter().any(|candidate| means(pattern, label(candidate))) {
            let labels: Vec<&str> = found.iter().map(label).collect();
            return Err(format!("no slot has `{pattern}` in its name; there are\n  {}", labels.join("\n  ")));
        }
    }
    let meant = |candidate: &Candidate| patterns.is_empty() || patterns.iter().any(|p| means(p, label(candidate)));
    Ok(found.into_iter().filter(meant).collect())
}

/// Whether the parts between the stars of `pattern` stand in `label` in this order.
fn means(pattern: &str, label: &str) -> bool {
    let mut rest = label;
    pattern.split('*').all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::means;

    #[test]
    fn a_pattern_is_a_part_of_a_name() {
        let label = "openai/gpt-4o@Primary";
        for pattern in ["openai", "gpt-4o", "@Primary", "openai/*@Prim", "openai*@*", "", "*"] {
            assert!(means(pattern, label), "{pattern}");
        }
        for pattern in ["anthropic", "Primary*openai", "gpt-4o*gpt-4o"] {
            assert!(!means(pattern, label), "{pattern}");
        }
    }
}
