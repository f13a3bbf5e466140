//! What Anthropic and Bedrock refuse, and the simulator with them: the mistakes that a translation makes easily.

use backstop::sim::Dialect;
use serde_json::{Value, json};

use super::sim::{Heard, PATIENCE, connect, listen, sim_of};
use super::sim_streams::{ask, request};

fn json_of(heard: &Heard) -> Value {
    serde_json::from_str(&heard.body()).unwrap_or_else(|error| panic!("{error}: {}", heard.text()))
}

/// What is sent besides a good request, and a part of the refusal.
#[tokio::test]
async fn anthropic_refuses_what_a_translation_gets_wrong() {
    let sim = sim_of("[]");
    let user = |blocks: Value| json!({ "role": "user", "content": blocks });
    let assistant = |blocks: Value| json!({ "role": "assistant", "content": blocks });
    let call = |id: &str| json!({ "type": "tool_use", "id": id, "name": "t", "input": {} });
    let result = |id: &str| json!({ "type": "tool_result", "tool_use_id": id, "content": "x" });
    let text = |text: &str| json!({ "type": "text", "text": text });
    let image = |source: Value| json!({ "type": "image", "source": source });
    let marked = json!({ "type": "text", "text": "x", "cache_control": { "type": "ephemeral" } });
    let thinking = json!({ "type": "enabled", "budget_tokens": 2_000 });
    let hi = user(json!("hi"));
    for (body, part) in [
        (json!({ "max_tokens": null }), "max_tokens"),
        (json!({ "messages": [] }), "at least one message is required"),
        (json!({ "temperature": 1.5 }), "temperature: range: 0..1"),
        (json!({ "stop_sequences": [" "] }), "non-whitespace"),
        (json!({ "tool_choice": { "type": "auto" } }), "while providing `tools`"),
        (json!({ "tools": [{ "name": "a b", "input_schema": { "type": "object" } }] }), "tools.0.custom.name"),
        (json!({ "tools": [{ "name": "a", "input_schema": {} }] }), "input_schema.type"),
        (json!({ "messages": [{ "role": "tool", "content": "x" }] }), "messages.0.role"),
        (json!({ "messages": [user(json!([text("")]))] }), "must be non-empty"),
        (json!({ "messages": [user(json!([text(" ")]))] }), "non-whitespace text"),
        (json!({ "messages": [user(json!([result("a")]))] }), "unexpected `tool_use_id`"),
        (
            json!({ "messages": [hi, assistant(json!([call("a:0")])), user(json!([result("a:0")]))] }),
            "String should match",
        ),
        (
            json!({ "messages": [hi, assistant(json!([call("a"), call("b")])), user(json!([result("a")]))] }),
            "after: b.",
        ),
        (
            json!({ "messages": [hi, assistant(json!([call("a")])), user(json!([text("x"), result("a")]))] }),
            "after: a.",
        ),
        (
            json!({ "messages": [user(json!([image(json!({ "type": "base64", "media_type": "image/png", "data": "!" }))]))] }),
            "base64",
        ),
        (json!({ "messages": [user(json!([image(json!({ "type": "url", "url": "data:x" }))]))] }), "HTTP(S)"),
        (json!({ "messages": [user(json!(vec![marked; 5]))] }), "Found 5"),
        (json!({ "thinking": thinking, "max_tokens": 2_000 }), "greater than `thinking.budget_tokens`"),
        (json!({ "thinking": thinking, "temperature": 0.5 }), "may only be set to 1"),
        (json!({ "thinking": { "type": "enabled", "budget_tokens": 9 } }), "greater than or equal to 1024"),
        (
            json!({ "thinking": thinking, "messages": [hi, assistant(json!([call("a")])), user(json!([result("a")]))] }),
            "Expected `thinking`",
        ),
    ] {
        let heard = ask(&sim, Dialect::Anthropic, false, &body).await;
        let answer = json_of(&heard);
        assert!(heard.head().starts_with("http/1.1 400"), "{body}: {}", heard.text());
        assert_eq!((&answer["type"], &answer["error"]["type"]), (&json!("error"), &json!("invalid_request_error")));
        assert!(answer["error"]["message"].as_str().unwrap().contains(part), "{part}: {answer}");
    }
}

