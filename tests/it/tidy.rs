//! Laws of the tree that no compiler knows: which room may use which, what the pure core may name, file sizes, module
//! docs, banned crates, and (in [`defaults`]) that documented defaults are the real ones.
//!
//! Owns the tables of those laws. Every law is a function from a text to complaints, tried on a text that breaks it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends by panicking")]

mod defaults;

use std::fs;
use std::path::{Path, PathBuf};

/// Dependencies point one way (ARCHITECTURE.md): each room, and the rooms it may use besides itself.
const ROOMS: &[(&str, &[&str])] = &[
    ("policy", &[]),
    ("framing", &[]),
    ("secret", &[]),
    ("clock", &["policy"]),
    ("world", &["policy"]),
    ("sim", &["clock"]),
    ("dialect", &["framing", "policy"]),
    ("stream", &["clock", "dialect", "framing", "policy"]),
    ("upstream", &["clock", "dialect", "failover", "framing", "policy", "secret", "stream"]),
    ("failover", &["clock", "policy"]),
    ("state", &["policy"]),
    ("telemetry", &["clock", "dialect", "failover", "policy"]),
    ("config", &["dialect", "policy", "secret"]),
    (
        "server",
        &[
            "clock",
            "config",
            "dialect",
            "failover",
            "framing",
            "policy",
            "secret",
            "state",
            "stream",
            "telemetry",
            "upstream",
        ],
    ),
];

/// These wire everything together and may use every room.
const WIRING: &[&str] = &["app", "cli", "lib", "main"];

/// The crates a room may name, where it may not name all of them.
const CRATES: &[(&str, &[&str])] =
    &[("policy", &["smallvec"]), ("framing", &["aws_smithy_eventstream", "aws_smithy_types", "bytes", "memchr"])];

/// What `policy/` never names: no async, I/O, clock, randomness, logging or metrics.
const IMPURE: &[&str] = &[
    "async",
    "await",
    "tokio",
    "futures",
    "SystemTime",
    "std::time::Instant",
    "rand",
    "fastrand",
    "tracing",
    "prometheus",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "Mutex",
    "RwLock",
    "atomic",
    "std::thread",
];

/// Lines a file may have.
const LINES: usize = 400;

/// Longer files, each with the reason. None so far.
const LONG: &[(&str, &str)] = &[];

/// Unfinished or sleeping code. Split so that this file does not find itself.
const BANNED: &[(&str, &str)] = &[
    (concat!("to", "do!("), "finish it or leave it out"),
    (concat!("unimple", "mented!("), "finish it or leave it out"),
    (concat!("thread::", "sleep"), "wait for a condition"),
    (concat!("#[ig", "nore"), "a test that does not run tests nothing"),
];

/// Places of the machine that something was written on.
const PLACES: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];

/// One TLS stack: rustls on ring (deny.toml).
const BANNED_CRATES: &[&str] = &["openssl", "openssl-sys", "native-tls", "aws-lc-rs", "aws-lc-sys"];

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below `under`, relative to the root and sorted, without what is built or installed.
fn files(under: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(under)];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display())) {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let made = ["target", ".git", ".venv", ".cache", "node_modules", "__pycache__", ".pytest_cache"];
            if made.contains(&name.as_str()) {
            } else if path.is_dir() {
                open.push(path);
            } else {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

fn rust(under: &str) -> Vec<(PathBuf, String)> {
    let sources = files(under).into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "rs"));
    sources.map(|path| (path.clone(), fs::read_to_string(root().join(path)).unwrap())).collect()
}

/// Everything that is written in Rust here, but for what is fuzzed.
fn everything() -> impl Iterator<Item = (PathBuf, String)> {
    ["src", "tests", "bench", "benches"].into_iter().flat_map(rust)
}

/// Tests beside the code may use other rooms and crates.
fn is_test_file(path: &Path) -> bool {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    stem == "tests" || stem.ends_with("_tests") || path.components().any(|part| part.as_os_str() == "tests")
}

