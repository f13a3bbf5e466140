//! The gateway's own log, as something that can be awaited: the demo tells what is logged, not what it hopes for.
//!
//! Owns the way from `tracing`'s events to lines with fields. Refuses to know what they mean.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Lines that may wait to be told. More than that nobody reads.
const WAITING: usize = 1024;

/// One line of the log.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    /// What it says: `failover`, `recovered`, `request`, …
    pub message: String,
    /// All else, by name.
    pub fields: Map<String, Value>,
}

impl Line {
    /// A field as text, empty if it is not there.
    pub(super) fn text(&self, field: &str) -> &str {
        self.fields.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// A field as a number.
    pub(super) fn number(&self, field: &str) -> Option<u64> {
        self.fields.get(field).and_then(Value::as_u64)
    }
}

/// The log of this process from now on.
pub(super) struct Log {
    lines: mpsc::Receiver<Line>,
    lost: Arc<AtomicU64>,
}

impl Log {
    /// Takes all log lines of the gateway.
    ///
    /// # Errors
    /// Logging was started before.
    pub(super) fn start() -> Result<Self, String> {
        let (sender, lines) = mpsc::channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let tap = Tap { sender, lost: Arc::clone(&lost) }.with_filter(LevelFilter::INFO);
        tracing_subscriber::registry().with(tap).try_init().map_err(|error| error.to_string())?;
        Ok(Self { lines, lost })
    }

    /// What was logged since somebody asked last.
    pub(super) fn drain(&mut self) -> Vec<Line> {
        std::iter::from_fn(|| self.lines.try_recv().ok()).collect()
    }

    /// The next line; `None` never comes while the process logs.
    pub(super) async fn next(&mut self) -> Option<Line> {
        self.lines.recv().await
    }

    /// How many lines did not fit since somebody asked last.
    pub(super) fn lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }
}

struct Tap {
    sender: mpsc::Sender<Line>,
    lost: Arc<AtomicU64>,
}

impl<S: Subscriber> Layer<S> for Tap {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if !event.metadata().target().starts_with("backstop") {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let line = Line { message: fields.message, fields: fields.others };
        if self.sender.try_send(line).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.others.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" { self.message = text } else { self.put(field, text) }
    }
}
