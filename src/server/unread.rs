//! Bodies of requests that were refused before they were read.
//!
//! Many clients write all of a request before they read anything: if nobody takes it, they see a broken connection and
//! never the refusal. Owns taking such a body, within bounds, and throwing it away. Refuses to know why.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::{HeaderMap, header};
use http_body::Body;

/// The most that is taken, in bytes.
const MOST: usize = 64 * 1024 * 1024;
/// The longest that a body is waited for.
const LONGEST: Duration = Duration::from_secs(5);

/// Takes the rest of `body` beside the answer, and throws it away. A client that asked whether it may send
/// (`expect: 100-continue`) has its answer without.
#[cold]
pub fn discard<B>(headers: &HeaderMap, body: B)
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    if !body.is_end_stream() && !headers.contains_key(header::EXPECT) {
        discard_rest(body);
    }
}

/// The same for a body that has been begun.
#[cold]
pub fn discard_rest<B>(body: B)
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    tokio::spawn(async move {
        // Whether it came to its end makes no difference: the connection sees the body dropped.
        let _ended = tokio::time::timeout(LONGEST, taken(body)).await;
    });
}

async fn taken<B>(mut body: B)
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut length = 0;
    while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        length += frame.data_ref().map_or(0, Buf::remaining);
        if length > MOST {
            break;
        }
    }
}
