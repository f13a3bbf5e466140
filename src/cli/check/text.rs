//! The report for people: chains first, warnings last, where the eye ends up.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use comfy_table::{Cell, ColumnConstraint, Table, Width};

use super::Row;
use super::report::{ChainRow, KeyRow, LevelRow, ProviderRow, Report, Warning};
use crate::cli::terminal::{Tone, block, complain, indented, number, say, table};

/// Everything that is wrong, on standard error.
pub(super) fn problems(problems: &[Row]) {
    let count = problems.len();
    let what = if count == 1 { "1 problem".to_owned() } else { format!("{count} problems") };
    complain(format_args!("{}", Tone::Bad.paint(format_args!("backstop: {what} in the configuration"))));
    for (index, problem) in problems.iter().enumerate() {
        // What is wrong with the whole file is headed by its name.
        let (place, source) = match (problem.path.as_str(), problem.source.as_str()) {
            ("", "") => ("the configuration", ""),
            ("", source) => (source, ""),
            (path, source) => (path, source),
        };
        let mut rows = block();
        rows.use_stderr();
        rows.add_row([Tone::Bad.cell(index + 1), Tone::Heading.cell(place)]);
        rows.add_row([Tone::Plain.cell(""), Tone::Plain.cell(&problem.what)]);
        if let Some(hint) = &problem.hint {
            rows.add_row([Tone::Good.cell("→"), Tone::Good.cell(hint)]);
        }
        if !source.is_empty() {
            rows.add_row([Tone::Plain.cell(""), Tone::Dim.cell(format_args!("in {source}"))]);
        }
        complain(format_args!("\n{}", indented(&mut rows, 2)));
    }
}

/// The whole report, on standard output.
pub(super) fn report(report: &Report, path: Option<&Path>) {
    chains(report);
    providers(&report.providers);
    cooldowns(report);
    limits(report);
    clients(report);
    warnings(&report.warnings);
    verdict(report, path);
}

fn heading(text: &str) {
    say(Tone::Heading.paint(text));
}

fn period(period: Duration) -> String {
    humantime::format_duration(period).to_string()
}

fn chains(report: &Report) {
    heading("Chains");
    if report.chains.is_empty() {
        say(Tone::Dim.paint("  none: a model is asked as `provider/model`"));
    }
    for chain in &report.chains {
        say(format_args!("  {}{}", Tone::Command.paint(&chain.name), Tone::Dim.paint(traits(chain))));
        let mut rows = table(&["", "target", "keys", "window", "images", "tools", "schema"]);
        for level in &chain.levels {
            rows.add_row(level_cells(level));
        }
        give_room(&mut rows, chain);
        say(format_args!("{}\n", indented(&mut rows, 2)));
    }
    for alias in &report.aliases {
        say(format_args!("  {} stands for {}", Tone::Command.paint(&alias.name), alias.stands_for));
    }
    let unsure = |level: &LevelRow| {
        [level.vision, level.tools, level.json_schema].contains(&None) || level.context_window.is_none()
    };
    if report.chains.iter().flat_map(|chain| &chain.levels).any(unsure) {
        say(format_args!("  {}", Tone::Dim.paint("? is unknown and counts as able; `models` can say what is so")));
    }
    let unknown = match report.unknown_model {
        "default" => "any other model goes along `default`",
        _ => "a model that nothing names is refused",
    };
    say(format_args!("  {}\n", Tone::Dim.paint(unknown)));
}

/// Names of models are worth their room, reasons and keys wrap well.
fn give_room(rows: &mut Table, chain: &ChainRow) {
    // Margin, number, window, abilities; then a reason's or a key's longest words.
    const OTHERS: u16 = 2 + 3 + 8 + 8 + 7 + 8;
    const KEYS: u16 = 14;
    let longest = chain.levels.iter().map(|level| level.target.len()).max().unwrap_or_default();
    let wanted = u16::try_from(longest + 2).unwrap_or(u16::MAX);
    let room = rows.width().map_or(u16::MAX, |width| width.saturating_sub(OTHERS + KEYS).max(20));
    if let Some(targets) = rows.column_mut(1) {
        targets.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(wanted.min(room))));
    }
}

fn traits(chain: &ChainRow) -> String {
    let mut text = String::new();
    if chain.continue_on_content_filter {
        text.push_str("  goes on after a content refusal");
    }
    if chain.equivalent {
        text.push_str("  equivalent for embeddings");
    }
    text
}

