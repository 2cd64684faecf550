//! A row as serde sees it: a map from column names to values.
//!
//! | in the database | becomes |
//! |---|---|
//! | NULL | `None`, `()`, JSON `null` |
//! | an integer | any integer it fits, a float, a `bool` if 0 or 1 |
//! | a boolean | `bool` |
//! | a float | a float |
//! | text | text, a `char`, the variant of an enum without data; as JSON for a list, a map or a struct |
//! | bytes | base64 text for `String` and for a JSON value; the bytes for `Vec<u8>` and types that ask for bytes |
//! | JSON, an array | whatever it fits: a struct, a list, a map, a JSON value |
//!
//! A row becomes a struct (by column name), a map, or a tuple (by column order).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{
    de::{
        self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};

use crate::{cell::Cell, schema::Kind};

/// Makes a `V` of the cells of one row, whose columns are named by `names`; else says which column does not fit.
pub(crate) fn decode<V: DeserializeOwned>(names: &[&str], cells: Vec<Cell>) -> Result<V, Misfit> {
    V::deserialize(RowDeserializer(Cells {
        names,
        cells: cells.into_iter(),
        at: 0,
    }))
}

/// The value of a column of this kind. A database without a type for JSON keeps it as text in a column declared so;
/// what is no JSON there stays text.
pub(crate) fn settle(kind: Kind, cell: Cell) -> Cell {
    match cell {
        Cell::Text(text) if kind == Kind::Json && serde_json::from_str::<de::IgnoredAny>(&text).is_ok() => {
            Cell::Json(text)
        }
        cell => cell,
    }
}

/// What keeps a row from becoming the value, led by the column where it is known. It names types, never values.
#[derive(Debug, thiserror::Error)]
#[error("{}{message}", .column.as_ref().map(|name| format!("column {name:?}: ")).unwrap_or_default())]
pub(crate) struct Misfit {
    column: Option<String>,
    message: String,
}

impl Misfit {
    fn in_column(self, name: &str) -> Self {
        Self {
            column: self.column.or_else(|| Some(name.to_owned())),
            ..self
        }
    }
}

impl de::Error for Misfit {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self {
            column: None,
            message: message.to_string(),
        }
    }

    fn invalid_type(unexpected: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format_args!("invalid type: {}, expected {expected}", kind(&unexpected)))
    }

    fn invalid_value(unexpected: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format_args!(
            "invalid value: {}, expected {expected}",
            kind(&unexpected)
        ))
    }

    fn unknown_variant(_variant: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format_args!("a text that is none of the variants {expected:?}"))
    }
}

/// The kind of a value without the value: errors are logged, rows may be private.
fn kind(unexpected: &de::Unexpected<'_>) -> &'static str {
    match unexpected {
        de::Unexpected::Bool(_) => "BOOLEAN",
        de::Unexpected::Unsigned(_) | de::Unexpected::Signed(_) => "INTEGER",
        de::Unexpected::Float(_) => "REAL",
        de::Unexpected::Str(_) | de::Unexpected::Char(_) => "TEXT",
        de::Unexpected::Bytes(_) | de::Unexpected::Seq => "BLOB",
        de::Unexpected::Unit | de::Unexpected::Option => "NULL",
        de::Unexpected::Map => "a map",
        _ => "another type",
    }
}

struct RowDeserializer<'a>(Cells<'a>);

impl<'de> Deserializer<'de> for RowDeserializer<'_> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        MapAccessDeserializer::new(self.0).deserialize_any(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        SeqAccessDeserializer::new(self.0).deserialize_any(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        map struct enum identifier ignored_any
    }
}

/// The cells that have not been visited yet, with the names of their columns.
struct Cells<'a> {
    names: &'a [&'a str],
    cells: std::vec::IntoIter<Cell>,
    at: usize,
}

impl Cells<'_> {
    fn next_value<'de, S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Misfit> {
        let Some(cell) = self.cells.next() else {
            return Ok(None);
        };
        let name = self.names[self.at];
        self.at += 1;
        let value = seed.deserialize(CellDeserializer(cell));
        value.map(Some).map_err(|misfit| misfit.in_column(name))
    }
}

impl<'de> MapAccess<'de> for Cells<'_> {
    type Error = Misfit;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Misfit> {
        let Some(name) = self.names.get(self.at) else {
            return Ok(None);
        };
        seed.deserialize((*name).into_deserializer()).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Misfit> {
        let value = self.next_value(seed)?;
        Ok(value.expect("serde asks for a value only after a name, and each name has a cell"))
    }
}

impl<'de> SeqAccess<'de> for Cells<'_> {
    type Error = Misfit;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Misfit> {
        self.next_value(seed)
    }
}

struct CellDeserializer(Cell);

