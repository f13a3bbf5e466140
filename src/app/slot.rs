//! What a provider and a key of the configuration are to the wire: dialect, paths, credentials.
//!
//! Owns the translation from the configuration's words into `upstream`'s, slot by slot. Decides nothing.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

use crate::config::{self, AzureVersion, Dialect, Family as Vendor};
use crate::policy::capability::{Abilities, Api, Apis};
use crate::policy::classify::Family;
use crate::secret::Secret;
use crate::upstream::aws::{AwsAccess, AwsSource};
use crate::upstream::route::{ByModel, Hidden};

/// How the tokens begin that stand for a person's account instead of a key.
const ANTHROPIC_OAUTH: &str = "sk-ant-oat";

/// What follows from the dialect that a provider speaks.
pub(super) fn spoken(abilities: Abilities, provider: &config::Provider) -> Abilities {
    let no = Some(false);
    match provider.dialect {
        Dialect::OpenAiChat => Abilities { apis: provider.endpoints.without(Api::CountTokens), ..abilities },
        Dialect::Anthropic => Abilities {
            apis: provider.endpoints.and(Apis::of(&[Api::Chat, Api::CountTokens])),
            choices: no,
            logprobs: no,
            audio: no,
            ..abilities
        },
        Dialect::Bedrock => Abilities {
            apis: Apis::of(&[Api::Chat]),
            choices: no,
            logprobs: no,
            audio: no,
            image_urls: no,
            ..abilities
        },
    }
}

/// What of a provider's address depends on the model.
pub(super) fn by_model(provider: &config::Provider, base: &config::BaseUrl) -> Option<ByModel> {
    match provider.dialect {
        Dialect::Bedrock => Some(ByModel::Converse(base.prefix.clone())),
        Dialect::OpenAiChat => match &provider.azure {
            Some(AzureVersion::Dated(version)) => {
                Some(ByModel::Deployment { prefix: base.prefix.clone(), version: version.clone() })
            }
            Some(AzureVersion::V1) | None => None,
        },
        Dialect::Anthropic => None,
    }
}

/// What stands before the endpoints of a provider whose paths do not name the model.
pub(super) fn prefix(provider: &config::Provider, base: &config::BaseUrl) -> String {
    match provider.azure {
        Some(AzureVersion::V1) => format!("{}/openai/v1", base.prefix),
        Some(AzureVersion::Dated(_)) | None => base.prefix.clone(),
    }
}

/// The same in the words of those who sign.
pub(super) fn aws(access: &config::AwsAccess) -> AwsAccess {
    let source = match &access.source {
        config::AwsSource::Keys(keys) | config::AwsSource::Environment(keys) => AwsSource::Keys {
            access_key_id: keys.access_key_id.clone(),
            secret_access_key: keys.secret_access_key.clone(),
            session_token: keys.session_token.clone(),
        },
        config::AwsSource::Profile(name) => AwsSource::Profile(name.clone()),
        config::AwsSource::Container => AwsSource::Container,
        config::AwsSource::Instance => AwsSource::Instance,
        config::AwsSource::Default => AwsSource::Default,
    };
    AwsAccess { source, region: access.region.clone(), variables: Arc::clone(access.variables.shared()) }
}

/// The headers that show a key, as each vendor wants it shown.
pub(super) fn credential(provider: &config::Provider, key: &config::Key) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if provider.dialect == Dialect::Anthropic {
        headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
    }
    let Some(secret) = &key.secret else { return headers };
    match provider.dialect {
        Dialect::Anthropic if !secret.expose().starts_with(ANTHROPIC_OAUTH) => show(&mut headers, "x-api-key", secret),
        Dialect::Anthropic => {
            headers.insert(AUTHORIZATION, secret.bearer().clone());
            headers.insert("anthropic-beta", HeaderValue::from_static("oauth-2025-04-20"));
        }
        Dialect::OpenAiChat if provider.azure.is_some() => show(&mut headers, "api-key", secret),
        Dialect::OpenAiChat | Dialect::Bedrock => {
            headers.insert(AUTHORIZATION, secret.bearer().clone());
        }
    }
    headers
}

fn show(headers: &mut HeaderMap, name: &'static str, secret: &Secret) {
    if let Ok(mut value) = HeaderValue::try_from(secret.expose()) {
        value.set_sensitive(true);
        headers.insert(name, value);
    }
}

/// Whose table of errors is read. Everything but the native dialects of others speaks like OpenAI here.
pub(super) const fn family(dialect: Dialect, vendor: Vendor) -> Family {
    match (dialect, vendor) {
        (Dialect::Bedrock, _) | (_, Vendor::Bedrock) => Family::Bedrock,
        (Dialect::Anthropic, _) | (_, Vendor::Anthropic) => Family::Anthropic,
        (Dialect::OpenAiChat, Vendor::Gemini) => Family::Gemini,
        (Dialect::OpenAiChat, Vendor::Ollama) => Family::Ollama,
        (
            Dialect::OpenAiChat,
            Vendor::OpenAi
            | Vendor::OpenRouter
            | Vendor::Xai
            | Vendor::Groq
            | Vendor::Mistral
            | Vendor::DeepSeek
            | Vendor::Together
            | Vendor::Fireworks
            | Vendor::Vllm
            | Vendor::Azure
            | Vendor::Other,
        ) => Family::OpenAi,
    }
}

/// What must not be passed on if a vendor echoes it.
pub(super) fn hidden(key: &config::Key, extra: &HeaderMap) -> Vec<Hidden> {
    let mut hidden = Hidden::of(key.secret.as_ref(), extra);
    if let Some(keys) = key.aws.as_ref().and_then(|access| access.source.keys()) {
        for secret in [Some(&keys.secret_access_key), keys.session_token.as_ref()].into_iter().flatten() {
            hidden.extend(Hidden::of(Some(secret), &HeaderMap::new()));
        }
    }
    hidden
}
