//! Every fault at every place, of each vendor's dialect, in front of both kinds of client and in each mode: which answers
//! are whole, which go on behind a seam, and which end with an error.
//!
//! Owns the table of what should come. The first provider plays the fault; the second one speaks the next dialect in the
//! circle, is well, and goes on from what was said.

use std::sync::Arc;

use serde_json::{Value, json};

use super::heard::Heard;
use super::{BRIEF, Front, config, several};
use crate::support::Gateway;
use crate::support::replay::{Act, Dialect, Fault, Place, Prefill, Speech, Vendor};

const MODES: [&str; 3] = ["error", "continue", "buffer"];
const PLACES: [Place; 6] =
    [Place::BeforeHeaders, Place::AfterHeaders, Place::Preamble, Place::Content(1), Place::Call, Place::Finish];
const PIECES: [&str; 4] = ["Grüße ", "aus der", " Küche:\n\n", "“fertig” ☕."];
const CALL: (&str, &str) = ("look", "{\"at\":\"home\"}");

#[derive(Debug, Clone, Copy)]
struct Case {
    number: usize,
    fault: Fault,
    place: Place,
    #[expect(dead_code, reason = "it is shown when a case fails")]
    upstream: Dialect,
    front: Front,
    mode: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// The whole answer, and nothing shows.
    Whole,
    /// The whole answer with one seam.
    Seam,
    /// What was said, and an error.
    Broken,
}

/// Why a fault means nothing there.
fn senseless(fault: Fault, place: Place, upstream: Dialect) -> Option<&'static str> {
    let breaks = matches!(fault, Fault::Reset | Fault::End | Fault::Stall);
    let replaces = matches!(fault, Fault::JsonError | Fault::Page | Fault::Empty | Fault::HalfJson);
    match (fault, place) {
        (Fault::Exception, _) if upstream != Dialect::Bedrock => Some("only AWS has frames of exceptions"),
        (Fault::FinishError, _) if upstream != Dialect::OpenAi => Some("only chat's vendors finish like that"),
        (_, Place::AfterHeaders) => None,
        _ if replaces => Some("it stands where a stream should be, at once"),
        (_, Place::BeforeHeaders) if !breaks => Some("nothing stands in a stream that has not begun"),
        (_, Place::Finish) if !breaks && fault != Fault::Malformed => {
            Some("what a vendor complains of behind its reason to finish is nobody's business")
        }
        _ => None,
    }
}

fn cases(upstream: Dialect) -> Vec<Case> {
    let mut all = Vec::new();
    for fault in Fault::ALL {
        for place in PLACES.into_iter().filter(|place| senseless(fault, *place, upstream).is_none()) {
            for front in Front::ALL {
                for mode in MODES {
                    all.push(Case { number: all.len(), fault, place, upstream, front, mode });
                }
            }
        }
    }
    all
}

impl Case {
    fn expected(self) -> Expected {
        match (self.fault, self.place, self.mode) {
            (Fault::Malformed, ..) | (_, _, "buffer") => Expected::Whole,
            (_, Place::Content(_), "continue") => Expected::Seam,
            (_, Place::Content(_) | Place::Call, _) => Expected::Broken,
            _ => Expected::Whole,
        }
    }

    fn calls(self) -> bool {
        self.place == Place::Call
    }

    /// The providers that this case is about.
    fn providers(self) -> [&'static str; 2] {
        if self.calls() { ["one-calls", "two-calls"] } else { ["one", "two"] }
    }

    /// A chain of its own, whose models nobody else asks.
    fn chain(self) -> String {
        let ([one, two], number) = (self.providers(), self.number);
        format!("c{number}: ['{one}/m{number}', {{ target: '{two}/m{number}', prefill: true }}]")
    }

    fn body(self) -> Value {
        let mut body = self.front.ask(&format!("c{}", self.number), "hi");
        if self.calls() {
            let parameters = json!({ "type": "object", "properties": { "at": { "type": "string" } } });
            body["tools"] = match self.front {
                Front::Chat => {
                    json!([{ "type": "function", "function": { "name": CALL.0, "parameters": parameters } }])
                }
                Front::Messages => json!([{ "name": CALL.0, "input_schema": parameters }]),
            };
        }
        body
    }

