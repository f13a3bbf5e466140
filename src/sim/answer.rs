//! Healthy answers: deterministic text that says who answered, and which module puts it into an endpoint's shape.
//!
//! Pure functions from what was asked to JSON. Owns what an answer is before it is put on the wire. Refuses to know
//! sockets, delays and faults.

use serde_json::{Value, json};

use super::ask::Ask;
use super::encode::{base64, mix};
use super::errors::Told;
use super::route::Endpoint;
use super::{anthropic, bedrock, chat, media, prefill, responses};

/// Seconds since the epoch in every answer: fixed, so that runs can be compared.
pub(super) const CREATED: u64 = 1_760_000_000;
/// Length of an embedding when the request names none.
const DIMENSIONS: usize = 16;

/// Who answers, for which request.
#[derive(Debug, Clone)]
pub(super) struct Who {
    pub provider: String,
    pub last4: String,
    /// Number of the request since the start.
    pub number: u64,
    /// Content chunks.
    pub chunks: u32,
    /// What the script has everybody say.
    pub answer: Option<String>,
    /// Bytes of the request's body: the prompt's size for the usage numbers.
    pub body_len: usize,
}

/// An answer before it is put on the wire.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    Whole {
        status: u16,
        body: String,
    },
    /// The vendor does not take the request.
    Refused(Told),
    Events(Events),
    /// Something else than JSON, with its content type.
    Media {
        kind: &'static str,
        body: Vec<u8>,
    },
}

/// A stream: the data of its events, in their order.
#[derive(Debug, Clone)]
pub(super) struct Events {
    pub framing: Framing,
    /// What comes before the first content.
    pub preamble: Vec<String>,
    pub content: Vec<String>,
    /// What says that the answer is whole, and why it ends.
    pub finish: Vec<String>,
    pub usage: Option<String>,
    /// What comes last: `[DONE]`, `message_stop`, `metadata`.
    pub done: Option<String>,
}

impl Events {
    /// Events that go by their names, the last of which says that it is the last.
    pub(super) fn named(preamble: Vec<String>, content: Vec<String>, finish: Vec<String>) -> Self {
        Self { framing: Framing::Named, preamble, content, finish, usage: None, done: None }
    }
}

/// How an event is put on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// `data:` lines.
    Data,
    /// The same, each under the name of its `type`.
    Named,
    /// Frames of AWS's event stream: the data is an object with one key, the event's name.
    Frames,
}

/// The text that a healthy simulator answers with: first who it is, then filling, in `chunks` pieces.
#[must_use]
pub fn pieces(provider: &str, model: &str, last4: &str, chunks: u32) -> Vec<String> {
    let first = format!("I am {provider}/{model} with key ...{last4}.");
    (1..=chunks).map(|n| if n == 1 { first.clone() } else { format!(" Word {n}.") }).collect()
}

/// The healthy answer of an endpoint.
pub(super) fn reply(endpoint: &Endpoint, ask: &Ask, who: &Who, models: &[String]) -> Reply {
    let whole = |body: Value| Reply::Whole { status: 200, body: body.to_string() };
    match endpoint {
        Endpoint::Chat if ask.streams() => chat::stream(ask, who),
        Endpoint::Chat => whole(chat::answer(ask, who)),
        Endpoint::Completions if ask.streams() => chat::completion_stream(ask, who),
        Endpoint::Completions => whole(chat::completion(ask, who)),
        Endpoint::Embeddings => whole(embeddings(ask, who)),
        Endpoint::Moderations => whole(moderations(ask, who)),
        Endpoint::Responses if ask.streams() => responses::stream(ask, who),
        Endpoint::Responses => whole(responses::response(ask, who)),
        Endpoint::Images => media::image(ask, who),
        Endpoint::Speech => media::speech(ask, who),
        Endpoint::Heard => media::heard(ask, who),
        Endpoint::Models => {
            let list: Vec<Value> = models.iter().map(|id| model(id, who)).collect();
            whole(json!({ "object": "list", "data": list }))
        }
        Endpoint::Model(id) => whole(model(id, who)),
        Endpoint::Messages if ask.streams() => anthropic::stream(ask, who),
        Endpoint::Messages => whole(anthropic::message(ask, who)),
        Endpoint::CountTokens => whole(anthropic::count(who)),
        Endpoint::Converse => whole(bedrock::message(ask, who)),
        Endpoint::ConverseStream => bedrock::stream(ask, who),
        Endpoint::Unknown => Reply::Refused(Told::new(404, "invalid_request_error", "Unknown request URL.")),
    }
}

fn model(id: &str, who: &Who) -> Value {
    json!({ "id": id, "object": "model", "created": CREATED, "owned_by": who.provider })
}

/// The scripted text in pieces, else who answers.
pub(super) fn text(ask: &Ask, who: &Who) -> Vec<String> {
    match &who.answer {
        Some(answer) => cut(answer, who.chunks),
        None => pieces(&who.provider, &ask.model, &who.last4, who.chunks),
    }
}

/// What the assistant says, in pieces, as far as it was not said before.
pub(super) fn said(ask: &Ask, who: &Who) -> Vec<String> {
    let whole = formatted(ask, who);
    match &ask.prefill {
        Some(words) => prefill::rest(whole, words),
        None => whole,
    }
}

/// Whether there is nothing to be said, for which no vendor begins a block.
pub(super) fn is_silent(ask: &Ask, who: &Who) -> bool {
    ask.tool().is_none() && is_counted(ask, who) && said(ask, who).is_empty()
}

