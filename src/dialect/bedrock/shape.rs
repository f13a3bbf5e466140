//! What whole answers and streams share: how tokens are counted, why a model stops, and texts that are not copied.

use std::borrow::Cow;

use serde::Deserialize;

use crate::dialect::canonical::{Stop, Usage};

/// A text, borrowed from the payload unless it has escapes. (`Option<Cow<str>>` itself would always copy.)
#[derive(Debug, Deserialize)]
pub(super) struct Words<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// Bedrock's count: the cached part of the prompt is not in `inputTokens`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tokens {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_write_input_tokens: Option<u64>,
}

impl From<Tokens> for Usage {
    fn from(tokens: Tokens) -> Self {
        let [cache_read, cache_write] =
            [tokens.cache_read_input_tokens, tokens.cache_write_input_tokens].map(Option::unwrap_or_default);
        let fresh = tokens.input_tokens.unwrap_or_default();
        Self {
            input: fresh.saturating_add(cache_read).saturating_add(cache_write),
            cache_read,
            cache_write,
            output: tokens.output_tokens.unwrap_or_default(),
            reasoning: 0,
        }
    }
}

/// What Claude itself said beside Converse's words, as it was asked: which stop text it was. A stream has it in a `delta`.
#[derive(Debug, Deserialize)]
pub(super) struct Asked<'a> {
    #[serde(borrow)]
    stop_sequence: Option<Words<'a>>,
    #[serde(borrow)]
    delta: Option<AskedDelta<'a>>,
}

#[derive(Debug, Deserialize)]
struct AskedDelta<'a> {
    #[serde(borrow)]
    stop_sequence: Option<Words<'a>>,
}

impl<'a> Asked<'a> {
    pub(super) fn stop_sequence(self) -> Option<Cow<'a, str>> {
        let within = self.delta.and_then(|delta| delta.stop_sequence);
        self.stop_sequence.or(within).map(|words| words.0).filter(|text| !text.is_empty())
    }
}

/// Why the model stopped; `None` if what it wrote is no answer. Some models call tools and say `end_turn`.
pub(super) fn stop(reason: &str, calls: bool) -> Option<Stop> {
    Some(match reason {
        "malformed_model_output" | "malformed_tool_use" => return None,
        "stop_sequence" => Stop::Sequence,
        "max_tokens" | "model_context_window_exceeded" => Stop::Length,
        "tool_use" => Stop::Tools,
        "guardrail_intervened" | "content_filtered" => Stop::Filtered,
        _ if calls => Stop::Tools,
        _ => Stop::End,
    })
}

/// What Bedrock itself runs (Nova's code interpreter) is no call of the client's tools.
pub(super) const SERVER_TOOL: &str = "server_tool_use";
