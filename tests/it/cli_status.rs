//! `backstop status`, the real binary, in front of a gateway in this process: what bars a slot, frames that go on, and
//! what is said when nobody or somebody else answers.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

use backstop::sim::{Fault, Rule, Script, Sim};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::support::{CALM, Gateway, PATIENCE, Upstream, chat, soon};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backstop"));
    command.arg("status").args(arguments).env_clear();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Exit status, standard output and standard error.
async fn run(mut command: Command) -> (Option<i32>, String, String) {
    let output = soon("the end of the command", spawn_blocking(move || command.output())).await.unwrap().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn url(gateway: &Gateway) -> String {
    format!("http://{}", gateway.addr)
}

/// Each provider fails in its own way, and with that each lane cools once.
struct World {
    sim: Sim,
    gateway: Gateway,
}

impl World {
    async fn start() -> Self {
        let sim = Sim::start(Script::of(vec![
            Rule::of(Fault::status(401)).key("sk-key-1"),
            Rule::of(Fault { retry_after: Some(600.into()), ..Fault::status(429) }).provider("slot"),
            Rule::of(Fault::error(404, "model_not_found")).provider("target"),
        ]))
        .unwrap();
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let at = |provider: &str| sim.base_url(provider);
        let gateway = Gateway::start(&format!(
            "{{ providers: {{
                key: {{ base_url: '{}', auth: [{{ key: 'sk-key-1', profile: 'One' }}, {{ key: 'sk-key-2', profile: 'Two' }},
                    {{ key: 'sk-key-3', profile: 'Off', disabled: true }}] }},
                slot: {{ base_url: '{}', keys: ['sk-slot'] }},
                target: {{ base_url: '{}', keys: ['sk-target-1', 'sk-target-2', 'sk-target-3'] }},
                gone: {{ base_url: 'http://127.0.0.1:{port}/v1', keys: ['sk-gone'] }},
                bedrock: {{ keys: ['${{NOBODY_SETS_THIS}}'] }},
            }},
            chains: {{ default: ['key/m', 'slot/m', 'bedrock/m'], second: ['slot/m', 'target/m', 'gone/m'] }}, {CALM} }}",
            at("key"),
            at("slot"),
            at("target")
        ))
        .await;
        Self { sim, gateway }
    }

    /// One request to one target.
    async fn ask(&self, target: &str) {
        let alone = [("x-backstop-fallbacks", "off")];
        self.gateway.post("/v1/chat/completions", &alone, &chat(target, false)).await;
    }
}

