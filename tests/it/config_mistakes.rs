//! A typing mistake anywhere in the configuration is pointed at with its place and its cure.
//!
//! Owns mutations of the shipped examples: every name misspelt, every value of a wrong type, in every format.

mod render;

use std::path::{Path, PathBuf};

use backstop::config::{ConfigError, Problem, load_text};
use serde_json::{Map, Value, json};

use render::{FORMATS, Format, Rendered, children};

/// Sections whose names are the operator's own: a misspelt one is another name.
const FREE: [&str; 6] = ["providers", "chains", "agents", "aliases", "models", "headers"];

/// Every variable that a text names, set.
fn env(text: &str) -> Vec<(String, String)> {
    let names = text.split("${").skip(1).filter_map(|rest| rest.split(['}', ':']).next());
    let known = |name: &&str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let value = |name: &str| if name.ends_with("SHA256") { "0f".repeat(32) } else { format!("value-of-{name}") };
    names.filter(known).map(|name| (name.to_owned(), value(name))).collect()
}

fn example(name: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name);
    // Docker's secrets are not here.
    std::fs::read_to_string(path).unwrap().replace("file:/run/secrets/", "the-secret-")
}

/// Every place below the root.
fn paths(tree: &Value) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (name, inner) in children(tree) {
        found.push(vec![name.clone()]);
        found.extend(paths(inner).into_iter().map(|rest| [vec![name.clone()], rest].concat()));
    }
    found
}

fn get<'a>(tree: &'a Value, path: &[String]) -> &'a Value {
    path.iter().fold(tree, |value, name| match value {
        Value::Array(items) => &items[name.parse::<usize>().unwrap()],
        fields => &fields[name],
    })
}

fn get_mut<'a>(tree: &'a mut Value, path: &[String]) -> &'a mut Value {
    path.iter().fold(tree, |value, name| match value {
        Value::Array(items) => &mut items[name.parse::<usize>().unwrap()],
        fields => &mut fields[name],
    })
}

/// As problems spell a place.
fn spelled(path: &[String]) -> String {
    let mut out = String::new();
    for (at, name) in path.iter().enumerate() {
        if at > 0 && name.bytes().all(|b| b.is_ascii_digit()) {
            out.push_str(&format!("[{name}]"));
        } else if name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)) {
            out.push_str(if at > 0 { "." } else { "" });
            out.push_str(name);
        } else {
            out.push_str(&format!("[\"{name}\"]"));
        }
    }
    out
}

/// A letter dropped, and two letters swapped.
fn misspellings(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let middle = letters.len() / 2;
    let mut dropped = letters.clone();
    dropped.remove(middle);
    let mut swapped = letters;
    swapped.swap(middle - 1, middle);
    let all = [dropped, swapped].map(|letters| letters.into_iter().collect::<String>());
    all.into_iter().filter(|wrong| wrong != name).collect()
}

/// Whether a hint says this name, by either side's spelling.
fn means(hint: &str, name: &str) -> bool {
    [name, &name.replace("iz", "is"), &name.replace("isation", "ization")]
        .iter()
        .any(|name| hint.contains(&format!("did you mean `{name}`?")))
}

fn fails(text: &str, format: Format, about: &str) -> ConfigError {
    match load_text(Some((format.file(), text)), env(text)) {
        Ok(_) => panic!("{format:?}: {about} is accepted:\n{text}"),
        Err(error) => error,
    }
}

fn at<'a>(error: &'a ConfigError, path: &[String], about: &str) -> &'a Problem {
    let place = spelled(path);
    let found = error.problems.iter().find(|problem| problem.path == place);
    found.unwrap_or_else(|| panic!("{about}: nothing is said about {place}:\n{error}"))
}

fn check_line(problem: &Problem, rendered: &Rendered, path: &[String], format: Format, about: &str) {
    assert_eq!(problem.line, Some(rendered.lines[path]), "{format:?} {about}: {problem}\n{}", rendered.text);
    assert_eq!(problem.source, format.file(), "{about}: {problem}");
    let shown = format!("(in {}:{})", format.file(), rendered.lines[path]);
    assert!(problem.to_string().contains(&shown), "{about}: {problem}");
}

/// What a name is called after a mistake, in place of what it was.
fn renamed(tree: &Value, path: &[String], wrong: &str) -> Value {
    let mut tree = tree.clone();
    let (name, parent) = path.split_last().unwrap();
    let fields: &mut Map<String, Value> = get_mut(&mut tree, parent).as_object_mut().unwrap();
    let value = fields.remove(name).unwrap();
    fields.insert(wrong.to_owned(), value);
    tree
}

fn is_free(path: &[String]) -> bool {
    path.len() >= 2
        && FREE.contains(&path[path.len() - 2].as_str())
        && !path[path.len() - 2..].contains(&"defaults".to_owned())
}

