//! The documents say what is so: metrics, headers, kinds, errors, settings, links, files, targets, configurations.
//!
//! Owns the reading of the documents' tables and blocks. Defaults of decisions are next door, in `tidy/defaults.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use backstop::app::{Gateway, build};
use backstop::config::{LogFormat, Server, Upstream, load_text};
use backstop::dialect::endpoint::Endpoint;
use backstop::policy::capability::Lack;
use backstop::policy::chain::Chain;
use backstop::policy::failure::{Kind, Scope};
use backstop::policy::run::Composed;
use backstop::policy::settings::{Jitter, Ladders};
use backstop::server::error::ApiError;
use backstop::server::serve;
use backstop::sim::{Script, Sim};
use backstop::telemetry::Names;

mod readme;

const DOCUMENTS: [&str; 13] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "docs/settings.md",
    "docs/errors.md",
    "docs/metrics.md",
    "docs/status.md",
    "docs/streams.md",
    "docs/clients.md",
    "docs/comparison.md",
    "docs/translation.md",
    "docs/performance.md",
    "docs/benchmark/results.md",
];

/// Files that a document names because they are not there yet.
const PLANNED: [&str; 0] = [];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file below a directory, relative to the root.
fn below(directory: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(directory)];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found
}

fn source() -> String {
    let files = below("src").into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "rs"));
    files.map(|path| fs::read_to_string(root().join(path)).unwrap()).collect()
}

/// The cells of table rows, without backticks, of the part of a text that begins at a heading.
fn rows(text: &str, heading: &str) -> Vec<Vec<String>> {
    let from = text.find(heading).unwrap_or_else(|| panic!("no heading {heading:?}"));
    let part = &text[from + heading.len()..];
    let part = part.find("\n## ").map_or(part, |end| &part[..end]);
    let lines = part.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let table = lines.map(|line| line.replace("\\|", "/").split(" | ").map(|cell| cell.replace('`', "")).collect());
    table.collect()
}

/// The fenced blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let opened = format!("```{language}\n");
    text.split(&opened).skip(1).map(|rest| rest.split("\n```").next().unwrap_or_default().to_owned()).collect()
}

/// Words that begin with `prefix` and go on with `more`.
fn words(text: &str, prefix: &str, more: impl Fn(char) -> bool) -> BTreeSet<String> {
    // Not within a longer word.
    let begins = |at: &usize| !text[..*at].ends_with(|letter: char| letter.is_ascii_alphanumeric());
    let found = text.match_indices(prefix).map(|(at, _)| at).filter(begins).map(|at| {
        let rest = &text[at..];
        rest[..rest.find(|letter| !more(letter)).unwrap_or(rest.len())].to_owned()
    });
    found.filter(|word| word.len() > prefix.len()).collect()
}

/// A gateway on a free port, in front of a simulator that refuses one of two keys.
async fn start() -> (Sim, String, reqwest::Client) {
    let refusing = "{ rules: [{ match: { key: '*key-1' }, fault: { status: 401 } }] }";
    let sim = Sim::start(Script::parse(refusing).unwrap()).unwrap();
    let config = format!(
        "{{ providers: {{ openai: {{ base_url: '{}', keys: ['the-key-1', 'the-key-2'] }} }},
            chains: {{ default: ['openai/gpt-4o'] }}, server: {{ max_body: 4096 }} }}",
        sim.base_url("openai")
    );
    let Gateway { state, options } = build(&load_text(Some(("test", &config)), []).unwrap()).unwrap();
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve(listener, state, options, std::future::pending()));
    (sim, base, reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap())
}

