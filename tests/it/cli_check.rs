//! `backstop check`: what it shows of a good configuration, what it says of a wrong one, and that no key is shown.

use backstop::policy::failure::Kind;
use backstop::policy::settings::{Ladder, Ladders, RunSettings};
use serde_json::{Value, json};

use crate::cli_run::{Ran, backstop, file};

const ARTICLE: &str = "config/article.json5";
/// Keys that must never be printed, and the client key of which the hash stands in [`FULL`].
const KEYS: [(&str, &str); 4] = [
    ("ANTHROPIC_KEY_1", "sk-ant-CANARY-one-1111"),
    ("ANTHROPIC_KEY_2", "sk-ant-CANARY-two-2222"),
    ("OPENAI_API_KEY", "sk-CANARY-three-3333"),
    ("OPENROUTER_API_KEY", "sk-or-CANARY-four-4444"),
];
const HASH: &str = "3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8cca";

/// Something of everything, with keys in every place where one could be.
const FULL: &str = "{
    server: { listen: '127.0.0.1:18080', client_keys: [{ name: 'ci', sha256: 'HASH' }] },
    providers: {
        openai: { keys: [
            { key: '${OPENAI_API_KEY}', profile: 'A', quota_group: 'org' },
            { key: 'sk-CANARY-plain-5555', profile: 'B' },
            { key: 'CANARY-disabled', profile: 'C', disabled: true },
        ], key_order: 'round_robin', headers: { 'x-extra': 'CANARY-header' } },
        proxy: { base_url: 'https://proxy.example/CANARY-key-in-the-path/v1', keys: ['${ANTHROPIC_KEY_1}'] },
        local: { base_url: 'http://127.0.0.1:8000/v1' },
        groq: { keys: ['${NOT_SET}'] },
        open: { base_url: 'http://open.example/v1', keys: ['${OPENROUTER_API_KEY}', '${OPENROUTER_API_KEY}'] },
    },
    chains: {
        default: ['openai/gpt-4o', 'proxy/gpt-4', 'groq/llama-3.3-70b-versatile'],
        'gpt-*': { targets: ['local/m'], continue_on_content_filter: true, equivalent: true },
    },
    aliases: { smart: 'openai/gpt-4o' },
    cooldowns: { auth: { first: '1m', factor: 3, cap: '2m' } },
    run: { deadline: '90s' },
}";

fn full() -> (tempfile::TempDir, String) {
    let (directory, path) = file(&FULL.replace("HASH", HASH));
    (directory, path.display().to_string())
}

/// No key, in whole or in part, and not the hash of a client's.
fn shows_no_key(ran: &Ran) {
    let text = ran.all();
    assert!(!text.contains("CANARY"), "{text}");
    assert!(!text.contains(&HASH[..8]), "{text}");
}

/// The lines of the text, each with single spaces.
fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn the_articles_chain_is_shown_level_by_level() {
    let ran = backstop(&["check", "--config", ARTICLE], &KEYS);
    assert_eq!(ran.status, 0, "{}", ran.all());
    shows_no_key(&ran);
    let lines = lines(&ran.out);
    let from = lines.iter().position(|line| line == "default").unwrap();
    assert_eq!(
        lines[from + 1..from + 6],
        [
            "target keys window images tools schema",
            "1 anthropic/claude-opus-4-5 Primary, Backup 200k yes yes ?",
            "2 bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0 default 200k yes yes ?",
            "3 openai/gpt-4o Primary 128k yes yes yes",
            "4 openrouter/anthropic/claude-3.5-sonnet Primary 200k yes yes ?",
        ]
    );
    for line in [
        "auth key 10m × 2 1h",
        "network endpoint 2s × 2 15s",
        "attempts 12, 3 on one target",
        "deadline 10m",
        "http://127.0.0.1:8080 anybody on this machine; no client key is asked for",
        "openai openai_chat https://api.openai.com/v1 Primary",
    ] {
        assert!(lines.iter().any(|shown| shown == line), "{line}\n{}", ran.out);
    }
    let warning = lines.iter().position(|line| line == "! chain default, level 3").unwrap();
    assert!(lines[warning + 1].starts_with("openai/gpt-4o takes 128,000 tokens, the primary"), "{}", ran.out);
    assert!(lines[warning + 2].starts_with("→ longer prompts skip it"), "{}", ran.out);
    assert!(ran.out.ends_with("start it: backstop serve --config config/article.json5\n"), "{}", ran.out);
}

