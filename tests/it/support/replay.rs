//! A scripted vendor on a loopback port. It speaks three dialects, told apart by the path, and plays one act for each
//! request: it answers, goes wrong somewhere, or writes recorded bytes. Asked with the assistant's words at the end, it
//! goes on from there.
//!
//! Owns the connection and what it was asked. Refuses to know gateways: it shares no code with them or their simulators.

pub mod fault;
mod frames;
pub mod speech;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use http::HeaderMap;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use fault::{Ending, Fault, Move, Place};
pub use speech::{Dialect, Speech};

use super::Wire;

/// What a vendor does with a request.
#[derive(Debug, Clone)]
pub enum Act {
    Healthy,
    Fails(Fault, Place),
    /// The stream's first bytes, then this end of it.
    Cut(usize, Ending),
    /// Whatever these are.
    Moves(Vec<Move>),
}

/// What a vendor makes of a last message that is the assistant's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefill {
    /// It goes on exactly where that ends.
    GoesOn,
    /// The same, without the white space that would come next.
    Swallows,
    /// The same, with the white space at its end once more.
    Repeats,
    /// It says 400.
    Refuses,
    /// It begins again.
    Ignores,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    pub path: String,
    pub dialect: Dialect,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Asked {
    /// The model, wherever the dialect says it.
    pub fn model(&self) -> &str {
        let in_path = self.path.strip_prefix("/model/").and_then(|rest| rest.split('/').next());
        in_path.or_else(|| self.body["model"].as_str()).unwrap_or_default()
    }

    fn last(&self) -> &Value {
        self.body["messages"].as_array().and_then(|messages| messages.last()).unwrap_or(&Value::Null)
    }

    /// The text of the last message, if it is the assistant's.
    pub fn prefill(&self) -> Option<String> {
        (self.last()["role"] == "assistant").then(|| text(&self.last()["content"]))
    }

    /// The last text of the user.
    pub fn said(&self) -> String {
        let mut messages = self.body["messages"].as_array().into_iter().flatten();
        text(&messages.rfind(|message| message["role"] == "user").unwrap_or(&Value::Null)["content"])
    }

    fn wants_usage(&self) -> bool {
        self.body["stream_options"]["include_usage"] == true
    }
}

/// The text of a content, plain or in blocks.
fn text(content: &Value) -> String {
    let blocks = content.as_array().into_iter().flatten().filter_map(|block| block["text"].as_str());
    content.as_str().map_or_else(|| blocks.collect(), str::to_owned)
}

type Acts = Box<dyn Fn(&Asked, usize) -> Act + Send + Sync>;

/// The act of each request: the first plays the first one, and the last one repeats.
pub fn in_order(acts: Vec<Act>) -> impl Fn(&Asked, usize) -> Act + Send + Sync {
    move |_, number| acts[number.min(acts.len() - 1)].clone()
}

/// A vendor.
pub struct Vendor {
    pub addr: SocketAddr,
    stage: Arc<Stage>,
    task: JoinHandle<()>,
}

struct Stage {
    speech: Speech,
    prefill: Prefill,
    acts: Acts,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    asked: Vec<Asked>,
    /// Last messages of the assistant that were none of its words.
    foreign: Vec<String>,
}

