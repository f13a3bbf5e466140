//! Attempts and failures of the last seconds: what the blip rule asks.
//!
//! Owns a ring of whole-second buckets. Refuses to know what counts as a failure.

use std::time::Duration;

use crate::policy::time::Instant;

/// The longest window in seconds.
pub(super) const SECONDS: usize = 60;

#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    second: u64,
    attempts: u32,
    failed: u32,
}

/// Counts by whole seconds; a bucket is reused when its second has passed out of the window.
#[derive(Debug, Clone)]
pub(super) struct Window {
    buckets: Box<[Bucket; SECONDS]>,
}

impl Window {
    pub(super) fn new() -> Self {
        Self { buckets: Box::new([Bucket::default(); SECONDS]) }
    }

    fn bucket(&mut self, now: Instant) -> &mut Bucket {
        let second = now.as_secs();
        let place = usize::try_from(second % SECONDS as u64).unwrap_or(0);
        let bucket = &mut self.buckets[place];
        if bucket.second != second {
            *bucket = Bucket { second, attempts: 0, failed: 0 };
        }
        bucket
    }

    /// One attempt got its answer.
    pub(super) fn attempt(&mut self, now: Instant) {
        let bucket = self.bucket(now);
        bucket.attempts = bucket.attempts.saturating_add(1);
    }

    /// One attempt failed (count the attempt as well unless it was counted when it was answered).
    pub(super) fn failure(&mut self, now: Instant) {
        let bucket = self.bucket(now);
        bucket.failed = bucket.failed.saturating_add(1);
    }

    /// Attempts and failures in the `window` that ends with the second of `now`.
    pub(super) fn counts(&self, window: Duration, now: Instant) -> (u32, u32) {
        let last = now.as_secs();
        let span = window.as_secs().min(SECONDS as u64);
        self.buckets
            .iter()
            .filter(|bucket| bucket.second <= last && bucket.second + span > last)
            .fold((0, 0), |(attempts, failed), bucket| (attempts + bucket.attempts, failed + bucket.failed))
    }
}
