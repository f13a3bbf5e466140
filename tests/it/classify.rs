//! The failure classifier against real error traffic and against the repository's own corpus.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod recorded;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use backstop::dialect::error::{facts, facts_in_event, facts_of_exception, redact, safe_message};
use backstop::dialect::hint::{quota_rest, retry_hint};
use backstop::policy::classify::{Family, Overrides, classify};
use backstop::policy::failure::{Failure, Kind};
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use recorded::RECORDED;
use serde_json::Value;

/// 2026-01-31T12:00:00Z, the corpus' now.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_769_860_800)
}

fn header_map<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            map.append(name, value);
        }
    }
    map
}

#[test]
fn the_corpus_is_classified_as_written() {
    let corpus = include_str!("../fixtures/errors.jsonl");
    let mut wrong = Vec::new();
    let mut rows = 0;
    for line in corpus.lines() {
        let row: Value = serde_json::from_str(line).expect("a row is JSON");
        let name = row["name"].as_str().expect("a name");
        let kind = Kind::from_name(row["kind"].as_str().expect("a kind")).unwrap_or_else(|| panic!("kind of {name}"));
        let hint = row["hint_ms"].as_u64().map(Duration::from_millis);
        let failure = classify_row(&row).unwrap_or_else(|| panic!("{name}: no error was seen"));
        if (failure.kind, failure.hint) != (kind, hint) {
            wrong.push(format!("{name}: {failure:?}, expected {kind:?} {hint:?}"));
        }
        assert_eq!(failure.status.map(u64::from), row["status"].as_u64(), "{name}");
        rows += 1;
    }
    assert!(wrong.is_empty(), "{} of {rows} rows:\n{}", wrong.len(), wrong.join("\n"));
    assert!(rows >= 200, "the corpus has only {rows} rows");
}

fn classify_row(row: &Value) -> Option<Failure> {
    let family = Family::from_name(row["family"].as_str()?)?;
    let status = u16::try_from(row["status"].as_u64()?).ok()?;
    let body = match &row["body"] {
        Value::String(text) => text.clone(),
        json => json.to_string(),
    };
    let headers = row["headers"].as_object().into_iter().flatten();
    let headers = header_map(headers.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))));
    let facts = if let Some(exception) = row["exception"].as_str() {
        facts_of_exception(exception, body.as_bytes())
    } else if row["event"] == true {
        facts_in_event(family, status, body.as_bytes())?
    } else {
        facts(family, status, &headers, body.as_bytes(), now())
    };
    Some(classify(&facts, &Overrides::default()))
}

#[test]
fn every_recorded_error_is_classified_as_expected() {
    let Some(recorded) = recorded() else { return };
    let expected: BTreeMap<&str, Kind> =
        RECORDED.iter().flat_map(|(kind, ids)| ids.iter().map(move |id| (*id, *kind))).collect();
    let index = std::fs::read_to_string(recorded.join("index.jsonl")).expect("the index");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for line in index.lines() {
        let entry: Value = serde_json::from_str(line).expect("an index line");
        let tagged = entry["tags"].as_array().is_some_and(|tags| tags.iter().any(|tag| tag == "error"));
        if !tagged && entry["status"].as_u64().is_none_or(|status| status < 400) {
            continue;
        }
        seen += 1;
        let id = entry["id"].as_str().expect("an id");
        let file = std::fs::read_to_string(recorded.join(entry["file"].as_str().expect("a file"))).expect("a fixture");
        let got = classify_exchange(&serde_json::from_str(&file).expect("a fixture is JSON"));
        let kind = got.map(|failure| failure.kind);
        if kind != expected.get(id).copied() || kind.is_none() {
            wrong.push(format!("{id}: {kind:?}, expected {:?}", expected.get(id)));
        }
    }
    assert!(wrong.is_empty(), "{} of {seen}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(seen, expected.len(), "a row stands for a fixture that is no more");
}

/// Where the recorded traffic is; `None`, and a line that says so, if it is not there.
fn recorded() -> Option<PathBuf> {
    let fixtures = std::env::var_os("BACKSTOP_FIXTURES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"), PathBuf::from);
    let recorded = fixtures.join("recorded");
    if recorded.is_dir() {
        return Some(recorded);
    }
    assert!(std::env::var("CI").is_err(), "no recorded traffic at {}", recorded.display());
    eprintln!("skipped: no recorded traffic at {} (BACKSTOP_FIXTURES names another place)", recorded.display());
    None
}

fn classify_exchange(exchange: &Value) -> Option<Failure> {
    let family = match exchange["provider"].as_str()? {
        "anthropic" => Family::Anthropic,
        "bedrock" => Family::Bedrock,
        "gemini" | "vertex" => Family::Gemini,
        "cohere" => Family::Cohere,
        "ollama" if exchange["api"] == "ollama-chat" => Family::Ollama,
        _ => Family::OpenAi,
    };
    let response = &exchange["response"];
    let status = u16::try_from(response["status"].as_u64()?).ok()?;
    let pairs = response["headers"].as_array()?.iter();
    let headers = header_map(pairs.filter_map(|pair| Some((pair[0].as_str()?, pair[1].as_str()?))));
    let body = &response["body"];
    let facts = match (status, body["text"].as_str(), body["base64"].as_str()) {
        (200, Some(text), _) => text
            .lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .find_map(|data| facts_in_event(family, status, data.as_bytes()))?,
        (200, None, Some(frames)) => exception(&base64(frames))?,
        (_, text, _) => facts(family, status, &headers, text.unwrap_or_default().as_bytes(), now()),
    };
    Some(classify(&facts, &Overrides::default()))
}

