//! Mistakes that people make, each refused where it stands with what to write instead.
//!
//! Owns tables of inputs with the place, the words and the cure. A key that stands in the wrong place is never repeated.

use backstop::config::{Config, ConfigError, load, load_text};

/// Part of every key below that must not be seen.
const CANARY: &str = "CANARY";

/// Two providers that work, so that nothing else is said.
const GOOD: &str = "chains: { default: ['openai/gpt-4o'] }";

/// What is given, and the place, the words and the cure that are said of it.
type Row<'a> = (&'a str, &'a str, &'a str, &'a str);

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn without_canary(text: &str, about: &str) {
    assert!(!text.to_lowercase().contains(&CANARY.to_lowercase()), "{about}: {text}");
}

fn refused(result: Result<Config, ConfigError>, about: &str) -> ConfigError {
    let Err(error) = result else { panic!("accepted: {about}") };
    without_canary(&format!("{error} {error:?}"), about);
    error
}

/// Whether one problem is at the place, and says all.
fn says(error: &ConfigError, (about, path, what, hint): Row<'_>) {
    let said = error.problems.iter().any(|problem| {
        let cure = problem.hint.as_deref().unwrap_or_default();
        problem.path == path && problem.what.contains(what) && cure.contains(hint)
    });
    assert!(said, "{about}: not said: {path}: {what} / {hint}\n{error}");
}

fn file(text: &str) -> Result<Config, ConfigError> {
    load_text(Some(("a.json5", text)), [])
}

