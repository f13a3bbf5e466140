//! What is known about well-known models, under whatever name a vendor sells them.
//!
//! Owns the table (`config/models.json`), the matching of names and the operator's corrections. Refuses to know
//! requests. Only what is certain stands in the table: unknown counts as able.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::policy::capability::Abilities;

/// The table as it ships.
const BUILTIN: &str = include_str!("../../config/models.json");

/// The abilities of models: the operator's word first, then the built-in table.
#[derive(Clone, Default)]
pub struct ModelTable {
    known: BTreeMap<String, Abilities>,
    /// As the operator wrote them: `provider/model` or `model`.
    corrections: Vec<(String, Abilities)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    names: Vec<String>,
    context_window: Option<u64>,
    max_output: Option<u64>,
    vision: Option<bool>,
    tools: Option<bool>,
    json_schema: Option<bool>,
    reasoning: Option<bool>,
    prefill: Option<bool>,
}

impl fmt::Debug for ModelTable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A hundred built-in rows would bury the rest of the configuration.
        let table = &mut out.debug_struct("ModelTable");
        table.field("known", &self.known.len()).field("corrections", &self.corrections).finish()
    }
}

impl ModelTable {
    /// The built-in table.
    ///
    /// # Errors
    /// The parser's words if the embedded file is broken, which a test rules out.
    pub fn builtin() -> Result<Self, String> {
        let entries: Vec<Entry> = serde_json::from_str(BUILTIN).map_err(|error| error.to_string())?;
        let mut known = BTreeMap::new();
        for entry in entries {
            let abilities = Abilities {
                context_window: entry.context_window,
                max_output: entry.max_output,
                vision: entry.vision,
                tools: entry.tools,
                json_schema: entry.json_schema,
                reasoning: entry.reasoning,
                prefill: entry.prefill,
                ..Abilities::default()
            };
            for name in entry.names {
                if known.insert(name.replace('.', "-"), abilities).is_some() {
                    return Err(format!("{name} stands twice"));
                }
            }
        }
        Ok(Self { known, corrections: Vec::new() })
    }

    /// The names in the built-in table, as they are spelled there.
    pub(super) fn names() -> Vec<String> {
        let entries: Vec<Entry> = serde_json::from_str(BUILTIN).unwrap_or_default();
        entries.into_iter().flat_map(|entry| entry.names).collect()
    }

    /// Adds the operator's word on `provider/model` or on `model` at any provider.
    pub fn correct(&mut self, name: &str, abilities: Abilities) {
        self.corrections.push((name.to_owned(), abilities));
    }

    /// What is known about a provider's model: `provider/model` corrects `model`, which corrects the table.
    #[must_use]
    pub fn abilities(&self, provider: &str, model: &str) -> Abilities {
        let table = candidates(model).iter().find_map(|name| self.known.get(name)).copied().unwrap_or_default();
        let exact = |name: &str| name.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/')) == Some(model);
        let find = |wanted: &dyn Fn(&str) -> bool| {
            self.corrections.iter().find(|(name, _)| wanted(name)).map(|(_, abilities)| *abilities).unwrap_or_default()
        };
        find(&exact).or(find(&|name| name == model)).or(table)
    }
}

/// The names a model may stand under in the table, the most exact first: a dated model may differ from its family.
fn candidates(model: &str) -> Vec<String> {
    let bare = bare(model);
    let mut names = vec![bare.clone()];
    let mut name = bare.as_str();
    while let Some(shorter) = without_suffix(name) {
        names.push(shorter.to_owned());
        name = shorter;
    }
    names
}

