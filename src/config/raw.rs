//! The mirror of the files: every section and field as it may be written, nothing decided.
//!
//! Owns the names of settings. Refuses to know defaults (an absent field is `None`) and what fields mean together.
//! Nothing here derives `Debug`: keys are still plain text.

use std::collections::BTreeMap;

use super::openclaw::{RawAgents, RawAuth, RawModels};
use super::quantity::{Period, Size};
use super::shapes::{Choice, RawChain, RawKey};

/// Declares a mirror struct in which every field may be absent and no other may stand. It is read by its names only:
/// what serde derives would also read a list, field by field.
macro_rules! mirror {
    ($($name:ident { $($field:ident $(= $written:literal)?: $type:ty,)* })*) => {$(
        #[derive(serde::Deserialize, Default, Clone)]
        #[serde(deny_unknown_fields, default, remote = "Self")]
        pub(in crate::config) struct $name {
            $($(#[serde(rename = $written)])? pub(in crate::config) $field: $type,)*
        }

        impl $crate::config::shapes::Spelled for $name {
            const EXPECTED: &'static str = "an object of settings";

            fn from_map<'de, A: serde::de::MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
                Self::deserialize(serde::de::value::MapAccessDeserializer::new(map))
            }

            fn from_nothing<E: serde::de::Error>() -> Result<Self, E> {
                Ok(Self::default())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_any($crate::config::shapes::Spelling(std::marker::PhantomData))
            }
        }
    )*};
}

mirror! {
    Raw {
        server: RawServer,
        upstream: RawUpstream,
        providers: BTreeMap<String, RawProvider>,
        agent: Option<RawAgent>,
        agents: RawAgents,
        auth: RawAuth,
        chains: BTreeMap<String, RawChain>,
        aliases: BTreeMap<String, String>,
        models: RawModels,
        cooldowns: RawCooldowns,
        run: RawRun,
        classify: Vec<RawRow>,
        unknown_model: Option<String>,
        compat: RawCompat,
    }

    RawServer {
        listen: Option<String>,
        client_keys: Vec<RawClientKey>,
        allow_anonymous: Option<bool>,
        max_body: Option<Size>,
        max_headers: Option<usize>,
        header_timeout: Option<Period>,
        body_timeout: Option<Period>,
        drain: Option<Period>,
        workers: Option<usize>,
        log: RawLog,
    }

    RawLog {
        format: Option<String>,
        level: Option<String>,
        requests: Option<bool>,
    }

    RawClientKey {
        name: Option<String>,
        sha256: Option<String>,
    }

    RawUpstream {
        connect_timeout: Option<Period>,
        pool_idle_timeout: Option<Period>,
        pool_max_idle: Option<usize>,
        ca_file: Option<String>,
        silence: Option<Period>,
        max_preamble: Option<Size>,
        max_frame: Option<Size>,
        max_answer: Option<Size>,
    }

    RawProvider {
        dialect: Option<String>,
        base_url: Option<String>,
        resource: Option<String>,
        api_version: Option<String>,
        region: Option<String>,
        organization: Option<String>,
        organisation: Option<String>,
        project: Option<String>,
        auth: Option<Vec<Option<RawKey>>>,
        keys: Option<Vec<Option<RawKey>>>,
        key_order: Option<String>,
        headers: BTreeMap<String, String>,
        models: Option<Vec<String>>,
        quota_group: Option<String>,
        disabled: Option<bool>,
        endpoints: Option<Vec<String>>,
        timeouts: RawTimeouts,
    }

    RawTimeouts {
        connect: Option<Period>,
        first_content: Option<Period>,
        response_timeout: Option<Period>,
        stall: Option<Period>,
    }

    RawAgent {
        model: Option<Choice>,
        models: BTreeMap<String, RawNamed>,
    }

    RawNamed {
        alias: Option<String>,
    }

    RawModel {
        context_window: Option<u64>,
        max_output: Option<u64>,
        vision: Option<bool>,
        tools: Option<bool>,
        json_schema: Option<bool>,
        reasoning: Option<bool>,
        prefill: Option<bool>,
    }

    RawLadder {
        first: Option<Period>,
        factor: Option<u32>,
        cap: Option<Period>,
    }

    RawCooldowns {
        auth: RawLadder,
        billing: RawLadder,
        rate_limit: RawLadder,
        forbidden: RawLadder,
        overloaded: RawLadder,
        server_error: RawLadder,
        network: RawLadder,
        timeout: RawLadder,
        broken_stream: RawLadder,
        model_not_found: RawLadder,
        jitter_percent: Option<u32>,
        hint_min: Option<Period>,
        hint_max: Option<Period>,
        hint_probe_every: Option<Period>,
        key_probe_every: Option<Period>,
        blip_attempts: Option<u32>,
        blip_percent: Option<u32>,
        blip_window: Option<Period>,
        target_keys: Option<u32>,
        target_window: Option<Period>,
        model_keys: Option<u32>,
        endpoint_failures: Option<u32>,
        endpoint_window: Option<Period>,
        probe_verdict: Option<Period>,
        streak_memory: Option<Period>,
        quota_rest_max: Option<Period>,
        forced_probe_pace: Option<Vec<Period>>,
        max_waiters: Option<u32>,
    }

    RawRun {
        max_attempts: Option<u32>,
        max_attempts_per_target: Option<u32>,
        deadline: Option<Period>,
        max_wait: Option<Period>,
        same_target_wait: Option<Period>,
        retry_pause_min: Option<Period>,
        retry_pause_max: Option<Period>,
        first_content: Option<Period>,
        first_content_reasoning: Option<Period>,
        response_timeout: Option<Period>,
        stall: Option<Period>,
        stream_headers_after: Option<Period>,
        keep_alive: Option<Period>,
        stream_recovery: Option<String>,
    }

    RawRow {
        provider: Option<String>,
        status: Option<u16>,
        code: Option<String>,
        kind_of_error = "type": Option<String>,
        contains: Option<String>,
        kind: Option<String>,
    }

    RawCompat {
        litellm_headers: Option<bool>,
    }
}

pub(super) use mirror;
