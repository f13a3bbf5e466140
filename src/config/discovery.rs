//! A gateway from nothing but keys in the environment.
//!
//! Owns which variables are keys of which provider, and the chain that is made of them. Refuses to know files, and
//! what a key is good for: whoever names a provider in a file is asked nothing here.

use std::collections::BTreeSet;

use figment::value::{Dict, Value};

use super::aws::{self, region_of_variables};
use super::builtin::{BUILTINS, Builtin, Family};
use super::credential::{self, Flaw};
use super::defaults::{DEFAULT_MODELS, OTHER_VARIABLES};
use super::file::{self, Unusable};
use super::problem::{nearest, shown};
use super::variables::{Variables, literal, set};

/// The keys of one provider.
pub(super) struct Found {
    pub(super) provider: &'static Builtin,
    /// The keys as they would be written, in the order in which they are tried.
    keys: Vec<Dict>,
    /// What else the environment says of the provider.
    settings: Dict,
    /// The variables that hold them.
    pub(super) variables: Vec<String>,
    /// What is no key, and files that could not be read, by the variable that holds or names them.
    pub(super) unread: Vec<(String, Unusable)>,
}

impl Found {
    /// The setting `providers.NAME.keys`.
    pub(super) fn dict(&self) -> Dict {
        let keys: Vec<Value> = self.keys.iter().cloned().map(Value::from).collect();
        let mut provider = self.settings.clone();
        provider.insert("keys".to_owned(), keys.into());
        let providers = Dict::from([(self.provider.name.to_owned(), provider.into())]);
        Dict::from([("providers".to_owned(), providers.into())])
    }

    /// What is missing, as an address, if neither the environment nor `written` says it. What is written wins.
    pub(super) fn lacks(&mut self, written: Option<&Value>) -> Option<&'static str> {
        let has = |field: &str| matches!(written, Some(Value::Dict(_, fields)) if fields.contains_key(field));
        if self.provider.family != Family::Azure {
            return None;
        }
        if has("resource") {
            self.settings.remove("base_url");
            return None;
        }
        (!has("base_url") && !self.settings.contains_key("base_url")).then_some(AZURE_ENDPOINT)
    }
}

/// Where Azure answers, and in which version, as its own programs are told.
const AZURE_ENDPOINT: &str = "AZURE_OPENAI_ENDPOINT";
const AZURE_VERSION: &str = "OPENAI_API_VERSION";

/// Fields and texts, in which nothing is replaced.
fn fields<const COUNT: usize>(fields: [(&str, &str); COUNT]) -> Dict {
    fields.into_iter().map(|(field, text)| (field.to_owned(), Value::from(literal(text)))).collect()
}

/// Providers in the order in which they are preferred.
pub(super) fn order() -> Vec<&'static Builtin> {
    let rank = |known: &&Builtin| DEFAULT_MODELS.iter().position(|(name, _)| *name == known.name).unwrap_or(usize::MAX);
    let mut order: Vec<_> = BUILTINS.iter().collect();
    order.sort_by_key(rank);
    order
}

/// Every variable that a key could stand in, for people.
pub(super) fn variable_names() -> Vec<&'static str> {
    let named = |known: &&Builtin| known.needs_key || known.family == Family::Bedrock;
    order().into_iter().filter(named).map(|known| known.key_variable).collect()
}

/// The keys that the environment holds.
pub(super) fn discover(variables: &Variables, warnings: &mut Vec<String>) -> Vec<Found> {
    let served = order().into_iter();
    let mut found: Vec<_> = served.filter_map(|known| keys_of(known, variables, warnings)).collect();
    if found.iter().all(|found| found.provider.family != Family::Bedrock) {
        found.extend(aws_keys(variables));
    }
    for (name, meant) in misspelt(variables) {
        warnings.push(format!("{name} is the key of no provider that is known: did you mean {meant}?"));
    }
    found
}

fn keys_of(provider: &'static Builtin, variables: &Variables, warnings: &mut Vec<String>) -> Option<Found> {
    let others = OTHER_VARIABLES.iter().filter(|(name, _)| *name == provider.name).map(|(_, variable)| *variable);
    let mut stems = std::iter::once(provider.key_variable).chain(others);
    stems.find_map(|stem| {
        let mut search = Search { variables, held: Vec::new(), unread: Vec::new() };
        search.look(stem, None, false);
        search.look(&format!("{stem}S"), None, true);
        for number in search.numbers(stem) {
            search.look(&format!("{stem}_{number}"), Some(number), false);
        }
        let Search { held, unread, .. } = search;
        (!held.is_empty() || !unread.is_empty()).then(|| {
            let (keys, names) = named(held, warnings);
            let keys = keys.iter().map(|(name, key)| fields([("key", key), ("profile", name)])).collect();
            Found { provider, keys, settings: settings_of(provider, variables), variables: names, unread }
        })
    })
}

/// What variables say of a provider besides its keys.
fn settings_of(provider: &Builtin, variables: &Variables) -> Dict {
    if provider.family != Family::Azure {
        return Dict::new();
    }
    let said = [("base_url", AZURE_ENDPOINT), ("api_version", AZURE_VERSION)];
    let said = said.iter().filter_map(|(field, name)| Some((*field, set(variables, name)?)));
    said.map(|(field, text)| (field.to_owned(), Value::from(literal(text)))).collect()
}

