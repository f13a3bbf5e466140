//! The members of a JSON object, found without looking at what is in them.
//!
//! Owns a fast check of a whole text: what it takes, `serde_json` takes, with each value at the same place. Refuses to know
//! fields, and to say what is wrong: a text that it does not take is `serde_json`'s to read or to refuse.

use super::openai_chat::request::MAX_DEPTH;

// The object itself is a level, the others are bits of a number.
const _: () = assert!(MAX_DEPTH <= u128::BITS as usize + 1);

/// So many bytes of a string are searched in place: what is in them is found before memchr would have been called.
const NEAR: usize = 64;
/// So many of a string that begins: most keys end in them.
const FIRST: usize = 16;

/// Calls `each` with key and value of every member, as they stand in `text`.
///
/// `None` if the text is not taken, or as soon as `each` says so; then what was found until there counts for nothing. Not
/// taken is also what is rare: a key of the object itself with an escape, more than [`MAX_DEPTH`] levels.
pub(super) fn members<'a>(text: &'a str, mut each: impl FnMut(&'a str, &'a str) -> Option<()>) -> Option<()> {
    let mut scan = Scan { bytes: text.as_bytes(), breaks: 0 };
    let open = scan.blanks(0);
    let mut at = scan.past(b'{', open)?;
    at = scan.blanks(at);
    if scan.byte(at)? != b'}' {
        loop {
            let end = scan.string(at)?;
            let key = text.get(at + 1..end - 1).filter(|key| memchr::memchr(b'\\', key.as_bytes()).is_none())?;
            let start = scan.colon(end)?;
            let end = scan.value(start)?;
            each(key, text.get(start..end)?)?;
            at = scan.blanks(end);
            if scan.byte(at)? != b',' {
                break;
            }
            at = scan.blanks(at + 1);
        }
    }
    at = scan.past(b'}', at)?;
    at = scan.blanks(at);
    (at == text.len() && scan.breaks == controls(text.as_bytes())).then_some(())
}

/// How many control characters there are. Most bodies have none, which costs less to see than a count.
fn controls(text: &[u8]) -> usize {
    let lowest = text.iter().copied().fold(u8::MAX, u8::min);
    if lowest >= b' ' {
        return 0;
    }
    // Bytes are added up as bytes: compilers make vectors of that.
    text.chunks(255).map(|part| usize::from(part.iter().map(|byte| u8::from(*byte < b' ')).sum::<u8>())).sum()
}

/// The first quote or backslash, without the call that `memchr2` is.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn near(bytes: &[u8]) -> Option<usize> {
    memchr::arch::x86_64::sse2::memchr::Two::new(b'"', b'\\')?.find(bytes)
}

#[cfg(not(target_arch = "x86_64"))]
fn near(bytes: &[u8]) -> Option<usize> {
    memchr::memchr2(b'"', b'\\', bytes)
}

/// A walk over a text: from a place where something must begin to the place behind it.
struct Scan<'a> {
    bytes: &'a [u8],
    /// The control characters between tokens. In strings there must be none, so these have to be all: cheaper than a
    /// look at each string.
    breaks: usize,
}

