//! Upstreams that answer what no vendor should.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::hostile_support::{Act, Upstream, Wire, ask, chat, get, json, once};
use super::{KEY, check_shape, check_unharmed, gate, healthy};

const QUICK: &str = "run: { first_content: '700ms', response_timeout: '700ms', stall: '700ms', retry_pause_min: '5ms', \
                     retry_pause_max: '10ms', max_wait: '10ms', same_target_wait: '0s' }";

fn send(text: impl Into<Vec<u8>>) -> Vec<Act> {
    vec![Act::Send(text.into())]
}

fn html(status: &str) -> Vec<u8> {
    let page = "<html><script>alert('x')</script></html>";
    format!("HTTP/1.1 {status}\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{page}", page.len()).into()
}

/// An event stream that ends with its connection.
fn events(body: &[u8]) -> Vec<u8> {
    [b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n".as_slice(), body].concat()
}

fn chunk(content: &str) -> String {
    format!("data: {{\"id\":\"1\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{content}\"}}}}]}}\n\n")
}

const FINISH: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
const OK: &str = r#"{"id":"1","object":"chat.completion","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"raw"}}]}"#;

type Answer = (&'static str, Vec<Act>);

/// Broken or endless on the wire.
fn broken() -> Vec<Answer> {
    let endless = |head: &str, again: &[u8]| vec![Act::Send(head.into()), Act::Endless(again.to_vec())];
    vec![
        ("gzip nobody asked for", send(json("200 OK", "content-encoding: gzip\r\n", OK))),
        ("brotli in an error", send(json("500 Oops", "content-encoding: br\r\n", "\u{1}\u{2}"))),
        (
            "too short a length",
            send(format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{OK}")),
        ),
        (
            "too long a length",
            send(format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9000\r\n\r\n{OK}")),
        ),
        ("a length that is none", send("HTTP/1.1 200 OK\r\ncontent-length: lots\r\n\r\n{}")),
        ("two lengths", send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{} ")),
        ("endless headers", endless("HTTP/1.1 200 OK\r\n", b"x-more: and more and more\r\n")),
        ("one endless header", endless("HTTP/1.1 200 OK\r\nx-long: ", &[b'x'; 4096])),
        ("an endless status line", endless("HTTP/1.1 200 ", &[b'O'; 4096])),
        (
            "endless chunk extensions",
            endless("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;x=", &[b'x'; 4096]),
        ),
        (
            "endless trailers",
            endless("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", b"x-more: and more\r\n"),
        ),
        ("endless early hints", endless("", b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n")),
        ("an endless error", endless("HTTP/1.1 500 Oops\r\ncontent-type: text/plain\r\n\r\n", &[b'e'; 4096])),
        ("an endless page", endless("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n<html>", &[b'h'; 4096])),
    ]
}

/// HTTP all right, but no answer.
fn pointless() -> Vec<Answer> {
    vec![
        ("garbage", send(b"\x00\x01\x02 garbage \xff\xfe\r\n\r\n".as_slice())),
        ("another protocol", send("SSH-2.0-OpenSSH_9.6\r\n")),
        ("nothing", send("")),
        ("half a head", send("HTTP/1.1 200 OK\r\ncontent-ty")),
        ("half JSON", send(json("200 OK", "", &OK[..OK.len() / 2]))),
        ("JSON of another kind", send(json("200 OK", "", "[1, 2]"))),
        ("a page", send(html("200 OK"))),
        ("an empty 200", send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")),
        ("no content", send("HTTP/1.1 204 No Content\r\n\r\n")),
        ("not modified", send("HTTP/1.1 304 Not Modified\r\n\r\n")),
        ("partial content", send(json("206 Partial Content", "content-range: bytes 0-1/2\r\n", OK))),
        (
            "another protocol, politely",
            send("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
        ),
        ("a status of its own", send(json("999 Whatever", "", "{}"))),
        ("a status of two digits", send("HTTP/1.1 99 Low\r\n\r\n")),
        ("a page that forbids", send(html("403 Forbidden"))),
        (
            "a deep error",
            send(json("500 Oops", "", &format!("{{\"error\":{}{}}}", "[".repeat(50_000), "]".repeat(50_000)))),
        ),
        (
            "a long error",
            send(json("503 Oops", "", &format!("{{\"error\":{{\"message\":\"{}\"}}}}", "x".repeat(400_000)))),
        ),
        (
            "an error that is no UTF-8",
            send([b"HTTP/1.1 500 Oops\r\n\r\n{\"error\":{\"message\":\"\xff\xfe\"}}".as_slice()].concat()),
        ),
        (
            "an error of odd types",
            send(json("500 Oops", "", r#"{"error":{"message":{"a":[1]},"type":7,"code":[null]}}"#)),
        ),
    ]
}

/// Absurd wishes to be left alone.
fn absurd() -> Vec<(String, Vec<Act>)> {
    let mut all = Vec::new();
    let odd =
        ["-1", "1e400", "NaN", "inf", "99999999999999999999", "0x10", "\u{7}", "", "soon", "1.5.5", "-0", "1e-400"];
    let dates = ["Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 99 Foo 0000 99:99:99 GMT"];
    for value in odd.into_iter().chain(dates) {
        let fields = format!(
            "retry-after: {value}\r\nretry-after-ms: {value}\r\nx-ratelimit-reset-requests: {value}\r\n\
                              anthropic-ratelimit-requests-reset: {value}\r\nx-ratelimit-remaining-requests: {value}\r\n"
        );
        let body = format!(
            r#"{{"error":{{"message":"try again in {}s","details":[{{"retryDelay":"{value}s"}}]}}}}"#,
            "9".repeat(40)
        );
        all.push((format!("retry after {value:?}"), send(json("429 Slow Down", &fields, &body.replace('\u{7}', "")))));
    }
    all
}

#[tokio::test]
async fn an_answer_that_is_none_is_hidden_by_the_next_slot() {
    let sim = healthy();
    let named = broken().into_iter().chain(pointless()).map(|(name, acts)| (name.to_owned(), acts));
    for (name, acts) in named.chain(absurd()) {
        let upstream = Upstream::start(move |_| acts.clone());
        for stream in [false, true] {
            println!("{name}, stream: {stream}");
            let gate = gate(upstream.addr, &sim, QUICK);
            let reply = once(gate.addr, &chat(&ask("default", stream))).await.expect("an answer");
            let trail = reply.header("x-backstop-trail").unwrap_or_default().to_owned();
            assert_eq!(reply.status, 200, "{name}: {trail} {}", reply.text());
            assert!(reply.whole && reply.content().starts_with("I am good/m"), "{name}: {trail}: {}", reply.text());
            assert!(trail.starts_with("bad/m@key-1=") && !trail.contains("bad/m@key-1=ok"), "{name}: {trail}");
            check_unharmed(&name, &gate).await;
            // However long a vendor wants to be left alone: an hour is the most.
            let status = get(gate.addr, "/status").await.json();
            let longest = status["lanes"].as_array().unwrap().iter().map(|lane| lane["remaining_ms"].as_u64().unwrap());
            assert!(longest.max().unwrap() <= 3_600_000, "{name}: {status}");
            // Asked alone, it gives an honest error.
            let reply = once(gate.addr, &chat(&ask("lone", stream))).await.expect("an answer");
            assert!(reply.status >= 400, "{name}: {}", reply.status);
            if reply.header("content-type") == Some("application/json") && reply.text().contains("(chain `lone`)") {
                check_shape(&name, &reply);
            }
            gate.rests().await;
        }
    }
}

#[tokio::test]
async fn early_hints_are_skipped() {
    let hints = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";
    let upstream = Upstream::saying([hints.as_bytes(), &json("200 OK", "", OK)].concat());
    let sim = healthy();
    let gate = gate(upstream.addr, &sim, QUICK);
    let reply = once(gate.addr, &chat(&ask("lone", false))).await.expect("an answer");
    assert_eq!((reply.status, reply.content().as_str()), (200, "raw"));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let visits = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&visits);
        let elsewhere = Upstream::start(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            send(json("200 OK", "", OK))
        });
        let to = format!("location: http://{}/v1/chat/completions\r\n", elsewhere.addr);
        let upstream = Upstream::saying(json(status, &to, ""));
        let sim = healthy();
        let gate = gate(upstream.addr, &sim, QUICK);
        let reply = once(gate.addr, &chat(&ask("default", false))).await.expect("an answer");
        assert!(reply.content().starts_with("I am good/m"), "{status}: {}", reply.text());
        let reply = once(gate.addr, &chat(&ask("lone", false))).await.expect("an answer");
        assert!(reply.status >= 400 && reply.header("location").is_none(), "{status}: {} {}", reply.status, reply.head);
        assert_eq!(visits.load(Ordering::Relaxed), 0, "{status}: a key must not go where a vendor points");
    }
}

#[tokio::test]
async fn a_vendors_words_cannot_forge_headers_or_events() {
    let words = r"no such thing\r\nset-cookie: evil=1\r\n\r\ndata: [DONE]\n\ndata: {\u0022choices\u0022:1}\n\n";
    let error = format!(r#"{{"error":{{"message":"{words}","type":"invalid_request_error","code":"a\r\nb: c"}}}}"#);
    let sim = healthy();
    let refusing =
        Upstream::saying(json("400 Bad Request", "set-cookie: evil=2\r\nx-backstop-provider: me\r\n", &error));
    let gate_a = gate(refusing.addr, &sim, QUICK);
    let reply = once(gate_a.addr, &chat(&ask("default", false))).await.expect("an answer");
    assert_eq!(reply.status, 400, "the first target's refusal is returned");
    assert_eq!(reply.header("set-cookie"), None);
    assert_eq!(reply.header("x-backstop-provider"), None);
    let streaming = Upstream::saying(events(format!("{}data: {error}\n\n", chunk("Hello")).as_bytes()));
    let gate_b = gate(streaming.addr, &sim, QUICK);
    let reply = once(gate_b.addr, &chat(&ask("default", true))).await.expect("an answer");
    let data = reply.data();
    assert_eq!((reply.status, reply.content().as_str(), data.len()), (200, "Hello", 2), "{}", reply.text());
    let last: serde_json::Value = serde_json::from_str(&data[1]).unwrap();
    assert!(last["error"]["message"].as_str().unwrap().contains("no such thing"), "{last}");
    assert!(!reply.text().contains("\ndata: [DONE]"), "{}", reply.text());
}

#[tokio::test]
async fn odd_streams_end_honestly() {
    let big = "x".repeat(4 << 20);
    let bodies: Vec<(&str, Vec<u8>, Option<usize>)> = vec![
        ("a frame of 4 MiB", [chunk(&big), FINISH.to_owned()].concat().into_bytes(), Some(big.len())),
        (
            "4 MiB behind content",
            [chunk("a"), chunk(&big), FINISH.to_owned()].concat().into_bytes(),
            Some(big.len() + 1),
        ),
        ("CRLF", [chunk("ab"), FINISH.to_owned()].concat().replace('\n', "\r\n").into_bytes(), Some(2)),
        ("a BOM", [b"\xef\xbb\xbf".to_vec(), chunk("ab").into_bytes(), FINISH.into()].concat(), None),
        (
            "a chunk that is no UTF-8",
            [
                chunk("ab").into_bytes(),
                b"data: {\"choices\":[{\"delta\":{\"content\":\"\xff\xfe\"}}]}\n\n".to_vec(),
                FINISH.into(),
            ]
            .concat(),
            None,
        ),
        ("NULs", [chunk("ab").into_bytes(), b"data: \0\0\0\n\n".to_vec(), FINISH.into()].concat(), None),
        ("two ends", [chunk("ab"), FINISH.to_owned(), "data: [DONE]\n\n".to_owned()].concat().into_bytes(), Some(2)),
    ];
    let sim = healthy();
    for (name, body, length) in bodies {
        let upstream = Upstream::saying(events(&body));
        let gate = gate(upstream.addr, &sim, QUICK);
        let reply = once(gate.addr, &chat(&ask("default", true))).await.expect("an answer");
        assert!(reply.status == 200 && reply.whole, "{name}");
        assert!(reply.text().ends_with("data: [DONE]\n\n") || reply.text().ends_with("[DONE]\r\n\r\n"), "{name}");
        if let Some(length) = length {
            assert_eq!(reply.content().len(), length, "{name}");
        }
        check_unharmed(name, &gate).await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_an_endless_answer_frees_it() {
    let endless_json = vec![
        Act::Send("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"a\":\"".into()),
        Act::Endless(vec![b'x'; 1 << 16]),
    ];
    let endless_stream = vec![Act::Send(events(chunk("a").as_bytes())), Act::Endless(chunk("b").into_bytes())];
    let sim = healthy();
    for (acts, stream) in [(endless_json, false), (endless_stream, true)] {
        let upstream = Upstream::start(move |_| acts.clone());
        let gate = gate(upstream.addr, &sim, "");
        let mut wire = Wire::open(gate.addr).await;
        wire.send(&chat(&ask("default", stream))).await;
        assert_eq!(wire.head().await.expect("it begins").status, 200);
        drop(wire);
        check_unharmed("endless", &gate).await;
        assert!(!get(gate.addr, "/metrics").await.text().contains(KEY));
    }
}
