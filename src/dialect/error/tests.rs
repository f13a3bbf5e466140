//! Shapes, events, frames, and what is hidden.

#![allow(clippy::unwrap_used)]

use super::*;

fn read(body: &str) -> Facts {
    facts(Family::OpenAi, 400, &HeaderMap::new(), body.as_bytes(), SystemTime::UNIX_EPOCH)
}

#[test]
fn every_shape_gives_its_words() {
    let cases = [
        (r#"{"error":{"message":"m","type":"t","code":"c"}}"#, "m", Some("c"), Some("t")),
        (r#"[{"error":{"message":"m","type":"t","code":"c"}}]"#, "m", Some("c"), Some("t")),
        (r#"{"type":"error","error":{"type":"t","message":"m"}}"#, "m", None, Some("t")),
        (r#"{"error":"m"}"#, "m", None, None),
        (r#"{"code":"c","error":"m"}"#, "m", Some("c"), None),
        (r#"{"message":"m"}"#, "m", None, None),
        (r#"{"Message":"m"}"#, "m", None, None),
        (r#"{"detail":"m"}"#, "m", None, None),
        (r#"{"detail":[{"msg":"m","loc":["x"]},{"msg":"n"}]}"#, "m\nn", None, None),
        (r#"{"detail":{"error":{"message":"m","code":"c"}}}"#, "m", Some("c"), None),
        (r#"{"object":"error","message":"m","type":"t","code":"1500"}"#, "m", Some("1500"), Some("t")),
        (r#"{"id":"i","message":"m","error_type":"t"}"#, "m", None, Some("t")),
        (r#"{"error":{"code":4040404,"message":"m"}}"#, "m", Some("4040404"), None),
        (r#"{"error":{"code":"two words","message":"m"}}"#, "m", None, None),
        (r#"{"error":{"code":null,"type":7,"message":{"x":1}}}"#, "", None, None),
        ("\u{feff}{\"error\":\"m\"}", "m", None, None),
        (r#""m""#, "m", None, None),
        ("upstream connect error", "upstream connect error", None, None),
        ("<html><h1>overloaded</h1></html>", "", None, None),
        ("", "", None, None),
        ("null", "", None, None),
        ("[]", "", None, None),
        ("[[[]]]", "", None, None),
    ];
    for (body, message, code, kind) in cases {
        let facts = read(body);
        assert_eq!(facts.message, message, "{body}");
        assert_eq!(facts.code.as_deref(), code, "{body}");
        assert_eq!(facts.error_type.as_deref(), kind, "{body}");
    }
}

#[test]
fn statuses_in_bodies_are_told_from_codes() {
    for body in [r#"{"error":{"code":429}}"#, r#"{"error":{"code":"429"}}"#, r#"{"raw_status_code":429,"code":"1500"}"#]
    {
        assert_eq!(read(body).body_status, Some(429), "{body}");
    }
    assert_eq!(read(r#"{"error":{"code":200}}"#).body_status, None);
}

#[test]
fn names_come_from_wherever_a_vendor_puts_them() {
    let mut headers = HeaderMap::new();
    headers.insert("x-amzn-errortype", "ThrottlingException:http://internal/".parse().unwrap());
    let aws = facts(Family::Bedrock, 429, &headers, b"{\"message\":\"m\"}", SystemTime::UNIX_EPOCH);
    assert_eq!(aws.name.as_deref(), Some("ThrottlingException"));
    let cases = [
        (r#"{"__type":"com.amazon#ExpiredTokenException"}"#, "ExpiredTokenException"),
        (r#"{"error":{"details":[{},{"reason":"API_KEY_INVALID"}]}}"#, "API_KEY_INVALID"),
        (r#"{"error":{"innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#, "ResponsibleAIPolicyViolation"),
    ];
    for (body, name) in cases {
        assert_eq!(read(body).name.as_deref(), Some(name), "{body}");
    }
}

#[test]
fn sizes_are_read_from_members_and_from_prose() {
    let sizes = |body: &str| {
        let facts = read(body);
        (facts.requested, facts.limit)
    };
    let prose = r#"{"error":{"message":"Rate limit reached on TPM: Limit 30,000, Used 100, Requested 45000."}}"#;
    assert_eq!(sizes(prose), (Some(45_000), Some(30_000)));
    assert_eq!(sizes(r#"{"error":{"n_ctx":512,"n_prompt_tokens":2009}}"#), (Some(2009), Some(512)));
    assert_eq!(sizes(r#"{"error":{"message":"you requested about 7 tokens"}}"#), (None, None));
}

#[test]
fn hostile_bodies_are_bounded() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let huge = format!(r#"{{"error":{{"message":"{}"}}}}"#, "word ".repeat(1_000_000));
    let echo = format!(r#"{{"error":{{"message":"{}"}}}}"#, "é".repeat(20_000));
    for body in [deep.as_bytes(), huge.as_bytes(), echo.as_bytes(), b"\xff\xfe\x00{".as_slice()] {
        let facts = facts(Family::OpenAi, 500, &HeaderMap::new(), body, SystemTime::UNIX_EPOCH);
        assert!(facts.message.len() <= 4 * 1024);
    }
}

#[test]
fn events_that_are_errors_are_found_and_others_are_not() {
    let errors = [
        (r#"{"error":{"code":502,"message":"m"},"choices":[{"delta":{}}]}"#, Some(502), "m"),
        (r#"{"error":"m"}"#, None, "m"),
        (r#"[{"error":{"code":429,"message":"m"}}]"#, Some(429), "m"),
        (r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#, None, "m"),
        (r#"{"type":"error","code":"server_error","message":"m","sequence_number":3}"#, None, "m"),
        (r#"{"object":"error","message":"m","code":400}"#, Some(400), "m"),
        (r#"{"type":"response.failed","response":{"error":{"code":"server_error","message":"m"}}}"#, None, "m"),
        (r#"{"type":"response.failed"}"#, None, ""),
        (r#"{"choices":[{"delta":{},"finish_reason":"error"}]}"#, None, ""),
        (r#"{"choices":[{"error":{"code":502,"message":"m"},"finish_reason":"error"}]}"#, Some(502), "m"),
    ];
    for (event, status, message) in errors {
        let facts =
            facts_in_event(Family::OpenAi, 200, event.as_bytes()).unwrap_or_else(|| Facts::new(Family::Cohere, None));
        assert_eq!((facts.status, facts.body_status), (Some(200), status), "{event}");
        assert_eq!(facts.message, message, "{event}");
    }
    let others = [
        r#"{"choices":[{"delta":{"content":"{\"error\":\"not one\"}"},"finish_reason":null}]}"#,
        r#"{"type":"response.created","response":{"error":null}}"#,
        r#"{"choices":[{"delta":{"content":"an error"}}],"error":null}"#,
        r#"{"choices":[],"error":{}}"#,
        r#"{"type":"content_block_delta","delta":{"text":"error"}}"#,
        "[DONE]",
        "error",
        "",
        "[]",
    ];
    for event in others {
        assert_eq!(facts_in_event(Family::OpenAi, 200, event.as_bytes()), None, "{event}");
    }
}

#[test]
fn exception_frames_have_their_name_and_text() {
    let facts = facts_of_exception("throttlingException", br#"{"message":"slow"}"#);
    assert_eq!((facts.name.as_deref(), facts.message.as_str()), (Some("throttlingException"), "slow"));
    let facts = facts_of_exception("InternalFailure", b"it broke");
    assert_eq!((facts.name.as_deref(), facts.message.as_str()), (Some("InternalFailure"), "it broke"));
}

#[test]
fn keys_are_hidden_and_prose_is_kept() {
    let hidden = [
        "sk-proj-abc123",
        "gsk_0123456789",
        "AKIAIOSFODNN7EXAMPLE",
        "AIzaSyD-whatever",
        "ab****yz",
        "***********",
        "0123456789abcdef0123456789abcdef",
        "eyJhbGciOi.eyJzdWIi.sig",
        "my own/secret\"key",
    ];
    for key in hidden {
        let shown = safe_message(&format!("key {key}. was wrong"), &["my own/secret\"key"]);
        assert!(shown.contains("[redacted]") && !shown.contains(key), "{key}: {shown}");
        assert!(shown.ends_with("wrong"), "{shown}");
    }
    let kept = [
        "model `llama-4-maverick-17b-128e-instruct-fp8` not found, see https://docs.example.com/docs/models#list",
        "request req_011CeCGmMJJGRCp7xgjqapmJ, rate e8440b11-29fb-4887-a222-eff9ba33dfbf, 3333404 tokens > 200000",
    ];
    for text in kept {
        assert_eq!(safe_message(text, &["", "short", "not-in-there"]), text);
        assert!(matches!(redact(text.as_bytes(), &[]), Cow::Borrowed(_)));
    }
}

#[test]
fn json_stays_json_and_secrets_are_found_as_json_writes_them() {
    let secret = "pass/word\"with\\marks";
    let body = serde_json::json!({"error": {"message": format!("bad key {secret}!")}}).to_string();
    for body in [body.clone(), body.replace('/', "\\/")] {
        let shown = redact(body.as_bytes(), &[secret]);
        let json: Value = serde_json::from_slice(&shown).unwrap();
        assert_eq!(json["error"]["message"], "bad key [redacted]!");
    }
}

#[test]
fn redaction_never_cuts_an_escape_in_two() {
    let cases = [
        (r#"{"m":"\\/+_aA_+="}"#, "/+_aA_+="),
        (r#"{"m":"x\nabcdefg"}"#, "nabcdefg"),
        (r#"{"m":"x\u00e9abcdef"}"#, "00e9abcdef"),
        (r#"{"m":"x\u00e9abcdef"}"#, "e9abcdef"),
        (r#"{"m":"abcdefgh\\"}"#, "abcdefgh\\"),
    ];
    for (body, secret) in cases {
        let shown = redact(body.as_bytes(), &[secret]);
        let json: Value = serde_json::from_slice(&shown).unwrap();
        assert!(!json.to_string().contains(secret) && json["m"].as_str().unwrap().contains("[redacted]"), "{body}");
    }
    let shown = redact(br#"{"m":"wrong:\nsk-12345678"}"#, &[]);
    assert_eq!(String::from_utf8_lossy(&shown), r#"{"m":"wrong:\n[redacted]"}"#);
}

#[test]
fn shown_text_is_one_short_line() {
    let shown = safe_message(&"é\r\n\u{7}x ".repeat(1_000), &[]);
    assert_eq!(shown.chars().count(), 301);
    assert!(!shown.contains(char::is_control));
}