fn level_cells(level: &LevelRow) -> Vec<Cell> {
    let asked = level.skipped.is_none();
    let keys = match level.skipped {
        Some(why) => Tone::Warning.cell(format_args!("skipped: {}", reason(why))),
        None if level.keys.len() > 1 && level.key_order != "ordered" => {
            Tone::Plain.cell(format_args!("{} ({})", level.keys.join(", "), level.key_order))
        }
        None => Tone::Plain.cell(level.keys.join(", ")),
    };
    let target = if asked { Tone::Plain } else { Tone::Dim }.cell(&level.target);
    let window = level.context_window.map_or_else(|| number("?"), |window| number(tokens(window)));
    vec![number(level.level), target, keys, window, able(level.vision), able(level.tools), able(level.json_schema)]
}

/// `128000` as `128k`, `1047576` as `1.0M`.
fn tokens(window: u64) -> String {
    match window {
        0..10_000 => window.to_string(),
        10_000..1_000_000 => format!("{}k", window / 1_000),
        _ => format!("{}.{}M", window / 1_000_000, window % 1_000_000 / 100_000),
    }
}

fn able(known: Option<bool>) -> Cell {
    match known {
        Some(true) => Tone::Good.cell("yes"),
        Some(false) => Tone::Warning.cell("no"),
        None => Tone::Dim.cell("?"),
    }
}

fn reason(word: &str) -> &str {
    match word {
        "no_key" => "no key is set",
        "dialect_not_served" => "not served yet",
        "no_key_in_use" => "none of its keys may be used",
        other => other,
    }
}

fn providers(providers: &[ProviderRow]) {
    heading("Providers");
    let some = providers.iter().any(|provider| provider.endpoints.is_some());
    let columns = ["name", "dialect", "address", "keys", "speaks only"];
    let mut rows = table(if some { &columns } else { &columns[..4] });
    for provider in providers {
        let keys = match provider.skipped {
            Some(why) => Tone::Warning.cell(format_args!("skipped: {}", reason(why))),
            None => Tone::Plain.cell(keys(provider)),
        };
        let dialect = match &provider.api_version {
            Some(version) => Tone::Plain.cell(format_args!("{} (Azure {version})", provider.dialect)),
            None => Tone::Plain.cell(provider.dialect),
        };
        let mut cells = vec![Tone::Plain.cell(&provider.name), dialect, Tone::Plain.cell(&provider.address), keys];
        if some {
            cells.push(Tone::Plain.cell(provider.endpoints.as_deref().unwrap_or_default().join(", ")));
        }
        rows.add_row(cells);
    }
    say(format_args!("{}\n", indented(&mut rows, 2)));
}

fn keys(provider: &ProviderRow) -> String {
    let keys = provider.keys.iter().map(|key| {
        let mut notes = Vec::new();
        notes.extend(credential(key));
        if key.disabled {
            notes.push("disabled".to_owned());
        }
        notes.extend(key.quota_group.as_ref().map(|group| format!("group {group}")));
        notes.extend(key.address.as_ref().map(|address| format!("at {address}")));
        if notes.is_empty() { key.name.clone() } else { format!("{} ({})", key.name, notes.join(", ")) }
    });
    keys.collect::<Vec<_>>().join(", ")
}

/// What is worth knowing of a key's kind.
fn credential(key: &KeyRow) -> Option<String> {
    let of_aws = match (key.credential, &key.aws_profile) {
        ("none", _) => return Some("sends no key".to_owned()),
        ("oauth_token", _) => return Some("OAuth token".to_owned()),
        ("aws_keys", _) => "AWS access key".to_owned(),
        ("aws_environment", _) => "AWS access key of the environment".to_owned(),
        ("aws_profile", Some(name)) => format!("AWS profile {name}"),
        ("aws_profile", None) => "AWS profile".to_owned(),
        ("aws_container", _) => "role of the container".to_owned(),
        ("aws_instance", _) => "role of the machine".to_owned(),
        ("aws_default", _) => "AWS's default chain".to_owned(),
        _ => return None,
    };
    let region = key.region.as_ref().map_or_else(String::new, |region| format!(" in {region}"));
    Some(format!("{of_aws}{region}"))
}

