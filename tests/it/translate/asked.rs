//! What a request asks, whatever it is written in.

use std::fmt;

use backstop::dialect::canonical::ids::{Rule, fit};
use serde_json::Value;

use super::said::Called;

/// A request's meaning, as far as every dialect knows it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Asked {
    pub(super) system: Vec<String>,
    pub(super) turns: Vec<(Who, Vec<Piece>)>,
    pub(super) tools: Vec<Offered>,
    pub(super) choice: Choice,
    pub(super) parallel: Option<bool>,
    /// The schema that the answer must follow; `true` for any JSON object.
    pub(super) schema: Option<Value>,
    pub(super) max_tokens: Option<u64>,
    pub(super) temperature: Option<f64>,
    pub(super) top_p: Option<f64>,
    pub(super) top_k: Option<u64>,
    pub(super) stop: Vec<String>,
    pub(super) stream: bool,
    /// Whether the model is asked to think. How long is each dialect's own matter.
    pub(super) thinks: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    User,
    Model,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    Text(String),
    Image(Place),
    /// With its name.
    Document(Place, Option<String>),
    Audio,
    Call(Called),
    Result {
        id: String,
        parts: Vec<Piece>,
        error: bool,
    },
    Thinking {
        text: String,
        signature: Option<String>,
    },
    Redacted(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Url(String),
    Here { kind: String, bytes: Bytes },
    Text(String),
    File(String),
}

/// Bytes that are not shown one by one.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} bytes", self.0.len())
    }
}

impl Place {
    /// What stands here; plain text is text, whatever it is called.
    pub(super) fn here(kind: &str, bytes: Vec<u8>) -> Self {
        let kind = kind.split(';').next().unwrap_or_default();
        match String::from_utf8(bytes) {
            Ok(text) if matches!(kind, "text/plain" | "application/txt") => Self::Text(text),
            Ok(text) => Self::Here { kind: kind.to_owned(), bytes: Bytes(text.into_bytes()) },
            Err(error) => Self::Here { kind: kind.to_owned(), bytes: Bytes(error.into_bytes()) },
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Offered {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) schema: Value,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Choice {
    #[default]
    Auto,
    Never,
    Any,
    Named(String),
}

impl Asked {
    /// Adds to the conversation. Runs of one side are one turn.
    pub(super) fn say(&mut self, who: Who, pieces: Vec<Piece>) {
        match self.turns.last_mut() {
            Some((last, so_far)) if *last == who => so_far.extend(pieces),
            _ => self.turns.push((who, pieces)),
        }
    }

    /// Puts the ids of calls and results into the form of a target.
    pub(super) fn fit_ids(&mut self, rule: Rule) {
        self.rename(|id| fit(id, rule).into_owned());
    }

    /// Numbers calls and results, so that only which result is of which call counts.
    pub(super) fn number_ids(&mut self) {
        let mut known: Vec<String> = Vec::new();
        self.rename(|id| {
            let number = known.iter().position(|known| known == id).unwrap_or_else(|| {
                known.push(id.to_owned());
                known.len() - 1
            });
            number.to_string()
        });
    }

    fn rename(&mut self, mut name: impl FnMut(&str) -> String) {
        for piece in self.turns.iter_mut().flat_map(|(_, pieces)| pieces) {
            match piece {
                Piece::Call(call) => call.id = name(&call.id),
                Piece::Result { id, .. } => *id = name(id),
                Piece::Text(_)
                | Piece::Image(_)
                | Piece::Document(..)
                | Piece::Audio
                | Piece::Thinking { .. }
                | Piece::Redacted(_) => {}
            }
        }
    }

    /// Takes away what is the same anyway: how text is cut, what documents are called, and what a model does unasked.
    pub(super) fn leveled(mut self) -> Self {
        self.system = if self.system.is_empty() { Vec::new() } else { vec![self.system.join("\n\n")] };
        for (_, pieces) in &mut self.turns {
            level(pieces);
        }
        self.thinks = false;
        for usual in [&mut self.temperature, &mut self.top_p] {
            usual.take_if(|value| (*value - 1.0).abs() < f64::EPSILON);
        }
        self
    }

    /// Lets pieces go; turns that become empty go, too, and what they parted is one turn.
    pub(super) fn keep(&mut self, wanted: impl Fn(&Piece) -> bool) {
        for (who, mut pieces) in std::mem::take(&mut self.turns) {
            pieces.retain(&wanted);
            if !pieces.is_empty() {
                self.say(who, pieces);
            }
        }
    }
}

fn level(pieces: &mut Vec<Piece>) {
    for piece in std::mem::take(pieces) {
        match (pieces.last_mut(), piece) {
            (Some(Piece::Text(before)), Piece::Text(text)) => *before = format!("{before}\n\n{text}"),
            (_, Piece::Document(place, _)) => pieces.push(Piece::Document(place, None)),
            (_, Piece::Result { id, mut parts, error }) => {
                level(&mut parts);
                pieces.push(Piece::Result { id, parts, error });
            }
            (_, other) => pieces.push(other),
        }
    }
}
