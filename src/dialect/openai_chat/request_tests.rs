//! Tests of [`request`](super).

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn head(body: &str) -> Head<'_> {
    match read(body.as_bytes()) {
        Ok(head) => head,
        Err(error) => unreachable!("{body}: {error:?}"),
    }
}

fn bad(body: impl AsRef<[u8]>) -> BadRequest {
    match read(body.as_ref()) {
        Ok(head) => unreachable!("{head:?}"),
        Err(error) => error,
    }
}

fn spliced(body: &str, model: &str) -> String {
    let bytes = Bytes::copy_from_slice(body.as_bytes());
    let segments = splice(&bytes, &head(body).edit, &ModelName::new(model));
    String::from_utf8_lossy(&segments.concat()).into_owned()
}

#[test]
fn only_the_model_changes() {
    for (body, expected) in [
        (r#"{"model":"a","messages":[]}"#, r#"{"model":"x\"y","messages":[]}"#),
        (
            r#"{ "messages" : [{"model":"in"}] , "model" : "a" }"#,
            r#"{ "messages" : [{"model":"in"}] , "model" : "x\"y" }"#,
        ),
        (r#"{"mod\u0065l":"\u0061","stream":true}"#, r#"{"mod\u0065l":"x\"y","stream":true}"#),
        (r#"{"stream":true}"#, r#"{"model":"x\"y","stream":true}"#),
        (r#"{"model":null,"n":1}"#, r#"{"model":"x\"y","n":1}"#),
        (" { } ", r#" {"model":"x\"y" } "#),
    ] {
        assert_eq!(spliced(body, "x\"y"), expected);
    }
}

#[test]
fn the_same_model_is_the_body_itself() {
    let body = Bytes::from_static(br#"{"model":"gpt-4o","n":1}"#);
    let Ok(head) = read(&body) else { unreachable!("it is valid") };
    let same = splice(&body, &head.edit, &ModelName::new("gpt-4o"));
    assert_eq!((same.len(), same[0].as_ptr()), (1, body.as_ptr()));
    let other = splice(&body, &head.edit, &ModelName::new("o3"));
    assert_eq!(other.len(), 3);
    assert!(!other.spilled());
}

#[test]
fn own_fields_are_cut_with_their_comma() {
    for (body, expected) in [
        (r#"{"models":["b"],"model":"a","n":1}"#, r#"{"model":"a","n":1}"#),
        (r#"{"model":"a","n":1 , "fallbacks" : [] }"#, r#"{"model":"a","n":1  }"#),
        (r#"{"model":"a","models":[],"fallbacks":[],"n":1}"#, r#"{"model":"a","n":1}"#),
        (r#"{"models":[],"fallbacks":null,"disable_fallbacks":true}"#, r#"{"model":"a"}"#),
        (r#"{"models":[],"n":1,"fallbacks":[]}"#, r#"{"model":"a","n":1}"#),
        (r#"{"disable_fallbacks":true,"model":"z","fallbacks":["q"],"n":1,"models":[]}"#, r#"{"model":"a","n":1}"#),
        ("{\n\"mod\\u0065ls\"\n:\n[],\n\"n\":1}", "{\"model\":\"a\",\n\n\"n\":1}"),
    ] {
        assert_eq!(spliced(body, "a"), expected, "{body}");
    }
}

#[test]
fn what_was_asked() {
    let body = r#"{"messages":[{"role":"user","content":"hi"}],"model":"gp\u0074-4o","stream":true,"models":["a","b\n"],
        "fallbacks":["c",{"model":"d","timeout":3}],"disable_fallbacks":true,"user":"u","prompt_cache_key":"k",
        "max_completion_tokens":9,"max_tokens":7,"tools":[ {} ],"response_format":{"type":"json_schema"},"mock_response":"x"}"#;
    let head = head(body);
    assert_eq!(head.model.as_deref(), Some("gpt-4o"));
    assert_eq!(head.models, ["a", "b\n"]);
    assert_eq!(head.fallbacks.as_deref(), Some(["c".into(), "d".into()].as_slice()));
    assert!(head.stream && head.disable_fallbacks);
    assert_eq!((head.user.as_deref(), head.prompt_cache_key.as_deref()), (Some("u"), Some("k")));
    let needs = Needs {
        vision: false,
        tools: true,
        json_schema: true,
        context_tokens: 4,
        max_output_tokens: Some(9),
        ..Needs::default()
    };
    assert_eq!(head.needs, needs);
    assert!(matches!(head.model, Some(Cow::Owned(_))), "escapes are undone");
}

#[test]
fn nothing_asked_needs_nothing() {
    let head = head(
        r#"{"model":"a","stream":null,"tools":[ ],"functions":[],"user":7,"models":null,"fallbacks":null,
        "response_format":{"type":"json_object","x":"json_schema"},"messages":[{"content":"\"image_url\""},{"content":"image_url"}]}"#,
    );
    assert!(!head.stream && head.models.is_empty() && head.fallbacks.is_none() && head.user.is_none());
    assert_eq!(Needs { context_tokens: 0, ..head.needs }, Needs::default());
    assert!(matches!(head.model, Some(Cow::Borrowed("a"))));
}

#[test]
fn images_are_seen_and_make_the_length_unknown() {
    for part in [r#"{"type":"image_url","image_url":{"url":"https://x"}}"#, r#"{"type":"input_image"}"#] {
        let body = format!(
            r#"{{"model":"a","messages":[{{"content":"{}"}},{{"content":[{{"type":"text"}},{part}]}}]}}"#,
            "x".repeat(99)
        );
        let needs = head(&body).needs;
        let image_urls = part.contains("https:");
        assert_eq!(needs, Needs { vision: true, image_urls, ..Needs::default() });
    }
    let file =
        r#"{"model":"a","messages":[{"content":[{"type":"file","file":{"file_data":"aaaaaaaaaaaaaaaaaaaaaaa"}}]}]}"#;
    assert_eq!(head(file).needs, Needs::default());
}

#[test]
fn each_bad_body_says_what_is_wrong() {
    let deep = format!(r#"{{"model":"a","x":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    for (body, param, says) in [
        (b"".as_slice(), None, "empty"),
        (b" \n", None, "empty"),
        (b"\xEF\xBB\xBF{}", None, "byte order mark"),
        (b"{\"model\":\"\xFF\"}", None, "not UTF-8 (at byte 10)"),
        (b"[]", None, "not a JSON object"),
        (b"model=gpt-4o", None, "not a JSON object"),
        (b"{\"model\":\"a\"", None, "not valid JSON: EOF"),
        (b"{\"model\":\"a\"} x", None, "not valid JSON"),
        (b"{\"model\":\"a\",}", None, "not valid JSON"),
        (br#"{"model":"a","mod\u0065l":"b"}"#, Some("model"), "`model` twice"),
        (br#"{"model":7}"#, Some("model"), "must be a string"),
        (br#"{"model":"\ud800"}"#, Some("model"), "must be a string"),
        (br#"{"model":"a","stream":"yes"}"#, Some("stream"), "true or false"),
        (br#"{"model":"a","disable_fallbacks":1}"#, Some("disable_fallbacks"), "true or false"),
        (br#"{"model":"a","models":"b"}"#, Some("models"), "a list"),
        (br#"{"model":"a","models":[{}]}"#, Some("models"), "a list"),
        (br#"{"model":"a","fallbacks":[{"a":["b"]}]}"#, Some("fallbacks"), "a list"),
        (deep.as_bytes(), None, "deeper than 128"),
    ] {
        let error = bad(body);
        assert!(error.message.contains(says), "{error:?} should say {says}");
        assert_eq!(error.param, param, "{error:?}");
    }
}

#[test]
fn depth_counts_brackets_outside_strings_only() {
    let strings = format!(r#"{{"model":"a","x":["{}","\"[[","\\"]}}"#, "[{".repeat(500));
    assert!(read(strings.as_bytes()).is_ok());
    let flat = format!(r#"{{"model":"a","x":[{}1]}}"#, "[1],".repeat(500));
    assert!(read(flat.as_bytes()).is_ok());
    assert!(too_deep("[".repeat(129).as_bytes()));
    assert!(!too_deep(format!("{}\"\\", "[]".repeat(200)).as_bytes()));
}

#[test]
fn thirty_one_mebibytes_before_the_model_are_not_copied() {
    let body = Bytes::from(format!(r#"{{"messages":[{{"content":"{}"}}],"model":"a","n":1}}"#, "x".repeat(31 << 20)));
    let Ok(head) = read(&body) else { unreachable!("it is valid") };
    let segments = splice(&body, &head.edit, &ModelName::new("b"));
    assert_eq!(segments.len(), 3);
    assert_eq!(segments[0].as_ptr(), body.as_ptr());
    assert_eq!(segments[2], r#","n":1}"#);
}

fn field() -> impl Strategy<Value = (String, Value)> {
    prop_oneof![
        Just(("models".to_owned(), json!(["a", "b"]))),
        Just(("fallbacks".to_owned(), json!([]))),
        Just(("disable_fallbacks".to_owned(), json!(false))),
        Just(("model".to_owned(), json!("m\"\u{e9}"))),
        ("[a-c]{1,3}", ".{0,8}").prop_map(|(key, text)| (key, json!({ "model": text, "l": [text, 1.5] }))),
    ]
}

/// Blanks between tokens, told from strings.
fn spread(json: &str, blank: &str) -> String {
    let mut out = String::new();
    let (mut quoted, mut escaped) = (false, false);
    for char in json.chars() {
        let structural = !quoted && "{}[],:".contains(char);
        if structural {
            out.push_str(blank);
        }
        out.push(char);
        if structural {
            out.push_str(blank);
        }
        if char == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = char == '\\' && !escaped;
    }
    out
}

proptest! {
    #[test]
    fn splicing_equals_editing_the_value(
        fields in prop::collection::vec(field(), 0..8),
        model in ".{0,12}",
        blank in prop::sample::select(vec!["", " ", "\n\t"]),
    ) {
        let mut seen = Map::new();
        let members: Vec<String> = fields
            .into_iter()
            .filter(|(key, value)| seen.insert(key.clone(), value.clone()).is_none())
            .map(|(key, value)| format!("{}:{}", json!(key), value))
            .collect();
        let body = spread(&format!("{{{}}}", members.join(",")), blank);
        let mut expected: Map<String, Value> = match serde_json::from_str(&body) {
            Ok(map) => map,
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        for own in ["models", "fallbacks", "disable_fallbacks"] {
            expected.remove(own);
        }
        expected.insert("model".to_owned(), json!(model));
        let result: Value = serde_json::from_str(&spliced(&body, &model)).unwrap_or_default();
        prop_assert_eq!(result, Value::Object(expected));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), text in "\\PC{0,64}") {
        let _ = read(&bytes);
        let _ = read(text.as_bytes());
    }
}