/// A source without comments and without the test module at its end.
fn code(text: &str) -> String {
    let product = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
    let lines = product.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| line.split(" // ").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn is_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn first_name(text: &str) -> &str {
    &text[..text.find(|letter| !is_name(letter)).unwrap_or(text.len())]
}

/// Whether `word` stands in `text` as a whole word.
fn names(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        !text[..at].chars().next_back().is_some_and(is_name)
            && !text[at + word.len()..].chars().next().is_some_and(is_name)
    })
}

/// The first segments after a `prefix::`, one by one for `prefix::{a::b, c}`.
fn heads(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else { return vec![first_name(rest).to_owned()] };
    let (mut depth, mut found, mut item) = (0, Vec::new(), String::new());
    for letter in group.chars() {
        match letter {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => found.push(std::mem::take(&mut item)),
            _ if depth == 0 => item.push(letter),
            _ => {}
        }
    }
    found.push(item);
    found.iter().map(|item| first_name(item.trim()).to_owned()).filter(|name| !name.is_empty()).collect()
}

fn room_of(path: &Path) -> String {
    let first = path.components().nth(1).map(|part| part.as_os_str().to_string_lossy().into_owned());
    first.unwrap_or_default().trim_end_matches(".rs").to_owned()
}

fn wrong_directions(room: &str, code: &str) -> Vec<String> {
    if WIRING.contains(&room) {
        return Vec::new();
    }
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        return vec![format!("the room {room} is not in ROOMS: say there what it may use")];
    };
    let mut wrong = Vec::new();
    for (at, prefix) in code.match_indices("crate::") {
        for used in heads(&code[at + prefix.len()..]) {
            if used != room && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{room} must not use {used}"));
            }
        }
    }
    if room == "server" && code.contains("config::raw") {
        wrong.push("server must not use config::raw".to_owned());
    }
    wrong
}

fn wrong_crates(room: &str, code: &str) -> Vec<String> {
    let Some((_, allowed)) = CRATES.iter().find(|(name, _)| *name == room) else { return Vec::new() };
    let uses = code.lines().filter_map(|line| {
        let line = line.trim_start().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
        line.strip_prefix("use ").map(|path| first_name(path.trim_start_matches("::")))
    });
    let known = ["std", "core", "alloc", "crate", "super", "self"];
    let foreign =
        uses.filter(|head| head.starts_with(char::is_lowercase) && !known.contains(head) && !allowed.contains(head));
    // A sibling module may be used by its bare name.
    foreign
        .filter(|head| !names(code, &format!("mod {head}")))
        .map(|head| format!("{room} must not use {head}"))
        .collect()
}

fn impure(code: &str) -> Vec<String> {
    let mut found: Vec<String> =
        IMPURE.iter().filter(|word| names(code, word)).map(|word| format!("policy must not name {word}")).collect();
    let grouped = code.match_indices("std::time::{").flat_map(|(at, prefix)| heads(&code[at + prefix.len() - 1..]));
    found.extend(grouped.filter(|name| name == "Instant").map(|_| "policy must not name std's Instant".to_owned()));
    found
}

fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} broken laws:\n  {}", complaints.len(), complaints.join("\n  "));
}

/// Applies a law to every source of the product.
fn over_source(law: impl Fn(&Path, &str) -> Vec<String>) -> Vec<String> {
    let sources = rust("src").into_iter().filter(|(path, _)| !is_test_file(path));
    sources
        .flat_map(|(path, text)| {
            law(&path, &code(&text)).into_iter().map(move |what| format!("{}: {what}", path.display()))
        })
        .collect()
}

#[test]
fn dependencies_point_one_way() {
    assert_eq!(wrong_directions("dialect", "use crate::config::Config;"), ["dialect must not use config"]);
    assert_eq!(
        wrong_directions("dialect", "use crate::{policy::id, server::{x, y}};"),
        ["dialect must not use server"]
    );
    assert_eq!(wrong_directions("sim", "crate::policy::id::KeyId(1)").len(), 1);
    assert_eq!(wrong_directions("server", "use crate::config::raw::Raw;").len(), 1);
    assert_eq!(wrong_directions("attic", "").len(), 1);
    assert!(wrong_directions("stream", "use crate::{dialect, framing::sse};\nuse crate::stream::gate;").is_empty());
    none(&over_source(|path, code| wrong_directions(&room_of(path), code)));
}

