//! Connections: accepted, served over HTTP/1.1, drained at the end.
//!
//! Owns the accept loop and the shutdown. Refuses to know what is served.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};

use super::front::Front;
use super::state::State;

/// How connections are served.
#[derive(Debug, Clone, Copy)]
pub struct ServeOptions {
    /// The head of a request must have come within this.
    pub header_timeout: Duration,
    /// A request may have this many headers.
    pub max_headers: usize,
    /// Open answers get this long to end at shutdown.
    pub drain: Duration,
}

/// Serves until `shutdown` ends, then drains. Returns how many requests were cut.
pub async fn serve(
    listener: TcpListener,
    state: Arc<State>,
    options: ServeOptions,
    shutdown: impl Future<Output = ()>,
) -> f64 {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(options.header_timeout).half_close(false);
    // Up to hyper's own limit the headers are parsed on the stack.
    if options.max_headers != 100 {
        server.max_headers(options.max_headers);
    }
    let front = Front::new(Arc::clone(&state));
    let graceful = GracefulShutdown::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = server.serve_connection(TokioIo::new(prepared(stream)), front.clone());
                let watched = graceful.watch(connection);
                tokio::spawn(async move {
                    if let Err(error) = watched.await {
                        tracing::debug!(%error, "connection ended");
                    }
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: give connections a moment to end.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    state.draining.store(true, Ordering::Relaxed);
    let open = state.metrics.in_flight.get();
    tracing::info!(open, drain_s = options.drain.as_secs(), "shutting down: no new connections");
    let drained = tokio::time::timeout(options.drain, graceful.shutdown()).await;
    let cut = if drained.is_ok() { 0.0 } else { state.metrics.in_flight.get() };
    tracing::info!(cut, "shut down");
    cut
}

/// Nagle's algorithm off: a chunk must not wait for the next one.
fn prepared(stream: TcpStream) -> TcpStream {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    stream
}
