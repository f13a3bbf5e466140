//! What a script says: rules that match requests, the time they are active, and the fault they inject.
//!
//! Owns the JSON shape (strict: an unknown field is an error) and its checks. Refuses to know sockets,
//! clocks and counters: whether a rule is active now is `pick`'s business, what it does is `act`'s.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Everything a simulator plays.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    /// The first rule that matches and is active decides; without one the answer is a healthy one.
    pub rules: Vec<Rule>,
    /// Names for keys (name → secret), used by `match.key` and shown in statistics instead of the last four characters.
    pub keys: BTreeMap<String, String>,
    /// Content chunks of a healthy answer.
    pub chunks: u32,
    /// What every provider, key and model says, in `chunks` pieces, instead of who it is: for answers that one finishes
    /// for another. Tools are called all the same.
    pub answer: Option<String>,
    /// Whether a model goes on from the assistant's own words at the end of a conversation, if its answer begins with
    /// them: all do, or none does. By default as their vendors do: Bedrock's and Claudes before 4.6 go on; later Claudes
    /// refuse (in OpenAI's dialect nobody does), and whoever else speaks OpenAI's dialect begins anew.
    pub prefill: Option<bool>,
    /// Pause between content chunks, ms.
    pub chunk_delay_ms: u64,
    /// Headers added to every answer, faulty or not.
    pub headers: BTreeMap<String, String>,
    /// The models that `GET …/models` lists; any model is answered.
    pub models: Vec<String>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            keys: BTreeMap::new(),
            chunks: 8,
            answer: None,
            prefill: None,
            chunk_delay_ms: 0,
            headers: BTreeMap::new(),
            models: vec!["sim-small".to_owned(), "sim-large".to_owned()],
        }
    }
}

/// One rule: for which requests, when, and what happens to them.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// The fault's name in statistics; by default it is derived from the fault.
    pub name: Option<String>,
    /// Which requests.
    #[serde(rename = "match")]
    pub matches: Match,
    /// When the rule is active.
    pub when: When,
    /// What happens. An empty fault is a healthy answer.
    pub fault: Fault,
}

/// Which requests a rule is for. Absent means any; one `*` in a pattern stands for any text.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    /// First segment of the path.
    pub provider: Option<String>,
    /// The key itself (of a signature: the access key id), its name, or its last four characters.
    pub key: Option<String>,
    /// The `model` of the body, or of the path where the path names it.
    pub model: Option<String>,
    /// The whole path without the query.
    pub path: Option<String>,
}

/// When a rule is active. All conditions given must hold. A rule counts the requests it matches, from 1.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// First and last matching request, inclusive; `null` as last means without end.
    pub requests: Option<(u64, Option<u64>)>,
    /// Not before this many ms after the script was installed.
    pub after_ms: Option<u64>,
    /// Until this many ms after the script was installed: the provider recovers then.
    pub until_ms: Option<u64>,
    /// Every n-th matching request.
    pub every_n: Option<u64>,
    /// Share of the matching requests, 0 to 1: decided by seed and request number, so a run can be repeated.
    pub probability: Option<f64>,
    /// Seed of `probability`.
    pub seed: u64,
}

/// A place in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// The request was read and nothing is written.
    BeforeHeaders,
    /// The head of a 200 is written and no byte of the body.
    AfterHeaders,
    /// Half of the body is written; in a stream, half of the chunks and half of an HTTP chunk.
    MidBody,
}

/// Answers that are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Garbage {
    /// Bytes that are not HTTP.
    NonHttp,
    /// A 200 whose body is not JSON (in a stream: an event whose data is not JSON, and the end).
    NonJson,
    /// A 200 with an HTML page.
    Html,
    /// A 200 without a body (in a stream: without an event).
    Empty,
    /// A 200 with the first half of a JSON answer (in a stream: of one event's data, and the end).
    HalfJson,
}

