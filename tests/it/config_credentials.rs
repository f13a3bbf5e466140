//! Credentials of Anthropic, Bedrock and Azure: each kind resolved, found in the environment, and refused where it makes no
//! sense.
//!
//! Owns what is in the resolved keys. How requests are signed with them is tested where that is done.

mod environment;
mod mistakes;

use std::path::Path;

use backstop::config::{AwsKeys, AwsSource, AzureVersion, Config, ConfigError, Dialect, Family, Key, load, load_text};
use backstop::config::{Provider, Unserved};

use crate::cli_run::{backstop, file};

/// Part of every secret below.
const CANARY: &str = "CANARY";

const PAIR: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIACANARY0000000000"), ("AWS_SECRET_ACCESS_KEY", "CANARY/+=")];

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn given(providers: &str, pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    load_text(Some(("a.json5", &format!("{{ providers: {{ {providers} }} }}"))), env(pairs))
}

fn read(providers: &str, pairs: &[(&str, &str)]) -> Config {
    let config = given(providers, pairs).unwrap_or_else(|error| panic!("{providers}: {error}"));
    assert!(!format!("{config:?}").contains(CANARY), "{config:?}");
    config
}

/// The one provider and its one key.
fn only(config: &Config) -> (&Provider, &Key) {
    let [provider] = &config.providers[..] else { panic!("one provider: {:?}", config.providers) };
    let [key] = &provider.keys[..] else { panic!("one key: {:?}", provider.keys) };
    (provider, key)
}

fn exposed(keys: &AwsKeys) -> (&str, &str, Option<&str>) {
    let token = keys.session_token.as_ref().map(backstop::config::Secret::expose);
    (keys.access_key_id.expose(), keys.secret_access_key.expose(), token)
}

#[test]
fn each_kind_of_bedrocks_keys_is_read() {
    let pair = "access_key_id: '${AWS_ACCESS_KEY_ID}', secret_access_key: '${AWS_SECRET_ACCESS_KEY}'";
    let token = ("AWS_SESSION_TOKEN", "token-CANARY==");
    for (key, more, kind, keys) in [
        (format!("{{ {pair} }}"), None, "aws_keys", Some((PAIR[0].1, PAIR[1].1, None))),
        (
            format!("{{ {pair}, session_token: '${{AWS_SESSION_TOKEN}}' }}"),
            Some(token),
            "aws_keys",
            Some((PAIR[0].1, PAIR[1].1, Some(token.1))),
        ),
        // Keys that do not expire have no token.
        (
            format!("{{ {pair}, session_token: '${{AWS_SESSION_TOKEN}}' }}"),
            None,
            "aws_keys",
            Some((PAIR[0].1, PAIR[1].1, None)),
        ),
        (format!("{{ {pair}, session_token: '${{X:-}}' }}"), None, "aws_keys", Some((PAIR[0].1, PAIR[1].1, None))),
        (
            "{ credentials: 'environment' }".to_owned(),
            Some(token),
            "aws_environment",
            Some((PAIR[0].1, PAIR[1].1, Some(token.1))),
        ),
        ("{ aws_profile: 'prod' }".to_owned(), None, "aws_profile", None),
        ("{ credentials: 'profile' }".to_owned(), None, "aws_profile", None),
        ("{ credentials: 'container' }".to_owned(), None, "aws_container", None),
        ("{ credentials: 'instance' }".to_owned(), None, "aws_instance", None),
        ("{ credentials: 'default' }".to_owned(), None, "aws_default", None),
        ("{ profile: 'Main' }".to_owned(), None, "aws_default", None),
        ("{ key: 'CANARY-api-key' }".to_owned(), None, "api_key", None),
        ("'CANARY-api-key'".to_owned(), None, "api_key", None),
    ] {
        let variables: Vec<_> = PAIR.into_iter().chain(more).collect();
        let config = read(&format!("bedrock: {{ keys: [{key}] }}"), &variables);
        let (provider, found) = only(&config);
        assert_eq!((provider.dialect, provider.family), (Dialect::Bedrock, Family::Bedrock), "{key}");
        assert_eq!((provider.unserved, found.credential()), (None, kind), "{key}");
        assert_eq!(found.secret.is_some(), found.aws.is_none(), "{key}: either is sent or signs");
        assert_eq!(found.aws.as_ref().and_then(|aws| aws.source.keys()).map(exposed), keys, "{key}");
        if let Some(aws) = &found.aws {
            assert_eq!(aws.variables.shared()["AWS_ACCESS_KEY_ID"], PAIR[0].1);
        }
    }
    let config = read("bedrock: { keys: [{ aws_profile: 'prod' }] }", &[]);
    let AwsSource::Profile(name) = &only(&config).1.aws.as_ref().unwrap().source else { panic!("{config:?}") };
    assert_eq!(name.as_deref(), Some("prod"));
    // No key at all.
    let config = read("bedrock: {}", &[]);
    assert_eq!((only(&config).1.credential(), only(&config).0.unserved), ("aws_default", None));
}

