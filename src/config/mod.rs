//! What the operator wants: read from file and environment, checked whole, and resolved into one [`Config`].
//!
//! Owns the resolved types, in which bad states cannot be written, and [`load`]. Refuses to know sockets, slots and
//! lanes: `app` turns a `Config` into those. Raw files become `raw` structs first; all problems are reported together.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::uri::{Authority, Scheme};

use crate::policy::capability::Apis;
use crate::policy::failure::Kind;
use crate::policy::recovery::Recovery;
use crate::policy::settings::{CooldownSettings, RunSettings};

mod address;
pub mod advice;
mod aws;
mod azure;
pub mod builtin;
mod chains;
mod credential;
mod cures;
pub mod defaults;
mod discovery;
mod environment;
mod file;
mod formats;
mod keys;
mod mistyped;
pub mod models;
mod numbers;
mod openclaw;
mod problem;
mod providers;
mod quantity;
mod raw;
mod resolve;
mod shapes;
mod source;
mod target;
mod variables;

pub use crate::policy::chain::KeyOrder;
pub use crate::secret::Secret;
pub use aws::{AwsAccess, AwsKeys, AwsSource, AwsVariables};
pub use azure::AzureVersion;
pub use builtin::{Dialect, Family};
pub use keys::Key;
pub use models::ModelTable;
pub use problem::{ConfigError, Problem};
pub use target::{Target, Timeouts};

/// The whole resolved configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The side that clients see.
    pub server: Server,
    /// The transport to the vendors.
    pub upstream: Upstream,
    /// In file order; [`Target::provider`] points here.
    pub providers: Vec<Provider>,
    /// In file order.
    pub chains: Vec<Chain>,
    /// Name, and the chain or `provider/model` it stands for; in file order.
    pub aliases: Vec<(String, String)>,
    /// What models can do.
    pub models: ModelTable,
    /// The numbers of the ledger.
    pub cooldown: CooldownSettings,
    /// The numbers of a run.
    pub run: RunSettings,
    /// Rows that come before the built-in classifier table, in file order.
    pub overrides: Vec<ClassifyRow>,
    /// What becomes of a model that nothing names.
    pub unknown_model: UnknownModel,
    /// Whether `x-litellm-…` headers are sent as aliases.
    pub litellm_headers: bool,
    /// What is noteworthy and not wrong. Never holds a secret.
    pub warnings: Vec<String>,
}

/// The side that clients see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Who may ask; with none, everyone who reaches the address.
    pub client_keys: Vec<ClientKey>,
    /// Whether an address beyond loopback is served without client keys.
    pub allow_anonymous: bool,
    /// The longest request body, in bytes.
    pub max_body: usize,
    /// A request body must be whole within this.
    pub body_timeout: Duration,
    /// A request's head must be whole within this.
    pub header_timeout: Duration,
    /// The most header fields in a request.
    pub max_headers: usize,
    /// How long open answers may go on after a shutdown began.
    pub drain: Duration,
    /// Worker threads; `None` is one for each core.
    pub workers: Option<usize>,
    /// What is logged.
    pub log: LogSettings,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            client_keys: Vec::new(),
            allow_anonymous: false,
            max_body: 32 << 20,
            body_timeout: Duration::from_secs(60),
            header_timeout: Duration::from_secs(30),
            max_headers: 100,
            drain: Duration::from_secs(30),
            workers: None,
            log: LogSettings::default(),
        }
    }
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// Text for people or JSON for machines.
    pub format: LogFormat,
    /// A level or a `tracing-subscriber` filter, already known to parse.
    pub level: String,
    /// Whether each request is a line; failovers always are.
    pub requests: bool,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".to_owned(), requests: false }
    }
}

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// One client's key, as the hash it is compared by.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientKey {
    /// The name in logs.
    pub name: String,
    /// SHA-256 of the key.
    pub sha256: [u8; 32],
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A short key could be guessed from its hash.
        out.debug_struct("ClientKey").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The transport to the vendors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// DNS, TCP and TLS together.
    pub connect_timeout: Duration,
    /// An unused connection is closed after this.
    pub pool_idle_timeout: Duration,
    /// So many unused connections are kept for each host of a provider.
    pub pool_max_idle: usize,
    /// Certificates (PEM) that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// An upstream that was silent for this long and then hung up has timed out; before, it broke.
    pub silence: Duration,
    /// The most that is held of a stream before its first content, in bytes; more commits.
    pub max_preamble: usize,
    /// The longest frame of a stream that is read, in bytes; a longer one passes unread.
    pub max_frame: usize,
    /// The longest non-streaming answer that is read whole before it is passed on, in bytes; a longer one passes unread.
    pub max_answer: usize,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            pool_idle_timeout: Duration::from_secs(90),
            pool_max_idle: 128,
            ca_file: None,
            silence: Duration::from_secs(5),
            max_preamble: 256 << 10,
            max_frame: 16 << 20,
            max_answer: 16 << 20,
        }
    }
}

