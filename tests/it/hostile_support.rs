//! What the tests of hostile input share: a gateway on a port, a client that writes bytes, and an upstream that
//! answers with bytes.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use backstop::app;
use backstop::config::{Config, load_text};
use backstop::server::{State, serve};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// Long enough for anything that comes at all.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A gateway that serves.
pub struct Gate {
    pub addr: SocketAddr,
    pub state: Arc<State>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<f64>,
}

impl Gate {
    /// Serves `config` on a free port.
    pub fn start(config: &Config) -> Self {
        Self::on(&bound(), config)
    }

    /// Serves what `text` configures.
    pub fn of(text: &str) -> Self {
        Self::start(&load_text(Some(("test.json5", text)), []).unwrap_or_else(|error| panic!("{error}")))
    }

    /// Serves `config` on a listener that the caller keeps.
    pub fn on(listener: &std::net::TcpListener, config: &Config) -> Self {
        let app::Gateway { state, options } = app::build(config).unwrap();
        let listener = TcpListener::from_std(listener.try_clone().unwrap()).unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = Arc::clone(&state);
        let shutdown = async move {
            // A dropped gate stops too.
            let _dropped = stopped.await;
        };
        let task = tokio::spawn(async move { serve(listener, served, options, shutdown).await });
        Self { addr, state, stop, task }
    }

    /// Stops, and returns how many requests were cut.
    pub async fn stop(self) -> f64 {
        let _gone = self.stop.send(());
        timeout(PATIENCE, self.task).await.expect("the gateway did not stop").expect("the gateway panicked")
    }

    /// Waits until no request is in flight any more.
    pub async fn rests(&self) {
        let until = Instant::now() + PATIENCE;
        while self.state.metrics.in_flight.get() > 0.0 {
            assert!(Instant::now() < until, "{} requests are in flight still", self.state.metrics.in_flight.get());
            sleep(Duration::from_millis(2)).await;
        }
    }
}

/// A listener on a free port, for tokio.
pub fn bound() -> std::net::TcpListener {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

/// An answer as it came.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// Status line and header fields, in lower case.
    pub head: String,
    pub body: Vec<u8>,
    /// The body came to the end that was announced.
    pub whole: bool,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {:?}", self.text()))
    }

    /// The data of a stream's events.
    pub fn data(&self) -> Vec<String> {
        self.text().lines().filter_map(|line| line.strip_prefix("data: ").map(str::to_owned)).collect()
    }

    /// The text of a chat answer, streamed or not.
    pub fn content(&self) -> String {
        let piece = |event: &Value, path: &str| event.pointer(path).and_then(Value::as_str).map(str::to_owned);
        if self.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")) {
            let events = self.data().into_iter().filter_map(|data| serde_json::from_str(&data).ok());
            return events.filter_map(|event: Value| piece(&event, "/choices/0/delta/content")).collect();
        }
        piece(&self.json(), "/choices/0/message/content").unwrap_or_default()
    }
}

/// A client's connection.
pub struct Wire(BufReader<TcpStream>);

impl Wire {
    pub async fn open(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    /// Sends; a server that has hung up already is no news.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        timeout(PATIENCE, self.0.write_all(bytes)).await.expect("nobody reads").is_ok()
    }

    /// Says that nothing more comes.
    pub async fn finish(&mut self) {
        let _gone = self.0.shutdown().await;
    }

    /// The next answer; `None` if the connection ends without one.
    pub async fn reply(&mut self) -> Option<Reply> {
        timeout(PATIENCE, self.read(true)).await.expect("no answer in time")
    }

    /// The next answer to a HEAD.
    pub async fn head(&mut self) -> Option<Reply> {
        timeout(PATIENCE, self.read(false)).await.expect("no answer in time")
    }

