//! The processor time of other processes.
//!
//! Owns reading `/proc`. Refuses to judge.

use std::fs;

/// The time that these processes have had so far, in µs.
#[derive(Debug, Clone, Copy)]
pub struct Spent {
    /// In µs.
    pub micros: f64,
    /// Where it was read.
    pub clock: Clock,
}

/// What a time was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The scheduler's own account, in nanoseconds.
    Schedstat,
    /// `utime` and `stime`, in ticks of 10 ms.
    Ticks,
}

impl Clock {
    /// As the report calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Schedstat => "schedstat",
            Self::Ticks => "ticks",
        }
    }
}

/// Linux gives it in hundredths of a second to everyone.
const MICROS_PER_TICK: f64 = 10_000.0;

/// What these processes have used so far; one that is gone counts nothing.
pub fn spent(processes: &[u32]) -> Spent {
    let threads = || {
        let tasks = processes.iter().filter_map(|id| fs::read_dir(format!("/proc/{id}/task")).ok());
        tasks.flat_map(|tasks| tasks.filter_map(Result::ok).map(|task| task.path()))
    };
    let mut nanos = 0.0;
    for thread in threads() {
        let Ok(text) = fs::read_to_string(thread.join("schedstat")) else { continue };
        nanos += text.split(' ').next().and_then(|word| word.parse::<f64>().ok()).unwrap_or(0.0);
    }
    if nanos > 0.0 {
        return Spent { micros: nanos / 1_000.0, clock: Clock::Schedstat };
    }
    let ticks = threads().filter_map(|thread| fs::read_to_string(thread.join("stat")).ok()).map(|text| ticks(&text));
    Spent { micros: ticks.sum::<f64>() * MICROS_PER_TICK, clock: Clock::Ticks }
}

/// `utime` and `stime`: the 14th and 15th field (proc(5)). The second is a name that may hold anything but ends in `)`.
fn ticks(stat: &str) -> f64 {
    let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
    behind.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<f64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "1 (a b) c) S 2 3 4 5 6 7 8 9 10 11 120 30 0 0";
        assert!((ticks(stat) - 150.0).abs() < f64::EPSILON);
    }

    #[test]
    fn this_process_has_had_some_time() {
        let own = std::process::id();
        let first = spent(&[own]);
        assert!(first.micros > 0.0 || first.clock == Clock::Ticks);
        // It takes time until it has taken some.
        while spent(&[own]).micros <= first.micros {
            std::hint::black_box(());
        }
        assert!(spent(&[u32::MAX]).micros.abs() < f64::EPSILON, "who is not there has had none");
    }
}
