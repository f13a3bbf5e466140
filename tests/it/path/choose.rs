//! What `model` means and which key comes first (contract sections 3.2, 3.7 and 2.8), seen in the trail.

use std::collections::BTreeSet;

use backstop::sim::{Fault, Rule, Script, Sim};
use serde_json::{Value, json};

use crate::support::{CALM, Gateway};

/// `one` refuses its only key; `two` has K1 and K2 and is healthy.
fn config(sim: &Sim, more: &str) -> String {
    format!(
        "{{ providers: {{
            one: {{ base_url: '{}', keys: [{{ key: 'sk-one-k', profile: 'K' }}] }},
            two: {{ base_url: '{}', keys: [{{ key: 'sk-two-1', profile: 'K1' }}, {{ key: 'sk-two-2', profile: 'K2' }}] }},
        }},
        chains: {{ default: ['one/m1', 'two/m2'], 'gpt-*': ['two/g'], 'gpt-4*': ['two/g4'], coder: ['two/c', 'two/m2'] }},
        aliases: {{ smart: 'one/m1', team: 'coder' }}, {CALM} {more} }}",
        sim.base_url("one"),
        sim.base_url("two")
    )
}

fn sim() -> Sim {
    Sim::start(Script::of(vec![Rule::of(Fault::status(401)).provider("one")])).unwrap()
}

/// A body, headers, and the trail of its answer.
type Row = (Value, &'static [(&'static str, &'static str)], &'static str);

const OFF: &[(&str, &str)] = &[("x-backstop-fallbacks", "off")];
const WHOLE: &str = "one/m1@K=auth:401, two/m2@K1=ok:200";
const STRICT: &str = "one/m1@K=auth:401";

#[tokio::test]
async fn what_a_model_means() {
    let rows: [Row; 17] = [
        (json!({ "model": "default" }), &[], WHOLE),
        (json!({ "model": "one/m1" }), &[], WHOLE),
        (json!({ "model": "m1" }), &[], WHOLE),
        (json!({ "model": "smart" }), &[], WHOLE),
        (json!({ "model": "m2" }), &[], "two/m2@K1=ok:200"),
        (json!({ "model": "two/m2@K2" }), &[], "two/m2@K2=ok:200"),
        (json!({ "model": "team" }), &[], "two/c@K1=ok:200"),
        (json!({ "model": "gpt-3" }), &[], "two/g@K1=ok:200"),
        (json!({ "model": "gpt-4o" }), &[], "two/g4@K1=ok:200"),
        (json!({ "model": "two/unlisted" }), &[], "two/unlisted@K1=ok:200"),
        (json!({ "model": "one/unlisted" }), &[], "one/unlisted@K=auth:401"),
        (json!({ "model": "default" }), OFF, STRICT),
        (json!({ "model": "default", "disable_fallbacks": true }), &[], STRICT),
        (json!({ "model": "default", "fallbacks": [] }), &[], WHOLE),
        (json!({ "model": "one/m1", "fallbacks": ["two/x"] }), &[], "one/m1@K=auth:401, two/x@K1=ok:200"),
        (json!({ "models": ["one/m1", "two/y@K2"] }), &[], "one/m1@K=auth:401, two/y@K1=ok:200"),
        (json!({ "models": ["one/m1", "coder"] }), OFF, STRICT),
    ];
    for (body, headers, trail) in rows {
        let sim = sim();
        let gateway = Gateway::start(&config(&sim, "")).await;
        let answer = gateway.post("/v1/chat/completions", headers, &body).await;
        assert_eq!(answer.trail(), trail, "{body} {headers:?}: {}", answer.text());
        assert_eq!(answer.status, if trail.contains("ok:200") { 200 } else { 502 });
        let last = trail.rsplit(", ").next().unwrap().split('@').next().unwrap();
        assert_eq!(sim.requests().last().unwrap().model, last.split_once('/').unwrap().1);
    }
}

#[tokio::test]
async fn an_unknown_model_is_a_404_with_the_nearest_names() {
    let sim = sim();
    let gateway = Gateway::start(&config(&sim, "")).await;
    for (asked, nearest) in [("defualt", "default"), ("smrat", "smart"), ("two/m2x@K9", "two/m2")] {
        let answer = gateway.chat(asked).await;
        if answer.status == 200 {
            // `provider/model` of a configured provider is always a model.
            assert!(asked.starts_with("two/"), "{asked}");
            continue;
        }
        let error = answer.error();
        assert_eq!((answer.status, &error["code"], &error["param"]), (404, &"model_not_found".into(), &"model".into()));
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(asked) && message.contains(nearest), "{message}");
        assert_eq!(answer.header("x-should-retry"), "false");
    }
    let missing = gateway.post("/v1/chat/completions", &[], &json!({ "messages": [] })).await;
    assert_eq!((missing.status, &missing.error()["param"]), (400, &"model".into()));

    let lenient = Gateway::start(&config(&sim, "unknown_model: 'default',")).await;
    assert_eq!(lenient.chat("defualt").await.trail(), WHOLE);
}

