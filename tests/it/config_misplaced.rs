//! Keys that are none, and keys where something else belongs: refused by the name of the variable or the place.
//!
//! Owns tables of inputs with the source, the words and the cure. No key is ever repeated.

use backstop::config::{Config, ConfigError, Problem, load, load_text};

/// Part of every key below that must not be seen.
const CANARY: &str = "CANARY";

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn refused(result: Result<Config, ConfigError>, about: &str) -> ConfigError {
    let Err(error) = result else { panic!("accepted: {about}") };
    let text = format!("{error} {error:?}");
    assert!(!text.to_lowercase().contains(&CANARY.to_lowercase()), "{about}: {text}");
    error
}

fn find<'a>(error: &'a ConfigError, what: &str, about: &str) -> &'a Problem {
    let found = error.problems.iter().find(|problem| problem.what.contains(what));
    found.unwrap_or_else(|| panic!("{about}: `{what}` is not said: {error}"))
}

#[test]
fn a_variable_that_holds_no_key_is_named_with_its_cure() {
    for (variable, value, what, hint) in [
        ("OPENAI_API_KEY", "\"sk-CANARY-1\"", "the key stands in quotes", "leave them out"),
        ("OPENAI_API_KEY", "'sk-CANARY-1'", "the key stands in quotes", "leave them out"),
        ("OPENAI_API_KEY", "${CANARY_KEY}", "nothing has replaced", "write the key"),
        ("OPENAI_API_KEY", "$CANARY_KEY", "nothing has replaced", "write the key"),
        ("OPENAI_API_KEY", "<your-canary-key>", "this is a placeholder", "write the vendor's key"),
        ("OPENAI_API_KEY", "OPENAI_API_KEY=sk-CANARY-1", "a name and `=`", "leave them out"),
        ("OPENAI_API_KEY", "sk-CANARY-1,sk-CANARY-2", "several keys", "OPENAI_API_KEYS, with commas"),
        ("OPENAI_API_KEY_2", "sk-CANARY-1,sk-CANARY-2", "several keys", "OPENAI_API_KEYS, with commas"),
        ("OPENAI_API_KEY", "Bearer sk-CANARY-1", "`Bearer` stands before", "leave it out"),
        ("OPENAI_API_KEY", "sk-CANARY 1", "blanks inside", "copy it again"),
        ("OPENAI_API_KEYS", "[\"sk-CANARY-1\",\"sk-CANARY-2\"]", "in brackets", "OPENAI_API_KEYS, with commas"),
        ("OPENAI_API_KEYS", "sk-CANARY-1;sk-CANARY-2", "several keys", "OPENAI_API_KEYS, with commas"),
        ("OPENAI_API_KEYS", "\"sk-CANARY-1,sk-CANARY-2\"", "in quotes", "leave them out"),
    ] {
        let about = format!("{variable}={value}");
        let error = refused(load(None, env(&[(variable, value)])), &about);
        let problem = find(&error, what, &about);
        assert_eq!(problem.source, format!("environment variable {variable}"), "{about}");
        assert_eq!(problem.path, "providers.openai.keys", "{about}");
        assert!(problem.hint.as_deref().is_some_and(|cure| cure.contains(hint)), "{about}: {problem}");
    }
}

#[test]
fn a_key_in_the_file_that_is_none_is_named_with_its_line_and_variable() {
    let text = "{\n providers: { openai: { keys: [\n  KEY ] } },\n chains: { default: ['openai/gpt-4o'] } }";
    for (key, variables, what, hint) in [
        ("''", &[][..], "the key is empty", "leave the entry out"),
        ("'Bearer sk-CANARY-1'", &[], "`Bearer` stands before", "leave it out"),
        ("'sk-CANARY-1,sk-CANARY-2'", &[], "several keys", "several items of the list"),
        ("'<your-key>'", &[], "placeholder", "vendor's key"),
        ("'$CANARY_KEY'", &[], "nothing has replaced", "\"${NAME}\""),
        ("'${MINE}'", &[("MINE", "\"sk-CANARY-1\"")], "MINE: the key stands in quotes", "leave them out"),
        ("{ key: '${MINE}' }", &[("MINE", "sk-CANARY 1")], "MINE: the key has blanks", "copy it again"),
        ("{ key: '${MINE}' }", &[("MINE", "sk-CANARY-ü")], "MINE: the key is empty or holds", "plain ASCII"),
    ] {
        let error = refused(load_text(Some(("a.json5", &text.replace("KEY", key))), env(variables)), key);
        let problem = find(&error, what, key);
        assert_eq!((problem.path.as_str(), problem.line), ("providers.openai.keys[0]", Some(3)), "{key}: {error}");
        assert!(problem.hint.as_deref().is_some_and(|cure| cure.contains(hint)), "{key}: {problem}");
    }
    let config = load_text(Some(("a.json5", &text.replace("KEY", "'OPENAI_API_KEY'"))), []).unwrap();
    let said = config.warnings.iter().any(|text| text.contains("providers.openai.keys[0]") && text.contains("${NAME}"));
    assert!(said, "{:?}", config.warnings);
}