#[test]
fn machines_get_the_same_as_one_document() {
    let (_directory, path) = full();
    let ran = backstop(&["check", "--config", &path, "--json"], &KEYS);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{}", ran.out);
    shows_no_key(&ran);
    let report = ran.json();
    assert_eq!((&report["ok"], &report["listen"]), (&json!(true), &json!("127.0.0.1:18080")));
    assert_eq!((&report["client_keys"], &report["unknown_model"]), (&json!(["ci"]), &json!("refuse")));
    assert_eq!(
        report["chains"][0]["levels"][0],
        json!({ "level": 1, "target": "openai/gpt-4o", "keys": ["A", "B"], "key_order": "round_robin", "skipped": null,
            "context_window": 128_000, "max_output": 16_384, "vision": true, "tools": true, "json_schema": true,
            "reasoning": false })
    );
    assert_eq!(report["chains"][0]["levels"][2]["skipped"], "no_key");
    assert_eq!(report["chains"][1]["name"], "gpt-*");
    assert_eq!(report["chains"][1]["continue_on_content_filter"], true);
    assert_eq!(report["aliases"], json!([{ "name": "smart", "stands_for": "openai/gpt-4o" }]));
    assert_eq!(report["providers"][1]["address"], "https://proxy.example/[hidden]/v1");
    let keys = &report["providers"][0]["keys"];
    assert_eq!((&keys[0]["quota_group"], &keys[2]["disabled"]), (&json!("org"), &json!(true)));
    assert_eq!(report["providers"][2]["keys"][0]["authorized"], false);
}

#[test]
fn cooldown_rules_are_the_ones_that_will_rule() {
    let (_directory, path) = full();
    let report = backstop(&["check", "--config", &path, "--json"], &KEYS).json();
    let shown = report["cooldowns"].as_array().unwrap();
    let ladders = Ladders { auth: Ladder::secs(60, 3, 120), ..Ladders::default() };
    let cooling: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| ladders.of(*kind).is_some()).collect();
    assert_eq!(shown.len(), cooling.len());
    for (row, kind) in shown.iter().zip(cooling) {
        let ladder = ladders.of(kind).unwrap();
        let expected = (ladder.first.as_millis(), u128::from(ladder.factor), ladder.cap.as_millis());
        let number = |field: &str| u128::from(row[field].as_u64().unwrap());
        assert_eq!((number("first_ms"), number("factor"), number("cap_ms")), expected, "{row}");
        assert_eq!(row["kind"], kind.name());
    }
    let run = RunSettings::default();
    assert_eq!(report["run"]["deadline_ms"], 90_000);
    assert_eq!(report["run"]["max_attempts"], run.max_attempts);
    assert_eq!(report["run"]["stall_ms"].as_u64().map(u128::from), Some(run.stall.as_millis()));
}

#[test]
fn warnings_have_a_topic_a_place_and_a_cure() {
    let (_directory, path) = full();
    let report = backstop(&["check", "--config", &path, "--json"], &KEYS).json();
    let warnings = report["warnings"].as_array().unwrap();
    let found = |topic: &str, place: &str| {
        let of = |warning: &&Value| warning["topic"] == topic && warning["place"] == place;
        warnings.iter().find(of).unwrap_or_else(|| panic!("no {topic} at {place}: {warnings:#?}"))
    };
    for (place, what) in [
        ("providers.groq.keys[0]", "NOT_SET is unset or empty"),
        ("providers.open.keys[1]", "the same key as `key-1`"),
        ("providers.open", "is sent over plain http"),
    ] {
        assert!(found("configuration", place)["what"].as_str().unwrap().contains(what), "{warnings:#?}");
    }
    for (topic, place) in [
        ("smaller_window", "chain default, level 2"),
        ("missing_ability", "chain default, level 2"),
        ("one_slot", "chain gpt-*"),
        ("plain_text_key", "openai@B"),
        ("plain_text_key", "openai@C"),
    ] {
        assert!(!found(topic, place)["cure"].as_str().unwrap().is_empty());
    }
    let text = backstop(&["check", "--config", &path], &KEYS);
    shows_no_key(&text);
    for warning in warnings {
        for part in ["place", "what", "cure"].iter().filter_map(|part| warning[part].as_str()) {
            assert!(text.out.contains(part), "{part}\n{}", text.out);
        }
    }
}

