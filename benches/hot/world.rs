//! A gateway's slots: the ledger, the chain over them, their names.
//!
//! Owns the numbers of keys and targets, and the one instant at which everything happens. Refuses to measure anything.

use std::sync::Arc;
use std::time::Duration;

use backstop::policy::capability::{Abilities, Needs};
use backstop::policy::chain::{Chain, KeyOrder, Level};
use backstop::policy::failure::{Failure, Kind};
use backstop::policy::id::{ProviderId, SlotId};
use backstop::policy::ledger::{Ask, Ledger, Outcome, SlotInfo};
use backstop::policy::recovery::Recovery;
use backstop::policy::run::{Plan, Run};
use backstop::policy::settings::{CooldownSettings, Jitter, RunSettings};
use backstop::policy::time::Instant;
use backstop::telemetry::Names;
use backstop::telemetry::names::SlotName;

/// How many slots a gateway has: one key, a small company's, the most that the design speaks of.
pub const SLOTS: [u32; 3] = [1, 20, 200];

/// When it happens: no lane remembers anything from before.
pub const NOW: Instant = Instant::from_millis(3_600_000);

/// The vendor throttles, and says for how long: the slot cools, and nothing else does.
pub const THROTTLED: Failure = Failure { hint: Some(Duration::from_secs(3)), ..Failure::new(Kind::RateLimit) };

/// Slots and everything about them.
pub struct World {
    /// Their lanes.
    pub ledger: Ledger,
    /// All of them: a level for each target.
    pub chain: Arc<Chain>,
    /// What they are called.
    pub names: Names,
}

impl World {
    /// So many slots: on one target if it is one, else on four (of few) or ten, each at a provider of its own.
    pub fn new(slots: u32, order: KeyOrder) -> Self {
        let targets = match slots {
            0..4 => 1,
            4..100 => 4,
            _ => 10,
        };
        let mut ledger = Ledger::new(CooldownSettings::default());
        let mut names = Names::default();
        let mut levels = Vec::new();
        for number in 0..targets {
            let (provider, model) = (format!("provider-{number}"), format!("some-model-{number}"));
            let (target, endpoint) = (ledger.add_target(), ledger.add_endpoint());
            let own: Vec<SlotId> = (0..slots / targets)
                .map(|place| {
                    let key = ledger.add_key(false);
                    let name = format!("key-{place}");
                    names.keys.push(format!("{provider}@{name}"));
                    names.slots.push(SlotName::new(&provider, &model, &name));
                    let affinity = u64::from(place) * 977 + 5;
                    ledger.add_slot(SlotInfo { target, key, endpoint, quota_group: None, affinity })
                })
                .collect();
            levels.push(Level {
                provider: ProviderId(number),
                target,
                model: Arc::from(model.as_str()),
                slots: own.into(),
                order,
                abilities: Abilities::default(),
                unserved: None,
                connect: Duration::from_secs(5),
                first_content: Duration::from_secs(60),
                response_timeout: Duration::from_secs(300),
                stall: Duration::from_secs(30),
            });
            names.targets.push(format!("{provider}/{model}"));
            names.endpoints.push(format!("https://api.{provider}.example:443"));
            names.providers.push(provider);
        }
        Self { ledger, chain: Arc::new(Chain::new("default", levels)), names }
    }

    /// The first so many slots cool.
    #[must_use]
    pub fn cooling(mut self, first: u32) -> Self {
        for slot in (0..first).map(SlotId) {
            let permit = self.ledger.admit(slot, Ask::default(), NOW).expect("it is usable");
            let settled = self.ledger.close(permit, Outcome::Failed(&THROTTLED), Jitter::NONE, NOW);
            assert_eq!(settled.changes.len(), 1, "the slot cools");
        }
        self
    }

    /// What a streamed chat asks of it.
    pub fn plan(&self) -> Plan {
        Plan {
            chain: Arc::clone(&self.chain),
            start: 0,
            key: None,
            session: Some(17),
            needs: Needs { context_tokens: 128, max_output_tokens: Some(1_024), ..Needs::default() },
            stream: true,
            recovery: Recovery::Error,
            same_model: false,
            deadline: NOW + RunSettings::default().deadline,
        }
    }
}

/// Makes runs of requests that have tried nothing yet.
pub fn runs(plan: Plan) -> impl Fn() -> Run + Sync {
    let settings = Arc::new(RunSettings::default());
    move || Run::new(plan.clone(), Arc::clone(&settings))
}
