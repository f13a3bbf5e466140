//! What stands at a seam: white space that is neither lost nor doubled, the request that goes on, an answer that is begun
//! again and must say the same, and what the client, the metrics and the log tell of it.
//!
//! Owns continuations that succeed or are refused by what a vendor says. Refuses to know the ways a stream breaks.

use serde_json::{Value, json};

use super::scene::{Role, Scene, broken};
use super::{BRIEF, Front, MODE};
use crate::scenario_article::logs::Logs;
use crate::support::replay::{Act, Dialect, Prefill, Speech};

const PIECES: [&str; 4] = ["Hello,", " wide", "\n\nworld", "."];

/// White space at a seam: who goes on and how, what was said in which pieces, the break behind so many of them, the prefill
/// that is sent, and the whole answer.
type Row = (Dialect, Prefill, &'static [&'static str], usize, Option<&'static str>, &'static str);

const ROWS: &[Row] = &[
    (Dialect::OpenAi, Prefill::GoesOn, &["Hello, ", "world."], 1, Some("Hello,"), "Hello, world."),
    (Dialect::OpenAi, Prefill::GoesOn, &["a\n", "\nb"], 1, Some("a"), "a\n\nb"),
    (Dialect::OpenAi, Prefill::GoesOn, &["a", " b", "c"], 2, Some("a b"), "a bc"),
    (Dialect::Anthropic, Prefill::GoesOn, &["Hello", ", world."], 1, Some("Hello"), "Hello, world."),
    (Dialect::Anthropic, Prefill::GoesOn, &["Hello, ", "world."], 1, Some("Hello,"), "Hello, world."),
    (Dialect::Anthropic, Prefill::Swallows, &["Hello, ", "world."], 1, Some("Hello,"), "Hello, world."),
    (Dialect::Anthropic, Prefill::Repeats, &["Hello, ", "world."], 1, Some("Hello,"), "Hello, world."),
    (Dialect::Anthropic, Prefill::GoesOn, &["a \n\n", "\n  b"], 1, Some("a"), "a \n\n\n  b"),
    (Dialect::Anthropic, Prefill::GoesOn, &["a ", "\n\nb"], 1, Some("a"), "a \n\nb"),
    (Dialect::Anthropic, Prefill::GoesOn, &["a", " ", "\t", "b"], 3, Some("a"), "a \tb"),
    // The vendor's own choice, and nothing that the client had is lost.
    (Dialect::Anthropic, Prefill::Swallows, &["a\n\n", "  b"], 1, Some("a"), "a\n\nb"),
    // No vendor takes a prefill of nothing.
    (Dialect::Anthropic, Prefill::GoesOn, &["\n\n", "Hi."], 1, None, "\n\nHi."),
    (Dialect::Bedrock, Prefill::GoesOn, &["Hello, ", "world."], 1, Some("Hello,"), "Hello, world."),
    (Dialect::Bedrock, Prefill::Swallows, &["Hello, ", "world."], 1, Some("Hello,"), "Hello, world."),
    (Dialect::Bedrock, Prefill::GoesOn, &["a \n\n", "\n  b"], 1, Some("a"), "a \n\n\n  b"),
];

#[tokio::test]
async fn white_space_is_neither_lost_nor_doubled() {
    for (number, (dialect, prefill, pieces, after, sent, whole)) in ROWS.iter().enumerate() {
        for front in Front::ALL {
            let who = format!("row {number} in {front:?}");
            let speech = Speech::of("one", pieces);
            let goes_on = Role { prefill: *prefill, ..Role::goes_on(*dialect, &speech) };
            let scene = Scene::of(vec![Role::breaks(*dialect, &speech, *after), goes_on]).await;
            scene.listen(front).await.assert_whole(whole, &who);
            assert_eq!(scene.prefills(1), [sent.map(str::to_owned)], "{who}");
            scene.vendors[1].assert_understood(&who);
        }
    }
}

