//! A gateway's status as people read it: a head line, and the slots of each chain in the order they are tried.
//!
//! Owns what of `/status` is shown, and its words. Refuses to know where it came from.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use comfy_table::{Cell, ContentArrangement};
use serde::Deserialize;

use super::super::terminal::{Tone, indented, number, table};
use super::source::Source;

/// What is read of `/status`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Status {
    version: String,
    now: String,
    uptime_ms: u64,
    requests_in_flight: f64,
    chains: Vec<Chain>,
    slots: Vec<Slot>,
}

#[derive(Debug, Clone, Deserialize)]
struct Chain {
    name: String,
    targets: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Slot {
    target: String,
    key: String,
    in_chain: bool,
    usable: bool,
    state: String,
    unserved: Option<String>,
    blocked_by: Option<Lane>,
    kind: Option<String>,
    status: Option<u16>,
    streak: u32,
    until: Option<String>,
    remaining_ms: u64,
    last_success: Option<String>,
    in_flight: u32,
}

#[derive(Debug, Clone, Deserialize)]
struct Lane {
    lane: String,
}

const HEADS: [&str; 7] = ["SLOT", "STATE", "KIND", "STREAK", "UNTIL (UTC)", "LAST SUCCESS", "IN FLIGHT"];

impl Status {
    /// Reads a status; what is none, somebody else must have sent.
    ///
    /// # Errors
    /// It is not the status of a Backstop.
    pub(super) fn read(answer: &[u8], source: &Source) -> Result<Self, String> {
        serde_json::from_slice(answer).map_err(|error| {
            let what = if error.is_data() {
                format!("its /status lacks something ({error})")
            } else {
                "its /status is not JSON".into()
            };
            source.stranger(&what)
        })
    }

    /// The whole of it. With the time of day if there will be more than one.
    pub(super) fn text(&self, dated: bool) -> String {
        let mut headings = Vec::new();
        let mut slots = Vec::new();
        for chain in &self.chains {
            for (place, target) in chain.targets.iter().enumerate() {
                let begins = (place == 0).then_some(chain.name.as_str());
                let of_target = self.slots.iter().filter(|slot| slot.target == *target);
                group(begins, target, of_target, &mut headings, &mut slots);
            }
        }
        // Nobody tries these by himself: only what happened to them is of interest.
        let mut begins = Some("models outside of the chains");
        for slot in self.slots.iter().filter(|slot| !slot.in_chain && slot.is_used()) {
            group(begins.take(), &slot.target, [slot], &mut headings, &mut slots);
        }
        self.lines(dated, &headings, &slots)
    }

    /// One table for all, so that columns are the same everywhere, with the headings between its lines.
    fn lines(&self, dated: bool, headings: &[String], slots: &[&Slot]) -> String {
        let mut rows = table(&HEADS);
        // A row is a line: what does not fit, the window cuts.
        rows.set_content_arrangement(ContentArrangement::Disabled);
        rows.add_rows(slots.iter().map(|slot| self.row(slot)));
        let rows = indented(&mut rows, 4);
        let mut lines = rows.lines();
        let mut text = format!("{}\n\n{}", self.head(dated), lines.next().unwrap_or_default());
        for (heading, line) in headings.iter().zip(lines) {
            text.push('\n');
            text.push_str(heading);
            text.push_str(line);
        }
        text
    }

    fn head(&self, dated: bool) -> String {
        let slots = || self.slots.iter().filter(|slot| slot.in_chain);
        let (usable, all) = (slots().filter(|slot| slot.usable).count(), slots().count());
        let tone = match usable {
            0 => Tone::Bad,
            some if some == all => Tone::Good,
            _ => Tone::Warning,
        };
        let mut head = Tone::Heading.paint(format_args!("Backstop {}", self.version)).to_string();
        if dated {
            let _infallible = write!(head, " · {} UTC", time_of_day(&self.now));
        }
        let _infallible = write!(
            head,
            " · up {} · {} in flight · {}",
            period(Duration::from_millis(self.uptime_ms)),
            counted(self.requests_in_flight as u64, "request"),
            tone.paint(format_args!("{usable} of {} usable", counted(all as u64, "slot"))),
        );
        head
    }

