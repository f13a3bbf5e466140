//! Every number of the failover contract is a setting: `config/backstop.json5` says it, it is the one in use, and a
//! file can change it.
//!
//! Rules stay rules, though they have numbers in them: a success *halves* a streak; a streak lives for at least *twice*
//! the last cooldown; while targets are left, an attempt gets at most *half* of the remaining time; waiters are
//! released *1, 2, 4, 8 …*; a target cools by at least *two* keys; a slot has *one* quick retry and *one* wait; one
//! request waits out a short limit per slot; a reset on a reused connection is replayed *once*; `hint` probes are single.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use backstop::config::{Config, Upstream, load_text};
use backstop::policy::commit::Commit;
use backstop::policy::settings::{CooldownSettings, Ladder, RunSettings};
use backstop::stream::gate::GateLimits;
use serde_json::{Value, json};

use crate::hostile_support::{Act, Gate, Upstream as Vendor, Wire, ask, chat, json as answer, once};

/// What the contract says, where it is set, the default as the file has it, and another value with what it resolves to.
struct Row {
    section: &'static str,
    says: &'static str,
    path: &'static str,
    default: Value,
    other: Value,
    /// As it is in a resolved configuration.
    read: fn(&Config) -> Value,
    /// As the constant in use has it.
    constant: Value,
}

fn millis(time: Duration) -> Value {
    json!(u64::try_from(time.as_millis()).unwrap())
}

fn ladder(ladder: Ladder) -> Value {
    json!([millis(ladder.first), ladder.factor, millis(ladder.cap)])
}

