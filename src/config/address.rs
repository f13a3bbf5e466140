//! Addresses of providers: taken apart, and what people write in their place.
//!
//! Owns the checks of a `base_url` and the cures. Refuses to know whose address it is, and never repeats one that holds
//! user information or a query: people put keys there.

use http::Uri;

use super::BaseUrl;
use super::builtin::BUILTINS;
use super::problem::Place;
use super::resolve::Desk;

/// What the gateway appends itself.
const ENDPOINTS: [&str; 6] = ["/chat/completions", "/responses", "/completions", "/embeddings", "/models", "/messages"];

/// Why a text is no address, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) what: &'static str,
    pub(super) hint: String,
}

fn flaw<T>(what: &'static str) -> Result<T, Flaw> {
    Err(Flaw { what, hint: "for example \"https://api.openai.com/v1\"".to_owned() })
}

impl Desk {
    /// An http(s) address.
    pub(super) fn base_url(&mut self, place: &Place, text: &str) -> Option<BaseUrl> {
        match parse_base_url(text) {
            Ok(url) => {
                if let Some(meant) = missing_path(&url) {
                    self.warn(format!("{place}: {} answers below a path: write \"{meant}\"", url.authority));
                }
                Some(url)
            }
            Err(Flaw { what, hint }) => {
                self.problem(place, what, Some(hint));
                None
            }
        }
    }
}

/// The address that is meant where a known vendor's ends with its host.
fn missing_path(url: &BaseUrl) -> Option<String> {
    let known = BUILTINS.iter().filter_map(|known| parse_base_url(known.base_url).ok());
    let mut known = known.filter(|known| url.prefix.is_empty() && !known.prefix.is_empty());
    let meant = known.find(|known| known.scheme == http::uri::Scheme::HTTPS && known.authority == url.authority)?;
    Some(format!("{}://{}{}", url.scheme, url.authority, meant.prefix))
}

pub(super) fn parse_base_url(text: &str) -> Result<BaseUrl, Flaw> {
    const SCHEME: &str = "the address must begin with http:// or https://";
    let text = text.trim();
    if !text.contains("://") {
        return match with_scheme(text) {
            Some(hint) => Err(Flaw { what: SCHEME, hint }),
            None => flaw(SCHEME),
        };
    }
    let Ok(parts) = text.parse::<Uri>().map(Uri::into_parts) else {
        return flaw(if text.is_ascii() && has_bad_port(text) { PORT } else { "this is not an address" });
    };
    let Some(scheme) = parts.scheme.filter(|scheme| ["http", "https"].contains(&scheme.as_str())) else {
        return flaw(SCHEME);
    };
    let Some(authority) = parts.authority.filter(|authority| !authority.host().is_empty()) else {
        return flaw("the address has no host");
    };
    if authority.as_str().contains('@') {
        return flaw("the address must not hold a user or a password");
    }
    // `port_u16` has none for a port that is none, and the default one would be asked.
    let written = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    if !written.is_empty() && authority.port_u16().is_none_or(|port| port == 0) {
        return flaw(PORT);
    }
    let path = parts.path_and_query;
    if path.as_ref().is_some_and(|path| path.query().is_some()) {
        return flaw("the address must not hold a query");
    }
    if text.contains('#') {
        return flaw("the address must not hold a fragment");
    }
    let prefix = path.map_or_else(String::new, |path| path.path().trim_end_matches('/').to_owned());
    if let Some(endpoint) = ENDPOINTS.iter().find(|endpoint| prefix.ends_with(**endpoint)) {
        return Err(Flaw {
            what: "the address ends in the path of one endpoint",
            hint: format!("leave `{endpoint}` out: the gateway appends it"),
        });
    }
    Ok(BaseUrl { scheme, authority, prefix })
}

const PORT: &str = "the port must be 1 to 65535";

/// Whether what stands behind the host's last colon is no port.
fn has_bad_port(text: &str) -> bool {
    let authority = text.split_once("://").map_or(text, |(_, rest)| rest).split('/').next().unwrap_or_default();
    let port = authority.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.contains([']', '@']));
    port.is_some_and(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit() || b == b'-'))
}

