//! Which target can serve which request: what is needed against what is known.
//!
//! Owns the comparison of contract section 3.5. Refuses to know requests on the wire (a dialect says
//! what is needed) and where the model table is kept (the configuration does). Unknown counts as able.

/// A part of OpenAI's API that a provider speaks or does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Api {
    /// `/chat/completions`
    #[default]
    Chat,
    /// `/completions`
    Completions,
    /// `/embeddings`
    Embeddings,
    /// `/moderations`
    Moderations,
    /// `/responses`
    Responses,
    /// `/images/…`
    Images,
    /// `/audio/…`
    Audio,
    /// Anthropic's `/messages/count_tokens`
    CountTokens,
}

impl Api {
    /// Every part.
    pub const ALL: [Self; 8] = [
        Self::Chat,
        Self::Completions,
        Self::Embeddings,
        Self::Moderations,
        Self::Responses,
        Self::Images,
        Self::Audio,
        Self::CountTokens,
    ];

    /// The name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Moderations => "moderations",
            Self::Responses => "responses",
            Self::Images => "images",
            Self::Audio => "audio",
            Self::CountTokens => "count_tokens",
        }
    }
}

/// Parts of the API. The default is all of them: what is not known is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Apis(u8);

impl Apis {
    /// All parts.
    pub const ALL: Self = Self(u8::MAX);

    /// These parts.
    #[must_use]
    pub const fn of(parts: &[Api]) -> Self {
        let mut set = 0;
        let mut at = 0;
        while at < parts.len() {
            set |= 1 << parts[at] as u8;
            at += 1;
        }
        Self(set)
    }

    /// Those that are also in `other`.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// All but `part`.
    #[must_use]
    pub const fn without(self, part: Api) -> Self {
        Self(self.0 & !(1 << part as u8))
    }

    /// Whether `part` is among them.
    #[must_use]
    pub const fn has(self, part: Api) -> bool {
        self.0 & (1 << part as u8) != 0
    }
}

impl Default for Apis {
    fn default() -> Self {
        Self::ALL
    }
}

/// What one request needs from a model. The default needs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// The messages hold images.
    pub vision: bool,
    /// Some of them by their address alone.
    pub image_urls: bool,
    /// The messages hold sound.
    pub audio: bool,
    /// More than one answer is wanted (`n`).
    pub choices: bool,
    /// The tokens' probabilities are wanted.
    pub logprobs: bool,
    /// Tools are offered to the model.
    pub tools: bool,
    /// The answer must follow a JSON schema.
    pub json_schema: bool,
    /// A lower bound of the prompt's length in tokens; 0 if nothing is known.
    pub context_tokens: u64,
    /// The longest answer the client asked for, in tokens.
    pub max_output_tokens: Option<u64>,
    /// The part of the API that was asked.
    pub api: Api,
    /// It builds on what one vendor's account keeps (an earlier response, a file): no other provider has it.
    pub stateful: bool,
}

/// What is known about a model; `None` is unknown and counts as able.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Abilities {
    /// Prompt and answer together, in tokens.
    pub context_window: Option<u64>,
    /// The longest answer, in tokens.
    pub max_output: Option<u64>,
    /// Takes images.
    pub vision: Option<bool>,
    /// Takes images by their address.
    pub image_urls: Option<bool>,
    /// Takes sound in messages.
    pub audio: Option<bool>,
    /// Gives several answers to one request.
    pub choices: Option<bool>,
    /// Gives the tokens' probabilities.
    pub logprobs: Option<bool>,
    /// Takes tools.
    pub tools: Option<bool>,
    /// Takes a JSON schema for its answer.
    pub json_schema: Option<bool>,
    /// Thinks before its first content: gets the longer first-content limit.
    pub reasoning: Option<bool>,
    /// Goes on from a last assistant message. Unknown counts as unable (contract section 5).
    pub prefill: Option<bool>,
    /// What its provider speaks.
    pub apis: Apis,
}

impl Abilities {
    /// What is known here, and what this leaves open from `other`. Of the API, what both speak.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            context_window: self.context_window.or(other.context_window),
            max_output: self.max_output.or(other.max_output),
            vision: self.vision.or(other.vision),
            image_urls: self.image_urls.or(other.image_urls),
            audio: self.audio.or(other.audio),
            choices: self.choices.or(other.choices),
            logprobs: self.logprobs.or(other.logprobs),
            tools: self.tools.or(other.tools),
            json_schema: self.json_schema.or(other.json_schema),
            reasoning: self.reasoning.or(other.reasoning),
            prefill: self.prefill.or(other.prefill),
            apis: self.apis.and(other.apis),
        }
    }
}

/// Why a target cannot serve a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lack {
    /// Does not take images.
    Vision,
    /// Takes images as bytes only, not by their address.
    ImageUrls,
    /// Does not take sound.
    Audio,
    /// Gives one answer only.
    Choices,
    /// Does not give probabilities.
    Logprobs,
    /// Does not take tools.
    Tools,
    /// Does not take a JSON schema.
    JsonSchema,
    /// The prompt is longer than the context window.
    Context,
    /// The answer asked for is longer than the model gives.
    MaxOutput,
    /// This build does not speak the provider's dialect yet.
    Dialect,
    /// None of the provider's keys is set.
    NoKey,
    /// The provider, or each of its keys, is switched off.
    Disabled,
    /// Each of the provider's keys has a list of models, and this one is in none of them.
    NoKeyForModel,
    /// The provider does not speak this endpoint of the API.
    Endpoint,
    /// The model is not the same one, and this kind of request must not change models.
    NotEquivalent,
    /// The request builds on what another provider's account keeps.
    Stateful,
}

