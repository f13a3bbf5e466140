//! What `check` shows of a configuration, for people and machines alike.
//!
//! Owns which parts are shown and under which names. No secret can get here: keys are names, and an address is shown
//! without what could be a key in it.

use std::time::Duration;

use serde::Serialize;

use crate::config::{BaseUrl, Chain, Config, Key, KeyOrder, Provider, Target, UnknownModel, advice};
use crate::policy::capability::Api;
use crate::policy::failure::{Kind, Scope};

/// A configuration that can be served.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) ok: bool,
    pub(super) listen: String,
    /// Names.
    pub(super) client_keys: Vec<String>,
    pub(super) chains: Vec<ChainRow>,
    pub(super) aliases: Vec<AliasRow>,
    pub(super) unknown_model: &'static str,
    pub(super) providers: Vec<ProviderRow>,
    pub(super) cooldowns: Vec<CooldownRow>,
    pub(super) cooldown_rules: CooldownRules,
    pub(super) run: RunLimits,
    pub(super) warnings: Vec<Warning>,
}

#[derive(Serialize)]
pub(super) struct ChainRow {
    pub(super) name: String,
    pub(super) levels: Vec<LevelRow>,
    pub(super) continue_on_content_filter: bool,
    pub(super) equivalent: bool,
}

#[derive(Serialize)]
pub(super) struct LevelRow {
    pub(super) level: usize,
    pub(super) target: String,
    /// In the order they are tried, without disabled ones.
    pub(super) keys: Vec<String>,
    pub(super) key_order: &'static str,
    /// Why it is never asked, if so.
    pub(super) skipped: Option<&'static str>,
    pub(super) context_window: Option<u64>,
    pub(super) max_output: Option<u64>,
    pub(super) vision: Option<bool>,
    pub(super) tools: Option<bool>,
    pub(super) json_schema: Option<bool>,
    pub(super) reasoning: Option<bool>,
}

#[derive(Serialize)]
pub(super) struct AliasRow {
    pub(super) name: String,
    pub(super) stands_for: String,
}

#[derive(Serialize)]
pub(super) struct ProviderRow {
    pub(super) name: String,
    pub(super) dialect: &'static str,
    /// The version in its paths, at Azure.
    pub(super) api_version: Option<String>,
    pub(super) address: String,
    pub(super) keys: Vec<KeyRow>,
    /// The only parts of the API that it speaks; `None` is all.
    pub(super) endpoints: Option<Vec<&'static str>>,
    /// Why none of its targets can be asked, if so.
    pub(super) skipped: Option<&'static str>,
}

#[derive(Serialize)]
pub(super) struct KeyRow {
    pub(super) name: String,
    /// Whether a credential is sent, or signs.
    pub(super) authorized: bool,
    /// Its kind; never the credential.
    pub(super) credential: &'static str,
    /// The profile of AWS's files, if one is named.
    pub(super) aws_profile: Option<String>,
    /// Where its signatures are good.
    pub(super) region: Option<String>,
    pub(super) disabled: bool,
    pub(super) quota_group: Option<String>,
    /// Where it is used instead of the provider's address.
    pub(super) address: Option<String>,
}

#[derive(Serialize)]
pub(super) struct CooldownRow {
    pub(super) kind: &'static str,
    pub(super) cools: &'static str,
    #[serde(rename = "first_ms", serialize_with = "millis")]
    pub(super) first: Duration,
    pub(super) factor: u32,
    #[serde(rename = "cap_ms", serialize_with = "millis")]
    pub(super) cap: Duration,
}

#[derive(Serialize)]
pub(super) struct CooldownRules {
    #[serde(rename = "hint_min_ms", serialize_with = "millis")]
    pub(super) hint_min: Duration,
    #[serde(rename = "hint_max_ms", serialize_with = "millis")]
    pub(super) hint_max: Duration,
    #[serde(rename = "hint_probe_every_ms", serialize_with = "millis")]
    pub(super) hint_probe_every: Duration,
    #[serde(rename = "key_probe_every_ms", serialize_with = "millis")]
    pub(super) key_probe_every: Duration,
    pub(super) target_keys: u32,
    #[serde(rename = "target_window_ms", serialize_with = "millis")]
    pub(super) target_window: Duration,
    pub(super) endpoint_failures: u32,
    #[serde(rename = "endpoint_window_ms", serialize_with = "millis")]
    pub(super) endpoint_window: Duration,
}

