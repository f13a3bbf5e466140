//! Azure OpenAI: whose paths hold a deployment and a version.
//!
//! Owns which providers are such, their version, and what people write as their address. Refuses to know keys, and how the
//! paths are made.

use super::builtin::Builtin;
use super::problem::{Place, shown};
use super::raw::RawProvider;
use super::resolve::Desk;
use super::{Dialect, Family};

/// The version of an Azure API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AzureVersion {
    /// `…/openai/deployments/{deployment}/…?api-version=2024-10-21`.
    Dated(String),
    /// `…/openai/v1/…`, with the deployment as the body's model.
    V1,
}

impl AzureVersion {
    /// The version that is asked for if none is written: generally available, and the last one of the dated ones.
    pub const DEFAULT: &'static str = "2024-10-21";

    /// As the configuration spells it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Dated(date) => date,
            Self::V1 => "v1",
        }
    }
}

/// What the gateway appends to an address.
const NEW_PATHS: &str = "/openai/v1";

impl Desk {
    /// The version, if the provider is Azure's. Its address is put into `raw.base_url`, without what is appended to it.
    pub(super) fn azure(
        &mut self,
        place: &Place,
        known: Option<&Builtin>,
        dialect: Option<Dialect>,
        raw: &mut RawProvider,
    ) -> Option<AzureVersion> {
        let by_name = known.is_some_and(|known| known.family == Family::Azure);
        if raw.resource.is_some() && !by_name {
            let hint = "write base_url, or name the provider `azure`".to_owned();
            self.problem(&place.at("resource"), "only `azure` has a resource", Some(hint));
        }
        if raw.api_version.is_some() && !by_name && raw.base_url.is_none() {
            let hint = "leave it out; at a base_url of your own it means that Azure answers there".to_owned();
            self.problem(&place.at("api_version"), "this vendor's addresses have no version", Some(hint));
            return None;
        }
        if !by_name && raw.api_version.is_none() {
            return None;
        }
        if dialect.is_some_and(|dialect| dialect != Dialect::OpenAiChat) {
            let hint = "leave `dialect` out; what else answers at Azure is a provider of its own, without api_version";
            self.problem(&place.at("dialect"), "deployments of Azure speak `openai_chat`", Some(hint.to_owned()));
        }
        if by_name {
            self.resource(place, raw);
        }
        let base_url = raw.base_url.take()?;
        if base_url.contains("/openai/deployments") {
            let what = "the address holds the path of one deployment";
            let hint = "write no more than \"https://NAME.openai.azure.com\"; the deployment is a target's model";
            self.problem(&place.at("base_url"), what, Some(hint.to_owned()));
        }
        let ends_in_v1 = base_url.trim_end_matches('/').ends_with(NEW_PATHS);
        raw.base_url = Some(trimmed(&base_url).to_owned());
        match raw.api_version.as_deref() {
            Some("v1") => Some(AzureVersion::V1),
            Some(text) => {
                if !is_date(text) {
                    let hint = format!("a date such as \"{}\", or \"v1\"", AzureVersion::DEFAULT);
                    let what = format!("`{}` is no version of Azure's", shown(text));
                    self.problem(&place.at("api_version"), what, Some(hint));
                } else if ends_in_v1 {
                    let what = "the address is that of `v1`, and api_version is a date";
                    self.problem(&place.at("api_version"), what, Some("leave one of the two out".to_owned()));
                }
                Some(AzureVersion::Dated(text.to_owned()))
            }
            None if ends_in_v1 => Some(AzureVersion::V1),
            None => Some(AzureVersion::Dated(AzureVersion::DEFAULT.to_owned())),
        }
    }

    /// The address of a resource.
    fn resource(&mut self, place: &Place, raw: &mut RawProvider) {
        let at = place.at("resource");
        match (raw.resource.as_deref(), &raw.base_url) {
            (Some(_), Some(_)) => {
                let what = "`resource` and `base_url` are two ways to say where it answers";
                self.problem(&at, what, Some("write one of them".to_owned()));
            }
            (Some(name), None) => {
                let legal = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
                if name.is_empty() || !legal {
                    let hint = "NAME of \"https://NAME.openai.azure.com\"; a whole address is base_url".to_owned();
                    self.problem(&at, "this is not a resource's name", Some(hint));
                    return;
                }
                raw.base_url = Some(format!("https://{name}.openai.azure.com"));
            }
            (None, Some(_)) => {}
            (None, None) => {
                let hint = "add resource: \"NAME\" (of \"https://NAME.openai.azure.com\"), or base_url".to_owned();
                self.problem(
                    place,
                    "each resource of Azure has an address of its own, and none is written",
                    Some(hint),
                );
            }
        }
    }
}

/// An address without the paths that are appended to it.
pub(super) fn trimmed(address: &str) -> &str {
    let bare = address.trim().trim_end_matches('/');
    [NEW_PATHS, "/openai"].iter().find_map(|path| bare.strip_suffix(path)).unwrap_or(bare)
}

/// `2024-10-21`, and what is not yet general: `2025-04-01-preview`.
fn is_date(text: &str) -> bool {
    let date = text.strip_suffix("-preview").unwrap_or(text);
    date.len() == 10
        && date.bytes().enumerate().all(|(at, b)| if at == 4 || at == 7 { b == b'-' } else { b.is_ascii_digit() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_is_no_part_of_an_address() {
        for text in ["https://x.y", "https://x.y/", "https://x.y/openai", " https://x.y/openai/v1/"] {
            assert_eq!(trimmed(text), "https://x.y", "{text}");
        }
        assert_eq!(trimmed("https://x.y/proxy/openai"), "https://x.y/proxy");
    }

    #[test]
    fn a_version_is_a_date() {
        for (text, is) in [
            ("2024-10-21", true),
            ("2025-04-01-preview", true),
            ("2024-10", false),
            ("20241021", false),
            ("2024/10/21", false),
            ("latest", false),
            ("", false),
            ("2024-10-21&x=y", false),
        ] {
            assert_eq!(is_date(text), is, "{text}");
        }
    }
}
