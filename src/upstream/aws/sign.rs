//! The signature of a request (SigV4).
//!
//! Owns what is signed. Pure: the time is an argument.

use std::fmt;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{self, SignableBody, SignableRequest, SigningSettings};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use sha2::{Digest, Sha256};

/// The service's name in a signature.
const SERVICE: &str = "bedrock";

/// What of a request is signed: exactly what is sent.
#[derive(Debug, Clone, Copy)]
pub struct Signable<'a> {
    /// The method.
    pub method: &'a Method,
    /// The `Host` header: host, and port if it is written.
    pub host: &'a str,
    /// Path and query as they stand in the request line.
    pub path: &'a str,
    /// Further headers to be signed, by lower-case name.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body, in slices.
    pub body: &'a [Bytes],
}

/// A request that cannot be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsignable(String);

impl fmt::Display for Unsignable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the request cannot be signed: {}", self.0)
    }
}

impl std::error::Error for Unsignable {}

fn because(error: impl fmt::Display) -> Unsignable {
    Unsignable(error.to_string())
}

/// The headers that sign a request: `authorization`, `x-amz-date` and, for credentials that expire,
/// `x-amz-security-token`. All values are marked sensitive.
///
/// # Errors
/// The request is none that could be sent.
pub fn sign(
    credentials: &Credentials,
    region: &str,
    request: &Signable<'_>,
    now: SystemTime,
) -> Result<Vec<(HeaderName, HeaderValue)>, Unsignable> {
    let identity = credentials.clone().into();
    // What the settings default to is right for Bedrock: the path is encoded a second time for the signature, so the
    // colon in a model's id, sent as %3A, is signed as %253A.
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(SERVICE)
        .time(now)
        .settings(SigningSettings::default())
        .build()
        .map_err(because)?;
    let body = SignableBody::Precomputed(digest(request.body));
    let address = format!("https://{}{}", request.host, request.path);
    let host = ("host", request.host);
    let headers = request.headers.iter().copied().chain([host]);
    let signable = SignableRequest::new(request.method.as_str(), address, headers, body).map_err(because)?;
    let (instructions, _) = http_request::sign(signable, &params.into()).map_err(because)?.into_parts();
    let header = |(name, value): (&str, &str)| {
        let mut value = HeaderValue::from_str(value).map_err(because)?;
        value.set_sensitive(true);
        Ok((HeaderName::from_bytes(name.as_bytes()).map_err(because)?, value))
    };
    instructions.headers().map(header).collect()
}

/// SHA-256 in lower-case hex, without putting the slices together.
fn digest(body: &[Bytes]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let hash = body.iter().fold(Sha256::new(), |hash, slice| hash.chain_update(slice)).finalize();
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).map_or('0', |digit| char::from(*digit));
    hash.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::upstream::route::segment;

    /// 2026-01-02T03:04:05Z.
    const NOW: u64 = 1_767_323_045;

    fn credentials(token: Option<&str>) -> Credentials {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        Credentials::new("AKIDEXAMPLE", secret, token.map(str::to_owned), None, "test")
    }

    fn header(headers: &[(HeaderName, HeaderValue)], name: &str) -> Option<String> {
        let found = headers.iter().find(|(known, _)| known == name)?;
        assert!(found.1.is_sensitive(), "{name}");
        Some(found.1.to_str().unwrap().to_owned())
    }

    const TOKEN: &str = "IQoJb3JpZ2luX2VjEXAMPLETOKEN//////////wEaCXVzLWVhc3QtMSJ=";

    struct Vector {
        model: &'static str,
        operation: &'static str,
        region: &'static str,
        host: &'static str,
        body: &'static [&'static str],
        token: Option<&'static str>,
        signature: &'static str,
    }

    /// Signatures that botocore 1.44.8 makes of these requests (`SigV4Auth`, service name `bedrock`, the test key of AWS's
    /// documents).
    const VECTORS: [Vector; 4] = [
        Vector {
            model: "anthropic.claude-3-5-sonnet-20241022-v2:0",
            operation: "converse",
            region: "us-east-1",
            host: "bedrock-runtime.us-east-1.amazonaws.com",
            body: &["{\"messages\"", ":", "[]}"],
            token: None,
            signature: "313b724e6aba41b478aadb9b914c29a1c8bce95c08f6f2c702cb33de83698a58",
        },
        Vector {
            model: "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
            operation: "converse-stream",
            region: "eu-west-1",
            host: "bedrock-runtime.eu-west-1.amazonaws.com",
            body: &["{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"h\u{e9}\"}]}]}"],
            token: Some(TOKEN),
            signature: "aab4d6a9d3418ce53bc81605f555d5ca8d1e70264b7d79cea718c3cb2f4fd1f7",
        },
        Vector {
            model: "arn:aws:bedrock:us-east-1:123456789012:inference-profile/\
                    us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            operation: "converse",
            region: "us-east-1",
            host: "127.0.0.1:4566",
            body: &[],
            token: None,
            signature: "4972ee68d8171cdb268bf404d7b476175e6ce8f95bf55774698b723e2dff87e5",
        },
        Vector {
            model: "my model+~1",
            operation: "converse",
            region: "ap-northeast-1",
            host: "h.example",
            body: &["{}"],
            token: None,
            signature: "fa077deabc393bbd969c256edabf6505b4d940e6281ab4b1282ecd53860cecb0",
        },
    ];

    #[test]
    fn a_signature_is_botocores() {
        for vector in VECTORS {
            let path = format!("/model/{}/{}", segment(vector.model), vector.operation);
            let body: Vec<_> = vector.body.iter().map(|slice| Bytes::from_static(slice.as_bytes())).collect();
            let headers = [("content-type", "application/json")];
            let request =
                Signable { method: &Method::POST, host: vector.host, path: &path, headers: &headers, body: &body };
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
            let signed = sign(&credentials(vector.token), vector.region, &request, now).unwrap();
            let token = if vector.token.is_some() { ";x-amz-security-token" } else { "" };
            let expected = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/{}/bedrock/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date{token}, Signature={}",
                vector.region, vector.signature
            );
            assert_eq!(header(&signed, "authorization"), Some(expected), "{path}");
            assert_eq!(header(&signed, "x-amz-date").as_deref(), Some("20260102T030405Z"));
            assert_eq!(header(&signed, "x-amz-security-token").as_deref(), vector.token);
            assert_eq!(signed.len(), 2 + usize::from(vector.token.is_some()));
        }
    }

    #[test]
    fn what_could_not_be_sent_is_not_signed() {
        let request = Signable { method: &Method::POST, host: "h\n", path: "/model/x", headers: &[], body: &[] };
        let error = sign(&credentials(None), "us-east-1", &request, SystemTime::UNIX_EPOCH).unwrap_err();
        assert!(error.to_string().contains("cannot be signed"), "{error}");
    }
}