/// Bedrock by the keys that AWS's own programs use.
fn aws_keys(variables: &Variables) -> Option<Found> {
    let provider = BUILTINS.iter().find(|known| known.family == Family::Bedrock)?;
    let (id, secret) = (set(variables, aws::ID)?, set(variables, aws::SECRET)?);
    let token = set(variables, aws::TOKEN).unwrap_or_default();
    let key = fields([
        ("access_key_id", id),
        ("secret_access_key", secret),
        ("session_token", token),
        ("profile", "default"),
    ]);
    let variables = [aws::ID, aws::SECRET].map(str::to_owned).to_vec();
    Some(Found { provider, keys: vec![key], settings: Dict::new(), variables, unread: Vec::new() })
}

/// A key, and where it was found.
struct Held {
    variable: String,
    number: Option<u32>,
    key: String,
}

struct Search<'a> {
    variables: &'a Variables,
    held: Vec<Held>,
    unread: Vec<(String, Unusable)>,
}

impl Search<'_> {
    /// Takes what `name` holds, or the file that `name_FILE` names: one key, or several.
    fn look(&mut self, name: &str, number: Option<u32>, several: bool) {
        let file = format!("{name}_FILE");
        let (variable, text) = match (set(self.variables, name), set(self.variables, &file)) {
            (Some(text), _) => (name.to_owned(), text.to_owned()),
            (None, Some(path)) => match file::secret(path.as_ref()) {
                Ok(text) => (file, text),
                Err(unusable) => return self.unread.push((file, unusable)),
            },
            (None, None) => return,
        };
        // JSON in place of a list is one mistake, not several.
        let keys: Vec<&str> =
            if several && !text.starts_with('[') { text.split([',', '\n']).collect() } else { vec![&text] };
        for key in keys.into_iter().map(str::trim).filter(|key| !key.is_empty()) {
            match credential::flaw(key).filter(|_| !key.starts_with("file:")) {
                Some(flaw) => self.unread.push((variable.clone(), unusable(flaw, name, several))),
                None => self.held.push(Held { variable: variable.clone(), number, key: key.to_owned() }),
            }
        }
    }

    /// The numbers behind a name, ascending.
    fn numbers(&self, stem: &str) -> BTreeSet<u32> {
        let number = |name: &String| {
            let number = name.strip_prefix(stem)?.strip_prefix('_')?;
            let number = number.strip_suffix("_FILE").unwrap_or(number);
            number.parse().ok().filter(|parsed: &u32| parsed.to_string() == number)
        };
        self.variables.keys().filter_map(number).collect()
    }
}

fn unusable(flaw: Flaw, name: &str, several: bool) -> Unusable {
    let many = || {
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_');
        let list = if several { name.to_owned() } else { format!("{stem}S") };
        format!("several keys belong into {list}, with commas between them")
    };
    Unusable { what: flaw.what.to_owned(), hint: Some(flaw.hint.map_or_else(many, str::to_owned)), line: None }
}

/// Keys with their names: a lone one is `default`; of several, each has the number of its variable, and those without
/// one the lowest that are free.
fn named(held: Vec<Held>, warnings: &mut Vec<String>) -> (Vec<(String, String)>, Vec<String>) {
    let mut kept: Vec<Held> = Vec::new();
    for held in held {
        match kept.iter().find(|twin| twin.key == held.key) {
            Some(twin) if twin.variable == held.variable => {
                warnings.push(format!("{} holds the same key twice: it is used once", held.variable));
            }
            Some(twin) => {
                let text = format!("{} holds the same key as {}: it is used once", held.variable, twin.variable);
                warnings.push(text);
            }
            None => kept.push(held),
        }
    }
    let lone = kept.len() == 1;
    let taken: BTreeSet<u32> = kept.iter().filter_map(|held| held.number).collect();
    let mut free = (1..).filter(|number| !taken.contains(number));
    let mut variables = Vec::new();
    let mut keys = Vec::new();
    for Held { variable, number, key } in kept {
        let number = number.or_else(|| free.next()).unwrap_or_default();
        keys.push((if lone { "default".to_owned() } else { number.to_string() }, key));
        if !variables.contains(&variable) {
            variables.push(variable);
        }
    }
    (keys, variables)
}

/// Variables whose names are nearly those of keys, and what was probably meant.
pub(super) fn misspelt(variables: &Variables) -> Vec<(&str, String)> {
    let meant = |name: &str| numbered(name).or_else(|| misspelt_key(variables, name).map(str::to_owned));
    variables.keys().filter_map(|name| Some((name.as_str(), meant(name)?))).collect()
}

/// `OPENAI_API_KEY1` for `OPENAI_API_KEY_1`.
fn numbered(name: &str) -> Option<String> {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = name.strip_prefix(stem).filter(|number| !number.is_empty() && !number.starts_with('0'))?;
    BUILTINS.iter().any(|known| known.key_variable == stem).then(|| format!("{stem}_{number}"))
}

