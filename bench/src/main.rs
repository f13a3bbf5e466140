//! `backstop-bench COMMAND …`: the programs that measure a gateway.
//!
//! Owns the list of commands. One binary and not one for each: to link one takes longer than to compile all. Refuses to
//! know Backstop: what is measured is an address, or a program that is given.
#![allow(clippy::print_stdout, reason = "a command's result goes to stdout")]
#![allow(clippy::print_stderr, reason = "a command's error goes to stderr")]
#![allow(
    clippy::disallowed_methods,
    reason = "what measures is timed by the clock, and told programs by the environment"
)]

mod args;
mod gate;
mod limit;
mod raw;
mod soak;
mod wire;

use std::process::ExitCode;

use crate::args::{Args, Error};

const COMMANDS: &str = "\
backstop-bench COMMAND [--OPTION VALUE]...

the side-by-side benchmark (bench/side_by_side):
  upstream  a fast mock upstream, with faults by key
  drive     a closed loop of requests, every answer compared; prints one JSON line
  hold      opens many streams, holds them, ends them; prints one JSON line
the cost gate (bench/gate.py):
  bare      the least a proxy can do: the floor
  load      a fixed number of requests, and the upstream in lockstep with them
the soak (make soak):
  soak      a thousand slow streams, some cut
";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    match run(&command, words).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{command}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: &str, words: impl Iterator<Item = String>) -> Result<ExitCode, Error> {
    if matches!(command, "" | "help" | "--help" | "-h") {
        print!("{COMMANDS}");
        return Ok(ExitCode::SUCCESS);
    }
    let args = Args::parse(words)?;
    match command {
        "upstream" => raw::upstream::run(&args).await,
        "drive" => raw::drive::run(&args).await,
        "hold" => raw::hold::run(&args).await,
        "bare" => gate::bare::run(&args).await,
        "load" => gate::run(&args).await,
        "soak" => Box::pin(soak::run(&args)).await,
        _ => Err(format!("there is no such command\n\n{COMMANDS}").into()),
    }
}
