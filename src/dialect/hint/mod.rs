//! How long a vendor says to stay away: headers, bodies and prose, read into a duration from now.
//!
//! Owns every spelling of a waiting time. Refuses to know a clock (wall-clock time is an argument) and
//! what a hint may do (the ledger bounds it). What cannot be understood is no hint, never an error.

#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName};
use serde_json::Value;

static RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// Longer waits than this are mistakes or another unit, and are ignored.
const ABSURD: Duration = Duration::from_secs(31 * 86_400);
/// Plain numbers from here on are points in time: seconds since 1970, …
const EPOCH_SECONDS: f64 = 1e9;
/// … and from here on milliseconds.
const EPOCH_MILLIS: f64 = 1e12;
/// The rest of a slot whose quota is used up by a vendor who does not say until when.
const UNTOLD_REST: Duration = Duration::from_secs(60);

/// How long the vendor asks to stay away, from now: what it says outright ([`explicit_hint`]), else the
/// reset of what is used up (the latest of them), else the soonest reset of all. Only to be asked of
/// failures: some vendors send `retry-after` with good answers, too.
#[must_use]
pub fn retry_hint(headers: &HeaderMap, body: Option<&Value>, message: &str, wall: SystemTime) -> Option<Duration> {
    explicit_hint(headers, body, message, wall)
        .or_else(|| used_up(headers, wall).and_then(|rest| rest.told))
        .or_else(|| resets(headers, wall).min())
}

/// How long the vendor asks outright to stay away: `retry-after-ms`, `Retry-After`, the body's own delay
/// (Google's `RetryInfo`, the headers OpenRouter quotes), then "try again in …" in its text.
#[must_use]
pub fn explicit_hint(headers: &HeaderMap, body: Option<&Value>, message: &str, wall: SystemTime) -> Option<Duration> {
    let header = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    header(&RETRY_AFTER_MS)
        .and_then(|millis| sensible(millis.trim().parse::<f64>().ok()? / 1_000.0))
        .or_else(|| header(&RETRY_AFTER).and_then(|value| wait(value, wall)))
        .or_else(|| body.and_then(|body| in_body(body, wall)))
        .or_else(|| in_text(message))
}

/// Time until the quota that a *good* answer shows as used up is there again; `None` while something is
/// left of all of them, 60 s if the vendor does not say until when. Without such headers this is one walk
/// over the header list and allocates nothing.
#[must_use]
pub fn quota_rest(headers: &HeaderMap, wall: SystemTime) -> Option<Duration> {
    used_up(headers, wall).map(|rest| rest.told.unwrap_or(UNTOLD_REST))
}

/// A quota at zero, and when the last of those at zero is there again, if that is told.
struct UsedUp {
    told: Option<Duration>,
}

fn used_up(headers: &HeaderMap, wall: SystemTime) -> Option<UsedUp> {
    let mut found: Option<UsedUp> = None;
    for (name, value) in headers {
        let Some(quota) = Quota::of_remaining(name.as_str()) else { continue };
        if !value.to_str().is_ok_and(|left| left.trim().parse::<f64>().is_ok_and(|left| left <= 0.0)) {
            continue;
        }
        let reset = headers.get(quota.reset_header()).and_then(|value| value.to_str().ok());
        let told = match reset.map(|reset| wait(reset, wall)) {
            // A reset that is over, or none at all (`0s`): the quota is there again.
            Some(None) => continue,
            Some(told) => told,
            None => None,
        };
        let before = found.and_then(|rest| rest.told);
        found = Some(UsedUp { told: before.max(told) });
    }
    found
}

fn resets(headers: &HeaderMap, wall: SystemTime) -> impl Iterator<Item = Duration> {
    headers
        .iter()
        .filter(|(name, _)| Quota::is_reset(name.as_str()))
        .filter_map(move |(_, value)| wait(value.to_str().ok()?, wall))
}

