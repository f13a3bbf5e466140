//! A client that leaves: its upstream is cancelled at once in every phase, its slot is free, and nothing cools.

use backstop::policy::ledger::LaneId;

use super::by_hand;
use crate::support::{Gateway, STREAM_HEAD, Upstream, Wire, chat, event, plain_answer, until};

/// How far an exchange has come when the client leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    BeforeHeaders,
    PlainBeforeHeaders,
    AfterHeaders,
    MidStream,
    PlainBody,
}

#[tokio::test]
async fn leaving_cancels_the_upstream_in_every_phase() {
    use Phase::{AfterHeaders, BeforeHeaders, MidStream, PlainBeforeHeaders, PlainBody};
    for phase in [BeforeHeaders, PlainBeforeHeaders, AfterHeaders, MidStream, PlainBody] {
        leave_in(phase).await;
    }
}

async fn leave_in(phase: Phase) {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&by_hand(&upstream, "")).await;
    let mut client = gateway.connect().await;
    let stream = !matches!(phase, Phase::PlainBody | Phase::PlainBeforeHeaders);
    client.request("POST", "/v1/chat/completions", &[], chat("default", stream).to_string().as_bytes()).await;
    let mut server = upstream.accept().await;
    server.asked().await;
    assert_eq!(in_flight(&gateway).await, 1.0, "{phase:?}");
    match phase {
        Phase::BeforeHeaders | Phase::PlainBeforeHeaders => {}
        Phase::AfterHeaders => {
            server.write(STREAM_HEAD).await;
            server.write_chunk(b": nothing yet\n\n").await;
        }
        Phase::MidStream => {
            server.write(STREAM_HEAD).await;
            server.write_chunk(event("half").as_bytes()).await;
            client.head().await;
            client.chunk().await.unwrap();
        }
        Phase::PlainBody => {
            let answer = plain_answer("all of it");
            server.write(&answer.as_bytes()[..answer.len() - 20]).await;
        }
    }
    // A round trip through the same runtime: what the upstream wrote has been read.
    assert_eq!(gateway.get("/livez").await.text(), "ok");

    drop(client);
    server.closed().await;
    gateway.idle().await;
    let slot = gateway.lane("slot", "one/m1@K").await;
    assert_eq!((&slot["state"], &slot["streak"], &slot["kind"]), (&"ready".into(), &0.into(), &().into()), "{phase:?}");
    assert_eq!(gateway.metric("backstop_cooldowns_total", &[]).await, 0.0, "{phase:?}");
    // Once the first content is there the answer has begun: then too the attempt was abandoned, not failed.
    let abandoned = gateway.metric("backstop_attempts_total", &["outcome=\"abandoned\""]).await;
    assert_eq!(abandoned, 1.0, "{phase:?}");
    assert_eq!(gateway.metric("backstop_attempts_total", &[]).await, 1.0, "{phase:?}: nothing was tried afterwards");
}

/// The tokens that were told until the client left are counted.
#[tokio::test]
async fn what_was_used_until_then_is_counted() {
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"m1\",\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n";
    let delta = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"half\"}}\n\n";
    let messages = format!("{start}{delta}");
    let counted = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"half\"}}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1}}\n\n";
    let cases = [
        ("anthropic", "/v1/messages", messages.as_str()),
        ("anthropic", "/v1/chat/completions", messages.as_str()),
        ("openai_chat", "/v1/chat/completions", counted),
    ];
    for (dialect, path, said) in cases {
        for mode in ["error", "continue"] {
            let who = format!("{dialect} at {path}, {mode}");
            let upstream = Upstream::start().await;
            let base_url = upstream.base_url();
            let text = format!(
                "{{ providers: {{ one: {{ dialect: '{dialect}', base_url: '{base_url}', keys: ['k'] }} }},
                    chains: {{ default: {{ targets: ['one/m1'], stream_recovery: '{mode}' }} }} }}"
            );
            let gateway = Gateway::start(&text).await;
            let mut client = gateway.connect().await;
            let mut body = chat("default", true);
            body["max_tokens"] = 9.into();
            client.request("POST", path, &[], body.to_string().as_bytes()).await;
            let mut server = upstream.accept().await;
            server.asked().await;
            server.write(STREAM_HEAD).await;
            server.write_chunk(said.as_bytes()).await;
            client.head().await;
            client.chunk().await.unwrap();
            drop(client);
            server.closed().await;
            gateway.idle().await;
            for (direction, tokens) in [("prompt", 9.0), ("completion", 1.0)] {
                let label = format!("direction=\"{direction}\"");
                assert_eq!(gateway.metric("backstop_tokens_total", &[&label]).await, tokens, "{who}");
            }
            let abandoned = gateway.metric("backstop_attempts_total", &["outcome=\"abandoned\""]).await;
            assert_eq!(abandoned, 1.0, "{who}");
        }
    }
}

