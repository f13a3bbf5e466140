//! Clients that send what no SDK sends.

use serde_json::json;

use super::super::hostile_support::{Gate, Wire, ask, chat, get, once, post};
use super::{check_shape, check_unharmed, gate, healthy};

const SMALL: &str = "server: { max_body: '64KiB', header_timeout: '400ms', body_timeout: '400ms' }";

/// A chat request that is fine.
fn fine() -> Vec<u8> {
    chat(&ask("good", false))
}

/// A chat request with these bytes as its body.
fn of(body: &[u8]) -> Vec<u8> {
    post("/v1/chat/completions", &format!("content-length: {}\r\n", body.len()), body)
}

fn line(request: &str) -> Vec<u8> {
    format!("{request}\r\nhost: gateway\r\n\r\n").into_bytes()
}

/// What the gateway itself refuses: name, request, status, code.
fn refused() -> Vec<(&'static str, Vec<u8>, u16, &'static str)> {
    let good = ask("good", false);
    let plain = String::from_utf8(fine()).unwrap().replace("application/json", "text/plain");
    let deep = format!(r#"{{"model":"good","messages":{}{}}}"#, "[".repeat(20_000), "]".repeat(20_000));
    let odd = |body: &str| of(body.as_bytes());
    let long_name = json!({ "model": "x".repeat(50_000), "messages": [] }).to_string();
    let chunked = |body: &str| post("/v1/chat/completions", "transfer-encoding: chunked\r\n", body.as_bytes());
    let announced = post("/v1/chat/completions", "content-length: 70000\r\n", b"");
    let many = format!("10001\r\n{}\r\n0\r\n\r\n", "x".repeat(0x10001));
    let deadline = post(
        "/v1/chat/completions",
        &format!("x-backstop-deadline-ms: -5\r\ncontent-length: {}\r\n", good.len()),
        good.as_bytes(),
    );
    vec![
        ("malformed", odd(r#"{"model":"good","messages":[}"#), 400, "invalid_json"),
        ("cut", odd(r#"{"model":"good","mess"#), 400, "invalid_json"),
        ("empty", odd(""), 400, "invalid_json"),
        ("a list", odd("[]"), 400, "invalid_json"),
        ("two documents", odd("{\"model\":\"good\"}{}"), 400, "invalid_json"),
        ("not UTF-8", of(b"{\"model\":\"good\",\"user\":\"\xff\xfe\"}"), 400, "invalid_json"),
        ("a BOM", odd(&format!("\u{feff}{good}")), 400, "invalid_json"),
        ("UTF-16", of(&good.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()), 400, "invalid_json"),
        ("a lone NUL", of(b"\0"), 400, "invalid_json"),
        ("too deep", odd(&deep), 400, "invalid_json"),
        ("no model", odd(r#"{"messages":[]}"#), 400, "missing_required_parameter"),
        ("a model that is none", odd(r#"{"model":["good"]}"#), 400, "invalid_type"),
        ("two models", odd(r#"{"model":"good","model":"lone"}"#), 400, "duplicate_field"),
        ("an unknown model", odd(r#"{"model":"nobody","messages":[]}"#), 404, "model_not_found"),
        ("a very long model", odd(&long_name), 404, "model_not_found"),
        ("a newline in the model", odd(r#"{"model":"a\r\nset-cookie: b","messages":[]}"#), 404, "model_not_found"),
        ("another type", plain.into_bytes(), 415, "unsupported_content_type"),
        ("a long body, announced", announced, 413, "request_too_large"),
        ("a long body in chunks", chunked(&many), 413, "request_too_large"),
        ("bad chunks", chunked("zz\r\n{}\r\n"), 400, "incomplete_body"),
        (
            "a length that is too short",
            post("/v1/chat/completions", "content-length: 9\r\n", good.as_bytes()),
            400,
            "invalid_json",
        ),
        ("half a body and silence", post("/v1/chat/completions", "content-length: 9\r\n", b"{"), 408, "body_timeout"),
        ("a deadline in the past", deadline, 400, "invalid_header"),
        ("an unknown path", line("GET /v2/chat HTTP/1.1"), 404, "unknown_url"),
        ("a very long path", line(&format!("GET /{} HTTP/1.1", "x".repeat(9_000))), 404, "unknown_url"),
        ("a path that is no UTF-8", line("GET /v1/models/%FF%FE HTTP/1.1"), 400, "invalid_url"),
        ("a path upwards", line("GET /v1/../../etc/passwd HTTP/1.1"), 404, "unknown_url"),
        ("GET for POST", line("GET /v1/chat/completions HTTP/1.1"), 405, "method_not_allowed"),
        ("DELETE of a model", line("DELETE /v1/models/good HTTP/1.1"), 405, "method_not_allowed"),
        ("POST for GET", line("POST /status HTTP/1.1"), 405, "method_not_allowed"),
        ("an invented method", line("BREW /v1/chat/completions HTTP/1.1"), 405, "method_not_allowed"),
        ("a proxy's CONNECT", line("CONNECT example.com:443 HTTP/1.1"), 404, "unknown_url"),
        ("OPTIONS of everything", line("OPTIONS * HTTP/1.1"), 404, "unknown_url"),
    ]
}

/// What hyper refuses before the gateway hears of it. Known exception to the error shape: it answers with a status and
/// no body, and has no hook for one; bytes of every connection would have to be read twice to give it one.
fn refused_by_hyper() -> Vec<(&'static str, Vec<u8>, u16)> {
    let with = |fields: &str| post("/v1/chat/completions", fields, b"{}");
    let many: String = (0..10_000).map(|number| format!("x-{number}: y\r\n")).collect();
    vec![
        ("10,000 headers", with(&many), 431),
        ("101 headers", with(&many.lines().take(101).map(|line| format!("{line}\r\n")).collect::<String>()), 431),
        ("a header of 1 MiB", with(&format!("x-long: {}\r\n", "x".repeat(1 << 20))), 431),
        ("a path of 1 MiB", line(&format!("GET /{} HTTP/1.1", "x".repeat(1 << 20))), 431),
        ("a length that is none", with("content-length: many\r\n"), 400),
        ("a length beyond measure", with("content-length: 18446744073709551614\r\n"), 431),
        ("a negative length", with("content-length: -1\r\n"), 400),
        ("two lengths", with("content-length: 2\r\ncontent-length: 3\r\n"), 400),
        ("a NUL in a header", with("x-nul: a\0b\r\n"), 400),
        ("a folded header", with("x-fold: a\r\n b\r\n"), 400),
        ("a space before the colon", with("content-length : 2\r\n"), 400),
        ("another coding", with("transfer-encoding: gzip\r\n"), 400),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), 400),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(), 400),
        ("no HTTP", b"hello\r\n\r\n".to_vec(), 400),
    ]
}

#[tokio::test]
async fn a_bad_request_gets_a_clear_answer_in_openais_shape() {
    let sim = healthy();
    let gate = gate(sim.addr(), &sim, SMALL);
    for (name, request, status, code) in refused() {
        let reply = once(gate.addr, &request).await.unwrap_or_else(|| panic!("{name}: no answer"));
        assert_eq!(reply.status, status, "{name}: {}", reply.text());
        let body = check_shape(name, &reply);
        assert_eq!(body["error"]["code"], code, "{name}");
        assert_eq!(reply.header("x-should-retry"), Some("false"), "{name}");
        assert_eq!(reply.header("set-cookie"), None, "{name}");
        check_unharmed(name, &gate).await;
    }
    assert_eq!(gate.stop().await, 0.0);
}

#[tokio::test]
async fn what_is_no_http_gets_a_status() {
    let sim = healthy();
    let gate = gate(sim.addr(), &sim, SMALL);
    for (name, request, status) in refused_by_hyper() {
        let mut wire = Wire::open(gate.addr).await;
        wire.send(&request).await;
        // A server that hangs up on unread bytes may be reset before its answer is read: that is clear enough.
        if let Some(reply) = wire.reply().await {
            assert_eq!((reply.status, reply.text().as_str()), (status, ""), "{name}");
        }
        check_unharmed(name, &gate).await;
    }
}

#[tokio::test]
async fn a_client_that_breaks_off_harms_nobody() {
    let sim = healthy();
    let gate = gate(sim.addr(), &sim, SMALL);
    let request = fine();
    for cut in [1, 20, request.len() / 2, request.len() - 1] {
        let mut wire = Wire::open(gate.addr).await;
        wire.send(&request[..cut]).await;
        wire.finish().await;
        // With half a body there is somebody to tell.
        if let Some(reply) = wire.reply().await {
            assert_eq!((reply.status, reply.json()["error"]["code"].as_str()), (400, Some("incomplete_body")), "{cut}");
        }
        let mut wire = Wire::open(gate.addr).await;
        wire.send(&request[..cut]).await;
        drop(wire);
        check_unharmed("cut", &gate).await;
    }
}

#[tokio::test]
async fn a_slow_head_is_hung_up_on() {
    let sim = healthy();
    let gate = gate(sim.addr(), &sim, SMALL);
    let mut wire = Wire::open(gate.addr).await;
    wire.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: ga").await;
    assert!(wire.reply().await.is_none_or(|reply| reply.status == 408), "nobody waits for the rest");
    let mut idle = Wire::open(gate.addr).await;
    assert!(idle.reply().await.is_none(), "nor for a first byte");
    check_unharmed("slow", &gate).await;
}

#[tokio::test]
async fn unusual_http_is_served() {
    let sim = healthy();
    let gate = gate(sim.addr(), &sim, SMALL);
    let served = |request: Vec<u8>| async move { once(gate.addr, &request).await.expect("an answer") };
    let text = String::from_utf8(fine()).unwrap();
    let variants = [
        ("HTTP/1.0", text.replace("HTTP/1.1", "HTTP/1.0")),
        ("an absolute address", text.replace("POST /v1", "POST http://gateway/v1")),
        ("without /v1", text.replace("POST /v1", "POST ")),
        ("a query", text.replace("completions HTTP", "completions?api-version=1 HTTP")),
        ("without a type", text.replace("content-type: application/json\r\n", "")),
        ("a charset", text.replace("application/json", "Application/JSON; charset=utf-8")),
        ("without a host", text.replace("host: gateway\r\n", "")),
    ];
    for (name, request) in variants {
        let reply = served(request.into_bytes()).await;
        assert_eq!(reply.status, 200, "{name}: {}", reply.text());
        assert!(reply.whole && reply.content().starts_with("I am good/m"), "{name}");
    }
    let old = String::from_utf8(chat(&ask("good", true))).unwrap().replace("HTTP/1.1", "HTTP/1.0");
    let stream = served(old.into_bytes()).await;
    assert_eq!(stream.header("transfer-encoding"), None, "HTTP/1.0 knows no chunks");
    assert_eq!(stream.data().last().map(String::as_str), Some("[DONE]"));
    gate.rests().await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let sim = healthy();
    let gate = gate(sim.addr(), &sim, SMALL);
    let mut wire = Wire::open(gate.addr).await;
    wire.send(&[fine(), chat("{}"), chat(&ask("good", true)), fine()].concat()).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let reply = wire.reply().await.expect("an answer");
        assert!(reply.whole);
        statuses.push(reply.status);
    }
    assert_eq!(statuses, [200, 400, 200, 200]);
    check_unharmed("pipelined", &gate).await;
}

#[tokio::test]
async fn heads_and_expectations() {
    let sim = healthy();
    let gate: Gate = gate(sim.addr(), &sim, SMALL);
    for (path, status) in [("/v1/models", 200), ("/status", 200), ("/v1/chat/completions", 405), ("/nowhere", 404)] {
        let mut wire = Wire::open(gate.addr).await;
        wire.send(&line(&format!("HEAD {path} HTTP/1.1"))).await;
        assert_eq!(wire.head().await.expect("an answer").status, status, "{path}");
        // Had a body followed, this would be answered with garbage.
        wire.send(&line("GET /livez HTTP/1.1")).await;
        assert_eq!(wire.reply().await.expect("an answer").text(), "ok", "{path}");
    }
    let body = ask("good", false);
    let mut wire = Wire::open(gate.addr).await;
    let fields = format!("expect: 100-continue\r\ncontent-length: {}\r\n", body.len());
    wire.send(&post("/v1/chat/completions", &fields, b"")).await;
    assert_eq!(wire.head().await.expect("an answer").status, 100, "it asks for the body");
    wire.send(body.as_bytes()).await;
    assert_eq!(wire.reply().await.expect("an answer").status, 200);
    assert_eq!(get(gate.addr, "/v1/models/good").await.status, 200);
}
