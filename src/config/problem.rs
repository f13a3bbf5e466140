//! What is wrong with a configuration: all of it at once, each with its place and its cure.
//!
//! Owns the error type and the wording of a place. Refuses to know the settings. Never holds a value of the
//! configuration that could be a secret: callers pass names and types through [`shown`], never contents.

use std::fmt;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: `providers.openai.keys[1]`; empty for the whole file.
    pub path: String,
    /// The file or the environment variable that says it; empty if nothing does.
    pub source: String,
    /// The line in the file, from 1, if a file says it.
    pub line: Option<usize>,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub hint: Option<String>,
}

/// Every mistake of one configuration; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The mistakes, in the order of the file's lines; those of variables last.
    pub problems: Vec<Problem>,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => write!(out, "1 problem in the configuration:")?,
            count => write!(out, "{count} problems in the configuration:")?,
        }
        for problem in &self.problems {
            write!(out, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(out, "{}: ", self.path)?;
        }
        write!(out, "{}", self.what)?;
        match self.line {
            Some(line) if !self.source.is_empty() => write!(out, " (in {}:{line})", self.source)?,
            None if !self.source.is_empty() => write!(out, " (in {})", self.source)?,
            _ => {}
        }
        match &self.hint {
            Some(hint) => write!(out, "\n    hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// A place in the configuration, as the names and indexes that lead to it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Place(pub(super) Vec<String>);

impl Place {
    /// The place these segments lead to.
    pub(super) fn of(segments: &[&str]) -> Self {
        Self(segments.iter().map(|&segment| segment.to_owned()).collect())
    }

    /// The place one step further in.
    pub(super) fn at(&self, segment: &str) -> Self {
        let mut inner = self.clone();
        inner.0.push(segment.to_owned());
        inner
    }

    /// The place of a list's item.
    pub(super) fn item(&self, index: usize) -> Self {
        self.at(&index.to_string())
    }

    /// Whether one of the two lies inside the other.
    pub(super) fn touches(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(one, two)| one == two)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.0.iter().enumerate() {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if index > 0 && segment.bytes().all(|b| b.is_ascii_digit()) {
                write!(out, "[{segment}]")?;
            } else if segment.chars().all(plain) {
                write!(out, "{}{}", if index > 0 { "." } else { "" }, shown(segment))?;
            } else {
                write!(out, "[\"{}\"]", shown(segment))?;
            }
        }
        Ok(())
    }
}

/// A name as it may be shown: not if it looks like a credential that stands in the wrong place.
pub(super) fn shown(name: &str) -> &str {
    const CREDENTIALS: [&str; 9] = ["sk-", "sk_", "bsk-", "gsk_", "xai-", "AIza", "AKIA", "Bearer ", "ABSK"];
    let suspicious = CREDENTIALS.iter().any(|prefix| name.starts_with(prefix));
    let shapeless = name.len() > 40 && !name.contains(['/', '.', ' ']);
    if suspicious || shapeless || name.len() > 200 { "[hidden]" } else { name }
}

/// Whether a part of a path or an address looks like a credential that stands in the wrong place.
pub(super) fn holds_key(text: &str) -> bool {
    text.split(['/', '\\', ':', '=']).any(is_hidden)
}

/// A variable's name as it may be shown.
pub(super) fn shown_variable(name: &str) -> String {
    name.split("__").map(|part| if is_hidden(part) { "[hidden]" } else { part }).collect::<Vec<_>>().join("__")
}

fn is_hidden(part: &str) -> bool {
    shown(part) != part || shown(&part.to_ascii_lowercase()) == "[hidden]"
}

/// What a reader expected, in the words of the documents.
pub(super) fn plainly(expected: &str) -> String {
    let plain = match expected {
        "a string" => "a text",
        "a sequence" => "a list",
        "a map" => "an object",
        "a boolean" => "true or false",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number, also below 0",
        "f32" | "f64" => "a number",
        other => other,
    };
    format!("expected {plain}")
}

/// The candidate that `name` was most likely meant to be.
pub(super) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Two edits, for letters that changed places; more only in long names, none in names that they would rewrite.
    let length = name.chars().count();
    let close = if length < 3 { 1 } else { (length / 3).max(2) };
    // Of several that are as near, the first: spellings of one setting stand in the order of preference.
    let (distance, best) =
        candidates.into_iter().map(|known| (distance(name, known), known)).min_by_key(|(far, _)| *far)?;
    (distance <= close).then_some(best)
}

/// Edits (insert, remove, replace) between two words, ignoring ASCII case.
pub(super) fn distance(one: &str, two: &str) -> usize {
    let two: Vec<char> = two.chars().map(|c| c.to_ascii_lowercase()).collect();
    let mut row: Vec<usize> = (0..=two.len()).collect();
    for (line, left) in one.chars().enumerate() {
        let mut diagonal = line;
        let mut before = line + 1;
        for (&right, cell) in two.iter().zip(row.iter_mut().skip(1)) {
            let replace = diagonal + usize::from(left.to_ascii_lowercase() != right);
            diagonal = *cell;
            *cell = replace.min(before + 1).min(diagonal + 1);
            before = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        let names = ["openai", "openrouter", "anthropic"];
        assert_eq!(nearest("opnai", names), Some("openai"));
        assert_eq!(nearest("Anthropc", names), Some("anthropic"));
        assert_eq!(nearest("kye", ["key", "profile"]), Some("key"));
        assert_eq!(nearest("bedrock", names), None);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn a_place_reads_like_a_path_and_hides_credentials() {
        assert_eq!(Place::of(&["providers", "openai", "keys", "1"]).to_string(), "providers.openai.keys[1]");
        assert_eq!(Place::of(&["chains", "gpt-*"]).to_string(), "chains[\"gpt-*\"]");
        assert_eq!(Place::of(&["providers", "sk-live-123"]).to_string(), "providers.[hidden]");
        assert!(Place::of(&["a"]).touches(&Place::of(&["a", "b"])));
        assert!(!Place::of(&["a", "c"]).touches(&Place::of(&["a", "b"])));
    }
}
