//! Every number of the failover contract, with its default.
//!
//! Owns the numbers that decide. Refuses to know where a setting was written; transport numbers
//! (connect, body limits) live with the transport.

use std::time::Duration;

use super::failure::Kind;
use super::recovery::Recovery;

/// A progressive cooldown: `first × factor^step`, jittered, then capped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ladder {
    /// The first cooldown.
    pub first: Duration,
    /// What each further step multiplies it by.
    pub factor: u32,
    /// The longest cooldown, applied after jitter.
    pub cap: Duration,
}

impl Ladder {
    /// A ladder in seconds.
    #[must_use]
    pub const fn secs(first: u64, factor: u32, cap: u64) -> Self {
        Self { first: Duration::from_secs(first), factor, cap: Duration::from_secs(cap) }
    }

    /// The cooldown of `step` (0 is the first), scaled by `1 + jitter` and then capped.
    #[must_use]
    pub fn cooldown(&self, step: u32, jitter: Jitter) -> Duration {
        let raw = self.first.saturating_mul(self.factor.saturating_pow(step));
        jitter.apply(raw).min(self.cap)
    }
}

/// A jitter in thousandths, −100 to +100: ±10 % (contract section 2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Jitter(i16);

impl Jitter {
    /// No jitter.
    pub const NONE: Self = Self(0);

    /// From thousandths; clamped to ±100.
    #[must_use]
    pub fn from_permille(permille: i16) -> Self {
        Self(permille.clamp(-100, 100))
    }

    /// From any random number, evenly over ±10 %.
    #[must_use]
    pub fn from_random(random: u64) -> Self {
        Self(i16::try_from(random % 201).unwrap_or(100) - 100)
    }

    /// The same jitter within ± `percent` instead of ±10 %.
    #[must_use]
    pub fn within(self, percent: u32) -> Self {
        let percent = i16::try_from(percent.min(100)).unwrap_or(100);
        Self(self.0.saturating_mul(percent) / 10)
    }

    /// `value` made longer or shorter by this jitter.
    #[must_use]
    pub fn apply(self, value: Duration) -> Duration {
        let scale = u32::from(self.0.saturating_add(1_000).unsigned_abs());
        value.saturating_mul(scale) / 1_000
    }

    /// A point between `low` and `high`, by this jitter.
    #[must_use]
    pub fn between(self, low: Duration, high: Duration) -> Duration {
        let part = u32::from(self.0.saturating_add(100).unsigned_abs());
        low + high.saturating_sub(low).saturating_mul(part) / 200
    }
}

/// The ladders of contract section 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ladders {
    /// 401 and what says the key is wrong.
    pub auth: Ladder,
    /// 402 and what says the account is empty.
    pub billing: Ladder,
    /// 429 without a hint.
    pub rate_limit: Ladder,
    /// Other 403.
    pub forbidden: Ladder,
    /// 529, 503, "at capacity", without a hint.
    pub overloaded: Ladder,
    /// Other 5xx.
    pub server_error: Ladder,
    /// No HTTP answer.
    pub network: Ladder,
    /// No first content in time.
    pub timeout: Ladder,
    /// Cut after content.
    pub broken_stream: Ladder,
    /// Unknown model.
    pub model_not_found: Ladder,
}

impl Default for Ladders {
    fn default() -> Self {
        Self {
            auth: Ladder::secs(600, 2, 3_600),
            billing: Ladder::secs(1_800, 2, 3_600),
            rate_limit: Ladder::secs(10, 2, 300),
            forbidden: Ladder::secs(600, 2, 3_600),
            overloaded: Ladder::secs(2, 2, 15),
            server_error: Ladder::secs(2, 2, 15),
            network: Ladder::secs(2, 2, 15),
            timeout: Ladder::secs(10, 2, 120),
            broken_stream: Ladder::secs(2, 2, 15),
            model_not_found: Ladder::secs(600, 2, 3_600),
        }
    }
}

