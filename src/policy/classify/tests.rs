//! The order of belief, and the table's own soundness. What each vendor says is in `tests/it/classify.rs`.

use super::*;

fn facts(status: u16) -> Facts {
    Facts::new(Family::OpenAi, Some(status))
}

fn kind_of(facts: &Facts) -> Kind {
    classify(facts, &Overrides::default()).kind
}

#[test]
fn a_bare_status_decides_when_nothing_else_is_known() {
    let cases = [
        (301, Kind::Unknown),
        (400, Kind::BadRequest),
        (401, Kind::Auth),
        (402, Kind::Billing),
        (403, Kind::Forbidden),
        (404, Kind::BadRequest),
        (405, Kind::BadRequest),
        (408, Kind::Timeout),
        (409, Kind::BadRequest),
        (413, Kind::TooLarge),
        (415, Kind::BadRequest),
        (418, Kind::Unknown),
        (422, Kind::BadRequest),
        (429, Kind::RateLimit),
        (500, Kind::ServerError),
        (502, Kind::ServerError),
        (503, Kind::Overloaded),
        (504, Kind::ServerError),
        (520, Kind::ServerError),
        (526, Kind::ServerError),
        (529, Kind::Overloaded),
        (599, Kind::ServerError),
        (600, Kind::Unknown),
    ];
    for (status, kind) in cases {
        for family in Family::ALL {
            assert_eq!(kind_of(&Facts::new(family, Some(status))), kind, "{status} of {family:?}");
        }
    }
    assert_eq!(kind_of(&facts(200)), Kind::ServerError, "a 200 that is no answer");
    assert_eq!(kind_of(&Facts::new(Family::OpenAi, None)), Kind::Unknown);
}

#[test]
fn name_beats_code_beats_type_beats_phrase_beats_status() {
    let mut known = facts(500);
    known.message = "Rate limit reached".into();
    assert_eq!(kind_of(&known), Kind::RateLimit);
    known.error_type = Some("billing_error".into());
    assert_eq!(kind_of(&known), Kind::Billing);
    known.code = Some("model_not_found".into());
    assert_eq!(kind_of(&known), Kind::ModelNotFound);
    known.name = Some("throttlingException".into());
    assert_eq!(kind_of(&known), Kind::RateLimit);
}

#[test]
fn an_error_inside_a_200_is_what_its_own_words_say() {
    let mut inside = facts(200);
    inside.error_type = Some("invalid_request_error".into());
    assert_eq!(kind_of(&inside), Kind::BadRequest);
    inside.body_status = Some(502);
    assert_eq!(kind_of(&inside), Kind::ServerError);
    inside.code = Some("insufficient_quota".into());
    assert_eq!(kind_of(&inside), Kind::Billing);
    assert_eq!(classify(&inside, &Overrides::default()).status, Some(200));
}

#[test]
fn a_request_over_the_whole_limit_is_too_large_and_one_within_it_is_throttled() {
    let mut throttled = facts(429);
    throttled.code = Some("rate_limit_exceeded".into());
    (throttled.requested, throttled.limit) = (Some(45_000), Some(30_000));
    assert_eq!(kind_of(&throttled), Kind::TooLarge);
    throttled.requested = Some(30_000);
    assert_eq!(kind_of(&throttled), Kind::RateLimit);
}

#[test]
fn only_kinds_whose_cooldown_takes_a_hint_carry_it() {
    for status in [400, 401, 402, 403, 404, 408, 413, 429, 500, 503] {
        let mut known = facts(status);
        known.hint = Some(Duration::from_secs(7));
        let failure = classify(&known, &Overrides::default());
        let takes = matches!(failure.kind, Kind::RateLimit | Kind::Overloaded);
        assert_eq!(failure.hint.is_some(), takes, "{status}");
    }
}

#[test]
fn operators_rows_come_first_and_an_empty_one_matches_nothing() {
    let mut known = facts(401);
    known.message = "The Proxy is at lunch".into();
    known.provider = Some(ProviderId(3));
    let mut row = Override::new(Kind::Overloaded);
    let only = |row: &Override| Overrides { rows: vec![row.clone()] };
    assert_eq!(classify(&known, &only(&row)).kind, Kind::Auth);
    row.text = Some("proxy is at LUNCH".into());
    assert_eq!(classify(&known, &only(&row)).kind, Kind::Overloaded);
    row.provider = Some(ProviderId(4));
    assert_eq!(classify(&known, &only(&row)).kind, Kind::Auth);
    row.provider = Some(ProviderId(3));
    row.status = Some(401);
    assert_eq!(classify(&known, &only(&row)).kind, Kind::Overloaded);
    row.family = Some(Family::Gemini);
    assert_eq!(classify(&known, &only(&row)).kind, Kind::Auth);
    row.family = None;
    row.code = Some("x".into());
    assert_eq!(classify(&known, &only(&row)).kind, Kind::Auth);
    known.code = Some("X".into());
    assert_eq!(classify(&known, &only(&row)).kind, Kind::Overloaded);
}

#[test]
fn every_row_can_match_and_none_is_hidden_by_an_earlier_one() {
    for (at, row) in ROWS.iter().enumerate() {
        assert!(row.word.is_some() || !row.text.is_empty(), "row {at} has no condition");
        assert!(row.text.iter().all(|part| *part == normal(part)), "row {at} is not in lower case");
        let reachable = row.statuses.iter().flat_map(|(low, high)| [*low, *high]).any(|status| {
            let mut known = Facts::new(row.family.unwrap_or(Family::Cohere), Some(status));
            match row.word {
                Some((Field::Name, word)) => known.name = Some(word.into()),
                Some((Field::Code, word)) => known.code = Some(word.into()),
                Some((Field::Type, word)) => known.error_type = Some(word.into()),
                None => {}
            }
            known.message = row.text.join(" … ");
            let text = normal(&known.message);
            ROWS.iter().position(|other| row_matches(other, &known, known.error_status(), &text)) == Some(at)
        });
        assert!(reachable, "row {at} is never reached: {row:?}");
    }
}

#[test]
fn debug_does_not_show_the_vendors_text() {
    let mut known = facts(401);
    known.message = "bad key sk-very-secret".into();
    assert!(!format!("{known:?}").contains("secret"));
}

#[test]
fn family_names_are_unique_and_read_back() {
    for family in Family::ALL {
        assert_eq!(Family::from_name(family.name()), Some(family));
    }
    assert_eq!(Family::from_name("nobody"), None);
}

#[test]
fn beside_chat_what_is_not_there_is_a_lack_of_this_endpoint_only() {
    let seen = |kind, status| beside_chat(Failure::new(kind).with_status(status)).kind;
    for (kind, status) in [
        (Kind::ModelNotFound, 404),
        (Kind::ModelNotFound, 400),
        (Kind::BadRequest, 404),
        (Kind::BadRequest, 405),
        (Kind::ServerError, 501),
        (Kind::Forbidden, 401),
        (Kind::Forbidden, 403),
    ] {
        assert_eq!(seen(kind, status), Kind::NotCapable, "{kind:?} {status}");
    }
    for (kind, status) in [(Kind::BadRequest, 400), (Kind::ServerError, 500), (Kind::Auth, 404), (Kind::RateLimit, 429)]
    {
        assert_eq!(seen(kind, status), kind, "{status}");
    }
}
