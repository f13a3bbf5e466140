//! What a vendor says, and the same in the words of each dialect, part by part.
//!
//! Owns the answer and its bytes. Refuses to know sockets, faults and requests.

use serde_json::{Value, json};

use super::frames;

/// Whose words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    OpenAi,
    Anthropic,
    Bedrock,
}

impl Dialect {
    pub const ALL: [Self; 3] = [Self::OpenAi, Self::Anthropic, Self::Bedrock];

    /// As a configuration names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai_chat",
            Self::Anthropic => "anthropic",
            Self::Bedrock => "bedrock",
        }
    }

    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenAi | Self::Anthropic => "text/event-stream",
            Self::Bedrock => "application/vnd.amazon.eventstream",
        }
    }

    /// The next one, in a circle.
    pub const fn next(self) -> Self {
        match self {
            Self::OpenAi => Self::Anthropic,
            Self::Anthropic => Self::Bedrock,
            Self::Bedrock => Self::OpenAi,
        }
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Speech {
    /// Who speaks: part of the answer's id and of the model's name.
    pub by: String,
    pub thinking: Option<&'static str>,
    /// Stands behind the thinking.
    pub signature: Option<&'static str>,
    /// What OpenAI says in `refusal`.
    pub refusal: Option<&'static str>,
    pub pieces: Vec<String>,
    /// A tool's name and its arguments in fragments.
    pub call: Option<(&'static str, Vec<&'static str>)>,
    /// Tokens in and out.
    pub usage: (u64, u64),
    /// OpenAI writes what stands outside the basic plane as two escapes, each in a chunk of its own.
    pub halves: bool,
}

/// What a part of a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// No content yet.
    Preamble,
    Thinking,
    Text,
    /// Between two blocks.
    Between,
    Call,
    /// The reason to finish.
    Finish,
    /// Behind it.
    Tail,
}

/// A frame or two of a stream.
#[derive(Debug, Clone)]
pub struct Part {
    pub role: Role,
    pub bytes: Vec<u8>,
}

impl Speech {
    /// An answer of text.
    pub fn of(by: &str, pieces: &[&str]) -> Self {
        let pieces = pieces.iter().map(|piece| (*piece).to_owned()).collect();
        let by = by.to_owned();
        Self { by, thinking: None, signature: None, refusal: None, pieces, call: None, usage: (11, 7), halves: false }
    }

    /// The same answer from somebody else.
    pub fn by(&self, by: &str) -> Self {
        Self { by: by.to_owned(), ..self.clone() }
    }

    pub fn text(&self) -> String {
        self.pieces.concat()
    }

    /// What is left behind these bytes of the text.
    pub fn after(&self, mut bytes: usize) -> Self {
        let mut pieces = Vec::new();
        for piece in &self.pieces {
            let skipped = bytes.min(piece.len());
            bytes -= skipped;
            if skipped < piece.len() {
                pieces.push(piece[skipped..].to_owned());
            }
        }
        Self { thinking: None, signature: None, refusal: None, pieces, ..self.clone() }
    }

    /// The whole stream. OpenAI tells the tokens only if it was asked for them.
    pub fn parts(&self, dialect: Dialect, include_usage: bool) -> Vec<Part> {
        let parts = match dialect {
            Dialect::OpenAi => self.openai(include_usage),
            Dialect::Anthropic => self.anthropic(),
            Dialect::Bedrock => self.bedrock(),
        };
        parts.into_iter().map(|(role, bytes)| Part { role, bytes }).collect()
    }

