//! The article's own four levels: its template, word for word, before simulated providers.

use backstop::sim::{Fault, Rule, Script, Sim};

use crate::support::Gateway;

/// The template as it is shipped.
const TEMPLATE: &str = include_str!("../../../config/article.json5");

/// The slots in the order in which they are asked.
const SLOTS: [&str; 5] = [
    "anthropic/claude-opus-4-5@Primary",
    "anthropic/claude-opus-4-5@Backup",
    "bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0@Primary",
    "openai/gpt-4o@Primary",
    "openrouter/anthropic/claude-3.5-sonnet@Primary",
];
const SKIPPED: &str = "bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0=skipped:no_key";
/// The secret part of AWS's key; what names it is no secret.
const AWS_SECRET: (&str, &str) = ("AWS_SECRET_ACCESS_KEY", "aws-secret-5555");
const SECRETS: [(&str, &str); 5] = [
    ("ANTHROPIC_KEY_1", "sk-ant-1111"),
    ("ANTHROPIC_KEY_2", "sk-ant-2222"),
    ("AWS_ACCESS_KEY_ID", "AKID-5555"),
    ("OPENAI_API_KEY", "sk-openai-3333"),
    ("OPENROUTER_API_KEY", "sk-or-4444"),
];

/// A gateway with the template in front of `sim`.
async fn start(sim: &Sim, without: &str) -> Gateway {
    let addresses = ["anthropic", "bedrock", "openai", "openrouter"]
        .map(|provider| (format!("BACKSTOP_PROVIDERS__{}__BASE_URL", provider.to_uppercase()), sim.base_url(provider)));
    let mut env = [SECRETS.as_slice(), &[AWS_SECRET]].concat();
    env.retain(|(name, _)| *name != without);
    env.extend(addresses.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    env.push(("BACKSTOP_RUN__SAME_TARGET_WAIT", "0"));
    Gateway::start_with(TEMPLATE, &env).await
}

/// Each slot that is dead, in order, fails in its own way; the first one alive serves, and the trail tells it all.
#[tokio::test]
async fn four_levels_are_walked_in_order_and_the_marketplace_is_last() {
    let faults = [(429, "rate_limit"), (401, "auth"), (503, "overloaded"), (529, "overloaded"), (402, "billing")];
    for dead in 0..=SLOTS.len() {
        let rules = (0..dead).map(|at| Rule::of(Fault::status(faults[at].0)).key(SECRETS[at].1));
        let sim = Sim::start(Script::of(rules.collect())).unwrap();
        let gateway = start(&sim, "").await;
        let answer = gateway.chat("default").await;

        let mut wanted: Vec<String> =
            (0..dead).map(|at| format!("{}={}:{}", SLOTS[at], faults[at].1, faults[at].0)).collect();
        wanted.extend(SLOTS.get(dead).map(|slot| format!("{slot}=ok:200")));
        assert_eq!(answer.trail(), wanted.join(", "));
        assert_eq!(answer.status, if dead < SLOTS.len() { 200 } else { 502 }, "{answer:?}");
        let tried = (dead + 1).min(SLOTS.len());
        assert_eq!(answer.header("x-backstop-attempts"), tried.to_string());
        assert_eq!(sim.stats().total().requests, tried as u64, "each was asked once");
        let secrets = SECRETS.iter().chain([&AWS_SECRET]);
        assert!(secrets.into_iter().all(|(_, secret)| !format!("{answer:?}").contains(secret)));
    }
}

#[tokio::test]
async fn a_level_that_cannot_be_served_says_why() {
    let sim = Sim::start(Script::of(vec![Rule::of(Fault::status(503)).provider("anthropic")])).unwrap();
    let gateway = start(&sim, "AWS_ACCESS_KEY_ID").await;
    let answer = gateway.chat("default").await;
    assert!(answer.trail().contains(SKIPPED), "{}", answer.trail());
    assert_eq!(answer.header("x-backstop-provider"), "openai");
    assert_eq!(sim.requests().last().unwrap().model, "gpt-4o", "each level gets its own model's name");
}
