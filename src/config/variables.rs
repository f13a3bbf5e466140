//! What stands for something else in a value: `${NAME}`, and `file:` where a secret belongs.
//!
//! Owns both. Refuses to know what settings mean, but for two things: which places hold secrets, and that a key whose
//! variable is unset is absent, not an error.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use figment::value::{Empty, Value};

use super::file::{self, Unusable};
use super::problem::Place;

/// The environment, as an argument.
pub(super) type Variables = BTreeMap<String, String>;

/// What begins a value that names a file.
const FILE: &str = "file:";

/// Stands where a secret could not be read, so that nothing else is said about the place. It is never used: there is a
/// problem.
const UNREAD: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What is wrong with one value.
pub(super) enum Flaw {
    Unset(String),
    Malformed,
    File(Unusable),
}

impl Flaw {
    /// What is wrong, and its cure.
    pub(super) fn told(self) -> (String, Option<String>) {
        match self {
            Self::Unset(variable) => {
                let hint = format!("set {variable}, or give a default: ${{{variable}:-…}}");
                (format!("the variable {variable} is unset or empty"), Some(hint))
            }
            Self::Malformed => {
                let hint = "write ${NAME} or ${NAME:-default}; a literal `${` is written `$${`".to_owned();
                ("a `${` is not followed by a variable's name and `}`".to_owned(), Some(hint))
            }
            Self::File(unusable) => (unusable.what, unusable.hint),
        }
    }
}

/// A variable that is set to something.
pub(super) fn set<'a>(variables: &'a Variables, name: &str) -> Option<&'a str> {
    variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

/// A text in which nothing is replaced.
pub(super) fn literal(text: &str) -> String {
    text.replace("${", "$${")
}

/// Replaces variables and files in a tree of values.
pub(super) struct Expander<'a> {
    pub(super) variables: &'a Variables,
    /// Where relative paths begin.
    pub(super) directory: PathBuf,
    pub(super) flaws: Vec<(Place, Flaw)>,
    /// Variables that a key wants and the environment lacks, by the key's place.
    pub(super) absent: Vec<(Place, String)>,
    /// The variables that stand in a place.
    pub(super) replaced: Vec<(Place, String)>,
}

impl<'a> Expander<'a> {
    /// `file` is the configuration's own name.
    pub(super) fn new(variables: &'a Variables, file: Option<&str>) -> Self {
        let directory = file.and_then(|name| Path::new(name).parent()).map(Path::to_owned).unwrap_or_default();
        Self { variables, directory, flaws: Vec::new(), absent: Vec::new(), replaced: Vec::new() }
    }

    /// Replaces in every text; a key with an unset variable becomes empty and is noted in `absent`.
    pub(super) fn expand(&mut self, value: &mut Value, place: &Place) {
        match value {
            Value::String(_, text) => match self.text(text, is_secret(place)) {
                Ok(Some(expanded)) => {
                    let names = text.split("${").skip(1).filter_map(|rest| rest.split(['}', ':']).next());
                    self.replaced.extend(names.map(|name| (place.clone(), name.to_owned())));
                    *text = expanded;
                }
                Ok(None) => {}
                // Keys that do not expire have none.
                Err(Flaw::Unset(_)) if is_session_token(place) => text.clear(),
                Err(flaw) => {
                    if let Flaw::File(_) = flaw {
                        UNREAD.clone_into(text);
                    }
                    self.flaws.push((place.clone(), flaw));
                }
            },
            Value::Dict(_, fields) => {
                for (name, inner) in fields {
                    self.expand(inner, &place.at(name));
                }
            }
            Value::Array(_, items) => {
                let keys = is_key_list(place);
                for (at, item) in items.iter_mut().enumerate() {
                    let inner = place.item(at);
                    if keys { self.key(item, &inner) } else { self.expand(item, &inner) }
                }
            }
            Value::Char(..) | Value::Bool(..) | Value::Num(..) | Value::Empty(..) => {}
        }
    }

    /// One key, which is absent if nothing but variables is missing.
    fn key(&mut self, item: &mut Value, place: &Place) {
        let before = self.flaws.len();
        self.expand(item, place);
        let only_unset = self.flaws.iter().skip(before).all(|(_, flaw)| matches!(flaw, Flaw::Unset(_)));
        if self.flaws.len() > before && only_unset {
            for (_, flaw) in self.flaws.drain(before..) {
                if let Flaw::Unset(variable) = flaw {
                    self.absent.push((place.clone(), variable));
                }
            }
            *item = Value::Empty(item.tag(), Empty::Unit);
        }
    }

    /// `None` if there is nothing to replace.
    fn text(&self, text: &str, secret: bool) -> Result<Option<String>, Flaw> {
        let expanded = self.references(text, secret)?;
        match expanded.as_deref().unwrap_or(text).strip_prefix(FILE) {
            Some(path) if secret => self.secret(path).map(Some),
            _ => Ok(expanded),
        }
    }

    /// `${NAME}`, `${NAME:-default}` and the literal `$${`.
    fn references(&self, text: &str, secret: bool) -> Result<Option<String>, Flaw> {
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
                out.push_str(&self.variable(name, default, secret)?);
                rest = after;
            }
            next = rest.find("${");
        }
        out.push_str(rest);
        Ok(Some(out))
    }

    /// A variable's value; for a secret, else what the file says that `NAME_FILE` names.
    fn variable(&self, name: &str, default: Option<&str>, secret: bool) -> Result<String, Flaw> {
        if let Some(value) = set(self.variables, name) {
            return Ok(value.to_owned());
        }
        match set(self.variables, &format!("{name}_FILE")) {
            Some(path) if secret => self.secret(path),
            _ => default.map(str::to_owned).ok_or_else(|| Flaw::Unset(name.to_owned())),
        }
    }

    fn secret(&self, path: &str) -> Result<String, Flaw> {
        file::secret(&self.directory.join(path)).map_err(Flaw::File)
    }
}

/// `providers.*.keys` and its other name.
fn is_key_list(place: &Place) -> bool {
    matches!(segments(place).as_slice(), ["providers", _, "auth" | "keys"])
}

/// Where `file:` is read: keys, the hashes of client keys, and OpenClaw's `apiKey`.
fn is_secret(place: &Place) -> bool {
    matches!(
        segments(place).as_slice(),
        ["providers", _, "auth" | "keys", _]
            | ["providers", _, "auth" | "keys", _, "key" | "access_key_id" | "secret_access_key" | "session_token"]
            | ["server", "client_keys", _, "sha256"]
            | ["models", "providers", _, "apiKey"]
    )
}

/// The part of a key that only some have.
fn is_session_token(place: &Place) -> bool {
    matches!(segments(place).as_slice(), ["providers", _, "auth" | "keys", _, "session_token"])
}

fn segments(place: &Place) -> Vec<&str> {
    place.0.iter().map(String::as_str).collect()
}
