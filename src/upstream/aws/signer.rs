//! Credentials that are valid now: kept, and got again before they expire.
//!
//! Owns when credentials are looked up: at first use, five minutes before they expire, and after they were refused. One
//! task at most does it, and no request waits for it while the old ones are valid. Refuses to know where they come from
//! (`source`).

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use tokio::sync::watch;

use super::connect::Connections;
use super::source::AwsAccess;
use crate::clock;
use crate::upstream::client::Clients;

/// Credentials are got again so long before they expire.
const AHEAD: Duration = Duration::from_secs(5 * 60);

/// One looking up may take this long.
const LIMIT: Duration = Duration::from_secs(5);

/// Between two lookings up ahead of time, be it that the first one failed or that what it brought expires soon, too.
const PACE: Duration = Duration::from_secs(30);

/// Why there are no credentials: words for the log, without a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoCredentials(String);

impl fmt::Display for NoCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no AWS credentials: {}", self.0)
    }
}

impl std::error::Error for NoCredentials {}

type Found = Result<Credentials, NoCredentials>;

/// Gives the credentials of one way to AWS. Clones share them.
#[derive(Clone)]
pub struct Signer(Arc<Inner>);

struct Inner {
    access: AwsAccess,
    connections: Connections,
    /// Those that never change.
    at_hand: Option<Credentials>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    credentials: Option<Credentials>,
    /// A looking up under way, and what will come of it.
    flight: Option<watch::Receiver<Option<Found>>>,
    /// When the last one ended.
    landed: Option<SystemTime>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signer").field(&self.0.access).finish()
    }
}

impl Signer {
    /// Looks nothing up yet. `clients` make the connections by which that is done.
    #[must_use]
    pub fn new(access: AwsAccess, clients: Clients) -> Self {
        let at_hand = access.at_hand();
        Self(Arc::new(Inner { access, connections: Connections(clients), at_hand, held: Mutex::default() }))
    }

    /// The region that signatures name.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.0.access.region
    }

    /// Credentials that are valid now. Waits only if there are none, and then for a few seconds at most.
    ///
    /// # Errors
    /// There are none, or nobody answered in time.
    pub async fn credentials(&self) -> Result<Credentials, NoCredentials> {
        if let Some(fixed) = &self.0.at_hand {
            return Ok(fixed.clone());
        }
        let mut flight = {
            let now = clock::wall();
            let mut held = self.0.lock();
            match held.credentials.as_ref().filter(|known| left(known, now) > Duration::ZERO).cloned() {
                Some(known) => {
                    if left(&known, now) < AHEAD && held.is_rested(now) {
                        self.fly(&mut held);
                    }
                    return Ok(known);
                }
                None => self.fly(&mut held),
            }
        };
        match flight.wait_for(Option::is_some).await {
            Ok(found) => found.clone().unwrap_or_else(|| Err(gone())),
            Err(_closed) => Err(gone()),
        }
    }

    /// Says that the vendor refused these, as expired: they are looked up again. Others than those that are held now were
    /// replaced already.
    pub fn refuse(&self, refused: &Credentials) {
        let mut held = self.0.lock();
        let same = |known: &Credentials| {
            known.access_key_id() == refused.access_key_id() && known.session_token() == refused.session_token()
        };
        if held.credentials.as_ref().is_some_and(same) {
            held.credentials = None;
        }
    }

    /// Joins the looking up that is under way, or begins one. It is a task of its own: a request that goes away does not
    /// end it.
    fn fly(&self, held: &mut Held) -> watch::Receiver<Option<Found>> {
        // One whose task is gone will never land.
        if let Some(flight) = held.flight.as_ref().filter(|flight| flight.has_changed().is_ok()) {
            return flight.clone();
        }
        let (land, flight) = watch::channel(None);
        held.flight = Some(flight.clone());
        let signer = self.clone();
        tokio::spawn(async move {
            let found = signer.0.fetch().await;
            signer.0.landed(&found);
            land.send_replace(Some(found));
        });
        flight
    }
}

fn gone() -> NoCredentials {
    NoCredentials("the looking up was ended".to_owned())
}

/// How long credentials are still valid.
fn left(credentials: &Credentials, now: SystemTime) -> Duration {
    credentials.expiry().map_or(Duration::MAX, |end| end.duration_since(now).unwrap_or_default())
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self) -> Found {
        match tokio::time::timeout(LIMIT, self.access.fetch(&self.connections)).await {
            Ok(found) => found.map_err(NoCredentials),
            Err(_elapsed) => {
                let source = &self.access.source;
                Err(NoCredentials(format!("{source}: no answer within {} s", LIMIT.as_secs())))
            }
        }
    }

    fn landed(&self, found: &Found) {
        let now = clock::wall();
        let mut held = self.lock();
        held.flight = None;
        held.landed = Some(now);
        match found {
            Ok(credentials) => held.credentials = Some(credentials.clone()),
            Err(why) if held.credentials.as_ref().is_some_and(|known| left(known, now) > Duration::ZERO) => {
                tracing::warn!(%why, "credentials of AWS were not renewed; the old ones are used while they last");
            }
            Err(why) => tracing::warn!(%why, "no credentials of AWS"),
        }
    }
}

impl Held {
    fn is_rested(&self, now: SystemTime) -> bool {
        self.landed.is_none_or(|landed| now.duration_since(landed).unwrap_or(PACE) >= PACE)
    }
}

#[cfg(test)]
#[path = "signer_tests.rs"]
mod tests;