impl Scan<'_> {
    #[inline(always)]
    fn byte(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    #[inline(always)]
    fn past(&self, wanted: u8, at: usize) -> Option<usize> {
        (self.byte(at)? == wanted).then_some(at + 1)
    }

    #[inline(always)]
    fn blanks(&mut self, at: usize) -> usize {
        if self.byte(at).is_some_and(|byte| byte > b' ') { at } else { self.more_blanks(at) }
    }

    #[inline(never)]
    fn more_blanks(&mut self, mut at: usize) -> usize {
        loop {
            match self.byte(at) {
                Some(b' ') => {}
                Some(b'\n' | b'\r' | b'\t') => self.breaks += 1,
                _ => return at,
            }
            at += 1;
        }
    }

    /// A colon with the blanks around it.
    #[inline(always)]
    fn colon(&mut self, at: usize) -> Option<usize> {
        let at = self.blanks(at);
        let at = self.past(b':', at)?;
        Some(self.blanks(at))
    }

    /// A string, but for control characters: see `breaks`.
    #[inline(always)]
    fn string(&self, at: usize) -> Option<usize> {
        let start = self.past(b'"', at)?;
        let first = self.bytes.get(start..)?.first_chunk::<FIRST>();
        match first.and_then(|first| near(first)) {
            Some(found) if self.byte(start + found) == Some(b'"') => Some(start + found + 1),
            _ => self.rest_of_string(start),
        }
    }

    #[inline(never)]
    fn rest_of_string(&self, mut at: usize) -> Option<usize> {
        loop {
            let rest = self.bytes.get(at..)?;
            let found = match rest.first_chunk::<NEAR>().and_then(|first| near(first)) {
                Some(found) => found,
                None => memchr::memchr2(b'"', b'\\', rest)?,
            };
            at += found + 1;
            if rest.get(found) == Some(&b'"') {
                return Some(at);
            }
            at = self.escape(at)?;
        }
    }

    /// What follows a backslash. Surrogates may be halves.
    #[inline(always)]
    fn escape(&self, at: usize) -> Option<usize> {
        match self.byte(at)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 1),
            b'u' => self.bytes.get(at + 1..at + 5)?.iter().all(u8::is_ascii_hexdigit).then_some(at + 5),
            _ => None,
        }
    }

    fn word(&self, word: &[u8], at: usize) -> Option<usize> {
        self.bytes.get(at..)?.starts_with(word).then_some(at + word.len())
    }

    fn digits(&self, at: usize) -> Option<usize> {
        let mut end = at;
        while self.byte(end).is_some_and(|byte| byte.is_ascii_digit()) {
            end += 1;
        }
        (end > at).then_some(end)
    }

    fn number(&self, at: usize) -> Option<usize> {
        let at = self.past(b'-', at).unwrap_or(at);
        let mut at = self.past(b'0', at).or_else(|| self.digits(at))?;
        if let Some(fraction) = self.past(b'.', at) {
            at = self.digits(fraction)?;
        }
        if let Some(exponent) = self.past(b'e', at).or_else(|| self.past(b'E', at)) {
            let signed = self.past(b'+', exponent).or_else(|| self.past(b'-', exponent));
            at = self.digits(signed.unwrap_or(exponent))?;
        }
        Some(at)
    }

    /// A value of any depth, by a loop: the levels that are open are bits of `objects`, set for objects, clear for lists.
    #[inline(never)]
    fn value(&mut self, mut at: usize) -> Option<usize> {
        let (mut objects, mut depth) = (0_u128, 1);
        loop {
            at = match self.byte(at)? {
                b'"' => self.string(at)?,
                open @ (b'{' | b'[') => {
                    let first = self.blanks(at + 1);
                    match (open, self.byte(first)?) {
                        (b'{', b'}') | (b'[', b']') if depth < MAX_DEPTH => first + 1,
                        _ => {
                            at = self.open(open, first, &mut depth)?;
                            objects = objects << 1 | u128::from(open == b'{');
                            continue;
                        }
                    }
                }
                b't' => self.word(b"true", at)?,
                b'f' => self.word(b"false", at)?,
                b'n' => self.word(b"null", at)?,
                _ => self.number(at)?,
            };
            loop {
                if depth == 1 {
                    return Some(at);
                }
                let object = objects & 1 == 1;
                let next = self.blanks(at);
                at = next + 1;
                match self.byte(next)? {
                    b',' => {
                        at = self.blanks(at);
                        if object {
                            at = self.key(at)?;
                        }
                        break;
                    }
                    b'}' if object => {}
                    b']' if !object => {}
                    _ => return None,
                }
                depth -= 1;
                objects >>= 1;
            }
        }
    }

    /// One level more: where its first value begins.
    #[inline(always)]
    fn open(&mut self, open: u8, first: usize, depth: &mut usize) -> Option<usize> {
        *depth += 1;
        if *depth > MAX_DEPTH {
            return None;
        }
        if open == b'{' { self.key(first) } else { Some(first) }
    }

    /// A key with its colon.
    #[inline(always)]
    fn key(&mut self, at: usize) -> Option<usize> {
        let end = self.string(at)?;
        self.colon(end)
    }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
