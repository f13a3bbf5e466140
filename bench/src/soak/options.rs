//! The soak's options.
//!
//! Owns their names, defaults and bounds. Refuses to know what is done with them.

use std::path::PathBuf;

use crate::args::{Args, Error};
use serde::Serialize;

/// What the gateway is told to do with a stream that breaks after its first content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Recovery {
    /// End it with an error event.
    Error,
    /// Let another attempt go on.
    Continue,
    /// Hold it until it is whole.
    Buffer,
}

impl Recovery {
    /// As the configuration calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Continue => "continue",
            Self::Buffer => "buffer",
        }
    }
}

/// All options.
#[derive(Debug, Clone)]
pub struct Options {
    /// The gateway's program.
    pub program: PathBuf,
    /// See [`Recovery`].
    pub recovery: Recovery,
    /// Streams that are open at the same time.
    pub streams: usize,
    /// For how long new ones are begun.
    pub seconds: usize,
    /// Pieces of a stream, on average.
    pub pieces: usize,
    /// Milliseconds between two pieces, on average.
    pub pace: u64,
    /// So many streams of a hundred are cut.
    pub cut_percent: u64,
    /// Where the result goes as JSON.
    pub json: Option<PathBuf>,
}

impl Options {
    /// From the command line; `program` is what else names the gateway's program.
    ///
    /// # Errors
    /// An option that there is not, or a value that it cannot have.
    pub fn new(args: &Args, program: Option<String>) -> Result<Self, Error> {
        args.only(&["bin", "recovery", "streams", "seconds", "pieces", "pace", "cut-percent", "json"])?;
        let program = args.get("bin").map(str::to_owned).or(program);
        let recovery = match args.get("recovery").unwrap_or("continue") {
            "error" => Recovery::Error,
            "continue" => Recovery::Continue,
            "buffer" => Recovery::Buffer,
            other => return Err(format!("--recovery {other:?} is not error, continue or buffer").into()),
        };
        let at_least_one = |name: &str, default: usize| match args.number(name, default)? {
            0 => Err(Error::from(format!("--{name} must be at least 1"))),
            number => Ok(number),
        };
        let cut_percent = args.number("cut-percent", 10)?;
        if cut_percent > 100 {
            return Err("--cut-percent must be at most 100".into());
        }
        Ok(Self {
            program: program.ok_or("which gateway? --bin PATH, or BACKSTOP_BIN")?.into(),
            recovery,
            streams: at_least_one("streams", 1000)?,
            seconds: at_least_one("seconds", 180)?,
            pieces: at_least_one("pieces", 20)?,
            pace: u64::try_from(at_least_one("pace", 1000)?)?,
            cut_percent: u64::try_from(cut_percent)?,
            json: args.get("json").map(PathBuf::from),
        })
    }
}
