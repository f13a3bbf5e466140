//! Whom requests are written for in these tests, and what such a target cannot be told.

use std::sync::LazyLock;

use backstop::dialect::canonical::ids::Rule;
use backstop::dialect::canonical::{Cannot, Profile, Rendered, Request};
use backstop::dialect::openai_chat::request::BadRequest;
use backstop::dialect::vendor::Vendor;
use backstop::dialect::{anthropic, bedrock, openai_chat};
use backstop::policy::capability::Abilities;

use super::Wire;
use super::asked::{Asked, Choice, Offered, Piece, Place, Who};

/// A model at a vendor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub(super) wire: Wire,
    pub(super) vendor: Vendor,
    pub(super) model: &'static str,
}

pub(super) const CLAUDE: Target =
    Target { wire: Wire::Messages, vendor: Vendor::Anthropic, model: "claude-sonnet-4-5-20250929" };
pub(super) const BEDROCK_CLAUDE: Target =
    Target { wire: Wire::Converse, vendor: Vendor::Bedrock, model: "us.anthropic.claude-sonnet-4-5-20250929-v1:0" };
pub(super) const OPENAI: Target = Target { wire: Wire::Chat, vendor: Vendor::OpenAi, model: "gpt-4o" };
pub(super) const MISTRAL: Target = Target { wire: Wire::Chat, vendor: Vendor::Mistral, model: "mistral-large-latest" };
pub(super) const DEEPSEEK: Target = Target { wire: Wire::Chat, vendor: Vendor::DeepSeek, model: "deepseek-chat" };
pub(super) const GEMINI: Target = Target { wire: Wire::Chat, vendor: Vendor::Gemini, model: "gemini-3-pro-preview" };

/// One of each way to be written.
pub(super) const ALL: [Target; 10] = [
    CLAUDE,
    BEDROCK_CLAUDE,
    Target { wire: Wire::Converse, vendor: Vendor::Bedrock, model: "amazon.nova-lite-v1:0" },
    OPENAI,
    MISTRAL,
    DEEPSEEK,
    GEMINI,
    Target { wire: Wire::Chat, vendor: Vendor::Groq, model: "llama-3.3-70b-versatile" },
    Target { wire: Wire::Chat, vendor: Vendor::Xai, model: "grok-4" },
    Target { wire: Wire::Chat, vendor: Vendor::OpenRouter, model: "anthropic/claude-3.5-sonnet" },
];

pub(super) fn parse(wire: Wire, body: &[u8]) -> Result<Request, BadRequest> {
    match wire {
        Wire::Chat => openai_chat::parse::request(body),
        Wire::Messages => anthropic::parse::request(body),
        Wire::Converse => panic!("nobody sends Converse to the gateway"),
    }
}

