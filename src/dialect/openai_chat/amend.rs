//! What of a chat the vendors that speak it would refuse, changed where it stands: the rest of the body stays as the client
//! wrote it, unknown fields included.
//!
//! Owns the fields of the body; `history` those of its messages. Which vendor refuses what is in
//! `vendors`. Asks byte finders first: the usual body is not parsed. Refuses to judge a request: what is
//! not known to be refused is the vendor's to judge, `n` and `logprobs` above all, without which the answer would not be
//! the one that was asked for.

mod history;

use std::borrow::Cow;
use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;
use serde::Serialize;
use serde_json::value::RawValue;

use super::vendors::{self, Habits};
use super::wire;
use crate::dialect::canonical::{Amended, Effort, Profile};
use crate::dialect::members::Members;
use crate::dialect::vendor::Vendor;

type Marks = LazyLock<Vec<Finder<'static>>>;

fn finders(words: &[&'static str]) -> Vec<Finder<'static>> {
    words.iter().map(|word| Finder::new(*word)).collect()
}

/// What other vendors' clients and answers leave in a body.
const FOREIGN: &[&str] = &[
    "\"reasoning\"",
    "\"reasoning_content\"",
    "\"reasoning_details\"",
    "\"thinking",
    "\"cache_control\"",
    "\"extra_content\"",
    "\"provider_specific_fields\"",
    "\"top_k\"",
];

static STRICT: Marks = LazyLock::new(|| finders(FOREIGN));
/// What OpenAI's models that think may refuse besides.
static SAMPLING: Marks = LazyLock::new(|| {
    finders(&[
        "\"max_tokens\"",
        "\"temperature\"",
        "\"top_p\"",
        "_penalty\"",
        "\"logit_bias\"",
        "\"stop\"",
        "\"parallel_tool_calls\"",
    ])
});
static XAI: Marks = LazyLock::new(|| finders(&["_penalty\"", "\"stop\"", "\"reasoning_effort\""]));
static GROQ: Marks = LazyLock::new(|| finders(&["\"name\"", "null", "\"store\"", "\"logit_bias\""]));
static GEMINI: Marks =
    LazyLock::new(|| finders(&["\"tool_calls\"", "\"store\"", "\"metadata\"", "\"frequency_penalty\""]));
static DEEPSEEK: Marks =
    LazyLock::new(|| finders(&["\"tool_calls\"", "\"tool_choice\"", "\"developer\"", "\"max_completion_tokens\""]));
static OLLAMA: Marks = LazyLock::new(|| finders(&["\"developer\"", "\"max_completion_tokens\""]));
static FIREWORKS: Marks = LazyLock::new(|| {
    finders(&["\"reasoning_details\"", "\"thinking_blocks\"", "\"provider_specific_fields\"", "\"cache_control\""])
});

/// Whether the body may hold something that the target refuses.
fn is_suspect(body: &[u8], profile: &Profile<'_>) -> bool {
    let any = |marks: &Marks| marks.iter().any(|mark| mark.find(body).is_some());
    match profile.vendor {
        Vendor::OpenAi | Vendor::Azure => any(&STRICT) || (profile.abilities.reasoning == Some(true) && any(&SAMPLING)),
        Vendor::Groq => any(&STRICT) || any(&GROQ),
        Vendor::Gemini => any(&STRICT) || any(&GEMINI),
        Vendor::Xai => any(&XAI),
        Vendor::DeepSeek => any(&DEEPSEEK),
        Vendor::Ollama => any(&OLLAMA),
        Vendor::Fireworks => any(&FIREWORKS),
        // So much of OpenAI's is refused there that looking for it costs more than reading.
        Vendor::Mistral => true,
        Vendor::OpenRouter | Vendor::Together | Vendor::Vllm | Vendor::Anthropic | Vendor::Bedrock | Vendor::Other => {
            false
        }
    }
}

/// The body for a target, if it must change.
#[must_use]
pub fn amend(body: &Bytes, profile: &Profile<'_>) -> Option<Amended> {
    if !is_suspect(body, profile) {
        return None;
    }
    let habits = vendors::habits(profile.vendor);
    let mut change = Change::default();
    let mut members = Members::read(std::str::from_utf8(body).ok()?)?;
    options(&mut members, profile, habits, &mut change);
    let tools = members.get("tools").is_some_and(|tools| !is_idle(tools.get()));
    let messages = members.get("messages").and_then(|list| history::amended(list, tools, profile, habits));
    if let Some((messages, made)) = messages {
        change.absorb(made);
        members.set("messages", &messages);
    }
    if habits.strict
        && let Some(tools) = members.get("tools").and_then(|tools| unmarked_tools(tools, &mut change))
    {
        members.set("tools", &tools);
    }
    change.made.then(|| Amended { body: members.write().into(), dropped: change.dropped })
}

/// What was done.
#[derive(Default)]
struct Change {
    made: bool,
    dropped: Vec<Cow<'static, str>>,
}

impl Change {
    /// Something is lost, and the client is told its name.
    fn lose(&mut self, what: impl Into<Cow<'static, str>>) {
        self.made = true;
        let what = what.into();
        if !self.dropped.contains(&what) {
            self.dropped.push(what);
        }
    }

    fn absorb(&mut self, other: Self) {
        self.made |= other.made;
        other.dropped.into_iter().for_each(|what| self.lose(what));
    }

    /// Takes a field out. What asked for nothing is no loss.
    fn remove(&mut self, members: &mut Members<'_>, name: &str, shown: impl FnOnce() -> Cow<'static, str>) {
        if let Some(value) = members.remove(name) {
            self.made = true;
            if !is_idle(value.get()) {
                self.lose(shown());
            }
        }
    }

    /// Gives a field its other name, unless that has a value already.
    fn rename(&mut self, members: &mut Members<'_>, from: &str, to: &'static str) {
        if members.get(from).is_some() {
            self.made = true;
            if members.get(to).is_some_and(|value| value.get() == "null") {
                members.remove(to);
            }
            members.rename(from, to);
        }
    }

    fn set(&mut self, members: &mut Members<'_>, name: &'static str, value: &impl Serialize) {
        self.made = true;
        members.set(name, value);
    }
}

/// Whether a value asks for nothing.
fn is_idle(json: &str) -> bool {
    matches!(json, "null" | "false" | "[]" | "{}" | "\"\"" | "0" | "0.0")
}

/// The body's own fields.
fn options(members: &mut Members<'_>, profile: &Profile<'_>, habits: &Habits, change: &mut Change) {
    if habits.strict {
        foreign(members, profile, change);
    }
    for (from, to) in habits.renamed {
        change.rename(members, from, to);
    }
    let openai = matches!(profile.vendor, Vendor::OpenAi | Vendor::Azure);
    if openai && profile.abilities.reasoning == Some(true) {
        change.rename(members, "max_tokens", "max_completion_tokens");
    }
    if !habits.usage_option && members.remove("stream_options").is_some() {
        change.made = true;
    }
    let effort = wire::text(members.get("reasoning_effort")).map(String::from);
    let by_model = vendors::by_model(profile, effort.as_deref());
    for &name in habits.refused.iter().chain(by_model) {
        let Some(value) = members.get(name).map(RawValue::get) else { continue };
        // One is what both are if nobody says anything, and nought is a wish.
        let asked = match name {
            "temperature" | "top_p" => !matches!(value, "null" | "1" | "1.0"),
            _ => !is_idle(value),
        };
        if asked {
            change.lose(name);
        }
        change.made |= members.remove(name).is_some();
    }
    match profile.vendor {
        Vendor::Mistral => mistral_effort(members, change),
        Vendor::DeepSeek => deepseek_choice(members, change),
        Vendor::OpenAi
        | Vendor::Azure
        | Vendor::Anthropic
        | Vendor::OpenRouter
        | Vendor::Xai
        | Vendor::Groq
        | Vendor::Gemini
        | Vendor::Together
        | Vendor::Fireworks
        | Vendor::Ollama
        | Vendor::Vllm
        | Vendor::Bedrock
        | Vendor::Other => {}
    }
}

/// Fields that are other vendors' own. OpenRouter's `reasoning` and Anthropic's `thinking` say how much is thought, which
/// `reasoning_effort` says here.
fn foreign(members: &mut Members<'_>, profile: &Profile<'_>, change: &mut Change) {
    // Nobody asked for thought, and nobody gives it.
    let off = members.get("thinking").and_then(|value| Members::read(value.get()));
    if off.is_some_and(|value| wire::text(value.get("type")).as_deref() == Some("disabled")) {
        change.made |= members.remove("thinking").is_some();
    }
    let mut effort = None;
    for (field, budget) in [("thinking", "budget_tokens"), ("reasoning", "max_tokens")] {
        let Some(value) = members.get(field).filter(|value| value.get() != "null") else { continue };
        let asked = Members::read(value.get()).and_then(|asked| {
            let tokens = asked.get(budget).and_then(|tokens| tokens.get().parse().ok());
            let word = wire::text(asked.get("effort")).and_then(|word| Effort::from_name(&word));
            word.or(tokens.map(Effort::of_budget))
        });
        effort = effort.or(asked);
    }
    let said = members.get("reasoning_effort").is_some_and(|value| value.get() != "null");
    if let Some(effort) = effort.filter(|_| !said && profile.abilities.reasoning != Some(false)) {
        change.set(members, "reasoning_effort", &vendors::effort(profile.vendor, effort));
        change.made |= members.remove("thinking").is_some() | members.remove("reasoning").is_some();
    }
    for name in ["thinking", "reasoning", "top_k", "cache_control"] {
        change.remove(members, name, || name.into());
    }
}

/// Mistral knows two words (models.dev's probes): the nearest one.
fn mistral_effort(members: &mut Members<'_>, change: &mut Change) {
    let Some(word) = wire::text(members.get("reasoning_effort")) else { return };
    let Some(effort) = Effort::from_name(&word) else { return };
    let known = vendors::effort(Vendor::Mistral, effort);
    if word != known {
        change.set(members, "reasoning_effort", &known);
    }
}

/// DeepSeek takes no forced call while it thinks (recorded), which it does unless told not to.
fn deepseek_choice(members: &mut Members<'_>, change: &mut Change) {
    let free = ["null", "\"auto\"", "\"none\""];
    let forced = members.get("tool_choice").is_some_and(|choice| !free.contains(&choice.get()));
    let thinking = members.get("thinking").filter(|value| value.get() != "null");
    let kind = thinking
        .and_then(|value| Members::read(value.get()))
        .and_then(|value| wire::text(value.get("type")).map(String::from));
    if !forced || kind.as_deref() == Some("disabled") {
        return;
    }
    if thinking.is_some() {
        change.lose("thinking");
    }
    change.remove(members, "reasoning_effort", || "reasoning_effort".into());
    change.set(members, "thinking", &serde_json::json!({ "type": "disabled" }));
}

/// The tools without cache marks, if there were any.
fn unmarked_tools(tools: &RawValue, change: &mut Change) -> Option<Box<RawValue>> {
    if !tools.get().contains("\"cache_control\"") {
        return None;
    }
    let mut list: Vec<Members<'_>> = serde_json::from_str(tools.get()).ok()?;
    for tool in &mut list {
        change.remove(tool, "cache_control", || "cache_control".into());
        let function = tool.get("function").and_then(|function| Members::read(function.get()));
        if let Some(mut function) = function.map(owned)
            && function.get("cache_control").is_some()
        {
            change.remove(&mut function, "cache_control", || "cache_control".into());
            tool.set("function", &function);
        }
    }
    serde_json::value::to_raw_value(&list).ok()
}

/// A copy that outlives what it was read from.
fn owned(members: Members<'_>) -> Members<'static> {
    let member = |(name, value): (Cow<'_, str>, Cow<'_, RawValue>)| {
        (Cow::Owned(name.into_owned()), Cow::Owned(value.into_owned()))
    };
    Members(members.0.into_iter().map(member).collect())
}

#[cfg(test)]
#[path = "amend_tests.rs"]
mod tests;
