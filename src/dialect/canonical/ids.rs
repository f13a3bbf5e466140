//! Ids of tool calls that every target takes.
//!
//! Vendors mint ids in forms that others refuse. [`fit`] is a pure function of the id and the target's rule: a call and its
//! result get the same one, in every turn and on every replica, without a table. An id that fits stays as it is.

use std::borrow::Cow;

/// Which ids a target takes (wire.md 5.1, 5.7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Anything.
    Any,
    /// Anthropic: letters, digits, `_` and `-`.
    Anthropic,
    /// Bedrock: the same and `.` and `:`, 64 at most.
    Bedrock,
    /// Mistral: nine letters and digits.
    Mistral,
}

impl Rule {
    fn takes(self, id: &str) -> bool {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        match self {
            Self::Any => !id.is_empty(),
            Self::Anthropic => !id.is_empty() && id.bytes().all(word),
            Self::Bedrock => {
                (1..=64).contains(&id.len()) && id.bytes().all(|byte| word(byte) || matches!(byte, b'.' | b':'))
            }
            Self::Mistral => id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()),
        }
    }
}

/// The id under which a target knows a call.
#[must_use]
pub fn fit(id: &str, rule: Rule) -> Cow<'_, str> {
    if rule.takes(id) {
        return Cow::Borrowed(id);
    }
    let hash = fnv(id.as_bytes());
    Cow::Owned(match rule {
        Rule::Any | Rule::Anthropic | Rule::Bedrock => format!("call_{}", letters(hash, 12)),
        Rule::Mistral => letters(hash, 9),
    })
}

/// An id for a call whose vendor gave none: of this request, for its call number `index`.
#[must_use]
pub fn mint(request: u64, index: usize) -> String {
    format!("call_{}", letters(fnv(&[request.to_le_bytes(), (index as u64).to_le_bytes()].concat()), 12))
}

/// FNV-1a, 64 bit.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// The number in base 62, `count` digits of it.
fn letters(mut number: u64, count: usize) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = String::with_capacity(count);
    for _ in 0..count {
        text.push(char::from(DIGITS[(number % 62) as usize]));
        number /= 62;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_stays_and_the_rest_is_the_same_each_time() {
        for (id, rule, stays) in [
            ("toolu_01A-b", Rule::Anthropic, true),
            ("functions.x:0", Rule::Anthropic, false),
            ("functions.x:0", Rule::Bedrock, true),
            ("", Rule::Any, false),
            ("D681PevKs", Rule::Mistral, true),
            ("call_abc", Rule::Mistral, false),
        ] {
            let fitted = fit(id, rule);
            assert_eq!(fitted == id, stays, "{id}");
            assert!(rule.takes(&fitted), "{id} -> {fitted}");
            assert_eq!(fitted, fit(id, rule));
        }
        let long = "x".repeat(65);
        assert!(Rule::Bedrock.takes(&fit(&long, Rule::Bedrock)));
        assert_ne!(fit("call_a", Rule::Mistral), fit("call_b", Rule::Mistral));
        assert_ne!(mint(1, 0), mint(1, 1));
    }
}
