//! All wiring: a resolved configuration becomes a running gateway.
//!
//! Owns the order in which things are made; it and `app/slot.rs` are the only files that know everyone. Decides nothing.

mod slot;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use http::HeaderMap;
use tower::Layer;

use crate::config::{self, Config, Dialect, Family as Vendor, UnknownModel, Unserved};
use crate::dialect::openai_chat::request::ModelName;
use crate::failover::{Clock, FailoverLayer, SharedLedger};
use crate::policy::capability::Lack;
use crate::policy::chain::{Catalog, Chain, KeyEntry, Level, ProviderEntry};
use crate::policy::classify::{Override, Overrides};
use crate::policy::id::{EndpointId, KeyId, ProviderId, SlotId};
use crate::policy::ledger::{Ledger, SlotInfo};
use crate::policy::run::MAX_LEVELS;
use crate::server::headers::Ready;
use crate::server::keys::ClientKeys;
use crate::server::{ServeOptions, State};
use crate::stream::gate::GateLimits;
use crate::telemetry::names::SlotName;
use crate::telemetry::{Metrics, Names, Watch};
use crate::upstream::aws::Signer;
use crate::upstream::{Client, ClientSettings, Clients, Exchange, Route, Routes};

/// A gateway, ready to serve.
pub struct Gateway {
    /// What the front needs.
    pub state: Arc<State>,
    /// How it is served.
    pub options: ServeOptions,
}

/// Why a configuration that reads well cannot run.
#[derive(Debug)]
pub struct BuildError {
    /// The setting that is to blame: `upstream.ca_file`; empty if it is no single one.
    pub path: &'static str,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub hint: Option<&'static str>,
}

impl std::fmt::Display for BuildError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let colon = if self.path.is_empty() { "" } else { ": " };
        write!(f, "{}{colon}{}", self.path, self.what)?;
        self.hint.map_or(Ok(()), |hint| write!(f, "\n    hint: {hint}"))
    }
}

impl std::error::Error for BuildError {}

fn because(error: impl std::fmt::Display) -> BuildError {
    BuildError { path: "", what: error.to_string(), hint: None }
}

/// The client's error begins with the setting that is to blame, if one is.
fn because_of_client(error: impl std::fmt::Display) -> BuildError {
    let text = error.to_string();
    match text.strip_prefix("ca_file ") {
        Some(what) => {
            let hint = "name a file of PEM certificates that the gateway may read, or leave it out";
            BuildError { path: "upstream.ca_file", what: what.to_owned(), hint: Some(hint) }
        }
        None => because(text),
    }
}

/// Makes a gateway. Must be called where tokio's clock is the one that will serve.
///
/// # Errors
/// A chain with too many levels, an address that is none, or a certificate file that cannot be read.
pub fn build(config: &Config) -> Result<Gateway, BuildError> {
    let clock = Clock::start();
    let mut tables = Tables::new(config);
    for (index, provider) in config.providers.iter().enumerate() {
        tables.add_provider(index, provider)?;
    }
    for chain in &config.chains {
        tables.add_chain(chain)?;
    }
    let Tables { mut catalog, ledger, names, routes, .. } = tables;
    for (alias, model) in &config.aliases {
        catalog.add_alias(alias.clone(), model.clone());
    }
    let ledger = Arc::new(SharedLedger::new(ledger));
    let names = Arc::new(names);
    let routes = Arc::new(routes);
    let metrics = Arc::new(Metrics::new(&names).map_err(because)?);
    let watch = Arc::new(Watch::new(Arc::clone(&names), Arc::clone(&metrics)));
    let random = Arc::new(|| fastrand::u64(..));
    let upstream = &config.upstream;
    let limits = GateLimits {
        held_bytes: upstream.max_preamble,
        frame_bytes: upstream.max_frame,
        whole_bytes: upstream.max_answer,
    };
    let shared = Arc::clone(&ledger);
    let exchange = Exchange::new(Arc::clone(&routes), overrides(config), shared, clock, limits, upstream.silence);
    let layer = FailoverLayer::new(Arc::clone(&ledger), config.run, clock, watch, random);
    let server = &config.server;
    let state = State {
        catalog,
        failover: layer.layer(exchange.clone()),
        exchange,
        ledger,
        routes,
        ready: Ready::new(&names),
        names,
        metrics,
        clock,
        run: config.run,
        client_keys: ClientKeys::new(server.client_keys.clone()),
        max_body: server.max_body,
        body_timeout: server.body_timeout,
        litellm_headers: config.litellm_headers,
        log_requests: server.log.requests,
        id_seed: fastrand::u64(..),
        draining: AtomicBool::new(false),
    };
    let options =
        ServeOptions { header_timeout: server.header_timeout, max_headers: server.max_headers, drain: server.drain };
    Ok(Gateway { state: Arc::new(state), options })
}

