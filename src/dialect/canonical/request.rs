//! A request without a dialect, and what it takes to write it in one.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::dialect::openai_chat::request::BadRequest;
use crate::dialect::vendor::Vendor;
use crate::policy::capability::{Abilities, Lack};

/// What a client asked, whose model is the target's business.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Whether the answer is a stream.
    pub stream: bool,
    /// Whether a stream ends with its tokens. Messages always does.
    pub include_usage: bool,
    /// Instructions, wherever they stood, in order.
    pub system: Vec<Text>,
    /// The conversation. Runs of one role are merged: roles alternate. Tool results are parts of user turns, first.
    pub turns: Vec<Turn>,
    /// Functions that the model may call.
    pub tools: Vec<Tool>,
    /// Which of them it must call.
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may call several at once; `None` leaves it to the vendor.
    pub parallel_tool_calls: Option<bool>,
    /// The form of the text.
    pub format: Option<Format>,
    /// The longest answer, in tokens, reasoning included.
    pub max_tokens: Option<u64>,
    /// 0 to 2, as OpenAI counts; Anthropic's end at 1.
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    pub top_p: Option<f64>,
    /// Sampling among the first so many.
    pub top_k: Option<u64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// Whether and how long the model thinks.
    pub thinking: Option<Thinking>,
    /// How much trouble it takes, thinking or not.
    pub effort: Option<Effort>,
    /// The end user: chat's `user` or `safety_identifier`, Messages' `metadata.user_id`.
    pub user: Option<String>,
    /// As the front words it: `auto`, `default`, `flex`, `priority`, `standard_only`.
    pub service_tier: Option<String>,
    /// Names of what the front asked for and this form cannot hold, as a client knows them (`seed`,
    /// `tools.web_search_20250305`, `messages.content.video_url`). All of it counts as dropped.
    pub uncarried: Vec<Cow<'static, str>>,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The client, and what its tools say.
    User,
    /// The model.
    Assistant,
}

/// One side's turn.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Whose.
    pub role: Role,
    /// What is in it, in order. Never empty after parsing, unless the client's was.
    pub parts: Vec<Part>,
}

/// A mark behind which a prompt is cached.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cache {
    /// `5m` or `1h`, if the client says.
    pub ttl: Option<String>,
}

/// Plain text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text {
    /// As written.
    pub text: String,
    /// A cache mark behind it.
    pub cache: Option<Cache>,
}

impl Text {
    /// Text without a mark.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), cache: None }
    }
}

/// A piece of a turn, of a tool's result or of an answer.
#[derive(Debug, Clone)]
pub enum Part {
    /// Text.
    Text(Text),
    /// The model says no.
    Refusal(String),
    /// A picture.
    Image(Image),
    /// A document.
    Document(Document),
    /// Sound: base64 and its format (`wav`, `mp3`).
    Audio {
        /// Base64.
        data: String,
        /// `wav`, `mp3`, …
        format: String,
    },
    /// The model calls a tool.
    Call(Call),
    /// What the tool said.
    Result(ToolResult),
    /// What the model thought. Only Claude's has a signature that Claude takes back.
    Thinking {
        /// May be empty.
        text: String,
        /// Claude's.
        signature: Option<String>,
    },
    /// What Claude thought, for its own eyes.
    Redacted {
        /// Claude's.
        data: String,
    },
}

/// Where the bytes of an image or a document are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Somewhere else.
    Url(String),
    /// Here.
    Base64 {
        /// `image/png`, `application/pdf`, …
        media_type: String,
        /// Base64.
        data: String,
    },
    /// Plain text (documents).
    Text(String),
    /// In one vendor's account: no other has it.
    File(String),
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its bytes.
    pub source: Source,
    /// Chat's `detail`.
    pub detail: Option<String>,
    /// A cache mark behind it.
    pub cache: Option<Cache>,
}

/// A document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its bytes.
    pub source: Source,
    /// Its title or file name.
    pub name: Option<String>,
    /// What Anthropic's `context` says about it.
    pub context: Option<String>,
    /// A cache mark behind it.
    pub cache: Option<Cache>,
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Call {
    /// As whoever made the call named it. [`ids`](super::ids) fits it to a target.
    pub id: String,
    /// The tool.
    pub name: String,
    /// JSON as the model wrote it: an object, or nothing, or what is left of one that was cut off.
    pub input: String,
    /// Gemini's `thought_signature`.
    pub signature: Option<String>,
    /// A cache mark behind it.
    pub cache: Option<Cache>,
}

