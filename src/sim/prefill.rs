//! A conversation that ends with the assistant's own words (a prefill): what a model makes of them.
//!
//! Pure. Owns which words those are, which model goes on from them, begins anew or refuses, and what is left to be said
//! after them.

use serde_json::Value;

use super::answer::Reply;
use super::ask::Ask;
use super::dialect::Dialect;
use super::errors::Told;

const REFUSAL: &str =
    "This model does not support assistant message prefill. The conversation must end with a user message.";
const WHITE: &str = "messages: final assistant content cannot end with trailing whitespace";
/// The first Claude that refuses. One without a number is a newer one.
const REFUSES_FROM: (u8, u8) = (4, 6);
const NEWEST: (u8, u8) = (u8::MAX, 0);

/// The words that the conversation of a body ends with, if they are the assistant's. Its last messages in a row are one
/// turn.
pub(super) fn of(body: &Value) -> Option<String> {
    let messages = body["messages"].as_array()?;
    let own = messages.iter().rev().take_while(|message| message["role"] == "assistant").count();
    let words = || messages.iter().skip(messages.len() - own).map(text).collect();
    (own > 0).then(words)
}

fn text(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => blocks.iter().filter_map(|block| block["text"].as_str()).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

/// Decides what becomes of the prefill, if there is one: it stays where the model goes on from it, or it is refused.
/// `scripted`: all models go on from one, or none.
pub(super) fn settle(ask: &mut Ask, dialect: Dialect, scripted: Option<bool>) -> Option<Reply> {
    let words = ask.prefill.as_ref()?;
    let white = words.ends_with(char::is_whitespace);
    let takes = claude(&ask.model).map(|version| version < REFUSES_FROM);
    // Behind OpenAI's dialect only Claudes go on, as they do at OpenRouter.
    let goes_on = scripted.or(takes).unwrap_or(dialect != Dialect::OpenAi);
    if !goes_on {
        ask.prefill = None;
    }
    let why = if goes_on { white.then_some(WHITE) } else { Some(REFUSAL) };
    let told = match dialect {
        Dialect::OpenAi => return None,
        Dialect::Anthropic => Told::invalid(why?),
        Dialect::Bedrock => {
            let message = format!("The model returned the following errors: {}", why?);
            Told::new(400, "ValidationException", &message)
        }
    };
    Some(Reply::Refused(told))
}

/// The version of a Claude: the first number after its name and the one behind it. A date has more than two digits.
fn claude(model: &str) -> Option<(u8, u8)> {
    let lower = model.to_ascii_lowercase();
    let (_, name) = lower.rsplit_once("claude")?;
    let number = |word: &str| word.trim_start_matches('v').parse::<u8>().ok().filter(|_| word.len() <= 2);
    let words = name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut numbers = words.map(number).skip_while(Option::is_none);
    let Some(major) = numbers.next().flatten() else { return Some(NEWEST) };
    Some((major, numbers.next().flatten().unwrap_or(0)))
}

/// What is left of these pieces after the words that were said; all of them if they do not begin with those. White space
/// at the end of the words may have been added or left out.
pub(super) fn rest(pieces: Vec<String>, words: &str) -> Vec<String> {
    let whole = pieces.concat();
    let said = [words, words.trim_end()].into_iter().find(|words| whole.starts_with(words));
    let Some(mut left) = said.map(str::len).filter(|said| *said > 0) else { return pieces };
    let mut rest = Vec::new();
    for mut piece in pieces {
        let known = left.min(piece.len());
        left -= known;
        piece.drain(..known);
        if !piece.is_empty() {
            rest.push(piece);
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_in_every_spelling() {
        for (model, version) in [
            ("claude-sonnet-4-6", Some((4, 6))),
            ("claude-opus-4-5-20251101", Some((4, 5))),
            ("us.anthropic.claude-sonnet-4-20250514-v1:0", Some((4, 0))),
            ("anthropic.claude-3-5-sonnet-20241022-v2:0", Some((3, 5))),
            ("anthropic.claude-opus-4-6-v1", Some((4, 6))),
            ("anthropic/claude-3.5-sonnet", Some((3, 5))),
            ("claude-v2:1", Some((2, 1))),
            ("claude-mythos-preview", Some(NEWEST)),
            ("amazon.nova-lite-v1:0", None),
        ] {
            assert_eq!(claude(model), version, "{model}");
        }
    }

    #[test]
    fn what_was_said_is_not_said_again() {
        let pieces = || ["Grüß ", "Gott", ", du"].map(str::to_owned).to_vec();
        for (words, left) in [
            ("", "Grüß |Gott|, du"),
            ("Gr", "üß |Gott|, du"),
            ("Grüß", " |Gott|, du"),
            ("Grüß ", "Gott|, du"),
            ("Grüß Gott, ", "du"),
            ("Grüß Gott \n", ", du"),
            ("Grüß Gott, du", ""),
            ("Grüß Gott, du.", "Grüß |Gott|, du"),
            (" ", "Grüß |Gott|, du"),
        ] {
            assert_eq!(rest(pieces(), words).join("|"), left, "{words:?}");
        }
    }
}
