//! The limit of open files, which thousands of sockets need to be high.
//!
//! Owns how many are enough. Refuses to know what they are used for.

use crate::args::Error;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are no stream's.
const OTHERS: u64 = 512;

/// Raises the limit of this process, which its children inherit, so that `sockets` can be open.
///
/// # Errors
/// The hard limit is too low.
pub fn raise_descriptors(sockets: u64) -> Result<(), Error> {
    let needed = sockets + OTHERS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // None is no limit.
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if maximum.is_some_and(|maximum| maximum < needed) {
        let maximum = maximum.unwrap_or(0);
        return Err(format!(
            "so many streams need {needed} open files, and the hard limit is {maximum}: raise it \
             (`ulimit -Hn {needed}` as root, `--ulimit nofile={needed}` for a container), or take fewer --streams"
        )
        .into());
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum })?;
    Ok(())
}