/// The tables under construction.
struct Tables<'a> {
    config: &'a Config,
    catalog: Catalog,
    ledger: Ledger,
    names: Names,
    routes: Routes,
    endpoints: HashMap<String, EndpointId>,
    groups: HashMap<(usize, String), u32>,
    keys: Vec<Vec<KeyId>>,
    clients: Vec<Clients>,
    hosts: HashMap<(usize, String), Client>,
    levels: HashMap<(usize, String), Level>,
}

impl<'a> Tables<'a> {
    fn new(config: &'a Config) -> Self {
        Self {
            config,
            catalog: Catalog::new(config.unknown_model == UnknownModel::Default),
            ledger: Ledger::new(config.cooldown),
            names: Names::default(),
            routes: Routes::default(),
            endpoints: HashMap::new(),
            groups: HashMap::new(),
            keys: Vec::new(),
            clients: Vec::new(),
            hosts: HashMap::new(),
            levels: HashMap::new(),
        }
    }

    fn add_provider(&mut self, index: usize, provider: &config::Provider) -> Result<(), BuildError> {
        self.names.providers.push(provider.name.clone());
        let keys = provider.keys.iter().map(|key| {
            self.names.keys.push(format!("{}@{}", provider.name, key.name));
            self.ledger.add_key(key.disabled || provider.unserved.is_some())
        });
        let keys = keys.collect();
        self.keys.push(keys);
        let settings = ClientSettings {
            connect_timeout: provider.timeouts.connect.unwrap_or(self.config.upstream.connect_timeout),
            pool_idle_timeout: self.config.upstream.pool_idle_timeout,
            pool_max_idle: self.config.upstream.pool_max_idle,
            ca_file: self.config.upstream.ca_file.clone(),
            ..ClientSettings::default()
        };
        self.clients.push(Clients::new(&settings).map_err(because_of_client)?);
        let other = self.level(index, None)?;
        self.catalog.add_provider(ProviderEntry {
            name: provider.name.clone(),
            other,
            keys: provider.keys.iter().map(key_entry).collect(),
            allowed: provider.models.clone().unwrap_or_default(),
        });
        Ok(())
    }

    fn add_chain(&mut self, chain: &config::Chain) -> Result<(), BuildError> {
        if chain.targets.len() > MAX_LEVELS {
            return Err(because(format_args!(
                "chain `{}` has {} targets: {MAX_LEVELS} are the most",
                chain.pattern,
                chain.targets.len()
            )));
        }
        let mut levels = Vec::new();
        let mut targets = Vec::new();
        for target in &chain.targets {
            let mut level = self.level(target.provider, Some(&target.model))?;
            self.adjust(&mut level, target, &chain.timeouts);
            if let Some(order) = chain.key_order {
                level.order = order;
            }
            levels.push(level);
            targets.push(format!("{}/{}", self.config.providers[target.provider].name, target.model));
        }
        let made = Chain {
            name: Arc::from(chain.pattern.as_str()),
            levels,
            continue_on_content_filter: chain.continue_on_content_filter,
            equivalent: chain.equivalent,
            recovery: chain.stream_recovery,
            deadline: chain.deadline,
        };
        self.catalog.add_chain(made, &targets);
        Ok(())
    }

    /// The level of a model, with its lane and slots; without a model, of those that only clients name.
    fn level(&mut self, index: usize, model: Option<&str>) -> Result<Level, BuildError> {
        let name = model.unwrap_or("other");
        let known = (index, model.map_or_else(String::new, str::to_owned));
        if let Some(level) = self.levels.get(&known) {
            return Ok(level.clone());
        }
        let provider = &self.config.providers[index];
        let target = self.ledger.add_target();
        self.names.targets.push(format!("{}/{name}", provider.name));
        let mut slots = Vec::new();
        for (place, key) in provider.keys.iter().enumerate() {
            if model.is_none_or(|model| key.serves(model)) {
                slots.push(self.slot(index, place, target, model)?);
            }
        }
        let run = &self.config.run;
        let mut abilities = model.map(|model| self.config.models.abilities(&provider.name, model)).unwrap_or_default();
        abilities = slot::spoken(abilities, provider);
        let patience = if abilities.reasoning == Some(true) { run.first_content_reasoning } else { run.first_content };
        let unserved = provider.unserved.map(|why| match why {
            Unserved::Dialect => Lack::Dialect,
            Unserved::NoKey => Lack::NoKey,
            Unserved::Disabled => Lack::Disabled,
        });
        let level = Level {
            provider: ProviderId(number(index)),
            target,
            model: Arc::from(name),
            unserved: unserved.or(slots.is_empty().then_some(Lack::NoKeyForModel)),
            slots: Arc::from(slots),
            order: provider.key_order,
            abilities,
            connect: provider.timeouts.connect.unwrap_or(self.config.upstream.connect_timeout),
            first_content: provider.timeouts.first_content.unwrap_or(patience),
            response_timeout: provider.timeouts.response_timeout.unwrap_or(run.response_timeout),
            stall: provider.timeouts.stall.unwrap_or(run.stall),
        };
        self.levels.insert(known, level.clone());
        Ok(level)
    }

