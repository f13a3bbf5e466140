//! Requests: each recorded one parsed, written for targets of every dialect, and read again.

use std::borrow::Cow;
use std::collections::BTreeSet;

use backstop::dialect::canonical::Cannot;
use serde_json::Value;

use super::asked::{Asked, Piece};
use super::plain_asked;
use super::targets::{self, Target};
use super::traffic::recorded;
use super::Wire;

/// Requests that some targets cannot be asked, with what they hold.
const CANNOT: &[(&str, &[Wire], &str)] = &[];

fn differ(expected: &Asked, got: &Asked) -> Option<String> {
    (expected != got).then(|| format!("\nexpected {expected:#?}\ngot {got:#?}"))
}

/// What is not as it was asked has to be told.
fn excuse(expected: &mut Asked, got: &Asked, dropped: &[Cow<'static, str>]) {
    let told = |name: &str| dropped.iter().any(|known| known == name);
    for (name, expected, got) in [
        ("temperature", &mut expected.temperature, got.temperature),
        ("top_p", &mut expected.top_p, got.top_p),
    ] {
        if told(name) {
            *expected = got;
        }
    }
    if told("top_k") {
        expected.top_k = got.top_k;
    }
    if told("parallel_tool_calls") {
        expected.parallel = got.parallel;
    }
    if told("stop") {
        expected.stop.clone_from(&got.stop);
    }
    if told("response_format") {
        expected.schema.clone_from(&got.schema);
    }
}

/// The tool that stands in for a schema is a schema.
fn without_stand_in(got: &mut Asked, tool: &str, expected: &Asked) -> Result<(), String> {
    let at = got.tools.iter().position(|offered| offered.name == tool).ok_or("the stand-in is not offered")?;
    let schema = got.tools.remove(at).schema;
    let any = serde_json::json!({ "type": "object", "properties": {} });
    got.schema = Some(if schema == any { Value::Bool(true) } else { schema });
    got.choice = expected.choice.clone();
    Ok(())
}

/// Where no tool is offered, Converse takes no blocks of tools: they become words.
fn in_words(asked: &Asked, written: &Value) -> Option<Result<(), String>> {
    let pieces = || asked.turns.iter().flat_map(|(_, pieces)| pieces);
    let of_tools = |piece: &&Piece| matches!(piece, Piece::Call(_) | Piece::Result { .. });
    if !asked.tools.is_empty() || !pieces().any(|piece| of_tools(&piece)) {
        return None;
    }
    let text = written.to_string();
    let lost = pieces().filter_map(|piece| match piece {
        Piece::Call(call) => (!text.contains(&call.name)).then(|| call.name.clone()),
        Piece::Result { parts, .. } => parts.iter().find_map(|part| match part {
            Piece::Text(said) => {
                let json = Value::from(said.as_str()).to_string();
                (!text.contains(json.trim_matches('"'))).then(|| said.clone())
            }
            _ => None,
        }),
        _ => None,
    });
    let lost: Vec<String> = lost.collect();
    Some(if lost.is_empty() { Ok(()) } else { Err(format!("{lost:?} is not in {text}")) })
}

/// Writes what a body asks for a target and compares the meaning. `Ok(None)` if the target cannot be asked.
pub(super) fn carry(wire: Wire, body: &Value, target: Target) -> Result<Option<Value>, String> {
    let request = targets::parse(wire, body.to_string().as_bytes()).map_err(|bad| format!("{bad:?}"))?;
    let rendered = match target.render(&request) {
        Ok(rendered) => rendered,
        Err(Cannot::Lack(..)) => return Ok(None),
        Err(Cannot::Bad(bad)) => return Err(format!("{bad:?}")),
    };
    let written: Value = serde_json::from_slice(&rendered.body).map_err(|error| error.to_string())?;
    let mut expected = target.told(plain_asked::asked(wire, body));
    if target.wire == Wire::Converse
        && let Some(words) = in_words(&expected, &written)
    {
        return words.map(|()| Some(written));
    }
    let mut got = plain_asked::asked(target.wire, &written);
    if let Some(tool) = &rendered.schema_tool {
        without_stand_in(&mut got, tool, &expected)?;
    }
    if target.wire == Wire::Converse {
        // It is in the path.
        expected.stream = false;
    }
    if expected.max_tokens.is_none() && target.wire != Wire::Chat {
        // It has to be said at Anthropic, and wherever there is a budget for thinking.
        expected.max_tokens = got.max_tokens;
    }
    excuse(&mut expected, &got, &rendered.dropped);
    differ(&expected, &got).map_or(Ok(()), Err)?;
    if target.wire == Wire::Converse {
        return Ok(Some(written));
    }
    // And the product reads it as it reads the first.
    let again = targets::parse(target.wire, &rendered.body).map_err(|bad| format!("again: {bad:?}"))?;
    let back = target.render(&again).map_err(|cannot| format!("again: {cannot:?}"))?;
    let back = plain_asked::asked(target.wire, &serde_json::from_slice(&back.body).map_err(|error| error.to_string())?);
    let first = plain_asked::asked(target.wire, &written);
    differ(&first, &back).map_or(Ok(Some(written)), |what| Err(format!("again: {what}")))
}

#[test]
fn every_recorded_request_asks_the_same_of_every_target() {
    let recorded = recorded();
    let mut refused = BTreeSet::new();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for exchange in recorded.iter().filter(|exchange| exchange.wire != Wire::Converse) {
        let Some(body) = exchange.request.as_deref().and_then(|body| serde_json::from_str::<Value>(body).ok()) else {
            continue;
        };
        for target in targets::ALL {
            match carry(exchange.wire, &body, target) {
                Ok(Some(_)) => {}
                Ok(None) => {
                    refused.insert((exchange.id.as_str(), target.wire as u8));
                }
                // A vendor refused it, too.
                Err(_) if exchange.status != 200 => {}
                Err(what) => wrong.push(format!("{} for {}: {what}", exchange.id, target.model)),
            }
            seen += 1;
        }
    }
    println!("{seen} requests written");
    let shown = wrong.iter().take(4).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} of {seen} differ:\n{shown}", wrong.len());
    let listed: BTreeSet<(&str, u8)> =
        CANNOT.iter().flat_map(|(id, wires, _)| wires.iter().map(|wire| (*id, *wire as u8))).collect();
    if seen > 0 {
        assert_eq!(refused, listed, "left: what cannot be asked, right: what is listed");
    }
}
