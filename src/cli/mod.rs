//! The command line.
//!
//! Owns arguments, exit codes and what is printed. Refuses to decide anything about requests.

mod serve;
mod sim;

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
        /// The configuration (JSON5, YAML or TOML; also BACKSTOP_CONFIG); without one, keys in the environment are enough
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
}

/// Exit status of a configuration or command line that is wrong.
const EXIT_USAGE: u8 = 2;

/// Runs the command line.
#[must_use]
pub fn run() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve { config, listen } => serve::run(config.as_deref(), listen),
        Command::Sim { listen, script } => sim::run(listen, script.as_deref()),
    }
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
