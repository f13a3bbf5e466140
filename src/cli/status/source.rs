//! Asks a gateway for its `/status`, over the gateway's own client: the same TLS, the same certificates.
//!
//! Owns addresses and what is said when nobody answers. Refuses to know what a status holds.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Uri, header};

use crate::dialect::openai_chat::request::Segments;
use crate::stream::gate::{Collected, whole};
use crate::upstream::body::RequestBody;
use crate::upstream::{Client, ClientSettings, Clients};

/// A status must be whole within this.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest status that is read, in bytes.
const LONGEST: usize = 16 << 20;

/// One gateway.
pub(super) struct Source {
    /// As people write it.
    pub(super) url: String,
    client: Client,
    path: Uri,
    host: HeaderValue,
}

impl Source {
    /// The gateway at `url`; `/status` or `/v1` at its end and a missing `http://` are forgiven.
    ///
    /// # Errors
    /// It is no address of HTTP.
    pub(super) fn new(url: &str) -> Result<Self, String> {
        const EXAMPLE: &str = "write it like http://127.0.0.1:8080";
        let text = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let wrong = |_| format!("this is no address; {EXAMPLE}");
        let parts = text.parse::<Uri>().map_err(wrong)?.into_parts();
        let scheme = parts.scheme.filter(|scheme| ["http", "https"].contains(&scheme.as_str()));
        let scheme = scheme.ok_or_else(|| format!("only http and https are spoken; {EXAMPLE}"))?;
        let authority = parts.authority.filter(|authority| !authority.as_str().contains('@'));
        let authority = authority.ok_or_else(|| format!("this is no host and port; {EXAMPLE}"))?;
        let path = parts.path_and_query.as_ref().map_or("", |path| path.path());
        let trimmed = path.trim_end_matches('/');
        let prefix = ["/status", "/v1"].iter().find_map(|end| trimmed.strip_suffix(end)).unwrap_or(trimmed);
        let origin = format!("{scheme}://{authority}");
        let clients = Clients::new(&ClientSettings { connect_timeout: PATIENCE, ..ClientSettings::default() });
        Ok(Self {
            url: format!("{origin}{prefix}"),
            client: clients.map_err(|error| error.to_string())?.to(origin.parse().map_err(wrong)?),
            path: format!("{prefix}/status").parse().map_err(wrong)?,
            host: HeaderValue::from_str(authority.as_str()).map_err(|error| error.to_string())?,
        })
    }

    /// What the gateway says.
    ///
    /// # Errors
    /// Why there is nothing, and what to do about it.
    pub(super) async fn ask(&self) -> Result<Bytes, String> {
        match tokio::time::timeout(PATIENCE, self.answer()).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(self.silent(&format!("nothing within {} s", PATIENCE.as_secs()))),
        }
    }

    async fn answer(&self) -> Result<Bytes, String> {
        let response = self.client.send(|| self.request()).await.map_err(|error| self.silent(&error.reason))?;
        if response.status() != StatusCode::OK {
            return Err(self.stranger(&format!("GET {} brought {}", self.path, response.status())));
        }
        match whole(response.into_body(), LONGEST).await {
            Ok(Collected::Whole(body)) => Ok(body),
            Ok(Collected::Long(_)) => Err(self.stranger("its status has no end")),
            Err(error) => Err(self.silent(&error.to_string())),
        }
    }

    fn request(&self) -> Request<RequestBody> {
        let mut request = Request::new(RequestBody::new(Segments::new()));
        *request.uri_mut() = self.path.clone();
        request.headers_mut().insert(header::HOST, self.host.clone());
        request
    }

    fn silent(&self, why: &str) -> String {
        format!(
            "{} does not answer ({why}).\nIs the gateway running? `backstop serve` starts it; --url names another address.",
            self.url
        )
    }

    /// For who answers, but not like a gateway.
    pub(super) fn stranger(&self, why: &str) -> String {
        format!("{} answers, but not like a Backstop: {why}.\nGive the gateway's own address with --url.", self.url)
    }
}

/// The address to ask a gateway at that listens on `listen`: on all addresses means on this host, too.
pub(super) fn url_of(listen: &str) -> String {
    match listen.parse::<SocketAddr>() {
        Ok(listen) if listen.ip().is_unspecified() && listen.is_ipv4() => format!("http://127.0.0.1:{}", listen.port()),
        Ok(listen) if listen.ip().is_unspecified() => format!("http://[::1]:{}", listen.port()),
        Ok(_) | Err(_) => format!("http://{listen}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let read = |url: &str| Source::new(url).map(|source| (source.url, source.path.to_string()));
        let plain = Ok(("http://127.0.0.1:8080".to_owned(), "/status".to_owned()));
        for url in ["http://127.0.0.1:8080", "127.0.0.1:8080", "http://127.0.0.1:8080/", "127.0.0.1:8080/v1/"] {
            assert_eq!(read(url), plain, "{url}");
        }
        assert_eq!(read("http://127.0.0.1:8080/status"), plain);
        let below = Ok(("https://host.example/llm".to_owned(), "/llm/status".to_owned()));
        assert_eq!(read("https://host.example/llm/v1"), below);
        for url in ["", "ftp://host", "http://user:word@host", "two words"] {
            assert!(read(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_gateway_that_listens_everywhere_is_asked_here() {
        assert_eq!(url_of("0.0.0.0:9000"), "http://127.0.0.1:9000");
        assert_eq!(url_of("[::]:9000"), "http://[::1]:9000");
        assert_eq!(url_of("127.0.0.1:8080"), "http://127.0.0.1:8080");
    }
}
