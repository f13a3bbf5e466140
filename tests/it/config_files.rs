//! Files: what cannot be read is said with its cure; secrets may stand in files of their own.
//!
//! Owns odd files of every format.

use std::path::PathBuf;

use backstop::config::{Config, ConfigError, load, load_text};

/// A key that must never be printed.
const CANARY: &str = "CANARY-5f1c3a-never-print-this";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn secrets(config: &Config) -> Vec<&str> {
    config.providers[0].keys.iter().map(|key| key.secret.as_ref().unwrap().expose()).collect()
}

fn one_problem(result: Result<Config, ConfigError>) -> backstop::config::Problem {
    let mut error = result.unwrap_err();
    assert_eq!(error.problems.len(), 1, "{error}");
    error.problems.remove(0)
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_the_cure() {
    let folder = Folder::new();
    let good = "providers: { openai: { keys: [k] } }\n";
    let huge = format!("{}{good}", "# a comment that goes on\n".repeat(50_000));
    for (path, what, hint) in [
        (folder.0.path().join("none.yaml"), "there is none", "check the path"),
        (folder.0.path().to_owned(), "directory", "name the file"),
        (folder.write("empty.yaml", ""), "empty", "backstop.json5"),
        (folder.write("blank.json5", " \n\t\n"), "empty", "backstop.json5"),
        (folder.write("bom.toml", "\u{feff}"), "empty", "backstop.json5"),
        (folder.write("latin.yaml", b"# gr\xfc\xdfe\n"), "not UTF-8 (from line 1", "save it as UTF-8"),
        (folder.write("wide.json5", b"\xff\xfe{\0}\0"), "not UTF-8", "save it as UTF-8"),
        (folder.write("huge.yaml", huge), "longer than 1 MiB", "not the configuration"),
        (folder.write("conf.ini", good), "extension", ".json5, .json, .yaml, .yml, .toml"),
        (folder.write("conf", good), "extension", ".json5, .json, .yaml, .yml, .toml"),
    ] {
        let problem = one_problem(load(Some(&path), []));
        assert!(problem.what.contains(what), "{problem}");
        assert!(problem.hint.as_deref().is_some_and(|text| text.contains(hint)), "{problem}");
        assert_eq!(problem.source, path.display().to_string());
    }
}

#[test]
fn every_extension_and_a_byte_order_mark_are_read() {
    let folder = Folder::new();
    let json = "{ \"providers\": { \"openai\": { \"keys\": [\"k\"] } } }";
    let yaml = "providers:\n  openai:\n    keys: [k]\n";
    let toml = "[providers.openai]\nkeys = ['k']\n";
    for (name, text) in
        [("a.json", json), ("a.JSON5", json), ("a.yaml", yaml), ("a.yml", yaml), ("a.toml", toml), ("b.yaml", json)]
    {
        for mark in ["", "\u{feff}"] {
            let path = folder.write(name, format!("{mark}{text}").replace('\n', "\r\n"));
            let config = load(Some(&path), []).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(secrets(&config), ["k"], "{name}");
        }
    }
}

#[test]
fn a_variable_names_the_file_like_the_argument() {
    let folder = Folder::new();
    let (one, two) = (
        folder.write("one.yaml", "providers: { openai: { keys: [one] } }"),
        folder.write("two.toml", "providers.openai.keys = ['two']"),
    );
    let named = env(&[("BACKSTOP_CONFIG", one.to_str().unwrap())]);
    assert_eq!(secrets(&load(None, named.clone()).unwrap()), ["one"]);
    assert_eq!(secrets(&load(Some(&two), named).unwrap()), ["two"], "the argument wins");
    let problem = one_problem(load(None, env(&[("BACKSTOP_CONFIG", "/nowhere/at-all.yaml")])));
    assert!(
        problem.to_string().contains("/nowhere/at-all.yaml") && problem.to_string().contains("BACKSTOP_CONFIG"),
        "{problem}"
    );
    let empty = load(None, env(&[("BACKSTOP_CONFIG", ""), ("OPENAI_API_KEY", "k")])).unwrap();
    assert_eq!(secrets(&empty), ["k"], "an empty variable counts as unset");
}

#[test]
fn what_stands_twice_is_reported_in_every_format() {
    for (name, text, place, line) in [
        ("a.json5", "{\n run: {},\n providers: { local: { base_url: 'http://127.0.0.1:1' } },\n run: {} }", "run", 4),
        ("a.json5", "{ providers: { openai: { keys: ['a'],\n'keys': ['b'] } } }", "providers.openai.keys", 2),
        ("a.yaml", "providers:\n  openai:\n    keys: [a]\n    \"keys\": [b]\n", "providers.openai.keys", 4),
        ("a.yaml", "providers: { openai: { keys: [a] } }\nchains: {}\nchains: {}\n", "chains", 3),
        // TOML's own parser says it.
        ("a.toml", "[providers.openai]\nkeys = ['a']\nkeys = ['b']\n", "", 3),
        ("a.toml", "[providers.openai]\nkeys = ['a']\n[run]\n[run]\n", "", 4),
    ] {
        let problem = one_problem(load_text(Some((name, text)), []));
        assert_eq!((problem.path.as_str(), problem.line), (place, Some(line)), "{problem}");
        assert!(problem.what.contains("twice") || problem.what.contains("duplicate"), "{problem}");
    }
}

#[test]
fn syntax_errors_have_line_and_column_and_never_show_the_text() {
    let json = format!("{{\n  providers: {{ openai: {{ keys: ['{CANARY}' 'x'] }} }} }}");
    for (name, text, line) in [
        ("a.json5", json.as_str(), 2),
        ("a.json5", &format!("{{\n  a: '{CANARY}\n' }}"), 2),
        ("a.json5", &format!("{{\n  a: {CANARY} }}"), 2),
        ("a.json5", &format!("{{ a: 1 }}\n{CANARY}"), 2),
        ("a.json5", &format!("{{\n a: {{ b: '{CANARY}',\n\n"), 2),
        ("a.yaml", &format!("a: '{CANARY}\nb: 1\n"), 0),
        ("a.yaml", &format!("a: [{CANARY}\nb: 1\n"), 0),
        ("a.yaml", &format!("a: 1\n\tb: {CANARY}\n"), 2),
        ("a.yaml", &format!("a: 1\nb: *{CANARY}\n"), 2),
        ("a.yaml", &format!("a: 1\nb: !{CANARY} x\n"), 2),
        ("a.yaml", &format!("a: 1\nb: {CANARY}: {CANARY}\n"), 2),
        ("a.toml", &format!("a = 1\nb = {CANARY}\n"), 2),
        ("a.toml", &format!("a = 1\nb = '{CANARY}\n"), 2),
        ("a.toml", &format!("a = 1\n{CANARY} {CANARY}\n"), 2),
    ] {
        let error = load_text(Some((name, text)), []).expect_err(text);
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("CANARY"), "{text}\n{shown}");
        for problem in &error.problems {
            let at = problem.line.unwrap_or_else(|| panic!("{problem}"));
            assert!(line == 0 || at == line, "{text}\n{problem}");
            assert!(problem.what.contains(&format!("line {at} column ")), "{problem}");
        }
    }
    // Aliases grow nothing: they are refused.
    let bomb = "a: &a [x, x, x]\nb: &b [*a, *a, *a]\nc: [*b, *b]\n";
    assert!(one_problem(load_text(Some(("a.yaml", bomb)), [])).what.contains("anchors"));
}

