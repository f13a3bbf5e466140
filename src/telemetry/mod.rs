//! What people and machines see of the gateway: metrics and log lines.
//!
//! Owns every series and every line. Refuses to decide anything, and never holds a secret.

pub mod log;
pub mod metrics;
pub mod names;
pub mod watch;

pub use metrics::Metrics;
pub use names::Names;
pub use watch::Watch;
