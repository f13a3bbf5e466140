//! `backstop demo`: the gateway before simulated providers, in one process, and a story told live.
//!
//! Owns the order: set the stage, tell the story, serve until the end. Refuses to know how requests are served.

mod live;
mod show;
mod stage;
mod story;

use std::net::SocketAddr;
use std::process::ExitCode;

use self::live::Log;
use self::show::Show;
use self::stage::Stage;
use self::story::Story;
use super::terminal::Format;
use super::{EXIT_USAGE, fail, interrupted};

/// `listen`: there and nowhere else. `once`: only the story; whether it went as told is the exit status.
pub(super) fn run(listen: Option<SocketAddr>, once: bool, format: Format) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, format_args!("cannot start the runtime: {error}")),
    };
    let show = Show::new(format);
    let ended = runtime.block_on(async {
        tokio::select! {
            biased;
            () = interrupted() => ExitCode::SUCCESS,
            ended = perform(listen, once, &show) => ended,
        }
    });
    show.close();
    ended
}

async fn perform(listen: Option<SocketAddr>, once: bool, show: &Show) -> ExitCode {
    let mut log = match Log::start() {
        Ok(log) => log,
        Err(error) => return fail(1, error),
    };
    let stage = match Stage::set(listen).await {
        Ok(stage) => stage,
        Err(unset) => return fail(unset.status, unset.why),
    };
    show.opening(&stage);
    let told = Story::tell(&stage, &mut log, show).await;
    if let Err(why) = &told {
        show.departed(why);
    }
    if once {
        return if told.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    stage.heal();
    show.ready(&stage);
    follow(&mut log, show).await;
    ExitCode::SUCCESS
}

/// Tells what users do, as long as the gateway serves.
async fn follow(log: &mut Log, show: &Show) {
    while let Some(line) = log.next().await {
        show.line(&line);
        let lost = log.lost();
        if lost > 0 {
            show.lost(lost);
        }
    }
}
