//! A gateway in front of a few vendors whose targets make the chain `default`: `one/m1`, `two/m2`, `three/m3`.
//!
//! Owns the set-up. Refuses to know what is asked.

use super::heard::Heard;
use super::{BRIEF, Front, config};
use crate::support::replay::{Act, Dialect, Fault, Place, Prefill, Speech, Vendor};
use crate::support::{Gateway, until};

const NAMES: [&str; 3] = ["one", "two", "three"];

/// One of the vendors.
pub(super) struct Role {
    pub(super) dialect: Dialect,
    pub(super) speech: Speech,
    pub(super) prefill: Prefill,
    pub(super) acts: Vec<Act>,
    pub(super) keys: &'static [&'static str],
    /// Its model, if it is not the usual one.
    pub(super) model: Option<&'static str>,
    /// Fields of its target.
    pub(super) fields: &'static str,
}

impl Role {
    /// Its stream breaks after so many texts, each time; it is not known to go on from anything.
    pub(super) fn breaks(dialect: Dialect, speech: &Speech, texts: usize) -> Self {
        Self {
            dialect,
            speech: speech.clone(),
            prefill: Prefill::Ignores,
            acts: vec![broken(texts)],
            keys: &["K"],
            model: None,
            fields: "",
        }
    }

    /// It is well, and is known to go on from what was said.
    pub(super) fn goes_on(dialect: Dialect, speech: &Speech) -> Self {
        let well = Self { acts: vec![Act::Healthy], fields: "prefill: true", ..Self::breaks(dialect, speech, 1) };
        Self { prefill: Prefill::GoesOn, ..well }
    }

    /// It is well, and begins again.
    pub(super) fn begins_again(dialect: Dialect, speech: &Speech) -> Self {
        Self { acts: vec![Act::Healthy], ..Self::breaks(dialect, speech, 1) }
    }
}

/// A break after so many texts.
pub(super) fn broken(texts: usize) -> Act {
    Act::Fails(Fault::Reset, Place::Content(texts))
}

pub(super) struct Scene {
    pub(super) gateway: Gateway,
    pub(super) vendors: Vec<Vendor>,
}

impl Scene {
    pub(super) async fn of(roles: Vec<Role>) -> Self {
        Self::with(roles, "", BRIEF).await
    }

    /// `chain` are fields of the chain, `more` are sections of the file.
    pub(super) async fn with(roles: Vec<Role>, chain: &str, more: &str) -> Self {
        let (mut vendors, mut providers, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        for (at, role) in roles.into_iter().enumerate() {
            let name = NAMES[at];
            let vendor = Vendor::plays(&role.speech.by(name), role.prefill, role.acts).await;
            providers.push(vendor.provider(name, role.dialect, role.keys, ""));
            let model = role.model.map_or_else(|| format!("m{}", at + 1), str::to_owned);
            targets.push(format!("{{ target: '{name}/{model}', {} }}", role.fields));
            vendors.push(vendor);
        }
        let chain = format!("default: {{ targets: [{}], {chain} }}", targets.join(", "));
        let gateway = Gateway::start(&config(&providers, &[chain], more)).await;
        Self { gateway, vendors }
    }

    /// A request that is to go on behind a break.
    pub(super) async fn listen(&self, front: Front) -> Heard {
        front.listen(&self.gateway, "continue", &front.ask("default", "hi")).await
    }

    /// The prefills of all that a vendor was asked.
    pub(super) fn prefills(&self, vendor: usize) -> Vec<Option<String>> {
        self.vendors[vendor].asked().iter().map(|asked| asked.prefill()).collect()
    }

    /// Waits until the first target is not cooling any more.
    pub(super) async fn first_is_ready(&self) {
        until("the first slot", async || self.gateway.lane("slot", "one/m1@K").await["state"] != "cooling").await;
    }

    pub(super) async fn recoveries(&self, outcome: &str) -> f64 {
        let outcome = format!("outcome=\"{outcome}\"");
        self.gateway.metric("backstop_stream_recoveries_total", &[&outcome]).await
    }
}
