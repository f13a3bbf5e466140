//! A request becomes canonical.
//!
//! What Anthropic keeps for itself (server tools, containers, betas) is named as not carried. A system message inside of the
//! conversation is moved to the others in front of it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::content::{CacheControl, Reading, note};
use super::wire::Str;
use crate::dialect::canonical::{Cache, Effort, Format, Part, Request, Role, Text, Thinking, Tool, ToolChoice, Turn};
use crate::dialect::members::Members;
use crate::dialect::openai_chat::request::{BadRequest, checked_text, not_read};

/// Reads a request.
///
/// # Errors
/// What Anthropic would refuse, too, because nobody can know what it means.
pub fn request(body: &[u8]) -> Result<Request, BadRequest> {
    let members: Members<'_> = serde_json::from_str(checked_text(body)?).map_err(|error| not_read(&error))?;
    let mut parsed = Parsed { request: Request { include_usage: true, ..Request::default() }, ..Parsed::default() };
    for (name, value) in members.0.iter().filter(|(_, value)| value.get() != "null") {
        parsed.field(name, value)?;
    }
    parsed.finish()
}

/// A value of a certain type, or what is wrong with it.
fn read<'a, T: Deserialize<'a>>(raw: &'a RawValue, param: &'static str, wanted: &str) -> Result<T, BadRequest> {
    serde_json::from_str(raw.get()).map_err(|_| BadRequest::wrong_type(param, wanted))
}

/// An object's members, or what is wrong with it.
fn object<'a>(raw: &'a RawValue, param: &'static str) -> Result<Members<'a>, BadRequest> {
    Members::read(raw.get()).ok_or_else(|| BadRequest::wrong_type(param, "an object"))
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Str<'a>,
    #[serde(borrow)]
    content: &'a RawValue,
}

#[derive(Default)]
struct Parsed {
    request: Request,
    /// Of the field `system`, which comes before what stands among the messages.
    system: Vec<Text>,
    /// A mark for the whole prompt: behind its last part.
    cache: Option<Cache>,
    /// Whether there was a field `messages`.
    messages: bool,
}

