//! No key, of a vendor or of a client, appears in any response, header, log line, metric, status answer or error
//! (contract section 7h): whatever goes wrong, with every log line there is, and with vendors that echo the key.

use std::io;
use std::sync::{Arc, Mutex};

use backstop::config::{Config, load_text};
use backstop::sim::{Script, Sim, faults};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::hostile_support::{Act, Asked, Gate, Upstream, ask, get, json, once, post};

/// Keys that do not look like keys: only who knows them can hide them. One has what JSON escapes.
const KEYS: [&str; 3] = ["canary.alpha.of.the.first", "canary/beta\"of\\the+second", "canary.gamma.of.the.third"];
const CLIENT: &str = "canary.client.key.of.the.app";

/// All log lines of this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    /// Listens to this thread at every level, until the guard is dropped.
    fn listen() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let lines = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_ansi(false);
        let guard = tracing::subscriber::set_default(lines.with_writer(log.clone()).finish());
        (log, guard)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn client_hash() -> String {
    Sha256::digest(CLIENT).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Two keys of one provider and one of another, behind a client key.
fn config(first: &str, second: &str) -> Config {
    let [one, two, three] = KEYS.map(|key| serde_json::Value::from(key).to_string());
    let text = format!(
        "{{ server: {{ client_keys: [{{ name: 'app', sha256: '{}' }}], log: {{ requests: true }} }},
            providers: {{ a: {{ base_url: '{first}', keys: [{one}, {two}] }}, b: {{ base_url: '{second}', keys: [{three}] }} }},
            chains: {{ default: ['a/m', 'b/m'] }},
            run: {{ first_content: '150ms', response_timeout: '150ms', stall: '150ms', retry_pause_min: '1ms',
                    retry_pause_max: '2ms', max_wait: '0s', same_target_wait: '0s' }} }}",
        client_hash()
    );
    load_text(Some(("secrets.json5", &text)), []).unwrap_or_else(|error| panic!("{error}"))
}

/// No secret in `text`, in any spelling.
fn check(what: &str, text: &str) {
    for secret in KEYS.into_iter().chain([CLIENT]) {
        let written = serde_json::Value::from(secret).to_string();
        for spelling in [secret, &written[1..written.len() - 1], &written.replace('/', "\\/")] {
            assert!(!text.contains(spelling), "{what} shows {spelling}:\n{text}");
        }
    }
    assert!(!text.contains(&client_hash()), "{what} shows the hash of a client key:\n{text}");
    assert!(!text.contains("Bearer canary") && !text.contains("bearer canary"), "{what}:\n{text}");
}

fn request(key: &str, stream: bool) -> Vec<u8> {
    let body = ask("default", stream);
    let fields = format!("authorization: Bearer {key}\r\ncontent-length: {}\r\n", body.len());
    post("/v1/chat/completions", &fields, body.as_bytes())
}

/// Two requests of each sort, and all that can be seen of the gateway after them.
async fn drive(name: &str, config: &Config) -> Vec<u16> {
    let mut statuses = Vec::new();
    for stream in [false, true] {
        let gate = Gate::start(config);
        for _ in 0..2 {
            let reply = once(gate.addr, &request(CLIENT, stream)).await.expect("an answer");
            check(&format!("{name}: the head"), &reply.head);
            check(&format!("{name}: the body"), &reply.text());
            statuses.push(reply.status);
        }
        gate.rests().await;
        for path in ["/status", "/metrics", "/readyz", "/nowhere"] {
            check(&format!("{name}: {path}"), &get(gate.addr, path).await.text());
        }
        let state = &gate.state;
        check("Debug", &format!("{:?} {:?} {:?} {:?}", state.routes, state.exchange, state.names, state.metrics));
    }
    statuses
}

#[tokio::test]
async fn no_fault_shows_a_key() {
    let (log, _guard) = Log::listen();
    let sim = Sim::start(Script::default()).unwrap();
    let config = config(&sim.base_url("a"), &sim.base_url("b"));
    check("the configuration", &format!("{config:?} {config:#?}"));
    for fault in faults() {
        for rules in [vec![fault.rule.clone()], vec![fault.rule.clone().provider("a")]] {
            sim.set_script(Script::of(rules));
            drive(fault.name, &config).await;
            check(fault.name, &log.text());
        }
    }
    let lines = log.text();
    assert!(lines.contains("failover") && lines.contains("TRACE") | lines.contains("DEBUG"), "the log was captured");
}

