//! Attempts that are held beyond their first content: a stream that is kept until it is complete, and one that continues
//! another and has to say again what the client has (contract section 5).
//!
//! Owns their limits on time, which an attempt that ends at its first content does not need. Refuses to know what the answer
//! says.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tokio::time::{Instant, timeout_at};

use super::exchange::{Answer, Query, Shared, miss};
use super::pool::StreamBody;
use super::route::Route;
use crate::clock;
use crate::failover::{Attempt, Miss};
use crate::policy::commit::Why;
use crate::policy::failure::{Failure, Kind, Timer};
use crate::policy::recovery::{may_refuse_prefill, refuses_prefill};
use crate::stream::buffer::{Kept, keep};
use crate::stream::ending::{Break, End};
use crate::stream::gate::{GateError, GateLimits, Held, hold, hold_more};
use crate::stream::spoken::Spoken;
use crate::stream::tap::Tap;
use crate::stream::translated::Spent;

impl Shared {
    /// Does `work` within the limit to the first content.
    pub(super) async fn by_first_content<T>(
        &self,
        attempt: &Attempt<Arc<Query>>,
        work: impl Future<Output = T>,
    ) -> Result<T, Miss<Answer>> {
        let (due, timer) = self.due(attempt);
        timeout_at(due, work).await.map_err(|_elapsed| miss(Failure::new(Kind::Timeout).with_timer(timer)))
    }

    fn due(&self, attempt: &Attempt<Arc<Query>>) -> (Instant, Timer) {
        let (limit, timer) = attempt.first_content.unwrap_or((Duration::ZERO, Timer::FirstContent));
        (self.clock.at(attempt.started + limit), timer)
    }

    /// Holds a stream to its first content. Of one that says again what the client has, all of that counts as content: the
    /// first must come in time, and then no two may be further apart than the stall limit.
    pub(super) async fn hold_long(
        &self,
        attempt: &Attempt<Arc<Query>>,
        body: StreamBody,
        limits: &GateLimits,
        spent: Option<&Spent>,
    ) -> Result<Result<Held<StreamBody>, GateError<hyper::Error>>, Miss<Answer>> {
        let spoken = Spoken::at(attempt.request.endpoint);
        let (mut due, mut timer) = self.due(attempt);
        if attempt.request.sent.is_none() {
            return self.by_first_content(attempt, hold(body, limits, spoken)).await;
        }
        let made = clock::now();
        let mut holding = Box::pin(hold_more(body, limits, spoken));
        loop {
            if let Ok(held) = timeout_at(due, &mut holding).await {
                return Ok(held);
            }
            let heard = spent.and_then(Spent::heard).map(|after| made + after + attempt.level().stall);
            match heard {
                Some(next) if next > clock::now() => (due, timer) = (next, Timer::Stall),
                Some(_) => return Err(miss(stalled())),
                None => return Err(miss(Failure::new(Kind::Timeout).with_timer(timer))),
            }
        }
    }

    /// A target that was to go on from what the client has refused the request: it may still be asked afresh. If its words say
    /// that it never goes on, nobody asks it that again.
    pub(super) fn refused_prefill(&self, attempt: &Attempt<Arc<Query>>, miss: &mut Miss<Answer>) {
        if !may_refuse_prefill(miss.failure.kind) {
            return;
        }
        miss.failure.kind = Kind::NotCapable;
        let body = miss.answer.as_ref().map(|answer| String::from_utf8_lossy(&answer.body).to_lowercase());
        if body.is_some_and(|words| refuses_prefill(&words)) {
            let model = &attempt.level().model;
            tracing::info!(slot = attempt.slot.0, %model, "takes no beginning of an answer: asked afresh from now on");
            self.ledger.with(|ledger| ledger.refuse_prefill(attempt.level().target));
        }
    }

    /// Keeps a stream until it is complete. One that is longer than an answer may be goes out from there.
    pub(super) async fn keep(
        &self,
        route: &Route,
        attempt: &Attempt<Arc<Query>>,
        headers: &HeaderMap,
        held: Held<StreamBody>,
    ) -> Result<Held<StreamBody>, Miss<Answer>> {
        let spoken = held.tap.spoken();
        match keep(held, attempt.level().stall, self.limits.whole_bytes, StreamBody::Over).await {
            Ok(Kept::Whole(chunks, tally)) => {
                let tap = Tap::ended(spoken, tally);
                Ok(Held { why: Why::Content, chunks, stop: None, tap, body: StreamBody::Over, ended: true })
            }
            Ok(Kept::Long(held)) => Ok(held),
            Err(End::Error(data)) => Err(self.bad_200(route, attempt, headers, data)),
            Err(End::Broken(Break::Stalled)) => Err(miss(stalled())),
            Err(End::Broken(_) | End::Complete) => Err(miss(Failure::new(Kind::BrokenStream).with_status(200))),
        }
    }
}

/// Nothing came between two contents.
pub(super) const fn stalled() -> Failure {
    Failure::new(Kind::BrokenStream).with_status(200).with_timer(Timer::Stall)
}
