//! Periods and sizes as people write them.
//!
//! Owns the units. Refuses to know which setting a quantity belongs to. Its errors never repeat a text.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

/// A length of time: `"250ms"`, `"10s"`, `"5m"`, `"1h"`, or a number of seconds.
#[derive(Clone, Copy)]
pub(super) struct Period(pub(super) Duration);

/// A number of bytes: a plain number, or `"64KiB"`, `"32MiB"`.
#[derive(Clone, Copy)]
pub(super) struct Size(pub(super) usize);

/// Longer periods are mistakes of the unit.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3_600);

impl Period {
    const EXPECTED: &'static str = "a period such as \"250ms\", \"10s\", \"5m\" or \"1h\", or a number of seconds";

    fn from_secs(seconds: f64) -> Option<Self> {
        let period = Duration::try_from_secs_f64(seconds).ok()?;
        (period <= LONGEST).then_some(Self(period))
    }

    fn from_text(text: &str) -> Option<Self> {
        let text = text.trim();
        let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(unit_at)?;
        let number = number.trim().parse::<f64>().ok()?;
        match unit {
            // In milliseconds, so that "250ms" is exactly 250 ms.
            "ms" if number.fract() == 0.0 && (0.0..1e12).contains(&number) => {
                Self::from_secs(number / 1_000.0).map(|Self(period)| Self(round_to_micros(period)))
            }
            "ms" => Self::from_secs(number / 1_000.0),
            "s" | "" => Self::from_secs(number),
            "m" | "min" => Self::from_secs(number * 60.0),
            "h" => Self::from_secs(number * 3_600.0),
            "d" => Self::from_secs(number * 86_400.0),
            _ => None,
        }
    }
}

/// Without what floating point left behind.
fn round_to_micros(period: Duration) -> Duration {
    let micros = (period.as_nanos() + 500) / 1_000;
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

impl Size {
    const EXPECTED: &'static str = "a number of bytes, or a size such as \"64KiB\" or \"32MiB\" (not KB, MB, GB)";

    fn from_bytes(bytes: u64) -> Option<Self> {
        usize::try_from(bytes).ok().map(Self)
    }

    fn from_text(text: &str) -> Option<Self> {
        let text = text.trim();
        let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(unit_at)?;
        let scale: u64 = match unit.trim() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return None,
        };
        Self::from_bytes(number.parse::<u64>().ok()?.checked_mul(scale)?)
    }
}

/// Reads a quantity from a text or a number.
struct Quantity<T> {
    expected: &'static str,
    text: fn(&str) -> Option<T>,
    whole: fn(u64) -> Option<T>,
    real: fn(f64) -> Option<T>,
}

impl<T> Quantity<T> {
    fn or_refuse<E: Error>(&self, value: Option<T>) -> Result<T, E> {
        value.ok_or_else(|| E::custom(format_args!("expected {}", self.expected)))
    }
}

impl<T> Visitor<'_> for Quantity<T> {
    type Value = T;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        self.or_refuse((self.text)(text))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        self.or_refuse((self.whole)(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        self.or_refuse(u64::try_from(number).ok().and_then(self.whole))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        self.or_refuse((self.real)(number))
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Quantity {
            expected: Self::EXPECTED,
            text: Self::from_text,
            whole: |seconds| Some(Duration::from_secs(seconds)).filter(|period| *period <= LONGEST).map(Self),
            real: Self::from_secs,
        })
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Quantity {
            expected: Self::EXPECTED,
            text: Self::from_text,
            whole: Self::from_bytes,
            real: |_| None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_read_in_every_unit() {
        let millis = |text: &str| Period::from_text(text).map(|Period(period)| period.as_micros());
        assert_eq!(millis("250ms"), Some(250_000));
        assert_eq!(millis("10s"), Some(10_000_000));
        assert_eq!(millis("2.5s"), Some(2_500_000));
        assert_eq!(millis("5m"), Some(300_000_000));
        assert_eq!(millis("1h"), Some(3_600_000_000));
        assert_eq!(millis("7"), Some(7_000_000));
        for text in ["", "s", "-1s", "10 parsecs", "1e400s", "NaN", "inf", "9999d", "1h30m"] {
            assert_eq!(millis(text), None, "{text:?}");
        }
        for whole in 0..5_000_u64 {
            assert_eq!(millis(&format!("{whole}ms")), Some(u128::from(whole) * 1_000));
        }
    }

    #[test]
    fn sizes_are_read_in_every_unit() {
        let bytes = |text: &str| Size::from_text(text).map(|Size(bytes)| bytes);
        assert_eq!(bytes("32MiB"), Some(32 << 20));
        assert_eq!(bytes("64 KiB"), Some(64 << 10));
        assert_eq!(bytes("17"), Some(17));
        for text in ["", "MiB", "-1", "1.5MiB", "32MB", "99999999999999999999GiB"] {
            assert_eq!(bytes(text), None, "{text:?}");
        }
    }
}
