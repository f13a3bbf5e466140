//! Plays a stream after its head: each event is one HTTP chunk and one write, and what goes wrong goes wrong between.
//!
//! Owns the counting of content chunks. Refuses to know what an event says.

use std::io;

use tokio::time::sleep;

use super::act::{halt, pause};
use super::answer::{Events, Framing};
use super::errors;
use super::eventstream;
use super::http1::{Wire, chunk, head};
use super::job::{End, Job, Stop};
use super::script::Point;

/// A line where the length of an HTTP chunk should be.
pub(super) const NO_LENGTH: &[u8] = b"oops\r\n";
/// The end of a chunked body.
const LAST: &[u8] = b"0\r\n\r\n";
/// Data that is not JSON.
const MALFORMED: &str = "{\"id\": oops";

/// Plays it, head first.
pub(super) async fn play(wire: &mut Wire<'_>, job: &Job, events: &Events, tail: &[&str]) -> io::Result<End> {
    let fault = &job.fault;
    let mut headers = job.headers();
    headers.push(("cache-control".to_owned(), "no-cache".to_owned()));
    wire.send(&head(200, job.stream_type(), "transfer-encoding: chunked", &headers)).await?;
    if let Some(stop) = job.stop_at(Point::AfterHeaders) {
        return hold(wire, job, stop).await;
    }
    let first_is_error = fault.error_in_stream.as_ref().is_some_and(|e| e.after_chunks == 0);
    for data in events.preamble.iter().filter(|_| !first_is_error) {
        wire.chunk(&job.event(data)).await?;
    }
    wait_for_content(wire, job).await?;
    let content = &events.content;
    for (at, data) in content.iter().enumerate() {
        if at > 0 && !job.chunk_delay.is_zero() {
            sleep(job.chunk_delay).await;
        }
        if let Some(end) = interrupt(wire, job, at, content.len(), data).await? {
            return Ok(end);
        }
        wire.chunk(&framed(job, data, here(fault.corrupt_after_chunks, at, content.len()))).await?;
    }
    // A number of chunks beyond the last one means after the last one.
    if let Some(end) = interrupt(wire, job, content.len(), content.len(), tail.first().unwrap_or(&"")).await? {
        return Ok(end);
    }
    for (nth, data) in tail.iter().enumerate() {
        let corrupt = nth == 0 && here(fault.corrupt_after_chunks, content.len(), content.len());
        wire.chunk(&framed(job, data, corrupt)).await?;
    }
    wire.send(LAST).await?;
    Ok(End::Keep)
}

fn framed(job: &Job, data: &str, corrupt: bool) -> Vec<u8> {
    let event = job.event(data);
    if corrupt { eventstream::corrupt(event) } else { event }
}

/// Stops inside a stream, where the vendor may go on saying that it is there.
async fn hold(wire: &mut Wire<'_>, job: &Job, stop: Stop) -> io::Result<End> {
    match (stop, job.fault.keepalive_ms) {
        (Stop::End(_), _) | (Stop::Hang, None) => halt(stop).await,
        (Stop::Hang, Some(every)) => loop {
            keepalive(wire, job, every).await?;
        },
    }
}

async fn keepalive(wire: &mut Wire<'_>, job: &Job, after_ms: u64) -> io::Result<()> {
    pause(after_ms.max(1)).await;
    match job.keepalive() {
        // An empty chunk would be the last one.
        b"" => Ok(()),
        said => wire.chunk(said).await,
    }
}

async fn wait_for_content(wire: &mut Wire<'_>, job: &Job) -> io::Result<()> {
    let fault = &job.fault;
    let Some(every) = fault.keepalive_ms.map(|ms| ms.max(1)) else {
        pause(fault.first_content_delay_ms).await;
        return Ok(());
    };
    for _ in 0..fault.first_content_delay_ms / every {
        keepalive(wire, job, every).await?;
    }
    pause(fault.first_content_delay_ms % every).await;
    Ok(())
}

/// Whether `after` chunks are `at`, in a stream of `total`.
fn here(after: Option<u32>, at: usize, total: usize) -> bool {
    after.is_some_and(|n| (n as usize).min(total) == at)
}

/// What the script does to a stream after `at` of `total` content chunks, before `next` is sent.
async fn interrupt(wire: &mut Wire<'_>, job: &Job, at: usize, total: usize, next: &str) -> io::Result<Option<End>> {
    let fault = &job.fault;
    let here = |after: Option<u32>| here(after, at, total);
    let half = |bytes: &[u8]| bytes.get(..bytes.len() / 2).unwrap_or_default().to_vec();
    if here(fault.malformed_after_chunks) {
        wire.chunk(&job.event(MALFORMED)).await?;
    }
    if let Some(error) = fault.error_in_stream.as_ref().filter(|e| here(Some(e.after_chunks))) {
        wire.chunk(&job.event(&errors::event(&error.body, &job.scene, job.framing()))).await?;
        wire.send(LAST).await?;
        return Ok(Some(End::Keep));
    }
    if here(fault.cut_after_chunks) {
        return Ok(Some(End::Close));
    }
    if here(fault.stall_after_chunks) {
        return hold(wire, job, Stop::Hang).await.map(Some);
    }
    if here(fault.corrupt_after_chunks) && job.framing() != Framing::Frames {
        wire.send(NO_LENGTH).await?;
        return Ok(Some(End::Close));
    }
    if here(fault.half_event_after_chunks) {
        wire.chunk(&half(&job.event(next))).await?;
        wire.send(LAST).await?;
        return Ok(Some(End::Keep));
    }
    match job.stop_at(Point::MidBody) {
        Some(stop) if at == total / 2 => {
            wire.send(&half(&chunk(&job.event(next)))).await?;
            // Whatever is said inside a half chunk would repair it.
            halt(stop).await.map(Some)
        }
        _ => Ok(None),
    }
}
