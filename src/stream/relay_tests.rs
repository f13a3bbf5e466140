//! Tests of [`relay`](super).

use std::sync::{Arc, Mutex};

use http_body_util::BodyExt;
use proptest::prelude::*;

use super::super::ending::Complaint;
use super::super::gate::{GateError, GateLimits, hold};
use super::super::script::{Act, Script, send};
use super::super::spoken::Spoken;
use super::*;
use crate::dialect::openai_chat::response::Usage;
use crate::dialect::openai_chat::stream::error_event;
use crate::stream::tap::Tally;

const ROLE: &str =
    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n";
const TEXT: &str =
    "data: {\"choices\":[{\"delta\":{\"content\":\"a \\\"error\\\" é\"},\"finish_reason\":null}],\"error\":null}\n\n";
const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":3}}\n\n";
const ERROR: &str = "data: {\"error\":{\"message\":\"sk-secret\"}}\n\n";
const END: &str = "data: [DONE]\n\n";
const STALL: Duration = Duration::from_secs(30);

/// What the ending heard, in order; `Dropped` comes when the relay is gone.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Heard {
    Complete(Tally),
    Broken(Break, Tally),
    Error(Bytes, Tally),
    Left(Tally),
    Dropped,
}

/// Longer than any of these streams.
const LONG: Duration = Duration::from_secs(600);

fn patience() -> Patience {
    Patience { stall: STALL, keep_alive: LONG, deadline: clock::now() + LONG }
}

struct Ear(Arc<Mutex<Vec<Heard>>>);

impl Ear {
    fn hear(&self, heard: Heard) {
        if let Ok(mut all) = self.0.lock() {
            all.push(heard);
        }
    }
}

impl Ending for Ear {
    fn end(&mut self, end: End, tally: &Tally) -> Last {
        self.hear(match end {
            End::Complete => Heard::Complete(*tally),
            End::Broken(how) => Heard::Broken(how, *tally),
            End::Error(data) => Heard::Error(data, *tally),
        });
        Last::Own
    }

    fn left(&mut self, tally: &Tally) {
        self.hear(Heard::Left(*tally));
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.hear(Heard::Dropped);
    }
}

/// What the client got, frame by frame, and what the ending heard.
async fn relay(script: Script, limits: &GateLimits) -> (Vec<Bytes>, Vec<Heard>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let held = match hold(script, limits, Spoken::Chat).await {
        Ok(held) => held,
        Err(error) => unreachable!("{error:?}"),
    };
    let mut relay = Box::pin(Relay::new(held, Ear(Arc::clone(&heard)), patience()));
    let mut out = Vec::new();
    while let Some(Ok(frame)) = relay.frame().await {
        out.extend(frame.into_data());
    }
    assert!(relay.is_end_stream());
    assert_eq!(relay.size_hint().exact(), Some(0));
    assert!(relay.frame().await.is_none(), "it stays over");
    drop(relay);
    let heard = heard.lock().map(|all| all.clone()).unwrap_or_default();
    assert_eq!(heard.len(), 2, "told once, then dropped: {heard:?}");
    (out, heard)
}

async fn run(acts: Vec<Act>) -> (String, Heard) {
    let (out, mut heard) = relay(Script::new(acts), &GateLimits::default()).await;
    (String::from_utf8_lossy(&out.concat()).into_owned(), heard.swap_remove(0))
}

fn sent(chunks: &[&str]) -> Vec<Act> {
    chunks.iter().map(|chunk| send(chunk.as_bytes())).collect()
}

fn usage(malformed: u32) -> Tally {
    Tally { usage: Some(Usage { prompt_tokens: 5, completion_tokens: 3 }), malformed }
}

fn broken(out: &str, before: &str) {
    let event = out.strip_prefix(before).unwrap_or_default();
    assert!(event.starts_with("data: {\"error\":{\"message\":"), "{out}");
    assert!(event.contains("\"code\":\"broken_stream\""), "{out}");
    assert!(event.ends_with("}}\n\n") && !out.contains("[DONE]"), "{out}");
}

#[tokio::test(start_paused = true)]
async fn a_good_stream_passes_chunk_by_chunk() {
    let chunks = [": hi\n\n", ROLE, TEXT, TEXT, STOP, USAGE, END];
    let apart = chunks.iter().flat_map(|chunk| [send(chunk.as_bytes()), Act::Pause(Duration::from_millis(1))]);
    let (out, heard) = relay(Script::new(apart), &GateLimits::default()).await;
    // What was held until the first content goes out with it.
    assert_eq!(out[0], chunks[..3].concat());
    assert_eq!(out[1..], chunks[3..]);
    assert_eq!(heard, [Heard::Complete(usage(0)), Heard::Dropped]);
    let (out, _) = relay(Script::chunks(chunks), &GateLimits::default()).await;
    assert_eq!(out, [chunks.concat()], "what is ready goes out as one");
}

