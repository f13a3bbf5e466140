//! The keys of a provider: names, secrets, where and for what each is used, and what becomes of one whose variable is
//! unset.
//!
//! Owns the resolved form, the checks of a key and of what is sent beside it. Refuses to know dialects, but for whether one needs a key.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue, header};

use super::aws::region_of_host;
use super::credential;
use super::problem::{Place, shown};
use super::providers::{Region, Site};
use super::resolve::Desk;
use super::shapes::RawKey;
use super::{AwsAccess, BaseUrl, Dialect, Secret, azure};
use crate::policy::chain::allows;

/// One credential of a provider.
#[derive(Debug, Clone)]
pub struct Key {
    /// The profile's name, unique in its provider; `default` for the key of a provider without any.
    pub name: String,
    /// What is sent as it is: an API key or a token. `None` sends none.
    pub secret: Option<Secret>,
    /// How requests are signed instead, at Bedrock.
    pub aws: Option<AwsAccess>,
    /// Where this key is used instead of the provider's address.
    pub base_url: Option<BaseUrl>,
    /// Sent with every request, the provider's included; the values are marked sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The only models it is used for, each a name or a pattern with `*`; `None` allows all.
    pub models: Option<Vec<String>>,
    /// Keys of one group share a vendor quota.
    pub quota_group: Option<String>,
    /// Kept but not used.
    pub disabled: bool,
    /// Whether it stands in the configuration file itself, and not in a variable or a file of its own.
    pub plain_text: bool,
}

impl Key {
    /// Whether it may be used for `model`.
    #[must_use]
    pub fn serves(&self, model: &str) -> bool {
        allows(self.models.as_deref().unwrap_or_default(), model)
    }

    /// What kind of credential it is, in a word for machines.
    #[must_use]
    pub fn credential(&self) -> &'static str {
        match (&self.aws, &self.secret) {
            (Some(aws), _) => aws.source.name(),
            (None, Some(secret)) if secret.expose().starts_with(OAUTH) => "oauth_token",
            (None, Some(_)) => "api_key",
            (None, None) => "none",
        }
    }

    /// The key of a provider without any.
    pub(super) fn none(headers: Vec<(HeaderName, HeaderValue)>, aws: Option<AwsAccess>) -> Self {
        Self {
            name: "default".to_owned(),
            secret: None,
            aws,
            base_url: None,
            headers,
            models: None,
            quota_group: None,
            disabled: false,
            plain_text: false,
        }
    }
}

/// What tokens of Anthropic's subscriptions begin with.
const OAUTH: &str = "sk-ant-oat";

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

/// Names and values that are sent with every request.
type Headers = Vec<(HeaderName, HeaderValue)>;

/// What a provider or a key says of the account that is asked.
#[derive(Default)]
pub(super) struct Account {
    pub(super) organization: Option<String>,
    pub(super) organisation: Option<String>,
    pub(super) project: Option<String>,
    pub(super) headers: BTreeMap<String, String>,
}

/// What keys have of their provider unless they say otherwise.
pub(super) struct Common<'a> {
    pub(super) dialect: Dialect,
    /// Whether its paths are Azure's.
    pub(super) azure: bool,
    pub(super) base_url: Option<&'a str>,
    pub(super) region: Region<'a>,
    /// At Bedrock, the region that signatures name.
    pub(super) signed: Option<String>,
    pub(super) headers: Headers,
    pub(super) quota_group: Option<String>,
}

