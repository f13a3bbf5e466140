//! Who is on the other side: the dialect that is spoken there, and the vendor whose habits it has.
//!
//! Owns both lists, and what of the API each vendor is known to serve. Refuses to know addresses, keys and models.

use crate::policy::capability::{Api, Apis};

/// The wire shape of a provider's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI's chat completions and what goes with them.
    OpenAiChat,
    /// Anthropic's messages.
    Anthropic,
    /// Amazon Bedrock's converse.
    Bedrock,
}

impl Dialect {
    /// Every dialect a configuration may name.
    pub const ALL: [Self; 3] = [Self::OpenAiChat, Self::Anthropic, Self::Bedrock];

    /// The name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai_chat",
            Self::Anthropic => "anthropic",
            Self::Bedrock => "bedrock",
        }
    }
}

/// Whose habits a provider's errors follow: vendors of one dialect still word and number them differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the variants are the vendors' names")]
pub enum Vendor {
    OpenAi,
    Anthropic,
    OpenRouter,
    Xai,
    Groq,
    Mistral,
    Gemini,
    DeepSeek,
    Together,
    Fireworks,
    Ollama,
    Vllm,
    Azure,
    Bedrock,
    /// Any other server that speaks OpenAI's dialect.
    Other,
}

impl Vendor {
    /// What of OpenAI's API the vendor is known to serve at its own address. In doubt it counts as served: a wrong yes
    /// costs one fast refusal, a wrong no an answer.
    #[must_use]
    pub const fn endpoints(self) -> Apis {
        use Api::{Audio, Chat, Completions, CountTokens, Embeddings, Images, Moderations, Responses};
        match self {
            Self::Anthropic => Apis::of(&[Chat, CountTokens]),
            Self::OpenRouter => Apis::of(&[Chat, Completions, Embeddings, Responses, Audio]),
            Self::Xai => Apis::of(&[Chat, Completions, Responses, Images]),
            Self::Groq => Apis::of(&[Chat, Responses, Audio]),
            Self::Mistral => Apis::of(&[Chat, Embeddings, Moderations, Audio]),
            Self::Gemini => Apis::of(&[Chat, Embeddings, Images]),
            Self::DeepSeek => Apis::of(&[Chat, Completions, Responses]),
            Self::Together => Apis::of(&[Chat, Completions, Embeddings, Images, Audio]),
            Self::Fireworks => Apis::of(&[Chat, Completions, Embeddings, Responses]),
            Self::Ollama => Apis::of(&[Chat, Completions, Embeddings, Responses, Images, Audio]),
            Self::Vllm => Apis::of(&[Chat, Completions, Embeddings, Responses, Audio]),
            Self::OpenAi | Self::Azure | Self::Bedrock | Self::Other => Apis::ALL,
        }
    }
}
