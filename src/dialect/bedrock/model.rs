//! What a model at Bedrock takes beyond what all of them take, read from its id.
//!
//! Ids are model ids (`anthropic.claude-opus-4-6-v1`), inference profiles (`us.…`, `global.…`) or ARNs of either. An id
//! that says nothing (an application's own profile) is a model of which nothing is known.

/// A model, as far as requests differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Model {
    /// Anthropic's.
    Claude(Claude),
    /// Amazon's.
    Nova,
    /// OpenAI's open weights.
    GptOss,
    /// Any other.
    Other,
}

impl Model {
    pub(super) fn of(id: &str) -> Self {
        let id = id.to_ascii_lowercase();
        if let Some((_, name)) = id.rsplit_once("claude-") {
            Self::Claude(Claude::of(name))
        } else if id.contains("amazon.nova") {
            Self::Nova
        } else if id.contains("openai.gpt-oss") {
            Self::GptOss
        } else {
            Self::Other
        }
    }

    pub(super) const fn claude(self) -> Option<Claude> {
        match self {
            Self::Claude(claude) => Some(claude),
            Self::Nova | Self::GptOss | Self::Other => None,
        }
    }

    /// Takes `cachePoint` in messages and `system`. Others refuse the whole request, some as a matter of access.
    pub(super) fn caches(self) -> bool {
        match self {
            Self::Claude(claude) => claude.caches(),
            Self::Nova => true,
            Self::GptOss | Self::Other => false,
        }
    }

    /// Takes `status` in a tool's result.
    pub(super) const fn takes_status(self) -> bool {
        matches!(self, Self::Claude(_) | Self::Nova)
    }
}

/// A size of Claude.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    Haiku,
    Sonnet,
    Opus,
    Unknown,
}

/// A Claude. What is not known of a version counts as unable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claude {
    version: (u8, u8),
    size: Size,
}

impl Claude {
    /// From what follows `claude-`: `3-7-sonnet-20250219-v1:0`, `opus-4-6-v1`, `sonnet-5`, `v2:1`.
    fn of(name: &str) -> Self {
        let size = [("haiku", Size::Haiku), ("sonnet", Size::Sonnet), ("opus", Size::Opus)];
        let size = size.into_iter().find(|(word, _)| name.contains(word)).map_or(Size::Unknown, |(_, size)| size);
        // A date has more digits, and the last `v1` is Bedrock's own count.
        let numbers =
            |word: &&str| word.len() <= 2 && word.bytes().all(|byte| byte.is_ascii_digit()) && !word.is_empty();
        let mut words = name.split(['-', '.', ':', '@']).skip_while(|word| !numbers(word)).take_while(numbers);
        let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap_or_default();
        Self { version: (number(), number()), size }
    }

    fn caches(self) -> bool {
        self.version >= (3, 7) || (self.version == (3, 5) && self.size == Size::Haiku)
    }

    /// Keeps a cache for an hour, too.
    pub(super) fn caches_for_long(self) -> bool {
        self.version >= (4, 5)
    }

    /// Takes `temperature`, `top_p` and `top_k`.
    pub(super) fn samples(self) -> bool {
        self.version < (4, 7) || (self.version < (5, 0) && self.size != Size::Opus)
    }

    /// Takes `temperature` and `top_p` together.
    pub(super) fn samples_twice(self) -> bool {
        self.version < (4, 1)
    }

    /// Thinks when it is asked to.
    pub(super) fn thinks(self) -> bool {
        self.version >= (3, 7)
    }

    /// Says itself how long it thinks.
    pub(super) fn adapts(self) -> bool {
        self.version >= (4, 6)
    }

    /// Thinks unless it is told not to.
    pub(super) fn thinks_by_itself(self) -> bool {
        self.version >= (5, 0) && self.size != Size::Unknown
    }

    /// Knows the effort `xhigh`.
    pub(super) fn takes_xhigh(self) -> bool {
        self.version >= (4, 7)
    }

    /// Knows the effort `max`.
    pub(super) fn takes_max(self) -> bool {
        self.takes_xhigh() || (self.adapts() && self.size == Size::Opus)
    }

    /// Takes `outputConfig.textFormat`, and `strict` in tools. Later ones than these refuse it at Bedrock.
    pub(super) fn structures(self) -> bool {
        matches!(self.version, (4, 5 | 6))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_say_which_model_it_is() {
        let claude = |major, minor, size| Model::Claude(Claude { version: (major, minor), size });
        for (id, model) in [
            ("anthropic.claude-3-haiku-20240307-v1:0", claude(3, 0, Size::Haiku)),
            ("anthropic.claude-3-5-sonnet-20241022-v2:0", claude(3, 5, Size::Sonnet)),
            ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", claude(3, 7, Size::Sonnet)),
            ("eu.anthropic.claude-sonnet-4-20250514-v1:0", claude(4, 0, Size::Sonnet)),
            ("global.anthropic.claude-haiku-4-5-20251001-v1:0", claude(4, 5, Size::Haiku)),
            ("us.anthropic.claude-opus-4-6-v1", claude(4, 6, Size::Opus)),
            ("anthropic.claude-opus-4-10", claude(4, 10, Size::Opus)),
            ("global.anthropic.claude-sonnet-5", claude(5, 0, Size::Sonnet)),
            ("anthropic.claude-instant-v1", claude(0, 0, Size::Unknown)),
            ("anthropic.claude-v2:1", claude(1, 0, Size::Unknown)),
            (
                "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-4-5-20251101-v1:0",
                claude(4, 5, Size::Opus),
            ),
            ("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4", Model::Other),
            ("us.amazon.nova-2-lite-v1:0", Model::Nova),
            ("amazon.titan-text-express-v1", Model::Other),
            ("openai.gpt-oss-120b-1:0", Model::GptOss),
            ("qwen.qwen3-32b-v1:0", Model::Other),
            ("", Model::Other),
        ] {
            assert_eq!(Model::of(id), model, "{id}");
        }
    }

    #[test]
    fn what_each_claude_takes() {
        let marks = |id: &str| {
            let claude = Model::of(id).claude().unwrap();
            [
                ('c', claude.caches()),
                ('l', claude.caches_for_long()),
                ('s', claude.samples()),
                ('2', claude.samples_twice()),
                ('t', claude.thinks()),
                ('a', claude.adapts()),
                ('d', claude.thinks_by_itself()),
                ('x', claude.takes_xhigh()),
                ('m', claude.takes_max()),
                ('f', claude.structures()),
            ]
            .into_iter()
            .filter_map(|(mark, able)| able.then_some(mark))
            .collect::<String>()
        };
        for (id, able) in [
            ("claude-3-opus-20240229-v1:0", "s2"),
            ("claude-3-5-sonnet-20241022-v2:0", "s2"),
            ("claude-3-5-haiku-20241022-v1:0", "cs2"),
            ("claude-3-7-sonnet-20250219-v1:0", "cs2t"),
            ("claude-opus-4-20250514-v1:0", "cs2t"),
            ("claude-opus-4-1-20250805-v1:0", "cst"),
            ("claude-sonnet-4-5-20250929-v1:0", "clstf"),
            ("claude-sonnet-4-6", "clstaf"),
            ("claude-opus-4-6-v1", "clstamf"),
            ("claude-opus-4-7", "cltaxm"),
            ("claude-sonnet-5", "cltadxm"),
            ("claude-mythos-5", "cltaxm"),
        ] {
            assert_eq!(marks(id), able, "{id}");
        }
    }
}
