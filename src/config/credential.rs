//! What stands where a key belongs and is none: quotes, placeholders, names, several keys in one.
//!
//! Owns those looks. Refuses to know whose key it is, and never repeats a byte of it.

/// What is wrong with a key, and its cure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) what: &'static str,
    /// `None`: as whoever knows where it stands says how several keys are written.
    pub(super) hint: Option<&'static str>,
}

/// Words that stand in examples in a key's place.
const PLACEHOLDERS: [&str; 8] =
    ["...", "your-api-key", "your_api_key", "your-key", "your_key", "yourkey", "changeme", "change-me"];

/// Why `text` is no key that could be sent, if so.
pub(super) fn flaw(text: &str) -> Option<Flaw> {
    const QUOTES: [char; 7] = ['"', '\'', '`', '\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}'];
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    let told = |what, hint| Some(Flaw { what, hint: Some(hint) });
    if text.is_empty() {
        return told("the key is empty", "write the key, or leave the entry out");
    }
    if text.starts_with(['[', '{']) && !text.starts_with("{{") {
        return Some(Flaw { what: "the key stands in brackets", hint: None });
    }
    if text.starts_with(QUOTES) || text.ends_with(QUOTES) {
        return told("the key stands in quotes", "leave them out: env files of Docker and files of secrets keep them");
    }
    if lower.starts_with("bearer ") {
        return told("`Bearer` stands before the key", "leave it out: the gateway adds it");
    }
    if lower.starts_with("file:") {
        return told("this is no key", "a file is named by `file:` in small letters and its path");
    }
    let other_ways = ["os.environ/", "env:", "env.", "process.env."];
    if text.contains("${")
        || text.starts_with('$')
        || text.contains("{{")
        || other_ways.iter().any(|way| text.starts_with(way))
    {
        let hint = "write the key; a variable is written \"${NAME}\", and in the configuration file only";
        return told("a variable stands here that nothing has replaced", hint);
    }
    if (text.starts_with('<') && text.ends_with('>')) || PLACEHOLDERS.iter().any(|word| lower.contains(word)) {
        return told("this is a placeholder, not a key", "write the vendor's key in its place");
    }
    if text.contains('\u{2026}') {
        return told("this is a key that was cut short", "copy the whole key");
    }
    if begins_with_name(text) {
        return told("a name and `=` stand before the key", "leave them out: only the key");
    }
    if text.lines().count() > 1 {
        return Some(Flaw { what: "there is more than one line", hint: None });
    }
    if text.contains([',', ';']) {
        return Some(Flaw { what: "these are several keys, or none", hint: None });
    }
    if text.contains(char::is_whitespace) {
        return told("the key has blanks inside", "copy it again: a key has none");
    }
    None
}

/// Whether it is more likely the name of a variable than a key.
pub(super) fn is_name(text: &str) -> bool {
    let text = text.trim();
    text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        && text.contains('_')
        && ["KEY", "TOKEN", "SECRET"].iter().any(|word| text.contains(word))
}

fn begins_with_name(text: &str) -> bool {
    let text = text.strip_prefix("export ").unwrap_or(text);
    // Base64 ends in `=`.
    text.split_once('=').is_some_and(|(name, rest)| {
        let name = name.trim();
        let legal = name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        legal && name.contains('_') && !rest.trim_matches('=').is_empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_seen() {
        for (text, what) in [
            ("", "empty"),
            (" ", "empty"),
            ("\"sk-1\"", "quotes"),
            ("'sk-1'", "quotes"),
            ("\u{201c}sk-1\u{201d}", "quotes"),
            ("sk-1\"", "quotes"),
            ("Bearer sk-1", "Bearer"),
            ("bearer sk-1", "Bearer"),
            ("File:/run/secrets/x", "no key"),
            ("${OPENAI_API_KEY}", "replaced"),
            ("sk-${PART}", "replaced"),
            ("$OPENAI_API_KEY", "replaced"),
            ("{{OPENAI_API_KEY}}", "replaced"),
            ("os.environ/OPENAI_API_KEY", "replaced"),
            ("env:OPENAI_API_KEY", "replaced"),
            ("<your-key>", "placeholder"),
            ("sk-...", "placeholder"),
            ("YOUR_API_KEY", "placeholder"),
            ("sk-12\u{2026}", "cut short"),
            ("OPENAI_API_KEY=sk-1", "a name and `=`"),
            ("export OPENAI_API_KEY=sk-1", "a name and `=`"),
            ("sk-1\nsk-2", "more than one line"),
            ("sk-1,sk-2", "several keys"),
            ("sk-1;sk-2", "several keys"),
            ("[\"sk-1\"]", "brackets"),
            ("sk-1 sk-2", "blanks"),
        ] {
            let found = flaw(text).map_or("", |flaw| flaw.what);
            assert!(found.contains(what), "{text:?}: {found}");
        }
        for good in ["sk-live-1", "k", "AbC+/9==", "ABC_DEF=", "a.b-c_d~e", " padded\n", "value-of-OPENAI_API_KEY"] {
            assert_eq!(flaw(good), None, "{good}");
        }
        assert!(is_name("OPENAI_API_KEY") && !is_name("KEY") && !is_name("sk-KEY_1") && !is_name("AKIA0_9"));
    }
}
