//! The providers that need no address: name, base URL and whose errors they speak.
//!
//! Owns that table. Refuses to know keys and models.

pub use crate::dialect::vendor::{Dialect, Vendor as Family};

/// A provider known by its name alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Builtin {
    /// The name in the configuration.
    pub name: &'static str,
    /// Where it answers. Bedrock's holds `{region}`, Azure's `{resource}`.
    pub base_url: &'static str,
    /// What it speaks.
    pub dialect: Dialect,
    /// Whose errors it sends.
    pub family: Family,
    /// Whether it is of no use without a key.
    pub needs_key: bool,
    /// The environment variable its own SDK reads, for hints.
    pub key_variable: &'static str,
}

/// An OpenAI-speaking vendor that wants a key.
const fn vendor(name: &'static str, base_url: &'static str, family: Family, key_variable: &'static str) -> Builtin {
    Builtin { name, base_url, dialect: Dialect::OpenAiChat, family, needs_key: true, key_variable }
}

/// Every built-in provider.
pub const BUILTINS: [Builtin; 14] = [
    Builtin {
        dialect: Dialect::Anthropic,
        ..vendor("anthropic", "https://api.anthropic.com/v1", Family::Anthropic, "ANTHROPIC_API_KEY")
    },
    vendor("openai", "https://api.openai.com/v1", Family::OpenAi, "OPENAI_API_KEY"),
    vendor("openrouter", "https://openrouter.ai/api/v1", Family::OpenRouter, "OPENROUTER_API_KEY"),
    vendor("xai", "https://api.x.ai/v1", Family::Xai, "XAI_API_KEY"),
    vendor("groq", "https://api.groq.com/openai/v1", Family::Groq, "GROQ_API_KEY"),
    vendor("mistral", "https://api.mistral.ai/v1", Family::Mistral, "MISTRAL_API_KEY"),
    vendor("gemini", "https://generativelanguage.googleapis.com/v1beta/openai", Family::Gemini, "GEMINI_API_KEY"),
    vendor("deepseek", "https://api.deepseek.com/v1", Family::DeepSeek, "DEEPSEEK_API_KEY"),
    vendor("together", "https://api.together.xyz/v1", Family::Together, "TOGETHER_API_KEY"),
    vendor("fireworks", "https://api.fireworks.ai/inference/v1", Family::Fireworks, "FIREWORKS_API_KEY"),
    vendor("azure", "https://{resource}.openai.azure.com", Family::Azure, "AZURE_OPENAI_API_KEY"),
    Builtin { needs_key: false, ..vendor("ollama", "http://127.0.0.1:11434/v1", Family::Ollama, "OLLAMA_API_KEY") },
    Builtin { needs_key: false, ..vendor("vllm", "http://127.0.0.1:8000/v1", Family::Vllm, "VLLM_API_KEY") },
    Builtin {
        name: "bedrock",
        base_url: "https://bedrock-runtime.{region}.amazonaws.com",
        dialect: Dialect::Bedrock,
        family: Family::Bedrock,
        needs_key: false,
        key_variable: "AWS_BEARER_TOKEN_BEDROCK",
    },
];

/// The built-in provider of this name.
#[must_use]
pub fn builtin(name: &str) -> Option<&'static Builtin> {
    BUILTINS.iter().find(|builtin| builtin.name == name)
}
