//! Where a configuration comes from: a file, the environment over it, and below it the keys that the environment holds;
//! merged by figment.
//!
//! Owns the layers, the order of fields, and which file and line or which variable says what. Refuses to know what any
//! setting means.

use std::collections::BTreeMap;

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::AwsVariables;
use super::discovery::{self, Found};
use super::environment::{self, Broken};
use super::formats::{Format, Kind, Node};
use super::openclaw::{self, OpenClaw};
use super::problem::{Place, Problem, shown, shown_variable};
use super::variables::{Expander, Variables};

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

/// What the file says.
#[derive(Default)]
struct FileLayer {
    name: String,
    dict: Dict,
    /// The line of every place.
    lines: BTreeMap<Vec<String>, usize>,
    /// Field names in file order: of the file itself (under `""`), of each section, and of each part of one.
    order: BTreeMap<String, Vec<String>>,
}

/// The merged configuration before it means anything.
pub(super) struct Merged {
    figment: Figment,
    file: FileLayer,
    /// The whole as one map.
    pub(super) value: Value,
    /// Variables that a key wants and the environment lacks, by the key's place.
    pub(super) absent: Vec<(Place, String)>,
    /// The variables whose values stand in a place.
    pub(super) replaced: Vec<(Place, String)>,
    /// The file as it stands.
    written: String,
    /// What was noticed and is not wrong.
    pub(super) warnings: Vec<String>,
    /// What is wrong so far.
    pub(super) problems: Vec<Problem>,
    /// Places about which everything is said.
    pub(super) settled: Vec<Place>,
    /// The file is OpenClaw's.
    pub(super) openclaw: Option<OpenClaw>,
    /// What AWS's own programs would read of the environment.
    pub(super) aws: AwsVariables,
}

impl Merged {
    /// Reads `text` (of the file `name`, none if there is no file) and puts the environment over it.
    pub(super) fn read(file: Option<(&str, &str)>, variables: &Variables) -> Self {
        let mut problems = Vec::new();
        let layer = file.map(|(name, text)| read_file(name, text, &mut problems)).unwrap_or_default();
        let mut warnings = Vec::new();
        let mut figment = Figment::from(Part { name: layer.name.clone(), dict: layer.dict.clone() });
        let (overrides, broken) = environment::overrides(variables, &layer.dict, &mut warnings);
        for part in overrides {
            figment = figment.merge(Part {
                name: format!("environment variable {}", shown_variable(&part.variable)),
                dict: part.dict,
            });
        }
        let mut merged = Self {
            figment,
            file: layer,
            value: Dict::new().into(),
            absent: Vec::new(),
            replaced: Vec::new(),
            written: file.map_or_else(String::new, |(_, text)| text.to_owned()),
            warnings,
            problems,
            settled: Vec::new(),
            openclaw: None,
            aws: AwsVariables::default(),
        };
        broken.into_iter().for_each(|broken| merged.unreadable(broken));
        merged.value = merged.whole();
        let variables = openclaw::prepare(&mut merged, variables);
        merged.aws = AwsVariables::of(&variables);
        // What could not be read says nothing about what it leaves to us. OpenClaw's file names its keys in its own way.
        let readable = merged.problems.iter().all(|problem| !problem.path.is_empty());
        if readable && merged.openclaw.is_none() && !merged.file.dict.contains_key("providers") {
            merged.discover(&variables, file.is_none());
            merged.value = merged.whole();
        }
        merged.expand(&variables, file.map(|(name, _)| name));
        merged
    }

    fn unreadable(&mut self, Broken { place, variable, flaw }: Broken) {
        let hint = flaw.hint.unwrap_or_default();
        self.problems.push(Problem {
            path: place.to_string(),
            source: format!("environment variable {}", shown_variable(&variable)),
            line: None,
            what: format!(
                "what begins with a bracket is JSON5, and this is not: {} at column {}",
                flaw.what, flaw.column
            ),
            hint: Some(format!("{hint}; for example '[\"one\",\"other\"]'")),
        });
        self.settled.push(place);
    }

    fn whole(&self) -> Value {
        self.figment.find_value("").unwrap_or_else(|_| Dict::new().into())
    }