/// A vendor account space.
#[derive(Debug, Clone)]
pub struct Provider {
    /// The name before the `/` of a target.
    pub name: String,
    /// What it speaks.
    pub dialect: Dialect,
    /// Whose errors it sends.
    pub family: Family,
    /// How its paths are made, if they are Azure's: below `base_url` without `/openai`.
    pub azure: Option<AzureVersion>,
    /// Where it answers, unless a key says otherwise.
    pub base_url: BaseUrl,
    /// In the order written; never empty.
    pub keys: Vec<Key>,
    /// In which order keys are tried.
    pub key_order: KeyOrder,
    /// Why none of its targets can be asked, if so.
    pub unserved: Option<Unserved>,
    /// The only models it may be asked for, each a name or a pattern with `*`; `None` allows all.
    pub models: Option<Vec<String>>,
    /// What of the API it speaks.
    pub endpoints: Apis,
    /// Limits of its own.
    pub timeouts: Timeouts,
}

/// Why a provider's targets are skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unserved {
    /// This build does not speak its dialect, or nobody knows where it answers.
    Dialect,
    /// The variables of all its keys are unset.
    NoKey,
    /// It, or each of its keys, is switched off.
    Disabled,
}

impl Unserved {
    /// The word in the trail.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dialect => "dialect_not_served",
            Self::NoKey => "no_key",
            Self::Disabled => "disabled",
        }
    }
}

/// An http(s) address that paths are appended to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// Host and port, without user information.
    pub authority: Authority,
    /// The path in front of every request's path: empty, or `/…` without a slash at its end.
    pub prefix: String,
}

/// An ordered list of targets under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// A name, or a wildcard with `*`.
    pub pattern: String,
    /// The first is preferred; never empty, none stands twice.
    pub targets: Vec<Target>,
    /// Whether a vendor's content refusal goes on to the next target.
    pub continue_on_content_filter: bool,
    /// Whether its targets give the same embeddings.
    pub equivalent: bool,
    /// Replaces the providers' key order.
    pub key_order: Option<KeyOrder>,
    /// What becomes of a stream that breaks after its first content.
    pub stream_recovery: Option<Recovery>,
    /// A request must have ended within this.
    pub deadline: Option<Duration>,
    /// Limits that replace the providers' and the general ones; its targets' own come before them.
    pub timeouts: Timeouts,
}

/// A row the operator puts before the classifier's table. A field that is `None` matches everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassifyRow {
    /// The provider's name.
    pub provider: Option<String>,
    /// The HTTP status.
    pub status: Option<u16>,
    /// The vendor's code.
    pub code: Option<String>,
    /// The vendor's type.
    pub kind_of_error: Option<String>,
    /// A part of the error's text.
    pub contains: Option<String>,
    /// What it is.
    pub kind: Kind,
}

impl Chain {
    /// A chain with every setting at its default.
    const fn new(pattern: String, targets: Vec<Target>) -> Self {
        Self {
            pattern,
            targets,
            continue_on_content_filter: false,
            equivalent: false,
            key_order: None,
            stream_recovery: None,
            deadline: None,
            timeouts: Timeouts::NONE,
        }
    }
}

/// What becomes of a model that no chain, alias or target names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownModel {
    /// 404 with the nearest names.
    #[default]
    Refuse,
    /// The chain `default`, which then exists.
    Default,
}

/// Loads the file at `path`, with `BACKSTOP_…` variables over it. Without a path the variable `BACKSTOP_CONFIG` names
/// it; without either, the keys in the environment are the configuration.
///
/// The extension says the format: JSON5 (`.json5`, `.json`), YAML (`.yaml`, `.yml`) or TOML (`.toml`); what is no
/// regular file, such as a pipe, may do without and is JSON5 then. `env` is the environment; a later entry of the same name wins, so a command line's choice can be appended as
/// `BACKSTOP_SERVER__LISTEN`.
///
/// # Errors
/// Every problem found, together.
pub fn load(path: Option<&Path>, env: impl IntoIterator<Item = (String, String)>) -> Result<Config, ConfigError> {
    let variables: variables::Variables = env.into_iter().collect();
    let named = environment::config_file(&variables).map(PathBuf::from);
    let Some(path) = path.map(Path::to_owned).or(named) else {
        return resolve(None, &variables);
    };
    let name = path.display().to_string();
    // A pipe has no extension.
    let text = if formats::Format::of(&name).is_none() && path.is_file() {
        Err(file::Unusable {
            what: "the file's extension does not say how it is written".to_owned(),
            hint: Some(format!("known: {}", formats::Format::EXTENSIONS)),
            line: None,
        })
    } else {
        file::configuration(&path)
    };
    match text {
        Ok(text) => resolve(Some((&name, &text)), &variables),
        Err(file::Unusable { what, hint, line }) => {
            Err(ConfigError { problems: vec![Problem { path: String::new(), source: name, line, what, hint }] })
        }
    }
}

/// The same as [`load`] for a text at hand: its name, whose extension says the format (JSON5 if it says none), and what
/// it says.
///
/// # Errors
/// Every problem found, together.
pub fn load_text(
    file: Option<(&str, &str)>,
    env: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    resolve(file, &env.into_iter().collect())
}

/// Resolves the whole. Problems come in the order of the file's lines, and then those that no line is to blame for.
fn resolve(file: Option<(&str, &str)>, variables: &variables::Variables) -> Result<Config, ConfigError> {
    resolve::resolve(source::Merged::read(file, variables)).map_err(|mut error| {
        error.problems.sort_by_key(|problem| (problem.line.is_none(), problem.line));
        error
    })
}
