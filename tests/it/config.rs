//! The configuration: shapes that load word for word, overrides, and problems that are reported together.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use backstop::config::{
    Chain, Config, ConfigError, Dialect, Family, KeyOrder, Server, UnknownModel, Unserved, Upstream, load, load_text,
};
use backstop::policy::failure::Kind;
use backstop::policy::settings::{CooldownSettings, RunSettings};

/// A key that must never be printed.
const CANARY: &str = "CANARY-5f1c3a-never-print-this";

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name)
}

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn read(text: &str, pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    load_text(Some(("test.json5", text)), env(pairs))
}

/// The same configuration with `more` at its top level.
fn with(more: &str) -> Result<Config, ConfigError> {
    read(&format!("{{ providers: {{ local: {{ base_url: 'http://127.0.0.1:1/v1' }} }}, {more} }}"), &[])
}

fn places(result: Result<Config, ConfigError>) -> Vec<String> {
    match result {
        Ok(_) => Vec::new(),
        Err(error) => error.problems.into_iter().map(|problem| problem.path).collect(),
    }
}

/// A chain's targets as they are written.
fn targets(config: &Config, chain: &Chain) -> Vec<String> {
    chain.targets.iter().map(|target| format!("{}/{}", config.providers[target.provider].name, target.model)).collect()
}

const ARTICLE_KEYS: [(&str, &str); 4] = [
    ("ANTHROPIC_KEY_1", "one"),
    ("ANTHROPIC_KEY_2", "two"),
    ("OPENAI_API_KEY", "three"),
    ("OPENROUTER_API_KEY", "four"),
];

#[test]
fn the_articles_shape_loads_word_for_word() {
    let config = load(Some(&example("article.json5")), env(&ARTICLE_KEYS)).unwrap();
    let [anthropic, openai, bedrock, openrouter] = &config.providers[..] else {
        panic!("four providers in file order")
    };
    let keys: Vec<_> =
        anthropic.keys.iter().map(|key| (key.name.as_str(), key.secret.as_ref().unwrap().expose())).collect();
    assert_eq!(keys, [("Primary", "one"), ("Backup", "two")]);
    assert_eq!((anthropic.dialect, anthropic.family), (Dialect::Anthropic, Family::Anthropic));
    assert_eq!(openai.base_url.authority, "api.openai.com");
    assert_eq!(openai.base_url.prefix, "/v1");
    assert_eq!((bedrock.unserved, bedrock.dialect), (None, Dialect::Bedrock));
    assert_eq!(bedrock.keys.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), ["default"]);
    assert_eq!(openrouter.unserved, None);

    let [chain] = &config.chains[..] else { panic!("one chain") };
    assert_eq!(chain.pattern, "default");
    assert_eq!(
        targets(&config, chain),
        [
            "anthropic/claude-opus-4-5",
            "bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0",
            "openai/gpt-4o",
            "openrouter/anthropic/claude-3.5-sonnet",
        ]
    );
}

#[test]
fn fallbacks_are_in_numeric_order_and_agents_are_chains() {
    let config = with(
        "agents: {
            coder: { model: { fallback10: 'local/e', fallback2: 'local/c', primary: 'local/a', fallback: 'local/b',
                              fallback3: 'local/d' } },
            defaults: { model: 'local/only' },
        }",
    )
    .unwrap();
    let names: Vec<_> = config.chains.iter().map(|chain| chain.pattern.as_str()).collect();
    assert_eq!(names, ["coder", "default"]);
    assert_eq!(targets(&config, &config.chains[0]), ["local/a", "local/b", "local/c", "local/d", "local/e"]);
    assert_eq!(targets(&config, &config.chains[1]), ["local/only"]);
}

#[test]
fn the_short_shape_loads() {
    let config = load(Some(&example("short.json5")), env(&[("OPENAI_API_KEY", "one")])).unwrap();
    let [openai, local] = &config.providers[..] else { panic!("two providers") };
    assert_eq!(openai.keys[0].name, "key-1");
    assert_eq!((local.keys.len(), local.keys[0].name.as_str()), (1, "default"));
    assert!(local.keys[0].secret.is_none());
    assert_eq!((local.family, local.base_url.authority.as_str()), (Family::Other, "127.0.0.1:8000"));
    let wild = &config.chains[1];
    assert_eq!((wild.pattern.as_str(), wild.key_order), ("gpt-*", Some(KeyOrder::RoundRobin)));
    assert!(wild.continue_on_content_filter && !wild.equivalent);
    assert_eq!(config.aliases, [("smart".to_owned(), "openai/gpt-4o".to_owned())]);
    assert_eq!(config.warnings, [] as [String; 0]);
}

