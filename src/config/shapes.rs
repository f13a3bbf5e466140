//! The accepted spellings: a key, a target, a chain, an agent's model.
//!
//! Owns which forms a value may take and turns each into one. Refuses to know what the names in it refer to.
//! Its errors never repeat a text, for it may be a key.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};

use super::quantity::Period;
use super::raw::RawTimeouts;

/// One credential, still plain text: a string, or `{ key, profile, … }`; for Bedrock one of several kinds.
#[derive(Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default, remote = "Self")]
pub(super) struct RawKey {
    pub(super) key: Option<String>,
    pub(super) profile: Option<String>,
    pub(super) access_key_id: Option<String>,
    pub(super) secret_access_key: Option<String>,
    pub(super) session_token: Option<String>,
    pub(super) aws_profile: Option<String>,
    pub(super) credentials: Option<String>,
    pub(super) base_url: Option<String>,
    pub(super) region: Option<String>,
    pub(super) organization: Option<String>,
    pub(super) organisation: Option<String>,
    pub(super) project: Option<String>,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) models: Option<Vec<String>>,
    pub(super) quota_group: Option<String>,
    pub(super) disabled: Option<bool>,
}

/// A target: `provider/model`, or `{ target, … }`.
#[derive(Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default, remote = "Self")]
pub(super) struct RawTarget {
    pub(super) target: String,
    pub(super) timeouts: RawTimeouts,
    pub(super) context_window: Option<u64>,
    pub(super) max_output: Option<u64>,
    pub(super) vision: Option<bool>,
    pub(super) tools: Option<bool>,
    pub(super) json_schema: Option<bool>,
    pub(super) reasoning: Option<bool>,
    pub(super) prefill: Option<bool>,
}

/// A chain: one target, a list of them, or `{ targets, … }`.
#[derive(Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default, remote = "Self")]
pub(super) struct RawChain {
    pub(super) targets: Vec<RawTarget>,
    pub(super) continue_on_content_filter: Option<bool>,
    pub(super) equivalent: Option<bool>,
    pub(super) key_order: Option<String>,
    pub(super) stream_recovery: Option<String>,
    pub(super) deadline: Option<Period>,
    pub(super) timeouts: RawTimeouts,
}

/// An agent's model: one target, `{ primary, fallback, fallback2, … }` in numeric order, or `{ primary, fallbacks }`.
#[derive(Default, Clone)]
pub(super) struct Choice {
    /// The fields that lead to each target, and the target.
    pub(super) targets: Vec<(Vec<String>, RawTarget)>,
    /// `fallbacks` stands beside `fallback`.
    pub(super) mixed: bool,
}

/// What a value may be spelled as, beyond a map of its fields.
pub(super) trait Spelled: Sized {
    const EXPECTED: &'static str;

    /// # Errors
    /// A text is no spelling of it.
    fn from_text<E: Error>(_text: &str) -> Result<Self, E> {
        Err(E::invalid_type(Unexpected::Str(""), &Self::EXPECTED))
    }

    /// # Errors
    /// Null is no spelling of it.
    fn from_nothing<E: Error>() -> Result<Self, E> {
        Err(E::invalid_type(Unexpected::Unit, &Self::EXPECTED))
    }

    /// # Errors
    /// What does not fit.
    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error>;

    /// # Errors
    /// What does not fit.
    fn from_list<'de, A: SeqAccess<'de>>(_list: A) -> Result<Self, A::Error> {
        Err(A::Error::invalid_type(Unexpected::Seq, &Self::EXPECTED))
    }
}

pub(super) struct Spelling<T>(pub(super) PhantomData<T>);

impl<'de, T: Spelled> Visitor<'de> for Spelling<T> {
    type Value = T;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text)
    }

    fn visit_unit<E: Error>(self) -> Result<T, E> {
        T::from_nothing()
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::from_map(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        T::from_list(list)
    }
}

/// Implements `Deserialize` by the spellings of a type.
macro_rules! spelled {
    ($($name:ident)*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_any(Spelling(PhantomData))
            }
        }
    )*};
}

spelled! { RawKey RawTarget RawChain Choice }

impl RawTarget {
    /// A target without anything beside its name.
    fn named(text: &str) -> Self {
        Self { target: text.to_owned(), ..Self::default() }
    }
}

impl Spelled for RawTarget {
    const EXPECTED: &'static str = "\"provider/model\" or { target: \"provider/model\" }";

    fn from_text<E: Error>(text: &str) -> Result<Self, E> {
        Ok(Self::named(text))
    }

    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        Self::deserialize(MapAccessDeserializer::new(map))
    }
}

impl Spelled for RawKey {
    const EXPECTED: &'static str = "a key as a string or as { key, profile }";

    fn from_text<E: Error>(text: &str) -> Result<Self, E> {
        Ok(Self { key: Some(text.to_owned()), ..Self::default() })
    }

    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        Self::deserialize(MapAccessDeserializer::new(map))
    }
}

impl Spelled for RawChain {
    const EXPECTED: &'static str = "a list of targets or { targets: [..] }";

    fn from_text<E: Error>(text: &str) -> Result<Self, E> {
        Ok(Self { targets: vec![RawTarget::named(text)], ..Self::default() })
    }

    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        Self::deserialize(MapAccessDeserializer::new(map))
    }

    fn from_list<'de, A: SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        let targets = Vec::<RawTarget>::deserialize(SeqAccessDeserializer::new(list))?;
        Ok(Self { targets, ..Self::default() })
    }
}

impl Spelled for Choice {
    const EXPECTED: &'static str = "a target, { primary, fallback, fallback2 } or { primary, fallbacks }";

    fn from_text<E: Error>(text: &str) -> Result<Self, E> {
        Ok(Self { targets: vec![(Vec::new(), RawTarget::named(text))], mixed: false })
    }

    fn from_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut levels: Vec<(u32, Vec<String>, RawTarget)> = Vec::new();
        let (mut listed, mut single) = (false, false);
        while let Some(Level { order, field }) = map.next_key::<Level>()? {
            if field == LISTED {
                listed = true;
                let fallbacks = map.next_value::<Vec<RawTarget>>()?;
                let fallbacks = (1..).zip(fallbacks).zip(0..);
                levels.extend(
                    fallbacks.map(|((order, target), at)| (order, vec![field.clone(), at.to_string()], target)),
                );
            } else {
                single |= order > 0;
                levels.push((order, vec![field], map.next_value()?));
            }
        }
        levels.sort_by_key(|(order, ..)| *order);
        let targets = levels.into_iter().map(|(_, fields, target)| (fields, target)).collect();
        Ok(Self { targets, mixed: listed && single })
    }
}

/// The field of [`Choice`] that holds a list.
const LISTED: &str = "fallbacks";

/// A field of [`Choice`]: `primary`, `fallback`, `fallback` and a number, or `fallbacks`.
struct Level {
    order: u32,
    field: String,
}

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        const FIELDS: &[&str] = &["primary", "fallback", "fallback2", "fallback3", LISTED];
        let field = String::deserialize(from)?;
        let order = match field.strip_prefix("fallback") {
            Some("" | "s") => Some(1),
            Some(number) if !number.starts_with(['+', '0']) => number.parse::<u32>().ok(),
            Some(_) => None,
            None => (field == "primary").then_some(0),
        };
        match order {
            Some(order) => Ok(Self { order, field }),
            None => Err(D::Error::unknown_field(&field, FIELDS)),
        }
    }
}
