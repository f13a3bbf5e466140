//! Heads of Messages requests: what is read of them, and where they are cut.

use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::dialect::openai_chat::request::{ModelName, splice};

fn head(body: &[u8]) -> Head<'_> {
    read(body).unwrap_or_else(|error| panic!("{error:?}"))
}

fn needs_of(more: &Value) -> Needs {
    let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    head(body.to_string().as_bytes()).needs
}

#[test]
fn a_head_is_read() {
    let body = br#"{"model":"claude-\u006f","stream":true,"metadata":{"user_id":"u1","x":1},"models":["a",{"model":"b"}],"disable_fallbacks":true,"fallbacks":[{"model":"c"}],"max_tokens":9,"messages":[]}"#;
    let head = head(body);
    assert_eq!((head.model.as_deref(), head.stream, head.disable_fallbacks), (Some("claude-o"), true, true));
    assert_eq!((head.models.len(), head.fallbacks, head.user.as_deref()), (2, None, Some("u1")));
    assert_eq!(head.needs.max_output_tokens, None, "it is a bound and no wish");
}

#[test]
fn the_gateways_own_fields_are_cut_and_anthropics_stay() {
    let body = br#"{"models":["a"],"model":"m","fallbacks":[{"model":"c"}],"disable_fallbacks":true,"new":{"x":1.50}}"#;
    let segments = splice(&Bytes::from_static(body), &head(body).edit, &ModelName::new("claude-x"));
    let sent = segments.concat();
    assert_eq!(String::from_utf8_lossy(&sent), r#"{"model":"claude-x","fallbacks":[{"model":"c"}],"new":{"x":1.50}}"#);
}

#[test]
fn what_a_request_needs() {
    assert_eq!(needs_of(&json!({})), Needs { context_tokens: 4, ..Needs::default() });
    let tool = json!({ "name": "f", "input_schema": { "type": "object" } });
    assert!(needs_of(&json!({ "tools": [tool], "system": "x".repeat(800) })).tools);
    assert!(needs_of(&json!({ "system": "x".repeat(800) })).context_tokens > 100);
    assert!(!needs_of(&json!({ "tools": [] })).tools);
    let format = json!({ "type": "json_schema", "schema": {} });
    assert!(needs_of(&json!({ "output_config": { "format": format } })).json_schema);
    assert!(needs_of(&json!({ "output_format": format })).json_schema);
    assert!(!needs_of(&json!({ "output_config": { "effort": "low" }, "output_format": null })).json_schema);
}

#[test]
fn images_are_seen_wherever_they_are_and_only_there() {
    let image = json!({ "type": "image", "source": { "type": "url", "url": "https://example.com/a.png" } });
    let user = |content: Value| json!({ "messages": [{ "role": "user", "content": content }] });
    let result = json!({ "type": "tool_result", "tool_use_id": "t", "content": [image] });
    for content in [json!([image]), json!([{ "type": "text", "text": "a" }, result])] {
        assert_eq!(needs_of(&user(content.clone())), Needs { vision: true, ..Needs::default() }, "{content}");
    }
    let call = json!({ "type": "tool_use", "id": "t", "name": "f", "input": { "type": "image" } });
    for content in [json!([call]), json!("\"image\""), json!([{ "type": "text", "text": "image" }])] {
        assert!(!needs_of(&user(content.clone())).vision, "{content}");
    }
    let paper = json!({ "type": "document", "source": { "type": "base64", "media_type": "application/pdf", "data": "A".repeat(999) } });
    assert_eq!(needs_of(&user(json!([paper]))), Needs::default(), "encoded data is not measured");
    for odd in [r#""\ud83d""#, "1e999"] {
        let body = format!(r#"{{"messages":[{{"role":"user","content":[{image}],"x":{odd}}}]}}"#);
        assert!(head(body.as_bytes()).needs.vision, "{odd}");
    }
}

#[test]
fn bad_bodies_are_told_as_in_a_chat() {
    for (body, param, code) in [
        ("", None, "invalid_json"),
        ("[]", None, "invalid_json"),
        (r#"{"model":1}"#, Some("model"), "invalid_type"),
        (r#"{"model":"a","model":"b"}"#, Some("model"), "duplicate_field"),
        (r#"{"stream":"yes"}"#, Some("stream"), "invalid_type"),
        (r#"{"models":"a"}"#, Some("models"), "invalid_type"),
        (r#"{"disable_fallbacks":1}"#, Some("disable_fallbacks"), "invalid_type"),
        (r#"{"model":"a""#, None, "invalid_json"),
    ] {
        let error = read(body.as_bytes()).err();
        assert_eq!(error.map(|error| (error.param, error.code)), Some((param, code)), "{body}");
    }
    let odd = head(br#"{"metadata":7,"output_config":[],"messages":"x","tools":{},"max_tokens":"many"}"#);
    assert_eq!((odd.model, odd.user, odd.needs), (None, None, Needs::default()), "the vendor says what is wrong");
}
