//! What may be said of a provider, of one of its keys, and of a target in a chain: resolved, on the wire, and wrong.

use std::path::Path;
use std::time::Duration;

use backstop::config::{Config, ConfigError, Unserved, load, load_text};
use backstop::sim::{Script, Sim};
use http::HeaderMap;

use crate::hostile_support::{Act, Gate, Upstream, ask, chat, json, once};
use crate::support::Gateway;

const KEYS: [(&str, &str); 8] = [
    ("OPENAI_KEY_MAIN", "o-main"),
    ("OPENAI_KEY_SPARE", "o-spare"),
    ("OPENAI_KEY_LAB", "o-lab"),
    ("OPENAI_KEY_OLD", "o-old"),
    ("PROXY_KEY_EU", "p-eu"),
    ("PROXY_KEY_US", "p-us"),
    ("TENANT_TOKEN", "tenant-token-1"),
    ("GROQ_API_KEY", "g"),
];

fn read(text: &str) -> Result<Config, ConfigError> {
    load_text(Some(("test.json5", text)), [])
}

fn sent(headers: &[(http::HeaderName, http::HeaderValue)]) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| String::from_utf8(value.as_bytes().to_vec()).unwrap();
    let mut sent: Vec<_> = headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    sent.sort();
    sent
}

fn rows(rows: &[(&str, &str)]) -> Vec<(String, String)> {
    rows.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn the_example_of_accounts_resolves() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/accounts.json5");
    let config = load(Some(&path), rows(&KEYS)).unwrap();
    let of = |name: &str| config.providers.iter().find(|provider| provider.name == name).expect(name);
    let [main, spare, lab, old] = &of("openai").keys[..] else { panic!("four keys") };
    let headers = [("openai-organization", "org-main"), ("openai-project", "proj_main")];
    assert_eq!(sent(&main.headers), rows(&headers));
    assert_eq!((main.quota_group.as_deref(), spare.quota_group.as_deref()), (Some("main"), Some("main")));
    let headers = [("openai-organization", "org-lab"), ("x-cost-centre", "lab-research")];
    assert_eq!(sent(&lab.headers), rows(&headers), "the key's organisation replaces the provider's");
    assert_eq!(lab.models.as_deref().unwrap(), ["gpt-4o-mini", "gpt-4.1-*"]);
    assert!(old.disabled && !main.disabled);

    let proxy = of("proxy");
    assert_eq!(proxy.base_url.authority, "eu-west-1.llm.example");
    assert_eq!(proxy.keys[0].base_url, None);
    assert_eq!(proxy.keys[1].base_url.as_ref().unwrap().authority, "us-east-1.llm.example");
    assert_eq!(sent(&proxy.keys[1].headers), rows(&[("x-tenant-token", "tenant-token-1")]));
    assert_eq!(of("groq").unserved, Some(Unserved::Disabled));
    // Nothing of theirs is set.
    assert_eq!(of("azure").unserved, Some(Unserved::NoKey));
    let kinds: Vec<_> = of("bedrock").keys.iter().map(|key| (key.name.as_str(), key.credential())).collect();
    assert_eq!(kinds, [("Research", "aws_profile"), ("Machine", "aws_instance")]);

    let chain = |name: &str| config.chains.iter().find(|chain| chain.pattern == name).expect(name);
    let thinking = &chain("default").targets[1];
    assert_eq!((thinking.model.as_str(), thinking.timeouts.first_content), ("o3", Some(Duration::from_secs(120))));
    assert_eq!((thinking.abilities.reasoning, thinking.abilities.vision), (Some(true), Some(false)));
    let quick = &chain("quick").targets;
    assert_eq!(
        (quick[0].timeouts.first_content, quick[0].timeouts.stall.unwrap().as_secs()),
        (Some(Duration::from_secs(8)), 5)
    );
    assert_eq!((quick[1].abilities.context_window, quick[1].abilities.max_output), (Some(64_000), Some(4_096)));
    assert_eq!(chain("thinker").targets[0].abilities.reasoning, Some(true), "the article's shape takes it as well");
    assert!(!format!("{config:?}").contains("tenant-token-1"));
}

