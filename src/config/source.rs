//! Where a configuration comes from: a JSON5 file, then the environment over it, merged by figment.
//!
//! Owns reading, file order, `BACKSTOP_…` overrides and `${VAR}`. Refuses to know what any setting means, but for
//! one thing: a key whose variable is unset is absent, not an error.

use std::collections::BTreeMap;
use std::fmt;

use figment::value::{Dict, Empty, Map, Tag, Value};
use figment::{Figment, Metadata, Profile, Provider};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::openclaw::{self, OpenClaw};
use super::problem::{Place, Problem};

/// The environment, as an argument.
pub(super) type Variables = BTreeMap<String, String>;

/// A parsed value that still knows the order of its fields, which figment's maps do not.
enum Node {
    Leaf(Value),
    List(Vec<Self>),
    Fields(Vec<(String, Self)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Empty(Tag::Default, Empty::Unit)))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Node::Fields(fields))
    }
}

impl Node {
    fn into_value(self) -> Value {
        match self {
            Self::Leaf(value) => value,
            Self::List(items) => items.into_iter().map(Self::into_value).collect::<Vec<_>>().into(),
            Self::Fields(fields) => {
                fields.into_iter().map(|(name, node)| (name, node.into_value())).collect::<Dict>().into()
            }
        }
    }

    /// Fields that stand twice: one of them would be lost in silence.
    fn twice(&self, place: &Place, found: &mut Vec<Place>) {
        match self {
            Self::Leaf(_) => {}
            Self::List(items) => items.iter().enumerate().for_each(|(at, item)| item.twice(&place.item(at), found)),
            Self::Fields(fields) => {
                for (at, (name, node)) in fields.iter().enumerate() {
                    let inner = place.at(name);
                    node.twice(&inner, found);
                    if fields.iter().take(at).any(|(earlier, _)| earlier == name) {
                        found.push(inner);
                    }
                }
            }
        }
    }

    fn names(&self) -> Vec<String> {
        match self {
            Self::Fields(fields) => fields.iter().map(|(name, _)| name.clone()).collect(),
            Self::Leaf(_) | Self::List(_) => Vec::new(),
        }
    }
}

/// A figment provider of one named part of the configuration.
struct Part {
    name: String,
    dict: Dict,
}

impl Provider for Part {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Map::from([(Profile::Default, self.dict.clone())]))
    }
}

/// The merged configuration before it means anything.
pub(super) struct Merged {
    figment: Figment,
    /// The whole as one map.
    pub(super) value: Value,
    /// Field names in file order: of the file itself (under `""`) and of each section.
    order: BTreeMap<String, Vec<String>>,
    /// Variables that a key wants and the environment lacks, by the key's place.
    pub(super) absent: Vec<(Place, String)>,
    /// What was noticed and is not wrong.
    pub(super) warnings: Vec<String>,
    /// What is wrong so far.
    pub(super) problems: Vec<Problem>,
    /// The file is OpenClaw's.
    pub(super) openclaw: Option<OpenClaw>,
}

impl Merged {
    /// Reads `text` (of the file `name`, none if there is no file) and puts the environment over it.
    pub(super) fn read(file: Option<(&str, &str)>, variables: &Variables) -> Self {
        let mut problems = Vec::new();
        let mut order = BTreeMap::new();
        let mut dict = Dict::new();
        if let Some((name, text)) = file {
            match parse(name, text, &mut order) {
                Ok((parsed, twice)) => {
                    dict = parsed;
                    problems.extend(twice);
                }
                Err(problem) => problems.push(problem),
            }
        }
        let mut warnings = Vec::new();
        let name = file.map_or_else(String::new, |(name, _)| name.to_owned());
        let mut figment = Figment::from(Part { name, dict: dict.clone() });
        for (variable, text) in variables {
            let Some(path) = override_path(variable, &dict, &mut warnings) else { continue };
            let value = text.parse::<Value>().unwrap_or_else(|infallible| match infallible {});
            let part = path.into_iter().rev().fold(value, |inner, segment| Dict::from([(segment, inner)]).into());
            if let Value::Dict(_, dict) = part {
                figment = figment.merge(Part { name: format!("environment variable {variable}"), dict });
            }
        }
        let value = figment.find_value("").unwrap_or_else(|_| Dict::new().into());
        let mut merged = Self { figment, value, order, absent: Vec::new(), warnings, problems, openclaw: None };
        let variables = openclaw::prepare(&mut merged, variables);
        merged.expand(&variables);
        merged
    }

