//! Tests of gate and [`relay`](super) with the events of a response.

use std::sync::{Arc, Mutex};

use http_body_util::BodyExt;
use proptest::prelude::*;

use super::super::gate::{GateError, GateLimits, hold};
use super::super::script::{Act, Script, send};
use super::super::spoken::Spoken;
use super::*;
use crate::dialect::openai_chat::response::Usage;
use crate::policy::commit::Why;
use crate::stream::tap::Tally;

const CREATED: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_7\",\"model\":\"m\",\"created_at\":9,\"output\":[]}}\n\n";
const ADDED: &str = "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"item\":{\"type\":\"function_call\"}}\n\n";
const DELTA: &str = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"an \\\"error\\\"\"}\n\n";
const ITEM: &str = "event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\"}\n\n";
const COMPLETED: &str = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_7\",\"usage\":{\"input_tokens\":5,\"output_tokens\":3}}}\n\n";
const FAILED: &str = "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"server_error\",\"message\":\"sk-secret\"}}}\n\n";
const ERROR: &str = "event: error\ndata: {\"type\":\"error\",\"code\":\"insufficient_quota\",\"message\":\"no\"}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn patience() -> Patience {
    let long = Duration::from_secs(600);
    Patience { stall: Duration::from_secs(30), keep_alive: long, deadline: clock::now() + long }
}

#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Vec<(bool, Tally)>>>);

impl Ending for Ear {
    fn end(&mut self, end: End, tally: &Tally) -> Last {
        if let Ok(mut heard) = self.0.lock() {
            heard.push((end == End::Complete, *tally));
        }
        Last::Own
    }

    fn left(&mut self, _: &Tally) {}
}

async fn gate(chunks: &[&str]) -> Result<Held<Script>, GateError<&'static str>> {
    hold(Script::chunks(chunks), &GateLimits::default(), Spoken::Responses).await
}

/// What the client gets, and whether the answer was called complete.
async fn run(acts: Vec<Act>) -> (String, bool, Tally) {
    let held = hold(Script::new(acts), &GateLimits::default(), Spoken::Responses).await;
    let Ok(held) = held else { unreachable!("it has content") };
    let ear = Ear::default();
    let relay = Relay::new(held, ear.clone(), patience());
    let all = relay.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let heard = ear.0.lock().map(|heard| heard.clone()).unwrap_or_default();
    let [(complete, tally)] = heard.as_slice() else { unreachable!("told once: {heard:?}") };
    (String::from_utf8_lossy(&all).into_owned(), *complete, *tally)
}

