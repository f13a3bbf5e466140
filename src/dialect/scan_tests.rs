//! Tests of [`scan`](super): what it takes, `serde_json` takes, and finds at the same places.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::dialect::members::Members;

/// A member's key, and where its value stands.
type Found = Vec<(String, usize, usize)>;

fn place(text: &str, value: &str) -> (usize, usize) {
    (value.as_ptr() as usize - text.as_ptr() as usize, value.len())
}

fn scanned(text: &str) -> Option<Found> {
    let mut found = Found::new();
    members(text, |key, value| {
        let (at, length) = place(text, value);
        found.push((key.to_owned(), at, length));
        Some(())
    })?;
    Some(found)
}

fn parsed(text: &str) -> Option<Found> {
    let members = Members::read(text)?.0;
    let found = members.iter().map(|(key, value)| {
        let (at, length) = place(text, value.get());
        (key.clone().into_owned(), at, length)
    });
    Some(found.collect())
}

/// Whether a text is taken; if it is, rightly.
fn taken(text: &str) -> bool {
    let found = scanned(text);
    assert!(found.is_none() || found == parsed(text), "{text:?}: {found:?} {:?}", parsed(text));
    found.is_some()
}

#[test]
fn values_stand_where_they_are() {
    let found = scanned("\t{ \"a\" : 1 ,\r\n\"\": [ {} ] , \"ü\":\"\\\"\" } ");
    assert_eq!(found, Some(vec![("a".into(), 9, 1), (String::new(), 18, 6), ("ü".into(), 32, 4)]));
    assert_eq!(scanned(" {\n}\n"), Some(vec![]));
}

/// Values, one in a line.
const VALUES: &str = r#"0
-0
10
1.0
-1.50
0e0
1E+9
1e-09
true
false
null
""
"/ü"
[]
{}
[1,2]
[[],{}]
{"a":{}}
{"a":[],"a":0}
"\"\\\/\b\f\n\r\t\u00fF"
"\ud800"
{"\u0061":"\\"}
[ 1 , "a" ]
{ "a" : 1 , "b" : [ ] }"#;

