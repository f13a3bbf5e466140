//! Between a front's dialect and an upstream's: which reader meets which writer.
//!
//! Owns the choice of the pair. Refuses to know the shapes: each dialect
//! parses to the canonical form and renders from it.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::canonical::{Amended, Bound, Cannot, Event, Frame, Profile, Rendered, Request, Seam, Usage};
use super::openai_chat::request::BadRequest;
use super::openai_chat::response::Whole;
use super::resume::Resumption;
use super::stand_in::{Schema, as_text};
use super::vendor::Dialect;
use super::{anthropic, bedrock, openai_chat};
use crate::framing::eventstream::Message;
use crate::framing::sse::Event as SseEvent;

/// Reads what a client asked in a front's dialect. Nobody asks in Bedrock's.
///
/// # Errors
/// What nobody could understand.
pub fn parse(front: Dialect, body: &[u8]) -> Result<Request, BadRequest> {
    match front {
        Dialect::OpenAiChat | Dialect::Bedrock => openai_chat::parse::request(body),
        Dialect::Anthropic => anthropic::parse::request(body),
    }
}

/// Writes it for a target.
///
/// # Errors
/// This target, or every one, cannot be asked that.
pub fn render(upstream: Dialect, request: &Request, profile: &Profile<'_>) -> Result<Rendered, Cannot> {
    match upstream {
        Dialect::OpenAiChat => openai_chat::render::request(request, profile),
        Dialect::Anthropic => anthropic::render::request(request, profile),
        Dialect::Bedrock => bedrock::render::request(request, profile),
    }
}

/// What must change of a body that stays in its dialect, because its history comes from elsewhere or its vendor has habits.
#[must_use]
pub fn amend(dialect: Dialect, body: &Bytes, profile: &Profile<'_>) -> Option<Amended> {
    match dialect {
        Dialect::OpenAiChat => openai_chat::amend::amend(body, profile),
        Dialect::Anthropic => anthropic::amend::amend(body, profile),
        Dialect::Bedrock => None,
    }
}

/// The way back of one request: from whom, to whom, and what was promised on the way there.
#[derive(Debug, Clone)]
pub struct Translation {
    /// Who answers.
    pub upstream: Dialect,
    /// Who asked.
    pub front: Dialect,
    /// What the answer says of itself.
    pub frame: Frame,
    /// The tool whose input is the answer's text.
    pub schema_tool: Option<String>,
    /// The client has the beginning of the answer.
    pub resumption: Option<Resumption>,
}

impl Translation {
    /// A whole answer in the front's words, with its tokens.
    ///
    /// # Errors
    /// It is an error, or no answer.
    pub fn answer(&self, body: &[u8]) -> Result<(Vec<u8>, Option<Usage>), Whole> {
        let mut answer = match self.upstream {
            Dialect::OpenAiChat => openai_chat::answer::parse(body, &self.frame),
            Dialect::Anthropic => anthropic::answer::parse(body, &self.frame),
            Dialect::Bedrock => bedrock::answer::parse(body, &self.frame),
        }?;
        if let Some(tool) = &self.schema_tool {
            as_text(&mut answer, tool);
        }
        let rendered = match self.front {
            Dialect::OpenAiChat | Dialect::Bedrock => openai_chat::answer::render(&answer, &self.frame),
            Dialect::Anthropic => anthropic::answer::render(&answer, &self.frame),
        };
        Ok((rendered, answer.usage))
    }

    /// A translator of its stream.
    #[must_use]
    pub fn stream(&self) -> Translator {
        let frame = &self.frame;
        Translator {
            reader: match self.upstream {
                Dialect::OpenAiChat => Reader::Chat(openai_chat::reader::Reader::new(frame)),
                Dialect::Anthropic => Reader::Anthropic(anthropic::reader::Reader::new(frame)),
                Dialect::Bedrock => Reader::Bedrock(bedrock::reader::Reader::new(frame)),
            },
            outlet: Outlet {
                writer: self.writer(),
                seam: self.resumption.as_ref().map(|way| Seam::new(Arc::clone(&way.sent), way.prefill)),
                earlier: self.resumption.as_ref().map_or_else(Usage::default, |way| way.sent.usage),
                diverged: false,
                bound: None,
                said: 0,
                schema: self.schema_tool.clone().map(Schema::new),
                usage: None,
                state: State::Going,
            },
        }
    }
}

impl Translation {
    fn writer(&self) -> Writer {
        let sent = self.resumption.as_ref().map(|way| &way.sent);
        match self.front {
            Dialect::OpenAiChat | Dialect::Bedrock => Writer::Chat(match sent {
                None => openai_chat::writer::Writer::new(&self.frame),
                Some(sent) => openai_chat::writer::Writer::resumed(&self.frame, sent),
            }),
            Dialect::Anthropic => Writer::Anthropic(match sent {
                None => anthropic::writer::Writer::new(&self.frame),
                Some(sent) => anthropic::writer::Writer::resumed(&self.frame, sent),
            }),
        }
    }
}

#[derive(Debug)]
enum Reader {
    Chat(openai_chat::reader::Reader),
    Anthropic(anthropic::reader::Reader),
    Bedrock(bedrock::reader::Reader),
}

#[derive(Debug)]
enum Writer {
    Chat(openai_chat::writer::Writer),
    Anthropic(anthropic::writer::Writer),
}

/// How far a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Going,
    /// Nothing more is taken: it has ended, or failed.
    Over,
}