#[test]
fn secrets_of_aws_may_stand_in_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "CANARY+secret\n").unwrap();
    let text = format!(
        "bedrock: {{ keys: [{{ access_key_id: 'AKIDCANARY', secret_access_key: 'file:{}' }}] }}",
        path.display()
    );
    let config = read(&text, &[]);
    let keys = only(&config).1.aws.as_ref().unwrap().source.keys().unwrap();
    assert_eq!(exposed(keys), ("AKIDCANARY", "CANARY+secret", None));
    let named = [("ID", "AKIDCANARY"), ("SECRET_FILE", path.to_str().unwrap())];
    let config = read("bedrock: { keys: [{ access_key_id: '${ID}', secret_access_key: '${SECRET}' }] }", &named);
    assert_eq!(exposed(only(&config).1.aws.as_ref().unwrap().source.keys().unwrap()).1, "CANARY+secret");
}

#[test]
fn a_key_of_which_a_half_is_unset_is_left_out() {
    for (key, said) in [
        ("{ access_key_id: '${AWS_ACCESS_KEY_ID}', secret_access_key: '${SECRET}' }", "SECRET is unset"),
        ("{ credentials: 'environment' }", "AWS_SECRET_ACCESS_KEY is unset"),
        ("'${AWS_BEARER_TOKEN_BEDROCK}'", "AWS_BEARER_TOKEN_BEDROCK is unset"),
    ] {
        let config =
            read(&format!("bedrock: {{ keys: [{key}] }}, local: {{ base_url: 'http://127.0.0.1:1' }}"), &PAIR[..1]);
        assert_eq!(config.providers[0].unserved, Some(Unserved::NoKey), "{key}");
        assert!(config.warnings.iter().any(|text| text.contains(said)), "{key}: {:?}", config.warnings);
    }
}

#[test]
fn a_region_is_the_keys_the_providers_the_addresss_or_the_environments() {
    let vpc = "https://vpce-1.bedrock-runtime.us-west-2.vpce.amazonaws.com";
    let aws = |region: &str| format!("bedrock-runtime.{region}.amazonaws.com");
    for (settings, variables, region, host) in [
        ("", &[][..], "us-east-1", aws("us-east-1")),
        ("", &[("AWS_DEFAULT_REGION", "eu-west-3")], "eu-west-3", aws("eu-west-3")),
        ("", &[("AWS_DEFAULT_REGION", "eu-west-3"), ("AWS_REGION", "eu-west-1")], "eu-west-1", aws("eu-west-1")),
        ("region: 'eu-north-1'", &[("AWS_REGION", "eu-west-1")], "eu-north-1", aws("eu-north-1")),
        ("keys: [{ region: 'sa-east-1' }], region: 'eu-north-1'", &[], "sa-east-1", aws("sa-east-1")),
        (&format!("base_url: '{vpc}'"), &[("AWS_REGION", "eu-west-1")], "us-west-2", vpc[8..].to_owned()),
        (&format!("keys: [{{ base_url: '{vpc}' }}]"), &[], "us-west-2", vpc[8..].to_owned()),
        ("base_url: 'http://127.0.0.1:9', region: 'eu-west-1'", &[], "eu-west-1", "127.0.0.1:9".to_owned()),
        (
            "base_url: 'https://{region}.aws.example'",
            &[("AWS_REGION", "eu-west-1")],
            "eu-west-1",
            "eu-west-1.aws.example".to_owned(),
        ),
    ] {
        let config = read(&format!("bedrock: {{ {settings} }}"), variables);
        let (provider, key) = only(&config);
        assert_eq!(key.aws.as_ref().unwrap().region, region, "{settings}");
        assert_eq!(key.base_url.as_ref().unwrap_or(&provider.base_url).authority, host.as_str(), "{settings}");
        assert!(config.warnings.is_empty(), "{settings}: {:?}", config.warnings);
    }
    // A provider of any name may speak it.
    let config = read("aws: { dialect: 'bedrock', base_url: 'https://bedrock-runtime.eu-west-1.amazonaws.com' }", &[]);
    assert_eq!(only(&config).1.aws.as_ref().unwrap().region, "eu-west-1");
    assert_eq!(only(&config).0.family, Family::Bedrock);
}

