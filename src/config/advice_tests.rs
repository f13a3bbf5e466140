//! Each piece of advice both ways: given where it applies, and not where it does not.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::load_text;

const KEYS: [(&str, &str); 4] =
    [("OPENAI", "CANARY-key-a1"), ("GROQ", "CANARY-key-b2"), ("ROUTER", "CANARY-key-c3"), ("SECOND", "CANARY-key-d4")];

const PROVIDERS: &str = "openai: { keys: ['${OPENAI}'] }, groq: { keys: ['${GROQ}'] },
    openrouter: { keys: ['${ROUTER}'] }, small: { base_url: 'https://small.example/v1' }";

fn read(text: &str) -> Vec<Advice> {
    let env = KEYS.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let found = advice(&load_text(Some(("test.json5", text)), env).unwrap());
    let shown = format!("{found:?}");
    assert!(!shown.contains("CANARY"), "{shown}");
    found
}

/// The advice on one chain of the usual providers.
fn chain(targets: &str) -> Vec<Advice> {
    read(&format!("{{ providers: {{ {PROVIDERS} }}, chains: {{ default: {targets} }} }}"))
}

fn topics(found: &[Advice]) -> Vec<Topic> {
    found.iter().map(|advice| advice.topic).collect()
}

#[test]
fn a_good_chain_needs_no_advice() {
    assert_eq!(chain("['openai/gpt-4o', 'groq/unknown-model', 'openrouter/openai/gpt-4o']"), []);
}

#[test]
fn a_smaller_window_is_told_and_an_equal_larger_or_unknown_one_is_not() {
    let found = chain("['openai/gpt-4o', 'groq/gpt-4.1', 'openai/gpt-4', 'openrouter/gpt-4o-mini', 'small/who-knows']");
    let window = found.iter().find(|advice| advice.topic == Topic::SmallerWindow).unwrap();
    assert_eq!(window.place, "chain default, level 3");
    assert_eq!(window.what, "openai/gpt-4 takes 8,192 tokens, the primary openai/gpt-4o takes 128,000");
    assert_eq!(found.iter().filter(|advice| advice.topic == Topic::SmallerWindow).count(), 1);
    assert!(!topics(&chain("['small/who-knows', 'openai/gpt-4']")).contains(&Topic::SmallerWindow));
}

#[test]
fn a_missing_ability_is_told_if_the_primary_has_it() {
    let found = chain("['openai/gpt-4o', 'groq/o1-preview']");
    assert_eq!(topics(&found), [Topic::MissingAbility]);
    assert_eq!(
        found[0].what,
        "groq/o1-preview does not take tools and images and a JSON schema, the primary openai/gpt-4o does"
    );
    assert_eq!(topics(&chain("['groq/o1-preview', 'openai/gpt-4o']")), [], "more than the primary is fine");
    assert_eq!(topics(&chain("['small/who-knows', 'groq/o1-preview']")), [], "unknown counts as able, not as having");
}

#[test]
fn the_operators_word_on_a_model_counts() {
    let text = |window: &str| {
        format!(
            "{{ providers: {{ {PROVIDERS} }}, chains: {{ default: ['openai/gpt-4o', 'small/tuned'] }},
                models: {{ 'small/tuned': {{ context_window: {window} }} }} }}"
        )
    };
    assert_eq!(topics(&read(&text("1000"))), [Topic::SmallerWindow]);
    assert_eq!(topics(&read(&text("128000"))), []);
}

#[test]
fn one_slot_is_told_and_two_keys_are_one_provider() {
    assert_eq!(topics(&chain("['openai/gpt-4o']")), [Topic::OneSlot]);
    let two = |second: &str| {
        read(&format!(
            "{{ providers: {{ openai: {{ keys: ['${{OPENAI}}', {second}] }} }}, chains: {{ default: ['openai/gpt-4o'] }} }}"
        ))
    };
    assert_eq!(topics(&two("'${SECOND}'")), [Topic::OneProvider]);
    assert_eq!(topics(&two("{ key: '${SECOND}', disabled: true }")), [Topic::OneSlot]);
    assert_eq!(topics(&two("'${NOT_SET}'")), [Topic::OneSlot], "a key that is left out is none");
}

#[test]
fn one_provider_is_told_also_where_the_others_cannot_be_asked() {
    assert_eq!(topics(&chain("['openai/gpt-4o', 'openai/gpt-4o-mini']")), [Topic::OneProvider]);
    let found = read(
        "{ providers: { openai: { keys: ['${OPENAI}', '${SECOND}'] }, bedrock: { disabled: true } },
           chains: { default: ['openai/gpt-4o', 'bedrock/nova-micro'] } }",
    );
    assert_eq!(topics(&found), [Topic::OneProvider], "and nothing on what is never asked");
}

