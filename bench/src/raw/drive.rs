//! `backstop-bench drive --url http://HOST:PORT [--shape plain|stream] [--connections N] [--body-bytes N] [--contents N]
//! [--model NAME] [--translated 1] [--warm-up-ms N] [--window-ms N] [--pids ID,ID] [--header 'NAME: VALUE']...`
//!
//! A closed loop over kept connections: after a warm-up, one window is counted, with the processor time that the given
//! processes had in it. Prints one JSON line, with what went wrong, if anything did: then the window is worth nothing.
//!
//! Owns the window. Refuses to know what is measured.

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;

use super::check::Check;
use super::client::{Client, Order, Times};
use super::processor::spent;
use crate::args::{Args, Error};
use crate::wire;

const OPTIONS: [&str; 12] = [
    "url",
    "front",
    "shape",
    "connections",
    "body-bytes",
    "contents",
    "model",
    "translated",
    "warm-up-ms",
    "window-ms",
    "pids",
    "header",
];

#[derive(Debug, Default)]
struct Seen {
    counting: bool,
    whole: Vec<Duration>,
    first_content: Vec<Duration>,
    failures: usize,
    first_failure: Option<String>,
}

/// The order of a latency, in µs.
#[derive(Debug, Serialize)]
struct Latency {
    p50: f64,
    p99: f64,
    max: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    requests: usize,
    failures: usize,
    first_failure: Option<String>,
    seconds: f64,
    cpu_us_per_request: Option<f64>,
    latency_us: Option<Latency>,
    first_content_us: Option<Latency>,
    clock: &'static str,
}

/// Drives.
///
/// # Errors
/// A wrong option.
pub async fn run(args: &Args) -> Result<ExitCode, Error> {
    args.only(&OPTIONS)?;
    let order = Rc::new(order(args)?);
    let connections = args.number("connections", 1)?;
    let millis = |name, default| Ok::<_, Error>(Duration::from_millis(u64::try_from(args.number(name, default)?)?));
    let (warm_up, window) = (millis("warm-up-ms", 300)?, millis("window-ms", 1500)?);
    let pids = args.get("pids").unwrap_or_default().split(',').filter(|word| !word.is_empty());
    let pids: Vec<u32> =
        pids.map(|word| word.parse().map_err(|_| format!("{word:?} is no process id"))).collect::<Result<_, _>>()?;
    let report = LocalSet::new().run_until(measure(&order, connections, warm_up, window, &pids)).await;
    println!("{}", serde_json::to_string(&report)?);
    Ok(ExitCode::SUCCESS)
}

/// What is sent again and again.
fn order(args: &Args) -> Result<Order, Error> {
    let url = args.required("url")?;
    let authority = url.strip_prefix("http://").ok_or("--url must begin with http://")?.trim_end_matches('/');
    if args.get("front").is_some_and(|front| front != "chat") {
        return Err("--front can only be chat".into());
    }
    let contents = match args.get("shape").unwrap_or("plain") {
        "plain" => None,
        "stream" => Some(args.number("contents", 64)?),
        other => return Err(format!("--shape {other:?} is neither plain nor stream").into()),
    };
    let body =
        wire::request_for(args.get("model").unwrap_or(wire::MODEL), args.number("body-bytes", 1024)?, contents, None);
    let check = Check::new(contents, args.number("translated", 0)? != 0);
    let own: Vec<&str> = args.get("header").unwrap_or_default().lines().collect();
    if let Some(wrong) = own.iter().find(|header| !header.contains(": ")) {
        return Err(format!("--header {wrong:?} is not \"NAME: VALUE\"").into());
    }
    Ok(Order::new(authority, wire::PATH, (&own, &body), check, contents.is_some()))
}

async fn measure(order: &Rc<Order>, connections: usize, warm_up: Duration, window: Duration, pids: &[u32]) -> Report {
    let seen = Rc::new(RefCell::new(Seen::default()));
    let clients: Vec<_> = (0..connections).map(|_| spawn_local(drive(Rc::clone(order), Rc::clone(&seen)))).collect();
    sleep(warm_up).await;
    let (begin, before) = (Instant::now(), spent(pids));
    seen.borrow_mut().counting = true;
    sleep(window).await;
    seen.borrow_mut().counting = false;
    let (after, seconds) = (spent(pids), begin.elapsed().as_secs_f64());
    clients.iter().for_each(tokio::task::JoinHandle::abort);
    let mut seen = seen.borrow_mut();
    let requests = seen.whole.len();
    #[expect(clippy::cast_precision_loss, reason = "no window has 2^52 requests")]
    let each = |micros: f64| micros / requests as f64;
    Report {
        requests,
        failures: seen.failures,
        first_failure: seen.first_failure.take(),
        seconds,
        cpu_us_per_request: (requests > 0 && !pids.is_empty()).then(|| each(after.micros - before.micros)),
        latency_us: latency(&mut seen.whole),
        first_content_us: latency(&mut seen.first_content),
        clock: after.clock.name(),
    }
}

async fn drive(order: Rc<Order>, seen: Rc<RefCell<Seen>>) {
    let mut client = Client::default();
    loop {
        let result = client.exchange(&order).await;
        let failed = result.is_err();
        seen.borrow_mut().count(result);
        if failed {
            // The next one begins afresh, and not at once: a server that is gone must not be run over.
            client = Client::default();
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Seen {
    /// Failures count in the warm-up, too: whoever fails then isn't warm.
    fn count(&mut self, result: Result<Times, String>) {
        match result {
            Ok(times) if self.counting => {
                self.whole.push(times.whole);
                self.first_content.extend(times.first_content);
            }
            Ok(_) => {}
            Err(words) => {
                self.failures += 1;
                self.first_failure.get_or_insert(words);
            }
        }
    }
}

fn latency(times: &mut [Duration]) -> Option<Latency> {
    times.sort_unstable();
    let micros = |time: &Duration| time.as_secs_f64() * 1e6;
    let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len().saturating_sub(1))).map(micros);
    Some(Latency { p50: at(50)?, p99: at(99)?, max: times.last().map(micros)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_places_in_the_order() {
        let mut times: Vec<Duration> = (1..=200).rev().map(Duration::from_micros).collect();
        let found = latency(&mut times).unwrap();
        assert!(
            (found.p50 - 101.0).abs() < 0.01 && (found.p99 - 199.0).abs() < 0.01 && (found.max - 200.0).abs() < 0.01
        );
        assert!(latency(&mut []).is_none());
    }

    #[test]
    fn what_fails_while_warming_up_counts() {
        let mut seen = Seen::default();
        let times = Times { whole: Duration::from_millis(1), first_content: None };
        seen.count(Ok(times));
        seen.count(Err("first".to_owned()));
        seen.counting = true;
        seen.count(Err("second".to_owned()));
        seen.count(Ok(times));
        assert_eq!((seen.whole.len(), seen.failures, seen.first_failure.as_deref()), (1, 2, Some("first")));
    }
}
