//! No file at all: keys in the environment make a working gateway.
//!
//! Owns which variables are keys, the chain that is made of them, and what is said when there are none.

use std::net::SocketAddr;

use backstop::app::{Gateway, build};
use backstop::config::builtin::BUILTINS;
use backstop::config::defaults::DEFAULT_MODELS;
use backstop::config::{Config, ConfigError, ModelTable, load, load_text};
use backstop::server::serve;
use backstop::sim::{Script, Sim};
use serde_json::{Value, json};

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn alone(pairs: &[(&str, &str)]) -> Config {
    load(None, env(pairs)).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(pairs: &[(&str, &str)]) -> ConfigError {
    load(None, env(pairs)).unwrap_err()
}

/// Names and secrets of a provider's keys, in order.
fn keys(config: &Config, provider: &str) -> Vec<(String, String)> {
    let provider = config.providers.iter().find(|known| known.name == provider).unwrap();
    let key = |key: &backstop::config::Key| (key.name.clone(), key.secret.as_ref().unwrap().expose().to_owned());
    provider.keys.iter().map(key).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    env(expected)
}

fn chain(config: &Config, name: &str) -> Vec<String> {
    let chain = config.chains.iter().find(|chain| chain.pattern == name);
    let targets = chain.map(|chain| chain.targets.iter()).into_iter().flatten();
    targets.map(|target| format!("{}/{}", config.providers[target.provider].name, target.model)).collect()
}

#[test]
fn each_providers_own_variable_is_its_key() {
    for known in BUILTINS.iter() {
        // Azure's addresses are everybody's own.
        let endpoint = if known.name == "azure" { "https://mine.openai.azure.com/" } else { "" };
        let config = alone(&[(known.key_variable, "the-key"), ("AZURE_OPENAI_ENDPOINT", endpoint)]);
        assert_eq!(config.providers.len(), 1, "{}", known.name);
        assert_eq!(keys(&config, known.name), pairs(&[("default", "the-key")]));
        let model = DEFAULT_MODELS.iter().find(|(name, _)| *name == known.name);
        let expected: Vec<_> = model.map(|(name, model)| format!("{name}/{model}")).into_iter().collect();
        assert_eq!(chain(&config, "default"), expected, "{}", known.name);
        assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    }
}

#[test]
fn the_default_chain_has_one_target_for_each_key_in_the_documented_order() {
    let all: Vec<_> =
        BUILTINS.iter().filter(|known| known.needs_key).map(|known| (known.key_variable, known.name)).collect();
    let bedrock = [("AWS_BEARER_TOKEN_BEDROCK", "key")];
    let all: Vec<_> = all.into_iter().filter(|(_, name)| *name != "azure").chain(bedrock).collect();
    let config = alone(&all);
    let expected: Vec<_> = DEFAULT_MODELS.iter().map(|(name, model)| format!("{name}/{model}")).collect();
    assert_eq!(chain(&config, "default"), expected);
    assert_eq!(config.providers.len(), DEFAULT_MODELS.len());
    assert!(expected.last().unwrap().starts_with("openrouter/"));
    assert_eq!(config.chains.len(), 1);
}

#[test]
fn default_models_are_known_to_the_model_table_and_documented_in_order() {
    let table = ModelTable::builtin().unwrap();
    let settings = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/settings.md")).unwrap();
    let mut after = settings.as_str();
    for (provider, model) in DEFAULT_MODELS {
        assert_ne!(table.abilities(provider, model).tools, Some(false), "{provider}/{model}");
        let known = table.abilities(provider, model);
        assert!(known.vision.is_some() || known.tools.is_some(), "{provider}/{model} is not in config/models.json");
        let row = format!("`{provider}/{model}`");
        after = after.split_once(&row).unwrap_or_else(|| panic!("{row} is not in docs/settings.md, or not in order")).1;
    }
}

#[test]
fn several_keys_are_listed_or_numbered() {
    for (given, expected) in [
        (&[("OPENAI_API_KEYS", "a, b,,c")][..], &[("1", "a"), ("2", "b"), ("3", "c")][..]),
        (&[("OPENAI_API_KEYS", "a")], &[("default", "a")]),
        (
            &[("OPENAI_API_KEY_10", "c"), ("OPENAI_API_KEY_2", "b"), ("OPENAI_API_KEY_1", "a")],
            &[("1", "a"), ("2", "b"), ("10", "c")],
        ),
        (&[("OPENAI_API_KEY", "a"), ("OPENAI_API_KEY_2", "b")], &[("1", "a"), ("2", "b")]),
        (
            &[("OPENAI_API_KEY", "z"), ("OPENAI_API_KEYS", "a"), ("OPENAI_API_KEY_1", "b")],
            &[("2", "z"), ("3", "a"), ("1", "b")],
        ),
        (&[("OPENAI_API_KEY", "a"), ("OPENAI_API_KEY_1", ""), ("OPENAI_API_KEYS", " ")], &[("default", "a")]),
        (&[("OPENAI_API_KEY", "not$replaced")], &[("default", "not$replaced")]),
    ] {
        let config = alone(given);
        assert_eq!(keys(&config, "openai"), pairs(expected), "{given:?}");
        assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    }
    let config = alone(&[("OPENAI_API_KEY", "a-key"), ("OPENAI_API_KEYS", "b,a-key,b")]);
    assert_eq!(keys(&config, "openai"), pairs(&[("1", "a-key"), ("2", "b")]));
    assert!(
        config.warnings.contains(&"OPENAI_API_KEYS holds the same key as OPENAI_API_KEY: it is used once".to_owned())
    );
    assert!(config.warnings.contains(&"OPENAI_API_KEYS holds the same key twice: it is used once".to_owned()));
    assert!(!format!("{:?}", config.warnings).contains("a-key"));
}

#[test]
fn google_calls_its_variable_by_two_names() {
    assert_eq!(keys(&alone(&[("GOOGLE_API_KEY", "a")]), "gemini"), pairs(&[("default", "a")]));
    let both = alone(&[("GOOGLE_API_KEY", "a"), ("GEMINI_API_KEY", "b")]);
    assert_eq!(keys(&both, "gemini"), pairs(&[("default", "b")]));
    assert!(both.warnings.is_empty(), "{:?}", both.warnings);
}

#[test]
fn a_key_may_stand_in_a_file_that_a_variable_names() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (one, list) = (file("one", "the-key\n"), file("list", "a\nb\n"));
    assert_eq!(keys(&alone(&[("OPENAI_API_KEY_FILE", &one)]), "openai"), pairs(&[("default", "the-key")]));
    assert_eq!(keys(&alone(&[("OPENAI_API_KEYS_FILE", &list)]), "openai"), pairs(&[("1", "a"), ("2", "b")]));
    let numbered = alone(&[("XAI_API_KEY_2_FILE", &one), ("XAI_API_KEY_1", "first")]);
    assert_eq!(keys(&numbered, "xai"), pairs(&[("1", "first"), ("2", "the-key")]));
    assert_eq!(keys(&alone(&[("OPENAI_API_KEY", &format!("file:{one}"))]), "openai"), pairs(&[("default", "the-key")]));
    // What is set wins.
    let both = alone(&[("OPENAI_API_KEY_FILE", "/nowhere/at-all"), ("OPENAI_API_KEY", "set")]);
    assert_eq!(keys(&both, "openai"), pairs(&[("default", "set")]));

    let error = refused(&[("OPENAI_API_KEY_FILE", "/nowhere/at-all"), ("GROQ_API_KEY", "a key")]);
    let [missing, unsendable] = &error.problems[..] else { panic!("{error}") };
    assert_eq!(missing.path, "providers.openai.keys");
    assert_eq!(missing.source, "environment variable OPENAI_API_KEY_FILE");
    assert!(missing.what.contains("there is no file /nowhere/at-all"), "{error}");
    assert_eq!(
        (unsendable.path.as_str(), unsendable.source.as_str()),
        ("providers.groq.keys", "environment variable GROQ_API_KEY")
    );
}

