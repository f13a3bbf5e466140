//! A request as the upstream reads it.
//!
//! Owns the little of HTTP and of the body that the upstream needs: a length, and the messages. Refuses to know what
//! is answered.

use std::io;

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::story::Order;

/// Where the upstream is asked, under any provider's prefix.
const PATH: &str = "/v1/chat/completions";

/// What is to be told.
#[derive(Debug)]
pub struct Asked {
    /// The model that was asked for.
    pub model: String,
    /// The story.
    pub order: Order,
    /// The pieces that are still to be told.
    pub rest: Vec<String>,
    /// Whether the request ended with the assistant's words.
    pub continues: bool,
}

#[derive(Deserialize)]
struct Body {
    model: String,
    #[serde(default)]
    stream: bool,
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: Content,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    text: String,
}

impl Content {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Parts(parts) => parts.into_iter().map(|part| part.text).collect(),
        }
    }
}

impl Asked {
    /// From a request's body.
    ///
    /// # Errors
    /// What does not belong into a request of the soak, in words.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        let Body { model, stream, mut messages } = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        if !stream {
            return Err("not for a stream".to_owned());
        }
        let continues = messages.last().is_some_and(|message| message.role == "assistant");
        let told = if continues { messages.pop().map(|message| message.content.text()) } else { None };
        let last =
            messages.pop().filter(|message| message.role == "user").ok_or("no user's message where it belongs")?;
        let words = last.content.text();
        let order = Order::read(&words).ok_or_else(|| format!("{words:?} orders nothing"))?;
        let told = told.unwrap_or_default();
        let rest = order.rest(&told).ok_or_else(|| format!("story {} does not begin with {told:?}", order.number))?;
        Ok(Self { model, order, rest, continues })
    }
}

/// The body of the next request; `None` when the connection ends before one begins.
///
/// # Errors
/// A connection that breaks, or that says what the soak's gateway never says.
pub async fn read_body(socket: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<Option<Bytes>> {
    let head = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break buffer.split_to(end + 4);
        }
        if socket.read_buf(buffer).await? == 0 {
            return if buffer.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
    };
    let length = length(&head).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    while buffer.len() < length {
        if socket.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Some(buffer.split_to(length).freeze()))
}

/// The length of the body of a POST to the one path.
fn length(head: &[u8]) -> Option<usize> {
    let mut lines = std::str::from_utf8(head).ok()?.split("\r\n");
    let path = lines.next()?.strip_prefix("POST ")?.split(' ').next()?;
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find_map(|(name, value)| name.eq_ignore_ascii_case("content-length").then_some(value))?;
    if path.ends_with(PATH) { length.trim().parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: Order = Order { number: 7, pieces: 3, pace: 10 };

    fn body(told: &str) -> String {
        let words = ORDER.words();
        format!(r#"{{"model":"m1","stream":true,"messages":[{{"role":"user","content":"{words}"}}{told}]}}"#)
    }

    #[test]
    fn a_last_message_of_the_assistant_is_gone_on_from() {
        let asked = Asked::parse(body("").as_bytes()).unwrap();
        assert_eq!((asked.order, asked.rest.len(), asked.continues), (ORDER, 3, false));
        let told = serde_json::to_string(&ORDER.start(2)).unwrap();
        for content in [told.clone(), format!(r#"[{{"type":"text","text":{told}}}]"#)] {
            let asked = Asked::parse(body(&format!(r#",{{"role":"assistant","content":{content}}}"#)).as_bytes());
            let asked = asked.unwrap();
            assert_eq!((asked.rest, asked.continues), (vec![ORDER.piece(2)], true));
        }
    }

    #[test]
    fn what_the_story_does_not_begin_with_is_refused() {
        assert!(Asked::parse(body(r#",{"role":"assistant","content":"Once upon"}"#).as_bytes()).is_err());
        assert!(Asked::parse(b"{}").is_err());
    }

    #[test]
    fn a_head_tells_its_length() {
        assert_eq!(length(b"POST /slow/v1/chat/completions HTTP/1.1\r\nContent-Length: 12\r\n\r\n"), Some(12));
        assert_eq!(length(b"POST /v1/chat/completions HTTP/1.1\r\n\r\n"), None);
        assert_eq!(length(b"POST /v1/models HTTP/1.1\r\ncontent-length: 12\r\n\r\n"), None);
    }
}
