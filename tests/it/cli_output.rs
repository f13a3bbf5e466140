//! What cannot be written is a failure, and a reader that went away is none.

use std::fs::OpenOptions;
use std::process::{Command, Stdio};

use crate::support::Gateway;

const LOCAL: &str = "{ providers: { local: { base_url: 'http://127.0.0.1:1/v1' } }, chains: { default: ['local/m'] } }";

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backstop"));
    command.args(arguments).env_clear().stdin(Stdio::null()).current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// The exit status and standard error where standard output is a full disk.
fn into_full(arguments: &[&str]) -> (Option<i32>, String) {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = command(arguments).stdout(full).stderr(Stdio::piped()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn into_nobody(arguments: &[&str]) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command(arguments).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn what_cannot_be_written_is_a_failure() {
    let gateway = Gateway::start(LOCAL).await;
    let url = format!("http://{}", gateway.addr);
    let (_directory, path) = crate::cli_run::file(LOCAL);
    let path = path.display().to_string();
    let ran = tokio::task::spawn_blocking(move || {
        let rows = [
            &["hash-key", "--generate"][..],
            &["hash-key", "--generate", "--json"],
            &["check", "--config", &path],
            &["check", "--config", &path, "--json"],
            &["completions", "bash"],
            &["--help"],
            &["--version"],
            &["status", "--url", &url],
            &["status", "--url", &url, "--json"],
            &["status", "--url", &url, "--watch", "--json"],
            &["healthcheck", "--url", &url],
        ];
        for arguments in rows {
            let (status, err) = into_full(arguments);
            assert_eq!(status, Some(1), "{arguments:?}: {err}");
            assert_eq!(err.matches("cannot write to standard output").count(), 1, "{arguments:?}: {err}");
            let (status, err) = into_nobody(arguments);
            assert_eq!(status, Some(0), "{arguments:?}: {err}");
            assert!(!err.contains("cannot write"), "{arguments:?}: {err}");
        }
        // Its slot cannot be asked, which is 1 anyhow.
        let (status, err) = into_full(&["probe", "--config", &path, "--json"]);
        assert!(status == Some(1) && err.contains("cannot write to standard output"), "{err}");
    });
    ran.await.unwrap();
    let _cut = gateway.stopped().await;
}
