//! Each shape of a request once, written here from the facts, for a target of every kind: what is asked means the same, and
//! what cannot be carried is named. The names stand in one table of docs/translation.md.

use std::collections::{BTreeMap, BTreeSet};

use backstop::dialect::anthropic;
use backstop::dialect::canonical::{Cannot, Profile};
use backstop::policy::capability::Abilities;
use bytes::Bytes;
use serde_json::{Value, json};

use super::targets::{self, Target};
use super::{Wire, plain_asked, requests};

const REQUESTS: &str = include_str!("../../fixtures/translate/requests.json");

pub(super) fn cases() -> Vec<Value> {
    serde_json::from_str(REQUESTS).expect("a fixture is JSON")
}

fn wire(case: &Value) -> Wire {
    if case["wire"] == "chat" { Wire::Chat } else { Wire::Messages }
}

/// The names of what is lost on the way to a target; `None` if it cannot be asked, or is asked in its own dialect.
pub(super) fn lost(case: &Value, target: Target) -> Option<BTreeSet<String>> {
    if target.wire == wire(case) {
        return None;
    }
    let request = targets::parse(wire(case), case["body"].to_string().as_bytes()).unwrap();
    match target.render(&request) {
        Ok(rendered) => Some(rendered.dropped.iter().map(ToString::to_string).collect()),
        Err(Cannot::Lack(..)) => None,
        Err(Cannot::Bad(bad)) => panic!("{}: {bad:?}", case["name"]),
    }
}

#[test]
fn every_shape_of_a_request() {
    let mut wrong = Vec::new();
    for case in cases() {
        let unable: BTreeSet<&str> = match &case["cannot"] {
            Value::String(_) => targets::ALL.map(|target| target.model).into_iter().collect(),
            models => models.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
        };
        for target in targets::ALL {
            let who = format!("{} for {}", case["name"], target.model);
            match requests::carry(wire(&case), &case["body"], target) {
                Ok(written) if written.is_none() != unable.contains(target.model) => {
                    wrong.push(format!("{who}: cannot be asked: {}", written.is_none()));
                }
                Ok(_) => {}
                Err(what) => wrong.push(format!("{who}: {what}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_cannot_be_carried_is_named() {
    for case in cases() {
        let mut found: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for target in targets::ALL {
            for name in lost(&case, target).into_iter().flatten() {
                found.entry(name).or_default().push(target.model);
            }
        }
        let found: BTreeMap<&str, Value> = found
            .iter()
            .map(|(name, models)| {
                let all = models.len() == targets::ALL.iter().filter(|target| lost(&case, **target).is_some()).count();
                (name.as_str(), if all { json!("all") } else { json!(models) })
            })
            .collect();
        let found = json!(found);
        let listed = if case["lost"].is_null() { json!({}) } else { case["lost"].clone() };
        assert_eq!(found, listed, "{} (left: what is named, right: what the fixture lists)", case["name"]);
    }
}

/// Anthropic's clients have to say a number, and agents say a large one: it keeps nobody from answering.
#[test]
fn an_answer_longer_than_a_model_gives_becomes_its_longest() {
    let body = json!({ "model": "m", "max_tokens": 32_000, "messages": [{ "role": "user", "content": "Hello" }] });
    let request = targets::parse(Wire::Messages, body.to_string().as_bytes()).unwrap();
    let head = anthropic::head::read(body.to_string().as_bytes()).unwrap().needs;
    assert_eq!(head.max_output_tokens, None, "no target is skipped for it");
    let abilities = Abilities { max_output: Some(8_192), ..Abilities::default() };
    for target in targets::ALL {
        let profile = Profile { abilities: &abilities, ..target.profile() };
        let (body, dropped) = if target.wire == Wire::Messages {
            let amended = anthropic::amend::amend(&Bytes::from(body.to_string()), &profile).unwrap();
            (amended.body.to_vec(), amended.dropped)
        } else {
            let rendered = target.render_as(&request, &profile).unwrap();
            (rendered.body, rendered.dropped)
        };
        let written: Value = serde_json::from_slice(&body).unwrap();
        let got = plain_asked::asked(target.wire, &written);
        assert_eq!((got.max_tokens, dropped), (Some(8_192), vec!["max_tokens".into()]), "{}", target.model);
    }
    let enough = Abilities { max_output: Some(32_000), ..Abilities::default() };
    let profile = Profile { abilities: &enough, ..targets::CLAUDE.profile() };
    assert!(anthropic::amend::amend(&Bytes::from(body.to_string()), &profile).is_none());
}
