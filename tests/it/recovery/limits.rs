//! What is never put together, and who says how an answer recovers: the general setting, the chain's, the request's.
//!
//! Owns those refusals and their order of precedence. Refuses to know what stands at a seam.

use serde_json::json;

use super::heard::Heard;
use super::scene::{Role, Scene};
use super::{BRIEF, Front, MODE};
use crate::support::replay::{Act, Dialect, Fault, Place, Speech};

const PIECES: [&str; 3] = ["Hello,", " wide", " world."];

fn signed() -> Speech {
    Speech { thinking: Some("Let me see."), signature: Some("c2lnbmVk"), ..Speech::of("one", &PIECES) }
}

fn refusing() -> Speech {
    Speech { refusal: Some("I can't help with that."), ..Speech::of("one", &PIECES) }
}

/// What had been said when the stream broke: the vendor, its speech, how many texts, and how many answers were asked for.
type Never = (&'static str, Dialect, fn() -> Speech, Place, u64);

const NEVER: &[Never] = &[
    ("signed thinking and text", Dialect::Anthropic, signed, Place::Content(1), 1),
    ("signed thinking", Dialect::Anthropic, signed, Place::Thinking, 1),
    ("signed thinking and text", Dialect::Bedrock, signed, Place::Content(2), 1),
    ("a refusal", Dialect::OpenAi, refusing, Place::Content(1), 1),
    ("a refusal and text", Dialect::OpenAi, refusing, Place::Content(2), 1),
    ("one of two answers", Dialect::OpenAi, || Speech::of("one", &PIECES), Place::Content(1), 2),
];

#[tokio::test]
async fn some_beginnings_are_never_continued() {
    for (what, dialect, speech, place, answers) in NEVER {
        for front in Front::ALL {
            if *answers > 1 && front == Front::Messages {
                // Messages knows one answer only.
                continue;
            }
            let who = format!("{what} of {dialect:?} in {front:?}");
            let speech = speech();
            let breaks = Role { acts: vec![Act::Fails(Fault::Reset, *place)], ..Role::breaks(*dialect, &speech, 1) };
            let scene = Scene::of(vec![breaks, Role::goes_on(*dialect, &speech)]).await;
            let mut body = front.ask("default", "hi");
            if *answers > 1 {
                body["n"] = json!(answers);
            }
            let heard = front.listen(&scene.gateway, "continue", &body).await;
            // Messages says a refusal as text.
            let refusal = speech.refusal.filter(|_| front == Front::Messages).unwrap_or_default();
            heard.assert_broken(&(refusal.to_owned() + &speech.text()), &who);
            assert_eq!(scene.vendors[1].count(), 0, "{who}: nobody else was asked");
            scene.gateway.idle().await;
            // Of several answers nobody was ever to finish one.
            let failed = if *answers > 1 { 0.0 } else { 1.0 };
            assert_eq!((scene.recoveries("continued").await, scene.recoveries("failed").await), (0.0, failed), "{who}");
        }
    }
}

/// What a vendor complains of behind its reason to finish is told, and nobody finishes the answer once more.
#[tokio::test]
async fn an_error_behind_the_reason_to_finish_is_told_and_never_continued() {
    for dialect in Dialect::ALL {
        for front in Front::ALL {
            let who = format!("{dialect:?} in {front:?}");
            let speech = Speech::of("one", &PIECES);
            let acts = vec![Act::Fails(Fault::ErrorEvent, Place::Finish)];
            let breaks = Role { acts, ..Role::breaks(dialect, &speech, 1) };
            let scene = Scene::of(vec![breaks, Role::goes_on(dialect, &speech)]).await;
            let heard = front.listen(&scene.gateway, "continue", &front.ask("default", "hi")).await;
            assert_eq!((heard.errors.len(), heard.ends), (1, 0), "{who}: {heard:#?}");
            assert!(heard.finishes.len() <= 1 && heard.seams().is_empty(), "{who}: {heard:#?}");
            assert_eq!((heard.text.as_str(), scene.vendors[1].count()), (speech.text().as_str(), 0), "{who}");
        }
    }
}

/// A buffered answer was not seen: all of that can be had from somebody else.
#[tokio::test]
async fn what_is_never_continued_can_be_buffered() {
    for (what, dialect, speech, place, answers) in NEVER.iter().filter(|row| row.4 == 1) {
        for front in Front::ALL {
            let who = format!("{what} of {dialect:?} in {front:?}, {answers} of them");
            let speech = speech();
            let breaks = Role { acts: vec![Act::Fails(Fault::Reset, *place)], ..Role::breaks(*dialect, &speech, 1) };
            let scene = Scene::of(vec![breaks, Role::begins_again(*dialect, &speech)]).await;
            let heard = front.listen(&scene.gateway, "buffer", &front.ask("default", "hi")).await;
            assert!(heard.is_normal() && heard.text.ends_with(&speech.text()), "{who}: {heard:#?}");
            heard.assert_one(&who);
            // Bedrock does not say which model it is.
            let model = if *dialect == Dialect::Bedrock { "m2" } else { "two-model" };
            assert!(heard.comments.is_empty() && heard.models.contains(model), "{who}: {heard:#?}");
        }
    }
}

#[tokio::test]
async fn a_buffered_answer_tells_who_gave_it() {
    for front in Front::ALL {
        let speech = Speech::of("one", &PIECES);
        let roles = vec![Role::breaks(Dialect::OpenAi, &speech, 2), Role::begins_again(Dialect::Anthropic, &speech)];
        let scene = Scene::of(roles).await;
        let answer = scene.gateway.post(front.path(), &[(MODE, "buffer")], &front.ask("default", "hi")).await;
        assert_eq!(answer.trail(), "one/m1@K=broken_stream:200, two/m2@K=ok:200", "{front:?}");
        assert_eq!(answer.header("x-backstop-provider"), "two", "{front:?}");
        Heard::of(front, &answer).assert_whole(&speech.text(), &format!("{front:?}"));
    }
}

/// A buffered answer that nobody can finish was never begun: the status is a true one.
#[tokio::test]
async fn a_buffered_answer_that_nobody_finishes_is_an_error_with_a_status() {
    for front in Front::ALL {
        let speech = Speech::of("one", &PIECES);
        let roles = vec![Role::breaks(Dialect::OpenAi, &speech, 2), Role::breaks(Dialect::Bedrock, &speech, 1)];
        let scene = Scene::of(roles).await;
        let answer = scene.gateway.post(front.path(), &[(MODE, "buffer")], &front.ask("default", "hi")).await;
        assert_eq!(answer.status, 502, "{front:?}: {}", answer.text());
        assert!(answer.error()["message"].is_string(), "{front:?}: {}", answer.text());
        assert!(!answer.text().contains("Hello"), "{front:?}: {}", answer.text());
    }
}

/// What became of a broken answer.
#[derive(Debug, PartialEq, Eq)]
enum Became {
    Broken,
    Continued,
    Buffered,
}

impl Became {
    fn of(heard: &Heard) -> Self {
        match (heard.is_broken(), heard.is_normal(), heard.seams().len()) {
            (true, ..) => Self::Broken,
            (_, true, 1) => Self::Continued,
            (_, true, 0) => Self::Buffered,
            _ => panic!("neither broken nor whole: {heard:#?}"),
        }
    }
}

#[tokio::test]
async fn the_request_wins_over_the_chain_and_the_chain_over_the_general_setting() {
    for (general, chain, request, expected) in [
        (None, None, None, Became::Broken),
        (Some("error"), None, None, Became::Broken),
        (Some("continue"), None, None, Became::Continued),
        (Some("buffer"), None, None, Became::Buffered),
        (Some("continue"), Some("error"), None, Became::Broken),
        (None, Some("continue"), None, Became::Continued),
        (None, Some("buffer"), None, Became::Buffered),
        (Some("error"), Some("continue"), Some("error"), Became::Broken),
        (Some("buffer"), Some("error"), Some("continue"), Became::Continued),
        (None, None, Some("continue"), Became::Continued),
        (None, None, Some("buffer"), Became::Buffered),
    ] {
        for front in Front::ALL {
            let who = format!("{general:?}, {chain:?}, {request:?} in {front:?}");
            let speech = Speech::of("one", &PIECES);
            let roles = vec![Role::breaks(Dialect::OpenAi, &speech, 1), Role::goes_on(Dialect::OpenAi, &speech)];
            let set = |mode: Option<&str>| mode.map(|mode| format!("stream_recovery: '{mode}',")).unwrap_or_default();
            let sections = BRIEF.replace("run: {", &format!("run: {{ {}", set(general)));
            let scene = Scene::with(roles, &set(chain), &sections).await;
            let headers: Vec<(&str, &str)> = request.map(|mode| (MODE, mode)).into_iter().collect();
            let answer = scene.gateway.post(front.path(), &headers, &front.ask("default", "hi")).await;
            assert_eq!(Became::of(&Heard::of(front, &answer)), expected, "{who}");
        }
    }
}

#[tokio::test]
async fn another_mode_is_an_invalid_header_and_nobody_is_asked() {
    let speech = Speech::of("one", &PIECES);
    let scene = Scene::of(vec![Role::begins_again(Dialect::OpenAi, &speech)]).await;
    for mode in ["sometimes", "continue, buffer"] {
        let answer = scene.gateway.post(Front::Chat.path(), &[(MODE, mode)], &Front::Chat.ask("default", "hi")).await;
        assert_eq!((answer.status, &answer.error()["code"]), (400, &"invalid_header".into()), "{mode}");
        let body = Front::Messages.ask("default", "hi");
        let answer = scene.gateway.post(Front::Messages.path(), &[(MODE, mode)], &body).await;
        assert_eq!((answer.status, &answer.json()["type"]), (400, &"error".into()), "{mode}");
    }
    assert_eq!(scene.vendors[0].count(), 0);
}
