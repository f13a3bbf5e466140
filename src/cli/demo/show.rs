//! How the demo looks: lines for people, one JSON object per event for machines.
//!
//! Owns words and layout. Refuses to know why something happened; what it shows was read from headers, `/status` and
//! the log.

use std::borrow::Cow;
use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::live::Line;
use super::stage::{Answer, Stage};
use crate::cli::terminal::{Format, Painted, Tone, say, table};

/// A slot's column: with mark, outcome and cooldown behind it a row fits into 80.
const SLOT: usize = 46;
/// Cells of the cooldown's bar.
const BAR: u64 = 20;
/// What a cooldown's line takes; a narrower terminal would wrap it.
const COOLING: u16 = 79;

/// One piece of a trail: who was asked or skipped, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attempt {
    pub slot: String,
    pub outcome: String,
}

impl Attempt {
    /// A target that was passed over.
    pub(super) fn is_skipped(&self) -> bool {
        self.outcome.starts_with("skipped")
    }

    /// Somebody was asked and gave no good answer.
    pub(super) fn is_failed(&self) -> bool {
        !self.is_skipped() && !self.outcome.starts_with("ok")
    }
}

/// One event for machines; its name comes first.
#[derive(Serialize)]
struct Told<'a> {
    event: &'a str,
    #[serde(flatten)]
    fields: Value,
}

/// Reads `x-backstop-trail`.
pub(super) fn attempts(trail: &str) -> Vec<Attempt> {
    let one = |piece: &str| {
        let (slot, outcome) = piece.rsplit_once('=')?;
        Some(Attempt { slot: slot.to_owned(), outcome: outcome.to_owned() })
    };
    trail.split(", ").filter_map(one).collect()
}

/// The copy-paste lines of the last screen.
pub(super) struct Lines {
    pub ask: String,
    pub break_it: String,
    pub heal_it: String,
}

impl Lines {
    pub(super) fn of(stage: &Stage) -> Self {
        let first = stage.simulators().next().map(|(_, url)| url).unwrap_or_default();
        Self {
            ask: format!(
                "curl -i {}/chat/completions \\\n  -H 'content-type: application/json' \\\n  \
                 -d '{{\"model\":\"default\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'",
                stage.base_url()
            ),
            break_it: format!(
                "curl {first}/script \\\n  -d \"[{{ match: {{ key: '{}' }}, fault: {{ status: 429, retry_after: 20 }} }}]\"",
                super::stage::PRIMARY
            ),
            heal_it: format!("curl {first}/script -d '[]'"),
        }
    }
}

/// Where everything is told.
pub(super) struct Show {
    format: Format,
    /// A person watches: there is time to read, and a cooldown counts down in its place.
    pub(super) live: bool,
    /// A line is on the screen that the next one replaces.
    open: Cell<bool>,
    /// The second that was told last, where nothing can be replaced.
    second: Cell<Option<u64>>,
}

impl Show {
    pub(super) fn new(format: Format) -> Self {
        let wide = table(&[]).width().is_some_and(|width| width >= COOLING);
        let live = format == Format::Text && wide && std::io::stdout().is_terminal();
        Self { format, live, open: Cell::new(false), second: Cell::new(None) }
    }

    /// One event in both shapes: the object, or the lines.
    fn tell(&self, event: &str, fields: Value, lines: impl FnOnce() -> String) {
        self.close();
        match self.format {
            Format::Text => say(lines()),
            Format::Json => say(serde_json::to_string(&Told { event, fields }).unwrap_or_default()),
        }
    }

    /// Ends a line that was left open.
    pub(super) fn close(&self) {
        if self.open.replace(false) {
            say("");
        }
    }

