//! Tools, which of them must be called, and the form of the answer's text.
//!
//! Converse has no word for "call none": then no tool is offered. Of a choice among some tools only those are offered.
//!
//! A JSON schema goes to `outputConfig.textFormat` where the model takes it and the schema keeps to what is taken there.
//! Else a tool of this schema is offered and must be called: its input is the answer's text. If the client offers tools of
//! its own, the model must call one or the other; if it must call one of the client's, there is no text to form.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::cache::Marks;
use super::model::Model;
use super::wire::{Choice, Json, OneCall, OutputConfig, Structure, TextFormat, Tool, ToolConfig, ToolSpec};
use crate::dialect::canonical::{Cannot, Format, Profile, Rendered, Request, Tool as Asked, ToolChoice};
use crate::policy::capability::Lack;

/// The longest name of a tool.
const NAME_LIMIT: usize = 64;
/// The name of the tool that stands for a schema without one.
const ANSWER: &str = "json_answer";
/// A schema that says nothing but that it is one.
const OBJECT: &str = r#"{"type":"object"}"#;
/// Constraints that Claude's structured output refuses.
const REFUSED: [&str; 12] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "patternProperties",
    "propertyNames",
];

/// What of a request is about tools.
#[derive(Debug, Default)]
pub(super) struct Offer<'a> {
    pub(super) config: Option<ToolConfig<'a>>,
    pub(super) output: Option<OutputConfig<'a>>,
    pub(super) one_call: Option<OneCall>,
}

impl Offer<'_> {
    /// The model must call a tool, so it cannot think before.
    pub(super) fn is_forced(&self) -> bool {
        let choice = self.config.as_ref().and_then(|config| config.tool_choice.as_ref());
        matches!(choice, Some(Choice::Any {} | Choice::Tool { .. }))
    }
}

/// The client's tools that the model may call.
fn offered(request: &Request) -> Vec<&Asked> {
    let may = |tool: &&Asked| match &request.tool_choice {
        Some(ToolChoice::Never) => false,
        Some(ToolChoice::Among { names, .. }) => names.contains(&tool.name),
        None | Some(ToolChoice::Auto | ToolChoice::Any | ToolChoice::Named(_)) => true,
    };
    request.tools.iter().filter(may).collect()
}

/// Whether any of the client's tools are sent.
pub(super) fn are_offered(request: &Request) -> bool {
    !offered(request).is_empty()
}

fn choice(request: &Request, tools: &[&Asked]) -> Option<Choice> {
    match request.tool_choice.as_ref().filter(|_| !tools.is_empty())? {
        ToolChoice::Auto => Some(Choice::Auto {}),
        ToolChoice::Any => Some(Choice::Any {}),
        ToolChoice::Named(name) => Some(Choice::Tool { name: name.clone() }),
        ToolChoice::Among { required, .. } => match tools {
            [only] if *required => Some(Choice::Tool { name: only.name.clone() }),
            _ => required.then_some(Choice::Any {}),
        },
        ToolChoice::Never => None,
    }
}

pub(super) fn offer<'a>(
    request: &'a Request,
    profile: &Profile<'_>,
    model: Model,
    marks: &mut Marks,
    rendered: &mut Rendered,
) -> Result<Offer<'a>, Cannot> {
    let asked = offered(request);
    let mut choice = choice(request, &asked);
    let mut offer = Offer::default();
    let must = matches!(choice, Some(Choice::Any {} | Choice::Tool { .. }));
    offer.output = request.format.as_ref().and_then(|format| native(format, model));
    let form = request.format.as_ref().filter(|_| offer.output.is_none() && !must);
    if request.parallel_tool_calls == Some(false) && !asked.is_empty() {
        if form.is_some() || must || model.claude().is_none() {
            rendered.drop("parallel_tool_calls");
        } else {
            // Claude's own word, which stands where `toolChoice` would.
            offer.one_call = Some(OneCall { r#type: "auto", disable_parallel_tool_use: true });
            choice = None;
        }
    }
    let mut tools = Vec::new();
    for tool in &asked {
        tools.push(Tool::ToolSpec(spec(tool, model, rendered)));
        tools.extend(marks.take_tool(tool.cache.as_ref(), rendered).map(Tool::CachePoint));
    }
    if let Some(format) = form {
        if profile.abilities.tools == Some(false) {
            return Err(Cannot::Lack(Lack::JsonSchema, "this model takes neither a schema nor tools".to_owned()));
        }
        let tool = stand_in(format, &asked)?;
        let name = tool.name.clone().into_owned();
        choice = Some(if asked.is_empty() { Choice::Tool { name: name.clone() } } else { Choice::Any {} });
        rendered.schema_tool = Some(name);
        tools.push(Tool::ToolSpec(tool));
    }
    if matches!(choice, Some(Choice::Any {} | Choice::Tool { .. }))
        && model.claude().is_some_and(|claude| !claude.takes_forced_tools())
    {
        choice = Some(Choice::Auto {});
        if must {
            rendered.drop("tool_choice");
        }
    }
    if !tools.is_empty() {
        offer.config = Some(ToolConfig { tools, tool_choice: choice });
    }
    Ok(offer)
}

fn spec<'a>(tool: &'a Asked, model: Model, rendered: &mut Rendered) -> ToolSpec<'a> {
    let described = tool.description.as_deref().filter(|text| !text.trim().is_empty());
    let schema = tool.schema.as_deref().map_or(OBJECT, RawValue::get);
    let strict = tool.strict.filter(|strict| *strict);
    let taken = strict.filter(|_| structured(schema, model));
    if strict != taken {
        rendered.drop("tools.strict");
    }
    ToolSpec {
        name: Cow::Borrowed(&tool.name),
        description: Cow::Borrowed(described.unwrap_or(&tool.name)),
        input_schema: Json { json: typed(schema) },
        strict: taken,
    }
}