#[test]
fn one_address_of_two_providers_is_told() {
    let two = |address: &str| {
        read(&format!(
            "{{ providers: {{ a: {{ base_url: 'http://127.0.0.1:9100/a' }}, b: {{ base_url: '{address}' }} }},
                chains: {{ default: ['a/m', 'b/m'] }} }}"
        ))
    };
    let found = two("http://127.0.0.1:9100/b");
    assert_eq!(topics(&found), [Topic::OneEndpoint]);
    assert!(found[0].what.contains("http://127.0.0.1:9100"), "{found:?}");
    assert_eq!(two("http://127.0.0.1:9101/b"), []);
}

#[test]
fn a_marketplace_belongs_to_the_end() {
    let found = chain("['openai/gpt-4o', 'openrouter/openai/gpt-4o', 'groq/who-knows']");
    assert_eq!(topics(&found), [Topic::MarketplaceFirst]);
    assert_eq!(found[0].place, "chain default, level 2");
    assert_eq!(chain("['openai/gpt-4o', 'openrouter/openai/gpt-4o', 'openrouter/who-knows']"), []);
}

#[test]
fn one_key_in_two_providers_of_one_host_is_told() {
    let two = |address: &str, key: &str| {
        read(&format!(
            "{{ providers: {{ a: {{ base_url: 'https://one.example/a', keys: [{{ key: '${{OPENAI}}', profile: 'A' }}] }},
                             b: {{ base_url: '{address}', keys: [{{ key: '${{{key}}}', profile: 'B' }}] }} }},
                chains: {{ default: ['a/m', 'b/m'] }} }}"
        ))
    };
    let shared = |found: &[Advice]| topics(found).contains(&Topic::SharedKey);
    let found = two("https://one.example/b", "OPENAI");
    let told = found.iter().find(|advice| advice.topic == Topic::SharedKey).unwrap();
    assert_eq!((told.place.as_str(), told.what.contains("the same key as a@A")), ("b@B", true));
    assert!(!shared(&two("https://one.example/b", "SECOND")));
    assert!(!shared(&two("https://two.example/b", "OPENAI")));
}

#[test]
fn a_key_in_the_file_itself_is_told_and_one_in_a_variable_is_not() {
    let with = |key: &str| {
        read(&format!(
            "{{ providers: {{ openai: {{ keys: [{key}] }}, 'my-own': {{ base_url: 'https://one.example' }} }},
                chains: {{ default: ['openai/gpt-4o', 'my-own/m'] }} }}"
        ))
    };
    for key in ["'sk-plain-text-key'", "{ key: 'sk-plain-text-key' }", "'${UNSET:-sk-plain-text-key}'"] {
        let found = with(key);
        assert_eq!(topics(&found), [Topic::PlainTextKey], "{key}");
        assert_eq!(found[0].place, "openai@key-1");
        assert!(found[0].cure.contains("${OPENAI_API_KEY}"), "{found:?}");
        assert!(!format!("{found:?}").contains("plain-text-key"), "{found:?}");
    }
    assert_eq!(with("'${OPENAI}'"), []);
    assert_eq!(with("'${OPENAI:-another}'"), []);
}

#[test]
fn an_open_gateway_is_told() {
    let with = |server: &str| {
        read(&format!(
            "{{ providers: {{ {PROVIDERS} }}, chains: {{ default: ['openai/gpt-4o', 'groq/who-knows'] }}, {server} }}"
        ))
    };
    let client =
        "client_keys: [{ name: 'a', sha256: '0000000000000000000000000000000000000000000000000000000000000000' }]";
    assert_eq!(topics(&with("server: { listen: '0.0.0.0:8080', allow_anonymous: true }")), [Topic::Anonymous]);
    assert_eq!(with(&format!("server: {{ listen: '0.0.0.0:8080', {client} }}")), []);
    assert_eq!(with("server: { listen: '127.0.0.1:8080', allow_anonymous: true }"), []);
}

#[test]
fn no_chain_is_told() {
    assert_eq!(topics(&read("{ providers: { openai: { keys: ['${OPENAI}'] } } }")), [Topic::NoChain]);
}

#[test]
fn every_advice_says_where_and_what_to_do() {
    let all = [
        chain("['openai/gpt-4o', 'openrouter/gpt-4', 'groq/o1-preview']"),
        chain("['openai/gpt-4o']"),
        read("{ providers: { openai: { keys: ['sk-plain-text-key'] } } }"),
    ];
    for advice in all.into_iter().flatten() {
        assert!(!advice.place.is_empty() && !advice.what.is_empty() && !advice.cure.is_empty(), "{advice:?}");
    }
}

#[test]
fn tokens_are_written_with_commas() {
    assert_eq!([1, 999, 1_000, 1_047_576].map(thousands), ["1", "999", "1,000", "1,047,576"]);
}