#[derive(Serialize)]
pub(super) struct RunLimits {
    pub(super) max_attempts: u32,
    pub(super) max_attempts_per_target: u32,
    #[serde(rename = "deadline_ms", serialize_with = "millis")]
    pub(super) deadline: Duration,
    #[serde(rename = "max_wait_ms", serialize_with = "millis")]
    pub(super) max_wait: Duration,
    #[serde(rename = "same_target_wait_ms", serialize_with = "millis")]
    pub(super) same_target_wait: Duration,
    #[serde(rename = "first_content_ms", serialize_with = "millis")]
    pub(super) first_content: Duration,
    #[serde(rename = "first_content_reasoning_ms", serialize_with = "millis")]
    pub(super) first_content_reasoning: Duration,
    #[serde(rename = "response_timeout_ms", serialize_with = "millis")]
    pub(super) response_timeout: Duration,
    #[serde(rename = "stall_ms", serialize_with = "millis")]
    pub(super) stall: Duration,
}

#[derive(Serialize)]
pub(super) struct Warning {
    pub(super) topic: &'static str,
    /// Empty where the loader names none.
    pub(super) place: String,
    pub(super) what: String,
    pub(super) cure: Option<String>,
}

fn millis<S: serde::Serializer>(period: &Duration, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_u64(u64::try_from(period.as_millis()).unwrap_or(u64::MAX))
}

impl Report {
    /// What there is to say.
    pub(super) fn of(config: &Config) -> Self {
        let server = &config.server;
        let aliases = config.aliases.iter();
        Self {
            ok: true,
            listen: server.listen.to_string(),
            client_keys: server.client_keys.iter().map(|key| key.name.clone()).collect(),
            chains: config.chains.iter().map(|chain| chain_row(config, chain)).collect(),
            aliases: aliases
                .map(|(name, meaning)| AliasRow { name: name.clone(), stands_for: meaning.clone() })
                .collect(),
            unknown_model: match config.unknown_model {
                UnknownModel::Refuse => "refuse",
                UnknownModel::Default => "default",
            },
            providers: config.providers.iter().map(provider_row).collect(),
            cooldowns: cooldowns(config),
            cooldown_rules: rules(config),
            run: limits(config),
            warnings: warnings(config),
        }
    }

    /// Targets times keys that can be asked.
    pub(super) fn slots(&self) -> usize {
        let levels = self.chains.iter().flat_map(|chain| &chain.levels).filter(|level| level.skipped.is_none());
        let mut slots: Vec<_> =
            levels.flat_map(|level| level.keys.iter().map(|key| (level.target.as_str(), key.as_str()))).collect();
        slots.sort_unstable();
        slots.dedup();
        slots.len()
    }
}

fn chain_row(config: &Config, chain: &Chain) -> ChainRow {
    let levels = chain.targets.iter().enumerate();
    let levels = levels.filter_map(|(index, target)| {
        let provider = config.providers.get(target.provider)?;
        let order = chain.key_order.unwrap_or(provider.key_order);
        Some(level_row(config, index, target, provider, order))
    });
    ChainRow {
        name: chain.pattern.clone(),
        levels: levels.collect(),
        continue_on_content_filter: chain.continue_on_content_filter,
        equivalent: chain.equivalent,
    }
}

fn level_row(config: &Config, index: usize, target: &Target, provider: &Provider, order: KeyOrder) -> LevelRow {
    let known = advice::abilities(config, target);
    let keys: Vec<String> = advice::keys(provider, target).map(|key| key.name.clone()).collect();
    let none = keys.is_empty().then_some("no_key_in_use");
    LevelRow {
        level: index + 1,
        target: format!("{}/{}", provider.name, target.model),
        keys,
        key_order: order.name(),
        skipped: provider.unserved.map(crate::config::Unserved::name).or(none),
        context_window: known.context_window,
        max_output: known.max_output,
        vision: known.vision,
        tools: known.tools,
        json_schema: known.json_schema,
        reasoning: known.reasoning,
    }
}

