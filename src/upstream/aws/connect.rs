//! The gateway's own connections, as AWS's crates want to be handed a client: for the few requests by which credentials
//! are got.
//!
//! Owns that translation and the bounds of such an answer. Refuses to know what is asked.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Uri, header};
use http_body_util::{BodyExt, Limited};

use crate::upstream::body::RequestBody;
use crate::upstream::client::{Clients, SendError};

/// An answer with credentials is a few hundred bytes.
const LONGEST: usize = 1 << 20;

/// Nobody who has credentials to give takes longer than this to begin or to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes connectors over the gateway's own connections.
#[derive(Debug, Clone)]
pub(super) struct Connections(pub(super) Clients);

impl HttpClient for Connections {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let connect = settings.connect_timeout().unwrap_or(PATIENCE);
        let read = settings.read_timeout().unwrap_or(PATIENCE);
        SharedHttpConnector::new(Exchange { clients: self.0.clone(), limit: connect + read })
    }
}

/// One kind of request: its limit is to connect and to read together, for the client tells them not apart.
#[derive(Debug)]
struct Exchange {
    clients: Clients,
    limit: Duration,
}

impl HttpConnector for Exchange {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (clients, limit) = (self.clients.clone(), self.limit);
        HttpConnectorFuture::new(async move {
            match tokio::time::timeout(limit, exchange(&clients, request)).await {
                Ok(answer) => answer,
                Err(_elapsed) => Err(ConnectorError::timeout("no answer in time".into())),
            }
        })
    }
}

async fn exchange(clients: &Clients, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    let (parts, body) = request.into_parts();
    let unusable = |what: &'static str| ConnectorError::user(what.into());
    let body = body.bytes().map(Bytes::copy_from_slice).ok_or_else(|| unusable("the body is a stream"))?;
    let mut address = parts.uri.into_parts();
    let path = address.path_and_query.take().unwrap_or_else(|| PathAndQuery::from_static("/"));
    let authority = address.authority.clone().ok_or_else(|| unusable("the address has no host"))?;
    let host = HeaderValue::from_str(authority.as_str()).map_err(|error| ConnectorError::user(error.into()))?;
    address.path_and_query = Some(PathAndQuery::from_static("/"));
    let server = Uri::from_parts(address).map_err(|error| ConnectorError::user(error.into()))?;
    let mut headers = parts.headers;
    headers.entry(header::HOST).or_insert(host);
    let make = || {
        let mut request = Request::new(RequestBody::new([body.clone()].into_iter().collect()));
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = Uri::from(path.clone());
        *request.headers_mut() = headers.clone();
        request
    };
    // Asked for once in many minutes: a connection is not worth keeping.
    let answer = clients.to(server).send(make, None).await.map_err(no_answer)?;
    let (parts, body) = answer.into_parts();
    let body = Limited::new(body, LONGEST).collect().await.map_err(ConnectorError::io)?.to_bytes();
    let answer = http::Response::from_parts(parts, SdkBody::from(body));
    HttpResponse::try_from(answer).map_err(|error| ConnectorError::other(error.into(), None))
}

fn no_answer(error: SendError) -> ConnectorError {
    ConnectorError::io(error.reason.into())
}
