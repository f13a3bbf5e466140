//! What each vendor that speaks this dialect does differently, as one table.
//!
//! Owns the differences, each with its source: "recorded" is in recorded traffic, "docs" the vendor's own, "reported" a
//! public issue with the vendor's answer in it. What is not known to be refused is no row. Refuses to know how a
//! request is changed: [`amend`](super::amend) and [`render`](super::render) do that.

use crate::dialect::canonical::ids::Rule;
use crate::dialect::canonical::{Effort, Profile};
use crate::dialect::vendor::Vendor;

/// How a vendor takes back what a model thought in earlier turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Past {
    /// Not.
    Dropped,
    /// As OpenRouter's `reasoning_details`, signatures included.
    Details,
    /// As DeepSeek's `reasoning_content`, which assistant turns with calls must have.
    Content,
}

/// What content parts of a message may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pictures {
    /// From anywhere.
    Anywhere,
    /// Only with their bytes.
    Bytes,
    /// Only where the model is known to see: the vendor's usual ones refuse the part.
    IfKnown,
}

/// How documents are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Documents {
    /// As a `file` part with their bytes.
    Bytes,
    /// As a `file` part, also with a URL.
    Anywhere,
    /// As Mistral's `document_url`.
    Url,
    /// Not.
    Refused,
}

/// A vendor's row.
#[derive(Debug)]
pub(super) struct Habits {
    /// The field that bounds an answer.
    pub(super) limit: &'static str,
    /// Fields of the body that have another name: the usual one, the vendor's.
    pub(super) renamed: &'static [(&'static str, &'static str)],
    /// Fields of the body that are refused.
    pub(super) refused: &'static [&'static str],
    /// Fields of messages that are refused.
    pub(super) scrubbed: &'static [&'static str],
    /// A field that no schema of OpenAI's has is refused: other vendors' `reasoning`, `thinking`, `top_k`, cache marks.
    pub(super) strict: bool,
    /// Fields of messages are refused even where they are null.
    pub(super) no_nulls: bool,
    /// Which ids of calls are taken.
    pub(super) ids: Rule,
    /// The role `developer` is known.
    pub(super) developer: bool,
    /// `stream_options.include_usage` is known.
    pub(super) usage_option: bool,
    /// A user's message must not follow a tool's.
    pub(super) bridged: bool,
    /// How thinking goes back.
    pub(super) past: Past,
    /// `top_k` is known.
    pub(super) top_k: bool,
    /// `user` is known.
    pub(super) user: bool,
    /// `cache_control` is known.
    pub(super) marks: bool,
    /// The word for the tier that is not hurried, if there are tiers.
    pub(super) standard_tier: Option<&'static str>,
    pub(super) pictures: Pictures,
    pub(super) documents: Documents,
    /// A JSON schema for the answer is known.
    pub(super) schemas: bool,
}

/// What OpenRouter and LiteLLM put into messages, and what vendors answer with: no part of OpenAI's messages.
const FOREIGN: &[&str] = &[
    "reasoning_content",
    "reasoning_details",
    "reasoning",
    "thinking_blocks",
    "provider_specific_fields",
    "extra_content",
];

/// A server of which nothing is known: it gets OpenAI's dialect in its oldest spelling.
const PLAIN: Habits = Habits {
    limit: "max_tokens",
    renamed: &[],
    refused: &[],
    scrubbed: &[],
    strict: false,
    no_nulls: false,
    ids: Rule::Any,
    developer: true,
    usage_option: true,
    bridged: false,
    past: Past::Dropped,
    top_k: false,
    user: true,
    marks: false,
    standard_tier: None,
    pictures: Pictures::Anywhere,
    documents: Documents::Bytes,
    schemas: true,
};

/// Reported: "Unknown parameter" for `reasoning` and `cache_control`. Fields of a message are checked as well.
static OPENAI: Habits =
    Habits { limit: "max_completion_tokens", scrubbed: FOREIGN, strict: true, standard_tier: Some("default"), ..PLAIN };

/// Docs ("will result in a 400"): `logit_bias`, `messages[].name`. Reported: "property … is unsupported" for `store`,
/// `reasoning`, and in messages for `reasoning_content`, `reasoning` and anything unknown.
static GROQ: Habits = Habits {
    limit: "max_completion_tokens",
    refused: &["logit_bias", "store"],
    scrubbed: &[
        "reasoning_content",
        "reasoning_details",
        "reasoning",
        "thinking_blocks",
        "provider_specific_fields",
        "extra_content",
        "name",
    ],
    strict: true,
    no_nulls: true,
    standard_tier: Some("on_demand"),
    documents: Documents::Refused,
    ..PLAIN
};

