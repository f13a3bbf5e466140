//! Forms (`multipart/form-data`), in which audio and images are sent: the model is one of their fields.
//!
//! Owns the search for that field and nothing else: every other byte passes. Refuses to decode what the parts hold.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memmem::{self, Finder};

use super::openai_chat::request::{BadRequest, Head};
use super::openai_chat::splice::Edit;
use crate::policy::capability::Needs;

/// A form may have so many parts.
const PARTS: usize = 1_000;
/// The headers of a part may be this long, in bytes.
const PART_HEAD: usize = 8 * 1024;
/// A boundary may be this long, in bytes (RFC 2046).
const BOUNDARY: usize = 70;

/// The boundary that a content type names; `None` if it is no form's.
#[must_use]
pub fn boundary(content_type: &str) -> Option<&str> {
    let (essence, parameters) = content_type.split_once(';')?;
    if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameter(parameters, "boundary")?;
    (1..=BOUNDARY).contains(&boundary.len()).then_some(boundary)
}

/// The value of a parameter in `; name=value; name="value"`, without its quotes.
fn parameter<'a>(mut rest: &'a str, wanted: &str) -> Option<&'a str> {
    loop {
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(';').unwrap_or(after.len())),
        };
        if name.trim_matches([' ', '\t', ';']).eq_ignore_ascii_case(wanted) {
            return Some(value.trim());
        }
        rest = next;
    }
}

/// Reads the head of a form: its model, and where that stands.
///
/// # Errors
/// A body that is not a whole form with this boundary, has too many parts, or two models.
#[inline(never)]
pub fn read<'a>(body: &'a [u8], boundary: &str) -> Result<Head<'a>, BadRequest> {
    let mut model: Option<Range<usize>> = None;
    let mut parts = Parts::new(body, boundary)?;
    while let Some(part) = parts.next()? {
        if !is_model(&body[part.head]) {
            continue;
        }
        if model.is_some() {
            let message = "the form has the field `model` twice: send it once";
            return Err(BadRequest::new(message, Some("model"), "duplicate_field"));
        }
        model = Some(part.content);
    }
    let range = model.ok_or_else(BadRequest::missing_model)?;
    let name = std::str::from_utf8(&body[range.clone()])
        .map_err(|_| BadRequest::wrong_type("model", "a string: the name of a model"))?;
    Ok(Head {
        model: Some(name).filter(|name| !name.is_empty()).map(Cow::Borrowed),
        stream: false,
        models: Vec::new(),
        fallbacks: None,
        disable_fallbacks: false,
        user: None,
        prompt_cache_key: None,
        needs: Needs::default(),
        edit: Edit::of_form(range),
    })
}

/// Whether a part's headers say that it is the field `model`, and no file.
fn is_model(head: &[u8]) -> bool {
    let Ok(head) = std::str::from_utf8(head) else { return false };
    let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
    let disposition = lines.find(|(name, _)| name.trim().eq_ignore_ascii_case("content-disposition"));
    let parameters = disposition.and_then(|(_, value)| value.split_once(';')).map_or("", |(_, parameters)| parameters);
    parameter(parameters, "name") == Some("model") && parameter(parameters, "filename").is_none()
}

/// Where a part stands in the body.
struct Part {
    head: Range<usize>,
    content: Range<usize>,
}

struct Parts<'a> {
    body: &'a [u8],
    delimiter: Vec<u8>,
    /// Behind the last delimiter.
    at: usize,
    count: usize,
}

impl<'a> Parts<'a> {
    fn new(body: &'a [u8], boundary: &str) -> Result<Self, BadRequest> {
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        // The first delimiter needs no line before it.
        let at = if body.starts_with(&delimiter[2..]) {
            delimiter.len() - 2
        } else {
            memmem::find(body, &delimiter).ok_or_else(|| broken("it has no part"))? + delimiter.len()
        };
        Ok(Self { body, delimiter, at, count: 0 })
    }

    fn next(&mut self) -> Result<Option<Part>, BadRequest> {
        let rest = &self.body[self.at..];
        if rest.starts_with(b"--") {
            return Ok(None);
        }
        self.count += 1;
        if self.count > PARTS {
            return Err(broken("it has more than 1000 parts"));
        }
        // Blanks may stand behind a delimiter.
        let line =
            memmem::find(rest, b"\r\n").filter(|end| rest[..*end].iter().all(|byte| matches!(byte, b' ' | b'\t')));
        let head = self.at + line.ok_or_else(|| broken("it breaks off"))? + 2;
        let window = &self.body[head..self.body.len().min(head + PART_HEAD)];
        let content = if window.starts_with(b"\r\n") {
            head + 2
        } else {
            head + memmem::find(window, b"\r\n\r\n").ok_or_else(|| broken("a part has no headers"))? + 4
        };
        let end = Finder::new(&self.delimiter).find(&self.body[content..]);
        let end = content + end.ok_or_else(|| broken("it has no end"))?;
        self.at = end + self.delimiter.len();
        Ok(Some(Part { head: head..content, content: content..end }))
    }
}

