//! Bedrock and Azure from nothing but the environment: which variables make them, and what stands in `default`.

use backstop::config::{AzureVersion, Config, load};

use super::{CANARY, PAIR, env, exposed, only};

#[test]
fn the_environment_makes_bedrock_and_azure() {
    let alone = |pairs: &[(&str, &str)]| load(None, env(pairs)).unwrap_or_else(|error| panic!("{error}"));
    let chain = |config: &Config| -> Vec<String> {
        let targets = config.chains.iter().flat_map(|chain| &chain.targets);
        targets.map(|target| format!("{}/{}", config.providers[target.provider].name, target.model)).collect()
    };
    let claude = |area: &str| format!("bedrock/{area}.anthropic.claude-sonnet-4-5-20250929-v1:0");
    for (region, area) in
        [("us-west-2", "us"), ("us-gov-west-1", "us-gov"), ("eu-north-1", "eu"), ("ap-south-1", "global")]
    {
        let config = alone(&[("AWS_BEARER_TOKEN_BEDROCK", "CANARY"), ("AWS_REGION", region)]);
        assert_eq!(chain(&config), [claude(area)], "{region}");
        assert_eq!(only(&config).1.credential(), "api_key");
        assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    }
    let written = [("AWS_BEARER_TOKEN_BEDROCK", "k"), ("BACKSTOP_PROVIDERS__BEDROCK__REGION", "eu-west-1")];
    assert_eq!(chain(&alone(&written)), [claude("eu")]);
    // A pair of keys is for all of AWS: a provider, and no target.
    let more = [PAIR[0], PAIR[1], ("AWS_SESSION_TOKEN", "CANARY-$token"), ("OPENAI_API_KEY", "k")];
    let config = alone(&more);
    let bedrock = config.providers.iter().find(|provider| provider.name == "bedrock").unwrap();
    let keys = bedrock.keys[0].aws.as_ref().unwrap().source.keys().unwrap();
    assert_eq!(exposed(keys), (PAIR[0].1, PAIR[1].1, Some("CANARY-$token")));
    assert_eq!(chain(&config), ["openai/gpt-4.1"]);
    assert!(!format!("{config:?}").contains(CANARY));
    assert_eq!(only(&alone(&PAIR)).1.name, "default");
    // Bedrock's own key comes before.
    let both = alone(&[PAIR[0], PAIR[1], ("AWS_BEARER_TOKEN_BEDROCK", "k")]);
    assert_eq!(only(&both).1.credential(), "api_key");
    // One half is none.
    assert!(load(None, env(&PAIR[..1])).is_err());

    let azure = [
        ("AZURE_OPENAI_API_KEY", "CANARY"),
        ("AZURE_OPENAI_ENDPOINT", "https://mine.openai.azure.com/"),
        ("OPENAI_API_VERSION", "2025-01-01-preview"),
    ];
    let config = alone(&azure);
    let (provider, key) = only(&config);
    assert_eq!((provider.base_url.authority.as_str(), key.credential()), ("mine.openai.azure.com", "api_key"));
    assert_eq!(provider.azure, Some(AzureVersion::Dated("2025-01-01-preview".to_owned())));
    assert_eq!((config.chains.len(), config.warnings.len()), (0, 0), "{:?}", config.warnings);
    let ours = [azure[0], azure[1], ("BACKSTOP_PROVIDERS__AZURE__RESOURCE", "other")];
    assert_eq!(only(&alone(&ours)).0.base_url.authority, "other.openai.azure.com");
    let lacking = "AZURE_OPENAI_API_KEY is set and AZURE_OPENAI_ENDPOINT is not";
    assert!(load(None, env(&azure[..1])).unwrap_err().to_string().contains(lacking));
    let config = alone(&[azure[0], ("OPENAI_API_KEY", "k")]);
    assert!(config.providers.len() == 1 && config.warnings[0].contains(lacking), "{:?}", config.warnings);
    for (name, meant) in [("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"), ("AZURE_API_KEY", "AZURE_OPENAI_API_KEY")] {
        let config = alone(&[(name, "CANARY"), ("OPENAI_API_KEY", "k")]);
        let said =
            config.warnings.iter().any(|text| text.contains(&format!("{name} is not read: did you mean {meant}?")));
        assert!(said, "{:?}", config.warnings);
    }
}
