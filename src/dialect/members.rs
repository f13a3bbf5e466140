//! An object's members in their order, each value as it was written.
//!
//! Owns what it takes to change one field of a body and leave the others alone: order (a schema's order is part of what it
//! says), numbers, blanks inside of values. Refuses to know what the fields mean.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The members of an object. Names that come twice stay twice.
#[derive(Debug, Clone, Default)]
pub struct Members<'a>(pub Vec<(Cow<'a, str>, Cow<'a, RawValue>)>);

impl<'a> Members<'a> {
    /// Reads an object; `None` if the text is none.
    #[must_use]
    pub fn read(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The value of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_ref())
    }

    /// Takes a field out.
    pub fn remove(&mut self, name: &str) -> Option<Cow<'a, RawValue>> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(at).1)
    }

    /// Puts a value where the field is, else at the end. A value that is no JSON changes nothing.
    pub fn set(&mut self, name: &'static str, value: &impl Serialize) {
        let Ok(value) = serde_json::value::to_raw_value(value) else { return };
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = Cow::Owned(value),
            None => self.0.push((Cow::Borrowed(name), Cow::Owned(value))),
        }
    }

    /// Gives a field another name where it stands; the other name's own field wins.
    pub fn rename(&mut self, from: &str, to: &'static str) {
        if self.get(to).is_some() {
            self.remove(from);
        } else if let Some((name, _)) = self.0.iter_mut().find(|(known, _)| known == from) {
            *name = Cow::Borrowed(to);
        }
    }

    /// The object as text.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                #[derive(Deserialize)]
                struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
                let mut members = Vec::with_capacity(map.size_hint().unwrap_or(8));
                while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    members.push((name, Cow::Borrowed(value)));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value.as_ref())?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_touched_stays_as_it_is() {
        let text = r#"{"z":1.50,"a":{"y" : [1e999, "\ud83d"]},"max_tokens":7,"b":null}"#;
        let mut members = Members::read(text).unwrap();
        members.rename("max_tokens", "max_completion_tokens");
        members.set("b", &"x");
        members.set("new", &[1, 2]);
        assert!(members.remove("absent").is_none());
        let changed = r#"{"z":1.50,"a":{"y" : [1e999, "\ud83d"]},"max_completion_tokens":7,"b":"x","new":[1,2]}"#;
        assert_eq!(String::from_utf8(members.write()).unwrap(), changed);
        assert!(Members::read("[1]").is_none());
    }
}
