//! The report of a probe: a table for people, JSON for machines, and what to do about each failure.
//!
//! Owns words. Everything of a vendor that gets here was redacted before.

use std::time::Duration;

use comfy_table::{Cell, ContentArrangement};
use serde_json::{Value, json};
use terminal_size::{Width, terminal_size};

use super::super::terminal::{Format, Tone, indented, json as print_json, number, say, table};
use super::ask::{Asked, Round, Verdict};
use crate::config::Config;
use crate::policy::failure::{Failure, Kind};
use crate::server::State;

/// So much of a vendor's words stands in the table, in characters; JSON has all that may be shown.
const SHOWN: usize = 160;

/// Prints the report on standard output.
pub(super) fn print(round: &Round, state: &State, config: &Config, format: Format) {
    match format {
        Format::Text => say(text(round, state, config)),
        Format::Json => print_json(&document(round, state, config)),
    }
}

fn text(round: &Round, state: &State, config: &Config) -> String {
    let mut rows = table(&["VERDICT", "HTTP", "LATENCY", "SLOT"]);
    // A row is a line, so that notes can stand below it. Names come last: they may be as long as they like.
    rows.set_content_arrangement(ContentArrangement::Disabled);
    for asked in &round.slots {
        let (verdict, tone) = verdict(asked);
        rows.add_row([
            tone.cell(verdict),
            number(status(asked).map(|status| status.to_string()).unwrap_or_default()),
            number(asked.latency.map(|latency| format!("{} ms", latency.as_millis())).unwrap_or_default()),
            Cell::new(&state.names.slot(asked.candidate.slot).label),
        ]);
    }
    let rows = indented(&mut rows, 0);
    let mut lines = rows.lines();
    let mut text = lines.next().unwrap_or_default().to_owned();
    let indent = anstream::adapter::strip_str(&text).to_string().find("SLOT").unwrap_or_default();
    for (asked, line) in round.slots.iter().zip(lines) {
        text.push('\n');
        text.push_str(line);
        for (tone, note) in notes(asked) {
            text.push_str(&wrapped(&note, indent, tone));
        }
    }
    text.push_str(&format!("\n\n{}", summary(round)));
    for warning in &config.warnings {
        text.push_str(&wrapped(&format!("note: {warning}"), 0, Tone::Dim));
    }
    text
}

/// In the words of the trail.
fn verdict(asked: &Asked) -> (&'static str, Tone) {
    match &asked.verdict {
        Verdict::Good => ("ok", Tone::Good),
        Verdict::Failed { failure, .. } => (failure.kind.name(), Tone::Bad),
        Verdict::Skipped(_) => ("skipped", Tone::Dim),
        Verdict::Interrupted => ("interrupted", Tone::Warning),
    }
}

fn status(asked: &Asked) -> Option<u16> {
    match &asked.verdict {
        Verdict::Good => Some(200),
        Verdict::Failed { failure, .. } => failure.status,
        Verdict::Skipped(_) | Verdict::Interrupted => None,
    }
}

/// What to do, and what the vendor said.
fn notes(asked: &Asked) -> Vec<(Tone, String)> {
    match &asked.verdict {
        Verdict::Good => Vec::new(),
        Verdict::Failed { failure, words } => {
            let said = words.as_deref().map(|words| (Tone::Dim, format!("\"{}\"", short(words))));
            std::iter::once((Tone::Plain, advice(failure))).chain(said).collect()
        }
        Verdict::Skipped(reason) => vec![(Tone::Dim, (*reason).to_owned())],
        Verdict::Interrupted => vec![(Tone::Dim, "no answer yet when it was ended".to_owned())],
    }
}

/// Lines of whole words, indented, as wide as the terminal.
fn wrapped(text: &str, indent: usize, tone: Tone) -> String {
    let width = terminal_size().map_or(100, |(Width(width), _)| usize::from(width)).clamp(60, 120) - indent;
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && lines[last].chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !lines[last].is_empty() {
                lines[last].push(' ');
            }
            lines[last].push_str(word);
        }
    }
    lines.into_iter().map(|line| format!("\n{:indent$}{}", "", tone.paint(line))).collect()
}

fn short(words: &str) -> String {
    match words.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", words[..end].trim_end_matches('…')),
        None => words.to_owned(),
    }
}

