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
use crate::config::{Config, ConfigError, Problem, load};

/// A configuration that cannot be served, for machines.
#[derive(Serialize)]
struct Refusal<'a> {
    ok: bool,
    problems: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    path: &'a str,
    source: &'a str,
    what: &'a str,
    hint: Option<&'a str>,
}

pub(super) fn run(path: Option<&Path>, strict: bool, format: Format) -> ExitCode {
    let config = match load(path, environment()).and_then(built) {
        Ok(config) => config,
        Err(error) => {
            match format {
                Format::Json => json(&refusal(&error)),
                Format::Text => text::problems(&error),
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

/// The configuration again, if a gateway can be made of it: certificates are read only then.
fn built(config: Config) -> Result<Config, ConfigError> {
    match app::build(&config) {
        Ok(_gateway) => Ok(config),
        Err(error) => {
            let (path, source) = (String::new(), String::new());
            Err(ConfigError { problems: vec![Problem { path, source, what: error.to_string(), hint: None }] })
        }
    }
}

fn refusal(error: &ConfigError) -> Refusal<'_> {
    let rows = error.problems.iter().map(|problem| Row {
        path: &problem.path,
        source: &problem.source,
        what: &problem.what,
        hint: problem.hint.as_deref(),
    });
    Refusal { ok: false, problems: rows.collect() }
}
