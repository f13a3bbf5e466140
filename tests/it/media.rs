//! Images and audio: forms and bytes through failovers, seen from real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

mod bytes;
mod errors;
mod forms;
mod refusals;

use backstop::sim::{self, Rule, Script, Sim};

use crate::support::{Answer, CALM, Gateway};

/// Two providers of one simulator; `voice` is a chain over both, `one/tts` stands in `solo` and in `voice`.
async fn start(rules: Vec<Rule>, sections: &str) -> (Sim, Gateway) {
    let sim = Sim::start(Script::of(rules)).unwrap();
    let two = sim.base_url("two").replace("127.0.0.1", "localhost");
    let short = "timeouts: { response_timeout: '500ms', stall: '300ms' }";
    let text = format!(
        "{{ providers: {{ one: {{ base_url: '{}', keys: ['sk-one-a', 'sk-one-b'], {short} }},
            two: {{ base_url: '{two}', keys: ['sk-two-a'], {short} }} }},
            chains: {{ voice: ['one/tts', 'two/tts-hd'], 'open-*': ['one/tts', 'two/tts-hd'] }}, {CALM} {sections} }}",
        sim.base_url("one"),
    );
    let gateway = Gateway::start(&text).await;
    (sim, gateway)
}

/// What the simulator says, inside its sound and images.
fn healthy(provider: &str, model: &str, last4: &str) -> String {
    sim::pieces(provider, model, last4, 8).concat()
}

/// A form of these fields and one file, with the boundary `xYz`.
fn form(fields: &[(&str, &str)], file: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        let part = format!("--xYz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend(part.into_bytes());
    }
    body.extend(b"--xYz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n");
    body.extend(b"Content-Type: audio/wav\r\n\r\n");
    body.extend(file);
    body.extend(b"\r\n--xYz--\r\n");
    body
}

const FORM: (&str, &str) = ("content-type", "multipart/form-data; boundary=xYz");

impl Gateway {
    async fn send_form(&self, path: &str, fields: &[(&str, &str)], file: &[u8]) -> Answer {
        self.send("POST", path, &[FORM], &form(fields, file)).await
    }
}
