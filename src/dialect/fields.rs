//! The fields of interest of a request's body, as they stand in it.
//!
//! Owns how they are found: by [`scan`] where the body is plain, else by `serde_json`, which is slower and says what is wrong.
//! Refuses to know which fields there are and what is in them: each head says so.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::openai_chat::request::{BadRequest, checked_text, not_read};
use super::scan;

/// A value as it stands in a text: valid JSON, without blanks around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    pub(super) const fn get(self) -> &'a str {
        self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&'a RawValue>::deserialize(deserializer).map(|raw| Self(raw.get()))
    }
}

/// The fields that a head wants to see.
pub(super) trait Fields<'a>: Default {
    /// Where the value of a field belongs; `None` if nobody wants to see it.
    fn slot(&mut self, key: &str) -> Option<&mut Option<Raw<'a>>>;
}

/// Makes a struct of fields by their names. A null is a value: it has a place, too.
macro_rules! fields {
    ($(#[$attribute:meta])* $visible:vis struct $name:ident { $($field:ident),+ $(,)? }) => {
        $(#[$attribute])*
        #[derive(Debug, Default, PartialEq, Eq)]
        $visible struct $name<'a> {
            $($visible $field: Option<$crate::dialect::fields::Raw<'a>>),+
        }

        impl<'a> $crate::dialect::fields::Fields<'a> for $name<'a> {
            #[inline]
            fn slot(&mut self, key: &str) -> Option<&mut Option<$crate::dialect::fields::Raw<'a>>> {
                match key {
                    $(stringify!($field) => Some(&mut self.$field),)+
                    _ => None,
                }
            }
        }
    };
}
pub(super) use fields;

/// Reads the fields of a body.
///
/// # Errors
/// As [`openai_chat::request::read`](super::openai_chat::request::read), but for the types of the fields.
#[inline]
pub(super) fn read<'a, F: Fields<'a>>(body: &'a [u8]) -> Result<F, BadRequest> {
    match std::str::from_utf8(body).ok().and_then(scanned) {
        Some(fields) => Ok(fields),
        None => parsed(checked_text(body)?).map_err(|error| not_read(&error)),
    }
}

/// The fast way. What it gives, the other one would give, too.
pub(super) fn scanned<'a, F: Fields<'a>>(text: &'a str) -> Option<F> {
    let mut fields = F::default();
    scan::members(text, |key, value| match fields.slot(key) {
        Some(Some(_)) => None,
        Some(slot) => {
            *slot = Some(Raw(value));
            Some(())
        }
        None => Some(()),
    })?;
    Some(fields)
}

/// The way for all bodies.
#[cold]
#[inline(never)]
pub(super) fn parsed<'a, F: Fields<'a>>(text: &'a str) -> serde_json::Result<F> {
    serde_json::from_str::<Object<F>>(text).map(|object| object.0)
}

struct Object<F>(F);

impl<'de, F: Fields<'de>> Deserialize<'de> for Object<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Take(PhantomData)).map(Self)
    }
}

struct Take<F>(PhantomData<F>);

impl<'de, F: Fields<'de>> Visitor<'de> for Take<F> {
    type Value = F;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<F, A::Error> {
        #[derive(Deserialize)]
        struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
        let mut fields = F::default();
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            match fields.slot(&key) {
                Some(Some(_)) => return Err(A::Error::custom(format_args!("duplicate field `{key}`"))),
                Some(slot) => *slot = Some(map.next_value()?),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(fields)
    }
}

/// How many bytes of prompt there are. A null is none.
pub(super) fn length<const N: usize>(texts: [Option<Raw<'_>>; N]) -> u64 {
    texts.into_iter().flatten().map(Raw::get).filter(|text| *text != "null").map(|text| text.len() as u64).sum()
}

#[cfg(test)]
#[path = "fields_tests.rs"]
mod tests;
