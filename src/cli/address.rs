//! Addresses on the command line: where to listen, and where a gateway is asked.
//!
//! Owns how both are read, alike in every command and as the configuration does. Refuses to know what happens there.
//! Nothing that is given is repeated where it could hold a password.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::Uri;
use http::uri::{Authority, Scheme};

use super::environment;
use crate::config::{ConfigError, load_text};

/// The variable that says where the gateway listens.
pub(super) const LISTEN: &str = "BACKSTOP_SERVER__LISTEN";
const LISTEN_EXAMPLE: &str = "for example 127.0.0.1:8080 or [::1]:8080";
const URL_EXAMPLE: &str = "write it like http://127.0.0.1:8080";

/// An address to listen on, as `server.listen` in a file: it is asked itself, so that the two never differ.
///
/// # Errors
/// The file would refuse it, too.
pub(super) fn listen(text: &str) -> Result<SocketAddr, String> {
    let wrong = format!("this is not an address to listen on: {LISTEN_EXAMPLE}");
    let Ok(quoted) = serde_json::to_string(text) else { return Err(wrong) };
    configured(&format!("listen: {quoted},"), None).map_err(|_| wrong)
}

/// Where the gateway of this environment listens, if a variable says so.
///
/// # Errors
/// `serve` would refuse the variable, too.
pub(super) fn of_environment() -> Option<Result<SocketAddr, String>> {
    let variable = environment().find(|(name, value)| name == LISTEN && !value.is_empty())?;
    let listen = configured("", Some(variable));
    Some(listen.map_err(|_| format!("the variable {LISTEN} is not an address to listen on: {LISTEN_EXAMPLE}")))
}

/// What the configuration makes of it.
fn configured(server: &str, variable: Option<(String, String)>) -> Result<SocketAddr, ConfigError> {
    let local = "providers: { local: { base_url: 'http://127.0.0.1:1/v1' } }";
    let text = format!("{{ server: {{ {server} allow_anonymous: true }}, {local} }}");
    load_text(Some(("backstop.json5", &text)), variable).map(|config| config.server.listen)
}

/// Where to ask a gateway that listens there: on all addresses means on this host, too.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// The address of a gateway.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Base {
    /// `http` or `https`.
    pub(super) scheme: Scheme,
    /// Host and port.
    pub(super) authority: Authority,
    /// What stands before `/status`: empty, or `/…` without a slash at its end.
    pub(super) prefix: String,
}

impl Base {
    /// Reads `--url`; `/status` or `/v1` at its end and a missing `http://` are forgiven.
    ///
    /// # Errors
    /// It is no address of HTTP. The text is not repeated.
    pub(super) fn read(url: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("{what}; {URL_EXAMPLE}");
        let url = url.trim();
        let text = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let parts = text.parse::<Uri>().map_err(|_| wrong("this is no address"))?.into_parts();
        let scheme = parts.scheme.filter(|scheme| ["http", "https"].contains(&scheme.as_str()));
        let scheme = scheme.ok_or_else(|| wrong("only http and https are spoken"))?;
        let authority = parts.authority.ok_or_else(|| wrong("this is no host and port"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("a gateway asks for no user and no password"));
        }
        // What follows the host is a port, or the colon of an IPv6 address.
        let rest = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
        if authority.host().is_empty() || (!rest.is_empty() && authority.port_u16().is_none_or(|port| port == 0)) {
            return Err(wrong("this is no host and port: ports go from 1 to 65535"));
        }
        if parts.path_and_query.as_ref().is_some_and(|path| path.query().is_some()) {
            return Err(wrong("a gateway's address has no `?`"));
        }
        let path = parts.path_and_query.as_ref().map_or("", |path| path.path());
        let trimmed = path.trim_end_matches('/');
        let prefix = ["/status", "/v1"].iter().find_map(|end| trimmed.strip_suffix(end)).unwrap_or(trimmed);
        Ok(Self { scheme, authority, prefix: prefix.to_owned() })
    }

    /// Scheme, host and port.
    pub(super) fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let read = |url: &str| Base::read(url).map(|base| (base.origin(), base.prefix));
        let plain = Ok(("http://127.0.0.1:8080".to_owned(), String::new()));
        for url in ["http://127.0.0.1:8080", "127.0.0.1:8080", " http://127.0.0.1:8080/", "127.0.0.1:8080/v1/"] {
            assert_eq!(read(url), plain, "{url}");
        }
        assert_eq!(read("http://127.0.0.1:8080/status"), plain);
        assert_eq!(read("https://host.example/llm/v1"), Ok(("https://host.example".to_owned(), "/llm".to_owned())));
        assert_eq!(read("[::1]:1/llm"), Ok(("http://[::1]:1".to_owned(), "/llm".to_owned())));
        assert!(read("http://[::1]").is_ok() && read("localhost").is_ok());
        for url in [
            "",
            "ftp://host",
            "http://user:CANARY@host",
            "CANARY@host:1",
            "two words",
            "http://",
            "http://x?a=",
            "host:",
            "host:0",
            "127.0.0.1:99999",
            "http://[::1]:65536",
            "host:port",
        ] {
            let error = read(url).unwrap_err();
            assert!(error.contains("http://127.0.0.1:8080") && !error.contains("CANARY"), "{url}: {error}");
        }
    }

    #[test]
    fn what_a_file_takes_to_listen_on_is_taken() {
        for (text, address) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("localhost:8080", "127.0.0.1:8080"),
            ("[::1]:8080", "[::1]:8080"),
            ("0.0.0.0:0", "0.0.0.0:0"),
        ] {
            assert_eq!(listen(text).unwrap().to_string(), address);
        }
        for text in ["nowhere", "", "127.0.0.1:65536", "${HOME}", "\"127.0.0.1:1\", max_body: \"1\""] {
            let error = listen(text).unwrap_err();
            assert!(error.contains("127.0.0.1:8080") && error.contains("[::1]:8080"), "{error}");
        }
    }

    #[test]
    fn what_listens_everywhere_is_asked_at_loopback() {
        let ask = |listen: &str| reachable(listen.parse().unwrap()).to_string();
        assert_eq!(ask("0.0.0.0:8080"), "127.0.0.1:8080");
        assert_eq!(ask("[::]:8080"), "[::1]:8080");
        assert_eq!(ask("10.0.0.7:81"), "10.0.0.7:81");
    }
}
