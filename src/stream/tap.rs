//! What is read of a stream on its way: the gate's verdict before the first content, the end and the tokens after it.
//!
//! Owns the reading of whole frames and the decision which of them reach the client: all, verbatim, but for frames
//! that are not JSON (dropped and counted), an error event and what follows it, what follows the end, and a `[DONE]`
//! that claims an end nobody reached. Refuses to know bodies, timers and clients.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use super::cut::{data_of, first_line, single, without};
use super::spoken::{Spoken, messages_kind};
use crate::dialect::anthropic::stream as messages;
use crate::dialect::media;
use crate::dialect::openai_chat::repeat::Repeat;
use crate::dialect::openai_chat::response::Usage;
use crate::dialect::openai_chat::stream::{DONE, Signal, error_event, is_plain};
use crate::dialect::openai_responses::stream as responses;
use crate::dialect::openai_responses::stream::Opening;
use crate::framing::sse::{Block, Event, Frames, events};
use crate::policy::commit::{Commit, Verdict, Why};

/// What was counted over a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// The last usage the vendor gave; before the frame with the finish reason it is what was used so far.
    pub usage: Option<Usage>,
    /// Frames that were not JSON and were dropped. Above 0 the stream is not lossless.
    pub malformed: u32,
}

/// Why a stream must not go on to the client.
#[derive(Clone, PartialEq, Eq)]
pub enum Stop {
    /// The vendor's error event: its data, not for the client's eyes.
    Error(Bytes),
    /// `[DONE]` without a finish reason after content.
    Unfinished,
}

/// A block after it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Passed {
    /// What the client gets; can be empty.
    pub bytes: Bytes,
    /// What stands where the bytes end.
    pub stop: Option<Stop>,
    /// Whether there was data in it, as opposed to comments that only keep the connection alive.
    pub fed: bool,
}

/// A block as the gate sees it.
#[derive(Clone, PartialEq, Eq)]
pub enum Judged {
    /// Nothing yet: these bytes are held.
    Hold(Bytes),
    /// The client is bound to this stream.
    Commit(Why, Passed),
    /// The data of an error event before any content.
    Fail(Bytes),
}

/// Reads one stream.
#[derive(Debug)]
pub struct Tap {
    spoken: Spoken,
    frames: Frames,
    repeat: Repeat,
    tally: Tally,
    content: bool,
    finished: bool,
    done: bool,
    /// The usual chunk is compared, not read: in a chat until its finish reason.
    compares: bool,
    /// Frames with data so far: the number of the next event of a response.
    events: u64,
    opening: Option<Box<Opening>>,
    /// The first bytes of a response's event that is too long to be read.
    long: Option<Box<SmallVec<[u8; NAME_BYTES]>>>,
    /// A `[DONE]` has passed behind the end of a response.
    bare: bool,
}

/// As much of an event that is too long to be read is looked at for its name, in bytes.
const NAME_BYTES: usize = 256;

impl Tap {
    /// A frame longer than this goes by unread, in bytes.
    pub const FRAME_BYTES: usize = 16 * 1024 * 1024;

    /// Before the first byte.
    #[must_use]
    pub fn new(frame_bytes: usize, spoken: Spoken) -> Self {
        Self {
            spoken,
            frames: Frames::new(frame_bytes),
            repeat: Repeat::default(),
            tally: Tally::default(),
            content: false,
            finished: false,
            done: false,
            compares: spoken == Spoken::Chat,
            events: 0,
            opening: None,
            long: None,
            bare: false,
        }
    }

    /// Behind the last byte of a stream that ended well.
    #[must_use]
    pub fn ended(spoken: Spoken, tally: Tally) -> Self {
        Self { content: true, finished: true, done: true, tally, ..Self::new(0, spoken) }
    }

    /// Whose frames it reads.
    #[must_use]
    pub const fn spoken(&self) -> Spoken {
        self.spoken
    }

    /// Takes a chunk of the upstream; then [`pull`](Self::pull) until it is used up.
    pub fn push(&mut self, chunk: Bytes) {
        self.frames.push(chunk);
    }

    /// The next block to [`judge`](Self::judge) or [`pass`](Self::pass).
    pub fn pull(&mut self) -> Option<Block> {
        self.frames.pull()
    }

