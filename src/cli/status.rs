//! `backstop status`: what a running gateway says of its slots, once or again and again.
//!
//! Owns the arguments, the frames of `--watch` and the exit status. Asking is in [`source`], the table in [`view`].

mod source;
mod view;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;

use super::period::period;
use super::terminal::{Tone, complain, noted, say};
use super::{EXIT_USAGE, address, fail, interrupted};
use crate::config::Server;
use address::Base;
use source::Source;
use view::Status;

/// The arguments of `backstop status`.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Where the gateway listens [default: BACKSTOP_SERVER__LISTEN, else http://127.0.0.1:8080]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Ask again and again, and redraw in place on a terminal; Ctrl-C ends it
    #[arg(long)]
    watch: bool,
    /// The pause between two questions of --watch
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = period)]
    interval: Duration,
    /// Print what /status says as it is; with --watch, one line each time
    #[arg(long)]
    json: bool,
}

/// Cursor home; the first frame begins on an empty screen.
const HOME: &str = "\x1b[H";
const CLEAR: &str = "\x1b[2J";
/// What is left of an older, longer line or frame.
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";
/// No cursor, and lines that are too long are cut: one that went on in the next would shift all below it.
const BEGIN: &str = "\x1b[?25l\x1b[?7l";
const END: &str = "\x1b[?7h\x1b[?25h\r\n";

pub(super) fn run(options: &Options) -> ExitCode {
    let base = match &options.url {
        Some(url) => Base::read(url).map_err(|error| format!("--url: {error}")),
        None => default_base(),
    };
    let base = match base {
        Ok(base) => base,
        Err(error) => return fail(EXIT_USAGE, error),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, format_args!("cannot start the runtime: {error}")),
    };
    runtime.block_on(async {
        let source = match Source::new(&base) {
            Ok(source) => source,
            Err(error) => return fail(1, error),
        };
        if !options.watch {
            return once(&source, options.json).await;
        }
        let drawn = io::stdout().is_terminal() && !options.json;
        let mut screen = Screen::new(drawn);
        tokio::select! {
            biased;
            () = interrupted() => {}
            unread = watch(&source, options, &mut screen) => noted(unread),
        }
        screen.close();
        ExitCode::SUCCESS
    })
}

/// The address that the same environment would make `backstop serve` listen on.
fn default_base() -> Result<Base, String> {
    let listen = address::of_environment().transpose()?.unwrap_or_else(|| Server::default().listen);
    Base::read(&address::reachable(listen).to_string())
}

async fn once(source: &Source, json: bool) -> ExitCode {
    let answer = match source.ask().await {
        Ok(answer) => answer,
        Err(error) => return fail(1, error),
    };
    // Even when it is only passed on, it must be what was asked for.
    let status = match Status::read(&answer, source) {
        Ok(status) => status,
        Err(error) => return fail(1, error),
    };
    if json {
        say(String::from_utf8_lossy(&answer).trim_end());
    } else {
        say(status.text(false));
    }
    ExitCode::SUCCESS
}

/// Ends when nobody reads any more (`| head`).
async fn watch(source: &Source, options: &Options, screen: &mut Screen) -> io::Result<()> {
    let mut pace = tokio::time::interval(options.interval.max(Duration::from_millis(50)));
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut last: Option<Status> = None;
    loop {
        pace.tick().await;
        let asked = source.ask().await;
        match asked.and_then(|answer| Ok((Status::read(&answer, source)?, answer))) {
            Ok((_, answer)) if options.json => writeln!(io::stdout().lock(), "{}", one_line(&answer))?,
            Ok((status, _)) => {
                screen.frame(&status.text(true))?;
                last = Some(status);
            }
            Err(error) if options.json => complain(format_args!("backstop: {error}")),
            Err(error) => screen.frame(&lost(&error, last.as_ref()))?,
        }
    }
}

/// What is shown while the gateway does not answer: why, and how it was.
fn lost(error: &str, last: Option<&Status>) -> String {
    let error = Tone::Bad.paint(error);
    match last {
        Some(last) => {
            format!("{error}\n{}\n\n{}", Tone::Dim.paint("Asking again. This is how it was:"), last.text(true))
        }
        None => format!("{error}\n{}", Tone::Dim.paint("Asking again.")),
    }
}

fn one_line(answer: &Bytes) -> String {
    let parsed = serde_json::from_slice::<&serde_json::value::RawValue>(answer);
    parsed.map(|json| json.get().replace('\n', " ")).unwrap_or_default()
}

/// Where frames go: over each other on a terminal, else one after the other.
struct Screen {
    drawn: bool,
    begun: bool,
}

impl Screen {
    const fn new(drawn: bool) -> Self {
        Self { drawn, begun: false }
    }

    fn frame(&mut self, text: &str) -> io::Result<()> {
        let first = !std::mem::replace(&mut self.begun, true);
        if !self.drawn {
            let gap = if first { "" } else { "\n" };
            return writeln!(anstream::stdout().lock(), "{gap}{text}");
        }
        // Colours may be unwanted where moving the cursor is not.
        let plain = anstream::AutoStream::choice(&io::stdout()) == anstream::ColorChoice::Never;
        let text = if plain { anstream::adapter::strip_str(text).to_string() } else { text.to_owned() };
        let mut out = io::stdout().lock();
        out.write_all(drawn(&text, height(), first).as_bytes())?;
        out.flush()
    }

    /// Gives the terminal back as it was.
    fn close(&self) {
        if self.drawn && self.begun {
            let mut out = io::stdout().lock();
            let _gone = out.write_all(END.as_bytes()).and_then(|()| out.flush());
        }
    }
}

/// A frame over the last one, in one write: nothing flickers.
fn drawn(text: &str, height: usize, first: bool) -> String {
    let mut frame = if first { format!("{BEGIN}{CLEAR}{HOME}") } else { HOME.to_owned() };
    for line in fit(text, height) {
        frame.push_str(&line);
        frame.push_str(CLEAR_LINE);
        frame.push_str("\r\n");
    }
    frame.push_str(CLEAR_BELOW);
    frame
}

/// Lines that a terminal has, one of which the cursor needs.
fn height() -> usize {
    terminal_size::terminal_size().map_or(usize::MAX, |(_, terminal_size::Height(lines))| usize::from(lines))
}

/// As many lines as there is room for: a frame that scrolls could not be drawn over.
fn fit(text: &str, height: usize) -> Vec<String> {
    let room = height.saturating_sub(1).max(2);
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() <= room {
        return lines.into_iter().map(str::to_owned).collect();
    }
    let hidden = lines.len() - (room - 1);
    let more = Tone::Dim.paint(format_args!("… {hidden} more lines: a higher window shows them")).to_string();
    lines.into_iter().take(room - 1).map(str::to_owned).chain([more]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_drawn_over_the_last_one() {
        assert_eq!(drawn("a\nb", 24, true), "\x1b[?25l\x1b[?7l\x1b[2J\x1b[Ha\x1b[K\r\nb\x1b[K\r\n\x1b[J");
        assert_eq!(drawn("c", 24, false), "\x1b[Hc\x1b[K\r\n\x1b[J", "nothing is cleared before it is written over");
    }

    #[test]
    fn a_frame_is_cut_to_the_window() {
        assert_eq!(fit("a\nb\nc", 4), ["a", "b", "c"]);
        let cut = fit("a\nb\nc\nd", 4);
        assert_eq!(cut[..2], ["a", "b"]);
        assert!(cut.len() == 3 && cut[2].contains("2 more lines"), "{cut:?}");
        assert_eq!(fit("a", usize::MAX), ["a"]);
    }
}
