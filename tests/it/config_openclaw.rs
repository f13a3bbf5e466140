//! OpenClaw's own file: it loads unchanged, its keys come from where the documents say, and mistakes in the parts that
//! are read are pointed at.

mod apis;
mod served;

use std::path::Path;
use std::time::Duration;

use backstop::config::{Chain, Config, ConfigError, Dialect, Unserved, load, load_text};

const KEYS: [(&str, &str); 5] = [
    ("ANTHROPIC_API_KEY", "anthropic-one"),
    ("ANTHROPIC_API_KEY_BACKUP", "anthropic-two"),
    ("OPENAI_API_KEY", "openai-one"),
    ("GEMINI_API_KEY", "gemini-one"),
    ("LITELLM_KEY", "litellm-one"),
];

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn read(text: &str, pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    load_text(Some(("openclaw.json", text)), env(pairs))
}

fn example(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    load(Some(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config/openclaw.json5")), env(pairs))
}

fn targets(config: &Config, chain: &Chain) -> Vec<String> {
    chain.targets.iter().map(|target| format!("{}/{}", config.providers[target.provider].name, target.model)).collect()
}

fn chain(config: &Config, name: &str) -> Vec<String> {
    let found = config.chains.iter().find(|chain| chain.pattern == name);
    targets(config, found.unwrap_or_else(|| panic!("no chain {name} in {:?}", config.chains)))
}

/// Name and secret of a provider's keys.
fn keys(config: &Config, name: &str) -> Vec<(String, String)> {
    let provider = config.providers.iter().find(|provider| provider.name == name).expect(name);
    let secret = |key: &backstop::config::Key| key.secret.as_ref().map_or("", |secret| secret.expose()).to_owned();
    provider.keys.iter().map(|key| (key.name.clone(), secret(key))).collect()
}

fn pairs(keys: &[(&str, &str)]) -> Vec<(String, String)> {
    env(keys)
}

#[test]
fn the_example_resolves_to_its_providers_keys_and_chains() {
    let config = example(&KEYS).unwrap();
    let default =
        ["anthropic/claude-opus-4-5", "openai/gpt-5.2", "google/gemini-3-pro-preview", "custom-proxy/llama-3.1-8b"];
    assert_eq!(chain(&config, "default"), default);
    assert_eq!(chain(&config, "main"), default, "an agent without a model has the default one's");
    assert_eq!(chain(&config, "coder"), ["openai/gpt-5.2", "anthropic/claude-opus-4-5"], "aliases are targets");
    assert_eq!(chain(&config, "scribe"), ["custom-proxy/llama-3.1-8b"], "a bare string has no fallbacks");
    assert_eq!(config.chains.len(), 4);
    let aliases = [("opus", "anthropic/claude-opus-4-5"), ("gpt", "openai/gpt-5.2")];
    assert_eq!(config.aliases, pairs(&aliases));

    assert_eq!(keys(&config, "anthropic"), pairs(&[("default", "anthropic-one"), ("backup", "anthropic-two")]));
    assert_eq!(keys(&config, "openai"), pairs(&[("default", "openai-one")]));
    assert_eq!(keys(&config, "google"), pairs(&[("default", "gemini-one")]));
    assert_eq!(keys(&config, "custom-proxy"), pairs(&[("default", "litellm-one")]), "a variable's bare name");
    let of = |name: &str| config.providers.iter().find(|provider| provider.name == name).expect(name);
    let proxy = of("custom-proxy");
    assert_eq!((proxy.base_url.authority.as_str(), proxy.base_url.prefix.as_str()), ("127.0.0.1:4000", "/v1"));
    assert_eq!(proxy.keys[0].headers[0].1, "us-west");
    assert_eq!(of("google").base_url.authority, "generativelanguage.googleapis.com");
    let minimax = of("minimax");
    assert_eq!((minimax.unserved, minimax.dialect), (Some(Unserved::NoKey), Dialect::Anthropic));
    assert_eq!(minimax.base_url.prefix, "/anthropic/v1", "as OpenClaw's own client appends it");
    assert!(config.providers.iter().all(|provider| provider.name == "minimax" || provider.unserved.is_none()));

    let known = config.models.abilities("custom-proxy", "llama-3.1-8b");
    assert_eq!((known.context_window, known.max_output, known.vision), (Some(128_000), Some(32_000), Some(false)));
    let billing = config.cooldown.ladders.billing;
    assert_eq!((billing.first, billing.cap), (Duration::from_secs(1_800), Duration::from_secs(7_200)));
    assert_eq!(config.cooldown.streak_memory, Duration::from_secs(24 * 3_600));
}

#[test]
fn what_is_ignored_is_named_in_one_warning_and_asks_for_no_variable() {
    let config = example(&KEYS).unwrap();
    let ignored: Vec<_> = config.warnings.iter().filter(|text| text.contains("ignored")).collect();
    assert_eq!(ignored.len(), 1, "{:?}", config.warnings);
    for name in ["models.providers)", "channels", "gateway", "session", "tools", "meta", "agents.defaults.heartbeat"] {
        assert!(ignored[0].contains(name), "{name}: {}", ignored[0]);
    }
    // Besides, only what is worth knowing: the key of a provider that cannot be asked.
    let rest: Vec<_> = config.warnings.iter().filter(|text| !text.contains("ignored")).collect();
    assert!(rest.iter().all(|text| text.contains("minimax")), "{rest:?}");
}

#[test]
fn a_profile_without_its_variable_is_left_out_and_the_variable_is_named() {
    let config = example(&KEYS[2..]).unwrap();
    let anthropic = config.providers.iter().find(|provider| provider.name == "anthropic").unwrap();
    assert_eq!(anthropic.unserved, Some(Unserved::NoKey));
    let said = config.warnings.join("\n");
    assert!(said.contains("auth-profiles.json"), "{said}");
    assert!(said.contains("`anthropic:backup` is ANTHROPIC_API_KEY_BACKUP"), "{said}");
    assert!(said.contains("auth.order.anthropic[1]"), "{said}");
    // Its own variable comes before the provider's.
    let own = [("ANTHROPIC_API_KEY_DEFAULT", "own"), ("ANTHROPIC_API_KEY", "plain"), ("OPENAI_API_KEY", "o")];
    let config = example(&own).unwrap();
    assert_eq!(keys(&config, "anthropic"), pairs(&[("default", "own"), ("backup", "plain")]));
    let text = "{ agents: { list: [{ id: 'a', model: { primary: 'anthropic/m', fallbacks: ['openai/n'] } }] },
                  auth: { order: { anthropic: ['anthropic:work'] } } }";
    let error = read(text, &[]).unwrap_err().to_string();
    assert!(error.contains("ANTHROPIC_API_KEY_WORK") && error.contains("OPENAI_API_KEY"), "{error}");
}

#[test]
fn profiles_without_an_order_have_the_files_and_an_oauth_profile_takes_no_plain_key() {
    let text = "{
        auth: { profiles: {
            'anthropic:me@example.com': { provider: 'anthropic', mode: 'oauth', email: 'me@example.com' },
            'anthropic:work': { provider: 'anthropic', mode: 'api_key' },
            'anthropic:another': { provider: 'anthropic', mode: 'token' },
        } },
        agents: { defaults: { model: 'anthropic/claude-opus-4-5' } },
    }";
    let given = [("ANTHROPIC_API_KEY", "plain"), ("ANTHROPIC_API_KEY_ANOTHER", "another")];
    let config = read(text, &given).unwrap();
    assert_eq!(keys(&config, "anthropic"), pairs(&[("work", "plain"), ("another", "another")]));
    let given = [("ANTHROPIC_API_KEY", "plain"), ("ANTHROPIC_API_KEY_ME_EXAMPLE_COM", "token")];
    let config = read(text, &given).unwrap();
    assert_eq!(keys(&config, "anthropic"), pairs(&[("me-example.com", "token"), ("work", "plain")]));
}

