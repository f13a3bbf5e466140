//! Client keys: who may use the gateway.
//!
//! Owns the comparison. Keys are kept as SHA-256 only; every one is compared, each in constant time.

use http::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::config::ClientKey;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// All client keys. Without any, everybody is let in (and only loopback is listened on).
#[derive(Clone, Default)]
pub struct ClientKeys(Vec<ClientKey>);

impl ClientKeys {
    /// These keys.
    #[must_use]
    pub const fn new(keys: Vec<ClientKey>) -> Self {
        Self(keys)
    }

    /// Whether the request's bearer token or `x-api-key` is one of the keys.
    #[must_use]
    pub fn admit(&self, headers: &HeaderMap) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let Some(given) = presented(headers) else { return false };
        let digest: [u8; 32] = Sha256::digest(given).into();
        let found = self.0.iter().fold(Choice::from(0), |found, key| found | key.sha256.ct_eq(&digest));
        found.into()
    }
}

/// The key that a request shows.
fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(value) = headers.get(http::header::AUTHORIZATION) {
        let value = value.as_bytes();
        if let Some((scheme, token)) = value.split_at_checked(7)
            && scheme.eq_ignore_ascii_case(b"bearer ")
        {
            return Some(token.trim_ascii());
        }
    }
    headers.get(API_KEY).map(http::HeaderValue::as_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    #[test]
    fn only_a_known_key_is_admitted() {
        let sha256: [u8; 32] = Sha256::digest(b"let-me-in").into();
        let keys = ClientKeys::new(vec![ClientKey { name: "app".to_owned(), sha256 }]);
        assert!(keys.admit(&with("authorization", "Bearer let-me-in")));
        assert!(keys.admit(&with("authorization", "bearer  let-me-in ")));
        assert!(keys.admit(&with("x-api-key", "let-me-in")));
        for wrong in [with("authorization", "Bearer let-me-i"), with("authorization", "let-me-in"), HeaderMap::new()] {
            assert!(!keys.admit(&wrong));
        }
        assert!(ClientKeys::default().admit(&HeaderMap::new()));
    }
}
