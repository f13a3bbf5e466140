//! Request bodies: every byte survives but the model's name; sizes, announced or not; every endpoint; the models list.

use backstop::sim::{Fault, Rule, Script, Sim, SimOptions};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use super::lone;
use crate::support::Gateway;

const CHAT: &str = "/v1/chat/completions";
const MAX: usize = 32 << 20;

async fn send(gateway: &Gateway, body: &[u8]) -> crate::support::Answer {
    gateway.send("POST", CHAT, &[], body).await
}

#[tokio::test]
async fn every_byte_survives_but_the_models_name() {
    let sim = Sim::start(Script::default()).unwrap();
    let gateway = Gateway::start(&lone(&sim.base_url("one"), "")).await;
    let odd = r#" "messages" : [ {"role":"user","content":"caf\u00e9 \ud83d\ude00 \/ é","name":"n"} ],
        "unknown": {"a":[1.0000000000000000001, 1e-7, -0, 123456789012345678901234567890], "model":"inner"},
        "seed":1, "seed":2,	"logit_bias":{"50256":-100}, "metadata":{"model":"inner"}, "n":null"#;
    for (before, after) in [
        (format!("{{{odd}, \"model\" : "), " }".to_owned()),
        ("{\"model\":".to_owned(), format!(",{odd}}}\n")),
        (format!("\n{{{odd},\"model\":"), ",\"stream\":false,\"stop\":[\"\\\"model\\\":\"]}".to_owned()),
    ] {
        for written in ["\"default\"", "\"def\\u0061ult\"", "\"one\\/m1\""] {
            let answer = send(&gateway, format!("{before}{written}{after}").as_bytes()).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let seen = sim.requests().pop().unwrap();
            assert_eq!(String::from_utf8_lossy(&seen.body), format!("{before}\"m1\"{after}"));
            assert_eq!(seen.headers["content-length"], seen.body_len.to_string());
        }
    }
}

#[tokio::test]
async fn the_fields_that_steer_the_gateway_stay_here() {
    let sim = Sim::start(Script::default()).unwrap();
    let gateway = Gateway::start(&lone(&sim.base_url("one"), "")).await;
    let body = r#"{"a":1,"model":"default","fallbacks":["one/m2"],"disable_fallbacks":false,"models":[],"b":2}"#;
    assert_eq!(send(&gateway, body.as_bytes()).await.status, 200);
    let seen: Value = serde_json::from_slice(&sim.requests().pop().unwrap().body).unwrap();
    assert_eq!(seen, json!({ "a": 1, "model": "m1", "b": 2 }));
}

