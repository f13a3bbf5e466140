//! The cost gate's parts: a mock upstream, the floor to measure against, and a load that checks every answer.
//!
//! `backstop-bench load --url http://HOST:PORT [--connections N] [--body-bytes N] [--host-mock ADDR] PHASE…`
//!
//! A phase is `plain:REQUESTS` or `stream:CONTENTS:REQUESTS`. With `--host-mock` it is the upstream as well, and every
//! stream event waits until the one before has gone all the way: counts then do not depend on how reads happen to
//! merge. Prints one JSON line; exit code 1 if any answer was wrong.

pub mod bare;
mod load;
mod mock;

use std::process::ExitCode;
use std::sync::Arc;

use self::load::{Phase, Plan};
use self::mock::{Lockstep, Mock};
use crate::args::{Args, Error};
use tokio::net::TcpListener;

/// Makes the load.
///
/// # Errors
/// A wrong option, or a wrong answer.
pub async fn run(args: &Args) -> Result<ExitCode, Error> {
    let url = args.required("url")?;
    let authority = url.strip_prefix("http://").ok_or("--url must begin with http://")?.trim_end_matches('/');
    let phases = args.words.iter().map(|word| Phase::parse(word)).collect::<Result<Vec<_>, _>>()?;
    let connections = args.number("connections", 1)?;
    let mut lockstep = None;
    if let Some(address) = args.get("host-mock") {
        if connections != 1 {
            return Err("--host-mock keeps one stream in step: it needs --connections 1".into());
        }
        let steps = Arc::new(Lockstep::default());
        lockstep = Some(Arc::clone(&steps));
        tokio::spawn(Mock::new(Some(steps)).serve(TcpListener::bind(address).await?));
    }
    let body_bytes = args.number("body-bytes", 1024)?;
    let plan = Arc::new(Plan { authority: authority.to_owned(), phases, body_bytes, lockstep });

    let started = std::time::Instant::now();
    let tasks: Vec<_> = (0..connections).map(|_| tokio::spawn(load::run(Arc::clone(&plan)))).collect();
    for task in tasks {
        task.await??;
    }
    let seconds = started.elapsed().as_secs_f64();

    let requests: usize = plan.phases.iter().map(|phase| phase.requests * connections).sum();
    println!(r#"{{"requests":{requests},"connections":{connections},"seconds":{seconds:.4}}}"#);
    Ok(ExitCode::SUCCESS)
}
