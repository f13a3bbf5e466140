//! The messages of a chat, as far as a vendor would refuse them: what another vendor left in them, ids, roles, order.
//!
//! Owns what is done to one message. Refuses to know the fields around the messages.

use std::borrow::Cow;

use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use super::{Change, is_idle, owned};
use crate::dialect::canonical::Profile;
use crate::dialect::canonical::ids::{self, Rule};
use crate::dialect::members::Members;
use crate::dialect::openai_chat::render::BRIDGE;
use crate::dialect::openai_chat::vendors::{self, Habits, Past};
use crate::dialect::openai_chat::wire::{self, Thought};
use crate::dialect::vendor::Vendor;

/// The list of messages, if it must change, and what was done to it. `tools`: the request offers some.
pub(super) fn amended(
    list: &RawValue,
    tools: bool,
    profile: &Profile<'_>,
    habits: &Habits,
) -> Option<(Box<RawValue>, Change)> {
    let mut messages: Vec<Members<'_>> = serde_json::from_str(list.get()).ok()?;
    let mut history = History { tools, profile, habits, change: Change::default() };
    for message in &mut messages {
        history.message(message);
    }
    if habits.bridged {
        messages = history.bridged(messages);
    }
    let change = history.change;
    change.made.then(|| Some((to_raw_value(&messages).ok()?, change)))?
}

struct History<'h, 'p> {
    tools: bool,
    profile: &'h Profile<'p>,
    habits: &'h Habits,
    change: Change,
}

fn role<'m>(message: &'m Members<'_>) -> Cow<'m, str> {
    wire::text(message.get("role")).unwrap_or_default()
}

impl History<'_, '_> {
    fn message(&mut self, message: &mut Members<'_>) {
        if !self.habits.developer && role(message) == "developer" {
            self.change.set(message, "role", &"system");
        }
        let assistant = role(message) == "assistant";
        if assistant {
            self.assistant(message);
        }
        for &name in self.habits.scrubbed {
            self.change.remove(message, name, || format!("messages.{name}").into());
        }
        if self.habits.no_nulls {
            self.nulls(message);
        }
        if self.habits.strict {
            self.change.remove(message, "cache_control", || "cache_control".into());
            self.content(message);
        }
        let id = wire::text(message.get("tool_call_id")).map(|id| ids::fit(&id, self.habits.ids).into_owned());
        if let Some(id) = id.filter(|_| self.habits.ids != Rule::Any)
            && wire::text(message.get("tool_call_id")).as_deref() != Some(&id)
        {
            self.change.set(message, "tool_call_id", &id);
        }
    }

    /// What the messages of OpenAI's answers hold and other schemas do not, as long as it is empty; and a name, which
    /// only tools have there.
    fn nulls(&mut self, message: &mut Members<'_>) {
        for name in ["refusal", "annotations", "audio", "function_call", "tool_calls"] {
            if message.get(name).is_some_and(|value| is_idle(value.get())) {
                self.change.remove(message, name, || name.into());
            }
        }
        if role(message) != "tool" {
            self.change.remove(message, "name", || "messages.name".into());
        }
    }

    /// Cache marks and other vendors' thoughts among the parts of a content.
    fn content(&mut self, message: &mut Members<'_>) {
        let Some(content) = message.get("content").map(RawValue::get).filter(|content| content.starts_with('[')) else {
            return;
        };
        let own_thoughts = self.profile.vendor == Vendor::Mistral;
        if !content.contains("\"cache_control\"") && (own_thoughts || !content.contains("\"thinking\"")) {
            return;
        }
        let Ok(parts) = serde_json::from_str::<Vec<Members<'_>>>(content) else { return };
        let mut parts: Vec<_> = parts.into_iter().map(owned).collect();
        let count = parts.len();
        for part in &mut parts {
            self.change.remove(part, "cache_control", || "cache_control".into());
        }
        if !own_thoughts {
            parts.retain(|part| wire::text(part.get("type")).as_deref() != Some("thinking"));
        }
        if parts.len() < count {
            self.change.lose("messages.content.thinking");
        }
        message.set("content", &parts);
    }

    fn assistant(&mut self, message: &mut Members<'_>) {
        let calls = wire::items(message.get("tool_calls"));
        let Some(mut calls) = calls.iter().map(|call| Members::read(call.get()).map(owned)).collect::<Option<Vec<_>>>()
        else {
            return;
        };
        if calls.is_empty() {
            return;
        }
        let mut change = Change::default();
        for call in &mut calls {
            self.call(call, &mut change);
        }
        if let Some(signature) = self.missing_signature(message, &calls)
            && let Some(first) = calls.first_mut()
        {
            change.set(first, "extra_content", &json!({ "google": { "thought_signature": signature } }));
        }
        if change.made {
            message.set("tool_calls", &calls);
        }
        self.change.absorb(change);
        if self.habits.past == Past::Content && self.tools {
            self.reasoning_content(message);
        }
    }

    fn call(&self, call: &mut Members<'_>, change: &mut Change) {
        if self.habits.ids != Rule::Any {
            let id = wire::text(call.get("id")).unwrap_or_default().into_owned();
            let fitted = ids::fit(&id, self.habits.ids);
            if fitted != id {
                change.set(call, "id", &fitted);
            }
        }
        if self.habits.scrubbed.contains(&"extra_content") {
            change.remove(call, "extra_content", || "messages.tool_calls.extra_content".into());
        }
        if self.habits.strict {
            change.remove(call, "cache_control", || "cache_control".into());
        }
    }

    /// The signature that Gemini would miss: the one that OpenRouter keeps elsewhere, or the stand-in.
    fn missing_signature(&self, message: &Members<'_>, calls: &[Members<'_>]) -> Option<String> {
        let stand_in = vendors::unsigned(self.profile)?;
        if calls.iter().any(|call| call.get("extra_content").is_some()) || message.get("extra_content").is_some() {
            return None;
        }
        let id = wire::text(calls.first()?.get("id")).unwrap_or_default();
        let mut signature = None;
        wire::thoughts(message.get("reasoning_details"), &mut |thought| {
            if let Thought::ForCall(of, sign) = thought
                && of == id
            {
                signature = Some(sign.into_owned());
            }
        });
        Some(signature.unwrap_or_else(|| stand_in.to_owned()))
    }

    /// DeepSeek's: what was thought, if a text of it is there, else nothing.
    fn reasoning_content(&mut self, message: &mut Members<'_>) {
        if message.get("reasoning_content").is_none_or(|value| value.get() == "null") {
            let text = wire::text(message.get("reasoning")).unwrap_or_default().into_owned();
            self.change.set(message, "reasoning_content", &text);
        }
    }

    /// With an assistant's word between each tool and a user.
    fn bridged<'m>(&mut self, messages: Vec<Members<'m>>) -> Vec<Members<'m>> {
        let mut all: Vec<Members<'m>> = Vec::with_capacity(messages.len());
        for message in messages {
            if role(&message) == "user" && all.last().is_some_and(|last| role(last) == "tool") {
                let mut bridge = Members::default();
                bridge.set("role", &"assistant");
                bridge.set("content", &BRIDGE);
                all.push(bridge);
                self.change.made = true;
            }
            all.push(message);
        }
        all
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