#[test]
fn every_documented_default_is_the_default() {
    let written = load(Some(&example("backstop.json5")), env(&[("OPENAI_API_KEY", "one")])).unwrap();
    assert_eq!(written.server, Server::default());
    assert_eq!(written.upstream, Upstream::default());
    assert_eq!(written.cooldown, CooldownSettings::default());
    assert_eq!(written.run, RunSettings::default());
    assert_eq!(written.unknown_model, UnknownModel::Refuse);
    assert_eq!((written.litellm_headers, written.overrides.len(), written.aliases.len()), (false, 0, 0));
    let bare = read(
        "{ providers: { openai: { keys: [{ key: 'one', profile: 'Primary' }] }, bedrock: {} },
           chains: { default: ['openai/gpt-4o', 'openai/gpt-4o-mini'] } }",
        &[],
    )
    .unwrap();
    assert_eq!(format!("{:?}", written.providers), format!("{:?}", bare.providers));
    assert_eq!(written.chains, bare.chains);
}

#[test]
fn the_full_example_leaves_no_setting_out() {
    let text = std::fs::read_to_string(example("backstop.json5")).unwrap();
    // A field that does not exist makes the reader name all that do.
    let sections = [
        ("", "{ bogus: 1 }"),
        ("server", "{ server: { bogus: 1 } }"),
        ("log", "{ server: { log: { bogus: 1 } } }"),
        ("upstream", "{ upstream: { bogus: 1 } }"),
        ("provider", "{ providers: { openai: { bogus: 1 } } }"),
        ("timeouts", "{ providers: { openai: { timeouts: { bogus: 1 } } } }"),
        ("key", "{ providers: { openai: { keys: [{ bogus: 1 }] } } }"),
        ("chain", "{ chains: { default: { bogus: 1 } } }"),
        ("model", "{ models: { m: { bogus: 1 } } }"),
        ("cooldowns", "{ cooldowns: { bogus: 1 } }"),
        ("ladder", "{ cooldowns: { auth: { bogus: 1 } } }"),
        ("run", "{ run: { bogus: 1 } }"),
        ("row", "{ classify: [{ bogus: 1 }] }"),
        ("client key", "{ server: { client_keys: [{ bogus: 1 }] } }"),
        ("compat", "{ compat: { bogus: 1 } }"),
    ];
    for (section, wrong) in sections {
        let error = read(wrong, &[]).unwrap_err();
        let problem = error.problems.iter().find(|problem| problem.path.ends_with("bogus")).expect(section);
        let hint = problem.hint.as_deref().unwrap();
        let (_, known) = hint.split_once("known: ").expect("all settings are named");
        for field in known.split(", ").filter(|field| *field != "auth" || section != "provider") {
            assert!(text.contains(&format!("{field}: ")), "{section}: `{field}` is not in config/backstop.json5");
        }
    }
}

#[test]
fn the_environment_wins_over_the_file() {
    let text = "{ server: { listen: '127.0.0.1:1' },
                  providers: { openai: { keys: ['a'] }, 'my-proxy': { base_url: 'http://127.0.0.1:2' } } }";
    let config = read(
        text,
        &[
            ("BACKSTOP_SERVER__LISTEN", "127.0.0.1:9090"),
            ("BACKSTOP_PROVIDERS__OPENAI__BASE_URL", "http://127.0.0.1:9000/openai/v1"),
            ("BACKSTOP_PROVIDERS__OPENAI__KEYS", "[\"${FROM_ENV}\", \"b\"]"),
            ("FROM_ENV", "c"),
            ("BACKSTOP_PROVIDERS__MY_PROXY__BASE_URL", "http://127.0.0.1:3/x"),
            ("BACKSTOP_COOLDOWNS__RATE_LIMIT__FIRST", "7s"),
            ("BACKSTOP_RUN__MAX_ATTEMPTS", "5"),
            ("BACKSTOP_SERVER__ALLOW_ANONYMOUS", "true"),
            ("BACKSTOP_FIXTURES", "/not/a/setting"),
            ("BACKSTOP_SERVER_DRAIN", "1s"),
        ],
    )
    .unwrap();
    assert_eq!(config.server.listen, SocketAddr::from(([127, 0, 0, 1], 9090)));
    assert!(config.server.allow_anonymous);
    let [openai, proxy] = &config.providers[..] else { panic!("no third provider from the environment") };
    assert_eq!((openai.base_url.authority.as_str(), openai.base_url.prefix.as_str()), ("127.0.0.1:9000", "/openai/v1"));
    let keys: Vec<_> = openai.keys.iter().map(|key| key.secret.as_ref().unwrap().expose()).collect();
    assert_eq!(keys, ["c", "b"]);
    assert_eq!((proxy.name.as_str(), proxy.base_url.prefix.as_str()), ("my-proxy", "/x"));
    assert_eq!(config.cooldown.ladders.rate_limit.first, Duration::from_secs(7));
    assert_eq!(config.cooldown.ladders.rate_limit.cap, Duration::from_secs(300));
    assert_eq!(config.run.max_attempts, 5);
    assert!(config.warnings.iter().any(|text| text.contains("BACKSTOP_SERVER__DRAIN")), "{:?}", config.warnings);
}

