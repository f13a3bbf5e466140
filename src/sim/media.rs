//! Healthy images, sound and transcripts: each says who made it, in bytes that are no text where a vendor's are none.
//!
//! Pure functions from what was asked to bytes. Refuses to know sockets, delays and faults.

use serde_json::{Value, json};

use super::answer::{CREATED, Events, Reply, Who, said_tokens, text as said, tokens};
use super::ask::Ask;
use super::encode::base64;

/// Bytes that no text has.
const NOISE: [u8; 4] = [0xff, 0xfb, 0x90, 0x00];

fn usage(ask: &Ask, who: &Who) -> Value {
    let (input, said) = (tokens(who), said_tokens(ask, who));
    json!({ "type": "tokens", "input_tokens": input, "output_tokens": said, "total_tokens": input + said })
}

/// One image; as a stream, partial ones before it.
pub(super) fn image(ask: &Ask, who: &Who) -> Reply {
    let picture = base64(&[&NOISE, said(ask, who).concat().as_bytes()].concat());
    if !ask.streams() {
        let body = json!({ "created": CREATED, "data": [{ "b64_json": picture }], "usage": usage(ask, who) });
        return Reply::Whole { status: 200, body: body.to_string() };
    }
    let event = |kind: &str, more: Value| {
        let mut event = json!({ "type": kind, "b64_json": picture, "created_at": CREATED, "size": "1024x1024",
            "quality": "low", "background": "opaque", "output_format": "png" });
        event
            .as_object_mut()
            .into_iter()
            .for_each(|fields| fields.extend(more.as_object().cloned().unwrap_or_default()));
        event.to_string()
    };
    let partial =
        (0..who.chunks).map(|n| event("image_generation.partial_image", json!({ "partial_image_index": n }))).collect();
    let finish = vec![event("image_generation.completed", json!({ "usage": usage(ask, who) }))];
    Reply::Events(Events::named(Vec::new(), partial, finish))
}

/// Sound that holds the text, or its pieces as events.
pub(super) fn speech(ask: &Ask, who: &Who) -> Reply {
    let sound = |text: &str| [&NOISE, text.as_bytes()].concat();
    let said = said(ask, who);
    if ask.stream_format.as_deref() == Some("sse") {
        let delta = |text: &String| json!({ "type": "speech.audio.delta", "audio": base64(&sound(text)) }).to_string();
        let finish = vec![json!({ "type": "speech.audio.done", "usage": usage(ask, who) }).to_string()];
        let content = said.iter().map(delta).collect();
        return Reply::Events(Events::named(Vec::new(), content, finish));
    }
    let kind = match ask.response_format.as_str() {
        Some("wav") => "audio/wav",
        Some("pcm") => "audio/pcm",
        Some("opus") => "audio/opus",
        _ => "audio/mpeg",
    };
    Reply::Media { kind, body: sound(&said.concat()) }
}

/// A transcript: who heard how many bytes.
pub(super) fn heard(ask: &Ask, who: &Who) -> Reply {
    let said = said(ask, who);
    let text = format!("{} Heard {} bytes.", said.concat(), ask.file_len);
    if ask.streams() {
        let delta = |text: &String| json!({ "type": "transcript.text.delta", "delta": text }).to_string();
        let finish =
            vec![json!({ "type": "transcript.text.done", "text": text, "usage": usage(ask, who) }).to_string()];
        let content = said.iter().map(delta).collect();
        return Reply::Events(Events::named(Vec::new(), content, finish));
    }
    match ask.response_format.as_str() {
        Some("text") => Reply::Media { kind: "text/plain; charset=utf-8", body: format!("{text}\n").into_bytes() },
        Some("srt") => Reply::Media {
            kind: "text/plain; charset=utf-8",
            body: format!("1\n00:00:00,000 --> 00:00:01,000\n{text}\n").into_bytes(),
        },
        Some("vtt") => Reply::Media {
            kind: "text/vtt; charset=utf-8",
            body: format!("WEBVTT\n\n00:00.000 --> 00:01.000\n{text}\n").into_bytes(),
        },
        _ => Reply::Whole { status: 200, body: json!({ "text": text, "usage": usage(ask, who) }).to_string() },
    }
}
