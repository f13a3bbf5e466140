//! `backstop healthcheck`.
//!
//! One GET on a connection of its own. The gateway has no TLS towards clients, so there is none here.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use http::uri::Scheme;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::address::{self, Base};
use super::terminal::{Tone, say};
use super::{EXIT_USAGE, environment, fail};
use crate::config::{Server, load};

/// The longest that it may take altogether.
const LIMIT: Duration = Duration::from_secs(3);
/// The most of an answer's body that is repeated.
const MOST: usize = 4 << 10;

pub(super) fn run(url: Option<&str>, ready: bool, config: Option<&Path>) -> ExitCode {
    let base = match url {
        Some(url) => match given(url) {
            Ok(base) => base,
            Err(problem) => return fail(EXIT_USAGE, format_args!("--url: {problem}")),
        },
        None => match listening(config) {
            Ok(base) => base,
            // Docker knows 0 and 1 only.
            Err(problem) => return fail(1, problem),
        },
    };
    let path = if ready { "/readyz" } else { "/livez" };
    let url = match format!("{}{}{path}", base.origin(), base.prefix).parse::<Uri>() {
        Ok(url) => url,
        Err(error) => return fail(EXIT_USAGE, format_args!("--url: {error}")),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, format_args!("cannot start the runtime: {error}")),
    };
    let asked = runtime.block_on(async { tokio::time::timeout(LIMIT, ask(&url)).await });
    match asked {
        Ok(Ok((status, text))) if status.is_success() => {
            say(format_args!("{} {url} {}", Tone::Good.paint("ok"), Tone::Dim.paint(text)));
            ExitCode::SUCCESS
        }
        Ok(Ok((status, text))) => fail(1, format_args!("{url} answered {status} {text}")),
        Ok(Err(error)) => fail(1, format_args!("{url}: {error}; does it run there? --url asks elsewhere")),
        Err(_elapsed) => fail(1, format_args!("{url}: no answer within {} s", LIMIT.as_secs())),
    }
}

/// The gateway of `--url`.
fn given(url: &str) -> Result<Base, String> {
    let base = Base::read(url)?;
    if base.scheme != Scheme::HTTP {
        return Err("the gateway itself has no TLS; write it like http://127.0.0.1:8080".to_owned());
    }
    Ok(base)
}

/// Where the gateway of this environment listens.
fn listening(config: Option<&Path>) -> Result<Base, String> {
    let asks_for_file = || environment().any(|(name, value)| name == "BACKSTOP_CONFIG" && !value.is_empty());
    let listen = if let Some(listen) = address::of_environment() {
        listen?
    } else if config.is_some() || asks_for_file() {
        load(config, environment()).map_err(|error| error.to_string())?.server.listen
    } else {
        Server::default().listen
    };
    Base::read(&address::reachable(listen).to_string())
}

async fn ask(url: &Uri) -> Result<(StatusCode, String), Box<dyn std::error::Error>> {
    let host = url.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, url.port_u16().unwrap_or(80))).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let request = Request::get(url.path()).header(header::HOST, authority).body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MOST).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    connection.abort();
    // One line, whatever it is that answered.
    let text: String = String::from_utf8_lossy(&body).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Ok((status, text.trim().to_owned()))
}
