//! The HTTP client of the data path, for one host.
//!
//! Owns how a request is sent: HTTP/1.1, rustls with verification always on, no redirects, no proxies
//! from the environment, no retries but one: a request that broke on a reused connection is sent again
//! once on a fresh one and counts as nothing (contract section 1).

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::body::RequestBody;
use super::connector::{Connector, TooLate};
use super::link::Link;
use super::pool::{AnswerBody, Pool};

/// How connections are made and kept.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// DNS, TCP and TLS together.
    pub connect_timeout: Duration,
    /// An unused connection is closed after this.
    pub pool_idle_timeout: Duration,
    /// So many unused connections are kept for each host.
    pub pool_max_idle: usize,
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
            pool_max_idle: 128,
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
    /// … within its limit.
    pub too_late: bool,
    /// In words, for the log.
    pub reason: String,
}

/// Makes clients that share their settings.
#[derive(Debug, Clone)]
pub struct Clients {
    connector: Connector,
    keep: (usize, Duration),
    max_headers: usize,
}

impl Clients {
    /// Reads certificates and sets up TLS.
    ///
    /// # Errors
    /// The certificate file cannot be read, or TLS cannot be set up.
    pub fn new(settings: &ClientSettings) -> Result<Self, ClientError> {
        let connector = Connector::new(tls(settings)?, settings.connect_timeout);
        Ok(Self {
            connector,
            keep: (settings.pool_max_idle, settings.pool_idle_timeout),
            max_headers: settings.max_headers,
        })
    }

    /// A client for the scheme and authority of `host`, with connections of its own.
    #[must_use]
    pub fn to(&self, host: Uri) -> Client {
        let mut http = http1::Builder::new();
        // Up to hyper's own limit the headers are parsed on the stack.
        if self.max_headers != 100 {
            http.max_headers(self.max_headers);
        }
        let (most, keep) = self.keep;
        Client(Arc::new(Inner { host, connector: self.connector.clone(), http, pool: Arc::new(Pool::new(most, keep)) }))
    }
}

#[derive(Debug)]
struct Inner {
    host: Uri,
    connector: Connector,
    http: http1::Builder,
    pool: Arc<Pool>,
}

/// Sends requests to one host over pooled connections.
#[derive(Debug, Clone)]
pub struct Client(Arc<Inner>);

impl Client {
    /// Sends a request; `make` makes it (again, if it has to be sent twice). Its address is a path, and it says its
    /// host itself. A new connection must be there within `connect`, or within the client's own limit.
    ///
    /// # Errors
    /// No HTTP answer came.
    pub async fn send(
        &self,
        make: impl Fn() -> Request<RequestBody>,
        connect: Option<Duration>,
    ) -> Result<Response<AnswerBody>, SendError> {
        if let Some(mut link) = self.0.pool.take() {
            match link.exchange(make()).await {
                Ok(response) => return Ok(self.answer(response, link)),
                // The connection broke, which says nothing of the upstream; garbage would come again.
                Err(error) if error.is_parse() => return Err(send_error(false, &error)),
                Err(_stale) => {}
            }
        }
        // Boxed: most requests need no new connection, and should not keep room for one.
        let mut link = Box::pin(self.connect(connect)).await?;
        match link.exchange(make()).await {
            Ok(response) => Ok(self.answer(response, link)),
            Err(error) => Err(send_error(false, &error)),
        }
    }

    /// Closes connections that were unused for too long, or that the other side has closed.
    pub fn sweep(&self) {
        self.0.pool.sweep();
    }

    /// Only connects, to hear in words why that fails.
    ///
    /// # Errors
    /// No connection could be made.
    pub async fn reach(&self) -> Result<(), SendError> {
        self.connect(None).await.map(drop)
    }

    fn answer(&self, response: Response<Incoming>, link: Box<Link>) -> Response<AnswerBody> {
        response.map(|body| AnswerBody::new(body, link, &self.0.pool))
    }

    async fn connect(&self, limit: Option<Duration>) -> Result<Box<Link>, SendError> {
        let connecting = self.0.connector.connect(&self.0.host, limit);
        let socket = connecting
            .await
            .map_err(|error| SendError { too_late: error.is::<TooLate>(), ..send_error(true, &*error) })?;
        let (sender, connection) = self.0.http.handshake(socket).await.map_err(|error| send_error(true, &error))?;
        Ok(Box::new(Link::new(sender, connection)))
    }
}

fn send_error(connecting: bool, error: &(dyn std::error::Error + 'static)) -> SendError {
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        reason.push_str(": ");
        reason.push_str(&cause.to_string());
        source = cause.source();
    }
    SendError { connecting, too_late: false, reason }
}

/// The system's certificates. Reading them takes longer than all the rest of the start: once is enough.
fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let read = || {
        let mut roots = RootCertStore::empty();
        // Single broken certificates in the system's store are no reason not to start.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            tracing::warn!("this system has no certificates: no https provider can be asked; install ca-certificates");
        }
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
