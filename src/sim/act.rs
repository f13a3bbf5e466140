//! Plays one answer on the wire, with its fault, byte by byte.
//!
//! Owns the order of things: delay, head, what goes wrong and where. Refuses to know why this fault was
//! chosen and to count anything; its caller watches for the client's departure.

use std::io;
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use super::answer::Reply;
use super::encode::gzip;
use super::errors;
use super::http1::{Wire, chunk, head};
use super::script::{Fault, Garbage, Point};

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream; charset=utf-8";

/// An answer to play.
#[derive(Debug)]
pub(super) struct Job {
    pub fault: Fault,
    pub reply: Reply,
    /// The script's headers and the fault's.
    pub headers: Vec<(String, String)>,
    pub request_id: String,
    /// The end of the key, which error texts may show.
    pub last4: String,
    /// Whether the client asked for a stream.
    pub streams: bool,
    /// Pause between content chunks.
    pub chunk_delay: Duration,
}

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The next request may come.
    Keep,
    /// Closed in order (FIN).
    Close,
    /// Reset (RST).
    Reset,
}

/// How an answer stops short.
#[derive(Debug, Clone, Copy)]
enum Stop {
    Hang,
    End(End),
}

impl Job {
    /// Whether playing it to its end gives the client a whole healthy answer.
    pub(super) fn is_healthy(&self) -> bool {
        let refused = matches!(self.reply, Reply::Whole { status, .. } if status != 200);
        self.fault.leaves_answer_whole() && !refused
    }

    /// How the answer stops at `point`, if it does.
    fn stop_at(&self, point: Point) -> Option<Stop> {
        let at = |scripted: Option<Point>| scripted == Some(point);
        if at(self.fault.hang) {
            Some(Stop::Hang)
        } else if at(self.fault.reset) {
            Some(Stop::End(End::Reset))
        } else {
            at(self.fault.close).then_some(Stop::End(End::Close))
        }
    }

    /// Whether events go by names.
    fn is_named(&self) -> bool {
        matches!(self.reply, Reply::Events { named: true, .. })
    }

    /// One SSE event.
    fn event(&self, data: &str) -> Vec<u8> {
        let named =
            || serde_json::from_str::<Value>(data).ok().and_then(|event| Some(event["type"].as_str()?.to_owned()));
        match self.is_named().then(named).flatten() {
            Some(name) => format!("event: {name}\ndata: {data}\n\n").into_bytes(),
            None => format!("data: {data}\n\n").into_bytes(),
        }
    }

    fn headers(&self) -> Vec<(String, String)> {
        let mut headers = vec![("x-request-id".to_owned(), self.request_id.clone())];
        if let Some(after) = &self.fault.retry_after {
            headers.push(("retry-after".to_owned(), after.as_str().map_or_else(|| after.to_string(), str::to_owned)));
        }
        headers.extend(self.headers.iter().cloned());
        headers
    }
}

/// Plays the answer.
///
/// # Errors
/// The client's side of the connection broke.
pub(super) async fn perform(wire: &mut Wire<'_>, job: &Job) -> io::Result<End> {
    let fault = &job.fault;
    wire.trickle.clone_from(&fault.trickle);
    pause(fault.delay_ms).await;
    if let Some(stop) = job.stop_at(Point::BeforeHeaders) {
        return halt(wire, stop, None).await;
    }
    if fault.endless_headers {
        return endless_headers(wire).await;
    }
    if let Some(what) = fault.garbage {
        return garbage(wire, job, what).await;
    }
    if let Some(status) = fault.status {
        let (body, is_json) = job.error_body(status);
        let kind = if is_json { JSON } else { "text/html" };
        return whole(wire, job, status, kind, body.as_bytes()).await;
    }
    if let Some(body) = &fault.error_in_200 {
        let body = errors::embedded(body, &job.last4).to_string();
        return whole(wire, job, 200, JSON, body.as_bytes()).await;
    }
    match (&job.reply, &fault.error_in_stream) {
        (Reply::Whole { status: 200, .. } | Reply::Media { .. }, Some(error)) => {
            let body = errors::embedded(&error.body, &job.last4).to_string();
            whole(wire, job, 200, JSON, body.as_bytes()).await
        }
        (Reply::Whole { status, body }, _) => whole(wire, job, *status, JSON, body.as_bytes()).await,
        (Reply::Media { kind, body }, _) => whole(wire, job, 200, kind, body).await,
        (Reply::Events { preamble, content, finish, usage, named }, _) => {
            let tail = tail(fault, finish, usage.as_deref(), *named);
            if fault.gzip || fault.wrong_length.is_some() {
                // Both need to know the whole body.
                let all = preamble.iter().chain(content).map(String::as_str).chain(tail);
                let body: Vec<u8> = all.flat_map(|data| job.event(data)).collect();
                return whole(wire, job, 200, EVENTS, &body).await;
            }
            events(wire, job, preamble, content, &tail).await
        }
    }
}

