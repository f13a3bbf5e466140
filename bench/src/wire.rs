//! What the mock sends and the load expects, in OpenAI's shapes.
//!
//! Owns the bytes. Refuses to know sockets.

use std::fmt::Write as _;

use bytes::Bytes;

/// The path of the one route.
pub const PATH: &str = "/v1/chat/completions";

/// The model that the load asks for: the chain of the gate's configuration.
pub const MODEL: &str = "default";

/// The text of a plain answer: with its frame about 0.6 KB.
pub const TEXT: &str = "A failover gateway keeps several keys and several providers at hand, and when one of them fails it \
                    goes on with the next before the client has seen a byte, so that the answer comes anyway.";

/// The whole plain answer.
#[must_use]
pub fn plain_answer() -> Bytes {
    Bytes::from(format!(
        concat!(
            r#"{{"id":"chatcmpl-bench0000000000000000000001","object":"chat.completion","created":1700000000,"#,
            r#""model":"gpt-4o-2024-08-06","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}","#,
            r#""refusal":null}},"logprobs":null,"finish_reason":"stop"}}],"#,
            r#""usage":{{"prompt_tokens":256,"completion_tokens":42,"total_tokens":298,"#,
            r#""prompt_tokens_details":{{"cached_tokens":0}}}},"system_fingerprint":"fp_bench"}}"#
        ),
        text = TEXT
    ))
}

/// The events of a streamed answer: the role, `contents` deltas, the finish, the usage, `[DONE]`.
#[must_use]
pub fn stream_events(contents: usize) -> Vec<Bytes> {
    let choice = |delta: &str, finish: &str| {
        event(&format!(
            r#""choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}],"usage":null"#
        ))
    };
    let mut events = Vec::with_capacity(contents + 4);
    events.push(choice(r#"{"role":"assistant","content":"","refusal":null}"#, "null"));
    for index in 0..contents {
        events.push(choice(&format!(r#"{{"content":" word{index:04}"}}"#), "null"));
    }
    events.push(choice("{}", r#""stop""#));
    events.push(event(&format!(
        r#""choices":[],"usage":{{"prompt_tokens":256,"completion_tokens":{contents},"total_tokens":{}}}"#,
        256 + contents
    )));
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    events
}

fn event(rest: &str) -> Bytes {
    Bytes::from(format!(
        concat!(
            r#"data: {{"id":"chatcmpl-bench0000000000000000000001","object":"chat.completion.chunk","#,
            r#""created":1700000000,"model":"gpt-4o-2024-08-06","system_fingerprint":"fp_bench",{rest}}}"#,
            "\n\n"
        ),
        rest = rest
    ))
}

/// A request whose user message has `body_bytes` bytes; `contents` makes it a stream of so many deltas.
#[must_use]
pub fn request(body_bytes: usize, contents: Option<usize>) -> Bytes {
    request_for(MODEL, body_bytes, contents, None)
}

/// The same for any model, and from a user.
#[must_use]
pub fn request_for(model: &str, body_bytes: usize, contents: Option<usize>, user: Option<&str>) -> Bytes {
    let mut body = format!(r#"{{"model":"{model}","temperature":0.2,"#);
    if let Some(user) = user {
        // Writing to a String cannot fail.
        let _ = write!(body, r#""user":"{user}","#);
    }
    if let Some(contents) = contents {
        let _ = write!(
            body,
            r#""stream":true,"stream_options":{{"include_usage":true}},"max_completion_tokens":{contents},"#
        );
    }
    let text: String = "the quick brown fox jumps over the lazy dog ".chars().cycle().take(body_bytes).collect();
    let _ = write!(
        body,
        r#""messages":[{{"role":"system","content":"You answer."}},{{"role":"user","content":"{text}"}}]}}"#
    );
    Bytes::from(body)
}

/// Compares an answer with what it should be.
///
/// # Errors
/// Where they differ.
pub fn same(got: &[u8], expected: &[u8]) -> Result<(), String> {
    if got == expected {
        return Ok(());
    }
    let at = got.iter().zip(expected).take_while(|(a, b)| a == b).count();
    Err(format!("{} bytes instead of {}, different from byte {at} on", got.len(), expected.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shapes_are_json_of_the_promised_size() {
        let answer = plain_answer();
        assert!((550..700).contains(&answer.len()), "{}", answer.len());
        serde_json::from_slice::<serde_json::Value>(&answer).unwrap();
        let events = stream_events(64);
        assert_eq!(events.len(), 68);
        for event in &events[..67] {
            let data = event.strip_prefix(b"data: ").and_then(|rest| rest.strip_suffix(b"\n\n")).unwrap();
            serde_json::from_slice::<serde_json::Value>(data).unwrap();
        }
        for contents in [None, Some(64)] {
            serde_json::from_slice::<serde_json::Value>(&request(1024, contents)).unwrap();
        }
    }

    #[test]
    fn a_cut_or_changed_answer_is_told() {
        assert!(same(b"abc", b"abc").is_ok());
        assert!(same(b"ab", b"abc").is_err());
        assert!(same(b"abd", b"abc").is_err());
    }
}