    /// What one chain says of a target, and of all its targets. Lanes and slots stay those of all chains.
    fn adjust(&self, level: &mut Level, target: &config::Target, chain: &config::Timeouts) {
        let (own, run) = (target.timeouts.or(chain), &self.config.run);
        let providers = self.config.providers[target.provider].timeouts.first_content;
        level.abilities = target.abilities.or(level.abilities);
        let patience = match target.abilities.reasoning {
            // Said of this very target, so that a provider's limit may only be longer.
            Some(true) => level.first_content.max(run.first_content_reasoning),
            Some(false) => providers.unwrap_or(run.first_content),
            None => level.first_content,
        };
        level.connect = own.connect.unwrap_or(level.connect);
        level.first_content = own.first_content.unwrap_or(patience);
        level.response_timeout = own.response_timeout.unwrap_or(level.response_timeout);
        level.stall = own.stall.unwrap_or(level.stall);
    }

    fn slot(
        &mut self,
        index: usize,
        place: usize,
        target: crate::policy::id::TargetId,
        model: Option<&str>,
    ) -> Result<SlotId, BuildError> {
        let provider = &self.config.providers[index];
        let key = &provider.keys[place];
        let base = key.base_url.as_ref().unwrap_or(&provider.base_url);
        let endpoint = self.endpoint(base);
        let next = number(self.groups.len());
        let group = key.quota_group.clone().map(|group| *self.groups.entry((index, group)).or_insert(next));
        let slot = self.ledger.add_slot(SlotInfo {
            target,
            key: self.keys[index][place],
            endpoint,
            quota_group: group,
            affinity: affinity(&provider.name, &key.name),
        });
        self.names.slots.push(SlotName::new(&provider.name, model.unwrap_or("other"), &key.name));
        let extra: HeaderMap = key.headers.iter().cloned().collect();
        let client = self.client(index, base)?;
        self.routes.push(Route {
            provider: ProviderId(number(index)),
            client,
            family: slot::family(provider.dialect, provider.family),
            dialect: provider.dialect,
            vendor: provider.family,
            is_plain: provider.dialect == Dialect::OpenAiChat && provider.family == Vendor::Other,
            addresses: Route::addresses(&slot::prefix(provider, base)).map_err(because)?,
            by_model: slot::by_model(provider, base),
            signer: key.aws.as_ref().map(|access| Signer::new(slot::aws(access), self.clients[index].clone())),
            headers: Route::headers(&base.authority, &slot::credential(provider, key), &extra),
            hidden: slot::hidden(key, &extra),
            model: model.map(ModelName::new),
        });
        Ok(slot)
    }

    /// One pool of connections per provider and host.
    fn client(&mut self, index: usize, base: &config::BaseUrl) -> Result<Client, BuildError> {
        let host = format!("{}://{}", base.scheme, base.authority);
        let uri = host.parse().map_err(because)?;
        let clients = &self.clients[index];
        Ok(self.hosts.entry((index, host)).or_insert_with(|| clients.to(uri)).clone())
    }

    fn endpoint(&mut self, base: &config::BaseUrl) -> EndpointId {
        let default = if base.scheme == http::uri::Scheme::HTTPS { 443 } else { 80 };
        let port = base.authority.port_u16().unwrap_or(default);
        let name = format!("{}://{}:{port}", base.scheme, base.authority.host());
        if let Some(endpoint) = self.endpoints.get(&name) {
            return *endpoint;
        }
        let endpoint = self.ledger.add_endpoint();
        self.names.endpoints.push(name.clone());
        self.endpoints.insert(name, endpoint);
        endpoint
    }
}

fn key_entry(key: &config::Key) -> KeyEntry {
    KeyEntry { name: key.name.clone(), allowed: key.models.clone().unwrap_or_default() }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// The same for the same names on every replica (FNV-1a, 64 bit).
fn affinity(provider: &str, key: &str) -> u64 {
    provider
        .bytes()
        .chain([b'@'])
        .chain(key.bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

fn overrides(config: &Config) -> Overrides {
    let place = |name: &str| config.providers.iter().position(|provider| provider.name == name);
    let rows = config.overrides.iter().map(|row| Override {
        family: None,
        provider: row.provider.as_deref().and_then(place).map(|index| ProviderId(number(index))),
        status: row.status,
        name: None,
        code: row.code.clone(),
        error_type: row.kind_of_error.clone(),
        text: row.contains.clone(),
        kind: row.kind,
    });
    Overrides { rows: rows.collect() }
}
