//! A canonical request becomes a chat.
//!
//! Owns the body around the messages, for any vendor of this dialect. Refuses to know who asked; but what is left out is
//! named as Messages' clients know it, because a chat that goes to a chat never comes here.

mod content;
mod messages;

pub(super) use self::messages::BRIDGE;

use serde::Serialize;
use serde_json::value::RawValue;

use super::vendors::{self, Habits};
use crate::dialect::canonical::{Cannot, Effort, Format, Profile, Rendered, Request, Thinking, Tool, ToolChoice};
use crate::dialect::vendor::Vendor;
use crate::policy::capability::Lack;

/// OpenAI takes so many stop texts.
const STOPS: usize = 4;
/// OpenAI's longest name of a user.
const USER: usize = 64;

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<messages::Message<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Function<'a>>,
    #[serde(flatten)]
    options: Options<'a>,
}

#[derive(Default, Serialize)]
struct Options<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<Reasoning>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Switch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
}

#[derive(Serialize)]
struct Function<'a> {
    r#type: &'static str,
    function: FunctionBody<'a>,
}

#[derive(Serialize)]
struct FunctionBody<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Choice<'a> {
    Word(&'static str),
    Named { r#type: &'static str, function: Name<'a> },
}

#[derive(Serialize)]
struct Name<'a> {
    name: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ResponseFormat<'a> {
    JsonObject,
    JsonSchema { json_schema: Schema<'a> },
}

#[derive(Serialize)]
struct Schema<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    schema: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

/// OpenRouter's.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Reasoning {
    MaxTokens(u64),
    Effort(&'static str),
    Enabled(bool),
}

/// DeepSeek's.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Switch {
    Enabled,
    Disabled,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

/// Writes a request for a target.
///
/// # Errors
/// It holds what no target of this dialect takes.
pub fn request(request: &Request, profile: &Profile<'_>) -> Result<Rendered, Cannot> {
    let habits = vendors::habits(profile.vendor);
    let mut rendered = Rendered::default();
    for what in &request.uncarried {
        rendered.drop(what.clone());
    }
    let messages = messages::all(request, profile, habits, &mut rendered)?;
    let mut options = Options::default();
    let tools = tools(request, &mut options, &mut rendered);
    if let Some(format) = &request.format {
        options.response_format = Some(response_format(format, habits)?);
    }
    thinking(request, profile, &mut options, &mut rendered);
    length_and_sampling(request, profile, habits, &mut options, &mut rendered);
    who_and_how(request, habits, &mut options, &mut rendered);
    let body = Body { model: profile.model, messages, tools, options };
    rendered.body = serde_json::to_vec(&body).unwrap_or_default();
    Ok(rendered)
}

/// The tools, and which of them. Vendors refuse a choice without tools, so it goes with them.
fn tools<'a>(request: &'a Request, options: &mut Options<'a>, rendered: &mut Rendered) -> Vec<Function<'a>> {
    let only = match &request.tool_choice {
        Some(ToolChoice::Among { names, .. }) => Some(names),
        Some(ToolChoice::Auto | ToolChoice::Never | ToolChoice::Any | ToolChoice::Named(_)) | None => None,
    };
    let offered = |tool: &&Tool| only.is_none_or(|names| names.contains(&tool.name));
    let tools: Vec<Function<'a>> = request.tools.iter().filter(offered).map(|tool| function(tool, rendered)).collect();
    if tools.is_empty() {
        return tools;
    }
    options.tool_choice = request.tool_choice.as_ref().and_then(|choice| match choice {
        ToolChoice::Auto | ToolChoice::Among { required: false, .. } => None,
        ToolChoice::Never => Some(Choice::Word("none")),
        ToolChoice::Any | ToolChoice::Among { required: true, .. } => Some(Choice::Word("required")),
        ToolChoice::Named(name) => Some(Choice::Named { r#type: "function", function: Name { name } }),
    });
    // Several at once is what every vendor does unasked.
    options.parallel_tool_calls = request.parallel_tool_calls.filter(|several| !several);
    tools
}

fn function<'a>(tool: &'a Tool, rendered: &mut Rendered) -> Function<'a> {
    if tool.cache.is_some() {
        rendered.drop("cache_control");
    }
    let strict = tool.strict.filter(|strict| *strict);
    let held = strict.filter(|_| tool.schema.as_deref().is_some_and(is_closed));
    if strict != held {
        rendered.drop("tools.strict");
    }
    let function = FunctionBody {
        name: &tool.name,
        description: tool.description.as_deref(),
        parameters: tool.schema.as_deref(),
        strict: held,
    };
    Function { r#type: "function", function }
}

fn response_format<'a>(format: &'a Format, habits: &Habits) -> Result<ResponseFormat<'a>, Cannot> {
    Ok(match format {
        Format::Json => ResponseFormat::JsonObject,
        Format::Schema { .. } if !habits.schemas => {
            return Err(lack(Lack::JsonSchema, "the vendor takes no JSON schema for the answer"));
        }
        Format::Schema { name, description, schema, strict } => ResponseFormat::JsonSchema {
            json_schema: Schema {
                name: name.as_deref().unwrap_or("answer"),
                description: description.as_deref(),
                schema,
                strict: (*strict).or_else(|| is_closed(schema).then_some(true)),
            },
        },
    })
}

