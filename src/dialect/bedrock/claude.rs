//! What each Claude takes, told by its name in any of its spellings.
//!
//! Owns the differences between versions: sampling, thinking, effort, forced tools. A version that nobody knows yet is taken for
//! the newest known one. Refuses to know requests.

use smallvec::SmallVec;

use crate::dialect::canonical::Effort;

/// The line of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Opus,
    Sonnet,
    Haiku,
    /// Fable and Mythos, who always think.
    Thinker,
    /// None is named.
    Unnamed,
}

/// A Claude, as far as its name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claude {
    family: Family,
    version: (u8, u8),
}

/// Which of `temperature`, `top_p` and `top_k` a model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sampling {
    /// All.
    Free,
    /// Not `temperature` and `top_p` together.
    OneOfTwo,
    /// None.
    Fixed,
}

/// How a model can be told to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thinks {
    /// It cannot think.
    Never,
    /// With a budget of tokens.
    ByBudget,
    /// With a budget, or as it likes.
    Either,
    /// As it likes, more or less by the effort.
    Adaptively,
}

impl Claude {
    const NEWEST: (u8, u8) = (5, 0);

    /// The Claude of a name: `claude-opus-4-7`, `claude-3-5-sonnet-20241022`, `us.anthropic.claude-sonnet-4-5-20250929-v1:0`,
    /// `anthropic/claude-3.5-sonnet`. `None` if it is no Claude's.
    pub(super) fn of(model: &str) -> Option<Self> {
        let lower = model.to_ascii_lowercase();
        let (_, name) = lower.rsplit_once("claude")?;
        let words = name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        let words: SmallVec<[&str; 8]> = words.collect();
        let family = words.iter().find_map(|word| match *word {
            "opus" => Some(Family::Opus),
            "sonnet" => Some(Family::Sonnet),
            "haiku" => Some(Family::Haiku),
            "fable" | "mythos" => Some(Family::Thinker),
            _ => None,
        });
        // A date is longer, and a deployment's `v1` is no number.
        let number = |word: &str| word.parse::<u8>().ok().filter(|_| word.len() <= 2);
        let major = words.iter().enumerate().find_map(|(at, word)| number(word).map(|major| (at, major)));
        let version = major
            .map_or(Self::NEWEST, |(at, major)| (major, words.get(at + 1).and_then(|word| number(word)).unwrap_or(0)));
        let family = family.unwrap_or(Family::Unnamed);
        Some(Self { family, version })
    }

    /// Whether its version is this one or a later one.
    pub(super) fn is_at_least(self, major: u8, minor: u8) -> bool {
        self.version >= (major, minor)
    }

    /// What it takes of sampling.
    pub(super) fn sampling(self) -> Sampling {
        match self.version {
            version if version >= (4, 7) || self.family == Family::Thinker => Sampling::Fixed,
            version if version >= (4, 1) => Sampling::OneOfTwo,
            _ => Sampling::Free,
        }
    }

    /// How it can be told to think.
    pub(super) fn thinks(self) -> Thinks {
        match self.version {
            version if version >= (4, 7) || self.family == Family::Thinker => Thinks::Adaptively,
            version if version >= (4, 6) => Thinks::Either,
            version if version >= (3, 7) => Thinks::ByBudget,
            _ => Thinks::Never,
        }
    }

    /// Whether it thinks when nothing is said about it. Such a model also takes forced tools while it thinks, and
    /// histories without its thinking: else nobody could leave thinking out.
    pub(super) fn thinks_unasked(self) -> bool {
        self.is_at_least(5, 0) || self.family == Family::Thinker
    }

    /// The `thinking.type` that keeps it from thinking; `None` if nothing does.
    pub(super) fn off(self) -> Option<&'static str> {
        match self.family {
            Family::Thinker => None,
            Family::Opus if self.is_at_least(5, 5) => None,
            Family::Sonnet if self.is_at_least(5, 5) => Some("between_tools"),
            Family::Opus | Family::Sonnet | Family::Haiku | Family::Unnamed => Some("disabled"),
        }
    }

    /// Whether it can be made to call a tool.
    pub(super) fn takes_forced_tools(self) -> bool {
        self.off().is_some()
    }

    /// Its `output_config.effort` for a wish, the nearest that it has; `None` if it has none. `quiet`: it is kept from
    /// thinking, for which some have a bound.
    pub(super) fn effort(self, wish: Effort, quiet: bool) -> Option<&'static str> {
        let all = self.is_at_least(4, 7) || self.family == Family::Thinker;
        let most = match self.family {
            _ if quiet && self.is_at_least(5, 0) => Effort::High,
            _ if self.is_at_least(4, 6) || all => Effort::Max,
            Family::Opus if self.is_at_least(4, 5) => Effort::High,
            Family::Opus | Family::Sonnet | Family::Haiku | Family::Thinker | Family::Unnamed => return None,
        };
        let word = match wish {
            Effort::None => return None,
            Effort::Minimal => Effort::Low,
            Effort::XHigh if !all => Effort::Max,
            Effort::Low | Effort::Medium | Effort::High | Effort::XHigh | Effort::Max => wish,
        };
        Some(word.min(most).name())
    }
}
