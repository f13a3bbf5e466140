//! YAML 1.2, the part of it that means the same to everyone.
//!
//! Owns the reader. Plain `true`, `false`, `null`, `~` and numbers are what YAML 1.2's core schema says; `yes`, `no`,
//! `on`, `off` are texts. Anchors, aliases, merge keys, tags and several documents are refused, and so nothing can grow
//! beyond what is written. Refuses to know settings.

use figment::value::{Empty, Tag, Value};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::{DEEPEST, Flaw, Kind, Node};

pub(super) fn parse(text: &str) -> Result<Node, Flaw> {
    let mut reader = Reader { text, events: Parser::new_from_str(text) };
    let mut root = None;
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => break,
            Event::DocumentStart(_) if root.is_some() => {
                let hint = "remove the `---` and what follows it";
                return Err(flaw(span.start, "a second document begins", hint));
            }
            Event::DocumentStart(_) => {
                let first = reader.next()?;
                root = Some(reader.node(first, 0)?);
            }
            _ => {}
        }
    }
    Ok(root.unwrap_or_else(|| Node::new(1, Kind::Leaf(Value::Empty(Tag::Default, Empty::Unit)))))
}

fn flaw(at: Marker, what: &str, hint: &str) -> Flaw {
    Flaw { line: at.line(), column: at.col() + 1, what: what.to_owned(), hint: Some(hint.to_owned()) }
}

/// The parser's own complaint.
fn broken(error: &ScanError, text: &str) -> Flaw {
    let (what, at) = (error.info(), error.marker());
    let (mut line, mut column) = (at.line(), at.col() + 1);
    let hint = if what.contains("tab") {
        // People cannot see it, and the parser names the place where it began to read on.
        let indent = |text: &str| text.find(|c: char| c != ' ').filter(|at| text[*at..].starts_with('\t'));
        let mut after = text.lines().enumerate().skip(line.saturating_sub(1));
        if let Some((number, tab)) = after.find_map(|(number, text)| Some((number, indent(text)?))) {
            (line, column) = (number + 1, tab + 1);
        }
        "indent with spaces"
    } else if what.contains("anchor") {
        "a text that begins with `*` or `&` needs quotes"
    } else if what.contains("mapping values") {
        "a text with `: ` in it needs quotes"
    } else {
        "check the quotes, brackets and indentation at this place and before"
    };
    Flaw { line, column, what: what.to_owned(), hint: Some(hint.to_owned()) }
}

struct Reader<'a> {
    text: &'a str,
    events: Parser<'a, StrInput<'a>>,
}

type Item<'a> = (Event<'a>, Span);

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Item<'a>, Flaw> {
        match self.events.next() {
            Some(Ok(item)) => Ok(item),
            Some(Err(error)) => Err(broken(&error, self.text)),
            // After the end there is nothing but the end.
            None => Ok((Event::StreamEnd, Span::empty(Marker::new(0, 1, 0)))),
        }
    }

    fn node(&mut self, (event, span): Item<'a>, depth: usize) -> Result<Node, Flaw> {
        let at = span.start;
        if depth > DEEPEST {
            return Err(flaw(at, "nested too deeply", "is this the configuration?"));
        }
        refuse(&event, at)?;
        let kind = match event {
            Event::Scalar(text, ScalarStyle::Plain, ..) => Kind::Leaf(plain(&text)),
            Event::Scalar(text, ..) => Kind::Leaf(text.into_owned().into()),
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                loop {
                    let item = self.next()?;
                    match item.0 {
                        Event::SequenceEnd | Event::StreamEnd => break,
                        _ => items.push(self.node(item, depth + 1)?),
                    }
                }
                Kind::List(items)
            }
            Event::MappingStart(..) => Kind::Fields(self.fields(depth)?),
            _ => return Err(flaw(at, "a value is missing", "write it after the colon")),
        };
        Ok(Node::new(at.line(), kind))
    }

    fn fields(&mut self, depth: usize) -> Result<Vec<(String, Node)>, Flaw> {
        let mut fields = Vec::new();
        loop {
            let (event, span) = self.next()?;
            refuse(&event, span.start)?;
            let name = match event {
                Event::MappingEnd | Event::StreamEnd => return Ok(fields),
                Event::Scalar(name, ScalarStyle::Plain, ..) if name == "<<" => {
                    return Err(flaw(span.start, "merge keys (`<<`) are not read", "write the fields out"));
                }
                Event::Scalar(name, ..) => name.into_owned(),
                _ => return Err(flaw(span.start, "a field's name must be a text", "write it as name: value")),
            };
            let value = self.next()?;
            let mut node = self.node(value, depth + 1)?;
            node.line = span.start.line();
            fields.push((name, node));
        }
    }
}