/// An error by its code alone, or field by field.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(untagged)]
pub enum ErrorSpec {
    /// A vendor's code, type or exception, such as `insufficient_quota`, `overloaded_error`, `ExpiredTokenException`: the
    /// rest is filled in, in the words of the dialect that was asked.
    Code(String),
    /// The error object as it is sent.
    Full(Value),
}

/// An error inside a stream.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StreamError {
    /// Content chunks before it; 0 makes it the first event.
    pub after_chunks: u32,
    /// The event's data; a number stands for that status' usual error, and a name that `fault.error` knows for its error.
    pub body: Value,
}

/// A limit on each key that a rule matches.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KeyLimit {
    /// Requests let through …
    pub requests: u32,
    /// … in any window of this many ms.
    pub per_ms: u64,
}

/// Slow bytes.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Trickle {
    /// Bytes written at a time.
    pub bytes: usize,
    /// Pause after each write, ms.
    pub every_ms: u64,
}

/// What happens to a request. Fields combine (a delayed 429), but at most one decides the end.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fault {
    /// Answer with this status and an error body.
    pub status: Option<u16>,
    /// Headers added to the answer, also to a healthy one (`x-ratelimit-remaining-requests`).
    pub headers: BTreeMap<String, String>,
    /// The body of `status`: text as it is, anything else as JSON.
    pub body: Option<Value>,
    /// The error object of `status`, instead of the usual one. A name alone goes without a `status`: it has its own.
    pub error: Option<ErrorSpec>,
    /// `Retry-After`: a number of seconds or any text.
    pub retry_after: Option<Value>,
    /// Pause before the head, ms.
    pub delay_ms: u64,
    /// Pause between head (and role event) and first content, ms.
    pub first_content_delay_ms: u64,
    /// Write a comment line (`: …`; Anthropic: a `ping`; Bedrock has nothing of the kind) every so many ms while a stream
    /// waits.
    pub keepalive_ms: Option<u64>,
    /// Stop there, connection open, for ever.
    pub hang: Option<Point>,
    /// Reset the connection there (RST).
    pub reset: Option<Point>,
    /// Close the connection there (FIN).
    pub close: Option<Point>,
    /// Close the connection after that many content chunks, without the end of the chunked body.
    pub cut_after_chunks: Option<u32>,
    /// Say nothing more after that many content chunks.
    pub stall_after_chunks: Option<u32>,
    /// An error event in a stream (and the end); a plain answer becomes a 200 with that body.
    pub error_in_stream: Option<StreamError>,
    /// A 200 with this body; a number or a name as in `error_in_stream`.
    pub error_in_200: Option<Value>,
    /// Something else than an answer.
    pub garbage: Option<Garbage>,
    /// One event that is not JSON after that many content chunks; the stream goes on.
    pub malformed_after_chunks: Option<u32>,
    /// What does not check after that many content chunks: a frame with a wrong checksum, and on all other streams and in
    /// plain answers an HTTP chunk whose length is no number.
    pub corrupt_after_chunks: Option<u32>,
    /// Half an event after that many content chunks (half the body of a plain answer), and then an orderly end.
    pub half_event_after_chunks: Option<u32>,
    /// Compress the body although nobody asked.
    pub gzip: bool,
    /// `Content-Length` is off by that much: more than is sent, or less.
    pub wrong_length: Option<i32>,
    /// Header lines without end.
    pub endless_headers: bool,
    /// 429 with `Retry-After` (not Bedrock's) for what is over the limit; below it the rule is not active.
    pub key_limit: Option<KeyLimit>,
    /// No `[DONE]`; no `message_stop`; no `metadata`.
    pub no_done: bool,
    /// No event with a reason to finish.
    pub no_finish: bool,
    /// Content chunks, instead of the script's number.
    pub chunks: Option<u32>,
    /// What is said, instead of the script's `answer`.
    pub answer: Option<String>,
    /// Whether it goes on from a prefill, instead of what the script says.
    pub prefill: Option<bool>,
    /// Pause between content chunks, ms, instead of the script's.
    pub chunk_delay_ms: Option<u64>,
    /// Write the answer slowly.
    pub trickle: Option<Trickle>,
}

