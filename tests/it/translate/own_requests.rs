//! Each shape of a request once, written here from the facts, for a target of every kind: what is asked means the same, and
//! what cannot be carried is named. The names stand in one table of docs/translation.md.

use std::collections::{BTreeMap, BTreeSet};

use backstop::dialect::canonical::Cannot;
use serde_json::{Value, json};

use super::targets::{self, Target};
use super::{Wire, requests};

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