#[test]
fn the_environment_alone_is_enough_and_is_named_as_the_source() {
    let config = load(None, env(&[("BACKSTOP_PROVIDERS__OPENAI__KEYS", "[\"a\"]")])).unwrap();
    assert_eq!(config.providers[0].name, "openai");
    let error = load(None, env(&[("BACKSTOP_PROVIDERS__OPNAI__KEYS", "[\"a\"]")])).unwrap_err();
    assert_eq!(error.problems[0].source, "environment variable BACKSTOP_PROVIDERS__OPNAI__KEYS");
    assert!(error.to_string().contains("did you mean `openai`?"), "{error}");
    let error = load(None, env(&[])).unwrap_err();
    assert!(error.to_string().contains("no provider is configured"), "{error}");
}

#[test]
fn variables_are_expanded_with_defaults() {
    let text = "{ server: { listen: '${HOST:-127.0.0.1}:${PORT:-8081}' },
                  providers: { openai: { keys: ['${A}'], base_url: 'http://${HOST:-localhost}/$${x/v1' } } }";
    let config = read(text, &[("A", "a"), ("PORT", "1234"), ("HOST", "")]).unwrap();
    assert_eq!(config.server.listen, SocketAddr::from(([127, 0, 0, 1], 1234)));
    assert_eq!(config.providers[0].base_url.authority, "localhost", "an empty variable counts as unset");
    assert_eq!(config.providers[0].base_url.prefix, "/${x/v1", "an escaped reference is literal");
}

#[test]
fn an_unset_variable_makes_a_key_absent_and_anything_else_wrong() {
    let pairs: Vec<_> = ARTICLE_KEYS.into_iter().filter(|(name, _)| *name == "ANTHROPIC_KEY_2").collect();
    let config = load(Some(&example("article.json5")), env(&pairs)).unwrap();
    let names =
        |provider: usize| config.providers[provider].keys.iter().map(|key| key.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(0), ["Backup"]);
    assert_eq!((config.providers[1].unserved, names(1)), (Some(Unserved::NoKey), vec!["default".to_owned()]));
    let warned = |name: &str| config.warnings.iter().any(|text| text.contains(name));
    assert!(warned("ANTHROPIC_KEY_1") && warned("OPENAI_API_KEY"), "{:?}", config.warnings);

    // Bedrock may have credentials that nothing here says.
    assert!(load(Some(&example("article.json5")), env(&[])).is_ok());
    let text =
        std::fs::read_to_string(example("article.json5")).unwrap().replace("region: \"us-east-1\"", "disabled: true");
    let error = read(&text, &[]).unwrap_err().to_string();
    for (variable, _) in ARTICLE_KEYS {
        assert!(error.contains(variable), "{error}");
    }

    let error = with("aliases: { a: '${NOT_SET}' }, server: { listen: '${' }").unwrap_err();
    let found: Vec<_> = error.problems.iter().map(|problem| problem.path.as_str()).collect();
    assert!(found.contains(&"aliases.a") && found.contains(&"server.listen"), "{error}");
    assert!(error.to_string().contains("set NOT_SET, or give a default: ${NOT_SET:-…}"), "{error}");
}