#[test]
fn a_secret_may_stand_in_a_file() {
    let folder = Folder::new();
    folder.write("secrets/one", "key-one\n");
    folder.write("secrets/two", "\u{feff}key-two\r\n");
    let absolute = folder.write("three", "key-three");
    let hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    folder.write("hash", format!("{hash}\n"));
    let other = &"a1".repeat(32);
    let text = format!(
        "server: {{ client_keys: [{{ name: ci, sha256: 'file:hash' }}, {{ name: me, sha256: '${{HASH}}' }}] }}
providers:
  openai:
    keys:
      - file:secrets/one
      - {{ key: 'file:./secrets/two', profile: second }}
      - 'file:{}'
      - ${{FROM_VARIABLE}}
      - ${{BESIDE}}
      - ${{NOWHERE}}
    headers: {{ x-plain: 'file:secrets/one' }}
",
        absolute.display()
    );
    let path = folder.write("gateway.yaml", &text);
    folder.write("four", "key-four");
    let given = env(&[("FROM_VARIABLE", "file:four"), ("BESIDE_FILE", "secrets/five"), ("HASH", other)]);
    folder.write("secrets/five", "key-five");
    let config = load(Some(&path), given).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(secrets(&config), ["key-one", "key-two", "key-three", "key-four", "key-five"]);
    let [ci, me] = &config.server.client_keys[..] else { panic!("two clients") };
    assert_eq!((ci.sha256[0], me.sha256[0]), (0x2c, 0xa1));
    assert!(config.warnings.iter().any(|text| text.contains("NOWHERE")), "{:?}", config.warnings);
    assert!(!format!("{config:?}").contains("key-one"));
}

