//! One value of one row, whatever SQLite type it has.

use sqlx::{Decode, Row, Sqlite, TypeInfo, ValueRef, sqlite::SqliteRow};

/// A value as SQLite keeps it: the type belongs to the value, not to the column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

impl Cell {
    /// The value in column `at` of `row`.
    pub(crate) fn read(row: &SqliteRow, at: usize) -> Result<Self, sqlx::Error> {
        let raw = row.try_get_raw(at)?;
        if raw.is_null() {
            return Ok(Self::Null);
        }
        let decoded = match raw.type_info().name() {
            "INTEGER" => i64::decode(raw).map(Self::Integer),
            "REAL" => f64::decode(raw).map(Self::Real),
            "TEXT" => <Vec<u8> as Decode<'_, Sqlite>>::decode(raw).map(text_or_blob),
            _ => <Vec<u8> as Decode<'_, Sqlite>>::decode(raw).map(Self::Blob),
        };
        decoded.map_err(|source| sqlx::Error::ColumnDecode {
            index: at.to_string(),
            source,
        })
    }
}

/// SQLite takes any bytes for TEXT; what is not UTF-8 is handed on as bytes rather than refused.
fn text_or_blob(bytes: Vec<u8>) -> Cell {
    match String::from_utf8(bytes) {
        Ok(text) => Cell::Text(text),
        Err(not_utf8) => Cell::Blob(not_utf8.into_bytes()),
    }
}