    fn check(self, heard: &Heard) {
        let who = format!("{self:?}");
        let [_, two] = self.providers();
        match self.expected() {
            Expected::Whole => {
                heard.assert_whole(&PIECES.concat(), &who);
                assert!(heard.seams().is_empty(), "{who}: {heard:#?}");
            }
            Expected::Seam => {
                heard.assert_whole(&PIECES.concat(), &who);
                assert_eq!(heard.seams(), [format!("{two}/m{}@K", self.number)], "{who}");
            }
            Expected::Broken => {
                let said = if self.calls() { PIECES.concat() } else { PIECES[0].to_owned() };
                heard.assert_broken(&said, &who);
                assert_eq!(heard.text, said, "{who}: {heard:#?}");
                let error = &heard.errors[0];
                assert!(error["message"].is_string() && error["type"].is_string(), "{who}: {error}");
                let chats = ["param", "code"].iter().all(|name| error.get(*name).is_some());
                assert!(chats || self.front == Front::Messages, "{who}: {error}");
            }
        }
        if self.calls() && heard.is_normal() {
            assert_eq!(heard.calls, [(CALL.0.to_owned(), CALL.1.to_owned())], "{who}");
        }
    }
}

/// The vendors of a dialect's cases: the faulty one and the healthy one, for text and for calls.
async fn vendors(cases: &Arc<Vec<Case>>) -> Vec<(Vendor, &'static str, bool)> {
    let text = Speech::of("one", &PIECES);
    let calls = Speech { call: Some((CALL.0, vec!["{\"at\":", "\"home\"}"])), ..text.clone() };
    let mut all = Vec::new();
    for (speech, one, two) in [(text, "one", "two"), (calls, "one-calls", "two-calls")] {
        let known = Arc::clone(cases);
        let play = move |asked: &crate::support::replay::Asked, _| {
            let number: usize = asked.model().trim_start_matches('m').parse().unwrap();
            Act::Fails(known[number].fault, known[number].place)
        };
        all.push((Vendor::start(&speech, Prefill::Ignores, play).await, one, true));
        all.push((Vendor::healthy(&speech.by("two"), Prefill::GoesOn).await, two, false));
    }
    all
}

async fn run(upstream: Dialect, count: usize) {
    let cases = Arc::new(cases(upstream));
    assert_eq!(cases.len(), count, "of {upstream:?}");
    let vendors = vendors(&cases).await;
    let provider = |(vendor, name, faulty): &(Vendor, &str, bool)| {
        let (dialect, more) = if *faulty {
            (upstream, "timeouts: { first_content: '600ms', stall: '600ms' }")
        } else {
            (upstream.next(), "")
        };
        vendor.provider(name, dialect, &["K"], more)
    };
    let providers: Vec<String> = vendors.iter().map(provider).collect();
    let chains: Vec<String> = cases.iter().map(|case| case.chain()).collect();
    let gateway = Arc::new(Gateway::start(&config(&providers, &chains, BRIEF)).await);
    let exchanges = cases.iter().map(|case| {
        let (case, gateway) = (*case, Arc::clone(&gateway));
        async move { case.check(&case.front.listen(&gateway, case.mode, &case.body()).await) }
    });
    several(12, exchanges.collect::<Vec<_>>()).await;
    gateway.idle().await;
    let malformed = cases.iter().filter(|case| case.fault == Fault::Malformed).count();
    let counted = gateway.metric("backstop_malformed_chunks_total", &[]).await;
    assert!(counted >= malformed as f64, "{counted} of {malformed} malformed chunks were counted");
    let seams: Vec<&Case> = cases.iter().filter(|case| case.expected() == Expected::Seam).collect();
    let continued = gateway.metric("backstop_stream_recoveries_total", &["outcome=\"continued\""]).await;
    assert_eq!(continued, seams.len() as f64);
    went_on(&vendors, &seams);
}

/// Each continuation asked the second vendor once, with what had been said.
fn went_on(vendors: &[(Vendor, &'static str, bool)], seams: &[&Case]) {
    for (vendor, name, _) in vendors.iter().filter(|(.., faulty)| !faulty) {
        vendor.assert_understood(name);
        let asked = vendor.asked();
        for case in seams.iter().filter(|case| case.providers()[1] == *name) {
            let model = format!("m{}", case.number);
            let prefills: Vec<_> =
                asked.iter().filter(|asked| asked.model() == model).map(|asked| asked.prefill()).collect();
            assert_eq!(prefills, [Some(PIECES[0].trim_end().to_owned())], "{case:?}");
        }
    }
}

#[tokio::test]
async fn every_fault_of_openai_at_every_place() {
    run(Dialect::OpenAi, 210).await;
}

#[tokio::test]
async fn every_fault_of_anthropic_at_every_place() {
    run(Dialect::Anthropic, 186).await;
}

#[tokio::test]
async fn every_fault_of_bedrock_at_every_place() {
    run(Dialect::Bedrock, 210).await;
}
