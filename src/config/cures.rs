//! What is said of a value that does not fit its place, and of a setting that there is not.
//!
//! Owns the words that people bring from elsewhere and what is meant by them. Refuses to know what settings mean, and
//! to repeat a value, for it may be a key.

use figment::error::{Actual, Kind as Wrong};

use super::problem::{Place, plainly, shown};
use super::resolve::meant;

/// Words of other programs, and ours, for settings of providers, keys and chains.
const WORDS: [(&str, &[&str]); 30] = [
    ("api_key", &["key", "keys"]),
    ("apiKey", &["key", "keys"]),
    ("apikey", &["key", "keys"]),
    ("api_keys", &["keys"]),
    ("apiKeys", &["keys"]),
    ("token", &["key", "keys"]),
    ("url", &["base_url", "baseUrl"]),
    ("api_base", &["base_url", "baseUrl"]),
    ("host", &["base_url", "baseUrl"]),
    ("endpoint", &["base_url", "baseUrl"]),
    ("org", &["organization"]),
    ("name", &["profile"]),
    ("fallback", &["targets"]),
    ("fallbacks", &["targets"]),
    ("primary", &["targets"]),
    ("models", &["targets"]),
    ("port", &["listen"]),
    ("aws_access_key_id", &["access_key_id"]),
    ("aws_access_key", &["access_key_id"]),
    ("accessKeyId", &["access_key_id"]),
    ("aws_secret_access_key", &["secret_access_key"]),
    ("aws_secret_key", &["secret_access_key"]),
    ("secretAccessKey", &["secret_access_key"]),
    ("aws_session_token", &["session_token"]),
    ("sessionToken", &["session_token"]),
    ("aws_profile_name", &["aws_profile"]),
    ("aws_region", &["region"]),
    ("aws_region_name", &["region"]),
    ("apiVersion", &["api_version"]),
    ("azure_endpoint", &["base_url"]),
];

/// What to write instead of a setting that there is not.
fn renamed(place: &Place, name: &str, known: &[&'static str]) -> String {
    let word = WORDS.iter().filter(|(word, _)| *word == name).flat_map(|(_, ours)| ours.iter());
    let Some(ours) = word.copied().find(|ours| known.contains(ours)) else { return meant(name, known) };
    let segments: Vec<&str> = place.0.iter().map(String::as_str).collect();
    let example = match (segments.as_slice(), ours) {
        (["providers", _, _], "keys") => " (keys: [\"…\"])",
        (["chains", ..], "targets") => " (targets: [\"provider/model\", …]; the first one is the primary)",
        _ => "",
    };
    format!("did you mean `{ours}`?{example} known: {}", known.join(", "))
}

/// How a value of the wrong shape is written in its place.
fn shape(place: &Place, found: &Actual) -> Option<&'static str> {
    let segments: Vec<&str> = place.0.iter().map(String::as_str).collect();
    match (segments.as_slice(), found) {
        (["providers"], Actual::Seq) => Some("{ openai: { keys: [\"…\"] } }"),
        (["providers", _], Actual::Seq | Actual::Str(_)) => Some("{ keys: [\"…\"] }"),
        (["providers", _, "keys" | "auth"], Actual::Str(_)) => Some("[\"…\"]; in a variable '[\"one\",\"other\"]'"),
        (["providers", _, "keys" | "auth"], Actual::Map) => Some("[{ key: \"…\", profile: \"…\" }]"),
        (["server", "client_keys", _], _) | (["server", "client_keys"], Actual::Str(_) | Actual::Map) => {
            Some("[{ name: \"…\", sha256: \"…\" }]; `backstop hash-key` makes them")
        }
        (["chains"], Actual::Seq | Actual::Str(_)) => Some("{ default: [\"provider/model\", …] }"),
        _ => None,
    }
}

/// A reader's error without the value it stumbled over, for that may be a key.
pub(super) fn explain(place: &Place, wrong: &Wrong) -> (String, Option<String>) {
    match wrong {
        Wrong::UnknownField(name, known) => {
            (format!("there is no setting `{}` here", shown(name)), Some(renamed(place, name, known)))
        }
        Wrong::InvalidType(found, expected) => {
            let expected = plainly(expected);
            let hint = shape(place, found).map_or_else(|| expected.clone(), |cure| format!("{expected}: {cure}"));
            (format!("this is {}", type_name(found)), Some(hint))
        }
        Wrong::InvalidValue(Actual::Unsigned(_) | Actual::Signed(_) | Actual::Float(_), expected) => {
            ("this number is out of range".to_owned(), Some(plainly(expected)))
        }
        Wrong::InvalidValue(_, expected) => ("this cannot be used".to_owned(), Some(plainly(expected))),
        // Written by `shapes`, without values.
        Wrong::Message(expected) => ("this cannot be read".to_owned(), Some(expected.clone())),
        Wrong::ISizeOutOfRange(_) | Wrong::USizeOutOfRange(_) => ("this number is out of range".to_owned(), None),
        Wrong::InvalidLength(..)
        | Wrong::UnknownVariant(..)
        | Wrong::MissingField(_)
        | Wrong::DuplicateField(_)
        | Wrong::Unsupported(_)
        | Wrong::UnsupportedKey(..) => ("this cannot be read".to_owned(), None),
    }
}

const fn type_name(found: &Actual) -> &'static str {
    match found {
        Actual::Bool(_) => "true or false",
        Actual::Unsigned(_) | Actual::Signed(_) => "a whole number",
        Actual::Float(_) => "a number with a fraction",
        Actual::Char(_) | Actual::Str(_) => "a text",
        Actual::Seq => "a list",
        Actual::Map => "an object",
        Actual::Unit | Actual::Option => "null",
        Actual::Bytes(_)
        | Actual::NewtypeStruct
        | Actual::Enum
        | Actual::UnitVariant
        | Actual::NewtypeVariant
        | Actual::TupleVariant
        | Actual::StructVariant
        | Actual::Other(_) => "something else",
    }
}