impl Desk {
    /// The headers that stand for an account. Values are marked sensitive.
    pub(super) fn account(&mut self, place: &Place, headers: &Place, account: Account) -> Headers {
        let mut found = self.headers(headers, account.headers);
        if account.organization.is_some() && account.organisation.is_some() {
            let what = "`organization` and `organisation` are two spellings of one setting";
            self.problem(place, what, Some("write one of them".into()));
        }
        let field = if account.organisation.is_some() { "organisation" } else { "organization" };
        let organization = account.organization.or(account.organisation);
        for (field, name, text) in [
            (field, HeaderName::from_static("openai-organization"), organization),
            ("project", HeaderName::from_static("openai-project"), account.project),
        ] {
            let Some(text) = text else { continue };
            let place = place.at(field);
            if found.iter().any(|(known, _)| *known == name) {
                let hint = format!("leave `{}` out of the headers", name.as_str());
                self.problem(
                    &place,
                    format!("`{field}` is the header `{}`, which is set too", name.as_str()),
                    Some(hint),
                );
            } else if let Some(value) = self.header_value(&place, &text) {
                found.push((name, value));
            }
        }
        found
    }

    fn headers(&mut self, place: &Place, raw: BTreeMap<String, String>) -> Headers {
        let mut headers = Vec::new();
        for (name, text) in raw {
            let place = place.at(&name);
            let Ok(name) = HeaderName::try_from(&name) else {
                self.problem(&place, "this is not a header's name", None);
                continue;
            };
            let Some(value) = self.header_value(&place, &text) else { continue };
            if OWN_HEADERS.contains(&name) {
                self.problem(&place, "the gateway sets this header itself", Some("leave it out".into()));
            }
            if headers.iter().any(|(known, _)| *known == name) {
                let what = "this header stands twice: upper and lower case are the same";
                self.problem(&place, what, Some("keep one of them".into()));
            }
            headers.push((name, value));
        }
        headers
    }

    fn header_value(&mut self, place: &Place, text: &str) -> Option<HeaderValue> {
        let Ok(mut value) = HeaderValue::try_from(text) else {
            self.problem(place, "a header cannot carry this value", Some("visible ASCII only".into()));
            return None;
        };
        value.set_sensitive(true);
        Some(value)
    }

    /// A list of the only models; an empty one would allow none.
    pub(super) fn allowed(&mut self, place: &Place, models: Option<Vec<String>>) -> Option<Vec<String>> {
        if models.as_ref().is_some_and(Vec::is_empty) {
            self.problem(place, "an empty list allows no model", Some("leave it out to allow all".into()));
        }
        models
    }

    pub(super) fn keys(&mut self, site: &Site, written: Vec<(Place, Option<RawKey>)>, common: &Common<'_>) -> Vec<Key> {
        let mut keys: Vec<Key> = Vec::new();
        for (at, (place, raw)) in written.into_iter().enumerate() {
            let Some(raw) = raw else {
                self.absent_key(&place);
                continue;
            };
            if let Some(key) = self.key(site, &place, at, raw, common) {
                self.compare(&place, &key, &keys);
                keys.push(key);
            }
        }
        keys
    }

    fn key(&mut self, site: &Site, place: &Place, at: usize, raw: RawKey, common: &Common<'_>) -> Option<Key> {
        let name = raw.profile.clone().unwrap_or_else(|| format!("key-{}", at + 1));
        if let Some(flaw) = flaw_of_name(&name) {
            self.problem(&place.at("profile"), flaw, None);
        }
        self.misplaced_aws(place, &raw, common.dialect == Dialect::Bedrock);
        let secret = match raw.key.as_deref() {
            Some(text) => self.secret(place, text),
            None if common.dialect == Dialect::Bedrock => None,
            None => {
                self.problem(place, "this key has no `key`", Some("{ key: \"${NAME}\", profile: \"…\" }".into()));
                None
            }
        };
        let base_url = if raw.base_url.is_some() || raw.region.is_some() {
            let trimmed = |text| if common.azure { azure::trimmed(text) } else { text };
            let written = raw.base_url.as_deref().map(|text| (place.at("base_url"), trimmed(text)));
            let region = raw.region.as_deref().map(|text| (place.at("region"), text));
            self.address_of_key(site, written, region, common)
        } else {
            None
        };
        let aws = match &common.signed {
            Some(usual) => {
                let region = region_of(raw.region.as_deref(), base_url.as_ref(), usual);
                self.aws_key(place, &raw, region).ok()?
            }
            None => None,
        };
        let account = Account {
            organization: raw.organization,
            organisation: raw.organisation,
            project: raw.project,
            headers: raw.headers,
        };
        let own = self.account(place, &place.at("headers"), account);
        let models = self.allowed(&place.at("models"), raw.models);
        let quota_group = raw.quota_group.or_else(|| common.quota_group.clone());
        let disabled = raw.disabled.unwrap_or(false);
        let keys = aws.as_ref().and_then(|aws| aws.source.keys());
        let shown = [secret.as_ref(), keys.map(|keys| &keys.secret_access_key)];
        let plain_text = shown.into_iter().flatten().any(|secret| self.merged.file_holds(secret.expose()));
        let headers = over(&common.headers, own);
        Some(Key { name, secret, aws, base_url, headers, models, quota_group, disabled, plain_text })
    }

