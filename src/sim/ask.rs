//! What a request asks for: the fields of a body that change an answer.
//!
//! Pure. OpenAI's bodies are read here; the other dialects' are put into the same form by their own modules.
//! Everything else in a body is skipped unread.

use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::Reply;
use super::errors::Told;
use super::http1::Request;
use super::route::{Endpoint, Place};
use super::{anthropic, bedrock, form, prefill};

/// The fields of a body that change an answer.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Ask {
    pub model: String,
    pub stream: Option<bool>,
    pub stream_options: Option<StreamOptions>,
    pub messages: Vec<Message>,
    pub tools: Option<Vec<Value>>,
    pub tool_choice: Value,
    pub response_format: Value,
    pub input: Value,
    pub dimensions: Option<usize>,
    pub encoding_format: Option<String>,
    /// Of Responses: the format of the text.
    pub text: Value,
    /// Of speech.
    pub stream_format: Option<String>,
    /// Of a form: the bytes of its files.
    #[serde(skip)]
    pub file_len: usize,
    /// Of Messages and Converse: whether the answer begins with thinking.
    #[serde(skip)]
    pub thinks: bool,
    /// Of Messages and Converse: whether a part of the prompt is marked for the cache.
    #[serde(skip)]
    pub caches: bool,
    /// The assistant's own words at the end of the conversation, from which the answer goes on.
    #[serde(skip)]
    pub prefill: Option<String>,
    /// Whether Azure is asked.
    #[serde(skip)]
    pub azure: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct StreamOptions {
    pub include_usage: Option<bool>,
}

/// A message: only its role and the ids of its tool calls matter here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message {
    pub role: String,
    pub tool_call_id: Option<String>,
    pub tool_calls: Option<Vec<Value>>,
}

impl Message {
    /// One of that role.
    pub(super) fn of(role: &str) -> Self {
        Self { role: role.to_owned(), ..Self::default() }
    }
}

impl Ask {
    /// Whether the answer is a stream.
    pub(super) fn streams(&self) -> bool {
        self.stream.unwrap_or(false) || self.stream_format.as_deref() == Some("sse")
    }

    /// Whether a stream ends with a usage chunk.
    pub(super) fn wants_usage(&self) -> bool {
        self.stream_options.as_ref().and_then(|o| o.include_usage).unwrap_or(false)
    }

    /// The function to call: the chosen one, else the first; none if tools are off or have just answered.
    pub(super) fn tool(&self) -> Option<&Value> {
        if self.tool_choice == "none" || self.messages.last().is_some_and(|m| m.role == "tool") {
            return None;
        }
        if self
            .input
            .as_array()
            .and_then(|items| items.last())
            .is_some_and(|item| item["type"] == "function_call_output")
        {
            return None;
        }
        // Chat wraps a function, Responses does not.
        let function = |tool: &'_ Value| tool.get("function").is_some() || tool["type"] == "function";
        let tools = self.tools.iter().flatten().filter(|tool| function(tool));
        let mut functions = tools.map(|tool| tool.get("function").unwrap_or(tool));
        match self.tool_choice.pointer("/function/name").or_else(|| self.tool_choice.get("name")) {
            Some(name) => functions.find(|f| f.get("name") == Some(name)),
            None => functions.next(),
        }
    }
}

/// A tool in chat's form.
pub(super) fn function(name: &Value, parameters: Option<&Value>) -> Value {
    json!({ "type": "function", "function": { "name": name, "parameters": parameters } })
}

/// A format of the answer in chat's form.
pub(super) fn format(schema: &Value) -> Value {
    json!({ "type": "json_schema", "json_schema": { "schema": schema } })
}

/// What the request asks, and the refusal of one that asks nothing or what its vendor refuses.
pub(super) fn understand(place: &Place, request: &Request) -> (Ask, Option<Reply>) {
    let (mut ask, refusal) = match place.endpoint {
        Endpoint::Messages | Endpoint::CountTokens => {
            let (ask, refused) = anthropic::ask(place, request);
            (ask, refused.map(Reply::Refused))
        }
        Endpoint::Converse | Endpoint::ConverseStream => {
            let (ask, refused) = bedrock::ask(place, request);
            (ask, refused.map(Reply::Refused))
        }
        Endpoint::Chat
        | Endpoint::Completions
        | Endpoint::Embeddings
        | Endpoint::Moderations
        | Endpoint::Responses
        | Endpoint::Images
        | Endpoint::Speech
        | Endpoint::Heard
        | Endpoint::Models
        | Endpoint::Model(_)
        | Endpoint::Unknown => openai(place, request),
    };
    ask.azure = place.azure;
    (ask, refusal)
}

fn openai(place: &Place, request: &Request) -> (Ask, Option<Reply>) {
    let refuse = |text: &str| Some(Reply::Refused(Told::invalid(text)));
    let endpoint = &place.endpoint;
    let needs_body = !matches!(endpoint, Endpoint::Models | Endpoint::Model(_) | Endpoint::Unknown);
    if let Some(ask) = form::ask(&request.headers, &request.body) {
        return (ask, None);
    }
    match serde_json::from_slice::<Ask>(&request.body) {
        Ok(mut ask) => {
            if let Some(deployment) = &place.model {
                ask.model.clone_from(deployment);
            }
            // Only then is it worth reading the messages.
            if *endpoint == Endpoint::Chat && ask.messages.last().is_some_and(|last| last.role == "assistant") {
                ask.prefill = serde_json::from_slice(&request.body).ok().and_then(|body| prefill::of(&body));
            }
            let refusal = if ask.model.is_empty() && needs_body && *endpoint != Endpoint::Moderations {
                refuse("you must provide a model parameter")
            } else if place.model.is_some() && !request.target.contains("api-version=") {
                let error = json!({ "code": "404", "message": "Resource not found" });
                Some(Reply::Whole { status: 404, body: json!({ "error": error }).to_string() })
            } else if place.provider == "mistral" {
                mistral(&ask)
            } else {
                None
            };
            (ask, refusal)
        }
        Err(_) if !needs_body => (Ask::default(), None),
        Err(_) => (Ask::default(), refuse("We could not parse the JSON body of your request.")),
    }
}

/// Mistral takes no tool call whose id is not nine letters and digits.
fn mistral(ask: &Ask) -> Option<Reply> {
    let calls = ask.messages.iter().flat_map(|message| message.tool_calls.iter().flatten());
    let ids = calls.filter_map(|call| call["id"].as_str());
    let mut ids = ids.chain(ask.messages.iter().filter_map(|message| message.tool_call_id.as_deref()));
    let wrong = ids.find(|id| id.len() != 9 || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()))?;
    let body = json!({
        "object": "error", "type": "invalid_function_call", "param": null, "code": "3280", "raw_status_code": 400,
        "message": format!("Tool call id was {wrong} but must be a-z, A-Z, 0-9, with a length of 9."),
    });
    Some(Reply::Whole { status: 400, body: body.to_string() })
}
