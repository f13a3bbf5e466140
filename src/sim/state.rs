//! The state that all connections share: the script being played and the book of what happened.
//!
//! Owns the one lock, held for a moment and never across an await, and the tickets that count a request's
//! end exactly once however its task ends. Refuses to know sockets.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::answer::{self, Who};
use super::ask;
use super::dialect::Dialect;
use super::errors::Scene;
use super::http1::Request;
use super::job::Job;
use super::pick::{Picked, Picker, Subject};
use super::prefill;
use super::route::{self, Place};
use super::script::{Fault, Script};
use super::stats::{Book, Recorded, RowId, sha256};
use super::{SimOptions, Stats};

/// What connections share.
#[derive(Debug)]
pub(super) struct State {
    pub options: SimOptions,
    inner: Mutex<Inner>,
    /// Counts changes of the book, so that a test can wait for one.
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct Inner {
    picker: Picker,
    installed: Instant,
    book: Book,
}

impl State {
    pub(super) fn new(script: Script, options: SimOptions) -> Arc<Self> {
        let inner = Inner { picker: Picker::new(script), installed: crate::clock::now(), book: Book::default() };
        Arc::new(Self { options, inner: Mutex::new(inner), changes: watch::Sender::new(0) })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, how: impl FnOnce(&mut Inner) -> T) -> T {
        let result = how(&mut self.lock());
        self.changes.send_modify(|n| *n = n.wrapping_add(1));
        result
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn stats(&self) -> Stats {
        self.lock().book.stats()
    }

    pub(super) fn recorded(&self) -> Vec<Recorded> {
        self.lock().book.recorded.iter().cloned().collect()
    }

    /// Plays another script; its clock and counters start now.
    pub(super) fn set_script(&self, script: Script) {
        self.change(|inner| {
            inner.picker = Picker::new(script);
            inner.installed = crate::clock::now();
        });
    }

    /// Forgets what happened and starts the script again.
    pub(super) fn reset(&self) {
        self.change(|inner| {
            inner.book.reset();
            inner.picker = Picker::new(inner.picker.script.clone());
            inner.installed = crate::clock::now();
        });
    }

    /// Counts a connection for as long as the result lives.
    pub(super) fn open(self: &Arc<Self>) -> Open {
        self.change(|inner| {
            inner.book.connections += 1;
            inner.book.open_connections += 1;
        });
        Open(self.clone())
    }

    /// Counts and records a request and decides its answer.
    pub(super) fn begin(self: &Arc<Self>, request: &Request) -> (Ticket, Job) {
        let place = route::route(&request.method, request.path());
        let key = route::key(&request.headers);
        let (mut ask, refusal) = ask::understand(&place, request);
        let hash = if self.options.record > 0 { sha256(&request.body) } else { String::new() };
        self.change(|inner| {
            let label = label(&inner.picker.script, &key);
            let provider = &place.provider;
            let subject = Subject { provider, key: &key, label: &label, model: &ask.model, path: request.path() };
            let picked = inner.picker.pick(subject, crate::clock::now() - inner.installed);
            let script = &inner.picker.script;
            inner.book.requests += 1;
            let number = inner.book.requests;
            let (fault, name) = finish(picked, place.dialect());
            let who = Who {
                provider: provider.clone(),
                last4: route::last4(&key).to_owned(),
                number,
                chunks: fault.chunks.unwrap_or(script.chunks),
                answer: fault.answer.as_ref().or(script.answer.as_ref()).cloned(),
                body_len: request.body.len(),
            };
            let prefilled = prefill::settle(&mut ask, place.dialect(), fault.prefill.or(script.prefill));
            let reply = refusal.or(prefilled);
            let reply = reply.unwrap_or_else(|| answer::reply(&place.endpoint, &ask, &who, &script.models));
            let job = Job {
                chunk_delay: Duration::from_millis(fault.chunk_delay_ms.unwrap_or(script.chunk_delay_ms)),
                headers: script.headers.iter().chain(&fault.headers).map(|(k, v)| (k.clone(), v.clone())).collect(),
                scene: Scene {
                    dialect: place.dialect(),
                    last4: who.last4,
                    model: ask.model.clone(),
                    request_id: request_id(&place, request, number),
                },
                streams: ask.streams(),
                fault,
                reply,
            };
            let row: RowId = (provider.clone(), label, ask.model.clone());
            let counts = inner.book.row(&row);
            counts.requests += 1;
            counts.in_flight += 1;
            if let Some(name) = name {
                *counts.faults.entry(name).or_default() += 1;
            }
            self.record(&mut inner.book, request, number, (place.provider, key, ask.model), hash);
            (Ticket { state: self.clone(), row, outcome: Outcome::Cancelled }, job)
        })
    }

    fn record(&self, book: &mut Book, request: &Request, number: u64, who: (String, String, String), hash: String) {
        if self.options.record == 0 {
            return;
        }
        if book.recorded.len() >= self.options.record {
            book.recorded.pop_front();
        }
        let kept = request.body.len().min(self.options.record_bytes);
        let (provider, key, model) = who;
        book.recorded.push_back(Recorded {
            number,
            provider,
            key,
            model,
            path: request.target.clone(),
            headers: request.headers.clone(),
            body: request.body.slice(..kept),
            body_len: request.body.len(),
            body_sha256: hash,
        });
    }
}

/// The fault to play and the name to count; a limit becomes a 429 here.
fn finish(picked: Option<Picked>, dialect: Dialect) -> (Fault, Option<String>) {
    let Some(Picked { name, mut fault, limited_for }) = picked else { return (Fault::default(), None) };
    if let Some(wait) = limited_for {
        fault.status = Some(429);
        // Bedrock does not say how long.
        if fault.retry_after.is_none() && dialect != Dialect::Bedrock {
            fault.retry_after = Some(wait.as_millis().div_ceil(1_000).to_string().into());
            fault.headers.entry("retry-after-ms".to_owned()).or_insert_with(|| wait.as_millis().to_string());
        }
    }
    (fault, Some(name))
}

/// How a key is called: its name in the script, else its last four characters, else `none`.
fn label(script: &Script, key: &str) -> String {
    let named = script.keys.iter().find(|(_, secret)| *secret == key).map(|(name, _)| name.as_str());
    match named {
        Some(name) => name.to_owned(),
        None if key.is_empty() => "none".to_owned(),
        None => route::last4(key).to_owned(),
    }
}

fn request_id(place: &Place, request: &Request, number: u64) -> String {
    match place.dialect() {
        Dialect::OpenAi => {
            let echoed = request.headers.get("x-request-id").and_then(|v| v.to_str().ok());
            echoed.map_or_else(|| format!("req_sim{number:08}"), str::to_owned)
        }
        Dialect::Anthropic => format!("req_sim{number:08}"),
        Dialect::Bedrock => format!("00000000-0000-4000-8000-{number:012}"),
    }
}

/// Counts an open connection until it is dropped.
#[derive(Debug)]
pub(super) struct Open(Arc<State>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.change(|inner| inner.book.open_connections = inner.book.open_connections.saturating_sub(1));
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The whole healthy answer was sent.
    Answered,
    /// The simulator ended it otherwise.
    Faulted,
    /// The client went away first.
    Cancelled,
}

/// A request in flight; its end is counted when it is dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    state: Arc<State>,
    row: RowId,
    pub outcome: Outcome,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let outcome = self.outcome;
        self.state.change(|inner| {
            let counts = inner.book.row(&self.row);
            counts.in_flight = counts.in_flight.saturating_sub(1);
            match outcome {
                Outcome::Answered => counts.answered += 1,
                Outcome::Cancelled => counts.cancelled += 1,
                Outcome::Faulted => {}
            }
        });
    }
}
