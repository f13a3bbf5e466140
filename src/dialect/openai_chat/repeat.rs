//! Stream chunks that differ from an earlier one in the text of their content alone.
//!
//! Owns the shortcut: the bytes around the text were read once and found plain, so a chunk with the same bytes
//! around another text is plain as well. Refuses to guess: what is not exactly alike is read.

/// `"content":"`, behind which the text of a chat chunk begins.
const CONTENT: &[u8] = b"\"content\":\"";
/// Some vendors pad every chunk differently: after so many that were not alike, no more are compared.
const MISSES: u8 = 8;

/// The frame around a text that was seen before.
#[derive(Debug, Default)]
pub struct Repeat {
    /// What stands before the text, then what stands behind it.
    around: Vec<u8>,
    split: usize,
    misses: u8,
}

impl Repeat {
    /// Whether a block is one frame like the learned one, but for the text inside its content string. Its only
    /// string that may differ ends where the learned rest begins: the text holds no quote that is not escaped, no
    /// backslash at all, and no line end.
    #[must_use]
    pub fn fits(&self, block: &[u8]) -> bool {
        if self.around.is_empty() {
            return false;
        }
        let (before, behind) = self.around.split_at(self.split);
        let text = block.strip_prefix(before).and_then(|rest| rest.strip_suffix(behind));
        text.is_some_and(is_simple)
    }

    /// Learns the frame of a block that was read and found to be a single plain chunk.
    pub fn learn(&mut self, block: &[u8]) {
        if self.misses == MISSES {
            return;
        }
        self.misses += 1;
        self.around.clear();
        let Some(start) = memchr::memmem::find(block, CONTENT).map(|at| at + CONTENT.len()) else { return };
        let Some(length) = memchr::memchr2(b'"', b'\\', &block[start..]) else { return };
        if block[start + length] == b'"' {
            self.split = start;
            self.around.extend_from_slice(&block[..start]);
            self.around.extend_from_slice(&block[start + length..]);
        }
    }
}

fn is_simple(text: &[u8]) -> bool {
    !text.iter().any(|byte| matches!(byte, b'"' | b'\\' | b'\n' | b'\r'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str =
        "data: {\"id\":\"x\",\"choices\":[{\"delta\":{\"content\":\"Hi\"},\"finish_reason\":null}]}\n\n";

    fn learned() -> Repeat {
        let mut repeat = Repeat::default();
        assert!(!repeat.fits(FIRST.as_bytes()), "nothing is learned yet");
        repeat.learn(FIRST.as_bytes());
        repeat
    }

    #[test]
    fn another_text_in_the_same_frame_fits() {
        for text in ["", "Hi", " there", "ä, {\u{1F600}} [DONE]"] {
            assert!(learned().fits(FIRST.replace("Hi", text).as_bytes()), "{text}");
        }
    }

    #[test]
    fn everything_else_is_read() {
        let other = [
            FIRST.replace("null", "\"stop\""),
            FIRST.replace("\"x\"", "\"y\""),
            FIRST.replace("Hi", "say \\\"x\\\""),
            FIRST.replace("Hi", "ends \\"),
            FIRST.replace("Hi", "a\"},\"error\":{\"message\":\"no"),
            FIRST.replace("Hi", "a\n\ndata: [DONE]\n\n"),
            format!("{FIRST}{FIRST}"),
            format!("event: error\n{FIRST}"),
            FIRST[..FIRST.len() - 1].to_owned(),
            "data: [DONE]\n\n".to_owned(),
            String::new(),
        ];
        for block in other {
            assert!(!learned().fits(block.as_bytes()), "{block}");
        }
    }

    #[test]
    fn frames_without_a_plain_text_are_not_learned_and_changing_ones_only_so_often() {
        let mut repeat = Repeat::default();
        for block in ["data: {\"choices\":[]}\n\n", "data: {\"content\":\"a\\n\"}\n\n", "data: {\"content\":\"a"] {
            repeat.learn(block.as_bytes());
            assert!(!repeat.fits(block.as_bytes()), "{block}");
        }
        for number in 0..u32::from(MISSES) {
            repeat.learn(FIRST.replace("\"x\"", &number.to_string()).as_bytes());
        }
        assert!(!repeat.fits(FIRST.as_bytes()));
    }
}
