//! Connections to one upstream host: DNS, TCP and TLS within one limit, TCP_NODELAY.
//!
//! Owns the socket. Refuses to know requests.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::ServiceExt;

/// An open connection.
pub type Socket = MaybeHttpsStream<TokioIo<TcpStream>>;

/// The limit was reached.
#[derive(Debug)]
pub struct TooLate;

impl fmt::Display for TooLate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no connection within the connect limit")
    }
}

impl Error for TooLate {}

/// Opens connections within a limit.
#[derive(Debug, Clone)]
pub struct Connector {
    inner: HttpsConnector<HttpConnector>,
    limit: Duration,
}

impl Connector {
    /// A connector with rustls' verification always on.
    #[must_use]
    pub fn new(tls: rustls::ClientConfig, limit: Duration) -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_keepalive(Some(Duration::from_secs(60)));
        let builder = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls);
        Self { inner: builder.https_or_http().enable_http1().wrap_connector(http), limit }
    }

    /// Connects to the host of `uri`.
    ///
    /// # Errors
    /// No such host, nobody there, a certificate that is not trusted, or not within the limit: its own, or this one.
    pub async fn connect(&self, uri: &Uri, limit: Option<Duration>) -> Result<Socket, Box<dyn Error + Send + Sync>> {
        let connecting = self.inner.clone().oneshot(uri.clone());
        tokio::time::timeout(limit.unwrap_or(self.limit), connecting).await.map_err(|_elapsed| TooLate)?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn small_writes_are_not_held_back() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri: Uri = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let tls = tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
        let socket = Connector::new(tls, Duration::from_secs(10)).connect(&uri, None).await.unwrap();
        let MaybeHttpsStream::Http(tcp) = &socket else { panic!("no TLS was asked for") };
        assert!(tcp.inner().nodelay().unwrap());
    }
}
