//! The one type that holds a credential.
//!
//! Owns redaction: a secret prints as `[secret]` wherever it is formatted, and it has no way to be serialised.
//! Refuses to know where the credential came from and whom it is sent to.

use std::fmt;

use http::HeaderValue;
use sha2::{Digest, Sha256};

/// A credential and the `Authorization` value made of it.
#[derive(Clone)]
pub struct Secret {
    text: String,
    bearer: HeaderValue,
}

/// The text cannot be sent in a header: it is empty, or holds spaces, control or non-ASCII characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnsendableSecret;

impl fmt::Display for UnsendableSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the key is empty or holds characters that no HTTP header may carry")
    }
}

impl std::error::Error for UnsendableSecret {}

impl Secret {
    /// Takes a credential. Surrounding whitespace, which files and shells leave behind, is not part of it.
    ///
    /// # Errors
    /// [`UnsendableSecret`] if it is empty or not visible ASCII.
    pub fn new(text: &str) -> Result<Self, UnsendableSecret> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(UnsendableSecret);
        }
        let mut bearer = HeaderValue::try_from(format!("Bearer {text}")).map_err(|_| UnsendableSecret)?;
        bearer.set_sensitive(true);
        Ok(Self { text: text.to_owned(), bearer })
    }

    /// The credential itself, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// `Bearer …`, prebuilt and marked sensitive.
    #[must_use]
    pub const fn bearer(&self) -> &HeaderValue {
        &self.bearer
    }

    /// A salted hash by which the same credential is known again without being kept.
    #[must_use]
    pub fn fingerprint(&self, salt: &[u8]) -> [u8; 16] {
        // The salt's length goes first, so that no salt and key can be cut into another pair.
        let salt_len = u64::try_from(salt.len()).unwrap_or(u64::MAX);
        let digest = Sha256::new().chain_update(salt_len.to_be_bytes()).chain_update(salt).chain_update(&self.text);
        let mut fingerprint = [0; 16];
        fingerprint.iter_mut().zip(digest.finalize()).for_each(|(to, from)| *to = from);
        fingerprint
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[secret]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_secret_never_prints() {
        let secret = Secret::new(" sk-live-1\n").unwrap();
        assert_eq!(format!("{secret} {secret:?} {:?}", secret.bearer()), "[secret] [secret] Sensitive");
        assert_eq!(secret.expose(), "sk-live-1");
        assert_eq!(secret.bearer().as_bytes(), b"Bearer sk-live-1");
    }

    #[test]
    fn a_fingerprint_depends_on_key_and_salt() {
        let one = Secret::new("sk-1").unwrap();
        let two = Secret::new("sk-2").unwrap();
        assert_eq!(one.fingerprint(b"a"), one.clone().fingerprint(b"a"));
        assert_ne!(one.fingerprint(b"a"), two.fingerprint(b"a"));
        assert_ne!(one.fingerprint(b"a"), one.fingerprint(b"b"));
    }

    #[test]
    fn what_no_header_carries_is_refused() {
        for text in ["", "  ", "a b", "a\nb", "schlüssel"] {
            assert!(Secret::new(text).is_err(), "{text:?}");
        }
    }
}
