//! The head of a request, and the model spliced into it.
//!
//! [`read`] validates the body as JSON in one pass and notes where things stand; [`splice`] puts the body together again
//! from slices of itself with another model. Every byte that is not the model or one of the gateway's own fields stays
//! as the client sent it. Refuses to know whether the messages make sense: the vendor says so.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::needs;
use crate::policy::capability::Needs;

/// Arrays and objects may be nested this deep: the depth at which common JSON parsers give up.
pub const MAX_DEPTH: usize = 128;

/// A body in order, in slices: as it goes upstream.
pub type Segments = SmallVec<[Bytes; 3]>;

/// The routes whose requests are read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/v1/chat/completions`
    Chat,
    /// `/v1/completions`
    Completions,
    /// `/v1/embeddings`
    Embeddings,
    /// `/v1/moderations`
    Moderations,
}

/// A request that no upstream could answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRequest {
    /// For the client: what is wrong and what to do about it.
    pub message: String,
    /// The field that is wrong, if it is one field.
    pub param: Option<&'static str>,
    /// OpenAI's `code`.
    pub code: &'static str,
}

impl BadRequest {
    /// There is no model, and no default to take instead.
    #[must_use]
    pub fn missing_model() -> Self {
        Self::new("you must provide a `model`", Some("model"), "missing_required_parameter")
    }

    fn new(message: impl Into<String>, param: Option<&'static str>, code: &'static str) -> Self {
        Self { message: message.into(), param, code }
    }

    fn json(message: impl Into<String>) -> Self {
        Self::new(message, None, "invalid_json")
    }

    fn wrong_type(param: &'static str, wanted: &str) -> Self {
        Self::new(format!("`{param}` must be {wanted}"), Some(param), "invalid_type")
    }
}

/// What the gateway needs to know of a request. Borrows from the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head<'a> {
    /// The model's name, unescaped. `None` if missing or null; see [`BadRequest::missing_model`].
    pub model: Option<Cow<'a, str>>,
    /// Whether a stream is asked for.
    pub stream: bool,
    /// OpenRouter's `models`: a chain for this request. Empty if not given.
    pub models: Vec<Cow<'a, str>>,
    /// LiteLLM's `fallbacks`: what follows the model. An empty list is a wish too: nothing follows.
    pub fallbacks: Option<Vec<Cow<'a, str>>>,
    /// LiteLLM's `disable_fallbacks`.
    pub disable_fallbacks: bool,
    /// `user`, if it is a string.
    pub user: Option<Cow<'a, str>>,
    /// `prompt_cache_key`, if it is a string.
    pub prompt_cache_key: Option<Cow<'a, str>>,
    /// What the model must be able to do.
    pub needs: Needs,
    /// Where the body is cut. It outlives the head.
    pub edit: Edit,
}

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
}

/// The fields that matter, as they stand in the body.
#[derive(Deserialize)]
pub(super) struct Fields<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    stream: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    models: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    fallbacks: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    disable_fallbacks: Option<&'a RawValue>,
    #[serde(borrow, default)]
    user: Option<&'a RawValue>,
    #[serde(borrow, default)]
    prompt_cache_key: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) max_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) max_completion_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) messages: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) prompt: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) tools: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) functions: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) response_format: Option<&'a RawValue>,
}

/// A null counts as present: it has a span.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads the head of a body.
///
/// # Errors
/// A body that is not one JSON object in UTF-8, that has a field of interest twice or with a wrong type, or that is
/// nested deeper than [`MAX_DEPTH`].
pub fn read(body: &[u8]) -> Result<Head<'_>, BadRequest> {
    let text = checked_text(body)?;
    let fields: Fields<'_> = serde_json::from_str(text).map_err(|error| not_read(&error))?;
    let model = match fields.model {
        Some(raw) if raw.get() != "null" => {
            Some(string(raw).ok_or_else(|| BadRequest::wrong_type("model", "a string: the name of a model"))?)
        }
        _ => None,
    };
    Ok(Head {
        model,
        stream: boolean(fields.stream, "stream")?,
        models: names(fields.models, "models")?.unwrap_or_default(),
        fallbacks: names(fields.fallbacks, "fallbacks")?,
        disable_fallbacks: boolean(fields.disable_fallbacks, "disable_fallbacks")?,
        user: fields.user.and_then(string),
        prompt_cache_key: fields.prompt_cache_key.and_then(string),
        needs: needs::of(&fields),
        edit: Edit::new(body, fields.model, [fields.models, fields.fallbacks, fields.disable_fallbacks]),
    })
}

