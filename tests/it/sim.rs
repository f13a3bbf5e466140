//! The simulator does what its script says, seen from the socket.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::time::Duration;

use backstop::sim::{self, Fault, Listed, Rule, Script, Sim, Stage};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

/// Long enough for anything that comes at all.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How long the silence of a hang is listened to.
pub(super) const SILENCE: Duration = Duration::from_millis(400);
/// Bytes after which an answer counts as endless.
const ENDLESS: usize = 1 << 20;

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Closed,
    Reset,
    Silent,
    Endless,
}

/// An answer as bytes.
pub(super) struct Heard {
    pub bytes: Vec<u8>,
    pub end: End,
}

impl Heard {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub(super) fn head(&self) -> String {
        self.text().split("\r\n\r\n").next().unwrap().to_ascii_lowercase()
    }

    /// The body as far as `Content-Length` reaches, raw otherwise.
    pub(super) fn body(&self) -> String {
        let head = self.text().find("\r\n\r\n").map_or(self.bytes.len(), |at| at + 4);
        let body = &self.bytes[head..];
        let length = self.length().unwrap_or(body.len()).min(body.len());
        String::from_utf8_lossy(&body[..length]).into_owned()
    }

    pub(super) fn length(&self) -> Option<usize> {
        self.head().split("content-length: ").nth(1)?.lines().next()?.parse().ok()
    }

    /// The data of all events that are JSON.
    fn events(&self) -> Vec<Value> {
        let body = self.body();
        body.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect()
    }

    /// The text of a stream.
    fn content(&self) -> String {
        self.events()
            .iter()
            .filter_map(|e| e.pointer("/choices/0/delta/content")?.as_str().map(str::to_owned))
            .collect()
    }

    /// Whether a client can take it as a whole answer.
    fn is_whole(&self, stream: bool) -> bool {
        if !self.head().starts_with("http/1.1 200") {
            false
        } else if stream {
            let finished = self.events().iter().any(|e| e.pointer("/choices/0/finish_reason") == Some(&"stop".into()));
            finished && self.content() == whole_text()
        } else {
            let body: Value = serde_json::from_str(&self.body()).unwrap_or_default();
            body.pointer("/choices/0/message/content") == Some(&whole_text().into())
                && self.length() == Some(self.body().len())
        }
    }
}

fn whole_text() -> String {
    sim::pieces("openai", "gpt-4o", "-one", 8).concat()
}

fn chat(stream: bool) -> Value {
    json!({ "model": "gpt-4o", "messages": [{ "role": "user", "content": "hi" }], "stream": stream })
}