async fn pause(ms: u64) {
    if ms > 0 {
        sleep(Duration::from_millis(ms)).await;
    }
}

/// Stops: a hang lasts until the caller drops this future. `keepalive`: ms between comments in a stream.
async fn halt(wire: &mut Wire<'_>, stop: Stop, keepalive: Option<u64>) -> io::Result<End> {
    match (stop, keepalive) {
        (Stop::End(end), _) => Ok(end),
        (Stop::Hang, None) => std::future::pending().await,
        (Stop::Hang, Some(every)) => loop {
            comment(wire, every).await?;
        },
    }
}

async fn comment(wire: &mut Wire<'_>, after_ms: u64) -> io::Result<()> {
    sleep(Duration::from_millis(after_ms.max(1))).await;
    wire.chunk(b": keep-alive\n\n").await
}

async fn endless_headers(wire: &mut Wire<'_>) -> io::Result<End> {
    wire.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n").await?;
    for number in 0_u64.. {
        let line = format!("x-endless-{number}: {}\r\n", "a".repeat(1_000));
        wire.send(line.as_bytes()).await?;
    }
    Ok(End::Close)
}

async fn garbage(wire: &mut Wire<'_>, job: &Job, what: Garbage) -> io::Result<End> {
    let healthy = match &job.reply {
        Reply::Whole { body, .. } => body.as_str(),
        Reply::Events { content, .. } => content.first().map_or("", String::as_str),
        Reply::Media { .. } => "",
    };
    let half = healthy.get(..healthy.len() / 2).unwrap_or("{\"id\":");
    let text = match what {
        Garbage::NonHttp => {
            wire.send(b"SSH-2.0-OpenSSH_9.6\r\n\x00\x00\x01\xff\xfe").await?;
            return Ok(End::Close);
        }
        Garbage::Html => {
            return whole(wire, job, 200, "text/html", b"<!doctype html><title>Just a moment...</title>").await;
        }
        Garbage::Empty => return whole(wire, job, 200, if job.streams { EVENTS } else { JSON }, b"").await,
        Garbage::NonJson => "this is not JSON",
        Garbage::HalfJson => half,
    };
    if job.streams {
        whole(wire, job, 200, EVENTS, &job.event(text)).await
    } else {
        whole(wire, job, 200, JSON, text.as_bytes()).await
    }
}

/// An answer with a length.
async fn whole(wire: &mut Wire<'_>, job: &Job, status: u16, kind: &str, body: &[u8]) -> io::Result<End> {
    let fault = &job.fault;
    let mut headers = job.headers();
    let packed;
    let body = if fault.gzip {
        headers.push(("content-encoding".to_owned(), "gzip".to_owned()));
        packed = gzip(body);
        &packed
    } else {
        body
    };
    let off_by = fault.wrong_length.and_then(|by| isize::try_from(by).ok()).unwrap_or(0);
    let length = body.len().saturating_add_signed(off_by);
    let mut out = head(status, kind, &format!("content-length: {length}"), &headers);
    if let Some(stop) = job.stop_at(Point::AfterHeaders) {
        wire.send(&out).await?;
        return halt(wire, stop, None).await;
    }
    if fault.first_content_delay_ms > 0 {
        wire.send(&out).await?;
        out.clear();
        pause(fault.first_content_delay_ms).await;
    }
    let within = match (fault.cut_after_chunks, fault.stall_after_chunks) {
        (Some(_), _) => Some(Stop::End(End::Close)),
        (_, Some(_)) => Some(Stop::Hang),
        _ => job.stop_at(Point::MidBody),
    };
    if let Some(stop) = within {
        out.extend(body.get(..body.len() / 2).unwrap_or_default());
        wire.send(&out).await?;
        return halt(wire, stop, None).await;
    }
    out.extend(body);
    wire.send(&out).await?;
    Ok(if off_by == 0 { End::Keep } else { End::Close })
}

