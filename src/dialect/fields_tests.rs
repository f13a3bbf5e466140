//! Tests of [`fields`](super): both ways give the same.

use super::*;

fields! {
    struct Some3 { model, stream, messages }
}

fn both(text: &str) -> (Option<Some3<'_>>, Option<Some3<'_>>) {
    (scanned(text), parsed(text).ok())
}

#[test]
fn fields_are_found_and_the_others_passed() {
    let text = r#"{"x":{"model":1},"model":null,"messages": [ "a" ] ,"x":2}"#;
    let fields = Some3 { model: Some(Raw("null")), stream: None, messages: Some(Raw("[ \"a\" ]")) };
    assert_eq!(both(text), (Some(fields), parsed(text).ok()));
    assert_eq!(both(text).0, both(text).1);
    let fields = both(r#"{"m\u006fdel":"a"}"#);
    assert!(fields.0.is_none());
    assert_eq!(fields.1, Some(Some3 { model: Some(Raw("\"a\"")), ..Some3::default() }));
}

#[test]
fn a_field_that_comes_twice_is_an_error_of_both() {
    for text in [r#"{"model":null,"model":null}"#, r#"{"stream":null,"stream":true}"#, r#"{"model":1,"mod\u0065l":1}"#]
    {
        assert_eq!(both(text), (None, None), "{text}");
        let error = read::<Some3<'_>>(text.as_bytes()).map_err(|error| error.code);
        assert_eq!(error, Err("duplicate_field"), "{text}");
    }
}

#[test]
fn nulls_have_no_length() {
    assert_eq!(length([None, Some(Raw("null")), Some(Raw("\"null\"")), Some(Raw("[]"))]), 8);
}
