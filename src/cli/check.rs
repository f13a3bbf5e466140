//! `backstop check`.
//!
//! Reads and builds what `serve` would, and says what came of it. What is shown is put together in `report`, once for
//! people and machines.

mod report;
mod text;

use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use self::report::Report;
use super::terminal::{Format, json};
use super::{EXIT_USAGE, environment};
use crate::app;
use crate::config::{Config, Problem, load};

/// A configuration that cannot be served, for machines.
#[derive(Serialize)]
struct Refusal<'a> {
    ok: bool,
    problems: &'a [Row],
}

/// One mistake, for people and machines.
#[derive(Serialize)]
struct Row {
    path: String,
    source: String,
    what: String,
    hint: Option<String>,
}

pub(super) fn run(path: Option<&Path>, strict: bool, format: Format) -> ExitCode {
    let config = match read(path) {
        Ok(config) => config,
        Err(problems) => {
            match format {
                Format::Json => json(&Refusal { ok: false, problems: &problems }),
                Format::Text => text::problems(&problems),
            }
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let report = Report::of(&config);
    match format {
        Format::Json => json(&report),
        Format::Text => text::report(&report, path),
    }
    ExitCode::from(u8::from(strict && !report.warnings.is_empty()))
}

/// The configuration, if a gateway can be made of it, too: certificates are read only then.
fn read(path: Option<&Path>) -> Result<Config, Vec<Row>> {
    let config = load(path, environment()).map_err(|error| {
        let row = |bad: Problem| {
            let source = bad.line.map_or_else(|| bad.source.clone(), |line| format!("{}:{line}", bad.source));
            // Lines are indented for another place.
            let hint = bad.hint.map(|hint| hint.lines().map(str::trim).collect::<Vec<_>>().join("\n"));
            Row { path: bad.path, source, what: bad.what, hint }
        };
        error.problems.into_iter().map(row).collect::<Vec<_>>()
    })?;
    match app::build(&config) {
        Ok(_gateway) => Ok(config),
        Err(error) => {
            let (path, hint) = (error.path.to_owned(), error.hint.map(str::to_owned));
            Err(vec![Row { path, source: String::new(), what: error.what, hint }])
        }
    }
}