#[tokio::test(start_paused = true)]
async fn a_missing_done_is_added() {
    for (chunks, glue) in
        [(vec![ROLE, TEXT, STOP], ""), (vec![ROLE, TEXT, STOP.trim_end()], "\n\n"), (vec![STOP.trim_end()], "\n\n")]
    {
        let (out, heard) = run(sent(&chunks)).await;
        assert_eq!(out, format!("{}{glue}{END}", chunks.concat()));
        assert_eq!(heard, Heard::Complete(Tally::default()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_done_without_its_blank_line_is_enough() {
    for done in ["data: [DONE]", "data: [DONE]\n", "data:[DONE]\r\n"] {
        let (out, heard) = run(sent(&[TEXT, STOP, done])).await;
        assert_eq!(out, format!("{TEXT}{STOP}{done}"));
        assert_eq!(heard, Heard::Complete(Tally::default()));
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_finish_reason_it_is_broken() {
    let cut = |end: Act| vec![send(TEXT.as_bytes()), send(b"data: {\"choices\":[{\"delta\":{\"con"), end];
    let hang = |end: Act| vec![send(TEXT.as_bytes()), end];
    for (acts, how, malformed) in [
        (sent(&[TEXT]), Break::Unfinished, 0),
        (sent(&[TEXT, END]), Break::Unfinished, 0),
        (cut(Act::Break), Break::Cut, 0),
        (cut(Act::Hang), Break::Stalled, 0),
        (cut(Act::Pause(Duration::ZERO)), Break::Unfinished, 1),
        (hang(Act::Break), Break::Cut, 0),
        (hang(Act::Hang), Break::Stalled, 0),
    ] {
        let (out, heard) = run(acts).await;
        broken(&out, TEXT);
        assert_eq!(heard, Heard::Broken(how, Tally { usage: None, malformed }));
    }
}

#[tokio::test(start_paused = true)]
async fn what_breaks_after_the_finish_reason_breaks_nothing() {
    for last in [Act::Break, Act::Hang] {
        let (out, heard) = run(vec![send(TEXT.as_bytes()), send(STOP.as_bytes()), last]).await;
        assert_eq!(out, format!("{TEXT}{STOP}{END}"));
        assert_eq!(heard, Heard::Complete(Tally::default()));
    }
}

#[tokio::test(start_paused = true)]
async fn comments_do_not_feed_the_stall_limit_but_data_does() {
    let start = crate::clock::now();
    let wait = || Act::Pause(Duration::from_secs(20));
    let text = || send(TEXT.as_bytes());
    let acts = vec![text(), wait(), text(), wait(), send(b": keep-alive\n\n"), wait(), text()];
    let (out, heard) = run(acts).await;
    broken(&out, &format!("{TEXT}{TEXT}: keep-alive\n\n"));
    assert_eq!(heard, Heard::Broken(Break::Stalled, Tally::default()));
    let took = crate::clock::now() - start;
    assert!(took >= Duration::from_secs(50) && took < Duration::from_secs(51), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_stays_after_done_is_left_soon() {
    let start = crate::clock::now();
    let mut acts = sent(&[TEXT, STOP, END]);
    acts.push(Act::Hang);
    let (out, heard) = run(acts).await;
    assert_eq!(out, format!("{TEXT}{STOP}{END}"));
    assert_eq!(heard, Heard::Complete(Tally::default()));
    assert!((crate::clock::now() - start) < Duration::from_secs(2), "{:?}", (crate::clock::now() - start));
}

#[tokio::test(start_paused = true)]
async fn an_error_event_after_content_is_replaced_and_ends_it() {
    for chunks in [vec![TEXT, ERROR, END], vec![&*format!("{TEXT}{ERROR}{END}")], vec![TEXT, ERROR.trim_end()]] {
        let (out, heard) = run(sent(&chunks)).await;
        let event = out.strip_prefix(TEXT).unwrap_or_default();
        assert!(event.contains("\"code\":\"upstream_error\"") && event.ends_with("}}\n\n"), "{out}");
        assert!(!out.contains("sk-secret") && !out.contains("[DONE]"), "{out}");
        let data = Bytes::from_static(b"{\"error\":{\"message\":\"sk-secret\"}}");
        assert_eq!(heard, Heard::Error(data, Tally::default()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_malformed_frame_is_skipped_and_counted() {
    let (out, heard) = run(sent(&[TEXT, "data: {\"cut\n\n", &format!("{TEXT}data: oops\n\n{STOP}"), USAGE, END])).await;
    assert_eq!(out, format!("{TEXT}{TEXT}{STOP}{USAGE}{END}"));
    assert_eq!(heard, Heard::Complete(usage(2)));
}

#[tokio::test(start_paused = true)]
async fn half_of_a_giant_frame_is_closed_before_the_error_event() {
    let limits = GateLimits { frame_bytes: 128, ..GateLimits::default() };
    let giant = format!("data: {{\"big\":\"{}", "x".repeat(200));
    let (out, _) = relay(Script::new([send(TEXT.as_bytes()), send(giant.as_bytes()), Act::Break]), &limits).await;
    let out = String::from_utf8_lossy(&out.concat()).into_owned();
    broken(&out, &format!("{TEXT}{giant}\n\n"));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_relay_only_drops_its_ending() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let script = Script::new([send(TEXT.as_bytes()), Act::Hang]);
    let Ok(held) = hold(script, &GateLimits::default(), Spoken::Chat).await else { unreachable!("content") };
    let mut relay = Box::pin(Relay::new(held, Ear(Arc::clone(&heard)), patience()));
    assert!(relay.frame().await.is_some());
    drop(relay);
    let left = Heard::Left(Tally::default());
    assert_eq!(heard.lock().map(|all| all.clone()).unwrap_or_default(), [left, Heard::Dropped]);
}

#[tokio::test(start_paused = true)]
async fn an_ending_that_has_words_gives_them() {
    struct Words;
    impl Ending for Words {
        fn end(&mut self, _: End, _: &Tally) -> Last {
            Last::Words(Complaint { message: "mine".to_owned(), code: "code" })
        }

        fn left(&mut self, _: &Tally) {}
    }
    let Ok(held) = hold(Script::chunks([TEXT]), &GateLimits::default(), Spoken::Chat).await else {
        unreachable!("content")
    };
    let all = Relay::new(held, Words, patience()).collect().await.map(http_body_util::Collected::to_bytes);
    let event = error_event("mine", "server_error", "code");
    assert_eq!(all, Ok(Bytes::from([TEXT.as_bytes(), &event].concat())));
}

#[tokio::test(start_paused = true)]
async fn a_stream_cut_in_two_at_any_byte_is_the_same_stream() {
    let text = [": hi\r\n\r\n", ROLE, TEXT, &TEXT.replace('\n', "\r\n"), STOP, USAGE, END].concat();
    for at in 0..=text.len() {
        let (first, second) = text.as_bytes().split_at(at);
        let (out, heard) = run(vec![send(first), send(second)]).await;
        assert_eq!(out, text, "cut at {at}");
        assert_eq!(heard, Heard::Complete(usage(0)), "cut at {at}");
    }
}

fn frame() -> impl Strategy<Value = String> {
    let text = prop::sample::select(vec![
        ROLE,
        TEXT,
        TEXT,
        STOP,
        USAGE,
        END,
        ERROR,
        ": c\n\n",
        "data: {half\n\n",
        "event: error\ndata: x\n\n",
        "\n",
    ]);
    (text, prop::sample::select(vec!["\n", "\n", "\r\n", "\r"])).prop_map(|(text, end)| text.replace('\n', end))
}

/// How a stream fares through gate and relay: what the client gets and what the ending hears, or the gate's error.
async fn fare(chunks: Vec<&[u8]>) -> Result<(Vec<u8>, Heard), String> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    match hold(Script::chunks(chunks), &GateLimits::default(), Spoken::Chat).await {
        Err(GateError::Event(data)) => Err(format!("event {data:?}")),
        Err(error) => Err(format!("{error:?}")),
        Ok(held) => {
            let all = Relay::new(held, Ear(Arc::clone(&heard)), patience()).collect().await;
            let all = all.map(|all| all.to_bytes().to_vec()).unwrap_or_default();
            let heard = heard.lock().map(|all| all.clone()).unwrap_or_default();
            match heard.as_slice() {
                [first, Heard::Dropped] => Ok((all, first.clone())),
                _ => Err(format!("told {heard:?}")),
            }
        }
    }
}

/// The lines that are not blank.
fn lines(out: &[u8]) -> Vec<u8> {
    let lines: Vec<&[u8]> = out.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !line.is_empty()).collect();
    lines.join(&b'\n')
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn splits_change_nothing(
        frames in prop::collection::vec(frame(), 0..8),
        tail in 0_usize..20,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
    ) {
        let mut text = frames.concat().into_bytes();
        text.truncate(text.len().saturating_sub(tail));
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let Ok(runtime) = runtime else { return Err(TestCaseError::fail("no runtime")) };
        let whole = runtime.block_on(fare(vec![&text]));
        let split = runtime.block_on(fare(at.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()));
        let bytes = runtime.block_on(fare(text.chunks(1).collect()));
        // Where the CRLF behind a dropped frame is split, its LF stays: a blank line more or less.
        let exact = !text.contains(&b'\r');
        let same = |fared: Result<(Vec<u8>, Heard), String>| {
            fared.map(|(out, heard)| (if exact { out } else { lines(&out) }, heard))
        };
        let whole = same(whole);
        prop_assert_eq!(&same(split), &whole);
        prop_assert_eq!(&same(bytes), &whole);
    }
}

#[tokio::test(start_paused = true)]
async fn comments_go_out_while_nothing_else_does() {
    let pause = || Act::Pause(Duration::from_secs(25));
    let acts = vec![send(TEXT.as_bytes()), pause(), send(b": hi\n\n"), send(TEXT.as_bytes()), pause(), Act::Break];
    let Ok(held) = hold(Script::new(acts), &GateLimits::default(), Spoken::Chat).await else { unreachable!() };
    let ear = Ear(Arc::default());
    let mut relay = Box::pin(Relay::new(held, ear, Patience { keep_alive: Duration::from_secs(10), ..patience() }));
    let mut comments = 0;
    while let Some(Ok(frame)) = relay.frame().await {
        comments += u32::from(frame.into_data().is_ok_and(|bytes| bytes == COMMENT));
    }
    assert_eq!(comments, 4, "after 10 and 20 s of each pause");
}

#[tokio::test(start_paused = true)]
async fn comments_do_not_feed_a_stalled_stream() {
    let acts = vec![send(TEXT.as_bytes()), Act::Hang];
    let Ok(held) = hold(Script::new(acts), &GateLimits::default(), Spoken::Chat).await else { unreachable!("content") };
    let heard = Arc::new(Mutex::new(Vec::new()));
    let began = clock::now();
    let _all =
        Relay::new(held, Ear(Arc::clone(&heard)), Patience { keep_alive: STALL / 4, ..patience() }).collect().await;
    assert_eq!(clock::now() - began, STALL);
    assert_eq!(heard.lock().unwrap().first(), Some(&Heard::Broken(Break::Stalled, Tally::default())));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_a_stream_that_flows_and_one_that_never_pauses() {
    for pause in [Duration::from_secs(3), Duration::ZERO] {
        let acts = (0..1_000).flat_map(|_| [send(TEXT.as_bytes()), Act::Pause(pause)]);
        let Ok(held) = hold(Script::new(acts), &GateLimits::default(), Spoken::Chat).await else {
            unreachable!("content")
        };
        let heard = Arc::new(Mutex::new(Vec::new()));
        let deadline = if pause.is_zero() { clock::now() } else { clock::now() + Duration::from_secs(60) };
        let relay = Relay::new(held, Ear(Arc::clone(&heard)), Patience { deadline, ..patience() });
        let all = relay.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        assert!(all.ends_with(b"\"code\":\"timeout\"}}\n\n"), "{all:?}");
        let heard = heard.lock().map(|all| all.clone()).unwrap_or_default();
        assert_eq!(heard.first(), Some(&Heard::Broken(Break::Deadline, Tally::default())));
    }
}

#[tokio::test(start_paused = true)]
async fn who_leaves_has_used_what_was_counted_so_far() {
    let counted = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1}}\n\n";
    let more = counted.replace("\"completion_tokens\":1", "\"completion_tokens\":2");
    let heard = Arc::new(Mutex::new(Vec::new()));
    let script = Script::new([send(counted.as_bytes()), send(more.as_bytes()), Act::Hang]);
    let Ok(held) = hold(script, &GateLimits::default(), Spoken::Chat).await else { unreachable!("content") };
    let mut relay = Box::pin(Relay::new(held, Ear(Arc::clone(&heard)), patience()));
    assert!(relay.frame().await.is_some(), "both, as both are there");
    drop(relay);
    let usage = Some(Usage { prompt_tokens: 5, completion_tokens: 2 });
    let heard = heard.lock().map(|all| all.clone()).unwrap_or_default();
    assert_eq!(heard.first(), Some(&Heard::Left(Tally { usage, malformed: 0 })));
}
