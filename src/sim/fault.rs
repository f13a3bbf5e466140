//! What can be said about a fault without playing it: its name, its ending, and the catalogue of all faults.
//!
//! Owns the names used in statistics and the list that "every single fault" tests walk through. Refuses to
//! know sockets and time.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::dialect::Dialect;
use super::script::{ErrorSpec, Fault, Garbage, KeyLimit, Point, Rule, StreamError, Trickle};

/// When a client that talks to the faulty provider notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Never: the answer is slow or odd, but whole.
    Harmless,
    /// Before the first content: a gateway can hide it.
    BeforeContent,
    /// After content was sent.
    AfterContent,
}

/// One fault of the catalogue.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    /// Its name, unique in the catalogue and the one counted in the statistics.
    pub name: &'static str,
    /// The rule that injects it into every request.
    pub rule: Rule,
    /// Its stage in a stream.
    pub stream: Stage,
    /// Its stage in a plain answer, which a gateway reads whole before it passes anything on.
    pub plain: Stage,
    /// Whose own it is; `None` if all dialects have it. Elsewhere it is the nearest that there is, at the same stages: an
    /// expired token is a wrong key to OpenAI.
    pub dialect: Option<Dialect>,
}

impl Fault {
    /// That status with its usual error body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self { status: Some(status), ..Self::default() }
    }

    /// That status with the usual error of `code`.
    #[must_use]
    pub fn error(status: u16, code: &str) -> Self {
        Self { status: Some(status), error: Some(ErrorSpec::Code(code.to_owned())), ..Self::default() }
    }

    /// The usual error of that name, with the status that it has in the dialect that was asked.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { error: Some(ErrorSpec::Code(name.to_owned())), ..Self::default() }
    }

    /// Whether it is an error by name alone.
    pub(super) fn is_named_error(&self) -> bool {
        self.status.is_none() && self.key_limit.is_none() && matches!(self.error, Some(ErrorSpec::Code(_)))
    }

    /// The parts of the fault that decide how the answer ends; more than one contradict each other.
    pub(super) fn endings(&self) -> Vec<String> {
        let at = |name: &str, point: Option<Point>| point.map(|p| format!("{name}_{}", p.word()));
        [
            self.status.map(|s| format!("status_{s}")),
            match &self.error {
                Some(ErrorSpec::Code(name)) if self.is_named_error() => Some(format!("error_{name}")),
                Some(ErrorSpec::Code(_) | ErrorSpec::Full(_)) | None => None,
            },
            at("hang", self.hang),
            at("reset", self.reset),
            at("close", self.close),
            self.cut_after_chunks.map(|_| "cut".to_owned()),
            self.stall_after_chunks.map(|_| "stall".to_owned()),
            self.error_in_stream.as_ref().map(|_| "error_in_stream".to_owned()),
            self.error_in_200.as_ref().map(|_| "error_in_200".to_owned()),
            self.corrupt_after_chunks.map(|_| "corrupt".to_owned()),
            self.half_event_after_chunks.map(|_| "half_event".to_owned()),
            self.garbage.map(|g| format!("garbage_{}", g.word())),
            self.wrong_length.map(|_| "wrong_length".to_owned()),
            self.endless_headers.then(|| "endless_headers".to_owned()),
            self.key_limit.as_ref().map(|_| "key_limit".to_owned()),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Whether a client gets the whole answer.
    pub(super) fn leaves_answer_whole(&self) -> bool {
        self.endings().is_empty() && !self.no_finish
    }

    /// A name for the statistics.
    pub(super) fn describe(&self) -> String {
        if let Some(ending) = self.endings().into_iter().next() {
            return ending;
        }
        let rest = [
            (self.no_finish, "no_finish"),
            (self.no_done, "no_done"),
            (self.malformed_after_chunks.is_some(), "malformed_chunk"),
            (self.gzip, "gzip"),
            (self.trickle.is_some(), "trickle"),
            (self.first_content_delay_ms > 0, "first_content_delay"),
            (self.delay_ms > 0, "delay"),
            (!self.headers.is_empty(), "headers"),
        ];
        rest.iter().find(|(is, _)| *is).map_or("healthy", |(_, name)| name).to_owned()
    }
}

impl Point {
    fn word(self) -> &'static str {
        match self {
            Self::BeforeHeaders => "before_headers",
            Self::AfterHeaders => "after_headers",
            Self::MidBody => "mid_body",
        }
    }
}

impl Garbage {
    fn word(self) -> &'static str {
        match self {
            Self::NonHttp => "non_http",
            Self::NonJson => "non_json",
            Self::Html => "html",
            Self::Empty => "empty",
            Self::HalfJson => "half_json",
        }
    }
}

