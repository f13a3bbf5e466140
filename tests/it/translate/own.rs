//! Each shape of an answer and of a stream once, written here from the facts: the suite stands without recordings.

use backstop::dialect::canonical::{Stop, Usage};
use serde_json::Value;

use super::said::{Called, Said};
use super::through::{self, Heard};
use super::{Front, Wire, answers, plain_said, streams};

const ANSWERS: &str = include_str!("../../fixtures/translate/answers.json");
const STREAMS: &str = include_str!("../../fixtures/translate/streams.json");

fn cases(text: &str) -> Vec<Value> {
    serde_json::from_str(text).expect("a fixture is JSON")
}

fn wire(case: &Value) -> Wire {
    match case["wire"].as_str().unwrap() {
        "chat" => Wire::Chat,
        "messages" => Wire::Messages,
        "converse" => Wire::Converse,
        other => panic!("no wire: {other}"),
    }
}

/// The meaning as the fixture writes it; `None` if the case is a failure.
fn meaning(case: &Value) -> Option<Said> {
    let means = case["means"].as_object()?;
    let text = |name: &str| means.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let texts = |name: &str| {
        let list = means.get(name).and_then(Value::as_array).into_iter().flatten();
        list.map(|text| text.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let calls = means.get("calls").and_then(Value::as_array).into_iter().flatten().map(|call| Called {
        id: call[0].as_str().unwrap().to_owned(),
        name: call[1].as_str().unwrap().to_owned(),
        input: call[2].clone(),
    });
    let usage = means.get("usage").map(|counts| {
        let count = |at: usize| counts[at].as_u64().unwrap();
        let [input, cache_read, cache_write, output, reasoning] = [0, 1, 2, 3, 4].map(count);
        Usage { input, cache_read, cache_write, output, reasoning }
    });
    let stop = match means["stop"].as_str().unwrap() {
        "end" => Stop::End,
        "sequence" => Stop::Sequence,
        "length" => Stop::Length,
        "tools" => Stop::Tools,
        "filtered" => Stop::Filtered,
        "paused" => Stop::Paused,
        other => panic!("no stop: {other}"),
    };
    Some(Said {
        text: text("text"),
        refusal: text("refusal"),
        thinking: text("thinking"),
        signatures: texts("signatures"),
        redacted: texts("redacted"),
        calls: calls.collect(),
        stop,
        sequence: means.get("sequence").and_then(Value::as_str).map(str::to_owned),
        usage,
    })
}

#[test]
fn every_shape_of_an_answer() {
    for case in cases(ANSWERS) {
        let (who, wire, body) = (case["name"].as_str().unwrap(), wire(&case), &case["answer"]);
        let Some(means) = meaning(&case) else {
            let parsed = through::parse(wire, body.to_string().as_bytes());
            // Or it is an answer that no two dialects write alike.
            assert_eq!(parsed.is_ok(), case["only"].is_string(), "{who}: {parsed:?}");
            continue;
        };
        assert_eq!(plain_said::whole(wire, body), means, "{who}, plainly read");
        answers::carried(wire, body, who);
    }
}

fn heard(case: &Value, wire: Wire) -> (Vec<Value>, Heard) {
    if let Some(text) = case["text"].as_str() {
        return (plain_said::data(text.as_bytes()), through::stream(wire, std::iter::once(text.as_bytes())));
    }
    let events = case["data"].as_array().unwrap().clone();
    if wire != Wire::Converse {
        let bytes = through::to_stream(wire, &events);
        return (events, through::stream(wire, std::iter::once(bytes.as_slice())));
    }
    let mut messages = through::to_messages(&events);
    for message in messages.iter_mut().filter(|message| case["exception"] == message.name.as_str()) {
        message.message_type = "exception".to_owned();
    }
    (events, through::converse(&messages))
}

#[test]
fn every_shape_of_a_stream() {
    for case in cases(STREAMS) {
        let (who, wire) = (case["name"].as_str().unwrap(), wire(&case));
        let (events, heard) = heard(&case, wire);
        let Some(means) = meaning(&case) else {
            streams::failed(&heard, who);
            continue;
        };
        Said::heard(&heard.events).assert_is(&means, who);
        streams::carried(wire, &events, &heard, who);
    }
}

/// For the gate and the relay, which judge it and say it in words of their own: they see a stream of the front's dialect.
#[test]
fn an_error_is_the_last_that_is_written_and_has_the_vendors_words() {
    for case in cases(STREAMS).iter().filter(|case| case["means"].is_null()) {
        let (_, heard) = heard(case, wire(case));
        for front in Front::ALL {
            let written = String::from_utf8_lossy(heard.written(front));
            let last = written.trim_end().rsplit("\n\n").next().unwrap_or_default();
            assert!(last.starts_with("event: error\ndata: {"), "{} in {front:?}: {written}", case["name"]);
            let words = ["\"no\"", "Overloaded", "Upstream error", "Internal server", "Too many", "The model failed"];
            assert!(words.iter().any(|words| last.contains(words)), "{} in {front:?}: {last}", case["name"]);
        }
    }
}
