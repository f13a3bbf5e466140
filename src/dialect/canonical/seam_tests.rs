//! Tests of [`seam`](super): no character twice, none lost.

use proptest::prelude::*;

use super::super::Stop;
use super::*;

fn sent(text: &str) -> Sent {
    let mut sent = Sent::default();
    sent.say(text);
    sent
}

/// What is new of a continuation that comes in these pieces, and ends.
fn joined(sent: &Sent, prefill: bool, pieces: &[&str]) -> Result<String, Diverged> {
    let mut seam = Seam::new(Arc::new(sent.clone()), prefill);
    let mut text = String::new();
    let mut half = None;
    let mut take = |event: Event<'_>| match event {
        Event::Text(new) => text.push_str(&new),
        Event::Half(low) => half = Some(low),
        Event::Finish { .. } => {}
        other => unreachable!("{other:?}"),
    };
    seam.pass(Event::Start { id: None, model: None }, &mut take)?;
    for piece in pieces {
        seam.pass(Event::Text((*piece).into()), &mut take)?;
    }
    seam.pass(Event::Finish { stop: Stop::End, sequence: None }, &mut take)?;
    if let (Some(high), Some(low)) = (sent.half, half) {
        let whole = char::decode_utf16([high, low]).flatten().next().map(String::from);
        text.insert_str(0, &whole.unwrap_or_default());
    }
    Ok(text)
}

#[test]
fn an_answer_that_was_asked_afresh_must_begin_with_everything() {
    let client = sent("Hello, wor");
    assert_eq!(joined(&client, false, &["Hello, world"]).as_deref(), Ok("ld"));
    assert_eq!(joined(&client, false, &["Hel", "lo, ", "wor", "ld", "!"]).as_deref(), Ok("ld!"));
    assert_eq!(joined(&client, false, &["Hello, wor"]).as_deref(), Ok(""));
    for other in [&["Hello, War"][..], &["hello"], &["Hello"], &[], &["Hello, ", "w0rld"], &["", "x"]] {
        assert_eq!(joined(&client, false, other), Err(Diverged), "{other:?}");
    }
}

#[test]
fn one_that_goes_on_is_new_but_for_white_space() {
    for (client, lead, new) in [
        ("Hello", &[" world"][..], " world"),
        ("Hel", &["lo"], "lo"),
        // The prefill ends before the white space: the model writes it again, or leaves it out.
        ("Hello ", &[" world"], "world"),
        ("Hello ", &["world"], "world"),
        ("Hello ", &[" ", "world"], "world"),
        ("Hello ", &["  world"], " world"),
        ("Hello\n", &["\n\nworld"], "\nworld"),
        ("Hello\n\n", &["\nworld"], "world"),
        ("a:\n    ", &["\n        b"], "    b"),
        ("a:\n    ", &["\n  b"], "b"),
        // A line break that the client lacks counts for more than the blank it has.
        ("x = 1 ", &["\n    y"], "\n    y"),
        ("x = 1\n", &["\t y"], "y"),
        ("Hello ", &[" "], ""),
        ("Hello ", &[], ""),
    ] {
        assert_eq!(joined(&sent(client), true, lead).as_deref(), Ok(new), "{client:?} {lead:?}");
    }
}

#[test]
fn the_other_half_of_a_character_is_all_that_is_new_of_it() {
    let mut client = sent("a ");
    client.half = Some(0xd83d);
    for prefill in [false, true] {
        let whole = if prefill { " \u{1F600}!" } else { "a \u{1F600}!" };
        assert_eq!(joined(&client, prefill, &[whole]).as_deref(), Ok("\u{1F600}!"), "{prefill}");
        let other = if prefill { " x" } else { "a x" };
        assert_eq!(joined(&client, prefill, &[other]), Err(Diverged));
        let none = if prefill { " " } else { "a " };
        assert_eq!(joined(&client, prefill, &[none]), Err(Diverged), "an end inside a character");
    }
}

/// The words for what goes through.
fn told(sent: &Sent, prefill: bool, events: Vec<Event<'static>>) -> Result<Vec<String>, Diverged> {
    let mut seam = Seam::new(Arc::new(sent.clone()), prefill);
    let mut told = Vec::new();
    for event in events {
        seam.pass(event, &mut |event| {
            told.push(match event {
                Event::Text(text) => format!("text {text}"),
                Event::Thinking(text) => format!("thinking {text}"),
                Event::Signature(_) => "signature".to_owned(),
                Event::Call { name, .. } => format!("call {name}"),
                other => format!("{other:?}"),
            });
        })?;
    }
    Ok(told)
}

fn call() -> Event<'static> {
    Event::Call { index: 0, id: "c".into(), name: "f".into(), signature: None }
}

#[test]
fn thinking_before_the_rest_of_a_text_is_left_out_and_before_any_text_it_must_be_the_same() {
    let think = |text: &'static str| Event::Thinking(text.into());
    let say = |text: &'static str| Event::Text(text.into());
    let text = sent("abc");
    let events = vec![think("other"), Event::Signature("s".into()), say("abcd")];
    assert_eq!(told(&text, false, events), Ok(vec!["text d".to_owned()]));
    assert_eq!(told(&text, true, vec![think("other"), say("d")]), Ok(vec!["text d".to_owned()]));
    let mut thought = Sent::default();
    thought.think("I see");
    let events = vec![think("I "), think("see it"), Event::Signature("s".into()), say("a")];
    assert_eq!(told(&thought, false, events), Ok(["thinking  it", "signature", "text a"].map(str::to_owned).to_vec()));
    for events in [vec![think("I do")], vec![think("I "), say("a")], vec![say("a")], vec![Event::Signature("s".into())]]
    {
        assert_eq!(told(&thought, false, events), Err(Diverged));
    }
}

#[test]
fn a_call_comes_behind_everything_that_was_sent() {
    assert_eq!(told(&sent("ab"), false, vec![Event::Text("a".into()), call()]), Err(Diverged));
    let after = vec![Event::Text("ab".into()), call()];
    assert_eq!(told(&sent("ab"), false, after), Ok(vec!["call f".to_owned()]));
    assert_eq!(told(&sent("ab "), true, vec![call()]), Ok(vec!["call f".to_owned()]));
}

proptest! {
    /// However an answer is cut into what was sent and the pieces of what follows: together it is the answer.
    #[test]
    fn wherever_the_cut_falls_the_answer_is_whole(
        answer in "[a-c \\n\\té\u{1F600}]{1,40}",
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
        prefill in any::<bool>(),
    ) {
        let ends: Vec<usize> = answer.char_indices().map(|(at, _)| at).chain([answer.len()]).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| ends[cut.index(ends.len())]).collect();
        cuts.sort_unstable();
        let client = sent(&answer[..cuts[0]]);
        prop_assume!(!prefill || !client.beginning().is_empty());
        let mut at = if prefill { client.beginning().len() } else { 0 };
        let mut pieces = Vec::new();
        for cut in cuts.into_iter().chain([answer.len()]).filter(|cut| *cut > at).collect::<Vec<_>>() {
            pieces.push(&answer[at..cut]);
            at = cut;
        }
        let new = joined(&client, prefill, &pieces);
        prop_assert_eq!(new.map(|new| client.text.clone() + &new), Ok(answer));
    }
}