impl Ladders {
    /// The ladder of a kind; `None` for kinds that cool nothing.
    #[must_use]
    pub const fn of(&self, kind: Kind) -> Option<&Ladder> {
        match kind {
            Kind::Auth => Some(&self.auth),
            Kind::Billing => Some(&self.billing),
            Kind::RateLimit => Some(&self.rate_limit),
            Kind::Forbidden => Some(&self.forbidden),
            Kind::Overloaded => Some(&self.overloaded),
            Kind::ServerError => Some(&self.server_error),
            Kind::Network => Some(&self.network),
            Kind::Timeout => Some(&self.timeout),
            Kind::BrokenStream => Some(&self.broken_stream),
            Kind::ModelNotFound => Some(&self.model_not_found),
            Kind::TooLarge
            | Kind::NotCapable
            | Kind::ContentFilter
            | Kind::BadRequest
            | Kind::Cancelled
            | Kind::Unknown => None,
        }
    }

    /// The same as [`of`](Self::of), to change it.
    pub const fn of_mut(&mut self, kind: Kind) -> Option<&mut Ladder> {
        match kind {
            Kind::Auth => Some(&mut self.auth),
            Kind::Billing => Some(&mut self.billing),
            Kind::RateLimit => Some(&mut self.rate_limit),
            Kind::Forbidden => Some(&mut self.forbidden),
            Kind::Overloaded => Some(&mut self.overloaded),
            Kind::ServerError => Some(&mut self.server_error),
            Kind::Network => Some(&mut self.network),
            Kind::Timeout => Some(&mut self.timeout),
            Kind::BrokenStream => Some(&mut self.broken_stream),
            Kind::ModelNotFound => Some(&mut self.model_not_found),
            Kind::TooLarge
            | Kind::NotCapable
            | Kind::ContentFilter
            | Kind::BadRequest
            | Kind::Cancelled
            | Kind::Unknown => None,
        }
    }
}

/// The numbers of the cooldown ledger (contract sections 1 and 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CooldownSettings {
    /// The ladder of each kind.
    pub ladders: Ladders,
    /// How far a ladder's cooldown may be from its step, in percent either way.
    pub jitter_percent: u32,
    /// A hint is never taken as shorter than this.
    pub hint_min: Duration,
    /// A hint is never taken as longer than this.
    pub hint_max: Duration,
    /// While a hint runs, one probe is let through this often.
    pub hint_probe_every: Duration,
    /// While `auth` or `billing` cools, one probe is let through this often.
    pub key_probe_every: Duration,
    /// A slot with at least this many attempts in [`blip_window`](Self::blip_window) may forgive a blip.
    pub blip_attempts: u32,
    /// A blip is forgiven while fewer than this many percent failed.
    pub blip_percent: u32,
    /// The window of the blip rule; at most 60 s, counted in whole seconds.
    pub blip_window: Duration,
    /// So many distinct keys that fail alike cool their target (all of them, if it has fewer, but at least two).
    pub target_keys: u32,
    /// … within this time.
    pub target_window: Duration,
    /// So many keys that do not know a model cool its target.
    pub model_keys: u32,
    /// So many network failures cool an endpoint.
    pub endpoint_failures: u32,
    /// … within this time.
    pub endpoint_window: Duration,
    /// A probe without a verdict for this long lets another one in.
    pub probe_verdict: Duration,
    /// A streak is forgotten this long after `until`, or twice the last cooldown if that is longer.
    pub streak_memory: Duration,
    /// Remaining quota at zero makes a slot last choice for at most this long.
    pub quota_rest_max: Duration,
    /// Pauses between forced probes of one slot; the last one repeats.
    pub forced_probe_pace: [Duration; 3],
    /// Requests that may wait for one slot at the same time.
    pub max_waiters: u32,
}

impl Default for CooldownSettings {
    fn default() -> Self {
        Self {
            ladders: Ladders::default(),
            jitter_percent: 10,
            hint_min: Duration::from_secs(1),
            hint_max: Duration::from_secs(3_600),
            hint_probe_every: Duration::from_secs(300),
            key_probe_every: Duration::from_secs(900),
            blip_attempts: 20,
            blip_percent: 20,
            blip_window: Duration::from_secs(30),
            target_keys: 3,
            target_window: Duration::from_secs(10),
            model_keys: 2,
            endpoint_failures: 2,
            endpoint_window: Duration::from_secs(10),
            probe_verdict: Duration::from_secs(10),
            streak_memory: Duration::from_secs(600),
            quota_rest_max: Duration::from_secs(60),
            forced_probe_pace: [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(5)],
            max_waiters: 64,
        }
    }
}

