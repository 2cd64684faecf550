//! What is stored of a session, read from the reply that tells all of it.

use redis::Value;

use super::sessions::Fields;

/// The hash of a session (`create.lua` says what its fields are).
#[derive(Debug)]
pub(super) struct Record {
    pub(super) created_ms: i64,
    /// When its last use was noted.
    pub(super) seen_ms: i64,
    pub(super) deadline_ms: i64,
    pub(super) version: i64,
    pub(super) user: Option<String>,
    pub(super) epoch: Option<Vec<u8>>,
    pub(super) fields: Fields,
}

impl Record {
    /// `None` if it lacks what every session has.
    pub(super) fn of(reply: Value) -> Option<Self> {
        let (mut created_ms, mut seen_ms, mut deadline_ms, mut version, mut bytes) = (None, None, None, None, None);
        let (mut user, mut epoch, mut fields) = (None, None, Fields::new());
        for pair in reply.into_map_iter().ok()? {
            let (Value::BulkString(name), Value::BulkString(value)) = pair else {
                return None;
            };
            match name.as_slice() {
                b"=c" => created_ms = number(&value),
                b"=s" => seen_ms = number(&value),
                b"=a" => deadline_ms = number(&value),
                b"=v" => version = number(&value),
                b"=n" => bytes = number(&value),
                b"=u" => user = Some(text(value)),
                b"=e" => epoch = Some(value),
                [b'.', field @ ..] => _ = fields.insert(String::from_utf8_lossy(field).into_owned(), value),
                _ => {}
            }
        }
        bytes?;
        Some(Self {
            created_ms: created_ms?,
            seen_ms: seen_ms?,
            deadline_ms: deadline_ms?,
            version: version?,
            user,
            epoch,
            fields,
        })
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