    /// The file or the environment variable that a place was written in; empty if it was not written.
    pub(super) fn source(&self, place: &Place) -> String {
        let mut value = &self.value;
        for segment in &place.0 {
            let inner = match value {
                Value::Dict(_, fields) => fields.get(segment),
                Value::Array(_, items) => segment.parse().ok().and_then(|at: usize| items.get(at)),
                _ => None,
            };
            let Some(inner) = inner else { break };
            value = inner;
        }
        // A map has the tag of its latest part, so a missing field may be laid at the file's door: good enough.
        self.figment.get_metadata(value.tag()).map_or_else(String::new, |metadata| metadata.name.to_string())
    }

    /// The names of a section's fields as the file has them, in file order; of the file itself without a section.
    pub(super) fn written(&self, section: &str) -> &[String] {
        self.order.get(section).map_or(&[], Vec::as_slice)
    }

    /// The fields of a section in file order; what only the environment names comes last.
    pub(super) fn in_order<T>(&self, section: &str, fields: BTreeMap<String, T>) -> Vec<(String, T)> {
        let order = self.order.get(section).map_or(&[][..], Vec::as_slice);
        let mut fields: Vec<_> = fields.into_iter().collect();
        fields.sort_by_key(|(name, _)| order.iter().position(|known| known == name).unwrap_or(usize::MAX));
        fields
    }

    fn expand(&mut self, variables: &Variables) {
        let mut value = std::mem::replace(&mut self.value, Dict::new().into());
        let mut unset = Vec::new();
        expand(&mut value, &Place::default(), variables, &mut unset, &mut self.absent);
        self.value = value;
        for (place, flaw) in unset {
            let (what, hint) = match flaw {
                Flaw::Unset(variable) => (
                    format!("the variable {variable} is unset or empty"),
                    format!("set {variable}, or give a default: ${{{variable}:-…}}"),
                ),
                Flaw::Malformed => (
                    "a `${` is not followed by a variable's name and `}`".to_owned(),
                    "write ${NAME} or ${NAME:-default}; a literal `${` is written `$${`".to_owned(),
                ),
            };
            let source = self.source(&place);
            self.problems.push(Problem { path: place.to_string(), source, what, hint: Some(hint) });
        }
    }
}

/// What is wrong with one `${…}`.
enum Flaw {
    Unset(String),
    Malformed,
}

fn parse(name: &str, text: &str, order: &mut BTreeMap<String, Vec<String>>) -> Result<(Dict, Vec<Problem>), Problem> {
    let problem = |path: String, what: String, hint: Option<String>| Problem { path, source: name.into(), what, hint };
    let node: Node = json5::from_str(text.strip_prefix('\u{feff}').unwrap_or(text))
        .map_err(|error| problem(String::new(), format!("not JSON5: {error}"), None))?;
    order.insert(String::new(), node.names());
    if let Node::Fields(sections) = &node {
        for (section, inner) in sections {
            order.insert(section.clone(), inner.names());
            if let Node::Fields(parts) = inner {
                order.extend(parts.iter().map(|(part, inner)| (format!("{section}.{part}"), inner.names())));
            }
        }
    }
    let mut twice = Vec::new();
    node.twice(&Place::default(), &mut twice);
    let twice = twice.into_iter().map(|place| problem(place.to_string(), "stands twice".into(), None)).collect();
    match node.into_value() {
        Value::Dict(_, dict) => Ok((dict, twice)),
        _ => Err(problem(String::new(), "the file must be one object: { providers: … }".into(), None)),
    }
}