#[test]
fn strict_makes_warnings_a_failure_and_a_good_configuration_has_none() {
    let (_directory, path) = full();
    assert_eq!(backstop(&["check", "--config", &path], &KEYS).status, 0);
    let strict = backstop(&["check", "--config", &path, "--strict"], &KEYS);
    assert_eq!(strict.status, 1);
    assert!(strict.out.contains("Warnings"), "{}", strict.out);
    let (_directory, good) = file(
        "{ providers: { openai: { keys: ['${OPENAI_API_KEY}'] }, openrouter: { keys: ['${OPENROUTER_API_KEY}'] } },
           chains: { default: ['openai/gpt-4o', 'openrouter/openai/gpt-4o'] } }",
    );
    let ran = backstop(&["check", "--strict", "--config", &good.display().to_string()], &KEYS);
    assert_eq!(ran.status, 0, "{}", ran.all());
    assert!(ran.out.contains("good: 1 chain, 2 slots\n") && !ran.out.contains("Warnings"), "{}", ran.out);
}

const WRONG: &str = "{
    providers: { openai: { keys: ['sk-CANARY-plain-5555'], keyz: ['sk-CANARY-plain-7777'] }, antropic: { keys: ['sk-CANARY-plain-6666'] } },
    chains: { default: ['opnai/gpt-4o'] },
    run: { deadline: 'CANARY parsecs' },
}";

#[test]
fn everything_that_is_wrong_is_said_at_once_with_place_source_and_cure() {
    let (_directory, path) = file(WRONG);
    let path = path.display().to_string();
    let env = [("BACKSTOP_SERVER__DRAIN", "soon")];
    let ran = backstop(&["check", "--config", &path], &env);
    assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{}", ran.err);
    shows_no_key(&ran);
    let text = lines(&ran.err);
    assert!(text[0].starts_with("backstop: 5 problems"), "{}", ran.err);
    let from_file = format!("in {path}");
    for (place, hint, source) in [
        ("providers.openai.keyz", "did you mean `keys`?", from_file.as_str()),
        ("providers.antropic", "did you mean `anthropic`?", &from_file),
        ("chains.default[0]", "did you mean `openai`?", &from_file),
        ("run.deadline", "expected a period", &from_file),
        ("server.drain", "expected a period", "in environment variable BACKSTOP_SERVER__DRAIN"),
    ] {
        let at = text.iter().position(|line| line.ends_with(&format!(" {place}"))).unwrap_or_else(|| {
            panic!("{place} is not told:\n{}", ran.err);
        });
        assert!(text[at + 2].starts_with("→ ") && text[at + 2].contains(hint), "{}", ran.err);
        assert!(text[at + 3].starts_with(source), "{}", ran.err);
    }

    let machine = backstop(&["check", "--config", &path, "--json"], &env);
    assert_eq!((machine.status, machine.err.as_str()), (2, ""));
    shows_no_key(&machine);
    let report = machine.json();
    assert_eq!(report["ok"], false);
    let problems = report["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 5);
    for problem in problems {
        assert!(["path", "source", "what", "hint"].iter().all(|field| problem[field].is_string()), "{problem}");
    }
}

#[test]
fn what_serve_would_refuse_is_refused() {
    let (_directory, path) = file(
        "{ providers: { local: { base_url: 'http://127.0.0.1:1/v1' } }, chains: { default: ['local/m'] },
           upstream: { ca_file: '/nowhere/ca.pem' } }",
    );
    let path = path.display().to_string();
    let checked = backstop(&["check", "--config", &path], &[]);
    let served = backstop(&["serve", "--config", &path, "--listen", "127.0.0.1:0"], &[]);
    assert_eq!((checked.status, served.status), (2, 2), "{} {}", checked.all(), served.all());
    assert!(checked.err.contains("/nowhere/ca.pem") && served.err.contains("/nowhere/ca.pem"), "{}", checked.err);
    assert!(checked.err.contains("1  upstream.ca_file\n") && checked.err.contains("→  name a file"), "{}", checked.err);
    let problem = &backstop(&["check", "--json", "--config", &path], &[]).json()["problems"][0];
    assert_eq!(problem["path"], "upstream.ca_file");
    let missing = backstop(&["check", "--config", "/nowhere/backstop.json5"], &[]);
    assert_eq!(missing.status, 2);
    assert!(missing.err.contains("1  /nowhere/backstop.json5"), "{}", missing.err);
}

