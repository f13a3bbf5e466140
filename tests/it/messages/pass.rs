//! The same dialect on both sides: bytes pass, the model's name is spliced, unknown fields survive.

use serde_json::json;

use super::{MESSAGES, ask, begun, ending, event, exchange, lone, message, stream, whole, whole_text};
use crate::support::{Gateway, Upstream};

#[tokio::test]
async fn every_byte_survives_but_the_models_name_and_invented_fields_too() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&lone(&upstream, "anthropic", "")).await;
    let odd = r#""max_tokens" : 64,"fallbacks":[{"model":"claude-y"}], "invented_20261128":{"a":[1.50,-0, "\ud83d\ude00"]},
        "messages":[{"role":"user","content":[{"type":"hologram","source":{"type":"moon"},"cache_control":{"type":"ephemeral"}}]}]"#;
    let body = format!("{{{odd},\"model\":\"default\"}}");
    let mut client = gateway.connect().await;
    let headers =
        [("anthropic-beta", "a-1,b-2"), ("x-api-key", "the-clients-own"), ("anthropic-version", "2025-01-01")];
    client.request("POST", "/v1/messages?beta=true", &headers, body.as_bytes()).await;
    let mut server = upstream.accept().await;
    let (head, asked) = server.asked().await;
    assert_eq!(String::from_utf8(asked).unwrap(), format!("{{{odd},\"model\":\"m1\"}}"));
    assert_eq!(head.line, "POST /v1/messages HTTP/1.1");
    for (name, value) in
        [("x-api-key", "sk-one-secret"), ("anthropic-beta", "a-1,b-2"), ("anthropic-version", "2025-01-01")]
    {
        assert_eq!(head.headers[name], value);
    }
    assert!(!head.headers.contains_key("authorization"));

    let answer = r#"{"type":"message", "id":"msg_1","role":"assistant","content":[{"type":"hologram","x":1.50}],"stop_reason":"dreamt","usage":{"input_tokens":1,"output_tokens":2},"invented":[null]}"#;
    server.write(whole_text("200 OK\r\nrequest-id: req_7", answer)).await;
    let got = client.answer().await;
    assert_eq!((got.header("request-id"), got.header("x-request-id")), ("req_7", ""));
    assert_eq!((got.status, got.text().as_str()), (200, answer));
    assert_eq!(got.trail(), "one/m1@K=ok:200");
    assert_eq!(got.header("x-backstop-dropped"), "");
}

#[tokio::test]
async fn the_version_is_sent_for_clients_that_name_none() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&lone(&upstream, "anthropic", "")).await;
    let asked = (MESSAGES, [].as_slice(), &ask(false));
    let (_, headers, ..) = exchange(&gateway, &upstream, asked, whole("200 OK", &message("hi"))).await;
    assert_eq!(headers["anthropic-version"], "2023-06-01");
}

#[tokio::test]
async fn a_token_of_an_account_is_shown_as_bearer_with_its_beta() {
    let upstream = Upstream::start().await;
    let config = lone(&upstream, "anthropic", "").replace("sk-one-secret", "sk-ant-oat01-secret");
    let gateway = Gateway::start(&config).await;
    let asked = (MESSAGES, [("anthropic-beta", "a-1")].as_slice(), &ask(false));
    let (_, headers, ..) = exchange(&gateway, &upstream, asked, whole("200 OK", &message("hi"))).await;
    assert_eq!(headers["authorization"], "Bearer sk-ant-oat01-secret");
    assert_eq!(headers["anthropic-beta"], "oauth-2025-04-20,a-1");
    assert!(!headers.contains_key("x-api-key"));
}

#[tokio::test]
async fn a_stream_passes_as_it_came_with_events_that_nobody_knows() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&lone(&upstream, "anthropic", "")).await;
    let invented = event(&json!({ "type": "dream", "x": 1.50 }));
    let body = format!("{}{invented}: comment\n\n{}", begun(&["one", " two"]), ending().concat());
    let asked = (MESSAGES, [].as_slice(), &ask(true));
    let (.., got) = exchange(&gateway, &upstream, asked, stream(&body)).await;
    assert_eq!((got.text(), got.whole), (body, true));
    gateway.idle().await;
    assert_eq!(gateway.metric("backstop_tokens_total", &["direction=\"completion\""]).await, 5.0);
    assert_eq!(gateway.metric("backstop_tokens_total", &["direction=\"prompt\""]).await, 7.0, "cached ones too");
}

#[tokio::test]
async fn tokens_are_counted_by_who_speaks_anthropics_dialect() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&lone(&upstream, "anthropic", "")).await;
    let asked = ("/v1/messages/count_tokens", [].as_slice(), &ask(false));
    let (line, _, _, got) = exchange(&gateway, &upstream, asked, whole("200 OK", &json!({ "input_tokens": 9 }))).await;
    assert_eq!(
        (line.as_str(), got.status, got.json()["input_tokens"].as_u64()),
        ("POST /v1/messages/count_tokens HTTP/1.1", 200, Some(9))
    );
}

#[tokio::test]
async fn who_cannot_count_tokens_says_so() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&lone(&upstream, "openai_chat", "")).await;
    let got = gateway.post("/v1/messages/count_tokens", &[], &ask(false)).await;
    assert_eq!((got.status, &got.json()["type"]), (501, &"error".into()));
    assert!(got.text().contains("counts tokens"), "{}", got.text());
}
