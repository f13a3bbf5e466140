//! Recorded exchanges and pairs, as far as these tests read them.

use std::path::PathBuf;

use serde_json::Value;

use super::Wire;

/// One recorded exchange.
pub(crate) struct Exchange {
    pub(crate) id: String,
    pub(crate) wire: Wire,
    pub(crate) stream: bool,
    pub(crate) status: u64,
    pub(crate) request: Option<String>,
    pub(crate) response: Vec<u8>,
}

/// The same conversation in one dialect: what was asked and, mostly, what was really answered.
pub(super) struct Pair {
    pub(super) case: String,
    pub(super) wire: Wire,
    /// The request, and the one of the second turn.
    pub(super) requests: Vec<Value>,
    /// Whole answers.
    pub(super) answers: Vec<Value>,
    /// Streams, as their events.
    pub(super) streams: Vec<Vec<Value>>,
}

/// Where recorded traffic is; `None`, and a line that says so, where it is not laid out (an error in CI).
fn fixtures(directory: &str) -> Option<PathBuf> {
    let root = std::env::var_os("BACKSTOP_FIXTURES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"), PathBuf::from)
        .join(directory);
    if root.is_dir() {
        return Some(root);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "no fixtures: set BACKSTOP_FIXTURES");
    println!("skipped: no {directory} traffic (set BACKSTOP_FIXTURES)");
    None
}

/// Every exchange of an API that is translated.
pub(crate) fn recorded() -> Vec<Exchange> {
    let Some(root) = fixtures("recorded") else { return Vec::new() };
    let index = std::fs::read_to_string(root.join("index.jsonl")).expect("an index");
    index.lines().filter_map(|line| exchange(&root, &serde_json::from_str(line).expect("a line"))).collect()
}

fn exchange(root: &std::path::Path, entry: &Value) -> Option<Exchange> {
    let wire = match entry["api"].as_str()? {
        "chat" => Wire::Chat,
        "messages" => Wire::Messages,
        "converse" | "converse-stream" => Wire::Converse,
        _ => return None,
    };
    let file = std::fs::read(root.join(entry["file"].as_str()?)).expect("a recording");
    let recording: Value = serde_json::from_slice(&file).expect("a recording is JSON");
    let body = |side: &str| {
        let body = &recording[side]["body"];
        body["text"].as_str().map(|text| text.as_bytes().to_vec()).or_else(|| Some(base64(body["base64"].as_str()?)))
    };
    Some(Exchange {
        id: entry["id"].as_str()?.to_owned(),
        wire,
        stream: entry["stream"].as_bool()?,
        status: entry["status"].as_u64()?,
        request: body("request").and_then(|body| String::from_utf8(body).ok()),
        response: body("response").unwrap_or_default(),
    })
}

/// Every pair in a dialect that is translated.
pub(super) fn pairs() -> Vec<Pair> {
    let Some(root) = fixtures("pairs") else { return Vec::new() };
    let index = std::fs::read_to_string(root.join("index.jsonl")).expect("an index");
    index.lines().filter_map(|line| pair(&root, &serde_json::from_str(line).expect("a line"))).collect()
}

fn pair(root: &std::path::Path, entry: &Value) -> Option<Pair> {
    let wire = match entry["dialect"].as_str()? {
        "chat-completions" => Wire::Chat,
        "anthropic" => Wire::Messages,
        "bedrock" => Wire::Converse,
        _ => return None,
    };
    let text = std::fs::read_to_string(root.join(entry["file"].as_str()?)).expect("a pair");
    let mut file: Value = serde_json::from_str(&text).expect("a pair is JSON");
    buffers(&mut file);
    let parts = |name: &str| {
        let both = [file[name].clone(), file[format!("followup-{name}")].clone()];
        both.into_iter().filter(|part| !part.is_null()).collect::<Vec<Value>>()
    };
    Some(Pair {
        case: entry["case"].as_str()?.to_owned(),
        wire,
        requests: parts("request"),
        answers: parts("response"),
        streams: parts("response-streaming").iter().filter_map(|events| events.as_array().cloned()).collect(),
    })
}

/// Node's way to write bytes as JSON becomes the wire's: base64.
fn buffers(value: &mut Value) {
    if value["type"] == "Buffer" {
        let bytes = value["data"].as_array().into_iter().flatten();
        let bytes: Vec<u8> = bytes.filter_map(|byte| u8::try_from(byte.as_u64()?).ok()).collect();
        *value = Value::from(to_base64(&bytes));
        return;
    }
    match value {
        Value::Array(list) => list.iter_mut().for_each(buffers),
        Value::Object(map) => map.values_mut().for_each(buffers),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The bytes of a base64 text; what is no base64 is passed over.
pub(super) fn base64(text: &str) -> Vec<u8> {
    let digits = text.bytes().filter_map(|byte| ALPHABET.iter().position(|known| *known == byte));
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0_u32, 0);
    for digit in digits {
        bits = bits << 6 | u32::try_from(digit).expect("below 64");
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
        }
    }
    bytes
}

pub(super) fn to_base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for at in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at > group.len() { '=' } else { char::from(digit) });
        }
    }
    text
}

#[test]
fn base64_goes_both_ways() {
    for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
        assert_eq!(to_base64(bytes.as_bytes()), text);
        assert_eq!(base64(text), bytes.as_bytes());
    }
}
