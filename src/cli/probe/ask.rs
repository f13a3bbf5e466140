//! Asks the chosen slots at the same time, each once, over the gateway's own exchange and classifier.
//!
//! Owns the bounds on how many are asked at once, the progress bar, and the answer to SIGINT. Nothing is decided here: a
//! verdict is the classifier's. No ledger hears of it, so nothing cools and nobody is tried instead.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tower::Service;

use super::super::interrupted;
use super::Candidate;
use crate::clock::wall;
use crate::dialect::error::{facts, facts_in_event, safe_message};
use crate::failover::{Attempt, Miss};
use crate::policy::failure::{Failure, Kind};
use crate::policy::id::SlotId;
use crate::server::State;
use crate::upstream::Answer;

/// Requests to one provider at a time: a probe must not be what its limits are reached by.
const PER_PROVIDER: usize = 2;

/// What came of a slot.
pub(super) enum Verdict {
    /// A good answer.
    Good,
    /// None, and why.
    Failed {
        /// As the gateway's classifier has it.
        failure: Failure,
        /// The vendor's or the system's words, without secrets.
        words: Option<String>,
    },
    /// It was not to be asked.
    Skipped(&'static str),
    /// There was no time to ask it, or to hear its answer.
    Interrupted,
}

/// A slot and what came of it.
pub(super) struct Asked {
    pub(super) candidate: Candidate,
    pub(super) verdict: Verdict,
    /// From the first byte of the connection to the last of the answer.
    pub(super) latency: Option<Duration>,
}

/// All slots, in the order of the configuration.
pub(super) struct Round {
    pub(super) slots: Vec<Asked>,
    /// Somebody pressed Ctrl-C.
    pub(super) interrupted: bool,
}

impl Round {
    /// Whether somebody was asked, and everybody who was is fine.
    pub(super) fn is_good(&self) -> bool {
        let good = |asked: &Asked| matches!(asked.verdict, Verdict::Good);
        let skipped = |asked: &Asked| matches!(asked.verdict, Verdict::Skipped(_));
        self.slots.iter().any(good) && self.slots.iter().all(|asked| good(asked) || skipped(asked))
    }
}

/// Asks all of them; each may take `limit`, and `concurrency` are asked at a time.
pub(super) async fn all(state: &Arc<State>, candidates: Vec<Candidate>, limit: Duration, concurrency: usize) -> Round {
    let everybody = Arc::new(Semaphore::new(concurrency));
    let mut providers: HashMap<usize, Arc<Semaphore>> = HashMap::new();
    let mut asking = JoinSet::new();
    let bar = progress();
    let mut slots: Vec<Asked> = Vec::new();
    for (place, candidate) in candidates.into_iter().enumerate() {
        let verdict = match &candidate.question {
            Err(reason) => Verdict::Skipped(reason),
            Ok(_) => Verdict::Interrupted,
        };
        if let Ok(question) = &candidate.question {
            let attempt = Attempt {
                slot: candidate.slot,
                chain: Arc::clone(&candidate.chain),
                level: candidate.level,
                request: Arc::clone(&question.query),
                started: state.clock.now(),
                first_content: None,
                prefill: false,
            };
            let provider = attempt.level().provider.index();
            let gate = providers.entry(provider).or_insert_with(|| Arc::new(Semaphore::new(PER_PROVIDER)));
            let gates = [Arc::clone(gate), Arc::clone(&everybody)];
            let state = Arc::clone(state);
            asking.spawn(async move {
                // The provider's first: who waits for his provider must not keep others from theirs.
                let Ok(_provider) = gates[0].acquire().await else { return (place, None) };
                let Ok(_everybody) = gates[1].acquire().await else { return (place, None) };
                (place, Some(one(&state, attempt, limit).await))
            });
        }
        slots.push(Asked { candidate, verdict, latency: None });
    }
    bar.set_length(asking.len() as u64);
    let interrupted = gather(state, &mut asking, &mut slots, &bar).await;
    bar.finish_and_clear();
    Round { slots, interrupted }
}

type Heard = (usize, Option<(Verdict, Duration)>);

/// Notes answers as they come; whether SIGINT or SIGTERM came before the last.
async fn gather(state: &State, asking: &mut JoinSet<Heard>, slots: &mut [Asked], bar: &ProgressBar) -> bool {
    let mut stop = std::pin::pin!(interrupted());
    loop {
        bar.set_message(missing(state, slots));
        let heard = tokio::select! {
            biased;
            () = &mut stop => break,
            heard = asking.join_next() => heard,
        };
        let Some(heard) = heard else { return false };
        bar.inc(1);
        note(slots, heard);
    }
    // What was heard before the signal is known.
    while let Some(heard) = asking.try_join_next() {
        note(slots, heard);
    }
    true
}

/// Whose answer is still awaited, for the progress bar.
fn missing(state: &State, slots: &[Asked]) -> String {
    let mut missing = slots.iter().filter(|asked| matches!(asked.verdict, Verdict::Interrupted));
    let first = missing.next().map_or("", |asked| state.names.slot(asked.candidate.slot).label.as_str());
    match missing.count() {
        0 => first.to_owned(),
        more => format!("{first} and {more} more"),
    }
}

fn note(slots: &mut [Asked], heard: Result<Heard, JoinError>) {
    if let Ok((place, Some((verdict, latency)))) = heard {
        slots[place].verdict = verdict;
        slots[place].latency = Some(latency);
    }
}

/// One attempt, exactly as the failover layer would make it.
async fn one(state: &State, mut attempt: Attempt<Arc<crate::upstream::Query>>, limit: Duration) -> (Verdict, Duration) {
    let slot = attempt.slot;
    let started = state.clock.now();
    attempt.started = started;
    let outcome = tokio::time::timeout(limit, state.exchange.clone().call(attempt)).await;
    let latency = state.clock.now().since(started);
    let verdict = match outcome {
        Ok(Ok(_good)) => Verdict::Good,
        Ok(Err(miss)) => {
            let words = words(state, slot, &miss, limit).await;
            Verdict::Failed { failure: miss.failure, words }
        }
        Err(_elapsed) => Verdict::Failed { failure: Failure::new(Kind::Timeout), words: None },
    };
    (verdict, latency)
}

/// The vendor's own words; where there is no vendor, why it could not be reached.
async fn words(state: &State, slot: SlotId, miss: &Miss<Answer>, limit: Duration) -> Option<String> {
    let route = state.routes.of(slot);
    let words = match (&miss.answer, miss.failure.kind) {
        (Some(answer), _) => {
            let status = miss.failure.status.unwrap_or(answer.status.as_u16());
            let inner = (status == 200).then(|| facts_in_event(route.family, status, &answer.body)).flatten();
            let told = inner.unwrap_or_else(|| facts(route.family, status, &HeaderMap::new(), &answer.body, wall()));
            told.message
        }
        // The exchange keeps the reason for its log: connecting once more tells it again.
        (None, Kind::Network) => match tokio::time::timeout(limit, route.client.reach()).await {
            Ok(Err(error)) => error.reason,
            Ok(Ok(())) => "the connection ended before an answer".to_owned(),
            Err(_elapsed) => return None,
        },
        (None, _) => return None,
    };
    let secrets: Vec<&str> = state.routes.secrets().collect();
    Some(safe_message(&words, &secrets)).filter(|words| !words.is_empty())
}

/// On standard error, and only if that is a terminal.
fn progress() -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {bar:24} {pos}/{len} {elapsed:.dim} {wide_msg:.dim}") {
        bar.set_style(style);
    }
    if !bar.is_hidden() {
        bar.enable_steady_tick(Duration::from_millis(100));
    }
    bar
}