#[derive(Debug)]
struct Outlet {
    writer: Writer,
    schema: Option<Schema>,
    usage: Option<Usage>,
    state: State,
    /// Where it meets what the client has.
    seam: Option<Seam>,
    /// The tokens of the parts before.
    earlier: Usage,
    diverged: bool,
    /// Why nobody else could finish it, as far as the front's dialect does not show that.
    bound: Option<Bound>,
    /// Contents so far, of a continuation: also those that the client has already.
    said: u64,
}

/// Translates one stream, frame by frame.
#[derive(Debug)]
pub struct Translator {
    reader: Reader,
    outlet: Outlet,
}

impl Translator {
    /// Takes one server-sent event of the upstream; what it says in the front's words goes to `out`.
    pub fn read(&mut self, event: &SseEvent<'_>, out: &mut BytesMut) {
        let (name, data) = match (event.name, &event.data) {
            (name, Some(data)) => (name, data.as_ref()),
            (Some(b"error"), None) => (event.name, b"".as_slice()),
            // A comment.
            (_, None) => return,
        };
        let outlet = &mut self.outlet;
        let mut sink = |event: Event<'_>| outlet.take(event, out);
        match &mut self.reader {
            Reader::Chat(reader) => reader.read(name, data, &mut sink),
            Reader::Anthropic(reader) => reader.read(name, data, &mut sink),
            Reader::Bedrock(_) => sink(Event::Malformed),
        }
    }

    /// Takes one frame of an AWS event stream.
    pub fn message(&mut self, message: &Message, out: &mut BytesMut) {
        let outlet = &mut self.outlet;
        let mut sink = |event: Event<'_>| outlet.take(event, out);
        match &mut self.reader {
            Reader::Bedrock(reader) => reader.read(message, &mut sink),
            Reader::Chat(_) | Reader::Anthropic(_) => sink(Event::Malformed),
        }
    }

    /// A frame that cannot be read at all.
    pub fn malformed(&mut self, out: &mut BytesMut) {
        self.outlet.take(Event::Malformed, out);
    }

    /// The upstream's body has ended.
    pub fn end(&mut self, out: &mut BytesMut) {
        let outlet = &mut self.outlet;
        let mut sink = |event: Event<'_>| outlet.take(event, out);
        match &mut self.reader {
            Reader::Chat(reader) => reader.end(&mut sink),
            Reader::Anthropic(reader) => reader.end(&mut sink),
            Reader::Bedrock(reader) => reader.end(&mut sink),
        }
    }

    /// Whether nothing more is taken.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.outlet.state == State::Over
    }

    /// Whether it is not the answer whose beginning the client has.
    #[must_use]
    pub const fn diverged(&self) -> bool {
        self.outlet.diverged
    }

    /// Why nobody else could finish it, where the front's dialect has no word for that, or not yet: a refusal, an end.
    #[must_use]
    pub const fn bound(&self) -> Option<Bound> {
        self.outlet.bound
    }

    /// How many contents a continuation's upstream has said, those included that the client has already.
    #[must_use]
    pub const fn said(&self) -> u64 {
        self.outlet.said
    }

    /// The tokens so far, if the vendor gave any.
    #[must_use]
    pub const fn usage(&self) -> Option<Usage> {
        self.outlet.usage
    }
}

impl Outlet {
    fn take(&mut self, event: Event<'_>, out: &mut BytesMut) {
        if self.state == State::Over {
            return;
        }
        let event = match &mut self.schema {
            None => event,
            Some(schema) => match schema.replace(event) {
                Some(event) => event,
                None => return,
            },
        };
        match self.seam.take() {
            None => self.write(event, out),
            Some(mut seam) => {
                self.said += u64::from(event.is_content());
                let met = seam.pass(event, &mut |event| self.write(event, out));
                self.seam = Some(seam);
                if met.is_err() {
                    // An error before any content: the next slot is tried.
                    self.diverged = true;
                    self.write(Event::Error(b"{}".into()), out);
                }
            }
        }
    }

    fn write(&mut self, mut event: Event<'_>, out: &mut BytesMut) {
        match &mut event {
            Event::Refusal(_) => self.bound = self.bound.or(Some(Bound::Refusal)),
            Event::Finish { .. } => self.bound = self.bound.or(Some(Bound::Finished)),
            Event::Usage(usage) => {
                let own = self.usage.unwrap_or_default().or_more(*usage);
                self.usage = Some(own);
                *usage = self.earlier.plus(own);
            }
            Event::End | Event::Error(_) => self.state = State::Over,
            Event::Start { .. }
            | Event::Half(_)
            | Event::Text(_)
            | Event::Thinking(_)
            | Event::Signature(_)
            | Event::Redacted(_)
            | Event::Call { .. }
            | Event::Input { .. }
            | Event::Malformed => {}
        }
        match &mut self.writer {
            Writer::Chat(writer) => writer.write(&event, out),
            Writer::Anthropic(writer) => writer.write(&event, out),
        }
    }
}

/// A vendor's error in the front's shape: its words must be redacted already.
#[must_use]
pub fn error(front: Dialect, status: u16, words: &str) -> Bytes {
    let body = match front {
        Dialect::Anthropic => anthropic::error::body(status, words, None, &[]),
        Dialect::OpenAiChat | Dialect::Bedrock => serde_json::json!({ "error": {
            "message": words, "type": openai_chat::stream::kind(status), "param": null, "code": null,
        } }),
    };
    Bytes::from(body.to_string())
}

/// What is told of something a target cannot be asked.
#[must_use]
pub fn words(cannot: &Cannot) -> Cow<'_, str> {
    match cannot {
        Cannot::Lack(_, words) => Cow::Borrowed(words),
        Cannot::Bad(bad) => Cow::Borrowed(&bad.message),
    }
}
