//! Asks a gateway for its `/status`, over the gateway's own client: the same TLS, the same certificates.
//!
//! Owns what is said when nobody answers. Refuses to know what a status holds.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Uri, header};

use super::super::address::Base;
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
    /// The gateway at this address.
    ///
    /// # Errors
    /// There is no TLS on this system, or no request can be made of the address.
    pub(super) fn new(base: &Base) -> Result<Self, String> {
        let (origin, prefix) = (base.origin(), &base.prefix);
        let wrong = |error: http::uri::InvalidUri| error.to_string();
        let clients = Clients::new(&ClientSettings { connect_timeout: PATIENCE, ..ClientSettings::default() });
        Ok(Self {
            url: format!("{origin}{prefix}"),
            client: clients.map_err(|error| error.to_string())?.to(origin.parse().map_err(wrong)?),
            path: format!("{prefix}/status").parse().map_err(wrong)?,
            host: HeaderValue::from_str(base.authority.as_str()).map_err(|error| error.to_string())?,
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
        let response = self.client.send(|| self.request(), None).await.map_err(|error| self.silent(&error.reason))?;
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