fn sent(chunks: &[&str]) -> Vec<Act> {
    chunks.iter().map(|chunk| send(chunk.as_bytes())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_good_stream_passes_and_needs_no_done() {
    for chunks in [vec![CREATED, ADDED, DELTA, ITEM, COMPLETED], vec![CREATED, DELTA, COMPLETED, DONE]] {
        let (out, complete, tally) = run(sent(&chunks)).await;
        assert_eq!((out, complete), (chunks.concat(), true));
        assert_eq!(tally.usage, Some(Usage { prompt_tokens: 5, completion_tokens: 3 }));
    }
    let incomplete = COMPLETED.replace("completed", "incomplete");
    let (out, complete, _) = run(sent(&[CREATED, DELTA, &incomplete])).await;
    assert_eq!((out, complete), (format!("{CREATED}{DELTA}{incomplete}"), true));
}

#[tokio::test(start_paused = true)]
async fn a_last_event_that_is_too_long_to_be_read_is_known_by_its_name_alone() {
    let tiny = GateLimits { frame_bytes: 120, ..GateLimits::default() };
    let typed = COMPLETED.replace("event: response.completed\n", "");
    let done = COMPLETED.replace("response.completed", "response.done");
    let item = ITEM.replace("\"}", &format!("\",\"item\":\"{}\"}}", "A".repeat(200)));
    for (last, complete) in [(COMPLETED, true), (&typed, true), (&done, true), (&item, false)] {
        let whole = last.replace("\"response\":", &format!("\"pad\":\"{}\",\"response\":", "A".repeat(200)));
        let cut = &whole[..whole.len() - 3];
        for (last, complete) in [(whole.as_str(), complete), (cut, false)] {
            let acts: Vec<Act> = last.as_bytes().chunks(7).map(send).collect();
            // Whatever follows half a frame is a part of it.
            let behind = if last == cut { vec![] } else { sent(&[ERROR]) };
            let script = Script::new(
                sent(&["data: {\"type\":\"a.delta\",\"delta\":\"a\"}\n\n"]).into_iter().chain(acts).chain(behind),
            );
            let Ok(held) = hold(script, &tiny, Spoken::Responses).await else { unreachable!("it has content") };
            let ear = Ear::default();
            let relay = Relay::new(held, ear.clone(), patience());
            let all = relay.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            let out = String::from_utf8_lossy(&all).into_owned();
            let heard = ear.0.lock().map(|heard| heard.clone()).unwrap_or_default();
            assert_eq!(heard.iter().map(|(complete, _)| *complete).collect::<Vec<_>>(), [complete], "{last}: {out}");
            assert_eq!(out.ends_with(last), complete, "{out}");
            assert_eq!(out.matches("event: response.failed").count(), usize::from(!complete), "{out}");
            assert!(!out.contains("insufficient_quota"), "{out}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_but_one_done_follows_the_end() {
    for end in [COMPLETED.to_owned(), COMPLETED.replace("completed", "done")] {
        let all = [CREATED, DELTA, &end, ": c\n\n", ERROR, DONE, DELTA, DONE, "data: {half"].concat();
        for size in [1, 7, all.len()] {
            let (out, complete, _) = run(all.as_bytes().chunks(size).map(send).collect()).await;
            assert_eq!((out, complete), ([CREATED, DELTA, &end, DONE].concat(), true), "in pieces of {size}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_event_without_its_blank_line_gets_one() {
    let (out, complete, _) = run(sent(&[CREATED, DELTA, COMPLETED.trim_end()])).await;
    assert_eq!((out, complete), (format!("{CREATED}{DELTA}{COMPLETED}"), true));
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_stays_after_the_end_is_hung_up_on() {
    let mut acts = sent(&[CREATED, DELTA, COMPLETED]);
    acts.push(Act::Pause(Duration::from_secs(100_000)));
    let began = crate::clock::now();
    let (out, complete, _) = run(acts).await;
    assert_eq!((out, complete), (format!("{CREATED}{DELTA}{COMPLETED}"), true));
    assert!(crate::clock::now() - began < Duration::from_secs(5));
}

#[tokio::test]
async fn what_is_only_announced_is_held_and_an_error_then_is_a_failure() {
    for error in [ERROR, FAILED] {
        match gate(&[CREATED, ADDED, ": keep-alive\n\n", error]).await {
            Err(GateError::Event(data)) => assert!(error.as_bytes().windows(data.len()).any(|part| part == data)),
            Err(error) => unreachable!("{error:?}"),
            Ok(_) => unreachable!("it has no content"),
        }
    }
    for end in [vec![CREATED, ADDED], vec![CREATED, DONE], vec![DONE], vec![CREATED, "data: {\"type\":\"resp"]] {
        assert!(matches!(gate(&end).await, Err(GateError::Ended { .. })), "{end:?}");
    }
}

#[tokio::test]
async fn the_first_content_or_a_finished_item_or_the_end_commits() {
    for (last, why) in [(DELTA, Why::Content), (ITEM, Why::Content), (COMPLETED, Why::Empty)] {
        let Ok(held) = gate(&[CREATED, ADDED, last]).await else { unreachable!("{last}") };
        assert_eq!((held.why, held.chunks.concat()), (why, [CREATED, ADDED, last].concat().into_bytes()));
    }
}

#[tokio::test(start_paused = true)]
async fn what_breaks_after_content_ends_with_a_failed_response() {
    let cut = |last: Option<Act>| sent(&[CREATED, DELTA, DELTA]).into_iter().chain(last).collect::<Vec<_>>();
    let endings = [
        cut(None),
        cut(Some(Act::Break)),
        cut(Some(Act::Pause(Duration::from_secs(100)))),
        cut(Some(send(FAILED.as_bytes()))),
        cut(Some(send(ERROR.as_bytes()))),
        cut(Some(send(DONE.as_bytes()))),
        cut(Some(send(&DELTA.as_bytes()[..40]))),
    ];
    for (number, acts) in endings.into_iter().enumerate() {
        let (out, complete, _) = run(acts).await;
        assert!(!complete, "{number}");
        let event = out.strip_prefix(&format!("{CREATED}{DELTA}{DELTA}")).unwrap_or_default();
        let data = event.strip_prefix("event: response.failed\ndata: ").and_then(|rest| rest.strip_suffix("\n\n"));
        let data: serde_json::Value = serde_json::from_str(data.unwrap_or_default()).unwrap_or_default();
        assert_eq!(data["type"], "response.failed", "{number}: {out}");
        assert_eq!((&data["sequence_number"], &data["response"]["id"]), (&3.into(), &"resp_7".into()), "{number}");
        assert_eq!((&data["response"]["model"], &data["response"]["created_at"]), (&"m".into(), &9.into()));
        assert!(!out.contains("[DONE]") && !out.contains("sk-secret"), "{number}: {out}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_cut_in_two_at_any_byte_is_the_same_stream() {
    let text =
        [CREATED, ": hi\r\n\r\n", ADDED, DELTA, &DELTA.replace('\n', "\r\n"), "data: {half\n\n", COMPLETED].concat();
    for at in 0..=text.len() {
        let (first, second) = text.as_bytes().split_at(at);
        let (out, complete, tally) = run(vec![send(first), send(second)]).await;
        assert_eq!((out, complete), (text.replace("data: {half\n\n", ""), true), "cut at {at}");
        assert_eq!(tally.malformed, 1);
    }
}

fn frame() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        CREATED,
        ADDED,
        DELTA,
        DELTA,
        ITEM,
        COMPLETED,
        FAILED,
        ERROR,
        DONE,
        ": c\n\n",
        "data: {half\n\n",
        "\n",
    ])
}

proptest! {
    /// Whatever comes, in whatever pieces: the client sees an end of the vendor's or a failure of ours, never both.
    #[test]
    fn a_stream_is_complete_or_failed_and_never_both(
        frames in prop::collection::vec(frame(), 1..9),
        sizes in prop::collection::vec(1_usize..200, 1..12),
        cut in 0_usize..80,
    ) {
        let text = frames.concat();
        let text = &text.as_bytes()[..text.len().saturating_sub(cut)];
        let mut acts = Vec::new();
        let mut rest = text;
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (first, next) = rest.split_at(rest.len().min(*size));
            acts.push(send(first));
            rest = next;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let Ok(runtime) = runtime else { unreachable!("a runtime") };
        let held = runtime.block_on(hold(Script::new(acts.clone()), &GateLimits::default(), Spoken::Responses));
        if held.is_err() {
            return Ok(());
        }
        drop(held);
        let (out, complete, _) = runtime.block_on(run(acts));
        let ends = out.matches("event: response.completed\n").count();
        let failures = out.matches("event: response.failed\n").count();
        if complete {
            prop_assert!(ends >= 1, "{out}");
        } else {
            prop_assert_eq!((ends, failures), (0, 1), "{}", out);
            let last = out.trim_end().rsplit("\n\n").next().unwrap_or_default();
            prop_assert!(last.starts_with("event: response.failed\n") && !out.contains("[DONE]"), "{out}");
            prop_assert!(!out.contains("sk-secret"));
        }
    }
}
