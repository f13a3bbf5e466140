//! Where credentials of AWS come from: keys at hand, or one of the places where AWS's own programs look.
//!
//! Owns which places each source means, and the words of what is not there. What is in a place is read by `aws-config`,
//! with the environment as an argument. Refuses to know how long credentials are kept.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};

use super::connect::Connections;
use crate::secret::Secret;

/// Where credentials come from.
#[derive(Debug, Clone)]
pub enum AwsSource {
    /// Keys at hand.
    Keys {
        /// Names the key.
        access_key_id: Secret,
        /// Signs.
        secret_access_key: Secret,
        /// Goes with keys that expire.
        session_token: Option<Secret>,
    },
    /// A profile of AWS's files (`~/.aws`); without a name, the one that `AWS_PROFILE` names, else `default`.
    Profile(Option<String>),
    /// The role of a container: ECS, EKS Pod Identity, or a web identity (EKS, others).
    Container,
    /// The role of the machine: IMDSv2.
    Instance,
    /// The first of all these that has any, in the order of AWS's own programs.
    Default,
}

/// One way to AWS.
#[derive(Clone)]
pub struct AwsAccess {
    /// Where credentials come from.
    pub source: AwsSource,
    /// The region that signatures name.
    pub region: String,
    /// The environment, as far as AWS's: `AWS_…` and `HOME`.
    pub variables: Arc<HashMap<String, String>>,
}

impl fmt::Debug for AwsAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Among the variables are secrets.
        f.debug_struct("AwsAccess").field("source", &self.source).field("region", &self.region).finish_non_exhaustive()
    }
}

/// What variables of roles of containers begin with, and those of web identities.
const CONTAINER: [&str; 6] = [
    "AWS_CONTAINER_",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_ENDPOINT_URL",
    "AWS_STS_",
];

/// What variables of the machine's own service begin with.
const INSTANCE: [&str; 1] = ["AWS_EC2_METADATA_"];

/// Keeps the machine's own service from being asked.
const NO_INSTANCE: (&str, &str) = ("AWS_EC2_METADATA_DISABLED", "true");

impl AwsAccess {
    /// Credentials that need no looking up.
    pub(super) fn at_hand(&self) -> Option<Credentials> {
        let AwsSource::Keys { access_key_id, secret_access_key, session_token } = &self.source else { return None };
        let token = session_token.as_ref().map(|token| token.expose().to_owned());
        Some(Credentials::new(access_key_id.expose(), secret_access_key.expose(), token, None, "configuration"))
    }

    /// Looks the credentials up: files are read again, and services are asked.
    ///
    /// # Errors
    /// Why there are none, in words.
    pub(super) async fn fetch(&self, connections: &Connections) -> Result<Credentials, String> {
        let found = match &self.source {
            AwsSource::Keys { .. } => self.at_hand().ok_or_else(|| "no keys".to_owned()),
            AwsSource::Default => {
                let variables = self.variables.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
                provided(self.loader(variables, connections).load().await).await
            }
            AwsSource::Container => provided(self.container(connections).await).await,
            AwsSource::Instance => provided(self.instance(connections).await).await,
            AwsSource::Profile(name) => self.profile(name.as_deref(), connections).await,
        };
        found.map_err(|why| format!("{}: {why}", self.source))
    }

    fn loader(&self, variables: HashMap<String, String>, connections: &Connections) -> ConfigLoader {
        aws_config::defaults(BehaviorVersion::latest())
            .env(variables.into())
            .region(Region::new(self.region.clone()))
            .http_client(connections.clone())
    }