/// A name, and the answer to a request.
type Echo = (&'static str, fn(&Asked) -> Vec<u8>);

/// What a vendor can do with the key it was sent, but put it into a good answer.
fn echoes() -> Vec<Echo> {
    vec![
        ("a refusal", |asked| json("400 Bad Request", "", &error(asked))),
        ("an error of the key", |asked| json("401 Unauthorized", "", &error(asked))),
        ("an outage", |asked| json("500 Oops", "", &error(asked))),
        ("an unknown status", |asked| json("418 Teapot", "", &error(asked))),
        ("a text", |asked| json("400 Bad Request", "", &asked.authorization)),
        ("a list", |asked| json("400 Bad Request", "", &format!("[{}]", error(asked)))),
        ("a 200", |asked| json("200 OK", "", &error(asked))),
        ("headers", |asked| {
            let fields = format!(
                "x-request-id: {0}\r\nrequest-id: {0}\r\nretry-after: {0}\r\nwww-authenticate: {0}\r\n\
                 x-ratelimit-reset-requests: {0}\r\nlocation: {0}\r\n",
                asked.authorization
            );
            json("429 Slow Down", &fields, &error(asked))
        }),
        ("the id of a good answer", |asked| {
            let good = r#"{"choices":[{"index":0,"finish_reason":"stop","message":{"content":"x"}}]}"#;
            json("200 OK", &format!("x-request-id: {}\r\n", asked.authorization), good)
        }),
        ("a type", |asked| {
            format!("HTTP/1.1 400 No\r\ncontent-type: {}\r\ncontent-length: 2\r\n\r\n{{}}", asked.authorization).into()
        }),
        ("a reason", |asked| format!("HTTP/1.1 500 {}\r\ncontent-length: 0\r\n\r\n", asked.authorization).into()),
        ("garbage", |asked| asked.authorization.clone().into_bytes()),
        ("a first event", |asked| stream(&format!("data: {}\n\n", error(asked)))),
        ("a later event", |asked| {
            let content = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n";
            stream(&format!("{content}data: {}\n\n", error(asked)))
        }),
    ]
}

fn error(asked: &Asked) -> String {
    let said = &asked.authorization;
    let key = said.trim_start_matches("Bearer ");
    serde_json::json!({ "error": { "message": format!("bad: {said} ({key})"), "type": key, "code": key, "param": said } })
        .to_string()
}

fn stream(events: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n{events}").into_bytes()
}

#[tokio::test]
async fn a_vendor_that_echoes_the_key_is_not_passed_on() {
    let (log, _guard) = Log::listen();
    for (name, play) in echoes() {
        let upstream = Upstream::start(move |asked| vec![Act::Send(play(asked))]);
        let address = format!("http://{}/v1", upstream.addr);
        drive(name, &config(&address, &address)).await;
        check(name, &log.text());
    }
}

#[tokio::test]
async fn nobody_listens_there_and_no_key_shows() {
    let (log, _guard) = Log::listen();
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let address = format!("http://{nobody}/v1");
    let statuses = drive("nobody", &config(&address, &address)).await;
    assert!(statuses.iter().all(|status| *status >= 500), "{statuses:?}");
    check("nobody", &log.text());
}

#[tokio::test]
async fn only_the_clients_own_key_opens_the_gateway() {
    let (log, _guard) = Log::listen();
    let sim = Sim::start(Script::default()).unwrap();
    let gate = Gate::start(&config(&sim.base_url("a"), &sim.base_url("b")));
    let body = ask("default", false);
    let length = format!("content-length: {}\r\n", body.len());
    let with = |fields: &str| post("/v1/chat/completions", &format!("{fields}{length}"), body.as_bytes());
    let wrong = format!("authorization: Bearer {}\r\n", &CLIENT[..CLIENT.len() - 1]);
    let vendor = format!("authorization: Bearer {}\r\n", KEYS[0]);
    let hash = format!("x-api-key: {}\r\n", client_hash());
    for fields in ["", &wrong, &vendor, &hash, "authorization: Bearer \r\n", "authorization: Basic eDp5\r\n"] {
        let reply = once(gate.addr, &with(fields)).await.expect("an answer");
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (401, &"invalid_api_key".into()), "{fields}");
        check("a refusal", &format!("{} {}", reply.head, reply.text()));
    }
    let own = [format!("authorization: Bearer {CLIENT}\r\n"), format!("x-api-key: {CLIENT}\r\n")];
    for fields in own {
        assert_eq!(once(gate.addr, &with(&fields)).await.expect("an answer").status, 200);
    }
    for recorded in sim.requests() {
        assert_eq!(recorded.key, KEYS[0], "the client's key goes nowhere");
        assert!(recorded.headers.values().all(|value| !String::from_utf8_lossy(value.as_bytes()).contains(CLIENT)));
    }
    for path in ["/v1/models", "/status", "/metrics"] {
        let reply = get(gate.addr, path).await;
        assert_eq!(reply.status, if path == "/v1/models" { 401 } else { 200 }, "{path}");
        check(path, &reply.text());
    }
    check("the log", &log.text());
}
