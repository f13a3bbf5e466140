//! What each Claude takes, told by its name in any of its spellings.
//!
//! Owns the differences between versions: sampling, thinking, effort, forced tools, schemas. Anthropic's list of models says them
//! for most; a version that nobody knows yet is taken for the newest known one. Refuses to know requests.

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
pub(in crate::dialect) struct Claude {
    family: Family,
    version: (u8, u8),
}

/// Which of `temperature`, `top_p` and `top_k` a model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dialect) enum Sampling {
    /// All.
    Free,
    /// Not `temperature` and `top_p` together.
    OneOfTwo,
    /// None.
    Fixed,
}

/// How a model can be told to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dialect) enum Thinks {
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
    /// What is assumed of a model that is no Claude and yet behind Messages: what all servers of it have in common.
    pub(in crate::dialect) const CLASSIC: Self = Self { family: Family::Unnamed, version: (4, 0) };
    const NEWEST: (u8, u8) = (5, 0);

    /// The Claude of a name: `claude-opus-4-7`, `claude-3-5-sonnet-20241022`, `us.anthropic.claude-sonnet-4-5-20250929-v1:0`,
    /// `anthropic/claude-3.5-sonnet`. `None` if it is no Claude's.
    pub(in crate::dialect) fn of(model: &str) -> Option<Self> {
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
    pub(in crate::dialect) fn is_at_least(self, major: u8, minor: u8) -> bool {
        self.version >= (major, minor)
    }

    /// What it takes of sampling.
    pub(in crate::dialect) fn sampling(self) -> Sampling {
        match self.version {
            version if version >= (4, 7) || self.family == Family::Thinker => Sampling::Fixed,
            version if version >= (4, 1) => Sampling::OneOfTwo,
            _ => Sampling::Free,
        }
    }

    /// How it can be told to think.
    pub(in crate::dialect) fn thinks(self) -> Thinks {
        match self.version {
            version if version >= (4, 7) || self.family == Family::Thinker => Thinks::Adaptively,
            version if version >= (4, 6) => Thinks::Either,
            version if version >= (3, 7) => Thinks::ByBudget,
            _ => Thinks::Never,
        }
    }

    /// Whether it thinks when nothing is said about it. Such a model also takes forced tools while it thinks, and
    /// histories without its thinking: else nobody could leave thinking out.
    pub(in crate::dialect) fn thinks_unasked(self) -> bool {
        self.is_at_least(5, 0) || self.family == Family::Thinker
    }

    /// The `thinking.type` that keeps it from thinking; `None` if nothing does.
    pub(in crate::dialect) fn off(self) -> Option<&'static str> {
        match self.family {
            Family::Thinker => None,
            Family::Opus if self.is_at_least(5, 5) => None,
            Family::Sonnet if self.is_at_least(5, 5) => Some("between_tools"),
            Family::Opus | Family::Sonnet | Family::Haiku | Family::Unnamed => Some("disabled"),
        }
    }

    /// Whether it can be made to call a tool.
    pub(in crate::dialect) fn takes_forced_tools(self) -> bool {
        self.off().is_some()
    }

    /// Its `output_config.effort` for a wish, the nearest that it has; `None` if it has none. `quiet`: it is kept from
    /// thinking, for which some have a bound.
    pub(in crate::dialect) fn effort(self, wish: Effort, quiet: bool) -> Option<&'static str> {
        let all = self.is_at_least(4, 7) || self.family == Family::Thinker;
        let most = if self.is_at_least(5, 0) && quiet || self.version == (4, 5) && self.family == Family::Opus {
            Effort::High
        } else if self.is_at_least(4, 6) || all {
            Effort::Max
        } else {
            return None;
        };
        let word = match wish {
            Effort::None => return None,
            Effort::Minimal => Effort::Low,
            Effort::XHigh if !all => Effort::Max,
            Effort::Low | Effort::Medium | Effort::High | Effort::XHigh | Effort::Max => wish,
        };
        Some(word.min(most).name())
    }

    /// Whether it follows a JSON schema by `output_config.format`.
    pub(in crate::dialect) fn follows_schemas(self) -> bool {
        match self.family {
            Family::Opus => self.is_at_least(4, 1),
            Family::Sonnet | Family::Haiku | Family::Unnamed => self.is_at_least(4, 5),
            Family::Thinker => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claude(name: &str) -> Claude {
        Claude::of(name).unwrap_or_else(|| unreachable!("{name}"))
    }

    #[test]
    fn every_spelling_is_read() {
        for (name, family, version) in [
            ("claude-opus-4-7", Family::Opus, (4, 7)),
            ("claude-3-5-sonnet-20241022", Family::Sonnet, (3, 5)),
            ("claude-3-haiku-20240307", Family::Haiku, (3, 0)),
            ("claude-3-7-sonnet-latest", Family::Sonnet, (3, 7)),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Family::Sonnet, (4, 5)),
            ("anthropic.claude-3-5-sonnet-20241022-v2:0", Family::Sonnet, (3, 5)),
            ("anthropic.claude-opus-4-6-v1", Family::Opus, (4, 6)),
            ("anthropic/claude-3.5-sonnet", Family::Sonnet, (3, 5)),
            ("anthropic/claude-sonnet-4", Family::Sonnet, (4, 0)),
            ("claude-opus-4-20250514", Family::Opus, (4, 0)),
            ("claude-opus-4@20250514", Family::Opus, (4, 0)),
            (
                "arn:aws:bedrock:us-east-1:1:inference-profile/eu.anthropic.Claude-Haiku-4-5-20251001-v1:0",
                Family::Haiku,
                (4, 5),
            ),
            ("claude-sonnet-5", Family::Sonnet, (5, 0)),
            ("claude-opus-5-5", Family::Opus, (5, 5)),
            ("claude-fable-5", Family::Thinker, (5, 0)),
            ("claude-mythos-preview", Family::Thinker, (5, 0)),
            ("claude-instant-1.2", Family::Unnamed, (1, 2)),
            ("claude-latest", Family::Unnamed, (5, 0)),
        ] {
            assert_eq!(claude(name), Claude { family, version }, "{name}");
        }
        for name in ["gpt-4o", "", "amazon.nova-lite-v1:0", "glm-4.6"] {
            assert_eq!(Claude::of(name), None, "{name}");
        }
    }

    #[test]
    fn what_each_takes() {
        use Sampling::{Fixed, Free, OneOfTwo};
        use Thinks::{Adaptively, ByBudget, Either, Never};
        let opus_4_5 = "claude-opus-4-5-20251101";
        for (name, sampling, thinks, unasked, off, highest, schemas) in [
            ("claude-3-5-sonnet-20241022", Free, Never, false, Some("disabled"), None, false),
            ("claude-3-7-sonnet-20250219", Free, ByBudget, false, Some("disabled"), None, false),
            ("claude-sonnet-4-20250514", Free, ByBudget, false, Some("disabled"), None, false),
            ("claude-opus-4-1-20250805", OneOfTwo, ByBudget, false, Some("disabled"), None, true),
            ("claude-sonnet-4-5-20250929", OneOfTwo, ByBudget, false, Some("disabled"), None, true),
            ("claude-haiku-4-5", OneOfTwo, ByBudget, false, Some("disabled"), None, true),
            (opus_4_5, OneOfTwo, ByBudget, false, Some("disabled"), Some("high"), true),
            ("claude-sonnet-4-6", OneOfTwo, Either, false, Some("disabled"), Some("max"), true),
            ("claude-opus-4-7", Fixed, Adaptively, false, Some("disabled"), Some("xhigh"), true),
            ("claude-sonnet-5", Fixed, Adaptively, true, Some("disabled"), Some("xhigh"), true),
            ("claude-sonnet-5-5", Fixed, Adaptively, true, Some("between_tools"), Some("xhigh"), true),
            ("claude-opus-5-5", Fixed, Adaptively, true, None, Some("xhigh"), true),
            ("claude-fable-5-1", Fixed, Adaptively, true, None, Some("xhigh"), true),
            ("claude-opus-7", Fixed, Adaptively, true, None, Some("xhigh"), true),
        ] {
            let model = claude(name);
            assert_eq!((model.sampling(), model.thinks()), (sampling, thinks), "{name}");
            assert_eq!((model.thinks_unasked(), model.off()), (unasked, off), "{name}");
            assert_eq!(model.effort(Effort::XHigh, false), highest, "{name}");
            assert_eq!((model.follows_schemas(), model.takes_forced_tools()), (schemas, off.is_some()), "{name}");
        }
        let opus = claude("claude-opus-5");
        assert_eq!(opus.effort(Effort::Max, true), Some("high"));
        assert_eq!(opus.effort(Effort::Minimal, false), Some("low"));
        assert_eq!(opus.effort(Effort::None, false), None);
        assert_eq!(Claude::CLASSIC.effort(Effort::High, false), None);
        assert_eq!((Claude::CLASSIC.thinks(), Claude::CLASSIC.follows_schemas()), (ByBudget, false));
    }
}