    /// The variables that begin with one of these.
    fn only(&self, prefixes: &[&str]) -> HashMap<String, String> {
        let wanted = |name: &str| prefixes.iter().any(|prefix| name.starts_with(prefix));
        let variables = self.variables.iter().filter(|(name, _)| wanted(name));
        variables.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    async fn container(&self, connections: &Connections) -> SdkConfig {
        let mut variables = self.only(&CONTAINER);
        variables.extend([NO_INSTANCE].map(|(name, value)| (name.to_owned(), value.to_owned())));
        self.loader(variables, connections).profile_files(no_files()).load().await
    }

    async fn instance(&self, connections: &Connections) -> SdkConfig {
        self.loader(self.only(&INSTANCE), connections).profile_files(no_files()).load().await
    }

    /// A profile may be keys, a role to be assumed with another source, or a program to be run.
    async fn profile(&self, name: Option<&str>, connections: &Connections) -> Result<Credentials, String> {
        let variable = |name: &str| self.variables.get(name).filter(|value| !value.is_empty()).map(String::as_str);
        let name = name.or_else(|| variable("AWS_PROFILE")).unwrap_or("default");
        let mut files = EnvConfigFiles::builder();
        let mut any = false;
        for (kind, named, usual) in [
            (EnvConfigFileKind::Config, "AWS_CONFIG_FILE", ".aws/config"),
            (EnvConfigFileKind::Credentials, "AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
        ] {
            let home = variable("HOME").map(Path::new);
            let usual = home.map(|home| home.join(usual)).filter(|path| path.is_file());
            // One that is named has to be there.
            if let Some(path) = variable(named).map(|path| beneath(home, path)).or(usual) {
                files = files.with_file(kind, path);
                any = true;
            }
        }
        if !any {
            return Err(
                "there is neither ~/.aws/config nor ~/.aws/credentials, and no variable names another".to_owned()
            );
        }
        let settings = ProviderConfig::without_region()
            .with_region(Some(Region::new(self.region.clone())))
            .with_http_client(connections.clone());
        let mut builder = ProfileFileCredentialsProvider::builder()
            .configure(&settings)
            .profile_files(files.build())
            .profile_name(name);
        // What `credential_source` may name.
        let environment = [variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")];
        if let [Some(id), Some(secret)] = environment {
            let token = variable("AWS_SESSION_TOKEN").map(str::to_owned);
            builder =
                builder.with_custom_provider("Environment", Credentials::new(id, secret, token, None, "environment"));
        }
        for (name, config) in [
            ("EcsContainer", self.container(connections).await),
            ("Ec2InstanceMetadata", self.instance(connections).await),
        ] {
            if let Some(provider) = config.credentials_provider() {
                builder = builder.with_custom_provider(name, provider);
            }
        }
        provided_by(&SharedCredentialsProvider::new(builder.build())).await
    }
}

/// `~/x` is a file at home.
fn beneath(home: Option<&Path>, path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}

/// AWS's files, as if they were empty.
fn no_files() -> EnvConfigFiles {
    EnvConfigFiles::builder().with_contents(EnvConfigFileKind::Config, "").build()
}

async fn provided(config: SdkConfig) -> Result<Credentials, String> {
    match config.credentials_provider() {
        Some(provider) => provided_by(&provider).await,
        None => Err("nobody provides any".to_owned()),
    }
}

async fn provided_by(provider: &SharedCredentialsProvider) -> Result<Credentials, String> {
    provider.provide_credentials().await.map_err(|error| in_words(&error))
}

/// An error with its causes, in one line. None of AWS's own repeats a secret.
fn in_words(error: &dyn Error) -> String {
    const LONGEST: usize = 1_000;
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause.filter(|_| words.len() < LONGEST) {
        let more = next.to_string();
        // Some repeat their cause.
        if !words.contains(&more) {
            words.push_str(": ");
            words.push_str(&more);
        }
        cause = next.source();
    }
    let line: Vec<&str> = words.lines().map(str::trim).collect();
    line.join("; ").chars().take(LONGEST).collect()
}

impl fmt::Display for AwsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keys { .. } => f.write_str("access key"),
            Self::Profile(Some(name)) => write!(f, "profile {name} of AWS"),
            Self::Profile(None) => f.write_str("profile of AWS"),
            Self::Container => f.write_str("role of this container"),
            Self::Instance => f.write_str("role of this machine"),
            Self::Default => f.write_str("AWS's default chain"),
        }
    }
}
