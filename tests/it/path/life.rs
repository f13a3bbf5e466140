//! The life of connections: pooled ones that went stale, limits on opening them, and the end of the process.

use tokio::net::TcpStream;

use super::by_hand;
use crate::support::{Gateway, STREAM_HEAD, Upstream, Wire, chat, event, last_event, plain_answer, until};

/// A chat over its own connection, its answer not read yet.
async fn ask(gateway: &Gateway, stream: bool) -> Wire {
    let mut client = gateway.connect().await;
    client.request("POST", "/v1/chat/completions", &[], chat("default", stream).to_string().as_bytes()).await;
    client
}

/// The first request makes a connection that is kept; the upstream closes it exactly when the next one is on it.
#[tokio::test]
async fn a_stale_pooled_connection_is_replaced_once_and_counts_as_nothing() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&by_hand(&upstream, "")).await;
    let mut client = ask(&gateway, false).await;
    let mut kept = upstream.accept().await;
    let (_, first) = kept.asked().await;
    kept.write(plain_answer("one")).await;
    assert_eq!(client.answer().await.content(), "one");

    let mut client = ask(&gateway, false).await;
    let (_, second) = kept.asked().await;
    assert_eq!(first, second);
    drop(kept);
    let mut fresh = upstream.accept().await;
    let (_, again) = fresh.asked().await;
    assert_eq!(second, again, "the same bytes");
    fresh.write(plain_answer("two")).await;
    let answer = client.answer().await;
    assert_eq!((answer.content().as_str(), answer.trail()), ("two", "one/m1@K=ok:200"));

    gateway.idle().await;
    assert_eq!(gateway.metric("backstop_failovers_total", &[]).await, 0.0);
    assert_eq!(gateway.metric("backstop_attempts_total", &["outcome=\"ok\""]).await, 2.0);
    assert_eq!(gateway.metric("backstop_attempts_total", &[]).await, 2.0);
    for (lane, name) in [("slot", "one/m1@K".to_owned()), ("endpoint", format!("http://{}", upstream.addr))] {
        let lane = gateway.lane(lane, &name).await;
        assert_eq!((&lane["state"], &lane["streak"], &lane["last_failure"]), (&"ready".into(), &0.into(), &().into()));
    }
}

/// Once only: a fresh connection that breaks too is the upstream's failure.
#[tokio::test]
async fn a_fresh_connection_that_breaks_too_is_a_network_failure() {
    let upstream = Upstream::start().await;
    let more = "run: { retry_pause_min: '1ms', retry_pause_max: '1ms' },";
    let gateway = Gateway::start(&by_hand(&upstream, more)).await;
    let mut client = ask(&gateway, false).await;
    let mut kept = upstream.accept().await;
    kept.asked().await;
    kept.write(plain_answer("one")).await;
    client.answer().await;

    let mut client = ask(&gateway, false).await;
    kept.asked().await;
    drop(kept);
    // The replacement, and the one quick retry of a network failure.
    for _ in 0..2 {
        let mut fresh = upstream.accept().await;
        fresh.asked().await;
    }
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.trail()), (502, "one/m1@K=network, one/m1@K=network"));
}

#[tokio::test]
async fn compression_is_refused_upstream_whatever_the_client_takes() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&by_hand(&upstream, "")).await;
    let mut client = gateway.connect().await;
    let headers = [
        ("accept-encoding", "gzip, br"),
        ("authorization", "Bearer the-clients-own"),
        ("openai-beta", "assistants=v2"),
        ("cookie", "a=b"),
        ("x-forwarded-for", "10.0.0.1"),
    ];
    client.request("POST", "/v1/chat/completions", &headers, chat("default", false).to_string().as_bytes()).await;
    let mut server = upstream.accept().await;
    let (head, _) = server.asked().await;
    assert_eq!(head.line, "POST /v1/chat/completions HTTP/1.1");
    let all = |name: &str| head.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(all("accept-encoding"), ["identity"]);
    assert_eq!(all("authorization"), ["Bearer sk-one-secret"], "the provider's key, not the client's");
    assert_eq!(all("openai-beta"), ["assistants=v2"]);
    assert_eq!(all("host"), [upstream.addr.to_string()]);
    assert!(all("cookie").is_empty() && all("x-forwarded-for").is_empty(), "{head:?}");
    server.write(plain_answer("plain")).await;
    assert_eq!(client.answer().await.content(), "plain");
}

/// The limit is on DNS, TCP and TLS together: a peer that takes the connection and never shakes hands has used it up.
#[tokio::test]
async fn a_connection_that_does_not_open_in_time_is_a_network_failure() {
    let silent = Upstream::start().await;
    let text = super::lone(&format!("https://{}/v1", silent.addr), "upstream: { connect_timeout: '100ms' },");
    let gateway = Gateway::start(&text).await;
    let mut client = ask(&gateway, false).await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.trail()), (502, "one/m1@K=network:connect, one/m1@K=network:connect"));
    let endpoint = gateway.lane("endpoint", &format!("https://{}", silent.addr)).await;
    assert_eq!((&endpoint["kind"], &endpoint["streak"]), (&"network".into(), &1.into()));
}

#[tokio::test]
async fn a_port_that_refuses_is_a_network_failure() {
    let upstream = Upstream::start().await;
    let text = by_hand(&upstream, "");
    drop(upstream);
    let gateway = Gateway::start(&text).await;
    let answer = gateway.chat("default").await;
    assert_eq!((answer.status, answer.trail()), (502, "one/m1@K=network, one/m1@K=network"));
}