#[test]
fn a_file_of_two_lines_is_no_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    std::fs::write(&path, "sk-CANARY-1\nsk-CANARY-2\n").unwrap();
    let path = path.to_str().unwrap();
    let error = refused(load(None, env(&[("OPENAI_API_KEY_FILE", path)])), path);
    let problem = find(&error, "more than one line", path);
    assert_eq!(problem.source, "environment variable OPENAI_API_KEY_FILE");
    let text = format!("{{ providers: {{ openai: {{ keys: ['file:{path}'] }} }} }}");
    find(&refused(load_text(Some(("a.json5", &text)), []), &text), "more than one line", &text);
}

#[test]
fn a_key_in_a_paths_place_is_not_shown() {
    let file = |key: &str| format!("{{ providers: {{ openai: {{ keys: ['k', {{ key: '{key}' }}] }} }} }}");
    for text in [
        file("file:sk-CANARY-12345678"),
        file("file:bsk-CANARY12345678"),
        file("file:/run/secrets/gsk_CANARY12345678"),
        file("file:aCANARY0123456789abcdef"),
        "{ server: { client_keys: [{ sha256: 'file:sk-CANARY-12345678' }] } }".to_owned(),
        "{ upstream: { ca_file: 'sk-CANARY-12345678' } }".to_owned(),
    ] {
        let error = refused(load_text(Some(("a.json5", &text)), env(&[("OPENAI_API_KEY", "k")])), &text);
        assert!(find(&error, "this looks like a key, not a path", &text).hint.is_some(), "{error}");
    }
    let variable = [("OPENAI_API_KEY_FILE", "sk-CANARY-12345678")];
    find(&refused(load(None, env(&variable)), "file"), "this looks like a key, not a path", "file");
    for name in ["BACKSTOP_PROVIDERS__sk-CANARY-12345678__KEYS", "BACKSTOP_PROVIDERS__SK-CANARY-12345678__KEYS"] {
        let error = refused(load(None, env(&[(name, "['k']")])), name);
        assert!(error.to_string().contains("BACKSTOP_PROVIDERS__[hidden]__KEYS"), "{error}");
    }
    // A path that leads somewhere is a path, and one that leads nowhere is told.
    let error = refused(load_text(Some(("a.json5", &file("file:/run/secrets/openai_api_key_2"))), []), "path");
    find(&error, "there is no file /run/secrets/openai_api_key_2", "path");
}

#[cfg(unix)]
#[test]
fn a_pipe_or_a_device_is_no_file_of_a_secret() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in [pipe.to_str().unwrap(), "/dev/zero"] {
        let text = format!("{{ providers: {{ openai: {{ keys: ['file:{path}'] }} }} }}");
        let error = refused(load_text(Some(("a.json5", &text)), []), path);
        find(&error, "is not a regular file", path);
        let error = refused(load(None, env(&[("OPENAI_API_KEY_FILE", path)])), path);
        find(&error, "is not a regular file", path);
    }
}

#[test]
fn a_word_that_is_no_level_is_refused() {
    for (level, hint) in [
        ("warning", "did you mean `warn`?"),
        ("WARNING", "did you mean `warn`?"),
        ("verbose", "did you mean `debug`?"),
        ("none", "did you mean `off`?"),
        ("fatal", "did you mean `error`?"),
        ("loud", "known: error, warn, info, debug, trace, off"),
        ("backstop", "known: error, warn"),
        ("warning,backstop=debug", "did you mean `warn`?"),
        ("ifno", "did you mean `info`?"),
    ] {
        let given = env(&[("OPENAI_API_KEY", "k"), ("BACKSTOP_SERVER__LOG__LEVEL", level)]);
        let error = refused(load(None, given), level);
        let problem = find(&error, "is not a log level", level);
        assert_eq!(problem.path, "server.log.level", "{error}");
        assert!(problem.hint.as_deref().is_some_and(|cure| cure.contains(hint)), "{level}: {problem}");
    }
    for level in ["off", "Error", "WARN", "info", "debug", "trace", "info,backstop=debug", "backstop=trace"] {
        let given = env(&[("OPENAI_API_KEY", "k"), ("BACKSTOP_SERVER__LOG__LEVEL", level)]);
        assert_eq!(load(None, given).unwrap_or_else(|error| panic!("{error}")).server.log.level, level);
    }
}
