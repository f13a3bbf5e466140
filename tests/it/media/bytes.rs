//! Answers that are bytes: committed at the first of them, passed on unread, and never complete when they are cut.

use backstop::sim::{Fault, Garbage, Point, Rule, StreamError};
use serde_json::{Value, json};

use super::{healthy, start};
use crate::support::{Answer, Gateway, soon};

const NOISE: [u8; 4] = [0xff, 0xfb, 0x90, 0x00];

fn speech(model: &str) -> Value {
    json!({ "model": model, "input": "hi", "voice": "alloy" })
}

async fn speak(gateway: &Gateway) -> Answer {
    gateway.post("/v1/audio/speech", &[], &speech("voice")).await
}

fn sound(provider: &str, model: &str, last4: &str) -> Vec<u8> {
    [&NOISE, healthy(provider, model, last4).as_bytes()].concat()
}

#[tokio::test]
async fn sound_comes_out_as_the_second_key_made_it() {
    let (_sim, gateway) = start(vec![Rule::of(Fault::status(401)).key("sk-one-a")], "").await;
    let answer = speak(&gateway).await;
    assert_eq!((answer.status, answer.whole), (200, true));
    assert_eq!(answer.body(), sound("one", "tts", "ne-b"));
    assert_eq!(answer.header("content-type"), "audio/mpeg");
    assert_eq!(answer.header("content-length"), answer.body().len().to_string());
    assert_eq!(answer.trail(), "one/tts@key-1=auth:401, one/tts@key-2=ok:200");
    assert!(!answer.header("x-request-id").is_empty());
    let mut wav = speech("voice");
    wav["response_format"] = "wav".into();
    assert_eq!(gateway.post("/audio/speech", &[], &wav).await.header("content-type"), "audio/wav");
    gateway.idle().await;
    assert_eq!(gateway.metric("backstop_requests_total", &["endpoint=\"speech\"", "status=\"200\""]).await, 2.0);
}

#[tokio::test]
async fn what_goes_wrong_before_the_first_byte_is_invisible() {
    let base = Fault::default;
    for (fault, kind) in [
        (Fault { error_in_200: Some(529.into()), ..base() }, "overloaded:200"),
        (Fault { garbage: Some(Garbage::Html), ..base() }, "server_error:200"),
        (Fault { garbage: Some(Garbage::Empty), ..base() }, "broken_stream:200"),
        (Fault { garbage: Some(Garbage::NonJson), ..base() }, "server_error:200"),
        (Fault { reset: Some(Point::AfterHeaders), ..base() }, "broken_stream:200"),
        (Fault { close: Some(Point::AfterHeaders), ..base() }, "broken_stream:200"),
        (Fault { hang: Some(Point::AfterHeaders), ..base() }, "timeout"),
        (Fault { hang: Some(Point::BeforeHeaders), ..base() }, "timeout"),
        (Fault { gzip: true, ..base() }, "server_error:200"),
        (Fault::status(503), "overloaded:503"),
    ] {
        let name = format!("{fault:?}");
        let (_sim, gateway) = start(vec![Rule::of(fault).provider("one")], "").await;
        let answer = speak(&gateway).await;
        assert_eq!((answer.status, answer.body()), (200, sound("two", "tts-hd", "wo-a")), "{name}");
        assert!(answer.trail().starts_with(&format!("one/tts@key-1={kind}")), "{name}: {}", answer.trail());
    }
}

#[tokio::test]
async fn sound_that_is_cut_never_looks_complete_and_cools_its_slot() {
    let base = Fault::default;
    for fault in [
        Fault { close: Some(Point::MidBody), ..base() },
        Fault { reset: Some(Point::MidBody), ..base() },
        Fault { hang: Some(Point::MidBody), ..base() },
    ] {
        let name = format!("{fault:?}");
        let (sim, gateway) = start(vec![Rule::of(fault).provider("one")], "").await;
        let answer = speak(&gateway).await;
        assert_eq!((answer.status, answer.whole), (200, false), "{name}");
        gateway.idle().await;
        assert_eq!(gateway.lane("slot", "one/tts@key-1").await["kind"], "broken_stream", "{name}");
        soon("the upstream's end", sim.wait_until(|stats| stats.slots.iter().all(|slot| slot.counts.in_flight == 0)))
            .await;
    }
}