impl Parsed {
    fn field(&mut self, name: &str, value: &RawValue) -> Result<(), BadRequest> {
        let request = &mut self.request;
        match name {
            // The target's, and the gateway's own.
            "model" | "models" | "disable_fallbacks" => {}
            "messages" => self.messages(value)?,
            "system" => self.system = texts(value, "system", &mut request.uncarried)?,
            "max_tokens" => request.max_tokens = Some(read(value, "max_tokens", "a whole number of tokens")?),
            "stream" => request.stream = read(value, "stream", "true or false")?,
            "temperature" => request.temperature = Some(read(value, "temperature", "a number")?),
            "top_p" => request.top_p = Some(read(value, "top_p", "a number")?),
            "top_k" => request.top_k = Some(read(value, "top_k", "a whole number")?),
            "stop_sequences" => {
                let stop: Vec<Str<'_>> = read(value, "stop_sequences", "a list of strings")?;
                request.stop = stop.into_iter().map(Str::into_string).collect();
            }
            "tools" => tools(request, value)?,
            "tool_choice" => tool_choice(request, value)?,
            "thinking" => thinking(request, value)?,
            "output_config" => output_config(request, value)?,
            "output_format" => request.format = format(value, "output_format", &mut request.uncarried)?,
            "metadata" => metadata(request, value)?,
            "service_tier" => {
                request.service_tier = Some(read::<Str<'_>>(value, "service_tier", "a string")?.into_string());
            }
            "cache_control" => {
                let control: CacheControl<'_> = read(value, "cache_control", "an object with a `type`")?;
                self.cache = Some(control.cache());
            }
            other => note(&mut request.uncarried, other.to_owned()),
        }
        Ok(())
    }

    fn messages(&mut self, value: &RawValue) -> Result<(), BadRequest> {
        self.messages = true;
        let messages: Vec<&RawValue> = read(value, "messages", "a list of messages")?;
        if messages.is_empty() {
            return Err(BadRequest::wrong_type("messages", "a list of at least one message"));
        }
        for (place, raw) in messages.into_iter().enumerate() {
            let message: Message<'_> = serde_json::from_str(raw.get()).map_err(|_| {
                let message = format!("`messages.{place}` must be an object with a `role` and a `content`");
                BadRequest::new(message, Some("messages"), "invalid_type")
            })?;
            let role = match message.role.0.as_ref() {
                "user" => Role::User,
                "assistant" => Role::Assistant,
                "system" => {
                    self.request.system.extend(texts(message.content, "messages", &mut self.request.uncarried)?);
                    continue;
                }
                _ => {
                    let message = format!("`messages.{place}.role` must be `user` or `assistant`");
                    return Err(BadRequest::new(message, Some("messages"), "invalid_value"));
                }
            };
            let at = format!("messages.{place}.content");
            let parts = Reading { at, uncarried: &mut self.request.uncarried }.parts(message.content)?;
            match self.request.turns.last_mut() {
                Some(turn) if turn.role == role => turn.parts.extend(parts),
                _ => self.request.turns.push(Turn { role, parts }),
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Request, BadRequest> {
        let missing = |param: &'static str| {
            BadRequest::new(format!("you must provide `{param}`"), Some(param), "missing_required_parameter")
        };
        if !self.messages {
            return Err(missing("messages"));
        }
        if self.request.max_tokens.is_none() {
            return Err(missing("max_tokens"));
        }
        let request = &mut self.request;
        self.system.append(&mut request.system);
        request.system = self.system;
        for turn in &mut request.turns {
            // Stable: results first, both in their order.
            turn.parts.sort_by_key(|part| turn.role == Role::User && !matches!(part, Part::Result(_)));
        }
        if let (Some(cache), Some(last)) = (self.cache, request.turns.last_mut().and_then(|turn| turn.parts.last_mut()))
        {
            mark(last, cache);
        }
        // A tool of Anthropic's that was left out cannot be chosen.
        let known = |name: &str| request.tools.iter().any(|tool| tool.name == name);
        let chosen = match &request.tool_choice {
            Some(ToolChoice::Named(name)) => known(name),
            Some(ToolChoice::Any) => !request.tools.is_empty(),
            Some(ToolChoice::Auto | ToolChoice::Never | ToolChoice::Among { .. }) | None => true,
        };
        if !chosen {
            request.tool_choice = None;
            note(&mut request.uncarried, "tool_choice");
        }
        Ok(self.request)
    }
}

/// Puts a mark behind a part that has none, if it can have one.
fn mark(part: &mut Part, mark: Cache) {
    let cache = match part {
        Part::Text(text) => &mut text.cache,
        Part::Image(image) => &mut image.cache,
        Part::Document(document) => &mut document.cache,
        Part::Call(call) => &mut call.cache,
        Part::Result(result) => &mut result.cache,
        Part::Refusal(_) | Part::Audio { .. } | Part::Thinking { .. } | Part::Redacted { .. } => return,
    };
    cache.get_or_insert(mark);
}

/// Instructions: a string, or blocks of text.
fn texts(value: &RawValue, at: &'static str, uncarried: &mut Vec<Cow<'static, str>>) -> Result<Vec<Text>, BadRequest> {
    let parts = Reading { at: at.to_owned(), uncarried }.parts(value).map_err(|mut error| {
        error.param = Some(at);
        error
    })?;
    let mut texts = Vec::with_capacity(parts.len());
    for part in parts {
        let Part::Text(text) = part else {
            note(uncarried, "system");
            continue;
        };
        if !text.text.is_empty() {
            texts.push(text);
        }
    }
    Ok(texts)
}

fn tools(request: &mut Request, value: &RawValue) -> Result<(), BadRequest> {
    let list: Vec<&RawValue> = read(value, "tools", "a list of tools")?;
    for raw in list {
        let tool = object(raw, "tools")?;
        let kind = tool.get("type").filter(|kind| kind.get() != "null");
        let kind = kind.map(|kind| read::<Str<'_>>(kind, "tools", "a list of tools")).transpose()?;
        match kind {
            Some(kind) if kind.0 != "custom" => note(&mut request.uncarried, format!("tools.{}", kind.0)),
            Some(_) | None => {
                let tool = custom_tool(&tool, &mut request.uncarried)?;
                request.tools.push(tool);
            }
        }
    }
    Ok(())
}

fn custom_tool(members: &Members<'_>, uncarried: &mut Vec<Cow<'static, str>>) -> Result<Tool, BadRequest> {
    let mut tool = Tool { name: String::new(), description: None, schema: None, strict: None, cache: None };
    for (name, value) in members.0.iter().filter(|(_, value)| value.get() != "null") {
        match name.as_ref() {
            "type" => {}
            "name" => tool.name = read::<Str<'_>>(value, "tools", "a list of tools with names")?.into_string(),
            "description" => {
                let description: Str<'_> = read(value, "tools", "a list of tools whose descriptions are strings")?;
                tool.description = Some(description.into_string());
            }
            "input_schema" => tool.schema = Some(value.clone().into_owned()),
            "strict" => tool.strict = Some(read(value, "tools", "a list of tools whose `strict` is true or false")?),
            "cache_control" => {
                let control: CacheControl<'_> = read(value, "tools", "a list of tools with readable cache marks")?;
                tool.cache = Some(control.cache());
            }
            // How soon input is streamed changes nothing of what it means.
            "eager_input_streaming" => {}
            other => note(uncarried, format!("tools.{other}")),
        }
    }
    if tool.name.is_empty() {
        return Err(BadRequest::wrong_type("tools", "a list of tools with names"));
    }
    Ok(tool)
}

fn tool_choice(request: &mut Request, value: &RawValue) -> Result<(), BadRequest> {
    #[derive(Deserialize)]
    struct Choice<'a> {
        #[serde(borrow, rename = "type")]
        kind: Str<'a>,
        #[serde(borrow, default)]
        name: Option<Str<'a>>,
        #[serde(default)]
        disable_parallel_tool_use: Option<bool>,
    }
    let wanted = "an object whose `type` is `auto`, `any`, `none`, or `tool` with a `name`";
    let choice: Choice<'_> = read(value, "tool_choice", wanted)?;
    request.tool_choice = Some(match (choice.kind.0.as_ref(), choice.name) {
        ("auto", _) => ToolChoice::Auto,
        ("any", _) => ToolChoice::Any,
        ("none", _) => ToolChoice::Never,
        ("tool", Some(name)) => ToolChoice::Named(name.into_string()),
        _ => return Err(BadRequest::wrong_type("tool_choice", wanted)),
    });
    if choice.disable_parallel_tool_use == Some(true) {
        request.parallel_tool_calls = Some(false);
    }
    Ok(())
}

fn thinking(request: &mut Request, value: &RawValue) -> Result<(), BadRequest> {
    #[derive(Deserialize)]
    struct Config<'a> {
        #[serde(borrow, rename = "type")]
        kind: Str<'a>,
        #[serde(default)]
        budget_tokens: Option<u64>,
        #[serde(borrow, default)]
        display: Option<Str<'a>>,
    }
    let wanted = "an object whose `type` is `enabled` with `budget_tokens`, `adaptive` or `disabled`";
    let config: Config<'_> = read(value, "thinking", wanted)?;
    match (config.kind.0.as_ref(), config.budget_tokens) {
        ("enabled", Some(budget)) => request.thinking = Some(Thinking::Budget(budget)),
        ("enabled", None) => return Err(BadRequest::wrong_type("thinking", wanted)),
        ("adaptive", _) => request.thinking = Some(Thinking::Adaptive),
        ("disabled", _) => request.thinking = Some(Thinking::Off),
        (other, _) => note(&mut request.uncarried, format!("thinking.{other}")),
    }
    if config.display.is_some_and(|display| display.0 != "summarized") {
        note(&mut request.uncarried, "thinking.display");
    }
    Ok(())
}