/// Whether a schema is one that OpenAI's `strict` takes (wire.md 5.7.16): no object has members that are not named, or
/// that may be missing. Elsewhere `strict` is refused.
fn is_closed(schema: &RawValue) -> bool {
    fn closed(schema: &serde_json::Value) -> bool {
        use serde_json::Value;
        match schema {
            Value::Object(members) => {
                let properties = members.get("properties").and_then(Value::as_object);
                let is_object = properties.is_some() || members.get("type").and_then(Value::as_str) == Some("object");
                let required = members.get("required").and_then(Value::as_array);
                let needed = |name: &String| required.is_some_and(|names| names.iter().any(|known| known == name));
                let shut = members.get("additionalProperties") == Some(&Value::Bool(false));
                let all = properties.is_none_or(|properties| properties.keys().all(needed));
                (!is_object || (shut && all)) && members.values().all(closed)
            }
            Value::Array(items) => items.iter().all(closed),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        }
    }
    // serde_json's own limit of nesting bounds the recursion.
    serde_json::from_str(schema.get()).is_ok_and(|schema| closed(&schema))
}

/// How much is thought. A model of which it is known that it does not think is not asked to.
fn thinking(request: &Request, profile: &Profile<'_>, options: &mut Options<'_>, rendered: &mut Rendered) {
    let budget = match request.thinking {
        Some(Thinking::Budget(tokens)) => Some(tokens),
        Some(Thinking::Off | Thinking::Adaptive) | None => None,
    };
    let on = matches!(request.thinking, Some(Thinking::Adaptive | Thinking::Budget(_)));
    let asked = request.effort.or(budget.map(Effort::of_budget));
    let word = asked.map(|effort| vendors::effort(profile.vendor, effort));
    let certain = profile.vendor != Vendor::Mistral || profile.abilities.reasoning == Some(true);
    let able = profile.abilities.reasoning != Some(false)
        && certain
        && !vendors::by_model(profile, word).contains(&"reasoning_effort");
    if !able {
        for (what, lost) in [("thinking", on), ("output_config.effort", request.effort.is_some())] {
            if lost {
                rendered.drop(what);
            }
        }
        return;
    }
    let off = request.thinking == Some(Thinking::Off);
    match profile.vendor {
        Vendor::OpenRouter => {
            options.reasoning = match (budget, word) {
                (Some(tokens), _) => Some(Reasoning::MaxTokens(tokens)),
                (None, Some(word)) => Some(Reasoning::Effort(word)),
                (None, None) => on.then_some(Reasoning::Enabled(true)),
            };
        }
        Vendor::DeepSeek => deepseek(request, off || asked == Some(Effort::None), on, word, options, rendered),
        // What is off needs no word: their models think only if asked, or cannot be kept from it.
        _ if off || asked == Some(Effort::None) => {}
        _ => options.reasoning_effort = word,
    }
}

/// DeepSeek thinks unless it is told not to, and takes no forced call while it thinks (recorded).
fn deepseek(
    request: &Request,
    off: bool,
    on: bool,
    word: Option<&'static str>,
    options: &mut Options<'_>,
    rendered: &mut Rendered,
) {
    let forced = options.tool_choice.is_some() && request.tool_choice != Some(ToolChoice::Never);
    if forced && on {
        rendered.drop("thinking");
    }
    if forced || off {
        options.thinking = Some(Switch::Disabled);
        return;
    }
    options.thinking = on.then_some(Switch::Enabled);
    options.reasoning_effort = word;
}

fn length_and_sampling<'a>(
    request: &'a Request,
    profile: &Profile<'_>,
    habits: &Habits,
    options: &mut Options<'a>,
    rendered: &mut Rendered,
) {
    let longest = profile.max_tokens(request, rendered);
    if habits.limit == "max_tokens" {
        options.max_tokens = longest;
    } else {
        options.max_completion_tokens = longest;
    }
    let refused = vendors::by_model(profile, options.reasoning_effort);
    let mut take = |name: &str, shown: &'static str, is_there: bool| {
        let lost = is_there && refused.contains(&name);
        if lost {
            rendered.drop(shown);
        }
        is_there && !lost
    };
    // One is what it is if nobody says anything.
    let unusual = |value: Option<f64>| value.is_some_and(|value| (value - 1.0).abs() > f64::EPSILON);
    options.temperature = request.temperature.filter(|value| {
        if unusual(Some(*value)) { take("temperature", "temperature", true) } else { !refused.contains(&"temperature") }
    });
    options.top_p = request
        .top_p
        .filter(|value| if unusual(Some(*value)) { take("top_p", "top_p", true) } else { !refused.contains(&"top_p") });
    if take("stop", "stop_sequences", !request.stop.is_empty()) {
        options.stop = request.stop.get(..STOPS).unwrap_or(&request.stop);
        if request.stop.len() > STOPS {
            rendered.drop("stop_sequences");
        }
    }
    // Nothing is lost: the models that refuse the field call one tool at a time.
    options.parallel_tool_calls = options.parallel_tool_calls.filter(|_| !refused.contains(&"parallel_tool_calls"));
    match request.top_k {
        Some(_) if !habits.top_k => rendered.drop("top_k"),
        first => options.top_k = first,
    }
}

fn who_and_how<'a>(request: &'a Request, habits: &Habits, options: &mut Options<'a>, rendered: &mut Rendered) {
    match &request.user {
        Some(user) if habits.user => options.user = Some(user.chars().take(USER).collect()),
        Some(_) => rendered.drop("metadata.user_id"),
        None => {}
    }
    match (request.service_tier.as_deref(), habits.standard_tier) {
        (Some("standard_only" | "default"), Some(standard)) => options.service_tier = Some(standard),
        (Some(tier), Some(_)) => options.service_tier = Some(tier),
        // Where there are no tiers, any is as good as the best.
        (Some("auto"), None) | (None, _) => {}
        (Some(_), None) => rendered.drop("service_tier"),
    }
    if request.stream {
        options.stream = Some(true);
        options.stream_options = habits.usage_option.then_some(StreamOptions { include_usage: true });
    }
}

/// What a vendor does not take.
fn lack(lack: Lack, message: &str) -> Cannot {
    Cannot::Lack(lack, message.to_owned())
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
