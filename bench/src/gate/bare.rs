//! `backstop-bench bare --listen ADDR --upstream URL`: the least a proxy of this kind can do, and so the floor of the cost gate.
//!
//! hyper's HTTP/1 server, hyper-util's pooled client, TCP_NODELAY on both sides. The body is read whole, `model` is
//! parsed, the authorization is replaced and the answer streams through. No choice, no memory, no metrics.

use std::borrow::Cow;
use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;

use crate::args::{Args, Error};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

struct Proxy {
    client: Client<HttpConnector, Full<Bytes>>,
    upstream: Uri,
    authorization: HeaderValue,
}

#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(borrow)]
    model: Cow<'a, str>,
}

type Answer = Response<Either<Incoming, Full<Bytes>>>;

/// Proxies until it is told to end.
///
/// # Errors
/// It cannot listen, or a connection cannot be accepted.
pub async fn run(args: &Args) -> Result<ExitCode, Error> {
    args.only(&["listen", "upstream"])?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let proxy = Arc::new(Proxy {
        client: Client::builder(TokioExecutor::new()).build(connector),
        upstream: args.required("upstream")?.parse()?,
        authorization: HeaderValue::from_static("Bearer k-1"),
    });
    let mut terminate = signal(SignalKind::terminate())?;
    let listener = TcpListener::bind(args.required("listen")?).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        tokio::select! {
            // Returning from main lets valgrind write its counts.
            _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
            accepted = listener.accept() => serve(Arc::clone(&proxy), accepted?.0)?,
        }
    }
}

fn serve(proxy: Arc<Proxy>, socket: TcpStream) -> Result<(), Error> {
    socket.set_nodelay(true)?;
    let service = service_fn(move |request| {
        let proxy = Arc::clone(&proxy);
        async move { Ok::<_, Infallible>(proxy.answer(request).await.unwrap_or_else(|_| empty(StatusCode::BAD_GATEWAY))) }
    });
    // A client that goes away ends its connection: nothing to tell anyone.
    tokio::spawn(async move {
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
    });
    Ok(())
}

fn empty(status: StatusCode) -> Answer {
    let mut response = Response::new(Either::Right(Full::default()));
    *response.status_mut() = status;
    response
}

impl Proxy {
    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Error> {
        if request.uri().path() == "/livez" {
            return Ok(empty(StatusCode::OK));
        }
        let body = request.into_body().collect().await?.to_bytes();
        if !serde_json::from_slice::<Asked<'_>>(&body).is_ok_and(|asked| !asked.model.is_empty()) {
            return Ok(empty(StatusCode::BAD_REQUEST));
        }
        let forwarded = Request::post(self.upstream.clone())
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        Ok(self.client.request(forwarded).await?.map(Either::Left))
    }
}
