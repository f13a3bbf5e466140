//! What happened: counts for each provider, key and model, and the requests themselves.
//!
//! Owns the numbers and their JSON. Refuses to know why something happened; the connection loop tells it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use bytes::Bytes;
use http::HeaderMap;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Counts of one provider, key and model. `requests` = answered + cancelled + in flight + ended by a fault.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Requests read.
    pub requests: u64,
    /// Whole healthy answers sent.
    pub answered: u64,
    /// Requests whose client went away before the answer was complete.
    pub cancelled: u64,
    /// Requests being answered.
    pub in_flight: u64,
    /// Requests by the fault they got, whatever became of them.
    pub faults: BTreeMap<String, u64>,
}

/// One row of the statistics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Slot {
    /// First segment of the path, or `default`.
    pub provider: String,
    /// The key's name in the script, else its last four characters, else `none`.
    pub key: String,
    /// The body's or the path's model; empty if there was none.
    pub model: String,
    /// The numbers.
    #[serde(flatten)]
    pub counts: Counts,
}

/// A snapshot of everything counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Connections that are open.
    pub open_connections: u64,
    /// Connections accepted.
    pub connections: u64,
    /// A row for each provider, key and model seen, sorted.
    pub slots: Vec<Slot>,
}

impl Stats {
    /// The sum over the rows that `which` picks.
    pub fn sum(&self, which: impl Fn(&Slot) -> bool) -> Counts {
        let mut sum = Counts::default();
        for slot in self.slots.iter().filter(|slot| which(slot)) {
            sum.requests += slot.counts.requests;
            sum.answered += slot.counts.answered;
            sum.cancelled += slot.counts.cancelled;
            sum.in_flight += slot.counts.in_flight;
            for (name, count) in &slot.counts.faults {
                *sum.faults.entry(name.clone()).or_default() += count;
            }
        }
        sum
    }

    /// The sum over everything.
    #[must_use]
    pub fn total(&self) -> Counts {
        self.sum(|_| true)
    }

    /// The sum of one key, by name or last four characters.
    #[must_use]
    pub fn key(&self, key: &str) -> Counts {
        self.sum(|slot| slot.key == key)
    }

    /// The sum of one provider.
    #[must_use]
    pub fn provider(&self, provider: &str) -> Counts {
        self.sum(|slot| slot.provider == provider)
    }
}

/// A request as it arrived.
#[derive(Clone)]
pub struct Recorded {
    /// Number of the request, from 1.
    pub number: u64,
    /// First segment of the path, or `default`.
    pub provider: String,
    /// The whole key; of a signature, the access key id. Never shown by `Debug`.
    pub key: String,
    /// The body's or the path's model.
    pub model: String,
    /// The path with its query.
    pub path: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The body, at most the recording limit of it.
    pub body: Bytes,
    /// Bytes of the whole body.
    pub body_len: usize,
    /// SHA-256 of the whole body, in hex.
    pub body_sha256: String,
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorded")
            .field("number", &self.number)
            .field("path", &self.path)
            .field("model", &self.model)
            .field("body_len", &self.body_len)
            .finish_non_exhaustive()
    }
}

/// Lower-case hex of the SHA-256 of `bytes`.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The address of a row: provider, key label, model.
pub(super) type RowId = (String, String, String);

/// The numbers while they grow.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub open_connections: u64,
    pub connections: u64,
    /// Requests since the start: the source of request ids. Not forgotten by a reset.
    pub requests: u64,
    rows: BTreeMap<RowId, Counts>,
    pub recorded: VecDeque<Recorded>,
}

impl Book {
    pub(super) fn row(&mut self, id: &RowId) -> &mut Counts {
        self.rows.entry(id.clone()).or_default()
    }

    pub(super) fn stats(&self) -> Stats {
        let slot = |((provider, key, model), counts): (&RowId, &Counts)| Slot {
            provider: provider.clone(),
            key: key.clone(),
            model: model.clone(),
            counts: counts.clone(),
        };
        Stats {
            open_connections: self.open_connections,
            connections: self.connections,
            slots: self.rows.iter().map(slot).collect(),
        }
    }

    /// Forgets counts and recordings, but not what is still open.
    pub(super) fn reset(&mut self) {
        self.recorded.clear();
        self.connections = self.open_connections;
        self.rows.retain(|_, counts| counts.in_flight > 0);
        for counts in self.rows.values_mut() {
            *counts = Counts { requests: counts.in_flight, in_flight: counts.in_flight, ..Counts::default() };
        }
    }
}
