//! Streams: each recorded one read and written for both fronts, whole, byte by byte and cut anywhere.

use std::collections::BTreeSet;

use backstop::dialect::canonical::Event;
use serde_json::Value;

use super::said::Said;
use super::through::{self, Heard};
use super::traffic::{pairs, recorded};
use super::{Front, Wire, frame, plain_said, shape, shape_messages};

/// What does not go through as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instead {
    /// The vendor fails in its stream: an error, and nothing that looks like an end.
    Error,
    /// It goes through without what no other dialect can say.
    Less,
}

/// Every recorded stream of which a client gets less than all, with the reason.
const EXCEPTIONS: &[(&str, Instead, &str)] = &[
    ("anthropic-instream-overloaded-first-01", Instead::Error, "an overloaded_error is the first event"),
    ("bedrock-instream-exception-01", Instead::Error, "a validationException is the first frame"),
    ("groq-instream-error-01", Instead::Error, "an error event after some reasoning: the model called a tool wrongly"),
    ("openrouter-instream-error-01", Instead::Error, "an error beside the choices of a chunk"),
    ("anthropic-pause-01", Instead::Less, "Anthropic's own web search: its blocks mean something to Anthropic only"),
    ("anthropic-web-search-01", Instead::Less, "the same, with citations in its text"),
    ("anthropic-stream-tools-02", Instead::Less, "Anthropic's own search for tools"),
    ("bedrock-converse-stream-tools-01", Instead::Less, "Amazon's own interpreter of code"),
];

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn of(seed: &str) -> Self {
        Self(
            seed.bytes()
                .fold(0x9e37_79b9_7f4a_7c15, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)),
        )
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        usize::try_from((mixed ^ (mixed >> 27)) % limit as u64).unwrap()
    }
}

/// The bytes in pieces of up to `most`.
fn cut<'a>(bytes: &'a [u8], most: usize, dice: &mut Dice) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, more) = rest.split_at((1 + dice.below(most)).min(rest.len()));
        pieces.push(piece);
        rest = more;
    }
    pieces
}