/// Reported ("Extra inputs are not permitted", 422): `max_completion_tokens`, `stream_options`, `metadata`, in messages
/// `reasoning_content`, `cache_control`, `name` of a user, null fields; `invalid_request_message_order` for a user's
/// message behind a tool's. wire.md 5.7.3: ids of nine letters and digits. Recorded: `random_seed`. Docs: no `user`,
/// `store`, `logit_bias`, `service_tier`. Usage comes unasked (wire.md 5.8).
static MISTRAL: Habits = Habits {
    renamed: &[("max_completion_tokens", "max_tokens"), ("seed", "random_seed")],
    refused: &[
        "logit_bias",
        "metadata",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "user",
        "verbosity",
        "web_search_options",
    ],
    scrubbed: FOREIGN,
    strict: true,
    no_nulls: true,
    ids: Rule::Mistral,
    developer: false,
    usage_option: false,
    bridged: true,
    user: false,
    documents: Documents::Url,
    ..PLAIN
};

/// Reported: "does not support parameter presencePenalty", also for 0 and on every recent model. More by model:
/// [`by_model`].
static XAI: Habits =
    Habits { limit: "max_completion_tokens", refused: &["frequency_penalty", "presence_penalty"], ..PLAIN };

/// wire.md 5.4: turns with calls need `reasoning_content`. Reported: "unknown variant `developer`", "unknown variant
/// `image_url`", "This response_format type is unavailable now" for a schema. Docs: `max_tokens` only. Recorded: 400
/// "Thinking mode does not support this tool_choice".
static DEEPSEEK: Habits = Habits {
    renamed: &[("max_completion_tokens", "max_tokens")],
    developer: false,
    past: Past::Content,
    user: false,
    pictures: Pictures::IfKnown,
    documents: Documents::Refused,
    schemas: false,
    ..PLAIN
};

/// Docs: `reasoning`, `reasoning_details`, `top_k`, cache marks; a file's data may be a URL.
static OPENROUTER: Habits =
    Habits { past: Past::Details, top_k: true, marks: true, documents: Documents::Anywhere, ..PLAIN };

/// Reported ("Unknown name … Cannot find field"): `store`, `metadata`, `frequency_penalty`, `reasoning`, `top_k`.
/// wire.md 5.4: calls need their `thought_signature`.
static GEMINI: Habits = Habits {
    limit: "max_completion_tokens",
    refused: &["frequency_penalty", "metadata", "store"],
    scrubbed: &["reasoning_content", "reasoning_details", "reasoning", "thinking_blocks", "provider_specific_fields"],
    strict: true,
    user: false,
    ..PLAIN
};

/// Docs: the fields that are known, the rest is not looked at (so a limit under its new name would be lost), and images
/// with their bytes only. `developer` means nothing to its templates.
static OLLAMA: Habits = Habits {
    renamed: &[("max_completion_tokens", "max_tokens")],
    developer: false,
    top_k: true,
    user: false,
    pictures: Pictures::Bytes,
    documents: Documents::Refused,
    ..PLAIN
};

/// Docs: `top_k`; fields that are not known are not looked at.
static VLLM: Habits = Habits { top_k: true, ..PLAIN };

/// Docs: `top_k`.
static TOGETHER: Habits = Habits { top_k: true, documents: Documents::Refused, ..PLAIN };

/// Docs: `top_k`, `reasoning_content` in messages. Reported: "Extra inputs are not permitted" for what is in no schema.
static FIREWORKS: Habits = Habits {
    scrubbed: &["reasoning_details", "thinking_blocks", "provider_specific_fields", "cache_control"],
    top_k: true,
    documents: Documents::Refused,
    ..PLAIN
};

static OTHER: Habits = PLAIN;

/// The row of a vendor.
pub(super) const fn habits(vendor: Vendor) -> &'static Habits {
    match vendor {
        Vendor::OpenAi | Vendor::Azure => &OPENAI,
        Vendor::Groq => &GROQ,
        Vendor::Mistral => &MISTRAL,
        Vendor::Xai => &XAI,
        Vendor::DeepSeek => &DEEPSEEK,
        Vendor::OpenRouter => &OPENROUTER,
        Vendor::Gemini => &GEMINI,
        Vendor::Ollama => &OLLAMA,
        Vendor::Vllm => &VLLM,
        Vendor::Together => &TOGETHER,
        Vendor::Fireworks => &FIREWORKS,
        // Neither has an endpoint of this dialect that is known to differ.
        Vendor::Anthropic | Vendor::Bedrock | Vendor::Other => &OTHER,
    }
}

