//! JSON5, and with it JSON.
//!
//! Owns the reader and the search for lines, which the parser does not give. Refuses to know settings.

use std::fmt;

use figment::value::{Empty, Tag, Value};
use json5::ErrorCode;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{DEEPEST, Flaw, Kind, Node, Ruler};

pub(super) fn parse(text: &str) -> Result<Node, Flaw> {
    let mut reader = json5::Deserializer::from_str(text);
    let ruler = Ruler::new(text);
    let mut root = Depth(0).deserialize(&mut reader).map_err(|error| flaw(&error, &ruler))?;
    let mut walk = Walk { text, at: 0, ruler: &ruler };
    walk.value(&mut root);
    walk.blank();
    match text.get(walk.at..).unwrap_or_default() {
        "" => Ok(root),
        _ => Err(Flaw {
            line: ruler.line(walk.at),
            column: ruler.column(walk.at),
            what: "something follows the end of the object".to_owned(),
            hint: Some("a file is one object: check the brackets before this place".to_owned()),
        }),
    }
}

fn flaw(error: &json5::Error, ruler: &Ruler<'_>) -> Flaw {
    let (line, column) = match error.position() {
        Some(at) => (at.line + 1, at.column + 1),
        None => (ruler.line(ruler.end()), ruler.column(ruler.end())),
    };
    let hint = error.code().and_then(|code| match code {
        ErrorCode::EofParsingObject => Some("add the `}` that belongs to it"),
        ErrorCode::EofParsingArray => Some("add the `]` that belongs to it"),
        ErrorCode::ExpectedClosingBrace => Some("is a comma or a `}` missing here?"),
        ErrorCode::ExpectedClosingBracket => Some("is a comma or a `]` missing here?"),
        ErrorCode::ExpectedComma => Some("is a comma missing here?"),
        ErrorCode::ExpectedColon => Some("a field is written name: value; names with signs need quotes"),
        ErrorCode::EofParsingString | ErrorCode::LineTerminatorInString => Some("a closing quote is missing"),
        ErrorCode::EofParsingComment => Some("a comment is not closed by */"),
        ErrorCode::ExpectedValue | ErrorCode::ExpectedBool | ErrorCode::ExpectedNull | ErrorCode::ExpectedNumber => {
            Some("texts need quotes")
        }
        ErrorCode::InvalidKey | ErrorCode::ExpectedIdentifier => Some("names with signs need quotes"),
        _ => None,
    });
    let hint = hint.unwrap_or("check the quotes, commas and brackets at this place and before");
    let what = match error.code() {
        Some(ErrorCode::EofParsingObject) => "this object is not closed".to_owned(),
        Some(ErrorCode::EofParsingArray) => "this list is not closed".to_owned(),
        Some(code) => code.to_string().replace("EOF parsing", "the file ends inside:"),
        None => "nested too deeply".to_owned(),
    };
    Flaw { line, column, what, hint: Some(hint.to_owned()) }
}

/// Reads one value, so many levels below the root.
struct Depth(usize);

impl<'de> DeserializeSeed<'de> for Depth {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Node, D::Error> {
        from.deserialize_any(self)
    }
}

impl Depth {
    fn inner<E: Error>(&self) -> Result<usize, E> {
        if self.0 < DEEPEST { Ok(self.0 + 1) } else { Err(E::custom("nested too deeply")) }
    }
}

fn leaf(value: impl Into<Value>) -> Node {
    Node::new(1, Kind::Leaf(value.into()))
}

impl<'de> Visitor<'de> for Depth {
    type Value = Node;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(leaf(Value::Empty(Tag::Default, Empty::Unit)))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        Ok(leaf(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        Ok(leaf(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        Ok(leaf(value))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Node, E> {
        Ok(leaf(value))
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Node, E> {
        Ok(leaf(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        Ok(leaf(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        Ok(leaf(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let depth = self.inner()?;
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(Self(depth))? {
            items.push(item);
        }
        Ok(Node::new(1, Kind::List(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let depth = self.inner()?;
        let mut fields = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            fields.push((name, map.next_value_seed(Self(depth))?));
        }
        Ok(Node::new(1, Kind::Fields(fields)))
    }
}

/// Walks through a text that is known to be good, along the tree that was read from it, and notes lines.
struct Walk<'a> {
    text: &'a str,
    at: usize,
    ruler: &'a Ruler<'a>,
}

impl Walk<'_> {
    fn value(&mut self, node: &mut Node) {
        self.blank();
        node.line = self.ruler.line(self.at);
        match &mut node.kind {
            Kind::Leaf(_) => self.word(),
            Kind::List(items) => {
                self.sign();
                for item in items {
                    self.value(item);
                    self.comma();
                }
                self.blank();
                self.sign();
            }
            Kind::Fields(fields) => {
                self.sign();
                for (_, inner) in fields {
                    self.blank();
                    let line = self.ruler.line(self.at);
                    self.word();
                    self.blank();
                    self.sign();
                    self.value(inner);
                    inner.line = line;
                    self.comma();
                }
                self.blank();
                self.sign();
            }
        }
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// White space and comments.
    fn blank(&mut self) {
        loop {
            let rest = self.rest();
            let skipped = if rest.starts_with("//") {
                rest.find(['\n', '\r', '\u{2028}', '\u{2029}']).unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                rest.find("*/").map_or(rest.len(), |end| end + 2)
            } else {
                rest.find(|c: char| !c.is_whitespace() && c != '\u{feff}').unwrap_or(rest.len())
            };
            if skipped == 0 {
                return;
            }
            self.at += skipped;
        }
    }

    /// One sign: a bracket or a colon.
    fn sign(&mut self) {
        self.at += self.rest().chars().next().map_or(0, char::len_utf8);
    }

    fn comma(&mut self) {
        self.blank();
        if self.rest().starts_with(',') {
            self.at += 1;
        }
    }

    /// A quoted text, or a bare word or number.
    fn word(&mut self) {
        let rest = self.rest();
        let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            let end = |c: char| c.is_whitespace() || matches!(c, ',' | ':' | '}' | ']' | '/' | '\u{feff}');
            self.at += rest.find(end).unwrap_or(rest.len());
            return;
        };
        let mut escaped = true;
        for (at, c) in rest.char_indices() {
            if escaped {
                // The opening quote is passed like an escaped sign.
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == quote {
                self.at += at + 1;
                return;
            }
        }
        self.at = self.text.len();
    }
}
