//! The routes of OpenAI's and Anthropic's APIs that are served: their paths, their words in metrics, and what is special about each.
//!
//! Owns that table. Refuses to know bodies and who serves what.

use super::vendor::Dialect;
use crate::policy::capability::Api;

/// A route that takes requests.
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
    /// `/v1/responses`
    Responses,
    /// `/v1/images/generations`
    ImageGenerations,
    /// `/v1/images/edits`
    ImageEdits,
    /// `/v1/images/variations`
    ImageVariations,
    /// `/v1/audio/speech`
    Speech,
    /// `/v1/audio/transcriptions`
    Transcriptions,
    /// `/v1/audio/translations`
    Translations,
    /// Anthropic's `/v1/messages`
    Messages,
    /// Anthropic's `/v1/messages/count_tokens`
    CountTokens,
}

/// How many endpoints there are.
pub const ENDPOINTS: usize = 13;

impl Endpoint {
    /// Every endpoint, in the order of its discriminants.
    pub const ALL: [Self; ENDPOINTS] = [
        Self::Chat,
        Self::Completions,
        Self::Embeddings,
        Self::Moderations,
        Self::Responses,
        Self::ImageGenerations,
        Self::ImageEdits,
        Self::ImageVariations,
        Self::Speech,
        Self::Transcriptions,
        Self::Translations,
        Self::Messages,
        Self::CountTokens,
    ];

    /// The word in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Moderations => "moderations",
            Self::Responses => "responses",
            Self::ImageGenerations => "image_generations",
            Self::ImageEdits => "image_edits",
            Self::ImageVariations => "image_variations",
            Self::Speech => "speech",
            Self::Transcriptions => "transcriptions",
            Self::Translations => "translations",
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
        }
    }

    /// Below the base address of an API, its `/v1` included.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Completions => "/completions",
            Self::Embeddings => "/embeddings",
            Self::Moderations => "/moderations",
            Self::Responses => "/responses",
            Self::ImageGenerations => "/images/generations",
            Self::ImageEdits => "/images/edits",
            Self::ImageVariations => "/images/variations",
            Self::Speech => "/audio/speech",
            Self::Transcriptions => "/audio/transcriptions",
            Self::Translations => "/audio/translations",
            Self::Messages => "/messages",
            Self::CountTokens => "/messages/count_tokens",
        }
    }

    /// The part of the API that a provider speaks or does not.
    #[must_use]
    pub const fn api(self) -> Api {
        match self {
            // Who chats answers Messages too, translated.
            Self::Chat | Self::Messages => Api::Chat,
            Self::Completions => Api::Completions,
            Self::Embeddings => Api::Embeddings,
            Self::Moderations => Api::Moderations,
            Self::Responses => Api::Responses,
            Self::ImageGenerations | Self::ImageEdits | Self::ImageVariations => Api::Images,
            Self::Speech | Self::Transcriptions | Self::Translations => Api::Audio,
            Self::CountTokens => Api::CountTokens,
        }
    }

    /// In whose words it is asked.
    #[must_use]
    pub const fn dialect(self) -> Dialect {
        match self {
            Self::Messages | Self::CountTokens => Dialect::Anthropic,
            Self::Chat
            | Self::Completions
            | Self::Embeddings
            | Self::Moderations
            | Self::Responses
            | Self::ImageGenerations
            | Self::ImageEdits
            | Self::ImageVariations
            | Self::Speech
            | Self::Transcriptions
            | Self::Translations => Dialect::OpenAiChat,
        }
    }

    /// Whether its answers are images, sound or what was heard: whatever their form, they pass as bytes.
    #[must_use]
    pub const fn is_media(self) -> bool {
        matches!(self.api(), Api::Images | Api::Audio)
    }

    /// Whether its body may be a form (`multipart/form-data`), in which the model is a field.
    #[must_use]
    pub const fn takes_forms(self) -> bool {
        matches!(self, Self::ImageEdits | Self::ImageVariations | Self::Transcriptions | Self::Translations)
    }

    /// Whether it falls back only along a chain that was asked for by its name (contract section 3.8).
    #[must_use]
    pub const fn needs_own_chain(self) -> bool {
        matches!(self.api(), Api::Moderations | Api::Images | Api::Audio)
    }

    /// Whether it stands beside chat on the same lanes although many who chat do not have it.
    #[must_use]
    pub const fn is_beside_chat(self) -> bool {
        matches!(self.api(), Api::Responses | Api::Images | Api::Audio | Api::CountTokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_the_order_of_the_discriminants() {
        for (place, endpoint) in Endpoint::ALL.into_iter().enumerate() {
            assert_eq!(endpoint as usize, place, "{endpoint:?}");
        }
    }
}