fn provider_row(provider: &Provider) -> ProviderRow {
    let key = |key: &Key| KeyRow {
        name: key.name.clone(),
        authorized: key.secret.is_some() || key.aws.is_some(),
        credential: key.credential(),
        aws_profile: key.aws.as_ref().and_then(|aws| aws.source.profile()).map(str::to_owned),
        region: key.aws.as_ref().map(|aws| aws.region.clone()),
        disabled: key.disabled,
        quota_group: key.quota_group.clone(),
        address: key.base_url.as_ref().map(|url| address(url, provider)),
    };
    ProviderRow {
        name: provider.name.clone(),
        dialect: provider.dialect.name(),
        api_version: provider.azure.as_ref().map(|version| version.name().to_owned()),
        address: address(&provider.base_url, provider),
        keys: provider.keys.iter().map(key).collect(),
        endpoints: endpoints(provider),
        skipped: provider.unserved.map(crate::config::Unserved::name),
    }
}

fn endpoints(provider: &Provider) -> Option<Vec<&'static str>> {
    let spoken: Vec<_> = Api::ALL.into_iter().filter(|api| provider.endpoints.has(*api)).map(Api::name).collect();
    (spoken.len() < Api::ALL.len()).then_some(spoken)
}

/// An address without what could be a key: people put keys into paths.
fn address(url: &BaseUrl, provider: &Provider) -> String {
    let secret = |segment: &str| {
        let known = provider.keys.iter().filter_map(|key| key.secret.as_ref());
        segment.len() > 20 || segment.starts_with("sk-") || known.into_iter().any(|key| segment.contains(key.expose()))
    };
    let path = url.prefix.split('/').map(|segment| if secret(segment) { "[hidden]" } else { segment });
    format!("{}://{}{}", url.scheme, url.authority, path.collect::<Vec<_>>().join("/"))
}

fn cooldowns(config: &Config) -> Vec<CooldownRow> {
    let kinds = Kind::ALL.into_iter();
    let rows = kinds.filter_map(|kind| {
        let ladder = config.cooldown.ladders.of(kind)?;
        let cools = match kind.scope() {
            Scope::Key => "key",
            Scope::Slot => "slot",
            Scope::Endpoint => "endpoint",
            Scope::Nothing => return None,
        };
        Some(CooldownRow { kind: kind.name(), cools, first: ladder.first, factor: ladder.factor, cap: ladder.cap })
    });
    rows.collect()
}

const fn rules(config: &Config) -> CooldownRules {
    let cooldown = &config.cooldown;
    CooldownRules {
        hint_min: cooldown.hint_min,
        hint_max: cooldown.hint_max,
        hint_probe_every: cooldown.hint_probe_every,
        key_probe_every: cooldown.key_probe_every,
        target_keys: cooldown.target_keys,
        target_window: cooldown.target_window,
        endpoint_failures: cooldown.endpoint_failures,
        endpoint_window: cooldown.endpoint_window,
    }
}

const fn limits(config: &Config) -> RunLimits {
    let run = &config.run;
    RunLimits {
        max_attempts: run.max_attempts,
        max_attempts_per_target: run.max_attempts_per_target,
        deadline: run.deadline,
        max_wait: run.max_wait,
        same_target_wait: run.same_target_wait,
        first_content: run.first_content,
        first_content_reasoning: run.first_content_reasoning,
        response_timeout: run.response_timeout,
        stall: run.stall,
    }
}

/// The loader's warnings, then the advice.
fn warnings(config: &Config) -> Vec<Warning> {
    let loaded = config.warnings.iter().map(|text| {
        // They begin with a place, which holds no space, or are a sentence.
        let (place, what) = text.split_once(": ").filter(|(place, _)| !place.contains(' ')).unwrap_or(("", text));
        Warning { topic: "configuration", place: place.to_owned(), what: what.to_owned(), cure: None }
    });
    let advised = advice::advice(config).into_iter().map(|advice| Warning {
        topic: advice.topic.name(),
        place: advice.place,
        what: advice.what,
        cure: Some(advice.cure),
    });
    loaded.chain(advised).collect()
}