/// Why a script was refused: text for people, with the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptError(String);

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "script: {}", self.0)
    }
}

impl std::error::Error for ScriptError {}

impl Script {
    /// A script of these rules.
    #[must_use]
    pub fn of(rules: Vec<Rule>) -> Self {
        Self { rules, ..Self::default() }
    }

    /// Reads JSON5: a script object, or only its list of rules.
    ///
    /// # Errors
    /// Text that is not JSON5, an unknown or ill-typed field, or rules that contradict themselves.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let value: Value = json5::from_str(text).map_err(|e| ScriptError(e.to_string()))?;
        let value = if value.is_array() { serde_json::json!({ "rules": value }) } else { value };
        let script: Self = serde_json::from_value(value).map_err(|e| ScriptError(e.to_string()))?;
        script.check()?;
        Ok(script)
    }

    /// Checks what types cannot say.
    ///
    /// # Errors
    /// The first rule that contradicts itself.
    pub fn check(&self) -> Result<(), ScriptError> {
        check_headers(&self.headers)?;
        for (at, rule) in self.rules.iter().enumerate() {
            rule.check().map_err(|e| ScriptError(format!("rule {}: {}", at + 1, e.0)))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.keys.keys().collect();
        f.debug_struct("Script").field("rules", &self.rules).field("keys", &names).finish_non_exhaustive()
    }
}

impl fmt::Debug for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Match")
            .field("provider", &self.provider)
            .field("key", &self.key.as_ref().map(|_| "…"))
            .field("model", &self.model)
            .field("path", &self.path)
            .finish()
    }
}

impl Rule {
    /// A rule for all requests at all times.
    #[must_use]
    pub fn of(fault: Fault) -> Self {
        Self { fault, ..Self::default() }
    }

    /// The same, for this provider only.
    #[must_use]
    pub fn provider(mut self, provider: &str) -> Self {
        self.matches.provider = Some(provider.to_owned());
        self
    }

    /// The same, for this key only.
    #[must_use]
    pub fn key(mut self, key: &str) -> Self {
        self.matches.key = Some(key.to_owned());
        self
    }

    /// The same, for this model only.
    #[must_use]
    pub fn model(mut self, model: &str) -> Self {
        self.matches.model = Some(model.to_owned());
        self
    }

    /// The same, for the matching requests `from` to `to`, counted from 1, inclusive.
    #[must_use]
    pub fn requests(mut self, from: u64, to: Option<u64>) -> Self {
        self.when.requests = Some((from, to));
        self
    }

    fn check(&self) -> Result<(), ScriptError> {
        let refuse = |text: &str| Err(ScriptError(text.to_owned()));
        let (when, fault) = (&self.when, &self.fault);
        if when.probability.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
            return refuse("`probability` is not between 0 and 1");
        }
        if when.every_n == Some(0) {
            return refuse("`every_n` is 0");
        }
        if fault.status.is_some_and(|s| !(200..=999).contains(&s)) {
            return refuse("`status` is not between 200 and 999");
        }
        let full = matches!(fault.error, Some(ErrorSpec::Full(_)));
        if fault.status.is_none() && fault.key_limit.is_none() && (fault.body.is_some() || full) {
            return refuse("`body`, and an `error` that is no name, need a `status`");
        }
        if fault.trickle.as_ref().is_some_and(|t| t.bytes == 0) {
            return refuse("`trickle.bytes` is 0");
        }
        if fault.endings().len() > 1 {
            return Err(ScriptError(format!("only one of these can happen: {}", fault.endings().join(", "))));
        }
        check_headers(&fault.headers)
    }
}

fn check_headers(headers: &BTreeMap<String, String>) -> Result<(), ScriptError> {
    for (name, value) in headers {
        let good = http::HeaderName::try_from(name).is_ok() && http::HeaderValue::try_from(value).is_ok();
        if !good {
            return Err(ScriptError(format!("`{name}` is not a header")));
        }
    }
    Ok(())
}
