//! Requests that are forms: the model is a field of them, and nothing else changes.

use backstop::sim::{Fault, Rule, Script, Sim, SimOptions};
use serde_json::json;

use super::{FORM, form, healthy, start};
use crate::support::Gateway;

/// Bytes that are no text and hold what looks like a delimiter.
fn sound() -> Vec<u8> {
    let mut sound = b"RIFF\r\n--xY\r\n--\r\n\0\xff".to_vec();
    sound.extend((0..200_000_u32).map(|n| (n % 251) as u8));
    sound
}

#[tokio::test]
async fn only_the_model_of_a_form_changes() {
    let options = SimOptions { record_bytes: 1 << 20, ..SimOptions::default() };
    let sim = Sim::start_with(Script::of(vec![Rule::of(Fault::status(429)).key("sk-one-a")]), options).unwrap();
    let text = format!(
        "{{ providers: {{ one: {{ base_url: '{}', keys: ['sk-one-a', 'sk-one-b'] }} }},
            chains: {{ voice: ['one/whisper-1'] }} }}",
        sim.base_url("one")
    );
    let gateway = Gateway::start(&text).await;
    let fields = [("language", "de"), ("model", "voice"), ("prompt", "model")];
    for (number, path) in
        ["/v1/audio/transcriptions", "/audio/translations", "/v1/images/edits", "/v1/images/variations"]
            .into_iter()
            .enumerate()
    {
        let answer = gateway.send_form(path, &fields, &sound()).await;
        assert_eq!((answer.status, answer.header("x-backstop-key")), (200, "key-2"), "{path}: {answer:?}");
        let sent = sim.requests().pop().unwrap();
        let expected = form(&[("language", "de"), ("model", "whisper-1"), ("prompt", "model")], &sound());
        assert_eq!((sent.body.len(), sent.body == expected), (expected.len(), true), "{path}");
        assert_eq!(sent.headers["content-type"], FORM.1);
        assert_eq!(sent.headers["content-length"], expected.len().to_string().as_str());
        assert!(sent.path.ends_with(path.strip_prefix("/v1").unwrap_or(path)), "{}", sent.path);
        assert_eq!(answer.header("x-backstop-attempts"), if number == 0 { "2" } else { "1" });
    }
    let heard = gateway.send_form("/v1/audio/transcriptions", &fields, &sound()).await.json();
    let said = format!("{} Heard {} bytes.", healthy("one", "whisper-1", "ne-b"), sound().len());
    assert_eq!(heard["text"], said.as_str());
    assert_eq!(gateway.metric("backstop_requests_total", &["endpoint=\"transcriptions\""]).await, 2.0);
    assert!(gateway.metric("backstop_tokens_total", &["direction=\"completion\""]).await > 0.0);
}

#[tokio::test]
async fn transcripts_keep_their_form() {
    let (_sim, gateway) = start(vec![], "").await;
    for (wanted, content_type) in [
        ("text", "text/plain; charset=utf-8"),
        ("srt", "text/plain; charset=utf-8"),
        ("vtt", "text/vtt; charset=utf-8"),
        ("json", "application/json"),
    ] {
        let fields = [("model", "voice"), ("response_format", wanted)];
        let answer = gateway.send_form("/v1/audio/transcriptions", &fields, b"abc").await;
        assert_eq!((answer.status, answer.header("content-type")), (200, content_type), "{wanted}");
        assert!(answer.text().contains("Heard 3 bytes."), "{}", answer.text());
    }
    let answer = gateway.send_form("/v1/audio/transcriptions", &[("model", "voice"), ("stream", "true")], b"abc").await;
    assert!(answer.header("content-type").starts_with("text/event-stream"));
    assert_eq!(answer.events().len(), 9);
    assert!(answer.text().contains("event: transcript.text.done"));
}