/// Anchors, aliases and tags.
fn refuse(event: &Event<'_>, at: Marker) -> Result<(), Flaw> {
    let (anchor, tag) = match event {
        Event::Alias(_) => {
            let hint = "write the value out; a text that begins with `*` needs quotes";
            return Err(flaw(at, "aliases (`*name`) are not read", hint));
        }
        Event::Scalar(_, _, anchor, tag) => (*anchor, tag.is_some()),
        Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) => (*anchor, tag.is_some()),
        _ => (0, false),
    };
    if anchor > 0 {
        return Err(flaw(
            at,
            "anchors (`&name`) are not read",
            "write the value out; a text that begins with `&` needs quotes",
        ));
    }
    if tag {
        return Err(flaw(at, "tags (`!name`) are not read", "leave it out; a text that begins with `!` needs quotes"));
    }
    Ok(())
}

/// A plain scalar by YAML 1.2's core schema.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Empty(Tag::Default, Empty::Unit),
        "true" | "True" | "TRUE" => true.into(),
        "false" | "False" | "FALSE" => false.into(),
        _ => number(text).unwrap_or_else(|| text.into()),
    }
}

fn number(text: &str) -> Option<Value> {
    let (radix, digits) = match (text.strip_prefix("0x"), text.strip_prefix("0o")) {
        (Some(digits), _) => (16, digits),
        (_, Some(digits)) => (8, digits),
        (None, None) => (10, text),
    };
    if let Ok(number) = u64::from_str_radix(digits, radix) {
        return Some(number.into());
    }
    if let Ok(number) = i64::from_str_radix(digits, radix) {
        return Some(number.into());
    }
    let bare = text.strip_prefix(['+', '-']).unwrap_or(text);
    // Rust also reads `inf`, `nan` and `infinity`, which are texts in YAML.
    let is_number = bare.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && bare.bytes().any(|b| b.is_ascii_digit())
        && bare.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    text.parse::<f64>().ok().filter(|_| is_number).map(Value::from)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn plain_scalars_are_what_yaml_1_2_says() {
        for (text, expected) in [
            ("yes", Value::from("yes")),
            ("off", "off".into()),
            ("True", true.into()),
            ("007", 7_u64.into()),
            ("-3", (-3_i64).into()),
            ("0x1F", 31_u64.into()),
            ("2.5", 2.5.into()),
            ("1e3", 1000.0.into()),
            ("10s", "10s".into()),
            ("12:30", "12:30".into()),
            ("2026-11-23", "2026-11-23".into()),
            ("1_000", "1_000".into()),
            ("nan", "nan".into()),
            (".", ".".into()),
        ] {
            assert_eq!(plain(text), expected, "{text}");
        }
        assert_eq!(parse("a: 'true'\n").unwrap().fields()[0].1.kind, Kind::Leaf("true".into()));
    }

    #[test]
    fn what_would_surprise_is_refused_with_its_place() {
        for (text, part, line) in [
            ("a: &x 1\nb: *x\n", "anchors", 1),
            ("a: 1\nb: *x\n", "", 2),
            ("a:\n  <<: {}\n", "merge keys", 2),
            ("a: !!str 1\n", "tags", 1),
            ("a: !include x\n", "tags", 1),
            ("a: 1\n---\nb: 2\n", "second document", 2),
            ("? [1]\n: 2\n", "must be a text", 1),
            ("a: [1\nb: 2\n", "", 2),
            ("a:\n\tb: 1\n", "", 2),
        ] {
            let flaw = parse(text).unwrap_err();
            assert!(flaw.what.contains(part) && flaw.line == line, "{text}: {flaw:?}");
        }
    }
}