#[tokio::test]
async fn a_session_stays_on_its_key_on_every_replica() {
    let sim = Sim::start(Script::default()).unwrap();
    let keys: Vec<String> = (1..=6).map(|no| format!("'sk-two-{no}'")).collect();
    let text = format!(
        "{{ providers: {{ two: {{ base_url: '{}', key_order: 'session', keys: [{}] }} }}, chains: {{ default: ['two/m'] }} }}",
        sim.base_url("two"),
        keys.join(", ")
    );
    let (left, right) = (Gateway::start(&text).await, Gateway::start(&text).await);
    let key = async |gateway: &Gateway, headers: &[(&str, &str)], more: Value| {
        let mut body = json!({ "model": "default" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        gateway.post("/v1/chat/completions", headers, &body).await.header("x-backstop-key").to_owned()
    };
    let mut used = BTreeSet::new();
    for session in 0..24 {
        let session = format!("session-{session}");
        let by_header = key(&left, &[("x-session-id", &session)], json!({ "user": "someone else" })).await;
        for gateway in [&left, &right] {
            assert_eq!(key(gateway, &[("x-session-id", &session)], json!({})).await, by_header);
            assert_eq!(key(gateway, &[], json!({ "prompt_cache_key": session, "user": "other" })).await, by_header);
            assert_eq!(key(gateway, &[], json!({ "user": session })).await, by_header);
        }
        used.insert(by_header);
    }
    assert!(used.len() >= 4, "24 sessions use {used:?} of six keys");
}

#[tokio::test]
async fn round_robin_takes_turns() {
    let sim = sim();
    let text =
        config(&sim, "").replace("keys: [{ key: 'sk-two-1'", "key_order: 'round_robin', keys: [{ key: 'sk-two-1'");
    let gateway = Gateway::start(&text).await;
    let mut keys = Vec::new();
    for _ in 0..4 {
        keys.push(gateway.chat("m2").await.header("x-backstop-key").to_owned());
    }
    assert!(keys == ["K1", "K2", "K1", "K2"] || keys == ["K2", "K1", "K2", "K1"], "{keys:?}");
}

/// What only clients name can't grow the state: one lane and one label for all of it.
#[tokio::test]
async fn models_that_only_clients_name_share_one_lane() {
    let sim = Sim::start(Script::of(vec![Rule::of(Fault::status(429)).model("rare-1").key("sk-two-1")])).unwrap();
    let gateway = Gateway::start(&config(&sim, "")).await;
    let lanes = async || gateway.get("/status").await.json()["lanes"].as_array().unwrap().len();
    let before = lanes().await;
    assert_eq!(gateway.chat("two/rare-1").await.trail(), "two/rare-1@K1=rate_limit:429, two/rare-1@K2=ok:200");
    assert_eq!(gateway.lane("slot", "two/other@K1").await["state"], "cooling");
    assert_eq!(gateway.chat("two/rare-2").await.trail(), "two/rare-2@K2=ok:200");
    assert_eq!(lanes().await, before);
    let metrics = gateway.get("/metrics").await.text();
    assert!(!metrics.contains("rare-") && metrics.contains("model=\"other\""));
    assert_eq!(gateway.lane("slot", "two/m2@K1").await["state"], "ready");
}

#[tokio::test]
async fn a_client_lowers_the_deadline_and_never_raises_it() {
    let hang = Fault { hang: Some(backstop::sim::Point::BeforeHeaders), ..Fault::default() };
    let sim = Sim::start(Script::of(vec![Rule::of(hang)])).unwrap();
    let gateway =
        Gateway::start(&super::lone(&sim.base_url("one"), "cooldowns: { timeout: { first: '1ms', cap: '1ms' } },"))
            .await;
    for (name, value) in [("x-backstop-deadline-ms", "400"), ("x-litellm-timeout", "0.4")] {
        for stream in [false, true] {
            let answer =
                gateway.post("/v1/chat/completions", &[(name, value)], &crate::support::chat("default", stream)).await;
            assert_eq!((answer.status, answer.trail()), (504, "one/m1@K=timeout:deadline"), "{name}");
        }
    }
    for (name, value) in
        [("x-backstop-deadline-ms", "soon"), ("x-backstop-deadline-ms", "0"), ("x-litellm-timeout", "-1")]
    {
        let answer =
            gateway.post("/v1/chat/completions", &[(name, value)], &crate::support::chat("default", false)).await;
        assert_eq!((answer.status, &answer.error()["code"]), (400, &"invalid_header".into()), "{name}: {value}");
    }
    let strict = Gateway::start(&super::lone(&sim.base_url("one"), "run: { deadline: '400ms' },")).await;
    let more = &[("x-backstop-deadline-ms", "600000")];
    assert_eq!(strict.post("/v1/chat/completions", more, &crate::support::chat("default", false)).await.status, 504);
}
