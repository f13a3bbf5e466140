//! A small seeded generator (splitmix64): the same seed gives the same world everywhere.
//!
//! Owns numbers. Refuses to know what they decide.

use std::time::Duration;

/// A stream of pseudo-random numbers.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The stream of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// A number below `end`; 0 if `end` is 0.
    pub const fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.number() % end }
    }

    /// A number from `low` to `high`, both included.
    pub const fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// True in so many of a thousand cases.
    pub const fn chance(&mut self, permille: u64) -> bool {
        self.below(1_000) < permille
    }

    /// A duration from `low` to `high` milliseconds, to the microsecond.
    pub const fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_micros(self.range(low * 1_000, high * 1_000))
    }

    /// An exponentially distributed pause (Poisson arrivals) of the given mean.
    #[allow(clippy::cast_precision_loss, reason = "53 bits are enough for a pause")]
    pub fn pause(&mut self, mean: Duration) -> Duration {
        let unit = ((self.number() >> 11) as f64 + 1.0) / (1_u64 << 53) as f64;
        mean.mul_f64(-unit.ln())
    }

    /// One of several; `None` if there is none.
    pub const fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        if of.is_empty() { None } else { Some(&of[self.below(of.len() as u64) as usize]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_within_their_bounds() {
        let (mut one, mut other) = (Random::new(7), Random::new(7));
        for _ in 0..1_000 {
            let number = one.range(3, 9);
            assert_eq!(number, other.range(3, 9));
            assert!((3..=9).contains(&number));
        }
        assert_eq!(one.below(0), 0);
        assert_eq!(one.pick::<u8>(&[]), None);
    }

    #[test]
    fn pauses_have_their_mean() {
        let mut random = Random::new(1);
        let sum: Duration = (0..10_000).map(|_| random.pause(Duration::from_secs(2))).sum();
        assert!((19_000..21_000).contains(&sum.as_secs()), "{sum:?}");
    }
}