    pub(super) fn opening(&self, stage: &Stage) {
        let targets: Vec<Value> =
            stage.chain.iter().map(|(name, keys)| json!({ "target": name, "keys": keys })).collect();
        let fields = json!({
            "url": format!("http://{}", stage.address), "instead_of": stage.instead_of.map(|taken| taken.to_string()),
            "template": "config/article.json5", "chain": "default", "targets": targets,
        });
        self.tell("listening", fields, || {
            let mut text = String::new();
            if let Some(taken) = stage.instead_of {
                let note = format!("Somebody else listens on {taken}, so this takes a free port.\n\n");
                text.push_str(&Tone::Warning.paint(note).to_string());
            }
            let head = Tone::Heading.paint("Backstop: several keys, several providers, one address.");
            let url = Tone::Command.paint(stage.base_url());
            text.push_str(&format!(
                "{head}\nAll in one process: config/article.json5, simulated providers, real sockets.\n\n"
            ));
            text.push_str(&format!("  your program ──▶ {url} ──▶ model \"default\", in this order:\n"));
            for (no, (name, keys)) in stage.chain.iter().enumerate() {
                let who = match keys.as_slice() {
                    [] => Tone::Dim.paint("not served yet".to_owned()),
                    [one] => Tone::Plain.paint(format!("key {one}")),
                    more => Tone::Plain.paint(format!("keys {}", more.join(", "))),
                };
                text.push_str(&format!("    {}. {name:<50} {who}\n", no + 1));
            }
            text.trim_end().to_owned()
        });
    }

    pub(super) fn step(&self, no: u32, name: &str, title: &str, remark: &str) {
        let fields = json!({ "no": no, "step": name, "title": title, "remark": remark });
        self.tell("step", fields, || {
            let remark = if remark.is_empty() { String::new() } else { format!("\n  {}", Tone::Dim.paint(remark)) };
            format!("\n{}  {}{remark}", Tone::Heading.paint(no), Tone::Heading.paint(title))
        });
    }

    /// An answer with the failovers that the gateway logged for it.
    pub(super) fn answer(&self, answer: &Answer, failovers: &[Line], remark: &str) {
        if self.format == Format::Json {
            failovers.iter().for_each(|line| self.line(line));
        }
        let took = millis(answer.took);
        let fields = json!({
            "status": answer.status.as_u16(), "took_ms": took, "request": answer.told("request-id"),
            "provider": answer.told("provider"), "model": answer.told("model"), "key": answer.told("key"),
            "attempts": answer.told("attempts").parse::<u64>().ok(), "trail": answer.told("trail"),
            "overhead_ms": answer.told("overhead-ms").parse::<f64>().ok(), "remark": remark,
        });
        self.tell("answer", fields, || {
            let mut cools = failovers.iter().map(|line| line.number("cooldown_ms"));
            let mut text = String::new();
            for attempt in attempts(answer.told("trail")) {
                let cooldown = if attempt.is_failed() { cools.next().flatten() } else { None };
                text.push_str(&row(&attempt.slot, &attempt.outcome, cooldown));
                text.push('\n');
            }
            let status = status(answer.status.as_u16());
            let own = Tone::Dim.paint(format!("({} ms of it Backstop's)", answer.told("overhead-ms")));
            let remark = if remark.is_empty() { String::new() } else { format!("\n    {remark}") };
            format!("{text}  {} your program got {status} after {took} ms {own}{remark}", Tone::Command.paint("←"))
        });
    }

    /// How many of several requests each slot answered at the first attempt.
    pub(super) fn shares(&self, shares: &[(String, usize)]) {
        let fields: Vec<Value> =
            shares.iter().map(|(slot, count)| json!({ "slot": slot, "answered": count })).collect();
        self.tell("shares", json!({ "shares": fields }), || {
            let row =
                |(slot, count): &(String, usize)| format!("  {} {slot:<SLOT$} answered {count}", Tone::Good.paint("✓"));
            shares.iter().map(row).collect::<Vec<_>>().join("\n")
        });
    }

    /// A cooldown on its way: counted down in place for a person, once a second for everything else.
    pub(super) fn cooling(&self, name: &str, left: Duration, whole: Duration) {
        if self.live {
            let gone = BAR.saturating_sub(BAR * millis(left) / millis(whole).max(1));
            let cells = |count: u64, cell: &str| cell.repeat(usize::try_from(count).unwrap_or(0));
            let bar = Tone::Warning.paint(cells(BAR - gone, "█"));
            let rest = Tone::Dim.paint(cells(gone, "░"));
            let mut out = anstream::stdout().lock();
            let seconds = left.as_secs_f64();
            let _gone = write!(out, "\r  … {name:<SLOT$} {bar}{rest} {seconds:>4.1} s").and_then(|()| out.flush());
            self.open.set(true);
            return;
        }
        let seconds = left.as_millis().div_ceil(1000) as u64;
        if self.second.replace(Some(seconds)) != Some(seconds) {
            let fields = json!({ "name": name, "remaining_ms": millis(left) });
            self.tell("cooling", fields, || format!("  … {name:<SLOT$} usable in {:.1} s", left.as_secs_f64()));
        }
    }

