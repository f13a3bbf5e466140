//! What works and will disappoint: a second look at a configuration that is not wrong.
//!
//! Owns each piece of advice with its place and its cure. Refuses to know files and requests, and never changes or
//! forbids anything. Pure; never holds a byte of a key.

use super::builtin::builtin;
use super::{BaseUrl, Chain, Config, Family, Key, Provider, Target};
use crate::policy::capability::Abilities;

/// What a piece of advice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// A fallback takes shorter prompts than the primary.
    SmallerWindow,
    /// A fallback is known to lack what the primary is known to have.
    MissingAbility,
    /// One key of one target: nothing to fail over to.
    OneSlot,
    /// Every target belongs to one provider.
    OneProvider,
    /// Every target answers at one address.
    OneEndpoint,
    /// A marketplace is asked before a vendor.
    MarketplaceFirst,
    /// One key under the names of two providers.
    SharedKey,
    /// A key stands in the configuration file itself.
    PlainTextKey,
    /// Everybody who reaches the gateway may use it.
    Anonymous,
    /// Nothing falls back to anything.
    NoChain,
}

impl Topic {
    /// The name for machines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SmallerWindow => "smaller_window",
            Self::MissingAbility => "missing_ability",
            Self::OneSlot => "one_slot",
            Self::OneProvider => "one_provider",
            Self::OneEndpoint => "one_endpoint",
            Self::MarketplaceFirst => "marketplace_first",
            Self::SharedKey => "shared_key",
            Self::PlainTextKey => "plain_text_key",
            Self::Anonymous => "anonymous",
            Self::NoChain => "no_chain",
        }
    }
}

/// One piece of advice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// What it is about.
    pub topic: Topic,
    /// Where: a chain and its level, a key, or a setting.
    pub place: String,
    /// What is so.
    pub what: String,
    /// What to do about it.
    pub cure: String,
}

/// Everything noteworthy, chains first, in the configuration's order.
#[must_use]
pub fn advice(config: &Config) -> Vec<Advice> {
    let mut found = Vec::new();
    if config.chains.is_empty() {
        found.push(Advice {
            topic: Topic::NoChain,
            place: "chains".to_owned(),
            what: "there is no chain: a model that fails has nothing to fall back to".to_owned(),
            cure: "add chains: { default: [\"provider/model\", \"another/model\"] }".to_owned(),
        });
    }
    for chain in &config.chains {
        found.extend(fallbacks(config, chain));
        found.extend(reach(config, chain));
        found.extend(marketplace(config, chain));
    }
    found.extend(shared_keys(config));
    found.extend(plain_text(config));
    found.extend(anonymous(config));
    found
}

/// What is known of a chain's target.
#[must_use]
pub fn abilities(config: &Config, target: &Target) -> Abilities {
    let known = config.models.abilities(provider(config, target).map_or("", |provider| &provider.name), &target.model);
    target.abilities.or(known)
}

/// The keys that a target is asked with, in the order written.
pub fn keys<'a>(provider: &'a Provider, target: &'a Target) -> impl Iterator<Item = &'a Key> {
    provider.keys.iter().filter(|key| !key.disabled && key.serves(&target.model))
}

fn provider<'a>(config: &'a Config, target: &Target) -> Option<&'a Provider> {
    config.providers.get(target.provider)
}

fn name(config: &Config, target: &Target) -> String {
    format!("{}/{}", provider(config, target).map_or("", |provider| &provider.name), target.model)
}

/// The level's number as people count.
fn place(chain: &Chain, index: usize) -> String {
    format!("chain {}, level {}", chain.pattern, index + 1)
}

/// The targets of a chain that can be asked, with their provider and its keys in use.
fn usable<'a>(config: &'a Config, chain: &'a Chain) -> Vec<(usize, &'a Target, &'a Provider, Vec<&'a Key>)> {
    let targets = chain.targets.iter().enumerate().filter_map(|(index, target)| {
        let provider = provider(config, target).filter(|provider| provider.unserved.is_none())?;
        let keys: Vec<_> = keys(provider, target).collect();
        (!keys.is_empty()).then_some((index, target, provider, keys))
    });
    targets.collect()
}

/// Fallbacks that can do less than the primary.
fn fallbacks(config: &Config, chain: &Chain) -> Vec<Advice> {
    let mut found = Vec::new();
    let Some(first) = chain.targets.first() else { return found };
    let (primary, best) = (name(config, first), abilities(config, first));
    for (index, target, ..) in usable(config, chain) {
        let (fallback, known) = (name(config, target), abilities(config, target));
        if let (Some(most), Some(less)) = (best.context_window, known.context_window)
            && less < most
        {
            found.push(Advice {
                topic: Topic::SmallerWindow,
                place: place(chain, index),
                what: format!(
                    "{fallback} takes {} tokens, the primary {primary} takes {}",
                    thousands(less),
                    thousands(most)
                ),
                cure: "longer prompts skip it: add a fallback with the primary's window, or correct `models`"
                    .to_owned(),
            });
        }
        let pairs = [
            ("tools", best.tools, known.tools),
            ("images", best.vision, known.vision),
            ("a JSON schema", best.json_schema, known.json_schema),
        ];
        let lacks = pairs.iter().filter(|(_, has, can)| *has == Some(true) && *can == Some(false));
        let lacks: Vec<_> = lacks.map(|(what, ..)| *what).collect();
        if !lacks.is_empty() {
            found.push(Advice {
                topic: Topic::MissingAbility,
                place: place(chain, index),
                what: format!("{fallback} does not take {}, the primary {primary} does", lacks.join(" and ")),
                cure: "such requests skip it: choose a model that can, or correct `models`".to_owned(),
            });
        }
    }
    found
}