/// The facts of an AWS event stream's first frame: 12 bytes of prelude, headers of (length, name, type 7,
/// length, value), payload, 4 bytes of checksum.
fn exception(frame: &[u8]) -> Option<backstop::policy::classify::Facts> {
    let number = |at: usize| Some(u32::from_be_bytes(frame.get(at..at + 4)?.try_into().ok()?) as usize);
    let (total, headers_end) = (number(0)?, 12 + number(4)?);
    let mut at = 12;
    let mut headers = BTreeMap::new();
    while at < headers_end {
        let name_end = at + 1 + usize::from(*frame.get(at)?);
        let value_at = name_end + 3;
        let value_end = value_at + usize::from(u16::from_be_bytes(frame.get(name_end + 1..value_at)?.try_into().ok()?));
        headers.insert(frame.get(at + 1..name_end)?, frame.get(value_at..value_end)?);
        at = value_end;
    }
    assert_eq!(headers.get(b":message-type".as_slice()), Some(&b"exception".as_slice()));
    let name = std::str::from_utf8(headers.get(b":exception-type".as_slice())?).ok()?;
    Some(facts_of_exception(name, frame.get(headers_end..total - 4)?))
}

fn base64(text: &str) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bits = 0_u32;
    let mut held = 0;
    let mut bytes = Vec::new();
    for byte in text.bytes().filter(|byte| *byte != b'=') {
        bits = bits << 6 | alphabet.iter().position(|known| *known == byte).expect("base64") as u32;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    bytes
}

fn any_family() -> impl Strategy<Value = Family> {
    prop::sample::select(Family::ALL.to_vec())
}

fn header_name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "retry-after",
        "retry-after-ms",
        "x-amzn-errortype",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
        "x-ratelimit-remaining-tokens",
        "x-ratelimit-reset-tokens",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    ])
}

fn header_value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>().prop_filter("a header byte", |byte| *byte >= 32 && *byte != 127), 0..24),
        "[0-9]{1,25}(\\.[0-9]{1,5})?(ms|s|m|h|)".prop_map(String::into_bytes),
        "-?[0-9]{1,4}e[0-9]{1,3}".prop_map(String::into_bytes),
        "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,12})?(Z|[+-][0-9]{2}:[0-9]{2})"
            .prop_map(String::into_bytes),
    ]
}

/// Bytes that are often almost an error.
fn almost_an_error() -> impl Strategy<Value = Vec<u8>> {
    let part = prop::sample::select(vec![
        "{\"error\":",
        "{",
        "}",
        "[",
        "]",
        "\"message\":",
        "\"code\":",
        "\"type\":\"error\"",
        ",",
        "429",
        "null",
        "1e999",
        "\"x\"",
        "\"Limit 9, Requested 10\"",
        "\"try again in \"",
        "\"details\":",
        "\"metadata\":",
        "\"raw\":",
        "\"choices\":",
        "\"finish_reason\":\"error\"",
        "\"response\":",
        "\"type\":\"response.failed\"",
        "\\u00",
        "é",
        "\"n_ctx\":-1",
    ]);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat().into_bytes()),
    ]
}

proptest! {
    #[test]
    fn nothing_that_an_upstream_sends_panics(
        family in any_family(),
        status in any::<u16>(),
        headers in prop::collection::vec((header_name(), header_value()), 0..6),
        body in almost_an_error(),
        wall in 0_u64..5_000_000_000,
    ) {
        let wall = UNIX_EPOCH + Duration::from_secs(wall);
        let mut map = HeaderMap::new();
        for (name, value) in &headers {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                map.append(*name, value);
            }
        }
        let month = Duration::from_secs(31 * 86_400);
        let found = facts(family, status, &map, &body, wall);
        let failure = classify(&found, &Overrides::default());
        prop_assert_eq!(failure.status, Some(status));
        prop_assert!(failure.hint.is_none_or(|hint| hint > Duration::ZERO && hint <= month));
        prop_assert!(quota_rest(&map, wall).is_none_or(|rest| rest > Duration::ZERO && rest <= month));
        let text = String::from_utf8_lossy(&body);
        prop_assert!(retry_hint(&map, None, &text, wall).is_none_or(|hint| hint > Duration::ZERO && hint <= month));
        if let Some(found) = facts_in_event(family, 200, &body) {
            let _ = classify(&found, &Overrides::default());
        }
        let _ = classify(&facts_of_exception(&text, &body), &Overrides::default());
        prop_assert!(safe_message(&text, &[]).chars().count() <= 301);
    }

    #[test]
    fn no_secret_survives_redaction(
        secrets in prop::collection::vec("[A-Za-z0-9_/+=.\\-]{6,60}", 1..4),
        noise in prop::collection::vec(prop_oneof!["[ -~]{0,20}", "\\PC{0,6}"], 4..8),
        order in prop::collection::vec(any::<prop::sample::Index>(), 1..8),
    ) {
        let mut text = String::new();
        for (at, pick) in order.iter().enumerate() {
            text.push_str(&noise[at % noise.len()]);
            text.push_str(pick.get::<String>(&secrets));
        }
        let listed: Vec<&str> = secrets.iter().map(String::as_str).collect();
        let shown = redact(text.as_bytes(), &listed).into_owned();
        let line = safe_message(&text, &listed);
        let json = serde_json::json!({ "error": { "message": text } }).to_string();
        let redacted = redact(json.as_bytes(), &listed).into_owned();
        prop_assert!(serde_json::from_slice::<Value>(&redacted).is_ok());
        for secret in &listed {
            prop_assert!(!String::from_utf8_lossy(&shown).contains(secret));
            prop_assert!(!line.contains(secret));
            prop_assert!(!String::from_utf8_lossy(&redacted).contains(secret));
        }
    }
}