impl Vendor {
    /// Speaks this whenever it is asked, as `acts` say by the request and its number.
    pub async fn start(
        speech: &Speech,
        prefill: Prefill,
        acts: impl Fn(&Asked, usize) -> Act + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let stage = Stage { speech: speech.clone(), prefill, acts: Box::new(acts), seen: Mutex::default() };
        let stage = Arc::new(stage);
        let shared = Arc::clone(&stage);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let stage = Arc::clone(&shared);
                tokio::spawn(async move { stage.serve(Wire::new(stream)).await });
            }
        });
        Self { addr, stage, task }
    }

    /// One that is always well.
    pub async fn healthy(speech: &Speech, prefill: Prefill) -> Self {
        Self::start(speech, prefill, |_, _| Act::Healthy).await
    }

    /// One that plays these acts in their order.
    pub async fn plays(speech: &Speech, prefill: Prefill, acts: Vec<Act>) -> Self {
        Self::start(speech, prefill, in_order(acts)).await
    }

    /// Its entry in a configuration, with these keys and more fields.
    pub fn provider(&self, name: &str, dialect: Dialect, keys: &[&str], more: &str) -> String {
        let path = if dialect == Dialect::Bedrock { "" } else { "/v1" };
        let key = |profile: &&str| format!("{{ key: 'sk-{name}-{profile}-secret', profile: '{profile}' }}");
        let keys: Vec<String> = keys.iter().map(key).collect();
        format!(
            "'{name}': {{ dialect: '{}', base_url: 'http://{}{path}', keys: [{}], {more} }}",
            dialect.name(),
            self.addr,
            keys.join(", ")
        )
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.stage.seen.lock().unwrap().asked.clone()
    }

    /// How often.
    pub fn count(&self) -> usize {
        self.stage.seen.lock().unwrap().asked.len()
    }

    /// Whether each prefill so far was a beginning of its own speech.
    pub fn assert_understood(&self, who: &str) {
        let foreign = &self.stage.seen.lock().unwrap().foreign;
        assert!(foreign.is_empty(), "{who}: nothing that it said begins with {foreign:?}");
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stage {
    async fn serve(&self, mut wire: Wire) {
        while let Some((head, body)) = wire.try_asked().await {
            let path = head.line.split(' ').nth(1).unwrap_or_default().to_owned();
            let dialect = match path.as_str() {
                path if path.ends_with("/chat/completions") || path.ends_with("/responses") => Dialect::OpenAi,
                path if path.ends_with("/messages") => Dialect::Anthropic,
                path if path.ends_with("/converse-stream") => Dialect::Bedrock,
                _ => {
                    let _gone = wire.stream.write_all(&fault::whole("404 Not Found", "", "")).await;
                    continue;
                }
            };
            let body = serde_json::from_slice(&body).unwrap_or_default();
            for one in self.moves(&Asked { path, dialect, headers: head.headers, body }) {
                if !perform(&mut wire, one).await {
                    return;
                }
            }
        }
    }

    /// What it does with a request, which it keeps.
    fn moves(&self, asked: &Asked) -> Vec<Move> {
        let mut seen = self.seen.lock().unwrap();
        let number = seen.asked.len();
        seen.asked.push(asked.clone());
        let act = (self.acts)(asked, number);
        let dialect = asked.dialect;
        let speech = match asked.prefill() {
            Some(prefill) if !matches!(act, Act::Moves(_)) => match self.go_on(&prefill) {
                Some(speech) => speech,
                None if self.prefill == Prefill::Refuses => return vec![Move::Send(fault::refusal(dialect))],
                None => {
                    seen.foreign.push(prefill);
                    return vec![Move::Send(fault::whole("422 Unprocessable", "", ""))];
                }
            },
            _ => self.speech.clone(),
        };
        let parts = speech.parts(dialect, asked.wants_usage());
        match act {
            Act::Healthy => fault::healthy(dialect, &parts),
            Act::Fails(fault, place) => fault::faulty(dialect, &parts, fault, place),
            Act::Cut(at, ending) => {
                let bytes: Vec<u8> = parts.into_iter().flat_map(|part| part.bytes).collect();
                fault::written(dialect.content_type(), &bytes[..at.min(bytes.len())], usize::MAX, ending)
            }
            Act::Moves(moves) => moves,
        }
    }

    /// Its speech behind this beginning of it.
    fn go_on(&self, prefill: &str) -> Option<Speech> {
        let text = self.speech.text();
        let rest = text.strip_prefix(prefill);
        let at = match self.prefill {
            Prefill::Refuses => return None,
            Prefill::Ignores => return Some(self.speech.clone()),
            Prefill::GoesOn => rest.map(|_| prefill.len()),
            Prefill::Swallows => rest.map(|rest| text.len() - rest.trim_start().len()),
            Prefill::Repeats => rest.map(|_| prefill.trim_end().len()),
        };
        at.map(|at| self.speech.after(at))
    }
}

/// Does it; false at the end of the connection.
async fn perform(wire: &mut Wire, one: Move) -> bool {
    match one {
        Move::Send(bytes) => wire.stream.write_all(&bytes).await.is_ok(),
        Move::Hold(told) => {
            told.notified().await;
            true
        }
        Move::Stall => {
            wire.closed().await;
            false
        }
        Move::Reset => {
            let _set = wire.stream.set_zero_linger();
            false
        }
        Move::Close => false,
    }
}