    /// A cooldown's end.
    pub(super) fn cooled(&self, name: &str) {
        self.second.set(None);
        let line = format!("  … {name:<SLOT$} may be asked again");
        if self.open.replace(false) {
            say(format_args!("\r{line:<width$}", width = usize::from(COOLING)));
            return;
        }
        self.tell("cooled", json!({ "name": name }), || line);
    }

    /// What the gateway logged.
    pub(super) fn line(&self, line: &Line) {
        self.tell(&line.message, Value::Object(line.fields.clone()), || match line.message.as_str() {
            "failover" => {
                let outcome = match line.number("status") {
                    Some(status) => format!("{}:{status}", line.text("kind")),
                    None => line.text("kind").to_owned(),
                };
                row(line.text("from"), &outcome, line.number("cooldown_ms"))
            }
            "recovered" => {
                let what = Tone::Good.paint("has recovered");
                format!("  {} {:<SLOT$} {what}", Tone::Good.paint("✓"), line.text("name"))
            }
            "request" => request(line),
            other => {
                let fields: Vec<String> = line.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
                Tone::Dim.paint(format!("  · {other} {}", fields.join(" "))).to_string()
            }
        });
    }

    /// Lines that came faster than they could be told.
    pub(super) fn lost(&self, count: u64) {
        self.tell("lost", json!({ "lines": count }), || {
            Tone::Dim.paint(format!("  · and {count} more lines")).to_string()
        });
    }

    /// The story went as told.
    pub(super) fn told(&self) {
        self.tell("told", json!({}), || {
            format!("\n{}", Tone::Good.paint("Every request above was answered with a 200."))
        });
    }

    /// The story took another way.
    pub(super) fn departed(&self, why: &str) {
        self.tell("departed", json!({ "why": why }), || {
            format!("\n{} {why}", Tone::Bad.paint("This did not go as told:"))
        });
    }

    /// What to do now.
    pub(super) fn ready(&self, stage: &Stage) {
        let lines = Lines::of(stage);
        let url = format!("http://{}", stage.address);
        let simulators: Map<String, Value> =
            stage.simulators().map(|(name, url)| (name.to_owned(), url.into())).collect();
        let fields = json!({
            "curl": lines.ask, "base_url": stage.base_url(), "status": format!("{url}/status"),
            "metrics": format!("{url}/metrics"), "break": lines.break_it, "heal": lines.heal_it,
            "simulators": simulators,
        });
        self.tell("ready", fields, || {
            let first = stage.simulators().next().map(|(_, url)| url).unwrap_or_default();
            let head = |text: &'static str| Tone::Heading.paint(text);
            format!(
                "\n{}\n\n{}\n\n  OpenAI SDK   base_url=\"{}\", any api_key\n  Who cools    {url}/status\n  Prometheus   \
                 {url}/metrics\n\n{}\n\n{}\n\n  Heal it      {}\n  More faults  {first}/faults\n\n{}",
                head("Your turn"),
                indented(&lines.ask),
                stage.base_url(),
                head("Break Anthropic's first key, then ask again"),
                indented(&lines.break_it),
                Tone::Command.paint(&lines.heal_it),
                head("What you do is told here. Ctrl-C ends it."),
            )
        });
    }
}

/// A command as it can be copied: shown with two spaces before each line.
fn indented(command: &str) -> String {
    let lines = command.lines().map(|line| format!("  {}", Tone::Command.paint(line)));
    lines.collect::<Vec<_>>().join("\n")
}

/// A slot's name in its column: of a long one, the end of the model is left out.
fn fitted(slot: &str) -> Cow<'_, str> {
    let length = slot.chars().count();
    let Some((target, key)) = slot.rsplit_once('@').filter(|_| length > SLOT) else { return Cow::Borrowed(slot) };
    let room = SLOT.saturating_sub(key.chars().count() + 2);
    Cow::Owned(format!("{}…@{key}", target.chars().take(room).collect::<String>()))
}

