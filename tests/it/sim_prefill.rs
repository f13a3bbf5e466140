//! Scripted answers, and conversations that end with the assistant's own words, as each vendor takes them.

use backstop::sim::{self, Dialect, Sim};
use serde_json::{Value, json};

use super::sim::{Heard, PATIENCE, connect, listen, sim_of};
use super::sim_streams::Events;

/// White space stands at the ends of pieces, and letters of several bytes are cut beside.
const ANSWER: &str = "Grüße, Welt. Es geht weiter, \u{1f30d}\u{1f30d} und weiter.";
const PIECES: usize = 5;
const OLD: &str = "claude-opus-4-5";
const NEW: &str = "claude-sonnet-4-6";
const ALL: [Dialect; 3] = [Dialect::OpenAi, Dialect::Anthropic, Dialect::Bedrock];

fn script(more: &str) -> String {
    format!("{{ answer: '{ANSWER}', chunks: {PIECES}, {more} }}")
}

/// A request whose conversation ends with those words of the assistant.
fn request(dialect: Dialect, model: &str, stream: bool, prefill: Option<&str>, more: &Value) -> String {
    let content = |text: &str| match dialect {
        Dialect::Bedrock => json!([{ "text": text }]),
        Dialect::OpenAi | Dialect::Anthropic => json!(text),
    };
    let mut messages = vec![json!({ "role": "user", "content": content("hi") })];
    messages.extend(prefill.map(|words| json!({ "role": "assistant", "content": content(words) })));
    let path = match dialect {
        Dialect::OpenAi => "/one/v1/chat/completions".to_owned(),
        Dialect::Anthropic => "/one/v1/messages".to_owned(),
        Dialect::Bedrock => format!("/one/model/{model}/{}", if stream { "converse-stream" } else { "converse" }),
    };
    let mut body = match dialect {
        Dialect::OpenAi => json!({ "model": model, "stream": stream, "stream_options": { "include_usage": true } }),
        Dialect::Anthropic => json!({ "model": model, "stream": stream, "max_tokens": 9_000 }),
        Dialect::Bedrock => json!({}),
    };
    body["messages"] = messages.into();
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    let (body, close) = (body.to_string(), "anthropic-version: 2023-06-01\r\nconnection: close");
    format!("POST {path} HTTP/1.1\r\nhost: sim\r\n{close}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// What was answered: pieces of text, and the tokens that they count for.
#[derive(Debug, PartialEq)]
struct Said {
    pieces: Vec<String>,
    tokens: u64,
}

/// One piece of a plain answer, none of a silent one.
fn plain(heard: &Heard) -> Said {
    let body: Value = serde_json::from_str(&heard.body()).unwrap_or_else(|e| panic!("{e}: {}", heard.text()));
    let text = ["/choices/0/message/content", "/content/0/text", "/output/message/content/0/text"]
        .iter()
        .find_map(|place| body.pointer(place)?.as_str());
    let pieces = text.into_iter().filter(|text| !text.is_empty()).map(str::to_owned).collect();
    Said { pieces, tokens: tokens(&body["usage"]) }
}

fn tokens(usage: &Value) -> u64 {
    let counts = ["completion_tokens", "output_tokens", "outputTokens"];
    counts.iter().find_map(|count| usage[count].as_u64()).unwrap_or_else(|| panic!("no count in {usage}"))
}

fn streamed(dialect: Dialect, heard: &Heard) -> Said {
    if dialect == Dialect::OpenAi {
        let body = heard.body();
        let data = body.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
        let events: Vec<Value> = data.collect();
        let piece = |event: &Value| event.pointer("/choices/0/delta/content")?.as_str().map(str::to_owned);
        let pieces = events.iter().filter_map(piece).filter(|piece| !piece.is_empty()).collect();
        return Said { pieces, tokens: tokens(&events.last().unwrap()["usage"]) };
    }
    let events = Events::of(dialect, heard);
    let usage = events.named.iter().rev().find_map(|(_, data)| data.get("usage")).unwrap();
    let blocks = |part: &str| events.names().iter().filter(|name| name.ends_with(part)).count();
    let pieces = events.deltas("text");
    let starts = if dialect == Dialect::Bedrock { 0 } else { usize::from(!pieces.is_empty()) };
    let stops = blocks("lock_stop") + blocks("lockStop");
    assert_eq!((blocks("lock_start"), stops), (starts, usize::from(!pieces.is_empty())), "{:?}", events.names());
    Said { pieces, tokens: tokens(usage) }
}

/// The pieces of the stream; the plain answer has to be the same text and the same count.
async fn ask(sim: &Sim, dialect: Dialect, model: &str, prefill: Option<&str>) -> Vec<String> {
    let hear = async |stream: bool| {
        let asked = request(dialect, model, stream, prefill, &json!({}));
        let heard = listen(connect(sim.addr(), &asked).await, PATIENCE).await;
        assert!(heard.head().starts_with("http/1.1 200"), "{dialect:?} {model} {prefill:?}: {}", heard.text());
        heard
    };
    let (streamed, plain) = (streamed(dialect, &hear(true).await), plain(&hear(false).await));
    assert_eq!((streamed.pieces.concat(), streamed.tokens), (plain.pieces.concat(), plain.tokens), "{dialect:?}");
    assert_eq!(streamed.tokens, streamed.pieces.len() as u64, "{dialect:?}: a token a piece");
    streamed.pieces
}

#[tokio::test]
async fn everybody_says_the_scripted_answer_in_the_same_pieces() {
    let sim = sim_of(&script(
        "rules: [{ match: { model: 'laconic' }, fault: { answer: 'ok' } }, \
         { match: { model: 'mute' }, fault: { answer: '' } }]",
    ));
    for dialect in ALL {
        let pieces = ask(&sim, dialect, "m", None).await;
        assert_eq!((pieces.concat().as_str(), pieces.len()), (ANSWER, PIECES), "{dialect:?}");
        assert_eq!(ask(&sim, dialect, OLD, None).await, pieces, "the same whoever it is");
        assert_eq!(ask(&sim, dialect, "laconic", None).await, ["o", "k"], "no more pieces than letters");
        assert_eq!(ask(&sim, dialect, "mute", None).await, [""; 0]);
    }
    let (status, body) = super::sim::post(&sim, "/v1/completions", "k", &json!({ "model": "m", "prompt": "x" })).await;
    assert_eq!((status, &body["choices"][0]["text"]), (200, &json!(ANSWER)));
    let (_, body) = super::sim::post(&sim, "/v1/responses", "k", &json!({ "model": "m", "input": "x" })).await;
    assert_eq!(body["output"][0]["content"][0]["text"], ANSWER);
}

/// Whatever was cut: the words and what comes after them are the answer.
#[tokio::test]
async fn a_model_goes_on_from_its_own_words() {
    let sim = sim_of(&script("prefill: true"));
    let cuts: Vec<usize> = ANSWER.char_indices().map(|(at, _)| at).skip(1).chain([ANSWER.len()]).collect();
    for dialect in ALL {
        for cut in &cuts {
            let words = ANSWER[..*cut].trim_end();
            let left = ask(&sim, dialect, "m", Some(words)).await;
            assert_eq!(words.to_owned() + &left.concat(), ANSWER, "{dialect:?}");
            assert!(left.len() <= PIECES && left.iter().all(|piece| !piece.is_empty()), "{left:?}");
        }
        assert_eq!(ask(&sim, dialect, "m", Some("Servus")).await.concat(), ANSWER, "none of its beginnings");
    }
    // Where white space at the end is taken, it was said, too.
    let words = "Grüße, ";
    assert_eq!(ask(&sim, Dialect::OpenAi, "m", Some(words)).await.concat(), ANSWER[words.len()..]);
    assert_eq!(ask(&sim, Dialect::OpenAi, "m", Some("Grüße,  \n")).await.concat(), ANSWER[words.len() - 1..]);
}

#[tokio::test]
async fn a_generated_answer_is_gone_on_with_as_well() {
    let sim = sim_of("{ chunks: 3 }");
    for dialect in [Dialect::Anthropic, Dialect::Bedrock] {
        let whole = ask(&sim, dialect, OLD, None).await;
        assert_eq!(whole, sim::pieces("one", OLD, "", 3));
        assert_eq!(ask(&sim, dialect, OLD, Some(&whole[..2].concat())).await, whole[2..]);
    }
}

#[tokio::test]
async fn a_turn_of_several_messages_and_blocks_is_one_prefill() {
    let sim = sim_of(&script(""));
    let text = |text: &str| json!({ "type": "text", "text": text });
    let messages = json!([{ "role": "user", "content": "hi" }, { "role": "assistant", "content": "Grüße, " },
        { "role": "assistant", "content": [text("We"), text("lt.")] }]);
    let asked = request(Dialect::Anthropic, OLD, false, None, &json!({ "messages": messages }));
    let heard = listen(connect(sim.addr(), &asked).await, PATIENCE).await;
    assert_eq!(plain(&heard).pieces.concat(), ANSWER["Grüße, Welt.".len()..]);
}

/// Who goes on, who begins anew and who refuses, by dialect and model, without a word in the script and with one.
#[tokio::test]
async fn each_model_treats_a_prefill_as_its_vendor_does() {
    use Dialect::{Anthropic, Bedrock, OpenAi};
    const WORDS: &str = "Grüße, Welt.";
    let (goes_on, anew, refuses) = (Some(&ANSWER[WORDS.len()..]), Some(ANSWER), None);
    let mine = "{ match: { model: 'my.*' }, fault: { prefill: true } }";
    for (more, dialect, model, expected) in [
        ("", OpenAi, "gpt-4o", anew),
        ("", OpenAi, "anthropic/claude-3.5-sonnet", goes_on),
        ("", OpenAi, NEW, anew),
        ("prefill: true", OpenAi, "gpt-4o", goes_on),
        ("prefill: false", OpenAi, "anthropic/claude-3.5-sonnet", anew),
        ("", Anthropic, OLD, goes_on),
        ("", Anthropic, "some-other-model", goes_on),
        ("", Anthropic, NEW, refuses),
        ("", Anthropic, "claude-opus-4-7", refuses),
        ("", Anthropic, "claude-sonnet-5", refuses),
        ("", Anthropic, "claude-mythos-preview", refuses),
        ("prefill: true", Anthropic, NEW, goes_on),
        ("prefill: false", Anthropic, OLD, refuses),
        ("", Bedrock, "anthropic.claude-3-5-sonnet-20241022-v2:0", goes_on),
        ("", Bedrock, "amazon.nova-lite-v1:0", goes_on),
        ("", Bedrock, "anthropic.claude-opus-4-6-v1", refuses),
        ("prefill: false", Bedrock, "amazon.nova-lite-v1:0", refuses),
        (mine, OpenAi, "my.model", goes_on),
        (mine, Bedrock, "anthropic.claude-sonnet-4-6", refuses),
        (mine, Bedrock, "my.claude-sonnet-4-6", goes_on),
    ] {
        let more = if more.starts_with('{') { format!("rules: [{more}]") } else { more.to_owned() };
        let sim = sim_of(&script(&more));
        if let Some(text) = expected {
            assert_eq!(ask(&sim, dialect, model, Some(WORDS)).await.concat(), text, "{more} {dialect:?} {model}");
            continue;
        }
        assert_eq!(ask(&sim, dialect, model, None).await.concat(), ANSWER, "without one it answers");
        refused(&sim, dialect, model, WORDS, "does not support assistant message prefill").await;
    }
}

async fn refused(sim: &Sim, dialect: Dialect, model: &str, words: &str, why: &str) {
    for stream in [false, true] {
        let asked = request(dialect, model, stream, Some(words), &json!({}));
        let heard = listen(connect(sim.addr(), &asked).await, PATIENCE).await;
        assert!(heard.head().starts_with("http/1.1 400"), "{dialect:?} {model}: {}", heard.text());
        assert!(heard.body().contains(why), "{}", heard.text());
        let kind = if dialect == Dialect::Bedrock { "validationexception:" } else { "invalid_request_error" };
        assert!(heard.text().to_ascii_lowercase().contains(kind), "{}", heard.text());
    }
}

#[tokio::test]
async fn white_space_at_the_end_and_missing_thoughts_are_refused() {
    let sim = sim_of(&script(""));
    for dialect in [Dialect::Anthropic, Dialect::Bedrock] {
        refused(&sim, dialect, OLD, "Grüße, ", "final assistant content cannot end with trailing whitespace").await;
    }
    let thinking = json!({ "thinking": { "type": "enabled", "budget_tokens": 2_000 } });
    let asked = request(Dialect::Anthropic, OLD, true, Some("Grüße,"), &thinking);
    let heard = listen(connect(sim.addr(), &asked).await, PATIENCE).await;
    assert!(heard.text().contains("must start with a thinking block"), "{}", heard.text());
}

/// A tool is called, a fault strikes and tokens are counted whatever is scripted to be said.
#[tokio::test]
async fn an_answer_changes_nothing_else() {
    let sim = sim_of(&script("rules: [{ match: { model: 'cut' }, fault: { cut_after_chunks: 2 } }]"));
    let tools = json!({ "tools": [{ "type": "function", "function": { "name": "f", "parameters": {} } }] });
    let asked = request(Dialect::OpenAi, "m", false, None, &tools);
    let heard = listen(connect(sim.addr(), &asked).await, PATIENCE).await;
    assert!(heard.text().contains("\"finish_reason\":\"tool_calls\""), "{}", heard.text());
    let asked = request(Dialect::Bedrock, "cut", true, None, &json!({}));
    let heard = listen(connect(sim.addr(), &asked).await, PATIENCE).await;
    let said = Events::of(Dialect::Bedrock, &heard).deltas("text");
    assert!(said.len() == 2 && ANSWER.starts_with(&said.concat()), "{said:?}");
}
