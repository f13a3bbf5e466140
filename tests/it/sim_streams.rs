//! Anthropic's events and Bedrock's frames as the simulator writes them, healthy and with every fault.
//!
//! Frames are read by AWS's own decoder, which shares nothing with the simulator's encoder.

use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder};
use backstop::sim::{self, Dialect, Listed, Rule, Script, Sim, Stage};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::sim::{End, Heard, PATIENCE, SILENCE, connect, listed, listen, sim_of};

/// Its colon is escaped in a path.
const MODEL: &str = "claude-v2:0";

/// A request of that dialect, by hand.
pub(super) fn request(dialect: Dialect, stream: bool, more: &Value) -> String {
    let (path, headers, mut body) = match dialect {
        Dialect::Anthropic => (
            "/one/v1/messages".to_owned(),
            "x-api-key: sk-ant-one\r\nanthropic-version: 2023-06-01",
            json!({ "model": MODEL, "max_tokens": 9_000, "stream": stream,
                "messages": [{ "role": "user", "content": "hi" }] }),
        ),
        Dialect::Bedrock => (
            format!("/one/model/claude-v2%3A0/{}", if stream { "converse-stream" } else { "converse" }),
            "authorization: AWS4-HMAC-SHA256 Credential=AKID-one/20260101/us-east-1/bedrock/aws4_request, Signature=0",
            json!({ "messages": [{ "role": "user", "content": [{ "text": "hi" }] }] }),
        ),
        Dialect::OpenAi => panic!("sim.rs asks that"),
    };
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    let (body, close) = (body.to_string(), "connection: close");
    format!("POST {path} HTTP/1.1\r\nhost: sim\r\n{headers}\r\n{close}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

pub(super) async fn ask(sim: &Sim, dialect: Dialect, stream: bool, more: &Value) -> Heard {
    listen(connect(sim.addr(), &request(dialect, stream, more)).await, PATIENCE).await
}

/// A stream's events: their names and data, and whether all bytes were events.
pub(super) struct Events {
    pub named: Vec<(String, Value)>,
    pub sound: bool,
}

impl Events {
    pub(super) fn of(dialect: Dialect, heard: &Heard) -> Self {
        let body = body(heard);
        match dialect {
            Dialect::Bedrock => frames(&body),
            Dialect::Anthropic | Dialect::OpenAi => events(&body),
        }
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.named.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// What the deltas hold at that place.
    pub(super) fn deltas(&self, place: &str) -> Vec<String> {
        let deltas = self.named.iter().filter_map(|(_, data)| data.pointer(&format!("/delta/{place}")));
        deltas.filter_map(|text| text.as_str().map(str::to_owned)).collect()
    }

    fn finishes(&self) -> bool {
        self.named
            .iter()
            .any(|(_, data)| data["stopReason"] == "end_turn" || data["delta"]["stop_reason"] == "end_turn")
    }
}

/// The body without the lengths of its HTTP chunks, as far as they are lengths.
fn body(heard: &Heard) -> Vec<u8> {
    let start = heard.text().find("\r\n\r\n").map_or(heard.bytes.len(), |at| at + 4);
    let mut rest = &heard.bytes[start.min(heard.bytes.len())..];
    if !heard.head().contains("transfer-encoding: chunked") {
        return rest[..heard.length().unwrap_or(rest.len()).min(rest.len())].to_vec();
    }
    let mut body = Vec::new();
    while let Some(line) = rest.windows(2).position(|two| two == b"\r\n") {
        let length = std::str::from_utf8(&rest[..line]).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        let Some(length) = length.filter(|length| *length > 0) else { break };
        rest = &rest[line + 2..];
        body.extend(&rest[..length.min(rest.len())]);
        rest = rest.get(length + 2..).unwrap_or_default();
    }
    body
}

fn events(body: &[u8]) -> Events {
    let text = String::from_utf8_lossy(body).into_owned();
    let mut found = Events { named: Vec::new(), sound: text.is_empty() || text.ends_with("\n\n") };
    for event in text.split_terminator("\n\n") {
        let parts = event.strip_prefix("event: ").and_then(|event| event.split_once("\ndata: "));
        match parts.map(|(name, data)| (name, serde_json::from_str::<Value>(data))) {
            Some((name, Ok(data))) => {
                assert_eq!(data["type"], name, "an event goes by the name of its type");
                found.named.push((name.to_owned(), data));
            }
            Some((_, Err(_))) | None => found.sound = false,
        }
    }
    found
}

fn frames(body: &[u8]) -> Events {
    let mut found = Events { named: Vec::new(), sound: true };
    let (mut decoder, mut rest) = (MessageFrameDecoder::new(), body);
    while !rest.is_empty() {
        let Ok(DecodedFrame::Complete(message)) = decoder.decode_frame(&mut rest) else {
            found.sound = false;
            break;
        };
        let header = |name: &str| {
            let header = message.headers().iter().find(|header| header.name().as_str() == name)?;
            Some(header.value().as_string().unwrap().as_str().to_owned())
        };
        let kind = header(":message-type").unwrap();
        let name = header(":event-type").or_else(|| header(":exception-type")).or_else(|| header(":error-code"));
        let data = serde_json::from_slice::<Value>(message.payload()).unwrap_or_default();
        found.sound &= kind == "error" || (data.is_object() && header(":content-type").unwrap() == "application/json");
        let named = if kind == "event" { String::new() } else { format!("{kind} ") } + &name.unwrap();
        found.named.push((named, data));
    }
    found
}

fn whole() -> String {
    sim::pieces("one", MODEL, "-one", 8).concat()
}

fn plain_text(heard: &Heard) -> Option<String> {
    let body: Value = serde_json::from_str(&heard.body()).ok()?;
    let text = body.pointer("/content/0/text").or_else(|| body.pointer("/output/message/content/0/text"))?;
    let length = heard.head().split("content-length: ").nth(1)?.lines().next()?.parse();
    (length == Ok(heard.body().len())).then(|| text.as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_healthy_stream_has_every_event_in_the_vendors_order() {
    let sim = sim_of("{ chunks: 2 }");
    for (dialect, expected) in [
        (
            Dialect::Anthropic,
            "message_start content_block_start ping content_block_delta content_block_delta content_block_stop \
             message_delta message_stop",
        ),
        (Dialect::Bedrock, "messageStart contentBlockDelta contentBlockDelta contentBlockStop messageStop metadata"),
    ] {
        let heard = ask(&sim, dialect, true, &json!({})).await;
        let events = Events::of(dialect, &heard);
        assert_eq!(events.names().join(" "), expected);
        assert!(events.sound, "{}", heard.text());
        assert_eq!(events.deltas("text"), sim::pieces("one", MODEL, "-one", 2));
        let (first, last) = (&events.named[0].1, &events.named.last().unwrap().1);
        match dialect {
            Dialect::Anthropic => {
                assert!(first["message"]["usage"]["input_tokens"].as_u64() > Some(0), "{first}");
                let delta = &events.named[6].1;
                assert_eq!(
                    (&delta["delta"]["stop_reason"], &delta["usage"]["output_tokens"]),
                    (&json!("end_turn"), &json!(2))
                );
            }
            Dialect::Bedrock | Dialect::OpenAi => {
                assert_eq!((&first["role"], &last["usage"]["outputTokens"]), (&json!("assistant"), &json!(2)));
                let padded =
                    |(_, data): &(String, Value)| data["p"].as_str().is_some_and(|padding| !padding.is_empty());
                assert!(events.named.iter().all(padded), "every payload is padded");
            }
        }
    }
}

/// Plays a fault in a stream and in a plain answer, and compares the stages with those of the catalogue.
async fn strike(dialect: Dialect, listed: Listed) {
    let sim = Sim::start(Script::of(vec![listed.rule])).unwrap();
    let silent = listed.name.starts_with("hang") || listed.name.starts_with("stall");
    let patience = if silent { SILENCE } else { PATIENCE };
    let streamed = listen(connect(sim.addr(), &request(dialect, true, &json!({}))).await, patience).await;
    let good = streamed.head().starts_with("http/1.1 200");
    let events = Events::of(dialect, &streamed);
    let said = events.deltas("text").concat();
    let stage = if good && said == whole() && events.finishes() {
        Stage::Harmless
    } else if good && !said.is_empty() {
        Stage::AfterContent
    } else {
        Stage::BeforeContent
    };
    assert_eq!(stage, listed.stream, "{dialect:?} {} in a stream: {}", listed.name, streamed.text());
    assert!(whole().starts_with(&said), "{dialect:?} {}", listed.name);
    let plain = listen(connect(sim.addr(), &request(dialect, false, &json!({}))).await, patience).await;
    let good = plain.head().starts_with("http/1.1 200") && plain_text(&plain) == Some(whole());
    assert_eq!(good, listed.plain == Stage::Harmless, "{dialect:?} {}: {}", listed.name, plain.text());
}

#[tokio::test]
async fn every_fault_strikes_at_its_stage_in_every_dialect() {
    let mut struck = JoinSet::new();
    for dialect in [Dialect::Anthropic, Dialect::Bedrock] {
        for listed in sim::faults() {
            struck.spawn(strike(dialect, listed));
        }
    }
    struck.join_all().await;
}

/// What a fault looks like in a stream: name of the last event, whether all bytes were events, how it ends.
#[tokio::test]
async fn a_stream_breaks_in_its_vendors_way() {
    use Dialect::{Anthropic, Bedrock};
    for (dialect, fault, last, sound, end) in [
        (Anthropic, "error_in_first_event", "error", true, End::Closed),
        (Anthropic, "error_after_3_chunks", "error", true, End::Closed),
        (Anthropic, "cut_before_content", "ping", true, End::Closed),
        (Anthropic, "hang_with_comments", "ping", true, End::Silent),
        (Anthropic, "malformed_chunk", "message_stop", false, End::Closed),
        (Anthropic, "half_event_after_3_chunks", "content_block_delta", false, End::Closed),
        (Anthropic, "corrupt_after_3_chunks", "content_block_delta", true, End::Closed),
        (Anthropic, "no_done", "message_delta", true, End::Closed),
        (Anthropic, "no_finish", "content_block_delta", true, End::Closed),
        (Anthropic, "reset_mid_body", "content_block_delta", false, End::Reset),
        (Bedrock, "error_in_first_event", "exception serviceUnavailableException", true, End::Closed),
        (Bedrock, "throttled_in_first_event", "exception throttlingException", true, End::Closed),
        (Bedrock, "stream_error_after_3_chunks", "exception modelStreamErrorException", true, End::Closed),
        (Bedrock, "expired_token_after_3_chunks", "error ExpiredTokenException", true, End::Closed),
        (Bedrock, "cut_before_content", "messageStart", true, End::Closed),
        (Bedrock, "corrupt_after_3_chunks", "contentBlockDelta", false, End::Closed),
        (Bedrock, "half_event_after_3_chunks", "contentBlockDelta", false, End::Closed),
        (Bedrock, "close_mid_body", "contentBlockDelta", false, End::Closed),
        (Bedrock, "malformed_chunk", "metadata", false, End::Closed),
        (Bedrock, "no_done", "messageStop", true, End::Closed),
        (Bedrock, "no_finish", "contentBlockDelta", true, End::Closed),
        (Bedrock, "length_too_short", "messageStop", false, End::Closed),
    ] {
        let sim = Sim::start(Script::of(vec![listed(fault).rule])).unwrap();
        let patience = if end == End::Silent { SILENCE } else { PATIENCE };
        let heard = listen(connect(sim.addr(), &request(dialect, true, &json!({}))).await, patience).await;
        let events = Events::of(dialect, &heard);
        assert_eq!(events.names().last(), Some(&last), "{dialect:?} {fault}: {}", heard.text());
        assert_eq!((events.sound, heard.end), (sound, end), "{dialect:?} {fault}: {}", heard.text());
    }
}

#[tokio::test]
async fn a_wrong_checksum_stands_exactly_where_the_script_says() {
    for after in [0, 3, 8, 99] {
        let sim = sim_of(&format!("[{{ fault: {{ corrupt_after_chunks: {after} }} }}]"));
        let heard = ask(&sim, Dialect::Bedrock, true, &json!({})).await;
        let events = Events::of(Dialect::Bedrock, &heard);
        assert_eq!((events.deltas("text").len(), events.sound), (after.min(8), false));
        // What comes after it was sent all the same: whoever passes over it is found out.
        assert!(heard.text().contains("metadata"));
    }
}

#[tokio::test]
async fn nobody_waits_for_bedrock_with_comments() {
    let fault = listed("hang_with_comments").rule.fault;
    let sim = Sim::start(Script::of(vec![Rule::of(fault)])).unwrap();
    let heard = listen(connect(sim.addr(), &request(Dialect::Bedrock, true, &json!({}))).await, SILENCE).await;
    assert_eq!(heard.end, End::Silent);
    assert!(heard.text().ends_with("\r\n\r\n"), "{}", heard.text());
}