/// The shipped files, but for OpenClaw's (what it says of other things is not ours to judge) and the simulator's script.
fn files() -> Vec<String> {
    let folder = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("config")).unwrap();
    let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names
        .filter(|name| name.ends_with(".json5") && name != "openclaw.json5" && name != "simulator.json5")
        .collect();
    names.sort();
    assert!(names.len() >= 3, "{names:?}");
    names
}

fn examples() -> Vec<(String, Value)> {
    let read = |name: String| {
        let tree = json5::from_str(&example(&name)).unwrap();
        (name, tree)
    };
    files().into_iter().map(read).collect()
}

#[test]
fn renderings_of_the_examples_load_to_the_same_configuration() {
    for (name, tree) in examples() {
        let original = load_text(Some((&name, &example(&name))), env(&example(&name))).unwrap();
        for format in FORMATS {
            let rendered = Rendered::of(&tree, format);
            let config = load_text(Some((format.file(), &rendered.text)), env(&rendered.text));
            let config = config.unwrap_or_else(|error| panic!("{name} {format:?}: {error}\n{}", rendered.text));
            // The rendering sorts names, and an index tells their order.
            let sorted = |config: &backstop::config::Config| {
                let mut text: Vec<_> = config.providers.iter().map(|provider| format!("{provider:?}")).collect();
                text.sort();
                let chains: Vec<_> = config.chains.iter().map(|chain| (&chain.pattern, chain.targets.len())).collect();
                let rest = format!("{:?}{:?}{:?}{chains:?}", config.server, config.cooldown, config.run);
                (text, rest, config.aliases.clone(), format!("{:?}", config.models))
            };
            assert_eq!(sorted(&config), sorted(&original), "{name} {format:?}");
        }
    }
}

