//! The command line.
//!
//! Owns arguments, exit codes and what is printed. Refuses to decide anything about requests.

mod probe;
mod serve;
mod sim;
mod status;
mod terminal;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A failover gateway for LLM APIs: several keys of a provider, a cooldown ledger, a chain of providers.
#[derive(Debug, Parser)]
#[command(name = "backstop", version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    ///
    /// Point an OpenAI SDK at http://ADDR/v1 and use a chain's name (`default`), `provider/model`, or a bare model
    /// name as `model`. See who cools and why at /status, series at /metrics.
    #[command(after_help = "Example:\n  backstop serve --config config/article.json5 --listen 127.0.0.1:8080")]
    Serve {
        /// The configuration (JSON5); BACKSTOP_… variables override its fields
        #[arg(long, value_name = "PATH")]
        config: Option<PathBuf>,
        /// Listen here instead of where the configuration says; port 0 takes a free one
        #[arg(long, value_name = "ADDR")]
        listen: Option<SocketAddr>,
    },
    /// Run simulated providers with scripted faults
    ///
    /// Any provider is a path: http://ADDR/openai/v1, http://ADDR/anthropic/v1. Counts per key at /stats, every
    /// fault as a rule at /faults; POST a new script to /script.
    #[command(
        after_help = "Example:\n  backstop sim --listen 127.0.0.1:9100 --script faults.json5\n  with  [{ match: { provider: 'openai', key: '*1' }, fault: { status: 429, retry_after: 2 } }]"
    )]
    Sim {
        /// Listen here; port 0 takes a free one
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9100")]
        listen: SocketAddr,
        /// The script (JSON5); without one every provider is healthy
        #[arg(long, value_name = "PATH")]
        script: Option<PathBuf>,
    },
    /// Show who may be asked now, who cools, why and until when
    ///
    /// Asks a running gateway. Each slot of each chain stands in the order in which it is tried, with the lane that bars
    /// it (the slot itself, its key, its target or its endpoint), the kind of failure, the streak, the end of the
    /// cooldown and the last good answer.
    #[command(
        after_help = "\u{1b}[1mExamples:\u{1b}[0m\n  backstop status --watch\n  backstop status --url https://llm.example.com --json | jq .slots\n\n\u{1b}[1mExit status:\u{1b}[0m\n  0 it answered, 1 nobody does or no Backstop does, 2 the command line is wrong"
    )]
    Status(status::Options),
    /// Send a tiny real request to each slot and say what comes back
    ///
    /// Each slot of the configuration is asked once, the gateway's own way: its keys, its connections, its classifier, so
    /// that a verdict is what the gateway would decide. It costs 16 tokens a slot, up to 1024 for models that think. A
    /// running gateway hears nothing of it.
    #[command(
        after_help = "\u{1b}[1mExamples:\u{1b}[0m\n  backstop probe --config config/article.json5\n  backstop probe --config config/article.json5 --chain default anthropic\n\n\u{1b}[1mExit status:\u{1b}[0m\n  0 all that were asked are fine, 1 one is not, 2 the configuration is wrong, 130 interrupted"
    )]
    Probe(probe::Options),
}

/// Exit status of a configuration or command line that is wrong.
const EXIT_USAGE: u8 = 2;

/// Runs the command line.
#[must_use]
pub fn run() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve { config, listen } => serve::run(config.as_deref(), listen),
        Command::Sim { listen, script } => sim::run(listen, script.as_deref()),
        Command::Status(options) => status::run(&options),
        Command::Probe(options) => probe::run(&options),
    }
}

/// The environment. A variable that is not UTF-8 cannot be meant for us.
#[allow(clippy::disallowed_methods, reason = "the environment is read here and nowhere else")]
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Ends at the first SIGINT or SIGTERM.
async fn interrupted() {
    let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => {
            tracing::error!(%error, "cannot listen for SIGTERM");
            return;
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// Prints an error for a person and gives the exit status.
#[allow(clippy::print_stderr, reason = "the command line speaks")]
fn fail(status: u8, message: impl std::fmt::Display) -> ExitCode {
    eprintln!("backstop: {message}");
    ExitCode::from(status)
}

/// Says where it listens: the line that scripts wait for.
#[allow(clippy::print_stdout, reason = "the command line speaks")]
fn announce(listener: &tokio::net::TcpListener) {
    use std::io::Write;
    if let Ok(address) = listener.local_addr() {
        println!("listening on http://{address}");
        let _flushed = std::io::stdout().flush();
    }
}