    async fn read(&mut self, with_body: bool) -> Option<Reply> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head).await.ok()? == 0 {
                return None;
            }
        }
        head.make_ascii_lowercase();
        let status = head.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or(0);
        let mut reply = Reply { status, head, body: Vec::new(), whole: true };
        if !with_body {
            return Some(reply);
        }
        let length = reply.header("content-length").map(|length| length.parse::<u64>().unwrap());
        reply.whole = match length {
            Some(length) => {
                let read = (&mut self.0).take(length).read_to_end(&mut reply.body).await;
                read.is_ok() && reply.body.len() as u64 == length
            }
            None if reply.header("transfer-encoding").is_some() => self.chunks(&mut reply.body).await,
            None => self.0.read_to_end(&mut reply.body).await.is_ok(),
        };
        Some(reply)
    }

    /// Reads a chunked body; whether it had an end.
    async fn chunks(&mut self, body: &mut Vec<u8>) -> bool {
        loop {
            let mut line = String::new();
            if !matches!(self.0.read_line(&mut line).await, Ok(1..)) {
                return false;
            }
            let Ok(size) = u64::from_str_radix(line.trim(), 16) else { return false };
            let before = body.len() as u64;
            let read = (&mut self.0).take(size).read_to_end(body).await;
            line.clear();
            let closed = self.0.read_line(&mut line).await;
            if read.is_err() || body.len() as u64 - before != size || !matches!(closed, Ok(2)) {
                return false;
            }
            if size == 0 {
                return true;
            }
        }
    }
}

/// A chat request as bytes.
pub fn chat(body: &str) -> Vec<u8> {
    post("/v1/chat/completions", &format!("content-length: {}\r\n", body.len()), body.as_bytes())
}

/// A POST as bytes; `fields` are whole header lines.
pub fn post(path: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n{fields}\r\n");
    [head.as_bytes(), body].concat()
}

/// The body of a chat request.
pub fn ask(model: &str, stream: bool) -> String {
    serde_json::json!({ "model": model, "stream": stream, "messages": [{ "role": "user", "content": "Hi" }] })
        .to_string()
}

/// One request on a connection of its own.
pub async fn once(addr: SocketAddr, request: &[u8]) -> Option<Reply> {
    let mut wire = Wire::open(addr).await;
    wire.send(request).await;
    wire.reply().await
}

/// One GET.
pub async fn get(addr: SocketAddr, path: &str) -> Reply {
    let request = format!("GET {path} HTTP/1.1\r\nhost: gateway\r\n\r\n");
    once(addr, request.as_bytes()).await.expect("an answer")
}

/// What an upstream does next.
#[derive(Debug, Clone)]
pub enum Act {
    /// Sends.
    Send(Vec<u8>),
    /// Sends the same again and again, until nobody reads any more.
    Endless(Vec<u8>),
    /// Waits until the other side hangs up.
    Hold,
}

/// A request as an upstream sees it.
pub struct Asked {
    pub authorization: String,
}

/// An upstream that answers each connection's first request with its acts, and hangs up.
pub struct Upstream {
    pub addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Upstream {
    pub fn start(play: impl Fn(&Asked) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::from_std(bound()).unwrap();
        let addr = listener.local_addr().unwrap();
        let play = Arc::new(play);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let play = Arc::clone(&play);
                tokio::spawn(async move { answer(stream, |asked| play(asked)).await });
            }
        });
        Self { addr, task }
    }

    /// Answers everything with the same bytes.
    pub fn saying(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::start(move |_| vec![Act::Send(bytes.clone())])
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(stream: TcpStream, play: impl Fn(&Asked) -> Vec<Act>) {
    let mut stream = BufReader::new(stream);
    let (mut head, mut length, mut authorization) = (String::new(), 0, String::new());
    loop {
        let mut line = String::new();
        if !matches!(stream.read_line(&mut line).await, Ok(1..)) {
            return;
        }
        if line == "\r\n" {
            break;
        }
        let (name, value) = line.split_once(": ").unwrap_or((&line, ""));
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap(),
            "authorization" => value.trim().clone_into(&mut authorization),
            _ => {}
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    if stream.read_exact(&mut body).await.is_err() {
        return;
    }
    for act in play(&Asked { authorization }) {
        match act {
            Act::Send(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Act::Endless(bytes) => while stream.write_all(&bytes).await.is_ok() {},
            Act::Hold => {
                let _end = stream.read_to_end(&mut Vec::new()).await;
            }
        }
    }
    let _gone = stream.shutdown().await;
}

/// An HTTP answer of JSON as bytes.
pub fn json(status: &str, fields: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{fields}content-length: {length}\r\n\r\n{body}")
        .into()
}
