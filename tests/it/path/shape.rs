//! The shape of a stream's delivery: the chunks that the upstream wrote, each as soon as it was written.
//!
//! No clock and no sleeps: the upstream writes a chunk only when the client has the one before it.

use std::time::{Duration, Instant};

use super::by_hand;
use crate::support::{Gateway, STREAM_HEAD, Upstream, Wire, chat, event, last_event};

/// A stream at the gateway: the client's and the upstream's side of it, its request read.
async fn opened(gateway: &Gateway, upstream: &Upstream) -> (Wire, Wire) {
    let mut client = gateway.connect().await;
    let body = chat("default", true).to_string();
    client.request("POST", "/v1/chat/completions", &[], body.as_bytes()).await;
    let mut server = upstream.accept().await;
    server.asked().await;
    (client, server)
}

#[tokio::test]
async fn each_chunk_reaches_the_client_before_the_next_one_is_written() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&by_hand(&upstream, "")).await;
    let (mut client, mut server) = opened(&gateway, &upstream).await;
    let role = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
    let odd = [
        event("one"),
        ": a comment\n\n".to_owned(),
        event("two").replace("data: ", "id: 7\r\nevent: message\r\ndata:"),
        format!("{}{}", event("three"), event("four")),
        "data: {\"choices\": [ { \"index\":0, \"delta\":{\"content\":\"\\u0000 \\ud83d\\ude00\"} } ], \"x\":1.50}\n\n"
            .to_owned(),
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n".to_owned(),
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n".to_owned(),
        "data: [DONE]\n\n".to_owned(),
    ];
    server.write(STREAM_HEAD).await;
    server.write_chunk(role.as_bytes()).await;
    server.write_chunk(odd[0].as_bytes()).await;
    let head = client.head().await;
    assert_eq!((head.status(), &head.headers["content-type"]), (200, &"text/event-stream".parse().unwrap()));
    let text = |chunk: Option<Vec<u8>>| String::from_utf8(chunk.expect("no end yet")).unwrap();
    assert_eq!(text(client.chunk().await), format!("{role}{}", odd[0]), "what was held is released with the content");
    for chunk in &odd[1..] {
        server.write_chunk(chunk.as_bytes()).await;
        // Two events in one chunk may stay together or not, but nothing else is waited for.
        let mut got = text(client.chunk().await);
        while got.len() < chunk.len() {
            got.push_str(&text(client.chunk().await));
        }
        assert_eq!(&got, chunk);
    }
    server.write_chunk(b"").await;
    assert_eq!(client.chunk().await, Some(Vec::new()), "the body has its end");
    gateway.idle().await;
    assert_eq!(gateway.metric("backstop_tokens_total", &["direction=\"completion\""]).await, 2.0);
}

/// What is written at once comes in fewer chunks, of whole events, in order.
#[tokio::test]
async fn events_that_come_together_are_joined_whole_and_in_order() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&by_hand(&upstream, "")).await;
    let (mut client, mut server) = opened(&gateway, &upstream).await;
    let mut chunks: Vec<String> = (0..500).map(|number| event(&format!("word {number}"))).collect();
    chunks.push(last_event());
    server.write(STREAM_HEAD).await;
    let all: String = chunks.iter().map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len())).collect();
    server.write(all + "0\r\n\r\n").await;
    let answer = client.answer().await;
    assert!(answer.whole);
    assert_eq!(answer.text(), chunks.concat(), "first and last byte and all between");
    assert!(answer.chunks.len() < chunks.len(), "{} chunks", answer.chunks.len());
    for chunk in &answer.chunks {
        assert!(chunk.starts_with(b"data: ") && chunk.ends_with(b"\n\n"), "{}", String::from_utf8_lossy(chunk));
        assert!(chunk.len() < 32 * 1024, "{} bytes", chunk.len());
    }
    assert!(answer.text().ends_with("data: [DONE]\n\n"));
}

/// An event that comes in pieces is whole for the client, and its last byte is all that is waited for.
#[tokio::test]
async fn an_event_in_pieces_is_delivered_with_its_last_byte() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&by_hand(&upstream, "")).await;
    let (mut client, mut server) = opened(&gateway, &upstream).await;
    server.write(STREAM_HEAD).await;
    for text in ["first", "second", "third"] {
        let event = event(text);
        let (left, right) = event.split_at(event.len() / 2);
        server.write_chunk(left.as_bytes()).await;
        server.write_chunk(right.as_bytes()).await;
        if text == "first" {
            client.head().await;
        }
        let mut got = Vec::new();
        while got.len() < event.len() {
            got.extend(client.chunk().await.unwrap());
        }
        assert_eq!(String::from_utf8(got).unwrap(), event);
    }
}

/// Nagle's algorithm against delayed acknowledgements costs 40 ms for every second of two small writes. Linux delays
/// acknowledgements on connections that go to and fro, so one connection is kept on both sides.
#[tokio::test]
async fn no_chunk_waits_for_an_acknowledgement() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&by_hand(&upstream, "")).await;
    let body = chat("default", true).to_string();
    let mut client = gateway.connect().await;
    let mut server = None;
    let mut rounds = Vec::new();
    for _ in 0..30 {
        client.request("POST", "/v1/chat/completions", &[], body.as_bytes()).await;
        let server = match &mut server {
            Some(kept) => kept,
            none => none.insert(upstream.accept().await),
        };
        server.asked().await;
        server.write(STREAM_HEAD).await;
        let began = Instant::now();
        for part in ["a", "b", "c", "d"] {
            server.write_chunk(event(part).as_bytes()).await;
            // A round trip through the same runtime: the gateway has read the chunk and written it.
            gateway.get("/livez").await;
        }
        client.head().await;
        for part in ["a", "b", "c", "d"] {
            assert_eq!(client.chunk().await.unwrap(), event(part).as_bytes());
        }
        rounds.push(began.elapsed());
        server.write_chunk(last_event().as_bytes()).await;
        server.write_chunk(b"").await;
        while client.chunk().await.is_some_and(|chunk| !chunk.is_empty()) {}
    }
    rounds.sort();
    assert!(rounds[15] < Duration::from_millis(30), "half of the rounds took {:?} or more", rounds[15]);
}