/// A tool whose input is the answer.
fn stand_in<'a>(format: &'a Format, asked: &[&Asked]) -> Result<ToolSpec<'a>, Cannot> {
    let (wanted, description, schema) = match format {
        Format::Json => (None, None, OBJECT),
        Format::Schema { name, description, schema, .. } => (name.as_deref(), description.as_deref(), schema.get()),
    };
    if !is_object(schema) {
        let words = "the root of the JSON schema is no object, which a tool's input has to be";
        return Err(Cannot::Lack(Lack::JsonSchema, words.to_owned()));
    }
    let mut words = "Answers the user. Its input is the whole answer.".to_owned();
    if !asked.is_empty() {
        words.push_str(" When no other tool is needed any more, call this one: never answer in plain text.");
    }
    if let Some(description) = description {
        words = format!("{words} {description}");
    }
    Ok(ToolSpec {
        name: Cow::Owned(free_name(wanted.unwrap_or_default(), asked)),
        description: Cow::Owned(words),
        input_schema: Json { json: typed(schema) },
        strict: None,
    })
}

/// The wanted name as far as it fits, or one that no tool of the client has.
fn free_name(wanted: &str, asked: &[&Asked]) -> String {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    let fitted: String =
        wanted.chars().take(NAME_LIMIT).map(|letter| if fits(letter) { letter } else { '_' }).collect();
    let taken = |name: &String| asked.iter().any(|tool| tool.name == *name);
    let numbered = (2..).map(|count: u32| format!("{ANSWER}_{count}"));
    let mut names = [fitted, ANSWER.to_owned()].into_iter().filter(|name| !name.is_empty()).chain(numbered);
    names.find(|name| !taken(name)).unwrap_or_default()
}

#[derive(Deserialize)]
struct Root<'a> {
    #[serde(borrow)]
    r#type: Option<&'a RawValue>,
}

fn root(schema: &str) -> Option<Root<'_>> {
    schema.trim_start().starts_with('{').then(|| serde_json::from_str(schema).ok())?
}

/// Whether a schema is, or may be, one of an object.
fn is_object(schema: &str) -> bool {
    root(schema).is_some_and(|root| root.r#type.is_none_or(|kind| kind.get() == "\"object\""))
}

/// A schema whose root says `object`, which models want; text as it was otherwise, so that fields keep their order.
fn typed(schema: &str) -> Box<RawValue> {
    let text = match root(schema) {
        Some(Root { r#type: None }) => {
            let rest = schema.trim_start().strip_prefix('{').unwrap_or_default().trim_start();
            let comma = if rest.starts_with('}') { "" } else { "," };
            format!(r#"{{"type":"object"{comma}{rest}"#)
        }
        Some(_) => schema.to_owned(),
        None if schema.trim() == "null" => OBJECT.to_owned(),
        None => schema.to_owned(),
    };
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// The form of the text, where the model takes it and would not refuse this schema.
fn native(format: &Format, model: Model) -> Option<OutputConfig<'_>> {
    let Format::Schema { name, description, schema, .. } = format else { return None };
    if !structured(schema.get(), model) {
        return None;
    }
    let said = |text: &&str| !text.trim().is_empty();
    let structure = Structure::JsonSchema {
        schema: schema.get(),
        name: name.as_deref().filter(said),
        description: description.as_deref().filter(said),
    };
    Some(OutputConfig { text_format: TextFormat { r#type: "json_schema", structure } })
}

/// Whether the model keeps to schemas, and this is one that it would not refuse.
fn structured(schema: &str, model: Model) -> bool {
    model.follows_schemas()
        && serde_json::from_str::<Value>(schema)
            .is_ok_and(|schema| schema.get("type").is_some_and(|kind| kind == "object") && keeps_to_the_subset(&schema))
}

/// Objects are closed, and nothing is constrained that is refused there. A property of such a name counts as well: then
/// the tool does it.
fn keeps_to_the_subset(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => {
            let kinds =
                |kind: &Value| kind == "object" || kind.as_array().is_some_and(|all| all.contains(&"object".into()));
            let object = members.contains_key("properties") || members.get("type").is_some_and(kinds);
            (!object || members.get("additionalProperties") == Some(&Value::Bool(false)))
                && !REFUSED.iter().any(|word| members.contains_key(*word))
                && members.values().all(keeps_to_the_subset)
        }
        Value::Array(items) => items.iter().all(keeps_to_the_subset),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

#[cfg(test)]
#[path = "tools_tests.rs"]
mod tests;
