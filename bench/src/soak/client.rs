//! The clients: each asks for one story after the other and reads it to its end.
//!
//! Owns the connections and the judgement of each answer. Refuses to know the gateway's process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::args::Error;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::complaints::Complaints;
use super::options::Recovery;
use super::reading::{Ended, Reading};
use super::shapes;
use super::story::{Order, length};
use super::upstream::Upstream;

/// After a failure, so that a gateway that is down is not asked in a loop.
const REST: Duration = Duration::from_secs(1);

/// The longest silence that a client bears.
const PATIENCE: Duration = Duration::from_secs(120);

/// What all clients of all rounds share.
#[derive(Debug)]
pub struct Clients {
    /// The gateway's `host:port`.
    pub authority: String,
    /// What is expected of a story that was cut.
    pub recovery: Recovery,
    /// Knows which ones were.
    pub upstream: Arc<Upstream>,
    /// Where failures go.
    pub complaints: Arc<Complaints>,
    /// What came.
    pub seen: Seen,
}

/// What the clients have seen.
#[derive(Debug, Default)]
pub struct Seen {
    numbers: AtomicU64,
    /// Streams that were whole.
    pub whole: AtomicU64,
    /// Streams that ended with an error event, as they should.
    pub broken: AtomicU64,
    /// Streams that the upstream cut before their first content, and that were whole.
    pub hidden: AtomicU64,
    /// Streams that the upstream cut after some content, and that were whole.
    pub recovered: AtomicU64,
    /// Streams that were not as they should be.
    pub failed: AtomicU64,
    /// Events with content.
    pub contents: AtomicU64,
    /// Bytes of text, each compared.
    pub bytes: AtomicU64,
    /// Comments.
    pub comments: AtomicU64,
}

/// One round of asking.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// How many clients.
    pub clients: usize,
    /// Pieces of a story, on average.
    pub pieces: usize,
    /// Milliseconds between two pieces, on average.
    pub pace: u64,
    /// No story is begun after that.
    pub until: Instant,
}

type Sender = SendRequest<Full<Bytes>>;

impl Clients {
    /// Runs a round until all its clients have read their last story.
    pub async fn run(self: &Arc<Self>, round: Round) {
        let mut tasks = tokio::task::JoinSet::new();
        for index in 0..round.clients {
            // They begin one after the other within one pace.
            let late = Duration::from_millis(round.pace).mul_f64(fraction(index, round.clients));
            let clients = Arc::clone(self);
            tasks.spawn(async move {
                sleep(late).await;
                clients.client(round).await;
            });
        }
        while let Some(joined) = tasks.join_next().await {
            if let Err(error) = joined {
                self.complaints.add(format!("a client panicked: {error}"));
            }
        }
    }

    /// Asks each target for a single piece. A gateway closes connections that have been idle for too long when it next
    /// has one to keep, and not before.
    pub async fn nudge(&self) {
        for target in shapes::TARGETS {
            let order = Order { number: self.seen.numbers.fetch_add(1, Relaxed), pieces: 1, pace: 10 };
            if let Err(error) = self.story(&mut None, target, &order).await {
                self.complaints.add(format!("{target} at rest: {error}"));
            }
        }
    }

    async fn client(&self, round: Round) {
        let mut kept = None;
        loop {
            let number = self.seen.numbers.fetch_add(1, Relaxed);
            let order = Order { number, pieces: length(number, round.pieces), pace: round.pace };
            if let Err(error) = self.story(&mut kept, shapes::CHAIN, &order).await {
                self.seen.failed.fetch_add(1, Relaxed);
                self.complaints.add(format!("{}: {error}", order.words()));
                kept = None;
                sleep(REST).await;
            }
            if Instant::now() >= round.until {
                return;
            }
        }
    }

