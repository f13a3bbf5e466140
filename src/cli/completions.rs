//! `backstop completions`.

use std::io::{self, Write};
use std::process::ExitCode;

use clap_complete::{Shell, generate};

use super::help;

pub(super) fn run(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    generate(shell, &mut help::command(), "backstop", &mut script);
    // A reader that went away is no error.
    let _gone = io::stdout().write_all(&script);
    ExitCode::SUCCESS
}
