//! Recorded streams on a socket: whole, in tiny pieces, and cut. A cut one ends with an error and no normal ending, unless
//! its reason to finish had come; what was heard is the beginning of what the whole stream says.
//!
//! Owns the replaying. Where recorded traffic is, is known elsewhere; without any this is skipped (an error in CI).

#![allow(clippy::print_stdout, reason = "it says how much was there")]

use std::sync::Arc;

use serde_json::{Value, json};

use super::heard::Heard;
use super::{BRIEF, Front, MODE, config, several};
use crate::support::replay::fault::written;
use crate::support::replay::{Act, Asked, Dialect, Ending, Prefill, Speech, Vendor};
use crate::support::{Answer, Gateway};
use crate::translate::Wire;
use crate::translate::traffic;

/// Longer streams are not replayed byte by byte: one of 256 KiB would take longer than all others together.
const TINY: usize = 64 << 10;

/// How a stream is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Front(Front),
    Responses,
}

/// A recorded stream.
struct Recording {
    id: String,
    dialect: Dialect,
    bytes: Vec<u8>,
    ways: &'static [Way],
    /// What stands in it from its reason to finish on.
    finish: Finish,
}

#[derive(Debug, Clone, Copy)]
enum Finish {
    /// A field whose value is a text.
    Field(&'static str),
    /// One of these words.
    Words(&'static [&'static str]),
}

impl Finish {
    fn is_in(self, bytes: &[u8]) -> bool {
        let text = String::from_utf8_lossy(bytes);
        match self {
            Self::Words(words) => words.iter().any(|word| text.contains(word)),
            Self::Field(name) => text.match_indices(name).any(|(at, _)| {
                let value =
                    text[at + name.len()..].strip_prefix('"').and_then(|rest| rest.trim_start().strip_prefix(':'));
                value.is_some_and(|value| value.trim_start().starts_with('"'))
            }),
        }
    }
}

/// One replay of it: pieces of this size, perhaps cut.
#[derive(Debug, Clone, Copy)]
struct Play {
    size: usize,
    until: usize,
    ending: Ending,
}

/// What a client was told, whichever way.
#[derive(Debug, Clone, Default, PartialEq)]
struct Told {
    status: u16,
    text: String,
    thinking: String,
    refusal: String,
    calls: Vec<(String, String)>,
    finishes: Vec<String>,
    ends: usize,
    errors: usize,
}

impl Told {
    fn of(way: Way, answer: &Answer) -> Self {
        let front = match way {
            Way::Front(front) => front,
            Way::Responses => return Self::response(answer),
        };
        let Heard { status, text, thinking, refusal, calls, finishes, ends, errors, .. } = Heard::of(front, answer);
        Self { status, text, thinking, refusal, calls, finishes, ends, errors: errors.len() }
    }

    fn response(answer: &Answer) -> Self {
        let mut told = Self { status: answer.status, ..Self::default() };
        let events = answer.events().into_iter().filter_map(|data| serde_json::from_str::<Value>(&data).ok());
        for event in events {
            let delta = event["delta"].as_str().unwrap_or_default();
            match event["type"].as_str().unwrap_or_default() {
                "response.output_text.delta" => told.text.push_str(delta),
                "response.refusal.delta" => told.refusal.push_str(delta),
                "response.function_call_arguments.delta" => told.thinking.push_str(delta),
                name @ ("response.completed" | "response.incomplete") => {
                    told.finishes.push(name.to_owned());
                    told.ends += 1;
                }
                "response.failed" => told.errors += 1,
                _ => {}
            }
        }
        told
    }
}

fn ask(way: Way, model: &str) -> (&'static str, Value) {
    match way {
        Way::Front(front) => (front.path(), front.ask(model, "hi")),
        Way::Responses => ("/v1/responses", json!({ "model": model, "input": "hi", "stream": true })),
    }
}

fn recordings() -> Vec<Recording> {
    const BOTH: &[Way] = &[Way::Front(Front::Chat), Way::Front(Front::Messages)];
    let translated = traffic::recorded().into_iter().filter(|exchange| exchange.stream && exchange.status == 200);
    let translated = translated.map(|exchange| {
        let (dialect, finish) = match exchange.wire {
            Wire::Chat => (Dialect::OpenAi, Finish::Field("finish_reason")),
            Wire::Messages => (Dialect::Anthropic, Finish::Field("stop_reason")),
            Wire::Converse => (Dialect::Bedrock, Finish::Words(&["messageStop"])),
        };
        Recording { id: exchange.id, dialect, bytes: exchange.response, ways: BOTH, finish }
    });
    let responses =
        crate::wire::recorded().into_iter().filter(|exchange| exchange.api == "responses" && exchange.stream);
    let responses = responses.filter(|exchange| exchange.status == 200).map(|exchange| Recording {
        id: exchange.id,
        dialect: Dialect::OpenAi,
        bytes: exchange.response.unwrap_or_default().into_bytes(),
        ways: &[Way::Responses],
        finish: Finish::Words(&["response.completed", "response.incomplete"]),
    });
    translated.chain(responses).collect()
}

