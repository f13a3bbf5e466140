//! `BACKSTOP_…`: every setting as a variable, over the file.
//!
//! Owns how a variable's name becomes a place, and what is said about a name that is nearly one. Refuses to know the
//! settings inside a section.

use figment::value::{Dict, Value};

use super::formats::{Flaw, Format};
use super::problem::{Place, nearest, shown_variable};
use super::variables::{Variables, set};

/// Names the file, like `--config`.
pub(super) const CONFIG: &str = "BACKSTOP_CONFIG";

/// What every variable of ours begins with.
const PREFIX: &str = "BACKSTOP_";

/// The sections, as variables spell them.
const SECTIONS: [&str; 11] = [
    "SERVER",
    "UPSTREAM",
    "PROVIDERS",
    "AGENTS",
    "CHAINS",
    "ALIASES",
    "MODELS",
    "COOLDOWNS",
    "RUN",
    "CLASSIFY",
    "COMPAT",
];

/// Variables without `__` that mean something.
const SINGLE: [&str; 2] = ["UNKNOWN_MODEL", "CLASSIFY"];

/// What other programs call the settings that everybody looks for.
const SHORT: [(&str, &str); 9] = [
    ("LISTEN", "SERVER__LISTEN"),
    ("PORT", "SERVER__LISTEN"),
    ("HOST", "SERVER__LISTEN"),
    ("ADDR", "SERVER__LISTEN"),
    ("BIND", "SERVER__LISTEN"),
    ("LOG", "SERVER__LOG__LEVEL"),
    ("LOG_LEVEL", "SERVER__LOG__LEVEL"),
    ("LOG_FORMAT", "SERVER__LOG__FORMAT"),
    ("WORKERS", "SERVER__WORKERS"),
];

/// One setting that a variable makes.
pub(super) struct Override {
    /// The variable's name.
    pub(super) variable: String,
    /// The setting, in maps down to its place.
    pub(super) dict: Dict,
}

/// A variable's value that cannot be read.
pub(super) struct Broken {
    pub(super) place: Place,
    pub(super) variable: String,
    pub(super) flaw: Flaw,
}

/// The settings that variables make, those that cannot be read, and warnings about names that are nearly one. `dict` is
/// the file.
pub(super) fn overrides(
    variables: &Variables,
    dict: &Dict,
    warnings: &mut Vec<String>,
) -> (Vec<Override>, Vec<Broken>) {
    let (mut found, mut broken) = (Vec::new(), Vec::new());
    for (variable, text) in variables {
        let Some(path) = path(variable, text, dict, warnings) else { continue };
        let value = match value(text) {
            Ok(value) => value,
            Err(flaw) => {
                broken.push(Broken { place: Place(path), variable: variable.clone(), flaw });
                continue;
            }
        };
        let part = path.into_iter().rev().fold(value, |inner, segment| Dict::from([(segment, inner)]).into());
        if let Value::Dict(_, dict) = part {
            found.push(Override { variable: variable.clone(), dict });
        }
    }
    (found, broken)
}

/// A list or an object is JSON5; anything else one value.
fn value(text: &str) -> Result<Value, Flaw> {
    if text.trim_start().starts_with(['[', '{']) {
        let flaw = |flaws: Vec<Flaw>| flaws.into_iter().next();
        return match Format::Json5.parse(text).map_err(flaw) {
            Ok(node) => Ok(node.into_value()),
            Err(Some(flaw)) => Err(flaw),
            Err(None) => Ok(Value::from(text)),
        };
    }
    Ok(text.parse::<Value>().unwrap_or_else(|infallible| match infallible {}))
}

/// Whether the variables ask for a file.
pub(super) fn config_file(variables: &Variables) -> Option<&str> {
    set(variables, CONFIG)
}

/// Whether a field of the file holds settings of its own.
pub(super) fn is_section(name: &str) -> bool {
    SECTIONS.iter().any(|section| section.to_ascii_lowercase() == name)
}

/// The place `BACKSTOP_A__B` stands for. Variables cannot spell every name, so each segment is first compared with
/// the names already there: `MY_PROXY` finds `my-proxy`.
fn path(variable: &str, text: &str, dict: &Dict, warnings: &mut Vec<String>) -> Option<Vec<String>> {
    let Some(rest) = variable.strip_prefix(PREFIX) else {
        let upper = variable.to_ascii_uppercase();
        if upper.starts_with(PREFIX) && (upper.contains("__") || upper == CONFIG) {
            let (variable, upper) = (shown_variable(variable), shown_variable(&upper));
            warnings.push(format!("{variable} is ignored, for it is not in capitals: did you mean {upper}?"));
        }
        return None;
    };
    if !rest.contains("__") && !SINGLE.contains(&rest) {
        // Other variables may begin alike; one that so nearly names a setting is a typing mistake.
        // Kubernetes makes BACKSTOP_PORT=tcp://… for a service that is called like us.
        if let Some(meant) = nearly(rest).filter(|_| !text.contains("://")) {
            let variable = shown_variable(variable);
            warnings.push(format!("{variable} names no setting and is ignored: did you mean {PREFIX}{meant}?"));
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

/// What a name with single underscores was most likely meant to be, without the prefix.
fn nearly(rest: &str) -> Option<String> {
    let (first, field) = rest.split_once('_').unwrap_or((rest, ""));
    // Kubernetes makes such variables for a service that is called like us.
    if rest == "CONFIG" || ["SERVICE", "PORT"].contains(&first) && !field.is_empty() {
        return None;
    }
    if let Some((_, meant)) = SHORT.iter().find(|(short, _)| *short == rest) {
        return Some((*meant).to_owned());
    }
    if SECTIONS.contains(&rest) {
        return Some(format!("{rest}__…"));
    }
    if let Some(name) = nearest(rest, SINGLE.into_iter().chain(["CONFIG"])) {
        return Some(name.to_owned());
    }
    let section = nearest(first, SECTIONS)?;
    (!field.is_empty()).then(|| format!("{section}__{field}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_nearly_one_is_told_and_others_are_left_alone() {
        for (name, meant) in [
            ("SERVER_LISTEN", Some("SERVER__LISTEN")),
            ("SERVR_LISTEN", Some("SERVER__LISTEN")),
            ("CHAINS_DEFAULT", Some("CHAINS__DEFAULT")),
            ("UNKNOWN_MODLE", Some("UNKNOWN_MODEL")),
            ("CONFG", Some("CONFIG")),
            ("CONFIG", None),
            ("LISTEN", Some("SERVER__LISTEN")),
            ("PORT", Some("SERVER__LISTEN")),
            ("LOG_LEVEL", Some("SERVER__LOG__LEVEL")),
            ("CHAINS", Some("CHAINS__…")),
            ("FIXTURES", None),
            ("SERVICE_HOST", None),
            ("PORT_8080_TCP_ADDR", None),
            ("VERSION", None),
            ("DATA_DIR", None),
        ] {
            assert_eq!(nearly(name).as_deref(), meant, "{name}");
        }
    }
}