#[tokio::test]
async fn a_model_that_is_no_chain_has_nothing_to_fall_back_to() {
    let broken = || vec![Rule::of(Fault::status(500)).provider("one")];
    let (sim, gateway) = start(broken(), "").await;
    // In a chain, alone, and by a wildcard: none of them is a chain asked for by its name.
    for model in ["one/tts", "tts", "open-whisper"] {
        let answer = gateway.send_form("/v1/audio/transcriptions", &[("model", model)], b"abc").await;
        assert_eq!(answer.status, 502, "{model}: {answer:?}");
    }
    assert!(sim.requests().iter().all(|request| request.provider == "one"));
    let answer = gateway.send_form("/v1/audio/transcriptions", &[("model", "voice")], b"abc").await;
    assert_eq!((answer.status, answer.header("x-backstop-provider")), (200, "two"));
    // An alias is what it stands for.
    let (_sim, gateway) = start(broken(), "aliases: { talk: 'voice', say: 'one/tts' },").await;
    let answer = gateway.send_form("/v1/audio/transcriptions", &[("model", "say")], b"abc").await;
    assert_eq!(answer.status, 502, "{answer:?}");
    let answer = gateway.send_form("/v1/audio/transcriptions", &[("model", "talk")], b"abc").await;
    assert_eq!((answer.status, answer.header("x-backstop-provider")), (200, "two"));
    // Speech and images go by the same rule.
    for path in ["/v1/audio/speech", "/v1/images/generations"] {
        let (_sim, gateway) = start(broken(), "").await;
        let body = |model: &str| json!({ "model": model, "input": "hi", "prompt": "hi", "voice": "alloy" });
        assert_eq!(gateway.post(path, &[], &body("one/tts")).await.status, 502);
        let answer = gateway.post(path, &[], &body("voice")).await;
        assert_eq!((answer.status, answer.header("x-backstop-provider")), (200, "two"), "{path}");
        let mut named = body("one/tts");
        named["fallbacks"] = json!(["two/tts-hd"]);
        let answer = gateway.post(path, &[], &named).await;
        assert_eq!((answer.status, answer.header("x-backstop-provider")), (200, "two"), "{path}: a chain it brought");
    }
}

#[tokio::test]
async fn forms_that_cannot_be_served_are_refused_before_anybody_is_asked() {
    let (sim, gateway) = start(vec![], "server: { max_body: 4096 },").await;
    let path = "/v1/audio/transcriptions";
    let good = form(&[("model", "voice")], b"abc");
    let cut = &good[..good.len() - 10];
    let no_model = form(&[("language", "de")], b"abc");
    let twice = form(&[("model", "voice"), ("model", "voice")], b"abc");
    let unknown = form(&[("model", "nobody")], b"abc");
    let long = form(&[("model", "voice")], &[0; 5_000]);
    let json = ("content-type", "application/json");
    let none = ("content-type", "multipart/form-data");
    let other = ("content-type", "multipart/form-data; boundary=other");
    let chat = "/v1/chat/completions";
    for (path, header, body, status, code) in [
        (path, FORM, cut, 400, "invalid_form"),
        (path, other, &good, 400, "invalid_form"),
        (path, FORM, &no_model, 400, "missing_required_parameter"),
        (path, FORM, &twice, 400, "duplicate_field"),
        (path, FORM, &unknown, 404, "model_not_found"),
        (path, FORM, &long, 413, "request_too_large"),
        (path, none, &good, 415, "unsupported_content_type"),
        (path, ("content-type", "audio/wav"), &good, 415, "unsupported_content_type"),
        (path, json, &good, 400, "invalid_json"),
        ("/v1/audio/speech", FORM, &good, 415, "unsupported_content_type"),
        (chat, FORM, &good, 415, "unsupported_content_type"),
    ] {
        let answer = gateway.send("POST", path, &[header], body).await;
        assert_eq!((answer.status, &answer.error()["code"]), (status, &code.into()), "{path} {header:?}");
        assert_eq!(
            answer.error()["param"],
            if code == "missing_required_parameter" { "model".into() } else { answer.error()["param"].clone() }
        );
    }
    assert!(sim.requests().is_empty());
}

#[tokio::test]
async fn an_edit_may_be_json_too() {
    let (sim, gateway) = start(vec![], "").await;
    let body = json!({ "model": "voice", "images": [{ "image_url": "https://x/y.png" }], "prompt": "a hat" });
    let answer = gateway.post("/v1/images/edits", &[], &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let sent: serde_json::Value = serde_json::from_slice(&sim.requests()[0].body).unwrap();
    assert_eq!((&sent["model"], &sent["images"]), (&"tts".into(), &body["images"]));
}
