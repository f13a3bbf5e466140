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
        ("server: { client_keys: [['ci', 'CANARY']] }", "server.client_keys[0]", "this is a list", "expected an object of settings"),
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
fn keys_in_the_environment_still_load() {
    assert_eq!(load(None, env(&[("OPENAI_API_KEY", "k")])).unwrap().providers.len(), 1);
}
