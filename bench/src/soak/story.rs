//! The stories that the upstream tells and the clients expect: a text in pieces for each number.
//!
//! Owns the text, its pace and where it is cut, all worked out from the number, so that both sides know them without a
//! word between them. Refuses to know sockets and clocks.

use std::time::Duration;

/// No piece of a story is ASCII only, and some need escapes in JSON.
const WORDS: [&str; 8] = ["Grüße", "naïve", "汉字", "🦀👩‍🚀", "שלום", "e\u{301}té", "\"ключ\"\\", "日本\n"];

/// One story, as a client asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Which story.
    pub number: u64,
    /// Its length.
    pub pieces: usize,
    /// Milliseconds between two pieces, on average.
    pub pace: u64,
}

/// How an upstream breaks off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// The connection is reset.
    Reset,
    /// The body ends as if all were well, without a finish reason.
    Ended,
    /// The connection is closed inside a frame, and there inside a character.
    Half,
}

/// Where a story is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// After so many pieces: none of them is before the first content, all of them is before the finish reason.
    pub after: usize,
    /// How.
    pub how: How,
}

impl Order {
    /// The user's message that asks for it.
    pub fn words(&self) -> String {
        format!("story {} of {} pieces every {} ms", self.number, self.pieces, self.pace)
    }

    /// From a user's message.
    pub fn read(words: &str) -> Option<Self> {
        let parts: Vec<&str> = words.split(' ').collect();
        let ["story", number, "of", pieces, "pieces", "every", pace, "ms"] = parts[..] else { return None };
        Some(Self { number: number.parse().ok()?, pieces: pieces.parse().ok()?, pace: pace.parse().ok()? })
    }

    /// One piece; no two of a story are alike.
    pub fn piece(&self, index: usize) -> String {
        let word = WORDS[pick(mix(self.number, index), WORDS.len())];
        format!(" {word}{}.{index}", self.number)
    }

    /// The first so many pieces as one text.
    pub fn start(&self, pieces: usize) -> String {
        (0..pieces.min(self.pieces)).map(|index| self.piece(index)).collect()
    }

    /// What is still to tell after `told`; `None` if the story does not begin like that.
    pub fn rest(&self, told: &str) -> Option<Vec<String>> {
        let mut told = told;
        let mut rest = Vec::new();
        for index in 0..self.pieces {
            let piece = self.piece(index);
            if let Some(after) = told.strip_prefix(piece.as_str()) {
                told = after;
            } else {
                rest.push(piece.strip_prefix(told)?.to_owned());
                told = "";
            }
        }
        told.is_empty().then_some(rest)
    }

    /// How long to wait before a piece: the pace, half of it more or less.
    pub fn pause(&self, index: usize) -> Duration {
        let jitter = mix(!self.number, index) % (self.pace + 1);
        Duration::from_millis(self.pace / 2 + jitter)
    }

    /// Where the story is cut, if it is among the `percent` that are. One of a single piece never is.
    pub fn cut(&self, percent: u64) -> Option<Cut> {
        let random = mix(self.number, usize::MAX);
        (self.pieces > 1 && random % 100 < percent).then(|| {
            let how = [How::Reset, How::Ended, How::Half][pick(random >> 8, 3)];
            Cut { after: pick(random >> 16, self.pieces + 1), how }
        })
    }
}

/// A length between half of `average` and one and a half of it.
pub fn length(number: u64, average: usize) -> usize {
    (average / 2 + pick(mix(number, usize::MAX - 1), average + 1)).max(1)
}

fn pick(random: u64, below: usize) -> usize {
    usize::try_from(random % below as u64).unwrap_or(0)
}

/// Splitmix64: the same for the same two numbers, and like chance.
fn mix(number: u64, index: usize) -> u64 {
    let mut value = number.wrapping_mul(0xD134_2543_DE82_EF95) ^ (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const ORDER: Order = Order { number: 42, pieces: 20, pace: 1000 };

    #[test]
    fn an_order_survives_its_words() {
        assert_eq!(Order::read(&ORDER.words()), Some(ORDER));
        assert_eq!(Order::read("tell me a story"), None);
    }

    #[test]
    fn a_story_goes_on_from_any_character() {
        let text = ORDER.start(ORDER.pieces);
        for (at, _) in text.char_indices() {
            assert_eq!(ORDER.rest(&text[..at]).unwrap().concat(), &text[at..]);
        }
        assert_eq!(ORDER.rest(&text), Some(Vec::new()));
        assert_eq!(ORDER.rest("else"), None);
        assert_eq!(ORDER.rest(&format!("{text} more")), None);
    }

    #[test]
    fn pieces_differ_and_are_not_ascii() {
        let pieces: HashSet<String> = (0..ORDER.pieces).map(|index| ORDER.piece(index)).collect();
        assert_eq!(pieces.len(), ORDER.pieces);
        assert!(pieces.iter().all(|piece| !piece.is_ascii()));
    }

    #[test]
    fn about_a_tenth_is_cut_anywhere_and_in_every_way() {
        let cuts: Vec<Cut> = (0..10_000).filter_map(|number| Order { number, ..ORDER }.cut(10)).collect();
        assert!((800..1200).contains(&cuts.len()), "{}", cuts.len());
        for after in 0..=ORDER.pieces {
            assert!(cuts.iter().any(|cut| cut.after == after), "{after}");
        }
        for how in [How::Reset, How::Ended, How::Half] {
            assert!(cuts.iter().filter(|cut| cut.how == how).count() > 200, "{how:?}");
        }
        assert!((0..1000).all(|number| Order { number, ..ORDER }.cut(0).is_none()));
        assert!((0..1000).all(|number| Order { number, pieces: 1, ..ORDER }.cut(100).is_none()));
    }

    #[test]
    fn pauses_and_lengths_are_around_their_average() {
        let pauses: Duration = (0..1000).map(|index| ORDER.pause(index)).sum();
        assert!((950..1050).contains(&(pauses.as_millis() / 1000)), "{pauses:?}");
        assert!((0..1000).all(|number| (10..=30).contains(&length(number, 20))));
        assert!((0..100).all(|number| length(number, 1) >= 1));
    }
}
