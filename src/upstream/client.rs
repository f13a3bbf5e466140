//! The HTTP client of the data path.
//!
//! Owns the pool and its settings: HTTP/1.1, rustls with verification always on, no redirects, no proxies
//! from the environment, no retries but one: a request that broke on a reused connection is sent again
//! once on a fresh one and counts as nothing (contract section 1).

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::body::RequestBody;
use super::connector::{Connector, Used};

/// How connections are made and kept.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// DNS, TCP and TLS together.
    pub connect_timeout: Duration,
    /// An unused connection is closed after this.
    pub pool_idle_timeout: Duration,
    /// One more certificate authority to trust (PEM), beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Headers that an upstream's answer may have.
    pub max_headers: usize,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            pool_idle_timeout: Duration::from_secs(90),
            ca_file: None,
            max_headers: 100,
        }
    }
}

/// Why the client cannot be made.
#[derive(Debug)]
pub struct ClientError(String);

impl std::fmt::Display for ClientError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ClientError {}

/// Why an exchange brought no HTTP answer.
#[derive(Debug)]
pub struct SendError {
    /// The connection could not be made.
    pub connecting: bool,
    /// In words, for the log.
    pub reason: String,
}

type Pool = legacy::Client<Connector, RequestBody>;

/// Sends requests over pooled connections.
#[derive(Debug, Clone)]
pub struct Client {
    pooled: Pool,
    /// Never reuses a connection.
    fresh: Pool,
}

impl Client {
    /// Makes a client.
    ///
    /// # Errors
    /// The certificate file cannot be read, or TLS cannot be set up.
    pub fn new(settings: &ClientSettings) -> Result<Self, ClientError> {
        let connector = Connector::new(tls(settings)?, settings.connect_timeout);
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(settings.pool_idle_timeout)
            .http1_max_headers(settings.max_headers)
            .set_host(true);
        let pooled = builder.build(connector.clone());
        let fresh = builder.pool_max_idle_per_host(0).build(connector);
        Ok(Self { pooled, fresh })
    }

    /// Sends a request; `make` makes it (again, if it has to be sent twice).
    ///
    /// # Errors
    /// No HTTP answer came.
    pub async fn send(&self, make: impl Fn() -> Request<RequestBody>) -> Result<Response<Incoming>, SendError> {
        let error = match self.pooled.request(make()).await {
            Ok(response) => {
                if let Some(used) = response.extensions().get::<Used>() {
                    used.set();
                }
                return Ok(response);
            }
            Err(error) => error,
        };
        if !was_stale(&error) {
            return Err(send_error(&error));
        }
        self.fresh.request(make()).await.map_err(|error| send_error(&error))
    }
}

/// Whether the connection had carried an answer before it broke: the request then says nothing of the upstream.
fn was_stale(error: &legacy::Error) -> bool {
    let mut extensions = http::Extensions::new();
    if let Some(connected) = error.connect_info() {
        connected.get_extras(&mut extensions);
    }
    extensions.get::<Used>().is_some_and(Used::get) && !is_garbage(error)
}

/// Something came back, but not HTTP: sending it again would not help.
fn is_garbage(error: &legacy::Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<hyper::Error>());
    source.is_some_and(hyper::Error::is_parse)
}

fn send_error(error: &legacy::Error) -> SendError {
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        reason.push_str(": ");
        reason.push_str(&cause.to_string());
        source = cause.source();
    }
    SendError { connecting: error.is_connect(), reason }
}

/// The system's certificates. Reading them takes longer than all the rest of the start: once is enough.
fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let read = || {
        let mut roots = RootCertStore::empty();
        // Single broken certificates in the system's store are no reason not to start.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    };
    Arc::clone(ROOTS.get_or_init(read))
}

fn tls(settings: &ClientSettings) -> Result<rustls::ClientConfig, ClientError> {
    let mut roots = system_roots();
    if let Some(path) = &settings.ca_file {
        let roots = Arc::make_mut(&mut roots);
        let fail = |error: &dyn std::fmt::Display| ClientError(format!("ca_file {}: {error}", path.display()));
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| fail(&error))? {
            let certificate = certificate.map_err(|error| fail(&error))?;
            roots.add(certificate).map_err(|error| fail(&error))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError(format!("TLS: {error}")))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