#[test]
fn the_smallest_files_load_and_a_bare_string_is_a_model() {
    let keys_of_two = [("ANTHROPIC_API_KEY", "a"), ("OPENAI_API_KEY", "o")];
    for (text, expected) in [
        ("{ agents: { defaults: { workspace: '~', model: 'anthropic/m' } } }", &["anthropic/m"][..]),
        ("{ agent: { workspace: '~', model: { primary: 'anthropic/m' } }, identity: { name: 'C' } }", &["anthropic/m"]),
        (
            "{ agents: { defaults: { model: { primary: 'anthropic/m', fallbacks: ['openai/n'] } } }, channels: {} }",
            &["anthropic/m", "openai/n"],
        ),
        (
            "{ agents: { list: [{ id: 'x', model: 'openai/n' }, { id: 'y', default: true, model: 'anthropic/m' }] } }",
            &["anthropic/m"],
        ),
        ("{ agents: { entries: { home: { model: { primary: 'openai/n', fallbacks: [] } } } } }", &["openai/n"]),
    ] {
        let config = read(text, &keys_of_two).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(chain(&config, "default"), expected, "{text}");
    }
    let config = read(
        "{ models: { providers: { lmstudio: { baseUrl: 'http://127.0.0.1:1234/v1', api: 'openai-responses',
                                              models: [{ id: 'local-model' }] } } },
           agents: { defaults: { model: 'local-model' } } }",
        &[],
    )
    .unwrap();
    assert_eq!(chain(&config, "default"), ["lmstudio/local-model"], "a bare name that one provider has");
    assert!(config.providers[0].keys[0].secret.is_none(), "a server of one's own needs no key");
}