impl Call {
    /// The input as an object: `{}` for nothing, and what is no object wrapped into `{"input": …}`.
    #[must_use]
    pub fn object(&self) -> Cow<'_, str> {
        let text = self.input.trim();
        if text.is_empty() || text == "null" {
            return Cow::Borrowed("{}");
        }
        if text.starts_with('{') && serde_json::from_str::<&RawValue>(text).is_ok() {
            return Cow::Borrowed(text);
        }
        let whole = serde_json::from_str::<serde_json::Value>(text).unwrap_or_else(|_| text.into());
        Cow::Owned(serde_json::json!({ "input": whole }).to_string())
    }
}

/// What a tool said.
#[derive(Debug, Clone, Default)]
pub struct ToolResult {
    /// The call's id.
    pub id: String,
    /// Texts, images, documents.
    pub parts: Vec<Part>,
    /// Whether it failed.
    pub is_error: bool,
    /// A cache mark behind it.
    pub cache: Option<Cache>,
}

/// A function that the model may call.
#[derive(Debug, Clone)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// Its input's JSON schema; `None` where the client gave none.
    pub schema: Option<Box<RawValue>>,
    /// Whether the input must follow the schema.
    pub strict: Option<bool>,
    /// A cache mark behind it.
    pub cache: Option<Cache>,
}

/// Which tool the model must call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    /// As it likes.
    Auto,
    /// None.
    Never,
    /// Any.
    Any,
    /// This one.
    Named(String),
    /// One of these: must, or may.
    Among {
        /// Their names.
        names: Vec<String>,
        /// Whether it must.
        required: bool,
    },
}

/// The form of the answer's text.
#[derive(Debug, Clone)]
pub enum Format {
    /// Some JSON object.
    Json,
    /// JSON of this schema.
    Schema {
        /// Chat's name for it.
        name: Option<String>,
        /// What it is.
        description: Option<String>,
        /// The schema.
        schema: Box<RawValue>,
        /// Chat's `strict`.
        strict: Option<bool>,
    },
}

/// Whether the model thinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thinking {
    /// Not.
    Off,
    /// As it likes.
    Adaptive,
    /// So many tokens at most.
    Budget(u64),
}

/// How much trouble the model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the variants are the vendors' words")]
pub enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    XHigh,
    Max,
}

impl Effort {
    /// Every word.
    pub const ALL: [Self; 7] = [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High, Self::XHigh, Self::Max];

    /// The vendors' word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// The effort of this [`name`](Self::name).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effort| effort.name() == name)
    }

    /// The tokens to think that stand for it where a vendor wants a number (docs/translation.md).
    #[must_use]
    pub const fn budget(self) -> Option<u64> {
        match self {
            Self::None => None,
            Self::Minimal => Some(1_024),
            Self::Low => Some(2_048),
            Self::Medium => Some(8_192),
            Self::High => Some(16_384),
            Self::XHigh | Self::Max => Some(32_768),
        }
    }

    /// The word that stands for so many tokens: the first whose budget has room for them.
    #[must_use]
    pub fn of_budget(tokens: u64) -> Self {
        let words = [Self::Minimal, Self::Low, Self::Medium];
        words.into_iter().find(|effort| effort.budget().is_some_and(|most| tokens <= most)).unwrap_or(Self::High)
    }
}

/// Whom a request is written for.
#[derive(Debug, Clone, Copy)]
pub struct Profile<'a> {
    /// The provider's own name of the model.
    pub model: &'a str,
    /// Whose habits it has.
    pub vendor: Vendor,
    /// What is known about the model.
    pub abilities: &'a Abilities,
}

/// A request in a dialect.
#[derive(Debug, Clone, Default)]
pub struct Rendered {
    /// The body.
    pub body: Vec<u8>,
    /// What could not be carried, as the client knows it, without repetition.
    pub dropped: Vec<Cow<'static, str>>,
    /// The tool that stands in for a JSON schema: its input is the answer's text.
    pub schema_tool: Option<String>,
}

impl Rendered {
    /// Notes that something could not be carried.
    pub fn drop(&mut self, what: impl Into<Cow<'static, str>>) {
        let what = what.into();
        if !self.dropped.contains(&what) {
            self.dropped.push(what);
        }
    }
}

/// A body that is changed for a target, and what was left out of it.
#[derive(Debug, Clone, Default)]
pub struct Amended {
    /// The whole body, its model as it was.
    pub body: Bytes,
    /// What is not in it any more, as the client knows it.
    pub dropped: Vec<Cow<'static, str>>,
}

/// Why a request cannot be written for a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cannot {
    /// This target cannot serve it; another may.
    Lack(Lack, String),
    /// Nobody could: the request is wrong.
    Bad(BadRequest),
}

impl From<BadRequest> for Cannot {
    fn from(bad: BadRequest) -> Self {
        Self::Bad(bad)
    }
}
