//! A refusal reaches the client that sends all of a large body before it reads.

use tokio::io::AsyncWriteExt;

use super::{FORM, start};
use crate::support::{Gateway, Wire, soon};

/// More than the sockets of both sides take while nobody reads.
const LARGE: usize = 33_000_000;

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn a_refusal_arrives_although_the_body_was_sent_first() {
    let (sim, open) = start(vec![], "server: { max_body: '1MiB' },").await;
    let hash = "0123456789abcdef".repeat(4);
    let text = format!(
        "{{ server: {{ client_keys: [{{ name: 'app', sha256: '{hash}' }}] }}, providers: {{ groq: {{ keys: ['sk-a'] }} }} }}"
    );
    let keyed = Gateway::start(&text).await;
    let body = vec![b' '; LARGE];
    for (gateway, path, header, status) in [
        (&open, "/v1/chat/completions", JSON, 413),
        (&open, "/v1/audio/transcriptions", FORM, 413),
        (&open, "/v1/chat/completions", FORM, 415),
        (&open, "/v1/files", JSON, 404),
        (&keyed, "/v1/audio/transcriptions", FORM, 401),
    ] {
        let answer = gateway.send("POST", path, &[header], &body).await;
        assert_eq!((answer.status, answer.whole), (status, true), "{path}: {:?}", answer.headers);
        assert!(answer.error()["code"].is_string());
    }
    assert!(sim.requests().is_empty());
    open.idle().await;
}

#[tokio::test]
async fn a_body_in_chunks_that_grows_too_long_is_refused_and_the_refusal_arrives() {
    let (_sim, gateway) = start(vec![], "server: { max_body: '1MiB' },").await;
    let mut wire = gateway.connect().await;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\n";
    wire.write(format!("{head}transfer-encoding: chunked\r\n\r\n")).await;
    let piece = vec![b' '; 1_000_000];
    for _ in 0..33 {
        wire.write_chunk(&piece).await;
    }
    wire.write_chunk(b"").await;
    assert_eq!(wire.answer().await.status, 413);
}

#[tokio::test]
async fn who_asks_before_sending_is_not_told_to_go_on() {
    let (_sim, gateway) = start(vec![], "server: { max_body: '1MiB' },").await;
    let mut wire = Wire::connect(gateway.addr).await;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\n";
    wire.write(format!("{head}content-length: {LARGE}\r\nexpect: 100-continue\r\n\r\n")).await;
    assert_eq!(wire.answer().await.status, 413, "and no 100");
    wire.closed().await;
}

#[tokio::test]
async fn what_is_taken_after_a_refusal_is_bounded() {
    let (_sim, gateway) = start(vec![], "server: { max_body: '1MiB' },").await;
    let mut wire = Wire::connect(gateway.addr).await;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\n";
    wire.write(format!("{head}content-length: 10000000000\r\n\r\n")).await;
    let piece = vec![b' '; 1 << 20];
    let mut taken = 0;
    while soon("taking or hanging up", wire.stream.write_all(&piece)).await.is_ok() {
        taken += 1;
        assert!(taken < 200, "MiB, and no end");
    }
    assert!(taken >= 32, "{taken} MiB");
}
