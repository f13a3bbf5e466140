//! Errors under status 200, from an upstream that is written by hand: before the first content nobody sees them, after
//! it they are told in the gateway's words, and never does one count as an answer.

use backstop::sim::{Script, Sim};
use serde_json::{Value, json};

use crate::support::{Answer, CALM, Gateway, Upstream, soon};

const RATE_LIMIT: &str = r#"{"type":"error","error":{"message":"slow down sk-one-a","code":"rate_limit_exceeded"}}"#;
const QUOTA: &str = r#"{"type":"error","error":{"message":"no quota for sk-one-a","code":"insufficient_quota"}}"#;

/// A head of an answer in HTTP chunks with this content type, if any.
fn head(content_type: &str) -> String {
    let line = if content_type.is_empty() { String::new() } else { format!("content-type: {content_type}\r\n") };
    format!("HTTP/1.1 200 OK\r\n{line}transfer-encoding: chunked\r\n\r\n")
}

fn chunk(data: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat()
}

fn text(one: &Upstream, two: &Sim) -> String {
    let short = "timeouts: { response_timeout: '2s', stall: '2s' }";
    let two = two.base_url("two").replace("127.0.0.1", "localhost");
    format!(
        "{{ providers: {{ one: {{ base_url: '{}', keys: ['sk-one-a', 'sk-one-b'], {short} }},
            two: {{ base_url: '{two}', keys: ['sk-two-a'] }} }},
            chains: {{ voice: ['one/tts', 'two/tts-hd'] }}, {CALM} }}",
        one.base_url()
    )
}

/// `one` gives everybody this answer, each piece an HTTP chunk of its own; `two` is the simulator.
async fn scripted(content_type: &str, pieces: &[&[u8]]) -> (Sim, Gateway) {
    let (one, two) = (Upstream::start().await, Sim::start(Script::of(vec![])).unwrap());
    let gateway = Gateway::start(&text(&one, &two)).await;
    let mut bytes = head(content_type).into_bytes();
    pieces.iter().for_each(|piece| bytes.extend(chunk(piece)));
    bytes.extend(b"0\r\n\r\n");
    tokio::spawn(async move {
        loop {
            let mut wire = one.accept().await;
            let bytes = bytes.clone();
            tokio::spawn(async move {
                while wire.try_asked().await.is_some() {
                    wire.write(&bytes).await;
                }
            });
        }
    });
    (two, gateway)
}

fn halves(text: &str) -> [&[u8]; 2] {
    let (first, second) = text.as_bytes().split_at(text.len() / 2);
    [first, second]
}

async fn draw(gateway: &Gateway) -> Answer {
    let body = json!({ "model": "voice", "prompt": "a hat", "stream": true, "partial_images": 1 });
    gateway.post("/v1/images/generations", &[], &body).await
}

fn speech() -> Value {
    json!({ "model": "voice", "input": "hi", "voice": "alloy" })
}

fn event(name: &str, more: &str) -> String {
    format!("event: {name}\ndata: {{\"type\":\"{name}\"{more}}}\n\n")
}