#[tokio::test]
async fn each_slot_is_shown_with_the_lane_that_bars_it() {
    let world = World::start().await;
    for target in ["key/m", "slot/m", "target/m", "gone/m"] {
        world.ask(target).await;
    }
    let (code, out, err) = run(command(&["--url", &url(&world.gateway), "--json"])).await;
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let status: Value = serde_json::from_str(&out).unwrap();
    let lane = |lane: &str, name: &str| json!({ "lane": lane, "name": name });
    let gone = status["slots"][8]["blocked_by"]["name"].as_str().unwrap().to_owned();
    assert!(gone.starts_with("http://127.0.0.1:"), "{gone}");
    let expected = [
        ("key/m@One", "cooling", lane("key", "key@One"), json!("auth"), false),
        ("key/m@Two", "ready", Value::Null, Value::Null, true),
        ("key/m@Off", "disabled", Value::Null, Value::Null, false),
        ("slot/m@key-1", "cooling", lane("slot", "slot/m@key-1"), json!("rate_limit"), false),
        ("bedrock/m@default", "disabled", Value::Null, Value::Null, false),
        // Their own cooldown and the target's are of one length: jitter decides which ends last.
        ("target/m@key-1", "cooling", Value::Null, json!("model_not_found"), false),
        ("target/m@key-2", "cooling", Value::Null, json!("model_not_found"), false),
        ("target/m@key-3", "cooling", lane("target", "target/m"), json!("model_not_found"), false),
        ("gone/m@key-1", "", lane("endpoint", &gone), json!("network"), false),
    ];
    let names: Vec<&Value> = status["slots"].as_array().unwrap().iter().map(|row| &row["slot"]).take(9).collect();
    assert_eq!(names, expected.iter().map(|(name, ..)| *name).collect::<Vec<_>>(), "the order of the chains");
    let row = |name: &str| {
        let slots = status["slots"].as_array().unwrap();
        slots.iter().find(|slot| slot["slot"] == name).unwrap_or_else(|| panic!("{name}: {status:#}"))
    };
    for (name, state, blocked_by, kind, usable) in expected {
        let row = row(name);
        let either = [lane("slot", name), lane("target", "target/m")].contains(&row["blocked_by"]);
        let jittered = name == "target/m@key-1" || name == "target/m@key-2";
        assert!(if jittered { either } else { row["blocked_by"] == blocked_by }, "{row:#}");
        assert_eq!(row["kind"], kind, "{row:#}");
        // The endpoint's first cooldown may be over by now.
        if state.is_empty() {
            assert!(row["state"] == "cooling" || row["state"] == "half_open", "{row:#}");
        } else {
            assert_eq!((&row["state"], &row["usable"]), (&json!(state), &json!(usable)), "{row:#}");
        }
        let cools = row["state"] == "cooling";
        assert!(row["until"].is_string() == cools && (row["remaining_ms"].as_u64() > Some(0)) == cools, "{row:#}");
    }
    assert_eq!(row("bedrock/m@default")["unserved"], "no_key");
    assert!(row("key/m@Two")["last_success"].is_string());
    assert!(row("key/other@One")["in_chain"] == false);
    assert!(status["lanes"].as_array().unwrap().iter().any(|row| row["lane"] == "key" && row["name"] == "key@One"));

    let (code, out, err) = run(command(&["--url", &url(&world.gateway)])).await;
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(!out.contains('\x1b'), "no colours in a pipe: {out}");
    for secret in ["sk-key", "sk-slot", "sk-target", "sk-gone"] {
        assert!(!out.contains(secret) && !status.to_string().contains(secret), "{out}");
    }
    drop(world.sim);
}

#[tokio::test]
async fn the_table_is_grouped_by_chain_and_target() {
    let world = World::start().await;
    world.ask("key/m").await;
    let (_, out, _) = run(command(&["--url", &url(&world.gateway)])).await;
    let lines: Vec<&str> = out.lines().map(str::trim_end).collect();
    assert!(lines[0].starts_with(concat!("Backstop ", env!("CARGO_PKG_VERSION"), " · up ")), "{out}");
    assert!(lines[0].ends_with("0 requests in flight · 6 of 9 slots usable"), "{out}");
    let heads: Vec<&str> = lines[2].split("  ").map(str::trim).filter(|head| !head.is_empty()).collect();
    assert_eq!(heads, ["SLOT", "STATE", "KIND", "STREAK", "UNTIL (UTC)", "LAST SUCCESS", "IN FLIGHT"]);
    let below: Vec<String> = lines[3..]
        .iter()
        .map(|line| {
            line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).take(2).collect::<Vec<_>>().join(" | ")
        })
        .collect();
    let expected = [
        "",
        "default",
        "key/m",
        "@One | cooling (key)",
        "@Two | ready",
        "@Off | disabled",
        "slot/m",
        "@key-1 | ready",
        "bedrock/m",
        "@default | no key",
        "",
        "second",
        "slot/m",
        "@key-1 | ready",
        "target/m",
        "@key-1 | ready",
        "@key-2 | ready",
        "@key-3 | ready",
        "gone/m",
        "@key-1 | ready",
    ];
    assert_eq!(below, expected, "{out}");
    let cells: Vec<&str> = lines[6].split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    assert_eq!(cells[2..4], ["auth 401", "1"], "{out}");
    // `10m 29s (03:37:03)`
    let (left, end) = cells[4].trim_end_matches(')').split_once(" (").unwrap();
    assert!(humantime::parse_duration(left).is_ok() && end.len() == 8 && end.matches(':').count() == 2, "{out}");
    assert_eq!(cells[5], "never");
    assert!(lines[7].ends_with(" ago"), "{out}");
}

/// A command that goes on, and its lines.
struct Watched {
    child: Child,
    lines: Receiver<String>,
}

