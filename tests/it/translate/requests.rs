//! Requests: each recorded one parsed, written for targets of every dialect, and read again.

use std::collections::BTreeSet;

use backstop::dialect::canonical::Cannot;
use serde_json::Value;

use super::asked::Asked;
use super::plain_asked;
use super::targets::{self, Target};
use super::traffic::recorded;
use super::Wire;

/// Requests that some targets cannot be asked, with what they hold.
const CANNOT: &[(&str, &[Wire], &str)] = &[];

fn differ(expected: &Asked, got: &Asked) -> Option<String> {
    (expected != got).then(|| format!("\nexpected {expected:#?}\ngot {got:#?}"))
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
    let plain = plain_asked::asked(wire, body);
    let mut expected = target.told(plain);
    let got = plain_asked::asked(target.wire, &written);
    if target.wire == Wire::Converse {
        // It is in the path.
        expected.stream = false;
    }
    if expected.max_tokens.is_none() && target.wire == Wire::Messages {
        // It has to be said there.
        expected.max_tokens = got.max_tokens;
    }
    differ(&expected, &got).map_or(Ok(()), Err)?;
    if target.wire == Wire::Converse {
        return Ok(Some(written));
    }
    // And the product reads it as it reads the first.
    let again = targets::parse(target.wire, &rendered.body).map_err(|bad| format!("again: {bad:?}"))?;
    let back = target.render(&again).map_err(|cannot| format!("again: {cannot:?}"))?;
    let back = plain_asked::asked(target.wire, &serde_json::from_slice(&back.body).map_err(|error| error.to_string())?);
    differ(&got, &back).map_or(Ok(Some(written)), |what| Err(format!("again: {what}")))
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