/// Connections of clients are kept, and an upstream may end an answer by closing its own.
#[tokio::test]
async fn a_client_keeps_its_connection_whatever_the_upstream_does() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&by_hand(&upstream, "")).await;
    let mut client = gateway.connect().await;
    for (text, kept) in [("one", "connection: close\r\n"), ("two", ""), ("three", "")] {
        client.request("POST", "/v1/chat/completions", &[], chat("default", false).to_string().as_bytes()).await;
        let mut server = upstream.accept().await;
        server.asked().await;
        // Without a length: the end of the connection is the end of the body.
        let (_, body) = plain_answer(text).split_once("\r\n\r\n").map(|(h, b)| (h.to_owned(), b.to_owned())).unwrap();
        server.write(format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{kept}\r\n{body}")).await;
        drop(server);
        let answer = client.answer().await;
        assert_eq!((answer.content().as_str(), answer.trail()), (text, "one/m1@K=ok:200"));
    }
}

/// curl asks before it sends a long body.
#[tokio::test]
async fn a_client_that_asks_first_is_told_to_go_on() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&by_hand(&upstream, "")).await;
    let mut client = gateway.connect().await;
    let body = chat("default", false).to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    client.write(head).await;
    assert_eq!(client.head().await.status(), 100);
    client.write(body).await;
    let mut server = upstream.accept().await;
    let (head, _) = server.asked().await;
    assert!(!head.headers.contains_key("expect"), "{head:?}");
    server.write(plain_answer("all")).await;
    assert_eq!(client.answer().await.content(), "all");
}

/// An answer over 16 MiB is passed on as it comes: whole if it is whole, and broken if it breaks.
#[tokio::test]
async fn a_very_long_answer_is_passed_on() {
    for cut in [false, true] {
        let upstream = Upstream::start().await;
        let gateway = Gateway::start(&by_hand(&upstream, "")).await;
        let mut client = ask(&gateway, false).await;
        let mut server = upstream.accept().await;
        server.asked().await;
        let long = plain_answer(&"x".repeat(17 << 20));
        let sent = if cut { long.len() - 1 } else { long.len() };
        let writing = async {
            server.write(&long.as_bytes()[..sent]).await;
            drop(server);
        };
        let (answer, ()) = tokio::join!(client.answer(), writing);
        assert_eq!((answer.status, answer.whole), (200, !cut));
        if !cut {
            assert_eq!(answer.content().len(), 17 << 20);
        }
        gateway.idle().await;
        let lane = gateway.lane("slot", "one/m1@K").await;
        let kind = if cut { "broken_stream".into() } else { serde_json::Value::Null };
        assert_eq!((&lane["kind"], &lane["streak"]), (&kind, &u32::from(cut).into()));
    }
}

/// An open stream at the gateway of which the client has the first content.
async fn open_stream(gateway: &Gateway, upstream: &Upstream) -> (Wire, Wire) {
    let mut client = ask(gateway, true).await;
    let mut server = upstream.accept().await;
    server.asked().await;
    server.write(STREAM_HEAD).await;
    server.write_chunk(event("first").as_bytes()).await;
    client.head().await;
    assert_eq!(client.chunk().await.unwrap(), event("first").as_bytes());
    (client, server)
}

#[tokio::test]
async fn an_open_stream_ends_whole_while_new_connections_are_refused() {
    let upstream = Upstream::start().await;
    let mut gateway = Gateway::start(&by_hand(&upstream, "")).await;
    let (mut client, mut server) = open_stream(&gateway, &upstream).await;
    let mut idle = gateway.connect().await;
    gateway.stop();
    until("new connections are refused", async || TcpStream::connect(gateway.addr).await.is_err()).await;
    idle.closed().await;
    for text in ["second", "third"] {
        server.write_chunk(event(text).as_bytes()).await;
        assert_eq!(client.chunk().await.unwrap(), event(text).as_bytes());
    }
    server.write_chunk(last_event().as_bytes()).await;
    server.write_chunk(b"").await;
    let mut rest = Vec::new();
    loop {
        let chunk = client.chunk().await.expect("the stream is not cut");
        if chunk.is_empty() {
            break;
        }
        rest.extend(chunk);
    }
    assert_eq!(String::from_utf8(rest).unwrap(), last_event());
    assert_eq!(gateway.stopped().await, 0.0, "nothing was cut");
}

#[tokio::test]
async fn after_the_drain_the_number_of_cut_requests_is_told() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&by_hand(&upstream, "server: { drain: '50ms' },")).await;
    let _one = open_stream(&gateway, &upstream).await;
    let _two = open_stream(&gateway, &upstream).await;
    assert_eq!(gateway.stopped().await, 2.0);
}

/// A plain request in flight ends too, and so does the wait of one for its second attempt.
#[tokio::test]
async fn a_plain_request_ends_while_the_gateway_drains() {
    let upstream = Upstream::start().await;
    let mut gateway =
        Gateway::start(&by_hand(&upstream, "run: { retry_pause_min: '1ms', retry_pause_max: '2ms' },")).await;
    let mut client = ask(&gateway, false).await;
    let mut server = upstream.accept().await;
    server.asked().await;
    gateway.stop();
    until("new connections are refused", async || TcpStream::connect(gateway.addr).await.is_err()).await;
    server.write("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n").await;
    server.asked().await;
    server.write(plain_answer("still here")).await;
    let answer = client.answer().await;
    assert_eq!(
        (answer.content().as_str(), answer.trail()),
        ("still here", "one/m1@K=server_error:500, one/m1@K=ok:200")
    );
    assert_eq!(gateway.stopped().await, 0.0);
}

#[tokio::test]
async fn a_gateway_without_requests_stops_at_once() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&by_hand(&upstream, "server: { drain: '1h' },")).await;
    let kept = gateway.connect().await;
    assert_eq!(gateway.stopped().await, 0.0);
    drop(kept);
}
