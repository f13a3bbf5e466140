//! Whether an answer is the one that the upstream sent.
//!
//! Owns the comparison: byte by byte, or by its text where a gateway translates. Refuses to know sockets.

use serde_json::Value;

use crate::wire;

/// What is expected of an answer.
#[derive(Debug)]
pub enum Check {
    /// These bytes.
    Bytes(Vec<u8>),
    /// JSON with this text.
    Text(String),
    /// Events with this text, and an end.
    Events(String),
}

impl Check {
    /// For an answer in OpenAI's shape, of so many contents if it is a stream.
    pub fn new(contents: Option<usize>, translated: bool) -> Self {
        match (contents, translated) {
            (None, false) => Self::Bytes(wire::plain_answer().to_vec()),
            (Some(contents), false) => Self::Bytes(wire::stream_events(contents).concat()),
            (None, true) => Self::Text(wire::TEXT.to_owned()),
            (Some(contents), true) => Self::Events((0..contents).map(|index| format!(" word{index:04}")).collect()),
        }
    }

    /// Compares.
    ///
    /// # Errors
    /// What is different.
    pub fn check(&self, got: &[u8]) -> Result<(), String> {
        match self {
            Self::Bytes(expected) => wire::same(got, expected),
            Self::Text(expected) => {
                let value = parse(got)?;
                same_text(value["choices"][0]["message"]["content"].as_str().unwrap_or_default(), expected)
            }
            Self::Events(expected) => {
                let mut text = String::new();
                let mut ended = false;
                for line in got.split(|byte| *byte == b'\n') {
                    match line.strip_prefix(b"data: ") {
                        None => {}
                        Some(b"[DONE]") => ended = true,
                        Some(data) => {
                            let value = parse(data)?;
                            text.push_str(value["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
                        }
                    }
                }
                if !ended {
                    return Err("the stream has no [DONE]".to_owned());
                }
                same_text(&text, expected)
            }
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("{error}: {}", String::from_utf8_lossy(bytes)))
}

fn same_text(got: &str, expected: &str) -> Result<(), String> {
    if got == expected { Ok(()) } else { Err(format!("the text is {got:?}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_in_both_shapes() {
        Check::new(None, true).check(&wire::plain_answer()).unwrap();
        Check::new(Some(3), true).check(&wire::stream_events(3).concat()).unwrap();
        let cut = wire::stream_events(3)[..5].concat();
        assert!(Check::new(Some(3), true).check(&cut).is_err());
        assert!(Check::new(Some(4), true).check(&wire::stream_events(3).concat()).is_err());
        assert!(Check::new(None, false).check(b"{}").is_err());
    }
}
