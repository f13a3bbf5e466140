//! Who is asked at all: what one account keeps, who speaks Responses, and what a wrong guess costs.

use backstop::sim::{Fault, Rule};
use serde_json::{Value, json};

use super::{PATH, ask, healthy, start, text};

fn stateful(more: &Value) -> Value {
    let mut body = ask("default", false);
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn what_one_account_keeps_is_never_asked_of_another_provider() {
    let reasoning = json!({ "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA" });
    for more in [
        json!({ "previous_response_id": "resp_1" }),
        json!({ "conversation": { "id": "conv_1" } }),
        json!({ "input": [{ "type": "item_reference", "id": "msg_1" }] }),
        json!({ "input": [reasoning, { "role": "user", "content": "go on" }] }),
    ] {
        let (sim, gateway) = start(vec![Rule::of(Fault::status(503)).provider("one")], "", "").await;
        let answer = gateway.respond(&stateful(&more)).await;
        let trail = "one/m1@key-1=overloaded:503, one/m1@key-2=overloaded:503, two/m2=skipped:stateful";
        assert_eq!((answer.status, answer.trail()), (502, trail), "{more}");
        assert!(sim.requests().iter().all(|request| request.provider == "one"), "{more}");
        let skipped = answer.error()["attempts"][2].clone();
        assert_eq!(skipped, json!({ "target": "two/m2", "skipped": "stateful" }));
    }
}

#[tokio::test]
async fn another_key_of_the_provider_may_still_answer() {
    let (_sim, gateway) = start(vec![Rule::of(Fault::status(429)).key("sk-one-a")], "", "").await;
    let answer = gateway.respond(&stateful(&json!({ "previous_response_id": "resp_1" }))).await;
    assert_eq!((answer.status, text(&answer)), (200, healthy("one", "m1", "ne-b")));
}

#[tokio::test]
async fn a_provider_without_the_endpoint_is_skipped_and_its_chat_goes_on() {
    let (sim, gateway) = start(vec![], "endpoints: ['chat'],", "").await;
    let answer = gateway.respond(&ask("default", false)).await;
    assert_eq!((answer.status, answer.trail()), (200, "one/m1=skipped:endpoint_not_served, two/m2@key-1=ok:200"));
    assert_eq!(gateway.chat("default").await.trail(), "one/m1@key-1=ok:200");
    // What is kept is then kept by the one that speaks it.
    let answer = gateway.respond(&stateful(&json!({ "previous_response_id": "resp_1" }))).await;
    assert_eq!((answer.status, answer.header("x-backstop-provider")), (200, "two"));
    let answer = gateway.respond(&ask("one/m1@key-1", false)).await;
    assert_eq!(answer.header("x-backstop-provider"), "two", "it goes on along the chain");
    let nobody = gateway.respond(&stateful(&json!({ "model": "one/other" }))).await;
    assert_eq!((nobody.status, &nobody.error()["code"]), (400, &"endpoint_not_served".into()));
    assert!(nobody.error()["message"].as_str().unwrap().contains("`endpoints`"), "{nobody:?}");
    assert_eq!(sim.requests().iter().filter(|request| request.path.contains("/one/v1/responses")).count(), 0);
}

#[tokio::test]
async fn a_path_or_model_that_is_not_there_costs_an_attempt_and_no_cooldown() {
    let unknown_path = Fault { status: Some(404), body: Some(json!({ "detail": "Not Found" })), ..Fault::default() };
    let page = Fault { status: Some(404), body: Some("<html>404</html>".into()), ..Fault::default() };
    let not_built = Fault { status: Some(501), body: Some("".into()), ..Fault::default() };
    let method = Fault { status: Some(405), body: Some("".into()), ..Fault::default() };
    for fault in [unknown_path, page, not_built, method, Fault::error(404, "model_not_found")] {
        let status = fault.status.unwrap();
        let mut rule = Rule::of(fault).provider("one");
        rule.matches.path = Some("*/responses".to_owned());
        let (_sim, gateway) = start(vec![rule], "", "").await;
        let answer = gateway.respond(&ask("default", false)).await;
        let both = format!("one/m1@key-1=not_capable:{status}, one/m1@key-2=not_capable:{status}, two/m2@key-1=ok:200");
        assert_eq!((answer.status, answer.trail()), (200, both.as_str()));
        assert_eq!(gateway.chat("default").await.trail(), "one/m1@key-1=ok:200", "chat's lane is untouched");
        assert_eq!(gateway.metric("backstop_cooldowns_total", &[]).await, 0.0);
    }
}

#[tokio::test]
async fn what_is_not_served_says_so() {
    let (sim, gateway) = start(vec![], "", "").await;
    let answer = gateway.respond(&stateful(&json!({ "background": true }))).await;
    assert_eq!((answer.status, &answer.error()["code"]), (400, &"background_not_served".into()));
    assert_eq!(answer.error()["param"], "background");
    for (method, path) in [
        ("GET", "/v1/responses/resp_1"),
        ("DELETE", "/v1/responses/resp_1"),
        ("POST", "/v1/responses/resp_1/cancel"),
        ("GET", "/responses/resp_1/input_items"),
        ("POST", "/v1/responses/resp_1"),
    ] {
        let answer = gateway.send(method, path, &[], b"").await;
        assert_eq!((answer.status, &answer.error()["code"]), (404, &"unknown_url".into()), "{method} {path}");
        assert!(answer.error()["message"].as_str().unwrap().contains("stored responses"), "{method} {path}");
    }
    assert_eq!(gateway.get(PATH).await.status, 405);
    let missing = gateway.respond(&json!({ "input": "hi" })).await;
    assert_eq!((missing.status, &missing.error()["param"]), (400, &"model".into()));
    assert!(sim.requests().is_empty(), "nobody was asked");
}

#[test]
fn a_wrong_word_among_endpoints_is_pointed_at() {
    let problems = |endpoints: &str| {
        let text = format!(
            "{{ providers: {{ one: {{ base_url: 'http://127.0.0.1:9/v1', keys: ['k'], endpoints: {endpoints} }} }},
                chains: {{ default: ['one/m'] }} }}"
        );
        backstop::config::load_text(Some(("test.json5", &text)), []).map_err(|error| error.to_string()).err()
    };
    assert_eq!(problems("['chat', 'responses']"), None);
    let told = problems("['chat', 'response']").unwrap();
    assert!(told.contains("providers.one.endpoints") && told.contains("responses"), "{told}");
    assert!(problems("[]").unwrap().contains("providers.one.endpoints"));
}