impl Watched {
    fn start(url: &str) -> Self {
        let mut child = command(&["--url", url, "--watch", "--interval", "50ms"]).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        // Room for everything that a test reads; what follows waits.
        let (send, lines) = sync_channel(1_000);
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        Self { child, lines }
    }

    /// Reads up to a line with `part` in it.
    async fn until(self, part: &'static str) -> Self {
        let read = spawn_blocking(move || {
            // Frames go on for ever: the wait for one line must not.
            let end = Instant::now() + PATIENCE;
            let left = || end.saturating_duration_since(Instant::now());
            while !self.lines.recv_timeout(left()).unwrap_or_else(|_| panic!("no line with {part}")).contains(part) {}
            self
        });
        read.await.unwrap()
    }

    /// How it ends when nobody reads its output any more.
    async fn unread(mut self) -> Option<i32> {
        // With its other end the reader's thread ends, and with that the pipe.
        drop(std::mem::replace(&mut self.lines, sync_channel(0).1));
        spawn_blocking(move || self.child.wait().unwrap().code()).await.unwrap()
    }

    /// Ctrl-C.
    async fn ended(mut self) -> Option<i32> {
        assert!(Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap().success());
        spawn_blocking(move || self.child.wait().unwrap().code()).await.unwrap()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ended = self.child.kill();
    }
}

#[tokio::test]
async fn a_watch_shows_what_changes_until_it_is_ended() {
    let world = World::start().await;
    let watched = Watched::start(&url(&world.gateway)).until("of 9 slots usable").await.until("@One").await;
    world.ask("key/m").await;
    let watched = watched.until("cooling (key)").await.until("of 9 slots usable").await;
    assert_eq!(soon("the end", watched.ended()).await, Some(0));
}

#[tokio::test]
async fn a_watch_ends_when_nobody_reads_it() {
    let world = World::start().await;
    let watched = Watched::start(&url(&world.gateway)).until("slots usable").await;
    assert_eq!(soon("the end", watched.unread()).await, Some(0));
}

#[tokio::test]
async fn a_watch_goes_on_when_the_gateway_is_gone() {
    let world = World::start().await;
    let watched = Watched::start(&url(&world.gateway)).until("slots usable").await;
    world.gateway.stopped().await;
    let watched = watched.until("does not answer").await.until("This is how it was").await.until("@Two").await;
    let watched = watched.until("does not answer").await;
    assert_eq!(soon("the end", watched.ended()).await, Some(0));
}

#[tokio::test]
async fn who_does_not_answer_or_is_no_gateway_is_said_to_be_so() {
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let nobody = format!("http://127.0.0.1:{port}");
    let sim = Sim::start(Script::default()).unwrap();
    let other = Upstream::start().await;
    let other_url = format!("http://{}", other.addr);
    let answering = tokio::spawn(async move {
        loop {
            let mut wire = other.accept().await;
            wire.asked().await;
            wire.write("HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"status\":\"ok\"}").await;
        }
    });
    let cases = [
        (nobody, 1, vec!["does not answer", "refused", "backstop serve", "--url"]),
        (format!("http://{}", sim.addr()), 1, vec!["not like a Backstop", "404", "--url"]),
        (other_url, 1, vec!["not like a Backstop", "version", "--url"]),
        ("ftp://host".to_owned(), 2, vec!["only http and https"]),
    ];
    for (url, expected, parts) in cases {
        for json in [&[][..], &["--json"]] {
            let (code, out, err) = run(command(&[&["--url", url.as_str()], json].concat())).await;
            assert_eq!((code, out.as_str()), (Some(expected), ""), "{url}: {err}");
            assert!(err.starts_with("backstop: ") && parts.iter().all(|part| err.contains(part)), "{url}: {err}");
        }
    }
    answering.abort();
}

#[tokio::test]
async fn without_an_address_it_asks_where_the_same_environment_listens() {
    let world = World::start().await;
    let mut status = command(&[]);
    status.env("BACKSTOP_SERVER__LISTEN", format!("0.0.0.0:{}", world.gateway.addr.port()));
    let (code, out, err) = run(status).await;
    assert!(code == Some(0) && out.contains("7 of 9 slots usable"), "{out}{err}");
}