/// `"10m"`, `"256KiB"` and lists and objects of them, as milliseconds and bytes.
fn plain(value: &Value) -> Value {
    const UNITS: [(&str, u64); 7] =
        [("ms", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("", 1)];
    match value {
        Value::String(text) => {
            let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            let (number, unit) = text.split_at(at);
            let scale = UNITS.iter().find(|(name, _)| *name == unit).unwrap_or_else(|| panic!("{text}")).1;
            json!(number.parse::<u64>().unwrap() * scale)
        }
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(fields) => json!([plain(&fields["first"]), fields["factor"], plain(&fields["cap"])]),
        other => other.clone(),
    }
}

macro_rules! rows {
    ($($section:literal $says:literal $group:ident.$path:literal $default:tt / $other:tt $read:expr;)*) => {
        vec![$(Row {
            section: $section,
            says: $says,
            path: concat!(stringify!($group), ".", $path),
            default: json!($default),
            other: json!($other),
            read: |config| { let read: fn(&CooldownSettings, &RunSettings, &Upstream) -> Value = $read;
                             read(&config.cooldown, &config.run, &config.upstream) },
            constant: { let read: fn(&CooldownSettings, &RunSettings, &Upstream) -> Value = $read;
                        read(&CooldownSettings::default(), &RunSettings::default(), &Upstream::default()) },
        }),*]
    };
}

fn table() -> Vec<Row> {
    rows! {
        "1" "auth: 10 min × 2, 1 h" cooldowns."auth" {"first": "10m", "factor": 2, "cap": "1h"} / {"first": "1m", "factor": 3, "cap": "2m"} |c, _, _| ladder(c.ladders.auth);
        "1" "billing: 30 min × 2, 1 h" cooldowns."billing" {"first": "30m", "factor": 2, "cap": "1h"} / {"first": "1m", "factor": 3, "cap": "2m"} |c, _, _| ladder(c.ladders.billing);
        "1" "rate_limit: 10 s × 2, 5 min" cooldowns."rate_limit" {"first": "10s", "factor": 2, "cap": "5m"} / {"first": "1m", "factor": 3, "cap": "2m"} |c, _, _| ladder(c.ladders.rate_limit);
        "1" "forbidden: 10 min × 2, 1 h" cooldowns."forbidden" {"first": "10m", "factor": 2, "cap": "1h"} / {"first": "1m", "factor": 3, "cap": "2m"} |c, _, _| ladder(c.ladders.forbidden);
        "1" "overloaded: 2 s × 2, 15 s" cooldowns."overloaded" {"first": "2s", "factor": 2, "cap": "15s"} / {"first": "1s", "factor": 3, "cap": "2s"} |c, _, _| ladder(c.ladders.overloaded);
        "1" "server_error: 2 s × 2, 15 s" cooldowns."server_error" {"first": "2s", "factor": 2, "cap": "15s"} / {"first": "1s", "factor": 3, "cap": "2s"} |c, _, _| ladder(c.ladders.server_error);
        "1" "network: 2 s × 2, 15 s" cooldowns."network" {"first": "2s", "factor": 2, "cap": "15s"} / {"first": "1s", "factor": 3, "cap": "2s"} |c, _, _| ladder(c.ladders.network);
        "1" "network: after two …" cooldowns."endpoint_failures" 2 / 3 |c, _, _| json!(c.endpoint_failures);
        "1" "… in 10 s" cooldowns."endpoint_window" "10s" / "11s" |c, _, _| millis(c.endpoint_window);
        "1" "timeout: 10 s × 2, 2 min" cooldowns."timeout" {"first": "10s", "factor": 2, "cap": "2m"} / {"first": "1s", "factor": 3, "cap": "2s"} |c, _, _| ladder(c.ladders.timeout);
        "1" "end of file after ≥ 5 s of silence" upstream."silence" "5s" / "6s" |_, _, u| millis(u.silence);
        "1" "broken_stream: 2 s × 2, 15 s" cooldowns."broken_stream" {"first": "2s", "factor": 2, "cap": "15s"} / {"first": "1s", "factor": 3, "cap": "2s"} |c, _, _| ladder(c.ladders.broken_stream);
        "1" "model_not_found: 10 min × 2, 1 h" cooldowns."model_not_found" {"first": "10m", "factor": 2, "cap": "1h"} / {"first": "1m", "factor": 3, "cap": "2m"} |c, _, _| ladder(c.ladders.model_not_found);
        "1" "the target once two keys agree" cooldowns."model_keys" 2 / 3 |c, _, _| json!(c.model_keys);
        "1" "≥ 20 attempts …" cooldowns."blip_attempts" 20 / 21 |c, _, _| json!(c.blip_attempts);
        "1" "… in the last 30 s …" cooldowns."blip_window" "30s" / "31s" |c, _, _| millis(c.blip_window);
        "1" "… of which < 20 % failed" cooldowns."blip_percent" 20 / 21 |c, _, _| json!(c.blip_percent);
        "1" "three distinct keys …" cooldowns."target_keys" 3 / 4 |c, _, _| json!(c.target_keys);
        "1" "… within 10 s" cooldowns."target_window" "10s" / "11s" |c, _, _| millis(c.target_window);
        "1" "hints ≥ 1 s …" cooldowns."hint_min" "1s" / "2s" |c, _, _| millis(c.hint_min);
        "1" "… ≤ 1 h" cooldowns."hint_max" "1h" / "2h" |c, _, _| millis(c.hint_max);
        "1" "one probe every 5 min while a long hint runs" cooldowns."hint_probe_every" "5m" / "6m" |c, _, _| millis(c.hint_probe_every);
        "1" "auth and billing: one probe every 15 min" cooldowns."key_probe_every" "15m" / "16m" |c, _, _| millis(c.key_probe_every);
        "1" "last choice until its reset (≤ 60 s)" cooldowns."quota_rest_max" "60s" / "61s" |c, _, _| millis(c.quota_rest_max);
        "2.3" "after 10 s without a verdict another probe" cooldowns."probe_verdict" "10s" / "11s" |c, _, _| millis(c.probe_verdict);
        "2.3" "the streak is forgotten max(10 min, …)" cooldowns."streak_memory" "10m" / "11m" |c, _, _| millis(c.streak_memory);
        "2.5" "±10 % jitter on ladders" cooldowns."jitter_percent" 10 / 11 |c, _, _| json!(c.jitter_percent);
        "3.1" "at most three attempts on one target" run."max_attempts_per_target" 3 / 4 |_, r, _| json!(r.max_attempts_per_target);
        "3.3" "quick retry: 50 ms …" run."retry_pause_min" "50ms" / "51ms" |_, r, _| millis(r.retry_pause_min);
        "3.3" "… to 200 ms" run."retry_pause_max" "200ms" / "201ms" |_, r, _| millis(r.retry_pause_max);
        "3.3" "same_target_wait 2.5 s; 0 switches it off" run."same_target_wait" "2500ms" / "0ms" |_, r, _| millis(r.same_target_wait);
        "3.4" "max_attempts 12" run."max_attempts" 12 / 13 |_, r, _| json!(r.max_attempts);
        "3.4" "deadline 600 s" run."deadline" "600s" / "601s" |_, r, _| millis(r.deadline);
        "3.6" "max_wait 5 s" run."max_wait" "5s" / "6s" |_, r, _| millis(r.max_wait);
        "3.6" "at most 64 waiters a slot" cooldowns."max_waiters" 64 / 65 |c, _, _| json!(c.max_waiters);
        "3.6" "every 1, 2, then 5 s" cooldowns."forced_probe_pace" ["1s", "2s", "5s"] / ["1s", "3s", "9s"] |c, _, _| json!(c.forced_probe_pace.map(millis));
        "4" "256 KiB bound, which commits" upstream."max_preamble" "256KiB" / "1KiB" |_, _, u| json!(u.max_preamble);
        "4" "(the longest frame that is read)" upstream."max_frame" "16MiB" / "1MiB" |_, _, u| json!(u.max_frame);
        "4" "first-content deadline 60 s" run."first_content" "60s" / "61s" |_, r, _| millis(r.first_content);
        "4" "180 s for models marked as reasoning" run."first_content_reasoning" "180s" / "181s" |_, r, _| millis(r.first_content_reasoning);
        "4" "stream_headers_after 45 s" run."stream_headers_after" "45s" / "46s" |_, r, _| millis(r.stream_headers_after);
        "4" "(a keep-alive comment every 15 s)" run."keep_alive" "15s" / "16s" |_, r, _| millis(r.keep_alive);
        "4" "response_timeout 300 s" run."response_timeout" "300s" / "301s" |_, r, _| millis(r.response_timeout);
        "4" "JSON is read whole (16 MiB)" upstream."max_answer" "16MiB" / "1MiB" |_, _, u| json!(u.max_answer);
        "5" "stall limit between contents 30 s" run."stall" "30s" / "31s" |_, r, _| millis(r.stall);
    }
}

/// Numbers of transport that the contract does not name, and a word (`recovery::limits` has its tests).
const NOT_THE_CONTRACTS: [&str; 5] = [
    "upstream.connect_timeout",
    "upstream.pool_idle_timeout",
    "upstream.pool_max_idle",
    "upstream.ca_file",
    "run.stream_recovery",
];

fn read(text: &str) -> Config {
    load_text(Some(("test.json5", text)), []).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn each_number_of_the_contract_is_a_setting() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/backstop.json5");
    let text = std::fs::read_to_string(path).unwrap();
    let file: Value = json5::from_str(&text).unwrap();
    let key = [("OPENAI_API_KEY".to_owned(), "k".to_owned())];
    let documented = load_text(Some(("backstop.json5", &text)), key).unwrap();
    let provider = "providers: { local: { base_url: 'http://127.0.0.1:1' } }";
    let bare = read(&format!("{{ {provider} }}"));
    for Row { section, says, path, default, other, read: resolved, constant } in table() {
        let (group, name) = path.split_once('.').unwrap();
        let row = format!("{section} {says}: {path}");
        assert_eq!(file[group][name], default, "{row}: config/backstop.json5");
        assert_eq!(plain(&default), constant, "{row}: the constant");
        assert_eq!(resolved(&documented), constant, "{row}: the documented file");
        assert_eq!(resolved(&bare), constant, "{row}: no word on it");
        let changed = read(&format!("{{ {provider}, {group}: {{ {name}: {other} }} }}"));
        assert_eq!(resolved(&changed), plain(&other), "{row}: changed");
        assert_ne!(resolved(&changed), constant, "{row}: changed");
    }
}

/// A number that is added to one of these sections is added to the table.
#[test]
fn no_number_is_left_out_of_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/backstop.json5");
    let file: Value = json5::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let written = ["cooldowns", "run", "upstream"].into_iter().flat_map(|group| {
        let names = file[group].as_object().unwrap().keys();
        names.map(move |name| format!("{group}.{name}")).collect::<Vec<_>>()
    });
    let listed: BTreeSet<String> =
        table().iter().map(|row| row.path.to_owned()).chain(NOT_THE_CONTRACTS.map(str::to_owned)).collect();
    assert_eq!(written.collect::<BTreeSet<_>>(), listed);
    let limits = GateLimits::default();
    let upstream = Upstream::default();
    assert_eq!(
        (upstream.max_preamble, upstream.max_frame, upstream.max_answer),
        (limits.held_bytes, limits.frame_bytes, limits.whole_bytes)
    );
    assert_eq!(upstream.max_preamble, Commit::HELD_BYTES);
}

