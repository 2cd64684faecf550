//! Reading what a script answered.

use redis::Value;

use crate::Version;

/// A reply of a shape that the script does not give: another version's, or a server's that is none.
#[derive(Clone, Debug, thiserror::Error)]
#[error("unexpected reply: {0}")]
pub(crate) struct BadReply(String);

impl BadReply {
    pub(super) fn new(what: &str, value: &Value) -> Self {
        // The shape only: a reply may carry values, and values are private.
        let shape = match value {
            Value::Array(items) => format!("an array of {}", items.len()),
            Value::BulkString(bytes) => format!("a string of {} bytes", bytes.len()),
            Value::Int(n) => format!("the integer {n}"),
            Value::Nil => "nil".to_owned(),
            _ => "another type".to_owned(),
        };
        Self(format!("expected {what}, got {shape}"))
    }
}

/// The items of an array reply, taken from the front.
pub(super) struct Items {
    items: std::vec::IntoIter<Value>,
}

impl Items {
    pub(super) fn of(value: Value) -> Result<Self, BadReply> {
        match value {
            Value::Array(items) => Ok(Self {
                items: items.into_iter(),
            }),
            other => Err(BadReply::new("an array", &other)),
        }
    }

    fn next(&mut self) -> Result<Value, BadReply> {
        self.items
            .next()
            .ok_or_else(|| BadReply("a reply with more items was expected".to_owned()))
    }

    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, BadReply> {
        match self.next()? {
            Value::BulkString(bytes) => Ok(bytes),
            other => Err(BadReply::new("a string", &other)),
        }
    }

    pub(super) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], BadReply> {
        let bytes = self.bytes()?;
        bytes
            .try_into()
            .map_err(|got: Vec<u8>| BadReply(format!("expected {N} bytes, got {}", got.len())))
    }

    pub(super) fn number(&mut self) -> Result<f64, BadReply> {
        number(&self.next()?)
    }

    /// `epoch seq`.
    pub(super) fn version(&mut self) -> Result<Version, BadReply> {
        Ok(Version {
            epoch: self.number()? as u64,
            seq: self.number()? as u64,
        })
    }

    /// How many items were not taken yet.
    pub(super) fn left(&self) -> usize {
        self.items.len()
    }
}

/// A number as Lua hands it on: an integer, or a decimal string where an integer would lose digits.
pub(super) fn number(value: &Value) -> Result<f64, BadReply> {
    let text = match value {
        Value::Int(n) => return Ok(*n as f64),
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text.as_str()),
        _ => None,
    };
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| BadReply::new("a number", value))
}

pub(super) fn integer(value: &Value) -> Result<i64, BadReply> {
    match value {
        Value::Int(n) => Ok(*n),
        other => number(other).map(|n| n as i64),
    }
}