/// What can be said about the body before it is parsed.
fn checked_text(body: &[u8]) -> Result<&str, BadRequest> {
    let text = std::str::from_utf8(body)
        .map_err(|error| BadRequest::json(format!("the body is not UTF-8 (at byte {})", error.valid_up_to())))?;
    if text.starts_with('\u{feff}') {
        return Err(BadRequest::json("the body begins with a byte order mark: send plain UTF-8"));
    }
    match body.trim_ascii_start().first() {
        None => return Err(BadRequest::json("the body is empty: send a JSON object")),
        Some(b'{') => {}
        Some(_) => return Err(BadRequest::json("the body is not a JSON object")),
    }
    if too_deep(body) {
        return Err(BadRequest::json(format!("the body is nested deeper than {MAX_DEPTH} levels")));
    }
    Ok(text)
}

fn not_read(error: &serde_json::Error) -> BadRequest {
    let text = error.to_string();
    // Every field is taken raw, so data errors can only be duplicates.
    let twice = text.strip_prefix("duplicate field `").and_then(|rest| rest.split_once('`')).map(|(name, _)| name);
    match twice {
        Some(name) => {
            let param = (name == "model").then_some("model");
            BadRequest::new(format!("the body has the field `{name}` twice: send it once"), param, "duplicate_field")
        }
        None => BadRequest::json(format!("the body is not valid JSON: {text}")),
    }
}

/// Whether brackets are nested deeper than [`MAX_DEPTH`]. Few bodies have that many brackets, so few are scanned twice.
fn too_deep(body: &[u8]) -> bool {
    if memchr::memchr2_iter(b'{', b'[', body).nth(MAX_DEPTH).is_none() {
        return false;
    }
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(&byte) = body.get(at) {
        at += 1;
        match byte {
            b'"' => {
                while let Some(found) = memchr::memchr2(b'"', b'\\', &body[at..]) {
                    at += found + 1;
                    if body[at - 1] == b'"' {
                        break;
                    }
                    // What follows a backslash is part of the string, and so is all if the body ends here.
                    at = (at + 1).min(body.len());
                }
            }
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// The text of a JSON string, borrowed unless it has escapes; `None` if it is not a string.
fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(raw.get()).ok().map(Cow::Owned)
}

fn boolean(raw: Option<&RawValue>, param: &'static str) -> Result<bool, BadRequest> {
    match raw.map(RawValue::get) {
        None | Some("false" | "null") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(BadRequest::wrong_type(param, "true or false")),
    }
}

/// A list of names, or of objects with a `model` (other fields of such an object are not honoured).
fn names<'a>(raw: Option<&'a RawValue>, param: &'static str) -> Result<Option<Vec<Cow<'a, str>>>, BadRequest> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        model: &'a RawValue,
    }
    let Some(raw) = raw.filter(|raw| raw.get() != "null") else {
        return Ok(None);
    };
    let wrong = || BadRequest::wrong_type(param, "a list of model names, or of objects with a `model`");
    let list: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| wrong())?;
    let name = |raw: &'a RawValue| {
        if raw.get().starts_with('{') {
            serde_json::from_str::<Named<'a>>(raw.get()).ok().and_then(|named| string(named.model))
        } else {
            string(raw)
        }
    };
    list.into_iter().map(|raw| name(raw).ok_or_else(wrong)).collect::<Result<_, _>>().map(Some)
}

impl Edit {
    fn new(body: &[u8], model: Option<&RawValue>, own: [Option<&RawValue>; 3]) -> Self {
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
fn span(body: &[u8], raw: &RawValue) -> Range<usize> {
    let start = (raw.get().as_ptr() as usize).saturating_sub(body.as_ptr() as usize);
    start..start + raw.get().len()
}

/// A value's span with its key. A key that reads as one of ours has no quote inside, so the quote before its closing one
/// is its opening one, however it is escaped.
fn member(body: &[u8], raw: &RawValue) -> Range<usize> {
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
    if edit.insert != Insert::Value {
        segments.push(Bytes::from_static(b"\"model\":"));
    }
    segments.push(name.json.clone());
    if edit.insert == Insert::Field {
        segments.push(Bytes::from_static(b","));
    }
    *at = edit.model.end;
}

fn push(segments: &mut Segments, body: &Bytes, range: Range<usize>) {
    if !range.is_empty() {
        segments.push(body.slice(range));
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