#[test]
fn variables_override_what_is_made_of_keys() {
    let config = alone(&[
        ("OPENAI_API_KEY", "a"),
        ("ANTHROPIC_API_KEY", "b"),
        ("MISTRAL_API_KEY", "c"),
        ("BACKSTOP_PROVIDERS__OPENAI__BASE_URL", "http://127.0.0.1:1/v1"),
        ("BACKSTOP_PROVIDERS__ANTHROPIC__KEYS", "[\"own\"]"),
        ("BACKSTOP_PROVIDERS__MISTRAL__MODELS", "[\"codestral-latest\"]"),
        ("BACKSTOP_CHAINS__FAST", "[\"openai/gpt-4.1-mini\"]"),
        ("BACKSTOP_SERVER__LISTEN", "127.0.0.1:9"),
    ]);
    assert_eq!(keys(&config, "anthropic"), pairs(&[("key-1", "own")]));
    assert_eq!(config.providers.iter().find(|known| known.name == "openai").unwrap().base_url.authority, "127.0.0.1:1");
    assert_eq!(chain(&config, "default"), ["anthropic/claude-sonnet-4-5", "openai/gpt-4.1"]);
    assert_eq!(chain(&config, "fast"), ["openai/gpt-4.1-mini"]);
    assert_eq!(config.server.listen.port(), 9);

    let config = alone(&[("OPENAI_API_KEY", "a"), ("BACKSTOP_CHAINS__DEFAULT", "[\"openai/gpt-5\", \"openai/o3\"]")]);
    assert_eq!(chain(&config, "default"), ["openai/gpt-5", "openai/o3"]);
    let config = alone(&[("OPENAI_API_KEY", "a"), ("BACKSTOP_AGENTS__DEFAULTS__MODEL", "openai/gpt-5")]);
    assert_eq!(chain(&config, "default"), ["openai/gpt-5"]);
}