    /// Puts the environment's keys below everything else.
    fn discover(&mut self, variables: &Variables, alone: bool) {
        let providers = |value: &Value| match value.find_ref("providers") {
            Some(Value::Dict(_, providers)) => providers.clone(),
            _ => Dict::new(),
        };
        let written = providers(&self.whole());
        let mut incomplete = Vec::new();
        for mut found in discovery::discover(variables, &mut self.warnings) {
            if let Some(missing) = found.lacks(written.get(found.provider.name)) {
                let (name, key) = (found.provider.name, found.variables.join(", "));
                incomplete.push(format!("{key} is set and {missing} is not: there is no provider `{name}`"));
                continue;
            }
            let Some(Value::Dict(_, fields)) = written.get(found.provider.name) else {
                self.join(found);
                continue;
            };
            // Who says which keys a provider has, says it all.
            if !fields.contains_key("keys") && !fields.contains_key("auth") {
                self.join(found);
            }
        }
        self.warnings.extend(discovery::addresses(variables, &written));
        let order = discovery::order().into_iter().map(|known| known.name.to_owned()).collect();
        self.file.order.insert("providers".to_owned(), order);
        let whole = self.whole();
        let providers = providers(&whole);
        if providers.is_empty() {
            self.nothing(variables, alone, &incomplete);
        }
        self.warnings.append(&mut incomplete);
        let chain = discovery::default_chain(&providers, variables);
        let has_chains = ["agents", "chains"].iter().any(|section| self.file.dict.contains_key(*section));
        if !chain.is_empty() && !has_chains && whole.find_ref("agents.defaults").is_none() {
            let chain: Vec<Value> = chain.into_iter().map(Value::from).collect();
            let chains = Dict::from([("default".to_owned(), chain.into())]);
            let dict = Dict::from([("chains".to_owned(), chains.into())]);
            self.layer_below("the default models".to_owned(), dict);
        }
    }

    fn join(&mut self, found: Found) {
        let place = Place::of(&["providers", found.provider.name, "keys"]);
        let dict = found.dict();
        let name = match found.variables.as_slice() {
            [one] => format!("environment variable {one}"),
            several => format!("environment variables {}", several.join(", ")),
        };
        self.layer_below(name, dict);
        for (variable, unusable) in found.unread {
            self.problems.push(Problem {
                path: place.to_string(),
                source: format!("environment variable {variable}"),
                line: None,
                what: unusable.what,
                hint: unusable.hint,
            });
            self.settled.push(place.clone());
        }
    }

    fn layer_below(&mut self, name: String, dict: Dict) {
        let figment = std::mem::take(&mut self.figment);
        self.figment = figment.join(Part { name, dict });
    }

    /// Neither the file nor the environment names a provider.
    fn nothing(&mut self, variables: &Variables, alone: bool, incomplete: &[String]) {
        let place = Place::of(&["providers"]);
        let known = discovery::variable_names().join(", ");
        let (what, mut hint) = if alone {
            (
                "no provider is configured: there is no file, and no key in the environment",
                format!(
                    "try it without any key: backstop demo\n          or set a key: {known}\n          \
                     or name a file: --config PATH, or BACKSTOP_CONFIG=PATH"
                ),
            )
        } else {
            (
                "no provider is configured: the file has no `providers`, and the environment no key",
                format!("add providers: {{ openai: {{ keys: [\"${{OPENAI_API_KEY}}\"] }} }}, or set one of {known}"),
            )
        };
        for (name, meant) in discovery::misspelt(variables) {
            hint = format!("{name} is set: did you mean {meant}?\n          {hint}");
        }
        for half in incomplete {
            hint = format!("{half}\n          {hint}");
        }
        self.note(&place, what, Some(hint));
        self.settled.push(place);
    }

    /// Notes a problem with the source of its place.
    pub(super) fn note(&mut self, place: &Place, what: impl Into<String>, hint: Option<String>) {
        let source = self.source(place);
        let line = self.line(place, &source);
        self.problems.push(Problem { path: place.to_string(), source, line, what: what.into(), hint });
    }

    /// The file or the environment variable that a place was written in; empty if it was not written.
    fn source(&self, place: &Place) -> String {
        let (value, _) = self.find(place);
        // A map has the tag of its latest part, so a missing field may be laid at the file's door: good enough.
        self.figment.get_metadata(value.tag()).map_or_else(String::new, |metadata| metadata.name.to_string())
    }

    /// The value at a place, or the innermost that holds it; and whether it is the place's own.
    fn find(&self, place: &Place) -> (&Value, bool) {
        let mut value = &self.value;
        for segment in &place.0 {
            let inner = match value {
                Value::Dict(_, fields) => fields.get(segment),
                Value::Array(_, items) => segment.parse().ok().and_then(|at: usize| items.get(at)),
                _ => None,
            };
            let Some(inner) = inner else { return (value, false) };
            value = inner;
        }
        (value, true)
    }

