//! Where a request leads: provider, dialect, endpoint and the model in the path; and whose key it carries.
//!
//! Pure. Reads method, target and headers; refuses to look into a body.

use http::{HeaderMap, Method};

use super::dialect::Dialect;

/// First segments that are no provider's name.
const BARE: [&str; 13] = [
    "",
    "v1",
    "api",
    "chat",
    "completions",
    "embeddings",
    "messages",
    "model",
    "moderations",
    "models",
    "responses",
    "images",
    "audio",
];

/// The endpoints that are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Endpoint {
    Chat,
    Completions,
    Embeddings,
    Moderations,
    Responses,
    Images,
    Speech,
    /// Transcriptions and translations.
    Heard,
    Models,
    Model(String),
    /// Anthropic Messages.
    Messages,
    /// Anthropic's count of a prompt's tokens.
    CountTokens,
    /// Bedrock's, whole.
    Converse,
    /// Bedrock's, as frames.
    ConverseStream,
    Unknown,
}

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// First segment of the path; `default` without one.
    pub provider: String,
    pub endpoint: Endpoint,
    /// The model that the path names: Bedrock's, or Azure's deployment.
    pub model: Option<String>,
    /// Whether it is one of Azure's paths.
    pub azure: bool,
}

impl Place {
    pub(super) fn dialect(&self) -> Dialect {
        match self.endpoint {
            Endpoint::Messages | Endpoint::CountTokens => Dialect::Anthropic,
            Endpoint::Converse | Endpoint::ConverseStream => Dialect::Bedrock,
            Endpoint::Chat
            | Endpoint::Completions
            | Endpoint::Embeddings
            | Endpoint::Moderations
            | Endpoint::Responses
            | Endpoint::Images
            | Endpoint::Speech
            | Endpoint::Heard
            | Endpoint::Models
            | Endpoint::Model(_)
            | Endpoint::Unknown => Dialect::OpenAi,
        }
    }
}

/// Where a path leads.
pub(super) fn route(method: &Method, path: &str) -> Place {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let bare = BARE.contains(&first);
    let deployment = path.split_once("/openai/deployments/").and_then(|(_, rest)| Some(rest.split_once('/')?.0));
    let inner = path.trim_start_matches('/').strip_prefix(first).unwrap_or_default();
    let mut place = Place {
        provider: if bare { "default" } else { first }.to_owned(),
        endpoint: Endpoint::Unknown,
        model: deployment.map(unescape),
        azure: deployment.is_some() || inner.starts_with("/openai/"),
    };
    if *method == Method::GET {
        place.endpoint = match path.split_once("/models") {
            Some((_, "" | "/")) => Endpoint::Models,
            Some((_, rest)) if rest.starts_with('/') => Endpoint::Model(unescape(rest.trim_matches('/'))),
            _ => Endpoint::Unknown,
        };
    } else if *method == Method::POST {
        if let Some((model, endpoint)) = converse(path) {
            place.model = Some(unescape(model));
            place.endpoint = endpoint;
        } else {
            place.endpoint = posted(path);
        }
    }
    place
}

/// Bedrock's paths: the model stands between `/model/` and the operation, and an ARN's slash may stand there bare.
fn converse(path: &str) -> Option<(&str, Endpoint)> {
    let (_, rest) = path.split_once("/model/")?;
    match rest.rsplit_once('/')? {
        (model, "converse") => Some((model, Endpoint::Converse)),
        (model, "converse-stream") => Some((model, Endpoint::ConverseStream)),
        _ => None,
    }
}

fn posted(path: &str) -> Endpoint {
    let ends = [
        ("/chat/completions", Endpoint::Chat),
        ("/completions", Endpoint::Completions),
        ("/embeddings", Endpoint::Embeddings),
        ("/moderations", Endpoint::Moderations),
        ("/responses", Endpoint::Responses),
        ("/images/generations", Endpoint::Images),
        ("/images/edits", Endpoint::Images),
        ("/images/variations", Endpoint::Images),
        ("/audio/speech", Endpoint::Speech),
        ("/audio/transcriptions", Endpoint::Heard),
        ("/audio/translations", Endpoint::Heard),
        ("/messages", Endpoint::Messages),
        ("/messages/count_tokens", Endpoint::CountTokens),
    ];
    ends.into_iter().find(|(end, _)| path.ends_with(end)).map_or(Endpoint::Unknown, |(_, endpoint)| endpoint)
}

