//! Recorded traffic through the readers of the wire: requests are spliced, streams pass gate and relay unchanged.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use backstop::dialect::anthropic;
use backstop::dialect::openai_chat::request::{BadRequest, Endpoint, Head, ModelName, read, splice};
use backstop::dialect::openai_chat::response::{Whole, inspect};
use backstop::dialect::openai_chat::stream::{Signal, scan};
use backstop::dialect::openai_responses::request::complete;
use backstop::framing::sse::events;
use backstop::policy::commit::Why;
use backstop::stream::ending::{End, Ending, Last, Upstream};
use backstop::stream::gate::{GateLimits, hold};
use backstop::stream::relay::{Patience, Relay};
use backstop::stream::spoken::Spoken;
use backstop::stream::tap::Tally;
use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use serde_json::Value;

/// One exchange, as far as these tests read it.
pub(crate) struct Exchange {
    pub(crate) id: String,
    pub(crate) api: String,
    pub(crate) status: u64,
    pub(crate) stream: bool,
    path: String,
    pub(crate) request: Option<String>,
    pub(crate) response: Option<String>,
}

/// The recorded exchanges, or none where the fixtures are not laid out (an error in CI).
pub(crate) fn recorded() -> Vec<Exchange> {
    let root = std::env::var_os("BACKSTOP_FIXTURES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"), PathBuf::from)
        .join("recorded");
    let Ok(index) = std::fs::read_to_string(root.join("index.jsonl")) else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "no fixtures: set BACKSTOP_FIXTURES");
        println!("skipped: no recorded traffic (set BACKSTOP_FIXTURES)");
        return Vec::new();
    };
    let text = |value: &Value| value["body"]["text"].as_str().map(str::to_owned);
    index
        .lines()
        .map(|line| {
            let entry: Value = serde_json::from_str(line).expect("a line of the index");
            let file = std::fs::read(root.join(entry["file"].as_str().expect("a file"))).expect("a recording");
            let recording: Value = serde_json::from_slice(&file).expect("a recording is JSON");
            Exchange {
                id: entry["id"].as_str().expect("an id").to_owned(),
                api: entry["api"].as_str().expect("an api").to_owned(),
                status: entry["status"].as_u64().expect("a status"),
                stream: entry["stream"].as_bool().expect("stream or not"),
                path: recording["request"]["path"].as_str().unwrap_or_default().to_owned(),
                request: text(&recording["request"]),
                response: text(&recording["response"]),
            }
        })
        .collect()
}

fn endpoint(api: &str) -> Option<Endpoint> {
    match api {
        "chat" => Some(Endpoint::Chat),
        "completions" => Some(Endpoint::Completions),
        "embeddings" => Some(Endpoint::Embeddings),
        _ => None,
    }
}

#[test]
fn splicing_a_recorded_request_changes_the_model_only() {
    let mut seen = 0;
    for exchange in recorded() {
        let (Some(_), Some(body)) = (endpoint(&exchange.api), &exchange.request) else { continue };
        let Ok(Value::Object(mut expected)) = serde_json::from_str::<Value>(body) else { continue };
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        let head = read(&bytes).unwrap_or_else(|error| panic!("{}: {error:?}", exchange.id));
        let name = expected.get("model").and_then(Value::as_str).map(str::to_owned);
        assert_eq!(head.model.as_deref(), name.as_deref(), "{}", exchange.id);
        assert_eq!(head.stream, expected.get("stream") == Some(&Value::Bool(true)), "{}", exchange.id);
        let spliced = splice(&bytes, &head.edit, &ModelName::new("some/other-model")).concat();
        if let Some(name) = name {
            assert_eq!(spliced.len() + name.len(), body.len() + "some/other-model".len(), "{}", exchange.id);
            let same = splice(&bytes, &head.edit, &ModelName::new(&name));
            assert_eq!(same.len(), 1, "{}", exchange.id);
        }
        expected.insert("model".to_owned(), Value::from("some/other-model"));
        let got: Value = serde_json::from_slice(&spliced).unwrap_or_default();
        assert_eq!(got, Value::Object(expected), "{}", exchange.id);
        seen += 1;
    }
    println!("{seen} requests");
}

/// A body with an escape in a key: `serde_json` has to read it, and finds the same.
#[test]
fn recorded_requests_are_read_the_same_in_both_ways() {
    fn responses(body: &[u8]) -> Result<Head<'_>, BadRequest> {
        let mut head = read(body)?;
        complete(&mut head, body).map(|()| head)
    }
    type Way = fn(&[u8]) -> Result<Head<'_>, BadRequest>;
    let ways: [(&str, Way); 3] = [("chat", read), ("responses", responses), ("messages", anthropic::head::read)];
    let mut seen = 0;
    for exchange in recorded() {
        let Some(body) = exchange.request.filter(|body| body.starts_with('{') && body.contains(':')) else { continue };
        let other = body.replacen('{', r#"{"\u005f":0,"#, 1);
        for (api, way) in ways {
            // The bodies differ in where they are cut, and nowhere else.
            let same = way(body.as_bytes()).and_then(|head| Ok(Head { edit: way(other.as_bytes())?.edit, ..head }));
            assert_eq!(same, way(other.as_bytes()), "{}: {api}", exchange.id);
        }
        seen += 1;
    }
    println!("{seen} requests");
}

