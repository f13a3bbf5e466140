//! The frames of `application/vnd.amazon.eventstream`, written from the format: a prelude, headers, a payload, and a
//! checksum behind the prelude and behind all of it.
//!
//! Owns the bytes. Refuses to know what the events mean, and shares nothing with the gateway or its simulators.

use serde_json::Value;

/// A header's type: text.
const TEXT: u8 = 7;

/// An event with its JSON.
pub fn event(name: &str, payload: &Value) -> Vec<u8> {
    raw_event(name, payload.to_string().as_bytes())
}

/// An event whose payload is whatever these bytes are.
pub fn raw_event(name: &str, payload: &[u8]) -> Vec<u8> {
    frame(&[(":event-type", name), (":content-type", "application/json"), (":message-type", "event")], payload)
}

/// An exception, as the service names it.
pub fn exception(name: &str, payload: &Value) -> Vec<u8> {
    let headers = [(":exception-type", name), (":content-type", "application/json"), (":message-type", "exception")];
    frame(&headers, payload.to_string().as_bytes())
}

/// An error that is no exception: it has no payload.
pub fn error(code: &str, message: &str) -> Vec<u8> {
    frame(&[(":message-type", "error"), (":error-code", code), (":error-message", message)], b"")
}

fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(u8::try_from(name.len()).unwrap());
        block.extend_from_slice(name.as_bytes());
        block.push(TEXT);
        block.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
        block.extend_from_slice(value.as_bytes());
    }
    let word = |length: usize| u32::try_from(length).unwrap().to_be_bytes();
    let prelude = [word(12 + block.len() + payload.len() + 4), word(block.len())].concat();
    let checked = [&prelude[..], &crc32fast::hash(&prelude).to_be_bytes(), &block, payload].concat();
    [&checked[..], &crc32fast::hash(&checked).to_be_bytes()].concat()
}

/// The first of the format's own test vectors: a message of nothing.
#[test]
fn an_empty_frame_is_the_formats_own() {
    assert_eq!(frame(&[], b""), [0, 0, 0, 16, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff]);
}
