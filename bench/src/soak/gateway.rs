//! The gateway as a child process.
//!
//! Owns its configuration, its start and its end. Refuses to know what is asked of it.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use crate::args::Error;
use hyper::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{sleep, timeout};

use super::client::get;
use super::options::{Options, Recovery};
use super::shapes::{CHAIN, TARGETS};

/// From the start of the program to its readiness.
const START: Duration = Duration::from_secs(20);

/// From SIGTERM to the end of the program: its drain, and a little.
const STOP: Duration = Duration::from_secs(40);

/// A gateway that runs. Dropped, it is killed.
#[derive(Debug)]
pub struct Gateway {
    /// Its process.
    pub pid: Pid,
    /// Its `host:port`.
    pub authority: String,
    child: Child,
    // A closed pipe would be an error for who writes into it.
    _stdout: Lines<BufReader<ChildStdout>>,
    _directory: TempDir,
}

impl Gateway {
    /// Starts one before the upstream, and waits until it is ready.
    ///
    /// # Errors
    /// A program that cannot be started, that ends, or that is not ready in time.
    pub async fn start(options: &Options, upstream: &str) -> Result<Self, Error> {
        let directory = tempfile::Builder::new().prefix("backstop-soak-").tempdir()?;
        let path = directory.path().join("backstop.json5");
        std::fs::write(&path, configuration(options.recovery, upstream).to_string())?;
        let mut child = Command::new(&options.program)
            .args(["serve", "--config"])
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{}: {error}", options.program.display()))?;
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed())).ok_or("the gateway ended at once")?;
        let mut stdout = BufReader::new(child.stdout.take().ok_or("the gateway has no stdout")?).lines();
        let authority = timeout(START, listening(&mut stdout)).await??;
        timeout(START, ready(&authority)).await.map_err(|_| "the gateway does not get ready")?;
        Ok(Self { pid, authority, child, _stdout: stdout, _directory: directory })
    }

    /// Ends it, and waits for that.
    ///
    /// # Errors
    /// It does not end in time.
    pub async fn stop(mut self) -> Result<ExitStatus, Error> {
        kill_process(self.pid, Signal::TERM)?;
        Ok(timeout(STOP, self.child.wait()).await.map_err(|_| "the gateway does not end after SIGTERM")??)
    }
}

async fn listening(stdout: &mut Lines<BufReader<ChildStdout>>) -> Result<String, Error> {
    while let Some(line) = stdout.next_line().await? {
        if let Some(authority) = line.strip_prefix("listening on http://") {
            return Ok(authority.to_owned());
        }
    }
    Err("the gateway ended before it listened".into())
}

async fn ready(authority: &str) {
    while !matches!(get(authority, "/readyz").await, Ok((StatusCode::OK, _))) {
        sleep(Duration::from_millis(50)).await;
    }
}

/// Two keys of one provider, then a second provider, all of them the same upstream.
fn configuration(recovery: Recovery, upstream: &str) -> Value {
    let provider = |name: &str, keys: &[&str]| json!({ "dialect": "openai_chat", "base_url": format!("http://{upstream}/{name}/v1"), "keys": keys });
    let target = |target: &str| json!({ "target": target, "prefill": true });
    let mut chain = json!({ "targets": TARGETS.map(target) });
    // The default is left to be the default.
    if recovery != Recovery::Error {
        chain["stream_recovery"] = recovery.name().into();
    }
    json!({
        "server": { "listen": "127.0.0.1:0", "log": { "level": "error" } },
        // An idle connection is a descriptor: soon closed, the end can be compared with the start.
        "upstream": { "pool_idle_timeout": "1s" },
        "providers": {
            "slow": provider("slow", &["soak-key-1", "soak-key-2"]),
            "spare": provider("spare", &["soak-key-3"]),
        },
        "chains": { CHAIN: chain },
        // What is cut here says nothing about who answers next.
        "cooldowns": { "broken_stream": { "first": "1ms", "cap": "1ms" } },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_says_what_happens_to_a_cut_stream_unless_it_is_the_default() {
        let said = |recovery| configuration(recovery, "127.0.0.1:9")["chains"][CHAIN]["stream_recovery"].clone();
        assert_eq!(said(Recovery::Continue), "continue");
        assert_eq!(said(Recovery::Buffer), "buffer");
        assert!(said(Recovery::Error).is_null());
    }
}
