//! Providers: names, dialects, addresses and limits.
//!
//! Owns the checks of `providers`; what another program's sections say of a provider comes as the same [`Draft`].
//! Refuses to know chains, and what a key is (`keys`).

use std::collections::BTreeMap;

use super::aws::{is_region, region_of_host};
use super::builtin::{BUILTINS, Builtin, builtin};
use super::keys::{Account, Common, region_of};
use super::problem::{Place, nearest, shown};
use super::raw::RawProvider;
use super::resolve::Desk;
use super::shapes::RawKey;
use super::{BaseUrl, Dialect, Family, Key, KeyOrder, Provider, Unserved};
use crate::policy::capability::{Api, Apis};

/// Providers by name; `None` where something is wrong, so that chains can still be checked against the name.
pub(super) type Providers = Vec<(String, Option<Provider>)>;

/// A list of keys as read; an item is `None` where its variable is unset.
pub(super) type Written = Vec<(Place, Option<RawKey>)>;

/// A region and where it is written.
pub(super) type Region<'a> = Option<(Place, &'a str)>;

/// What an address holds where its region belongs.
const REGION: &str = "{region}";

/// Where a provider's parts are written, and what its name says.
pub(super) struct Site {
    pub(super) place: Place,
    pub(super) base_url: Place,
    pub(super) headers: Place,
    pub(super) known: Option<&'static Builtin>,
}

/// A provider as written, whoever's words were used.
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) site: Site,
    /// Without its keys.
    pub(super) raw: RawProvider,
    pub(super) keys: Written,
    /// Why nobody can ask it, in words, besides what its dialect says.
    pub(super) unserved: Option<String>,
}

impl Desk {
    pub(super) fn providers(&mut self, raw: BTreeMap<String, RawProvider>) -> Providers {
        let place = Place::of(&["providers"]);
        if raw.is_empty() {
            let hint = "add providers: { openai: { keys: [\"${OPENAI_API_KEY}\"] } }".to_owned();
            self.problem(&place, "no provider is configured", Some(hint));
        }
        let raw = self.merged.in_order("providers", raw);
        raw.into_iter().map(|(name, raw)| (name.clone(), self.own_provider(&place.at(&name), name, raw))).collect()
    }

    fn own_provider(&mut self, place: &Place, name: String, mut raw: RawProvider) -> Option<Provider> {
        let known = builtin(&name);
        let (keys_place, keys) = self.key_list(place, &mut raw);
        // Own address, own rules: only the vendor itself is known to want a key. Azure's are all one's own.
        let vendors = |known: &&Builtin| raw.base_url.is_none() || known.family == Family::Azure;
        let wants_key = known.filter(|known| known.needs_key).filter(vendors);
        if let Some(known) = wants_key.filter(|_| keys.as_ref().is_some_and(Vec::is_empty)) {
            let hint = format!("add keys: [\"${{{}}}\"]", known.key_variable);
            self.problem(&keys_place, "this provider needs a key", Some(hint));
        }
        let broken = keys.is_none();
        let site = Site { place: place.clone(), base_url: place.at("base_url"), headers: place.at("headers"), known };
        let draft = Draft { name, site, raw, keys: keys.unwrap_or_default(), unserved: None };
        self.provider(draft).filter(|_| !broken)
    }

    pub(super) fn provider(&mut self, draft: Draft) -> Option<Provider> {
        let Draft { name, site, mut raw, keys: written, unserved: why, .. } = draft;
        let place = &site.place;
        self.name_of_provider(place, &name);
        let dialect = self.dialect(&site, raw.dialect.as_deref());
        let azure = self.azure(place, site.known, dialect, &mut raw);
        let region = raw.region.as_deref().map(|text| (place.at("region"), text));
        let usual = (dialect == Some(Dialect::Bedrock)).then(|| self.usual_region());
        let base_url =
            self.address_of_provider(&site, &name, raw.base_url.as_deref(), region.clone(), usual.as_deref());
        let signed = usual.map(|usual| region_of(raw.region.as_deref(), base_url.as_ref(), &usual));
        let key_order = raw.key_order.as_ref().and_then(|text| self.key_order(&place.at("key_order"), text));
        let account = Account {
            organization: raw.organization,
            organisation: raw.organisation,
            project: raw.project,
            headers: raw.headers,
        };
        let headers = self.account(place, &site.headers, account);
        let models = self.allowed(&place.at("models"), raw.models);
        let timeouts = self.limits(&place.at("timeouts"), &raw.timeouts);
        let dialect = dialect?;
        let endpoints = self.endpoints(&site, raw.endpoints.as_deref(), raw.base_url.is_some(), dialect);

        let any_written = !written.is_empty();
        let quota_group = raw.quota_group;
        let common = Common {
            dialect,
            azure: azure.is_some(),
            base_url: raw.base_url.as_deref(),
            region,
            signed,
            headers,
            quota_group,
        };
        let mut keys = self.keys(&site, written, &common);
        let no_key = keys.is_empty() && any_written;
        if keys.is_empty() {
            let aws = self.aws_default(&common);
            keys.push(Key::none(common.headers, aws));
        }
        let off = raw.disabled.unwrap_or(false) || keys.iter().all(|key| key.disabled);
        let unserved = if off { Some(Unserved::Disabled) } else { self.unserved(why, no_key) };
        let base_url = base_url?;
        self.warn_of_plain_text(place, &base_url, &keys);
        if dialect == Dialect::Anthropic && raw.base_url.is_some() {
            self.warn_of_missing_version(&site.base_url, &base_url);
        }
        Some(Provider {
            family: family_of(&site, dialect, azure.is_some()),
            name,
            azure,
            dialect,
            base_url,
            keys,
            key_order: key_order.unwrap_or_default(),
            unserved,
            models,
            endpoints,
            timeouts,
        })
    }

