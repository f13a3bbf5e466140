//! Where a slot's requests go: addresses and headers, made once at start.
//!
//! Owns what can be prepared per slot. The credential is in a header marked sensitive: its `Debug` says so
//! and nothing more.

use std::borrow::Cow;
use std::fmt::Write;

use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Uri};

use crate::dialect::endpoint::{ENDPOINTS, Endpoint};
use crate::dialect::openai_chat::request::ModelName;
use crate::dialect::vendor::{Dialect, Vendor};
use crate::policy::classify::Family;
use crate::policy::id::{ProviderId, SlotId};
use crate::secret::Secret;

use super::aws::Signer;
use super::client::Client;

/// One slot on the wire.
#[derive(Debug, Clone)]
pub struct Route {
    /// Whose account space it is.
    pub provider: ProviderId,
    /// The connections it uses.
    pub client: Client,
    /// How its vendor words errors.
    pub family: Family,
    /// What is spoken there.
    pub dialect: Dialect,
    /// Whose habits it has.
    pub vendor: Vendor,
    /// Whether what is in OpenAI's dialect passes without a look at what its vendor refuses.
    pub is_plain: bool,
    /// Paths, by [`Route::address`].
    pub addresses: [Uri; ENDPOINTS],
    /// How paths are made where they name the model.
    pub by_model: Option<ByModel>,
    /// Who signs each request, where a key alone is not enough.
    pub signer: Option<Signer>,
    /// Sent with each request, the credential included.
    pub headers: HeaderMap,
    /// What must not be passed on if the vendor echoes it.
    pub hidden: Vec<Hidden>,
    /// The model of the slot's target in the form in which it is spliced; `None` if clients name it.
    pub model: Option<ModelName>,
}

/// A text that is sent and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(String);

/// Shorter header values are words of any text.
const HIDDEN_LENGTH: usize = 8;

/// What may stand before a credential.
const SCHEMES: [&str; 5] = ["bearer", "basic", "token", "key", "apikey"];

impl Hidden {
    /// A key and what in `extra` headers could be one: each value, and what follows the scheme in `Bearer …`.
    #[must_use]
    pub fn of(key: Option<&Secret>, extra: &HeaderMap) -> Vec<Self> {
        let mut hidden: Vec<Self> = key.into_iter().map(|key| Self(key.expose().to_owned())).collect();
        for value in extra.values().filter_map(|value| value.to_str().ok()) {
            let scheme = |word: &str| SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme));
            let credential = value.split_once(' ').filter(|(word, _)| scheme(word)).map(|(_, rest)| rest.trim());
            let long = [Some(value), credential].into_iter().flatten().filter(|text| text.len() >= HIDDEN_LENGTH);
            hidden.extend(long.map(|text| Self(text.to_owned())));
        }
        hidden
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("[secret]")
    }
}

impl Route {
    /// What must not be passed on if the vendor echoes it.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.hidden.iter().map(|hidden| hidden.0.as_str())
    }

    /// The model in the form in which it is spliced, where `named` is what a client may have called it.
    #[must_use]
    pub fn model_name(&self, named: &str) -> Cow<'_, ModelName> {
        self.model.as_ref().map_or_else(|| Cow::Owned(ModelName::new(named)), Cow::Borrowed)
    }

    /// The paths of all endpoints below `prefix`, which ends without a slash.
    ///
    /// # Errors
    /// `prefix` is no path.
    pub fn addresses(prefix: &str) -> Result<[Uri; ENDPOINTS], http::uri::InvalidUri> {
        let mut addresses = Endpoint::ALL.map(|_| Uri::default());
        for endpoint in Endpoint::ALL {
            addresses[endpoint as usize] = format!("{prefix}{}", endpoint.path()).parse()?;
        }
        Ok(addresses)
    }

    /// Where requests to `endpoint` go.
    #[must_use]
    pub const fn address(&self, endpoint: Endpoint) -> &Uri {
        &self.addresses[endpoint as usize]
    }

    /// Where a request for `model` goes, a streaming one or not; `None` if the name makes no address.
    #[must_use]
    pub fn uri(&self, endpoint: Endpoint, stream: bool, model: &str) -> Option<Uri> {
        match &self.by_model {
            Some(by_model) => by_model.uri(endpoint, stream, model),
            // Who answers in another dialect does so where that dialect chats.
            None => Some(match (self.dialect, endpoint) {
                (Dialect::OpenAiChat, Endpoint::Messages) => self.address(Endpoint::Chat),
                (Dialect::Anthropic, Endpoint::Chat) => self.address(Endpoint::Messages),
                (_, endpoint) => self.address(endpoint),
            })
            .cloned(),
        }
    }

    /// The headers that go with each request: JSON, plain bytes, the credential, and what is configured.
    #[must_use]
    pub fn headers(authority: &Authority, credential: &HeaderMap, extra: &HeaderMap) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(8);
        // The client would add both to the clone of each request, which would have to grow for it.
        if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
            headers.insert(http::header::HOST, host);
        }
        headers.insert(http::header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // The gate reads what passes: compressed bytes it could not.
        headers.insert(http::header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let agent = concat!("backstop/", env!("CARGO_PKG_VERSION"));
        headers.insert(http::header::USER_AGENT, HeaderValue::from_static(agent));
        for (name, value) in credential.iter().chain(extra) {
            headers.insert(name.clone(), value.clone());
        }
        headers
    }
}

