//! Whole answers: each recorded one parsed, rendered for both fronts, and read again.

use serde_json::Value;

use super::said::Said;
use super::traffic::{pairs, recorded};
use super::{Front, Wire, plain_said, shape, shape_messages, through};

/// An answer through the product: it means what its JSON says, in every dialect.
pub(super) fn carried(wire: Wire, body: &Value, who: &str) {
    let plain = plain_said::whole(wire, body);
    let answer = through::parse(wire, body.to_string().as_bytes()).unwrap_or_else(|what| panic!("{who}: {what:?}"));
    let said = Said::of(&answer);
    said.assert_is(&plain, who);
    for front in Front::ALL {
        let who = format!("{who} in {front:?}");
        let rendered = through::render(front, &answer);
        let json: Value = serde_json::from_slice(&rendered).unwrap_or_else(|error| panic!("{who}: {error}"));
        let good = match front {
            Front::Chat => shape::chat(&json),
            Front::Messages => shape_messages::messages(&json),
        };
        good.unwrap_or_else(|why| panic!("{who}: {why}"));
        if let Some(model) = body["model"].as_str() {
            assert_eq!(json["model"], model, "{who}: the vendor's name of the model");
        }
        let told = said.clone().told_in(front);
        plain_said::whole(front.wire(), &json).assert_is(&told, &who);
        let again = through::parse(front.wire(), &rendered).unwrap_or_else(|what| panic!("{who}, again: {what:?}"));
        Said::of(&again).assert_is(&told, &format!("{who}, again"));
    }
}

#[test]
fn every_recorded_answer_means_the_same_in_every_dialect() {
    let mut seen = 0;
    for exchange in recorded().iter().filter(|exchange| exchange.status == 200 && !exchange.stream) {
        let body = serde_json::from_slice(&exchange.response).expect("a recorded answer is JSON");
        carried(exchange.wire, &body, &exchange.id);
        seen += 1;
    }
    println!("{seen} recorded answers");
    let mut seen = 0;
    for pair in pairs() {
        for answer in &pair.answers {
            carried(pair.wire, answer, &format!("{} ({:?})", pair.case, pair.wire));
            seen += 1;
        }
    }
    println!("{seen} answers of pairs");
}

#[test]
fn no_recorded_error_is_an_answer() {
    for exchange in recorded().iter().filter(|exchange| exchange.status != 200) {
        let parsed = through::parse(exchange.wire, &exchange.response);
        assert!(parsed.is_err(), "{}: {parsed:?}", exchange.id);
    }
}

#[test]
fn half_an_answer_is_none() {
    for exchange in recorded().iter().filter(|exchange| exchange.status == 200 && !exchange.stream) {
        let body = exchange.response.trim_ascii();
        for end in [0, 1, body.len() / 3, body.len() / 2, body.len() - 1] {
            let parsed = through::parse(exchange.wire, &body[..end]);
            assert!(parsed.is_err(), "{} cut at {end}", exchange.id);
        }
    }
}
