//! Words, counts and texts that requests, whole answers and streams share.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};

use crate::dialect::canonical::{Frame, Stop, Usage};
use crate::dialect::openai_chat::shape::Count;

/// The signature under thinking that no Claude signed: Anthropic's clients want one, and bring it back.
pub(in crate::dialect) const UNSIGNED: &str = "backstop:unsigned";
/// How signatures of this gateway begin.
pub(super) const OWN: &str = "backstop:";

/// Whether Claude would refuse thinking with this signature.
pub(in crate::dialect) fn is_foreign(signature: Option<&str>) -> bool {
    signature.is_none_or(|signature| signature.is_empty() || signature.starts_with(OWN))
}

/// A JSON string, borrowed unless it has escapes. Half a surrogate pair, which clients cut off and strict readers refuse,
/// is read as U+FFFD.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Str<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Str<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }

            fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Str<'de>, E> {
                Ok(Str(String::from_utf8_lossy(bytes)))
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Str<'de>, E> {
                Ok(Str(Cow::Owned(String::from_utf8_lossy(bytes).into_owned())))
            }
        }
        // Of a string, serde_json gives bytes in which half a pair is still what it was.
        deserializer.deserialize_bytes(Text)
    }
}

impl Str<'_> {
    pub(super) fn into_string(self) -> String {
        self.0.into_owned()
    }
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    thinking_tokens: Count,
}

/// Tokens as Anthropic counts them: what is cached stands beside `input_tokens`.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tokens {
    input_tokens: Count,
    cache_creation_input_tokens: Count,
    cache_read_input_tokens: Count,
    output_tokens: Count,
    output_tokens_details: Option<OutputDetails>,
}

impl Tokens {
    pub(super) fn usage(self) -> Usage {
        let cached = self.cache_creation_input_tokens.0.saturating_add(self.cache_read_input_tokens.0);
        Usage {
            input: self.input_tokens.0.saturating_add(cached),
            cache_read: self.cache_read_input_tokens.0,
            cache_write: self.cache_creation_input_tokens.0,
            output: self.output_tokens.0,
            reasoning: self.output_tokens_details.unwrap_or_default().thinking_tokens.0,
        }
    }
}

#[derive(Debug, Serialize)]
struct ThinkingTokens {
    thinking_tokens: u64,
}

/// A `usage` to write.
#[derive(Debug, Serialize)]
pub(super) struct UsageOut<'a> {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<ThinkingTokens>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) service_tier: Option<&'a str>,
}

impl UsageOut<'_> {
    pub(super) fn new(usage: Usage) -> Self {
        Self {
            input_tokens: usage.input.saturating_sub(usage.cache_read).saturating_sub(usage.cache_write),
            cache_creation_input_tokens: usage.cache_write,
            cache_read_input_tokens: usage.cache_read,
            output_tokens: usage.output,
            output_tokens_details: (usage.reasoning > 0).then_some(ThinkingTokens { thinking_tokens: usage.reasoning }),
            service_tier: None,
        }
    }
}

/// What a `stop_reason` means. One that nobody knows yet ends the answer, too.
pub(super) fn stop(reason: &str) -> Stop {
    match reason {
        "stop_sequence" => Stop::Sequence,
        "max_tokens" | "model_context_window_exceeded" => Stop::Length,
        "tool_use" => Stop::Tools,
        "refusal" => Stop::Filtered,
        "pause_turn" | "compaction" => Stop::Paused,
        _ => Stop::End,
    }
}

/// The `stop_reason` of an answer. Clients go by it: with calls in it a good end is `tool_use`, without them never, and what was
/// refused is a refusal.
pub(super) const fn stop_reason(stop: Stop, calls: bool, refused: bool) -> &'static str {
    match stop {
        Stop::Filtered => "refusal",
        Stop::Length => "max_tokens",
        Stop::Paused => "pause_turn",
        Stop::Sequence if !calls && !refused => "stop_sequence",
        Stop::End | Stop::Tools | Stop::Sequence => {
            if calls {
                "tool_use"
            } else if refused {
                "refusal"
            } else {
                "end_turn"
            }
        }
    }
}

/// The id of a message: the vendor's, made to look like Anthropic's, or the gateway's own.
pub(super) fn message_id(id: Option<&str>, frame: &Frame) -> String {
    match id {
        Some(id) if id.starts_with("msg_") => id.to_owned(),
        Some(id) if !id.is_empty() => format!("msg_{id}"),
        Some(_) | None => format!("msg_{:016x}", frame.id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_pair_is_read_and_plain_text_is_borrowed() {
        let text = |json: &'static str| serde_json::from_str::<Str<'_>>(json).map(|text| text.0).ok();
        assert!(matches!(text(r#""plain ü""#), Some(Cow::Borrowed("plain ü"))));
        assert_eq!(text(r#""a\n\ud83d\ude00""#).as_deref(), Some("a\n\u{1F600}"));
        assert!(text(r#""a\ud83d""#).is_some_and(|text| text.starts_with("a\u{fffd}")));
        for other in ["[97]", "1", "null", "{}", r#""cut"#] {
            assert_eq!(text(other), None, "{other}");
        }
    }

    #[test]
    fn cached_tokens_are_counted_once_on_both_ways() {
        let text = r#"{"input_tokens":3,"cache_creation_input_tokens":5,"cache_read_input_tokens":null,"output_tokens":7,"output_tokens_details":{"thinking_tokens":2},"new":{}}"#;
        let usage = serde_json::from_str::<Tokens>(text).map(Tokens::usage).unwrap_or_default();
        assert_eq!(usage, Usage { input: 8, cache_read: 0, cache_write: 5, output: 7, reasoning: 2 });
        let written = serde_json::to_string(&UsageOut::new(usage)).unwrap_or_default();
        let expected = r#"{"input_tokens":3,"cache_creation_input_tokens":5,"cache_read_input_tokens":0,"output_tokens":7,"output_tokens_details":{"thinking_tokens":2}}"#;
        assert_eq!(written, expected);
    }

    #[test]
    fn stop_reasons_fit_what_was_said() {
        for (reason, stop_, back) in [
            ("end_turn", Stop::End, "end_turn"),
            ("stop_sequence", Stop::Sequence, "stop_sequence"),
            ("max_tokens", Stop::Length, "max_tokens"),
            ("model_context_window_exceeded", Stop::Length, "max_tokens"),
            ("refusal", Stop::Filtered, "refusal"),
            ("pause_turn", Stop::Paused, "pause_turn"),
            ("some_day", Stop::End, "end_turn"),
        ] {
            assert_eq!(stop(reason), stop_, "{reason}");
            assert_eq!(stop_reason(stop_, false, false), back, "{reason}");
        }
        assert_eq!(stop_reason(stop("tool_use"), true, false), "tool_use");
        assert_eq!(stop_reason(Stop::Tools, false, false), "end_turn", "no call, nothing to wait for");
        assert_eq!(stop_reason(Stop::End, true, false), "tool_use", "vendors that stop at a call");
        assert_eq!(stop_reason(Stop::End, false, true), "refusal");
        assert_eq!(stop_reason(Stop::Length, true, false), "max_tokens");
    }
}