impl<'de> Deserializer<'de> for CellDeserializer {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Cell::Null => visitor.visit_unit(),
            Cell::Bool(is) => visitor.visit_bool(is),
            Cell::Integer(number) => visitor.visit_i64(number),
            Cell::Real(number) => visitor.visit_f64(number),
            Cell::Text(text) => visitor.visit_string(text),
            Cell::Blob(bytes) => visitor.visit_string(STANDARD.encode(bytes)),
            Cell::Json(text) => document(&text, |document| document.deserialize_any(visitor)),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Cell::Integer(number @ (0 | 1)) => visitor.visit_bool(number == 1),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Cell::Null => visitor.visit_none(),
            Cell::Json(text) if text == "null" => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Cell::Blob(bytes) => visitor.visit_byte_buf(bytes),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Cell::Blob(bytes) => visitor.visit_seq(SeqDeserializer::new(bytes.into_iter())),
            Cell::Text(text) if text.starts_with('[') => document(&text, |document| document.deserialize_seq(visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Cell::Text(text) if text.starts_with('{') => document(&text, |document| document.deserialize_map(visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.deserialize_map(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match self.0 {
            Cell::Json(text) => document(&text, |document| document.deserialize_enum(name, variants, visitor)),
            Cell::Text(text) => visitor.visit_enum(text.into_deserializer()),
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string unit unit_struct tuple_struct identifier
        ignored_any
    }
}

/// Read as a stream, because the visitor must not borrow from a text that ends with the row.
type Document<'a> = serde_json::Deserializer<serde_json::de::IoRead<&'a [u8]>>;

/// Reads the JSON of one column. What serde_json says of a misfit may quote the value, so only where it is, is said.
fn document<T>(text: &str, read: impl FnOnce(&mut Document<'_>) -> serde_json::Result<T>) -> Result<T, Misfit> {
    let mut deserializer = Document::from_reader(text.as_bytes());
    let read = read(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    read.map_err(|error| {
        de::Error::custom(format_args!(
            "its JSON does not fit at line {}, column {}",
            error.line(),
            error.column()
        ))
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Role {
        Admin,
        Guest,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Person {
        id: u64,
        #[serde(rename = "full name")]
        name: String,
        nick: Option<String>,
        active: bool,
        role: Role,
        score: f64,
        photo: Vec<u8>,
    }

    const NAMES: [&str; 7] = ["id", "full name", "nick", "active", "role", "score", "photo"];

    fn cells() -> Vec<Cell> {
        vec![
            Cell::Integer(7),
            Cell::Text("Ada".into()),
            Cell::Null,
            Cell::Integer(1),
            Cell::Text("admin".into()),
            Cell::Integer(3),
            Cell::Blob(vec![1, 2, 255]),
        ]
    }

    #[test]
    fn a_row_becomes_a_struct_by_column_names() {
        let person: Person = decode(&NAMES, cells()).expect("fits");
        let expected = Person {
            id: 7,
            name: "Ada".into(),
            nick: None,
            active: true,
            role: Role::Admin,
            score: 3.0,
            photo: vec![1, 2, 255],
        };
        assert_eq!(person, expected);
    }

    #[test]
    fn a_row_becomes_json_with_blobs_in_base64() {
        let row: Value = decode(&NAMES[..3], cells()[..3].to_vec()).expect("fits");
        assert_eq!(row, json!({"id": 7, "full name": "Ada", "nick": null}));
        let photo: Value = decode(&["photo"], vec![Cell::Blob(vec![1, 2, 255])]).expect("fits");
        assert_eq!(photo, json!({"photo": "AQL/"}));
    }

    #[test]
    fn a_row_becomes_a_tuple_by_column_order() {
        let pair: (u8, String) = decode(&NAMES[..2], cells()[..2].to_vec()).expect("fits");
        assert_eq!(pair, (7, "Ada".to_owned()));
    }

    #[test]
    fn a_misfit_names_the_column_and_never_the_value() {
        let secret = Cell::Text("secret".into());
        for wrong in [vec![Cell::Integer(-1)], vec![secret], vec![Cell::Null]] {
            #[derive(Debug, Deserialize)]
            struct Id {
                #[serde(rename = "id")]
                _id: u64,
            }
            let misfit = decode::<Id>(&["id"], wrong).expect_err("does not fit").to_string();
            assert!(misfit.starts_with("column \"id\": "), "{misfit}");
            assert!(!misfit.contains("secret") && !misfit.contains("-1"), "{misfit}");
        }
    }

    #[test]
    fn an_unknown_variant_does_not_show_the_text() {
        #[derive(Debug, Deserialize)]
        struct Held {
            #[serde(rename = "role")]
            _role: Role,
        }
        let misfit = decode::<Held>(&["role"], vec![Cell::Text("private".into())]).expect_err("no such role");
        let shown = misfit.to_string();
        assert!(
            shown.contains("admin") && shown.contains("guest") && !shown.contains("private"),
            "{shown}"
        );
    }
}