#[test]
fn numbers_out_of_reason_are_pointed_at() {
    for (text, path) in [
        ("upstream: { silence: 0 }", "upstream.silence"),
        ("upstream: { max_preamble: 0 }", "upstream.max_preamble"),
        ("upstream: { max_frame: '0KiB' }", "upstream.max_frame"),
        ("upstream: { max_answer: 0 }", "upstream.max_answer"),
        ("upstream: { max_answer: '16MB' }", "upstream.max_answer"),
        ("run: { keep_alive: 0 }", "run.keep_alive"),
        ("cooldowns: { jitter_percent: 51 }", "cooldowns.jitter_percent"),
        ("cooldowns: { model_keys: 1 }", "cooldowns.model_keys"),
    ] {
        let text = format!("{{ providers: {{ local: {{ base_url: 'http://127.0.0.1:1' }} }}, {text} }}");
        let error = load_text(Some(("test.json5", &text)), []).expect_err(path);
        let paths: Vec<_> = error.problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(paths, [path], "{error}");
    }
}

fn gate(vendor: &Vendor, settings: &str) -> Gate {
    Gate::of(&format!(
        "{{ providers: {{ p: {{ base_url: 'http://{}/v1' }} }}, chains: {{ default: ['p/m'] }}, {settings} }}",
        vendor.addr
    ))
}