/// `%2F` and its like as the bytes they stand for.
fn unescape(text: &str) -> String {
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                out.extend(part.bytes().skip(2));
            }
            None => out.extend(b"%".iter().copied().chain(part.bytes())),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The client's key, empty if there is none: the bearer token, the access key id of a signature, or a key's own header.
pub(super) fn key(headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let signer = |value: &str| {
        let (_, credential) = value.strip_prefix("AWS4-HMAC-SHA256")?.split_once("Credential=")?;
        Some(credential.split('/').next()?.to_owned())
    };
    let authorization = text("authorization")
        .map(|value| signer(value).unwrap_or_else(|| value.strip_prefix("Bearer ").unwrap_or(value).to_owned()));
    let own = || text("x-api-key").or_else(|| text("api-key")).map(str::to_owned);
    authorization.or_else(own).unwrap_or_default().trim().to_owned()
}

/// The end of a key that may be shown.
pub(super) fn last4(key: &str) -> &str {
    let from = key.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
    key.get(from..).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn post(path: &str) -> (String, Endpoint, Option<String>) {
        let place = route(&Method::POST, path);
        (place.provider, place.endpoint, place.model)
    }

    #[test]
    fn paths_name_provider_and_endpoint() {
        for (path, provider, endpoint) in [
            ("/openai/v1/chat/completions", "openai", Endpoint::Chat),
            ("/openrouter/api/v1/chat/completions", "openrouter", Endpoint::Chat),
            ("/v1/completions", "default", Endpoint::Completions),
            ("/v1/audio/speech", "default", Endpoint::Speech),
            ("/v1/responses/resp_1/cancel", "default", Endpoint::Unknown),
            ("/anthropic/v1/messages", "anthropic", Endpoint::Messages),
            ("/v1/messages", "default", Endpoint::Messages),
            ("/anthropic/v1/messages/count_tokens", "anthropic", Endpoint::CountTokens),
            ("/azure/openai/v1/chat/completions", "azure", Endpoint::Chat),
            ("/bedrock/model/x/invoke", "bedrock", Endpoint::Unknown),
        ] {
            assert_eq!(post(path), (provider.to_owned(), endpoint, None), "{path}");
        }
        let get = |path: &str| route(&Method::GET, path).endpoint;
        assert_eq!(get("/openai/v1/models"), Endpoint::Models);
        assert_eq!(get("/x/v1/models/a/b"), Endpoint::Model("a/b".to_owned()));
        assert_eq!(get("/x/v1/models/a%2Fb%zz%"), Endpoint::Model("a/b%zz%".to_owned()));
        assert_eq!(get("/openai/v1/chat/completions"), Endpoint::Unknown);
    }

    #[test]
    fn paths_name_the_model_where_the_body_does_not() {
        let arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-v1:0";
        for (path, provider, endpoint, model) in [
            ("/bedrock/model/a.b-v2%3A0/converse", "bedrock", Endpoint::Converse, "a.b-v2:0"),
            ("/model/a.b-v2:0/converse-stream", "default", Endpoint::ConverseStream, "a.b-v2:0"),
            ("/azure/openai/deployments/my%20gpt/chat/completions", "azure", Endpoint::Chat, "my gpt"),
        ] {
            assert_eq!(post(path), (provider.to_owned(), endpoint, Some(model.to_owned())), "{path}");
        }
        for arn_in_path in [arn.to_owned(), arn.replace(':', "%3A").replace('/', "%2F")] {
            assert_eq!(post(&format!("/b/model/{arn_in_path}/converse")).2.as_deref(), Some(arn));
        }
        let azure = |path: &str| route(&Method::POST, path).azure;
        assert!(azure("/azure/openai/v1/chat/completions") && azure("/openai/deployments/x/chat/completions"));
        assert!(!azure("/openai/v1/chat/completions"));
    }

    #[test]
    fn keys_stand_in_many_headers() {
        let signed = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/bedrock/aws4_request, \
                      SignedHeaders=host;x-amz-date, Signature=00";
        for (name, value, expected) in [
            ("authorization", "Bearer sk-1", "sk-1"),
            ("authorization", signed, "AKIDEXAMPLE"),
            ("x-api-key", "sk-ant-1", "sk-ant-1"),
            ("api-key", "azure-1", "azure-1"),
            ("x-other", "x", ""),
        ] {
            let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
            assert_eq!(key(&headers), expected);
        }
    }

    #[test]
    fn only_the_end_of_a_key_is_shown() {
        assert_eq!(last4("sk-test-abcd"), "abcd");
        assert_eq!(last4("ab"), "ab");
        assert_eq!(last4("ключик"), "ючик");
    }
}