#[tokio::test]
async fn a_seam_shows_in_a_comment_the_log_and_the_metrics_only() {
    for front in Front::ALL {
        for dialect in Dialect::ALL {
            let who = format!("{dialect:?} in {front:?}");
            let logs = Logs::capture();
            let speech = Speech::of("one", &PIECES);
            let roles = vec![Role::breaks(dialect, &speech, 2), Role::goes_on(dialect, &speech)];
            let scene = Scene::of(roles).await;
            let heard = scene.listen(front).await;
            heard.assert_whole(&speech.text(), &who);
            assert_eq!(heard.comments, ["backstop: continued by two/m2@K"], "{who}");
            // Bedrock does not say which model it is.
            let model = if dialect == Dialect::Bedrock { "m1" } else { "one-model" };
            assert!(heard.models.contains(model), "{who}: {heard:#?}");
            scene.gateway.idle().await;
            assert_eq!((scene.recoveries("continued").await, scene.recoveries("failed").await), (1.0, 0.0), "{who}");
            let lines = logs.lines();
            let told = lines
                .iter()
                .map(Value::to_string)
                .any(|line| line.contains("one/m1@K") && line.contains("two/m2@K") && line.contains("broken_stream"));
            assert!(told, "{who}: {lines:#?}");
            assert_eq!(scene.gateway.lane("slot", "one/m1@K").await["kind"], "broken_stream", "{who}");
        }
    }
}

/// Each vendor breaks where the one before it had come to, and one more.
#[tokio::test]
async fn an_answer_may_break_more_than_once() {
    for front in Front::ALL {
        for dialect in Dialect::ALL {
            let who = format!("{dialect:?} in {front:?}");
            let speech = Speech::of("one", &PIECES);
            let (second, third) = (dialect.next(), dialect.next().next());
            let roles = vec![
                Role::breaks(dialect, &speech, 1),
                Role { acts: vec![broken(1)], ..Role::goes_on(second, &speech) },
                Role::goes_on(third, &speech),
            ];
            let scene = Scene::of(roles).await;
            let heard = scene.listen(front).await;
            heard.assert_whole(&speech.text(), &who);
            assert_eq!(heard.seams(), ["two/m2@K", "three/m3@K"], "{who}");
            assert_eq!(scene.prefills(1), [Some("Hello,".to_owned())], "{who}");
            assert_eq!(scene.prefills(2), [Some("Hello, wide".to_owned())], "{who}");
        }
    }
}

#[tokio::test]
async fn a_refused_prefill_is_asked_afresh_and_remembered() {
    for dialect in Dialect::ALL {
        let who = format!("{dialect:?}");
        let speech = Speech::of("one", &PIECES);
        let refuses = Role { prefill: Prefill::Refuses, ..Role::goes_on(dialect, &speech) };
        let scene = Scene::of(vec![Role::breaks(dialect, &speech, 2), refuses]).await;
        for (front, prefills) in [
            (Front::Chat, vec![Some("Hello, wide".to_owned()), None]),
            (Front::Messages, vec![Some("Hello, wide".to_owned()), None, None]),
        ] {
            scene.first_is_ready().await;
            let heard = scene.listen(front).await;
            heard.assert_whole(&speech.text(), &who);
            assert_eq!(heard.seams(), ["two/m2@K"], "{who}");
            assert_eq!(scene.prefills(1), prefills, "{who}");
        }
        let lane = scene.gateway.lane("slot", "two/m2@K").await;
        assert_eq!((&lane["state"], &lane["streak"]), (&"ready".into(), &0.into()), "{who}: it cools nothing");
    }
}

/// What a target that begins again says behind `Hello, wide`, and whether that is the same answer.
const AFRESH: &[(&[&str], bool)] = &[
    (&PIECES, true),
    (&["H", "ello, wi", "de\n\nwor", "ld."], true),
    (&["Hello, wide\n\nworld."], true),
    (&["Hello, wild", " world."], false),
    (&["Good evening."], false),
    (&["Hello, "], false),
    (&[" Hello, wide\n\nworld."], false),
];