/// Every fault of the simulator, each as a rule for all requests.
///
/// A test narrows the rules with [`Rule::provider`] and [`Rule::key`]. Delays are short (at most 50 ms); the
/// hanging ones wait for the client's own limits. What the request itself is to blame for (a prompt that is too long, a
/// refusal) is not among them: no other provider would have taken it. Scripts have it by name ([`Fault::named`]).
#[must_use]
pub fn faults() -> Vec<Listed> {
    use Stage::{AfterContent as After, BeforeContent as Before, Harmless};
    let mut all: Vec<Listed> = Vec::new();
    let mut add = |name: &'static str, stream: Stage, plain: Stage, fault: Fault| {
        let rule = Rule { name: Some(name.to_owned()), fault, ..Rule::default() };
        all.push(Listed { name, rule, stream, plain, dialect: None });
    };
    for (name, fault) in refusals() {
        add(name, Before, Before, fault);
    }
    for (name, fault) in breakages() {
        add(name, Before, Before, fault);
    }
    for (name, fault) in half_answers() {
        add(name, After, Before, fault);
    }
    for (name, fault) in oddities() {
        add(name, Harmless, Harmless, fault);
    }
    add("no_finish", After, Harmless, Fault { no_finish: true, no_done: true, ..Fault::default() });
    add("length_too_long", Harmless, Before, Fault { wrong_length: Some(64), ..Fault::default() });
    add("length_too_short", Harmless, Before, Fault { wrong_length: Some(-10), ..Fault::default() });
    all.extend(vendors_own().into_iter().map(|(name, dialect, stream, fault)| {
        let rule = Rule { name: Some(name.to_owned()), fault, ..Rule::default() };
        Listed { name, rule, stream, plain: Before, dialect: Some(dialect) }
    }));
    all
}

/// The catalogue as JSON: `[{name, rule, stream, plain}]`, each rule as a script takes it.
///
/// # Errors
/// None is known: rules are plain data.
pub(super) fn listing() -> serde_json::Result<Value> {
    let mut listing = serde_json::to_value(faults())?;
    prune(&mut listing);
    Ok(listing)
}