impl Target {
    /// As somebody of whom no more is known than the name.
    pub(super) fn profile(self) -> Profile<'static> {
        static UNKNOWN: LazyLock<Abilities> = LazyLock::new(Abilities::default);
        Profile { model: self.model, vendor: self.vendor, abilities: &UNKNOWN }
    }

    pub(super) fn render(self, request: &Request) -> Result<Rendered, Cannot> {
        self.render_as(request, &self.profile())
    }

    /// For somebody of whom more is known.
    pub(super) fn render_as(self, request: &Request, profile: &Profile<'_>) -> Result<Rendered, Cannot> {
        match self.wire {
            Wire::Chat => openai_chat::render::request(request, profile),
            Wire::Messages => anthropic::render::request(request, profile),
            Wire::Converse => bedrock::render::request(request, profile),
        }
    }

    pub(super) const fn rule(self) -> Rule {
        match (self.wire, self.vendor) {
            (Wire::Messages, _) => Rule::Anthropic,
            (Wire::Converse, _) => Rule::Bedrock,
            (Wire::Chat, Vendor::Mistral) => Rule::Mistral,
            (Wire::Chat, _) => Rule::Any,
        }
    }

    /// What of a request this target can be told.
    pub(super) fn told(self, mut asked: Asked) -> Asked {
        asked.fit_ids(self.rule());
        match self.wire {
            Wire::Chat => {
                // DeepSeek wants thoughts where its model called a tool, whoever thought them.
                for (_, pieces) in &mut asked.turns {
                    let calls = pieces.iter().any(|piece| matches!(piece, Piece::Call(_)));
                    let thinks = self.vendor == Vendor::DeepSeek && calls;
                    pieces.retain(|piece| thinks || !matches!(piece, Piece::Thinking { .. }));
                }
                asked.keep(|piece| !matches!(piece, Piece::Redacted(_)));
                asked.turns.iter_mut().for_each(|(_, pieces)| *pieces = in_chat(std::mem::take(pieces)));
            }
            Wire::Messages | Wire::Converse => {
                // A user has to speak.
                if asked.turns.is_empty() {
                    let instructions = std::mem::take(&mut asked.system);
                    asked.say(Who::User, instructions.into_iter().map(Piece::Text).collect());
                }
                // Only Claude takes back what it signed, and only while it thinks.
                let thinks = asked.thinks && self.model.contains("claude");
                asked.keep(|piece| match piece {
                    Piece::Thinking { signature, .. } => thinks && signature.is_some(),
                    Piece::Redacted(_) => thinks,
                    _ => true,
                });
                if let Some((Who::Model, pieces)) = asked.turns.last_mut()
                    && let Some(Piece::Text(text)) = pieces.last_mut()
                {
                    *text = text.trim_end().to_owned();
                }
            }
        }
        match self.wire {
            Wire::Chat => {}
            Wire::Messages => self.messages(&mut asked),
            Wire::Converse => {
                // No word for "none", and a description has to be there.
                if asked.choice == Choice::Never {
                    asked.choice = Choice::Auto;
                    asked.tools.clear();
                }
                for tool in asked.tools.iter_mut().filter(|tool| tool.description.is_empty()) {
                    tool.description.clone_from(&tool.name);
                }
            }
        }
        asked
    }

    /// What a target says between a tool's and a user's message, because it takes them only apart.
    pub(super) fn unbridged(self, asked: &mut Asked) {
        if self.vendor != Vendor::Mistral {
            return;
        }
        let turns = std::mem::take(&mut asked.turns);
        for (at, (who, pieces)) in turns.iter().enumerate() {
            let after = |turn: &(Who, Vec<Piece>)| matches!(turn.1.last(), Some(Piece::Result { .. }));
            let bridge = *who == Who::Model
                && matches!(pieces[..], [Piece::Text(_)])
                && at.checked_sub(1).is_some_and(|before| after(&turns[before]))
                && at + 1 < turns.len();
            if !bridge {
                asked.say(*who, pieces.clone());
            }
        }
    }

    /// What Anthropic asks for: that used tools are there.
    fn messages(self, asked: &mut Asked) {
        let calls = asked.turns.iter().flat_map(|(_, pieces)| pieces).filter_map(|piece| match piece {
            Piece::Call(call) => Some(call.name.clone()),
            _ => None,
        });
        let names: Vec<String> = calls.collect();
        if asked.tools.is_empty() && !names.is_empty() {
            asked.choice = Choice::Never;
            for name in names {
                let schema = serde_json::json!({ "type": "object", "properties": {} });
                let tool = Offered { name, description: String::new(), schema };
                if !asked.tools.contains(&tool) {
                    asked.tools.push(tool);
                }
            }
        }
    }
}

/// A turn as chat can say it: a tool says text only, so what else it gave follows, and a document of text is text.
fn in_chat(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut results = Vec::new();
    let mut rest = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Result { id, parts, error } => {
                let (texts, others): (Vec<_>, Vec<_>) =
                    parts.into_iter().partition(|part| matches!(part, Piece::Text(_)));
                let mut said: Vec<String> = texts.into_iter().filter_map(text).collect();
                if error {
                    said.insert(0, "Error:".to_owned());
                }
                let said = if error { said.join(" ") } else { said.join("\n\n") };
                if !others.is_empty() {
                    rest.push(Piece::Text(format!("The result of the tool call {id}:")));
                    rest.extend(others);
                }
                results.push(Piece::Result { id, parts: vec![Piece::Text(said)], error: false });
            }
            Piece::Document(Place::Text(text), name) => {
                rest.push(Piece::Text(name.into_iter().chain([text]).collect::<Vec<_>>().join("\n\n")));
            }
            other => rest.push(other),
        }
    }
    results.extend(rest);
    results
}

fn text(piece: Piece) -> Option<String> {
    if let Piece::Text(text) = piece { Some(text) } else { None }
}
