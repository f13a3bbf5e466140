//! `backstop completions`.

use std::io::{self, Write};
use std::process::ExitCode;

use clap_complete::{Shell, generate};

use super::help;
use super::terminal::noted;

pub(super) fn run(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    generate(shell, &mut help::command(), "backstop", &mut script);
    let mut out = io::stdout().lock();
    noted(out.write_all(&script).and_then(|()| out.flush()));
    ExitCode::SUCCESS
}
