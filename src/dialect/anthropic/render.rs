//! A canonical request becomes Anthropic's.
//!
//! Owns the body and the order of its fields, the default that Anthropic asks for, and what of sampling each model takes. A
//! request that is all instructions is sent as what the user says: Anthropic wants at least one message.

use serde::Serialize;
use serde_json::value::RawValue;

use super::blocks::{Block, Mark, MessageOut, keep_last_marks, messages};
use super::models::{Claude, Sampling};
use super::thinking::{Config, Plan, plan};
use super::tools::{Choice, ToolOut, offer};
use crate::dialect::canonical::{Cannot, Format, Profile, Rendered, Request};
use crate::dialect::openai_chat::request::BadRequest;

/// The longest answer where neither the client nor the model's entry gives one: Anthropic demands a number.
const MAX_TOKENS: u64 = 4_096;
/// Anthropic takes no longer id of a user.
const USER_BYTES: usize = 256;
/// A thinking model takes no smaller `top_p`.
const LEAST_THINKING_TOP_P: f64 = 0.95;

/// Writes a request for a target.
///
/// # Errors
/// It holds what no target of this dialect takes.
pub fn request(request: &Request, profile: &Profile<'_>) -> Result<Rendered, Cannot> {
    let mut rendered = Rendered::default();
    for name in &request.uncarried {
        rendered.drop(name.clone());
    }
    let claude = Claude::of(profile.model).unwrap_or(Claude::CLASSIC);
    let asked = profile.max_tokens(request, &mut rendered);
    let max_tokens = asked.or(profile.abilities.max_output).unwrap_or(MAX_TOKENS);
    let (native, stand_in) = match &request.format {
        Some(Format::Schema { schema, .. }) if claude.follows_schemas() => (Some(&**schema), None),
        format => (None, format.as_ref()),
    };
    let offer = offer(request, stand_in, claude, &mut rendered);
    let plan = plan(request, claude, max_tokens, offer.is_forced(), &mut rendered);
    let sampled = sampling(request, claude, &plan, &mut rendered);
    let mut body = Body {
        model: profile.model,
        max_tokens,
        system: System::None,
        messages: messages(&request.turns, plan.on, &mut rendered)?,
        tools: offer.tools,
        tool_choice: offer.choice,
        thinking: plan.config,
        output_config: OutputConfig::new(native, plan.effort),
        temperature: sampled.temperature,
        top_p: sampled.top_p,
        top_k: sampled.top_k,
        stop_sequences: stop_sequences(request, &mut rendered),
        metadata: metadata(request, &mut rendered),
        service_tier: service_tier(request, &mut rendered),
        stream: request.stream,
    };
    body.instruct(request)?;
    if keep_last_marks(body.marks()) {
        rendered.drop("cache_control");
    }
    rendered.body = serde_json::to_vec(&body).unwrap_or_default();
    Ok(rendered)
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum System<'a> {
    None,
    Text(&'a str),
    Blocks(Vec<Block<'a>>),
}

impl System<'_> {
    const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}

#[derive(Debug, Serialize)]
struct SchemaFormat<'a> {
    r#type: &'static str,
    schema: &'a RawValue,
}

#[derive(Debug, Serialize)]
struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<SchemaFormat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
}

impl<'a> OutputConfig<'a> {
    fn new(schema: Option<&'a RawValue>, effort: Option<&'static str>) -> Option<Self> {
        let format = schema.map(|schema| SchemaFormat { r#type: "json_schema", schema });
        (format.is_some() || effort.is_some()).then_some(Self { format, effort })
    }
}

#[derive(Debug, Serialize)]
struct Metadata<'a> {
    user_id: &'a str,
}

/// The body. Its fields are written in this order.
#[derive(Debug, Serialize)]
struct Body<'a> {
    model: &'a str,
    max_tokens: u64,
    #[serde(skip_serializing_if = "System::is_none")]
    system: System<'a>,
    messages: Vec<MessageOut<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Config>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
}