/// OpenAI's models that always think. Docs, and reported 400s ("Only the default (1) value is supported", "'stop' is not
/// supported with this model").
const THINKERS: &[&str] =
    &["temperature", "top_p", "presence_penalty", "frequency_penalty", "logit_bias", "stop", "parallel_tool_calls"];

/// What this model of the vendor refuses besides, given the effort that is asked of it.
pub(super) fn by_model(profile: &Profile<'_>, effort: Option<&str>) -> &'static [&'static str] {
    let name = profile.model.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let thinks = profile.abilities.reasoning == Some(true);
    match profile.vendor {
        Vendor::OpenAi | Vendor::Azure if thinks => {
            let number =
                name.strip_prefix('o').is_some_and(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()));
            match name.strip_prefix("gpt-5") {
                // Docs of GPT-5.2: from 5.1 on only together with an effort.
                Some(rest) if rest.starts_with('.') => match effort {
                    Some(effort) if effort != "none" => &["temperature", "top_p"],
                    _ => &[],
                },
                // They call several tools at once if they are let.
                Some(_) => THINKERS.split_at(THINKERS.len() - 1).0,
                None if name.starts_with("o1") || name.starts_with("o3-mini") => THINKERS,
                None if number => THINKERS.split_at(THINKERS.len() - 1).0,
                None => &[],
            }
        }
        Vendor::Xai => {
            // Reported per model: "does not support parameter reasoningEffort". Docs: no `stop` for those that think.
            let effort = ["grok-3-mini", "grok-4.3", "grok-4.5", "grok-4.6", "grok-4.20-multi-agent"];
            let takes_effort = effort.iter().any(|known| name.starts_with(known));
            let known = ["grok-2", "grok-3", "grok-4", "grok-code"].iter().any(|known| name.starts_with(known));
            match (known && !takes_effort, thinks) {
                (true, true) => &["reasoning_effort", "stop"],
                (true, false) => &["reasoning_effort"],
                (false, true) => &["stop"],
                (false, false) => &[],
            }
        }
        // Reported: 422 where nothing thinks.
        Vendor::Mistral if profile.abilities.reasoning == Some(false) => &["reasoning_effort"],
        Vendor::OpenAi
        | Vendor::Azure
        | Vendor::Mistral
        | Vendor::Anthropic
        | Vendor::OpenRouter
        | Vendor::Groq
        | Vendor::Gemini
        | Vendor::DeepSeek
        | Vendor::Together
        | Vendor::Fireworks
        | Vendor::Ollama
        | Vendor::Vllm
        | Vendor::Bedrock
        | Vendor::Other => &[],
    }
}

/// The vendor's word that comes nearest to an effort: `xhigh` and `max` are known to few, `minimal` not to all.
pub(super) const fn effort(vendor: Vendor, effort: Effort) -> &'static str {
    match (vendor, effort) {
        // Docs, and reported by probing: these two.
        (Vendor::Mistral, Effort::None | Effort::Minimal) | (_, Effort::None) => "none",
        (Vendor::Mistral, _) => "high",
        // Docs: `high` and `max`.
        (Vendor::DeepSeek, Effort::XHigh | Effort::Max) => "max",
        (Vendor::DeepSeek, _) => "high",
        (Vendor::OpenRouter, Effort::XHigh | Effort::Max) => "xhigh",
        (Vendor::OpenAi | Vendor::Azure | Vendor::OpenRouter | Vendor::Gemini, Effort::Minimal) => "minimal",
        (_, Effort::Minimal | Effort::Low) => "low",
        (_, Effort::Medium) => "medium",
        (_, Effort::High | Effort::XHigh | Effort::Max) => "high",
    }
}

/// Google's documented stand-in for a signature that is not there. Models before Gemini 3 do not ask for one.
pub(super) fn unsigned(profile: &Profile<'_>) -> Option<&'static str> {
    let name = profile.model.to_ascii_lowercase();
    let asks = profile.vendor == Vendor::Gemini && !name.contains("gemini-1") && !name.contains("gemini-2");
    asks.then_some("skip_thought_signature_validator")
}
