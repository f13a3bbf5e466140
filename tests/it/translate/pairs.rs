//! The same conversation written by hand in several dialects, by others: what the gateway makes of one file asks what the
//! other file asks.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::asked::Asked;
use super::targets::{BEDROCK_CLAUDE, CLAUDE, OPENAI, Target};
use super::traffic::pairs;
use super::{Wire, plain_asked, requests};

/// Where two files of a case differ by themselves: case, what differs, why.
const DIFFERENT: &[(&str, &[Field], &str)] = &[
    ("multimodalRequest", &[Field::Turns], "the picture is somewhere else in one file, and its bytes in the other"),
    ("parallelToolCallsDisabledParam", &[Field::Turns, Field::Tools], "other words, and one schema is closed"),
    ("stopSequencesParam", &[Field::Turns], "other words"),
    ("toolChoiceRequiredParam", &[Field::Tools], "one schema is closed"),
];

/// A part of the meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Field {
    System,
    Turns,
    Tools,
    Choice,
    Parallel,
    Schema,
    MaxTokens,
    Sampling,
    Stop,
}

/// The parts in which two requests differ.
fn differences(one: &Asked, other: &Asked) -> BTreeSet<Field> {
    let sampling = |asked: &Asked| (asked.temperature, asked.top_p, asked.top_k);
    let fields = [
        (Field::System, one.system == other.system),
        (Field::Turns, one.turns == other.turns),
        (Field::Tools, one.tools == other.tools),
        (Field::Choice, one.choice == other.choice),
        (Field::Parallel, one.parallel.unwrap_or(true) == other.parallel.unwrap_or(true)),
        (Field::Schema, one.schema == other.schema),
        (Field::MaxTokens, one.max_tokens == other.max_tokens),
        (Field::Sampling, sampling(one) == sampling(other)),
        (Field::Stop, one.stop == other.stop),
    ];
    fields.into_iter().filter(|(_, same)| !same).map(|(field, _)| field).collect()
}

fn target(wire: Wire) -> Target {
    match wire {
        Wire::Chat => OPENAI,
        Wire::Messages => CLAUDE,
        Wire::Converse => BEDROCK_CLAUDE,
    }
}

/// Of one case: its file of a dialect.
type Files = BTreeMap<u8, Value>;

fn cases() -> BTreeMap<String, Files> {
    let mut cases: BTreeMap<String, Files> = BTreeMap::new();
    for pair in pairs() {
        if let Some(request) = pair.requests.first() {
            cases.entry(pair.case).or_default().insert(pair.wire as u8, request.clone());
        }
    }
    cases
}

#[test]
fn a_case_asks_the_same_in_every_dialect() {
    let cases = cases();
    let mut wrong = Vec::new();
    let mut found: BTreeMap<&str, BTreeSet<Field>> = BTreeMap::new();
    let mut seen = 0;
    for (case, files) in &cases {
        for from in [Wire::Chat, Wire::Messages] {
            for to in [Wire::Chat, Wire::Messages, Wire::Converse] {
                let (Some(one), Some(other)) = (files.get(&(from as u8)), files.get(&(to as u8))) else { continue };
                if from == to {
                    continue;
                }
                seen += 1;
                let asked = plain_asked::asked(from, one);
                let mut other = plain_asked::asked(to, other);
                other.number_ids();
                match requests::carry(from, one, target(to)) {
                    Ok(Some(written)) => {
                        let mut got = plain_asked::asked(to, &written);
                        got.number_ids();
                        // The longest answer counts where both files say one.
                        if asked.max_tokens.is_none() || other.max_tokens.is_none() {
                            got.max_tokens = other.max_tokens;
                        }
                        found.entry(case).or_default().extend(differences(&got.leveled(), &other.clone().leveled()));
                    }
                    // The picture is there by its address, and Bedrock takes bytes only.
                    Ok(None) if case == "multimodalRequest" && to == Wire::Converse => {}
                    Ok(None) => wrong.push(format!("{case} cannot be asked of {to:?}")),
                    Err(what) => wrong.push(format!("{case} from {from:?} to {to:?}: {what}")),
                }
            }
        }
    }
    println!("{seen} translations of pairs");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    found.retain(|_, fields| !fields.is_empty());
    let listed: BTreeMap<&str, BTreeSet<Field>> =
        DIFFERENT.iter().map(|(case, fields, _)| (*case, fields.iter().copied().collect())).collect();
    if seen > 0 {
        assert_eq!(found, listed, "left: what differs, right: what is listed");
    }
}

#[test]
fn every_request_of_a_case_can_be_asked_elsewhere() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for pair in pairs().iter().filter(|pair| pair.wire != Wire::Converse) {
        for request in &pair.requests {
            for target in super::targets::ALL {
                let who = format!("{} ({:?}) for {}", pair.case, pair.wire, target.model);
                if let Err(what) = requests::carry(pair.wire, request, target) {
                    wrong.push(format!("{who}: {what}"));
                }
                seen += 1;
            }
        }
    }
    println!("{seen} requests of pairs written");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
