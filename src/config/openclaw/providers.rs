//! Which providers an OpenClaw file has, and where their keys come from.
//!
//! Owns `models.providers`, `auth.profiles` and `auth.order`, and the names of the variables that stand for OpenClaw's
//! auth-profiles.json, which is not read. Refuses to know agents.

use std::collections::{BTreeMap, BTreeSet};

use super::OpenClaw;
use super::names::ITS_PROVIDERS;
use super::raw::{RawAuth, RawProfile, RawSeller};
use super::resolve::{ClawModels, quoted};
use crate::config::address::parse_base_url;
use crate::config::builtin::{BUILTINS, Builtin, builtin};
use crate::config::chains::Agent;
use crate::config::problem::{Place, nearest, shown};
use crate::config::providers::{Draft, Providers, Site, Written};
use crate::config::raw::RawProvider;
use crate::config::resolve::Desk;
use crate::config::shapes::RawKey;

/// What `api` may say, and the dialect it is in our words; `None` is not spoken.
const APIS: [(&str, Option<&str>); 14] = [
    ("openai-completions", Some("openai_chat")),
    ("openai-responses", Some("openai_chat")),
    ("anthropic-messages", Some("anthropic")),
    ("google-generative-ai", None),
    ("bedrock-converse-stream", Some("bedrock")),
    // Its server also speaks OpenAI's dialect, below `/v1`.
    ("ollama", Some("openai_chat")),
    ("openai-codex-responses", None),
    ("openai-chatgpt-responses", None),
    // Azure has Responses below its newer paths only.
    ("azure-openai-responses", Some("openai_chat")),
    ("github-copilot", None),
    ("google-vertex", None),
    ("google-gemini-cli", None),
    ("pi-messages", None),
    ("bedrock", Some("bedrock")),
];

/// A profile of a provider, where it is named, and whether it is a plain key or left to AWS's own chain.
struct Named {
    place: Place,
    id: String,
    plain: bool,
    aws: bool,
}

impl Named {
    fn of(place: Place, id: &str, profile: Option<&RawProfile>) -> Self {
        let mode = profile.and_then(|known| known.mode.as_deref());
        Self { place, id: id.to_owned(), plain: mode != Some("oauth"), aws: mode == Some("aws-sdk") }
    }
}

impl Desk {
    /// Providers of `models.providers`, of `auth`, of our own section, and those that chains name and that are known.
    pub(in crate::config) fn claw_providers(
        &mut self,
        mut own: BTreeMap<String, RawProvider>,
        auth: &RawAuth,
        models: ClawModels,
        agents: &[Agent],
    ) -> Providers {
        self.check_profiles(auth, &models, &own);
        let mut names: Vec<(String, Place)> = Vec::new();
        let mut add = |name: &str, place: Place| {
            if names.iter().all(|(known, _)| known != name) {
                names.push((name.to_owned(), place));
            }
        };
        for (name, _) in &models.providers {
            add(name, Place::of(&["models", "providers", name]));
        }
        for name in auth.order.keys() {
            add(name, Place::of(&["auth", "order", name]));
        }
        for (id, profile) in &auth.profiles {
            profile.provider.iter().for_each(|name| add(name, Place::of(&["auth", "profiles", id])));
        }
        for (place, target) in agents.iter().flat_map(|agent| &agent.targets) {
            if let Some((name, _)) = target.target.split_once('/').filter(|(name, _)| is_known(name)) {
                add(name, place.clone());
            }
        }
        own.keys().for_each(|name| add(name, Place::of(&["providers", name])));
        let mut sellers: BTreeMap<_, _> = models.providers.into_iter().collect();
        let mut found = Providers::new();
        for (name, place) in names {
            let (seller, own) = (sellers.remove(&name), own.remove(&name));
            if seller.is_none() && own.is_none() && !is_known(&name) {
                // Said where it is named.
                found.push((name, None));
                continue;
            }
            let draft = self.draft(name.clone(), place, seller, own, auth);
            let provider = draft.and_then(|draft| self.provider(draft));
            found.push((name, provider));
        }
        found
    }

