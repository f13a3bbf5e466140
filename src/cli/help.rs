//! What `--help` says beyond each command's own words: groups, first steps, and the shape of examples.
//!
//! Owns the order in which a newcomer reads the commands. Refuses to know what they do: each says so itself.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::builder::Styles;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ColorChoice, Command, CommandFactory, Error};

use super::terminal::{Tone, is_lost, noted};
use super::{Arguments, EXIT_USAGE, fail};

/// The colours of clap's own help and errors.
pub(super) const STYLES: Styles = Styles::styled()
    .header(Style::new().bold())
    .usage(Style::new().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(Style::new())
    .error(AnsiColor::Red.on_default().bold())
    .valid(AnsiColor::Green.on_default())
    .invalid(AnsiColor::Yellow.on_default());

/// Commands by what a person wants; one that stands in no group comes under the last.
const GROUPS: [(&str, &[&str]); 3] = [
    ("Try it and run it", &["demo", "check", "serve"]),
    ("Look at it while it runs", &["status", "probe", "healthcheck"]),
    ("Tools", &["hash-key", "sim", "completions", "help"]),
];

/// The command, the line to type, and what comes of it.
const FIRST_STEPS: [(&str, &str, &str); 4] = [
    ("demo", "backstop demo", "watch a failover: no key, no file"),
    ("check", "backstop check --config backstop.json5", "what it means, or what is wrong"),
    ("serve", "backstop serve --config backstop.json5", "for SDKs: http://127.0.0.1:8080/v1"),
    ("status", "backstop status", "who cools, why and until when"),
];

/// The end of a command's help: its examples, one a line, and its exit statuses.
macro_rules! after {
    ($($example:literal)+; $statuses:literal) => {
        concat!(
            "\u{1b}[1mExamples:\u{1b}[0m\n",
            $("  ", $example, "\n",)+
            "\n\u{1b}[1mExit status:\u{1b}[0m\n  ",
            $statuses
        )
    };
}
pub(super) use after;

/// The whole command line, with the grouped help.
pub(super) fn command() -> Command {
    let mut command = Arguments::command().color(early_choice(std::env::args_os()));
    // So that `help` is there, too.
    command.build();
    let groups = groups(&command);
    let steps = first_steps(&command);
    command.help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{steps}{groups}{}\n{{options}}\n\n\
         {} 0 good, 1 failed, 2 wrong command line or configuration.\n\
         {} says more about a command, with examples.",
        Tone::Heading.paint("Options:"),
        Tone::Heading.paint("Exit status:"),
        Tone::Command.paint("backstop COMMAND --help"),
    ))
}

/// Prints help, the version, or what is wrong with the command line, and gives the exit status.
pub(super) fn refuse(error: &Error) -> ExitCode {
    if error.kind() == ErrorKind::UnknownArgument && could_be_a_key(error) {
        return fail(EXIT_USAGE, "hash-key has no such option; a key that begins with `-` is read from standard input");
    }
    noted(error.print().and_then(|()| io::stdout().flush()));
    if is_lost() {
        return ExitCode::FAILURE;
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(EXIT_USAGE))
}