/// One limit among a vendor's limit headers: `x-ratelimit-*-tokens`, `anthropic-ratelimit-input-tokens-*`.
enum Quota<'a> {
    /// What follows `x-ratelimit-remaining`.
    Suffix(&'a str),
    /// What stands before `-remaining`.
    Prefix(&'a str),
}

impl<'a> Quota<'a> {
    fn of_remaining(name: &'a str) -> Option<Self> {
        match name.as_bytes().first() {
            Some(b'x') => name.strip_prefix("x-ratelimit-remaining").map(Self::Suffix),
            Some(b'a') if name.starts_with("anthropic-ratelimit-") => name.strip_suffix("-remaining").map(Self::Prefix),
            _ => None,
        }
    }

    fn is_reset(name: &str) -> bool {
        name.starts_with("x-ratelimit-reset") || (name.starts_with("anthropic-ratelimit-") && name.ends_with("-reset"))
    }

    fn reset_header(&self) -> String {
        match self {
            Self::Suffix(suffix) => format!("x-ratelimit-reset{suffix}"),
            Self::Prefix(prefix) => format!("{prefix}-reset"),
        }
    }
}

fn in_body(body: &Value, wall: SystemTime) -> Option<Duration> {
    let body = body.as_array().and_then(|list| list.first()).unwrap_or(body);
    let error = body.get("error").unwrap_or(body);
    let detail = |detail: &Value| detail.get("retryDelay").and_then(Value::as_str).and_then(|delay| wait(delay, wall));
    let details = error.get("details").and_then(Value::as_array);
    details.and_then(|details| details.iter().find_map(detail)).or_else(|| {
        let quoted = error.get("metadata")?.get("headers")?.as_object()?;
        let value = |wanted: &str| {
            let (_, value) = quoted.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
            value.as_str().and_then(|value| wait(value, wall))
        };
        value("retry-after").or_else(|| value("x-ratelimit-reset"))
    })
}

/// A wait in any spelling that stands in a header: seconds, a Go duration, a date, a point in time.
fn wait(value: &str, wall: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(number) = value.parse::<f64>() {
        return if number >= EPOCH_MILLIS {
            until(number / 1_000.0, wall)
        } else if number >= EPOCH_SECONDS {
            until(number, wall)
        } else {
            sensible(number)
        };
    }
    if let Some(duration) = go_duration(value) {
        return Some(duration).filter(|wait| !wait.is_zero() && *wait <= ABSURD);
    }
    let point = rfc3339(value).or_else(|| httpdate::parse_http_date(value).ok())?;
    point.duration_since(wall).ok().filter(|wait| !wait.is_zero() && *wait <= ABSURD)
}

fn until(epoch_seconds: f64, wall: SystemTime) -> Option<Duration> {
    let point = UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(epoch_seconds).ok()?)?;
    point.duration_since(wall).ok().filter(|wait| !wait.is_zero() && *wait <= ABSURD)
}

fn sensible(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok().filter(|wait| !wait.is_zero() && *wait <= ABSURD)
}

/// Go's spelling: `20ms`, `1.5s`, `6m0s`, `3h2m1.5s`; with `d` for days, which Go lacks.
fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let (number, after) = leading_number(rest)?;
        let unit = after.len() - after.trim_start_matches(|c: char| c.is_alphabetic()).len();
        let (unit, after) = after.split_at(unit);
        seconds += number * unit_seconds(unit)?;
        rest = after;
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(seconds).ok()).flatten()
}

fn leading_number(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    Some((number.parse().ok()?, rest))
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" | "nanosecond" | "nanoseconds" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" | "millisecond" | "milliseconds" => 1e-3,
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hour" | "hours" => 3_600.0,
        "d" | "day" | "days" => 86_400.0,
        _ => return None,
    })
}

/// "Please try again in 6m0s.", "retry after 26 seconds", "Please retry in 34.07s."
fn in_text(text: &str) -> Option<Duration> {
    let text = text.to_ascii_lowercase();
    ["try again in ", "try again after ", "retry after ", "retry in "]
        .into_iter()
        .find_map(|lead| {
            let (_, after) = text.split_once(lead)?;
            let mut words = after.split_whitespace();
            let first = words.next()?.trim_end_matches(['.', ',', ';', ')']);
            if let Some(wait) = go_duration(first) {
                return Some(wait);
            }
            let number = first.parse::<f64>().ok()?;
            let unit = words.next().unwrap_or("seconds").trim_end_matches(['.', ',', ';', ')']);
            Duration::try_from_secs_f64(number * unit_seconds(unit)?).ok()
        })
        .filter(|wait| !wait.is_zero() && *wait <= ABSURD)
}

/// `2026-01-31T23:59:59.5Z`, with an offset instead of `Z`, or a blank instead of `T`.
fn rfc3339(text: &str) -> Option<SystemTime> {
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
    };
    let mark = |at: usize, allowed: &[u8]| text.as_bytes().get(at).is_some_and(|byte| allowed.contains(byte));
    if !(mark(4, b"-") && mark(7, b"-") && mark(10, b"Tt ") && mark(13, b":") && mark(16, b":")) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let rest = text.get(19..)?;
    let digits = rest.strip_prefix('.').map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    let (fraction, zone) = rest.split_at(if digits == 0 { 0 } else { digits + 1 });
    let fraction = if fraction.is_empty() { 0.0 } else { format!("0{fraction}").parse::<f64>().ok()? };
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset(zone)?;
    UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?) + Duration::from_secs_f64(fraction))
}

/// Seconds east of Greenwich.
fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, zone) = match zone.split_at_checked(1)? {
        ("+", zone) => (1, zone),
        ("-", zone) => (-1, zone),
        _ => return None,
    };
    let (hours, minutes) = zone.split_once(':')?;
    let two = |digits: &str| (digits.len() == 2).then(|| digits.parse::<u8>().ok()).flatten().map(i64::from);
    Some(sign * (two(hours)? * 3_600 + two(minutes)? * 60))
}

/// Days of the proleptic Gregorian calendar; years are counted from March, so that leap days come last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}
