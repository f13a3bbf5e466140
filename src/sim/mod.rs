//! Simulated providers with scripted faults, in the dialects of OpenAI, Anthropic and Bedrock: for `backstop sim`, tests,
//! demos and drills.
//!
//! The first segment of the path is the provider, the rest says the dialect:
//!
//! | path after the provider | dialect |
//! |---|---|
//! | `/v1/chat/completions`, `/v1/responses`, `/v1/embeddings` … | OpenAI |
//! | `/openai/deployments/NAME/chat/completions?api-version=…`, `/openai/v1/chat/completions` | OpenAI, as Azure has it |
//! | `/v1/messages`, `/v1/messages/count_tokens` | Anthropic Messages |
//! | `/model/ID/converse`, `/model/ID/converse-stream` | Bedrock |
//!
//! The key is the bearer token, `x-api-key`, `api-key`, or the access key id of a signature, which nobody verifies. Answers
//! are healthy and say who gave them, the same words in each dialect, unless a rule of the [`Script`] injects a [`Fault`]: a
//! status, a delay, a hang, a reset, a cut, garbage, a frame with a wrong checksum. With an `answer` in the script everybody
//! says that instead, and a conversation that ends with the beginning of an answer (a prefill) is gone on with, begun anew or
//! refused, as its model does. An error is told in the words of the dialect that was asked, whichever vendor's name for it
//! the script uses (`overloaded_error`, `ThrottlingException`, `insufficient_quota`). Requests to Anthropic and Bedrock are
//! refused for what their vendors refuse. `GET /stats` counts, `GET /faults` lists every fault as a rule, `POST /script`
//! replaces the script, `POST /reset` forgets.
//!
//! Owns its own HTTP/1.1 loop, because faults need exact control of the socket. Knows nothing of the gateway:
//! it shares no code with what it tests.

mod act;
mod answer;
mod anthropic;
mod ask;
mod bedrock;
mod chat;
mod dialect;
mod encode;
mod errors;
mod eventstream;
mod fault;
mod form;
mod http1;
mod job;
mod media;
mod pick;
mod prefill;
mod responses;
mod route;
mod script;
mod server;
mod state;
mod stats;
mod stream;
mod thinking;

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use answer::pieces;
pub use dialect::Dialect;
pub use fault::{Listed, Stage, faults};
pub use script::{
    ErrorSpec, Fault, Garbage, KeyLimit, Match, Point, Rule, Script, ScriptError, StreamError, Trickle, When,
};
pub use stats::{Counts, Recorded, Slot, Stats};

/// What a simulator keeps and accepts.
#[derive(Debug, Clone)]
pub struct SimOptions {
    /// Requests kept for [`Sim::requests`], the last ones; 0 records nothing.
    pub record: usize,
    /// Bytes kept of each recorded body.
    pub record_bytes: usize,
    /// Largest request body, bytes; a larger one is answered 413.
    pub max_body: usize,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self { record: 1_000, record_bytes: 64 << 10, max_body: 64 << 20 }
    }
}

/// Serves on `listener` until `shutdown` resolves; nothing is recorded.
pub async fn serve(listener: TcpListener, script: Script, shutdown: impl Future<Output = ()>) {
    let options = SimOptions { record: 0, ..SimOptions::default() };
    server::run(listener, state::State::new(script, options), shutdown).await;
}

/// A simulator inside this process, on a free port of the loopback address. Dropping it stops it.
#[derive(Debug)]
pub struct Sim {
    addr: SocketAddr,
    state: Arc<state::State>,
    task: JoinHandle<()>,
}

impl Sim {
    /// Starts one on the current runtime, with the default options.
    ///
    /// # Errors
    /// No port could be bound.
    pub fn start(script: Script) -> io::Result<Self> {
        Self::start_with(script, SimOptions::default())
    }

    /// Starts one on the current runtime.
    ///
    /// # Errors
    /// No port could be bound.
    pub fn start_with(script: Script, options: SimOptions) -> io::Result<Self> {
        let listener = server::adopt(std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?)?;
        let addr = listener.local_addr()?;
        let state = state::State::new(script, options);
        let task = tokio::spawn(server::run(listener, state.clone(), std::future::pending()));
        Ok(Self { addr, state, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The base URL of a provider, as a gateway's configuration has it: `http://127.0.0.1:PORT/openai/v1`.
    #[must_use]
    pub fn base_url(&self, provider: &str) -> String {
        format!("http://{}/{provider}/v1", self.addr)
    }

    /// The same without `/v1`, for what is not below it: Bedrock and Azure. `http://127.0.0.1:PORT/bedrock`.
    #[must_use]
    pub fn endpoint(&self, provider: &str) -> String {
        format!("http://{}/{provider}", self.addr)
    }

    /// What was counted so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.state.stats()
    }

    /// The last requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.state.recorded()
    }

    /// Plays another script from its start. Requests in flight keep their fault.
    pub fn set_script(&self, script: Script) {
        self.state.set_script(script);
    }

    /// Forgets counts and recordings and starts the script again.
    pub fn reset(&self) {
        self.state.reset();
    }

    /// Waits until the statistics satisfy `good`, for ever: put a timeout around it.
    pub async fn wait_until(&self, good: impl Fn(&Stats) -> bool) -> Stats {
        let mut changes = self.state.changes();
        loop {
            changes.mark_unchanged();
            let stats = self.state.stats();
            // The sender lives in the state that this simulator holds, so waiting can't fail.
            if good(&stats) || changes.changed().await.is_err() {
                return stats;
            }
        }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.task.abort();
    }
}
