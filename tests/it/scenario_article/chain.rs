//! The article's own four levels: its template, word for word, before simulated providers.

use backstop::sim::{Fault, Rule, Script, Sim};

use crate::support::Gateway;

/// The template as it is shipped.
const TEMPLATE: &str = include_str!("../../../config/article.json5");

/// The slots in the order in which they are asked; bedrock stands second and cannot be served yet.
const SLOTS: [&str; 4] = [
    "anthropic/claude-opus-4-5@Primary",
    "anthropic/claude-opus-4-5@Backup",
    "openai/gpt-4o@Primary",
    "openrouter/anthropic/claude-3.5-sonnet@Primary",
];
const SKIPPED: &str = "bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0=skipped:";
const SECRETS: [(&str, &str); 4] = [
    ("ANTHROPIC_KEY_1", "sk-ant-1111"),
    ("ANTHROPIC_KEY_2", "sk-ant-2222"),
    ("OPENAI_API_KEY", "sk-openai-3333"),
    ("OPENROUTER_API_KEY", "sk-or-4444"),
];

/// A gateway with the template in front of `sim`.
async fn start(sim: &Sim) -> Gateway {
    let addresses = ["anthropic", "openai", "openrouter"]
        .map(|provider| (format!("BACKSTOP_PROVIDERS__{}__BASE_URL", provider.to_uppercase()), sim.base_url(provider)));
    let mut env = SECRETS.to_vec();
    env.extend(addresses.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    env.push(("BACKSTOP_RUN__SAME_TARGET_WAIT", "0"));
    Gateway::start_with(TEMPLATE, &env).await
}

/// Each slot that is dead, in order, fails in its own way; the first one alive serves, and the trail tells it all.
#[tokio::test]
async fn four_levels_are_walked_in_order_and_the_marketplace_is_last() {
    let faults = [(429, "rate_limit"), (401, "auth"), (529, "overloaded"), (402, "billing")];
    for dead in 0..=SLOTS.len() {
        let rules = (0..dead).map(|at| Rule::of(Fault::status(faults[at].0)).key(SECRETS[at].1));
        let sim = Sim::start(Script::of(rules.collect())).unwrap();
        let gateway = start(&sim).await;
        let answer = gateway.chat("default").await;

        let mut wanted: Vec<String> =
            (0..dead).map(|at| format!("{}={}:{}", SLOTS[at], faults[at].1, faults[at].0)).collect();
        wanted.extend(SLOTS.get(dead).map(|slot| format!("{slot}=ok:200")));
        if dead >= 2 {
            let why = answer.trail().split(SKIPPED).nth(1).unwrap_or_else(|| panic!("{}", answer.trail()));
            let why = why.split(", ").next().unwrap();
            assert!(!why.is_empty());
            wanted.insert(2, format!("{SKIPPED}{why}"));
        }
        assert_eq!(answer.trail(), wanted.join(", "));
        assert_eq!(answer.status, if dead < SLOTS.len() { 200 } else { 502 }, "{answer:?}");
        let tried = (dead + 1).min(SLOTS.len());
        assert_eq!(answer.header("x-backstop-attempts"), tried.to_string());
        assert_eq!(sim.stats().total().requests, tried as u64, "each was asked once");
        assert!(SECRETS.iter().all(|(_, secret)| !format!("{answer:?}").contains(secret)));
    }
}

#[tokio::test]
async fn a_level_that_cannot_be_served_says_why() {
    let sim = Sim::start(Script::of(vec![Rule::of(Fault::status(503)).provider("anthropic")])).unwrap();
    let gateway = start(&sim).await;
    let answer = gateway.chat("default").await;
    assert!(answer.trail().contains(&format!("{SKIPPED}dialect")), "{}", answer.trail());
    assert_eq!(answer.header("x-backstop-provider"), "openai");
    assert_eq!(sim.requests().last().unwrap().model, "gpt-4o", "each level gets its own model's name");
}
