//! Runs the real command with an environment of nothing but what a test gives it.
//!
//! Owns starting it and what is left of it. Refuses to know commands.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

/// What a run left.
pub struct Ran {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Standard output as a JSON document.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }

    /// Everything that was printed.
    pub fn all(&self) -> String {
        format!("{}\n{}", self.out, self.err)
    }
}

/// `backstop ARGUMENTS` with this environment and nothing to read.
pub fn backstop(arguments: &[&str], env: &[(&str, &str)]) -> Ran {
    backstop_with(arguments, env, "")
}

/// The same with something on standard input.
pub fn backstop_with(arguments: &[&str], env: &[(&str, &str)], input: &str) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backstop"));
    command.args(arguments).env_clear().envs(env.iter().copied());
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap();
    // A command that reads nothing may be gone before this is written.
    let _gone = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ran {
        status: output.status.code().expect("it ended by itself"),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A configuration in a file of its own, which is gone with the directory.
pub fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("backstop.json5");
    std::fs::write(&path, text).unwrap();
    (directory, path)
}