#[test]
fn two_chains_have_their_own_settings_for_one_target_and_share_its_lanes() {
    let config = read(
        "{ providers: { p: { base_url: 'http://127.0.0.1:1', keys: ['k'], timeouts: { first_content: '40s' } } },
           chains: {
               plain: ['p/m'],
               thinker: [{ target: 'p/m', reasoning: true, timeouts: { stall: '7s' } }],
               quick: [{ target: 'p/m', timeouts: { first_content: '3s', response_timeout: '9s' }, context_window: 10, tools: false }],
               all: { targets: ['p/m', { target: 'p/n', timeouts: { stall: '1s' } }], deadline: '20m', stream_recovery: 'buffer',
                   timeouts: { connect: '2s', first_content: '4s', stall: '6s' } },
           } }",
    )
    .unwrap();
    let state = backstop::app::build(&config).unwrap().state;
    let level = |name: &str| state.catalog.resolve(name).unwrap().chain.levels[0].clone();
    let (plain, thinker, quick) = (level("plain"), level("thinker"), level("quick"));
    assert!(plain.target == thinker.target && plain.target == quick.target);
    assert!(plain.slots == thinker.slots && plain.slots == quick.slots);
    let secs = Duration::from_secs;
    assert_eq!((plain.first_content, plain.response_timeout, plain.stall), (secs(40), secs(300), secs(30)));
    assert_eq!((thinker.first_content, thinker.stall), (secs(180), secs(7)), "a model that thinks gets more time");
    assert_eq!((quick.first_content, quick.response_timeout, quick.stall), (secs(3), secs(9), secs(30)));
    assert_eq!((quick.abilities.context_window, quick.abilities.tools), (Some(10), Some(false)));
    let all = state.catalog.resolve("all").unwrap().chain;
    assert_eq!((all.deadline, all.recovery), (Some(secs(1_200)), Some(backstop::policy::recovery::Recovery::Buffer)));
    let limits = |level: &backstop::policy::chain::Level| [level.connect, level.first_content, level.stall];
    assert_eq!(limits(&all.levels[0]), [2, 4, 6].map(secs), "the chain's before the provider's");
    assert_eq!(limits(&all.levels[1]), [2, 4, 1].map(secs), "the target's before the chain's");
    assert_eq!(limits(&plain), [5, 40, 30].map(secs));
    assert_eq!((plain.abilities.context_window, plain.abilities.tools), (None, None));
}

#[test]
fn a_targets_word_comes_before_the_model_tables() {
    let config = read(
        "{ providers: { openai: { keys: ['k'] } },
           models: { 'openai/o3': { vision: true, context_window: 5 } },
           chains: { a: ['openai/o3'], b: [{ target: 'openai/o3', reasoning: false, vision: false }] } }",
    )
    .unwrap();
    let state = backstop::app::build(&config).unwrap().state;
    let level = |name: &str| state.catalog.resolve(name).unwrap().chain.levels[0].clone();
    let (known, said) = (level("a"), level("b"));
    assert_eq!((known.abilities.reasoning, known.first_content.as_secs()), (Some(true), 180));
    assert_eq!((said.abilities.reasoning, said.first_content.as_secs()), (Some(false), 60));
    assert_eq!((known.abilities.vision, said.abilities.vision), (Some(true), Some(false)));
    assert_eq!(said.abilities.context_window, Some(5), "what the target leaves open stays");
}

#[tokio::test]
async fn each_key_sends_its_own_headers_and_serves_its_own_models() {
    let sim = Sim::start(Script::default()).unwrap();
    let gateway = Gateway::start(&format!(
        "{{ providers: {{ openai: {{ base_url: '{}', organization: 'org-main', headers: {{ 'x-tenant': 'blue' }}, keys: [
               {{ key: 'key-lab', profile: 'Lab', models: ['gpt-4o-mini', 'o*'], organisation: 'org-lab', project: 'p1' }},
               {{ key: 'key-main', profile: 'Main', models: ['gpt-*'], headers: {{ 'x-tenant': 'red' }} }} ] }} }},
            chains: {{ mini: 'openai/gpt-4o-mini', large: 'openai/gpt-4o', o: ['openai/o3'] }} }}",
        sim.base_url("openai")
    ))
    .await;
    for (model, key) in [
        ("mini", "Lab"),
        ("large", "Main"),
        ("o", "Lab"),
        // Named by the client only.
        ("openai/o1-preview", "Lab"),
        ("openai/gpt-4.1", "Main"),
        ("openai/gpt-4o@Main", "Main"),
        ("openai/gpt-4o@Lab", "Main"),
    ] {
        let answer = gateway.chat(model).await;
        assert_eq!((answer.status, answer.header("x-backstop-key")), (200, key), "{model}: {}", answer.text());
    }
    let requests = sim.requests();
    let of = |headers: &HeaderMap, name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    for request in &requests {
        let lab = request.key == "key-lab";
        let said = ["openai-organization", "openai-project", "x-tenant"].map(|name| of(&request.headers, name));
        let [organization, project, tenant] = said.map(Option::unwrap_or_default);
        let expected = if lab { ("org-lab", "p1", "blue") } else { ("org-main", "", "red") };
        assert_eq!((organization.as_str(), project.as_str(), tenant.as_str()), expected);
    }
    assert_eq!(requests[4].model, "gpt-4.1");
    let nobody = gateway.chat("openai/tts-1").await;
    assert_eq!((nobody.status, nobody.error()["code"].as_str()), (503, Some("no_key_for_model")), "{}", nobody.text());
    assert_eq!(nobody.trail(), "openai/tts-1=skipped:no_key_for_model");
    assert_eq!(sim.requests().len(), requests.len());
}

