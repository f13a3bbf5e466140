//! TOML 1.0.
//!
//! Owns the reader. Refuses to know settings.

use figment::value::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Flaw, Kind, Node, Ruler};

/// More complaints about one file help nobody.
const MOST_FLAWS: usize = 10;

pub(super) fn parse(text: &str) -> Result<Node, Vec<Flaw>> {
    let ruler = Ruler::new(text);
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(errors.iter().take(MOST_FLAWS).map(|error| flaw(error, &ruler)).collect());
    }
    Ok(Node::new(1, fields(root.get_ref(), &ruler)))
}

fn flaw(error: &toml::de::Error, ruler: &Ruler<'_>) -> Flaw {
    let at = error.span().map_or_else(|| ruler.end(), |span| span.start.min(ruler.end()));
    let what = error.message().replace("recursion limit", "nested too deeply");
    let hint = match what.as_str() {
        what if what.contains("quoted") || what.contains("string") => Some("texts need quotes"),
        what if what.contains("duplicate") => Some("keep one of them"),
        what if what.contains("expected") => None,
        _ => Some("check the quotes and brackets at this place and before"),
    };
    Flaw { line: ruler.line(at), column: ruler.column(at), what, hint: hint.map(str::to_owned) }
}

/// In the order written: the map is sorted by name.
fn fields(table: &DeTable<'_>, ruler: &Ruler<'_>) -> Kind {
    let mut fields: Vec<_> = table.iter().collect();
    fields.sort_by_key(|(name, _)| name.span().start);
    let named = fields.into_iter().map(|(name, value)| {
        let node = Node::new(ruler.line(name.span().start), kind(value, ruler));
        (name.get_ref().clone().into_owned(), node)
    });
    Kind::Fields(named.collect())
}

fn kind(value: &Spanned<DeValue<'_>>, ruler: &Ruler<'_>) -> Kind {
    match value.get_ref() {
        DeValue::String(text) => Kind::Leaf(text.as_ref().into()),
        DeValue::Boolean(flag) => Kind::Leaf((*flag).into()),
        DeValue::Integer(number) => {
            let (digits, radix) = (number.as_str(), number.radix());
            let whole = u64::from_str_radix(digits, radix).map(Value::from);
            let signed = || i64::from_str_radix(digits, radix).map(Value::from);
            // What fits nowhere stays a number, and will be out of range wherever it stands.
            Kind::Leaf(whole.or_else(|_| signed()).unwrap_or_else(|_| f64::MAX.into()))
        }
        DeValue::Float(number) => Kind::Leaf(number.as_str().parse::<f64>().unwrap_or(f64::NAN).into()),
        // No setting is a date.
        DeValue::Datetime(date) => Kind::Leaf(date.to_string().into()),
        DeValue::Array(items) => {
            let items = items.iter().map(|item| Node::new(ruler.line(item.span().start), kind(item, ruler)));
            Kind::List(items.collect())
        }
        DeValue::Table(table) => fields(table, ruler),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn fields_keep_their_order_and_tables_their_lines() {
        let node = parse("[z]\nb = 1\na = 2\n[[y]]\nk = 1\n[[y]]\nk = 2_000\n").unwrap();
        let names: Vec<_> = node.fields().iter().map(|(name, node)| (name.as_str(), node.line)).collect();
        assert_eq!(names, [("z", 1), ("y", 4)]);
        let inner: Vec<_> = node.fields()[0].1.fields().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(inner, ["b", "a"]);
        let Kind::List(items) = &node.fields()[1].1.kind else { unreachable!() };
        assert_eq!((items[1].line, items[1].fields()[0].1.line), (6, 7));
        assert_eq!(items[1].fields()[0].1.kind, Kind::Leaf(2_000_u64.into()));
    }

    #[test]
    fn every_mistake_of_a_file_is_told_with_its_place() {
        let flaws = parse("a = 1\na = 2\n[b]\nc = yes\n").unwrap_err();
        let lines: Vec<_> = flaws.iter().map(|flaw| flaw.line).collect();
        assert_eq!(lines, [2, 4], "{flaws:?}");
    }
}