/// Behind headers that went out before any content.
#[tokio::test]
async fn leaving_after_early_headers_cancels_the_upstream() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&by_hand(&upstream, "run: { stream_headers_after: '20ms' },")).await;
    let mut client = gateway.connect().await;
    client.request("POST", "/v1/chat/completions", &[], chat("default", true).to_string().as_bytes()).await;
    let mut server = upstream.accept().await;
    server.asked().await;
    assert_eq!(client.head().await.status(), 200);
    client.chunk().await.unwrap();
    drop(client);
    server.closed().await;
    gateway.idle().await;
    assert_eq!(gateway.metric("backstop_attempts_total", &["outcome=\"abandoned\""]).await, 1.0);
    assert_eq!(gateway.metric("backstop_cooldowns_total", &[]).await, 0.0);
}

/// While TLS is shaking hands with somebody who does not.
#[tokio::test]
async fn leaving_frees_the_slot_while_its_connection_opens() {
    let silent = Upstream::start().await;
    let gateway = Gateway::start(&super::lone(&format!("https://{}/v1", silent.addr), "")).await;
    let client = ask(&gateway).await;
    let mut server = silent.accept().await;
    assert_eq!(in_flight(&gateway).await, 1.0);
    drop(client);
    gateway.idle().await;
    server.closed().await;
    assert_eq!(gateway.metric("backstop_attempts_total", &["outcome=\"abandoned\""]).await, 1.0);
    assert_eq!(gateway.metric("backstop_cooldowns_total", &[]).await, 0.0);
}

async fn in_flight(gateway: &Gateway) -> f64 {
    gateway.metric("backstop_attempts_in_flight", &[]).await
}

/// One request may wait for the slot; whether it does is asked by trying to wait as well.
#[tokio::test]
async fn leaving_leaves_the_queue_of_a_cooling_slot() {
    let upstream = Upstream::start().await;
    let more = "cooldowns: { overloaded: { first: '50s', cap: '50s' }, max_waiters: 1 },
        run: { max_wait: '100s', same_target_wait: 0 },";
    let gateway = Gateway::start(&by_hand(&upstream, more)).await;
    let slot = gateway.state.names.lanes().find_map(|lane| match lane {
        LaneId::Slot(slot) if gateway.state.names.slot(slot).label == "one/m1@K" => Some(slot),
        _ => None,
    });
    let slot = slot.unwrap();
    let is_free = || gateway.state.ledger.with(|ledger| ledger.join(slot).then(|| ledger.leave(slot)).is_some());

    let mut first = ask(&gateway).await;
    let mut server = upstream.accept().await;
    server.asked().await;
    server.write("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(first.answer().await.status, 502);

    assert!(is_free());
    let second = ask(&gateway).await;
    until("the second request waits", async || !is_free()).await;
    drop(second);
    until("it has left the queue", async || is_free()).await;
    gateway.idle().await;
    assert_eq!(gateway.metric("backstop_attempts_total", &[]).await, 1.0, "the slot was not asked again");
}

async fn ask(gateway: &Gateway) -> Wire {
    let mut client = gateway.connect().await;
    client.request("POST", "/v1/chat/completions", &[], chat("default", false).to_string().as_bytes()).await;
    client
}

/// A client that leaves while its body is still on the way never reaches an upstream.
#[tokio::test]
async fn leaving_in_the_middle_of_a_body_asks_nobody() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&by_hand(&upstream, "")).await;
    let mut client = gateway.connect().await;
    client.write("POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\ncontent-length: 1000\r\n\r\n{\"model\":").await;
    until("the request arrived", async || gateway.metric("backstop_requests_in_flight", &[]).await == 1.0).await;
    drop(client);
    gateway.idle().await;
    assert_eq!(gateway.metric("backstop_attempts_total", &[]).await, 0.0);
}