    fn row(&self, slot: &Slot) -> [Cell; HEADS.len()] {
        let (state, tone) = slot.state();
        let quiet = if slot.usable { Tone::Dim } else { Tone::Plain };
        let count = |count: u32| number(if count == 0 { String::new() } else { count.to_string() });
        [
            Cell::new(format!("@{}", slot.key)),
            tone.cell(state),
            quiet.cell(slot.kind()),
            count(slot.streak),
            Cell::new(slot.until()),
            Cell::new(if slot.state == "disabled" { String::new() } else { self.ago(slot.last_success.as_deref()) }),
            count(slot.in_flight),
        ]
    }

    fn ago(&self, then: Option<&str>) -> String {
        let Some(then) = then else { return "never".to_owned() };
        let both = (humantime::parse_rfc3339(&self.now), humantime::parse_rfc3339(then));
        match both {
            (Ok(now), Ok(then)) => format!("{} ago", period(since(now, then))),
            _ => then.to_owned(),
        }
    }
}

/// Notes the rows of one target, and what stands above the first of them.
fn group<'a>(
    chain: Option<&str>,
    target: &str,
    of_target: impl IntoIterator<Item = &'a Slot>,
    headings: &mut Vec<String>,
    slots: &mut Vec<&'a Slot>,
) {
    let chain = chain.map(|chain| format!("\n{}\n", Tone::Heading.paint(chain))).unwrap_or_default();
    let mut heading = format!("{chain}  {target}\n");
    for slot in of_target {
        headings.push(std::mem::take(&mut heading));
        slots.push(slot);
    }
}

impl Slot {
    /// Whether anything happened to the slot itself.
    fn is_used(&self) -> bool {
        let own = self.blocked_by.as_ref().is_some_and(|lane| lane.lane == "slot");
        own || self.last_success.is_some() || self.in_flight > 0
    }

    /// The state in words, with the lane if it is not the slot's own.
    fn state(&self) -> (String, Tone) {
        if let Some(why) = &self.unserved {
            return (why.replace('_', " "), Tone::Dim);
        }
        let tone = match self.state.as_str() {
            "ready" => Tone::Good,
            "cooling" => Tone::Bad,
            "disabled" => Tone::Dim,
            _ => Tone::Warning,
        };
        let state = self.state.replace('_', "-");
        match &self.blocked_by {
            Some(lane) if lane.lane != "slot" => (format!("{state} ({})", lane.lane), tone),
            _ => (state, tone),
        }
    }

    fn kind(&self) -> String {
        match (&self.kind, self.status) {
            (Some(kind), Some(status)) => format!("{kind} {status}"),
            (Some(kind), None) => kind.clone(),
            (None, _) => String::new(),
        }
    }

    /// What is left, and when it ends: with its day if that is not within a day.
    fn until(&self) -> String {
        let Some(until) = &self.until else { return String::new() };
        let left = Duration::from_millis(self.remaining_ms);
        let end = if left < Duration::from_secs(86_400) {
            time_of_day(until)
        } else {
            until.trim_end_matches('Z').replace('T', " ")
        };
        format!("{} ({end})", period(left))
    }
}

fn since(now: SystemTime, then: SystemTime) -> Duration {
    now.duration_since(then).unwrap_or_default()
}

/// `2026-11-23T01:33:08.123Z` without its day and its fractions.
fn time_of_day(rfc3339: &str) -> String {
    let time = rfc3339.split_once('T').map_or(rfc3339, |(_, time)| time);
    time.split(['.', 'Z']).next().unwrap_or_default().to_owned()
}

/// To the second, and no more than its two largest units: `9m 58s`, `2h 5m`.
fn period(period: Duration) -> String {
    let text = humantime::format_duration(Duration::from_secs(period.as_secs())).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        assert_eq!(period(Duration::from_millis(598_900)), "9m 58s");
        assert_eq!(period(Duration::from_secs(7_503)), "2h 5m");
        assert_eq!(period(Duration::ZERO), "0s");
        assert_eq!(time_of_day("2026-11-23T01:33:08.123Z"), "01:33:08");
        assert_eq!(time_of_day("2026-11-23T01:33:08Z"), "01:33:08");
        assert_eq!((counted(1, "slot"), counted(2, "slot")), ("1 slot".into(), "2 slots".into()));
    }
}