    /// One provider: what OpenClaw says, and over it what our own section says.
    fn draft(
        &mut self,
        name: String,
        place: Place,
        seller: Option<RawSeller>,
        own: Option<RawProvider>,
        auth: &RawAuth,
    ) -> Option<Draft> {
        let known = known_as(&name);
        let mut raw = own.unwrap_or_default();
        let elsewhere = seller.is_none() && known.is_none() && raw.base_url.is_none();
        let mut site = Site { base_url: place.at("base_url"), headers: place.at("headers"), place, known };
        let mut unserved = None;
        let (mut key, mut has_key_field) = (None, false);
        if let Some(seller) = seller {
            site.place = Place::of(&["models", "providers", &name]);
            site.headers = site.place.at("headers");
            key = seller.api_key;
            has_key_field = true;
            let written = raw.base_url.is_some();
            let base_url = self.speak(&site, seller.api.as_deref(), seller.base_url, known, &mut raw, &mut unserved);
            if !written {
                site.base_url = site.place.at("baseUrl");
                raw.base_url = base_url;
            }
            for (name, value) in seller.headers {
                raw.headers.entry(name).or_insert(value);
            }
        }
        if elsewhere {
            unserved = Some(format!(
                "{}: where `{name}` answers is OpenClaw's own knowledge (add models.providers.{name}: {{ baseUrl, api }})",
                site.place
            ));
            // Never asked: nothing is served there.
            raw.base_url = Some(format!("https://{name}.invalid"));
        }
        let (_, listed) = self.key_list(&site.place, &mut raw);
        let mut keys = self.profile_keys(&name, known, auth, &mut key);
        if keys.is_empty() {
            let at = site.place.at("apiKey");
            keys = match (key, listed?) {
                (Some(key), _) => vec![(at, Some(named_key("default", key)))],
                (None, listed) if !listed.is_empty() => listed,
                // A server of somebody's own may need none.
                (None, _) if (raw.base_url.is_some() && !self.waits_for_key(&at)) || elsewhere => {
                    self.variable_key(&at, &name, known, false)
                }
                (None, _) => self.variable_key(if has_key_field { &at } else { &site.place }, &name, known, true),
            };
        }
        Some(Draft { name, site, raw, keys, unserved })
    }

    /// Writes the dialect that `api` stands for into `raw`; the address, unless the vendor's own is meant.
    fn speak(
        &mut self,
        site: &Site,
        api: Option<&str>,
        base_url: Option<String>,
        known: Option<&Builtin>,
        raw: &mut RawProvider,
        unserved: &mut Option<String>,
    ) -> Option<String> {
        let place = site.place.at("api");
        let dialect = match api {
            Some(api) => self.choose(&place, api, &APIS)?,
            None => known.filter(|_| base_url.is_none()).map(|known| known.dialect.name()).or(Some("openai_chat")),
        };
        let host = |text: &str| parse_base_url(text).ok().map(|url| url.authority);
        // The vendor's own address: we know by which of its dialects it can be asked.
        let same = base_url.as_deref().zip(known).is_some_and(|(text, known)| host(text) == host(known.base_url));
        if same && dialect != Some("openai_chat") && !known.is_some_and(|known| known.base_url.contains('{')) {
            return None;
        }
        match dialect {
            Some(dialect) => raw.dialect = raw.dialect.take().or_else(|| Some(dialect.to_owned())),
            None => *unserved = Some(format!("{place}: `{}` is not served yet", shown(api.unwrap_or_default()))),
        }
        if api == Some("azure-openai-responses") {
            raw.api_version = raw.api_version.take().or_else(|| Some("v1".to_owned()));
        }
        let base_url = base_url?;
        // OpenClaw's own clients of these append it.
        let appended = ["ollama", "anthropic-messages"].iter().any(|name| api == Some(name));
        let bare = base_url.trim_end_matches('/');
        Some(if appended && !bare.ends_with("/v1") { format!("{bare}/v1") } else { base_url })
    }