/// After one request with a failover every series has a sample.
async fn scraped() -> String {
    let (_sim, base, client) = start().await;
    let body = r#"{"model":"default","messages":[{"role":"user","content":"Hello"}]}"#;
    let asked = client.post(format!("{base}/v1/chat/completions")).header("content-type", "application/json");
    let answer = asked.body(body).send().await.unwrap();
    assert_eq!(answer.headers()["x-backstop-attempts"], "2");
    let headers: BTreeSet<String> = answer.headers().keys().map(|name| name.as_str().to_owned()).collect();
    for row in rows(&text("README.md"), "Answers carry these headers").iter().filter(|row| row[0].starts_with("x-")) {
        // Only answers of another dialect have something to say there (tests/it/messages).
        let sent = headers.contains(&row[0]) || row[0] == "x-backstop-dropped";
        assert!(sent, "{} is documented and not sent", row[0]);
    }
    client.get(format!("{base}/metrics")).send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn metrics_are_the_documented_ones() {
    let metrics = scraped().await;
    let live: BTreeSet<(String, String)> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect();
    assert!(live.len() > 10, "{metrics}");
    let names: BTreeSet<String> = live.iter().map(|(name, _)| name.clone()).collect();
    let is_name = |letter: char| letter.is_ascii_lowercase() || letter == '_';
    assert_eq!(words(&text("README.md"), "backstop_", is_name), names);

    let documented = rows(&text("docs/metrics.md"), "# Metrics");
    let documented: Vec<_> = documented.into_iter().filter(|row| row[0].starts_with("backstop_")).collect();
    let kinds: BTreeSet<(String, String)> = documented.iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    assert_eq!(kinds, live);
    for row in &documented {
        let sample = metrics.lines().find(|line| {
            let rest = line.strip_prefix(row[0].as_str()).unwrap_or_default();
            let rest = rest.strip_prefix("_count").unwrap_or(rest);
            rest.starts_with(['{', ' '])
        });
        let sample = sample.unwrap_or_else(|| panic!("{} has no sample", row[0]));
        let labels = sample.split_once('{').map_or("", |(_, rest)| rest.rsplit_once('}').unwrap().0);
        let labels: BTreeSet<&str> = labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0)).collect();
        let written: BTreeSet<&str> = row[2].split(", ").filter(|label| *label != "–").collect();
        assert_eq!(written, labels, "{}", row[0]);
    }
}

#[test]
fn headers_are_the_documented_ones() {
    let is_header = |letter: char| letter.is_ascii_lowercase() || letter == '-';
    let read_or_sent = words(&source(), "x-backstop-", is_header);
    assert!(read_or_sent.len() > 7);
    assert_eq!(words(&text("README.md"), "x-backstop-", is_header), read_or_sent);
    for path in DOCUMENTS {
        let unknown: Vec<String> =
            words(&text(path), "x-", is_header).into_iter().filter(|name| !source().contains(name.as_str())).collect();
        assert!(unknown.is_empty(), "{path}: {unknown:?}");
    }
}

#[test]
fn kinds_cool_what_and_as_long_as_documented() {
    let rows = rows(&text("docs/errors.md"), "## Kinds of failures");
    let ladders = Ladders::default();
    let period = |time: Duration| match time.as_secs() {
        secs if secs % 3_600 == 0 => format!("{} h", secs / 3_600),
        secs if secs % 60 == 0 => format!("{} min", secs / 60),
        secs => format!("{secs} s"),
    };
    let real: Vec<[String; 3]> = Kind::ALL
        .into_iter()
        .map(|kind| {
            let cools = match kind.scope() {
                Scope::Key => "key",
                Scope::Slot => "slot",
                Scope::Endpoint => "endpoint",
                Scope::Nothing => "nothing",
            };
            let ladder = ladders.of(kind).map_or("–".to_owned(), |ladder| {
                assert_eq!(ladder.cooldown(0, Jitter::NONE), ladder.first);
                format!("{} × {}, {}", period(ladder.first), ladder.factor, period(ladder.cap))
            });
            [kind.name().to_owned(), cools.to_owned(), ladder]
        })
        .collect();
    let written: Vec<[String; 3]> =
        rows.into_iter().skip(1).map(|row| [row[0].clone(), row[1].clone(), row[2].clone()]).collect();
    assert_eq!(written, real);
}

