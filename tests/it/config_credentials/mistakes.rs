//! Credentials that make no sense: each pointed at with its place and its cure, and never repeated.

use super::{CANARY, given, read};

/// What is written, where it is pointed at, what is said of it, and a part of the cure.
type Row = (&'static str, &'static str, &'static str, &'static str);

/// A key of Bedrock.
const KEYS: [Row; 14] = [
    (
        "{ key: 'CANARY', access_key_id: 'a', secret_access_key: 'b' }",
        "providers.bedrock.keys[0]",
        "two kinds",
        "write one of them",
    ),
    ("{ aws_profile: 'p', credentials: 'instance' }", "providers.bedrock.keys[0]", "two kinds", "write one of them"),
    (
        "{ access_key_id: 'CANARY' }",
        "providers.bedrock.keys[0]",
        "go together",
        "secret_access_key: \"${AWS_SECRET_ACCESS_KEY}\"",
    ),
    ("{ session_token: 'CANARY' }", "providers.bedrock.keys[0]", "go together", "access_key_id"),
    ("{ aws_profile: ' ' }", "providers.bedrock.keys[0].aws_profile", "names no profile", "~/.aws/config"),
    ("{ credentials: 'imds' }", "providers.bedrock.keys[0].credentials", "not a choice", "instance"),
    ("{ credentials: 'enviroment' }", "providers.bedrock.keys[0].credentials", "not a choice", "`environment`?"),
    ("'AKIACANARY0000000000'", "providers.bedrock.keys[0]", "the id of an access key", "secret_access_key"),
    (
        "{ access_key_id: 'CANARY', secret_access_key: 'AKIACANARY0000000000' }",
        "providers.bedrock.keys[0].secret_access_key",
        "the other way round",
        "exchange",
    ),
    (
        "{ access_key_id: 'CANARY', secret_access_key: '<your-key>' }",
        "providers.bedrock.keys[0].secret_access_key",
        "placeholder",
        "",
    ),
    ("{ acess_key_id: 'CANARY' }", "providers.bedrock.keys[0].acess_key_id", "no setting", "`access_key_id`?"),
    (
        "{ aws_access_key_id: 'CANARY' }",
        "providers.bedrock.keys[0].aws_access_key_id",
        "no setting",
        "`access_key_id`?",
    ),
    (
        "{ secretAccessKey: 'CANARY' }",
        "providers.bedrock.keys[0].secretAccessKey",
        "no setting",
        "`secret_access_key`?",
    ),
    ("{ aws_region: 'eu-west-1' }", "providers.bedrock.keys[0].aws_region", "no setting", "`region`?"),
];

/// Settings of Azure's provider, which has a key.
const AZURE: [Row; 8] = [
    ("api_version: '2024-10-21'", "providers.azure", "an address of its own", "add resource:"),
    ("resource: 'a', base_url: 'https://a.b'", "providers.azure.resource", "two ways", "write one of them"),
    ("resource: 'https://a.openai.azure.com'", "providers.azure.resource", "not a resource's name", "NAME"),
    ("resource: 'a', api_version: '2024'", "providers.azure.api_version", "no version", "2024-10-21"),
    ("resource: 'a', api_verson: 'v1'", "providers.azure.api_verson", "no setting", "`api_version`?"),
    (
        "base_url: 'https://a.b/openai/v1', api_version: '2024-10-21'",
        "providers.azure.api_version",
        "that of `v1`",
        "leave one",
    ),
    (
        "base_url: 'https://a.b/openai/deployments/d/chat/completions?api-version=2024-10-21'",
        "providers.azure.base_url",
        "path of one deployment",
        "a target's model",
    ),
    ("resource: 'a', dialect: 'anthropic'", "providers.azure.dialect", "speak `openai_chat`", "leave `dialect`"),
];

/// Whole providers.
const PROVIDERS: [Row; 8] = [
    ("bedrock: { region: 'EU West' }", "providers.bedrock.region", "not a region", "us-east-1"),
    (
        "bedrock: { region: 'us-east-1', base_url: 'https://bedrock-runtime.eu-west-1.amazonaws.com' }",
        "providers.bedrock.region",
        "another region, `eu-west-1`",
        "leave the region out",
    ),
    ("bedrock: { endpoints: ['embeddings'] }", "providers.bedrock.endpoints", "has no `embeddings`", "`chat`"),
    (
        "openai: { keys: [{ key: 'k', aws_profile: 'p' }] }",
        "providers.openai.keys[0].aws_profile",
        "only keys of Bedrock",
        "dialect",
    ),
    ("azure: { resource: 'a' }", "providers.azure.keys", "needs a key", "AZURE_OPENAI_API_KEY"),
    ("openai: { keys: ['k'], resource: 'a' }", "providers.openai.resource", "only `azure`", "base_url"),
    ("openai: { keys: ['k'], api_version: 'v1' }", "providers.openai.api_version", "no version", "leave it out"),
    (
        "anthropic: { keys: ['k'], base_url: 'https://a.b/v1/messages' }",
        "providers.anthropic.base_url",
        "path of one endpoint",
        "leave `/messages` out",
    ),
];

#[test]
fn what_makes_no_sense_is_pointed_at() {
    let keys = KEYS.into_iter().map(|row| (format!("bedrock: {{ keys: [{}] }}", row.0), row));
    let azure = AZURE.into_iter().map(|row| (format!("azure: {{ keys: ['k'], {} }}", row.0), row));
    let providers = PROVIDERS.into_iter().map(|row| (row.0.to_owned(), row));
    for (text, (_, path, what, hint)) in keys.chain(azure).chain(providers) {
        let error = given(&text, &[]).expect_err(&text);
        assert!(!format!("{error} {error:?}").contains(CANARY), "{error}");
        let said = error.problems.iter().any(|problem| {
            problem.path == path
                && problem.what.contains(what)
                && problem.hint.as_deref().unwrap_or_default().contains(hint)
        });
        assert!(said, "{text}: not said: {path}: {what} / {hint}\n{error}");
    }
}

#[test]
fn what_is_odd_is_told() {
    let error = given("bedrock: {}", &[("AWS_REGION", "Frankfurt!")]).unwrap_err().to_string();
    assert!(error.contains("the variable AWS_REGION holds no region"), "{error}");
    for (text, said) in [
        (
            "bedrock: { keys: [{ access_key_id: 'ASIACANARY0000000000', secret_access_key: 'CANARY' }] }",
            "goes with a session_token",
        ),
        ("bedrock: { keys: [{ aws_profile: 'p' }, { aws_profile: 'p' }] }", "two names do not make two quotas"),
        ("bedrock: { keys: [{}, { profile: 'b', credentials: 'default' }] }", "two names do not make two quotas"),
    ] {
        let config = read(text, &[]);
        assert!(config.warnings.iter().any(|text| text.contains(said)), "{text}: {:?}", config.warnings);
    }
    // Another region is another quota.
    assert!(read("bedrock: { keys: [{}, { region: 'eu-west-1' }] }", &[]).warnings.is_empty());
}
