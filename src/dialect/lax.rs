//! JSON that is well formed and still refused by a strict reader: half a surrogate pair, a number beyond all bounds.
//!
//! Owns the copy of it that can be read. Refuses to know what the text means: nothing of the copy goes to anybody.

/// What `read` makes of `json`; if it refuses, what it makes of a copy in which each escaped surrogate and each number
/// stands as something harmless. JSON that is read at once, the usual one, costs nothing.
pub(super) fn read_lax<T>(json: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
    read(json).or_else(|| read(&tamed(json)))
}

fn tamed(json: &str) -> String {
    let mut tame = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find(|found: char| found == '"' || found == '-' || found.is_ascii_digit()) {
        let (before, from) = rest.split_at(at);
        tame.push_str(before);
        rest = match from.strip_prefix('"') {
            Some(text) => {
                tame.push('"');
                tame_text(text, &mut tame)
            }
            None => {
                tame.push('0');
                from.trim_start_matches(|part: char| {
                    part.is_ascii_digit() || matches!(part, '-' | '+' | '.' | 'e' | 'E')
                })
            }
        };
    }
    tame.push_str(rest);
    tame
}

/// Copies a text up to its closing quote; gives back what follows.
fn tame_text<'a>(text: &'a str, tame: &mut String) -> &'a str {
    let mut rest = text;
    while let Some(at) = rest.find(['"', '\\']) {
        let (before, from) = rest.split_at(at);
        tame.push_str(before);
        if let Some(after) = from.strip_prefix('"') {
            tame.push('"');
            return after;
        }
        let surrogate = from
            .strip_prefix("\\u")
            .is_some_and(|code| matches!(code.as_bytes(), [b'd' | b'D', b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F', ..]));
        let (escape, length) = if surrogate { ("\\ufffd", 6) } else { (from, 2) };
        tame.push_str(escape.get(..length).unwrap_or(escape));
        rest = from.get(length..).unwrap_or_default();
    }
    tame.push_str(rest);
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_strict_reader_refuses_is_made_harmless_and_the_rest_stays() {
        for (json, tame) in [
            (
                r#"["\ud83d", "\uD83D\uDE00", "\u00e9", "\\ud83d", "\"1e999\""]"#,
                r#"["\ufffd", "\ufffd\ufffd", "\u00e9", "\\ud83d", "\"1e999\""]"#,
            ),
            (r#"{"a":1e999,"b":[-1E+400,true,false,null],"1e9":"ü"}"#, r#"{"a":0,"b":[0,true,false,null],"1e9":"ü"}"#),
            (r#""\"#, r#""\"#),
            (r#""\ud8"#, r#""\ufffd"#),
            ("", ""),
        ] {
            assert_eq!(tamed(json), tame, "{json}");
        }
    }

    proptest::proptest! {
        /// Whatever text comes, well formed or not: it is read to its end, and what was readable stays so.
        #[test]
        fn any_text_is_survived(text in ".{0,60}", parts in proptest::collection::vec(proptest::sample::select(vec!["\"", "\\", "\\ud83d", "\\u", "1e9", "-", "ü", "[", ","]), 0..12)) {
            let tame = tamed(&parts.concat());
            proptest::prop_assert!(tame.len() <= parts.concat().len() + 6);
            let value = serde_json::Value::from(text);
            proptest::prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&tamed(&value.to_string())).ok(), Some(value));
        }
    }
}
