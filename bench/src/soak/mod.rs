//! `backstop-bench soak --bin GATEWAY [--recovery error|continue|buffer] [--streams N] [--seconds N] [--pieces N] [--pace MS]
//! [--cut-percent N] [--json FILE]`
//!
//! Many slow streams through a gateway for minutes, a tenth of them cut by the upstream: no character is lost, and when
//! all is over nothing is left of them: no memory, no descriptor, nothing in flight. Upstream and clients are this one
//! process, the gateway is its child. Prints a table; exit code 1, with the reasons, if anything is wrong.
//!
//! Owns the order of things. Refuses to know how any of them is done.
mod client;
mod complaints;
mod gateway;
mod options;
mod reading;
mod report;
mod request;
mod sample;
mod shapes;
mod story;
mod upstream;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::args::{Args, Error};
use crate::limit::raise_descriptors;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use self::client::{Clients, Round, Seen};
use self::complaints::Complaints;
use self::gateway::Gateway;
use self::options::Options;
use self::report::{Counts, Report, left_over};
use self::sample::Sample;
use self::upstream::Upstream;

/// The warm-up: as many streams at once, short ones, a few times. An allocator keeps what they needed, and gives it to the
/// next ones (glibc's has an arena for each thread, and they fill differently each time): what grows after that is a leak.
const WARM_ROUNDS: usize = 3;
const WARM_PIECES: usize = 4;
const WARM_PACE: u64 = 500;

/// Between two samples while streams are open.
const SAMPLING: Duration = Duration::from_secs(1);

/// How long the gateway may take to be as it was, and how often it is looked at.
const SETTLING: Duration = Duration::from_secs(20);
const LOOKING: Duration = Duration::from_millis(500);

/// Connections to the upstream that may be open at rest: those that were just used to look.
const RESTING: usize = 2;

/// Soaks a gateway, and prints what came of it.
///
/// # Errors
/// The soak could not be made; what it found wrong is in its report and in the exit code.
pub async fn run(args: &Args) -> Result<ExitCode, Error> {
    let options = Options::new(args, std::env::var("BACKSTOP_BIN").ok())?;
    // Each stream is a socket on either side here, and in the gateway, which keeps an idle one for a moment.
    raise_descriptors(options.streams as u64 * 3)?;
    // Ended from outside, the soak takes its gateway with it.
    let mut terminated = signal(SignalKind::terminate())?;
    let report = tokio::select! {
        report = soak(&options) => report?,
        _ = terminated.recv() => return Err("terminated".into()),
    };
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_string_pretty(&report)? + "\n")?;
    }
    print!("{report}");
    Ok(if report.reasons.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn soak(options: &Options) -> Result<Report, Error> {
    let listener = Upstream::listen()?;
    let address = listener.local_addr()?.to_string();
    let complaints = Arc::new(Complaints::default());
    let upstream = Upstream::new(options.cut_percent, Arc::clone(&complaints));
    let serving = tokio::spawn(Arc::clone(&upstream).serve(listener));
    let gateway = Gateway::start(options, &address).await?;
    let clients = Arc::new(Clients {
        authority: gateway.authority.clone(),
        recovery: options.recovery,
        upstream: Arc::clone(&upstream),
        complaints: Arc::clone(&complaints),
        seen: Seen::default(),
    });

    let fresh = Sample::take(&gateway).await?;
    let at_rest = |sample: Sample| sample.is_idle() && upstream.open() <= RESTING;
    let mut start = fresh;
    for _ in 0..WARM_ROUNDS {
        let warm = Round { clients: options.streams, pieces: WARM_PIECES, pace: WARM_PACE, until: Instant::now() };
        clients.run(warm).await;
        start = settle(&clients, &gateway, at_rest).await?.0;
    }
    let until = Instant::now() + Duration::from_secs(options.seconds as u64);
    let round = Round { clients: options.streams, pieces: options.pieces, pace: options.pace, until };
    let peak = measured(&clients, round, &gateway, start).await?;
    let over = |sample: Sample| at_rest(sample) && left_over(start, sample).is_empty();
    let (end, settled) = settle(&clients, &gateway, over).await?;
    let status = gateway.stop().await?;
    serving.abort();

    let mut reasons = complaints.words();
    if !status.success() {
        reasons.push(format!("the gateway ended with {status}"));
    }
    let mut report = Report {
        recovery: options.recovery,
        streams: options.streams as u64,
        seconds: options.seconds as u64,
        fresh,
        start,
        peak,
        end,
        settled_ms: u64::try_from(settled.as_millis())?,
        counts: counts(&clients.seen, &upstream),
        kib_per_stream: 0.0,
        reasons,
    };
    report.judge();
    Ok(report)
}

/// Runs a round, and looks at the gateway meanwhile.
async fn measured(clients: &Arc<Clients>, round: Round, gateway: &Gateway, start: Sample) -> Result<Sample, Error> {
    let mut peak = start;
    let mut running = std::pin::pin!(clients.run(round));
    let mut ticks = interval(SAMPLING);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = &mut running => return Ok(peak),
            _ = ticks.tick() => {}
        }
        // The clients run on while the sample is taken.
        tokio::select! {
            () = &mut running => return Ok(peak),
            sample = Sample::take(gateway) => peak = peak.greatest(sample?),
        }
    }
}

/// Waits until the gateway is as it should be, for a bounded time: how it is then, and how long that took.
async fn settle(
    clients: &Clients,
    gateway: &Gateway,
    settled: impl Fn(Sample) -> bool,
) -> Result<(Sample, Duration), Error> {
    let begin = Instant::now();
    loop {
        let sample = Sample::take(gateway).await?;
        let took = Instant::now() - begin;
        if settled(sample) || took > SETTLING {
            return Ok((sample, took));
        }
        clients.nudge().await;
        sleep(LOOKING).await;
    }
}

fn counts(seen: &Seen, upstream: &Upstream) -> Counts {
    Counts {
        whole: seen.whole.load(Relaxed),
        hidden: seen.hidden.load(Relaxed),
        recovered: seen.recovered.load(Relaxed),
        broken: seen.broken.load(Relaxed),
        failed: seen.failed.load(Relaxed),
        contents: seen.contents.load(Relaxed),
        bytes: seen.bytes.load(Relaxed),
        comments: seen.comments.load(Relaxed),
        upstream_afresh: upstream.afresh.load(Relaxed),
        upstream_continued: upstream.continued.load(Relaxed),
    }
}