fn cooldowns(report: &Report) {
    heading("Cooldowns");
    let mut rows = table(&["after", "cools the", "first", "then", "at most"]);
    for row in &report.cooldowns {
        let then = if row.factor == 1 { "the same".to_owned() } else { format!("× {}", row.factor) };
        let (first, cap) = (period(row.first), period(row.cap));
        rows.add_row(vec![
            Tone::Plain.cell(row.kind),
            Tone::Plain.cell(row.cools),
            number(first),
            number(then),
            number(cap),
        ]);
    }
    say(indented(&mut rows, 2));
    let rules = &report.cooldown_rules;
    let lines = [
        format!(
            "a vendor's hint wins for rate_limit and overloaded, from {} to {}, with a probe every {}",
            period(rules.hint_min),
            period(rules.hint_max),
            period(rules.hint_probe_every)
        ),
        format!("after auth and billing a probe every {}", period(rules.key_probe_every)),
        format!(
            "{} keys that fail alike within {} cool their target; {} network failures within {} their endpoint",
            rules.target_keys,
            period(rules.target_window),
            rules.endpoint_failures,
            period(rules.endpoint_window)
        ),
    ];
    let mut rows = block();
    for line in lines {
        rows.add_row([Tone::Dim.cell("·"), Tone::Dim.cell(line)]);
    }
    say(format_args!("{}\n", indented(&mut rows, 2)));
}

fn limits(report: &Report) {
    heading("One request");
    let run = &report.run;
    let same = if run.same_target_wait.is_zero() {
        String::new()
    } else {
        format!("; {} for a rate limit that ends so soon", period(run.same_target_wait))
    };
    let lines = [
        ("attempts", format!("{}, {} on one target", run.max_attempts, run.max_attempts_per_target)),
        ("deadline", period(run.deadline)),
        ("waits", format!("{} when everything cools{same}", period(run.max_wait))),
        (
            "first content",
            format!("{}; {} for models that reason", period(run.first_content), period(run.first_content_reasoning)),
        ),
        ("whole answer", period(run.response_timeout)),
        ("stall", period(run.stall)),
    ];
    let mut rows = block();
    for (name, value) in lines {
        rows.add_row([Tone::Dim.cell(name), Tone::Plain.cell(value)]);
    }
    say(format_args!("{}\n", indented(&mut rows, 2)));
}

fn clients(report: &Report) {
    heading("Clients");
    let local = report.listen.parse::<SocketAddr>().is_ok_and(|listen| listen.ip().to_canonical().is_loopback());
    let keys = match &report.client_keys[..] {
        [] if local => "anybody on this machine; no client key is asked for".to_owned(),
        [] => "anybody who reaches it; no client key is asked for".to_owned(),
        [one] => format!("with the key `{one}`"),
        keys => format!("with one of {} keys: {}", keys.len(), keys.join(", ")),
    };
    say(format_args!("  http://{}  {keys}\n", report.listen));
}

fn warnings(warnings: &[Warning]) {
    if warnings.is_empty() {
        return;
    }
    heading("Warnings");
    let mut rows = block();
    for warning in warnings {
        let mut mark = Tone::Warning.cell("!");
        if !warning.place.is_empty() {
            rows.add_row([mark, Tone::Warning.cell(&warning.place)]);
            mark = Tone::Plain.cell("");
        }
        rows.add_row([mark, Tone::Plain.cell(&warning.what)]);
        if let Some(cure) = &warning.cure {
            rows.add_row([Tone::Good.cell("→"), Tone::Dim.cell(cure)]);
        }
    }
    say(format_args!("{}\n", indented(&mut rows, 2)));
}

fn verdict(report: &Report, path: Option<&Path>) {
    let (chains, slots, warnings) = (report.chains.len(), report.slots(), report.warnings.len());
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let good = match chains {
        0 => format!("good: {}", counted(report.providers.len(), "provider")),
        _ => format!("good: {}, {}", counted(chains, "chain"), counted(slots, "slot")),
    };
    let more = if warnings == 0 { String::new() } else { format!(", {}", counted(warnings, "warning")) };
    say(format_args!("{}{}", Tone::Good.paint(good), Tone::Warning.paint(more)));
    let with = path.map_or_else(String::new, |path| format!(" --config {}", path.display()));
    say(format_args!("start it: {}", Tone::Command.paint(format_args!("backstop serve{with}"))));
}
