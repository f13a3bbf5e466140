//! A request body for another model.
//!
//! [`splice`] puts a body together again from slices of itself. Every byte that is not the model or one of the
//! gateway's own fields stays as the client sent it, and none is copied. Refuses to parse:
//! [`read`](super::request::read) says where things stand.

use std::ops::Range;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::dialect::fields::Raw;

/// A body in order, in slices: as it goes upstream.
pub type Segments = SmallVec<[Bytes; 3]>;

/// Where a body is cut to make it another model's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The model's value; if there is none, the empty range behind the opening brace.
    model: Range<usize>,
    insert: Insert,
    /// The gateway's own fields with their commas, in order, disjoint.
    cuts: SmallVec<[Range<usize>; 1]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Insert {
    /// The value stands there already.
    Value,
    /// The field is missing.
    Field,
    /// The field is missing and the object is otherwise empty.
    OnlyField,
    /// The value of a form's field: plain text.
    Form,
}

/// A model's name in the form in which it is spliced: made once per target, cloned without an allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelName {
    json: Bytes,
}

impl ModelName {
    /// Escapes a name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { json: Bytes::from(serde_json::Value::from(name).to_string()) }
    }

    /// The name itself. Forms are few, so it is not kept.
    fn plain(&self) -> Bytes {
        serde_json::from_slice::<String>(&self.json).map(Bytes::from).unwrap_or_default()
    }
}

impl Edit {
    /// For a form in which the model's name stands at `model`.
    pub(in crate::dialect) const fn of_form(model: Range<usize>) -> Self {
        Self { model, insert: Insert::Form, cuts: SmallVec::new_const() }
    }

    /// From the fields of interest, which must be slices of `body`.
    pub(in crate::dialect) fn new(body: &[u8], model: Option<Raw<'_>>, own: [Option<Raw<'_>>; 3]) -> Self {
        let mut cuts: SmallVec<[Range<usize>; 1]> = own.into_iter().flatten().map(|raw| member(body, raw)).collect();
        cuts.sort_unstable_by_key(|cut| cut.start);
        cuts.dedup_by(|next, cut| {
            let neighbours = body[cut.end..next.start].iter().all(|byte| *byte == b',' || byte.is_ascii_whitespace());
            if neighbours {
                cut.end = next.end;
            }
            neighbours
        });
        for cut in &mut cuts {
            with_comma(body, cut);
        }
        if let Some(raw) = model {
            return Self { model: span(body, raw), insert: Insert::Value, cuts };
        }
        let brace = memchr::memchr(b'{', body).map_or(0, |at| at + 1);
        let mut first = brace + blanks(&body[brace..]);
        if let Some(cut) = cuts.first().filter(|cut| cut.start == first) {
            first = cut.end + blanks(&body[cut.end..]);
        }
        let empty = body.get(first) == Some(&b'}');
        Self { model: brace..brace, insert: if empty { Insert::OnlyField } else { Insert::Field }, cuts }
    }
}

/// Where a raw value stands in the body it was parsed from.
fn span(body: &[u8], raw: Raw<'_>) -> Range<usize> {
    let start = (raw.get().as_ptr() as usize).saturating_sub(body.as_ptr() as usize);
    start..start + raw.get().len()
}

/// A value's span with its key. A key that reads as one of ours has no quote inside, so the quote before its
/// closing one is its opening one, however it is escaped.
fn member(body: &[u8], raw: Raw<'_>) -> Range<usize> {
    let value = span(body, raw);
    let close = memchr::memrchr(b'"', &body[..value.start]).unwrap_or(0);
    let open = memchr::memrchr(b'"', &body[..close]).unwrap_or(0);
    open..value.end
}

/// Takes the comma before the cut, or, at the beginning of the object, the one after it.
fn with_comma(body: &[u8], cut: &mut Range<usize>) {
    let before = body[..cut.start].trim_ascii_end();
    if before.ends_with(b",") {
        cut.start = before.len() - 1;
        return;
    }
    let comma = cut.end + blanks(&body[cut.end..]);
    if body.get(comma) == Some(&b',') {
        cut.end = comma + 1;
    }
}

fn blanks(bytes: &[u8]) -> usize {
    bytes.len() - bytes.trim_ascii_start().len()
}

/// The body with another model and without the gateway's own fields (`models`, `fallbacks`, `disable_fallbacks`), which
/// strict vendors refuse. Slices of the body: nothing is copied. If nothing has to change it is the body itself.
#[must_use]
pub fn splice(body: &Bytes, edit: &Edit, name: &ModelName) -> Segments {
    let mut segments = Segments::new();
    if edit.cuts.is_empty() && body[edit.model.clone()] == *name.json {
        segments.push(body.clone());
        return segments;
    }
    let mut at = 0;
    let mut named = false;
    for cut in &edit.cuts {
        if !named && edit.model.start <= cut.start {
            put_model(&mut segments, body, &mut at, edit, name);
            named = true;
        }
        push(&mut segments, body, at..cut.start);
        at = cut.end;
    }
    if !named {
        put_model(&mut segments, body, &mut at, edit, name);
    }
    push(&mut segments, body, at..body.len());
    segments
}

fn put_model(segments: &mut Segments, body: &Bytes, at: &mut usize, edit: &Edit, name: &ModelName) {
    push(segments, body, *at..edit.model.start);
    match edit.insert {
        Insert::Value => segments.push(name.json.clone()),
        Insert::Form => segments.push(name.plain()),
        Insert::Field => {
            segments.extend([Bytes::from_static(b"\"model\":"), name.json.clone(), Bytes::from_static(b",")]);
        }
        Insert::OnlyField => segments.extend([Bytes::from_static(b"\"model\":"), name.json.clone()]),
    }
    *at = edit.model.end;
}

fn push(segments: &mut Segments, body: &Bytes, range: Range<usize>) {
    if !range.is_empty() {
        segments.push(body.slice(range));
    }
}
