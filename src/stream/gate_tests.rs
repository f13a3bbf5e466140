//! Tests of [`gate`](super).

use super::super::script::{Act, Script, send};
use super::*;

const ROLE: &str =
    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n";
const TEXT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n";
const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const ERROR: &str = "data: {\"error\":{\"message\":\"sk-secret\"}}\n\n";

type Gated = Result<Held<Script>, GateError<&'static str>>;

async fn gate(chunks: &[&str]) -> Gated {
    hold(Script::chunks(chunks), &GateLimits::default(), Spoken::Chat).await
}

fn held(gated: Gated) -> (Why, Vec<u8>) {
    match gated {
        Ok(held) => (held.why, held.chunks.concat()),
        Err(error) => unreachable!("{error:?}"),
    }
}

fn failed(gated: Gated) -> GateError<&'static str> {
    match gated {
        Ok(held) => unreachable!("committed: {:?}", held.why),
        Err(error) => error,
    }
}

#[tokio::test]
async fn the_first_content_commits_and_what_was_held_comes_out_verbatim() {
    let gated = gate(&[": hi\n\n", ROLE, ": hi\n\n", TEXT, TEXT]).await;
    let (why, bytes) = held(gated);
    assert_eq!(why, Why::Content);
    assert_eq!(String::from_utf8_lossy(&bytes), format!(": hi\n\n{ROLE}: hi\n\n{TEXT}"));
}

#[tokio::test]
async fn chunks_keep_their_shape() {
    let Ok(held) = gate(&[ROLE, &format!("{TEXT}{TEXT}"), STOP]).await else { unreachable!("it has content") };
    assert_eq!(held.chunks.len(), 2);
    assert_eq!(held.chunks[1].len(), 2 * TEXT.len());
}

#[tokio::test]
async fn an_error_before_content_is_a_failure() {
    for chunks in [
        vec![ERROR],
        vec![ROLE, ": c\n\n", ERROR],
        vec!["event: error\ndata: {\"error\":{\"message\":\"sk-secret\"}}\n\n"],
    ] {
        let error = failed(gate(&chunks).await);
        assert!(!format!("{error:?}").contains("sk-secret"));
        let GateError::Event(data) = error else { unreachable!("{error:?}") };
        assert_eq!(data, "{\"error\":{\"message\":\"sk-secret\"}}");
    }
}

#[tokio::test]
async fn an_empty_answer_that_ended_is_an_answer() {
    assert_eq!(held(gate(&[ROLE, STOP]).await).0, Why::Empty);
    assert_eq!(held(gate(&["data: [DONE]\n\n"]).await).0, Why::Empty);
    assert_eq!(held(gate(&[ROLE, STOP.trim_end()]).await).0, Why::Empty);
}

#[tokio::test(start_paused = true)]
async fn an_end_before_content_tells_how_long_it_was_silent() {
    for chunk in [ROLE, ": keep-alive\n\n", "data: {\"choices\":[{\"delta\":{\"content\":\"half"] {
        let acts = [send(chunk.as_bytes()), Act::Pause(Duration::from_secs(7))];
        let GateError::Ended { silent } = failed(hold(Script::new(acts), &GateLimits::default(), Spoken::Chat).await)
        else {
            unreachable!("it ended")
        };
        assert_eq!(silent, Duration::from_secs(7));
    }
    assert!(matches!(failed(gate(&[]).await), GateError::Ended { silent: Duration::ZERO }));
}

#[tokio::test]
async fn a_reset_and_what_is_no_stream() {
    let gated = hold(Script::new([send(ROLE.as_bytes()), Act::Break]), &GateLimits::default(), Spoken::Chat).await;
    assert!(matches!(failed(gated), GateError::Broken("reset")));
    for (chunks, body) in [(vec!["\n{\"error\":", "{}}"], "\n{\"error\":{}}"), (vec!["<html>"], "<html>")] {
        let GateError::NotSse(bytes) = failed(gate(&chunks).await) else { unreachable!("{body}") };
        assert_eq!(bytes, body);
    }
}

#[tokio::test]
async fn the_bound_commits() {
    let limits = GateLimits { held_bytes: 2 * ROLE.len(), ..GateLimits::default() };
    let (why, bytes) = held(hold(Script::chunks([ROLE, ROLE, ROLE, ERROR]), &limits, Spoken::Chat).await);
    assert_eq!((why, bytes.len()), (Why::Full, 3 * ROLE.len()));
    let half = format!("data: {}", "x".repeat(3 * ROLE.len()));
    let (why, bytes) = held(hold(Script::chunks([half]), &limits, Spoken::Chat).await);
    assert_eq!((why, bytes.len()), (Why::Full, 0), "half a frame counts, but it waits for its end");
}

#[tokio::test]
async fn garbage_is_dropped_and_counted() {
    let Ok(held) = gate(&["data: {garbage\n\n", ROLE, &format!("data: x\n\n{TEXT}")]).await else {
        unreachable!("it has content")
    };
    assert_eq!(held.tap.tally().malformed, 2);
    assert_eq!(held.chunks.concat(), format!("{ROLE}{TEXT}").into_bytes());
}

#[tokio::test]
async fn a_whole_body_of_one_chunk_is_not_copied() {
    let chunk = Bytes::from_static(b"{\"a\":1}");
    let Ok(Collected::Whole(body)) = whole(Script::new([Act::Send(chunk.clone())]), 16).await else {
        unreachable!("it is whole")
    };
    assert_eq!(body.as_ptr(), chunk.as_ptr());
    let Ok(Collected::Whole(body)) = whole(Script::chunks(["ab", "", "cd"]), 4).await else { unreachable!("whole") };
    assert_eq!(body, "abcd");
    let Ok(Collected::Whole(body)) = whole(Script::new([]), 4).await else { unreachable!("whole") };
    assert!(body.is_empty());
    assert!(matches!(whole(Script::new([send(b"ab"), Act::Break]), 4).await, Err("reset")));
}

#[tokio::test]
async fn a_long_body_passes_in_its_own_chunks() {
    let Ok(Collected::Long(rest)) = whole(Script::chunks(["ab", "cd", "e", "f"]), 4).await else {
        unreachable!("five bytes")
    };
    assert_eq!(rest.size_hint().lower(), 5);
    let all = rest.collect().await.map(http_body_util::Collected::to_bytes);
    assert_eq!(all, Ok(Bytes::from_static(b"abcdef")));
}
