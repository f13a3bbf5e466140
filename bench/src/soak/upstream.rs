//! The upstream: tells stories over plain sockets, and breaks off some of them.
//!
//! Owns the accepting, the pace and the breaking, and remembers what it broke. Refuses to know who asks, and how what
//! broke is repaired: it goes on from where a last assistant message ends, and never breaks a story twice.

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::complaints::Complaints;
use super::request::{Asked, read_body};
use super::shapes;
use super::story::{Cut, How};

/// Connections that may wait to be accepted: the clients begin all at once.
const WAITING: u32 = 4096;

/// The upstream and what it has seen.
#[derive(Debug)]
pub struct Upstream {
    cut_percent: u64,
    complaints: Arc<Complaints>,
    broken: Mutex<HashMap<u64, usize>>,
    open: AtomicUsize,
    /// Requests for a story from its beginning.
    pub afresh: AtomicU64,
    /// Requests that ended with the assistant's words.
    pub continued: AtomicU64,
}

impl Upstream {
    /// An upstream that breaks so many percent of its stories.
    pub fn new(cut_percent: u64, complaints: Arc<Complaints>) -> Arc<Self> {
        Arc::new(Self {
            cut_percent,
            complaints,
            broken: Mutex::default(),
            open: AtomicUsize::new(0),
            afresh: AtomicU64::new(0),
            continued: AtomicU64::new(0),
        })
    }

    /// After how many pieces a story was broken off, if it was. It is forgotten then.
    pub fn forget(&self, number: u64) -> Option<usize> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).remove(&number)
    }

    /// Connections that are open now.
    pub fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// A listener on a free port.
    ///
    /// # Errors
    /// There is none.
    pub fn listen() -> io::Result<TcpListener> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        socket.listen(WAITING)
    }

    /// Serves until the task is dropped.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            let socket = match listener.accept().await {
                Ok((socket, _)) => socket,
                Err(error) => {
                    self.complaints.add(format!("the upstream cannot accept: {error}"));
                    return;
                }
            };
            let upstream = Arc::clone(&self);
            tokio::spawn(async move {
                upstream.open.fetch_add(1, Relaxed);
                // A gateway that hangs up is not the upstream's business: the client will say what it misses.
                let _ = upstream.connection(socket).await;
                upstream.open.fetch_sub(1, Relaxed);
            });
        }
    }

    async fn connection(&self, mut socket: TcpStream) -> io::Result<()> {
        socket.set_nodelay(true)?;
        let mut buffer = BytesMut::new();
        while let Some(body) = read_body(&mut socket, &mut buffer).await? {
            match Asked::parse(&body) {
                Ok(asked) => {
                    if let Some(how) = self.tell(&mut socket, &asked).await? {
                        return end(socket, how).await;
                    }
                }
                Err(reason) => {
                    self.complaints.add(format!("the upstream was asked wrongly: {reason}"));
                    socket.write_all(shapes::REFUSAL).await?;
                }
            }
        }
        Ok(())
    }

    /// Tells a story, or what is left of it; how to break the connection, if it is to be broken.
    async fn tell(&self, socket: &mut TcpStream, asked: &Asked) -> io::Result<Option<How>> {
        let cut = self.cut(asked);
        let id = self.afresh.load(Relaxed) + self.continued.load(Relaxed);
        let model = &asked.model;
        let mut out = shapes::HEAD.to_vec();
        shapes::chunk(&mut out, &shapes::role(id, model));
        for (index, piece) in asked.rest.iter().enumerate() {
            socket.write_all(&out).await?;
            out.clear();
            tokio::time::sleep(asked.order.pause(index)).await;
            let content = shapes::content(id, model, piece);
            if let Some(cut) = cut.filter(|cut| cut.after == index) {
                return self.break_off(socket, asked, cut, &content).await.map(Some);
            }
            shapes::chunk(&mut out, &content);
        }
        socket.write_all(&out).await?;
        tokio::time::sleep(asked.order.pause(asked.rest.len())).await;
        let finish = shapes::finish(id, model, asked.rest.len());
        if let Some(cut) = cut {
            return self.break_off(socket, asked, cut, &finish).await.map(Some);
        }
        out.clear();
        shapes::chunk(&mut out, &finish);
        out.extend_from_slice(shapes::LAST_CHUNK);
        socket.write_all(&out).await?;
        Ok(None)
    }

    /// Counts the request; where to break it off.
    fn cut(&self, asked: &Asked) -> Option<Cut> {
        if asked.continues {
            self.continued.fetch_add(1, Relaxed);
            return None;
        }
        self.afresh.fetch_add(1, Relaxed);
        let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        asked.order.cut(self.cut_percent).filter(|_| !broken.contains_key(&asked.order.number))
    }

    /// Notes that a story breaks here, before `next`, and writes what still belongs before the break.
    async fn break_off(&self, socket: &mut TcpStream, asked: &Asked, cut: Cut, next: &str) -> io::Result<How> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).insert(asked.order.number, cut.after);
        match cut.how {
            How::Reset => {}
            How::Ended => socket.write_all(shapes::LAST_CHUNK).await?,
            How::Half => {
                let mut out = Vec::new();
                shapes::chunk_of_bytes(&mut out, shapes::half(next));
                socket.write_all(&out).await?;
            }
        }
        Ok(cut.how)
    }
}