/// The data of the events after the content.
fn tail<'a>(fault: &Fault, finish: &'a [String], usage: Option<&'a str>, named: bool) -> Vec<&'a str> {
    let finish = if fault.no_finish { &[] } else { finish };
    let done = (!fault.no_done && !named).then_some("[DONE]");
    finish.iter().map(String::as_str).chain(usage).chain(done).collect()
}

/// A stream: each event is one chunk and one write.
async fn events(
    wire: &mut Wire<'_>,
    job: &Job,
    preamble: &[String],
    content: &[String],
    tail: &[&str],
) -> io::Result<End> {
    let fault = &job.fault;
    let mut headers = job.headers();
    headers.push(("cache-control".to_owned(), "no-cache".to_owned()));
    wire.send(&head(200, EVENTS, "transfer-encoding: chunked", &headers)).await?;
    if let Some(stop) = job.stop_at(Point::AfterHeaders) {
        return halt(wire, stop, fault.keepalive_ms).await;
    }
    let first_is_error = fault.error_in_stream.as_ref().is_some_and(|e| e.after_chunks == 0);
    for data in preamble.iter().filter(|_| !first_is_error) {
        wire.chunk(&job.event(data)).await?;
    }
    wait_for_content(wire, fault).await?;
    for (at, data) in content.iter().enumerate() {
        if at > 0 && !job.chunk_delay.is_zero() {
            sleep(job.chunk_delay).await;
        }
        if let Some(end) = interrupt(wire, job, at, content.len(), data).await? {
            return Ok(end);
        }
        wire.chunk(&job.event(data)).await?;
    }
    // A number of chunks beyond the last one means after the last one.
    if let Some(end) = interrupt(wire, job, content.len(), content.len(), "").await? {
        return Ok(end);
    }
    for data in tail {
        wire.chunk(&job.event(data)).await?;
    }
    wire.send(b"0\r\n\r\n").await?;
    Ok(End::Keep)
}

async fn wait_for_content(wire: &mut Wire<'_>, fault: &Fault) -> io::Result<()> {
    let Some(every) = fault.keepalive_ms.map(|ms| ms.max(1)) else {
        pause(fault.first_content_delay_ms).await;
        return Ok(());
    };
    for _ in 0..fault.first_content_delay_ms / every {
        comment(wire, every).await?;
    }
    pause(fault.first_content_delay_ms % every).await;
    Ok(())
}

/// What the script does to a stream after `at` of `total` content chunks, before `next` is sent.
async fn interrupt(wire: &mut Wire<'_>, job: &Job, at: usize, total: usize, next: &str) -> io::Result<Option<End>> {
    let fault = &job.fault;
    let here = |after: Option<u32>| after.is_some_and(|n| (n as usize).min(total) == at);
    if here(fault.malformed_after_chunks) {
        wire.chunk(&job.event("{\"id\": oops")).await?;
    }
    if let Some(error) = fault.error_in_stream.as_ref().filter(|e| here(Some(e.after_chunks))) {
        let body = errors::embedded(&error.body, &job.last4);
        let body = if job.is_named() { errors::event(&body) } else { body };
        wire.chunk(&job.event(&body.to_string())).await?;
        wire.send(b"0\r\n\r\n").await?;
        return Ok(Some(End::Keep));
    }
    if here(fault.cut_after_chunks) {
        return Ok(Some(End::Close));
    }
    if here(fault.stall_after_chunks) {
        return halt(wire, Stop::Hang, fault.keepalive_ms).await.map(Some);
    }
    match job.stop_at(Point::MidBody) {
        Some(stop) if at == total / 2 => {
            let chunk = chunk(&job.event(next));
            wire.send(chunk.get(..chunk.len() / 2).unwrap_or_default()).await?;
            // Comments inside a half chunk would repair it.
            halt(wire, stop, None).await.map(Some)
        }
        _ => Ok(None),
    }
}