#[test]
fn what_only_openclaw_knows_is_skipped_and_our_own_section_wins() {
    let text = "{ agents: { defaults: { models: {}, model: { primary: 'zai/glm-4.7', fallbacks: ['openai/n'] } } } }";
    let config = read(text, &[("OPENAI_API_KEY", "o")]).unwrap();
    assert_eq!(config.providers[0].unserved, Some(Unserved::Dialect));
    assert!(config.warnings.iter().any(|text| text.contains("add models.providers.zai")), "{:?}", config.warnings);
    let given = [
        ("OPENAI_API_KEY", "o"),
        ("ZAI_API_KEY", "z"),
        ("BACKSTOP_PROVIDERS__ZAI__BASE_URL", "http://127.0.0.1:9/v4"),
        ("BACKSTOP_SERVER__LISTEN", "127.0.0.1:9090"),
    ];
    let config = read(text, &given).unwrap();
    let zai = config.providers.iter().find(|provider| provider.name == "zai").unwrap();
    assert_eq!((zai.unserved, zai.base_url.authority.as_str()), (None, "127.0.0.1:9"));
    assert_eq!((keys(&config, "zai"), config.server.listen.port()), (pairs(&[("default", "z")]), 9_090));
}

#[test]
fn keys_are_found_however_openclaw_writes_them_and_are_never_shown() {
    const CANARY: &str = "CANARY-a1b2c3-never-print-this";
    for written in ["'${THE_KEY}'", "{ source: 'env', provider: 'default', id: 'THE_KEY' }", "'THE_KEY'", "'${INNER}'"]
    {
        let text = format!(
            "{{ env: {{ INNER: '{CANARY}' }}, agents: {{ defaults: {{ model: 'x/m' }} }},
                models: {{ providers: {{ x: {{ baseUrl: 'http://127.0.0.1:1/v1', apiKey: {written} }} }} }} }}"
        );
        let config = read(&text, &[("THE_KEY", CANARY)]).unwrap_or_else(|error| panic!("{written}: {error}"));
        assert_eq!(keys(&config, "x"), pairs(&[("default", CANARY)]), "{written}");
        assert!(!format!("{config:?} {:?}", config.warnings).contains(CANARY));
    }
    // An unset one leaves the key out, wherever it is written.
    let text = "{ models: { providers: { x: { baseUrl: 'http://127.0.0.1:1/v1', apiKey: '${THE_KEY}' } } },
                  agents: { defaults: { model: { primary: 'x/m', fallbacks: ['openai/n'] } } } }";
    let config = read(text, &[("OPENAI_API_KEY", "o")]).unwrap();
    assert_eq!(config.providers[0].unserved, Some(Unserved::NoKey));
    assert!(config.warnings.iter().any(|text| text.contains("THE_KEY is unset")), "{:?}", config.warnings);
    for wrong in [
        format!("{{ agents: {{ list: [] }}, models: {{ providers: {{ x: {{ apiKey: ['{CANARY}'] }} }} }} }}"),
        format!("{{ agents: {{ list: [] }}, auth: {{ order: {{ anthropic: '{CANARY}' }} }} }}"),
    ] {
        let error = read(&wrong, &[]).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(CANARY), "{error}");
    }
}

