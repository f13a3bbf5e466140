//! The command line.
//!
//! Owns arguments, exit codes and what is printed. Refuses to decide anything about requests.
//!
//! A new command is an arm of `Command` with an example and its exit statuses, an arm in [`run`], and, if it does
//! not belong to the last group, its name in `help::GROUPS`.

mod address;
mod check;
mod completions;
mod demo;
mod hash_key;
mod healthcheck;
mod help;
mod period;
mod probe;
mod serve;
mod sim;
mod status;
mod terminal;

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{FromArgMatches, Parser, Subcommand};

use terminal::{Colors, Format, Tone, complain};

/// A failover gateway for LLM APIs: where one key fails, the next one answers
#[derive(Debug, Parser)]
#[command(name = "backstop", version, max_term_width = 100, styles = help::STYLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Colours: auto (on a terminal, unless NO_COLOR is set), always or never
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    color: Colors,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// See it work: simulated providers, failures and recoveries, without any key
    ///
    /// Runs the recommended configuration before simulated providers, breaks them one after the other and tells what
    /// happens, live. Then it keeps serving for you until Ctrl-C.
    #[command(after_help = help::after!(
        "backstop demo"
        "backstop demo --listen 127.0.0.1:9090"
        "backstop demo --once --json | jq .event";
        "0 after Ctrl-C or a story that went as told, 1 if it did not or it cannot listen, 2 an address beyond loopback"
    ))]
    Demo {
        /// Listen here, port 0 takes a free one [default: 127.0.0.1:8080, or a free port if that is taken]
        #[arg(long, value_name = "ADDR", value_parser = address::listen)]
        listen: Option<SocketAddr>,
        /// End after the story; exit status 1 if it did not go as told
        #[arg(long)]
        once: bool,
        /// One JSON object per event instead of text
        #[arg(long)]
        json: bool,
    },
    /// Run the gateway
    ///
    /// Point an OpenAI SDK at http://ADDR/v1 and use a chain's name (`default`), `provider/model`, or a bare model
    /// name as `model`. See who cools and why at /status, series at /metrics.
    #[command(after_help = help::after!(
        "backstop serve --config config/article.json5 --listen 127.0.0.1:8080";
        "0 after SIGINT or SIGTERM, 1 if it cannot listen, 2 if the configuration is wrong"
    ))]
    Serve {
        /// The configuration (JSON5, YAML or TOML; also BACKSTOP_CONFIG); without one, keys in the environment are enough
        #[arg(long, value_name = "PATH")]
        config: Option<PathBuf>,
        /// Listen here instead of where the configuration says; port 0 takes a free one
        #[arg(long, value_name = "ADDR", value_parser = address::listen)]
        listen: Option<SocketAddr>,
    },
    /// Read the configuration and say what it means
    ///
    /// Reads it exactly as `serve` does and shows the chains with their keys by name, the cooldown rules and the limits,
    /// or everything that is wrong with it. Warns of what works and will disappoint. Nothing is sent anywhere, and no
    /// key is shown.
    #[command(after_help = help::after!(
        "backstop check --config config/article.json5"
        "backstop check --config config/article.json5 --strict --json | jq .warnings";
        "0 good, 1 a warning with --strict, 2 the configuration is wrong"
    ))]
    Check {
        /// The configuration; without one the environment alone
        #[arg(long, value_name = "PATH")]
        config: Option<PathBuf>,
        /// End with status 1 if there are warnings
        #[arg(long)]
        strict: bool,
        /// One JSON document on standard output
        #[arg(long)]
        json: bool,
    },
    /// Ask a running gateway whether it is alive
    ///
    /// For Docker's HEALTHCHECK and scripts; asks /livez, and gives up after 3 s. Without --url it asks where
    /// BACKSTOP_SERVER__LISTEN says, else where the configuration says, else 127.0.0.1:8080.
    #[command(after_help = help::after!(
        "backstop healthcheck"
        "backstop healthcheck --ready --url http://127.0.0.1:9090"
        "HEALTHCHECK CMD [\"backstop\", \"healthcheck\"]";
        "0 it is, 1 it is not, 2 the command line is wrong"
    ))]
    Healthcheck {
        /// The gateway
        #[arg(long, value_name = "URL")]
        url: Option<String>,
        /// Ask /readyz: whether it takes new requests
        #[arg(long)]
        ready: bool,
        /// Take the address from this configuration
        #[arg(long, value_name = "PATH", conflicts_with = "url")]
        config: Option<PathBuf>,
    },
    /// Make the line that lets a client in
    ///
    /// Prints what belongs under server.client_keys: the key's SHA-256, by which the gateway knows it. The key is read
    /// from standard input, without echo on a terminal; given as an argument it stays in the shell's history.
    #[command(after_help = help::after!(
        "backstop hash-key --generate --name ci"
        "backstop hash-key < key.txt"
        "backstop hash-key --generate --json | jq -r .key";
        "0 good, 1 no randomness or no input, 2 what is given cannot be a key or a name, 130 interrupted"
    ))]
    HashKey {
        /// The key; read from standard input if not given
        // A list of any bytes, so that it is we who refuse: clap's errors repeat what is given.
        #[arg(value_name = "KEY", num_args = 0.., conflicts_with = "generate")]
        key: Vec<OsString>,
        /// Make a new random key and show it, this once
        #[arg(long)]
        generate: bool,
        /// The client's name, for logs
        #[arg(long, value_name = "NAME", default_value = "client")]
        name: String,
        /// One JSON document on standard output
        #[arg(long)]
        json: bool,
    },
    /// Print a script that completes commands in your shell
    #[command(after_help = help::after!(
        "source <(backstop completions bash)"
        "backstop completions zsh > \"${fpath[1]}/_backstop\""
        "backstop completions fish > ~/.config/fish/completions/backstop.fish";
        "0 good, 2 an unknown shell"
    ))]
    Completions {
        /// The shell
        #[arg(value_enum, value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
    /// Run simulated providers with scripted faults
    ///
    /// Any provider is a path, and speaks OpenAI's dialect (http://ADDR/openai/v1), Anthropic's (http://ADDR/anthropic/v1)
    /// or Bedrock's (http://ADDR/bedrock), as it is asked. Counts per key at /stats; every fault as a rule at /faults, with
    /// the dialect whose own it is; POST a new script to /script.
    #[command(after_help = help::after!(
        "backstop sim --listen 127.0.0.1:9100 --script faults.json5"
        "  with  [{ match: { provider: 'openai', key: '*1' }, fault: { status: 429, retry_after: 2 } },"
        "         { match: { provider: 'bedrock' }, fault: { error: 'ExpiredTokenException' } }]";
        "0 after SIGINT or SIGTERM, 1 if it cannot listen, 2 if the script is wrong"
    ))]
    Sim {
        /// Listen here; port 0 takes a free one
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9100", value_parser = address::listen)]
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
    #[command(after_help = help::after!(
        "backstop status --watch"
        "backstop status --url https://llm.example.com --json | jq .slots";
        "0 it answered, 1 nobody does or no Backstop does, 2 the command line is wrong"
    ))]
    Status(status::Options),
    /// Send a tiny real request to each slot and say what comes back
    ///
    /// Each slot of the configuration is asked once, the gateway's own way: its keys, its connections, its classifier, so
    /// that a verdict is what the gateway would decide. It costs 16 tokens a slot, up to 1024 for models that think. A
    /// running gateway hears nothing of it.
    #[command(after_help = help::after!(
        "backstop probe --config config/article.json5"
        "backstop probe --config config/article.json5 --chain default anthropic";
        "0 all that were asked are fine, 1 one is not, 2 the configuration is wrong, 130 interrupted"
    ))]
    Probe(probe::Options),
}

