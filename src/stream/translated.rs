//! An upstream's stream in the front's words: a body over a body.
//!
//! Owns the cutting of the upstream's frames and the bytes made of them; gate and relay see a stream of the front's own
//! dialect and know nothing of it. Pulled, never pumped: it reads on when what it made is taken. What is no stream at all
//! (an error's JSON, a page) passes as it is, for the gate to see.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use tokio::time::Instant;

use super::ending::Upstream;
use crate::clock;
use crate::dialect::canonical::Bound;
use crate::dialect::openai_chat::response::Usage;
use crate::dialect::translate::{Translation, Translator};
use crate::dialect::vendor::Dialect;
use crate::framing::eventstream::Messages;
use crate::framing::sse::{Block, Frames, events};

/// What a translated stream tells whoever waits for it or settles it: its tokens, for which the client may not have asked,
/// and of one that continues another whether it does.
#[derive(Debug, Default)]
pub struct Spent {
    prompt: AtomicU64,
    completion: AtomicU64,
    diverged: AtomicBool,
    refused: AtomicBool,
    finished: AtomicBool,
    /// When its upstream last said some content: ms after the body was made, 0 for never.
    heard: AtomicU64,
}

impl Spent {
    /// The tokens so far, if there were any.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        let usage = Usage {
            prompt_tokens: self.prompt.load(Ordering::Relaxed),
            completion_tokens: self.completion.load(Ordering::Relaxed),
        };
        (usage != Usage::default()).then_some(usage)
    }

    /// Why nobody else could finish it, where the client's dialect has no word for that, or not yet.
    #[must_use]
    pub fn bound(&self) -> Option<Bound> {
        if self.refused.load(Ordering::Relaxed) {
            return Some(Bound::Refusal);
        }
        self.finished.load(Ordering::Relaxed).then_some(Bound::Finished)
    }

    /// Whether it turned out not to be the answer whose beginning the client has.
    #[must_use]
    pub fn diverged(&self) -> bool {
        self.diverged.load(Ordering::Relaxed)
    }

    /// How long after its body was made its upstream last said some content; `None` before that.
    #[must_use]
    pub fn heard(&self) -> Option<Duration> {
        Some(self.heard.load(Ordering::Relaxed)).filter(|millis| *millis > 0).map(Duration::from_millis)
    }
}

/// How the upstream's bytes are cut.
#[derive(Debug)]
enum Cut {
    Events(Frames),
    Messages(Messages),
    /// It is no stream: the bytes pass.
    Nothing,
}

/// The body.
#[derive(Debug)]
pub struct Translated<B> {
    body: B,
    cut: Cut,
    begun: bool,
    ended: bool,
    translator: Translator,
    out: BytesMut,
    spent: Arc<Spent>,
    /// When it was made, of a continuation, and how many contents it has said.
    made: Option<Instant>,
    said: u64,
}

impl<B> Translated<B> {
    /// Over an upstream's body; frames of up to `frame_bytes` are read.
    #[must_use]
    pub fn new(body: B, translation: &Translation, frame_bytes: usize) -> Self {
        let cut = match translation.upstream {
            Dialect::OpenAiChat | Dialect::Anthropic => Cut::Events(Frames::new(frame_bytes)),
            Dialect::Bedrock => Cut::Messages(Messages::new(frame_bytes)),
        };
        Self {
            body,
            cut,
            begun: false,
            ended: false,
            translator: translation.stream(),
            out: BytesMut::new(),
            spent: Arc::default(),
            made: translation.resumption.is_some().then(clock::now),
            said: 0,
        }
    }

    /// Where its tokens are counted.
    #[must_use]
    pub fn spent(&self) -> Arc<Spent> {
        Arc::clone(&self.spent)
    }

    /// Takes a chunk of the upstream. Gives it back if it is not part of a stream.
    fn take(&mut self, chunk: Bytes) -> Option<Bytes> {
        if !self.begun
            && let Some(first) = chunk.trim_ascii_start().first()
        {
            self.begun = true;
            if matches!(first, b'{' | b'[' | b'<') {
                self.cut = Cut::Nothing;
            }
        }
        match &mut self.cut {
            Cut::Nothing => return Some(chunk),
            Cut::Events(frames) => {
                frames.push(chunk);
                let mut unread = false;
                while let Some(block) = frames.pull() {
                    match block {
                        Block::Whole(block) => {
                            for event in events(&block) {
                                self.translator.read(&event, &mut self.out);
                            }
                        }
                        // Too long to be kept: once for each such frame, at its first piece.
                        Block::Loose(_) => unread = true,
                    }
                }
                if unread && !frames.is_loose() {
                    self.translator.malformed(&mut self.out);
                }
            }
            Cut::Messages(messages) => {
                messages.push(chunk);
                loop {
                    match messages.pull() {
                        Ok(Some(message)) => self.translator.message(&message, &mut self.out),
                        Ok(None) => break,
                        // Nothing behind it can be told apart: the stream is broken here.
                        Err(_corrupt) => {
                            self.translator.malformed(&mut self.out);
                            self.ended = true;
                            break;
                        }
                    }
                }
            }
        }
        self.count();
        None
    }

    /// The upstream has ended by itself.
    fn end(&mut self) {
        self.ended = true;
        if let Cut::Events(frames) = &mut self.cut {
            let rest = frames.rest();
            for event in events(&rest) {
                self.translator.read(&event, &mut self.out);
            }
        }
        if !matches!(self.cut, Cut::Nothing) {
            self.translator.end(&mut self.out);
        }
        self.count();
    }

    fn count(&mut self) {
        if let Some(made) = self.made {
            if std::mem::replace(&mut self.said, self.translator.said()) < self.translator.said() {
                let millis = u64::try_from((clock::now() - made).as_millis()).unwrap_or(u64::MAX);
                self.spent.heard.store(millis.max(1), Ordering::Relaxed);
            }
            self.spent.diverged.store(self.translator.diverged(), Ordering::Relaxed);
        }
        match self.translator.bound() {
            Some(Bound::Refusal) => self.spent.refused.store(true, Ordering::Relaxed),
            Some(_) => self.spent.finished.store(true, Ordering::Relaxed),
            None => {}
        }
        if let Some(usage) = self.translator.usage() {
            self.spent.prompt.store(usage.input, Ordering::Relaxed);
            self.spent.completion.store(usage.output, Ordering::Relaxed);
        }
    }
}

impl<B> Upstream for Translated<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    fn last_words(&mut self) -> Option<Bytes> {
        if !self.ended {
            self.end();
        }
        (!self.out.is_empty()).then(|| self.out.split().freeze())
    }
}

impl<B> Body for Translated<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        loop {
            if !this.out.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(this.out.split().freeze()))));
            }
            if this.ended {
                return Poll::Ready(None);
            }
            match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                None => this.end(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => {
                    // Behind the end nothing counts; it is read all the same, so that the connection can be used again.
                    if let Ok(chunk) = frame.into_data()
                        && !chunk.is_empty()
                        && !this.translator.is_over()
                        && let Some(chunk) = this.take(chunk)
                    {
                        return Poll::Ready(Some(Ok(Frame::data(chunk))));
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended && self.out.is_empty()
    }
}
