//! The result: for people, as JSON, and what is wrong with it.
//!
//! Owns the limits of this soak, in one place. Refuses to measure.

use std::fmt;

use serde::Serialize;

use super::options::Recovery;
use super::sample::Sample;

/// More descriptors than at the start that are none of ours: a connection that is about to close.
const DESCRIPTORS: u64 = 8;

/// What memory may be above the start, the greater of both: an allocator keeps a part of what was freed.
const RESIDENT_PERCENT: u64 = 20;
const RESIDENT_KIB: u64 = 8 * 1024;

/// So much of what was asked for must have been open at once, or nothing was tried.
const OPEN_PERCENT: u64 = 90;

/// What clients and upstream have counted, the warm-up and the looking at the end among it.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Counts {
    /// Streams with all they should have, however they came about.
    pub whole: u64,
    /// Of them, cut before the first content.
    pub hidden: u64,
    /// Of them, cut after it.
    pub recovered: u64,
    /// Cut after the first content, and ended with an error event, as they should.
    pub broken: u64,
    /// Not as they should be.
    pub failed: u64,
    /// Events with content that clients got.
    pub contents: u64,
    /// Bytes of text that clients got, each compared.
    pub bytes: u64,
    /// Comments that clients got.
    pub comments: u64,
    /// Requests to the upstream from the beginning.
    pub upstream_afresh: u64,
    /// Requests to the upstream that go on from what was told.
    pub upstream_continued: u64,
}

/// All of it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What was tried.
    pub recovery: Recovery,
    /// Streams at the same time.
    pub streams: u64,
    /// For how long new ones were begun.
    pub seconds: u64,
    /// Before anything was asked.
    pub fresh: Sample,
    /// After the warm-up.
    pub start: Sample,
    /// The greatest of each, while streams were open.
    pub peak: Sample,
    /// When all is over.
    pub end: Sample,
    /// How long it took from the last stream to that, in milliseconds.
    pub settled_ms: u64,
    /// What was counted.
    pub counts: Counts,
    /// The peak above what it was before anything was asked, for each stream.
    pub kib_per_stream: f64,
    /// What is wrong; nothing, if all is well.
    pub reasons: Vec<String>,
}

/// What at the end is not yet as at the start.
pub fn left_over(start: Sample, end: Sample) -> Vec<String> {
    let mut reasons = Vec::new();
    for (name, value) in [("requests", end.requests), ("attempts", end.attempts)] {
        if value > 0 {
            reasons.push(format!("{value} {name} are still in flight"));
        }
    }
    if end.descriptors > start.descriptors + DESCRIPTORS {
        let (before, after) = (start.descriptors, end.descriptors);
        reasons.push(format!("{after} file descriptors are open, and {before} were (± {DESCRIPTORS})"));
    }
    let limit = resident_limit(start);
    if end.resident_kib > limit {
        let (before, after) = (start.resident_kib, end.resident_kib);
        reasons.push(format!("{after} KiB are resident; {before} were, and {limit} may be"));
    }
    reasons
}

/// The most memory that may be resident at the end.
const fn resident_limit(start: Sample) -> u64 {
    let slack = start.resident_kib * RESIDENT_PERCENT / 100;
    start.resident_kib + if slack > RESIDENT_KIB { slack } else { RESIDENT_KIB }
}

impl Report {
    /// Adds what is wrong with the numbers.
    pub fn judge(&mut self) {
        self.reasons.extend(left_over(self.start, self.end));
        if self.peak.requests * 100 < self.streams * OPEN_PERCENT {
            self.reasons.push(format!("only {} of {} streams were open at once", self.peak.requests, self.streams));
        }
        #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
        let above = self.peak.resident_kib.saturating_sub(self.fresh.resident_kib) as f64 / self.streams as f64;
        self.kib_per_stream = (above * 10.0).round() / 10.0;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fresh, start, peak, end, counts, .. } = self;
        writeln!(
            out,
            "{} streams at once for {} s, recovery `{}`\n",
            self.streams,
            self.seconds,
            self.recovery.name()
        )?;
        writeln!(out, "{:20} {:>10} {:>10} {:>10} {:>10}", "the gateway", "fresh", "start", "peak", "end")?;
        for (name, value) in [
            ("resident KiB", (|sample| sample.resident_kib) as fn(&Sample) -> u64),
            ("file descriptors", |sample| sample.descriptors),
            ("requests in flight", |sample| sample.requests),
            ("attempts in flight", |sample| sample.attempts),
        ] {
            let [fresh, start, peak, end] = [fresh, start, peak, end].map(value);
            writeln!(out, "{name:20} {fresh:>10} {start:>10} {peak:>10} {end:>10}")?;
        }
        writeln!(out, "\n{:20} {:>10}", "streams", counts.whole + counts.broken + counts.failed)?;
        for (name, value) in [
            ("  whole", counts.whole),
            ("    cut, hidden", counts.hidden),
            ("    cut, recovered", counts.recovered),
            ("  cut, with an error", counts.broken),
            ("  wrong", counts.failed),
            ("pieces", counts.contents),
            ("bytes of text", counts.bytes),
            ("comments", counts.comments),
            ("upstream: afresh", counts.upstream_afresh),
            ("upstream: continued", counts.upstream_continued),
        ] {
            writeln!(out, "{name:20} {value:>10}")?;
        }
        writeln!(out, "\n{} KiB per open stream at the peak", self.kib_per_stream)?;
        writeln!(out, "settled {} ms after the last stream", self.settled_ms)?;
        let limit = resident_limit(*start);
        writeln!(
            out,
            "resident at the end: at most {limit} KiB (start + {RESIDENT_PERCENT} %, or 8 MiB if that is more)"
        )?;
        if self.reasons.is_empty() {
            return writeln!(out, "all well");
        }
        writeln!(out, "WRONG:")?;
        self.reasons.iter().try_for_each(|reason| writeln!(out, "  {reason}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Sample = Sample { resident_kib: 10_000, descriptors: 12, requests: 0, attempts: 0 };

    #[test]
    fn the_end_may_be_a_little_above_the_start() {
        assert!(left_over(START, START).is_empty());
        assert!(left_over(START, Sample { resident_kib: 18_192, descriptors: 20, ..START }).is_empty());
        let big = Sample { resident_kib: 100_000, ..START };
        assert!(left_over(big, Sample { resident_kib: 120_000, ..START }).is_empty());
        assert_eq!(left_over(START, Sample { resident_kib: 18_193, ..START }).len(), 1);
        assert_eq!(left_over(START, Sample { descriptors: 21, requests: 1, attempts: 1, ..START }).len(), 3);
    }
}
