//! Log lines: text for people, JSON for machines.
//!
//! Owns the subscriber and how points in time are written. Secrets never get here.

use std::time::Duration;

use tracing::Metadata;
use tracing_subscriber::filter::{EnvFilter, FilterFn, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::clock::wall;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging to standard error. `level` is a level or a filter (`info,backstop=debug`).
///
/// # Errors
/// The filter is wrong, or logging was started before.
pub fn start(format: Format, level: &str, colour: bool) -> Result<(), String> {
    let filter = EnvFilter::try_new(level).map_err(|error| format!("log level {level:?}: {error}"))?;
    let lines = tracing_subscriber::registry().with(filter).with(ours());
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        Format::Text => lines.with(layer.with_ansi(colour).with_target(false)).try_init(),
        Format::Json => lines.with(layer.json().flatten_event(true).with_current_span(false)).try_init(),
    }
    .map_err(|error| error.to_string())
}

/// What may be logged at all: AWS's crates write down, at their finest levels, the answers that hold credentials.
#[must_use]
pub fn ours() -> FilterFn<fn(&Metadata<'_>) -> bool> {
    filter_fn(|metadata| !metadata.target().starts_with("aws_"))
}

/// The wall-clock time in `from_now`, in RFC 3339, to the second.
#[must_use]
pub fn wall_clock_in(from_now: Duration) -> String {
    humantime::format_rfc3339_seconds(wall() + from_now).to_string()
}

/// The wall-clock time `ago`, in RFC 3339, to the millisecond.
#[must_use]
pub fn wall_clock_ago(ago: Duration) -> String {
    humantime::format_rfc3339_millis(wall() - ago).to_string()
}
