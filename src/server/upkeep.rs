//! What is done now and then beside requests: unused upstream connections are closed, and free memory is given back.
//!
//! Owns when. Refuses to know how: [`Routes`](crate::upstream::Routes) knows its connections, `backstop-memory` the allocator.

use std::sync::Arc;
use std::time::Duration;

use super::state::State;

/// How often it is looked at.
pub(super) const PERIOD: Duration = Duration::from_secs(5);

/// With fewer requests than these, nobody waits for memory that is being given back.
const QUIET: f64 = 8.0;
/// Memory is given back at most once in so many periods,
const RESTING: u32 = 12;
/// or at once when it is quiet after so many requests at the same time,
const BUSY: f64 = 64.0;
/// or after so many in all.
const MANY: u64 = 1_000;

/// When memory was given back, and what was seen since.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    periods: u32,
    busiest: f64,
    served: u64,
}

impl Upkeep {
    /// A period is over.
    pub(super) fn tick(&mut self, state: &Arc<State>) {
        state.routes.sweep();
        if self.is_due(state.metrics.in_flight.get(), state.metrics.overhead.get_sample_count()) {
            // Beside the runtime: it takes some milliseconds for every hundred megabytes.
            tokio::task::spawn_blocking(|| {
                let given_back = backstop_memory::give_back();
                tracing::debug!(given_back, "free memory");
            });
        }
    }

    /// Whether free memory should be given back now.
    fn is_due(&mut self, in_flight: f64, served: u64) -> bool {
        self.periods = self.periods.saturating_add(1);
        self.busiest = self.busiest.max(in_flight);
        let since = served.saturating_sub(self.served);
        let much = self.busiest >= BUSY || since >= MANY;
        let anything = since > 0 || self.busiest > 0.0;
        let due = in_flight < QUIET && (much || anything && self.periods >= RESTING);
        if due {
            *self = Self { periods: 0, busiest: in_flight, served };
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_when_it_is_quiet_after_many_requests() {
        let mut upkeep = Upkeep::default();
        assert!(!upkeep.is_due(100.0, 10));
        assert!(!upkeep.is_due(20.0, 500), "not quiet yet");
        assert!(upkeep.is_due(2.0, 600));
        assert!(!upkeep.is_due(0.0, 600), "once");
        assert!(upkeep.is_due(0.0, 1_600), "a burst between two looks");
    }

    #[test]
    fn after_a_few_requests_it_is_given_back_now_and_then_and_never_for_nothing() {
        let mut upkeep = Upkeep::default();
        let due =
            |upkeep: &mut Upkeep, served: u64| (0..RESTING).map(|_| upkeep.is_due(0.0, served)).collect::<Vec<_>>();
        assert!(due(&mut upkeep, 0).iter().all(|due| !due), "nothing was served");
        assert!(upkeep.is_due(0.0, 5));
        let later = due(&mut upkeep, 6);
        assert_eq!((later[..11].iter().any(|due| *due), later[11]), (false, true));
    }
}
