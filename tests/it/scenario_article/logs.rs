//! Log lines of this thread's runtime, as the JSON that operators get.
//!
//! One subscriber for the process, and a buffer for each thread: a subscriber of a thread's own would miss lines whose
//! place in the code another thread came to first (tracing keeps there whether anybody is interested).

use std::cell::RefCell;
use std::io;
use std::sync::Once;

use serde_json::Value;

thread_local! {
    /// What was logged on this thread, while somebody captures.
    static LINES: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Captures until it is dropped. A test's runtime has one thread, so nobody else's lines get in.
pub struct Logs(());

impl Logs {
    pub fn capture() -> Self {
        static START: Once = Once::new();
        START.call_once(|| {
            let lines = tracing_subscriber::fmt().json().flatten_event(true).with_max_level(tracing::Level::INFO);
            tracing::subscriber::set_global_default(lines.with_writer(|| Buffer).finish()).unwrap();
        });
        tracing::callsite::rebuild_interest_cache();
        LINES.set(Some(Vec::new()));
        Self(())
    }

    /// All lines.
    pub fn lines(&self) -> Vec<Value> {
        let bytes = LINES.with_borrow(|lines| lines.clone().unwrap());
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect()
    }

    /// The lines of failovers.
    pub fn failovers(&self) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line["message"] == "failover").collect()
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        LINES.set(None);
    }
}

/// Writes into the buffer of the thread, if it has one.
struct Buffer;

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.with_borrow_mut(|lines| {
            if let Some(lines) = lines {
                lines.extend_from_slice(bytes);
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