#[test]
fn without_a_file_the_environment_is_checked() {
    let env = [
        ("BACKSTOP_PROVIDERS__OPENAI__KEYS", "[\"sk-CANARY-environment\"]"),
        ("BACKSTOP_CHAINS__DEFAULT", "[\"openai/gpt-4o\"]"),
        ("BACKSTOP_SERVER__LISTEN", "127.0.0.1:18081"),
    ];
    let ran = backstop(&["check"], &env);
    assert_eq!(ran.status, 0, "{}", ran.all());
    shows_no_key(&ran);
    assert!(ran.out.contains("http://127.0.0.1:18081") && ran.out.contains("openai/gpt-4o"), "{}", ran.out);
    assert!(!ran.out.contains("file itself"), "the environment is no file: {}", ran.out);
    assert!(ran.out.ends_with("start it: backstop serve\n"), "{}", ran.out);
    let nothing = backstop(&["check"], &[]);
    assert_eq!(nothing.status, 2, "{}", nothing.all());
    // What stands in the second column begins there, in every line.
    let told: Vec<&str> = nothing.err.lines().skip(2).collect();
    assert!(told.len() > 4, "{}", nothing.err);
    for line in told {
        let at = line.chars().skip(3).take_while(|letter| *letter == ' ').count();
        assert_eq!(at, 2, "{line:?}\n{}", nothing.err);
    }
}

#[test]
fn a_file_that_cannot_be_read_as_one_is_named() {
    let (_directory, path) = file("{ providers: { openai: ");
    let path = path.display().to_string();
    let ran = backstop(&["check", "--config", &path], &[]);
    assert_eq!(ran.status, 2, "{}", ran.all());
    assert!(ran.err.contains(&format!("\n  1  {path}:1\n")) && !ran.err.contains("everywhere"), "{}", ran.err);
}

#[test]
fn the_parts_of_the_api_are_shown_where_they_are_not_all() {
    let text = "{ providers: { one: { base_url: 'http://127.0.0.1:1/v1', endpoints: ['embeddings', 'chat'] },
                  two: { base_url: 'http://127.0.0.1:2/v1' } }, chains: { default: ['one/m', 'two/m'] } }";
    let (_directory, path) = file(text);
    let ran = backstop(&["check", "--config", &path.display().to_string()], &[]);
    let shown = lines(&ran.out);
    let from = shown.iter().position(|line| line == "Providers").unwrap();
    assert_eq!(
        shown[from + 1..from + 4],
        [
            "name dialect address keys speaks only",
            "one openai_chat http://127.0.0.1:1/v1 default (sends no key) chat, embeddings",
            "two openai_chat http://127.0.0.1:2/v1 default (sends no key)",
        ],
        "{}",
        ran.out
    );
    let report = backstop(&["check", "--json", "--config", &path.display().to_string()], &[]).json();
    assert_eq!(report["providers"][0]["endpoints"], json!(["chat", "embeddings"]));
    assert_eq!(report["providers"][1]["endpoints"], Value::Null);
    let all = text.replace(", endpoints: ['embeddings', 'chat']", "");
    let (_directory, path) = file(&all);
    let ran = backstop(&["check", "--config", &path.display().to_string()], &[]);
    assert!(!ran.out.contains("speaks only"), "{}", ran.out);
}

#[test]
fn colours_are_for_terminals_and_who_asks_for_them() {
    let escape = '\u{1b}';
    let check = |more: &[&str], env: &[(&str, &str)]| {
        let arguments: Vec<&str> = ["check", "--config", ARTICLE].iter().chain(more).copied().collect();
        backstop(&arguments, &KEYS.iter().chain(env).copied().collect::<Vec<_>>())
    };
    assert!(!check(&[], &[]).all().contains(escape));
    assert!(!check(&["--color", "never"], &[("CLICOLOR_FORCE", "1")]).all().contains(escape));
    let always = check(&["--color", "always"], &[]);
    assert!(always.out.contains("\u{1b}[1mChains"), "{}", always.out);
    assert!(!check(&["--color", "always", "--json"], &[]).out.contains(escape));
    let (_directory, wrong) = file(WRONG);
    let wrong = wrong.display().to_string();
    assert!(backstop(&["check", "--color=always", "--config", &wrong], &[]).err.contains(escape));
    assert!(!backstop(&["check", "--config", &wrong], &[]).err.contains(escape));
}
