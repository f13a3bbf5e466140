//! Recorded Responses traffic through the readers of the wire.

use backstop::dialect::openai_chat::request::{ModelName, read, splice};
use backstop::dialect::openai_chat::response::Whole;
use backstop::dialect::openai_responses::request::complete;
use backstop::dialect::openai_responses::response::inspect;
use backstop::framing::sse::events;
use backstop::policy::commit::Why;
use backstop::stream::gate::{GateError, GateLimits, hold};
use backstop::stream::relay::Relay;
use backstop::stream::spoken::Spoken;
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::Value;

use crate::wire::{Chunks, Ear, Exchange, patience, recorded};

fn responses() -> impl Iterator<Item = Exchange> {
    recorded().into_iter().filter(|exchange| exchange.api == "responses")
}

#[test]
fn splicing_a_recorded_request_changes_the_model_only() {
    let mut stateful = 0;
    for exchange in responses() {
        let Some(body) = &exchange.request else { continue };
        let Ok(Value::Object(mut expected)) = serde_json::from_str::<Value>(body) else { continue };
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        let mut head = read(&bytes).unwrap_or_else(|error| panic!("{}: {error:?}", exchange.id));
        complete(&mut head, &bytes).unwrap_or_else(|error| panic!("{}: {error:?}", exchange.id));
        assert_eq!(head.stream, expected.get("stream") == Some(&Value::Bool(true)), "{}", exchange.id);
        let tools = expected.get("tools").and_then(Value::as_array).is_some_and(|tools| !tools.is_empty());
        assert_eq!(head.needs.tools, tools, "{}", exchange.id);
        assert_eq!(head.needs.vision, body.contains("\"input_image\""), "{}", exchange.id);
        // Every mark of a kept thing, by a plain reading of the text.
        let kept = ["\"encrypted_content\":\"", "\"previous_response_id\":\"", "\"item_reference\"", "\"file_id\":\""];
        assert_eq!(head.needs.stateful, kept.iter().any(|mark| body.contains(mark)), "{}", exchange.id);
        stateful += u32::from(head.needs.stateful);
        let spliced = splice(&bytes, &head.edit, &ModelName::new("some/other-model")).concat();
        expected.insert("model".to_owned(), Value::from("some/other-model"));
        assert_eq!(serde_json::from_slice::<Value>(&spliced).ok(), Some(Value::Object(expected)), "{}", exchange.id);
    }
    println!("{stateful} of them build on one account");
}

#[test]
fn recorded_answers_are_told_from_recorded_errors() {
    for exchange in responses().filter(|exchange| !exchange.stream) {
        let Some(body) = &exchange.response else { continue };
        let whole = inspect(body.as_bytes());
        match exchange.status {
            200 => assert!(matches!(whole, Whole::Good { usage: Some(_) }), "{}: {whole:?}", exchange.id),
            _ => assert_eq!(whole, Whole::Error, "{}", exchange.id),
        }
        let half = &body.as_bytes()[..body.len() / 2];
        assert_eq!(inspect(half), Whole::NotJson, "{}", exchange.id);
    }
}

/// Where the frame with the first content ends, by the names of the events alone.
fn first_content(text: &[u8]) -> Option<usize> {
    let mut all = events(text);
    let found = all.find(|event| event.name.is_some_and(|name| name.ends_with(b".delta") || name.ends_with(b".done")));
    found.map(|event| event.range.end)
}

#[tokio::test]
async fn recorded_streams_pass_unchanged_however_they_are_cut() {
    for exchange in responses().filter(|exchange| exchange.stream) {
        let text = exchange.response.as_deref().unwrap_or_default().as_bytes();
        for size in [text.len(), 1, 7, 1_000] {
            let body = Chunks(text.chunks(size).map(Bytes::copy_from_slice).collect());
            let held = hold(body, &GateLimits::default(), Spoken::Responses).await;
            let Some(content) = first_content(text) else {
                // The one that fails before any content.
                let Err(GateError::Event(data)) = held else { panic!("{}: committed", exchange.id) };
                assert!(data.windows(18).any(|part| part == b"insufficient_quota"), "{}", exchange.id);
                continue;
            };
            let held = held.unwrap_or_else(|error| panic!("{}: {error:?}", exchange.id));
            assert_eq!(held.why, Why::Content, "{}", exchange.id);
            if size == 1 {
                let first: usize = held.chunks.iter().map(Bytes::len).sum();
                assert_eq!(first, content, "{}: committed at its first content", exchange.id);
            }
            let ear = Ear::default();
            let out = Relay::new(held, ear.clone(), patience()).collect().await;
            assert_eq!(out.map(|all| all.to_bytes()).unwrap_or_default(), text, "{}", exchange.id);
            let heard = ear.0.lock().expect("no panic").clone();
            let [(true, tally)] = heard.as_slice() else { panic!("{}: told {heard:?}", exchange.id) };
            assert!(tally.malformed == 0 && tally.usage.is_some(), "{}: {tally:?}", exchange.id);
        }
    }
}

#[tokio::test]
async fn a_recorded_stream_that_is_cut_anywhere_never_looks_complete() {
    for exchange in responses().filter(|exchange| exchange.stream) {
        let text = exchange.response.as_deref().unwrap_or_default().as_bytes();
        let (Some(content), Some(end)) = (first_content(text), events(text).last().map(|event| event.range.start))
        else {
            continue;
        };
        for at in (content..end).step_by(97) {
            let body = Chunks([Bytes::copy_from_slice(&text[..at])].into());
            let held = hold(body, &GateLimits::default(), Spoken::Responses).await.expect("it has content");
            let ear = Ear::default();
            let out = Relay::new(held, ear.clone(), patience()).collect().await;
            let out = String::from_utf8(out.map(|all| all.to_bytes()).unwrap_or_default().to_vec()).expect("text");
            let last = out.trim_end().rsplit("\n\n").next().unwrap_or_default();
            assert!(last.starts_with("event: response.failed\n"), "{} cut at {at}: {last}", exchange.id);
            assert!(!out.contains("event: response.completed"), "{} cut at {at}", exchange.id);
            assert!(!ear.0.lock().expect("no panic")[0].0, "{} cut at {at}", exchange.id);
        }
    }
}