/// An error inside a 200 is one only if it is read.
#[tokio::test]
async fn the_longest_whole_answer_is_the_settings() {
    let error =
        format!(r#"{{"error":{{"message":"overloaded","type":"overloaded_error"}},"x":"{}"}}"#, "y".repeat(4_096));
    let vendor = Vendor::saying(answer("200 OK", "", &error));
    let asked = chat(&ask("default", false));
    let read = once(gate(&vendor, "").addr, &asked).await.unwrap();
    assert!(read.status >= 500, "{}", read.head);
    let unread = once(gate(&vendor, "upstream: { max_answer: '1KiB' }").addr, &asked).await.unwrap();
    assert_eq!((unread.status, unread.text()), (200, error));
}

/// More than may be held goes out, though it says nothing yet.
#[tokio::test]
async fn the_longest_preamble_is_the_settings() {
    let role = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}]}\n\n".repeat(40);
    let preamble = format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n{role}");
    let vendor = Vendor::start(move |_| vec![Act::Send(preamble.clone().into_bytes()), Act::Hold]);
    let asked = chat(&ask("default", true));
    let run = "run: { first_content: '200ms', stall: '200ms', max_wait: 0 }";
    let held = once(gate(&vendor, run).addr, &asked).await.unwrap();
    assert_eq!(held.status, 504, "{}", held.text());
    let committed =
        once(gate(&vendor, &format!("{run}, upstream: {{ max_preamble: 512 }}")).addr, &asked).await.unwrap();
    assert_eq!(committed.status, 200, "{}", committed.text());
    assert!(committed.text().contains("assistant"), "{}", committed.text());
}

/// An end after any silence at all has timed out if the setting says so.
#[tokio::test]
async fn the_silence_that_counts_is_the_settings() {
    let vendor = Vendor::saying("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: hello\n\n");
    let asked = chat(&ask("default", true));
    for (settings, kind) in [("", "broken_stream"), ("upstream: { silence: '0.001ms' }", "timeout")] {
        let reply = once(gate(&vendor, settings).addr, &asked).await.unwrap();
        let trail = reply.header("x-backstop-trail").unwrap();
        assert!(trail.contains(kind), "{settings}: {trail}");
    }
}

/// With the default the second comment would come after 15 s.
#[tokio::test]
async fn comments_come_as_often_as_the_setting_says() {
    let vendor = Vendor::start(|_| vec![Act::Hold]);
    let settings = "run: { stream_headers_after: '1ms', keep_alive: '2ms', first_content: '300ms', max_wait: 0 }";
    let gate = gate(&vendor, settings);
    let mut wire = Wire::open(gate.addr).await;
    wire.send(&chat(&ask("default", true))).await;
    let reply = wire.reply().await.unwrap();
    assert!(reply.text().matches(": keep-alive").count() > 2, "{}", reply.text());
}
