//! Connections: accepted, served over HTTP/1.1, drained at the end.
//!
//! Owns the accept loop and the shutdown. Refuses to know what is served.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;

use super::front::Front;
use super::state::State;
use super::upkeep::{PERIOD, Upkeep};

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

/// Connections that may wait to be accepted: a thousand clients that come at once are not told to try again in a second. The
/// kernel's `somaxconn` bounds it.
const BACKLOG: u32 = 4_096;

/// Listens on an address. Must be called inside a tokio runtime.
///
/// # Errors
/// The address is taken, or not this machine's.
pub fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Windows means something else by it.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
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
    let closing = Arc::new(Closing::default());
    // Every connection holds a sender: the channel ends with the last of them.
    let (open, mut all_closed) = tokio::sync::mpsc::channel::<()>(1);
    let mut shutdown = pin!(shutdown);
    let (mut upkeep, mut period) = (Upkeep::default(), tokio::time::interval(PERIOD));
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
            _ = period.tick() => {
                upkeep.tick(&state);
                continue;
            }
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = server.serve_connection(TokioIo::new(prepared(stream)), front.clone());
                let served = until_closed(connection, Arc::clone(&closing));
                let open = open.clone();
                tokio::spawn(async move {
                    if let Err(error) = served.await {
                        tracing::debug!(%error, "connection ended");
                    }
                    drop(open);
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: give connections a moment to end.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop((listener, open));
    state.draining.store(true, Ordering::Relaxed);
    tracing::info!(open = state.metrics.in_flight.get(), drain_s = options.drain.as_secs(), "shutting down");
    closing.begin();
    let drained = tokio::time::timeout(options.drain, all_closed.recv()).await;
    let cut = if drained.is_ok() { 0.0 } else { state.metrics.in_flight.get() };
    tracing::info!(cut, "shut down");
    cut
}

/// Tells all connections at once that the gateway ends.
#[derive(Debug, Default)]
struct Closing {
    begun: AtomicBool,
    wake: Notify,
}

impl Closing {
    fn begin(&self) {
        self.begun.store(true, Ordering::Release);
        self.wake.notify_waiters();
    }
}

/// Serves a connection; when the gateway closes, only its open request is still served.
///
/// The wake-up is registered once and the flag is read at each poll: asking it again at each poll, as hyper-util's
/// own graceful shutdown does, costs every request some hundred instructions.
async fn until_closed<C: GracefulConnection>(connection: C, closing: Arc<Closing>) -> Result<(), C::Error> {
    let mut connection = pin!(connection);
    let mut begins = pin!(closing.wake.notified());
    let mut registered = false;
    let mut told = false;
    poll_fn(|context| {
        if !registered {
            // A task's waker stays the same: once is enough.
            registered = true;
            let _pending = begins.as_mut().poll(context);
        }
        if !told && closing.begun.load(Ordering::Acquire) {
            told = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(context)
    })
    .await
}

/// Nagle's algorithm off: a chunk must not wait for the next one.
fn prepared(stream: TcpStream) -> TcpStream {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    stream
}