    /// Reads a block before commit.
    pub fn judge(&mut self, block: Bytes, commit: &Commit) -> Judged {
        self.sift(block, Some(commit), false)
    }

    /// Reads a block after commit. The usual one, a chunk like the one before, costs two comparisons; any other single
    /// chunk of the answer three passes of a byte finder.
    pub fn pass(&mut self, block: Bytes) -> Passed {
        if self.compares {
            if self.repeat.fits(&block) {
                return Passed { bytes: block, stop: None, fed: true };
            }
            if single(&block).is_some_and(is_plain) {
                self.repeat.learn(&block);
                return Passed { bytes: block, stop: None, fed: true };
            }
        }
        passed(self.sift(block, None, false))
    }

    /// A piece of a frame that is too long to be kept: what of it passes. The name of a response's event stands first
    /// and is enough to know its last one.
    pub fn pass_loose(&mut self, piece: Bytes) -> Bytes {
        if self.done {
            return Bytes::new();
        }
        if self.spoken == Spoken::Responses {
            let long = self.long.get_or_insert_default();
            let room = NAME_BYTES - long.len();
            long.extend_from_slice(&piece[..piece.len().min(room)]);
            if !self.frames.is_loose() {
                self.events += 1;
                let begins = self.long.take().unwrap_or_default();
                let mut told = events(&begins).filter(|event| event.name.is_some() || event.data.is_some());
                if told
                    .next()
                    .is_some_and(|event| responses::is_last(event.name, event.data.as_deref().unwrap_or_default()))
                {
                    self.finish();
                }
            }
        }
        piece
    }

    /// Reads what is left when the upstream has ended, before commit.
    pub fn judge_rest(&mut self, commit: &Commit) -> Judged {
        let rest = self.frames.rest();
        self.sift(rest, Some(commit), true)
    }

    /// Reads what is left when the upstream has ended, after commit.
    pub fn pass_rest(&mut self) -> Passed {
        let rest = self.frames.rest();
        passed(self.sift(rest, None, true))
    }

    /// There is content for all anyone knows: more was held than may be, or an earlier stream said it.
    pub const fn overrun(&mut self) {
        self.content = true;
    }