/// The numbers of one request's run (contract sections 3 and 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunSettings {
    /// Attempts in one request, over keys, retries and fallbacks together.
    pub max_attempts: u32,
    /// Attempts on one target in one request.
    pub max_attempts_per_target: u32,
    /// The whole request must end within this.
    pub deadline: Duration,
    /// The longest wait for a cooling slot when every slot cools.
    pub max_wait: Duration,
    /// A `rate_limit` whose hint is at most this long is waited for on the same target; 0 switches it off.
    pub same_target_wait: Duration,
    /// The shortest pause before a quick retry.
    pub retry_pause_min: Duration,
    /// The longest pause before a quick retry.
    pub retry_pause_max: Duration,
    /// A stream's first content must come within this.
    pub first_content: Duration,
    /// … and within this for models marked as reasoning.
    pub first_content_reasoning: Duration,
    /// A non-streaming answer must be whole within this.
    pub response_timeout: Duration,
    /// The longest pause between two contents of a stream.
    pub stall: Duration,
    /// A 200 with keep-alive comments is sent when nothing came for this long.
    pub stream_headers_after: Duration,
    /// … and a comment this often while nothing else is sent, from then on to the end.
    pub keep_alive: Duration,
    /// What becomes of a stream that breaks after its first content, where neither chain nor request says.
    pub stream_recovery: Recovery,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            max_attempts: 12,
            max_attempts_per_target: 3,
            deadline: Duration::from_secs(600),
            max_wait: Duration::from_secs(5),
            same_target_wait: Duration::from_millis(2_500),
            retry_pause_min: Duration::from_millis(50),
            retry_pause_max: Duration::from_millis(200),
            first_content: Duration::from_secs(60),
            first_content_reasoning: Duration::from_secs(180),
            response_timeout: Duration::from_secs(300),
            stall: Duration::from_secs(30),
            stream_headers_after: Duration::from_secs(45),
            keep_alive: Duration::from_secs(15),
            stream_recovery: Recovery::Error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ladder_climbs_to_its_cap_and_stays_there() {
        let ladder = Ladders::default().server_error;
        let steps: Vec<u64> = (0..6).map(|step| ladder.cooldown(step, Jitter::NONE).as_secs()).collect();
        assert_eq!(steps, [2, 4, 8, 15, 15, 15]);
        assert_eq!(ladder.cooldown(u32::MAX, Jitter::NONE), ladder.cap);
    }

    #[test]
    fn the_cap_is_applied_after_jitter() {
        let ladder = Ladder::secs(10, 2, 20);
        assert_eq!(ladder.cooldown(1, Jitter::from_permille(100)), Duration::from_secs(20));
        assert_eq!(ladder.cooldown(0, Jitter::from_permille(-100)), Duration::from_secs(9));
        assert_eq!(ladder.cooldown(0, Jitter::from_permille(i16::MAX)), Duration::from_secs(11));
        let halved = Jitter::from_permille(-100).within(50);
        assert_eq!(ladder.cooldown(0, halved), Duration::from_secs(5));
        assert_eq!(Jitter::from_permille(-100).within(0), Jitter::NONE);
        assert_eq!(Jitter::from_permille(37).within(10), Jitter::from_permille(37));
    }

    #[test]
    fn jitter_spreads_over_a_range() {
        let low = Duration::from_millis(50);
        let high = Duration::from_millis(200);
        assert_eq!(Jitter::from_permille(-100).between(low, high), low);
        assert_eq!(Jitter::from_permille(100).between(low, high), high);
        for random in 0..1_000 {
            let Jitter(permille) = Jitter::from_random(random);
            assert!((-100..=100).contains(&permille));
        }
    }
}
