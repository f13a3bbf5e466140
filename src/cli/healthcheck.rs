//! `backstop healthcheck`.
//!
//! One GET on a connection of its own. The gateway has no TLS towards clients, so there is none here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::terminal::{Tone, say};
use super::{EXIT_USAGE, environment, fail};
use crate::config::{Server, load};

/// The longest that it may take altogether.
const LIMIT: Duration = Duration::from_secs(3);
/// The most of an answer's body that is repeated.
const MOST: usize = 4 << 10;

pub(super) fn run(url: Option<&str>, ready: bool, config: Option<&Path>) -> ExitCode {
    let base = match url.map_or_else(|| listening(config), |url| Ok(url.to_owned())) {
        Ok(base) => base,
        // Docker knows 0 and 1 only.
        Err(problem) => return fail(1, problem),
    };
    let path = if ready { "/readyz" } else { "/livez" };
    let url = match address(&base, path) {
        Ok(url) => url,
        Err(problem) => return fail(EXIT_USAGE, problem),
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

/// Where the gateway of this environment listens.
fn listening(config: Option<&Path>) -> Result<String, String> {
    let variable = |wanted: &str| environment().find(|(name, value)| name == wanted && !value.is_empty());
    let listen = if let Some((name, text)) = variable("BACKSTOP_SERVER__LISTEN") {
        let parsed = text.trim().replace("localhost:", "127.0.0.1:").parse();
        parsed.map_err(|_| format!("{name} is not an address: for example 127.0.0.1:8080"))?
    } else if config.is_some() || variable("BACKSTOP_CONFIG").is_some() {
        load(config, environment()).map_err(|error| error.to_string())?.server.listen
    } else {
        Server::default().listen
    };
    Ok(format!("http://{}", reachable(listen)))
}

/// An address that all interfaces listen on is asked at loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// The URL of `path` at a base address.
fn address(base: &str, path: &str) -> Result<Uri, String> {
    let wrong = |what: &str| format!("--url {what}: for example http://127.0.0.1:8080");
    let base = base.trim().trim_end_matches('/');
    let url = format!("{base}{path}").parse::<Uri>().map_err(|_| wrong("is not an address"))?;
    match url.scheme_str() {
        Some("http") if url.query().is_none() && !url.authority().is_some_and(|at| at.as_str().contains('@')) => {
            Ok(url)
        }
        Some("https") => Err(wrong("must begin with http://, for the gateway itself has no TLS")),
        Some("http") => Err(wrong("must be a host and a port")),
        _ => Err(wrong("must begin with http://")),
    }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_listens_everywhere_is_asked_at_loopback() {
        let ask = |listen: &str| reachable(listen.parse().unwrap()).to_string();
        assert_eq!(ask("0.0.0.0:8080"), "127.0.0.1:8080");
        assert_eq!(ask("[::]:8080"), "[::1]:8080");
        assert_eq!(ask("10.0.0.7:81"), "10.0.0.7:81");
    }

    #[test]
    fn a_base_address_is_completed() {
        let at = |base: &str| address(base, "/livez").map(|url| url.to_string());
        assert_eq!(at("http://localhost:1/").unwrap(), "http://localhost:1/livez");
        assert_eq!(at("http://[::1]:1/prefix").unwrap(), "http://[::1]:1/prefix/livez");
        for wrong in ["", "127.0.0.1:8080", "https://x", "ftp://x", "http://u:p@x", "http://x?a=", "http://"] {
            assert!(at(wrong).is_err(), "{wrong}");
        }
    }
}
