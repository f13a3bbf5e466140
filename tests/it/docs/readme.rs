//! What the README shows is what happens: its commands, sessions, configurations and tables.

use backstop::app::build;
use backstop::config::load_text;

use super::{blocks, text};

fn variable(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn configurations_in_the_readme_load() {
    let blocks = blocks(&text("README.md"), "json5");
    assert_eq!(blocks.len(), 2);
    let keys = ["ANTHROPIC_KEY_1", "ANTHROPIC_KEY_2", "OPENAI_API_KEY"]
        .map(|name| variable(name, &format!("{name}-for-tests")));
    for block in blocks {
        let config = load_text(Some(("README.md", &block)), keys.clone()).unwrap_or_else(|error| panic!("{error}"));
        assert!(config.warnings.is_empty(), "{:?}", config.warnings);
        assert!(build(&config).is_ok());
    }
}

#[test]
fn the_first_command_is_the_demo_and_the_second_the_tests() {
    let blocks = blocks(&text("README.md"), "sh");
    assert_eq!(blocks[0].trim(), "cargo run --release -- demo");
    assert!(blocks[1].starts_with("make test "), "{}", blocks[1]);
    // Both stand on the first screen.
    let screen: Vec<_> = text("README.md").lines().take(32).map(str::to_owned).collect();
    assert!([&blocks[0], &blocks[1]].iter().all(|block| screen.contains(&block.trim().to_owned())), "{screen:#?}");
}

/// The session in the README is the demo's: its titles and remarks are what the demo says (tests/it/cli_demo.rs runs it).
#[test]
fn the_session_in_the_readme_is_the_demos() {
    let sessions = blocks(&text("README.md"), "console");
    let story = text("src/cli/demo/story.rs");
    let titles: Vec<_> = sessions[0].lines().filter_map(|line| line.split_once("  ")).collect();
    let titles: Vec<_> = titles.iter().filter(|(number, _)| number.parse::<u32>().is_ok()).collect();
    assert_eq!(titles.len(), 3);
    for (_, title) in titles {
        assert!(story.contains(&format!("\"{title}\"")), "{title}");
    }
}

#[test]
fn the_mistakes_in_the_readme_are_told_in_these_words() {
    let file = "{\n  providers: {\n    opnai: { keys: [\"${OPENAI_API_KEY}\"] },\n  },
  chains: { default: [\"opnai/gpt-4o\"] },\n  run: { deadline: \"10 parsecs\" },\n}\n";
    let env = [variable("OPENAI_API_KEY", "a-key-for-tests")];
    let error = load_text(Some(("backstop.json5", file)), env).unwrap_err();
    let sessions = blocks(&text("README.md"), "console");
    assert_eq!(sessions[1].lines().skip(1).collect::<Vec<_>>().join("\n"), format!("backstop: {error}"));
}

#[test]
fn the_readmes_tables_are_those_of_the_pages_they_stand_for() {
    let compared = text("docs/comparison.md");
    let readme = text("README.md");
    let rows = readme.split_once("## Compared").unwrap().1.lines().filter(|line| line.starts_with('|'));
    let rows: Vec<_> = rows.collect();
    assert!(rows.len() > 4);
    for row in rows {
        assert!(compared.lines().any(|line| line == row), "{row}");
    }
    let measured = text("docs/benchmark/results.md");
    let rows = |text: &str| -> Vec<String> {
        let (_, rest) = text.split_once("| CPU per request").unwrap();
        rest.lines().take_while(|line| line.starts_with('|') || line.contains(" | ")).map(str::to_owned).collect()
    };
    assert!(rows(&measured).len() > 4, "a row for each proxy");
    assert_eq!(rows(&readme), rows(&measured), "written by `make bench`");
    let table = |text: &str| -> Vec<String> {
        let rest = text.split_once("| shape | example |").unwrap().1;
        rest.lines()
            .skip(2)
            .take_while(|line| line.starts_with('|'))
            .map(|line| line.replace("../config/", "config/"))
            .collect()
    };
    let shapes = table(&text("docs/settings.md"));
    assert!(shapes.len() > 3);
    assert_eq!(table(&readme), shapes);
}
