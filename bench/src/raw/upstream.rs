//! `backstop-bench upstream --listen ADDR [--fault limited|overloaded|toolong]`: a mock upstream that costs little.
//!
//! Owns what is answered to whom: a fault by the key, or to all; a stream if the request's beginning says so, every event
//! by its own write. A stream whose `user` is `hold` stops at its first content until somebody posts to `/release`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::process::ExitCode;
use std::rc::Rc;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{LocalSet, spawn_local, yield_now};

use super::answers::{Fault, MESSAGES, plain, stream};
use super::http::{Length, Wire};
use crate::args::{Args, Error};
use crate::wire;

/// So much of a body is looked at: what steers is at its beginning, or, if it was translated, behind short messages.
const LOOKED_AT: usize = 4096;
/// Thousands may connect at once.
const BACKLOG: u32 = 4_096;
/// Role and first content are out before a stream is held.
const BEFORE_HOLD: usize = 3;

/// What an answer is made of, made once.
type Writes = Rc<Vec<Vec<u8>>>;

#[derive(Debug)]
struct Upstream {
    fault: Option<Fault>,
    made: RefCell<HashMap<(bool, Option<usize>), Writes>>,
    released: watch::Sender<u64>,
}

/// Listens on an address with a long queue.
fn listen(address: &str) -> Result<TcpListener, Error> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address.parse()?)?;
    Ok(socket.listen(BACKLOG)?)
}

/// Serves until it is told to end.
///
/// # Errors
/// It cannot listen.
pub async fn run(args: &Args) -> Result<ExitCode, Error> {
    args.only(&["listen", "fault"])?;
    let fault = args.get("fault");
    let upstream = Rc::new(Upstream {
        fault: fault.map(|name| Fault::named(name).ok_or(format!("there is no fault {name:?}"))).transpose()?,
        made: RefCell::default(),
        released: watch::Sender::new(0),
    });
    let listener = listen(args.required("listen")?)?;
    println!("listening on http://{}", listener.local_addr()?);
    let mut terminated = signal(SignalKind::terminate())?;
    let serving = async {
        loop {
            let Ok((socket, _)) = listener.accept().await else { continue };
            let upstream = Rc::clone(&upstream);
            // A proxy that goes away ends its connection: nothing to tell anyone.
            spawn_local(async move { drop(upstream.serve(socket).await) });
        }
    };
    LocalSet::new()
        .run_until(async {
            tokio::select! {
                () = serving => {}
                _ = terminated.recv() => {}
            }
        })
        .await;
    Ok(ExitCode::SUCCESS)
}

impl Upstream {
    async fn serve(&self, socket: TcpStream) -> io::Result<()> {
        let mut wire = Wire::new(socket)?;
        let mut beginning = Vec::with_capacity(LOOKED_AT);
        while let Some(head) = wire.request().await? {
            if head.path == "/release" {
                self.released.send_modify(|releases| *releases += 1);
                wire.write(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
                continue;
            }
            let known = head.path == wire::PATH || head.path == MESSAGES;
            let Some(Length::Bytes(length)) = head.length.filter(|_| known && !head.key.is_empty()) else {
                return wire.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
            };
            beginning.clear();
            wire.skim(length, LOOKED_AT, &mut beginning).await?;
            if let Some(fault) = self.fault.or_else(|| Fault::named(&head.key)) {
                wire.write(&fault.answer()).await?;
                continue;
            }
            let contents = streamed(&beginning);
            let writes = self.writes(&head.path, contents);
            let held = contents.is_some() && has(&beginning, br#""user":"hold""#);
            self.answer(&mut wire, &writes, held).await?;
        }
        Ok(())
    }

    fn writes(&self, path: &str, contents: Option<usize>) -> Writes {
        let mut made = self.made.borrow_mut();
        let make = || match contents {
            None => Rc::new(vec![plain(path)]),
            Some(contents) => Rc::new(stream(path, contents)),
        };
        Rc::clone(made.entry((path == MESSAGES, contents)).or_insert_with(make))
    }

    async fn answer(&self, wire: &mut Wire, writes: &Writes, held: bool) -> io::Result<()> {
        let mut released = self.released.subscribe();
        for (index, write) in writes.iter().enumerate() {
            if index > 0 {
                // An event a write, as a model gives them; whoever has something to read may come first.
                yield_now().await;
            }
            if held && index == BEFORE_HOLD {
                let _sender_lives = released.changed().await;
            }
            wire.write(write).await?;
        }
        Ok(())
    }
}

fn has(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// How many contents are asked for, if a stream is.
fn streamed(beginning: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(beginning);
    let text: String = text.chars().filter(|letter| *letter != ' ').collect();
    if !text.contains(r#""stream":true"#) {
        return None;
    }
    let number = ["\"max_completion_tokens\":", "\"max_tokens\":"].iter().find_map(|name| {
        let behind = &text[text.find(name)? + name.len()..];
        let end = behind.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(behind.len());
        behind[..end].parse().ok()
    });
    Some(number.unwrap_or(64))
}

#[cfg(test)]
mod tests {
    use super::streamed;

    #[test]
    fn a_stream_is_known_by_its_beginning() {
        assert_eq!(streamed(&crate::wire::request(10, Some(7))), Some(7));
        assert_eq!(streamed(&crate::wire::request(10, None)), None);
        assert_eq!(streamed(br#"{"max_tokens": 9, "stream": true}"#), Some(9));
        assert_eq!(streamed(br#"{"stream":true}"#), Some(64));
    }
}
