//! What the gateway's process holds at one moment.
//!
//! Owns the reading of `/proc` and of the gateway's metrics. Refuses to judge.

use crate::args::Error;
use hyper::StatusCode;
use rustix::process::Pid;
use serde::Serialize;

use super::client::get;
use super::gateway::Gateway;

/// One moment.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// Resident memory.
    pub resident_kib: u64,
    /// Open file descriptors.
    pub descriptors: u64,
    /// `backstop_requests_in_flight`
    pub requests: u64,
    /// `backstop_attempts_in_flight`, all slots together.
    pub attempts: u64,
}

impl Sample {
    /// Takes one.
    ///
    /// # Errors
    /// A process that is gone, or metrics that do not come.
    pub async fn take(gateway: &Gateway) -> Result<Self, Error> {
        // Before the metrics: asking for them is a connection.
        let descriptors = descriptors(gateway.pid)?;
        let (status, text) = get(&gateway.authority, "/metrics").await?;
        if status != StatusCode::OK {
            return Err(format!("/metrics: status {status}").into());
        }
        Ok(Self {
            resident_kib: resident_kib(gateway.pid)?,
            descriptors,
            requests: sum(&text, "backstop_requests_in_flight").ok_or("no backstop_requests_in_flight")?,
            attempts: sum(&text, "backstop_attempts_in_flight").ok_or("no backstop_attempts_in_flight")?,
        })
    }

    /// Whether nothing is in flight.
    pub const fn is_idle(&self) -> bool {
        self.requests == 0 && self.attempts == 0
    }

    /// The greater of each.
    pub fn greatest(self, other: Self) -> Self {
        Self {
            resident_kib: self.resident_kib.max(other.resident_kib),
            descriptors: self.descriptors.max(other.descriptors),
            requests: self.requests.max(other.requests),
            attempts: self.attempts.max(other.attempts),
        }
    }
}

fn descriptors(pid: Pid) -> Result<u64, Error> {
    Ok(std::fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64)
}

fn resident_kib(pid: Pid) -> Result<u64, Error> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("/proc shows no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// The sum of a gauge over its labels; `None` if it is not there.
fn sum(text: &str, name: &str) -> Option<u64> {
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value = if rest.starts_with('{') { rest.rsplit_once("} ")?.1 } else { rest.strip_prefix(' ')? };
        value.trim().parse::<u64>().ok()
    });
    values.fold(None, |sum, value| Some(sum.unwrap_or(0) + value))
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn a_gauge_is_summed_over_its_labels() {
        let text = "# TYPE a gauge\na{key=\"x\"} 2\na{key=\"y}\"} 3\na_total 7\nb 4\n";
        assert_eq!(sum(text, "a"), Some(5));
        assert_eq!(sum(text, "b"), Some(4));
        assert_eq!(sum(text, "c"), None);
    }
}
