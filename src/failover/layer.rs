//! The tower layer that wraps one attempt service into failover.
//!
//! Owns the wiring. The loop is in [`service`](super::service).

use std::sync::Arc;

use tower::Layer;

use super::lease::Shared;
use super::observer::Observer;
use super::service::Failover;
use super::shared::SharedLedger;
use crate::clock::Clock;
use crate::policy::settings::RunSettings;

/// Makes a [`Failover`] of a service that performs single attempts.
#[derive(Debug, Clone)]
pub struct FailoverLayer {
    shared: Arc<Shared>,
}

impl FailoverLayer {
    /// A layer over `ledger`. `random` gives any random number; it decides jitter only.
    #[must_use]
    pub fn new(
        ledger: Arc<SharedLedger>,
        settings: RunSettings,
        clock: Clock,
        observer: Arc<dyn Observer>,
        random: Arc<dyn Fn() -> u64 + Send + Sync>,
    ) -> Self {
        Self { shared: Arc::new(Shared { ledger, observer, clock, settings: Arc::new(settings), random }) }
    }
}

impl<S> Layer<S> for FailoverLayer {
    type Service = Failover<S>;

    fn layer(&self, inner: S) -> Failover<S> {
        Failover::new(inner, Arc::clone(&self.shared))
    }
}