#[test]
fn errors_have_the_documented_statuses_and_codes() {
    let document = text("docs/errors.md");
    let rows = rows(&document, "## The gateway's own errors");
    let written: BTreeSet<(u16, String)> =
        rows.iter().filter_map(|row| Some((row[0].parse().ok()?, row[1].clone()))).collect();
    let source = source();
    for (status, code) in &written {
        assert!(source.contains(&format!("\"{code}\"")), "{status} {code} is documented and nowhere in the code");
    }
    let lacks = [
        Lack::Vision,
        Lack::ImageUrls,
        Lack::Audio,
        Lack::Choices,
        Lack::Logprobs,
        Lack::Tools,
        Lack::JsonSchema,
        Lack::Context,
        Lack::MaxOutput,
        Lack::Dialect,
        Lack::NoKey,
        Lack::Disabled,
        Lack::NoKeyForModel,
        Lack::Endpoint,
        Lack::NotEquivalent,
        Lack::Stateful,
    ];
    let mut real: Vec<ApiError> =
        lacks.into_iter().map(|lack| ApiError::unfit(lack, "chain", Endpoint::Chat)).collect();
    let chain = Chain::new("c", Vec::new());
    for status in [404, 429, 502, 503, 504] {
        let composed = Composed { status, retry_after: None, should_retry: true };
        real.push(ApiError::composed(&composed, &[], &chain, &Names::default()));
    }
    real.extend([ApiError::wrong_key(), ApiError::too_long(1)]);
    for error in real {
        assert!(written.contains(&(error.status.as_u16(), error.code.to_owned())), "{} {}", error.status, error.code);
    }
    // Codes that are made where they are needed.
    for (_, rest) in source.match_indices("ApiError::request(").map(|(at, found)| source.split_at(at + found.len())) {
        let call = &rest[..rest.find(';').unwrap_or(rest.len()).min(300)];
        if let Some(code) = call.split('"').nth(1) {
            assert!(written.iter().any(|(_, known)| known == code), "{code} is not documented");
        }
    }
}

/// What clients send, and the documented error they get.
#[tokio::test]
async fn wrong_requests_get_the_documented_errors() {
    let rows = rows(&text("docs/errors.md"), "## The gateway's own errors");
    let (_sim, base, client) = start().await;
    let long = format!("{{\"model\":\"default\",\"user\":\"{}\"}}", "x".repeat(5_000));
    let many = format!("{{\"models\":[{}]}}", (0..65).map(|at| format!("\"m-{at}\"")).collect::<Vec<_>>().join(","));
    let chat = "/v1/chat/completions";
    for (path, header, body, status, code) in [
        (chat, ("x-a", "b"), "[]", 400, "invalid_json"),
        (chat, ("x-a", "b"), "{\"model\":1}", 400, "invalid_type"),
        (chat, ("x-a", "b"), "{\"model\":\"a\",\"model\":\"b\"}", 400, "duplicate_field"),
        (chat, ("x-a", "b"), "{}", 400, "missing_required_parameter"),
        (chat, ("x-backstop-deadline-ms", "soon"), "{\"model\":\"default\"}", 400, "invalid_header"),
        (chat, ("x-a", "b"), many.as_str(), 400, "too_many_models"),
        (chat, ("x-a", "b"), "{\"model\":\"defalt\"}", 404, "model_not_found"),
        ("/v2", ("x-a", "b"), "{}", 404, "unknown_url"),
        ("/status", ("x-a", "b"), "{}", 405, "method_not_allowed"),
        (chat, ("x-a", "b"), long.as_str(), 413, "request_too_large"),
        (chat, ("content-type", "text/plain"), "{}", 415, "unsupported_content_type"),
    ] {
        let asked = client.post(format!("{base}{path}")).header(header.0, header.1).body(body.to_owned());
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{code}");
        assert_eq!(answer.headers()["x-should-retry"], "false", "{code}");
        let said: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(said["error"]["code"], code);
        assert_eq!(said["error"]["type"], "invalid_request_error");
        assert!(rows.iter().any(|row| row[0] == status.to_string() && row[1] == code), "{status} {code}");
    }
}

