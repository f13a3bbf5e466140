//! The one place where the gateway reads a clock.
//!
//! Owns the origin that the policy's instants count from. Follows tokio's clock, so tests can pause it.
#![allow(clippy::disallowed_methods, reason = "this is the one clock")]

use std::time::{Duration, SystemTime};

use crate::policy::time::Instant;

/// A monotonic clock that starts at zero.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: tokio::time::Instant,
}

impl Clock {
    /// Starts counting now.
    #[must_use]
    pub fn start() -> Self {
        Self { origin: now() }
    }

    /// Time since the start.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::from_origin(self.origin.elapsed())
    }

    /// The same point for tokio's timers.
    #[must_use]
    pub fn at(&self, instant: Instant) -> tokio::time::Instant {
        self.origin + Duration::from_micros(instant.as_micros())
    }
}

/// Now, for tokio's timers and for what they measure.
#[must_use]
pub fn now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

/// The wall clock: only for dates in headers and for what is shown to people.
#[must_use]
pub fn wall() -> SystemTime {
    SystemTime::now()
}
