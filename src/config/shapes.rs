//! The accepted spellings: a key, a chain, an agent's model, a period, a size.
//!
//! Owns which forms a value may take and turns each into one. Refuses to know what the names in it refer to.
//! Its errors never repeat a text, for it may be a key.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// One credential, still plain text: a string, or `{ key, profile, … }`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, remote = "Self")]
pub(super) struct RawKey {
    pub(super) key: Option<String>,
    pub(super) profile: Option<String>,
    pub(super) base_url: Option<String>,
    pub(super) quota_group: Option<String>,
    pub(super) disabled: Option<bool>,
}

/// A chain: one target, a list of them, or `{ targets, … }`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, remote = "Self")]
pub(super) struct RawChain {
    pub(super) targets: Vec<String>,
    pub(super) continue_on_content_filter: Option<bool>,
    pub(super) equivalent: Option<bool>,
    pub(super) key_order: Option<String>,
}

/// An agent's model: one target, or `{ primary, fallback, fallback2, … }` in numeric order.
#[derive(Default)]
pub(super) struct Choice {
    /// The field each target stands in, and the target.
    pub(super) targets: Vec<(String, String)>,
}

/// What a value may be spelled as, beyond a map of its fields.
trait Spelled: Sized {
    const EXPECTED: &'static str;

    fn from_text(text: &str) -> Self;

    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error>;

    fn from_list<'de, A: SeqAccess<'de>>(_list: A) -> Result<Self, A::Error> {
        Err(A::Error::invalid_type(serde::de::Unexpected::Seq, &Self::EXPECTED))
    }
}

struct Spelling<T>(PhantomData<T>);

impl<'de, T: Spelled> Visitor<'de> for Spelling<T> {
    type Value = T;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        Ok(T::from_text(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::from_map(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        T::from_list(list)
    }
}

/// Implements `Deserialize` by the spellings of a type.
macro_rules! spelled {
    ($($name:ident)*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_any(Spelling(PhantomData))
            }
        }
    )*};
}

spelled! { RawKey RawChain Choice }

impl Spelled for RawKey {
    const EXPECTED: &'static str = "a key as a string or as { key, profile }";

    fn from_text(text: &str) -> Self {
        Self { key: Some(text.to_owned()), ..Self::default() }
    }

    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        Self::deserialize(MapAccessDeserializer::new(map))
    }
}

impl Spelled for RawChain {
    const EXPECTED: &'static str = "a list of targets or { targets: [..] }";

    fn from_text(text: &str) -> Self {
        Self { targets: vec![text.to_owned()], ..Self::default() }
    }

    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        Self::deserialize(MapAccessDeserializer::new(map))
    }

    fn from_list<'de, A: SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        let targets = Vec::<String>::deserialize(SeqAccessDeserializer::new(list))?;
        Ok(Self { targets, ..Self::default() })
    }
}

impl Spelled for Choice {
    const EXPECTED: &'static str = "a target or { primary, fallback, fallback2 }";

    fn from_text(text: &str) -> Self {
        Self { targets: vec![(String::new(), text.to_owned())] }
    }

    fn from_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut levels: Vec<(Level, String)> = Vec::new();
        while let Some(level) = map.next_key::<Level>()? {
            levels.push((level, map.next_value()?));
        }
        levels.sort_by_key(|(level, _)| level.order);
        Ok(Self { targets: levels.into_iter().map(|(level, target)| (level.field, target)).collect() })
    }
}

/// A field of [`Choice`]: `primary`, `fallback` or `fallback` and a number.
struct Level {
    order: u32,
    field: String,
}

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        const FIELDS: &[&str] = &["primary", "fallback", "fallback2", "fallback3"];
        let field = String::deserialize(from)?;
        let order = match field.strip_prefix("fallback") {
            Some("") => Some(1),
            Some(number) if !number.starts_with(['+', '0']) => number.parse::<u32>().ok(),
            Some(_) => None,
            None => (field == "primary").then_some(0),
        };
        match order {
            Some(order) => Ok(Self { order, field }),
            None => Err(D::Error::unknown_field(&field, FIELDS)),
        }
    }
}

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
    const EXPECTED: &'static str = "a number of bytes, or a size such as \"64KiB\" or \"32MiB\"";

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