/// Lower case, without vendor, region and variant, dots and `@` written as dashes.
fn bare(model: &str) -> String {
    const VARIANTS: [&str; 6] = ["free", "beta", "nitro", "floor", "thinking", "online"];
    const VENDORS: [&str; 7] = ["anthropic.", "meta.", "mistral.", "amazon.", "deepseek.", "openai.", "cohere."];
    const REGIONS: [&str; 7] = ["us.", "eu.", "apac.", "global.", "jp.", "au.", "us-gov."];
    let name = model.to_ascii_lowercase();
    let mut name = name.rsplit('/').next().unwrap_or_default();
    if let Some((front, variant)) = name.rsplit_once(':')
        && (VARIANTS.contains(&variant) || variant.bytes().all(|b| b.is_ascii_digit()))
    {
        name = front;
    }
    for prefixes in [&REGIONS, &VENDORS] {
        if let Some(rest) = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)) {
            name = rest;
        }
    }
    name.replace(['.', '@'], "-")
}

/// The name without its last version, date or stage.
fn without_suffix(name: &str) -> Option<&str> {
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    let (front, last) = name.rsplit_once('-')?;
    // `-20241022`, `-latest`, `-v1`.
    let version = last.strip_prefix('v').is_some_and(|number| digits(number, 1));
    if digits(last, 8) || version || ["latest", "preview", "exp"].contains(&last) {
        return Some(front);
    }
    // `-2024-08-06`.
    let (earlier, middle) = front.rsplit_once('-')?;
    if let Some((before, year)) = earlier.rsplit_once('-')
        && digits(last, 2)
        && digits(middle, 2)
        && digits(year, 4)
    {
        return Some(before);
    }
    // `-preview-05-06`, `-preview-09-2025`.
    let preview = earlier.strip_suffix("-preview");
    preview.filter(|_| digits(middle, 2) && (digits(last, 2) || digits(last, 4)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn window(provider: &str, model: &str) -> Option<u64> {
        ModelTable::builtin().unwrap().abilities(provider, model).context_window
    }

    #[test]
    fn one_model_is_known_by_each_vendors_name() {
        for name in [
            "claude-3-5-sonnet-20241022",
            "claude-3-5-sonnet-latest",
            "claude-3-5-sonnet@20240620",
            "claude-3-5-sonnet-v2@20241022",
            "anthropic.claude-3-5-sonnet-20241022-v2:0",
            "us.anthropic.claude-3-5-sonnet-20241022-v2:0",
            "anthropic/claude-3.5-sonnet",
            "anthropic/claude-3.5-sonnet:beta",
        ] {
            assert_eq!(window("any", name), Some(200_000), "{name}");
        }
        assert_eq!(window("openai", "gpt-4o-2024-08-06"), Some(128_000));
        assert_eq!(window("openrouter", "openai/gpt-4.1-mini"), Some(1_047_576));
        assert_eq!(window("gemini", "gemini-2.5-pro-preview-05-06"), Some(1_048_576));
    }

    #[test]
    fn a_likeness_is_not_a_match() {
        for name in ["gpt-4o-audio-preview", "my-gpt-4o", "gpt-4o-mini-tuned", "claude-3-5-sonnet:extended", "gpt", ""]
        {
            assert_eq!(window("openai", name), None, "{name}");
        }
        let table = ModelTable::builtin().unwrap();
        assert_eq!(table.abilities("openai", "gpt-4o-2024-05-13").max_output, Some(4_096), "the dated row wins");
        assert_eq!(table.abilities("openai", "o1-preview").max_output, Some(32_768), "not o1");
    }

    #[test]
    fn the_operators_word_comes_first() {
        let mut table = ModelTable::builtin().unwrap();
        table.correct("gpt-4o", Abilities { vision: Some(false), ..Abilities::default() });
        table.correct("azure/gpt-4o", Abilities { context_window: Some(8), ..Abilities::default() });
        let azure = table.abilities("azure", "gpt-4o");
        assert_eq!((azure.context_window, azure.vision, azure.tools), (Some(8), Some(false), Some(true)));
        assert_eq!(table.abilities("openai", "gpt-4o").context_window, Some(128_000));
    }
}