#[test]
fn rooms_below_use_few_crates() {
    assert_eq!(wrong_crates("framing", "use tokio::io;\nuse bytes::Bytes;"), ["framing must not use tokio"]);
    assert!(wrong_crates("policy", "use std::fmt;\nmod table;\nuse table::ROWS;\nuse Kind::Auth;").is_empty());
    none(&over_source(|path, code| wrong_crates(&room_of(path), code)));
}

#[test]
fn policy_is_pure() {
    for broken in
        ["async fn f() {}", "std::time::Instant::now()", "use std::time::{Duration, Instant};", "tracing::info!()"]
    {
        assert!(!impure(broken).is_empty(), "{broken}");
    }
    assert!(impure("use std::time::Duration; use super::time::Instant; let random = operand;").is_empty());
    none(&over_source(|path, code| if room_of(path) == "policy" { impure(code) } else { Vec::new() }));
}

#[test]
fn modules_open_with_what_they_own() {
    let silent = everything().filter(|(_, text)| !text.starts_with("//! "));
    none(&silent.map(|(path, _)| format!("{}: does not begin with `//! `", path.display())).collect::<Vec<_>>());
}

#[test]
fn files_stay_short() {
    let excused = |path: &Path| LONG.iter().any(|(long, _)| path == Path::new(long));
    let long = everything().filter(|(path, text)| text.lines().count() >= LINES && !excused(path));
    let mut complaints: Vec<String> = long
        .map(|(path, text)| format!("{}: {} lines (under {LINES})", path.display(), text.lines().count()))
        .collect();
    let still = |name: &str| everything().any(|(path, text)| path == Path::new(name) && text.lines().count() >= LINES);
    complaints.extend(LONG.iter().filter(|(name, _)| !still(name)).map(|(name, _)| format!("{name}: no longer long")));
    none(&complaints);
}

#[test]
fn nothing_is_unfinished_or_sleeps() {
    let mut complaints = Vec::new();
    for (path, text) in everything() {
        for (word, instead) in BANNED.iter().filter(|(word, _)| text.contains(word)) {
            complaints.push(format!("{}: {word}: {instead}", path.display()));
        }
    }
    none(&complaints);
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    let mut complaints = Vec::new();
    for path in files("") {
        let Ok(text) = fs::read_to_string(root().join(&path)) else { continue };
        complaints
            .extend(PLACES.iter().filter(|place| text.contains(**place)).map(|p| format!("{}: {p}", path.display())));
        // Packages come from wherever the machine's own settings say.
        let requirements = path.file_name().is_some_and(|name| name == "requirements.txt");
        if requirements && text.lines().any(|line| line.starts_with('-') || line.contains("://")) {
            complaints.push(format!("{}: names an index", path.display()));
        }
    }
    none(&complaints);
}

fn banned_packages(lock: &str) -> Vec<String> {
    let value = |line: &str, key: &str| line.strip_prefix(key)?.strip_suffix('"').map(str::to_owned);
    let names = lock.lines().filter_map(|line| value(line, "name = \""));
    let banned =
        names.filter(|name| BANNED_CRATES.contains(&name.as_str())).map(|name| format!("{name}: one TLS stack"));
    let sources = lock.lines().filter_map(|line| value(line, "source = \""));
    banned
        .chain(sources.filter(|source| source != CRATES_IO).map(|source| format!("{source}: not crates.io")))
        .collect()
}

#[test]
fn the_lock_file_holds_one_tls_stack_and_no_git_source() {
    assert_eq!(banned_packages("name = \"native-tls\"\nsource = \"git+https://example.com/x\"\n").len(), 2);
    none(&banned_packages(&fs::read_to_string(root().join("Cargo.lock")).unwrap()));
}