async fn end(mut socket: TcpStream, how: How) -> io::Result<()> {
    match how {
        How::Reset => socket.set_zero_linger(),
        How::Ended | How::Half => socket.shutdown().await,
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, Full};
    use hyper::header::HOST;

    use super::*;
    use crate::soak::client::connect;
    use crate::soak::reading::{Ended, Reading};
    use crate::soak::story::Order;

    /// Asks an upstream for a story that was told so far; what comes, and how it ends.
    async fn hear(authority: &str, order: &Order, told: &str) -> (Vec<u8>, Result<Ended, String>) {
        let mut body: serde_json::Value = serde_json::from_str(&shapes::request("m1", order)).unwrap();
        if !told.is_empty() {
            let message = serde_json::json!({ "role": "assistant", "content": told });
            body["messages"].as_array_mut().unwrap().push(message);
        }
        let request = hyper::Request::post("/slow/v1/chat/completions").header(HOST, authority);
        let request = request.body(Full::new(body.to_string().into())).unwrap();
        let mut sender = connect(authority).await.unwrap();
        let mut body = sender.send_request(request).await.unwrap().into_body();
        let mut reading = Reading::new(order.start(order.pieces).split_off(told.len()));
        let (mut heard, mut fed) = (Vec::new(), Ok(()));
        while let Some(Ok(frame)) = body.frame().await {
            let data = frame.into_data().unwrap();
            heard.extend_from_slice(&data);
            fed = fed.and_then(|()| reading.feed(&data));
        }
        (heard, fed.and_then(|()| reading.end()))
    }

    #[tokio::test]
    async fn a_story_is_cut_once_where_it_should_be_and_goes_on_from_anywhere() {
        let complaints = Arc::new(Complaints::default());
        let upstream = Upstream::new(100, Arc::clone(&complaints));
        let listener = Upstream::listen().unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        tokio::spawn(Arc::clone(&upstream).serve(listener));
        for number in 0..20 {
            let order = Order { number, pieces: 4, pace: 2 };
            let cut = order.cut(100).unwrap();
            let (heard, ended) = hear(&authority, &order, "").await;
            assert!(ended.is_err(), "{cut:?}");
            let heard = String::from_utf8_lossy(&heard);
            assert_eq!(heard.matches("\"delta\":{\"content\":").count() - usize::from(half_a_piece(cut)), cut.after);
            assert_eq!(hear(&authority, &order, "").await.1, Ok(Ended::Whole), "not twice");
            assert_eq!(upstream.forget(number), Some(cut.after));
            for told in [order.start(cut.after), order.start(4)].iter().filter(|told| !told.is_empty()) {
                assert_eq!(hear(&authority, &order, told).await.1, Ok(Ended::Whole), "{told}");
            }
        }
        assert!(complaints.words().is_empty());
        assert!(hear(&authority, &Order { number: 1, pieces: 4, pace: 2 }, "x").await.1.is_err());
        assert_eq!(complaints.words().len(), 1);
    }

    /// Whether the last piece that comes is only a part of one.
    fn half_a_piece(cut: Cut) -> bool {
        cut.how == How::Half && cut.after < 4
    }
}
