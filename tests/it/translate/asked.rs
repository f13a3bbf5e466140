//! What a request asks, whatever it is written in.

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
    Document(Place),
    Audio,
    Call(Called),
    Result { id: String, parts: Vec<Piece>, error: bool },
    Thinking { text: String, signature: Option<String> },
    Redacted(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Url(String),
    /// The type and the bytes.
    Here(String, Vec<u8>),
    Text(String),
    File(String),
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
        for piece in self.turns.iter_mut().flat_map(|(_, pieces)| pieces) {
            match piece {
                Piece::Call(call) => call.id = fit(&call.id, rule).into_owned(),
                Piece::Result { id, .. } => *id = fit(id, rule).into_owned(),
                Piece::Text(_)
                | Piece::Image(_)
                | Piece::Document(_)
                | Piece::Audio
                | Piece::Thinking { .. }
                | Piece::Redacted(_) => {}
            }
        }
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
