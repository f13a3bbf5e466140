//! What a hostile look at `/v1/responses` found: requests and upstreams that are odd, and none of them impossible.

use backstop::sim::{Fault, Rule, Script, Sim};
use serde_json::{Value, json};

use super::{PATH, ask, healthy, named, start, text};
use crate::support::{Answer, CALM, Gateway, Upstream};

/// Asks with a body that no JSON library would write.
async fn raw(gateway: &Gateway, body: &str) -> Answer {
    gateway.send("POST", PATH, &[("content-type", "application/json")], body.as_bytes()).await
}

fn refusing(status: u16, error: &Value) -> Rule {
    let fault = Fault { status: Some(status), body: Some(json!({ "error": error })), ..Fault::default() };
    let mut rule = Rule::of(fault);
    rule.matches.path = Some("*/responses".to_owned());
    rule
}

#[tokio::test]
async fn what_one_account_keeps_is_seen_beside_text_that_is_hard_to_read() {
    for odd in [r#""\ud83d""#, r#""\ude00\ud83d x""#, "1e999", "-1E+400"] {
        let (sim, gateway) = start(vec![Rule::of(Fault::status(503)).provider("one")], "", "").await;
        let body = |input: &str| format!(r#"{{"model":"default","input":[{{"role":"user","content":{odd}}}{input}]}}"#);
        let answer = raw(&gateway, &body(r#",{"type":"item_reference","id":"msg_1"}"#)).await;
        let trail = "one/m1@key-1=overloaded:503, one/m1@key-2=overloaded:503, two/m2=skipped:stateful";
        assert_eq!((answer.status, answer.trail()), (502, trail), "{odd}");
        assert!(sim.requests().iter().all(|request| request.provider == "one"), "{odd}");
        let (_sim, gateway) = start(vec![Rule::of(Fault::status(503)).provider("one")], "", "").await;
        let answer = raw(&gateway, &body("")).await;
        assert!(answer.trail().contains("two/m2@key-1="), "{odd} alone binds nobody: {}", answer.trail());
    }
}

#[tokio::test]
async fn a_key_that_may_not_use_this_endpoint_keeps_its_chat() {
    let scopes = "You have insufficient permissions for this operation. Missing scopes: api.responses.write. Check \
                  that you have the correct role in your organization.";
    for (status, message) in [(401, scopes), (403, scopes), (403, "Your key may not use this")] {
        let error = json!({ "message": message, "type": "invalid_request_error", "param": null, "code": null });
        let (_sim, gateway) = start(vec![refusing(status, &error).provider("one")], "", "").await;
        let answer = gateway.respond(&ask("default", false)).await;
        let both = format!("one/m1@key-1=not_capable:{status}, one/m1@key-2=not_capable:{status}, two/m2@key-1=ok:200");
        assert_eq!((answer.status, answer.trail()), (200, both.as_str()));
        assert_eq!(gateway.chat("default").await.trail(), "one/m1@key-1=ok:200", "{message}");
        assert_eq!(gateway.metric("backstop_cooldowns_total", &[]).await, 0.0);
    }
}

#[tokio::test]
async fn the_key_that_knows_the_previous_response_is_found() {
    let error = |code: Option<&str>, message: &str| json!({ "message": message, "type": "invalid_request_error", "param": null, "code": code });
    for (status, error) in [
        (400, error(Some("previous_response_not_found"), "Previous response with id 'resp_1' not found.")),
        (400, error(None, "Previous response with id 'resp_1' not found.")),
        (400, error(Some("invalid_encrypted_content"), "The encrypted content could not be verified.")),
        (404, error(None, "Item with id 'rs_1' not found. Items are not persisted when `store` is set to false.")),
    ] {
        let mut body = ask("default", false);
        body["previous_response_id"] = "resp_1".into();
        let (_sim, gateway) = start(vec![refusing(status, &error).key("sk-one-a")], "", "").await;
        let answer = gateway.respond(&body).await;
        assert_eq!((answer.status, text(&answer)), (200, healthy("one", "m1", "ne-b")), "{error}");
        assert_eq!(answer.trail(), format!("one/m1@key-1=not_capable:{status}, one/m1@key-2=ok:200"));
        assert_eq!(gateway.metric("backstop_cooldowns_total", &[]).await, 0.0);
        // Nobody knows it: the vendor's own words.
        let (sim, gateway) = start(vec![refusing(status, &error)], "", "").await;
        let answer = gateway.respond(&body).await;
        assert_eq!((answer.status, answer.error()), (status, error));
        assert_eq!(sim.requests().len(), 2, "no other provider was asked");
    }
}

#[tokio::test]
async fn what_is_still_being_made_is_no_answer() {
    for status in ["in_progress", "queued"] {
        let body = json!({ "id": "resp_1", "object": "response", "status": status, "error": null, "output": [] });
        let fault = Fault { error_in_200: Some(body), ..Fault::default() };
        let (_sim, gateway) = start(vec![Rule::of(fault).provider("one")], "", "").await;
        let answer = gateway.respond(&ask("default", false)).await;
        assert_eq!((answer.status, text(&answer)), (200, healthy("two", "m2", "wo-a")), "{status}");
    }
}

/// One event with its name, which is its type.
fn event(name: &str, more: &Value) -> Vec<u8> {
    let mut data = json!({ "type": name });
    for (name, value) in more.as_object().unwrap() {
        data[name] = value.clone();
    }
    format!("event: {name}\ndata: {data}\n\n").into_bytes()
}

/// An upstream of the test's own first, a simulator behind it.
async fn scripted() -> (Upstream, Sim, Gateway) {
    let (upstream, sim) = (Upstream::start().await, Sim::start(Script::default()).unwrap());
    let text = format!(
        "{{ providers: {{ one: {{ base_url: '{}', keys: ['sk-one-secret'] }}, two: {{ base_url: '{}', keys: ['sk-two-a'] }} }},
            chains: {{ default: ['one/m1', 'two/m2'] }}, {CALM} }}",
        upstream.base_url(),
        sim.base_url("two")
    );
    let gateway = Gateway::start(&text).await;
    (upstream, sim, gateway)
}

/// Streams these events to the one who asks, and gives back what the client got.
async fn streamed(upstream: &Upstream, gateway: &Gateway, body: &Value, events: &[Vec<u8>]) -> Answer {
    let mut client = gateway.connect().await;
    client.request("POST", PATH, &[("content-type", "application/json")], body.to_string().as_bytes()).await;
    let mut server = upstream.accept().await;
    server.asked().await;
    server.write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n").await;
    let serving = async {
        for event in events {
            for piece in event.chunks(256 * 1024) {
                server.write_chunk(piece).await;
            }
        }
        server.write("0\r\n\r\n").await;
    };
    let (answer, ()) = tokio::join!(client.answer(), serving);
    answer
}

#[tokio::test]
async fn an_error_behind_the_echo_of_many_tools_is_hidden() {
    let (upstream, _sim, gateway) = scripted().await;
    let mut body = ask("default", true);
    body["tools"] = json!([{ "type": "function", "name": "f", "description": "x".repeat(150_000), "parameters": {} }]);
    let echo = json!({ "response": { "id": "resp_1", "tools": body["tools"], "output": [] } });
    let error = json!({ "code": "rate_limit_exceeded", "message": "Rate limit reached", "param": null });
    let events = [event("response.created", &echo), event("response.in_progress", &echo), event("error", &error)];
    let answer = streamed(&upstream, &gateway, &body, &events).await;
    assert_eq!((answer.status, answer.header("x-backstop-provider")), (200, "two"), "{}", answer.trail());
    assert_eq!(named(&answer).pop().unwrap().0, "response.completed");
}

#[tokio::test]
async fn a_last_event_too_long_to_be_kept_is_still_the_last() {
    let (upstream, _sim, gateway) = scripted().await;
    let image = json!([{ "type": "image_generation_call", "result": "A".repeat(17 << 20) }]);
    let done = json!({ "response": { "id": "resp_1", "status": "completed", "output": image } });
    let created = json!({ "response": { "id": "resp_1", "output": [] } });
    let delta = json!({ "delta": "hi" });
    let events = [
        event("response.created", &created),
        event("response.output_text.delta", &delta),
        event("response.completed", &done),
    ];
    let answer = streamed(&upstream, &gateway, &ask("default", true), &events).await;
    assert!(
        answer.body() == events.concat(),
        "{} bytes that end: {:?}",
        answer.body().len(),
        answer.text().get(answer.text().len() - 200..)
    );
    gateway.idle().await;
    assert_eq!(gateway.lane("slot", "one/m1@key-1").await["state"], "ready");
}

#[tokio::test]
async fn nothing_of_a_vendor_follows_the_end() {
    let created = event("response.created", &json!({ "response": { "id": "resp_1", "output": [] } }));
    let delta = event("response.output_text.delta", &json!({ "delta": "hi" }));
    let done = event("response.completed", &json!({ "response": { "id": "resp_1", "status": "completed" } }));
    let error = event("error", &json!({ "message": "sk-one-secret" }));
    let bare = b"data: [DONE]\n\n".to_vec();
    for (after, kept) in [
        ([error.clone(), error.clone()].concat(), b"".to_vec()),
        ([error.clone(), bare.clone(), bare.clone(), error.clone()].concat(), bare.clone()),
    ] {
        for joined in [true, false] {
            let (upstream, _sim, gateway) = scripted().await;
            let last =
                if joined { vec![[done.clone(), after.clone()].concat()] } else { vec![done.clone(), after.clone()] };
            let events = [vec![created.clone(), delta.clone()], last].concat();
            let answer = streamed(&upstream, &gateway, &ask("default", true), &events).await;
            let good = [created.clone(), delta.clone(), done.clone(), kept.clone()].concat();
            assert_eq!(answer.text(), String::from_utf8(good).unwrap());
        }
    }
    // The same of a chat.
    let (upstream, _sim, gateway) = scripted().await;
    let chat = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n\
                data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let mut client = gateway.connect().await;
    let body = crate::support::chat("default", true).to_string();
    client.request("POST", "/v1/chat/completions", &[("content-type", "application/json")], body.as_bytes()).await;
    let mut server = upstream.accept().await;
    server.asked().await;
    server.write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n").await;
    server.write_chunk(&[chat.as_bytes(), &error].concat()).await;
    server.write("0\r\n\r\n").await;
    assert_eq!(client.answer().await.text(), chat);
}

#[tokio::test]
async fn an_error_under_the_name_of_a_delta_is_an_error() {
    let (upstream, _sim, gateway) = scripted().await;
    let created = event("response.created", &json!({ "response": { "id": "resp_1", "output": [] } }));
    let delta = event("response.output_text.delta", &json!({ "delta": "hi" }));
    let lie =
        b"event: response.output_text.delta\ndata: {\"type\":\"error\",\"message\":\"sk-one-secret\"}\n\n".to_vec();
    let answer = streamed(&upstream, &gateway, &ask("default", true), &[created, delta, lie]).await;
    assert_eq!(named(&answer).pop().unwrap().0, "response.failed");
    assert!(!answer.text().contains("sk-one-secret"), "{}", answer.text());
}

#[tokio::test]
async fn a_response_that_is_completed_and_failed_has_failed() {
    let failed = json!({ "response": { "id": "resp_1", "status": "failed",
        "error": { "code": "rate_limit_exceeded", "message": "Rate limit reached" } } });
    let created = event("response.created", &json!({ "response": { "id": "resp_1", "output": [] } }));
    let (upstream, _sim, gateway) = scripted().await;
    let events = [created, event("response.completed", &failed)];
    let answer = streamed(&upstream, &gateway, &ask("default", true), &events).await;
    assert_eq!(answer.trail(), "one/m1@key-1=rate_limit:200, two/m2@key-1=ok:200");
}

#[tokio::test]
async fn a_path_below_responses_that_nobody_serves_is_no_stored_response() {
    let (_sim, gateway) = start(vec![], "", "").await;
    for path in ["/v1/responses/compact", "/v1/responses/input_tokens", "/responses/compact"] {
        let answer = gateway.send("POST", path, &[], b"").await;
        assert_eq!((answer.status, &answer.error()["code"]), (404, &"unknown_url".into()), "{path}");
        let message = answer.error()["message"].as_str().unwrap().to_owned();
        assert!(message.contains("POST /v1/responses") && message.contains("/v1/chat/completions"), "{message}");
        assert!(!message.contains("stored"), "{message}");
    }
}
