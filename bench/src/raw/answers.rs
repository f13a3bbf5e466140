//! What the upstream sends, ready for the socket.
//!
//! Owns heads and chunks. The bodies in OpenAI's shapes are the cost gate's; those in Anthropic's have the same text.

use std::fmt::Write as _;

use crate::wire;

/// The path of Anthropic's Messages.
pub const MESSAGES: &str = "/v1/messages";

/// A vendor's failure, told apart by the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 429.
    Limited,
    /// 503.
    Overloaded,
    /// 400: the request is too long for the model, which is nobody's fault.
    TooLong,
}

impl Fault {
    /// The fault that a key, or an option, names.
    pub fn named(text: &str) -> Option<Self> {
        [("limited", Self::Limited), ("overloaded", Self::Overloaded), ("toolong", Self::TooLong)]
            .into_iter()
            .find_map(|(name, fault)| text.contains(name).then_some(fault))
    }

    /// Head and body.
    pub fn answer(self) -> Vec<u8> {
        let (status, extra, kind, code) = match self {
            Self::Limited => ("429 Too Many Requests", "retry-after: 600\r\n", "requests", "rate_limit_exceeded"),
            Self::Overloaded => ("503 Service Unavailable", "", "server_error", "overloaded"),
            Self::TooLong => ("400 Bad Request", "", "invalid_request_error", "context_length_exceeded"),
        };
        let body = format!(
            r#"{{"error":{{"message":"This is the {code} of the benchmark.","type":"{kind}","param":null,"code":"{code}"}}}}"#
        );
        whole(status, extra, body.as_bytes())
    }
}

fn whole(status: &str, extra: &str, body: &[u8]) -> Vec<u8> {
    let mut all = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nx-request-id: req_bench\r\n{extra}content-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    all.extend_from_slice(body);
    all
}

/// The good whole answer, with its head.
pub fn plain(path: &str) -> Vec<u8> {
    if path == MESSAGES {
        whole("200 OK", "", message().as_bytes())
    } else {
        whole("200 OK", "", &wire::plain_answer())
    }
}

fn message() -> String {
    format!(
        concat!(
            r#"{{"id":"msg_bench0000000000000000001","type":"message","role":"assistant","model":"claude-bench","#,
            r#""content":[{{"type":"text","text":"{text}"}}],"stop_reason":"end_turn","stop_sequence":null,"#,
            r#""usage":{{"input_tokens":256,"output_tokens":42,"cache_read_input_tokens":0,"cache_creation_input_tokens":0}}}}"#
        ),
        text = wire::TEXT
    )
}

/// The writes of a stream: the head with the first event, every other event by itself, the last with the end.
pub fn stream(path: &str, contents: usize) -> Vec<Vec<u8>> {
    let events: Vec<Vec<u8>> = if path == MESSAGES {
        message_events(contents).into_iter().map(String::into_bytes).collect()
    } else {
        wire::stream_events(contents).iter().map(|event| event.to_vec()).collect()
    };
    let mut writes: Vec<Vec<u8>> = events.iter().map(|event| chunk(event)).collect();
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nx-request-id: req_bench\r\n\
                 transfer-encoding: chunked\r\n\r\n";
    writes[0].splice(0..0, head.iter().copied());
    if let Some(last) = writes.last_mut() {
        last.extend_from_slice(b"0\r\n\r\n");
    }
    writes
}

fn chunk(data: &[u8]) -> Vec<u8> {
    let mut all = format!("{:x}\r\n", data.len()).into_bytes();
    all.extend_from_slice(data);
    all.extend_from_slice(b"\r\n");
    all
}

fn message_events(contents: usize) -> Vec<String> {
    let event = |name: &str, rest: &str| format!("event: {name}\ndata: {{\"type\":\"{name}\"{rest}}}\n\n");
    let mut events = vec![
        event(
            "message_start",
            concat!(
                r#","message":{"id":"msg_bench0000000000000000001","type":"message","role":"assistant","#,
                r#""model":"claude-bench","content":[],"stop_reason":null,"stop_sequence":null,"#,
                r#""usage":{"input_tokens":256,"output_tokens":1}}"#
            ),
        ),
        event("content_block_start", r#","index":0,"content_block":{"type":"text","text":""}"#),
    ];
    for index in 0..contents {
        let mut delta = String::new();
        // Writing to a String cannot fail.
        let _ = write!(delta, r#","index":0,"delta":{{"type":"text_delta","text":" word{index:04}"}}"#);
        events.push(event("content_block_delta", &delta));
    }
    events.push(event("content_block_stop", r#","index":0"#));
    let usage =
        format!(r#","delta":{{"stop_reason":"end_turn","stop_sequence":null}},"usage":{{"output_tokens":{contents}}}"#);
    events.push(event("message_delta", &usage));
    events.push(event("message_stop", ""));
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_json() {
        let events = message_events(3);
        assert_eq!(events.len(), 8);
        for event in events {
            let (_, data) = event.trim_end().split_once("\ndata: ").unwrap();
            serde_json::from_str::<serde_json::Value>(data).unwrap();
        }
        serde_json::from_str::<serde_json::Value>(&message()).unwrap();
    }

    #[test]
    fn a_key_names_its_fault() {
        assert_eq!(Fault::named("k-limited-1"), Some(Fault::Limited));
        assert_eq!(Fault::named("k-1"), None);
        let text = String::from_utf8(Fault::Limited.answer()).unwrap();
        assert!(text.starts_with("HTTP/1.1 429 ") && text.contains("\r\nretry-after: 600\r\n"), "{text}");
    }
}