    pub(super) fn secret(&mut self, place: &Place, text: &str) -> Option<Secret> {
        let whose = self.merged.variables_of(place);
        if let Some(flaw) = credential::flaw(text) {
            let hint = flaw.hint.unwrap_or("several keys are several items of the list: [\"…\", \"…\"]");
            self.problem(place, format!("{whose}{}", flaw.what), Some(hint.to_owned()));
            return None;
        }
        if credential::is_name(text) && self.merged.openclaw.is_none() {
            self.warn(format!("{place}: {whose}this looks like a variable's name, not a key: write \"${{NAME}}\""));
        }
        match Secret::new(text) {
            Ok(secret) => Some(secret),
            Err(flaw) => {
                self.problem(place, format!("{whose}{flaw}"), Some("copy it again: a key is plain ASCII".into()));
                None
            }
        }
    }

    /// Two keys of one name, or one key under two names.
    fn compare(&mut self, place: &Place, key: &Key, earlier: &[Key]) {
        if earlier.iter().any(|known| known.name == key.name) {
            let what = format!("two keys are named `{}`", shown(&key.name));
            self.problem(place, what, Some("give each its own profile".into()));
        }
        let same = |known: &&Key| {
            known.secret.as_ref().zip(key.secret.as_ref()).is_some_and(|(one, two)| one.expose() == two.expose())
                || known.aws.as_ref().zip(key.aws.as_ref()).is_some_and(|(one, two)| one.is_same(two))
        };
        if let Some(twin) = earlier.iter().find(same) {
            self.warn(format!("{place}: the same key as `{}`: two names do not make two quotas", shown(&twin.name)));
        }
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
}

/// The region in which a key signs: its own, that of its address, or the provider's.
pub(super) fn region_of(written: Option<&str>, base_url: Option<&BaseUrl>, usual: &str) -> String {
    let host = || base_url.and_then(|url| region_of_host(url.authority.host()));
    written.or_else(host).unwrap_or(usual).to_owned()
}

/// `common` with what `own` has of the same name in its place, and the rest of `own`.
fn over(common: &Headers, own: Headers) -> Headers {
    let mut all: Headers =
        common.iter().filter(|(name, _)| own.iter().all(|(other, _)| other != name)).cloned().collect();
    all.extend(own);
    all
}

/// Key names stand in a response header, in a trail's `provider/model@key=kind` list and in metric labels.
pub(super) fn flaw_of_name(name: &str) -> Option<&'static str> {
    let legal = |b: u8| (b.is_ascii_graphic() || b == b' ') && !matches!(b, b'@' | b'=' | b',' | b'/');
    if name.trim() != name || name.is_empty() || name.len() > 64 || !name.bytes().all(legal) {
        return Some("a name is 1 to 64 ASCII characters without `@`, `=`, `,` and `/`");
    }
    (shown(name) != name).then_some("this name looks like a key; names are shown in headers and logs")
}