/// How much of a chain one failure takes away.
fn reach(config: &Config, chain: &Chain) -> Option<Advice> {
    let usable = usable(config, chain);
    let place = format!("chain {}", chain.pattern);
    let (_, _, first, keys) = usable.first()?;
    if usable.len() == 1 && keys.len() == 1 {
        return Some(Advice {
            topic: Topic::OneSlot,
            place,
            what: format!(
                "one key ({}) of one target: there is nothing to fail over to",
                key_name(first, keys.first()?)
            ),
            cure: format!("add another key to `{}`, or better a target of another provider", first.name),
        });
    }
    if usable.iter().all(|(_, _, provider, _)| provider.name == first.name) {
        return Some(Advice {
            topic: Topic::OneProvider,
            place,
            what: format!("everything that can be asked is `{}`: its outage takes the whole chain", first.name),
            cure: "add a target of another provider".to_owned(),
        });
    }
    let mut endpoints: Vec<String> =
        usable.iter().flat_map(|(_, _, provider, keys)| keys.iter().map(|key| endpoint(url(provider, key)))).collect();
    endpoints.sort();
    endpoints.dedup();
    let [one] = &endpoints[..] else { return None };
    Some(Advice {
        topic: Topic::OneEndpoint,
        place,
        what: format!("every target answers at {one}: if that fails, all fail"),
        cure: "add a target at another address".to_owned(),
    })
}

/// A marketplace before a vendor.
fn marketplace(config: &Config, chain: &Chain) -> Option<Advice> {
    let usable = usable(config, chain);
    let is_marketplace = |provider: &Provider| provider.family == Family::OpenRouter;
    let (index, target, ..) = usable.iter().find(|(_, _, provider, _)| is_marketplace(provider))?;
    let (_, after, ..) = usable.iter().find(|(at, _, provider, _)| at > index && !is_marketplace(provider))?;
    Some(Advice {
        topic: Topic::MarketplaceFirst,
        place: place(chain, *index),
        what: format!("{} comes before {}: a router over the same vendors", name(config, target), name(config, after)),
        cure: "ask vendors directly first: move it to the end of the chain".to_owned(),
    })
}

/// One key under the names of two providers. The loader sees to two names within one.
fn shared_keys(config: &Config) -> Vec<Advice> {
    let keys = config.providers.iter().enumerate().flat_map(|(at, provider)| {
        provider.keys.iter().filter_map(move |key| {
            let secret = key.secret.as_ref()?;
            // Two names within one process: no salt is needed, and nothing is kept.
            Some((at, provider, key, url(provider, key).authority.host(), secret.fingerprint(&[])))
        })
    });
    let keys: Vec<_> = keys.collect();
    let mut found = Vec::new();
    for (place, (at, provider, key, host, print)) in keys.iter().enumerate() {
        let twin =
            keys.iter().take(place).find(|(other, .., there, same)| other != at && there == host && same == print);
        if let Some((_, first, twin, ..)) = twin {
            found.push(Advice {
                topic: Topic::SharedKey,
                place: key_name(provider, key),
                what: format!("the same key as {}: two names do not make two quotas", key_name(first, twin)),
                cure: "give it a key of its own, or leave one of the two out".to_owned(),
            });
        }
    }
    found
}

/// Keys that whoever reads the file can use.
fn plain_text(config: &Config) -> Vec<Advice> {
    let keys = config.providers.iter().flat_map(|provider| provider.keys.iter().map(move |key| (provider, key)));
    let exposed = keys.filter(|(_, key)| key.plain_text);
    exposed
        .map(|(provider, key)| {
            let variable = if key.aws.is_some() {
                "AWS_SECRET_ACCESS_KEY".to_owned()
            } else {
                builtin(&provider.name).map_or_else(
                    || format!("{}_API_KEY", provider.name.to_ascii_uppercase().replace(['-', '.'], "_")),
                    |known| known.key_variable.to_owned(),
                )
            };
            Advice {
                topic: Topic::PlainTextKey,
                place: key_name(provider, key),
                what: "the key stands in the configuration file itself".to_owned(),
                cure: format!(
                    "write \"${{{variable}}}\" there and set the variable, or \"file:PATH\" of a secret file"
                ),
            }
        })
        .collect()
}

fn anonymous(config: &Config) -> Option<Advice> {
    let server = &config.server;
    let open = server.client_keys.is_empty() && !server.listen.ip().to_canonical().is_loopback();
    open.then(|| Advice {
        topic: Topic::Anonymous,
        place: "server.client_keys".to_owned(),
        what: format!("everybody who reaches {} may use your keys: no client key is asked for", server.listen),
        cure: "add the line that `backstop hash-key --generate` prints".to_owned(),
    })
}

fn key_name(provider: &Provider, key: &Key) -> String {
    format!("{}@{}", provider.name, key.name)
}

const fn url<'a>(provider: &'a Provider, key: &'a Key) -> &'a BaseUrl {
    match &key.base_url {
        Some(url) => url,
        None => &provider.base_url,
    }
}

/// Scheme, host and port, as far as written.
fn endpoint(url: &BaseUrl) -> String {
    format!("{}://{}", url.scheme, url.authority)
}

/// `128000` as `128,000`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
#[path = "advice_tests.rs"]
mod tests;