#[test]
fn a_mistake_in_auth_is_pointed_at() {
    let provider = "models: { providers: { x: { baseUrl: 'http://127.0.0.1:1/v1', apiKey: 'k' } } }";
    let agent = "agents: { defaults: { model: 'x/m' } }";
    for (text, path, hint) in [
        // Names that stand for nothing.
        ("auth: { profiles: { 'x:a': { provider: 'x' } }, order: { x: ['x:b'] } }", "auth.order.x[0]", "x:a"),
        (
            "auth: { profiles: { 'x:a': { provider: 'x' } }, order: { x: ['x:abcdefgh'] } }",
            "auth.order.x[0]",
            "add auth.profiles",
        ),
        ("auth: { order: { x: ['y:a'] } }", "auth.order.x[0]", "add auth.profiles"),
        ("auth: { order: { x: ['x:a', 'x:a'] } }", "auth.order.x[1]", "keep one"),
        ("auth: { profiles: { 'y:a': { provider: 'anthropc' } } }", "auth.profiles[\"y:a\"].provider", "`anthropic`"),
        ("auth: { profiles: { 'y:a': { mode: 'oauth' } } }", "auth.profiles[\"y:a\"]", "provider:"),
        ("auth: { profiles: { 'x:a': { provider: 'x', mode: 'apikey' } } }", "auth.profiles[\"x:a\"].mode", "api_key"),
        ("auth: { order: { opnai: [] } }", "auth.order.opnai", "`openai`"),
        (
            "auth: { profiles: { 'x:a': { provider: 'openai' } }, order: { x: ['x:a'] } }",
            "auth.order.x[0]",
            "auth.order.openai",
        ),
        // Fields that nearly are.
        ("auth: { profile: {} }", "auth.profile", "`profiles`"),
        ("auth: { cooldowns: { billingMaxHour: 1 } }", "auth.cooldowns.billingMaxHour", "`billingMaxHours`"),
        ("auth: { cooldowns: { billingBackoffHours: 0 } }", "auth.cooldowns.billingBackoffHours", ""),
        ("auth: { cooldowns: { billingBackoffHours: 3, billingMaxHours: 2 } }", "auth.cooldowns.billingMaxHours", ""),
        ("auth: {}, modles: {}", "modles", "`models`"),
        ("auth: {}, agent: { modl: 'x/m' }", "agent.modl", "`model`"),
    ] {
        let error = read(&format!("{{ {provider}, {agent}, {text} }}"), &[("OPENAI_API_KEY", "o")]).expect_err(text);
        let found = error.problems.iter().find(|problem| problem.path == path);
        let found = found.unwrap_or_else(|| panic!("{text}: no {path} in {error}"));
        assert!(found.hint.as_deref().unwrap_or_default().contains(hint), "{text}: {error}");
        assert_eq!((error.problems.len(), found.source.as_str()), (1, "openclaw.json"), "{error}");
    }
}

#[test]
fn a_mistake_in_a_provider_is_pointed_at() {
    let agent = "agents: { defaults: { model: 'x/m' } }";
    for (text, path, hint) in [
        ("models: { providers: { x: { baseUrl: 'x', apiKey: 'k' } } }", "models.providers.x.baseUrl", "https://"),
        (
            "models: { providers: { x: { baseURL: 'http://h', apiKey: 'k' } } }",
            "models.providers.x.baseURL",
            "`baseUrl`",
        ),
        ("models: { providers: { x: { baseUrl: 'http://h', apikey: 'k' } } }", "models.providers.x.apikey", "`apiKey`"),
        (
            "models: { providers: { x: { baseUrl: 'http://h', api: 'openai' } } }",
            "models.providers.x.api",
            "openai-completions",
        ),
        ("models: { mode: 'merg', providers: { x: { baseUrl: 'http://h' } } }", "models.mode", "`merge`"),
        (
            "models: { providers: { x: { baseUrl: 'http://h', models: [{ id: 'm', contextWindw: 1 }] } } }",
            "models.providers.x.models[0].contextWindw",
            "`contextWindow`",
        ),
        (
            "models: { providers: { x: { baseUrl: 'http://h', models: [{ id: 'm', contextWindow: 0, input: ['txt'] }] } } }",
            "models.providers.x.models[0].input[0]",
            "`text`",
        ),
        (
            "models: { providers: { x: { baseUrl: 'http://h', models: [{ name: 'm' }] } } }",
            "models.providers.x.models[0]",
            "id",
        ),
        (
            "models: { providers: { x: { baseUrl: 'http://h', headers: { authorization: 'b' } } } }",
            "models.providers.x.headers.authorization",
            "leave it out",
        ),
        ("models: { mode: 'merge', providrs: {} }", "models.providrs", "`providers`"),
    ] {
        let error = read(&format!("{{ {agent}, {text} }}"), &[]).expect_err(text);
        let found = error.problems.iter().find(|problem| problem.path == path);
        let found = found.unwrap_or_else(|| panic!("{text}: no {path} in {error}"));
        assert!(found.hint.as_deref().unwrap_or_default().contains(hint), "{text}: {error}");
    }
}