/// One attempt or skipped target.
fn row(slot: &str, outcome: &str, cooldown: Option<u64>) -> String {
    let slot = fitted(slot);
    // That a failure came behind a 200 is true, and says nothing here.
    let outcome = if outcome.starts_with("ok") { outcome } else { outcome.trim_end_matches(":200") };
    let words = outcome.replacen(':', " ", 1);
    let (mark, words) = match words.split_once(' ') {
        Some(("ok", _)) => (Tone::Good.paint("✓"), Tone::Good.paint(words)),
        Some(("skipped", why)) => {
            let why = if why == "dialect_not_served" { "not served yet" } else { why };
            return Tone::Dim.paint(format!("  - {slot:<SLOT$} skipped: {why}")).to_string();
        }
        _ => (Tone::Bad.paint("✗"), Tone::Bad.paint(words)),
    };
    let cools =
        cooldown.map_or_else(String::new, |ms| format!("  {}", Tone::Warning.paint(format!("cools {}", seconds(ms)))));
    format!("  {mark} {slot:<SLOT$} {words}{cools}")
}

/// A request of the user's, as it was logged.
fn request(line: &Line) -> String {
    let code = line.number("status").and_then(|code| u16::try_from(code).ok()).unwrap_or(0);
    let served = attempts(line.text("trail")).pop().filter(|last| last.outcome.starts_with("ok"));
    let who = served.map(|last| format!(" from {}", last.slot)).unwrap_or_default();
    let count = match line.text("attempts") {
        "" => String::new(),
        "1" => ", 1 attempt".to_owned(),
        count => format!(", {count} attempts"),
    };
    format!("  {} {} {}{who}{count}", Tone::Command.paint("←"), line.text("endpoint"), status(code))
}

fn status(code: u16) -> Painted<String> {
    let reason = http::StatusCode::from_u16(code).ok().and_then(|code| code.canonical_reason()).unwrap_or_default();
    let tone = if code < 400 { Tone::Good } else { Tone::Bad };
    tone.paint(format!("{code} {reason}"))
}

fn seconds(ms: u64) -> String {
    let tenths = ms.div_ceil(100);
    if tenths < 600 { format!("{}.{} s", tenths / 10, tenths % 10) } else { format!("{} min", ms.div_ceil(60_000)) }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_slot_keeps_its_provider_and_its_key() {
        assert_eq!(fitted("openai/gpt-4o@Primary"), "openai/gpt-4o@Primary");
        let long = fitted("bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0@Primary");
        assert_eq!(long.chars().count(), SLOT);
        assert!(long.starts_with("bedrock/anthropic.claude") && long.ends_with("…@Primary"), "{long}");
    }

    #[test]
    fn a_trail_is_read_piece_by_piece() {
        let trail = "a/m:0@One=rate_limit:429, b/x=skipped:dialect_not_served, c/m@Two=network, c/m@Two=ok:200";
        let read: Vec<(String, String)> =
            attempts(trail).into_iter().map(|attempt| (attempt.slot, attempt.outcome)).collect();
        let wanted = [("a/m:0@One", "rate_limit:429"), ("b/x", "skipped:dialect_not_served"), ("c/m@Two", "network")];
        let wanted = wanted.iter().chain(&[("c/m@Two", "ok:200")]);
        assert!(read.iter().map(|(slot, outcome)| (slot.as_str(), outcome.as_str())).eq(wanted.copied()), "{read:?}");
        assert!(attempts("").is_empty());
    }

    #[test]
    fn rows_fit_into_80_columns() {
        let longest = "openrouter/anthropic/claude-3.5-sonnet@Primary";
        let plain = anstream::adapter::strip_str(&row(longest, "rate_limit:429", Some(19_999))).to_string();
        assert_eq!(plain, format!("  ✗ {longest} rate_limit 429  cools 20.0 s"));
        assert!(plain.chars().count() <= 80, "{plain}");
        assert_eq!(seconds(623_399), "11 min");
    }
}