#[tokio::test]
async fn a_model_after_31_mib_is_found_and_replaced() {
    let sim = Sim::start_with(Script::default(), SimOptions { record_bytes: 0, ..SimOptions::default() }).unwrap();
    let gateway = Gateway::start(&lone(&sim.base_url("one"), "")).await;
    let text = "say \\\"model\\\": \\\\ ".repeat((31 << 20) / 18);
    let before = format!("{{\"messages\":[{{\"role\":\"user\",\"content\":\"{text}\"}}],\"model\":");
    let answer = send(&gateway, format!("{before}\"d\\u0065fault\"}}").as_bytes()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let seen = sim.requests().pop().unwrap();
    let wanted = format!("{before}\"m1\"}}");
    assert_eq!(seen.body_len, wanted.len());
    let digest: String = Sha256::digest(wanted).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(seen.body_sha256, digest);
}

#[tokio::test]
async fn a_model_that_stands_twice_is_refused() {
    let sim = Sim::start(Script::default()).unwrap();
    let gateway = Gateway::start(&lone(&sim.base_url("one"), "")).await;
    for twice in [
        r#"{"model":"default","messages":[],"model":"default"}"#,
        r#"{"model":"default","messages":[],"mod\u0065l":"one/m1"}"#,
        r#"{"model":null,"model":"default"}"#,
    ] {
        let answer = send(&gateway, twice.as_bytes()).await;
        let error = answer.error();
        assert_eq!((answer.status, &error["code"]), (400, &"duplicate_field".into()), "{twice}");
        assert_eq!(error["param"], "model");
        assert!(error["message"].as_str().unwrap().contains("twice"), "{error}");
    }
    assert_eq!(sim.stats().total().requests, 0);
}

/// A chat of exactly `length` bytes.
fn of_length(length: usize) -> Vec<u8> {
    let (before, after) = ("{\"model\":\"default\",\"messages\":[{\"role\":\"user\",\"content\":\"", "\"}]}");
    let filling = length - before.len() - after.len();
    [before.as_bytes(), &vec![b'a'; filling], after.as_bytes()].concat()
}

#[tokio::test]
async fn bodies_up_to_32_mib_pass_announced_or_not() {
    let sim = Sim::start_with(Script::default(), SimOptions { record_bytes: 0, ..SimOptions::default() }).unwrap();
    let gateway = Gateway::start(&lone(&sim.base_url("one"), "")).await;
    let body = of_length(MAX);
    assert_eq!(send(&gateway, &body).await.status, 200);

    let mut wire = gateway.connect().await;
    wire.write(format!("POST {CHAT} HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n")).await;
    for chunk in body.chunks(1 << 20) {
        wire.write_chunk(chunk).await;
    }
    wire.write_chunk(b"").await;
    assert_eq!(wire.answer().await.status, 200);
    let lengths: Vec<usize> = sim.requests().iter().map(|seen| seen.body_len).collect();
    assert_eq!(lengths, [MAX - 5, MAX - 5], "`default` became `m1`");
}

#[tokio::test]
async fn one_byte_more_is_too_large_announced_or_not() {
    let sim = Sim::start(Script::default()).unwrap();
    let gateway = Gateway::start(&lone(&sim.base_url("one"), "")).await;
    let over = |answer: &crate::support::Answer| {
        assert_eq!((answer.status, &answer.error()["code"]), (413, &"request_too_large".into()));
        assert_eq!(answer.header("x-should-retry"), "false");
    };
    // Announced: refused before a byte of it is sent.
    let mut wire = gateway.connect().await;
    wire.write(format!("POST {CHAT} HTTP/1.1\r\nhost: g\r\ncontent-length: {}\r\n\r\n", MAX + 1)).await;
    over(&wire.answer().await);

    let mut wire = gateway.connect().await;
    wire.write(format!("POST {CHAT} HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n")).await;
    for chunk in of_length(MAX + 1).chunks(1 << 20) {
        wire.write_chunk(chunk).await;
    }
    // The answer may have come already.
    let _closed = wire.stream.write_all(b"0\r\n\r\n").await;
    over(&wire.answer().await);
    assert_eq!(sim.stats().total().requests, 0);
}

#[tokio::test]
async fn every_endpoint_passes_with_and_without_v1() {
    let sim = Sim::start(Script::default()).unwrap();
    let gateway = Gateway::start(&lone(&sim.base_url("one"), "")).await;
    for (path, body, there) in [
        ("embeddings", json!({ "model": "default", "input": ["a", "b"], "x": [1, null] }), "/data/1/embedding"),
        ("completions", json!({ "model": "default", "prompt": "a", "x": true }), "/choices/0/text"),
        ("moderations", json!({ "model": "default", "input": "a", "x": {} }), "/results/0/flagged"),
        ("chat/completions", json!({ "model": "default", "messages": [] }), "/choices/0/message"),
    ] {
        for prefix in ["/v1/", "/"] {
            let answer = gateway.post(&format!("{prefix}{path}"), &[], &body).await;
            assert_eq!((answer.status, answer.trail()), (200, "one/m1@K=ok:200"), "{path}");
            assert!(answer.json().pointer(there).is_some(), "{path}: {}", answer.text());
            let seen = sim.requests().pop().unwrap();
            let mut wanted = body.clone();
            wanted["model"] = "m1".into();
            assert_eq!(seen.path, format!("/one/v1/{path}"));
            assert_eq!(serde_json::from_slice::<Value>(&seen.body).unwrap(), wanted);
        }
    }
}

/// Embeddings of another model are of no use, and moderation by another model only where it was asked for.
#[tokio::test]
async fn embeddings_and_moderations_fall_back_only_where_they_may() {
    for (path, model, equivalent, trail) in [
        ("embeddings", "default", false, "one/m1@K=overloaded:503, one/m2=skipped:not_equivalent"),
        ("embeddings", "default", true, "one/m1@K=overloaded:503, one/m2@K=ok:200"),
        ("moderations", "default", false, "one/m1@K=overloaded:503, one/m2@K=ok:200"),
        ("moderations", "one/m1", false, "one/m1@K=overloaded:503"),
        ("completions", "one/m1", false, "one/m1@K=overloaded:503, one/m2@K=ok:200"),
    ] {
        let sim = Sim::start(Script::of(vec![Rule::of(Fault::status(503)).model("m1")])).unwrap();
        let chain = format!("default: {{ targets: ['one/m1', 'one/m2'], equivalent: {equivalent} }}");
        let text = lone(&sim.base_url("one"), "").replace("default: ['one/m1']", &chain);
        let gateway = Gateway::start(&text).await;
        let body = json!({ "model": model, "input": "a", "prompt": "a" });
        assert_eq!(gateway.post(&format!("/v1/{path}"), &[], &body).await.trail(), trail, "{path} {model}");
    }
}

#[tokio::test]
async fn models_are_listed_and_found() {
    let sim = Sim::start(Script::default()).unwrap();
    let gateway = Gateway::start(&lone(&sim.base_url("one"), "aliases: { smart: 'one/m1' },")).await;
    let list = gateway.get("/v1/models").await.json();
    let ids: Vec<&str> = list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!((list["object"].as_str(), ids), (Some("list"), vec!["default", "one/m1", "smart"]));
    for id in ["default", "one/m1", "smart", "one/not-listed"] {
        let model = gateway.get(&format!("/v1/models/{id}")).await;
        assert_eq!((model.status, &model.json()["id"]), (200, &id.into()));
    }
    let unknown = gateway.get("/v1/models/defautl").await;
    assert_eq!((unknown.status, &unknown.error()["code"]), (404, &"model_not_found".into()));
    assert!(unknown.text().contains("default"), "{}", unknown.text());
    assert_eq!(sim.stats().total().requests, 0, "nobody is asked");
}