    fn openai(&self, include_usage: bool) -> Vec<(Role, Vec<u8>)> {
        let chunk = |delta: &str, finish: &str| {
            let by = &self.by;
            let choice = format!(r#"{{"index":0,"delta":{delta},"finish_reason":{finish}}}"#);
            format!(r#"data: {{"id":"chatcmpl-{by}","model":"{by}-model","choices":[{choice}]}}"#) + "\n\n"
        };
        let delta = |role: Role, delta: &Value| (role, chunk(&delta.to_string(), "null").into_bytes());
        let mut parts = vec![delta(Role::Preamble, &json!({ "role": "assistant", "content": "" }))];
        parts.extend(self.thinking.map(|text| delta(Role::Thinking, &json!({ "reasoning_content": text }))));
        parts.extend(self.refusal.map(|text| delta(Role::Text, &json!({ "refusal": text }))));
        for piece in &self.pieces {
            let texts = if self.halves { halved(piece) } else { vec![Value::from(piece.as_str()).to_string()] };
            let text = |text: String| (Role::Text, chunk(&format!(r#"{{"content":{text}}}"#), "null").into_bytes());
            parts.extend(texts.into_iter().map(text));
        }
        if let Some((name, fragments)) = &self.call {
            let call = |call: Value| delta(Role::Call, &json!({ "tool_calls": [call] }));
            let function = json!({ "name": name, "arguments": "" });
            parts.push(call(json!({ "index": 0, "id": "call_1", "type": "function", "function": function })));
            let fragment = |text: &&str| call(json!({ "index": 0, "function": { "arguments": text } }));
            parts.extend(fragments.iter().map(fragment));
        }
        let finish = if self.call.is_some() { "\"tool_calls\"" } else { "\"stop\"" };
        parts.push((Role::Finish, chunk("{}", finish).into_bytes()));
        if include_usage {
            let (input, output) = self.usage;
            let usage = json!({ "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output });
            let by = &self.by;
            let last = json!({ "id": format!("chatcmpl-{by}"), "model": format!("{by}-model"), "choices": [],
                "usage": usage });
            parts.push((Role::Tail, format!("data: {last}\n\n").into_bytes()));
        }
        parts.push((Role::Tail, b"data: [DONE]\n\n".to_vec()));
        parts
    }

    fn anthropic(&self) -> Vec<(Role, Vec<u8>)> {
        let event = |role: Role, data: &Value| {
            (role, format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap()).into_bytes())
        };
        let (input, output) = self.usage;
        let message = json!({ "id": format!("msg_{}", self.by), "type": "message", "role": "assistant",
            "model": format!("{}-model", self.by), "content": [], "stop_reason": null,
            "usage": { "input_tokens": input, "output_tokens": 1 } });
        let mut parts = vec![event(Role::Preamble, &json!({ "type": "message_start", "message": message }))];
        for (index, (start, role, deltas)) in self.blocks().into_iter().enumerate() {
            let first = if index == 0 { Role::Preamble } else { Role::Between };
            let first = if role == Role::Call { role } else { first };
            let begun = json!({ "type": "content_block_start", "index": index, "content_block": start });
            parts.push(event(first, &begun));
            for delta in deltas {
                let delta = json!({ "type": "content_block_delta", "index": index, "delta": delta });
                parts.push(event(role, &delta));
            }
            parts.push(event(Role::Between, &json!({ "type": "content_block_stop", "index": index })));
        }
        let reason = if self.call.is_some() { "tool_use" } else { "end_turn" };
        let finish = json!({ "type": "message_delta", "delta": { "stop_reason": reason, "stop_sequence": null },
            "usage": { "output_tokens": output } });
        parts.push(event(Role::Finish, &finish));
        parts.push(event(Role::Tail, &json!({ "type": "message_stop" })));
        parts
    }

    /// Anthropic's blocks: how each begins, what it is, and its deltas.
    fn blocks(&self) -> Vec<(Value, Role, Vec<Value>)> {
        let mut blocks = Vec::new();
        if let Some(text) = self.thinking {
            let mut deltas = vec![json!({ "type": "thinking_delta", "thinking": text })];
            let signed = |signature| json!({ "type": "signature_delta", "signature": signature });
            deltas.extend(self.signature.map(signed));
            blocks.push((json!({ "type": "thinking", "thinking": "", "signature": "" }), Role::Thinking, deltas));
        }
        if !self.pieces.is_empty() {
            let deltas = self.pieces.iter().map(|piece| json!({ "type": "text_delta", "text": piece })).collect();
            blocks.push((json!({ "type": "text", "text": "" }), Role::Text, deltas));
        }
        if let Some((name, fragments)) = &self.call {
            let delta = |text: &&str| json!({ "type": "input_json_delta", "partial_json": text });
            let start = json!({ "type": "tool_use", "id": "toolu_1", "name": name, "input": {} });
            blocks.push((start, Role::Call, fragments.iter().map(delta).collect()));
        }
        blocks
    }

    fn bedrock(&self) -> Vec<(Role, Vec<u8>)> {
        let mut parts = vec![(Role::Preamble, frames::event("messageStart", &json!({ "role": "assistant" })))];
        for (index, (start, role, deltas)) in self.blocks().into_iter().enumerate() {
            // Only a tool's block has a beginning of its own.
            if let Some((name, _)) = self.call.as_ref().filter(|_| role == Role::Call) {
                let start = json!({ "toolUse": { "toolUseId": start["id"], "name": name } });
                let begun = json!({ "contentBlockIndex": index, "start": start });
                parts.push((role, frames::event("contentBlockStart", &begun)));
            }
            for delta in deltas {
                let delta = match delta["type"].as_str().unwrap() {
                    "text_delta" => json!({ "text": delta["text"] }),
                    "thinking_delta" => json!({ "reasoningContent": { "text": delta["thinking"] } }),
                    "signature_delta" => json!({ "reasoningContent": { "signature": delta["signature"] } }),
                    _ => json!({ "toolUse": { "input": delta["partial_json"] } }),
                };
                let delta = json!({ "contentBlockIndex": index, "delta": delta, "p": "abcd" });
                parts.push((role, frames::event("contentBlockDelta", &delta)));
            }
            let stop = json!({ "contentBlockIndex": index });
            parts.push((Role::Between, frames::event("contentBlockStop", &stop)));
        }
        let reason = if self.call.is_some() { "tool_use" } else { "end_turn" };
        parts.push((Role::Finish, frames::event("messageStop", &json!({ "stopReason": reason }))));
        let (input, output) = self.usage;
        let usage = json!({ "inputTokens": input, "outputTokens": output, "totalTokens": input + output });
        let metadata = json!({ "usage": usage, "metrics": { "latencyMs": 5 } });
        parts.push((Role::Tail, frames::event("metadata", &metadata)));
        parts
    }
}

/// The text as JSON, cut between the two escapes of each letter that needs two.
fn halved(text: &str) -> Vec<String> {
    let mut all = vec![String::from("\"")];
    for letter in text.chars() {
        let last = all.last_mut().unwrap();
        let mut units = [0; 2];
        match letter.encode_utf16(&mut units) {
            [high, low] => {
                last.push_str(&format!("\\u{high:04x}\""));
                all.push(format!("\"\\u{low:04x}"));
            }
            _ => {
                let quoted = Value::from(letter.to_string()).to_string();
                last.push_str(&quoted[1..quoted.len() - 1]);
            }
        }
    }
    all.last_mut().unwrap().push('"');
    all
}