#[tokio::test]
async fn a_short_json_answer_that_is_cut_is_a_failure() {
    let cut = Fault { close: Some(Point::MidBody), ..Fault::default() };
    let (_sim, gateway) = start(vec![Rule::of(cut).provider("one")], "").await;
    let body = json!({ "model": "voice", "prompt": "a hat" });
    let answer = gateway.post("/v1/images/generations", &[], &body).await;
    assert_eq!((answer.status, answer.whole, answer.header("x-backstop-provider")), (200, true, "two"));
    assert!(answer.json()["data"][0]["b64_json"].is_string());
}

#[tokio::test]
async fn an_image_longer_than_is_checked_passes_whole() {
    let large = Rule::of(Fault { chunks: Some(40_000), ..Fault::default() });
    let (_sim, gateway) = start(vec![large], "").await;
    let body = json!({ "model": "voice", "prompt": "a hat" });
    let answer = gateway.post("/v1/images/generations", &[], &body).await;
    assert!(answer.whole && answer.body().len() > 200_000, "{}", answer.body().len());
    assert_eq!(answer.json()["usage"]["output_tokens"], 40_000);
    assert_eq!(answer.header("content-type"), "application/json");
    gateway.idle().await;
    assert_eq!(gateway.lane("slot", "one/tts@key-1").await["streak"], 0);
}

#[tokio::test]
async fn streams_of_images_and_sound_pass_event_by_event() {
    let body = json!({ "model": "voice", "prompt": "a hat", "stream": true, "partial_images": 2 });
    let error = |after_chunks| StreamError { after_chunks, body: 529.into() };
    let first = Fault { error_in_stream: Some(error(0)), ..Fault::default() };
    let (_sim, gateway) = start(vec![Rule::of(first).provider("one")], "").await;
    let answer = gateway.post("/v1/images/generations", &[], &body).await;
    assert!(answer.header("content-type").starts_with("text/event-stream"));
    assert_eq!((answer.header("x-backstop-provider"), answer.whole), ("two", true), "an error first is no answer");
    assert_eq!(answer.text().matches("event: image_generation.partial_image\n").count(), 8);
    assert!(answer.text().ends_with("\n\n") && answer.text().contains("event: image_generation.completed\n"));
    let (_sim, gateway) = start(vec![], "").await;
    let mut sse = speech("voice");
    sse["stream_format"] = "sse".into();
    let answer = gateway.post("/v1/audio/speech", &[], &sse).await;
    assert_eq!((answer.events().len(), answer.whole), (9, true));
    assert_eq!(answer.header("cache-control"), "no-cache");
}

#[tokio::test]
async fn a_provider_without_the_endpoint_is_skipped() {
    let text = "{ providers: { groq: { keys: ['sk-a'] }, deepseek: { keys: ['sk-b'] } },
        chains: { draw: ['groq/a', 'deepseek/b'] } }";
    let gateway = Gateway::start(text).await;
    let answer = gateway.post("/v1/images/generations", &[], &json!({ "model": "draw", "prompt": "a hat" })).await;
    assert_eq!((answer.status, &answer.error()["code"]), (400, &"endpoint_not_served".into()));
    assert_eq!(answer.trail(), "groq/a=skipped:endpoint_not_served, deepseek/b=skipped:endpoint_not_served");
}

#[tokio::test]
async fn an_unknown_model_cools_nothing_beside_chat() {
    let rule = Rule::of(Fault::error(404, "model_not_found"));
    let (_sim, gateway) = start(vec![rule], "").await;
    let answer = speak(&gateway).await;
    assert_eq!((answer.status, &answer.error()["code"]), (404, &"model_not_found".into()), "the vendor's own words");
    assert_eq!(gateway.metric("backstop_cooldowns_total", &[]).await, 0.0);
}