fn misspelt_key(variables: &Variables, name: &str) -> Option<&'static str> {
    const ENDINGS: [&str; 4] = ["_API_KEYS", "_API_KEY", "_KEYS", "_KEY"];
    let known = || BUILTINS.iter().map(|known| known.key_variable);
    let stem = |name: &'static str| name.strip_suffix("_API_KEY");
    let ending = ENDINGS.into_iter().find(|ending| name.ends_with(ending))?;
    let written = name.strip_suffix(ending)?;
    let others = OTHER_VARIABLES.iter().map(|(_, other)| *other);
    let exact = |known: &str| stem_is(known, written);
    if ending.starts_with("_API") && known().chain(others).any(exact) {
        return None;
    }
    // Three letters are near to everything.
    let close = nearest(written, known().filter_map(stem)).filter(|_| written.len() > 3)?;
    known().find(|variable| stem(variable) == Some(close) && set(variables, variable).is_none())
}

/// Variables of other programs that are not read, and ours.
const ELSEWHERE: [(&str, &str); 3] = [
    ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"),
    ("AZURE_API_KEY", "AZURE_OPENAI_API_KEY"),
    ("AZURE_API_VERSION", "OPENAI_API_VERSION"),
];

/// What is said of addresses in the environment that are not read, and of a provider that is nearly one that is known.
/// `providers` are those that variables of ours make.
pub(super) fn addresses(variables: &Variables, providers: &Dict) -> Vec<String> {
    let mut warnings = Vec::new();
    for known in BUILTINS.iter() {
        let stem = known.name.to_ascii_uppercase();
        let ours = matches!(providers.get(known.name), Some(Value::Dict(_, fields)) if fields.contains_key("base_url"));
        let names = ["BASE_URL", "API_BASE"].map(|ending| format!("{stem}_{ending}"));
        for name in names.iter().filter(|name| !ours && set(variables, name).is_some()) {
            warnings.push(format!("{name} is not read: did you mean BACKSTOP_PROVIDERS__{stem}__BASE_URL?"));
        }
    }
    for (name, meant) in ELSEWHERE.iter().filter(|(name, _)| set(variables, name).is_some()) {
        if set(variables, meant).is_none() {
            warnings.push(format!("{name} is not read: did you mean {meant}?"));
        }
    }
    let names = || BUILTINS.iter().map(|known| known.name);
    for (name, fields) in providers.iter().filter(|(name, _)| names().all(|known| known != name.as_str())) {
        let has_keys =
            matches!(fields, Value::Dict(_, fields) if ["keys", "auth"].iter().any(|list| fields.contains_key(*list)));
        if let Some(close) = nearest(name, names()).filter(|_| !has_keys) {
            let (name, close) = (shown(name).to_ascii_uppercase(), close.to_ascii_uppercase());
            warnings.push(format!(
                "BACKSTOP_PROVIDERS__{name} makes a provider without keys: did you mean BACKSTOP_PROVIDERS__{close}?"
            ));
        }
    }
    warnings
}

fn stem_is(known: &str, written: &str) -> bool {
    known.strip_suffix("_API_KEY") == Some(written)
}

/// The chain `default` for the providers in `providers` that have keys, as `provider/model`.
pub(super) fn default_chain(providers: &Dict, variables: &Variables) -> Vec<String> {
    let written = match providers.get("bedrock") {
        Some(Value::Dict(_, fields)) => fields.get("region").and_then(Value::as_str).map(str::to_owned),
        _ => None,
    };
    let region = written.unwrap_or_else(|| region_of_variables(variables));
    let models = DEFAULT_MODELS
        .map(|(name, model)| (name, if name == "bedrock" { in_region(model, &region) } else { model.to_owned() }));
    let usable = |(name, model): &&(&str, String)| {
        let Some(Value::Dict(_, fields)) = providers.get(*name) else { return false };
        let has_key = ["keys", "auth"].iter().any(|list| match fields.get(*list) {
            Some(Value::Array(_, items)) => items.iter().any(is_vendors),
            _ => false,
        });
        let allowed = match fields.get("models") {
            Some(Value::Array(_, models)) => models.iter().any(|allowed| allowed.as_str() == Some(model.as_str())),
            _ => true,
        };
        has_key && allowed
    };
    models.iter().filter(usable).map(|(name, model)| format!("{name}/{model}")).collect()
}

/// Whether a key is of no use but at its vendor. Keys of AWS are for all of AWS, and no sign that prompts may go there.
fn is_vendors(key: &Value) -> bool {
    !matches!(key, Value::Dict(_, fields) if fields.contains_key("access_key_id"))
}

/// The inference profile of a model that a region has: of its part of the world where that is known, else of all.
fn in_region(model: &str, region: &str) -> String {
    let own = [("us-gov-", "us-gov"), ("us-", "us"), ("eu-", "eu")];
    let area = own.iter().find(|(prefix, _)| region.starts_with(prefix)).map_or("global", |(_, area)| area);
    let name = model.split_once('.').map_or(model, |(_, name)| name);
    format!("{area}.{name}")
}