#[test]
fn every_problem_is_reported_together_with_place_source_and_cure() {
    let text = "{
        server: { lisen: 1, listen: 'everywhere', max_body: 'huge', workers: 0, log: { format: 'xml', level: '=' } },
        providers: {
            opnai: { keys: ['a'] },
            openai: { keys: ['a'], key_order: 'random', base_ur: 'x', headers: { authorization: 'x' } },
            groq: {},
            xai: { keys: [17, { kye: 'a' }, { key: 'a', profile: 'P' }, { key: 'b', profile: 'P' }] },
        },
        chains: { default: ['openai/gpt-4o', 'openia/gpt-4o', 'gpt-4o'], empty: [] },
        aliases: { a: 'b', b: 'openai/x' },
        cooldowns: { rate_limt: {}, rate_limit: { factor: 0 }, auth: { first: '2h' }, blip_window: '61s' },
        run: { max_attempts: 0, deadline: 'soon', stall: -1 },
        classify: [{ status: 400, kind: 'ratelimit' }, { kind: 'auth' }],
        unknown_model: 'guess',
    }";
    let error = read(text, &[]).unwrap_err();
    let expected = [
        "server.lisen",
        "server.listen",
        "server.max_body",
        "server.workers",
        "server.log.format",
        "server.log.level",
        "providers.opnai",
        "providers.openai.key_order",
        "providers.openai.base_ur",
        "providers.openai.headers.authorization",
        "providers.groq.keys",
        "providers.xai.keys[0]",
        "providers.xai.keys[1].kye",
        "providers.xai.keys[3]",
        "chains.default[1]",
        "chains.default[2]",
        "chains.empty",
        "aliases.a",
        "cooldowns.rate_limt",
        "cooldowns.rate_limit.factor",
        "cooldowns.auth.first",
        "cooldowns.blip_window",
        "run.max_attempts",
        "run.deadline",
        "run.stall",
        "classify[0].kind",
        "classify[1]",
        "unknown_model",
    ];
    for place in expected {
        let found: Vec<_> = error.problems.iter().filter(|problem| problem.path == place).collect();
        assert_eq!(found.len(), 1, "{place} in:\n{error}");
        assert_eq!(found[0].source, "test.json5", "{place}");
    }
    // `{ kye }` also lacks its `key`: said where the key stands.
    assert_eq!(error.problems.len(), expected.len() + 1, "{error}");
    let text = error.to_string();
    for hint in ["`listen`", "`base_url`", "`openai`", "`rate_limit`", "did you mean `key`"] {
        assert!(text.contains(hint), "{hint} in:\n{text}");
    }
}

#[test]
fn a_mistake_in_a_list_keeps_its_siblings_index() {
    let found = places(with("chains: { default: ['local/a', 1, 'local/b', 2, 'x'] }"));
    assert_eq!(found, ["chains.default[1]", "chains.default[3]", "chains.default[4]"]);
    let found = places(with("classify: [1, { bogus: 1, kind: 'auth', status: 1 }, 3]"));
    assert_eq!(found, ["classify[0]", "classify[1].bogus", "classify[2]", "classify[1].status"]);
}

#[test]
fn a_file_that_is_no_json5_is_named_with_the_line() {
    let error = read("{\n  providers: {,\n}", &[]).unwrap_err();
    assert_eq!(error.problems.len(), 1);
    let text = error.to_string();
    assert!(text.contains("line 2") && text.contains("test.json5"), "{text}");
    assert_eq!(places(read("[]", &[])), [""]);
    let missing = load(Some(Path::new("/nowhere/at-all.json5")), env(&[])).unwrap_err().to_string();
    assert!(missing.contains("cannot be read") && missing.contains("/nowhere/at-all.json5"), "{missing}");
    assert_eq!(places(with("run: {}, run: {}")), ["run"], "a field that stands twice loses one in silence");
}

#[test]
fn without_client_keys_only_loopback_is_listened_on() {
    for listen in ["0.0.0.0:80", "10.0.0.1:80", "[::]:80"] {
        assert_eq!(places(with(&format!("server: {{ listen: '{listen}' }}"))), ["server.listen"], "{listen}");
        with(&format!("server: {{ listen: '{listen}', allow_anonymous: true }}")).unwrap();
        let hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        let keyed = format!("server: {{ listen: '{listen}', client_keys: [{{ name: 'ci', sha256: '{hash}' }}] }}");
        let config = with(&keyed).unwrap();
        assert_eq!(config.server.client_keys[0].sha256[..3], [0x2c, 0xf2, 0x4d]);
    }
    for listen in ["127.0.0.1:80", "[::1]:80", "localhost:80"] {
        with(&format!("server: {{ listen: '{listen}' }}")).unwrap();
    }
    for hash in ["", "abc", "zz", &"é".repeat(32), &"0".repeat(63)] {
        let found = places(with(&format!("server: {{ client_keys: [{{ name: 'ci', sha256: '{hash}' }}] }}")));
        assert_eq!(found, ["server.client_keys[0].sha256"], "{hash}");
    }
}