/// What an operator does about it, in a few words.
fn advice(failure: &Failure) -> String {
    let plain = match failure.kind {
        Kind::Auth => "The key is wrong, revoked or expired: replace it.",
        Kind::Billing => "The account has no credit or reached its spending limit: top it up.",
        Kind::RateLimit => match failure.hint {
            Some(hint) => return format!("The key is at its limit: wait {}, or add a key.", period(hint)),
            None => "The key is at its limit: wait, or add a key.",
        },
        Kind::Forbidden => "The key may not use this model here: check its project, region and permissions.",
        Kind::Overloaded => "The vendor is at capacity: nothing to repair, try later.",
        Kind::ServerError => "The vendor's side broke: nothing to repair, try later.",
        Kind::Network => "Nobody was reached: check base_url, DNS, firewall and certificates.",
        Kind::Timeout => "No answer in time: try later, or with a longer --timeout.",
        Kind::BrokenStream => "The answer broke off: try again.",
        Kind::ModelNotFound => "The vendor has no such model for this key: check its name.",
        Kind::TooLarge | Kind::NotCapable | Kind::ContentFilter | Kind::BadRequest => {
            "The key was taken, but the model does not take the probe's question."
        }
        Kind::Cancelled => "The vendor ended it: try again.",
        Kind::Unknown => "The gateway does not know this answer: a `classify` row can name it.",
    };
    plain.to_owned()
}

fn period(period: Duration) -> String {
    humantime::format_duration(Duration::from_secs(period.as_secs().max(1))).to_string()
}

/// How many of each sort.
struct Counts {
    good: usize,
    failed: usize,
    skipped: usize,
    interrupted: usize,
}

impl Counts {
    fn of(round: &Round) -> Self {
        let mut counts = Self { good: 0, failed: 0, skipped: 0, interrupted: 0 };
        for asked in &round.slots {
            *match asked.verdict {
                Verdict::Good => &mut counts.good,
                Verdict::Failed { .. } => &mut counts.failed,
                Verdict::Skipped(_) => &mut counts.skipped,
                Verdict::Interrupted => &mut counts.interrupted,
            } += 1;
        }
        counts
    }
}

fn summary(round: &Round) -> String {
    let counts = Counts::of(round);
    let parts = [
        (counts.good, "ok", Tone::Good),
        (counts.failed, "failed", Tone::Bad),
        (counts.skipped, "skipped", Tone::Dim),
        (counts.interrupted, "interrupted", Tone::Warning),
    ];
    let parts = parts.into_iter().filter(|(count, ..)| *count > 0);
    let parts: Vec<String> =
        parts.map(|(count, what, tone)| tone.paint(format_args!("{count} {what}")).to_string()).collect();
    let mut summary = parts.join(", ");
    if counts.good + counts.failed + counts.interrupted == 0 {
        summary.push_str(": no slot could be asked");
    }
    summary
}

fn document(round: &Round, state: &State, config: &Config) -> Value {
    let counts = Counts::of(round);
    json!({
        "ok": round.is_good() && !round.interrupted,
        "interrupted": round.interrupted,
        "counts": {
            "ok": counts.good,
            "failed": counts.failed,
            "skipped": counts.skipped,
            "interrupted": counts.interrupted,
        },
        "slots": round.slots.iter().map(|asked| row(asked, state)).collect::<Vec<_>>(),
        "warnings": config.warnings,
    })
}

fn row(asked: &Asked, state: &State) -> Value {
    let name = state.names.slot(asked.candidate.slot);
    let (message, advice, hint) = match &asked.verdict {
        Verdict::Failed { failure, words } => (words.as_deref(), Some(advice(failure)), failure.hint),
        Verdict::Skipped(reason) => (Some(*reason), None, None),
        Verdict::Good | Verdict::Interrupted => (None, None, None),
    };
    json!({
        "slot": name.label,
        "provider": name.provider,
        "model": name.model,
        "key": name.key,
        "chains": asked.candidate.chains,
        "endpoint": asked.candidate.question.as_ref().ok().map(|question| question.endpoint.name()),
        "verdict": verdict(asked).0,
        "status": status(asked),
        "latency_ms": asked.latency.map(|latency| latency.as_millis() as u64),
        "retry_after_ms": hint.map(|hint| hint.as_millis() as u64),
        "message": message,
        "advice": advice,
    })
}