#[tokio::test]
async fn what_is_switched_off_is_skipped_with_its_reason() {
    let sim = Sim::start(Script::default()).unwrap();
    let gateway = Gateway::start(&format!(
        "{{ providers: {{ off: {{ base_url: '{0}', keys: ['a'], disabled: true }},
                          no_keys: {{ base_url: '{0}', keys: [{{ key: 'b', disabled: true }}] }},
                          on: {{ base_url: '{0}', keys: ['c'] }} }},
            chains: {{ default: ['off/m', 'no_keys/m', 'on/m'], dead: ['off/m'] }} }}",
        sim.base_url("on")
    ))
    .await;
    let answer = gateway.chat("default").await;
    assert_eq!(answer.trail(), "off/m=skipped:disabled, no_keys/m=skipped:disabled, on/m@key-1=ok:200");
    let dead = gateway.chat("dead").await;
    assert_eq!((dead.status, dead.error()["code"].as_str()), (503, Some("disabled")));
}

#[tokio::test]
async fn a_quota_group_of_the_provider_is_that_of_all_its_keys() {
    let limited = "{ rules: [{ match: { key: 'key-a' }, fault: { status: 429, headers: { 'retry-after': '60' } } }] }";
    let sim = Sim::start(Script::parse(limited).unwrap()).unwrap();
    let gateway = Gateway::start(&format!(
        "{{ providers: {{ p: {{ base_url: '{}', quota_group: 'one', keys: [
               {{ key: 'key-a', profile: 'A' }}, {{ key: 'key-b', profile: 'B' }},
               {{ key: 'key-c', profile: 'C', quota_group: 'own' }} ] }} }}, chains: {{ default: ['p/m'] }} }}",
        sim.base_url("p")
    ))
    .await;
    let answer = gateway.chat("default").await;
    assert_eq!(answer.trail(), "p/m@A=rate_limit:429, p/m@C=ok:200", "B cools with A");
}

/// Header values that are no key's secret, and still nobody's business.
#[tokio::test]
async fn what_headers_hold_is_never_passed_on() {
    const TOKEN: &str = "canary.header.of.the.provider";
    const OWN: &str = "canary.header.of.the.key";
    let echo = format!(
        r#"{{"error":{{"message":"bad: {TOKEN} and {OWN} and Bearer {OWN}","type":"{TOKEN}","code":"{OWN}","param":"short-1"}}}}"#
    );
    let answers = [
        json("400 Bad Request", &format!("x-request-id: {TOKEN}\r\n"), &echo),
        json(
            "200 OK",
            &format!("x-request-id: id-{OWN}\r\n"),
            r#"{"choices":[{"index":0,"finish_reason":"stop","message":{"content":"x"}}]}"#,
        ),
    ];
    for bytes in answers {
        let upstream = Upstream::start(move |_| vec![Act::Send(bytes.clone())]);
        let config = read(&format!(
            "{{ providers: {{ p: {{ base_url: 'http://{}/v1', headers: {{ 'x-token': '{TOKEN}', 'x-short': 'short-1' }},
                                keys: [{{ key: 'canary.key.itself', headers: {{ 'x-own': 'Bearer {OWN}' }} }}] }} }},
                chains: {{ default: ['p/m'] }} }}",
            upstream.addr
        ))
        .unwrap();
        let gate = Gate::start(&config);
        let reply = once(gate.addr, &chat(&ask("default", false))).await.expect("an answer");
        let seen = format!("{} {} {config:?} {:?}", reply.head, reply.text(), gate.state.routes);
        assert!(!seen.contains(TOKEN) && !seen.contains(OWN), "{seen}");
        // A short value is a word of any text.
        assert!(reply.status == 200 || reply.text().contains("short-1"), "{}", reply.text());
    }
}

