//! Values of a body with the place where they stand, so that a complaint can say which one it means.
//!
//! Owns the few types a request is read as. Refuses to know what a field means.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::dialect::lax::read_lax;
use crate::dialect::members::Members;
use crate::dialect::openai_chat::request::BadRequest;

/// Where a value stands.
#[derive(Debug, Clone, Copy)]
enum At<'p> {
    Body,
    Member(&'p At<'p>, &'static str),
    Item(&'p At<'p>, usize),
}

impl At<'_> {
    /// The body's own field that it stands in.
    fn field(&self) -> Option<&'static str> {
        match self {
            Self::Body => None,
            Self::Member(Self::Body, name) => Some(name),
            Self::Member(at, _) | Self::Item(at, _) => at.field(),
        }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body => Ok(()),
            Self::Member(Self::Body, name) => out.write_str(name),
            Self::Member(at, name) => write!(out, "{at}.{name}"),
            Self::Item(at, number) => write!(out, "{at}[{number}]"),
        }
    }
}

/// A value and its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'v> {
    raw: &'v RawValue,
    at: At<'v>,
}

impl<'v> Value<'v> {
    /// The complaint that something else was expected: "must be" is said already.
    pub(super) fn wrong(&self, wanted: &str) -> BadRequest {
        BadRequest::new(format!("`{}` must be {wanted}", self.at), self.at.field(), "invalid_type")
    }

    /// As it was written.
    pub(super) fn raw(&self) -> &'v RawValue {
        self.raw
    }

    pub(super) fn is_text(&self) -> bool {
        self.raw.get().starts_with('"')
    }

    pub(super) fn is_list(&self) -> bool {
        self.raw.get().starts_with('[')
    }

    pub(super) fn is_object(&self) -> bool {
        self.raw.get().starts_with('{')
    }

    /// A string. Half a surrogate pair becomes the sign for what cannot be shown.
    pub(super) fn text(&self, wanted: &str) -> Result<String, BadRequest> {
        let read = |json: &str| serde_json::from_str(json).ok();
        let text = if self.is_text() { read_lax(self.raw.get(), read) } else { None };
        text.ok_or_else(|| self.wrong(wanted))
    }

    /// A number or a boolean.
    pub(super) fn plain<T: DeserializeOwned>(&self, wanted: &str) -> Result<T, BadRequest> {
        serde_json::from_str(self.raw.get()).map_err(|_| self.wrong(wanted))
    }

    pub(super) fn object(&self, wanted: &str) -> Result<Object<'v>, BadRequest> {
        let members = Members::read(self.raw.get()).ok_or_else(|| self.wrong(wanted))?;
        Ok(Object { members, at: self.at })
    }

    pub(super) fn items(&self, wanted: &str) -> Result<Vec<Value<'_>>, BadRequest> {
        let items: Vec<&RawValue> = serde_json::from_str(self.raw.get()).map_err(|_| self.wrong(wanted))?;
        let place = |(number, raw)| Value { raw, at: At::Item(&self.at, number) };
        Ok(items.into_iter().enumerate().map(place).collect())
    }
}

/// An object and its place.
#[derive(Debug)]
pub(super) struct Object<'v> {
    pub(super) members: Members<'v>,
    at: At<'v>,
}

impl<'v> Object<'v> {
    /// The whole body.
    pub(super) fn body(text: &'v str) -> Option<Self> {
        Some(Self { members: Members::read(text)?, at: At::Body })
    }

    /// A field that is there and not null.
    pub(super) fn get(&self, name: &'static str) -> Option<Value<'_>> {
        let raw = self.members.get(name).filter(|raw| raw.get() != "null")?;
        Some(Value { raw, at: At::Member(&self.at, name) })
    }

    /// A field that must be there.
    pub(super) fn need(&self, name: &'static str, wanted: &str) -> Result<Value<'_>, BadRequest> {
        self.get(name).ok_or_else(|| {
            let at = At::Member(&self.at, name);
            BadRequest::new(format!("`{at}` is missing: it must be {wanted}"), at.field(), "missing_required_parameter")
        })
    }

    /// A string that may be missing.
    pub(super) fn text(&self, name: &'static str) -> Result<Option<String>, BadRequest> {
        self.get(name).map(|value| value.text("a string")).transpose()
    }

    /// A number or a boolean that may be missing.
    pub(super) fn plain<T: DeserializeOwned>(&self, name: &'static str, wanted: &str) -> Result<Option<T>, BadRequest> {
        self.get(name).map(|value| value.plain(wanted)).transpose()
    }
}
