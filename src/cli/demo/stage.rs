//! What the demo plays on: a simulator for each provider, the gateway before them, and a client of it.
//!
//! Owns set-up and the client's requests, all on real sockets of this machine. Refuses to know the story.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::app::{self, Gateway};
use crate::clock;
use crate::config::{Config, Unserved, load_text};
use crate::server::serve;
use crate::sim::{Fault, Rule, Script, Sim};

/// The article's recommended production template, unchanged.
const TEMPLATE: (&str, &str) = ("config/article.json5", include_str!("../../../config/article.json5"));

/// Where it listens if nobody says otherwise.
const USUAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

/// The simulated providers, each with the variables that the template takes its keys from.
const SIMULATED: [(&str, &[(&str, &str)]); 4] = [
    ("anthropic", &[("ANTHROPIC_KEY_1", "sim-anthropic-key1"), ("ANTHROPIC_KEY_2", "sim-anthropic-key2")]),
    ("bedrock", &[("AWS_ACCESS_KEY_ID", "SIMBEDROCKKEY1"), ("AWS_SECRET_ACCESS_KEY", "sim-bedrock-secret1")]),
    ("openai", &[("OPENAI_API_KEY", "sim-openai-key1")]),
    ("openrouter", &[("OPENROUTER_API_KEY", "sim-openrouter-key1")]),
];

/// How a rule of a simulator names the key Primary: by its last four characters.
pub(super) const PRIMARY: &str = "key1";
/// The same for Backup.
pub(super) const BACKUP: &str = "key2";

/// A healthy answer takes this long during the story, in ms: so that requests overlap as they do in life.
const THINKING: u64 = 150;

/// An answer that takes longer will not come.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why there is no stage, with the exit status.
pub(super) struct Unset {
    pub status: u8,
    pub why: String,
}

/// Everything that runs.
pub(super) struct Stage {
    /// Where the gateway listens.
    pub address: SocketAddr,
    /// The usual address, if somebody else has it.
    pub instead_of: Option<SocketAddr>,
    /// The chain `default`: each target, and the names of its keys (none if it is not served).
    pub chain: Vec<(String, Vec<String>)>,
    sims: Vec<(&'static str, Sim)>,
    client: Caller,
    gateway: JoinHandle<f64>,
}

impl Stage {
    /// Starts everything; with an address of the user's choice there and nowhere else.
    pub(super) async fn set(listen: Option<SocketAddr>) -> Result<Self, Unset> {
        if let Some(open) = listen.filter(|address| !address.ip().to_canonical().is_loopback()) {
            let why =
                format!("the demo asks nobody for a key, so it does not listen on {open}; take 127.0.0.1 or [::1]");
            return Err(Unset { status: super::EXIT_USAGE, why });
        }
        let mut sims = Vec::new();
        for (name, _) in SIMULATED {
            let sim = Sim::start(healthy(&[])).map_err(|error| failed(format!("cannot start {name}: {error}")))?;
            sims.push((name, sim));
        }
        let config = config(&sims, listen.unwrap_or(USUAL)).map_err(|why| Unset { status: super::EXIT_USAGE, why })?;
        let (listener, instead_of) = bind(listen).await?;
        let address = listener.local_addr().map_err(|error| failed(error.to_string()))?;
        let Gateway { state, options } = app::build(&config).map_err(|error| failed(error.to_string()))?;
        // Nobody's answer is cut by the end of a demo: it is not drained.
        let gateway = tokio::spawn(serve(listener, state, options, std::future::pending()));
        Ok(Self { address, instead_of, chain: chain(&config), sims, client: Caller::new(address), gateway })
    }

    /// The base URL for an SDK.
    pub(super) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Where a provider's simulator is told what to do.
    pub(super) fn simulators(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.sims.iter().map(|(name, sim)| (*name, format!("http://{}", sim.addr())))
    }

    /// A provider plays these faults from now on, and is healthy otherwise.
    pub(super) fn play(&self, provider: &str, faults: &[Rule]) {
        for (_, sim) in self.sims.iter().filter(|(name, _)| *name == provider) {
            sim.set_script(healthy(faults));
        }
    }

    /// All are healthy, and answer without thinking.
    pub(super) fn heal(&self) {
        for (_, sim) in &self.sims {
            sim.set_script(Script::default());
        }
    }

    /// A client of the gateway.
    pub(super) fn client(&self) -> Caller {
        self.client.clone()
    }