    fn name_of_provider(&mut self, place: &Place, name: &str) {
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > 64 || !name.bytes().all(legal) {
            let what = "a provider's name is made of letters, digits, `-`, `_` and `.`, at most 64";
            self.problem(place, what, None);
        }
    }

    /// The list of keys under the name it is written by; `None` if it is written twice.
    pub(super) fn key_list(&mut self, place: &Place, raw: &mut RawProvider) -> (Place, Option<Written>) {
        let (list, keys) = match (raw.auth.take(), raw.keys.take()) {
            (Some(_), Some(_)) => {
                let what = "`auth` and `keys` are two spellings of one list";
                self.problem(place, what, Some("write one of them".into()));
                return (place.at("keys"), None);
            }
            (Some(auth), None) => ("auth", auth),
            (None, keys) => ("keys", keys.unwrap_or_default()),
        };
        let list = place.at(list);
        let keys = keys.into_iter().enumerate().map(|(at, key)| (list.item(at), key)).collect();
        (list, Some(keys))
    }

    /// Where a provider answers: as written, or as its name says.
    fn address_of_provider(
        &mut self,
        site: &Site,
        name: &str,
        base_url: Option<&str>,
        region: Region<'_>,
        usual: Option<&str>,
    ) -> Option<BaseUrl> {
        let (place, template) = match (base_url, site.known) {
            (Some(text), _) => (&site.base_url, text),
            // Said where its resource is looked for.
            (None, Some(known)) if known.family == Family::Azure => return None,
            (None, Some(known)) => (&site.place, known.base_url),
            (None, None) => {
                // In the words of whoever wrote the file.
                let field = site.base_url.0.last().map_or("base_url", String::as_str);
                let close = nearest(name, BUILTINS.iter().map(|known| known.name));
                let hint = match close {
                    Some(close) => format!("did you mean `{close}`? else add {field}: \"https://…/v1\""),
                    None => format!("add {field}: \"https://…/v1\""),
                };
                let what = format!("no built-in provider has this name, so it needs a {field}");
                self.problem(&site.place, what, Some(hint));
                return None;
            }
        };
        self.address(place, template, region, usual)
    }

    /// Where a key with an address or a region of its own is used.
    pub(super) fn address_of_key(
        &mut self,
        site: &Site,
        base_url: Option<(Place, &str)>,
        region: Region<'_>,
        common: &Common<'_>,
    ) -> Option<BaseUrl> {
        let (place, template) = match (base_url, common.base_url, site.known) {
            (Some((place, text)), ..) => (place, text),
            (None, Some(text), _) => (site.base_url.clone(), text),
            (None, None, Some(known)) => (site.place.clone(), known.base_url),
            (None, None, None) => return None,
        };
        let inherited = || common.region.clone().filter(|_| template.contains(REGION));
        self.address(&place, template, region.or_else(inherited), common.signed.as_deref())
    }

    /// An address with its region in place. Bedrock has a `usual` one, and needs one to sign where the address has none.
    fn address(&mut self, place: &Place, template: &str, region: Region<'_>, usual: Option<&str>) -> Option<BaseUrl> {
        match (region, usual) {
            (Some((at, _)), None) if !template.contains(REGION) => {
                let hint = "only bedrock has regions; write the region into base_url, or {region}".to_owned();
                self.problem(&at, "this provider's address has no region", Some(hint));
                self.base_url(place, template)
            }
            (Some((at, region)), _) if !is_region(region) => {
                self.problem(&at, "this is not a region", Some("for example us-east-1".into()));
                None
            }
            (Some((at, region)), _) => {
                let url = self.base_url(place, &template.replace(REGION, region))?;
                if usual.is_some()
                    && let Some(other) = region_of_host(url.authority.host()).filter(|other| *other != region)
                {
                    let what = format!("the address is in another region, `{}`", shown(other));
                    self.problem(&at, what, Some("leave the region out, or write base_url with {region}".into()));
                }
                Some(url)
            }
            (None, None) if template.contains(REGION) => {
                let what = "the address has a {region}, and no region is written";
                self.problem(place, what, Some("add region: \"us-east-1\"".into()));
                None
            }
            (None, usual) => self.base_url(place, &template.replace(REGION, usual.unwrap_or_default())),
        }
    }

