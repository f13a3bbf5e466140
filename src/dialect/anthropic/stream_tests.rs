//! Frames of a stream that passes as it is.

use super::*;
use crate::dialect::openai_chat::response::Usage;

fn said(data: &str) -> Signal {
    scan(None, data.as_bytes())
}

const PREAMBLE: Signal = Signal::Chunk(Said { content: false, finish: false, usage: None });
const CONTENT: Signal = Signal::Chunk(Said { content: true, finish: false, usage: None });

#[test]
fn preambles_are_not_content() {
    for text in [
        r#"{"type": "ping"}"#,
        r#"{"type":"message_start","message":{"id":"m","content":[]}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""} }"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":""}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"some_day","text":"x"}"#,
        r#"{"type":7}"#,
        "{}",
    ] {
        assert_eq!(said(text), PREAMBLE, "{text}");
    }
}

#[test]
fn content_in_every_form() {
    for delta in [
        r#"{"type":"text_delta","text":"a"}"#,
        r#"{"type":"thinking_delta","thinking":"a"}"#,
        r#"{"type":"signature_delta","signature":"S"}"#,
        r#"{"type":"input_json_delta","partial_json":"{"}"#,
        r#"{"type":"citations_delta","citation":{"type":"char_location"}}"#,
        r#"{"type":"compaction_delta","content":"a"}"#,
    ] {
        assert_eq!(said(&format!(r#"{{"type":"content_block_delta","index":0,"delta":{delta}}}"#)), CONTENT, "{delta}");
    }
    for block in [
        r#"{"type":"tool_use","id":"t","name":"f","input":{}}"#,
        r#"{"type":"redacted_thinking","data":"D"}"#,
        r#"{"type":"server_tool_use","id":"s","name":"web_search","input":{}}"#,
        r#"{"type":"web_search_tool_result","tool_use_id":"s","content":[]}"#,
        r#"{"type":"fallback"}"#,
        r#"{"type":"text","text":"a"}"#,
    ] {
        assert_eq!(
            said(&format!(r#"{{"type":"content_block_start","index":0,"content_block":{block}}}"#)),
            CONTENT,
            "{block}"
        );
    }
}

#[test]
fn the_beginning_and_the_end_count() {
    let chunk = |finish, prompt_tokens, completion_tokens| {
        Signal::Chunk(Said { content: false, finish, usage: Some(Usage { prompt_tokens, completion_tokens }) })
    };
    let start = r#"{"type":"message_start","message":{"usage":{"input_tokens":3,"cache_creation_input_tokens":5,"cache_read_input_tokens":7,"output_tokens":1}}}"#;
    assert_eq!(said(start), chunk(false, 15, 1));
    let end = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":9}}"#;
    assert_eq!(said(end), chunk(true, 0, 9));
    let more = r#"{"type":"message_delta","delta":{"stop_reason":null},"usage":{"output_tokens":9}}"#;
    assert_eq!(said(more), chunk(false, 0, 9));
    assert_eq!(said(r#"{"type":"message_stop"  }"#), Signal::Done);
    assert_eq!(scan(Some(b"message_stop"), b"{}"), Signal::Done);
    let stop = STOP.strip_prefix(b"event: message_stop\ndata: ").and_then(|rest| rest.strip_suffix(b"\n\n"));
    assert_eq!(scan(Some(b"message_stop"), stop.unwrap()), Signal::Done);
}

#[test]
fn errors_and_garbage() {
    for text in [
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
        r#"{"type":"error"}"#,
        r#"{"error":{"message":"no"}}"#,
        r#"{"type":"content_block_delta","error":"no"}"#,
    ] {
        assert_eq!(said(text), Signal::Error, "{text}");
        assert!(!is_plain(None, text.as_bytes()), "{text}");
    }
    assert_eq!(scan(Some(b"error"), b"overloaded"), Signal::Error);
    for text in ["", "ping", "[DONE]", r#"{"type":"error","#, "<html>", "[1]"] {
        assert_eq!(said(text), Signal::Malformed, "{text}");
    }
    assert_eq!(scan(Some(MALFORMED.as_bytes()), b"{}"), Signal::Malformed);
}

#[test]
fn plain_frames_need_no_parse() {
    for (event, text) in [
        (
            Some("content_block_delta"),
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"an \"error\": \"stop_reason\""}}  "#,
        ),
        (None, r#"{"type": "content_block_delta","index":0}"#),
        (Some("ping"), r#"{"type": "ping"}"#),
    ] {
        assert!(is_plain(event.map(str::as_bytes), text.as_bytes()), "{text}");
    }
    for (event, text) in [
        (Some("content_block_delta"), r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#),
        (Some("message_delta"), r#"{"type":"content_block_delta"}"#),
        (Some("ping"), r#"{"type":"content_block_delta"}"#),
        (None, r#"{"type":"content_block_delta_of_a_kind"}"#),
        (Some("content_block_delta"), r#"{"type":"content_block_delta","error":{}}"#),
        (Some("content_block_delta"), r#"{"type":"content_block_delta","cut"#),
        (Some("error"), "{}"),
        (None, ""),
    ] {
        assert!(!is_plain(event.map(str::as_bytes), text.as_bytes()), "{text}");
    }
}

#[test]
fn the_error_event_is_one_frame_that_reads_as_an_error() {
    let event = error_event("a \"quoted\"\nline", "overloaded_error");
    let data = event.strip_prefix(b"event: error\ndata: ").and_then(|rest| rest.strip_suffix(b"\n\n")).unwrap();
    assert!(!data.contains(&b'\n'));
    assert_eq!(scan(None, data), Signal::Error);
}
