//! What a request asks for: endpoint and provider from the path, key from the headers, the rest from the body.
//!
//! Pure. Reads only the fields that change an answer; everything else in the body is skipped unread.

use http::{HeaderMap, Method};
use serde::Deserialize;
use serde_json::Value;

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
    Unknown,
}

/// Where a path leads: provider (`default` without one) and endpoint.
pub(super) fn route(method: &Method, path: &str) -> (String, Endpoint) {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let bare = matches!(
        first,
        "" | "v1"
            | "api"
            | "chat"
            | "completions"
            | "embeddings"
            | "moderations"
            | "models"
            | "responses"
            | "images"
            | "audio"
    );
    let provider = if bare { "default" } else { first };
    let endpoint = if *method == Method::GET {
        match path.split_once("/models") {
            Some((_, "" | "/")) => Endpoint::Models,
            Some((_, rest)) if rest.starts_with('/') => Endpoint::Model(unescape(rest.trim_matches('/'))),
            _ => Endpoint::Unknown,
        }
    } else if *method != Method::POST {
        Endpoint::Unknown
    } else if path.ends_with("/chat/completions") {
        Endpoint::Chat
    } else if path.ends_with("/completions") {
        Endpoint::Completions
    } else if path.ends_with("/embeddings") {
        Endpoint::Embeddings
    } else if path.ends_with("/moderations") {
        Endpoint::Moderations
    } else if path.ends_with("/responses") {
        Endpoint::Responses
    } else if ["/images/generations", "/images/edits", "/images/variations"].iter().any(|end| path.ends_with(end)) {
        Endpoint::Images
    } else if path.ends_with("/audio/speech") {
        Endpoint::Speech
    } else if path.ends_with("/audio/transcriptions") || path.ends_with("/audio/translations") {
        Endpoint::Heard
    } else {
        Endpoint::Unknown
    };
    (provider.to_owned(), endpoint)
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

/// The client's key, empty if there is none.
pub(super) fn key(headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let bearer = text("authorization").map(|v| v.strip_prefix("Bearer ").unwrap_or(v));
    bearer.or_else(|| text("x-api-key")).or_else(|| text("api-key")).unwrap_or_default().trim().to_owned()
}

/// The end of a key that may be shown.
pub(super) fn last4(key: &str) -> &str {
    let from = key.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
    key.get(from..).unwrap_or_default()
}

/// The fields of a body that change an answer.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Ask {
    pub model: String,
    pub stream: Option<bool>,
    pub stream_options: Option<StreamOptions>,
    pub messages: Vec<Message>,
    pub tools: Option<Vec<Value>>,
    pub tool_choice: Value,
    pub response_format: Value,
    pub input: Value,
    pub dimensions: Option<usize>,
    pub encoding_format: Option<String>,
    /// Of Responses: the format of the text.
    pub text: Value,
    /// Of speech.
    pub stream_format: Option<String>,
    /// Of a form: the bytes of its files.
    #[serde(skip)]
    pub file_len: usize,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct StreamOptions {
    pub include_usage: Option<bool>,
}

/// A message: only its role matters here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message {
    pub role: String,
}

impl Ask {
    /// Whether the answer is a stream.
    pub(super) fn streams(&self) -> bool {
        self.stream.unwrap_or(false) || self.stream_format.as_deref() == Some("sse")
    }

    /// Whether a stream ends with a usage chunk.
    pub(super) fn wants_usage(&self) -> bool {
        self.stream_options.as_ref().and_then(|o| o.include_usage).unwrap_or(false)
    }

    /// The function to call: the chosen one, else the first; none if tools are off or have just answered.
    pub(super) fn tool(&self) -> Option<&Value> {
        if self.tool_choice == "none" || self.messages.last().is_some_and(|m| m.role == "tool") {
            return None;
        }
        if self
            .input
            .as_array()
            .and_then(|items| items.last())
            .is_some_and(|item| item["type"] == "function_call_output")
        {
            return None;
        }
        // Chat wraps a function, Responses does not.
        let function = |tool: &'_ Value| tool.get("function").is_some() || tool["type"] == "function";
        let tools = self.tools.iter().flatten().filter(|tool| function(tool));
        let mut functions = tools.map(|tool| tool.get("function").unwrap_or(tool));
        match self.tool_choice.pointer("/function/name").or_else(|| self.tool_choice.get("name")) {
            Some(name) => functions.find(|f| f.get("name") == Some(name)),
            None => functions.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_provider_and_endpoint() {
        let post = |path: &str| route(&Method::POST, path);
        assert_eq!(post("/openai/v1/chat/completions"), ("openai".to_owned(), Endpoint::Chat));
        assert_eq!(post("/openrouter/api/v1/chat/completions"), ("openrouter".to_owned(), Endpoint::Chat));
        assert_eq!(post("/v1/completions"), ("default".to_owned(), Endpoint::Completions));
        assert_eq!(post("/v1/audio/speech").1, Endpoint::Speech);
        assert_eq!(post("/v1/responses/resp_1/cancel").1, Endpoint::Unknown);
        let get = |path: &str| route(&Method::GET, path);
        assert_eq!(get("/openai/v1/models").1, Endpoint::Models);
        assert_eq!(get("/x/v1/models/a/b").1, Endpoint::Model("a/b".to_owned()));
        assert_eq!(get("/x/v1/models/a%2Fb%zz%").1, Endpoint::Model("a/b%zz%".to_owned()));
        assert_eq!(get("/openai/v1/chat/completions").1, Endpoint::Unknown);
    }

    #[test]
    fn only_the_end_of_a_key_is_shown() {
        assert_eq!(last4("sk-test-abcd"), "abcd");
        assert_eq!(last4("ab"), "ab");
        assert_eq!(last4("ключик"), "ючик");
    }
}
