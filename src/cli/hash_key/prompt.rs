//! The hidden prompt for a key: whatever ends it, the terminal shows again what is typed.
//!
//! Owns the terminal's modes around the prompt. Refuses to know what is typed.

use std::fs::File;
use std::io;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::runtime::Builder;
use tokio::task::spawn_blocking;

use crate::cli::interrupted;
use crate::cli::terminal::complain;

/// What ended the prompt.
pub(super) enum Typed {
    Key(String),
    /// SIGINT, be it from Ctrl-C, or SIGTERM.
    Interrupted,
}

/// Asks at the terminal for a key.
///
/// # Errors
/// There is no terminal to ask at, or it was closed.
pub(super) fn ask() -> Result<Typed, String> {
    let before = Modes::now();
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start the runtime: {error}"))?;
    let typed = runtime.block_on(async {
        tokio::select! {
            // Signals are listened to before the terminal is changed: a default SIGINT would leave it as it is then.
            biased;
            () = interrupted() => Ok(Typed::Interrupted),
            typed = spawn_blocking(|| rpassword::prompt_password("Key (it is not shown): ")) => match typed {
                Ok(Ok(key)) => Ok(Typed::Key(key)),
                // Ctrl-C; its signal is on its way.
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => Ok(Typed::Interrupted),
                Ok(Err(error)) => Err(format!("the key cannot be read: {error}")),
                Err(error) => Err(format!("the key cannot be read: {error}")),
            },
        }
    });
    // A thread may still wait for the rest of the key.
    runtime.shutdown_background();
    if let Some(before) = before {
        before.restore();
    }
    if matches!(typed, Ok(Typed::Interrupted)) {
        complain("");
    }
    typed
}

/// How the terminal was.
struct Modes {
    terminal: File,
    modes: Termios,
}

impl Modes {
    /// Of the terminal that the prompt reads from; none without one.
    fn now() -> Option<Self> {
        let terminal = File::open("/dev/tty").ok()?;
        let modes = tcgetattr(&terminal).ok()?;
        Some(Self { terminal, modes })
    }

    fn restore(&self) {
        // A terminal that is gone needs no modes.
        let _gone = tcsetattr(&self.terminal, OptionalActions::Now, &self.modes);
    }
}