/// The place `BACKSTOP_A__B` stands for. Variables cannot spell every name, so each segment is first compared with
/// the names already there: `MY_PROXY` finds `my-proxy`.
fn override_path(variable: &str, dict: &Dict, warnings: &mut Vec<String>) -> Option<Vec<String>> {
    const SINGLE: [&str; 1] = ["UNKNOWN_MODEL"];
    const SECTIONS: [&str; 5] = ["SERVER_", "UPSTREAM_", "PROVIDERS_", "COOLDOWNS_", "RUN_"];
    let rest = variable.strip_prefix("BACKSTOP_")?;
    if !rest.contains("__") && !SINGLE.contains(&rest) {
        // Other variables may begin alike; one that so nearly names a setting is a typing mistake.
        if let Some(section) = SECTIONS.iter().find(|section| rest.starts_with(*section)) {
            let meant = format!("BACKSTOP_{section}_{}", rest.strip_prefix(section).unwrap_or_default());
            warnings.push(format!("{variable} names no setting and is ignored: two underscores? ({meant})"));
        }
        return None;
    }
    let mut fields = Some(dict);
    let mut path = Vec::new();
    for segment in rest.split("__") {
        let alike = |name: &&String| {
            name.len() == segment.len()
                && name.bytes().zip(segment.bytes()).all(|(left, right)| {
                    left.eq_ignore_ascii_case(&right) || (right == b'_' && !left.is_ascii_alphanumeric())
                })
        };
        let name = fields.and_then(|fields| fields.keys().find(alike)).cloned();
        let name = name.unwrap_or_else(|| segment.to_ascii_lowercase());
        fields = match fields.and_then(|fields| fields.get(&name)) {
            Some(Value::Dict(_, inner)) => Some(inner),
            _ => None,
        };
        path.push(name);
    }
    Some(path)
}

/// Replaces variables in every string; a key with an unset one becomes empty and is noted in `absent`.
fn expand(
    value: &mut Value,
    place: &Place,
    variables: &Variables,
    flaws: &mut Vec<(Place, Flaw)>,
    absent: &mut Vec<(Place, String)>,
) {
    match value {
        Value::String(_, text) => match expand_text(text, variables) {
            Ok(Some(expanded)) => *text = expanded,
            Ok(None) => {}
            Err(flaw) => flaws.push((place.clone(), flaw)),
        },
        Value::Dict(_, fields) => {
            for (name, inner) in fields {
                expand(inner, &place.at(name), variables, flaws, absent);
            }
        }
        Value::Array(tag, items) => {
            let keys = matches!(place.0.as_slice(), [providers, _, list]
                if providers == "providers" && (list == "auth" || list == "keys"));
            for (at, item) in items.iter_mut().enumerate() {
                let inner = place.item(at);
                let before = flaws.len();
                expand(item, &inner, variables, flaws, absent);
                let only_unset = flaws.iter().skip(before).all(|(_, flaw)| matches!(flaw, Flaw::Unset(_)));
                if keys && flaws.len() > before && only_unset {
                    for (_, flaw) in flaws.drain(before..) {
                        if let Flaw::Unset(variable) = flaw {
                            absent.push((inner.clone(), variable));
                        }
                    }
                    *item = Value::Empty(*tag, Empty::Unit);
                }
            }
        }
        Value::Char(..) | Value::Bool(..) | Value::Num(..) | Value::Empty(..) => {}
    }
}

/// `${NAME}`, `${NAME:-default}` and the literal `$${`; `None` if there is nothing to replace.
fn expand_text(text: &str, variables: &Variables) -> Result<Option<String>, Flaw> {
    let Some(first) = text.find("${") else { return Ok(None) };
    let (mut out, mut rest) = (String::new(), text);
    let mut next = Some(first);
    while let Some(at) = next {
        let (before, found) = rest.split_at(at);
        let inside = found.strip_prefix("${").ok_or(Flaw::Malformed)?;
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = inside;
        } else {
            out.push_str(before);
            let (reference, after) = inside.split_once('}').ok_or(Flaw::Malformed)?;
            let (name, default) = match reference.split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (reference, None),
            };
            let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            if name.is_empty() || !name.bytes().all(legal) {
                return Err(Flaw::Malformed);
            }
            let set = variables.get(name).map(String::as_str).filter(|value| !value.is_empty());
            out.push_str(set.or(default).ok_or_else(|| Flaw::Unset(name.to_owned()))?);
            rest = after;
        }
        next = rest.find("${");
    }
    out.push_str(rest);
    Ok(Some(out))
}
