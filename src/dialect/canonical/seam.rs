//! Where the continuation of a broken answer meets what was sent.
//!
//! Owns the arithmetic of the overlap (contract section 5, `continue`): no character twice, none lost. An answer that was asked
//! afresh is accepted only if it begins with everything that was sent; one that goes on from there may repeat or leave out
//! white space at its beginning, and nothing else. Thinking before the rest of a text is another derivation of it and left
//! out. Refuses to know dialects and vendors.

use std::borrow::Cow;
use std::sync::Arc;

use super::answer::Sink;
use super::{Event, Sent};

/// The answer is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Diverged;

/// How far the continuation is.
#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// So much of thinking and text is covered, in bytes.
    Afresh { thinking: usize, text: usize },
    /// It goes on: its white space so far.
    White(String),
    /// The next character's first half was sent.
    Half(u16),
    /// What comes is new.
    New,
}

/// Lets through what is new.
#[derive(Debug)]
pub struct Seam {
    sent: Arc<Sent>,
    phase: Phase,
}

impl Seam {
    /// Before the continuation's first event. `prefill`: the model was given what was sent as its own beginning.
    #[must_use]
    pub fn new(sent: Arc<Sent>, prefill: bool) -> Self {
        let phase = match prefill {
            true if sent.white().is_empty() => behind(&sent),
            true => Phase::White(String::new()),
            false => Phase::Afresh { thinking: 0, text: 0 },
        };
        Self { sent, phase }
    }

    /// Takes an event and hands on what of it is new.
    ///
    /// # Errors
    /// It is another answer. Nothing of it was handed on.
    pub fn pass(&mut self, event: Event<'_>, sink: &mut Sink<'_>) -> Result<(), Diverged> {
        let says_text = !self.sent.text.is_empty() || self.sent.half.is_some();
        match event {
            Event::Start { .. } => {}
            Event::Usage(_) | Event::Malformed | Event::Error(_) | Event::Half(_) => sink(event),
            Event::Text(text) => return self.text(&text, sink),
            // The client has its thinking.
            Event::Thinking(_) | Event::Signature(_) | Event::Redacted(_) if says_text => {}
            Event::Thinking(text) => return self.thinking(&text, sink),
            Event::Signature(_)
            | Event::Redacted(_)
            | Event::Refusal(_)
            | Event::Call { .. }
            | Event::Input { .. }
            | Event::Finish { .. }
            | Event::End => {
                self.settle(sink)?;
                sink(event);
            }
        }
        Ok(())
    }

    fn text(&mut self, text: &str, sink: &mut Sink<'_>) -> Result<(), Diverged> {
        match &mut self.phase {
            Phase::New => say(text, sink),
            Phase::Afresh { thinking, text: at } => {
                if self.sent.text.is_empty() && *thinking < self.sent.thinking.len() {
                    return Err(Diverged);
                }
                let rest = &self.sent.text[*at..];
                if let Some(more) = text.strip_prefix(rest) {
                    self.phase = behind(&self.sent);
                    return self.fresh(more, sink);
                }
                if !rest.starts_with(text) {
                    return Err(Diverged);
                }
                *at += text.len();
            }
            Phase::White(lead) => {
                let black = text.trim_start();
                lead.push_str(&text[..text.len() - black.len()]);
                // White space that goes beyond the client's own needs no more to be told apart.
                if !black.is_empty() || lead.starts_with(self.sent.white()) {
                    self.settle_white(sink);
                    return self.fresh(black, sink);
                }
            }
            Phase::Half(_) => return self.fresh(text, sink),
        }
        Ok(())
    }

    fn thinking(&mut self, text: &str, sink: &mut Sink<'_>) -> Result<(), Diverged> {
        if let Phase::Afresh { thinking, .. } = &mut self.phase {
            let rest = &self.sent.thinking[*thinking..];
            if let Some(more) = text.strip_prefix(rest) {
                self.phase = Phase::New;
                if !more.is_empty() {
                    sink(Event::Thinking(Cow::Borrowed(more)));
                }
            } else if rest.starts_with(text) {
                *thinking += text.len();
            } else {
                return Err(Diverged);
            }
        } else {
            sink(Event::Thinking(Cow::Borrowed(text)));
        }
        Ok(())
    }

    /// Text behind everything that was sent.
    fn fresh(&mut self, text: &str, sink: &mut Sink<'_>) -> Result<(), Diverged> {
        if text.is_empty() {
            return Ok(());
        }
        let Phase::Half(half) = self.phase else {
            say(text, sink);
            return Ok(());
        };
        let mut rest = text.chars();
        match rest.next().map(|first| first.encode_utf16(&mut [0; 2]).to_vec()).as_deref() {
            Some([high, low]) if *high == half => sink(Event::Half(*low)),
            _ => return Err(Diverged),
        }
        self.phase = Phase::New;
        say(rest.as_str(), sink);
        Ok(())
    }

    /// Something else than text comes: everything that was sent must be covered.
    fn settle(&mut self, sink: &mut Sink<'_>) -> Result<(), Diverged> {
        match &self.phase {
            Phase::Afresh { thinking, text } => {
                let thought = *thinking == self.sent.thinking.len() || !self.sent.text.is_empty();
                if !thought || *text < self.sent.text.len() || self.sent.half.is_some() {
                    return Err(Diverged);
                }
                self.phase = Phase::New;
            }
            Phase::White(_) => self.settle_white(sink),
            Phase::Half(_) | Phase::New => {}
        }
        // The other half of a character must come before anything else.
        if matches!(self.phase, Phase::Half(_)) { Err(Diverged) } else { Ok(()) }
    }

    /// The continuation's white space is over.
    fn settle_white(&mut self, sink: &mut Sink<'_>) {
        let Phase::White(lead) = std::mem::replace(&mut self.phase, behind(&self.sent)) else { return };
        // Half a character follows no white space but the client's own.
        if matches!(self.phase, Phase::New) {
            say(fresh_white(self.sent.white(), &lead), sink);
        }
    }
}

fn behind(sent: &Sent) -> Phase {
    sent.half.map_or(Phase::New, Phase::Half)
}

fn say(text: &str, sink: &mut Sink<'_>) {
    if !text.is_empty() {
        sink(Event::Text(Cow::Borrowed(text)));
    }
}

/// What is new of the white space `lead`, where the client has `white` already: what goes beyond it. A model that leaves it
/// out, or writes less of it, adds nothing. Where both differ, only a line break that the client lacks is worth adding.
fn fresh_white<'a>(white: &str, lead: &'a str) -> &'a str {
    let common: usize =
        white.chars().zip(lead.chars()).take_while(|(one, other)| one == other).map(|(one, _)| one.len_utf8()).sum();
    let rest = &lead[common..];
    if common == white.len() || (rest.contains('\n') && !white.contains('\n')) { rest } else { "" }
}

#[cfg(test)]
#[path = "seam_tests.rs"]
mod tests;
