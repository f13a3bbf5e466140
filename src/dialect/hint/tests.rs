//! Every spelling of a waiting time, and what is no waiting time.

#![allow(clippy::unwrap_used)]

use super::*;
use http::HeaderValue;
use serde_json::json;

/// 2026-01-31T12:00:00Z.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_769_860_800)
}

fn headers(list: &[(&str, &str)]) -> HeaderMap {
    list.iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap()))
        .collect()
}

fn millis(list: &[(&str, &str)]) -> Option<u128> {
    retry_hint(&headers(list), None, "", now()).map(|wait| wait.as_millis())
}

#[test]
fn every_spelling_of_a_header_is_read() {
    let cases = [
        ("retry-after-ms", "1250", 1_250),
        ("retry-after", "7", 7_000),
        ("retry-after", " 0.5 ", 500),
        ("retry-after", "30s", 30_000),
        ("retry-after", "Sat, 31 Jan 2026 12:01:30 GMT", 90_000),
        ("retry-after", "2026-01-31T12:00:02Z", 2_000),
        ("x-ratelimit-reset-requests", "20ms", 20),
        ("x-ratelimit-reset-requests", "1.5s", 1_500),
        ("x-ratelimit-reset-tokens", "6m0s", 360_000),
        ("x-ratelimit-reset-tokens", "3h2m1.5s", 10_921_500),
        ("x-ratelimit-reset-tokens", "12", 12_000),
        ("x-ratelimit-reset", "1769860803500", 3_500),
        ("x-ratelimit-reset", "1769860805", 5_000),
        ("anthropic-ratelimit-requests-reset", "2026-01-31T12:00:41Z", 41_000),
        ("anthropic-ratelimit-tokens-reset", "2026-01-31T14:00:01.25+02:00", 1_250),
        ("anthropic-ratelimit-tokens-reset", "2026-01-31T09:30:10-02:30", 10_000),
    ];
    for (name, value, expected) in cases {
        assert_eq!(millis(&[(name, value)]), Some(expected), "{name}: {value}");
    }
}

#[test]
fn what_is_no_wait_is_no_hint() {
    let values = [
        "",
        " ",
        "0",
        "0.0",
        "-5",
        "NaN",
        "inf",
        "1e400",
        "soon",
        "0s",
        "s",
        "1.2.3s",
        "5x",
        "5s5",
        "-1s",
        ".",
        "999999999",
        "Sat, 31 Jan 2026 11:59:00 GMT",
        "2026-01-31T11:59:59Z",
        "2026-13-01T00:00:00Z",
        "2026-01-31T12:00:09",
        "1769860799",
        "99999999999999999999",
        "2026-01-31T12:00:09+2:00",
        "9999-12-31T23:59:59Z",
        "2026-01-31T12:00:0€Z",
    ];
    for value in values {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        for name in ["retry-after", "x-ratelimit-reset-tokens", "anthropic-ratelimit-tokens-reset"] {
            let mut map = HeaderMap::new();
            map.insert(name.parse::<HeaderName>().unwrap(), value.clone());
            assert_eq!(retry_hint(&map, None, "", now()), None, "{name}: {value:?}");
        }
    }
    for value in ["", "0", "-1", "NaN", "1e30", "2s"] {
        assert_eq!(millis(&[("retry-after-ms", value)]), None, "{value}");
    }
}

#[test]
fn what_is_said_outright_beats_resets_and_what_is_used_up_beats_the_soonest() {
    let resets = [
        ("x-ratelimit-remaining-requests", "12"),
        ("x-ratelimit-reset-requests", "17ms"),
        ("x-ratelimit-remaining-tokens", "0"),
        ("x-ratelimit-reset-tokens", "8s"),
    ];
    assert_eq!(millis(&resets), Some(8_000));
    let mut said = resets.to_vec();
    said.push(("retry-after", "3"));
    assert_eq!(millis(&said), Some(3_000));
    said.push(("retry-after-ms", "2500"));
    assert_eq!(millis(&said), Some(2_500));
    said.pop();
    said.push(("retry-after-ms", "0"));
    assert_eq!(millis(&said), Some(3_000), "Azure's 0 ms beside a real wait");
    assert_eq!(millis(&[("x-ratelimit-reset-requests", "2s"), ("x-ratelimit-reset-tokens", "5s")]), Some(2_000));
    let both = [
        ("anthropic-ratelimit-requests-remaining", "0"),
        ("anthropic-ratelimit-requests-reset", "2026-01-31T12:00:05Z"),
        ("anthropic-ratelimit-input-tokens-remaining", "0"),
        ("anthropic-ratelimit-input-tokens-reset", "2026-01-31T12:00:30Z"),
        ("anthropic-ratelimit-output-tokens-reset", "2026-01-31T12:00:01Z"),
    ];
    assert_eq!(millis(&both), Some(30_000), "all that is used up must be back");
}

