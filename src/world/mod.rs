//! A small world in virtual time: clients, upstreams that break, and the policy between them.
//!
//! For the property tests and for `backstop simulate`. Owns a discrete-event simulation that drives
//! [`Ledger`](crate::policy::ledger::Ledger) and [`Run`](crate::policy::run::Run) step by step as the failover service
//! does. Refuses to know sockets, clocks and threads, and judges nothing: a [`Witness`] is told every fact.

mod engine;
mod fact;
mod random;
mod scenario;
mod upstream;

pub use engine::{Outcome, Tally, simulate};
pub use fact::{Fact, Witness};
pub use random::Random;
pub use scenario::{Errand, Scenario, Topology, Traffic};
pub use upstream::{Ending, Fate, Faults, Hints, Limit, Reply, TargetFault, Upstreams, Window};
