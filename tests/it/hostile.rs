//! Hostile clients and hostile upstreams: a clear answer, nothing secret in it, and the process unharmed.

mod clients;
mod limits;
mod upstreams;

use std::net::SocketAddr;

use backstop::sim::{Script, Sim};
use serde_json::Value;

use super::hostile_support::{Gate, Reply, ask, chat, get, once};

/// The key of the upstream under test. Nobody but the upstream may see it.
const KEY: &str = "sk-hostile-upstream-key-d00d";

/// A gateway whose chain `default` asks `bad` first and then a healthy simulator, and whose chain `lone` has only `bad`.
fn gate(bad: SocketAddr, sim: &Sim, settings: &str) -> Gate {
    Gate::of(&format!(
        "{{ providers: {{
              bad: {{ base_url: 'http://{bad}/v1', keys: ['{KEY}'] }},
              good: {{ base_url: '{}', keys: ['sk-good-key-600d'] }},
            }},
            chains: {{ default: ['bad/m', 'good/m'], lone: ['bad/m'], good: ['good/m'] }},
            {settings} }}",
        sim.base_url("good")
    ))
}

fn healthy() -> Sim {
    Sim::start(Script::default()).unwrap()
}

/// OpenAI's shape, whole, and nothing secret.
fn check_shape(name: &str, reply: &Reply) -> Value {
    assert!(reply.whole, "{name}: cut");
    assert!(!format!("{}{}", reply.head, reply.text()).contains(KEY), "{name}: shows the key");
    assert_eq!(reply.header("content-type"), Some("application/json"), "{name}: {}", reply.text());
    let body = reply.json();
    let error = &body["error"];
    for field in ["message", "type", "code"] {
        assert!(error[field].is_string(), "{name}: no {field} in {body}");
    }
    assert!(error.get("param").is_some(), "{name}: no param in {body}");
    assert!(error["message"].as_str().unwrap().len() < 2_000, "{name}: a message of any length");
    body
}

/// The gateway goes on as if nothing had been.
async fn check_unharmed(name: &str, gate: &Gate) {
    let reply = once(gate.addr, &chat(&ask("good", false))).await.expect("an answer");
    assert_eq!(reply.status, 200, "{name}: the next request is not served: {}", reply.text());
    gate.rests().await;
    assert_eq!(get(gate.addr, "/livez").await.status, 200, "{name}");
}