impl Lack {
    /// The word in the trail, the logs and the metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vision => "no_vision",
            Self::ImageUrls => "no_image_urls",
            Self::Audio => "no_audio",
            Self::Choices => "no_choices",
            Self::Logprobs => "no_logprobs",
            Self::Tools => "no_tools",
            Self::JsonSchema => "no_json_schema",
            Self::Context => "context_window",
            Self::MaxOutput => "max_output",
            Self::Dialect => "dialect_not_served",
            Self::NoKey => "no_key",
            Self::Disabled => "disabled",
            Self::NoKeyForModel => "no_key_for_model",
            Self::Endpoint => "endpoint_not_served",
            Self::NotEquivalent => "not_equivalent",
            Self::Stateful => "stateful",
        }
    }
}

/// The first thing a model lacks for a request, or `None` if it may be asked.
#[must_use]
pub fn lack(needs: &Needs, abilities: &Abilities) -> Option<Lack> {
    if !abilities.apis.has(needs.api) {
        return Some(Lack::Endpoint);
    }
    let unable = |needed: bool, able: Option<bool>| needed && able == Some(false);
    let looked_at = [
        (needs.vision, abilities.vision, Lack::Vision),
        (needs.image_urls, abilities.image_urls, Lack::ImageUrls),
        (needs.audio, abilities.audio, Lack::Audio),
        (needs.choices, abilities.choices, Lack::Choices),
        (needs.logprobs, abilities.logprobs, Lack::Logprobs),
        (needs.tools, abilities.tools, Lack::Tools),
        (needs.json_schema, abilities.json_schema, Lack::JsonSchema),
    ];
    if let Some((.., lack)) = looked_at.into_iter().find(|(needed, able, _)| unable(*needed, *able)) {
        return Some(lack);
    }
    if abilities.context_window.is_some_and(|window| needs.context_tokens > window) {
        return Some(Lack::Context);
    }
    match (needs.max_output_tokens, abilities.max_output) {
        (Some(wanted), Some(most)) if wanted > most => Some(Lack::MaxOutput),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_counts_as_able() {
        let needs = Needs {
            vision: true,
            image_urls: true,
            audio: true,
            choices: true,
            logprobs: true,
            tools: true,
            json_schema: true,
            context_tokens: u64::MAX,
            max_output_tokens: Some(u64::MAX),
            stateful: true,
            api: Api::Chat,
        };
        for api in Api::ALL {
            assert_eq!(lack(&Needs { api, ..needs }, &Abilities::default()), None);
        }
    }

    #[test]
    fn a_part_of_the_api_that_is_not_spoken_is_a_lack() {
        let abilities = Abilities { apis: Apis::of(&[Api::Chat, Api::Audio]), ..Abilities::default() };
        for api in Api::ALL {
            let spoken = matches!(api, Api::Chat | Api::Audio);
            assert_eq!(
                lack(&Needs { api, ..Needs::default() }, &abilities),
                (!spoken).then_some(Lack::Endpoint),
                "{api:?}"
            );
        }
    }

    #[test]
    fn each_known_lack_is_named() {
        let no = Some(false);
        let cases = [
            (
                Needs { vision: true, ..Needs::default() },
                Abilities { vision: no, ..Abilities::default() },
                Lack::Vision,
            ),
            (
                Needs { image_urls: true, ..Needs::default() },
                Abilities { image_urls: no, ..Abilities::default() },
                Lack::ImageUrls,
            ),
            (Needs { audio: true, ..Needs::default() }, Abilities { audio: no, ..Abilities::default() }, Lack::Audio),
            (
                Needs { choices: true, ..Needs::default() },
                Abilities { choices: no, ..Abilities::default() },
                Lack::Choices,
            ),
            (
                Needs { logprobs: true, ..Needs::default() },
                Abilities { logprobs: no, ..Abilities::default() },
                Lack::Logprobs,
            ),
            (Needs { tools: true, ..Needs::default() }, Abilities { tools: no, ..Abilities::default() }, Lack::Tools),
            (
                Needs { json_schema: true, ..Needs::default() },
                Abilities { json_schema: no, ..Abilities::default() },
                Lack::JsonSchema,
            ),
            (
                Needs { context_tokens: 11, ..Needs::default() },
                Abilities { context_window: Some(10), ..Abilities::default() },
                Lack::Context,
            ),
            (
                Needs { max_output_tokens: Some(11), ..Needs::default() },
                Abilities { max_output: Some(10), ..Abilities::default() },
                Lack::MaxOutput,
            ),
        ];
        for (needs, abilities, expected) in cases {
            assert_eq!(lack(&needs, &abilities), Some(expected));
            assert_eq!(lack(&Needs::default(), &abilities), None, "{expected:?} only matters when needed");
        }
    }
}
