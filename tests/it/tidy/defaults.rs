//! The documentation's defaults are the constants of the code.
//!
//! Reads table rows ``| `run.deadline` | 600 s | … |`` from README.md and docs/settings.md. A row names a setting as the
//! configuration does; periods may stand in any unit. docs/settings.md must have every setting.

use std::fs;
use std::time::Duration;

use backstop::policy::settings::{CooldownSettings, Ladder, RunSettings};

use super::{none, root};

/// A documented value with its periods in milliseconds, so that `10 min` and `600 s` are the same.
fn normal(text: &str) -> String {
    let text = text.replace(['`', '%'], "").replace(',', " , ").replace('×', " × ");
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut out = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let unit = match words.get(at + 1) {
            Some(&"ms") => Some(1.0),
            Some(&"s") => Some(1_000.0),
            Some(&"min") => Some(60_000.0),
            Some(&"h") => Some(3_600_000.0),
            _ => None,
        };
        match (words[at].parse::<f64>(), unit) {
            (Ok(number), Some(unit)) => {
                out.push(format!("{}ms", number * unit));
                at += 2;
            }
            _ => {
                out.push(words[at].to_owned());
                at += 1;
            }
        }
    }
    out.join(" ")
}

fn period(value: Duration) -> String {
    format!("{} ms", value.as_millis())
}

fn ladder(value: Ladder) -> String {
    format!("{} × {}, {}", period(value.first), value.factor, period(value.cap))
}

/// Every setting of the contract with its default, under the name it has in the configuration.
fn defaults() -> Vec<(&'static str, String)> {
    let (run, cool) = (RunSettings::default(), CooldownSettings::default());
    let ladders = cool.ladders;
    vec![
        ("run.max_attempts", run.max_attempts.to_string()),
        ("run.max_attempts_per_target", run.max_attempts_per_target.to_string()),
        ("run.deadline", period(run.deadline)),
        ("run.max_wait", period(run.max_wait)),
        ("run.same_target_wait", period(run.same_target_wait)),
        ("run.retry_pause_min", period(run.retry_pause_min)),
        ("run.retry_pause_max", period(run.retry_pause_max)),
        ("run.first_content", period(run.first_content)),
        ("run.first_content_reasoning", period(run.first_content_reasoning)),
        ("run.response_timeout", period(run.response_timeout)),
        ("run.stall", period(run.stall)),
        ("run.stream_headers_after", period(run.stream_headers_after)),
        ("cooldowns.auth", ladder(ladders.auth)),
        ("cooldowns.billing", ladder(ladders.billing)),
        ("cooldowns.rate_limit", ladder(ladders.rate_limit)),
        ("cooldowns.forbidden", ladder(ladders.forbidden)),
        ("cooldowns.overloaded", ladder(ladders.overloaded)),
        ("cooldowns.server_error", ladder(ladders.server_error)),
        ("cooldowns.network", ladder(ladders.network)),
        ("cooldowns.timeout", ladder(ladders.timeout)),
        ("cooldowns.broken_stream", ladder(ladders.broken_stream)),
        ("cooldowns.model_not_found", ladder(ladders.model_not_found)),
        ("run.keep_alive", period(run.keep_alive)),
        ("cooldowns.jitter_percent", cool.jitter_percent.to_string()),
        ("cooldowns.model_keys", cool.model_keys.to_string()),
        ("cooldowns.hint_min", period(cool.hint_min)),
        ("cooldowns.hint_max", period(cool.hint_max)),
        ("cooldowns.hint_probe_every", period(cool.hint_probe_every)),
        ("cooldowns.key_probe_every", period(cool.key_probe_every)),
        ("cooldowns.blip_attempts", cool.blip_attempts.to_string()),
        ("cooldowns.blip_percent", cool.blip_percent.to_string()),
        ("cooldowns.blip_window", period(cool.blip_window)),
        ("cooldowns.target_keys", cool.target_keys.to_string()),
        ("cooldowns.target_window", period(cool.target_window)),
        ("cooldowns.endpoint_failures", cool.endpoint_failures.to_string()),
        ("cooldowns.endpoint_window", period(cool.endpoint_window)),
        ("cooldowns.probe_verdict", period(cool.probe_verdict)),
        ("cooldowns.streak_memory", period(cool.streak_memory)),
        ("cooldowns.quota_rest_max", period(cool.quota_rest_max)),
        ("cooldowns.forced_probe_pace", cool.forced_probe_pace.map(period).join(", ")),
        ("cooldowns.max_waiters", cool.max_waiters.to_string()),
    ]
}

/// The rows ``| `name` | default | …`` of all tables in a text.
fn rows(text: &str) -> Vec<(String, String)> {
    let cells = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    cells.map(|(name, rest)| (name.to_owned(), rest.split('|').next().unwrap_or_default().trim().to_owned())).collect()
}

/// Settings whose documented default is not the real one; with `all`, also those that are not documented.
fn wrong_defaults(text: &str, all: bool) -> Vec<String> {
    let rows = rows(text);
    let mut wrong = Vec::new();
    for (name, value) in defaults() {
        let documented: Vec<_> = rows.iter().filter(|(row, _)| row == name).collect();
        if all && documented.is_empty() {
            wrong.push(format!("`{name}` is not documented"));
        }
        let different = documented.iter().filter(|(_, text)| normal(text) != normal(&value));
        wrong.extend(different.map(|(_, text)| format!("`{name}` is documented as {text:?}, but is {value:?}")));
    }
    wrong
}

#[test]
fn documented_defaults_are_the_real_ones() {
    let right = "| `run.deadline` | 10 min | x |\n| `cooldowns.auth` | 10 min × 2, 1 h | x |\n| `run.max_wait` | 5 s |";
    none(&wrong_defaults(right, false));
    assert_eq!(wrong_defaults("| `run.deadline` | 60 s | x |\n| `run.same_target_wait` | 2.5 s |", false).len(), 1);
    assert_eq!(wrong_defaults("", true).len(), defaults().len());
    let mut complaints = Vec::new();
    for (path, all) in [("README.md", false), ("docs/settings.md", true)] {
        match fs::read_to_string(root().join(path)) {
            Ok(text) => complaints.extend(wrong_defaults(&text, all).iter().map(|what| format!("{path}: {what}"))),
            Err(_) => println!("{path} is not there yet: its defaults are not checked"),
        }
    }
    none(&complaints);
}