/// Each text in place of `openai`'s settings.
fn provider_rows(rows: &[Row<'_>]) {
    for (text, path, what, hint) in rows {
        let text = format!("{{ providers: {{ openai: {text} }}, {GOOD} }}");
        says(&refused(file(&text), &text), (&text, path, what, hint));
    }
}

/// Each text beside a provider and a chain that work.
fn file_rows(rows: &[Row<'_>]) {
    for (text, path, what, hint) in rows {
        let text = format!("{{ providers: {{ openai: {{ keys: ['k'] }} }}, {GOOD}, {text} }}");
        says(&refused(file(&text), &text), (&text, path, what, hint));
    }
}

#[test]
fn an_address_that_is_none_is_refused_with_its_cure() {
    provider_rows(&[
        (
            "{ keys: ['k'], base_url: 'http://127.0.0.1:99999/v1' }",
            "providers.openai.base_url",
            "the port must be 1 to 65535",
            "for example",
        ),
        (
            "{ keys: ['k'], base_url: 'http://127.0.0.1:0/v1' }",
            "providers.openai.base_url",
            "the port must be 1 to 65535",
            "for example",
        ),
        (
            "{ keys: [{ key: 'k', base_url: 'https://a.b/v1/chat/completions' }] }",
            "providers.openai.keys[0].base_url",
            "path of one endpoint",
            "leave `/chat/completions` out: the gateway appends it",
        ),
        (
            "{ keys: ['k'], base_url: 'localhost:8000/v1' }",
            "providers.openai.base_url",
            "must begin with http",
            "write \"http://localhost:8000/v1\"",
        ),
        (
            "{ keys: ['k'], base_url: 'me:CANARY@host.example/v1' }",
            "providers.openai.base_url",
            "must begin with http",
            "for example",
        ),
    ]);
    let text = format!("{{ providers: {{ openai: {{ keys: ['k'], base_url: 'https://api.openai.com' }} }}, {GOOD} }}");
    let config = file(&text).unwrap();
    assert!(config.warnings.iter().any(|text| text.contains("\"https://api.openai.com/v1\"")), "{:?}", config.warnings);
}

#[test]
fn a_list_is_no_object_of_settings() {
    provider_rows(&[
        (
            "['sk-CANARY-12345678']",
            "providers.openai",
            "this is a list",
            "expected an object of settings: { keys: [\"…\"] }",
        ),
        (
            "'sk-CANARY-12345678'",
            "providers.openai",
            "this is a text",
            "expected an object of settings: { keys: [\"…\"] }",
        ),
        ("{ keys: [['sk-CANARY-12345678', 'a']] }", "providers.openai.keys[0]", "this is a list", "expected a key"),
        (
            "{ keys: ['k'], timeouts: ['1s'] }",
            "providers.openai.timeouts",
            "this is a list",
            "expected an object of settings",
        ),
    ]);
    file_rows(&[
        (
            "cooldowns: { rate_limit: [10, 20] }",
            "cooldowns.rate_limit",
            "this is a list",
            "expected an object of settings",
        ),
        ("cooldowns: [[1]]", "cooldowns", "this is a list", "expected an object of settings"),
        ("server: ['127.0.0.1:1']", "server", "this is a list", "expected an object of settings"),
        ("server: { log: ['json'] }", "server.log", "this is a list", "expected an object of settings"),
        (
            "server: { client_keys: [['ci', 'CANARY']] }",
            "server.client_keys[0]",
            "this is a list",
            "`backstop hash-key`",
        ),
        ("server: { client_keys: ['CANARY'] }", "server.client_keys[0]", "this is a text", "`backstop hash-key`"),
        ("run: [1]", "run", "this is a list", "expected an object of settings"),
        ("upstream: ['5s']", "upstream", "this is a list", "expected an object of settings"),
        ("compat: [true]", "compat", "this is a list", "expected an object of settings"),
        ("classify: [['openai', 500]]", "classify[0]", "this is a list", "expected an object of settings"),
        ("models: { 'gpt-4o': [128000] }", "models.gpt-4o", "this is a list", "expected an object of settings"),
        ("agents: { main: ['openai/gpt-4o'] }", "agents.main", "this is a list", "expected an object of settings"),
    ]);
    for (text, path) in [
        ("{ models: { providers: { x: ['http://x/v1', 'sk-CANARY-12345678'] } } }", "models.providers.x"),
        (
            "{ models: { providers: { x: { baseUrl: 'http://x/v1', models: [['m']] } } } }",
            "models.providers.x.models[0]",
        ),
        ("{ agents: { list: [['main', 'openai/gpt-4o']] } }", "agents.list[0]"),
        ("{ auth: { profiles: { 'a:b': ['anthropic', 'token'] } } }", "auth.profiles[\"a:b\"]"),
        ("{ auth: { order: {}, cooldowns: [1] } }", "auth.cooldowns"),
    ] {
        says(&refused(file(text), text), (text, path, "this is a list", "expected an object of settings"));
    }
}

#[test]
fn a_section_that_says_nothing_is_absent() {
    let text = "server:\n  # listen: 127.0.0.1:1\nrun:\ncooldowns: ~\nclassify:\nmodels:\naliases:\n\
                providers:\n  openai:\n    keys: [k]\n    timeouts:\nchains: { default: openai/gpt-4o }\n";
    let config = load_text(Some(("a.yaml", text)), []).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((config.server, config.providers.len()), (backstop::config::Server::default(), 1));
    let config = load_text(Some(("a.yaml", "providers:\nchains:\n")), env(&[("OPENAI_API_KEY", "k")])).unwrap();
    assert_eq!((config.providers.len(), config.chains.len()), (1, 1));
}

#[test]
fn words_of_other_programs_and_shapes_that_do_not_fit_are_pointed_at() {
    provider_rows(&[
        (
            "{ api_key: 'sk-CANARY-12345678' }",
            "providers.openai.api_key",
            "no setting `api_key`",
            "did you mean `keys`? (keys: [\"…\"])",
        ),
        ("{ apiKey: 'sk-CANARY-12345678' }", "providers.openai.apiKey", "no setting `apiKey`", "did you mean `keys`?"),
        ("{ api_keys: ['CANARY'] }", "providers.openai.api_keys", "no setting `api_keys`", "did you mean `keys`?"),
        ("{ token: 'CANARY' }", "providers.openai.token", "no setting `token`", "did you mean `keys`?"),
        (
            "{ keys: [{ api_key: 'CANARY' }] }",
            "providers.openai.keys[0].api_key",
            "no setting `api_key`",
            "did you mean `key`?",
        ),
        ("{ keys: ['k'], url: 'x' }", "providers.openai.url", "no setting `url`", "did you mean `base_url`?"),
        ("{ keys: ['k'], api_base: 'x' }", "providers.openai.api_base", "no setting", "did you mean `base_url`?"),
        ("{ keys: ['k'], host: 'x' }", "providers.openai.host", "no setting", "did you mean `base_url`?"),
        ("{ keys: ['k'], org: 'x' }", "providers.openai.org", "no setting `org`", "did you mean `organization`?"),
        ("{ keys: 'sk-CANARY-12345678' }", "providers.openai.keys", "this is a text", "expected a list: [\"…\"]"),
        ("{ keys: { key: 'CANARY' } }", "providers.openai.keys", "this is an object", "[{ key: \"…\""),
        ("{ keys: ['k'], disabled: 'yes' }", "providers.openai.disabled", "this is a text", "expected true or false"),
    ]);
    file_rows(&[
        ("server: { workers: -1 }", "server.workers", "this number is out of range", "expected a whole number"),
        ("server: { port: 8080 }", "server.port", "no setting `port`", "did you mean `listen`?"),
    ]);
    let keys = "providers: { openai: { keys: ['k'] } }";
    for (text, path, what, hint) in [
        (
            "{ providers: [{ name: 'openai', keys: ['CANARY'] }] }".to_owned(),
            "providers",
            "this is a list",
            "{ openai: { keys: [\"…\"] } }",
        ),
        (
            format!("{{ {keys}, chains: {{ a: {{ primary: 'openai/a', fallback: 'openai/b' }} }} }}"),
            "chains.a.primary",
            "no setting `primary`",
            "did you mean `targets`? (targets: [\"provider/model\"",
        ),
        (
            format!("{{ {keys}, chains: ['openai/a'] }}"),
            "chains",
            "this is a list",
            "{ default: [\"provider/model\", …] }",
        ),
    ] {
        says(&refused(file(&text), &text), (&text, path, what, hint));
    }
}

#[test]
fn a_number_or_a_truth_may_come_from_a_variable() {
    let text = |workers: &str, anonymous: &str| {
        format!(
            "{{ providers: {{ openai: {{ keys: ['k'] }} }}, {GOOD}, \
             server: {{ workers: {workers}, allow_anonymous: {anonymous} }}, run: {{ max_attempts: '${{M:-7}}' }} }}"
        )
    };
    let load = |text: &str, pairs: &[(&str, &str)]| load_text(Some(("a.json5", text)), env(pairs));
    let config = load(&text("'${W:-4}'", "'${A:-true}'"), &[]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((config.server.workers, config.server.allow_anonymous), (Some(4), true));
    assert_eq!(config.run.max_attempts, 7);
    let config = load(&text("'${W:-4}'", "'${A:-true}'"), &[("W", "3"), ("A", "false")]).unwrap();
    assert_eq!((config.server.workers, config.server.allow_anonymous), (Some(3), false));
    for (workers, anonymous, path, hint) in [
        ("'${W}'", "true", "server.workers", "expected a whole number"),
        ("'4'", "true", "server.workers", "expected a whole number"),
        ("1", "'${W}'", "server.allow_anonymous", "expected true or false"),
    ] {
        let text = text(workers, anonymous);
        says(&refused(load(&text, &[("W", "CANARY")]), &text), (&text, path, "this is a text", hint));
    }
    let error = refused(load(&text("'${W:-4096}'", "true"), &[]), "a number that is too large");
    assert_eq!((error.problems[0].path.as_str(), error.problems[0].line), ("server.workers", Some(1)), "{error}");
}

#[test]
fn what_could_never_work_is_refused() {
    provider_rows(&[
        (
            "{ keys: ['k'], headers: { 'X-One': 'a', 'x-one': 'b' } }",
            "providers.openai.headers.x-one",
            "stands twice",
            "keep one of them",
        ),
        (
            "{ keys: ['k'], dialect: 'openai' }",
            "providers.openai.dialect",
            "is not a choice",
            "did you mean `openai_chat`?",
        ),
    ]);
    file_rows(&[
        ("server: { workers: 4096 }", "server.workers", "must be from 1 to 1024", ""),
        ("server: { workers: 0 }", "server.workers", "must be from 1 to 1024", ""),
        ("server: { max_body: '32MB' }", "server.max_body", "cannot be read", "\"32MiB\" (not KB, MB, GB)"),
        ("classify: [{ contains: '', kind: 'auth' }]", "classify[0].contains", "contains nothing", "leave it out"),
        ("aliases: { a: 'openai/gpt-*' }", "aliases.a", "not a wildcard", "name one model"),
        ("agents: { b: { model: 'openai/gpt-*' } }", "agents.b.model", "not a wildcard", "name one model"),
        (
            "server: { client_keys: [{ sha256: 'bsk-CANARY' }] }",
            "server.client_keys[0].sha256",
            "not a SHA-256",
            "here stands the hash, not the key",
        ),
        ("server: { listen: '8080' }", "server.listen", "not an address", "the address before the port is missing"),
        ("server: { listen: ':8080' }", "server.listen", "not an address", "the address before the port is missing"),
        ("server: { listen: '127.0.0.1' }", "server.listen", "not an address", "the port is missing"),
        ("server: { listen: '::1' }", "server.listen", "not an address", "\"[::1]:8080\""),
        ("server: { listen: '*:8080' }", "server.listen", "not an address", "\"0.0.0.0:8080\""),
        ("server: { listen: 'http://127.0.0.1:8080' }", "server.listen", "not an address", "without a scheme"),
        ("server: { listen: '127.0.0.1:99999' }", "server.listen", "not an address", "at most 65535"),
        ("server: { listen: 'my-host:8080' }", "server.listen", "not an address", "not a name"),
    ]);
    let hash = "0F".repeat(32);
    for hash in [format!("sha256:{hash}"), format!("{hash}  -"), hash] {
        let text = format!(
            "{{ providers: {{ openai: {{ keys: ['k'] }} }}, {GOOD}, server: {{ client_keys: [{{ sha256: '{hash}' }}] }} }}"
        );
        assert_eq!(file(&text).unwrap_or_else(|error| panic!("{error}")).server.client_keys[0].sha256, [0x0f; 32]);
    }
}

#[test]
fn lists_and_objects_in_variables_are_json5() {
    let given = |value: &str| env(&[("OPENAI_API_KEY", "k"), ("BACKSTOP_CHAINS__A", value)]);
    for value in [
        "['openai/a', \"openai/b\",]",
        " [\n'openai/a', /* and */ 'openai/b']",
        "{ targets: ['openai/a', { target: 'openai/b', vision: true }] }",
    ] {
        let config = load(None, given(value)).unwrap_or_else(|error| panic!("{value}: {error}"));
        assert_eq!(config.chains.iter().find(|chain| chain.pattern == "a").unwrap().targets.len(), 2, "{value}");
    }
    for value in ["[openai/CANARY]", "['openai/CANARY'", "{ targets: ['openai/CANARY' }", "['a'] CANARY"] {
        let error = refused(load(None, given(value)), value);
        let [problem] = &error.problems[..] else { panic!("{value}: {error}") };
        assert_eq!(
            (problem.path.as_str(), problem.source.as_str()),
            ("chains.a", "environment variable BACKSTOP_CHAINS__A")
        );
        assert!(problem.what.contains("JSON5") && problem.what.contains("column"), "{problem}");
        assert!(problem.hint.as_deref().is_some_and(|hint| hint.contains("'[\"one\",\"other\"]'")), "{problem}");
    }
    let error = refused(load(None, env(&[("BACKSTOP_PROVIDERS__OPENAI__KEYS", "CANARY-1,CANARY-2")])), "keys");
    says(&error, ("keys", "providers.openai.keys", "this is a text", "in a variable '[\"one\",\"other\"]'"));
}

#[test]
fn a_variable_that_means_nothing_and_nearly_something_is_told() {
    for (name, value, meant) in [
        ("BACKSTOP_CHAINS", "{ default: ['openai/a'] }", "BACKSTOP_CHAINS__…"),
        ("BACKSTOP_LISTEN", "0.0.0.0:1", "BACKSTOP_SERVER__LISTEN"),
        ("BACKSTOP_PORT", "1", "BACKSTOP_SERVER__LISTEN"),
        ("backstop_server__listen", "0.0.0.0:1", "BACKSTOP_SERVER__LISTEN"),
        ("OPENAI_API_KEY2", "CANARY", "OPENAI_API_KEY_2"),
        ("OPENAI_BASE_URL", "http://CANARY", "BACKSTOP_PROVIDERS__OPENAI__BASE_URL"),
        ("ANTHROPIC_BASE_URL", "http://CANARY", "BACKSTOP_PROVIDERS__ANTHROPIC__BASE_URL"),
        ("BACKSTOP_PROVIDERS__OPNAI__BASE_URL", "http://canary.example/v1", "BACKSTOP_PROVIDERS__OPENAI"),
    ] {
        let config =
            load(None, env(&[("OPENAI_API_KEY", "k"), (name, value)])).unwrap_or_else(|error| panic!("{error}"));
        let [warning] = &config.warnings[..] else { panic!("{name}: {:?}", config.warnings) };
        assert!(warning.contains(&format!("did you mean {meant}?")), "{name}: {warning}");
        without_canary(warning, name);
    }
    for (name, value) in
        [("BACKSTOP_PORT", "tcp://10.0.0.1:80"), ("BACKSTOP_SERVICE_HOST", "10.0.0.1"), ("backstop_dir", "x")]
    {
        let config = load(None, env(&[("OPENAI_API_KEY", "k"), (name, value)])).unwrap();
        assert!(config.warnings.is_empty(), "{name}: {:?}", config.warnings);
    }
}