/// Exit status of a configuration or command line that is wrong.
const EXIT_USAGE: u8 = 2;
/// Exit status after SIGINT, as shells have it.
const EXIT_INTERRUPTED: u8 = 130;

/// Runs the command line.
#[must_use]
pub fn run() -> ExitCode {
    let mut command = help::command();
    let parsed = command.try_get_matches_from_mut(std::env::args_os());
    let arguments =
        parsed.and_then(|matches| Arguments::from_arg_matches(&matches).map_err(|e| e.format(&mut command)));
    let arguments = match arguments {
        Ok(arguments) => arguments,
        Err(error) => return help::refuse(&error),
    };
    arguments.color.apply();
    let code = start(arguments.command);
    // Who reads nothing of it is told so once, and cannot take it for done.
    if terminal::is_lost() { ExitCode::FAILURE } else { code }
}

fn start(command: Command) -> ExitCode {
    match command {
        Command::Demo { listen, once, json } => demo::run(listen, once, Format::of(json)),
        Command::Serve { config, listen } => serve::run(config.as_deref(), listen),
        Command::Check { config, strict, json } => check::run(config.as_deref(), strict, Format::of(json)),
        Command::Healthcheck { url, ready, config } => healthcheck::run(url.as_deref(), ready, config.as_deref()),
        Command::HashKey { key, generate, name, json } => hash_key::run(key, generate, &name, Format::of(json)),
        Command::Completions { shell } => completions::run(shell),
        Command::Sim { listen, script } => sim::run(listen, script.as_deref()),
        Command::Status(options) => status::run(&options),
        Command::Probe(options) => probe::run(&options),
    }
}

/// The environment. A variable that is not UTF-8 cannot be meant for us; one that is ours by its name is told, once.
#[allow(clippy::disallowed_methods, reason = "the environment is read here and nowhere else")]
fn environment() -> impl Iterator<Item = (String, String)> {
    static TOLD: AtomicBool = AtomicBool::new(false);
    let told = TOLD.swap(true, Ordering::Relaxed);
    std::env::vars_os().filter_map(move |(name, value)| {
        let name = name.into_string().ok()?;
        let value = value.into_string();
        if value.is_err() && !told && (name.starts_with("BACKSTOP_") || name.contains("_API_KEY")) {
            let text = format_args!("the variable {name} is not UTF-8 and is ignored: set it again");
            complain(format_args!("{} {text}", Tone::Warning.paint("warning:")));
        }
        Some((name, value.ok()?))
    })
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
fn fail(status: u8, message: impl std::fmt::Display) -> ExitCode {
    complain(format_args!("{} {message}", Tone::Bad.paint("backstop:")));
    ExitCode::from(status)
}

/// Says where it listens: the line that scripts wait for. A gateway that nobody reads this of serves all the same.
fn announce(listener: &tokio::net::TcpListener) {
    if let Ok(address) = listener.local_addr() {
        let mut out = io::stdout().lock();
        if let Err(error) = writeln!(out, "listening on http://{address}").and_then(|()| out.flush()) {
            complain(format_args!("{} cannot write to standard output: {error}", Tone::Warning.paint("warning:")));
        }
    }
}
