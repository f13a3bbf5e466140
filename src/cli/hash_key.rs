//! `backstop hash-key`.
//!
//! The line and a new key go to standard output, the words around them to standard error: a script gets what it wants.

use std::io::{self, BufRead, IsTerminal};
use std::process::ExitCode;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::terminal::{Format, Tone, complain, json, say};
use super::{EXIT_USAGE, fail};
use crate::secret::Secret;

/// Random bytes in a new key: 192 bits.
const RANDOM: usize = 24;
/// What new keys begin with, so that they are known for what they are where they should not be.
const PREFIX: &str = "bsk-";
/// A shorter key could be found from its hash.
const SHORT: usize = 20;

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    sha256: String,
    /// Only a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
}

pub(super) fn run(key: Option<String>, generate: bool, name: &str, format: Format) -> ExitCode {
    let legal = |b: u8| (b.is_ascii_graphic() || b == b' ') && !b"@=,/\"\\".contains(&b);
    if name.trim() != name || name.is_empty() || name.len() > 64 || !name.bytes().all(legal) {
        return fail(EXIT_USAGE, "a client's name is 1 to 64 letters, digits, spaces and signs without @ = , / \" \\");
    }
    let key = match key.map_or_else(|| if generate { new_key() } else { read() }, Ok) {
        Ok(key) => key,
        Err(error) => return fail(1, error),
    };
    let Ok(secret) = Secret::new(&key) else {
        return fail(
            EXIT_USAGE,
            "this cannot be a key: it is empty, or holds spaces, line ends or letters beyond ASCII",
        );
    };
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

fn new_key() -> Result<String, String> {
    let mut random = [0; RANDOM];
    getrandom::fill(&mut random).map_err(|error| format!("the system gives no randomness: {error}"))?;
    Ok(format!("{PREFIX}{}", hex(&random)))
}

/// The first line of standard input, unseen on a terminal.
fn read() -> Result<String, String> {
    let input = io::stdin();
    if input.is_terminal() {
        let typed = rpassword::prompt_password("Key (it is not shown): ");
        return typed.map_err(|error| format!("the key cannot be read: {error}"));
    }
    let mut line = String::new();
    input.lock().read_line(&mut line).map_err(|error| format!("standard input cannot be read: {error}"))?;
    Ok(line)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