#[tokio::test]
async fn an_answer_that_begins_again_must_say_the_same() {
    for (number, (pieces, same)) in AFRESH.iter().enumerate() {
        for front in Front::ALL {
            let who = format!("row {number} in {front:?}");
            let speech = Speech::of("one", &PIECES);
            let dialect = Dialect::ALL[number % 3];
            let roles =
                vec![Role::breaks(dialect, &speech, 2), Role::begins_again(dialect.next(), &Speech::of("two", pieces))];
            let scene = Scene::of(roles).await;
            let heard = scene.listen(front).await;
            if *same {
                heard.assert_whole(&speech.text(), &who);
            } else {
                heard.assert_broken(&speech.text(), &who);
                assert_eq!(heard.text, "Hello, wide", "{who}: nothing of another answer");
            }
            assert_eq!(scene.prefills(1), [None], "{who}");
            scene.gateway.idle().await;
            let outcome = if *same { "continued" } else { "failed" };
            assert_eq!(scene.recoveries(outcome).await, 1.0, "{who}");
        }
    }
}

#[tokio::test]
async fn a_target_that_says_something_else_is_passed_over() {
    for front in Front::ALL {
        let logs = Logs::capture();
        let speech = Speech::of("one", &PIECES);
        let roles = vec![
            Role::breaks(Dialect::OpenAi, &speech, 2),
            Role::begins_again(Dialect::OpenAi, &Speech::of("two", &["Good evening."])),
            Role::goes_on(Dialect::Anthropic, &speech),
        ];
        let scene = Scene::of(roles).await;
        let heard = scene.listen(front).await;
        heard.assert_whole(&speech.text(), &format!("{front:?}"));
        assert_eq!(heard.seams(), ["three/m3@K"]);
        assert_eq!((scene.prefills(1), scene.vendors[2].count()), (vec![None], 1));
        let lines = logs.lines();
        let told = lines.iter().map(Value::to_string);
        assert!(told.into_iter().any(|line| line.contains("two/m2@K") && line.contains("not_capable")), "{lines:#?}");
        let lane = scene.gateway.lane("slot", "two/m2@K").await;
        assert_eq!(lane["state"], "ready", "what it says is no failure: {lane}");
    }
}

/// A lone target: its next key, or the same slot once its cooldown is over.
#[tokio::test]
async fn a_lone_target_is_asked_again() {
    for (keys, fields, seam, prefill) in [
        (["K", "L"].as_slice(), "", "one/m1@L", None),
        (&["K", "L"], "prefill: true", "one/m1@L", Some("Hello, wide".to_owned())),
        (&["K"], "", "one/m1@K", None),
        (&["K"], "prefill: true", "one/m1@K", Some("Hello, wide".to_owned())),
    ] {
        for dialect in Dialect::ALL {
            let who = format!("{dialect:?}, {seam}, {fields}");
            let speech = Speech::of("one", &PIECES);
            let role = Role::breaks(dialect, &speech, 2);
            let acts = vec![broken(2), Act::Healthy];
            let scene = Scene::of(vec![Role { keys, fields, acts, prefill: Prefill::GoesOn, ..role }]).await;
            let heard = scene.listen(Front::Chat).await;
            heard.assert_whole(&speech.text(), &who);
            assert_eq!(heard.seams(), [seam], "{who}");
            assert_eq!(scene.prefills(0), [None, prefill.clone()], "{who}");
        }
    }
}

/// Which models go on is known, and a target may know better.
#[tokio::test]
async fn who_goes_on_is_known_by_the_model_or_the_target() {
    for (model, fields, goes_on) in [
        ("claude-sonnet-4-5", "", true),
        ("claude-opus-4-5", "", true),
        ("claude-3-5-sonnet", "", true),
        ("claude-sonnet-4-5", "prefill: false", false),
        ("m2", "", false),
        ("m2", "prefill: true", true),
    ] {
        let speech = Speech::of("one", &PIECES);
        let second = Role { model: Some(model), fields, ..Role::goes_on(Dialect::Anthropic, &speech) };
        let scene = Scene::of(vec![Role::breaks(Dialect::OpenAi, &speech, 1), second]).await;
        scene.listen(Front::Chat).await.assert_whole(&speech.text(), model);
        assert_eq!(scene.prefills(1), [goes_on.then(|| "Hello,".to_owned())], "{model} {fields}");
    }
}