/// The address with its scheme, if the text looks like a host and holds nothing that might be secret.
fn with_scheme(text: &str) -> Option<String> {
    let host = text.split(['/', ':']).next().unwrap_or_default();
    let is_host = host == "localhost" || host.contains('.') && !host.starts_with('.');
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-._~/:".contains(&b);
    if !is_host || !text.bytes().all(legal) || text.len() > 100 || super::problem::holds_key(text) {
        return None;
    }
    let near = host == "localhost" || host.parse::<std::net::Ipv4Addr>().is_ok();
    let whole = format!("{}://{text}", if near { "http" } else { "https" });
    parse_base_url(&whole).is_ok().then(|| format!("write \"{whole}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_are_taken_apart() {
        let parts = |text| parse_base_url(text).map(|url| format!("{} {} {}", url.scheme, url.authority, url.prefix));
        for (text, expected) in [
            ("https://api.openai.com/v1/", "https api.openai.com /v1"),
            ("http://127.0.0.1:9000", "http 127.0.0.1:9000 "),
            ("http://[::1]:9000/a/b", "http [::1]:9000 /a/b"),
            ("http://[::1]/v1", "http [::1] /v1"),
            ("http://host:65535/models/v1", "http host:65535 /models/v1"),
        ] {
            assert_eq!(parts(text), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_its_cure() {
        for (text, what, hint) in [
            ("", "must begin with http", "for example"),
            ("/v1", "must begin with http", "for example"),
            ("api.openai.com/v1", "must begin with http", "write \"https://api.openai.com/v1\""),
            ("localhost:8000/v1", "must begin with http", "write \"http://localhost:8000/v1\""),
            ("10.0.0.7:8000", "must begin with http", "write \"http://10.0.0.7:8000\""),
            ("u:p@host.example/v1", "must begin with http", "for example"),
            ("sk-live.0123456789", "must begin with http", "for example"),
            ("ftp://x/v1", "must begin with http", "for example"),
            ("https://u:p@host/v1", "user or a password", "for example"),
            ("https://host/v1?key=1", "a query", "for example"),
            ("https://host/v1#a", "a fragment", "for example"),
            ("https://", "this is not an address", "for example"),
            ("http://127.0.0.1:99999/v1", "the port must be 1 to 65535", "for example"),
            ("http://127.0.0.1:0/v1", "the port must be 1 to 65535", "for example"),
            ("http://127.0.0.1:/v1", "the port must be 1 to 65535", "for example"),
            ("http://[::1]:65536", "the port must be 1 to 65535", "for example"),
            ("https://api.openai.com/v1/chat/completions", "one endpoint", "leave `/chat/completions` out"),
            ("https://host/v1/completions/", "one endpoint", "leave `/completions` out"),
            ("https://host/v1/responses", "one endpoint", "leave `/responses` out"),
            ("https://host/v1/embeddings", "one endpoint", "leave `/embeddings` out"),
            ("https://host/v1/models", "one endpoint", "leave `/models` out"),
        ] {
            let Err(flaw) = parse_base_url(text) else { panic!("{text} is accepted") };
            assert!(flaw.what.contains(what) && flaw.hint.contains(hint), "{text}: {flaw:?}");
        }
    }

    #[test]
    fn a_vendors_host_without_its_path_is_noticed() {
        for (text, meant) in [
            ("https://api.openai.com", Some("https://api.openai.com/v1")),
            ("https://api.groq.com/", Some("https://api.groq.com/openai/v1")),
            ("https://api.openai.com/v1", None),
            ("https://api.openai.com/v2", None),
            ("http://127.0.0.1:8000", None),
            ("https://llm.example.com", None),
        ] {
            assert_eq!(parse_base_url(text).ok().and_then(|url| missing_path(&url)).as_deref(), meant, "{text}");
        }
    }

    #[test]
    fn every_builtin_address_parses() {
        for known in BUILTINS {
            assert!(
                parse_base_url(&known.base_url.replace("{region}", "eu-west-1").replace("{resource}", "mine")).is_ok(),
                "{}",
                known.name
            );
        }
    }
}
