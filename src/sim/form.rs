//! Forms (`multipart/form-data`), as far as an answer depends on them.
//!
//! Pure. Reads the text fields it knows and measures the file; refuses a form that has no end.

use http::HeaderMap;
use memchr::memmem;
use serde_json::Value;

use super::ask::Ask;

/// What a form asks; `None` if the body is none.
pub(super) fn ask(headers: &HeaderMap, body: &[u8]) -> Option<Ask> {
    let kind = headers.get("content-type")?.to_str().ok()?;
    let boundary = kind.strip_prefix("multipart/form-data")?.split_once("boundary=")?.1;
    let boundary = boundary.split(';').next()?.trim().trim_matches('"');
    let delimiter = format!("--{boundary}");
    let last = format!("\r\n--{boundary}--");
    memmem::find(body, last.as_bytes())?;
    let mut ask = Ask::default();
    let starts: Vec<usize> = memmem::find_iter(body, delimiter.as_bytes()).collect();
    for pair in starts.windows(2) {
        let part = body.get(pair[0] + delimiter.len() + 2..pair[1].checked_sub(2)?)?;
        let head = memmem::find(part, b"\r\n\r\n")?;
        let (name, content) = (String::from_utf8_lossy(part.get(..head)?), part.get(head + 4..)?);
        let text = || String::from_utf8_lossy(content).into_owned();
        let is = |field: &str| name.contains(&format!("name=\"{field}\""));
        if name.contains("filename=") {
            ask.file_len += content.len();
        } else if is("model") {
            ask.model = text();
        } else if is("response_format") {
            ask.response_format = Value::String(text());
        } else if is("stream") {
            ask.stream = Some(text() == "true");
        }
    }
    Some(ask)
}
