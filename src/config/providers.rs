//! Providers and their keys: names, addresses, headers, and what becomes of a key whose variable is unset.
//!
//! Owns the checks of `providers`. Refuses to know chains.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue, Uri, header};

use super::builtin::{BUILTINS, Builtin, builtin};
use super::problem::{Place, nearest, shown};
use super::raw::{RawProvider, RawTimeouts};
use super::resolve::Desk;
use super::shapes::{Period, RawKey};
use super::{BaseUrl, Dialect, Family, Key, KeyOrder, Provider, Secret, Timeouts, Unserved};
use crate::policy::capability::{Api, Apis};

/// Providers by name; `None` where something is wrong, so that chains can still be checked against the name.
pub(super) type Providers = Vec<(String, Option<Provider>)>;

/// A list of keys as read; an item is `None` where its variable is unset.
type Written = Option<Vec<Option<RawKey>>>;

/// Headers that the gateway sets itself.
const OWN_HEADERS: [HeaderName; 9] = [
    header::AUTHORIZATION,
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::ACCEPT_ENCODING,
    header::UPGRADE,
    header::TE,
];

impl Desk {
    pub(super) fn providers(&mut self, raw: BTreeMap<String, RawProvider>) -> Providers {
        let place = Place::of(&["providers"]);
        if raw.is_empty() {
            let hint = "add providers: { openai: { keys: [\"${OPENAI_API_KEY}\"] } }".to_owned();
            self.problem(&place, "no provider is configured", Some(hint));
        }
        let raw = self.merged.in_order("providers", raw);
        raw.into_iter().map(|(name, raw)| (name.clone(), self.provider(&place.at(&name), name, raw))).collect()
    }

    fn provider(&mut self, place: &Place, name: String, raw: RawProvider) -> Option<Provider> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > 64 || !name.bytes().all(legal) {
            let what = "a provider's name is made of letters, digits, `-`, `_` and `.`, at most 64";
            self.problem(place, what, None);
        }
        let known = builtin(&name);
        let dialects = Dialect::ALL.map(|dialect| (dialect.name(), dialect));
        let dialect = match &raw.dialect {
            Some(text) => self.choose(&place.at("dialect"), text, &dialects),
            None => Some(known.map_or(Dialect::OpenAiChat, |known| known.dialect)),
        };
        let base_url = self.address(place, &name, &raw, known);
        let key_order = raw.key_order.as_ref().and_then(|text| self.key_order(&place.at("key_order"), text));
        let headers = self.headers(&place.at("headers"), raw.headers);
        let timeouts = self.timeouts(&place.at("timeouts"), &raw.timeouts);
        // Own address, own rules: what answers there is only known by trying.
        let usual = known.filter(|_| raw.base_url.is_none()).map(|known| known.family.endpoints());
        let endpoints = raw.endpoints.as_deref().map(|names| self.endpoints(&place.at("endpoints"), names));
        let endpoints = endpoints.or(usual).unwrap_or_default();
        let dialect = dialect?;