    pub(super) fn key_order(&mut self, place: &Place, text: &str) -> Option<KeyOrder> {
        self.choose(place, text, &KeyOrder::ALL.map(|order| (order.name(), order)))
    }

    fn dialect(&mut self, site: &Site, written: Option<&str>) -> Option<Dialect> {
        let dialects = Dialect::ALL.map(|dialect| (dialect.name(), dialect));
        match written {
            Some(text) => self.choose(&site.place.at("dialect"), text, &dialects),
            None => Some(site.known.map_or(Dialect::OpenAiChat, |known| known.dialect)),
        }
    }

    /// Why nobody can ask a provider that is not switched off.
    fn unserved(&mut self, why: Option<String>, no_key: bool) -> Option<Unserved> {
        if let Some(why) = why {
            self.warn(format!("{why}: its targets are skipped"));
            return Some(Unserved::Dialect);
        }
        no_key.then_some(Unserved::NoKey)
    }

    /// What it speaks: as written, all that its dialect has, or as its name says.
    fn endpoints(&mut self, site: &Site, written: Option<&[String]>, own_address: bool, dialect: Dialect) -> Apis {
        if let Some(names) = written {
            return self.named_endpoints(&site.place.at("endpoints"), names, dialect);
        }
        // Own address, own rules: what answers there is only known by trying.
        let usual = site.known.filter(|_| !own_address).map(|known| known.family.endpoints());
        only(dialect).or(usual).unwrap_or_default()
    }

    fn named_endpoints(&mut self, place: &Place, names: &[String], dialect: Dialect) -> Apis {
        let choices = Api::ALL.map(|api| (api.name(), api));
        let chosen = names.iter().enumerate().filter_map(|(at, name)| self.choose(&place.item(at), name, &choices));
        let chosen: Vec<Api> = chosen.collect();
        let other = |api: &Api| only(dialect).is_some_and(|only| !only.has(*api));
        if let Some(api) = chosen.iter().copied().find(other) {
            let what = format!("the dialect `{}` has no `{}`", dialect.name(), api.name());
            let has = Api::ALL.into_iter().filter(|api| !other(api)).map(|api| format!("`{}`", api.name()));
            let hint = format!("leave it out: {} is all that it has", has.collect::<Vec<_>>().join(", "));
            self.problem(place, what, Some(hint));
        }
        if names.is_empty() {
            self.problem(
                place,
                "a provider that has no endpoint is of no use",
                Some("leave it out, or name some".into()),
            );
        }
        Apis::of(&chosen)
    }

    /// Anthropic's own clients append `/v1` themselves, so addresses for them are written without.
    fn warn_of_missing_version(&mut self, place: &Place, base_url: &BaseUrl) {
        let last = base_url.prefix.rsplit('/').next().unwrap_or_default();
        if !last.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
            let BaseUrl { scheme, authority, prefix } = base_url;
            let text = format!(
                "{place}: it is asked at …{}/messages: most servers of Anthropic's dialect answer below /v1 (\"{scheme}://{authority}{}/v1\")",
                shown(prefix),
                shown(prefix)
            );
            self.warn(text);
        }
    }

    fn warn_of_plain_text(&mut self, place: &Place, base_url: &BaseUrl, keys: &[Key]) {
        let exposed = |key: &&Key| {
            let url = key.base_url.as_ref().unwrap_or(base_url);
            key.secret.is_some() && url.scheme == http::uri::Scheme::HTTP && !is_loopback(url.authority.host())
        };
        if let Some(key) = keys.iter().find(exposed) {
            let text = format!("{place}: the key `{}` is sent over plain http", shown(&key.name));
            self.warn(text);
        }
    }
}

/// Whose habits a provider has.
fn family_of(site: &Site, dialect: Dialect, azure: bool) -> Family {
    match (dialect, site.known) {
        (Dialect::OpenAiChat, _) if azure => Family::Azure,
        (_, Some(known)) => known.family,
        (Dialect::OpenAiChat, None) => Family::Other,
        (Dialect::Anthropic, None) => Family::Anthropic,
        (Dialect::Bedrock, None) => Family::Bedrock,
    }
}

/// All that a dialect has, if that is not everything.
fn only(dialect: Dialect) -> Option<Apis> {
    match dialect {
        Dialect::OpenAiChat => None,
        Dialect::Anthropic => Some(Apis::of(&[Api::Chat, Api::CountTokens])),
        Dialect::Bedrock => Some(Apis::of(&[Api::Chat])),
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}