fn partial() -> String {
    event("image_generation.partial_image", r#","b64_json":"eHh4""#)
}

fn completed() -> String {
    let usage = r#","b64_json":"eHh4","usage":{"input_tokens":5,"output_tokens":3}"#;
    event("image_generation.completed", usage)
}

fn assert_failed_over(answer: &Answer, kind: &str, case: &str) {
    assert_eq!((answer.status, answer.header("x-backstop-provider"), answer.whole), (200, "two", true), "{case}");
    assert!(answer.trail().starts_with(&format!("one/tts@key-1={kind}:200, ")), "{case}: {}", answer.trail());
    assert!(!String::from_utf8_lossy(&answer.body()).contains("sk-one"), "{case}");
}

#[tokio::test]
async fn an_error_in_json_is_one_under_any_content_type() {
    for content_type in ["", "text/plain", "application/json", "application/problem+json", "audio/mpeg"] {
        for pieces in [&[b" ".as_slice(), RATE_LIMIT.as_bytes()][..], &halves(RATE_LIMIT)] {
            let (_two, gateway) = scripted(content_type, pieces).await;
            let answer = gateway.post("/v1/audio/speech", &[], &speech()).await;
            assert_failed_over(&answer, "rate_limit", content_type);
        }
    }
}

#[tokio::test]
async fn what_only_begins_like_an_error_passes_as_it_is() {
    let long = [b"{".as_slice(), &[7; 100_000]].concat();
    for (content_type, said) in [
        ("text/plain", b"{laughs} hello".as_slice()),
        ("text/plain", b"[Music]"),
        ("text/plain", br#"{"error":null,"text":"hi"}"#),
        ("audio/pcm", &long),
    ] {
        let (_two, gateway) = scripted(content_type, &[said]).await;
        let answer = gateway.post("/v1/audio/speech", &[], &speech()).await;
        assert_eq!((answer.header("x-backstop-provider"), answer.header("content-type")), ("one", content_type));
        assert_eq!((answer.whole, answer.body() == said), (true, true), "{content_type}");
        gateway.idle().await;
        assert_eq!(gateway.lane("slot", "one/tts@key-1").await["streak"], 0);
    }
}

#[tokio::test]
async fn sound_without_a_content_type_is_not_called_json_and_goes_out_at_its_first_byte() {
    let (one, two) = (Upstream::start().await, Sim::start(Script::of(vec![])).unwrap());
    let gateway = Gateway::start(&text(&one, &two)).await;
    for (content_type, told) in [("", "application/octet-stream"), ("audio/mpeg", "audio/mpeg")] {
        let mut client = gateway.connect().await;
        client.request("POST", "/v1/audio/speech", &[], speech().to_string().as_bytes()).await;
        let mut upstream = one.accept().await;
        upstream.asked().await;
        upstream.write([head(content_type).as_bytes(), &chunk(b"ID3\0")].concat()).await;
        let head = client.head().await;
        assert_eq!(head.headers["content-type"], told);
        assert_eq!(client.chunk().await.unwrap(), b"ID3\0", "before the rest was sent");
        upstream.write(b"1\r\n\xff\r\n0\r\n\r\n").await;
        assert_eq!(client.rest(head).await.body(), b"\xff");
        drop(upstream);
        gateway.idle().await;
    }
}

#[tokio::test]
async fn an_error_event_before_content_fails_over_with_its_own_kind() {
    let named = format!("event: error\ndata: {RATE_LIMIT}\n\n");
    let bare = format!("data: {QUOTA}\n\n");
    let (named, bare) = (named.as_str(), bare.as_str());
    let [named_first, named_second] = halves(named);
    let [bare_first, bare_second] = halves(bare);
    let cut = &named[..named.len() - 2];
    for (pieces, kind) in [
        (vec![named.as_bytes()], "rate_limit"),
        (vec![b": ping\n\n".as_slice(), named.as_bytes()], "rate_limit"),
        (vec![b": ping\n\n".as_slice(), bare.as_bytes()], "billing"),
        (vec![named_first, named_second], "rate_limit"),
        (vec![bare_first, bare_second], "billing"),
        (vec![b"event: er".as_slice(), &named.as_bytes()[9..]], "rate_limit"),
        (vec![cut.as_bytes()], "rate_limit"),
        (vec![b"data: {\"type\":\"keepalive\"}\n\n".as_slice(), bare.as_bytes()], "billing"),
        (vec![b": ping\n\n".as_slice()], "broken_stream"),
        (vec![b"data: [DONE]\n\n".as_slice()], "broken_stream"),
        (vec![RATE_LIMIT.as_bytes()], "rate_limit"),
    ] {
        let (_two, gateway) = scripted("text/event-stream", &pieces).await;
        let case: Vec<_> = pieces.iter().map(|piece| String::from_utf8_lossy(piece)).collect();
        assert_failed_over(&draw(&gateway).await, kind, &format!("{case:?}"));
    }
}

#[tokio::test]
async fn an_error_event_after_content_is_told_without_the_key_and_counts_as_a_failure() {
    let (delta, named, bare) =
        (partial(), format!("event: error\ndata: {RATE_LIMIT}\n\n"), format!("data: {QUOTA}\n\n"));
    let [first, second] = halves(&bare);
    for (pieces, kind) in [
        (vec![delta.as_bytes(), named.as_bytes()], "rate_limit"),
        (vec![delta.as_bytes(), b": ping\n\n", first, second], "billing"),
    ] {
        let (_two, gateway) = scripted("text/event-stream; charset=utf-8", &pieces).await;
        let answer = draw(&gateway).await;
        assert_eq!((answer.header("x-backstop-provider"), answer.whole), ("one", true));
        assert!(answer.text().starts_with(&delta) && !answer.text().contains("sk-one"), "{}", answer.text());
        assert_eq!(answer.text().matches("event: error\n").count(), 1, "{}", answer.text());
        assert_eq!((&answer.error()["code"], answer.events().len()), (&kind.into(), 2));
        gateway.idle().await;
        assert_eq!(gateway.metric("backstop_attempts_total", &[&format!("outcome=\"{kind}\"")]).await, 1.0);
    }
}

#[tokio::test]
async fn a_stream_without_its_end_is_broken_and_one_with_it_passes_verbatim() {
    let (partial, completed) = (partial(), completed());
    let (_two, gateway) = scripted("text/event-stream", &[partial.as_bytes()]).await;
    let answer = draw(&gateway).await;
    assert!(answer.whole && answer.text().starts_with(&partial), "{}", answer.text());
    assert_eq!(answer.error()["code"], "broken_stream");
    gateway.idle().await;
    assert_eq!(gateway.lane("slot", "one/tts@key-1").await["kind"], "broken_stream");
    let spoken = event("speech.audio.delta", r#","audio":"AA==""#);
    for good in [
        format!("{partial}{completed}"),
        format!("{completed}{completed}"),
        format!("{spoken}{}", event("speech.audio.done", "")),
        format!("{spoken}data: [DONE]\n\n"),
        completed.replace("event: image_generation.completed\n", "").replace('\n', "\r\n"),
    ] {
        let pieces: Vec<&[u8]> = good.as_bytes().chunks(40).collect();
        let (_two, gateway) = scripted("text/event-stream", &pieces).await;
        let answer = draw(&gateway).await;
        assert_eq!((answer.text(), answer.whole), (good, true));
        gateway.idle().await;
        assert_eq!(gateway.lane("slot", "one/tts@key-1").await["streak"], 0);
    }
}

#[tokio::test]
async fn a_long_image_and_its_tokens_are_counted_and_a_cut_one_is_told() {
    let long = event("image_generation.partial_image", &format!(",\"b64_json\":\"{}\"", "x".repeat(400_000)));
    let whole = format!("{long}{}", completed());
    let pieces: Vec<&[u8]> = whole.as_bytes().chunks(50_000).collect();
    let (_two, gateway) = scripted("text/event-stream", &pieces).await;
    let answer = soon("an image", draw(&gateway)).await;
    assert!(answer.whole && answer.text() == whole, "{} of {}", answer.body().len(), whole.len());
    gateway.idle().await;
    assert_eq!(gateway.metric("backstop_tokens_total", &["direction=\"completion\""]).await, 3.0);
    let (_two, gateway) = scripted("text/event-stream", &[partial().as_bytes(), &long.as_bytes()[..50_000]]).await;
    assert_eq!(draw(&gateway).await.error()["code"], "broken_stream");
}