#[test]
fn recorded_answers_are_told_from_recorded_errors() {
    for exchange in recorded() {
        let (Some(endpoint), false, Some(body)) = (endpoint(&exchange.api), exchange.stream, &exchange.response) else {
            continue;
        };
        // Gemini's own embeddings route stands among them.
        if exchange.path.contains(":batchEmbedContents") {
            continue;
        }
        let whole = inspect(body.as_bytes(), endpoint);
        match exchange.status {
            200 => assert!(matches!(whole, Whole::Good { usage: Some(_) }), "{}: {whole:?}", exchange.id),
            _ => assert!(!matches!(whole, Whole::Good { .. }), "{}: {whole:?}", exchange.id),
        }
        let half = &body.as_bytes()[..body.len() / 2];
        assert_eq!(inspect(half, endpoint), Whole::NotJson, "{}", exchange.id);
    }
}

/// These chunks, then the end.
pub(crate) struct Chunks(pub(crate) VecDeque<Bytes>);

impl Upstream for Chunks {}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|chunk| Ok(Frame::data(chunk))))
    }
}

/// Longer than anything here takes.
pub(crate) fn patience() -> Patience {
    let long = Duration::from_secs(30);
    Patience { stall: long, keep_alive: long, deadline: backstop::clock::now() + long }
}

#[derive(Clone, Default)]
pub(crate) struct Ear(pub(crate) Arc<Mutex<Vec<(bool, Tally)>>>);

impl Ending for Ear {
    fn end(&mut self, end: End, tally: &Tally) -> Last {
        self.0.lock().expect("no panic").push((end == End::Complete, *tally));
        Last::Own
    }

    fn left(&mut self, _: &Tally) {}
}

/// Where the frame with the first content ends, and where an error event begins, by a plain reading of the text.
fn landmarks(text: &[u8]) -> (Option<usize>, Option<usize>) {
    let (mut content, mut error) = (None, None);
    for event in events(text) {
        let Some(data) = &event.data else { continue };
        match scan(event.name, data) {
            Signal::Chunk(said) if said.content || said.finish => content = content.or(Some(event.range.end)),
            Signal::Error => error = error.or(Some(event.range.start)),
            _ => {}
        }
    }
    (content, error)
}

#[tokio::test]
async fn recorded_streams_pass_unchanged_however_they_are_cut() {
    let mut seen = 0;
    for exchange in recorded() {
        let (Some(_), true, 200, Some(text)) =
            (endpoint(&exchange.api), exchange.stream, exchange.status, &exchange.response)
        else {
            continue;
        };
        let text = text.as_bytes();
        let (Some(content), error) = landmarks(text) else { panic!("{}: no content", exchange.id) };
        for size in [text.len(), 1, 7, 1_000] {
            let body = Chunks(text.chunks(size).map(Bytes::copy_from_slice).collect());
            let held = hold(body, &GateLimits::default(), Spoken::Chat)
                .await
                .unwrap_or_else(|error| panic!("{}: {error:?}", exchange.id));
            assert!(matches!(held.why, Why::Content | Why::Empty), "{}", exchange.id);
            let first: usize = held.chunks.iter().map(Bytes::len).sum();
            assert!(first >= content, "{}: committed before its first content", exchange.id);
            if size == 1 {
                assert_eq!(first, content, "{}: committed later than its first content", exchange.id);
            }
            let ear = Ear::default();
            let out = Relay::new(held, ear.clone(), patience()).collect().await;
            let out = out.map(|all| all.to_bytes()).unwrap_or_default();
            let heard = ear.0.lock().expect("no panic").clone();
            let [(complete, tally)] = heard.as_slice() else { panic!("{}: told {heard:?}", exchange.id) };
            assert_eq!(tally.malformed, 0, "{}", exchange.id);
            match error {
                None => {
                    assert_eq!(out, text, "{}", exchange.id);
                    assert!(complete, "{}", exchange.id);
                    let counted = memchr::memmem::find(text, b"\"completion_tokens\"").is_some();
                    assert_eq!(tally.usage.is_some(), counted, "{}", exchange.id);
                }
                Some(at) => {
                    assert_eq!(out[..at], text[..at], "{}", exchange.id);
                    assert!(!complete && memchr::memmem::find(&out, b"[DONE]").is_none(), "{}", exchange.id);
                    assert_eq!(landmarks(&out).1, Some(at), "{}: an error event stands there", exchange.id);
                }
            }
        }
        seen += 1;
    }
    println!("{seen} streams");
}