    /// One story over the connection that was kept, or over a new one.
    async fn story(&self, kept: &mut Option<Sender>, model: &str, order: &Order) -> Result<(), Error> {
        let mut sender = match kept.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => connect(&self.authority).await?,
        };
        sender.ready().await?;
        let request = Request::post("/v1/chat/completions")
            .header(HOST, &self.authority)
            .header(AUTHORIZATION, "Bearer soak")
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "text/event-stream")
            .body(Full::new(Bytes::from(shapes::request(model, order))))?;
        let response = timeout(PATIENCE, sender.send_request(request)).await??;
        if response.status() != StatusCode::OK {
            let status = response.status();
            let text = response.into_body().collect().await?.to_bytes();
            return Err(format!("status {status}: {}", String::from_utf8_lossy(&text)).into());
        }
        let read = self.read(response, order).await;
        let cut = self.upstream.forget(order.number);
        let ended = read.map_err(|error| format!("{error} (cut by the upstream: {cut:?})"))?;
        self.judge(order, cut, ended)?;
        *kept = Some(sender);
        Ok(())
    }

    async fn read(&self, response: Response<Incoming>, order: &Order) -> Result<Ended, Error> {
        let mut reading = Reading::new(order.start(order.pieces));
        let mut body = response.into_body();
        while let Some(frame) = timeout(PATIENCE, body.frame()).await? {
            if let Ok(data) = frame?.into_data() {
                reading.feed(&data)?;
            }
        }
        let ended = reading.end()?;
        self.seen.contents.fetch_add(reading.contents, Relaxed);
        self.seen.comments.fetch_add(reading.comments, Relaxed);
        self.seen.bytes.fetch_add(reading.told() as u64, Relaxed);
        Ok(ended)
    }

    /// Whether a stream that was cut after so many pieces, or not at all, may end like that.
    fn judge(&self, order: &Order, cut: Option<usize>, ended: Ended) -> Result<(), String> {
        // Before the first content nothing has reached the client: whoever comes next tells all.
        let visible = cut.filter(|after| *after > 0 && self.recovery == Recovery::Error);
        let count = match (visible, ended, cut) {
            (None, Ended::Whole, None) => None,
            (None, Ended::Whole, Some(0)) => Some(&self.seen.hidden),
            (None, Ended::Whole, Some(_)) => Some(&self.seen.recovered),
            (Some(after), Ended::Broken(told), _) if told == order.start(after).len() => Some(&self.seen.broken),
            (Some(after), Ended::Broken(told), _) => {
                return Err(format!("{told} bytes instead of {} before the cut", order.start(after).len()));
            }
            (Some(after), Ended::Whole, _) => return Err(format!("looks whole, and was cut after {after} pieces")),
            (None, Ended::Broken(told), _) => {
                return Err(format!("an error event after {told} bytes (cut by the upstream: {cut:?})"));
            }
        };
        if ended == Ended::Whole {
            self.seen.whole.fetch_add(1, Relaxed);
        }
        if let Some(count) = count {
            count.fetch_add(1, Relaxed);
        }
        Ok(())
    }
}

/// A connection to the gateway, or to another authority.
///
/// # Errors
/// There is none.
pub async fn connect(authority: &str) -> Result<Sender, Error> {
    let socket = TcpStream::connect(authority).await?;
    socket.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(socket)).await?;
    // Its error shows up at the request that it breaks.
    tokio::spawn(connection);
    Ok(sender)
}

/// A GET of the gateway's own pages: the status and the text.
///
/// # Errors
/// A connection that breaks.
pub async fn get(authority: &str, path: &str) -> Result<(StatusCode, String), Error> {
    let mut sender = connect(authority).await?;
    let request = Request::get(path).header(HOST, authority).body(Full::new(Bytes::new()))?;
    let response = timeout(PATIENCE, sender.send_request(request)).await??;
    let status = response.status();
    let text = response.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&text).into_owned()))
}

fn fraction(part: usize, whole: usize) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "thousands")]
    let fraction = part as f64 / whole.max(1) as f64;
    fraction
}
