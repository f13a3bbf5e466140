//! Thinking that the simulator shows before an answer, and the signature under it.
//!
//! Pure. Owns what a signature is, so that one that was changed, or that another vendor made, is found out.

use super::encode::mix;

/// What is thought.
pub(super) const TEXT: &str = "Somebody asks. I shall say who I am.";

/// The signature under thinking of that text.
pub(super) fn sign(text: &str) -> String {
    let hash = text.bytes().fold(7, |hash, byte| mix(hash, u64::from(byte)));
    format!("sig-sim-{hash:016x}")
}

/// Whether the simulator signed that. The text may have been left out, as vendors allow.
pub(super) fn is_signed(text: &str, signature: &str) -> bool {
    let text = if text.is_empty() { TEXT } else { text };
    signature == sign(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_text_only() {
        assert!(is_signed(TEXT, &sign(TEXT)) && is_signed("", &sign(TEXT)));
        assert!(!is_signed("Something else.", &sign(TEXT)));
        assert!(!is_signed(TEXT, "EqQBCkYI") && !is_signed("", "sig-sim-0"));
    }
}
