//! Keys of Amazon Bedrock: which kinds there are, where each is used, and what is said of a mixture.
//!
//! Owns the resolved forms and their checks. Refuses to know how credentials are looked up and how requests are signed.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::Secret;
use super::keys::Common;
use super::problem::Place;
use super::resolve::Desk;
use super::shapes::RawKey;
use super::variables::{Variables, set};

/// How requests to Bedrock are signed.
#[derive(Debug, Clone)]
pub struct AwsAccess {
    /// Where the credentials come from.
    pub source: AwsSource,
    /// The region that signatures name.
    pub region: String,
    /// What the environment says to AWS's programs.
    pub variables: AwsVariables,
}

/// Where credentials of AWS come from.
#[derive(Debug, Clone)]
pub enum AwsSource {
    /// Written in the configuration.
    Keys(AwsKeys),
    /// `AWS_ACCESS_KEY_ID` and its like, as they were at the start.
    Environment(AwsKeys),
    /// A profile of `~/.aws`; `None` is the one that `AWS_PROFILE` names, else `default`.
    Profile(Option<String>),
    /// The container's role.
    Container,
    /// The machine's role.
    Instance,
    /// AWS's own chain: the first of all these that has any.
    Default,
}

impl AwsSource {
    /// The word for machines.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Keys(_) => "aws_keys",
            Self::Environment(_) => "aws_environment",
            Self::Profile(_) => "aws_profile",
            Self::Container => "aws_container",
            Self::Instance => "aws_instance",
            Self::Default => "aws_default",
        }
    }

    /// The keys, where they are known from the start.
    #[must_use]
    pub const fn keys(&self) -> Option<&AwsKeys> {
        match self {
            Self::Keys(keys) | Self::Environment(keys) => Some(keys),
            Self::Profile(_) | Self::Container | Self::Instance | Self::Default => None,
        }
    }

    /// Whether both give the same credentials.
    fn is_same(&self, other: &Self) -> bool {
        match (self.keys(), other.keys()) {
            (Some(one), Some(two)) => {
                one.access_key_id.expose() == two.access_key_id.expose()
                    && one.session_token.as_ref().map(Secret::expose) == two.session_token.as_ref().map(Secret::expose)
            }
            (None, None) => (self.name(), self.profile()) == (other.name(), other.profile()),
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// The profile of `~/.aws`, if one is named.
    #[must_use]
    pub fn profile(&self) -> Option<&str> {
        match self {
            Self::Profile(name) => name.as_deref(),
            Self::Keys(_) | Self::Environment(_) | Self::Container | Self::Instance | Self::Default => None,
        }
    }
}

impl AwsAccess {
    /// Whether both are one account in one region, and so one quota.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.region == other.region && self.source.is_same(&other.source)
    }
}

/// A pair of keys, with the token of a session if they expire.
#[derive(Debug, Clone)]
pub struct AwsKeys {
    /// Names the pair.
    pub access_key_id: Secret,
    /// Signs.
    pub secret_access_key: Secret,
    /// Goes with keys that expire.
    pub session_token: Option<Secret>,
}

/// The environment as far as AWS's programs read it: `AWS_…` and `HOME`. Never shown, for there are keys among it.
#[derive(Clone, Default)]
pub struct AwsVariables(Arc<HashMap<String, String>>);

impl AwsVariables {
    pub(super) fn of(variables: &Variables) -> Self {
        let wanted = |name: &str| name.starts_with("AWS_") || name == "HOME";
        let wanted = variables.iter().filter(|(name, value)| wanted(name) && !value.is_empty());
        Self(Arc::new(wanted.map(|(name, value)| (name.clone(), value.clone())).collect()))
    }

