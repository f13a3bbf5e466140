//! A fixed load over keep-alive connections. Every answer is compared with what the mock sends.
//!
//! Owns the requests, their order and the comparison. Refuses to measure: the gate counts what the proxy did.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::mock::Lockstep;
use crate::args::Error;
use crate::wire;

/// One kind of request, so many times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase {
    /// `None` is a plain request; else a stream of so many content events.
    pub contents: Option<usize>,
    /// How many requests each connection makes.
    pub requests: usize,
}

impl Phase {
    /// From `plain:REQUESTS` or `stream:CONTENTS:REQUESTS`.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(word: &str) -> Result<Self, Error> {
        let wrong = || format!("{word:?} is neither plain:REQUESTS nor stream:CONTENTS:REQUESTS");
        let parts: Vec<&str> = word.split(':').collect();
        let (contents, requests) = match parts[..] {
            ["plain", requests] => (None, requests),
            ["stream", contents, requests] => (Some(contents.parse().map_err(|_| wrong())?), requests),
            _ => return Err(wrong().into()),
        };
        Ok(Self { contents, requests: requests.parse().map_err(|_| wrong())? })
    }
}

/// What is sent, and to whom.
#[derive(Debug)]
pub struct Plan {
    /// `host:port` of the proxy.
    pub authority: String,
    /// The phases, in order.
    pub phases: Vec<Phase>,
    /// The length of each user message, in bytes.
    pub body_bytes: usize,
    /// Told of every event that arrived.
    pub lockstep: Option<Arc<Lockstep>>,
}

/// Runs all phases over one connection.
///
/// # Errors
/// A connection that breaks, or the first answer that is not what the mock sends.
pub async fn run(plan: Arc<Plan>) -> Result<(), Error> {
    let socket = TcpStream::connect(&plan.authority).await?;
    socket.set_nodelay(true)?;
    let (mut sender, connection) = handshake(TokioIo::new(socket)).await?;
    // Its error shows up at the request that it breaks.
    tokio::spawn(connection);
    for phase in &plan.phases {
        let body = wire::request(plan.body_bytes, phase.contents);
        for number in 0..phase.requests {
            exchange(&plan, &mut sender, phase, body.clone())
                .await
                .map_err(|error| format!("request {number} of {phase:?}: {error}"))?;
        }
    }
    Ok(())
}

async fn exchange(plan: &Plan, sender: &mut SendRequest<Full<Bytes>>, phase: &Phase, body: Bytes) -> Result<(), Error> {
    let request = Request::post(wire::PATH)
        .header(HOST, &plan.authority)
        .header(AUTHORIZATION, "Bearer client-key")
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, "load/1")
        .body(Full::new(body))?;
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    if response.status() != StatusCode::OK {
        let status = response.status();
        let text = response.into_body().collect().await?.to_bytes();
        return Err(format!("status {status}: {}", String::from_utf8_lossy(&text)).into());
    }
    match phase.contents {
        None => whole(response).await,
        Some(contents) => events(plan, response, contents).await,
    }
}

async fn whole(response: Response<Incoming>) -> Result<(), Error> {
    let got = response.into_body().collect().await?.to_bytes();
    Ok(wire::same(&got, &wire::plain_answer())?)
}

async fn events(plan: &Plan, response: Response<Incoming>, contents: usize) -> Result<(), Error> {
    let expected = wire::stream_events(contents);
    let mut body = response.into_body();
    let mut got = BytesMut::new();
    let (mut deliveries, mut arrived, mut length) = (0, 0, 0);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        got.extend_from_slice(&data);
        deliveries += 1;
        while expected.get(arrived).is_some_and(|event| length + event.len() <= got.len()) {
            length += expected[arrived].len();
            arrived += 1;
            // The mock does not wait for the role to be seen.
            if let Some(lockstep) = plan.lockstep.as_ref().filter(|_| arrived > 1) {
                lockstep.seen();
            }
        }
    }
    wire::same(&got, &expected.concat())?;
    // The commit gate may hold the role and release it with the first content.
    if plan.lockstep.is_some() && deliveries + 1 < expected.len() {
        return Err(format!("{} events came in {deliveries} pieces", expected.len()).into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Phase;

    #[test]
    fn phases_are_read_and_nonsense_is_refused() {
        assert_eq!(Phase::parse("plain:20").unwrap(), Phase { contents: None, requests: 20 });
        assert_eq!(Phase::parse("stream:64:10").unwrap(), Phase { contents: Some(64), requests: 10 });
        for word in ["plain", "plain:x", "stream:64", "stream:a:1", "stream:1:2:3", ""] {
            assert!(Phase::parse(word).is_err(), "{word}");
        }
    }
}