fn request(body: &Value, connection: &str) -> String {
    let body = body.to_string();
    format!(
        "POST /openai/v1/chat/completions HTTP/1.1\r\nhost: sim\r\nauthorization: Bearer sk-one\r\n\
         connection: {connection}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub(super) async fn connect(addr: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

pub(super) async fn listen(mut stream: TcpStream, patience: Duration) -> Heard {
    let deadline = Instant::now() + patience;
    let mut bytes = Vec::new();
    let end = loop {
        match timeout_at(deadline, stream.read_buf(&mut bytes)).await {
            Err(_) => break End::Silent,
            Ok(Err(_)) => break End::Reset,
            Ok(Ok(0)) => break End::Closed,
            Ok(Ok(_)) if bytes.len() > ENDLESS => break End::Endless,
            Ok(Ok(_)) => {}
        }
    };
    Heard { bytes, end }
}

/// Asks once on a fresh connection.
async fn ask(sim: &Sim, stream: bool, patience: Duration) -> Heard {
    listen(connect(sim.addr(), &request(&chat(stream), "close")).await, patience).await
}

pub(super) fn sim_of(rules: &str) -> Sim {
    Sim::start(Script::parse(rules).unwrap()).unwrap()
}

/// Plays one fault of the catalogue.
async fn play(listed: &Listed, stream: bool) -> Heard {
    let sim = Sim::start(Script::of(vec![listed.rule.clone()])).unwrap();
    let hangs = listed.name.starts_with("hang") || listed.name.starts_with("stall");
    let heard = ask(&sim, stream, if hangs { SILENCE } else { PATIENCE }).await;
    let counts = sim.stats().total();
    assert_eq!((counts.requests, counts.faults.get(listed.name)), (1, Some(&1)), "{}", listed.name);
    heard
}

pub(super) fn listed(name: &str) -> Listed {
    sim::faults().into_iter().find(|l| l.name == name).unwrap_or_else(|| panic!("no fault {name}"))
}

#[tokio::test]
async fn every_fault_strikes_at_the_stage_that_the_catalogue_names() {
    for listed in sim::faults() {
        let streamed = play(&listed, true).await;
        let (said, whole) = (!streamed.content().is_empty(), streamed.is_whole(true));
        let stage = if whole {
            Stage::Harmless
        } else if said {
            Stage::AfterContent
        } else {
            Stage::BeforeContent
        };
        assert_eq!(stage, listed.stream, "{} in a stream: {}", listed.name, streamed.text());
        let plain = play(&listed, false).await;
        assert_eq!(plain.is_whole(false), listed.plain == Stage::Harmless, "{}: {}", listed.name, plain.text());
    }
}

#[tokio::test]
async fn every_fault_ends_as_it_says() {
    use End::{Closed, Endless, Reset, Silent};
    // Name, end, what a plain answer contains, what a stream contains.
    let table = [
        ("status_401", Closed, "\"code\":\"invalid_api_key\"", "HTTP/1.1 401 Unauthorized"),
        ("status_402", Closed, "HTTP/1.1 402 ", "\"code\":\"insufficient_quota\""),
        ("status_429_retry_after", Closed, "retry-after: 2\r\n", "\"code\":\"rate_limit_exceeded\""),
        ("status_429_quota", Closed, "HTTP/1.1 429 ", "\"code\":\"insufficient_quota\""),
        ("status_502_html", Closed, "content-type: text/html", "<html>502"),
        ("status_504_empty", Closed, "content-length: 0\r\n", "HTTP/1.1 504 "),
        ("key_limit", Closed, "retry-after: 1\r\n", "HTTP/1.1 429 "),
        ("error_in_200", Closed, "\"type\":\"overloaded_error\"", "HTTP/1.1 200 OK"),
        ("error_in_first_event", Closed, "HTTP/1.1 200 OK", "\r\ndata: {\"error\":"),
        ("hang_before_headers", Silent, "", ""),
        ("hang_after_headers", Silent, "HTTP/1.1 200 OK", "text/event-stream"),
        ("hang_with_comments", Silent, "HTTP/1.1 200 OK", ": keep-alive\n\n"),
        ("hang_mid_body", Silent, "\"choices\"", "Word 4."),
        ("stall_after_3_chunks", Silent, "\"choices\"", "Word 3."),
        ("reset_before_headers", Reset, "", ""),
        ("reset_after_headers", Reset, "content-length: ", "transfer-encoding: chunked"),
        ("reset_mid_body", Reset, "\"choices\"", "Word 4."),
        ("close_before_headers", Closed, "", ""),
        ("close_mid_body", Closed, "\"choices\"", "Word 4."),
        ("cut_after_3_chunks", Closed, "\"choices\"", "Word 3."),
        ("error_after_3_chunks", Closed, "overloaded", "\ndata: {\"error\":"),
        ("garbage_non_http", Closed, "SSH-2.0", "SSH-2.0"),
        ("garbage_html", Closed, "<!doctype html>", "<!doctype html>"),
        ("garbage_empty", Closed, "content-length: 0\r\n", "content-length: 0\r\n"),
        ("gzip", Closed, "content-encoding: gzip\r\n", "content-encoding: gzip\r\n"),
        ("endless_headers", Endless, "x-endless-900: ", "x-endless-900: "),
        ("comments_first", Closed, "\"stop\"", ": keep-alive\n\n"),
        ("malformed_chunk", Closed, "\"stop\"", "data: {\"id\": oops\n\n"),
        ("quota_at_zero", Closed, "x-ratelimit-remaining-requests: 0\r\n", "[DONE]"),
    ];
    for (name, end, in_plain, in_stream) in table {
        for (stream, expected) in [(false, in_plain), (true, in_stream)] {
            let heard = play(&listed(name), stream).await;
            assert_eq!(heard.end, end, "{name}, stream {stream}: {}", heard.text());
            assert!(heard.text().contains(expected), "{name}, stream {stream}: {}", heard.text());
            assert_eq!(heard.bytes.is_empty(), expected.is_empty(), "{name}, stream {stream}: {}", heard.text());
        }
    }
}

#[tokio::test]
async fn cuts_stop_after_the_scripted_chunk() {
    for n in 0..=8 {
        let sim = sim_of(&format!("[{{ fault: {{ cut_after_chunks: {n} }} }}]"));
        let heard = ask(&sim, true, PATIENCE).await;
        assert_eq!(heard.content(), sim::pieces("openai", "gpt-4o", "-one", n).concat());
        assert!(!heard.text().ends_with("0\r\n\r\n"), "the chunked body has no end");
    }
}

#[tokio::test]
async fn wrong_lengths_are_wrong_by_what_the_script_says() {
    let honest = ask(&sim_of("[]"), false, PATIENCE).await.length().unwrap();
    for (by, length) in [(64, honest + 64), (-10, honest - 10)] {
        let heard = ask(&sim_of(&format!("[{{ fault: {{ wrong_length: {by} }} }}]")), false, PATIENCE).await;
        assert_eq!((heard.length(), heard.end), (Some(length), End::Closed));
    }
}

#[tokio::test]
async fn a_healthy_stream_is_openais() {
    let sim = sim_of("{ chunks: 3 }");
    let mut body = chat(true);
    body["stream_options"] = json!({ "include_usage": true });
    let heard = listen(connect(sim.addr(), &request(&body, "close")).await, PATIENCE).await;
    assert!(heard.text().ends_with("data: [DONE]\n\n\r\n0\r\n\r\n"), "{}", heard.text());
    let events = heard.events();
    let delta = |at: usize| events[at].pointer("/choices/0/delta").unwrap().clone();
    assert_eq!(events.len(), 1 + 3 + 1 + 1);
    assert_eq!(delta(0)["role"], "assistant");
    assert_eq!(delta(1)["content"], "I am openai/gpt-4o with key ...-one.");
    assert_eq!(delta(4), json!({}));
    assert_eq!((&events[5]["choices"], &events[5]["usage"]["completion_tokens"]), (&json!([]), &json!(3)));
    assert!(events[..5].iter().all(|e| e["usage"].is_null() && e["id"] == "chatcmpl-sim00000001"));
}

#[tokio::test]
async fn a_connection_serves_many_requests_and_faults_do_not_leak_into_the_next() {
    let sim = sim_of("[{ when: { requests: [2, 2] }, fault: { status: 500 } }]");
    let both =
        request(&chat(true), "keep-alive") + &request(&chat(false), "keep-alive") + &request(&chat(false), "close");
    let heard = listen(connect(sim.addr(), &both).await, PATIENCE).await;
    let text = heard.text();
    let statuses: Vec<_> = text.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!((statuses.join(" ").as_str(), heard.end), ("200 500 200", End::Closed));
    let stats = timeout(PATIENCE, sim.wait_until(|s| s.open_connections == 0)).await.unwrap();
    let total = stats.total();
    assert_eq!((stats.connections, total.requests, total.answered, total.in_flight), (1, 3, 2, 0));
    assert_eq!(total.faults.get("status_500"), Some(&1));
}

#[tokio::test]
async fn a_client_that_leaves_is_counted_at_once() {
    let waits = [
        Fault { delay_ms: 60_000, ..Fault::default() },
        listed("hang_before_headers").rule.fault,
        listed("hang_after_headers").rule.fault,
        listed("stall_after_3_chunks").rule.fault,
        Fault { chunk_delay_ms: Some(60_000), ..Fault::default() },
        listed("endless_headers").rule.fault,
    ];
    for fault in waits {
        let sim = Sim::start(Script::of(vec![Rule::of(fault.clone())])).unwrap();
        let stream = connect(sim.addr(), &request(&chat(true), "keep-alive")).await;
        timeout(PATIENCE, sim.wait_until(|s| s.total().in_flight == 1)).await.unwrap();
        drop(stream);
        let gone = timeout(PATIENCE, sim.wait_until(|s| s.total().cancelled == 1 && s.open_connections == 0)).await;
        let total = gone.unwrap_or_else(|_| panic!("not noticed: {fault:?}")).total();
        assert_eq!((total.in_flight, total.answered), (0, 0), "{fault:?}");
    }
}

#[tokio::test]
async fn a_request_over_the_key_limit_waits_for_its_own_key_only() {
    let sim = sim_of("[{ match: { key: 'b' }, fault: { key_limit: { requests: 1, per_ms: 60000 } } }]");
    let mut statuses = Vec::new();
    for key in ["b", "b", "a", "a"] {
        statuses.push(post(&sim, "/openai/v1/chat/completions", key, &chat(false)).await.0);
    }
    assert_eq!(statuses, [200, 429, 200, 200]);
}

/// Status and JSON body of a POST by an ordinary client.
pub(super) async fn post(sim: &Sim, path: &str, key: &str, body: &Value) -> (u16, Value) {
    let url = format!("http://{}{path}", sim.addr());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.post(url).bearer_auth(key).json(body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn all_endpoints_answer() {
    let sim = sim_of("[]");
    let (status, body) = post(&sim, "/v1/completions", "k", &json!({ "model": "m", "prompt": "x" })).await;
    assert_eq!((status, &body["object"]), (200, &json!("text_completion")));
    assert!(body["choices"][0]["text"].as_str().unwrap().starts_with("I am default/m with key ...k."));
    let input = json!({ "model": "e", "input": ["a", "b"], "dimensions": 3 });
    let (_, body) = post(&sim, "/x/v1/embeddings", "k", &input).await;
    assert_eq!(
        (body["data"].as_array().unwrap().len(), body["data"][1]["embedding"].as_array().unwrap().len()),
        (2, 3)
    );
    assert_ne!(body["data"][0]["embedding"], body["data"][1]["embedding"]);
    let (_, body) = post(&sim, "/x/v1/moderations", "k", &json!({ "input": "a" })).await;
    assert_eq!(body["results"][0]["categories"]["self-harm/intent"], false);
    let (status, body) = post(&sim, "/x/v1/chat/completions", "k", &json!({ "messages": [] })).await;
    assert_eq!((status, &body["error"]["type"]), (400, &json!("invalid_request_error")));
    let (status, _) = post(&sim, "/x/v1/nothing", "k", &json!({})).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn tools_are_called_until_they_have_answered() {
    let sim = sim_of("[]");
    let schema =
        json!({ "type": "object", "properties": { "city": { "type": "string" }, "days": { "type": "integer" } } });
    let mut body = chat(false);
    body["tools"] = json!([{ "type": "function", "function": { "name": "weather", "parameters": schema } }]);
    let (_, plain) = post(&sim, "/openai/v1/chat/completions", "k", &body).await;
    let call = &plain["choices"][0]["message"]["tool_calls"][0]["function"];
    assert_eq!(
        (call["name"].as_str(), plain["choices"][0]["finish_reason"].as_str()),
        (Some("weather"), Some("tool_calls"))
    );
    let arguments: Value = serde_json::from_str(call["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(arguments, json!({ "city": "sim", "days": 1 }));

    body["stream"] = true.into();
    let heard = listen(connect(sim.addr(), &request(&body, "close")).await, PATIENCE).await;
    let fragment =
        |e: &Value| e.pointer("/choices/0/delta/tool_calls/0/function/arguments")?.as_str().map(str::to_owned);
    let events = heard.events();
    let fragments: Vec<String> = events.iter().filter_map(fragment).collect();
    assert!(fragments.len() > 3 && fragments.concat() == call["arguments"], "{fragments:?}");

    body["stream"] = false.into();
    body["messages"] = json!([{ "role": "tool", "content": "sunny", "tool_call_id": "call_1" }]);
    let (_, last) = post(&sim, "/openai/v1/chat/completions", "k", &body).await;
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn the_script_is_replaced_and_counts_are_read_over_http() {
    let sim = sim_of("{ keys: { Primary: 'sk-one' } }");
    let script = json!({ "keys": { "Primary": "sk-one" }, "rules": [{ "match": { "key": "Primary" }, "fault": { "status": 503 } }] });
    assert_eq!(post(&sim, "/script", "", &script).await, (200, json!({ "rules": 1 })));
    assert_eq!(ask(&sim, false, PATIENCE).await.text().get(..12), Some("HTTP/1.1 503"));
    let refused = post(&sim, "/script", "", &json!([{ "fault": { "statsu": 1 } }])).await;
    assert!(refused.0 == 400 && refused.1.to_string().contains("statsu"), "{refused:?}");

    let stats = reqwest::get(format!("http://{}/stats", sim.addr())).await.unwrap().json::<Value>().await.unwrap();
    let row = json!({ "provider": "openai", "key": "Primary", "model": "gpt-4o", "requests": 1, "answered": 0,
        "cancelled": 0, "in_flight": 0, "faults": { "status_503": 1 } });
    assert_eq!(stats["slots"], json!([row]));
    assert_eq!(post(&sim, "/reset", "", &json!({})).await.0, 200);
    assert_eq!(sim.stats().slots, []);
}

#[tokio::test]
async fn requests_are_recorded_whole_in_size_and_hash_and_bounded_in_bytes() {
    let options = sim::SimOptions { record: 2, record_bytes: 10, ..sim::SimOptions::default() };
    let script = Script::parse("[{ fault: { key_limit: { requests: 9, per_ms: 1000 } } }]").unwrap();
    let sim = Sim::start_with(script, options).unwrap();
    for key in ["sk-secret-1", "sk-secret-2", "sk-secret-3"] {
        post(&sim, "/openai/v1/chat/completions", key, &chat(false)).await;
    }
    let recorded = sim.requests();
    let keys: Vec<&str> = recorded.iter().map(|r| r.key.as_str()).collect();
    assert_eq!(keys, ["sk-secret-2", "sk-secret-3"], "the last ones are kept");
    assert_eq!((recorded[0].body.len(), recorded[0].body_len), (10, chat(false).to_string().len()));
    assert_eq!((recorded[0].body_sha256.len(), &recorded[0].body_sha256), (64, &recorded[1].body_sha256));
    assert_eq!(recorded[0].headers["content-type"], "application/json");
    assert!(!format!("{recorded:?} {sim:?}").contains("sk-"), "a key in Debug");
}

#[test]
fn contradictions_in_a_script_are_refused_with_their_place() {
    let refused = |text: &str| Script::parse(text).expect_err(text).to_string();
    assert!(
        refused("[{ fault: {} }, { fault: { status: 500, hang: 'before_headers' } }]").contains("rule 2: only one")
    );
    assert!(refused("[{ when: { probability: 2 } }]").contains("probability"));
    assert!(refused("[{ fault: { headers: { 'a b': 'c' } } }]").contains("`a b` is not a header"));
    assert!(refused("[{ fault: { trickle: { bytes: 0, every_ms: 1 } } }]").contains("trickle"));
    assert!(refused("{ ruels: [] }").contains("ruels"));
}
