//! Tests of [`resume`](super).

#![allow(clippy::unwrap_used)]

use super::*;

fn kept(frames: &[&str]) -> Sent {
    let mut sent = Sent::default();
    for frame in frames {
        keep(frame.as_bytes(), &mut sent);
    }
    sent
}

const START: &str = r#"{"type":"message_start","message":{"id":"msg_1","model":"claude","usage":{"input_tokens":9,"output_tokens":1}}}"#;
const TEXT: &str = r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
const MORE: &str = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a\n"}}"#;
const STOP: &str = r#"{"type":"content_block_stop","index":0}"#;

#[test]
fn the_frame_the_text_the_tokens_and_the_open_block_are_remembered() {
    let sent = kept(&[START, r#"{"type":"ping"}"#, TEXT, MORE, MORE]);
    assert_eq!((sent.id.as_deref(), sent.model.as_deref()), (Some("msg_1"), Some("claude")));
    assert_eq!((sent.text.as_str(), sent.beginning(), sent.white()), ("a\na\n", "a\na", "\n"));
    assert_eq!((sent.usage.input, sent.usage.output), (9, 1));
    assert_eq!((sent.block, sent.open, sent.bound), (0, Open::Text, None));
    let closed = kept(&[START, TEXT, MORE, STOP]);
    assert_eq!((closed.block, closed.open), (1, Open::None));
}

#[test]
fn what_nobody_else_can_finish_is_bound() {
    let block =
        |block: &str| kept(&[&format!(r#"{{"type":"content_block_start","index":0,"content_block":{block}}}"#)]);
    assert_eq!(block(r#"{"type":"tool_use","id":"t","name":"f","input":{}}"#).bound, Some(Bound::Call));
    assert_eq!(block(r#"{"type":"redacted_thinking","data":"x"}"#).bound, Some(Bound::Signed));
    assert_eq!(block(r#"{"type":"server_tool_use","id":"t"}"#).bound, Some(Bound::Foreign));
    let thinking = block(r#"{"type":"thinking","thinking":"","signature":""}"#);
    assert_eq!((thinking.bound, thinking.open), (None, Open::Thinking));
    let delta = kept(&[r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":3}}"#]);
    assert_eq!((delta.bound, delta.usage.output), (Some(Bound::Finished), 3));
    let signed = |signature: &str| {
        kept(&[&format!(
            r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"signature_delta","signature":"{signature}"}}}}"#
        )])
    };
    assert_eq!(signed("EqQB").bound, Some(Bound::Signed));
    assert_eq!(signed("backstop:unsigned").bound, None, "nobody signed that");
}

#[test]
fn the_request_ends_with_the_assistants_words_and_does_not_think() {
    let body = r#"{"model":"m","thinking":{"type":"enabled","budget_tokens":2000},"messages":[{"role":"user","content":[]}],"odd":1.0}"#;
    let made = String::from_utf8(request(body.as_bytes(), "a").unwrap()).unwrap();
    assert_eq!(
        made,
        r#"{"model":"m","messages":[{"role":"user","content":[]},{"role":"assistant","content":"a"}],"odd":1.0}"#
    );
    let own = r#"{"messages":[{"role":"assistant","content":[{"type":"text","text":"x"}]}]}"#;
    assert!(
        String::from_utf8(request(own.as_bytes(), "a").unwrap())
            .unwrap()
            .ends_with(r#"{"role":"assistant","content":"a"}]}"#)
    );
    assert_eq!(request(b"[]", "a"), None);
}