    /// Bytes of an unfinished frame that are kept back.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.frames.kept()
    }

    /// A frame that is added by the gateway, kept apart from half a frame that the client may have.
    #[must_use]
    pub fn after_half(&self, frame: Bytes) -> Bytes {
        if !self.is_loose() {
            return frame;
        }
        let mut closed = BytesMut::from(b"\n\n".as_slice());
        closed.extend_from_slice(&frame);
        closed.freeze()
    }

    /// Whether the client has half of a frame (one that was too long to be kept back).
    #[must_use]
    pub const fn is_loose(&self) -> bool {
        self.frames.is_loose()
    }

    /// Whether a finish reason has passed.
    #[must_use]
    pub const fn finished(&self) -> bool {
        self.finished
    }

    /// Whether `[DONE]` has passed.
    #[must_use]
    pub const fn done(&self) -> bool {
        self.done
    }

    /// What was counted so far.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Whether the last frame does without its blank line: of `[DONE]` the line is enough.
    #[must_use]
    pub fn ends_bare(&self) -> bool {
        self.done && self.spoken == Spoken::Chat
    }

    /// What a stream lacks that has ended after its finish reason.
    #[must_use]
    pub const fn closing(&self) -> Bytes {
        Bytes::from_static(match self.spoken {
            Spoken::Media => b"",
            Spoken::Messages => messages::STOP,
            Spoken::Chat | Spoken::Responses => DONE,
        })
    }

    /// The frame that tells the client that the stream failed here.
    #[must_use]
    pub fn failure(&self, message: &str, code: &str) -> Bytes {
        match self.spoken {
            Spoken::Chat => error_event(message, "server_error", code),
            Spoken::Messages => messages::error_event(message, messages_kind("server_error")),
            Spoken::Media => media::error_event(message, "server_error", code),
            Spoken::Responses => match &self.opening {
                Some(opening) => responses::failed_event(opening, self.events, message, code),
                None => responses::failed_event(&Opening::own(0), self.events, message, code),
            },
        }
    }

    fn count(&mut self, event: &Event<'_>) {
        if self.spoken == Spoken::Responses {
            if !self.content
                && self.opening.is_none()
                && let Some(data) = &event.data
            {
                self.opening = responses::opening(data).map(Box::new);
            }
            self.events += 1;
        }
    }

    /// A finish reason. In a chat tokens and `[DONE]` may follow; the last event of a response has it all.
    fn finish(&mut self) {
        self.finished = true;
        self.compares = false;
        self.done |= self.spoken == Spoken::Responses;
    }

    /// Keeps the tokens of a frame. Messages counts the prompt in the first one and need not repeat it.
    fn weigh(&mut self, usage: Option<Usage>) {
        let Some(usage) = usage else { return };
        if self.spoken == Spoken::Messages {
            self.tally.usage = Some(self.tally.usage.map_or(usage, |before| before.or_more(usage)));
        } else {
            // Who counts in every chunk is read chunk by chunk: if the stream is left, that is what it took.
            self.compares &= self.finished;
            self.tally.usage = Some(usage);
        }
    }

    /// What is dropped of a frame behind the last one: all but the blank lines, unless it is a response's one `[DONE]`.
    fn behind_the_end(&mut self, block: &[u8], event: &Event<'_>) -> Option<Range<usize>> {
        let bare = event.name.is_none() && event.data.as_deref().is_some_and(|data| data.trim_ascii() == b"[DONE]");
        let passes = self.spoken == Spoken::Responses && bare && !std::mem::replace(&mut self.bare, true);
        (!passes).then(|| first_line(block, event)..event.range.end)
    }

    /// Whether a plain frame need not be read: in a chat one that counts its tokens must be.
    fn trusts(&self) -> bool {
        !self.finished && (self.spoken != Spoken::Chat || self.tally.usage.is_none())
    }

    /// Reads a block frame by frame. `strict`: the block may end with half a frame, so nothing is taken on trust.
    fn sift(&mut self, block: Bytes, gate: Option<&Commit>, strict: bool) -> Judged {
        let mut why = None;
        let mut fed = false;
        let mut dropped: SmallVec<[Range<usize>; 1]> = SmallVec::new();
        let mut stop = None;
        let mut end = block.len();
        for event in events(&block) {
            if self.done {
                dropped.extend(self.behind_the_end(&block, &event));
                continue;
            }
            let trusted = !strict && (gate.is_none() || why.is_some()) && self.trusts();
            let Some(signal) = self.spoken.read(&event, trusted) else {
                // The beginning of a line that nobody will finish.
                dropped.extend(strict.then(|| first_line(&block, &event)..event.range.end));
                continue;
            };
            fed = true;
            if let (Some(gate), None) = (gate, why) {
                match gate.frame(self.spoken.seen(signal)) {
                    Verdict::Hold => {}
                    Verdict::Commit(reason) => {
                        why = Some(reason);
                        self.content |= reason != Why::Empty;
                    }
                    Verdict::Fail => return Judged::Fail(data_of(&block, &event)),
                }
            }
            match signal {
                Signal::Chunk(said) => {
                    self.count(&event);
                    if said.finish {
                        self.finish();
                    }
                    self.weigh(said.usage);
                    continue;
                }
                Signal::Malformed => {
                    self.tally.malformed += 1;
                    dropped.push(first_line(&block, &event)..event.range.end);
                    continue;
                }
                Signal::Error => stop = Some(Stop::Error(data_of(&block, &event))),
                Signal::Done if self.content && !self.finished => stop = Some(Stop::Unfinished),
                // Behind the last event of a response it passes. Before any content it must not: clients would stop there.
                Signal::Done if self.spoken == Spoken::Responses => {
                    dropped.push(first_line(&block, &event)..event.range.end);
                    continue;
                }
                Signal::Done => {
                    self.done = true;
                    self.compares = false;
                    continue;
                }
            }
            end = first_line(&block, &event);
            break;
        }
        let bytes = without(block, end, &dropped);
        match (gate, why) {
            (Some(_), None) => Judged::Hold(bytes),
            (_, why) => Judged::Commit(why.unwrap_or(Why::Content), Passed { bytes, stop, fed }),
        }
    }
}

fn passed(judged: Judged) -> Passed {
    match judged {
        Judged::Commit(_, passed) => passed,
        Judged::Hold(bytes) => Passed { bytes, stop: None, fed: false },
        Judged::Fail(data) => Passed { bytes: Bytes::new(), stop: Some(Stop::Error(data)), fed: true },
    }
}