impl Recording {
    /// The whole stream first, then in pieces, then cut at six places.
    fn plays(&self) -> Vec<Play> {
        let length = self.bytes.len();
        let sizes = [usize::MAX, 7, 1].into_iter().filter(|size| *size > 1 || length < TINY);
        let mut plays: Vec<Play> = sizes.map(|size| Play { size, until: length, ending: Ending::Body }).collect();
        for (place, ending) in (1..=6).zip([Ending::Reset, Ending::Close, Ending::Body].into_iter().cycle()) {
            plays.push(Play { size: usize::MAX, until: length * place / 7 + place, ending });
        }
        // Each costs the stall limit: one of so many recordings, by its length.
        if length.is_multiple_of(8) {
            plays.push(Play { size: usize::MAX, until: length / 2, ending: Ending::Stall });
        }
        plays
    }

    fn check(&self, way: Way, play: Play, whole: &Told, told: &Told) {
        let who = format!("{} {way:?} {play:?}", self.id);
        if play.until == self.bytes.len() {
            assert_eq!(told, whole, "{who}");
            return;
        }
        let text = told.text.trim_end_matches(char::REPLACEMENT_CHARACTER);
        assert!(whole.text.starts_with(text) && whole.thinking.starts_with(&told.thinking), "{who}: {told:#?}");
        if self.finish.is_in(&self.bytes[..play.until]) {
            return;
        }
        assert!(told.ends == 0 && told.finishes.is_empty(), "{who} looks whole: {told:#?}");
        assert!(told.status != 200 || told.errors == 1, "{who} does not say that it failed: {told:#?}");
    }

    /// Each play on each way, with a model of its own so that none meets another one's cooldown.
    async fn replay(self) -> usize {
        let plays = self.plays();
        let model = |way: usize, play: usize| format!("w{way}p{play}");
        let known: Vec<Act> = plays
            .iter()
            .map(|play| {
                let bytes = &self.bytes[..play.until.min(self.bytes.len())];
                Act::Moves(written(self.dialect.content_type(), bytes, play.size, play.ending))
            })
            .collect();
        let act = move |asked: &Asked, _| {
            let play = asked.model().rsplit('p').next().and_then(|play| play.parse::<usize>().ok());
            known[play.unwrap()].clone()
        };
        let vendor = Vendor::start(&Speech::of("one", &[]), Prefill::Ignores, act).await;
        let all: Vec<(usize, usize)> =
            (0..self.ways.len()).flat_map(|way| (0..plays.len()).map(move |play| (way, play))).collect();
        let chain = |(way, play): &(usize, usize)| {
            let model = model(*way, *play);
            format!("{model}: ['one/{model}']")
        };
        let chains: Vec<String> = all.iter().map(chain).collect();
        let short = "timeouts: { first_content: '600ms', stall: '600ms' }";
        let provider = vendor.provider("one", self.dialect, &["K"], short);
        let gateway = Arc::new(Gateway::start(&config(&[provider], &chains, BRIEF)).await);
        let recording = Arc::new(self);
        for (number, way) in recording.ways.iter().enumerate() {
            let whole = Arc::new(told(&gateway, *way, model(number, 0)).await);
            let ends = whole.ends == 1 || whole.errors == 1 || whole.status != 200;
            assert!(ends, "{} {way:?} neither ends nor fails: {whole:#?}", recording.id);
            let rest = plays.iter().enumerate().skip(1).map(|(at, play)| {
                let (gateway, recording, whole) = (Arc::clone(&gateway), Arc::clone(&recording), Arc::clone(&whole));
                let (way, play, model) = (*way, *play, model(number, at));
                async move { recording.check(way, play, &whole, &told(&gateway, way, model).await) }
            });
            several(6, rest).await;
        }
        gateway.idle().await;
        all.len()
    }
}

async fn told(gateway: &Gateway, way: Way, model: String) -> Told {
    let (path, body) = ask(way, &model);
    Told::of(way, &gateway.post(path, &[(MODE, "error")], &body).await)
}

#[tokio::test]
async fn every_recorded_stream_is_heard_alike_however_it_comes_and_never_looks_whole_when_cut() {
    let recordings = recordings();
    let (count, mut replays) = (recordings.len(), 0);
    for recording in recordings {
        replays += recording.replay().await;
    }
    println!("{replays} replays of {count} recorded streams");
}