/// The tokens of what is said: one a piece.
pub(super) fn said_tokens(ask: &Ask, who: &Who) -> usize {
    if ask.tool().is_none() && is_counted(ask, who) { said(ask, who).len() } else { who.chunks as usize }
}

/// Whether there may be other pieces than the script's number of chunks says.
fn is_counted(ask: &Ask, who: &Who) -> bool {
    who.answer.is_some() || ask.prefill.is_some()
}

/// The whole text as the response format wants it: as it is, or JSON. A scripted one is as it is.
fn formatted(ask: &Ask, who: &Who) -> Vec<String> {
    let text = text(ask, who);
    if who.answer.is_some() {
        return text;
    }
    // Chat's response format wraps the schema, that of Responses does not.
    let format = ask.text.get("format").unwrap_or(&ask.response_format);
    let schema = || format.pointer("/json_schema/schema").or_else(|| format.get("schema")).unwrap_or(&Value::Null);
    let json = match format.get("type").and_then(Value::as_str) {
        Some("json_object") => json!({ "answer": text.concat() }),
        Some("json_schema") => example(schema()),
        _ => return text,
    };
    split(&json.to_string(), who.chunks)
}

fn embeddings(ask: &Ask, who: &Who) -> Value {
    // A list of numbers is one input of tokens; a list of anything else is one input each.
    let inputs: Vec<&Value> = match &ask.input {
        Value::Array(list) if list.iter().all(|v| !v.is_number()) => list.iter().collect(),
        one => vec![one],
    };
    let as_text = ask.encoding_format.as_deref() == Some("base64");
    let data = inputs.iter().enumerate().map(|(index, input)| {
        let vector = vector(&input.to_string(), ask.dimensions.unwrap_or(DIMENSIONS));
        let bytes = || vector.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        let embedding = if as_text { json!(base64(&bytes())) } else { json!(vector) };
        json!({ "object": "embedding", "index": index, "embedding": embedding })
    });
    let tokens = tokens(who);
    json!({
        "object": "list", "data": data.collect::<Vec<Value>>(), "model": ask.model,
        "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
    })
}

/// A unit-ish vector that depends on the text only.
fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let seed = text.bytes().fold(0, |seed, byte| mix(seed, u64::from(byte)));
    let number = |n: u64| f32::from(u16::try_from(mix(seed, n) >> 48).unwrap_or(0)) / 32_768.0 - 1.0;
    (0..dimensions.min(4_096) as u64).map(number).collect()
}

fn moderations(ask: &Ask, who: &Who) -> Value {
    const CATEGORIES: [&str; 13] = [
        "harassment",
        "harassment/threatening",
        "hate",
        "hate/threatening",
        "illicit",
        "illicit/violent",
        "self-harm",
        "self-harm/instructions",
        "self-harm/intent",
        "sexual",
        "sexual/minors",
        "violence",
        "violence/graphic",
    ];
    let each = |value: Value| CATEGORIES.iter().map(|name| ((*name).to_owned(), value.clone())).collect::<Value>();
    let result = json!({
        "flagged": false, "categories": each(json!(false)), "category_scores": each(json!(0.0001)),
        "category_applied_input_types": each(json!(["text"])),
    });
    let count =
        if ask.input.get(0).is_some_and(Value::is_string) { ask.input.as_array().map_or(1, Vec::len) } else { 1 };
    let model = if ask.model.is_empty() { "omni-moderation-latest" } else { &ask.model };
    json!({ "id": format!("modr-sim{:08}", who.number), "model": model, "results": vec![result; count] })
}

pub(super) fn call_id(who: &Who) -> String {
    match who.provider.as_str() {
        // Nine letters and digits are all that Mistral has.
        "mistral" => format!("sim{:06}", who.number % 1_000_000),
        _ => format!("call_sim{:08}", who.number),
    }
}

pub(super) fn tokens(who: &Who) -> usize {
    who.body_len.div_ceil(4).max(1)
}

pub(super) fn arguments(function: &Value) -> String {
    let example = example(function.get("parameters").unwrap_or(&Value::Null));
    if example.is_object() { example.to_string() } else { "{}".to_owned() }
}

/// A value that fits the common part of a JSON schema.
fn example(schema: &Value) -> Value {
    if let Some(first) = schema.pointer("/enum/0").or_else(|| schema.get("const")) {
        return first.clone();
    }
    let kind = schema.get("type").map(|t| t.get(0).unwrap_or(t)).and_then(Value::as_str);
    match kind {
        Some("string") => "sim".into(),
        Some("integer" | "number") => 1.into(),
        Some("boolean") => true.into(),
        Some("array") => schema.get("items").map_or_else(|| json!([]), |items| json!([example(items)])),
        Some("object") | None => {
            let fields = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
            Value::Object(fields.map(|(name, field)| (name.clone(), example(field))).collect())
        }
        Some(_) => Value::Null,
    }
}

/// `text` in `parts` pieces of nearly the same length, cut between characters; fewer if it has fewer of those.
fn cut(text: &str, parts: u32) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let parts = (parts.max(1) as usize).min(letters.len());
    let from = |part: usize| part * letters.len() / parts;
    (0..parts).map(|part| letters[from(part)..from(part + 1)].iter().collect()).collect()
}

/// `text` in at most `parts` pieces that are not empty, cut between characters.
pub(super) fn split(text: &str, parts: u32) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let size = letters.len().div_ceil(parts.max(1) as usize).max(1);
    letters.chunks(size).map(|piece| piece.iter().collect()).collect()
}
