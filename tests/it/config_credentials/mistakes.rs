//! Credentials that make no sense: each pointed at with its place and its cure, and never repeated.

use super::{CANARY, given, read};

#[test]
fn what_makes_no_sense_is_pointed_at() {
    let bedrock = |key: &str| format!("bedrock: {{ keys: [{key}] }}");
    let azure = |settings: &str| format!("azure: {{ keys: ['k'], {settings} }}");
    let first = "providers.bedrock.keys[0]";
    for (text, path, what, hint) in [
        (
            bedrock("{ key: 'CANARY', access_key_id: 'a', secret_access_key: 'b' }"),
            first,
            "two kinds",
            "write one of them",
        ),
        (bedrock("{ aws_profile: 'p', credentials: 'instance' }"), first, "two kinds", "write one of them"),
        (
            bedrock("{ access_key_id: 'CANARY' }"),
            first,
            "go together",
            "secret_access_key: \"${AWS_SECRET_ACCESS_KEY}\"",
        ),
        (bedrock("{ session_token: 'CANARY' }"), first, "go together", "access_key_id"),
        (bedrock("{ aws_profile: ' ' }"), "providers.bedrock.keys[0].aws_profile", "names no profile", "~/.aws/config"),
        (bedrock("{ credentials: 'imds' }"), "providers.bedrock.keys[0].credentials", "not a choice", "instance"),
        (
            bedrock("{ credentials: 'enviroment' }"),
            "providers.bedrock.keys[0].credentials",
            "not a choice",
            "`environment`?",
        ),
        (bedrock("'AKIACANARY0000000000'"), first, "the id of an access key", "secret_access_key"),
        (
            bedrock("{ access_key_id: 'CANARY', secret_access_key: 'AKIACANARY0000000000' }"),
            "providers.bedrock.keys[0].secret_access_key",
            "the other way round",
            "exchange",
        ),
        (
            bedrock("{ access_key_id: 'CANARY', secret_access_key: '<your-key>' }"),
            "providers.bedrock.keys[0].secret_access_key",
            "placeholder",
            "",
        ),
        (
            bedrock("{ acess_key_id: 'CANARY' }"),
            "providers.bedrock.keys[0].acess_key_id",
            "no setting",
            "`access_key_id`?",
        ),
        (
            bedrock("{ aws_access_key_id: 'CANARY' }"),
            "providers.bedrock.keys[0].aws_access_key_id",
            "no setting",
            "`access_key_id`?",
        ),
        (
            bedrock("{ secretAccessKey: 'CANARY' }"),
            "providers.bedrock.keys[0].secretAccessKey",
            "no setting",
            "`secret_access_key`?",
        ),
        (bedrock("{ aws_region: 'eu-west-1' }"), "providers.bedrock.keys[0].aws_region", "no setting", "`region`?"),
        ("bedrock: { region: 'EU West' }".to_owned(), "providers.bedrock.region", "not a region", "us-east-1"),
        (
            "bedrock: { region: 'us-east-1', base_url: 'https://bedrock-runtime.eu-west-1.amazonaws.com' }".to_owned(),
            "providers.bedrock.region",
            "another region, `eu-west-1`",
            "leave the region out",
        ),
        (
            "bedrock: { endpoints: ['embeddings'] }".to_owned(),
            "providers.bedrock.endpoints",
            "has no `embeddings`",
            "`chat`",
        ),
        (
            "openai: { keys: [{ key: 'k', aws_profile: 'p' }] }".to_owned(),
            "providers.openai.keys[0].aws_profile",
            "only keys of Bedrock",
            "dialect",
        ),
        (azure("api_version: '2024-10-21'"), "providers.azure", "an address of its own", "add resource:"),
        (azure("resource: 'a', base_url: 'https://a.b'"), "providers.azure.resource", "two ways", "write one of them"),
        (azure("resource: 'https://a.openai.azure.com'"), "providers.azure.resource", "not a resource's name", "NAME"),
        (azure("resource: 'a', api_version: '2024'"), "providers.azure.api_version", "no version", "2024-10-21"),
        (azure("resource: 'a', api_verson: 'v1'"), "providers.azure.api_verson", "no setting", "`api_version`?"),
        (
            azure("base_url: 'https://a.b/openai/v1', api_version: '2024-10-21'"),
            "providers.azure.api_version",
            "that of `v1`",
            "leave one",
        ),
        (
            azure("base_url: 'https://a.b/openai/deployments/d/chat/completions?api-version=2024-10-21'"),
            "providers.azure.base_url",
            "path of one deployment",
            "a target's model",
        ),
        (
            azure("resource: 'a', dialect: 'anthropic'"),
            "providers.azure.dialect",
            "speak `openai_chat`",
            "leave `dialect`",
        ),
        ("azure: { resource: 'a' }".to_owned(), "providers.azure.keys", "needs a key", "AZURE_OPENAI_API_KEY"),
        ("openai: { keys: ['k'], resource: 'a' }".to_owned(), "providers.openai.resource", "only `azure`", "base_url"),
        (
            "openai: { keys: ['k'], api_version: 'v1' }".to_owned(),
            "providers.openai.api_version",
            "no version",
            "leave it out",
        ),
        (
            "anthropic: { keys: ['k'], base_url: 'https://a.b/v1/messages' }".to_owned(),
            "providers.anthropic.base_url",
            "path of one endpoint",
            "leave `/messages` out",
        ),
    ] {
        let error = given(&text, &[]).expect_err(&text);
        assert!(!format!("{error} {error:?}").contains(CANARY), "{error}");
        let said = error.problems.iter().any(|problem| {
            problem.path == path
                && problem.what.contains(what)
                && problem.hint.as_deref().unwrap_or_default().contains(hint)
        });
        assert!(said, "{text}: not said: {path}: {what} / {hint}\n{error}");
    }
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
