//! What every request handler shares.
//!
//! Owns nothing by itself: the application puts it together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::headers::Ready;
use super::keys::ClientKeys;
use crate::failover::{Clock, Failover, SharedLedger};
use crate::policy::chain::Catalog;
use crate::policy::settings::RunSettings;
use crate::telemetry::{Metrics, Names};
use crate::upstream::{Exchange, Routes};

/// The shared state of the front.
pub struct State {
    /// What model names mean.
    pub catalog: Catalog,
    /// The failover layer over the exchange.
    pub failover: Failover<Exchange>,
    /// The exchange, to judge what a stream says after its commit.
    pub exchange: Exchange,
    /// The ledger, to be shown.
    pub ledger: Arc<SharedLedger>,
    /// Where slots lead, for their secrets.
    pub routes: Arc<Routes>,
    /// Names of slots and lanes.
    pub names: Arc<Names>,
    /// The headers of answers that a slot gave at once.
    pub ready: Ready,
    /// All series.
    pub metrics: Arc<Metrics>,
    /// The clock.
    pub clock: Clock,
    /// The budget of a request.
    pub run: RunSettings,
    /// Who may use it.
    pub client_keys: ClientKeys,
    /// Bodies may be this long, in bytes.
    pub max_body: usize,
    /// A body must have come within this.
    pub body_timeout: Duration,
    /// LiteLLM's names for some of the headers are sent as well.
    pub litellm_headers: bool,
    /// One log line per request.
    pub log_requests: bool,
    /// Distinguishes the request ids of this process.
    pub id_seed: u64,
    /// Set when the gateway no longer takes new connections.
    pub draining: AtomicBool,
}

impl State {
    /// Whether the gateway is about to end.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