/// Runs of one role are one turn, so results may come in several messages.
#[tokio::test]
async fn anthropic_takes_results_in_several_messages_and_wants_a_version() {
    let sim = sim_of("[]");
    let user = |blocks: Value| json!({ "role": "user", "content": blocks });
    let assistant = |blocks: Value| json!({ "role": "assistant", "content": blocks });
    let call = |id: &str| json!({ "type": "tool_use", "id": id, "name": "t", "input": {} });
    let result = |id: &str| json!({ "type": "tool_result", "tool_use_id": id, "content": "x" });
    let hi = user(json!("hi"));
    let split =
        json!([hi, assistant(json!([call("a"), call("b")])), user(json!([result("a")])), user(json!([result("b")]))]);
    assert!(
        ask(&sim, Dialect::Anthropic, false, &json!({ "messages": split })).await.head().starts_with("http/1.1 200")
    );
    let unversioned = request(Dialect::Anthropic, false, &json!({})).replace("anthropic-version", "x-version");
    let heard = listen(connect(sim.addr(), &unversioned).await, PATIENCE).await;
    assert!(heard.text().contains("anthropic-version: header is required"), "{}", heard.text());
}

#[tokio::test]
async fn bedrock_refuses_what_a_translation_gets_wrong() {
    let sim = sim_of("[]");
    let user = |blocks: Value| json!({ "role": "user", "content": blocks });
    let assistant = |blocks: Value| json!({ "role": "assistant", "content": blocks });
    let text = |text: &str| json!([{ "text": text }]);
    let call = |id: &str| json!({ "toolUse": { "toolUseId": id, "name": "t", "input": {} } });
    let result = |id: &str| json!({ "toolResult": { "toolUseId": id, "content": [{ "text": "x" }] } });
    let config = json!({ "tools": [{ "toolSpec": { "name": "t", "inputSchema": { "json": { "type": "object" } } } }] });
    let image = |bytes: &str| json!([{ "image": { "format": "png", "source": { "bytes": bytes } } }]);
    let document = json!([{ "document": { "format": "pdf", "name": "a.pdf", "source": { "bytes": "AAAA" } } }]);
    let foreign = json!([{ "reasoningContent": { "reasoningText": { "text": "x", "signature": "EqQB" } } }]);
    let hi = user(text("hi"));
    for (body, part) in [
        (json!({ "messages": [assistant(text("x")), hi] }), "must start with a user message"),
        (json!({ "messages": [hi, hi] }), "must alternate"),
        (json!({ "messages": [user(text(" "))] }), "is blank"),
        (json!({ "messages": [user(json!([]))] }), "is empty"),
        (json!({ "messages": [user(json!([{ "text": "a", "image": {} }]))] }), "must set one of"),
        (json!({ "messages": [hi, assistant(json!([call("a")])), user(json!([result("a")]))] }), "toolConfig field"),
        (
            json!({ "toolConfig": config, "messages": [hi, assistant(json!([call("a"), call("b")])), user(json!([result("a")]))] }),
            "for the following Ids: b",
        ),
        (json!({ "toolConfig": config, "messages": [user(json!([result("a")]))] }), "exceeds the number of toolUse"),
        (json!({ "toolConfig": config, "messages": [hi, assistant(json!([call("a b")]))] }), "[a-zA-Z0-9_.:-]+"),
        (json!({ "toolConfig": { "tools": [] } }), "toolConfig.tools"),
        (
            json!({ "toolConfig": { "tools": [{ "toolSpec": { "name": "t", "description": "", "inputSchema": { "json": {} } } }] } }),
            "description",
        ),
        (json!({ "messages": [user(image("not base64!"))] }), "is not base64"),
        (json!({ "messages": [user(image("https://example.com/x.png"))] }), "is not base64"),
        (json!({ "messages": [user(document)] }), "alphanumeric"),
        (json!({ "messages": [hi, assistant(foreign), hi] }), "Invalid `signature`"),
        (json!({ "inferenceConfig": { "temperature": 1.5 } }), "inferenceConfig.temperature"),
        (json!({ "system": "Be brief." }), "Expected array"),
    ] {
        for stream in [false, true] {
            let heard = ask(&sim, Dialect::Bedrock, stream, &body).await;
            assert!(heard.head().starts_with("http/1.1 400"), "{body}: {}", heard.text());
            assert!(heard.head().contains("x-amzn-errortype: validationexception:"), "{}", heard.head());
            assert!(json_of(&heard)["message"].as_str().unwrap().contains(part), "{part}: {}", heard.text());
        }
    }
}
