//! What stands in the items of a request: images, encoded data, and what one account keeps.
//!
//! Owns one pass over the JSON without a tree. Refuses to know whether the items make sense.

use std::fmt;
use std::ops::BitOrAssign;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use crate::dialect::lax::read_lax;

/// What was found, anywhere inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Marks {
    /// An image.
    pub(super) image: bool,
    /// Data whose length says nothing about its tokens.
    pub(super) opaque: bool,
    /// A reference to what a vendor's account keeps, or what only that vendor can decrypt.
    pub(super) kept: bool,
}

impl BitOrAssign for Marks {
    fn bitor_assign(&mut self, other: Self) {
        self.image |= other.image;
        self.opaque |= other.opaque;
        self.kept |= other.kept;
    }
}

/// Finds the marks in a piece of JSON. What cannot be read may hold anything but an image: it stays where it began.
pub(super) fn marks(json: &str) -> Marks {
    let unread = Marks { image: false, opaque: true, kept: true };
    read_lax(json, |json| serde_json::from_str::<Node>(json).ok()).map_or(unread, |node| node.marks)
}

/// What a value is, as far as its key asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Value {
    /// A number, an object, an empty string or list, null.
    #[default]
    Other,
    /// A text that is not empty.
    Text,
    /// The text `input_image`.
    Image,
    /// The text `item_reference`.
    Reference,
    /// A list that is not empty.
    List,
}

#[derive(Debug, Clone, Copy, Default)]
struct Node {
    marks: Marks,
    value: Value,
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Walk)
    }
}

/// The keys that mean something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Type,
    Id,
    Data,
    KeptText,
    KeptList,
    Other,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Key;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a key")
            }

            fn visit_str<E>(self, name: &str) -> Result<Key, E> {
                Ok(match name {
                    "type" => Key::Type,
                    "id" => Key::Id,
                    "file_data" | "input_audio" => Key::Data,
                    "encrypted_content" | "file_id" | "container" | "container_id" => Key::KeptText,
                    "file_ids" | "vector_store_ids" => Key::KeptList,
                    _ => Key::Other,
                })
            }
        }
        deserializer.deserialize_str(Name)
    }
}

struct Walk;

impl<'de> Visitor<'de> for Walk {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        let value = match text {
            "" => Value::Other,
            "input_image" => Value::Image,
            "item_reference" => Value::Reference,
            _ => Value::Text,
        };
        Ok(Node { value, marks: Marks { opaque: text.starts_with("data:"), ..Marks::default() } })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut list = Node::default();
        while let Some(item) = seq.next_element::<Node>()? {
            list.marks |= item.marks;
            list.value = Value::List;
        }
        Ok(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut marks = Marks::default();
        let (mut fields, mut id) = (0_usize, false);
        while let Some((key, node)) = map.next_entry::<Key, Node>()? {
            fields += 1;
            marks |= node.marks;
            match key {
                Key::Type => {
                    marks.image |= node.value == Value::Image;
                    marks.kept |= node.value == Value::Reference;
                }
                Key::Id => id = node.value == Value::Text,
                Key::Data => marks.opaque = true,
                Key::KeptText => marks.kept |= matches!(node.value, Value::Text),
                Key::KeptList => marks.kept |= node.value == Value::List,
                Key::Other => {}
            }
        }
        // An item that is nothing but an id is a reference, too.
        marks.kept |= id && fields == 1;
        Ok(Node { marks, value: Value::Other })
    }
}