#[test]
fn every_misspelt_name_is_pointed_at_with_its_cure() {
    let mut tried = 0;
    for (file, tree) in examples() {
        for path in paths(&tree) {
            let (name, parent) = path.split_last().unwrap();
            if get(&tree, parent).is_array() || is_free(&path) {
                continue;
            }
            for wrong in misspellings(name) {
                let tree = renamed(&tree, &path, &wrong);
                let wrong_path = [parent, std::slice::from_ref(&wrong)].concat();
                for format in FORMATS {
                    let rendered = Rendered::of(&tree, format);
                    if format == Format::Toml && get(&tree, &wrong_path).is_null() {
                        continue;
                    }
                    let about = format!("{file}: {} for {name}", spelled(&wrong_path));
                    let error = fails(&rendered.text, format, &about);
                    let problem = at(&error, &wrong_path, &about);
                    check_line(problem, &rendered, &wrong_path, format, &about);
                    let hint = problem.hint.as_deref().unwrap_or_default();
                    assert!(means(hint, name), "{format:?} {about}: {problem}");
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 500, "{tried}");
}

#[test]
fn every_misspelt_provider_is_pointed_at_with_its_cure() {
    for (file, tree) in examples() {
        for name in tree["providers"].as_object().unwrap().keys() {
            let path = ["providers".to_owned(), name.clone()];
            for wrong in misspellings(name) {
                let tree = renamed(&tree, &path, &wrong);
                for format in FORMATS {
                    let about = format!("{file}: provider {wrong} for {name}");
                    let rendered = Rendered::of(&tree, format);
                    let error = fails(&rendered.text, format, &about);
                    let wrong_path = [path[0].clone(), wrong.clone()];
                    // With an address of its own any name is a provider's: then what refers to it is wrong.
                    let (problem, path, meant) = if tree["providers"][&wrong].get("base_url").is_some() {
                        let refers = error.problems.iter().find(|problem| problem.what.contains(&format!("`{name}`")));
                        let place = paths(&tree)
                            .into_iter()
                            .find(|path| Some(spelled(path)) == refers.map(|at| at.path.clone()));
                        (refers.expect(&about), place.expect(&about), &wrong)
                    } else {
                        (at(&error, &wrong_path, &about), wrong_path.to_vec(), name)
                    };
                    check_line(problem, &rendered, &path, format, &about);
                    let hint = problem.hint.as_deref().unwrap_or_default();
                    assert!(hint.contains(&format!("did you mean `{meant}`?")), "{about}: {problem}");
                }
            }
        }
    }
}

#[test]
fn every_value_of_a_wrong_type_is_pointed_at_with_what_is_expected() {
    let mut tried = 0;
    for (file, tree) in examples() {
        for path in paths(&tree) {
            let wrong = match get(&tree, &path) {
                Value::Null => json!([[1]]),
                Value::Bool(_) => json!("maybe"),
                Value::Number(_) => json!({ "a": 1 }),
                Value::String(_) => json!([{ "a": [] }]),
                Value::Array(_) => json!(17),
                Value::Object(_) => json!(true),
            };
            let mut tree = tree.clone();
            *get_mut(&mut tree, &path) = wrong.clone();
            for format in FORMATS {
                let rendered = Rendered::of(&tree, format);
                let about = format!("{file}: {} = {wrong}", spelled(&path));
                let error = fails(&rendered.text, format, &about);
                let place = spelled(&path);
                let problem = error.problems.iter().find(|problem| problem.path.starts_with(&place)).expect(&about);
                let line = problem.line.unwrap_or_else(|| panic!("{about}: {problem}"));
                let inside = paths(&tree).into_iter().find(|path| spelled(path) == problem.path).expect(&about);
                assert_eq!(line, rendered.lines[&inside], "{format:?} {about}: {problem}\n{}", rendered.text);
                let hint = problem.hint.as_deref().unwrap_or_default();
                assert!(hint.contains("expected"), "{format:?} {about}: {problem}");
                let jargon = ["Raw", "struct", "u16", "u32", "u64", "usize", "f64", "sequence"];
                assert!(jargon.iter().all(|word| !hint.contains(word)), "{format:?} {about}: {problem}");
                tried += 1;
            }
        }
    }
    assert!(tried > 300, "{tried}");
}

#[test]
fn all_mistakes_of_a_file_are_reported_at_once() {
    for (file, tree) in examples() {
        let leaves: Vec<_> = paths(&tree)
            .into_iter()
            .filter(|path| children(get(&tree, path)).is_empty() && !is_free(path))
            .filter(|path| get(&tree, &path[..path.len() - 1]).is_object())
            .collect();
        let mut wrong = tree.clone();
        let mut expected = Vec::new();
        for path in leaves {
            let (name, parent) = path.split_last().unwrap();
            let misspelt = misspellings(name).remove(0);
            wrong = renamed(&wrong, &path, &misspelt);
            expected.push([parent, &[misspelt]].concat());
        }
        for format in FORMATS {
            let rendered = Rendered::of(&wrong, format);
            let error = fails(&rendered.text, format, &file);
            for path in expected.iter().filter(|path| format != Format::Toml || !get(&wrong, path).is_null()) {
                check_line(at(&error, path, &file), &rendered, path, format, &file);
            }
        }
    }
}

/// The originals, with their comments: each `name:` outside of comments, misspelt where it stands.
#[test]
fn a_mistake_in_the_shipped_text_is_found_in_its_line() {
    for file in files() {
        let original = example(&file);
        let mut tried = 0;
        for (number, line) in original.lines().enumerate() {
            let code = line.split("//").next().unwrap();
            for (colon, _) in code.match_indices(": ") {
                let start =
                    code[..colon].rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(0, |at| at + 1);
                let name = &code[start..colon];
                let own = [
                    "openai",
                    "bedrock",
                    "default",
                    "local",
                    "smart",
                    "anthropic",
                    "openrouter",
                    "proxy",
                    "groq",
                    "quick",
                    "thinker",
                ];
                if name.is_empty() || own.contains(&name) {
                    continue;
                }
                let wrong = misspellings(name).remove(0);
                let text: String = original
                    .lines()
                    .enumerate()
                    .map(|(at, line)| {
                        if at == number {
                            format!("{}{wrong}{}\n", &line[..start], &line[colon..])
                        } else {
                            format!("{line}\n")
                        }
                    })
                    .collect();
                let error = fails(&text, Format::Json5, name);
                let found = error.problems.iter().any(|problem| {
                    problem.line == Some(number + 1) && problem.hint.as_deref().is_some_and(|hint| means(hint, name))
                });
                assert!(found, "{file}:{}: {wrong} for {name}:\n{error}", number + 1);
                tried += 1;
            }
        }
        assert!(tried > 5, "{file}: {tried}");
    }
}

/// Texts that somebody is still writing: torn off, or with a sign too many or too few.
#[test]
fn no_broken_text_ends_in_a_panic_or_without_a_line() {
    const SIGNS: &[&str] = &[
        "{", "}", "[", "]", ":", ",", "'", "\"", "\n", "- ", "*", "&a", "!", "#", "//", "/*", "=", " ", "\t", "?", "|",
        "\u{feff}",
    ];
    let mut random = fastrand::Rng::with_seed(7);
    for (file, tree) in examples() {
        for format in FORMATS {
            let text = Rendered::of(&tree, format).text;
            for round in 0..600 {
                let at = random.usize(..text.len());
                let (before, after) = text.split_at(at);
                let sign = random.choice(SIGNS).unwrap();
                let broken = match round % 3 {
                    0 => before.to_owned(),
                    1 => format!("{before}{sign}{after}"),
                    _ => format!("{before}{sign}{}", after.get(1..).unwrap_or_default()),
                };
                let Err(error) = load_text(Some((format.file(), &broken)), env(&broken)) else { continue };
                for problem in error.problems.iter().filter(|problem| problem.what.starts_with("not ")) {
                    let line = problem.line.unwrap_or_else(|| panic!("{file}: {problem}"));
                    assert!((1..=broken.lines().count() + 1).contains(&line), "{file}: {problem}");
                    assert!(problem.hint.is_some() || problem.what.contains("expected"), "{file}: {problem}");
                }
            }
        }
    }
}