#[test]
fn a_secret_file_that_cannot_be_used_is_named_with_the_cure() {
    let folder = Folder::new();
    folder.write("empty", " \n");
    folder.write("binary", b"\xff\xfe");
    folder.write("long", "x".repeat(20_000));
    folder.write("words", format!("{CANARY} and more\n{CANARY}"));
    let keys =
        ["missing", "empty", "binary", "long", ".", "words"].map(|name| format!("      - file:{name}\n")).concat();
    let path = folder.write("gateway.yaml", format!("providers:\n  openai:\n    keys:\n{keys}"));
    let error = load(Some(&path), []).unwrap_err();
    let expected =
        ["there is no file", "is empty", "is not UTF-8", "longer than 16 KiB", "is a directory", "more than one line"];
    assert_eq!(error.problems.len(), expected.len(), "{error}");
    for (at, (problem, what)) in error.problems.iter().zip(expected).enumerate() {
        assert_eq!(
            (problem.path.as_str(), problem.line),
            (format!("providers.openai.keys[{at}]").as_str(), Some(4 + at)),
            "{problem}"
        );
        assert!(problem.what.contains(what), "{problem}");
        assert!(problem.hint.is_some(), "{problem}");
    }
    assert!(error.to_string().contains(&folder.0.path().join("missing").display().to_string()), "{error}");
    assert!(!format!("{error} {error:?}").contains("CANARY"), "{error}");
    // Beside a variable that is unset.
    let text = "providers: { openai: { keys: ['${K}'] } }";
    let problem = one_problem(load_text(Some(("a.yaml", text)), env(&[("K_FILE", "/nowhere/at-all")])));
    assert!(problem.what.contains("/nowhere/at-all"), "{problem}");
}

#[test]
fn a_place_without_a_line_of_its_own_has_its_holders() {
    let text = "{\n providers: {\n  groq: {},\n },\n}";
    let problem = one_problem(load_text(Some(("dir/a.json5", text)), []));
    assert_eq!((problem.path.as_str(), problem.line), ("providers.groq.keys", Some(3)));
    assert!(problem.to_string().contains("(in dir/a.json5:3)"), "{problem}");
    let over = env(&[("BACKSTOP_PROVIDERS__GROQ__KEY_ORDER", "odered")]);
    let error = load_text(Some(("dir/a.json5", text)), over).unwrap_err();
    let problem = error.problems.iter().find(|problem| problem.path.ends_with("key_order")).unwrap();
    assert_eq!(
        (problem.source.as_str(), problem.line),
        ("environment variable BACKSTOP_PROVIDERS__GROQ__KEY_ORDER", None)
    );
}

#[test]
fn names_that_are_nearly_the_meant_ones_are_pointed_at() {
    let provider = "providers: { local: { base_url: 'http://127.0.0.1:1' }, openai: { keys: [k] } }\n";
    for (rest, place, meant) in [
        ("chains: { defualt: [local/a] }", "chains.defualt", "default"),
        ("agents: { default_: { model: local/a } }", "agents.default_", "defaults"),
        ("chains: { a: [locl/a] }", "chains.a[0]", "local"),
        ("chains: { a: { targets: [local/a, opnai/a] } }", "chains.a.targets[1]", "openai"),
        ("aliases: { a: opnai/gpt-4o }", "aliases.a", "openai"),
        ("classify: [{ provider: opnai, status: 400, kind: auth }]", "classify[0].provider", "openai"),
        ("chains: { a: { targets: [local/a], key_order: round_robbin } }", "chains.a.key_order", "round_robin"),
    ] {
        let problem = one_problem(load_text(Some(("a.yaml", &format!("{provider}{rest}\n"))), []));
        assert_eq!((problem.path.as_str(), problem.line), (place, Some(2)), "{problem}");
        assert!(problem.hint.as_deref().unwrap_or_default().contains(&format!("did you mean `{meant}`?")), "{problem}");
    }
    let levels = "server: { log: { level: 'ifno,hyper=debug' } }";
    let problem = one_problem(load_text(Some(("a.yaml", &format!("{provider}{levels}\n"))), []));
    assert_eq!((problem.path.as_str(), problem.line), ("server.log.level", Some(2)), "{problem}");
    assert!(problem.hint.as_deref().unwrap().contains("did you mean `info`?"), "{problem}");

    let chain = "chains: { a: [openai/gpt-4.1-mnii, openai/gpt-4.2, openai/gpt-4o-mini, local/gpt-4.1-mnii] }";
    let config = load_text(Some(("a.yaml", &format!("{provider}{chain}\n"))), []).unwrap();
    assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
    assert!(config.warnings[0].contains("did you mean `gpt-4.1-mini`?"), "{:?}", config.warnings);
    let config = load_text(
        Some(("a.yaml", &format!("{provider}models: {{ opnai/x: {{ vision: true }}, other/x: {{}} }}\n"))),
        [],
    )
    .unwrap();
    assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
    assert!(config.warnings[0].contains("did you mean `openai`?"), "{:?}", config.warnings);
}
