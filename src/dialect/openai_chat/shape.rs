//! The shapes that answers and stream chunks share, read leniently and without a copy.
//!
//! Owns what counts as an error, as content and as a finish. Values of an unexpected type are looked at, not refused:
//! vendors differ, and what the gateway does not understand still passes.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::response::Usage;

/// How much there is to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::dialect) enum Weight {
    /// Missing, or null.
    #[default]
    Nothing,
    /// `""`, `[]`, `{}` or false.
    Empty,
    /// The word `error`.
    TheWordError,
    /// Anything else.
    Full,
}

impl Weight {
    pub(in crate::dialect) const fn is_full(self) -> bool {
        matches!(self, Self::Full | Self::TheWordError)
    }
}

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Weigh)
    }
}

struct Weigh;

impl<'de> Visitor<'de> for Weigh {
    type Value = Weight;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Weight, E> {
        Ok(Weight::Nothing)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Weight, E> {
        Ok(if value { Weight::Full } else { Weight::Empty })
    }

    fn visit_u64<E>(self, _: u64) -> Result<Weight, E> {
        Ok(Weight::Full)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Weight, E> {
        Ok(Weight::Full)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Weight, E> {
        Ok(Weight::Full)
    }

    fn visit_str<E>(self, value: &str) -> Result<Weight, E> {
        Ok(match value {
            "" => Weight::Empty,
            "error" => Weight::TheWordError,
            _ => Weight::Full,
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Weight, A::Error> {
        let mut weight = Weight::Empty;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            weight = Weight::Full;
        }
        Ok(weight)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Weight, A::Error> {
        let mut weight = Weight::Empty;
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            weight = Weight::Full;
        }
        Ok(weight)
    }
}

/// A number of tokens; whatever is not one counts 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::dialect) struct Count(pub(in crate::dialect) u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Count;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a number of tokens")
            }

            fn visit_unit<E>(self) -> Result<Count, E> {
                Ok(Count(0))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Count, E> {
                Ok(Count(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Count, E> {
                Ok(Count(u64::try_from(value).unwrap_or(0)))
            }

            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "`as` saturates, which is meant"
            )]
            fn visit_f64<E>(self, value: f64) -> Result<Count, E> {
                Ok(Count(value as u64))
            }
        }
        deserializer.deserialize_any(Number)
    }
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Tokens {
    prompt_tokens: Count,
    completion_tokens: Count,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Groq {
    usage: Option<Tokens>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Delta {
    content: Weight,
    reasoning: Weight,
    reasoning_content: Weight,
    refusal: Weight,
    tool_calls: Weight,
    function_call: Weight,
    audio: Weight,
    images: Weight,
}

impl Delta {
    const fn has_content(self) -> bool {
        self.content.is_full()
            || self.reasoning.is_full()
            || self.reasoning_content.is_full()
            || self.refusal.is_full()
            || self.tool_calls.is_full()
            || self.function_call.is_full()
            || self.audio.is_full()
            || self.images.is_full()
    }
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Choice {
    delta: Option<Delta>,
    text: Weight,
    finish_reason: Weight,
    error: Weight,
}

/// All choices of one body or chunk, folded: nobody needs the list.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Choices {
    pub(super) count: usize,
    pub(super) content: bool,
    pub(super) finish: bool,
    error: bool,
}

impl<'de> Deserialize<'de> for Choices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fold;
        impl<'de> Visitor<'de> for Fold {
            type Value = Choices;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list of choices")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Choices, A::Error> {
                let mut all = Choices::default();
                while let Some(choice) = seq.next_element::<Choice>()? {
                    all.count += 1;
                    all.content |= choice.text.is_full() || choice.delta.is_some_and(Delta::has_content);
                    all.finish |= choice.finish_reason.is_full();
                    all.error |= choice.error.is_full() || choice.finish_reason == Weight::TheWordError;
                }
                Ok(all)
            }
        }
        deserializer.deserialize_seq(Fold)
    }
}

/// A whole answer or one stream chunk, as far as the gateway reads it.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct Body {
    pub(super) choices: Option<Choices>,
    pub(super) data: Weight,
    pub(super) results: Weight,
    error: Weight,
    object: Weight,
    r#type: Weight,
    message: Weight,
    detail: Weight,
    usage: Option<Tokens>,
    x_groq: Option<Groq>,
}

impl Body {
    /// Whether the vendor says that it failed, in any of the shapes seen (`error` object or text, `object` or
    /// `type` that reads `error`, an error in a choice, `finish_reason: "error"`, or `message`/`detail` where the
    /// choices should be).
    pub(super) fn is_error(&self) -> bool {
        self.error.is_full()
            || self.object == Weight::TheWordError
            || self.r#type == Weight::TheWordError
            || match &self.choices {
                Some(choices) => choices.error,
                None => self.message.is_full() || self.detail.is_full(),
            }
    }

    /// The tokens, also where Groq alone puts them.
    pub(super) fn usage(&self) -> Option<Usage> {
        let tokens = self.usage.or(self.x_groq.and_then(|groq| groq.usage))?;
        Some(Usage { prompt_tokens: tokens.prompt_tokens.0, completion_tokens: tokens.completion_tokens.0 })
    }
}
