//! Upstream connections between requests: so many are kept, and those of no use are closed though nobody asks for them.

use super::by_hand;
use crate::support::{Gateway, STREAM_HEAD, Upstream, Wire, chat, event, last_event, plain_answer};

/// Requests at the same moment, answered one after the other. The upstream's ends of their connections.
async fn burst(gateway: &Gateway, upstream: &Upstream, requests: usize) -> Vec<Wire> {
    let mut pairs = Vec::new();
    for _ in 0..requests {
        let mut client = gateway.connect().await;
        client.request("POST", "/v1/chat/completions", &[], chat("default", false).to_string().as_bytes()).await;
        let mut server = upstream.accept().await;
        server.asked().await;
        pairs.push((client, server));
    }
    let mut servers = Vec::new();
    for (mut client, mut server) in pairs {
        server.write(plain_answer("yes")).await;
        assert_eq!(client.answer().await.content(), "yes");
        servers.push(server);
    }
    servers
}

#[tokio::test]
async fn no_more_connections_are_kept_than_the_setting_says() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&by_hand(&upstream, "upstream: { pool_max_idle: 2 },")).await;
    let mut servers = burst(&gateway, &upstream, 4).await;
    for mut surplus in servers.split_off(2) {
        surplus.closed().await;
    }
    // The others serve the next requests.
    let mut client = gateway.connect().await;
    client.request("POST", "/v1/chat/completions", &[], chat("default", false).to_string().as_bytes()).await;
    let mut last_used = servers.pop().unwrap();
    last_used.asked().await;
    last_used.write(plain_answer("again")).await;
    assert_eq!(client.answer().await.content(), "again");
}

#[tokio::test]
async fn none_is_kept_where_none_shall_be() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&by_hand(&upstream, "upstream: { pool_max_idle: 0 },")).await;
    burst(&gateway, &upstream, 1).await.pop().unwrap().closed().await;
}

#[tokio::test]
async fn unused_connections_are_closed_in_their_time_though_nobody_asks() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&by_hand(&upstream, "upstream: { pool_idle_timeout: '100ms' },")).await;
    for mut server in burst(&gateway, &upstream, 3).await {
        server.closed().await;
    }
}

/// What the upstream sent together goes out together, and what it has not sent yet is not waited for.
#[tokio::test]
async fn ready_events_share_a_chunk_and_a_single_one_does_not_wait() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&by_hand(&upstream, "")).await;
    let mut client = gateway.connect().await;
    client.request("POST", "/v1/chat/completions", &[], chat("default", true).to_string().as_bytes()).await;
    let mut server = upstream.accept().await;
    server.asked().await;
    server.write(STREAM_HEAD).await;
    server.write_chunk(event("one").as_bytes()).await;
    client.head().await;
    assert_eq!(client.chunk().await.unwrap(), event("one").as_bytes(), "at once");
    let together = [event("two"), event("three"), event("four")];
    let chunks: Vec<String> = together.iter().map(|event| format!("{:x}\r\n{event}\r\n", event.len())).collect();
    server.write(chunks.concat()).await;
    assert_eq!(String::from_utf8(client.chunk().await.unwrap()).unwrap(), together.concat());
    server.write_chunk(last_event().as_bytes()).await;
    server.write(b"0\r\n\r\n").await;
    let mut rest = Vec::new();
    while let Some(chunk) = client.chunk().await.filter(|chunk| !chunk.is_empty()) {
        rest.extend(chunk);
    }
    assert_eq!(String::from_utf8(rest).unwrap(), last_event());
}
