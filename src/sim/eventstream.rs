//! The frames of `application/vnd.amazon.eventstream`: prelude, headers, payload, and a checksum after each part.
//!
//! Pure. Written from the format, sharing nothing with the gateway's decoder, which it puts to the test.

use serde_json::Value;

/// The type of a header whose value is a text.
const STRING: u8 = 7;
/// The name of the event whose payload is what is sent, when what is sent names none.
const FALLBACK: &str = "contentBlockDelta";

/// One event: an object with one key, which names the event, the exception (`…Exception`), or an error that the
/// service has no exception for (`:error`, with its code and message). Anything else is the payload of a delta.
pub(super) fn event(data: &str) -> Vec<u8> {
    let parsed = serde_json::from_str::<serde_json::Map<String, Value>>(data).ok();
    let Some((name, payload)) = parsed.filter(|event| event.len() == 1).and_then(|event| event.into_iter().next())
    else {
        return message(":event-type", FALLBACK, "event", data);
    };
    if name == ":error" {
        let text = |key: &str| payload[key].as_str().unwrap_or_default();
        let headers = [(":message-type", "error"), (":error-code", text("code")), (":error-message", text("message"))];
        return frame(&headers, b"");
    }
    let (named_by, kind) =
        if name.ends_with("Exception") { (":exception-type", "exception") } else { (":event-type", "event") };
    message(named_by, &name, kind, &payload.to_string())
}

fn message(named_by: &str, name: &str, kind: &str, payload: &str) -> Vec<u8> {
    let headers = [(named_by, name), (":content-type", "application/json"), (":message-type", kind)];
    frame(&headers, payload.as_bytes())
}

/// The same frame with a wrong checksum at its end.
pub(super) fn corrupt(mut frame: Vec<u8>) -> Vec<u8> {
    if let Some(last) = frame.last_mut() {
        *last ^= 0xff;
    }
    frame
}

/// A frame of those headers and that payload. Texts longer than their length fields can say are cut.
fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        let (name, value) = (cut(name, usize::from(u8::MAX)), cut(value, usize::from(i16::MAX.unsigned_abs())));
        block.push(u8::try_from(name.len()).unwrap_or_default());
        block.extend(name);
        block.push(STRING);
        block.extend(u16::try_from(value.len()).unwrap_or_default().to_be_bytes());
        block.extend(value);
    }
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
    let mut out = Vec::with_capacity(16 + block.len() + payload.len());
    // Prelude (12), headers, payload, checksum (4).
    out.extend(length(16 + block.len() + payload.len()));
    out.extend(length(block.len()));
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out.extend(block);
    out.extend(payload);
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out
}

fn cut(text: &str, most: usize) -> &[u8] {
    text.as_bytes().get(..most).unwrap_or(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two examples of the format's own test vectors: an empty message, and a payload with no headers.
    #[test]
    fn frames_are_those_of_the_format() {
        assert_eq!(frame(&[], b""), [0, 0, 0, 16, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff]);
        let payload = frame(&[], b"{'foo':'bar'}");
        assert_eq!(payload[..12], [0, 0, 0, 0x1d, 0, 0, 0, 0, 0xfd, 0x52, 0x8c, 0x5a]);
        assert_eq!(payload[payload.len() - 4..], [0xc3, 0x65, 0x39, 0x36]);
    }

    #[test]
    fn one_key_names_the_event() {
        let holds = |data: &str, part: &[u8]| memchr::memmem::find(&event(data), part).is_some();
        assert!(holds("{\"messageStop\":{\"stopReason\":\"end_turn\"}}", b":event-type\x07\x00\x0bmessageStop"));
        assert!(holds("{\"throttlingException\":{}}", b":exception-type\x07\x00\x13throttlingException"));
        assert!(holds("{\"throttlingException\":{}}", b":message-type\x07\x00\x09exception"));
        assert!(holds("{\":error\":{\"code\":\"X\"}}", b":error-code\x07\x00\x01X"));
        assert!(holds("oops", b"contentBlockDelta"));
        assert_ne!(corrupt(event("oops")), event("oops"));
    }
}
