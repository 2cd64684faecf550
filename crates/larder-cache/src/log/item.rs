//! An item of a log: what was invalidated, and where in the log it stands.

use redis::Value;

/// An item as the server gives it, id and content: the next read must begin with the very same.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item(Value);

/// What an item says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// A reader began here.
    Start,
    /// This entry, by its written key.
    Entry(&'a [u8]),
    /// Some tag.
    Tag,
    /// All of the partition.
    All,
}

impl Item {
    /// The item that a reader began with.
    pub(super) fn start(id: Vec<u8>, random: &[u8]) -> Self {
        let text = |bytes: &[u8]| Value::BulkString(bytes.to_vec());
        Self(Value::Array(vec![
            Value::BulkString(id),
            Value::Array(vec![text(b"h"), text(random)]),
        ]))
    }

    /// The items of an answer to `XRANGE`; none if it is no such answer.
    pub(super) fn all(answer: Value) -> Option<Vec<Self>> {
        let Value::Array(items) = answer else { return None };
        Some(items.into_iter().map(Self).collect())
    }

    pub(super) fn id(&self) -> Option<&[u8]> {
        match &self.0 {
            Value::Array(parts) => match parts.first()? {
                Value::BulkString(id) => Some(id),
                _ => None,
            },
            _ => None,
        }
    }

    /// What it says; none if that is not understood.
    pub(super) fn said(&self) -> Option<Said<'_>> {
        let Value::Array(parts) = &self.0 else { return None };
        let [_, Value::Array(fields)] = parts.as_slice() else {
            return None;
        };
        let [Value::BulkString(kind), Value::BulkString(value), ..] = fields.as_slice() else {
            return None;
        };
        match kind.as_slice() {
            b"h" => Some(Said::Start),
            b"k" => Some(Said::Entry(value)),
            b"t" => Some(Said::Tag),
            b"c" => Some(Said::All),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(items: &[(&str, &[&str])]) -> Value {
        let text = |text: &str| Value::BulkString(text.into());
        let item = |(id, fields): &(&str, &[&str])| {
            Value::Array(vec![
                text(id),
                Value::Array(fields.iter().map(|field| text(field)).collect()),
            ])
        };
        Value::Array(items.iter().map(item).collect())
    }

    #[test]
    fn items_are_read_and_anything_else_is_not_understood() {
        let items = Item::all(answer(&[
            ("1-0", &["h", "random"]),
            ("1-1", &["k", "42"]),
            ("1-2", &["t", "team"]),
            ("1-3", &["c", "new"]),
            ("1-4", &["x", "?"]),
            ("1-5", &["k"]),
        ]));
        let items = items.expect("an answer");
        let said: Vec<_> = items.iter().map(Item::said).collect();
        let known = [Said::Start, Said::Entry(b"42"), Said::Tag, Said::All].map(Some);
        assert_eq!(said[..4], known);
        assert_eq!(said[4..], [None, None]);
        assert_eq!(items[0], Item::start(b"1-0".to_vec(), b"random"));
        assert_eq!(items[1].id(), Some(&b"1-1"[..]));
        assert_eq!(Item::all(Value::Nil), None);
    }
}