#[test]
fn azures_address_and_version_are_read() {
    let dated = |date: &str| Some(AzureVersion::Dated(date.to_owned()));
    let usual = || dated(AzureVersion::DEFAULT);
    for (settings, host, prefix, version) in [
        ("azure: { resource: 'mine', keys: ['k'] }", "mine.openai.azure.com", "", usual()),
        ("azure: { base_url: 'https://x.openai.azure.com', keys: ['k'] }", "x.openai.azure.com", "", usual()),
        ("azure: { base_url: 'https://x.y/openai/', keys: ['k'] }", "x.y", "", usual()),
        ("azure: { base_url: 'https://x.y/openai/v1', keys: ['k'] }", "x.y", "", Some(AzureVersion::V1)),
        (
            "azure: { resource: 'mine', api_version: 'v1', keys: ['k'] }",
            "mine.openai.azure.com",
            "",
            Some(AzureVersion::V1),
        ),
        (
            "azure: { resource: 'mine', api_version: '2025-04-01-preview', keys: ['k'] }",
            "mine.openai.azure.com",
            "",
            dated("2025-04-01-preview"),
        ),
        ("own: { base_url: 'https://apim.example/llm', api_version: '2024-10-21' }", "apim.example", "/llm", usual()),
        ("openai: { base_url: 'https://x.y', api_version: '2024-10-21', keys: ['k'] }", "x.y", "", usual()),
    ] {
        let config = read(settings, &[]);
        let (provider, _) = only(&config);
        assert_eq!((provider.dialect, provider.family), (Dialect::OpenAiChat, Family::Azure), "{settings}");
        assert_eq!(
            (provider.base_url.authority.as_str(), provider.base_url.prefix.as_str()),
            (host, prefix),
            "{settings}"
        );
        assert_eq!(provider.azure, version, "{settings}");
        assert!(config.warnings.is_empty(), "{settings}: {:?}", config.warnings);
    }
    let config =
        read("azure: { resource: 'a', keys: ['k', { key: 'l', base_url: 'https://b.openai.azure.com/openai' }] }", &[]);
    let second = config.providers[0].keys[1].base_url.as_ref().unwrap();
    assert_eq!((second.authority.as_str(), second.prefix.as_str()), ("b.openai.azure.com", ""));
    assert!(read("openai: { keys: ['k'] }", &[]).providers[0].azure.is_none());
}