#[test]
fn with_no_key_and_no_file_it_says_what_to_do() {
    let error = refused(&[]);
    let text = error.to_string();
    assert_eq!(error.problems.len(), 1, "{text}");
    assert!(
        text.contains("no provider is configured") && text.contains("backstop demo") && text.contains("--config"),
        "{text}"
    );
    for known in BUILTINS.iter().filter(|known| known.needs_key) {
        assert!(text.contains(known.key_variable), "{} in {text}", known.key_variable);
    }
    // Everything else is still said.
    let error = refused(&[("BACKSTOP_SERVR__LISTEN", "x"), ("BACKSTOP_RUN__MAX_WAIT", "soon")]);
    let found: Vec<_> = error.problems.iter().map(|problem| (problem.path.as_str(), problem.source.as_str())).collect();
    assert!(found.contains(&("servr", "environment variable BACKSTOP_SERVR__LISTEN")), "{error}");
    assert!(found.contains(&("run.max_wait", "environment variable BACKSTOP_RUN__MAX_WAIT")), "{error}");
    assert!(error.to_string().contains("did you mean `server`?"), "{error}");
}

#[test]
fn the_command_ends_with_status_2_and_the_cure() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("my.toml");
    std::fs::write(&file, "[run]\nmax_wiat = '1s'\n").unwrap();
    for (variable, value, said) in [
        ("HOME", "/", "backstop demo"),
        ("BACKSTOP_CONFIG", file.to_str().unwrap(), "my.toml:2)\n    hint: did you mean `max_wait`?"),
    ] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_backstop"));
        let ended = command.arg("serve").env_clear().env(variable, value).output().unwrap();
        let text = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(2), "{text}");
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn a_misspelt_variable_is_pointed_at() {
    let text = refused(&[("OPNAI_API_KEY", "a-key")]).to_string();
    assert!(text.contains("OPNAI_API_KEY") && text.contains("OPENAI_API_KEY?"), "{text}");
    assert!(!text.contains("a-key"), "{text}");
    let config = alone(&[
        ("OPENAI_API_KEY", "a"),
        ("ANTROPIC_API_KEY", "b"),
        ("GEMINI_KEY", "c"),
        ("FOO_API_KEY", "d"),
        ("SSH_KEY", "e"),
        ("BACKSTOP_SERVER_LISTEN", "f"),
        ("BACKSTOP_RUN__DEADLINE", "1s"),
    ]);
    let warned = |part: &str| config.warnings.iter().filter(|text| text.contains(part)).count();
    assert_eq!(warned("did you mean ANTHROPIC_API_KEY?"), 1, "{:?}", config.warnings);
    assert_eq!(warned("did you mean GEMINI_API_KEY?"), 1);
    assert_eq!(warned("did you mean BACKSTOP_SERVER__LISTEN?"), 1);
    assert_eq!(config.warnings.len(), 3, "{:?}", config.warnings);
    for (variable, place, meant) in [
        ("BACKSTOP_SERVER__LISEN", "server.lisen", "listen"),
        ("BACKSTOP_PROVIDERS__OPNAI__KEY_ORDER", "providers.opnai", "openai"),
        ("BACKSTOP_PROVIDERS__OPENAI__KEYORDER", "providers.openai.keyorder", "key_order"),
    ] {
        let error = refused(&[("OPENAI_API_KEY", "a"), (variable, "ordered")]);
        let problem = error.problems.iter().find(|problem| problem.path == place).unwrap_or_else(|| panic!("{error}"));
        assert_eq!(problem.source, format!("environment variable {variable}"));
        assert!(problem.hint.as_deref().unwrap().contains(&format!("did you mean `{meant}`?")), "{problem}");
    }
}