/// Drops what only says that a field is absent; numbers stay, since a 0 may be meant.
fn prune(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(prune);
            fields.retain(|_, field| !field.is_null() && *field != Value::Bool(false));
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

/// Errors that the provider says clearly.
fn refusals() -> Vec<(&'static str, Fault)> {
    let limit = KeyLimit { requests: 0, per_ms: 1_000 };
    vec![
        ("status_401", Fault::status(401)),
        ("status_402", Fault::status(402)),
        ("status_403", Fault::status(403)),
        ("status_404_model", Fault::error(404, "model_not_found")),
        ("status_408", Fault::status(408)),
        ("status_429", Fault::status(429)),
        ("status_429_retry_after", Fault { retry_after: Some(2.into()), ..Fault::status(429) }),
        ("status_429_quota", Fault::error(429, "insufficient_quota")),
        ("status_500", Fault::status(500)),
        ("status_502_html", Fault { body: Some("<html>502 Bad Gateway</html>".into()), ..Fault::status(502) }),
        ("status_503", Fault::status(503)),
        ("status_504_empty", Fault { body: Some("".into()), ..Fault::status(504) }),
        ("status_529", Fault::status(529)),
        ("key_limit", Fault { key_limit: Some(limit), ..Fault::default() }),
        ("error_in_200", Fault { error_in_200: Some(529.into()), ..Fault::default() }),
        ("error_in_first_event", error_in_stream(0, 529.into())),
    ]
}

/// Failures before any content that nobody says.
fn breakages() -> Vec<(&'static str, Fault)> {
    let base = Fault::default;
    let garbage = |g: Garbage| Fault { garbage: Some(g), ..base() };
    vec![
        ("hang_before_headers", Fault { hang: Some(Point::BeforeHeaders), ..base() }),
        ("hang_after_headers", Fault { hang: Some(Point::AfterHeaders), ..base() }),
        ("hang_with_comments", Fault { hang: Some(Point::AfterHeaders), keepalive_ms: Some(20), ..base() }),
        ("reset_before_headers", Fault { reset: Some(Point::BeforeHeaders), ..base() }),
        ("reset_after_headers", Fault { reset: Some(Point::AfterHeaders), ..base() }),
        ("close_before_headers", Fault { close: Some(Point::BeforeHeaders), ..base() }),
        ("close_after_headers", Fault { close: Some(Point::AfterHeaders), ..base() }),
        ("cut_before_content", Fault { cut_after_chunks: Some(0), ..base() }),
        ("stall_before_content", Fault { stall_after_chunks: Some(0), ..base() }),
        ("garbage_non_http", garbage(Garbage::NonHttp)),
        ("garbage_non_json", garbage(Garbage::NonJson)),
        ("garbage_html", garbage(Garbage::Html)),
        ("garbage_empty", garbage(Garbage::Empty)),
        ("garbage_half_json", garbage(Garbage::HalfJson)),
        ("gzip", Fault { gzip: true, ..base() }),
        ("endless_headers", Fault { endless_headers: true, ..base() }),
    ]
}

/// Failures after content.
fn half_answers() -> Vec<(&'static str, Fault)> {
    let base = Fault::default;
    vec![
        ("hang_mid_body", Fault { hang: Some(Point::MidBody), ..base() }),
        ("reset_mid_body", Fault { reset: Some(Point::MidBody), ..base() }),
        ("close_mid_body", Fault { close: Some(Point::MidBody), ..base() }),
        ("cut_after_3_chunks", Fault { cut_after_chunks: Some(3), ..base() }),
        ("stall_after_3_chunks", Fault { stall_after_chunks: Some(3), ..base() }),
        ("error_after_3_chunks", error_in_stream(3, 529.into())),
        ("corrupt_after_3_chunks", Fault { corrupt_after_chunks: Some(3), ..base() }),
        ("half_event_after_3_chunks", Fault { half_event_after_chunks: Some(3), ..base() }),
    ]
}

/// Slow or odd answers that are whole.
fn oddities() -> Vec<(&'static str, Fault)> {
    let base = Fault::default;
    let headers = |headers: &[(&str, &str)]| -> BTreeMap<String, String> {
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let empty = [("x-ratelimit-remaining-requests", "0"), ("anthropic-ratelimit-requests-remaining", "0")];
    vec![
        ("delay", Fault { delay_ms: 50, ..base() }),
        ("first_content_delay", Fault { first_content_delay_ms: 50, ..base() }),
        ("comments_first", Fault { first_content_delay_ms: 50, keepalive_ms: Some(10), ..base() }),
        ("trickle", Fault { trickle: Some(Trickle { bytes: 100, every_ms: 1 }), ..base() }),
        ("no_done", Fault { no_done: true, ..base() }),
        ("malformed_chunk", Fault { malformed_after_chunks: Some(2), ..base() }),
        ("quota_at_zero", Fault { headers: headers(&empty), ..base() }),
        ("retry_after_in_200", Fault { headers: headers(&[("retry-after", "30")]), ..base() }),
    ]
}

/// What one vendor has and the others have not: whose, and its stage in a stream. In a plain answer all come first.
fn vendors_own() -> Vec<(&'static str, Dialect, Stage, Fault)> {
    use Dialect::{Anthropic, Bedrock};
    use Stage::{AfterContent as After, BeforeContent as Before};
    vec![
        ("credit_too_low", Anthropic, Before, Fault::named("credit_balance_too_low")),
        ("expired_token", Bedrock, Before, Fault::named("ExpiredTokenException")),
        ("model_not_ready", Bedrock, Before, Fault::named("ModelNotReadyException")),
        ("model_error", Bedrock, Before, Fault::named("ModelErrorException")),
        ("throttled_in_first_event", Bedrock, Before, error_in_stream(0, "throttlingException".into())),
        ("stream_error_after_3_chunks", Bedrock, After, error_in_stream(3, "modelStreamErrorException".into())),
        ("expired_token_after_3_chunks", Bedrock, After, error_in_stream(3, "ExpiredTokenException".into())),
    ]
}

fn error_in_stream(after_chunks: u32, body: Value) -> Fault {
    Fault { error_in_stream: Some(StreamError { after_chunks, body }), ..Fault::default() }
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;
    use crate::sim::Script;

    #[test]
    fn the_listing_is_what_a_script_takes() {
        let listing = listing().expect("JSON");
        let listed = listing.as_array().expect("a list");
        assert_eq!(listed.len(), faults().len());
        for (listed, fault) in listed.iter().zip(faults()) {
            let script = Script::parse(&Value::Array(vec![listed["rule"].clone()]).to_string()).expect("a script");
            assert_eq!(format!("{:?}", script.rules), format!("{:?}", [fault.rule]), "{listed}");
            assert_eq!(listed["stream"] == "after_content", fault.stream == Stage::AfterContent, "{listed}");
        }
    }
}
