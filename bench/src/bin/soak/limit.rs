//! The limit of open files, which thousands of sockets need to be high.
//!
//! Owns how many are enough. Refuses to know what they are used for.

use backstop_bench::args::Error;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are no stream's.
const OTHERS: u64 = 512;

/// Raises the limit of this process, which its children inherit. Each stream is a socket on either side here, and in the
/// gateway, which keeps an idle one for a moment.
///
/// # Errors
/// The hard limit is too low.
pub fn raise_descriptors(streams: usize) -> Result<(), Error> {
    let needed = streams as u64 * 3 + OTHERS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // None is no limit.
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if maximum.is_some_and(|maximum| maximum < needed) {
        let maximum = maximum.unwrap_or(0);
        return Err(format!(
            "{streams} streams need {needed} open files, and the hard limit is {maximum}: raise it \
             (`ulimit -Hn {needed}` as root, `--ulimit nofile={needed}` for a container), or take fewer --streams"
        )
        .into());
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum })?;
    Ok(())
}