/// Paths that name the model, below a prefix that ends without a slash.
#[derive(Debug, Clone)]
pub enum ByModel {
    /// Bedrock: `/model/{id}/converse` and `/converse-stream`.
    Converse(String),
    /// Azure: `/openai/deployments/{name}/…?api-version=…`
    Deployment {
        /// Before `/openai`.
        prefix: String,
        /// The version.
        version: String,
    },
}

impl ByModel {
    /// Where a request for `model` goes.
    #[must_use]
    pub fn uri(&self, endpoint: Endpoint, stream: bool, model: &str) -> Option<Uri> {
        let model = segment(model);
        let path = match self {
            Self::Converse(prefix) => {
                let verb = if stream { "converse-stream" } else { "converse" };
                format!("{prefix}/model/{model}/{verb}")
            }
            Self::Deployment { prefix, version } => {
                let endpoint = if endpoint == Endpoint::Messages { Endpoint::Chat } else { endpoint };
                let path = endpoint.path();
                format!("{prefix}/openai/deployments/{model}{path}?api-version={version}")
            }
        };
        path.parse().ok()
    }
}

/// A model's name as one segment of a path: all but RFC 3986's unreserved letters as `%XX`, as AWS's own clients do. Ids
/// hold colons, ARNs slashes as well.
#[must_use]
pub fn segment(model: &str) -> String {
    let mut text = String::with_capacity(model.len() + 16);
    for byte in model.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            text.push(char::from(byte));
        } else {
            // A string takes all that is written.
            let _written = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// The routes of all slots.
#[derive(Debug, Default)]
pub struct Routes(Vec<Route>);

impl Routes {
    /// Adds the route of the next slot.
    pub fn push(&mut self, route: Route) {
        self.0.push(route);
    }

    /// The route of a slot.
    #[must_use]
    pub fn of(&self, slot: SlotId) -> &Route {
        &self.0[slot.index()]
    }

    /// Closes upstream connections that were unused for too long, or that the other side has closed.
    pub fn sweep(&self) {
        for route in &self.0 {
            route.client.sweep();
        }
    }

    /// Every secret there is, to be kept out of what is passed on.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(Route::secrets)
    }
}

/// Whether a vendor's header echoes one of `secrets`: then it is not passed on.
#[must_use]
pub fn shows<'a>(value: &HeaderValue, mut secrets: impl Iterator<Item = &'a str>) -> bool {
    // Shorter ones are words of any text (see `dialect::error::redact`).
    secrets.any(|secret| secret.len() >= 6 && memchr::memmem::find(value.as_bytes(), secret.as_bytes()).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_id_is_one_segment_of_the_path() {
        for (model, path) in [
            ("amazon.nova-lite-v1:0", "amazon.nova-lite-v1%3A0"),
            ("arn:aws:bedrock:eu-west-1:1:p/x", "arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ap%2Fx"),
            ("../a?b#c%20", "..%2Fa%3Fb%23c%2520"),
            ("ü", "%C3%BC"),
            ("a_b~c-d.e", "a_b~c-d.e"),
        ] {
            assert_eq!(segment(model), path);
            assert!(format!("/model/{path}/converse").parse::<http::uri::PathAndQuery>().is_ok());
        }
    }
}