/// Whether the unknown argument may be a key: to `hash-key`, and no word that looks like an option of ours.
fn could_be_a_key(error: &Error) -> bool {
    let hashes = std::env::args_os().any(|argument| argument == "hash-key");
    let option = |text: &str| {
        let name = text.strip_prefix("--");
        name.is_some_and(|name| name.len() <= 12 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
    };
    hashes && !matches!(error.get(ContextKind::InvalidArg), Some(ContextValue::String(text)) if option(text))
}

fn groups(command: &Command) -> String {
    let mut out = String::new();
    let grouped = |name: &str| GROUPS.iter().any(|(_, names)| names.contains(&name));
    let others: Vec<&str> = command.get_subcommands().map(Command::get_name).filter(|name| !grouped(name)).collect();
    let last = GROUPS.len() - 1;
    for (at, (heading, names)) in GROUPS.iter().enumerate() {
        let more = if at == last { &others[..] } else { &[] };
        let found: Vec<_> = names.iter().chain(more).filter_map(|name| command.find_subcommand(name)).collect();
        if found.is_empty() {
            continue;
        }
        let _infallible = writeln!(out, "{}", Tone::Heading.paint(format_args!("{heading}:")));
        for command in found {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let name = format!("{:<11}", command.get_name());
            let _infallible = writeln!(out, "  {}  {about}", Tone::Command.paint(name));
        }
        out.push('\n');
    }
    out
}

fn first_steps(command: &Command) -> String {
    let mut out = format!("{}\n", Tone::Heading.paint("First steps:"));
    let there = FIRST_STEPS.iter().filter(|(name, ..)| command.find_subcommand(name).is_some());
    for (_, line, outcome) in there {
        let _infallible = writeln!(out, "  {line:<38}  {}", Tone::Dim.paint(outcome));
    }
    out.push('\n');
    out
}

/// `--color` for what clap itself prints, which is before the arguments are known.
fn early_choice(arguments: impl Iterator<Item = OsString>) -> ColorChoice {
    let arguments: Vec<String> = arguments.map(|argument| argument.to_string_lossy().into_owned()).collect();
    let apart = arguments.iter().zip(arguments.iter().skip(1));
    let apart = apart.filter(|(name, _)| *name == "--color").map(|(_, value)| value.as_str());
    let joined = arguments.iter().filter_map(|argument| argument.strip_prefix("--color="));
    match apart.chain(joined).next() {
        Some("always") => ColorChoice::Always,
        Some("never") => ColorChoice::Never,
        _ => ColorChoice::Auto,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    /// The lines to type of a command's help, as far as they are ours and not the shell's.
    fn examples(command: &Command) -> Vec<Vec<String>> {
        let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let lines = text.lines().filter(|line| line.starts_with("  backstop "));
        let words = lines.map(|line| {
            let ours = line.split_whitespace().take_while(|word| !["|", "<", ">"].contains(word));
            ours.map(str::to_owned).collect()
        });
        words.collect()
    }

    #[test]
    fn every_example_is_one_that_is_understood() {
        for part in command().get_subcommands().filter(|part| part.get_name() != "help") {
            let name = part.get_name();
            let found = examples(part);
            let typed = part.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(typed.contains(&format!("backstop {name}")), "{name} has no example");
            for words in found {
                let line = words.join(" ");
                assert!(command().try_get_matches_from(words).is_ok(), "{line}");
            }
        }
    }

    #[test]
    fn every_command_in_the_documents_is_one_that_is_understood() {
        let mut found = 0;
        for document in [include_str!("../../README.md"), include_str!("../../docs/settings.md")] {
            let lines = document.lines().map(|line| line.strip_prefix("$ ").unwrap_or(line));
            for line in lines {
                let program = ["backstop ", "cargo run --release -- ", "docker run --rm backstop "];
                let Some(rest) = program.iter().find_map(|program| line.strip_prefix(program)) else { continue };
                let words = rest.split_whitespace().take_while(|word| !["|", "<", ">", "#"].contains(word));
                let words: Vec<&str> = std::iter::once("backstop").chain(words).collect();
                assert!(command().try_get_matches_from(&words).is_ok(), "{line}");
                found += 1;
            }
        }
        assert!(found > 5, "{found}");
    }

    #[test]
    fn colours_are_chosen_before_arguments_are_read() {
        let choice = |line: &str| early_choice(line.split(' ').map(OsString::from));
        assert_eq!(choice("backstop --help"), ColorChoice::Auto);
        assert_eq!(choice("backstop --color always --help"), ColorChoice::Always);
        assert_eq!(choice("backstop check --color=never"), ColorChoice::Never);
        assert_eq!(choice("backstop check --color"), ColorChoice::Auto);
    }
}
