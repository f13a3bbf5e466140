//! Tests of [`resume`](super).

#![allow(clippy::unwrap_used)]

use super::*;

fn kept(chunks: &[&str]) -> Sent {
    let (mut record, mut sent) = (Record::default(), Sent::default());
    for chunk in chunks {
        record.keep(chunk.as_bytes(), &mut sent);
    }
    sent
}

fn delta(delta: &str) -> Sent {
    kept(&[&format!(r#"{{"choices":[{{"index":0,"delta":{delta}}}]}}"#)])
}

#[test]
fn the_frame_the_text_and_the_tokens_are_remembered() {
    let sent = kept(&[
        r#"{"id":"chatcmpl-1","created":7,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
        r#"{"id":"chatcmpl-2","created":8,"model":"n","choices":[{"index":0,"delta":{"reasoning_content":"I see"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"a\u00e9\ud83d"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#,
        "[DONE]",
        "{half",
    ]);
    assert_eq!((sent.id.as_deref(), sent.model.as_deref(), sent.created), (Some("chatcmpl-1"), Some("m"), Some(7)));
    assert_eq!((sent.text.as_str(), sent.thinking.as_str(), sent.half), ("aé", "I see", Some(0xd83d)));
    assert_eq!((sent.usage.input, sent.usage.output, sent.bound), (3, 1, None));
}

#[test]
fn what_nobody_else_can_finish_is_bound() {
    for (text, bound) in [
        (r#"{"tool_calls":[{"index":0,"id":"c","function":{"name":"f"}}]}"#, Some(Bound::Call)),
        (r#"{"function_call":{"name":"f"}}"#, Some(Bound::Call)),
        (r#"{"refusal":"no"}"#, Some(Bound::Refusal)),
        (r#"{"reasoning_details":[{"type":"reasoning.text","signature":"s"}]}"#, Some(Bound::Signed)),
        (r#"{"content":"a","tool_calls":[],"refusal":null,"function_call":null}"#, None),
        (r#"{"content":[{"type":"text","text":"a"}]}"#, None),
    ] {
        assert_eq!(delta(text).bound, bound, "{text}");
    }
    assert_eq!(kept(&[r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#]).bound, Some(Bound::Finished));
    assert_eq!(kept(&[r#"{"choices":[{"index":1,"delta":{"content":"b"}}]}"#]).bound, Some(Bound::Choices));
    let mut long = Sent::default();
    long.say(&"x".repeat(crate::dialect::canonical::sent::MOST + 1));
    assert_eq!((long.bound, long.text.len()), (Some(Bound::Long), 0));
}

#[test]
fn tokens_alone_are_told_when_the_answer_is_finished() {
    let tokens = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
    let (mut record, mut sent) = (Record::default(), Sent::default());
    assert!(record.keep(tokens.as_bytes(), &mut sent));
    assert!(!record.keep(br#"{"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":3}}"#, &mut sent));
    assert!(!record.keep(br#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#, &mut sent));
    assert!(!record.keep(tokens.as_bytes(), &mut sent), "they are all now");
}

#[test]
fn the_request_ends_with_the_assistants_words_and_is_otherwise_the_clients() {
    let body = r#"{"model":"m","seed":1.50,"messages":[{"role":"user","content":"hi"}],"odd":[1e9]}"#;
    let made =
        |body: &str, vendor| String::from_utf8(request(body.as_bytes(), "He said \"a", vendor).unwrap()).unwrap();
    assert_eq!(
        made(body, Vendor::Other),
        r#"{"model":"m","seed":1.50,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"He said \"a"}],"odd":[1e9]}"#
    );
    assert!(made(body, Vendor::Mistral).contains(r#""content":"He said \"a","prefix":true}"#));
    assert!(made(body, Vendor::Vllm).ends_with(r#""add_generation_prompt":false,"continue_final_message":true}"#));
    assert_eq!(request(b"{}", "a", Vendor::Other), None);
}

#[test]
fn the_clients_own_beginning_goes_on() {
    let body = r#"{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"Well,","name":"x"}]}"#;
    let made = request(body.as_bytes(), " then", Vendor::Other).unwrap();
    let expected =
        r#"{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"Well, then","name":"x"}]}"#;
    assert_eq!(String::from_utf8(made).unwrap(), expected);
}
