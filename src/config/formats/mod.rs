//! The spellings of a configuration: JSON5 (and with it JSON), YAML and TOML, read into one tree that knows its lines.
//!
//! Owns the choice by extension and the tree. Refuses to know settings, and to repeat what a file says: an error gives
//! line and column, for the line itself may hold a key.

use std::collections::BTreeMap;
use std::path::Path;

use figment::value::{Dict, Value};

use super::problem::Place;

mod json5;
mod toml;
mod yaml;

/// Deeper nesting is nobody's configuration, and it would cost stack.
const DEEPEST: usize = 64;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json5,
    Yaml,
    Toml,
}

impl Format {
    /// The extensions that are known, for people.
    pub(super) const EXTENSIONS: &'static str = ".json5, .json, .yaml, .yml, .toml";

    /// The format that a file's extension says.
    pub(super) fn of(name: &str) -> Option<Self> {
        let extension = Path::new(name).extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "json5" | "json" | "jsonc" => Some(Self::Json5),
            "yaml" | "yml" => Some(Self::Yaml),
            "toml" => Some(Self::Toml),
            _ => None,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Json5 => "JSON5",
            Self::Yaml => "YAML",
            Self::Toml => "TOML",
        }
    }

    /// Reads a text.
    pub(super) fn parse(self, text: &str) -> Result<Node, Vec<Flaw>> {
        match self {
            Self::Json5 => json5::parse(text).map_err(|flaw| vec![flaw]),
            Self::Yaml => yaml::parse(text).map_err(|flaw| vec![flaw]),
            Self::Toml => toml::parse(text),
        }
    }
}

/// Why a text cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    /// From 1; the last line if the text just ends.
    pub(super) line: usize,
    /// From 1, in characters.
    pub(super) column: usize,
    pub(super) what: String,
    pub(super) hint: Option<String>,
}

/// A value with the line in which it, or its field's name, begins. It knows the order of its fields, which figment's
/// maps do not.
#[derive(Debug, PartialEq)]
pub(super) struct Node {
    /// From 1.
    pub(super) line: usize,
    pub(super) kind: Kind,
}

#[derive(Debug, PartialEq)]
pub(super) enum Kind {
    Leaf(Value),
    List(Vec<Node>),
    Fields(Vec<(String, Node)>),
}

impl Node {
    const fn new(line: usize, kind: Kind) -> Self {
        Self { line, kind }
    }

    pub(super) fn into_value(self) -> Value {
        match self.kind {
            Kind::Leaf(value) => value,
            Kind::List(items) => items.into_iter().map(Self::into_value).collect::<Vec<_>>().into(),
            Kind::Fields(fields) => {
                fields.into_iter().map(|(name, node)| (name, node.into_value())).collect::<Dict>().into()
            }
        }
    }

    /// Fields that stand twice, with both lines: one of them would be lost in silence.
    pub(super) fn twice(&self, place: &Place, found: &mut Vec<(Place, usize, usize)>) {
        match &self.kind {
            Kind::Leaf(_) => {}
            Kind::List(items) => items.iter().enumerate().for_each(|(at, item)| item.twice(&place.item(at), found)),
            Kind::Fields(fields) => {
                let mut seen = BTreeMap::new();
                for (name, node) in fields {
                    let inner = place.at(name);
                    node.twice(&inner, found);
                    if let Some(first) = seen.get(name) {
                        found.push((inner, *first, node.line));
                    } else {
                        seen.insert(name, node.line);
                    }
                }
            }
        }
    }

    /// The line of every place.
    pub(super) fn lines(&self, place: &Place, found: &mut BTreeMap<Vec<String>, usize>) {
        found.insert(place.0.clone(), self.line);
        match &self.kind {
            Kind::Leaf(_) => {}
            Kind::List(items) => items.iter().enumerate().for_each(|(at, item)| item.lines(&place.item(at), found)),
            Kind::Fields(fields) => fields.iter().for_each(|(name, node)| node.lines(&place.at(name), found)),
        }
    }

    pub(super) fn fields(&self) -> &[(String, Self)] {
        match &self.kind {
            Kind::Fields(fields) => fields,
            Kind::Leaf(_) | Kind::List(_) => &[],
        }
    }
}

/// Line and column, from 1, of places that are given in bytes.
struct Ruler<'a> {
    text: &'a str,
    /// Where each line begins.
    starts: Vec<usize>,
}

impl<'a> Ruler<'a> {
    fn new(text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at)
    }

    fn column(&self, at: usize) -> usize {
        let start = self.starts.get(self.line(at).saturating_sub(1)).copied().unwrap_or(0);
        self.text.get(start..at).map_or(1, |before| before.chars().count() + 1)
    }

    /// The end of the text, without the line breaks after it.
    fn end(&self) -> usize {
        self.text.trim_end().len()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn lines(format: Format, text: &str) -> Vec<(String, usize)> {
        let mut found = BTreeMap::new();
        format.parse(text).unwrap().lines(&Place::default(), &mut found);
        let mut found: Vec<_> = found.into_iter().map(|(place, line)| (Place(place).to_string(), line)).collect();
        found.sort_by_key(|(_, line)| *line);
        found.into_iter().filter(|(place, _)| !place.is_empty()).collect()
    }

    #[test]
    fn every_format_knows_its_lines() {
        let expected = [("a", 2), ("a.b", 3), ("a[\"c d\"]", 4), ("e", 6), ("e[0]", 7), ("e[1]", 8), ("e[1].f", 8)];
        let expected = expected.map(|(place, line)| (place.to_owned(), line));
        let json5 = "{ // }\n'a': {\nb: \"}\\\"{,:\", /* { \n*/'c d': [],\n},\ne: [ \n 1,\n {f: null,},\n],}";
        assert_eq!(lines(Format::Json5, json5), expected);
        let yaml = "# {\na:\n  b: \"}:\"\n  'c d': []\n\ne:\n- 1\n- f: ~\n";
        assert_eq!(lines(Format::Yaml, yaml), expected);
        let toml = "# [\n[a]\nb = '}'\n\"c d\" = []\n\n[[e]]\n";
        assert_eq!(
            lines(Format::Toml, toml),
            [("a", 2), ("a.b", 3), ("a[\"c d\"]", 4), ("e", 6), ("e[0]", 6)]
                .map(|(place, line)| (place.to_owned(), line))
        );
    }

    #[test]
    fn deep_nesting_is_refused_in_every_format() {
        for depth in [DEEPEST + 40, 200_000] {
            let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            for (format, text) in
                [(Format::Json5, deep.clone()), (Format::Yaml, deep.clone()), (Format::Toml, format!("a = {deep}"))]
            {
                assert!(format.parse(&text).is_err(), "{format:?} {depth}");
            }
            let flaws = Format::Toml.parse(&format!("{}a = 1", "a.".repeat(depth))).unwrap_err();
            assert!(flaws[0].what.contains("deep"), "{flaws:?}");
        }
    }

    #[test]
    fn a_place_in_bytes_has_a_line_and_a_column() {
        let ruler = Ruler::new("ab\nçd\n\n");
        let at = |at| (ruler.line(at), ruler.column(at));
        assert_eq!([at(0), at(1), at(3), at(5), at(7)], [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1)]);
    }
}