#[test]
fn a_mistake_in_an_account_or_a_target_is_pointed_at() {
    let provider = |fields: &str| format!("providers: {{ openai: {{ keys: ['k'], {fields} }} }}");
    let key = |fields: &str| format!("providers: {{ openai: {{ keys: [{{ key: 'k', {fields} }}] }} }}");
    let target = |entry: &str| format!("providers: {{ openai: {{ keys: ['k'] }} }}, chains: {{ c: [{entry}] }}");
    for (text, path, hint) in [
        (provider("organization: 'a', organisation: 'b'"), "providers.openai", "one of them"),
        (key("organization: 'a', organisation: 'b'"), "providers.openai.keys[0]", "one of them"),
        (provider("project: 'a', headers: { 'OpenAI-Project': 'b' }"), "providers.openai.project", "out of the headers"),
        (provider("organisation: 'a', headers: { 'openai-organization': 'b' }"), "providers.openai.organisation", "out of the headers"),
        (provider("organization: 'a\\nb'"), "providers.openai.organization", "visible ASCII"),
        (provider("organisaton: 'a'"), "providers.openai.organisaton", "`organis"),
        (provider("region: 'us-east-1'"), "providers.openai.region", "{region}"),
        (provider("base_url: 'https://{region}.example/v1'"), "providers.openai.base_url", "us-east-1"),
        (provider("base_url: 'https://{region}.example', region: 'US East'"), "providers.openai.region", "us-east-1"),
        (provider("models: []"), "providers.openai.models", "leave it out"),
        (provider("disabled: 'yes'"), "providers.openai.disabled", "expected"),
        (key("models: []"), "providers.openai.keys[0].models", "leave it out"),
        (key("region: 'eu-west-1'"), "providers.openai.keys[0].region", "{region}"),
        (key("headers: { authorization: 'x' }"), "providers.openai.keys[0].headers.authorization", "leave it out"),
        (key("headers: { 'a b': 'x' }"), "providers.openai.keys[0].headers[\"a b\"]", ""),
        (key("quota_grup: 'x'"), "providers.openai.keys[0].quota_grup", "`quota_group`"),
        (key("base_url: 'ftp://x'"), "providers.openai.keys[0].base_url", "https://"),
        (format!("{}, chains: {{ c: ['openai/gpt-4o'] }}", key("models: ['gpt-4o-mini']")), "chains.c[0]", "models of a key"),
        (format!("{}, chains: {{ c: ['openai/gpt-4o'] }}", provider("models: ['gpt-4o-*']")), "chains.c[0]", "providers.openai.models"),
        (target("{ reasoning: true }"), "chains.c[0]", "provider/model"),
        (target("{ target: 'opnai/m' }"), "chains.c[0]", "`openai`"),
        (target("{ target: 'openai/m', visoin: true }"), "chains.c[0].visoin", "`vision`"),
        (target("{ target: 'openai/m', timeouts: { connect: 0 } }"), "chains.c[0].timeouts.connect", ""),
        (target("{ target: 'openai/m', timeouts: { stall: 0 } }"), "chains.c[0].timeouts.stall", ""),
        (target("{ target: 'openai/m', timeouts: { stall: 'soon' } }"), "chains.c[0].timeouts.stall", "period"),
        (target("{ target: 'openai/m', max_output: 0 }"), "chains.c[0].max_output", "leave it out"),
        (
            "providers: { openai: { keys: ['k'] } }, agents: { a: { model: { primary: { target: 'openai/m', tools: 1 } } } }".to_owned(),
            "agents.a.model.primary.tools",
            "expected",
        ),
    ] {
        let error = read(&format!("{{ {text} }}")).expect_err(&text);
        let found = error.problems.iter().find(|problem| problem.path == path);
        let found = found.unwrap_or_else(|| panic!("{text}: no {path} in {error}"));
        assert!(found.hint.as_deref().unwrap_or_default().contains(hint), "{text}: {error}");
        assert_eq!(error.problems.len(), 1, "{text}: {error}");
    }
}

#[test]
fn a_key_that_is_left_out_makes_its_model_a_warning() {
    let text =
        "{ providers: { openai: { keys: [{ key: '${LAB}', models: ['o3'] }, { key: 'k', models: ['gpt-*'] }] } },
                  chains: { default: ['openai/o3', 'openai/gpt-4o'] } }";
    let config = read(text).unwrap();
    assert!(config.warnings.iter().any(|text| text.contains("chains.default[0]")), "{:?}", config.warnings);
    let state = backstop::app::build(&config).unwrap().state;
    let chain = state.catalog.resolve("default").unwrap().chain;
    assert_eq!((chain.levels[0].slots.len(), chain.levels[1].slots.len()), (0, 1));
}