    /// Names and values.
    #[must_use]
    pub const fn shared(&self) -> &Arc<HashMap<String, String>> {
        &self.0
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl fmt::Debug for AwsVariables {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[secret]")
    }
}

/// The region of those who name none.
const REGION: &str = "us-east-1";

/// The variables that name a region, the first one first.
const REGION_VARIABLES: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// The region that the environment names, else the usual one.
pub(super) fn region_of_variables(variables: &Variables) -> String {
    let named = REGION_VARIABLES.iter().find_map(|name| set(variables, name));
    named.map_or(REGION, str::trim).to_owned()
}

/// The variables of a pair of keys.
pub(super) const ID: &str = "AWS_ACCESS_KEY_ID";
pub(super) const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
pub(super) const TOKEN: &str = "AWS_SESSION_TOKEN";

/// Whether it could be the name of a region.
pub(super) fn is_region(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// The region in an address of AWS: `bedrock-runtime.eu-west-1.amazonaws.com`, and an endpoint of one's own network.
pub(super) fn region_of_host(host: &str) -> Option<&str> {
    let mut labels = host.split('.');
    labels.find(|label| ["bedrock-runtime", "bedrock-runtime-fips"].contains(label))?;
    labels.next().filter(|label| label.contains('-') && is_region(label))
}

/// The kinds of credentials, by the field that says each.
const KINDS: [&str; 4] = ["key", "access_key_id", "aws_profile", "credentials"];

impl Desk {
    /// The region that the environment names, else the usual one.
    pub(super) fn usual_region(&mut self) -> String {
        let found =
            REGION_VARIABLES.iter().find_map(|name| Some((*name, self.merged.aws.get(name)?.trim().to_owned())));
        match found {
            Some((_, region)) if is_region(&region) => region,
            Some((name, _)) => {
                let hint = Some("for example us-east-1".to_owned());
                self.problem(&Place::of(&["providers"]), format!("the variable {name} holds no region"), hint);
                REGION.to_owned()
            }
            None => REGION.to_owned(),
        }
    }

    /// How a key of Bedrock signs; `None` if it is an API key, and nothing is signed. `Err` if it is none at all: that is
    /// said here.
    pub(super) fn aws_key(&mut self, place: &Place, raw: &RawKey, region: String) -> Result<Option<AwsAccess>, ()> {
        let pair = [&raw.access_key_id, &raw.secret_access_key, &raw.session_token];
        let written = [
            raw.key.is_some(),
            pair.iter().any(|field| field.is_some()),
            raw.aws_profile.is_some(),
            raw.credentials.is_some(),
        ];
        let kinds: Vec<_> = KINDS.iter().zip(written).filter(|(_, is)| *is).map(|(kind, _)| *kind).collect();
        if let [one, other, ..] = kinds[..] {
            let what = format!("`{one}` and `{other}` are two kinds of credentials");
            self.problem(place, what, Some("write one of them; several keys are several items of the list".to_owned()));
            return Err(());
        }
        let source = match kinds.first() {
            None => AwsSource::Default,
            Some(&"key") => return Ok(None),
            Some(&"access_key_id") => AwsSource::Keys(self.aws_keys(place, raw).ok_or(())?),
            Some(&"aws_profile") => {
                let name = raw.aws_profile.clone().filter(|name| !name.trim().is_empty());
                if name.is_none() {
                    let hint = "the name of a profile in ~/.aws/config; or credentials: \"profile\" for the usual one";
                    self.problem(&place.at("aws_profile"), "this names no profile", Some(hint.to_owned()));
                }
                AwsSource::Profile(name)
            }
            Some(_) => self.aws_credentials(place, raw.credentials.as_deref().unwrap_or_default())?,
        };
        Ok(Some(self.aws_access(source, region)))
    }

    /// AWS's own chain, for a provider without keys.
    pub(super) fn aws_default(&self, common: &Common<'_>) -> Option<AwsAccess> {
        common.signed.clone().map(|region| self.aws_access(AwsSource::Default, region))
    }

    fn aws_access(&self, source: AwsSource, region: String) -> AwsAccess {
        AwsAccess { source, region, variables: self.merged.aws.clone() }
    }

    fn aws_keys(&mut self, place: &Place, raw: &RawKey) -> Option<AwsKeys> {
        let hint = "{ access_key_id: \"${AWS_ACCESS_KEY_ID}\", secret_access_key: \"${AWS_SECRET_ACCESS_KEY}\" }";
        let (Some(id), Some(secret)) = (&raw.access_key_id, &raw.secret_access_key) else {
            let what = "`access_key_id` and `secret_access_key` go together";
            self.problem(place, what, Some(hint.to_owned()));
            return None;
        };
        if is_id(secret) && !is_id(id) {
            let what = "here stands the id of a key, and the other way round";
            self.problem(&place.at("secret_access_key"), what, Some("exchange the two".to_owned()));
            return None;
        }
        let access_key_id = self.secret(&place.at("access_key_id"), id);
        let secret_access_key = self.secret(&place.at("secret_access_key"), secret);
        let token = raw.session_token.as_deref().filter(|token| !token.trim().is_empty());
        if token.is_none() && id.trim().starts_with("ASIA") {
            self.warn(format!("{place}: a key that expires (ASIA…) goes with a session_token"));
        }
        let session_token = match token {
            Some(token) => Some(self.secret(&place.at("session_token"), token)?),
            None => None,
        };
        Some(AwsKeys { access_key_id: access_key_id?, secret_access_key: secret_access_key?, session_token })
    }

    /// One of AWS's own places by its word.
    fn aws_credentials(&mut self, place: &Place, word: &str) -> Result<AwsSource, ()> {
        #[derive(Clone, Copy)]
        enum Word {
            Environment,
            Profile,
            Container,
            Instance,
            Default,
        }
        let words = [
            ("environment", Word::Environment),
            ("profile", Word::Profile),
            ("container", Word::Container),
            ("instance", Word::Instance),
            ("default", Word::Default),
        ];
        Ok(match self.choose(&place.at("credentials"), word, &words).ok_or(())? {
            Word::Environment => {
                let unset: Vec<_> =
                    [ID, SECRET].into_iter().filter(|name| self.merged.aws.get(name).is_none()).collect();
                if !unset.is_empty() {
                    let text = format!("{place}: {} is unset or empty: this key is left out", unset.join(", "));
                    self.warn(text);
                    return Err(());
                }
                let variable = |name: &str| self.merged.aws.get(name).map(str::to_owned);
                let raw = RawKey {
                    access_key_id: variable(ID),
                    secret_access_key: variable(SECRET),
                    session_token: variable(TOKEN),
                    ..RawKey::default()
                };
                AwsSource::Environment(self.aws_keys(place, &raw).ok_or(())?)
            }
            Word::Profile => AwsSource::Profile(None),
            Word::Container => AwsSource::Container,
            Word::Instance => AwsSource::Instance,
            Word::Default => AwsSource::Default,
        })
    }

    /// Fields that only keys of Bedrock have, at another provider; and an id of AWS's where an API key belongs.
    pub(super) fn misplaced_aws(&mut self, place: &Place, raw: &RawKey, is_bedrock: bool) {
        if is_bedrock {
            if raw.key.as_deref().is_some_and(is_id) {
                let what = "this is the id of an access key, not a Bedrock API key";
                let hint = "{ access_key_id: \"…\", secret_access_key: \"…\" }".to_owned();
                self.problem(place, what, Some(hint));
            }
            return;
        }
        for (field, written) in [
            ("access_key_id", &raw.access_key_id),
            ("secret_access_key", &raw.secret_access_key),
            ("session_token", &raw.session_token),
            ("aws_profile", &raw.aws_profile),
            ("credentials", &raw.credentials),
        ] {
            if written.is_some() {
                let hint = "write key: \"${NAME}\"; for Bedrock elsewhere, dialect: \"bedrock\"".to_owned();
                self.problem(&place.at(field), "only keys of Bedrock have this", Some(hint));
            }
        }
    }
}

/// The look of an access key's id.
fn is_id(text: &str) -> bool {
    let text = text.trim();
    ["AKIA", "ASIA"].iter().any(|prefix| text.starts_with(prefix))
        && text.len() == 20
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_aws_names_its_region() {
        for (host, region) in [
            ("bedrock-runtime.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", Some("us-gov-west-1")),
            ("vpce-0a-b1.bedrock-runtime.us-east-2.vpce.amazonaws.com", Some("us-east-2")),
            ("bedrock-runtime.example", None),
            ("127.0.0.1", None),
            ("bedrock.internal.example", None),
        ] {
            assert_eq!(region_of_host(host), region, "{host}");
        }
    }
}
