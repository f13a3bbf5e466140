//! `backstop demo`, the real program: the story it tells, what it prints to be copied, ports, and its end.
//!
//! Owns the expected order of events. Refuses to know how they look on a terminal beyond what must fit and what must
//! not be there.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, sync_channel};

use serde_json::Value;

use crate::support::PATIENCE;

const PRIMARY: &str = "anthropic/claude-opus-4-5@Primary";
const BACKUP: &str = "anthropic/claude-opus-4-5@Backup";
const BEDROCK: &str = "bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0@Primary";
const OPENAI: &str = "openai/gpt-4o@Primary";
const OPENROUTER: &str = "openrouter/anthropic/claude-3.5-sonnet@Primary";

fn backstop(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backstop"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A demo that runs, with what it prints; it ends with the test.
struct Demo {
    child: Child,
    lines: Receiver<String>,
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let mut child = backstop(&[&["demo", "--json"], arguments].concat()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = sync_channel(1024);
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines }
    }

    /// The next event.
    fn next(&self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("an event");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// The next event of this name.
    fn event(&self, name: &str) -> Value {
        std::iter::repeat_with(|| self.next()).find(|event| event["event"] == name).unwrap()
    }

    /// Ends it as Ctrl-C does; returns its exit status.
    fn interrupt(mut self) -> Option<i32> {
        let sent = Command::new("sh").args(["-c", &format!("kill -INT {}", self.child.id())]).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// Does what a shell does with a printed curl line, by curl itself where it is installed. Returns what curl prints.
fn do_as_printed(line: &str) -> String {
    let curl = Command::new("sh").args(["-c", line]).env("no_proxy", "*").output().unwrap();
    if curl.status.code() == Some(127) {
        return by_hand(line);
    }
    assert!(curl.status.success(), "{line}: {curl:?}");
    String::from_utf8(curl.stdout).unwrap()
}

fn by_hand(line: &str) -> String {
    let url = line.split_whitespace().find_map(|word| word.strip_prefix("http://")).unwrap();
    let (address, path) = url.split_once('/').unwrap();
    let data = line.split_once("-d ").map(|(_, data)| data.trim()).unwrap();
    let body = &data[1..data.len() - 1];
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST /{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn trail(pieces: &[&str]) -> String {
    pieces.join(", ")
}

fn ok(slot: &str) -> String {
    format!("{slot}=ok:200")
}

/// An event in one line: its name, and what makes it this one.
fn brief(event: &Value) -> String {
    let text = |field: &str| event[field].as_str().unwrap_or_default();
    let name = text("event");
    let detail = match name {
        "step" => text("step").to_owned(),
        "failover" => format!("{} {} -> {}", text("from"), text("kind"), text("to")),
        "answer" => format!("{} {}", event["status"], text("trail")),
        "cooling" | "cooled" | "recovered" => text("name").to_owned(),
        _ => String::new(),
    };
    format!("{name} {detail}").trim_end().to_owned()
}

fn told() -> Vec<String> {
    let overloaded = |slot: &str| format!("{slot}=overloaded:529");
    let outage = trail(&[&overloaded(PRIMARY), &overloaded(BACKUP), &ok(BEDROCK)]);
    let down = |slot: &str| format!("{slot}=overloaded:503");
    let second = trail(&[&down(BEDROCK), &down(OPENAI), &ok(OPENROUTER)]);
    let limited = trail(&[&format!("{PRIMARY}=rate_limit:429"), &ok(BACKUP)]);
    let broken = trail(&[&format!("{PRIMARY}=broken_stream:200"), &ok(BACKUP)]);
    let target = PRIMARY.split_once('@').unwrap().0;
    [
        "listening".to_owned(),
        "step healthy".to_owned(),
        format!("answer 200 {}", ok(PRIMARY)),
        "step rate_limit".to_owned(),
        format!("failover {PRIMARY} rate_limit -> {BACKUP}"),
        format!("answer 200 {limited}"),
        "step cooldown".to_owned(),
        format!("answer 200 {}", ok(BACKUP)),
        format!("cooling {PRIMARY}"),
        format!("cooled {PRIMARY}"),
        "step recovery".to_owned(),
        "shares".to_owned(),
        format!("recovered {PRIMARY}"),
        "step outage".to_owned(),
        format!("failover {PRIMARY} overloaded -> {BACKUP}"),
        format!("failover {BACKUP} overloaded -> {BEDROCK}"),
        format!("answer 200 {outage}"),
        "step second_outage".to_owned(),
        format!("failover {BEDROCK} overloaded -> {OPENAI}"),
        format!("failover {OPENAI} overloaded -> {OPENROUTER}"),
        format!("answer 200 {second}"),
        "step all_well".to_owned(),
        format!("cooling {target}"),
        format!("cooled {target}"),
        format!("answer 200 {}", ok(PRIMARY)),
        format!("recovered {PRIMARY}"),
        "step broken_stream".to_owned(),
        format!("failover {PRIMARY} broken_stream -> {BACKUP}"),
        format!("answer 200 {broken}"),
        "told".to_owned(),
    ]
    .to_vec()
}

/// Nobody's key, simulated or not, and nothing that looks like one.
fn assert_no_secret(text: &str) {
    for secret in ["sim-anthropic-key", "sim-bedrock-secret", "sim-openai-key", "sim-openrouter-key", "sk-", "Bearer"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

fn text_of(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

/// The story as it is told to a machine, into a pipe, and on terminals. A story takes its time: all are told at once.
struct Stories {
    json: String,
    piped: String,
    /// `None` without script(1), which makes terminals.
    terminal: Option<String>,
    colourless: Option<String>,
}

static STORIES: LazyLock<Stories> = LazyLock::new(|| {
    let once = ["demo", "--once", "--listen", "127.0.0.1:0"];
    let json = backstop(&[&once[..], &["--json"]].concat()).spawn().unwrap();
    let piped = backstop(&once).spawn().unwrap();
    let [terminal, colourless] = ["", "NO_COLOR=1"].map(|variables| {
        let inside = format!("stty cols 100; {variables} '{}' {}", env!("CARGO_BIN_EXE_backstop"), once.join(" "));
        let mut script = Command::new("script");
        script.args(["-qec", &inside, "/dev/null"]).env("TERM", "xterm-256color").env_remove("NO_COLOR");
        script.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().ok()
    });
    let told = |child: Child| {
        let output = child.wait_with_output().unwrap();
        let (out, complaints) = text_of(&output);
        assert_eq!((output.status.code(), complaints.as_str()), (Some(0), ""), "{out}");
        assert_no_secret(&out);
        out
    };
    Stories { json: told(json), piped: told(piped), terminal: terminal.map(told), colourless: colourless.map(told) }
});

#[test]
fn the_story_goes_as_told() {
    let out = &STORIES.json;
    let events: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(out.lines().all(|line| line.starts_with("{\"event\":")), "{out}");

    // Seconds of one cooldown count as one event, and only go down.
    let mut seen: Vec<String> = events.iter().map(brief).collect();
    seen.dedup_by(|one, before| one == before && one.starts_with("cooling"));
    assert_eq!(seen, told(), "{out}");
    for pair in events.windows(2).filter(|pair| pair[0]["event"] == "cooling" && pair[1]["event"] == "cooling") {
        assert!(pair[0]["remaining_ms"].as_u64() > pair[1]["remaining_ms"].as_u64(), "{pair:?}");
    }

    // One probes and the others do not wait for it; everybody is answered.
    let shares = events.iter().find(|event| event["event"] == "shares").unwrap()["shares"].as_array().unwrap();
    assert_eq!(shares[0]["slot"], PRIMARY, "{shares:?}");
    assert_eq!(shares.iter().map(|share| share["answered"].as_u64().unwrap()).sum::<u64>(), 5);

    // A hint is never shortened.
    let limit = events.iter().find(|event| event["kind"] == "rate_limit").unwrap();
    assert!((3_900..=4_000).contains(&limit["cooldown_ms"].as_u64().unwrap()), "{limit}");
}

#[test]
fn its_text_fits_into_80_columns_and_is_plain_in_a_pipe() {
    let out = &STORIES.piped;
    assert!(!out.contains(['\u{1b}', '\r']), "{out:?}");
    for line in out.lines() {
        assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
    }
    let rows = [("✗", PRIMARY, "rate_limit 429  cools "), ("✓", BACKUP, "ok 200"), ("✓", PRIMARY, "has recovered")];
    for (mark, slot, words) in rows {
        let found = out.lines().any(|line| [mark, slot, words].iter().all(|part| line.contains(part)));
        assert!(found, "no {mark} {slot} {words} in {out}");
    }
}

#[test]
fn what_it_prints_works_while_it_keeps_serving() {
    let demo = Demo::start(&["--listen", "127.0.0.1:0"]);
    let ready = demo.event("ready");
    let line = |field: &str| ready[field].as_str().unwrap_or_else(|| panic!("no {field} in {ready}"));
    assert_no_secret(&ready.to_string());

    do_as_printed(line("break"));
    // Another key may still cool from the story: ask until Primary is asked.
    let failover = loop {
        let answer = do_as_printed(line("curl"));
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(answer.contains("x-backstop-trail: ") && answer.contains("\"content\""), "{answer}");
        let first = std::iter::repeat_with(|| demo.next()).find(|event| event["event"] != "recovered").unwrap();
        if first["event"] == "failover" {
            break first;
        }
        assert_eq!((&first["event"], &first["status"]), (&"request".into(), &200.into()), "{first}");
    };
    assert_eq!(brief(&failover), format!("failover {PRIMARY} rate_limit -> {BACKUP}"));
    let request = demo.next();
    assert_eq!(brief(&request), "request", "{request}");
    assert_eq!(request["trail"], trail(&[&format!("{PRIMARY}=rate_limit:429"), &ok(BACKUP)]), "{request}");
    assert_eq!(request["request"], failover["request"]);
    assert!(do_as_printed(line("heal")).contains("{\"rules\":0}"));

    let get = |url: &str| {
        let (address, path) = url.trim_start_matches("http://").split_once('/').unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET /{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let status = get(line("status"));
    assert!(status.contains("\"name\":\"anthropic/claude-opus-4-5@Primary\",\"remaining_ms\""), "{status}");
    assert!(get(line("metrics")).contains("\nbackstop_failovers_total{"));
    assert!(get(&format!("{}/models", line("base_url"))).contains("\"default\""));
    assert_eq!(demo.interrupt(), Some(0));
}

#[test]
fn a_usual_port_that_is_taken_is_left_to_its_owner() {
    // If this cannot be bound, somebody else has it, which is as good.
    let _owner = TcpListener::bind("127.0.0.1:8080");
    let demo = Demo::start(&[]);
    let listening = demo.event("listening");
    assert_eq!(listening["instead_of"], "127.0.0.1:8080", "{listening}");
    assert_ne!(listening["url"], "http://127.0.0.1:8080");
    // In the middle of the story.
    demo.event("answer");
    assert_eq!(demo.interrupt(), Some(0));
}

#[test]
fn an_address_of_ones_own_is_taken_or_refused() {
    let owner = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = owner.local_addr().unwrap().to_string();
    let rows = [(taken.as_str(), 1, "cannot listen on"), ("0.0.0.0:0", 2, "asks nobody for a key"), ("nowhere", 2, "")];
    for (address, status, why) in rows {
        let output = backstop(&["demo", "--listen", address]).output().unwrap();
        let (out, complaint) = text_of(&output);
        assert_eq!((output.status.code(), out.as_str()), (Some(status), ""), "{address}: {complaint}");
        assert!(complaint.contains(why) && complaint.contains(address), "{complaint}");
    }
}

#[test]
fn on_a_terminal_a_cooldown_counts_down_in_its_place() {
    let Some(out) = &STORIES.terminal else {
        return println!("skipped: there is no script(1) to make a terminal with");
    };
    assert!(out.contains("\u{1b}[32m✓"), "{out:?}");
    // One line of the screen, written again and again.
    let line = out.split('\n').find(|line| line.contains('█')).unwrap();
    let seconds =
        line.split('\r').filter_map(|state| state.strip_suffix(" s")?.rsplit(' ').next()?.parse::<f64>().ok());
    let seconds: Vec<f64> = seconds.collect();
    assert!(seconds.len() > 10 && seconds.is_sorted_by(|one, next| one >= next), "{seconds:?}");
    assert!(line.contains("may be asked again"), "{line:?}");
}

#[test]
fn no_color_is_honoured() {
    let Some(out) = &STORIES.colourless else { return println!("skipped: there is no script(1)") };
    assert!(!out.contains('\u{1b}'), "{out:?}");
    assert!(out.contains('█') && out.contains("✗"), "{out}");
}
