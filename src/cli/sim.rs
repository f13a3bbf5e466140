//! `backstop sim`.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use tokio::net::TcpListener;

use super::{EXIT_USAGE, announce, fail, interrupted};
use crate::sim::{Script, serve};

pub(super) fn run(listen: SocketAddr, path: Option<&Path>) -> ExitCode {
    let script = match path.map(read).transpose() {
        Ok(script) => script.unwrap_or_default(),
        Err(error) => return fail(EXIT_USAGE, error),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, format_args!("cannot start the runtime: {error}")),
    };
    runtime.block_on(async {
        let listener = match TcpListener::bind(listen).await {
            Ok(listener) => listener,
            Err(error) => return fail(1, format_args!("cannot listen on {listen}: {error}")),
        };
        announce(&listener);
        serve(listener, script, interrupted()).await;
        ExitCode::SUCCESS
    })
}

fn read(path: &Path) -> Result<Script, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Script::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
}
