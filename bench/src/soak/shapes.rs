//! What goes over the wires: the upstream's heads and frames, the client's requests.
//!
//! Owns the bytes. Refuses to know sockets and stories.

use super::story::Order;

/// The chain that the clients ask.
pub const CHAIN: &str = "soak";

/// Its targets, by themselves.
pub const TARGETS: [&str; 2] = ["slow/m1", "spare/m1"];

/// The head of a stream.
pub const HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";

/// The end of a chunked body.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// To what the upstream does not understand.
pub const REFUSAL: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: 69\r\n\r\n\
    {\"error\":{\"message\":\"no such story\",\"type\":\"invalid_request_error\"}}\n";

/// Appends one chunk of a chunked body.
pub fn chunk(out: &mut Vec<u8>, data: &str) {
    chunk_of_bytes(out, data.as_bytes());
}

/// The same for bytes that are no text.
pub fn chunk_of_bytes(out: &mut Vec<u8>, data: &[u8]) {
    out.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// The first event.
pub fn role(id: u64, model: &str) -> String {
    event(id, model, r#"{"role":"assistant","content":"","refusal":null}"#, "null")
}

/// An event with text.
pub fn content(id: u64, model: &str, text: &str) -> String {
    event(id, model, &serde_json::json!({ "content": text }).to_string(), "null")
}

/// The last events: the finish reason, the usage, `[DONE]`.
pub fn finish(id: u64, model: &str, pieces: usize) -> String {
    let total = pieces + 9;
    let usage = format!(
        concat!(
            r#"data: {{"id":"chatcmpl-soak{id:024}","object":"chat.completion.chunk","created":1700000000,"#,
            r#""model":"{model}","choices":[],"usage":{{"prompt_tokens":9,"completion_tokens":{pieces},"#,
            r#""total_tokens":{total}}}}}"#
        ),
        id = id,
        model = model,
        pieces = pieces,
        total = total
    );
    format!("{}{usage}\n\ndata: [DONE]\n\n", event(id, model, "{}", r#""stop""#))
}

fn event(id: u64, model: &str, delta: &str, finish: &str) -> String {
    format!(
        concat!(
            r#"data: {{"id":"chatcmpl-soak{id:024}","object":"chat.completion.chunk","created":1700000000,"#,
            r#""model":"{model}","choices":[{{"index":0,"delta":{delta},"logprobs":null,"#,
            r#""finish_reason":{finish}}}],"usage":null}}"#,
            "\n\n"
        ),
        id = id,
        model = model,
        delta = delta,
        finish = finish
    )
}

/// The begin of an event: into its first character that has several bytes, else up to its middle.
pub fn half(event: &str) -> &[u8] {
    let bytes = event.as_bytes();
    // The finish comes with its usage: half of both would hold the whole finish reason.
    let frame = event.find("\n\n").unwrap_or(bytes.len());
    let end = bytes.iter().position(|byte| !byte.is_ascii()).map_or(frame / 2, |first| first + 1);
    &bytes[..end]
}

/// A client's request for a story, of a chain or a target.
pub fn request(model: &str, order: &Order) -> String {
    serde_json::json!({
        "model": model,
        "stream": true,
        "stream_options": { "include_usage": true },
        "messages": [
            { "role": "system", "content": "You tell stories." },
            { "role": "user", "content": order.words() },
        ],
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_json() {
        for frames in [role(1, "m1"), content(1, "m1", "\"é\n"), finish(1, "m1", 3)] {
            let data = frames.split("\n\n").filter_map(|frame| frame.strip_prefix("data: "));
            for data in data.filter(|data| *data != "[DONE]") {
                serde_json::from_str::<serde_json::Value>(data).unwrap();
            }
        }
        let refusal = std::str::from_utf8(REFUSAL).unwrap();
        let (head, body) = refusal.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("content-length: {}", body.len())), "{}", body.len());
    }

    #[test]
    fn half_an_event_ends_inside_it() {
        let event = content(1, "m1", " Grüße");
        assert!(std::str::from_utf8(half(&event)).is_err(), "inside a character");
        let finish = finish(1, "m1", 3);
        let half = half(&finish);
        assert!(half.len() > 100 && !half.windows(6).any(|window| window == b"\"stop\""));
    }
}