        let (list, written) = self.key_list(place, raw.auth, raw.keys)?;
        // Own address, own rules: only the vendor itself is known to want a key.
        let wants_key = known.is_some_and(|known| known.needs_key) && raw.base_url.is_none();
        let place_of_keys = place.at(list);
        if written.is_empty() && wants_key {
            let hint = known.map(|known| format!("add keys: [\"${{{}}}\"]", known.key_variable));
            self.problem(&place_of_keys, "this provider needs a key", hint);
        }
        let any_written = !written.is_empty();
        let mut keys = self.keys(&place_of_keys, written, dialect);
        let no_key = keys.is_empty() && any_written;
        if keys.is_empty() {
            keys.push(Key { name: "default".into(), secret: None, base_url: None, quota_group: None, disabled: false });
        }
        let unserved = match (dialect.is_served(), no_key) {
            (false, _) => Some(Unserved::Dialect),
            (true, true) => Some(Unserved::NoKey),
            (true, false) => None,
        };
        if unserved == Some(Unserved::Dialect) {
            let text = format!("{place}: the dialect `{}` is not served yet: its targets are skipped", dialect.name());
            self.warn(text);
        }
        let base_url = base_url?;
        self.warn_of_plain_text(place, &base_url, &keys);
        Some(Provider {
            family: known.map_or(family_of(dialect), |known| known.family),
            name,
            dialect,
            base_url,
            keys,
            key_order: key_order.unwrap_or_default(),
            unserved,
            headers,
            models: raw.models,
            endpoints,
            timeouts,
        })
    }

    /// The list of keys under the name it is written by.
    fn key_list(&mut self, place: &Place, auth: Written, keys: Written) -> Option<(&'static str, Vec<Option<RawKey>>)> {
        match (auth, keys) {
            (Some(_), Some(_)) => {
                self.problem(
                    place,
                    "`auth` and `keys` are two spellings of one list",
                    Some("write one of them".into()),
                );
                None
            }
            (Some(auth), None) => Some(("auth", auth)),
            (None, keys) => Some(("keys", keys.unwrap_or_default())),
        }
    }

    /// Where a provider answers: as written, or as its name says.
    fn address(&mut self, place: &Place, name: &str, raw: &RawProvider, known: Option<&Builtin>) -> Option<BaseUrl> {
        let region = raw.region.as_deref().unwrap_or("us-east-1");
        let regional = known.is_some_and(|known| known.base_url.contains("{region}")) && raw.base_url.is_none();
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if raw.region.is_some() && !regional {
            let hint = "only bedrock has regions; write the region into base_url".to_owned();
            self.problem(&place.at("region"), "this provider's address has no region", Some(hint));
        } else if region.is_empty() || !region.bytes().all(legal) {
            self.problem(&place.at("region"), "this is not a region", Some("for example us-east-1".into()));
            return None;
        }
        match (&raw.base_url, known) {
            (Some(text), _) => self.base_url(&place.at("base_url"), text),
            (None, Some(known)) => self.base_url(place, &known.base_url.replace("{region}", region)),
            (None, None) => {
                let close = nearest(name, BUILTINS.iter().map(|known| known.name));
                let hint = match close {
                    Some(close) => format!("did you mean `{close}`? else add base_url: \"https://…/v1\""),
                    None => "add base_url: \"https://…/v1\"".to_owned(),
                };
                self.problem(place, "no built-in provider has this name, so it needs a base_url", Some(hint));
                None
            }
        }
    }

    /// An http(s) address. It is never repeated in a problem: people put keys into addresses.
    fn base_url(&mut self, place: &Place, text: &str) -> Option<BaseUrl> {
        let flaw = match parse_base_url(text) {
            Ok(url) => return Some(url),
            Err(flaw) => flaw,
        };
        self.problem(place, flaw, Some("for example \"https://api.openai.com/v1\"".into()));
        None
    }

    pub(super) fn key_order(&mut self, place: &Place, text: &str) -> Option<KeyOrder> {
        self.choose(place, text, &KeyOrder::ALL.map(|order| (order.name(), order)))
    }

    fn endpoints(&mut self, place: &Place, names: &[String]) -> Apis {
        let choices = Api::ALL.map(|api| (api.name(), api));
        let chosen = names.iter().enumerate().filter_map(|(at, name)| self.choose(&place.item(at), name, &choices));
        let chosen: Vec<Api> = chosen.collect();
        if names.is_empty() {
            self.problem(
                place,
                "a provider that has no endpoint is of no use",
                Some("leave it out, or name some".into()),
            );
        }
        Apis::of(&chosen)
    }

    fn headers(&mut self, place: &Place, raw: BTreeMap<String, String>) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = Vec::new();
        for (name, text) in raw {
            let place = place.at(&name);
            let Ok(name) = HeaderName::try_from(&name) else {
                self.problem(&place, "this is not a header's name", None);
                continue;
            };
            let Ok(mut value) = HeaderValue::try_from(&text) else {
                self.problem(&place, "a header cannot carry this value", Some("visible ASCII only".into()));
                continue;
            };
            if OWN_HEADERS.contains(&name) {
                self.problem(&place, "the gateway sets this header itself", Some("leave it out".into()));
            }
            value.set_sensitive(true);
            headers.push((name, value));
        }
        headers
    }

    fn timeouts(&mut self, place: &Place, raw: &RawTimeouts) -> Timeouts {
        let fields = [
            ("connect", raw.connect),
            ("first_content", raw.first_content),
            ("response_timeout", raw.response_timeout),
            ("stall", raw.stall),
        ];
        for (field, period) in fields {
            if period.is_some_and(|Period(period)| period.is_zero()) {
                self.problem(&place.at(field), "must be longer than 0", None);
            }
        }
        let plain = |period: Option<Period>| period.map(|Period(period)| period);
        Timeouts {
            connect: plain(raw.connect),
            first_content: plain(raw.first_content),
            response_timeout: plain(raw.response_timeout),
            stall: plain(raw.stall),
        }
    }

    fn keys(&mut self, place: &Place, written: Vec<Option<RawKey>>, dialect: Dialect) -> Vec<Key> {
        let mut keys: Vec<Key> = Vec::new();
        for (at, raw) in written.into_iter().enumerate() {
            let place = place.item(at);
            let Some(raw) = raw else {
                self.absent_key(&place);
                continue;
            };
            let name = raw.profile.unwrap_or_else(|| format!("key-{}", at + 1));
            if let Some(flaw) = flaw_of_name(&name) {
                self.problem(&place.at("profile"), flaw, None);
            } else if keys.iter().any(|key| key.name == name) {
                let what = format!("two keys are named `{}`", shown(&name));
                self.problem(&place, what, Some("give each its own profile".into()));
            }
            let secret = match raw.key.as_deref().map(Secret::new) {
                Some(Ok(secret)) => Some(secret),
                Some(Err(flaw)) => {
                    self.problem(&place, flaw.to_string(), None);
                    None
                }
                None if dialect == Dialect::Bedrock => None,
                None => {
                    self.problem(&place, "this key has no `key`", Some("{ key: \"${NAME}\", profile: \"…\" }".into()));
                    None
                }
            };
            let same = |key: &&Key| match (&key.secret, &secret) {
                (Some(one), Some(two)) => one.expose() == two.expose(),
                _ => false,
            };
            if let Some(twin) = keys.iter().find(same) {
                let text =
                    format!("{place}: the same key as `{}`: two names do not make two quotas", shown(&twin.name));
                self.warn(text);
            }
            let base_url = raw.base_url.and_then(|text| self.base_url(&place.at("base_url"), &text));
            let disabled = raw.disabled.unwrap_or(false);
            keys.push(Key { name, secret, base_url, quota_group: raw.quota_group, disabled });
        }
        keys
    }

    fn absent_key(&mut self, place: &Place) {
        let unset: Vec<_> =
            self.merged.absent.iter().filter(|(at, _)| at == place).map(|(_, name)| name.as_str()).collect();
        if unset.is_empty() {
            self.problem(place, "this key is null", Some("\"${NAME}\" or { key: \"${NAME}\" }".into()));
        } else {
            let text = format!("{place}: {} is unset or empty: this key is left out", unset.join(", "));
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

const fn family_of(dialect: Dialect) -> Family {
    match dialect {
        Dialect::OpenAiChat => Family::Other,
        Dialect::Anthropic => Family::Anthropic,
        Dialect::Bedrock => Family::Bedrock,
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// Key names stand in a response header, in a trail's `provider/model@key=kind` list and in metric labels.
pub(super) fn flaw_of_name(name: &str) -> Option<&'static str> {
    let legal = |b: u8| (b.is_ascii_graphic() || b == b' ') && !matches!(b, b'@' | b'=' | b',' | b'/');
    if name.trim() != name || name.is_empty() || name.len() > 64 || !name.bytes().all(legal) {
        return Some("a name is 1 to 64 ASCII characters without `@`, `=`, `,` and `/`");
    }
    (shown(name) != name).then_some("this name looks like a key; names are shown in headers and logs")
}

fn parse_base_url(text: &str) -> Result<BaseUrl, &'static str> {
    let parts = text.trim().parse::<Uri>().map_err(|_| "this is not an address")?.into_parts();
    let scheme = parts.scheme.ok_or("the address must begin with http:// or https://")?;
    if !["http", "https"].contains(&scheme.as_str()) {
        return Err("the address must begin with http:// or https://");
    }
    let authority =
        parts.authority.filter(|authority| !authority.host().is_empty()).ok_or("the address has no host")?;
    if authority.as_str().contains('@') {
        return Err("the address must not hold a user or a password");
    }
    let path = parts.path_and_query;
    if path.as_ref().is_some_and(|path| path.query().is_some()) {
        return Err("the address must not hold a query");
    }
    let prefix = path.map_or_else(String::new, |path| path.path().trim_end_matches('/').to_owned());
    Ok(BaseUrl { scheme, authority, prefix })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_are_taken_apart() {
        let parts = |text| parse_base_url(text).map(|url| format!("{} {} {}", url.scheme, url.authority, url.prefix));
        assert_eq!(parts("https://api.openai.com/v1/"), Ok("https api.openai.com /v1".into()));
        assert_eq!(parts("http://127.0.0.1:9000"), Ok("http 127.0.0.1:9000 ".into()));
        assert_eq!(parts("http://[::1]:9000/a/b"), Ok("http [::1]:9000 /a/b".into()));
        for text in
            ["", "api.openai.com", "/v1", "ftp://x/v1", "https://u:p@host/v1", "https://host/v1?key=1", "https://"]
        {
            assert!(parse_base_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_builtin_address_parses() {
        for known in BUILTINS {
            assert!(parse_base_url(&known.base_url.replace("{region}", "eu-west-1")).is_ok(), "{}", known.name);
        }
    }
}