/// What is no value, one in a line.
const NONE: &str = r#"
01
-
--1
+1
1.
.5
1.e1
1e
1e+
0x1
1 2
tru
True
nul
nulll
NaN
'a'
"
"\"
"\
"\x"
"\u00g0"
"\u00
[
]
[1
[1,]
[,]
[1 2]
[1}
{"a":1]
{
{"a"}
{"a":}
{"a":1,}
{a:1}
{1:1}
{"a" 1}
{,}
//"#;

#[test]
fn values_are_taken_as_the_grammar_says() {
    for value in VALUES.lines().chain(["\"\u{7f}\""]) {
        assert!(taken(&format!("{{\"a\":{value}}}")), "{value}");
        assert!(taken(&format!("\n{{\"a\"\t: {value}\r, \"b\":{value} }} ")), "{value}");
    }
    let controls = ["\"a\u{1}\"", "\"\u{1f}\"", "\"\n\"", "\"\\\n\"", "\u{b}1", "\u{a0}1", "\u{feff}1"];
    for value in NONE.lines().chain(controls) {
        assert!(!taken(&format!("{{\"a\":{value}}}")), "{value}");
        assert!(parsed(&format!("{{\"a\":{value}}}")).is_none(), "{value}");
    }
    for text in ["", " ", "[]", "1", "{}x", "{}{}", "{},", "{,}", "\u{feff}{}", "{}\u{c}", "{}\0"] {
        assert!(!taken(text), "{text:?}");
    }
}

#[test]
fn what_is_rare_is_left_to_the_parser() {
    assert!(!taken(r#"{"\u0061":1}"#) && parsed(r#"{"\u0061":1}"#).is_some());
    let nested = |levels: usize| {
        let (open, close): (String, String) =
            (0..levels).map(|level| if level % 3 == 0 { ("[", "]") } else { ("{\"a\":", "}") }).unzip();
        let close: String = close.chars().rev().collect();
        format!("{{\"a\":{open}0{close}}}")
    };
    assert!(taken(&nested(MAX_DEPTH - 1)));
    assert!(!taken(&nested(MAX_DEPTH)));
    assert!(taken(&nested(MAX_DEPTH - 2).replace('0', "[]")) && !taken(&nested(MAX_DEPTH - 1).replace('0', "{}")));
    assert!(taken(&format!("{{\"a\":[{}0]}}", "[[]],".repeat(500))));
    assert_eq!(members(r#"{"a":1}"#, |_, _| None), None);
}

#[test]
fn strings_of_all_lengths_end_where_they_end() {
    for length in 0..200 {
        let plain = "x".repeat(length);
        for text in [
            plain.clone(),
            format!("{plain}\\n"),
            format!("{plain}\\\""),
            format!("\\u00e9{plain}\\\\"),
            format!("{plain}ü"),
        ] {
            assert!(taken(&format!("{{\"{plain}\":\"{text}\"}}")) && taken(&format!("{{\"a\":[\"{text}\"\n,\"\"]}}")));
            assert!(!taken(&format!("{{\"a\":\"{text}\t\"}}")) && !taken(&format!("{{\"a\":\"{text}}}")));
        }
    }
}

fn string() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => "[ -!#-\\[\\]-~]{1,20}",
        1 => "\\PC{0,3}".prop_map(|text| text.replace(['"', '\\'], "")),
        2 => prop::sample::select(vec!["\\\"", "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t", "\\u00e9", "\\uD800"]).prop_map(str::to_owned),
        1 => Just("x".repeat(70)),
    ];
    prop::collection::vec(part, 0..4).prop_map(|parts| format!("\"{}\"", parts.concat()))
}

fn blank() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "", "", " ", "\n", "\r\n\t", "    "])
}

/// A value as text, with blanks.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        string(),
        prop::sample::select(vec!["true", "false", "null", "0", "-0", "1e999", "-12.50E+3"]).prop_map(str::to_owned),
        any::<f64>().prop_map(|number| Value::from(number).to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let items = prop::collection::vec((blank(), inner.clone(), blank()), 0..4).prop_map(|items| {
            format!("[{}]", items.iter().map(|(a, item, b)| format!("{a}{item}{b}")).collect::<Vec<_>>().join(","))
        });
        prop_oneof![items, object(string(), inner)]
    })
}

fn object(key: impl Strategy<Value = String>, value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let member = (blank(), key, blank(), value).prop_map(|(a, key, b, value)| format!("{a}{key}{b}:{b}{value}{a}"));
    (blank(), prop::collection::vec(member, 0..5))
        .prop_map(|(blank, members)| format!("{{{blank}{}}}", members.join(",")))
}

fn text() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        string().prop_map(|key| key.replace('\\', "")),
        prop::sample::select(vec!["\"model\"".to_owned(), "\"messages\"".to_owned()])
    ];
    (blank(), object(key.prop_map(|key| format!("\"{}\"", key.replace('"', ""))), value()), blank())
        .prop_map(|(a, object, b)| format!("{a}{object}{b}"))
}

/// One change to a text: a byte that is another one, that is gone, or that is new; or an end.
fn changed(text: &str, kind: u8, at: prop::sample::Index, with: u8) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let at = at.index(bytes.len().max(1)).min(bytes.len());
    match kind {
        0 if at < bytes.len() => bytes[at] ^= 1 << (with % 8),
        1 if at < bytes.len() => bytes[at] = with,
        2 => bytes.truncate(at),
        3 if at < bytes.len() => drop(bytes.remove(at)),
        _ => bytes.insert(at, with),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn plain_objects_are_taken_and_read_as_they_are(text in text()) {
        prop_assert!(parsed(&text).is_some(), "{}", text);
        prop_assert!(taken(&text), "{}", text);
    }

    #[test]
    fn what_is_taken_is_json(
        text in text(),
        changes in prop::collection::vec((0..5_u8, any::<prop::sample::Index>(), prop_oneof![
            prop::sample::select(b"{}[]\",:\\ \n\t0-.e+tfnu\x01\x1f\x7f/b".to_vec()),
            any::<u8>(),
        ]), 1..4),
    ) {
        let text = changes.into_iter().fold(text, |text, (kind, at, with)| changed(&text, kind, at, with));
        taken(&text);
    }
}
