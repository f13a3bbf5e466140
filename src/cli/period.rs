//! Periods on the command line.
//!
//! Owns how they are read: as in the configuration, where a number alone is seconds.

use std::time::Duration;

/// Longer ones are mistakes of the unit.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3_600);

/// `5`, `0.5`, `250ms`, `10s` or `1m 30s`.
///
/// # Errors
/// It is no period, is 0, or is longer than a year.
pub(super) fn period(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let read = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => humantime::parse_duration(text).ok(),
    };
    match read {
        Some(Duration::ZERO) => Err("it must be longer than 0".to_owned()),
        Some(period) if period <= LONGEST => Ok(period),
        Some(_) | None => Err("a period is like 250ms, 10s or 5m; a number alone is seconds".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_alone_is_seconds() {
        let millis = |text: &str| period(text).map(|period| period.as_millis());
        for (text, expected) in [("5", 5_000), ("0.5", 500), ("250ms", 250), (" 10s ", 10_000), ("1m 30s", 90_000)] {
            assert_eq!(millis(text), Ok(expected), "{text}");
        }
        for text in ["0", "0s", "-1", "", "soon", "inf", "NaN", "1e300", "400d"] {
            assert!(period(text).is_err(), "{text}");
        }
    }
}
