//! docs/translation.md says what is so: the names of what is lost, and what efforts stand for.

use std::collections::BTreeSet;
use std::path::Path;

use backstop::dialect::canonical::Effort;
use backstop::dialect::vendor::Vendor;
use backstop::dialect::{anthropic, openai_chat};
use bytes::Bytes;
use serde_json::{Value, json};

use super::own_requests::{cases, lost};
use super::targets;

/// Every vendor of OpenAI's dialect.
const VENDORS: [Vendor; 9] = [
    Vendor::OpenAi,
    Vendor::OpenRouter,
    Vendor::Xai,
    Vendor::Groq,
    Vendor::Mistral,
    Vendor::Gemini,
    Vendor::DeepSeek,
    Vendor::Ollama,
    Vendor::Fireworks,
];

fn file(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The first two cells of the table under a heading, its own head left out.
fn rows(heading: &str) -> Vec<(String, String)> {
    let text = file("docs/translation.md");
    let part = text.split(&format!("\n## {heading}\n")).nth(1).unwrap_or_else(|| panic!("no {heading}"));
    let part = part.split("\n## ").next().unwrap_or_default();
    let cells = part.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "));
    cells.skip(1).map(|(name, rest)| (name.replace('`', ""), rest.to_owned())).collect()
}

/// Whether a row's name stands for a name; words in capitals stand for any.
fn stands_for(row: &str, name: &str) -> bool {
    let (mut rows, mut names) = (row.split('.'), name.split('.'));
    loop {
        match (rows.next(), names.next()) {
            (None, None) => return true,
            (Some(row), Some(name)) if row == name || row.chars().all(|letter| letter.is_ascii_uppercase()) => {}
            _ => return false,
        }
    }
}

/// A body of chat that is passed to vendors of chat, some of whom refuse parts of it.
fn passed() -> Value {
    json!({ "model": "m", "thinking": { "type": "enabled" }, "reasoning": { "enabled": true }, "top_k": 5, "seed": 7,
        "user": "u", "metadata": { "a": "b" }, "logit_bias": { "1": 1 }, "store": true, "frequency_penalty": 0.5,
        "service_tier": "flex", "cache_control": { "type": "ephemeral" }, "tool_choice": "required",
        "messages": [
            { "role": "user", "name": "ann", "content": [{ "type": "text", "text": "Hi", "cache_control": {} }] },
            { "role": "assistant", "content": [{ "type": "thinking", "thinking": "Hm." }, { "type": "text", "text": "Yes" }],
                "reasoning_content": "Hm." },
            { "role": "user", "content": "Again" }] })
}

/// The names that the product gives in every case of these tests.
fn given() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for case in cases() {
        for target in targets::ALL {
            names.extend(lost(&case, target).into_iter().flatten());
        }
        if case["wire"] == "messages" {
            let amended = anthropic::amend::amend(&Bytes::from(case["body"].to_string()), &targets::CLAUDE.profile());
            names.extend(amended.into_iter().flat_map(|amended| amended.dropped).map(|name| name.to_string()));
        }
    }
    for vendor in VENDORS {
        let profile = backstop::dialect::canonical::Profile { vendor, ..targets::OPENAI.profile() };
        let amended = openai_chat::amend::amend(&Bytes::from(passed().to_string()), &profile);
        names.extend(amended.into_iter().flat_map(|amended| amended.dropped).map(|name| name.to_string()));
    }
    names
}

/// The names that stand as they are in the sources of a directory.
fn written(directory: &str, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{directory}/{name}");
        if entry.path().is_dir() {
            written(&path, names);
        } else if name.ends_with(".rs") && !name.ends_with("_tests.rs") {
            let text = file(&path);
            for call in ["drop(\"", "lose(\"", "uncarried, \""] {
                names.extend(text.split(call).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
            }
        }
    }
}

#[test]
fn every_name_of_what_is_lost_is_in_the_table() {
    let rows = rows("What is lost");
    let given = given();
    let mut names = given.clone();
    written("src/dialect", &mut names);
    assert!(names.len() > given.len() && given.len() > 30, "{names:?}");
    // A single word may be any field, so those that mean something else than a field need a row of their own.
    let own = |name: &str| rows.iter().any(|(row, _)| row != "FIELD" && stands_for(row, name));
    let missing: Vec<&String> =
        names.iter().filter(|name| !own(name) && (name.contains('.') || !given.contains(*name))).collect();
    assert!(missing.is_empty(), "not in the table: {missing:?}");
    let stale: Vec<&String> =
        rows.iter().map(|(row, _)| row).filter(|row| !names.iter().any(|name| stands_for(row, name))).collect();
    assert!(stale.is_empty(), "nothing is called so: {stale:?}");
    let order: Vec<&String> = rows.iter().map(|(row, _)| row).collect();
    assert!(order[0] == "FIELD" && order.len() == order.iter().collect::<BTreeSet<_>>().len(), "twice: {order:?}");
}

#[test]
fn efforts_stand_for_what_the_table_says() {
    let budget = |effort: Effort| effort.budget().map_or("–".to_owned(), |tokens| tokens.to_string());
    let real: Vec<(String, String)> =
        Effort::ALL.into_iter().map(|effort| (effort.name().to_owned(), budget(effort))).collect();
    assert_eq!(rows("Defaults"), real);
    for effort in [Effort::Minimal, Effort::Low, Effort::Medium, Effort::High] {
        assert_eq!(Effort::of_budget(effort.budget().unwrap()), effort);
    }
    assert_eq!(Effort::of_budget(u64::MAX), Effort::High);
}

#[test]
fn the_default_length_is_the_documented_one() {
    let request = targets::parse(super::Wire::Chat, br#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#);
    let rendered = targets::CLAUDE.render(&request.unwrap()).unwrap();
    let body: Value = serde_json::from_slice(&rendered.body).unwrap();
    assert!(file("docs/translation.md").contains(&format!("`max_output`, else {}.", body["max_tokens"])), "{body}");
}