#[test]
fn anthropic_speaks_its_own_dialect_unless_another_is_named() {
    let config = read("anthropic: { keys: ['sk-ant-api03-CANARY'] }", &[]);
    let (provider, key) = only(&config);
    assert_eq!((provider.dialect, provider.family), (Dialect::Anthropic, Family::Anthropic));
    assert_eq!((provider.base_url.authority.as_str(), provider.base_url.prefix.as_str()), ("api.anthropic.com", "/v1"));
    assert_eq!(key.credential(), "api_key");
    let config = read("anthropic: { keys: ['sk-ant-oat01-CANARY'], dialect: 'openai_chat' }", &[]);
    assert_eq!((only(&config).0.dialect, only(&config).1.credential()), (Dialect::OpenAiChat, "oauth_token"));
    // Addresses as Anthropic's own clients want them lack the version.
    for (url, warned) in
        [("https://x.example/anthropic", true), ("https://x.example", true), ("https://x.example/anthropic/v1", false)]
    {
        let config = read(&format!("x: {{ dialect: 'anthropic', base_url: '{url}', keys: ['k'] }}"), &[]);
        let said = config.warnings.iter().any(|text| text.contains(&format!("{url}/v1")));
        assert_eq!((said, only(&config).0.family), (warned, Family::Anthropic), "{:?}", config.warnings);
    }
}

#[test]
fn the_examples_load_with_nothing_of_aws_and_azure_set_and_with_all() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/accounts.json5");
    let least = [("OPENAI_KEY_MAIN", "k"), ("TENANT_TOKEN", "tenant-1")];
    let config = load(Some(&path), env(&least)).unwrap_or_else(|error| panic!("{error}"));
    let all =
        [PAIR[0], PAIR[1], ("AWS_BEARER_TOKEN_BEDROCK", "CANARY-1"), ("AZURE_KEY_US", "CANARY-2"), least[0], least[1]];
    let full = load(Some(&path), env(&all)).unwrap();
    let keys = |config: &Config, name: &str| -> Vec<String> {
        let provider = config.providers.iter().find(|provider| provider.name == name).unwrap();
        provider
            .keys
            .iter()
            .filter(|key| !key.disabled)
            .map(|key| format!("{} {}", key.name, key.credential()))
            .collect()
    };
    assert_eq!(keys(&config, "bedrock"), [] as [String; 0]);
    assert_eq!(keys(&full, "bedrock"), ["Main aws_keys", "ApiKey api_key"]);
    assert_eq!(keys(&full, "azure"), ["US api_key"]);
    assert!(!format!("{full:?}").contains(CANARY));
}

#[test]
fn check_shows_dialects_and_kinds_of_credentials_and_no_secret() {
    let text = "{ providers: {
        anthropic: { keys: [{ key: 'sk-ant-oat01-CANARY', profile: 'Max' }] },
        bedrock: { region: 'eu-west-1', keys: [
            { access_key_id: 'AKIACANARY0000000000', secret_access_key: 'CANARY+0000', session_token: 'CANARY+1111', profile: 'Main' },
            { aws_profile: 'research', profile: 'Research', region: 'us-west-2' },
            { credentials: 'instance', profile: 'Machine' },
        ] },
        azure: { resource: 'mine', keys: ['CANARY-azure'] },
    }, chains: { default: ['anthropic/claude-opus-4-5', 'bedrock/eu.amazon.nova-lite-v1:0', 'azure/d'] } }";
    let (_directory, path) = file(text);
    let path = path.display().to_string();
    let ran = backstop(&["check", "--config", &path], &[]);
    assert_eq!(ran.status, 0, "{}", ran.all());
    let words = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in
        ["AWS access key in eu-west-1", "AWS profile research in us-west-2", "OAuth token", "openai_chat (Azure"]
    {
        assert!(words.contains(part), "{part}: {}", ran.out);
    }
    let json = backstop(&["check", "--json", "--config", &path], &[]);
    let report = json.json();
    let kinds = |at: usize| -> Vec<&str> {
        report["providers"][at]["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["credential"].as_str().unwrap())
            .collect()
    };
    assert_eq!((kinds(0), kinds(1)), (vec!["oauth_token"], vec!["aws_keys", "aws_profile", "aws_instance"]));
    assert_eq!(report["providers"][1]["dialect"], "bedrock");
    assert_eq!(report["providers"][1]["keys"][1]["aws_profile"], "research");
    assert_eq!((&report["providers"][2]["api_version"], kinds(2)), (&serde_json::json!("2024-10-21"), vec!["api_key"]));
    for shown in [ran.all(), json.all()] {
        assert!(!shown.contains(CANARY), "{shown}");
    }
}
