//! The tools that Claude is offered, which of them it must call, and the one that stands in for a form of the answer.
//!
//! A model that follows no schema by itself is given a tool whose input is the answer. Refuses to know who reads that input as
//! text ([`Rendered::schema_tool`] says its name).

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use super::blocks::{Mark, mark};
use super::models::Claude;
use crate::dialect::canonical::{Format, Part, Rendered, Request, Tool, ToolChoice};
use crate::dialect::members::Members;

/// The name of the tool that stands in for a form without one.
const ANSWER: &str = "json_answer";

/// A JSON schema of an object: as the client wrote it, or with what Anthropic misses in it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Schema<'a> {
    AsIs(&'a RawValue),
    Made(Members<'a>),
}

impl<'a> Schema<'a> {
    fn new(schema: Option<&'a RawValue>) -> Self {
        let Some((schema, mut members)) = schema.and_then(|schema| Some((schema, Members::read(schema.get())?))) else {
            let mut any = Members::default();
            any.set("type", &"object");
            any.set("properties", &BTreeMap::<&str, u8>::new());
            return Self::Made(any);
        };
        if members.get("type").is_some() {
            return Self::AsIs(schema);
        }
        members.set("type", &"object");
        Self::Made(members)
    }
}

/// One of `tools`.
#[derive(Debug, Serialize)]
pub(super) struct ToolOut<'a> {
    name: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Cow<'a, str>>,
    input_schema: Schema<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cache_control: Option<Mark<'a>>,
}

impl<'a> ToolOut<'a> {
    fn new(tool: &'a Tool) -> Self {
        Self {
            name: Cow::Borrowed(&tool.name),
            description: tool.description.as_deref().map(Cow::Borrowed),
            input_schema: Schema::new(tool.schema.as_deref()),
            strict: tool.strict.filter(|strict| *strict),
            cache_control: mark(tool.cache.as_ref()),
        }
    }

    /// A tool of which only the name matters.
    fn named(name: Cow<'a, str>) -> Self {
        Self { name, description: None, input_schema: Schema::new(None), strict: None, cache_control: None }
    }
}

/// `tool_choice`.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Choice<'a> {
    Auto {
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        disable_parallel_tool_use: bool,
    },
    Any {
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        disable_parallel_tool_use: bool,
    },
    Tool {
        name: Cow<'a, str>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        disable_parallel_tool_use: bool,
    },
    None,
}

/// What is offered.
#[derive(Debug, Default)]
pub(super) struct Offer<'a> {
    pub(super) tools: Vec<ToolOut<'a>>,
    pub(super) choice: Option<Choice<'a>>,
}

impl Offer<'_> {
    /// Whether a tool must be called.
    pub(super) const fn is_forced(&self) -> bool {
        matches!(self.choice, Some(Choice::Any { .. } | Choice::Tool { .. }))
    }
}

/// The offer of a request. `stand_in`: the form of the answer, if the model does not follow it by itself.
pub(super) fn offer<'a>(
    request: &'a Request,
    stand_in: Option<&'a Format>,
    claude: Claude,
    rendered: &mut Rendered,
) -> Offer<'a> {
    let offered = request.tools.iter().filter(|tool| match &request.tool_choice {
        Some(ToolChoice::Among { names, .. }) => names.contains(&tool.name),
        Some(ToolChoice::Auto | ToolChoice::Never | ToolChoice::Any | ToolChoice::Named(_)) | None => true,
    });
    let mut tools: Vec<ToolOut<'a>> = offered.map(ToolOut::new).collect();
    let single = request.parallel_tool_calls == Some(false);
    let any = Choice::Any { disable_parallel_tool_use: single };
    let auto = || Choice::Auto { disable_parallel_tool_use: single };
    let named = |name: Cow<'a, str>| Choice::Tool { name, disable_parallel_tool_use: single };
    let mut choice = match &request.tool_choice {
        _ if tools.is_empty() => None,
        None => single.then(auto),
        Some(ToolChoice::Auto | ToolChoice::Among { required: false, .. }) => Some(auto()),
        Some(ToolChoice::Never) => Some(Choice::None),
        Some(ToolChoice::Any | ToolChoice::Among { required: true, .. }) => Some(any),
        Some(ToolChoice::Named(name)) => Some(named(Cow::Borrowed(name))),
    };
    let asked = matches!(choice, Some(Choice::Any { .. } | Choice::Tool { .. }));
    if let Some(format) = stand_in {
        let tool = answer_tool(format, &request.tools, tools.is_empty());
        let name = tool.name.clone();
        rendered.schema_tool = Some(name.clone().into_owned());
        tools.push(tool);
        choice = Some(match choice {
            // What the client wants called comes first.
            Some(choice @ Choice::Tool { .. }) => choice,
            None if tools.len() == 1 => named(name),
            Some(Choice::None) => named(name),
            Some(Choice::Auto { .. } | Choice::Any { .. }) | None => Choice::Any { disable_parallel_tool_use: single },
        });
    }
    if tools.is_empty() {
        return named_in_history(request);
    }
    let mut offer = Offer { tools, choice };
    if offer.is_forced() && !claude.takes_forced_tools() {
        offer.choice = Some(auto());
        if asked {
            rendered.drop("tool_choice");
        }
    }
    offer
}

/// The tools that the conversation used, not to be called any more: Anthropic does not take calls of tools that are not there.
fn named_in_history(request: &Request) -> Offer<'_> {
    let mut tools: Vec<ToolOut<'_>> = Vec::new();
    for part in request.turns.iter().flat_map(|turn| &turn.parts) {
        if let Part::Call(call) = part
            && tools.iter().all(|tool| tool.name != call.name)
        {
            tools.push(ToolOut::named(Cow::Borrowed(&call.name)));
        }
    }
    let choice = (!tools.is_empty()).then_some(Choice::None);
    Offer { tools, choice }
}

/// The tool that stands in for a form: its input is the answer.
fn answer_tool<'a>(format: &'a Format, tools: &[Tool], alone: bool) -> ToolOut<'a> {
    let (name, description, schema) = match format {
        Format::Json => (None, None, None),
        Format::Schema { name, description, schema, .. } => (name.as_deref(), description.as_deref(), Some(&**schema)),
    };
    let legal = |name: &&str| {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        (1..=64).contains(&name.len()) && name.bytes().all(word)
    };
    let mut unique = Cow::Borrowed(name.filter(legal).unwrap_or(ANSWER));
    while tools.iter().any(|tool| tool.name == unique) {
        unique.to_mut().push('_');
    }
    let mut words = "Answers the user. Its input is the whole answer.".to_owned();
    if !alone {
        words.push_str(" When no other tool is needed any more, call this one: never answer in plain text.");
    }
    if let Some(description) = description {
        words = format!("{words} {description}");
    }
    let input_schema = match format {
        Format::Json => {
            let mut object = Members::default();
            object.set("type", &"object");
            Schema::Made(object)
        }
        Format::Schema { .. } => Schema::new(schema),
    };
    ToolOut { name: unique, description: Some(Cow::Owned(words)), input_schema, strict: None, cache_control: None }
}