fn output_config(request: &mut Request, value: &RawValue) -> Result<(), BadRequest> {
    let config = object(value, "output_config")?;
    for (name, value) in config.0.iter().filter(|(_, value)| value.get() != "null") {
        match name.as_ref() {
            "format" => request.format = format(value, "output_config", &mut request.uncarried)?,
            "effort" => {
                let effort: Str<'_> = read(value, "output_config", "an object whose `effort` is a string")?;
                request.effort = Effort::from_name(&effort.0);
                if request.effort.is_none() {
                    note(&mut request.uncarried, "output_config.effort");
                }
            }
            other => note(&mut request.uncarried, format!("output_config.{other}")),
        }
    }
    Ok(())
}

fn format(
    value: &RawValue,
    param: &'static str,
    uncarried: &mut Vec<Cow<'static, str>>,
) -> Result<Option<Format>, BadRequest> {
    let wanted = "a format: an object whose `type` is `json_schema`, with a `schema`";
    #[derive(Deserialize)]
    struct Fields<'a> {
        #[serde(borrow, rename = "type")]
        kind: Str<'a>,
        #[serde(default)]
        schema: Option<Box<RawValue>>,
        #[serde(borrow, default)]
        name: Option<Str<'a>>,
    }
    let fields: Fields<'_> = read(value, param, wanted)?;
    match (fields.kind.0.as_ref(), fields.schema) {
        ("json_schema", Some(schema)) => {
            let name = fields.name.map(Str::into_string);
            // Not strict: OpenAI would then ask more of the schema than Anthropic did.
            Ok(Some(Format::Schema { name, description: None, schema, strict: None }))
        }
        ("json_schema", None) => Err(BadRequest::wrong_type(param, wanted)),
        (other, _) => {
            note(uncarried, format!("{param}.{other}"));
            Ok(None)
        }
    }
}

fn metadata(request: &mut Request, value: &RawValue) -> Result<(), BadRequest> {
    let metadata = object(value, "metadata")?;
    for (name, value) in metadata.0.iter().filter(|(_, value)| value.get() != "null") {
        match name.as_ref() {
            "user_id" => {
                let user: Str<'_> = read(value, "metadata", "an object whose `user_id` is a string")?;
                request.user = Some(user.into_string());
            }
            other => note(&mut request.uncarried, format!("metadata.{other}")),
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