#[test]
fn settings_models_and_rows_reach_the_resolved_configuration() {
    let config = with(
        "cooldowns: { rate_limit: { first: '250ms', factor: 3, cap: 60 }, forced_probe_pace: [1, 2.5, '1m'] },
         run: { same_target_wait: 0, deadline: '10m' },
         models: { 'local/m': { context_window: 4096, vision: false } },
         classify: [{ provider: 'local', status: 418, type: 't', contains: 'tea', kind: 'overloaded' }],
         chains: { default: 'local/m' }, unknown_model: 'default', compat: { litellm_headers: true }",
    )
    .unwrap();
    let ladder = config.cooldown.ladders.rate_limit;
    assert_eq!((ladder.first.as_millis(), ladder.factor, ladder.cap.as_secs()), (250, 3, 60));
    assert_eq!(config.cooldown.forced_probe_pace.map(|pause| pause.as_millis()), [1_000, 2_500, 60_000]);
    assert_eq!((config.run.same_target_wait, config.run.deadline.as_secs()), (Duration::ZERO, 600));
    let abilities = config.models.abilities("local", "m");
    assert_eq!((abilities.context_window, abilities.vision), (Some(4_096), Some(false)));
    let [row] = &config.overrides[..] else { panic!("one row") };
    assert_eq!((row.status, row.kind_of_error.as_deref(), row.kind), (Some(418), Some("t"), Kind::Overloaded));
    assert_eq!((config.unknown_model, config.litellm_headers), (UnknownModel::Default, true));
}

#[test]
fn no_secret_is_ever_shown() {
    let good = format!(
        "{{ providers: {{ openai: {{ keys: ['{CANARY}', {{ key: '{CANARY}', profile: 'P' }}],
                                    headers: {{ 'x-extra-key': '{CANARY}' }} }} }} }}"
    );
    let config = read(&good, &[]).unwrap();
    let text = format!("{config:?} {config:#?} {:?}", config.warnings);
    assert!(!text.contains(CANARY), "{text}");
    assert!(text.contains("[secret]") && text.contains("the same key"), "{text}");

    // Each way to write a key in a place where it does not belong.
    for (wrong, pairs) in [
        (format!("{{ providers: {{ openai: {{ keys: '{CANARY}' }} }} }}"), &[][..]),
        (format!("{{ providers: {{ openai: {{ keys: ['{CANARY} with space'] }} }} }}"), &[]),
        (format!("{{ providers: {{ openai: {{ keys: [['{CANARY}']] }} }} }}"), &[]),
        (format!("{{ providers: {{ openai: {{ keys: [{{ key: ['{CANARY}'] }}] }} }} }}"), &[]),
        (format!("{{ providers: {{ openai: '{CANARY}' }} }}"), &[]),
        (format!("{{ providers: {{ openai: {{ keys: ['k'], base_url: 'https://x:{CANARY}@host' }} }} }}"), &[]),
        (format!("{{ providers: {{ openai: {{ keys: ['k'], base_url: 'https://h/?key={CANARY}' }} }} }}"), &[]),
        (format!("{{ providers: {{ openai: {{ keys: ['k'], headers: {{ x: '{CANARY}\\n' }} }} }} }}"), &[]),
        (format!("{{ providers: {{ openai: {{ keys: ['${{{CANARY}'] }} }} }}"), &[]),
        (format!("{{ providers: {{ openai: {{ keys: ['{CANARY}' 'x'] }} }} }}"), &[]),
        (format!("{{ run: {{ deadline: '{CANARY}', max_attempts: '{CANARY}' }} }}"), &[]),
        ("{ providers: { openai: { keys: ['${K}', 1] } } }".to_owned(), &[("K", CANARY)]),
        ("{}".to_owned(), &[("BACKSTOP_PROVIDERS__OPENAI__KEYS", CANARY)]),
    ] {
        let error = read(&wrong, pairs).expect_err(&wrong);
        let text = format!("{error} {error:?}");
        assert!(!text.contains(CANARY), "{text}");
    }
    let error = read("{ providers: { openai: { 'sk-live-0123': 'Primary', keys: ['k'] } } }", &[]).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("sk-live"), "{error}");
}
