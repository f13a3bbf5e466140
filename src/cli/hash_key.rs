//! `backstop hash-key`.
//!
//! The line and a new key go to standard output, the words around them to standard error: a script gets what it wants.

mod prompt;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Read};
use std::process::ExitCode;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::terminal::{Format, Tone, complain, json, say};
use super::{EXIT_INTERRUPTED, EXIT_USAGE, fail};
use crate::config::load_text;
use crate::secret::Secret;
use prompt::Typed;

/// Random bytes in a new key: 192 bits.
const RANDOM: usize = 24;
/// What new keys begin with, so that they are known for what they are where they should not be.
const PREFIX: &str = "bsk-";
/// A shorter key could be found from its hash.
const SHORT: usize = 20;
/// The most that is read of standard input, in bytes: no key is as long.
const LONGEST: u64 = 64 << 10;

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    sha256: String,
    /// Only a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
}

pub(super) fn run(keys: Vec<OsString>, generate: bool, name: &str, format: Format) -> ExitCode {
    if let Some(flaw) = flaw_of_name(name) {
        return fail(EXIT_USAGE, format_args!("--name: {flaw}"));
    }
    let key = match given(keys).and_then(|key| match key {
        Some(key) => Ok(Typed::Key(key)),
        None if generate => new_key().map(Typed::Key),
        None => read(),
    }) {
        Ok(Typed::Key(key)) => key,
        Ok(Typed::Interrupted) => return ExitCode::from(EXIT_INTERRUPTED),
        Err(Refused { status, why }) => return fail(status, why),
    };
    let Ok(secret) = Secret::new(&key) else {
        return fail(
            EXIT_USAGE,
            "this cannot be a key: it is empty, or holds spaces, line ends or letters beyond ASCII",
        );
    };
    if is_quoted(secret.expose()) {
        return fail(EXIT_USAGE, "quotes stand round this key, and clients do not send them: leave them out");
    }
    let key = secret.expose();
    let line = Line { name, sha256: hex(&Sha256::digest(key)), key: generate.then_some(key) };
    if !generate && key.len() < SHORT {
        let text = "this key is short: it could be guessed from its hash; --generate makes a good one";
        complain(format_args!("{} {text}", Tone::Warning.paint("warning:")));
    }
    match format {
        Format::Json => json(&line),
        Format::Text => print(&line),
    }
    ExitCode::SUCCESS
}

fn print(line: &Line<'_>) {
    if let Some(key) = line.key {
        complain(Tone::Dim.paint("The client's key, shown this once:"));
        say(Tone::Good.paint(key));
    }
    complain(Tone::Dim.paint("Under server.client_keys: [ … ] in the configuration:"));
    say(format_args!("{{ name: \"{}\", sha256: \"{}\" }}", line.name, line.sha256));
}

/// Why there is no key, and the exit status that says so.
struct Refused {
    status: u8,
    why: String,
}

impl Refused {
    fn usage(why: &str) -> Self {
        Self { status: EXIT_USAGE, why: why.to_owned() }
    }
}

/// A failure that is nobody's mistake.
impl From<String> for Refused {
    fn from(why: String) -> Self {
        Self { status: 1, why }
    }
}

/// The key of the command line. What is wrong with it is said in our words, which never repeat it.
fn given(keys: Vec<OsString>) -> Result<Option<String>, Refused> {
    let mut keys = keys.into_iter();
    match (keys.next(), keys.next()) {
        (None, _) => Ok(None),
        (Some(key), None) => {
            key.into_string().map(Some).map_err(|_| Refused::usage("this cannot be a key: it is not UTF-8"))
        }
        (Some(_), Some(_)) => Err(Refused::usage("one key at a time: a key holds no spaces")),
    }
}

/// What the configuration would say of a client of this name: it is asked itself, so that the two never differ.
fn flaw_of_name(name: &str) -> Option<String> {
    const WHAT: &str = "a client's name is 1 to 64 letters, digits, spaces and signs without @ = , / \" \\";
    if name.contains(['"', '\\', '$']) || name.chars().any(char::is_control) {
        return Some(WHAT.to_owned());
    }
    let hash = hex(&Sha256::digest(name));
    let text = format!(
        "{{ server: {{ client_keys: [{{ name: \"{name}\", sha256: \"{hash}\" }}] }}, \
           providers: {{ local: {{ base_url: 'http://127.0.0.1:1/v1' }} }} }}"
    );
    let problem = load_text(Some(("--name", &text)), []).err()?.problems.into_iter().next();
    problem.map(|problem| problem.what)
}

fn is_quoted(key: &str) -> bool {
    ['"', '\'', '`'].iter().any(|quote| key.starts_with(*quote) || key.ends_with(*quote))
}

fn new_key() -> Result<String, Refused> {
    let mut random = [0; RANDOM];
    getrandom::fill(&mut random).map_err(|error| format!("the system gives no randomness: {error}"))?;
    Ok(format!("{PREFIX}{}", hex(&random)))
}

/// The one line of standard input, unseen on a terminal.
fn read() -> Result<Typed, Refused> {
    let input = io::stdin();
    if input.is_terminal() {
        return prompt::ask().map_err(Refused::from);
    }
    let mut text = Vec::new();
    let read = input.lock().take(LONGEST).read_to_end(&mut text);
    read.map_err(|error| format!("standard input cannot be read: {error}"))?;
    let text = String::from_utf8(text).map_err(|_| Refused::usage("this cannot be a key: it is not UTF-8"))?;
    if text.trim().lines().count() > 1 {
        return Err(Refused::usage(
            "standard input holds more than one line: give one key, for example head -n 1 keys",
        ));
    }
    Ok(Typed::Key(text))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