    /// The keys of a provider's profiles, in the order that `auth.order` or else the file gives.
    fn profile_keys(
        &mut self,
        name: &str,
        known: Option<&'static Builtin>,
        auth: &RawAuth,
        key: &mut Option<String>,
    ) -> Written {
        let profiles = self.profiles_of(name, auth);
        let mut keys = Written::new();
        let mut left_out = Vec::new();
        for Named { place, id, plain, aws } in profiles {
            let suffix = id.split_once(':').map_or(id.as_str(), |(_, rest)| rest).to_owned();
            if aws {
                keys.push((place, Some(RawKey { profile: Some(profile_name(&suffix)), ..RawKey::default() })));
                continue;
            }
            let variable = format!("{}_{}", key_variable(name, known), spelled(&suffix));
            let mut secret = self.variable(&variable);
            if secret.is_none() && plain {
                // The first plain key without a variable of its own is the provider's one.
                secret =
                    key.take().or_else(|| plain_variables(name, known).iter().find_map(|name| self.variable(name)));
                let taken = keys.iter().any(|(_, known): &(Place, Option<RawKey>)| {
                    known.as_ref().is_some_and(|known| known.key == secret)
                });
                secret = secret.filter(|_| !taken);
            }
            match secret {
                Some(secret) => keys.push((place, Some(named_key(&profile_name(&suffix), secret)))),
                None => {
                    left_out.push(format!("{} is {variable}", quoted(&id)));
                    self.merged.absent.push((place.clone(), variable));
                    keys.push((place, None));
                }
            }
        }
        if !left_out.is_empty() {
            let what = "the keys of profiles are in OpenClaw's auth-profiles.json, which is not read: set a variable";
            self.warn(format!("auth: {what}: {}", left_out.join(", ")));
        }
        keys
    }

    fn profiles_of(&mut self, name: &str, auth: &RawAuth) -> Vec<Named> {
        if let Some(order) = auth.order.get(name) {
            let place = Place::of(&["auth", "order", name]);
            let named = order.iter().enumerate().map(|(at, id)| Named::of(place.item(at), id, auth.profiles.get(id)));
            return named.collect();
        }
        let of_it = auth.profiles.iter().filter(|(_, profile)| profile.provider.as_deref() == Some(name));
        let of_it: BTreeMap<_, _> = of_it.map(|(id, profile)| (id.clone(), profile)).collect();
        let of_it = self.merged.in_order("auth.profiles", of_it);
        let place = Place::of(&["auth", "profiles"]);
        of_it.into_iter().map(|(id, profile)| Named::of(place.at(&id), &id, Some(profile))).collect()
    }

    /// Every name in `auth` stands for something.
    fn check_profiles(&mut self, auth: &RawAuth, models: &ClawModels, own: &BTreeMap<String, RawProvider>) {
        let sold = models.providers.iter().map(|(name, _)| name.as_str());
        let here: BTreeSet<&str> = sold.chain(own.keys().map(String::as_str)).collect();
        let exists = |name: &str| here.contains(name) || is_known(name);
        let meant = |name: &str| {
            let close = nearest(name, here.iter().copied().chain(known_names().map(|known| -> &str { known })));
            close.map_or_else(
                || format!("add models.providers.{}", shown(name)),
                |close| format!("did you mean `{close}`?"),
            )
        };
        for (id, profile) in &auth.profiles {
            let place = Place::of(&["auth", "profiles", id]);
            match &profile.provider {
                None => self.problem(&place, "this profile has no provider", Some("provider: \"anthropic\"".into())),
                Some(name) if !exists(name) => {
                    self.problem(
                        &place.at("provider"),
                        format!("there is no provider {}", quoted(name)),
                        Some(meant(name)),
                    );
                }
                Some(_) => {}
            }
            if let Some(mode) = &profile.mode {
                let modes = [("api_key", ()), ("oauth", ()), ("token", ()), ("aws-sdk", ())];
                self.choose(&place.at("mode"), mode, &modes);
            }
        }
        for (name, order) in &auth.order {
            let place = Place::of(&["auth", "order", name]);
            if !exists(name) {
                self.problem(&place, format!("there is no provider {}", quoted(name)), Some(meant(name)));
            }
            for (at, id) in order.iter().enumerate() {
                let twice = order.iter().take(at).any(|earlier| earlier == id);
                self.check_profile(&place.item(at), name, id, twice, auth);
            }
        }
    }

