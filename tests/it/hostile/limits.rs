//! Answers that are longer or slower than the gateway waits for.

use tokio::time::{Duration, Instant};

use super::super::hostile_support::{Act, Upstream, ask, chat, once};
use super::{check_unharmed, gate, healthy};

/// More than the 16 MiB that are read whole.
const LONG: usize = 17 << 20;

fn long_head() -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {LONG}\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn a_very_long_answer_passes_unread() {
    let upstream = Upstream::start(|_| vec![Act::Send(long_head()), Act::Send(vec![b'{'; LONG])]);
    let sim = healthy();
    let gate = gate(upstream.addr, &sim, "");
    let reply = once(gate.addr, &chat(&ask("default", false))).await.expect("an answer");
    assert_eq!((reply.status, reply.body.len(), reply.whole), (200, LONG, true));
    check_unharmed("long", &gate).await;
}

#[tokio::test]
async fn a_very_long_answer_that_breaks_or_stalls_is_cut() {
    for stalls in [false, true] {
        let end = if stalls { vec![Act::Hold] } else { Vec::new() };
        let begun = vec![Act::Send(long_head()), Act::Send(vec![b'{'; LONG - 10])];
        let upstream = Upstream::start(move |_| [begun.clone(), end.clone()].concat());
        let sim = healthy();
        let gate = gate(upstream.addr, &sim, "run: { stall: '300ms' }");
        let reply = once(gate.addr, &chat(&ask("default", false))).await.expect("an answer");
        assert_eq!((reply.status, reply.whole), (200, false), "stalls: {stalls}");
        check_unharmed("cut", &gate).await;
    }
}

/// The status of a failure is known before its body: a body that never ends must not hold the request up for long.
#[tokio::test]
async fn an_error_body_that_never_comes_is_not_waited_for() {
    let head = "HTTP/1.1 500 Oops\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    let upstream = Upstream::start(move |_| vec![Act::Send(head.into()), Act::Hold]);
    let sim = healthy();
    let gate = gate(upstream.addr, &sim, "");
    let begun = Instant::now();
    let reply = once(gate.addr, &chat(&ask("default", false))).await.expect("an answer");
    assert!(reply.content().starts_with("I am good/m"), "{}", reply.text());
    assert!(reply.header("x-backstop-trail").unwrap().starts_with("bad/m@key-1=server_error:500"), "{}", reply.head);
    assert!(begun.elapsed() < Duration::from_secs(12), "two attempts, each of at most 5 s");
}