fn broken(how: &str) -> BadRequest {
    BadRequest::new(format!("the body is not a form with the boundary that was announced: {how}"), None, "invalid_form")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::openai_chat::request::{ModelName, splice};
    use bytes::Bytes;

    fn form(parts: &[(&str, &str)]) -> String {
        let parts: String =
            parts.iter().map(|(head, content)| format!("--xYz\r\n{head}\r\n\r\n{content}\r\n")).collect();
        format!("{parts}--xYz--\r\n")
    }

    const FILE: (&str, &str) = (
        "Content-Disposition: form-data; name=\"file\"; filename=\"model\"\r\nContent-Type: audio/wav",
        "RIFF\r\n--xY\r\n\0",
    );
    const MODEL: (&str, &str) = ("Content-Disposition: form-data; name=\"model\"", "whisper-1");

    fn code(body: &str) -> &'static str {
        read(body.as_bytes(), "xYz").err().map_or("none", |error| error.code)
    }

    #[test]
    fn boundaries() {
        for (text, expected) in [
            ("multipart/form-data; boundary=xYz", Some("xYz")),
            ("Multipart/Form-Data; charset=utf-8; Boundary=\"a b;c\"", Some("a b;c")),
            ("multipart/form-data; boundary=----WebKit7MA; x=y", Some("----WebKit7MA")),
            ("multipart/form-data", None),
            ("multipart/form-data; boundary=", None),
            ("multipart/mixed; boundary=xYz", None),
            ("application/json", None),
        ] {
            assert_eq!(boundary(text), expected, "{text}");
        }
    }

    #[test]
    fn only_the_model_changes_wherever_it_stands() {
        for parts in [[FILE, MODEL], [MODEL, FILE]] {
            let text = form(&parts);
            let body = Bytes::from(text.clone());
            let head = read(&body, "xYz").unwrap_or_else(|error| unreachable!("{error:?}"));
            assert_eq!(head.model.as_deref(), Some("whisper-1"));
            let segments = splice(&body, &head.edit, &ModelName::new("whi\"sper/other"));
            assert_eq!(segments.len(), 3, "slices of the body, and the name");
            assert_eq!(segments.concat(), text.replace("whisper-1", "whi\"sper/other").into_bytes());
        }
        let unquoted = form(&[("content-type: text/plain\r\nCONTENT-DISPOSITION: form-data; name=model", "m")]);
        assert_eq!(read(unquoted.as_bytes(), "xYz").ok().and_then(|head| head.model).as_deref(), Some("m"));
    }

    #[test]
    fn what_is_no_whole_form_is_refused() {
        let good = form(&[FILE, MODEL]);
        assert_eq!(code(&good), "none");
        for end in 0..good.len() - 4 {
            assert_ne!(code(&good[..end]), "none", "cut at {end}");
        }
        assert_eq!(code(&form(&[FILE])), "missing_required_parameter");
        assert_eq!(code(&form(&[MODEL, FILE, MODEL])), "duplicate_field");
        assert_eq!(code(&form(&vec![FILE; PARTS + 1])), "invalid_form");
        assert_eq!(code("{\"model\":\"m\"}"), "invalid_form");
        let long = "x".repeat(PART_HEAD);
        assert_eq!(code(&form(&[(long.as_str(), ""), MODEL])), "invalid_form");
        let empty = form(&[(MODEL.0, "")]);
        assert_eq!(read(empty.as_bytes(), "xYz").map(|head| head.model), Ok(None));
    }

    proptest::proptest! {
        /// Whatever is sent, it is read or refused; what is read is one form with one model.
        #[test]
        fn no_body_is_too_odd(pieces in proptest::collection::vec(proptest::sample::select(vec![
            "--xYz", "\r\n", "\r\n\r\n", "--", MODEL.0, "m", FILE.1, "Content-Disposition: form-data; name=\"", ";", "\"", "=", " ",
        ]), 0..24)) {
            let body = Bytes::from(pieces.concat());
            if let Ok(head) = read(&body, "xYz") {
                let name = head.model.clone().unwrap_or_default().into_owned();
                let same = splice(&body, &head.edit, &ModelName::new(&name)).concat();
                proptest::prop_assert_eq!(same, body.to_vec());
            }
        }
    }
}