    fn check_profile(&mut self, place: &Place, name: &str, id: &str, twice: bool, auth: &RawAuth) {
        if twice {
            self.problem(place, format!("the profile {} stands twice", quoted(id)), Some("keep one of them".into()));
        }
        match auth.profiles.get(id) {
            Some(RawProfile { provider: Some(other), .. }) if other != name => {
                let hint = format!("move it to auth.order.{}", shown(other));
                self.problem(place, format!("{} is a profile of {}", quoted(id), quoted(other)), Some(hint));
            }
            Some(_) => {}
            // Without any profiles, the order alone names them.
            None if auth.profiles.is_empty() && id.split_once(':').is_some_and(|(provider, _)| provider == name) => {}
            None => {
                let close = nearest(id, auth.profiles.keys().map(String::as_str));
                let hint = close.map_or_else(
                    || {
                        format!(
                            "add auth.profiles: {{ \"{}\": {{ provider: \"{}\", mode: \"api_key\" }} }}",
                            shown(id),
                            shown(name)
                        )
                    },
                    |close| format!("did you mean `{close}`?"),
                );
                self.problem(place, format!("there is no profile {}", quoted(id)), Some(hint));
            }
        }
    }

    /// The key in the provider's own variable; a place to wait for it if it is `needed` and unset.
    fn variable_key(&mut self, place: &Place, name: &str, known: Option<&'static Builtin>, needed: bool) -> Written {
        let variables = plain_variables(name, known);
        if let Some(key) = variables.iter().find_map(|name| self.variable(name)) {
            return vec![(place.clone(), Some(named_key("default", key)))];
        }
        let wanted = needed && known.is_none_or(|known| known.needs_key);
        if !wanted {
            return Written::new();
        }
        if !self.waits_for_key(place) {
            self.merged.absent.push((place.clone(), variables.into_iter().next().unwrap_or_default()));
        }
        vec![(place.clone(), None)]
    }

    /// The key at `place` is written as a variable that is unset.
    fn waits_for_key(&self, place: &Place) -> bool {
        self.merged.absent.iter().any(|(at, _)| at == place)
    }

    fn variable(&self, name: &str) -> Option<String> {
        let OpenClaw { variables, .. } = self.merged.openclaw.as_ref()?;
        variables.get(name).filter(|value| !value.is_empty()).cloned()
    }

    /// Providers that may be named without being written, to be suggested.
    pub(in crate::config) fn known_elsewhere(&self) -> Vec<&'static str> {
        if self.merged.openclaw.is_some() { known_names().collect() } else { Vec::new() }
    }
}

fn known_names() -> impl Iterator<Item = &'static str> {
    BUILTINS.iter().map(|known| known.name).chain(ITS_PROVIDERS)
}

fn is_known(name: &str) -> bool {
    known_names().any(|known| known == name)
}

/// The provider that OpenClaw means by a name.
fn known_as(name: &str) -> Option<&'static Builtin> {
    builtin(match name {
        "google" => "gemini",
        "amazon-bedrock" => "bedrock",
        other => other,
    })
}

/// `ANTHROPIC_API_KEY`; `MY_PROXY_API_KEY` for a provider that nobody knows.
fn key_variable(name: &str, known: Option<&Builtin>) -> String {
    known.map_or_else(|| format!("{}_API_KEY", spelled(name)), |known| known.key_variable.to_owned())
}

fn plain_variables(name: &str, known: Option<&Builtin>) -> Vec<String> {
    let mut variables = vec![key_variable(name, known)];
    if name == "google" {
        variables.push("GOOGLE_API_KEY".to_owned());
    }
    variables
}

/// A name as a part of a variable's name: `me@example.com` is `ME_EXAMPLE_COM`.
fn spelled(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// A profile's name as a key's name.
fn profile_name(suffix: &str) -> String {
    suffix.chars().map(|c| if c.is_ascii_graphic() && !"@=,/".contains(c) { c } else { '-' }).collect()
}

fn named_key(name: &str, key: String) -> RawKey {
    RawKey { key: Some(key), profile: Some(name.to_owned()), ..RawKey::default() }
}
