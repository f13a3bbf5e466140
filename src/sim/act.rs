//! Plays one answer on the wire, with its fault, byte by byte.
//!
//! Owns the order of things: delay, head, what goes wrong and where; what a stream does after its head is `stream`'s.
//! Refuses to know why this fault was chosen and to count anything; its caller watches for the client's departure.

use std::io;
use std::time::Duration;

use tokio::time::sleep;

use super::answer::{Events, Reply};
use super::encode::gzip;
use super::errors::{self, Page};
use super::http1::{Wire, chunk, head};
use super::job::{End, JSON, Job, Stop};
use super::script::{Fault, Garbage, Point};
use super::stream;

/// Plays the answer.
///
/// # Errors
/// The client's side of the connection broke.
pub(super) async fn perform(wire: &mut Wire<'_>, job: &Job) -> io::Result<End> {
    let fault = &job.fault;
    wire.trickle.clone_from(&fault.trickle);
    pause(fault.delay_ms).await;
    if let Some(stop) = job.stop_at(Point::BeforeHeaders) {
        return halt(stop).await;
    }
    if fault.endless_headers {
        return endless_headers(wire).await;
    }
    if let Some(what) = fault.garbage {
        return garbage(wire, job, what).await;
    }
    if let Some(page) = errors::page(fault, &job.scene) {
        return told(wire, job, &page).await;
    }
    if let Some(body) = &fault.error_in_200 {
        return told(wire, job, &errors::embedded(body, &job.scene)).await;
    }
    match (&job.reply, &fault.error_in_stream) {
        (Reply::Whole { status: 200, .. } | Reply::Media { .. }, Some(error)) => {
            told(wire, job, &errors::embedded(&error.body, &job.scene)).await
        }
        (Reply::Refused(refusal), _) => told(wire, job, &Page::of(refusal, &job.scene)).await,
        (Reply::Whole { status, body }, _) => whole(wire, job, *status, JSON, body.as_bytes()).await,
        (Reply::Media { kind, body }, _) => whole(wire, job, 200, kind, body).await,
        (Reply::Events(events), _) => {
            let tail = tail(fault, events);
            if fault.gzip || fault.wrong_length.is_some() {
                // Both need to know the whole body.
                let all = events.preamble.iter().chain(&events.content).map(String::as_str).chain(tail);
                let body: Vec<u8> = all.flat_map(|data| job.event(data)).collect();
                return whole(wire, job, 200, job.stream_type(), &body).await;
            }
            stream::play(wire, job, events, &tail).await
        }
    }
}

pub(super) async fn pause(ms: u64) {
    if ms > 0 {
        sleep(Duration::from_millis(ms)).await;
    }
}

/// Stops: a hang lasts until the caller drops this future.
pub(super) async fn halt(stop: Stop) -> io::Result<End> {
    match stop {
        Stop::End(end) => Ok(end),
        Stop::Hang => std::future::pending().await,
    }
}

/// An error answer.
async fn told(wire: &mut Wire<'_>, job: &Job, page: &Page) -> io::Result<End> {
    let kind = if page.is_json { JSON } else { "text/html" };
    whole_with(wire, job, page.status, kind, page.body.as_bytes(), &page.headers).await
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
        Reply::Events(events) => events.content.first().map_or("", String::as_str),
        Reply::Refused(_) | Reply::Media { .. } => "",
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
        Garbage::Empty => return whole(wire, job, 200, if job.streams { job.stream_type() } else { JSON }, b"").await,
        Garbage::NonJson => "this is not JSON",
        Garbage::HalfJson => half,
    };
    if job.streams {
        whole(wire, job, 200, job.stream_type(), &job.event(text)).await
    } else {
        whole(wire, job, 200, JSON, text.as_bytes()).await
    }
}

/// An answer with a length.
async fn whole(wire: &mut Wire<'_>, job: &Job, status: u16, kind: &str, body: &[u8]) -> io::Result<End> {
    whole_with(wire, job, status, kind, body, &[]).await
}

async fn whole_with(
    wire: &mut Wire<'_>,
    job: &Job,
    status: u16,
    kind: &str,
    body: &[u8],
    more: &[(String, String)],
) -> io::Result<End> {
    let fault = &job.fault;
    let mut headers = [job.headers(), more.to_vec()].concat();
    let packed;
    let body = if fault.gzip {
        headers.push(("content-encoding".to_owned(), "gzip".to_owned()));
        packed = gzip(body);
        &packed
    } else {
        body
    };
    if fault.corrupt_after_chunks.is_some() {
        return corrupt(wire, status, kind, body, &headers).await;
    }
    let body = match fault.half_event_after_chunks {
        Some(_) => body.get(..body.len() / 2).unwrap_or_default(),
        None => body,
    };
    let off_by = fault.wrong_length.and_then(|by| isize::try_from(by).ok()).unwrap_or(0);
    let length = body.len().saturating_add_signed(off_by);
    let mut out = head(status, kind, &format!("content-length: {length}"), &headers);
    if let Some(stop) = job.stop_at(Point::AfterHeaders) {
        wire.send(&out).await?;
        return halt(stop).await;
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
        return halt(stop).await;
    }
    out.extend(body);
    wire.send(&out).await?;
    Ok(if off_by == 0 { End::Keep } else { End::Close })
}

/// Half the body, and then a chunk whose length is no number.
async fn corrupt(
    wire: &mut Wire<'_>,
    status: u16,
    kind: &str,
    body: &[u8],
    headers: &[(String, String)],
) -> io::Result<End> {
    let mut out = head(status, kind, "transfer-encoding: chunked", headers);
    out.extend(chunk(body.get(..body.len() / 2).unwrap_or_default()));
    out.extend(stream::NO_LENGTH);
    wire.send(&out).await?;
    Ok(End::Close)
}

/// The data of the events after the content.
fn tail<'a>(fault: &Fault, events: &'a Events) -> Vec<&'a str> {
    let finish = if fault.no_finish { &[] } else { events.finish.as_slice() };
    let done = events.done.as_ref().filter(|_| !fault.no_done);
    finish.iter().chain(&events.usage).chain(done).map(String::as_str).collect()
}
