//! What the gateway itself says to Anthropic's clients: errors in their shape, and the list of models.

use serde_json::{Value, json};

use super::{MESSAGES, ask, exchange, lone, opened, whole};
use crate::support::{Answer, Gateway, Upstream};

fn error(answer: &Answer) -> (u16, String, String) {
    let body = answer.json();
    assert_eq!(body["type"], "error", "{body}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (answer.status, text(&body["error"]["type"]), text(&body["error"]["message"]))
}

#[tokio::test]
async fn refusals_have_anthropics_shape() {
    let upstream = Upstream::start().await;
    let keys = "server: { client_keys: [{ name: 'app',
        sha256: '6df2b7c0bf0c8ac0c3fd0ad5a54e8b1ca65bab0cc36a9d6c4fd9c2b0d9d1b0a1' }] },";
    let gateway = Gateway::start(&lone(&upstream, "anthropic", keys)).await;
    let got = gateway.post(MESSAGES, &[], &ask(false)).await;
    assert_eq!(error(&got).1, "authentication_error");
    assert_eq!(got.status, 401);

    let gateway = Gateway::start(&lone(&upstream, "anthropic", "")).await;
    let unknown = json!({ "model": "nobody", "max_tokens": 1, "messages": [] });
    let (status, kind, words) = error(&gateway.post(MESSAGES, &[], &unknown).await);
    assert_eq!((status, kind.as_str()), (404, "not_found_error"));
    assert!(words.contains("nobody"), "{words}");
    let broken = gateway.send("POST", MESSAGES, &[], b"{\"model\":").await;
    assert_eq!(error(&broken).1, "invalid_request_error");
    let wrong = gateway.send("GET", MESSAGES, &[], b"").await;
    assert_eq!((error(&wrong).0, error(&wrong).1.as_str()), (405, "invalid_request_error"));
    let typed = gateway.send("POST", MESSAGES, &[("content-type", "text/plain")], b"{}").await;
    assert_eq!(error(&typed).0, 415);
}

#[tokio::test]
async fn when_nobody_answers_the_attempts_are_listed() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&lone(&upstream, "anthropic", "")).await;
    let limited = json!({ "type": "error", "error": { "type": "rate_limit_error", "message": "slow down" } });
    let answer = whole("429 Too Many Requests\r\nretry-after: 30", &limited);
    let mut client = gateway.connect().await;
    client.request("POST", MESSAGES, &[], ask(false).to_string().as_bytes()).await;
    for _ in 0..2 {
        let mut server = upstream.accept().await;
        server.asked().await;
        server.write(&answer).await;
    }
    let got = client.answer().await;
    let (status, kind, _) = error(&got);
    assert_eq!((status, kind.as_str()), (429, "rate_limit_error"));
    assert_eq!(got.json()["error"]["attempts"].as_array().map(Vec::len), Some(2));
    assert!(!got.text().contains("slow down"), "one vendor's words are not everybody's: {}", got.text());
    assert!(!got.header("retry-after").is_empty());
}

#[tokio::test]
async fn a_vendors_refusal_is_passed_on_in_the_clients_dialect() {
    let theirs = json!({ "error": { "message": "the number sk-one-secret is odd", "type": "invalid_request_error",
        "param": "messages", "code": null } });
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&lone(&upstream, "openai_chat", "")).await;
    let asked = (MESSAGES, [].as_slice(), &ask(false));
    let (.., got) = exchange(&gateway, &upstream, asked, whole("400 Bad Request", &theirs)).await;
    let (status, kind, words) = error(&got);
    assert_eq!((status, kind.as_str()), (400, "invalid_request_error"));
    assert!(words.contains("is odd") && !words.contains("sk-one-secret"), "{words}");

    let theirs = json!({ "type": "error", "error": { "type": "invalid_request_error", "message": "messages: odd" } });
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&lone(&upstream, "anthropic", "")).await;
    let asked = (super::CHAT, [].as_slice(), &ask(false));
    let (.., got) = exchange(&gateway, &upstream, asked, whole("400 Bad Request", &theirs)).await;
    let told = got.error();
    assert_eq!(
        (got.status, &told["message"], &told["type"]),
        (400, &"messages: odd".into(), &"invalid_request_error".into())
    );
}

#[tokio::test]
async fn a_stream_that_breaks_ends_in_an_error_event_and_never_in_a_message_stop() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&lone(&upstream, "anthropic", "")).await;
    let (mut client, mut server) = opened(&gateway, &upstream, MESSAGES).await;
    server.write(super::stream(&super::begun(&["half"]))).await;
    let got = client.answer().await;
    let frames = super::frames(&got);
    let (name, data) = frames.last().unwrap();
    let data: Value = serde_json::from_str(data).unwrap();
    assert_eq!((name.as_str(), &data["type"], &data["error"]["type"]), ("error", &"error".into(), &"api_error".into()));
    assert!(frames.iter().all(|(name, _)| name != "message_stop" && name != "message_delta"));
}

#[tokio::test]
async fn anthropics_clients_page_through_the_models() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&lone(&upstream, "anthropic", "")).await;
    let version = [("anthropic-version", "2023-06-01")];
    let page = gateway.send("GET", "/v1/models?limit=1", &version, b"").await.json();
    assert_eq!((page["data"][0]["type"].as_str(), page["has_more"].as_bool()), (Some("model"), Some(true)), "{page}");
    let last = page["last_id"].as_str().unwrap().replace('/', "%2F");
    let next = gateway.send("GET", &format!("/v1/models?limit=1000&after_id={last}"), &version, b"").await.json();
    assert_eq!(next["has_more"], false, "{next}");
    assert_ne!(next["first_id"], page["first_id"]);
    let back = next["first_id"].as_str().unwrap().replace('/', "%2F");
    let first = gateway.send("GET", &format!("/v1/models?before_id={back}"), &version, b"").await.json();
    assert_eq!((&first["last_id"], &first["has_more"]), (&page["last_id"], &false.into()));
    let one = gateway.send("GET", "/v1/models/one/m1", &version, b"").await.json();
    assert_eq!((one["id"].as_str(), one["type"].as_str()), (Some("one/m1"), Some("model")));
    let none = gateway.send("GET", "/v1/models/nobody", &version, b"").await;
    assert_eq!(error(&none).1, "not_found_error");
    assert_eq!(gateway.get("/v1/models").await.json()["object"], "list", "others get OpenAI's");
}
