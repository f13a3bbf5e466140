//! Stream recovery (contract section 5), seen from real sockets on both sides: a scripted vendor breaks its stream
//! somewhere, and the client gets the whole answer or an error, never half of one that looks whole.
//!
//! Owns what these tests share: the fronts, their requests, and configurations whose cooldowns are over at once. [`heard`]
//! owns what a client makes of a stream.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

mod every_byte;
mod heard;
mod limits;
mod matrix;
mod recorded;
mod scene;
mod seams;
mod timers;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::Gateway;
use heard::Heard;

/// The header that asks for a way to recover.
const MODE: &str = "x-backstop-stream-recovery";
/// Failures that cool for no time worth mentioning, and no pauses.
const BRIEF: &str =
    "cooldowns: { broken_stream: { first: '10ms', cap: '10ms' }, timeout: { first: '10ms', cap: '10ms' },
    overloaded: { first: '10ms', cap: '10ms' }, server_error: { first: '10ms', cap: '10ms' },
    network: { first: '10ms', cap: '10ms' }, auth: { first: '10ms', cap: '10ms' },
    billing: { first: '10ms', cap: '10ms' }, rate_limit: { first: '10ms', cap: '10ms' }, endpoint_failures: 1000000, target_keys: 1000 },
    run: { same_target_wait: 0, retry_pause_min: '1ms', retry_pause_max: '2ms', keep_alive: '60s' },";

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Front {
    Chat,
    Messages,
}

impl Front {
    const ALL: [Self; 2] = [Self::Chat, Self::Messages];

    const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Messages => "/v1/messages",
        }
    }

    /// A request that both fronts take: a stream of `model`, asked with these words.
    fn ask(self, model: &str, words: &str) -> Value {
        let mut body = json!({ "model": model, "stream": true, "max_tokens": 512,
            "messages": [{ "role": "user", "content": words }] });
        if self == Self::Chat {
            body["stream_options"] = json!({ "include_usage": true });
        }
        body
    }

    /// Asks, and listens to the end.
    async fn listen(self, gateway: &Gateway, mode: &str, body: &Value) -> Heard {
        let answer = gateway.post(self.path(), &[(MODE, mode)], body).await;
        Heard::of(self, &answer)
    }
}

/// A configuration of these providers and chains, and more.
fn config(providers: &[String], chains: &[String], more: &str) -> String {
    format!("{{ providers: {{ {} }}, chains: {{ {} }}, {more} }}", providers.join(", "), chains.join(", "))
}

/// Runs all of it, so many at a time.
async fn several<F>(at_once: usize, all: impl IntoIterator<Item = F>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut running = JoinSet::new();
    for one in all {
        if running.len() == at_once {
            running.join_next().await.unwrap().unwrap();
        }
        running.spawn(one);
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}