impl<'a> Body<'a> {
    /// Puts the instructions in front: a string if it is one text without a mark.
    fn instruct(&mut self, request: &'a Request) -> Result<(), Cannot> {
        let mut blocks: Vec<Block<'a>> = request.system.iter().filter_map(Block::text).collect();
        if self.messages.is_empty() {
            if blocks.is_empty() {
                return Err(
                    BadRequest::wrong_type("messages", "a list with at least one message that says something").into()
                );
            }
            self.messages.push(MessageOut { role: "user", content: blocks });
            return Ok(());
        }
        self.system = match (blocks.len(), blocks.first()) {
            (1, Some(Block::Text { text, cache_control: None })) => System::Text(text),
            (0, _) => System::None,
            _ => System::Blocks(std::mem::take(&mut blocks)),
        };
        Ok(())
    }

    /// Every cache mark, in the order in which a prompt is cached.
    fn marks<'b>(&'b mut self) -> Vec<&'b mut Option<Mark<'a>>> {
        let mut marks: Vec<_> = self.tools.iter_mut().map(|tool| &mut tool.cache_control).collect();
        if let System::Blocks(blocks) = &mut self.system {
            blocks.iter_mut().for_each(|block| block.marks(&mut marks));
        }
        self.messages.iter_mut().flat_map(|message| &mut message.content).for_each(|block| block.marks(&mut marks));
        marks
    }
}

#[derive(Debug, Default)]
struct Sampled {
    temperature: Option<f64>,
    top_p: Option<f64>,
    top_k: Option<u64>,
}

/// What of sampling is sent. What goes is told, unless it is what a model does anyway.
fn sampling(request: &Request, claude: Claude, plan: &Plan, rendered: &mut Rendered) -> Sampled {
    let mut sampled = Sampled { temperature: request.temperature, top_p: request.top_p, top_k: request.top_k };
    if sampled.temperature.is_some_and(|temperature| temperature > 1.0) {
        sampled.temperature = Some(1.0);
        rendered.drop("temperature");
    }
    let fixed = claude.sampling() == Sampling::Fixed;
    if (fixed || plan.on) && sampled.temperature.take().is_some_and(|temperature| temperature < 1.0) {
        rendered.drop("temperature");
    }
    if (fixed || plan.on) && sampled.top_k.take().is_some() {
        rendered.drop("top_k");
    }
    let unfit = |top_p: &mut f64| fixed || plan.on && *top_p < LEAST_THINKING_TOP_P;
    if sampled.top_p.take_if(unfit).is_some_and(|top_p| top_p < 1.0) {
        rendered.drop("top_p");
    }
    if claude.sampling() == Sampling::OneOfTwo
        && sampled.temperature.is_some()
        && sampled.top_p.take().is_some_and(|top_p| top_p < 1.0)
    {
        rendered.drop("top_p");
    }
    sampled
}

/// Blank stop texts are refused.
fn stop_sequences<'a>(request: &'a Request, rendered: &mut Rendered) -> Vec<&'a str> {
    let stops: Vec<&str> = request.stop.iter().map(String::as_str).filter(|stop| !stop.trim().is_empty()).collect();
    if stops.len() < request.stop.len() {
        rendered.drop("stop");
    }
    stops
}

fn metadata<'a>(request: &'a Request, rendered: &mut Rendered) -> Option<Metadata<'a>> {
    let user_id = request.user.as_deref().filter(|user| !user.is_empty())?;
    if user_id.len() > USER_BYTES {
        rendered.drop("user");
        return None;
    }
    Some(Metadata { user_id })
}

fn service_tier(request: &Request, rendered: &mut Rendered) -> Option<&'static str> {
    match request.service_tier.as_deref()? {
        "auto" => Some("auto"),
        "default" | "standard_only" => Some("standard_only"),
        _ => {
            rendered.drop("service_tier");
            None
        }
    }
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
