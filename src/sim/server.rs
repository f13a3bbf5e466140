//! The loops: accept connections, read requests, play answers, notice clients that leave.
//!
//! Owns sockets and the simulator's own endpoints (`/stats`, `/faults`, `/script`, `/reset`). Refuses to know the shape
//! of answers and the choice of faults.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::act;
use super::errors;
use super::fault;
use super::http1::{self, Request, Unread, Wire};
use super::job::End;
use super::script::Script;
use super::state::{Outcome, State};

/// Pause after a failed accept (out of file descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Serves until `shutdown`; connections that are open then are dropped.
pub(super) async fn run(listener: TcpListener, state: Arc<State>, shutdown: impl Future<Output = ()>) {
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, state.clone()));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
}

async fn connection(mut stream: TcpStream, state: Arc<State>) {
    let _open = state.open();
    // A socket that refuses the option still works, only slower.
    let _ = stream.set_nodelay(true);
    let mut buf = BytesMut::new();
    loop {
        let request = match http1::read(&mut stream, &mut buf, state.options.max_body).await {
            Ok(request) => request,
            Err(Unread::Gone) => return,
            Err(Unread::Bad(status)) => {
                let body = errors::object("The request cannot be read.", "invalid_request_error", None).to_string();
                let _ = stream.write_all(&plain(status, &body)).await;
                let _ = stream.shutdown().await;
                return;
            }
        };
        let end = match control(&request, &state) {
            Some((status, body)) => stream.write_all(&plain(status, &body)).await.map_or(End::Close, |()| End::Keep),
            None => exchange(&mut stream, &mut buf, &request, &state).await,
        };
        match end {
            End::Keep if !request.last => {}
            End::Keep | End::Close => {
                let _ = stream.shutdown().await;
                return;
            }
            End::Reset => {
                let _ = stream.set_zero_linger();
                return;
            }
        }
    }
}

/// Answers one request, unless the client leaves first.
async fn exchange(stream: &mut TcpStream, buf: &mut BytesMut, request: &Request, state: &Arc<State>) -> End {
    let (mut ticket, job) = state.begin(request);
    let (mut read, write) = stream.split();
    let mut wire = Wire { write, trickle: None };
    tokio::select! {
        biased;
        played = act::perform(&mut wire, &job) => match played {
            Ok(end) => {
                ticket.outcome = if job.is_healthy() { Outcome::Answered } else { Outcome::Faulted };
                end
            }
            Err(_) => End::Close,
        },
        () = http1::gone(&mut read, buf) => End::Close,
    }
}

/// The simulator's own endpoints.
fn control(request: &Request, state: &State) -> Option<(u16, String)> {
    match (&request.method, request.path()) {
        (&Method::GET, "/stats") => Some(shown(serde_json::to_value(state.stats()))),
        (&Method::GET, "/faults") => Some(shown(fault::listing())),
        (&Method::POST, "/script") => {
            let text = String::from_utf8_lossy(&request.body);
            Some(match Script::parse(&text) {
                Ok(script) => {
                    let rules = script.rules.len();
                    state.set_script(script);
                    (200, json!({ "rules": rules }).to_string())
                }
                Err(error) => (400, errors::object(&error.to_string(), "invalid_request_error", None).to_string()),
            })
        }
        (&Method::POST, "/reset") => {
            state.reset();
            Some((200, "{}".to_owned()))
        }
        _ => None,
    }
}

fn shown(value: serde_json::Result<Value>) -> (u16, String) {
    match value {
        Ok(value) => (200, value.to_string()),
        Err(error) => (500, errors::object(&error.to_string(), "server_error", None).to_string()),
    }
}

fn plain(status: u16, body: &str) -> Vec<u8> {
    let mut out = http1::head(status, "application/json", &format!("content-length: {}", body.len()), &[]);
    out.extend(body.as_bytes());
    out
}

/// Takes a listener of the standard library into the runtime.
pub(super) fn adopt(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}
