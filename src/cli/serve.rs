//! `backstop serve`.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use tokio::runtime::{Builder, Runtime};

use super::address::LISTEN;
use super::{EXIT_USAGE, announce, environment, fail, interrupted};
use crate::app::{self, Gateway};
use crate::config::{Config, LogFormat, load};
use crate::server::{listen, serve};
use crate::telemetry::log;

pub(super) fn run(path: Option<&Path>, listen: Option<SocketAddr>) -> ExitCode {
    let asked = listen.map(|listen| (LISTEN.to_owned(), listen.to_string()));
    let config = match load(path, environment().chain(asked)) {
        Ok(config) => config,
        Err(mut error) => {
            // The flag reaches the configuration as this variable.
            for problem in error.problems.iter_mut().filter(|_| listen.is_some()) {
                problem.source = problem.source.replace(&format!("environment variable {LISTEN}"), "--listen");
            }
            return fail(EXIT_USAGE, error);
        }
    };
    let format = match config.server.log.format {
        LogFormat::Text => log::Format::Text,
        LogFormat::Json => log::Format::Json,
    };
    if let Err(error) = log::start(format, &config.server.log.level, std::io::stderr().is_terminal()) {
        return fail(EXIT_USAGE, error);
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    match runtime(config.server.workers) {
        Ok(runtime) => runtime.block_on(serve_config(&config)),
        Err(error) => fail(1, format_args!("cannot start the runtime: {error}")),
    }
}

/// One worker needs no threads to steal work from.
fn runtime(workers: Option<usize>) -> std::io::Result<Runtime> {
    match workers {
        Some(1) => Builder::new_current_thread().enable_all().build(),
        Some(workers) => Builder::new_multi_thread().worker_threads(workers).enable_all().build(),
        None => Builder::new_multi_thread().enable_all().build(),
    }
}

async fn serve_config(config: &Config) -> ExitCode {
    let Gateway { state, options } = match app::build(config) {
        Ok(gateway) => gateway,
        Err(error) => return fail(EXIT_USAGE, error),
    };
    let address = config.server.listen;
    let listener = match listen(address) {
        Ok(listener) => listener,
        Err(error) => {
            return fail(1, format_args!("cannot listen on {address}: {error}; choose another with --listen"));
        }
    };
    announce(&listener);
    serve(listener, state, options, interrupted()).await;
    ExitCode::SUCCESS
}
