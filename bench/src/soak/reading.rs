//! One answer as it comes in, checked character by character.
//!
//! Owns what an answer must be like: one id, one role, the text and nothing else, one finish reason, one usage, one
//! `[DONE]`; or an error event and none of the last three. Refuses to know sockets, and whether the stream was cut.

use serde::Deserialize;
use serde::de::IgnoredAny;

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With all it should have.
    Whole,
    /// With an error event, after so many bytes of the text.
    Broken(usize),
}

/// An answer that is being read.
#[derive(Debug, Default)]
pub struct Reading {
    expected: String,
    told: usize,
    line: Vec<u8>,
    id: Option<String>,
    roles: usize,
    finishes: usize,
    usages: usize,
    done: bool,
    broken: bool,
    /// Events with content so far.
    pub contents: u64,
    /// Comments so far: keep-alives and seams.
    pub comments: u64,
}

#[derive(Deserialize)]
struct Chunk {
    id: Option<String>,
    error: Option<IgnoredAny>,
    usage: Option<IgnoredAny>,
    #[serde(default)]
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Delta,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    role: Option<IgnoredAny>,
    content: Option<String>,
}

impl Reading {
    /// An answer that must be `expected`.
    pub fn new(expected: String) -> Self {
        Self { expected, ..Self::default() }
    }

    /// The next bytes, however they were divided.
    ///
    /// # Errors
    /// The first thing that is wrong, in words.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut bytes = bytes;
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.line.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.line);
            self.line(line.strip_suffix(b"\r").unwrap_or(&line))?;
            self.line = line;
            self.line.clear();
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        let line = std::str::from_utf8(line).map_err(|_| "a line is not UTF-8".to_owned())?;
        if line.is_empty() {
            return Ok(());
        }
        if line.starts_with(':') {
            self.comments += 1;
            return Ok(());
        }
        let data = line.strip_prefix("data:").ok_or_else(|| format!("a line is neither data nor comment: {line:?}"))?;
        if self.done || self.broken {
            return Err(format!("something came after the end: {line:?}"));
        }
        match data.trim_start() {
            "[DONE]" => {
                self.done = true;
                Ok(())
            }
            data => self.chunk(data),
        }
    }

    fn chunk(&mut self, data: &str) -> Result<(), String> {
        let chunk: Chunk = serde_json::from_str(data).map_err(|error| format!("{error}: {data:?}"))?;
        self.broken = chunk.error.is_some();
        self.usages += usize::from(chunk.usage.is_some());
        if let Some(id) = chunk.id {
            let known = self.id.get_or_insert_with(|| id.clone());
            if *known != id {
                return Err(format!("the id {known:?} became {id:?}"));
            }
        }
        for choice in chunk.choices {
            self.roles += usize::from(choice.delta.role.is_some());
            if let Some(content) = choice.delta.content.filter(|content| !content.is_empty()) {
                self.content(&content)?;
            }
            self.finishes += usize::from(choice.finish_reason.is_some());
        }
        Ok(())
    }

    fn content(&mut self, content: &str) -> Result<(), String> {
        if self.finishes > 0 {
            return Err(format!("content after the finish reason: {content:?}"));
        }
        let rest = &self.expected[self.told..];
        if !rest.starts_with(content) {
            let should: String = rest.chars().take(content.chars().count()).collect();
            return Err(format!("{content:?} instead of {should:?} after {} bytes", self.told));
        }
        self.told += content.len();
        self.contents += 1;
        Ok(())
    }

    /// Bytes of the text so far.
    pub const fn told(&self) -> usize {
        self.told
    }

    /// The body has ended.
    ///
    /// # Errors
    /// What is missing, or was there twice.
    pub fn end(&self) -> Result<Ended, String> {
        if !self.line.is_empty() {
            return Err("the body ended inside a line".to_owned());
        }
        let (told, length) = (self.told, self.expected.len());
        let (roles, finishes, usages, done) = (self.roles, self.finishes, self.usages, self.done);
        let counts = format!("{roles} roles, {finishes} finish reasons, {usages} usages, [DONE]: {done}");
        match (self.broken, roles, finishes, usages, done) {
            (true, 1, 0, 0, false) => Ok(Ended::Broken(told)),
            (true, ..) => Err(format!("an error event, and yet: {counts}")),
            (false, 1, 1, 1, true) if told == length => Ok(Ended::Whole),
            (false, 1, 1, 1, true) => Err(format!("looks whole with {told} of {length} bytes")),
            (false, ..) => Err(format!("neither whole nor an error, after {told} of {length} bytes: {counts}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "data: {\"id\":\"a\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n";
    const FIRST: &str =
        "data: {\"id\":\"a\",\"choices\":[{\"delta\":{\"content\":\"Grü\"},\"finish_reason\":null}]}\n\n";
    const SECOND: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"ße\"},\"finish_reason\":null}]}\r\n\r\n";
    const FINISH: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    const OTHER: &str = "data: {\"id\":\"b\",\"choices\":[]}\n\n";
    const USAGE: &str = "data: {\"choices\":[],\"usage\":{}}\n\n";
    const DONE: &str = "data: [DONE]\n\n";
    const ERROR: &str = "data: {\"error\":{\"message\":\"m\"}}\n\n";

    fn read(parts: &[&str], size: usize) -> Result<Ended, String> {
        let mut reading = Reading::new("Grüße".to_owned());
        for bytes in parts.concat().as_bytes().chunks(size) {
            reading.feed(bytes)?;
        }
        reading.end()
    }

    #[test]
    fn a_whole_answer_is_whole_however_it_is_divided() {
        let answer = [ROLE, ": a seam\n\n", FIRST, SECOND, FINISH, USAGE, DONE];
        for size in [1, 2, 3, 7, 4096] {
            assert_eq!(read(&answer, size), Ok(Ended::Whole));
        }
    }

    #[test]
    fn an_error_event_breaks_an_answer_and_must_not_look_whole() {
        assert_eq!(read(&[ROLE, FIRST, ERROR], 9), Ok(Ended::Broken(4)));
        assert!(read(&[ROLE, FIRST, SECOND, FINISH, ERROR], 9).is_err());
        assert!(read(&[ROLE, FIRST, ERROR, DONE], 9).is_err());
    }

    #[test]
    fn what_is_lost_or_doubled_is_told() {
        for wrong in [
            &[ROLE, FIRST, FINISH, USAGE, DONE][..],
            &[ROLE, SECOND, FINISH, USAGE, DONE],
            &[ROLE, FIRST, FIRST, SECOND, FINISH, USAGE, DONE],
            &[ROLE, FIRST, SECOND, FINISH, FINISH, USAGE, DONE],
            &[ROLE, FIRST, SECOND, FINISH, USAGE, DONE, DONE],
            &[ROLE, FIRST, SECOND, FINISH, SECOND, USAGE, DONE],
            &[ROLE, ROLE, FIRST, SECOND, FINISH, USAGE, DONE],
            &[FIRST, SECOND, FINISH, USAGE, DONE],
            &[ROLE, FIRST, SECOND, USAGE, DONE],
            &[ROLE, FIRST, SECOND, FINISH, USAGE],
            &[ROLE, FIRST, SECOND, FINISH, DONE],
            &[ROLE, FIRST, SECOND, FINISH, USAGE, USAGE, DONE],
            &[ROLE, FIRST, OTHER, SECOND, FINISH, USAGE, DONE],
            &[ROLE, FIRST, "data: {\"cho"],
            &[],
        ] {
            assert!(read(wrong, 4096).is_err(), "{wrong:?}");
        }
    }
}