#[test]
fn bodies_hold_hints() {
    let none = HeaderMap::new();
    let google = json!({"error": {"details": [{"@type": "x"}, {"@type": "…RetryInfo", "retryDelay": "34.4s"}]}});
    assert_eq!(retry_hint(&none, Some(&google), "", now()), Some(Duration::from_millis(34_400)));
    assert_eq!(retry_hint(&none, Some(&json!([google])), "", now()), Some(Duration::from_millis(34_400)));
    let router = json!({"error": {"metadata": {"headers": {"X-RateLimit-Reset": "1769860860000"}}}});
    assert_eq!(retry_hint(&none, Some(&router), "", now()), Some(Duration::from_secs(60)));
    for odd in [json!([]), json!(7), json!({"error": "text"}), json!({"error": {"details": [{"retryDelay": 5}]}})] {
        assert_eq!(retry_hint(&none, Some(&odd), "", now()), None);
    }
}

#[test]
fn prose_holds_hints() {
    let cases = [
        ("Please try again in 1.2s. Visit …", Some(1_200)),
        ("Please try again in 6m0s.", Some(360_000)),
        ("Try again in 20ms", Some(20)),
        ("Please retry after 26 seconds.", Some(26_000)),
        ("Please retry in 34.074s.", Some(34_074)),
        ("try again in 2 minutes, please", Some(120_000)),
        ("retry after 5", Some(5_000)),
        ("try again in a moment", None),
        ("try again in ", None),
        ("try again in 5 bananas", None),
        ("try again in 0s", None),
        ("try again in 99999999999999999999999999h", None),
    ];
    for (text, expected) in cases {
        let hint = retry_hint(&HeaderMap::new(), None, text, now()).map(|wait| wait.as_millis());
        assert_eq!(hint, expected, "{text}");
    }
}

#[test]
fn quota_rests_only_when_something_is_used_up() {
    let rest = |list: &[(&str, &str)]| quota_rest(&headers(list), now()).map(|wait| wait.as_millis());
    assert_eq!(rest(&[]), None);
    assert_eq!(rest(&[("x-ratelimit-remaining-requests", "1"), ("x-ratelimit-reset-requests", "1s")]), None);
    assert_eq!(rest(&[("retry-after", "30")]), None, "Anthropic sends it with good answers");
    assert_eq!(rest(&[("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "1.5s")]), Some(1_500));
    assert_eq!(rest(&[("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "0s")]), None);
    assert_eq!(rest(&[("x-ratelimit-remaining-req-minute", "0")]), Some(60_000));
    assert_eq!(rest(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1769860802000")]), Some(2_000));
    let anthropic =
        [("anthropic-ratelimit-tokens-remaining", "0"), ("anthropic-ratelimit-tokens-reset", "2026-01-31T12:00:09Z")];
    assert_eq!(rest(&anthropic), Some(9_000));
    assert_eq!(rest(&[("x-ratelimit-remaining-tokens", "many")]), None);
}

#[test]
fn the_calendar_agrees_with_http_dates() {
    for day in (0..60_000).step_by(17) {
        let point = UNIX_EPOCH + Duration::from_secs(day * 86_400 + 3_723);
        let http = httpdate::HttpDate::from(point).to_string();
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let month = months.iter().position(|name| *name == &http[8..11]).unwrap() + 1;
        let text = format!("{}-{month:02}-{}T{}Z", &http[12..16], &http[5..7], &http[17..25]);
        assert_eq!(rfc3339(&text), Some(point), "{text}");
    }
}
