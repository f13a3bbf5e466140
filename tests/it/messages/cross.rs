//! One dialect in front and another behind, whole answers: the meaning is the same, and what is lost is said.

use serde_json::{Value, json};

use super::{CHAT, MESSAGES, ask, completion, exchange, lone, message, whole};
use crate::support::{CALM, Gateway, Upstream};

fn read(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

#[tokio::test]
async fn a_chat_is_answered_by_anthropic() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&lone(&upstream, "anthropic", "")).await;
    let body = json!({ "model": "default", "seed": 7, "logit_bias": { "1": 2 }, "temperature": 0.5,
        "messages": [{ "role": "developer", "content": "be brief" }, { "role": "user", "content": "hi" }] });
    let headers = [("openai-beta", "x"), ("anthropic-beta", "a-1")];
    let asked = (CHAT, headers.as_slice(), &body);
    let (line, headers, sent, got) = exchange(&gateway, &upstream, asked, whole("200 OK", &message("Hello."))).await;
    assert_eq!(line, "POST /v1/messages HTTP/1.1");
    assert_eq!(
        (&headers["x-api-key"], &headers["anthropic-beta"]),
        (&"sk-one-secret".parse().unwrap(), &"a-1".parse().unwrap())
    );
    assert!(!headers.contains_key("openai-beta"), "it is not for this vendor");
    let sent = read(&sent);
    assert_eq!(
        (&sent["model"], &sent["system"], &sent["temperature"]),
        (&"m1".into(), &"be brief".into(), &0.5.into())
    );
    assert!(sent["max_tokens"].is_u64(), "Anthropic demands one: {sent}");
    let answer = got.json();
    assert_eq!((got.content().as_str(), &answer["choices"][0]["finish_reason"]), ("Hello.", &"stop".into()));
    assert_eq!((&answer["model"], &answer["usage"]["prompt_tokens"]), (&"claude-x".into(), &7.into()));
    assert_eq!(answer["usage"]["prompt_tokens_details"]["cached_tokens"], 4);
    let mut dropped: Vec<&str> = got.header("x-backstop-dropped").split(", ").collect();
    dropped.sort_unstable();
    assert_eq!(dropped, ["logit_bias", "seed"]);
    assert_eq!(got.trail(), "one/m1@K=ok:200");
    assert_eq!(gateway.metric("backstop_tokens_total", &["direction=\"completion\""]).await, 5.0);
}

#[tokio::test]
async fn a_message_is_answered_by_openais_dialect() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&lone(&upstream, "openai_chat", "")).await;
    let mut body = ask(false);
    body["system"] = "be brief".into();
    body["top_k"] = 5.into();
    let asked = (MESSAGES, [("anthropic-beta", "a-1")].as_slice(), &body);
    let (line, headers, sent, got) = exchange(&gateway, &upstream, asked, whole("200 OK", &completion("Hello."))).await;
    assert_eq!(line, "POST /v1/chat/completions HTTP/1.1");
    assert_eq!(headers["authorization"], "Bearer sk-one-secret");
    assert!(!headers.contains_key("anthropic-beta") && !headers.contains_key("anthropic-version"));
    let sent = read(&sent);
    assert_eq!((&sent["model"], &sent["messages"][0]["content"]), (&"m1".into(), &"be brief".into()));
    let answer = got.json();
    assert_eq!(
        (&answer["type"], &answer["content"][0]["text"], &answer["stop_reason"]),
        (&"message".into(), &"Hello.".into(), &"end_turn".into())
    );
    assert_eq!(
        (
            &answer["usage"]["input_tokens"],
            &answer["usage"]["cache_read_input_tokens"],
            &answer["usage"]["output_tokens"]
        ),
        (&3.into(), &4.into(), &5.into())
    );
    assert_eq!(got.header("x-backstop-dropped"), "top_k");
}

