//! Time in front of an answer and within it: which timer fired, comments that keep a connection alive, clients that leave
//! while somebody goes on, and clients that do not read.
//!
//! Owns small periods. No test asserts how long anything takes.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::heard::Heard;
use super::scene::{Role, Scene, broken};
use super::{BRIEF, Front, MODE, config};
use crate::scenario_article::logs::Logs;
use crate::support::replay::fault::{LAST, chunks, head, parts_before, whole};
use crate::support::replay::{Act, Dialect, Fault, Move, Place, Prefill, Speech, Vendor};
use crate::support::{Gateway, STREAM_HEAD, Upstream, Wire, event};

const PIECES: [&str; 3] = ["Hello,", " wide", " world."];
const JSON: &str = "content-type: application/json\r\n";

fn speech() -> Speech {
    Speech::of("one", &PIECES)
}

/// A whole answer of chat.
fn plain() -> Act {
    let message = json!({ "role": "assistant", "content": PIECES.concat() });
    let answer = json!({ "id": "x", "object": "chat.completion", "model": "m2",
        "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }] });
    Act::Moves(vec![Move::Send(whole("200 OK", JSON, &answer.to_string()))])
}

/// Nothing comes, from there on.
fn silent(place: Place) -> Act {
    Act::Fails(Fault::Stall, place)
}

/// The beginning of a whole answer, and no more.
fn half() -> Act {
    let begun = format!("HTTP/1.1 200 OK\r\n{JSON}content-length: 100\r\n\r\n{{\"id\":");
    Act::Moves(vec![Move::Send(begun.into_bytes()), Move::Stall])
}

/// Silence in front of a target that answers: whether it streams, where it falls silent, the limit of the target, the limit
/// of the chain, and the timer that fires.
#[tokio::test]
async fn the_trail_names_the_timer_that_fired() {
    let short = "timeouts: { first_content: '100ms', response_timeout: '60s' },";
    let first = "timeouts: { first_content: '60s', response_timeout: '100ms' },";
    for (stream, act, target, chain, timer) in [
        (true, silent(Place::BeforeHeaders), short, "", "first_content"),
        (true, silent(Place::AfterHeaders), short, "", "first_content"),
        (true, silent(Place::Preamble), short, "", "first_content"),
        (true, silent(Place::Preamble), "", "timeouts: { first_content: '500ms' },", "first_content"),
        (false, silent(Place::BeforeHeaders), first, "", "response_timeout"),
        (false, half(), first, "", "response_timeout"),
        (false, half(), "", "timeouts: { response_timeout: '500ms' },", "response_timeout"),
    ] {
        let who = format!("{act:?} (stream: {stream}) {target} {chain}");
        let one = Role { acts: vec![act], fields: target, ..Role::breaks(Dialect::OpenAi, &speech(), 1) };
        let two = Role {
            acts: vec![if stream { Act::Healthy } else { plain() }],
            ..Role::goes_on(Dialect::OpenAi, &speech())
        };
        let scene = Scene::with(vec![one, two], chain, BRIEF).await;
        let mut body = Front::Chat.ask("default", "hi");
        if !stream {
            body = json!({ "model": "default", "messages": body["messages"] });
        }
        let answer = scene.gateway.post(Front::Chat.path(), &[], &body).await;
        assert_eq!(answer.trail(), format!("one/m1@K=timeout:{timer}, two/m2@K=ok:200"), "{who}");
        assert_eq!(answer.content(), PIECES.concat(), "{who}");
        assert_eq!(scene.gateway.lane("slot", "one/m1@K").await["kind"], "timeout", "{who}");
    }
}

/// The whole request's time is over: the chain's, or what the client has left.
#[tokio::test]
async fn the_deadline_is_a_timer_of_its_own() {
    for (chain, headers) in [
        ("deadline: '200ms',", [].as_slice()),
        ("deadline: '60s',", &[("x-backstop-deadline-ms", "200")]),
        ("", &[("x-backstop-deadline-ms", "200")]),
    ] {
        for stream in [true, false] {
            let who = format!("{chain} {headers:?} (stream: {stream})");
            let one = Role { acts: vec![silent(Place::BeforeHeaders)], ..Role::breaks(Dialect::OpenAi, &speech(), 1) };
            let scene = Scene::with(vec![one], chain, BRIEF).await;
            let body =
                json!({ "model": "default", "stream": stream, "messages": [{ "role": "user", "content": "hi" }] });
            let answer = scene.gateway.post(Front::Chat.path(), headers, &body).await;
            assert_eq!((answer.status, answer.trail()), (504, "one/m1@K=timeout:deadline"), "{who}");
            scene.gateway.idle().await;
        }
    }
}

/// Somebody who takes connections and never shakes hands.
#[tokio::test]
async fn a_connection_that_does_not_open_is_named() {
    for (chain, more) in
        [("timeouts: { connect: '300ms' },", String::new()), ("", "upstream: { connect_timeout: '300ms' },".to_owned())]
    {
        let silent = Upstream::start().await;
        let two = Vendor::healthy(&speech(), Prefill::Ignores).await;
        let one = format!(
            "one: {{ base_url: 'https://{}/v1', keys: [{{ key: 'sk-one-secret', profile: 'K' }}] }}",
            silent.addr
        );
        let providers = [one, two.provider("two", Dialect::OpenAi, &["K"], "")];
        let chain = format!("default: {{ targets: ['one/m1', 'two/m2'], {chain} }}");
        let gateway = Gateway::start(&config(&providers, &[chain], &format!("{BRIEF} {more}"))).await;
        let heard = Front::Chat.listen(&gateway, "error", &Front::Chat.ask("default", "hi")).await;
        heard.assert_whole(&PIECES.concat(), "over the second target");
        let begun = heard.trail.starts_with("one/m1@K=network:connect, ");
        assert!(begun && heard.trail.ends_with("two/m2@K=ok:200"), "{}", heard.trail);
    }
}

#[tokio::test]
async fn a_stall_is_named_in_the_log() {
    for mode in ["error", "continue", "buffer"] {
        let logs = Logs::capture();
        let fields = "timeouts: { stall: '100ms' },";
        let acts = vec![silent(Place::Content(1))];
        let one = Role { acts, fields, ..Role::breaks(Dialect::OpenAi, &speech(), 1) };
        let scene = Scene::of(vec![one, Role::goes_on(Dialect::Anthropic, &speech())]).await;
        let heard = Front::Chat.listen(&scene.gateway, mode, &Front::Chat.ask("default", "hi")).await;
        assert_eq!((heard.is_broken(), heard.is_normal()), (mode == "error", mode != "error"), "{mode}: {heard:#?}");
        scene.gateway.idle().await;
        let lines = logs.lines();
        // In one word, or in the two fields of a failover.
        let named = lines.iter().any(|line| {
            let fields = line["kind"] == "broken_stream" && line["timer"] == "stall";
            fields || line.to_string().contains("broken_stream:stall")
        });
        assert!(named, "{mode}: {lines:#?}");
    }
}

/// The moves of a stream that pauses within the frame behind this place until it is told to go on.
fn paused(dialect: Dialect, place: Place, told: &Arc<Notify>) -> Act {
    let parts = speech().parts(dialect, true);
    let bytes =
        |from: usize, to: usize| parts[from..to].iter().flat_map(|part| part.bytes.clone()).collect::<Vec<u8>>();
    let at = parts_before(&parts, place);
    let (mut first, mut rest) = (bytes(0, at), bytes(at, parts.len()));
    first.extend(rest.drain(..5));
    let begun = [head(dialect.content_type()), chunks(&first, usize::MAX)].concat();
    let ending = [chunks(&rest, usize::MAX), LAST.to_vec()].concat();
    Act::Moves(vec![Move::Send(begun), Move::Hold(Arc::clone(told)), Move::Send(ending)])
}

/// Asks, and reads until a comment has kept the connection alive behind the first content.
async fn kept_alive(front: Front, gateway: &Gateway, told: &Notify) -> Heard {
    let mut client = gateway.connect().await;
    let body = front.ask("default", "hi").to_string();
    client.request("POST", front.path(), &[(MODE, "continue")], body.as_bytes()).await;
    let head = client.head().await;
    let mut seen = String::new();
    while !seen.split_once(PIECES[0]).is_some_and(|(_, behind)| behind.contains(": keep-alive\n\n")) {
        seen.push_str(&String::from_utf8(client.chunk().await.expect("no end yet")).unwrap());
    }
    told.notify_one();
    let mut answer = client.rest(head).await;
    answer.chunks.insert(0, seen.into_bytes());
    Heard::of(front, &answer)
}

/// In the middle of a frame, too: no comment stands in one.
#[tokio::test]
async fn comments_keep_a_silent_stream_alive_between_contents() {
    let lively = BRIEF.replace("keep_alive: '60s'", "keep_alive: '50ms'");
    for dialect in Dialect::ALL {
        for front in Front::ALL {
            let who = format!("{dialect:?} in {front:?}");
            let told = Arc::new(Notify::new());
            let one =
                Role { acts: vec![paused(dialect, Place::Content(1), &told)], ..Role::breaks(dialect, &speech(), 1) };
            let scene = Scene::with(vec![one], "", &lively).await;
            let heard = kept_alive(front, &scene.gateway, &told).await;
            heard.assert_whole(&PIECES.concat(), &who);
            assert!(heard.comments.iter().all(|comment| comment == "keep-alive"), "{who}: {:?}", heard.comments);
        }
    }
}

/// While somebody else is asked to go on, and does not say anything yet.
#[tokio::test]
async fn comments_keep_a_broken_stream_alive_until_it_goes_on() {
    let lively = BRIEF.replace("keep_alive: '60s'", "keep_alive: '50ms'");
    for front in Front::ALL {
        let told = Arc::new(Notify::new());
        let acts = vec![paused(Dialect::OpenAi, Place::Preamble, &told)];
        // It begins again: its moves are written down.
        let two = Role { acts, ..Role::begins_again(Dialect::OpenAi, &speech()) };
        let scene = Scene::with(vec![Role::breaks(Dialect::Anthropic, &speech(), 1), two], "", &lively).await;
        let heard = kept_alive(front, &scene.gateway, &told).await;
        heard.assert_whole(&PIECES.concat(), &format!("{front:?}"));
        assert_eq!(heard.seams(), ["two/m2@K"]);
    }
}

/// A gateway whose first target breaks behind its first text, and whose second one is written by hand.
async fn half_by_hand(second: &Upstream) -> (Vendor, Gateway) {
    let one = Vendor::plays(&speech(), Prefill::Ignores, vec![broken(1)]).await;
    let two = format!("two: {{ base_url: '{}', keys: [{{ key: 'sk-two-secret', profile: 'K' }}] }}", second.base_url());
    let providers = [one.provider("one", Dialect::OpenAi, &["K"], ""), two];
    let chain = "default: ['one/m1', { target: 'two/m2', prefill: true }]".to_owned();
    let gateway = Gateway::start(&config(&providers, &[chain], BRIEF)).await;
    (one, gateway)
}

/// A client that has seen these words of its answer.
async fn reader(gateway: &Gateway, words: &str) -> Wire {
    let mut client = gateway.connect().await;
    let body = Front::Chat.ask("default", "hi").to_string();
    client.request("POST", Front::Chat.path(), &[(MODE, "continue")], body.as_bytes()).await;
    client.head().await;
    let mut seen = String::new();
    while !seen.contains(words) {
        seen.push_str(&String::from_utf8(client.chunk().await.expect("no end yet")).unwrap());
    }
    client
}

/// Before the continuation answers, behind its head, and behind its first text.
#[tokio::test]
async fn a_client_that_leaves_during_a_continuation_cancels_it() {
    for (number, sent) in [vec![], vec![String::new()], vec![String::new(), event(PIECES[1])]].into_iter().enumerate() {
        let second = Upstream::start().await;
        let (one, gateway) = half_by_hand(&second).await;
        let mut client = reader(&gateway, PIECES[0]).await;
        let mut server = second.accept().await;
        server.asked().await;
        for text in &sent {
            if text.is_empty() {
                server.write(STREAM_HEAD).await;
            } else {
                server.write_chunk(text.as_bytes()).await;
            }
        }
        if sent.len() > 1 {
            let mut seen = String::new();
            while !seen.contains(PIECES[1]) {
                seen.push_str(&String::from_utf8(client.chunk().await.expect("no end yet")).unwrap());
            }
        }
        drop(client);
        server.closed().await;
        gateway.idle().await;
        let lane = gateway.lane("slot", "two/m2@K").await;
        assert_eq!((&lane["state"], &lane["streak"]), (&"ready".into(), &0.into()), "row {number}: {lane}");
        assert_eq!(one.count(), 1, "row {number}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_while_the_slot_cools_asks_nobody_again() {
    let one = Role::breaks(Dialect::OpenAi, &speech(), 1);
    let long =
        BRIEF.replace("broken_stream: { first: '10ms', cap: '10ms' }", "broken_stream: { first: '3s', cap: '3s' }");
    let scene = Scene::with(vec![one], "", &long).await;
    drop(reader(&scene.gateway, PIECES[0]).await);
    scene.gateway.idle().await;
    assert_eq!(scene.vendors[0].count(), 1);
}

/// What may be on its way to a client that does not read: the kernel's buffers of two connections, as large as the system
/// lets them grow while somebody still reads (4 MiB to be sent and 6 MiB received by Linux's defaults, more on some
/// machines), and a few chunks in the gateway.
const ON_ITS_WAY: usize = 64 << 20;

#[tokio::test]
async fn a_client_that_does_not_read_stops_the_upstream() {
    for mode in ["error", "continue"] {
        let upstream = Upstream::start().await;
        let one = format!("one: {{ base_url: '{}', keys: ['sk-one-secret'] }}", upstream.base_url());
        let gateway = Gateway::start(&config(&[one], &["default: ['one/m1']".to_owned()], BRIEF)).await;
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 << 10).unwrap();
        let mut client = Wire::new(socket.connect(gateway.addr).await.unwrap());
        let body = Front::Chat.ask("default", "hi").to_string();
        client.request("POST", Front::Chat.path(), &[(MODE, mode)], body.as_bytes()).await;
        let mut server = upstream.accept().await;
        server.asked().await;
        server.write(STREAM_HEAD).await;
        let text = chunks(event(&"word ".repeat(8 << 10)).as_bytes(), usize::MAX);
        let mut written = 0;
        // A write that takes so long waits for somebody to read.
        while let Ok(done) = timeout(Duration::from_millis(500), server.stream.write_all(&text)).await {
            done.unwrap();
            written += text.len();
            assert!(written < ON_ITS_WAY, "{mode}: {written} bytes, and nobody reads");
        }
        assert_eq!(client.head().await.status(), 200, "{mode}");
        drop(client);
        server.closed().await;
        gateway.idle().await;
    }
}