    /// The line of a place that the file says, or of what holds it.
    fn line(&self, place: &Place, source: &str) -> Option<usize> {
        if source != self.file.name || place.0.is_empty() {
            return None;
        }
        (1..=place.0.len()).rev().find_map(|depth| self.file.lines.get(place.0.get(..depth)?)).copied()
    }

    /// Where a list stands that may be written by itself or in a field.
    pub(super) fn list_of(&self, place: &Place, field: &str) -> Place {
        let inner = place.at(field);
        if self.find(&inner).1 { inner } else { place.clone() }
    }

    /// Whether a key stands in the file itself, be it as the default of a variable. Shorter ones could be any word.
    pub(super) fn file_holds(&self, key: &str) -> bool {
        key.len() >= 8 && self.written.contains(key)
    }

    /// The variables whose values make a key, to be put before what is said of it; empty if there is none.
    pub(super) fn variables_of(&self, place: &Place) -> String {
        let inner = place.at("key");
        let names = self.replaced.iter().filter(|(at, _)| at == place || *at == inner);
        let names: Vec<_> = names.map(|(_, name)| shown(name)).collect();
        if names.is_empty() { String::new() } else { format!("{}: ", names.join(", ")) }
    }

    /// The names of a section's fields as the file has them, in file order; of the file itself without a section.
    pub(super) fn fields_of(&self, section: &str) -> &[String] {
        self.file.order.get(section).map_or(&[], Vec::as_slice)
    }

    /// The fields of a section in file order; what only the environment names comes last.
    pub(super) fn in_order<T>(&self, section: &str, fields: BTreeMap<String, T>) -> Vec<(String, T)> {
        let order = self.file.order.get(section).map_or(&[][..], Vec::as_slice);
        let mut fields: Vec<_> = fields.into_iter().collect();
        fields.sort_by_key(|(name, _)| order.iter().position(|known| known == name).unwrap_or(usize::MAX));
        fields
    }

    fn expand(&mut self, variables: &Variables, file: Option<&str>) {
        let mut value = std::mem::replace(&mut self.value, Dict::new().into());
        let mut expander = Expander::new(variables, file);
        expander.expand(&mut value, &Place::default());
        self.value = value;
        let Expander { flaws, absent, replaced, .. } = expander;
        self.absent = absent;
        self.replaced = replaced;
        for (place, flaw) in flaws {
            let (what, hint) = flaw.told();
            self.note(&place, what, hint);
        }
    }
}

fn read_file(name: &str, text: &str, problems: &mut Vec<Problem>) -> FileLayer {
    let mut layer = FileLayer { name: name.to_owned(), ..FileLayer::default() };
    let format = Format::of(name).unwrap_or(Format::Json5);
    let problem = |path: String, line: usize, what: String, hint: Option<String>| Problem {
        path,
        source: name.to_owned(),
        line: Some(line),
        what,
        hint,
    };
    let node = match format.parse(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        Ok(node) => node,
        Err(flaws) => {
            problems.extend(flaws.into_iter().map(|flaw| {
                let what = format!("not {}: {} at line {} column {}", format.name(), flaw.what, flaw.line, flaw.column);
                problem(String::new(), flaw.line, what, flaw.hint)
            }));
            return layer;
        }
    };
    if !matches!(node.kind, Kind::Fields(_)) {
        let hint = "{ providers: { .. }, chains: { .. } }; config/backstop.json5 of the sources shows every setting";
        let what = "the file must be one object".to_owned();
        problems.push(problem(String::new(), node.line, what, Some(hint.to_owned())));
        return layer;
    }
    let mut twice = Vec::new();
    node.twice(&Place::default(), &mut twice);
    problems.extend(twice.into_iter().map(|(place, first, line)| {
        let what = format!("stands twice: first in line {first}");
        problem(place.to_string(), line, what, Some("keep one of them".to_owned()))
    }));
    node.lines(&Place::default(), &mut layer.lines);
    let names = |node: &Node| node.fields().iter().map(|(name, _)| name.clone()).collect();
    layer.order.insert(String::new(), names(&node));
    for (section, inner) in node.fields() {
        layer.order.insert(section.clone(), names(inner));
        layer.order.extend(inner.fields().iter().map(|(part, inner)| (format!("{section}.{part}"), names(inner))));
    }
    if let Value::Dict(_, mut dict) = node.into_value() {
        // A section whose lines are all commented out, as YAML reads it.
        dict.retain(|name, value| !(environment::is_section(name) && matches!(value, Value::Empty(..))));
        layer.dict = dict;
    }
    layer
}
