//! `backstop-bench hold --url http://HOST:PORT --upstream http://HOST:PORT --streams N [--model NAME]`
//!
//! Opens so many streams, each to its first content, and prints `open`. At a line on standard input it lets the upstream
//! go on, reads and compares all of them, and prints one JSON line.
//!
//! Owns the two halves. Refuses to know whose memory is looked at in between.

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;

use serde::Serialize;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::{LocalSet, spawn_local};

use super::check::Check;
use super::client::{Client, Order};
use super::http::Wire;
use crate::args::{Args, Error};
use crate::limit::raise_descriptors;
use crate::wire;

/// So many connect at once: no queue of a server overflows.
const CONNECTING: usize = 128;
const CONTENTS: usize = 16;

#[derive(Debug, Default, Serialize)]
struct Report {
    streams: usize,
    failures: usize,
    first_failure: Option<String>,
}

impl Report {
    fn count(&mut self, result: Result<(), String>) {
        match result {
            Ok(()) => self.streams += 1,
            Err(words) => {
                self.failures += 1;
                self.first_failure.get_or_insert(words);
            }
        }
    }
}

/// Holds.
///
/// # Errors
/// A wrong option, too few descriptors, or an upstream that does not let go.
pub async fn run(args: &Args) -> Result<ExitCode, Error> {
    args.only(&["url", "upstream", "streams", "model"])?;
    let plain = |name| -> Result<String, Error> {
        let url = args.required(name)?.strip_prefix("http://").ok_or(format!("--{name} must begin with http://"))?;
        Ok(url.trim_end_matches('/').to_owned())
    };
    let (authority, upstream) = (plain("url")?, plain("upstream")?);
    let streams = args.number("streams", 1000)?;
    raise_descriptors(streams as u64)?;
    let body = wire::request_for(args.get("model").unwrap_or(wire::MODEL), 1024, Some(CONTENTS), Some("hold"));
    let order = Rc::new(Order::new(&authority, wire::PATH, (&[], &body), Check::new(Some(CONTENTS), false), true));
    let report = LocalSet::new().run_until(hold(order, upstream, streams)).await?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(ExitCode::SUCCESS)
}

async fn hold(order: Rc<Order>, upstream: String, streams: usize) -> Result<Report, Error> {
    let report = Rc::new(RefCell::new(Report::default()));
    let connecting = Rc::new(Semaphore::new(CONNECTING));
    let (release, released) = watch::channel(false);
    let mut open = tokio::task::JoinSet::new();
    let mut ended = Vec::new();
    for _ in 0..streams {
        let (order, report) = (Rc::clone(&order), Rc::clone(&report));
        let (connecting, mut released) = (Rc::clone(&connecting), released.clone());
        let (opened, is_open) = tokio::sync::oneshot::channel();
        ended.push(spawn_local(async move {
            let mut client = Client::default();
            let turn = connecting.acquire().await;
            let begun = match client.begin(&order).await {
                Ok(mut begun) => client.read_content(&mut begun).await.map(|()| begun),
                Err(words) => Err(words),
            };
            drop((turn, opened));
            let result = match begun {
                Err(words) => Err(words),
                Ok(begun) => {
                    let _sender_lives = released.wait_for(|released| *released).await;
                    client.finish(begun, &order).await.map(drop)
                }
            };
            report.borrow_mut().count(result);
        }));
        // Dropped when the stream is open, or has failed.
        open.spawn_local(async move { drop(is_open.await as Result<(), _>) });
    }
    while open.join_next().await.is_some() {}
    println!("open");
    // Whatever comes, or its end: whoever started this wants it to go on.
    let _read = tokio::io::stdin().read(&mut [0; 64]).await?;
    release.send_replace(true);
    let mut wire = Wire::new(TcpStream::connect(&upstream).await?)?;
    wire.write(b"POST /release HTTP/1.1\r\nhost: bench\r\ncontent-length: 0\r\n\r\n").await?;
    let status = wire.answer().await?.status;
    if status != 204 {
        return Err(format!("the upstream answered {status} to /release").into());
    }
    for client in ended {
        client.await?;
    }
    Ok(report.take())
}
