//! One example for each sentence of contract section 3.7: what `model` means.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

/// A level of a provider by its number, with two keys; the target is a fingerprint of the model's name.
fn level(provider: u32, model: &str) -> Level {
    let target = model.bytes().fold(provider, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    Level {
        provider: ProviderId(provider),
        target: TargetId(target),
        model: Arc::from(model),
        slots: Arc::from([SlotId(provider * 10), SlotId(provider * 10 + 1)]),
        order: KeyOrder::Ordered,
        abilities: Abilities::default(),
        unserved: None,
        connect: Duration::from_secs(5),
        first_content: Duration::from_secs(60),
        response_timeout: Duration::from_secs(300),
        stall: Duration::from_secs(30),
    }
}

const PROVIDERS: [&str; 2] = ["openai", "anthropic"];

fn add_chain(catalog: &mut Catalog, name: &str, targets: &[&str]) {
    let levels = targets.iter().map(|target| {
        let (provider, model) = target.split_once('/').unwrap();
        let number = PROVIDERS.iter().position(|name| *name == provider).unwrap();
        level(u32::try_from(number).unwrap(), model)
    });
    let chain = Chain::new(name, levels.collect());
    let targets: Vec<String> = targets.iter().map(|target| (*target).to_owned()).collect();
    catalog.add_chain(chain, &targets);
}

fn catalog_with(unknown_to_default: bool) -> Catalog {
    let mut catalog = Catalog::new(unknown_to_default);
    for (number, name) in (0..).zip(PROVIDERS) {
        let allowed = if name == "anthropic" { vec!["claude-*".to_owned()] } else { vec![] };
        let key = |name: &str| KeyEntry { name: name.to_owned(), allowed: Vec::new() };
        let keys = vec![key("Primary"), key("Backup")];
        catalog.add_provider(ProviderEntry { name: name.to_owned(), other: level(number, "other"), keys, allowed });
    }
    add_chain(&mut catalog, "default", &["anthropic/claude-opus", "openai/gpt-5", "openai/gpt-5-mini"]);
    add_chain(&mut catalog, "coder", &["openai/gpt-5", "anthropic/claude-opus"]);
    add_chain(&mut catalog, "gpt-*", &["openai/gpt-5-mini"]);
    add_chain(&mut catalog, "gpt-4*", &["openai/gpt-5"]);
    catalog.add_alias("fast".to_owned(), "openai/gpt-5-mini".to_owned());
    catalog.add_alias("work".to_owned(), "coder".to_owned());
    catalog
}

fn catalog() -> Catalog {
    catalog_with(false)
}

/// The models that a name stands for, from its first level on.
fn models(name: &str) -> Vec<String> {
    shown(&catalog().resolve(name).unwrap())
}

fn shown(choice: &Choice) -> Vec<String> {
    choice.chain.levels[choice.start..].iter().map(|level| level.model.to_string()).collect()
}

#[test]
fn the_name_of_a_chain_comes_first() {
    assert_eq!(models("default"), ["claude-opus", "gpt-5", "gpt-5-mini"]);
    assert_eq!(models("coder"), ["gpt-5", "claude-opus"]);
}

#[test]
fn a_chain_may_be_called_like_a_model_or_a_wildcard_and_the_most_specific_one_wins() {
    assert_eq!(models("gpt-4o"), ["gpt-5"]);
    assert_eq!(models("gpt-3.5-turbo"), ["gpt-5-mini"]);
    let mut catalog = catalog();
    add_chain(&mut catalog, "gpt-4o", &["anthropic/claude-opus"]);
    assert_eq!(shown(&catalog.resolve("gpt-4o").unwrap()), ["claude-opus"], "exact before wildcard");
}

#[test]
fn an_alias_stands_for_a_model_or_a_chain() {
    assert_eq!(models("fast"), ["gpt-5-mini"]);
    assert_eq!(models("work"), ["gpt-5", "claude-opus"]);
}

#[test]
fn an_alias_of_a_chain_names_the_chain() {
    let catalog = catalog();
    for (name, named) in
        [("coder", true), ("work", true), ("fast", false), ("gpt-3.5-turbo", false), ("openai/gpt-5", false)]
    {
        assert_eq!(catalog.is_named(&catalog.resolve(name).unwrap().chain, name), named, "{name}");
    }
}

#[test]
fn an_explicit_model_that_stands_in_a_chain_goes_on_along_that_chain_from_there() {
    assert_eq!(models("openai/gpt-5"), ["gpt-5", "gpt-5-mini"], "the first chain that has it");
}

#[test]
fn an_explicit_model_that_stands_in_no_chain_is_strict_and_shares_the_lane_other() {
    let choice = catalog().resolve("openai/o9-preview").unwrap();
    assert_eq!(shown(&choice), ["o9-preview"]);
    assert_eq!(choice.chain.levels[0].target, level(0, "other").target);
    assert_eq!(&*choice.chain.name, "openai/o9-preview");
}

#[test]
fn a_provider_serves_only_the_models_it_allows() {
    assert_eq!(models("anthropic/claude-next"), ["claude-next"]);
    assert!(catalog().resolve("anthropic/gpt-5").is_err());
    assert!(catalog().resolve("anthropic/").is_err());
    assert!(catalog().resolve("nobody/claude-next").is_err());
}

#[test]
fn a_bare_model_name_means_the_first_configured_target_of_that_name() {
    assert_eq!(models("claude-opus"), ["claude-opus", "gpt-5", "gpt-5-mini"]);
}

#[test]
fn else_404_with_the_nearest_names() {
    let unknown = catalog().resolve("defualt").unwrap_err();
    assert_eq!(unknown.nearest.first().map(String::as_str), Some("default"));
    let slip = catalog().resolve("pgt-5").unwrap_err();
    assert_eq!(slip.nearest.first().map(String::as_str), Some("openai/gpt-5"));
    assert!(catalog().resolve("zzzzzzzzzzzzzzzzzzzzzz").unwrap_err().nearest.is_empty());
}

#[test]
fn unknown_model_default_sends_it_to_the_default_chain_instead() {
    let choice = catalog_with(true).resolve("zzz").unwrap();
    assert_eq!(&*choice.chain.name, "default");
    assert_eq!(choice.start, 0);
}

#[test]
fn provider_model_at_key_asks_for_one_key_first() {
    let choice = catalog().resolve("anthropic/claude-opus@Backup").unwrap();
    assert_eq!((choice.key, choice.start), (Some(SlotId(11)), 0));
    let bare = catalog().resolve("gpt-4o@Primary").unwrap();
    assert_eq!((&*bare.chain.name, bare.key), ("gpt-4*", Some(SlotId(0))), "a chain's first target has the key");
}

#[test]
fn an_at_that_names_no_key_belongs_to_the_model() {
    let mut catalog = catalog();
    let choice = catalog.resolve("anthropic/claude-opus@20251101").unwrap();
    assert_eq!((shown(&choice), choice.key), (vec!["claude-opus@20251101".to_owned()], None));
    add_chain(&mut catalog, "vertex", &["openai/m@Backup", "openai/gpt-5"]);
    let written = catalog.resolve("openai/m@Backup").unwrap();
    assert_eq!((shown(&written), written.key), (vec!["m@Backup".to_owned(), "gpt-5".to_owned()], None));
}

#[test]
fn a_key_with_a_list_of_models_has_no_slot_for_others() {
    let mut catalog = Catalog::new(false);
    let key = |name: &str, allowed: &[&str]| KeyEntry {
        name: name.to_owned(),
        allowed: allowed.iter().map(|name| (*name).to_owned()).collect(),
    };
    let keys = vec![key("Lab", &["gpt-4o-mini", "o*"]), key("Main", &["gpt-*"])];
    let other = level(0, "other");
    catalog.add_provider(ProviderEntry { name: "openai".to_owned(), other, keys, allowed: Vec::new() });
    let ask = |name: &str| catalog.resolve(name).unwrap();
    let slots = |name: &str| ask(name).chain.levels[0].slots.to_vec();
    assert_eq!(slots("openai/gpt-4o-mini"), [SlotId(0), SlotId(1)]);
    assert_eq!(slots("openai/gpt-5"), [SlotId(1)]);
    assert_eq!(slots("openai/o3"), [SlotId(0)]);
    let nobody = ask("openai/tts-1");
    assert_eq!((nobody.chain.levels[0].unserved, nobody.chain.levels[0].slots.len()), (Some(Lack::NoKeyForModel), 0));
    assert_eq!(ask("openai/gpt-5").chain.levels[0].unserved, None);
    // A wish for a key's first turn finds the slot of that very key, and none where the key has no turn.
    let wished = ask("openai/gpt-5@Main");
    assert_eq!((wished.key, shown(&wished)), (Some(SlotId(1)), vec!["gpt-5".to_owned()]));
    let refused = ask("openai/gpt-5@Lab");
    assert_eq!((refused.key, shown(&refused)), (None, vec!["gpt-5".to_owned()]));
}

#[test]
fn models_is_a_chain_for_this_request() {
    let choice = catalog().compose(&["openai/gpt-5-mini", "claude-opus", "coder"]).unwrap();
    assert_eq!(shown(&choice), ["gpt-5-mini", "claude-opus", "gpt-5", "claude-opus"]);
    assert_eq!((&*choice.chain.name, choice.start), ("request", 0));
    let (name, _) = catalog().compose(&["coder", "nothing-like-it"]).unwrap_err();
    assert_eq!(name, "nothing-like-it");
}

#[test]
fn disable_fallbacks_makes_any_choice_strict_while_keys_still_rotate() {
    let choice = catalog().resolve("openai/gpt-5").unwrap().strict();
    assert_eq!(shown(&choice), ["gpt-5"]);
    assert_eq!(choice.chain.levels[0].slots.len(), 2);
}

#[test]
fn names_are_listed_once_and_in_file_order() {
    let names = ["default", "anthropic/claude-opus", "openai/gpt-5", "openai/gpt-5-mini"];
    let catalog = catalog();
    let listed = catalog.names();
    for name in names {
        assert_eq!(listed.iter().filter(|other| *other == name).count(), 1, "{name}");
    }
    assert!(!listed.iter().any(|name| name.contains('*')));
    assert!(listed.ends_with(&["fast".to_owned(), "work".to_owned()]));
    assert_eq!(catalog.chains().count(), 4);
}

#[test]
fn a_star_stands_for_any_text() {
    let cases = [
        ("gpt-*", "gpt-4o", true),
        ("gpt-*", "gpt-", true),
        ("gpt-*", "gp", false),
        ("*-mini", "gpt-5-mini", true),
        ("*-mini", "gpt-5-mini-x", false),
        ("a*b*c", "a-b-c", true),
        ("a*b*c", "a-c-b", false),
        ("ab*ba", "aba", false),
        ("plain", "plain", true),
    ];
    for (pattern, name, fits) in cases {
        assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
    }
}
