//! What each recorded error exchange is: one row for every fixture.

use backstop::policy::failure::Kind;

/// Every recorded error exchange. Grouped by kind; what is not plain from the contract says why.
pub(super) const RECORDED: &[(Kind, &[&str])] = &[
    (
        Kind::Auth,
        &[
            "anthropic-err-401-01",
            "anthropic-err-401-02",
            "azure-err-401-01",
            "bedrock-err-403-01",
            "chatgpt-err-401-01",
            "cohere-err-401-01",
            "deepseek-err-401-01",
            "gemini-err-400-01",
            "gemini-err-403-01", // no key at all
            "groq-err-401-01",
            "llamacpp-err-401-01",
            "mistral-err-401-01",
            "ollamacom-err-401-01",
            "openai-err-401-01",
            "openrouter-err-401-01",
            "vertex-err-401-01",
            "xai-err-400-01",
        ],
    ),
    (Kind::Billing, &["openai-instream-error-01"]),
    (
        Kind::RateLimit,
        &[
            "azure-err-429-01",
            "gemini-err-429-01",
            "gemini-err-429-02",
            "gemini-err-429-retryinfo-01",
            "openrouter-err-429-01",
            "openrouter-err-429-02",
        ],
    ),
    (Kind::Forbidden, &["bedrock-err-403-02", "openai-err-403-01", "openai-err-403-02"]),
    (Kind::Overloaded, &["anthropic-err-529-01", "anthropic-instream-overloaded-first-01"]),
    (
        Kind::ModelNotFound,
        &[
            "anthropic-err-404-01",
            "azure-err-404-02",
            "bedrock-err-400-03",
            "bedrock-err-400-06", // only a profile's id is served
            "bedrock-err-404-01",
            "cohere-err-404-01",
            "cohere-err-404-02",
            "deepseek-err-400-03",
            "gemini-err-404-01",
            "gemini-err-404-02",
            "gemini-err-404-03",
            "groq-err-404-01",
            "mistral-err-400-01",
            "ollama-err-404-01",
            "openai-err-400-06",
            "openai-err-404-02",
            "openai-err-404-03",
            "openrouter-err-400-02",
            "openrouter-err-400-03",
            "vertex-err-404-01",
            "vertex-err-404-02",
            "xai-err-400-02",
        ],
    ),
    (
        Kind::TooLarge,
        &[
            "anthropic-err-400-01",
            "bedrock-err-400-01",
            "cohere-err-400-01",
            "deepseek-err-400-01",
            "llamacpp-err-400-01",
            "llamacpp-err-500-01",
            "ollamacom-err-400-01",
            "openai-err-400-05",
            "openrouter-err-400-01",
            "vertex-err-400-01",
        ],
    ),
    (
        Kind::NotCapable,
        &[
            "bedrock-err-400-02",     // the model cannot count tokens
            "groq-err-400-01",        // the model did not call the tool it had to
            "groq-err-400-02",        // the model called a tool wrongly
            "groq-instream-error-01", // the same after some content
            "llamacpp-err-500-02",    // cannot fetch an image; another server may
            "llamacpp-err-500-04",
            "llamacpp-err-501-01",
        ],
    ),
    (
        Kind::BadRequest,
        &[
            "anthropic-err-400-02",
            "anthropic-err-400-03",
            "anthropic-err-400-04", // a parameter this model refuses: the client can mend it
            "anthropic-err-400-05",
            "anthropic-err-400-06",
            "anthropic-err-400-07",
            "anthropic-err-400-toolorder-01",
            "azure-err-404-01", // a wrong path, not a missing deployment
            "bedrock-err-400-04",
            "bedrock-err-400-05",
            "bedrock-instream-exception-01",
            "deepseek-err-400-02",
            "deepseek-err-400-04",
            "llamacpp-err-400-02",
            "llamacpp-err-400-03",
            "llamacpp-err-500-03", // contradicts itself, whatever the status says
            "mistral-err-400-02",
            "mistral-err-400-03",
            "openai-err-400-01",
            "openai-err-400-02",
            "openai-err-400-03",
            "openai-err-400-04",
            "openai-err-400-07",
            "openai-err-400-08",
            "openai-err-400-09",
            "openai-err-400-10",
            "openai-err-400-11",
            "openai-err-404-01", // the model lives, its endpoint is another
            "openai-err-404-04",
            "openrouter-instream-error-01", // code 400: the answer's own token limit
            "vertex-err-400-02",
            "vertex-err-400-03",
            "vertex-err-400-04",
        ],
    ),
];