#[tokio::test]
async fn a_schema_that_a_model_cannot_follow_is_a_tool_to_it_and_text_to_the_client() {
    let upstream = Upstream::start().await;
    let gateway =
        Gateway::start(&lone(&upstream, "anthropic", "").replace("one/m1", "one/claude-3-5-haiku-20241022")).await;
    let schema = json!({ "type": "object", "properties": { "a": { "type": "integer" } }, "required": ["a"] });
    let body = json!({ "model": "default", "messages": [{ "role": "user", "content": "hi" }],
        "response_format": { "type": "json_schema", "json_schema": { "name": "sum", "schema": schema } } });
    let mut answer = message("");
    answer["content"] = json!([{ "type": "tool_use", "id": "toolu_1", "name": "sum", "input": { "a": 1 } }]);
    answer["stop_reason"] = "tool_use".into();
    let (.., sent, got) = exchange(&gateway, &upstream, (CHAT, &[], &body), whole("200 OK", &answer)).await;
    let sent = read(&sent);
    assert_eq!((&sent["tool_choice"]["name"], &sent["tools"][0]["input_schema"]), (&"sum".into(), &schema), "{sent}");
    let choice = &got.json()["choices"][0];
    assert_eq!((&choice["message"]["content"], &choice["finish_reason"]), (&"{\"a\":1}".into(), &"stop".into()));
    assert!(choice["message"]["tool_calls"].is_null());
}

/// Two targets: the first one's dialect can't give it, the second one's can.
#[tokio::test]
async fn what_a_target_cannot_give_is_asked_of_the_next_one_and_refused_if_there_is_none() {
    for (dialect, field, lack) in [
        ("anthropic", json!({ "n": 2 }), "no_choices"),
        ("anthropic", json!({ "logprobs": true }), "no_logprobs"),
        ("bedrock", json!({ "n": 2 }), "no_choices"),
        (
            "bedrock",
            json!({ "messages": [{ "role": "user", "content": [{ "type": "image_url", "image_url":
            { "url": "https://example.com/a.png" } }] }] }),
            "no_image_urls",
        ),
        (
            "anthropic",
            json!({ "messages": [{ "role": "user", "content": [{ "type": "input_audio", "input_audio":
            { "data": "AA==", "format": "wav" } }] }] }),
            "no_audio",
        ),
    ] {
        let upstream = Upstream::start().await;
        let config = format!(
            "{{ providers: {{ one: {{ dialect: '{dialect}', base_url: '{url}', keys: ['sk-one-secret'] }},
                two: {{ base_url: '{url}', keys: ['sk-two-secret'] }} }},
            chains: {{ default: ['one/m1', 'two/m2'], alone: ['one/m1'] }}, {CALM} }}",
            url = upstream.base_url()
        );
        let gateway = Gateway::start(&config).await;
        let mut body = json!({ "model": "default", "messages": [{ "role": "user", "content": "hi" }] });
        body.as_object_mut().unwrap().extend(field.as_object().unwrap().clone());
        let (.., got) = exchange(&gateway, &upstream, (CHAT, &[], &body), whole("200 OK", &completion("two"))).await;
        assert_eq!(got.trail(), format!("one/m1=skipped:{lack}, two/m2@key-1=ok:200"));
        body["model"] = "alone".into();
        let got = gateway.post(CHAT, &[], &body).await;
        assert_eq!((got.status, &got.error()["code"]), (400, &lack.into()), "{}", got.text());
    }
}

#[tokio::test]
async fn what_nobody_understands_is_a_clear_400_before_anything_is_sent() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&lone(&upstream, "anthropic", "")).await;
    let body = json!({ "model": "default", "messages": [{ "role": "user", "content": "hi" }, { "role": "wizard" }] });
    let got = gateway.post(CHAT, &[], &body).await;
    assert_eq!(got.status, 400, "{}", got.text());
    assert!(got.error()["message"].as_str().unwrap().contains("messages[1]"), "{}", got.text());
    assert_eq!(gateway.metric("backstop_cooldowns_total", &[]).await, 0.0, "nothing cools");
}

#[tokio::test]
async fn an_error_under_200_goes_on_to_the_next_key() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&lone(&upstream, "anthropic", "")).await;
    let overloaded = json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } });
    let mut client = gateway.connect().await;
    client.request("POST", CHAT, &[], ask(false).to_string().as_bytes()).await;
    for answer in [overloaded, message("second")] {
        let mut server = upstream.accept().await;
        server.asked().await;
        server.write(whole("200 OK", &answer)).await;
    }
    let got = client.answer().await;
    assert_eq!((got.content().as_str(), got.trail()), ("second", "one/m1@K=overloaded:200, one/m1@L=ok:200"));
}