    /// What `GET /status` says of these lanes, in their order.
    pub(super) async fn lanes(&self, wanted: &[(&str, String)]) -> Result<Vec<Value>, String> {
        let status = self.client.get("/status").await?;
        let rows = status["lanes"].as_array().map(Vec::as_slice).unwrap_or_default();
        let find = |(lane, name): &(&str, String)| {
            let found = rows.iter().find(|row| row["lane"] == *lane && row["name"] == *name);
            found.cloned().ok_or_else(|| format!("/status does not know the {lane} {name}"))
        };
        wanted.iter().map(find).collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.gateway.abort();
    }
}

fn failed(why: String) -> Unset {
    Unset { status: 1, why }
}

/// The address asked for, or the usual one; only that one may be replaced by a free one.
async fn bind(listen: Option<SocketAddr>) -> Result<(TcpListener, Option<SocketAddr>), Unset> {
    let wanted = listen.unwrap_or(USUAL);
    match TcpListener::bind(wanted).await {
        Ok(listener) => Ok((listener, None)),
        Err(error) if listen.is_none() && error.kind() == ErrorKind::AddrInUse => {
            let free = SocketAddr::new(wanted.ip(), 0);
            let listener = TcpListener::bind(free).await.map_err(|error| failed(error.to_string()))?;
            Ok((listener, Some(wanted)))
        }
        Err(error) => {
            let other = SocketAddr::new(wanted.ip(), 0);
            Err(failed(format!("cannot listen on {wanted}: {error}; --listen {other} takes a free port")))
        }
    }
}

/// The template with simulated keys and addresses; what is not simulated is never asked.
fn config(sims: &[(&'static str, Sim)], listen: SocketAddr) -> Result<Config, String> {
    let mut env = vec![
        ("BACKSTOP_SERVER__LISTEN".to_owned(), listen.to_string()),
        ("BACKSTOP_SERVER__LOG__REQUESTS".to_owned(), "true".to_owned()),
    ];
    for ((name, keys), (_, sim)) in SIMULATED.iter().zip(sims) {
        env.push((format!("BACKSTOP_PROVIDERS__{}__BASE_URL", name.to_uppercase()), sim.base_url(name)));
        env.extend(keys.iter().map(|(variable, key)| ((*variable).to_owned(), (*key).to_owned())));
    }
    let mut config = load_text(Some(TEMPLATE), env).map_err(|error| error.to_string())?;
    let real = config.providers.iter_mut().filter(|real| !SIMULATED.iter().any(|(name, _)| *name == real.name));
    for key in real.flat_map(|real| &mut real.keys) {
        key.disabled = true;
    }
    Ok(config)
}

fn chain(config: &Config) -> Vec<(String, Vec<String>)> {
    let default = config.chains.iter().find(|chain| chain.pattern == "default");
    let targets = default.into_iter().flat_map(|chain| &chain.targets);
    let row = |target: &crate::config::Target| {
        let provider = &config.providers[target.provider];
        let served = |unserved: &Option<Unserved>| unserved.is_none();
        let keys = provider.keys.iter().filter(|key| served(&provider.unserved) && !key.disabled);
        (format!("{}/{}", provider.name, target.model), keys.map(|key| key.name.clone()).collect())
    };
    targets.map(row).collect()
}

/// These faults, and else good answers after a moment.
fn healthy(faults: &[Rule]) -> Script {
    let thinking = Rule::of(Fault { delay_ms: THINKING, ..Fault::default() });
    Script::of(faults.iter().cloned().chain([thinking]).collect())
}

/// One answer as the client saw it.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// From the request to the answer's last byte.
    pub took: Duration,
}

impl Answer {
    /// A header of ours, `x-backstop-…`; empty if it is not there.
    pub(super) fn told(&self, name: &str) -> &str {
        let value = self.headers.get(format!("x-backstop-{name}"));
        value.and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A client of the gateway, as any program would be one.
#[derive(Clone)]
pub(super) struct Caller {
    address: SocketAddr,
    http: Client<HttpConnector, Full<Bytes>>,
}

impl Caller {
    fn new(address: SocketAddr) -> Self {
        Self { address, http: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// A chat with the chain `default`.
    pub(super) async fn chat(&self, stream: bool) -> Result<Answer, String> {
        let body =
            json!({ "model": "default", "stream": stream, "messages": [{ "role": "user", "content": "Hello" }] });
        self.send("POST", "/v1/chat/completions", body.to_string()).await
    }

    async fn get(&self, path: &str) -> Result<Value, String> {
        let answer = self.send("GET", path, String::new()).await?;
        serde_json::from_slice(&answer.body).map_err(|error| format!("{path}: {error}"))
    }

    async fn send(&self, method: &str, path: &str, body: String) -> Result<Answer, String> {
        let uri: Uri = format!("http://{}{path}", self.address).parse().map_err(|error| format!("{path}: {error}"))?;
        let request = Request::builder().method(method).uri(uri).header(header::CONTENT_TYPE, "application/json");
        let request = request.body(Full::from(body)).map_err(|error| error.to_string())?;
        let began = clock::now();
        let whole = async {
            let (head, body) = self.http.request(request).await.map_err(|error| error.to_string())?.into_parts();
            let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
            Ok(Answer { status: head.status, headers: head.headers, body, took: clock::now() - began })
        };
        let answered = tokio::time::timeout(PATIENCE, whole).await;
        answered.unwrap_or_else(|_late| Err(format!("no answer within {} s", PATIENCE.as_secs())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_leaves_this_machine() {
        let sims: Vec<_> = SIMULATED.iter().map(|(name, _)| (*name, Sim::start(Script::default()).unwrap())).collect();
        let config = config(&sims, USUAL).map_err(|why| panic!("{why}")).unwrap();
        for provider in &config.providers {
            let used = provider.keys.iter().any(|key| !key.disabled);
            let here = provider.base_url.authority.host() == "127.0.0.1";
            assert_eq!(used, here, "{} at {}", provider.name, provider.base_url.authority);
        }
        let ports: std::collections::BTreeSet<u16> = sims.iter().map(|(_, sim)| sim.addr().port()).collect();
        assert_eq!(ports.len(), SIMULATED.len(), "each has an endpoint of its own");
        let rows = chain(&config);
        let keys: Vec<usize> = rows.iter().map(|(_, keys)| keys.len()).collect();
        assert_eq!(keys, [2, 1, 1, 1], "{rows:?}");
    }
}