/// The events keep the order that writers rely on.
fn lawful(events: &[Event<'_>]) -> Result<(), String> {
    let mut calls = 0;
    let (mut finished, mut ended) = (false, false);
    for (at, event) in events.iter().enumerate() {
        let wrong = |what: &str| Err(format!("{what}: {event:?} at {at}"));
        if ended {
            return wrong("after the end");
        }
        if (at == 0) != matches!(event, Event::Start { .. }) && !matches!(events[0], Event::Error(_)) {
            return wrong("one start, first");
        }
        match event {
            Event::Text(text) | Event::Refusal(text) | Event::Thinking(text) | Event::Input { json: text, .. }
                if text.is_empty() =>
            {
                return wrong("empty");
            }
            Event::Call { index, .. } if *index != calls => return wrong("calls without a gap"),
            Event::Input { index, .. } if *index >= calls => return wrong("input of no call"),
            Event::Call { id, name, .. } if id.is_empty() || name.is_empty() => return wrong("nameless"),
            Event::Call { .. } => calls += 1,
            Event::Finish { .. } if finished => return wrong("finished twice"),
            Event::Finish { .. } => finished = true,
            Event::End if !finished => return wrong("an end without a reason"),
            Event::End | Event::Error(_) => ended = true,
            Event::Half(_) => return wrong("half a character"),
            Event::Malformed => return wrong("cannot be read"),
            Event::Start { .. }
            | Event::Text(_)
            | Event::Refusal(_)
            | Event::Thinking(_)
            | Event::Signature(_)
            | Event::Redacted(_)
            | Event::Input { .. }
            | Event::Usage(_) => {}
        }
    }
    if ended { Ok(()) } else { Err("no end".to_owned()) }
}

/// Whether a client would take it for a whole answer. The vendor's words are for the gate and the relay, which replace them.
fn looks_whole(front: Front, heard: &Heard) -> bool {
    let written = String::from_utf8_lossy(heard.written(front));
    let text = written.split("event: error\n").next().unwrap_or_default();
    match front {
        Front::Chat => text.contains("[DONE]"),
        Front::Messages => text.contains("message_stop"),
    }
}

/// Whether it says why it ends.
fn is_finished(front: Front, heard: &Heard) -> bool {
    let text = String::from_utf8_lossy(heard.written(front));
    match front {
        Front::Chat => text.contains("\"finish_reason\":\""),
        Front::Messages => text.contains("\"stop_reason\":\""),
    }
}

/// What a healthy stream says means the same to both fronts, and what its whole answer would.
pub(super) fn carried(wire: Wire, events: &[Value], heard: &Heard, who: &str) {
    lawful(&heard.events).unwrap_or_else(|why| panic!("{who}: {why}"));
    let whole = plain_said::put_together(wire, events);
    let said = Said::heard(&heard.events);
    said.assert_is(&plain_said::whole(wire, &whole), who);
    super::answers::carried(wire, &whole, &format!("{who}, put together"));
    for front in Front::ALL {
        let who = format!("{who} in {front:?}");
        let written = heard.written(front);
        let good = match front {
            Front::Chat => shape::chat_stream(written, frame().include_usage),
            Front::Messages => shape_messages::messages_stream(written),
        };
        good.unwrap_or_else(|why| panic!("{who}: {why}\n{}", String::from_utf8_lossy(written)));
        let mut told = said.clone().told_in(front);
        // They were asked for.
        told.usage.get_or_insert_default();
        let joined = plain_said::put_together(front.wire(), &plain_said::data(written));
        plain_said::whole(front.wire(), &joined).assert_is(&told, &who);
        let again = through::stream(front.wire(), std::iter::once(written));
        lawful(&again.events).unwrap_or_else(|why| panic!("{who}, again: {why}"));
        Said::heard(&again.events).assert_is(&told, &format!("{who}, again"));
    }
}

/// A stream that the vendor breaks off with an error: the last thing heard, and nothing looks whole.
pub(super) fn failed(heard: &Heard, who: &str) {
    assert!(matches!(heard.events.last(), Some(Event::Error(_))), "{who}: {:?}", heard.events);
    lawful(&heard.events).unwrap_or_else(|why| panic!("{who}: {why}"));
    for front in Front::ALL {
        assert!(!looks_whole(front, heard), "{who} looks whole in {front:?}");
    }
}

/// The events of a Converse stream as JSON, by botocore's names.
fn json_events(wire: Wire, stream: &[u8]) -> Vec<Value> {
    if wire != Wire::Converse {
        return plain_said::data(stream);
    }
    let mut frames = backstop::framing::eventstream::Messages::new(stream.len());
    frames.push(bytes::Bytes::copy_from_slice(stream));
    let mut events = Vec::new();
    while let Some(message) = frames.pull().expect("checksums are right") {
        let payload: Value = serde_json::from_slice(&message.payload).expect("a payload is JSON");
        events.push(Value::Object([(message.name, payload)].into_iter().collect()));
    }
    events
}

#[test]
fn every_recorded_stream_means_the_same_in_every_dialect() {
    let mut seen = 0;
    for exchange in recorded().iter().filter(|exchange| exchange.status == 200 && exchange.stream) {
        let heard = through::stream(exchange.wire, std::iter::once(exchange.response.as_slice()));
        let error = EXCEPTIONS.iter().any(|(id, instead, _)| *id == exchange.id && *instead == Instead::Error);
        if error {
            failed(&heard, &exchange.id);
        } else {
            carried(exchange.wire, &json_events(exchange.wire, &exchange.response), &heard, &exchange.id);
        }
        seen += 1;
    }
    println!("{seen} recorded streams");
}

#[test]
fn every_stream_of_a_pair_means_the_same_in_every_dialect() {
    let mut seen = 0;
    for pair in pairs() {
        for events in &pair.streams {
            let heard = if pair.wire == Wire::Converse {
                through::converse(&through::to_messages(events))
            } else {
                through::stream(pair.wire, std::iter::once(through::to_stream(pair.wire, events).as_slice()))
            };
            carried(pair.wire, events, &heard, &format!("{} ({:?})", pair.case, pair.wire));
            seen += 1;
        }
    }
    println!("{seen} streams of pairs");
}

#[test]
fn cuts_change_neither_events_nor_bytes() {
    for exchange in recorded().iter().filter(|exchange| exchange.status == 200 && exchange.stream) {
        let bytes = exchange.response.as_slice();
        let whole = through::stream(exchange.wire, std::iter::once(bytes));
        let mut dice = Dice::of(&exchange.id);
        for most in [1, 3, 40, 700, 700, 5_000] {
            let cut = through::stream(exchange.wire, cut(bytes, most, &mut dice).into_iter());
            assert_eq!(cut, whole, "{} in pieces of up to {most}", exchange.id);
        }
    }
}

#[test]
fn a_stream_that_breaks_off_never_looks_whole() {
    for exchange in recorded().iter().filter(|exchange| exchange.status == 200 && exchange.stream) {
        // Not frame by frame here: half a frame of a vendor is kept back by the framing, and no event.
        let events = json_events(exchange.wire, &exchange.response);
        let ends = |event: &Value| {
            let finish = event["choices"][0]["finish_reason"].is_string();
            finish || event["type"] == "message_delta" || event.get("messageStop").is_some()
        };
        let Some(end) = events.iter().position(ends) else { continue };
        for until in [1, end / 2, end] {
            let heard = if exchange.wire == Wire::Converse {
                through::converse(&through::to_messages(&events[..until]))
            } else {
                let mut bytes = through::to_stream(exchange.wire, &events[..until]);
                bytes.truncate(bytes.len() - if exchange.wire == Wire::Chat { "data: [DONE]\n\n".len() } else { 0 });
                through::stream(exchange.wire, std::iter::once(bytes.as_slice()))
            };
            assert!(!heard.events.contains(&Event::End), "{} cut at {until} of {}", exchange.id, events.len());
            for front in Front::ALL {
                let whole = looks_whole(front, &heard) || is_finished(front, &heard);
                assert!(!whole, "{} cut at {until} looks whole in {front:?}", exchange.id);
            }
        }
    }
}

#[test]
fn no_exception_is_stale() {
    let recorded = recorded();
    if recorded.is_empty() {
        return;
    }
    let known = ["text", "thinking", "redacted_thinking", "tool_use"];
    let amazons = "\"type\":\"server_tool_use\"";
    for exchange in recorded.iter().filter(|exchange| exchange.status == 200 && exchange.stream) {
        let listed = EXCEPTIONS.iter().find(|(id, ..)| *id == exchange.id).map(|(_, instead, _)| *instead);
        let text = String::from_utf8_lossy(&exchange.response);
        let fails = text.contains("\"error\":{") || text.contains("event: error") || text.contains("exception-type");
        let started = plain_said::data(&exchange.response);
        let foreign = started.iter().any(|event| {
            event["type"] == "content_block_start" && known.iter().all(|kind| event["content_block"]["type"] != *kind)
        });
        let foreign = foreign || (exchange.wire == Wire::Converse && text.contains(amazons));
        let expected = if fails { Some(Instead::Error) } else { foreign.then_some(Instead::Less) };
        assert_eq!(listed, expected, "{}", exchange.id);
    }
    let there: BTreeSet<&str> = recorded.iter().map(|exchange| exchange.id.as_str()).collect();
    for (id, _, reason) in EXCEPTIONS {
        assert!(there.contains(id), "{id} ({reason}) is not there");
    }
}
