//! The chain `default` of a gateway that was given keys and nothing else.
//!
//! Owns one table: which model of which provider, in which order. docs/settings.md repeats it, and a test compares.
//! Refuses to know keys.

/// Provider and model, in the order in which they are tried: vendors of frontier models first (the same
/// model elsewhere behind its own vendor), then those that host open
/// models, and the marketplace, which resells the others, last. Each is a model that calls tools and is in
/// config/models.json.
pub const DEFAULT_MODELS: [(&str, &str); 11] = [
    ("anthropic", "claude-sonnet-4-5"),
    // An inference profile of the region's part of the world (`eu.`, `global.`). Only with a key of Bedrock's own.
    ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ("openai", "gpt-4.1"),
    ("gemini", "gemini-2.5-pro"),
    ("xai", "grok-4"),
    ("mistral", "mistral-large-latest"),
    ("deepseek", "deepseek-chat"),
    ("groq", "llama-3.3-70b-versatile"),
    ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo"),
    ("fireworks", "accounts/fireworks/models/llama-v3p3-70b-instruct"),
    ("openrouter", "anthropic/claude-sonnet-4.5"),
];

/// Further names of a provider's key variable, read if the usual ones are unset.
pub(super) const OTHER_VARIABLES: [(&str, &str); 1] = [("gemini", "GOOGLE_API_KEY")];