#[test]
fn a_mistake_in_an_agent_is_pointed_at() {
    for (agents, path, hint) in [
        (
            "{ defaults: { model: { primary: 'anthropc/m' } }, list: [] }",
            "agents.defaults.model.primary",
            "`anthropic`",
        ),
        (
            "{ defaults: { model: { primary: 'openai/m', fallbacks: ['openai/n', 'opus'] } }, list: [] }",
            "agents.defaults.model.fallbacks[1]",
            "provider/model",
        ),
        ("{ defaults: { model: { primry: 'openai/m' } }, list: [] }", "agents.defaults.model.primry", "`primary`"),
        (
            "{ defaults: { model: { primary: 'openai/m', fallback: 'openai/n', fallbacks: ['openai/o'] } } }",
            "agents.defaults.model",
            "write one of them",
        ),
        ("{ list: [{ id: 'a', modl: 'openai/m' }] }", "agents.list[0].modl", "`model`"),
        ("{ list: [{ model: 'openai/m' }] }", "agents.list[0]", "id:"),
        ("{ list: [{ id: 'a', model: 'openai/m' }, { id: 'a', model: 'openai/n' }] }", "agents.list[1].model", "share"),
        (
            "{ defaults: { model: 'openai/m', models: { 'openai/m': { alis: 'a' } } } }",
            "agents.defaults.models[\"openai/m\"].alis",
            "`alias`",
        ),
    ] {
        let error = read(&format!("{{ agents: {agents} }}"), &[("OPENAI_API_KEY", "o")]).expect_err(agents);
        let found = error.problems.iter().find(|problem| problem.path == path);
        let found = found.unwrap_or_else(|| panic!("{agents}: no {path} in {error}"));
        assert!(found.hint.as_deref().unwrap_or_default().contains(hint), "{agents}: {error}");
    }
    // In our own shape, too.
    let both = "{ providers: { local: { base_url: 'http://127.0.0.1:1' } },
                  agents: { a: { model: { primary: 'local/m', fallback: 'local/n', fallbacks: ['local/o'] } } } }";
    let error = read(both, &[]).unwrap_err();
    assert_eq!(error.problems[0].path, "agents.a.model", "{error}");
}

#[test]
fn a_file_of_our_own_is_not_taken_for_openclaws() {
    let own = "providers: { local: { base_url: 'http://127.0.0.1:1' } }";
    for (more, path) in [
        ("chanels: {}", "chanels"),
        ("agents: { defaults: { model: 'local/m' } }, logging: {}", "logging"),
        ("agents: { defaults: { model: 'local/m', fallbak: 'local/n' } }", "agents.defaults.fallbak"),
        ("auth: { keys: [] }", "auth.keys"),
        ("agent: { main: 'local/m' }", "agent.main"),
        ("gatway: {}", "gatway"),
        ("agents: { defaults: { modl: 'local/m' } }", "agents.defaults.modl"),
        ("models: { m: { bogus: 1 } }", "models.m.bogus"),
    ] {
        let error = read(&format!("{{ {own}, {more} }}"), &[]).expect_err(more);
        assert!(error.problems.iter().any(|problem| problem.path == path), "{more}: {error}");
    }
    let config = read(&format!("{{ {own}, agents: {{ defaults: {{ model: 'local/m' }} }} }}"), &[]).unwrap();
    assert_eq!(config.warnings, [] as [String; 0]);
}