/// A default of `Server` or `Upstream` as the documents write it.
fn transport_defaults() -> Vec<(&'static str, String)> {
    let (server, upstream) = (Server::default(), Upstream::default());
    let secs = |time: Duration| format!("{} s", time.as_secs());
    let none = |absent: bool, word: &str| if absent { word.to_owned() } else { "something".to_owned() };
    let format = match server.log.format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    };
    vec![
        ("server.listen", server.listen.to_string()),
        ("server.client_keys", none(server.client_keys.is_empty(), "none")),
        ("server.allow_anonymous", server.allow_anonymous.to_string()),
        ("server.max_body", format!("{} MiB", server.max_body >> 20)),
        ("server.max_headers", server.max_headers.to_string()),
        ("server.header_timeout", secs(server.header_timeout)),
        ("server.body_timeout", secs(server.body_timeout)),
        ("server.drain", secs(server.drain)),
        ("server.workers", none(server.workers.is_none(), "one per core")),
        ("server.log.format", format.to_owned()),
        ("server.log.level", server.log.level.clone()),
        ("server.log.requests", server.log.requests.to_string()),
        ("upstream.connect_timeout", secs(upstream.connect_timeout)),
        ("upstream.pool_idle_timeout", secs(upstream.pool_idle_timeout)),
        ("upstream.pool_max_idle", upstream.pool_max_idle.to_string()),
        ("upstream.ca_file", none(upstream.ca_file.is_none(), "none")),
        ("upstream.silence", secs(upstream.silence)),
        ("upstream.max_preamble", format!("{} KiB", upstream.max_preamble >> 10)),
        ("upstream.max_frame", format!("{} MiB", upstream.max_frame >> 20)),
        ("upstream.max_answer", format!("{} MiB", upstream.max_answer >> 20)),
    ]
}

#[test]
fn transport_defaults_are_the_documented_ones() {
    let document = text("docs/settings.md");
    let written: Vec<(String, String)> = ["## server", "## upstream"]
        .into_iter()
        .flat_map(|heading| rows(&document, heading).into_iter().skip(1))
        .map(|row| (row[0].clone(), row[1].clone()))
        .collect();
    let real: Vec<_> = transport_defaults().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    assert_eq!(written, real);
}

#[test]
fn links_and_named_files_are_there() {
    let sources: Vec<String> = ["src", "tests", "bench", "benches"]
        .into_iter()
        .flat_map(below)
        .map(|path| format!("/{}", path.to_string_lossy()))
        .collect();
    for path in DOCUMENTS {
        let document = text(path);
        let here = root().join(path);
        for link in document.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = here.parent().unwrap().join(link);
            assert!(link.contains("://") || file.exists(), "{path} links to {link}, which is not there");
        }
        let parts = document.split(|letter: char| !(letter.is_ascii_alphanumeric() || "_./-".contains(letter)));
        for named in
            parts.map(|part| part.trim_end_matches('.').trim_start_matches("../")).filter(|part| part.ends_with(".rs"))
        {
            let there = sources.iter().any(|source| source.ends_with(&format!("/{named}")));
            assert!(there != PLANNED.contains(&named), "{path} names {named}");
        }
    }
}

#[test]
fn every_room_is_on_the_map() {
    let map = rows(&text("ARCHITECTURE.md"), "## Code map");
    let known: String = map.iter().map(|row| format!("{}, ", row[0])).collect();
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        let name = if entry.path().is_dir() { format!("{name}/") } else { name };
        let is_crate = ["lib.rs", "main.rs"].contains(&name.as_str());
        assert!(is_crate || known.split(", ").any(|room| room == name), "{name} is not on the map: {known}");
    }
}

#[test]
fn make_targets_are_there() {
    let makefile = text("Makefile");
    for path in DOCUMENTS {
        for block in blocks(&text(path), "sh") {
            for target in block.lines().filter_map(|line| line.strip_prefix("make ")?.split_whitespace().next()) {
                assert!(
                    target == "#" || makefile.contains(&format!("\n{target}:")),
                    "{path}: there is no `make {target}`"
                );
            }
        }
    }
}
