//! What OpenClaw's `api` means: which dialect is spoken, at which address and with which credentials.

use backstop::config::{AzureVersion, Dialect};

use super::{keys, pairs, read};

#[test]
fn each_api_is_a_dialect_or_is_skipped_with_a_warning() {
    for (api, base_url, dialect, served) in [
        ("openai-completions", "https://x.example/v1", Dialect::OpenAiChat, true),
        ("openai-responses", "https://x.example/v1", Dialect::OpenAiChat, true),
        ("ollama", "http://127.0.0.1:11434", Dialect::OpenAiChat, true),
        ("anthropic-messages", "https://x.example", Dialect::Anthropic, true),
        ("azure-openai-responses", "https://x.openai.azure.com", Dialect::OpenAiChat, true),
        ("google-generative-ai", "https://x.example/v1beta", Dialect::OpenAiChat, false),
        ("bedrock-converse-stream", "https://bedrock-runtime.us-east-1.amazonaws.com", Dialect::Bedrock, true),
        ("github-copilot", "https://x.example", Dialect::OpenAiChat, false),
    ] {
        let text = format!(
            "{{ models: {{ providers: {{ x: {{ baseUrl: '{base_url}', apiKey: 'k', api: '{api}' }} }} }},
                agents: {{ defaults: {{ model: {{ primary: 'x/m', fallbacks: ['openai/n'] }} }} }} }}"
        );
        let config = read(&text, &[("OPENAI_API_KEY", "o")]).unwrap_or_else(|error| panic!("{api}: {error}"));
        let provider = &config.providers[0];
        assert_eq!((provider.dialect, provider.unserved.is_none()), (dialect, served), "{api}");
        let warned = config.warnings.iter().any(|text| text.contains("models.providers.x") && text.contains("served"));
        assert_eq!(warned, !served, "{api}: {:?}", config.warnings);
    }
    // The vendor itself is asked by the dialect that we speak.
    for (name, base_url, api, dialect) in [
        ("anthropic", "https://api.anthropic.com", "anthropic-messages", Dialect::Anthropic),
        ("google", "https://generativelanguage.googleapis.com/v1beta", "google-generative-ai", Dialect::OpenAiChat),
    ] {
        let text = format!(
            "{{ models: {{ providers: {{ {name}: {{ baseUrl: '{base_url}', apiKey: 'k', api: '{api}' }} }} }},
                agents: {{ defaults: {{ model: '{name}/m' }} }} }}"
        );
        let config = read(&text, &[]).unwrap();
        assert_eq!((config.providers[0].unserved, config.providers[0].dialect), (None, dialect), "{name}");
    }
    let config = read(
        "{ models: { providers: { o: { baseUrl: 'http://127.0.0.1:11434/', api: 'ollama' } } },
           agents: { defaults: { model: 'o/m' } } }",
        &[],
    )
    .unwrap();
    assert_eq!(config.providers[0].base_url.prefix, "/v1");
}

#[test]
fn bedrock_has_awss_own_credentials_and_the_region_of_its_address() {
    let text = "{
        auth: { profiles: { 'amazon-bedrock:default': { provider: 'amazon-bedrock', mode: 'aws-sdk' } } },
        models: { providers: {
            aws: { baseUrl: 'https://bedrock-runtime.eu-central-1.amazonaws.com', api: 'bedrock-converse-stream' },
            azure: { baseUrl: 'https://x.openai.azure.com/openai/v1', api: 'azure-openai-responses' },
        } },
        agents: { defaults: { model: { primary: 'amazon-bedrock/m', fallbacks: ['aws/m', 'azure/d'] } } },
    }";
    let config = read(text, &[("AWS_REGION", "ap-south-1"), ("AZURE_OPENAI_API_KEY", "k")]).unwrap();
    for (name, region) in [("amazon-bedrock", "ap-south-1"), ("aws", "eu-central-1")] {
        let provider = config.providers.iter().find(|provider| provider.name == name).expect(name);
        let aws = provider.keys[0].aws.as_ref().expect(name);
        assert_eq!((aws.region.as_str(), provider.keys[0].credential()), (region, "aws_default"), "{name}");
        assert_eq!((provider.unserved, provider.keys[0].name.as_str()), (None, "default"), "{name}");
    }
    let azure = config.providers.iter().find(|provider| provider.name == "azure").unwrap();
    assert_eq!((&azure.azure, azure.base_url.prefix.as_str()), (&Some(AzureVersion::V1), ""));
    assert_eq!(keys(&config, "azure"), pairs(&[("default", "k")]));
}
