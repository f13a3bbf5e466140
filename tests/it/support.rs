//! What the tests with real sockets share: a gateway in this process, clients that see the bytes, and waiting for a
//! condition with a bound.
//!
//! Owns set-up and reading. Refuses to know what is tested.

#![allow(dead_code, reason = "each topic uses its own part")]

pub mod replay;
mod wire;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use backstop::server::State;
use http::HeaderMap;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub use wire::{STREAM_HEAD, Upstream, Wire, event, last_event, plain_answer};

/// Long enough for anything that comes at all, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Settings under which a hint of one second or a slow machine changes no test's course.
pub const CALM: &str = "run: { same_target_wait: 0, retry_pause_min: '1ms', retry_pause_max: '2ms' },";

/// Ends as `work` does, or fails the test when it takes too long.
pub async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("{what}: nothing within {PATIENCE:?}"))
}

/// Asks until `good`; the pause between two questions is no condition of anything.
pub async fn until<F: Future<Output = bool>>(what: &str, mut good: impl FnMut() -> F) {
    let asking = async {
        while !good().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    soon(what, asking).await;
}

/// A gateway in this process, on a free port of the loopback address.
pub struct Gateway {
    pub addr: SocketAddr,
    pub state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<f64>,
}

impl Gateway {
    /// Serves a configuration in JSON5.
    pub async fn start(text: &str) -> Self {
        Self::start_with(text, &[]).await
    }

    /// The same with environment variables.
    pub async fn start_with(text: &str, env: &[(&str, &str)]) -> Self {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let config = backstop::config::load_text(Some(("test.json5", text)), env).unwrap();
        let backstop::app::Gateway { state, options } = backstop::app::build(&config).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            let _dropped = stopped.await;
        };
        let task = tokio::spawn(backstop::server::serve(listener, Arc::clone(&state), options, shutdown));
        Self { addr, state, stop: Some(stop), task }
    }

    /// Begins the shutdown.
    pub fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Begins the shutdown and waits for its end: how many requests were cut.
    pub async fn stopped(mut self) -> f64 {
        self.stop();
        let task = self.task;
        soon("the end of the drain", task).await.unwrap()
    }

    /// A new connection to it.
    pub async fn connect(&self) -> Wire {
        Wire::connect(self.addr).await
    }

    /// Sends a request on a connection of its own and reads the whole answer.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut wire = self.connect().await;
        wire.request(method, path, headers, body).await;
        wire.answer().await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"").await
    }

    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        self.send("POST", path, headers, body.to_string().as_bytes()).await
    }

    /// A chat with `model`.
    pub async fn chat(&self, model: &str) -> Answer {
        self.post("/v1/chat/completions", &[], &chat(model, false)).await
    }

    /// The same as a stream.
    pub async fn stream(&self, model: &str) -> Answer {
        self.post("/v1/chat/completions", &[], &chat(model, true)).await
    }

    /// What `GET /status` says of a lane (`slot`, `key`, `target`, `endpoint`) by its name.
    pub async fn lane(&self, lane: &str, name: &str) -> Value {
        let status = self.get("/status").await.json();
        let lanes = status["lanes"].as_array().unwrap();
        let found = lanes.iter().find(|row| row["lane"] == lane && row["name"] == name);
        found.unwrap_or_else(|| panic!("no {lane} {name} in {status:#}")).clone()
    }

    /// The sum of a metric's samples that have all of these labels (`kind="auth"`).
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.get("/metrics").await.text();
        let samples = text.lines().filter(|line| {
            let rest = line.strip_prefix(name).unwrap_or_default();
            rest.starts_with(['{', ' ']) && labels.iter().all(|label| rest.contains(label))
        });
        samples.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    /// Waits until no request and no attempt is in flight.
    pub async fn idle(&self) {
        until("an idle gateway", async || {
            let in_flight = self.metric("backstop_attempts_in_flight", &[]).await;
            in_flight == 0.0 && self.metric("backstop_requests_in_flight", &[]).await == 0.0
        })
        .await;
    }
}

/// The body of a chat.
pub fn chat(model: &str, stream: bool) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }], "stream": stream })
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// As the HTTP chunks came; one of the whole body if it was not chunked.
    pub chunks: Vec<Vec<u8>>,
    /// Whether the body had its end.
    pub whole: bool,
}

impl Answer {
    pub fn body(&self) -> Vec<u8> {
        self.chunks.concat()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body()).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The value of a header, empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn trail(&self) -> &str {
        self.header("x-backstop-trail")
    }

    /// `data` of all events, `[DONE]` too.
    pub fn events(&self) -> Vec<String> {
        self.text().lines().filter_map(|line| line.strip_prefix("data: ")).map(str::to_owned).collect()
    }

    /// The assistant's text, streamed or not.
    pub fn content(&self) -> String {
        if !self.header("content-type").starts_with("text/event-stream") {
            return self.json()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned();
        }
        let deltas = self.events().into_iter().filter_map(|data| serde_json::from_str::<Value>(&data).ok());
        deltas.filter_map(|event| event.pointer("/choices/0/delta/content")?.as_str().map(str::to_owned)).collect()
    }

    /// The error object of the body, or of the last event.
    pub fn error(&self) -> Value {
        if self.header("content-type").starts_with("text/event-stream") {
            let last = self.events().pop().unwrap_or_default();
            return serde_json::from_str::<Value>(&last).map(|event| event["error"].clone()).unwrap_or_default();
        }
        self.json()["error"].clone()
    }
}