#[test]
fn a_file_without_providers_takes_them_from_the_environment() {
    let given = env(&[("OPENAI_API_KEY", "a"), ("GROQ_API_KEY", "b")]);
    let config = load_text(Some(("a.yaml", "server: { listen: '127.0.0.1:1' }\n")), given.clone()).unwrap();
    assert_eq!(chain(&config, "default"), ["openai/gpt-4.1", "groq/llama-3.3-70b-versatile"]);
    // Who writes chains, writes them all.
    let config = load_text(Some(("a.yaml", "chains: { fast: [groq/llama-3.1-8b-instant] }\n")), given.clone()).unwrap();
    assert_eq!(chain(&config, "fast"), ["groq/llama-3.1-8b-instant"]);
    assert_eq!(config.chains.len(), 1);
    // A file with providers says which there are.
    let config = load_text(Some(("a.yaml", "providers: { groq: { keys: [x] } }\n")), given).unwrap();
    assert_eq!((config.providers.len(), config.chains.len()), (1, 0));
    let error = load_text(Some(("a.yaml", "provders: { groq: { keys: [x] } }\n")), []).unwrap_err();
    assert!(error.to_string().contains("did you mean `providers`?"), "{error}");
}

#[tokio::test]
async fn keys_alone_make_a_gateway_that_fails_over_and_serves_any_model() {
    let refusing = "{ rules: [{ match: { provider: 'anthropic' }, fault: { status: 401 } }] }";
    let sim = Sim::start(Script::parse(refusing).unwrap()).unwrap();
    let config = alone(&[
        ("ANTHROPIC_API_KEY", "sim-1"),
        ("OPENAI_API_KEYS", "sim-2,sim-3"),
        ("BACKSTOP_PROVIDERS__ANTHROPIC__BASE_URL", &sim.base_url("anthropic")),
        ("BACKSTOP_PROVIDERS__OPENAI__BASE_URL", &sim.base_url("openai")),
    ]);
    let Gateway { state, options } = build(&config).unwrap();
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve(listener, state, options, std::future::pending()));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for (model, served, attempts) in [
        ("default", "openai/gpt-4.1@1", "2"),
        ("openai/some-model-of-tomorrow", "openai/some-model-of-tomorrow@1", "1"),
        ("gpt-4.1", "openai/gpt-4.1@1", "1"),
    ] {
        let body = json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }] });
        let answer = client.post(format!("{base}/v1/chat/completions")).json(&body).send().await.unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(answer.status(), 200, "{model}");
        let by =
            format!("{}/{}@{}", header("x-backstop-provider"), header("x-backstop-model"), header("x-backstop-key"));
        assert_eq!((by.as_str(), header("x-backstop-attempts").as_str()), (served, attempts), "{model}");
        let said: Value = answer.json().await.unwrap();
        assert!(said["choices"][0]["message"]["content"].is_string(), "{said}");
    }
}
