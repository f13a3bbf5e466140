//! What a model at Bedrock takes beyond what all of them take, read from its id.
//!
//! Ids are model ids (`anthropic.claude-opus-4-6-v1`), inference profiles (`us.…`, `global.…`) or ARNs of either. An id
//! that says nothing (an application's own profile) is a model of which nothing is known.

use crate::dialect::anthropic::models::Claude;

/// Whose model it is, as far as requests differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    /// Anthropic's Claude.
    Claude(Claude),
    /// Amazon's Nova.
    Nova,
    /// OpenAI's open weights.
    GptOss,
    /// Any other.
    Other,
}

/// A model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) maker: Maker,
    /// Takes `cachePoint`. Others refuse the whole request, some of them as if it were a matter of access.
    pub(super) caches: bool,
}

impl Model {
    pub(super) fn of(id: &str) -> Self {
        let id = id.to_ascii_lowercase();
        if let Some(claude) = Claude::of(&id) {
            let caches = claude.is_at_least(3, 7) || id.contains("claude-3-5-haiku");
            return Self { maker: Maker::Claude(claude), caches };
        }
        if id.contains("amazon.nova") {
            return Self { maker: Maker::Nova, caches: true };
        }
        let maker = if id.contains("openai.gpt-oss") { Maker::GptOss } else { Maker::Other };
        Self { maker, caches: false }
    }

    pub(super) const fn claude(self) -> Option<Claude> {
        match self.maker {
            Maker::Claude(claude) => Some(claude),
            Maker::Nova | Maker::GptOss | Maker::Other => None,
        }
    }

    /// Takes `cachePoint` among tools, too.
    pub(super) fn caches_tools(self) -> bool {
        self.caches && self.maker != Maker::Nova
    }

    /// Keeps a cache for an hour, too.
    pub(super) fn caches_for_long(self) -> bool {
        self.claude().is_some_and(|claude| claude.is_at_least(4, 5))
    }

    /// Takes `status` in a tool's result.
    pub(super) const fn takes_status(self) -> bool {
        matches!(self.maker, Maker::Claude(_) | Maker::Nova)
    }

    /// Takes `outputConfig.textFormat`, and `strict` in tools. Later Claudes than these refuse it at Bedrock.
    pub(super) fn follows_schemas(self) -> bool {
        self.claude().is_some_and(|claude| claude.is_at_least(4, 5) && !claude.is_at_least(4, 7))
    }

    /// Takes an effort without a beta flag.
    pub(super) fn takes_effort(self) -> bool {
        self.claude().is_some_and(|claude| claude.is_at_least(4, 6))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_say_what_a_model_takes() {
        // Claude or another; caches, among tools, for an hour; status, schemas, effort.
        for (id, maker, takes) in [
            ("anthropic.claude-3-haiku-20240307-v1:0", "claude", "s"),
            ("anthropic.claude-3-5-sonnet-20241022-v2:0", "claude", "s"),
            ("anthropic.claude-3-5-haiku-20241022-v1:0", "claude", "cts"),
            ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", "claude", "cts"),
            ("eu.anthropic.claude-opus-4-1-20250805-v1:0", "claude", "cts"),
            ("global.anthropic.claude-haiku-4-5-20251001-v1:0", "claude", "ctlsf"),
            ("us.anthropic.claude-opus-4-6-v1", "claude", "ctlsfe"),
            ("anthropic.claude-opus-4-7", "claude", "ctlse"),
            ("global.anthropic.claude-sonnet-5", "claude", "ctlse"),
            (
                "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-4-5-20251101-v1:0",
                "claude",
                "ctlsf",
            ),
            ("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4", "other", ""),
            ("us.amazon.nova-2-lite-v1:0", "nova", "cs"),
            ("amazon.titan-text-express-v1", "other", ""),
            ("openai.gpt-oss-120b-1:0", "gpt-oss", ""),
            ("qwen.qwen3-32b-v1:0", "other", ""),
            ("", "other", ""),
        ] {
            let model = Model::of(id);
            let found = match model.maker {
                Maker::Claude(_) => "claude",
                Maker::Nova => "nova",
                Maker::GptOss => "gpt-oss",
                Maker::Other => "other",
            };
            let marks: String = [
                ('c', model.caches),
                ('t', model.caches_tools()),
                ('l', model.caches_for_long()),
                ('s', model.takes_status()),
                ('f', model.follows_schemas()),
                ('e', model.takes_effort()),
            ]
            .into_iter()
            .filter_map(|(mark, able)| able.then_some(mark))
            .collect();
            assert_eq!((found, marks.as_str()), (maker, takes), "{id}");
        }
    }
}