/// Who speaks, who goes on, and the sum of what both told: Anthropic says at once what went in, the others at the end.
#[tokio::test]
async fn the_tokens_are_the_sum_of_the_parts() {
    for (first, second, sum) in [
        (Dialect::OpenAi, Dialect::OpenAi, (11, 7)),
        (Dialect::Anthropic, Dialect::Anthropic, (22, 8)),
        (Dialect::Anthropic, Dialect::Bedrock, (22, 8)),
        (Dialect::Bedrock, Dialect::OpenAi, (11, 7)),
    ] {
        for front in Front::ALL {
            let who = format!("{first:?}, then {second:?}, in {front:?}");
            let speech = Speech::of("one", &PIECES);
            let scene = Scene::of(vec![Role::breaks(first, &speech, 2), Role::goes_on(second, &speech)]).await;
            let heard = scene.listen(front).await;
            heard.assert_whole(&speech.text(), &who);
            assert_eq!(heard.usage.last(), Some(&sum), "{who}: {heard:#?}");
            assert!(heard.usage.len() == 1 || front == Front::Messages, "{who}: {heard:#?}");
        }
    }
}

/// A target of the client's own dialect is asked what the client asked, whatever that is, with the answer's beginning.
#[tokio::test]
async fn the_request_goes_on_with_all_its_fields() {
    for (front, dialect) in [(Front::Chat, Dialect::OpenAi), (Front::Messages, Dialect::Anthropic)] {
        let speech = Speech::of("one", &PIECES);
        let scene = Scene::of(vec![Role::breaks(dialect, &speech, 2), Role::goes_on(dialect, &speech)]).await;
        let mut body = front.ask("default", "hi");
        body["temperature"] = json!(0.5);
        body["invented"] = json!({ "a": [1.50, null], "b": "😀" });
        body["messages"][0]["invented"] = json!("x");
        let answer = scene.gateway.post(front.path(), &[(MODE, "continue")], &body).await;
        super::Heard::of(front, &answer).assert_whole(&speech.text(), &format!("{front:?}"));
        let mut expected = scene.vendors[0].asked()[0].body.clone();
        let mut asked = scene.vendors[1].asked()[0].body.clone();
        let last = asked["messages"].as_array_mut().unwrap().pop().unwrap();
        assert_eq!(last["role"], "assistant");
        assert_eq!(scene.prefills(1), [Some("Hello, wide".to_owned())]);
        assert_eq!(asked["messages"], body["messages"]);
        assert_eq!((&asked["invented"], &asked["model"]), (&body["invented"], &"m2".into()));
        for body in [&mut expected, &mut asked] {
            body["model"].take();
        }
        assert_eq!(asked, expected, "{front:?}: the first vendor was asked the same");
    }
}

/// Also where the client saw nothing of it.
#[tokio::test]
async fn a_break_is_a_failure_of_its_slot_whatever_becomes_of_the_answer() {
    for mode in ["error", "continue", "buffer"] {
        let speech = Speech::of("one", &PIECES);
        let roles = vec![Role::breaks(Dialect::OpenAi, &speech, 1), Role::goes_on(Dialect::OpenAi, &speech)];
        let long =
            BRIEF.replace("broken_stream: { first: '10ms', cap: '10ms' }", "broken_stream: { first: '1h', cap: '1h' }");
        let scene = Scene::with(roles, "", &long).await;
        Front::Chat.listen(&scene.gateway, mode, &Front::Chat.ask("default", "hi")).await;
        scene.gateway.idle().await;
        let lane = scene.gateway.lane("slot", "one/m1@K").await;
        assert_eq!((&lane["state"], &lane["kind"]), (&"cooling".into(), &"broken_stream".into()), "{mode}");
        let two = scene.gateway.lane("slot", "two/m2@K").await;
        assert_eq!(two["state"], "ready", "{mode}: {two}");
    }
}
