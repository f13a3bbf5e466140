//! Characters that a vendor cuts in two: one half of a surrogate pair at the end of a chunk, the other in the next.
//!
//! Owns putting them together. Refuses to know what the text is for.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::wire;
use crate::dialect::lax::read_lax;

/// The first half of a character, until the second comes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Halves(Option<u16>);

impl Halves {
    /// The half that waits.
    pub(super) const fn waiting(self) -> Option<u16> {
        self.0
    }

    /// What is left of a half whose other one never came.
    pub(super) fn flush(&mut self) -> Option<&'static str> {
        self.0.take().map(|_| "\u{fffd}")
    }

    /// A string as [`wire::text`] reads it, with the half that waited before it and without one that must wait.
    pub(super) fn join<'a>(&mut self, raw: Option<&'a RawValue>) -> Option<Cow<'a, str>> {
        let inner = raw?.get().strip_prefix('"')?.strip_suffix('"')?;
        if self.0.is_none() && memchr::memchr(b'\\', inner.as_bytes()).is_none() {
            return wire::text(raw);
        }
        if inner.is_empty() {
            return None;
        }
        let (inner, next) = without_half(inner);
        let before = std::mem::replace(&mut self.0, next).map_or_else(String::new, |half| format!("\\u{half:04x}"));
        let json = format!("\"{before}{inner}\"");
        let text = read_lax(&json, |json| serde_json::from_str::<String>(json).ok())?;
        (!text.is_empty()).then_some(Cow::Owned(text))
    }
}

/// The inside of a JSON string without the first half of a character at its end.
fn without_half(inner: &str) -> (&str, Option<u16>) {
    let Some((before, escape)) = inner.len().checked_sub(6).and_then(|at| inner.split_at_checked(at)) else {
        return (inner, None);
    };
    let code = escape.strip_prefix("\\u").and_then(|digits| u16::from_str_radix(digits, 16).ok());
    let escaped = before.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1;
    match code {
        Some(half @ 0xd800..=0xdbff) if !escaped => (before, Some(half)),
        _ => (inner, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(pieces: &[&str]) -> (String, Option<u16>) {
        let mut halves = Halves::default();
        let mut text = String::new();
        for piece in pieces {
            let raw = serde_json::from_str::<&RawValue>(piece).unwrap();
            text.push_str(halves.join(Some(raw)).as_deref().unwrap_or_default());
        }
        (text, halves.waiting())
    }

    #[test]
    fn a_character_in_two_halves_is_one() {
        assert_eq!(joined(&[r#""a\ud83d""#, r#""""#, r#""\ude00b""#]), ("a\u{1F600}b".to_owned(), None));
        assert_eq!(joined(&[r#""\ud83d""#, r#""\ude00\ud83d""#, r#""\ude01""#]).0, "\u{1F600}\u{1F601}");
        assert_eq!(joined(&[r#""a\n""#, r#""b""#]).0, "a\nb");
    }

    #[test]
    fn a_lone_half_waits_and_what_only_looks_like_one_does_not() {
        assert_eq!(joined(&[r#""a\uD83D""#]), ("a".to_owned(), Some(0xd83d)));
        assert_eq!(joined(&[r#""a\\ud83d""#]), ("a\\ud83d".to_owned(), None));
        assert_eq!(joined(&[r#""\ud83d""#, r#""x""#]), ("\u{fffd}x".to_owned(), None));
        assert_eq!(joined(&[r#""\ude00""#, "null", "1"]), ("\u{fffd}".to_owned(), None));
        let mut halves = Halves(Some(0xd83d));
        assert_eq!((halves.flush(), halves.flush()), (Some("\u{fffd}"), None));
    }
}
