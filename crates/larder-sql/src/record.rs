//! A value as a row: what serde says of it, field by field, and how each becomes what its column takes.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{
    Serialize,
    ser::{self, Impossible, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple, SerializeTupleStruct},
};

use crate::{
    cell::Cell,
    schema::{Column, Kind},
};

/// The fields of a value, in its order.
#[derive(Debug)]
pub(crate) enum Record {
    Named(Vec<(String, Given)>),
    /// A tuple: by the order of the columns that are read.
    Ordered(Vec<Given>),
}

/// What a value says of one field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Given {
    Cell(Cell),
    /// A list, as JSON, and as bytes where every member is one.
    List {
        json: String,
        bytes: Option<Vec<u8>>,
    },
}

/// What keeps a value from becoming a row. It names types, never values.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misfit(String);

impl ser::Error for Misfit {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// The fields of `value`, which is a struct, a map or a tuple.
pub(crate) fn encode<V: Serialize + ?Sized>(value: &V) -> Result<Record, Misfit> {
    value.serialize(RowSerializer)
}

/// `given` as `column` takes it, by the rules that all databases share; `Err` says why it does not.
pub(crate) fn fit(column: &Column, given: Given) -> Result<Cell, String> {
    let refuse = |what: &str| Err(format!("is of type {}, which takes no {what}", column.declared));
    match (column.kind, given) {
        (_, Given::Cell(Cell::Null)) => Ok(Cell::Null),
        (Kind::Unknown, _) => Err(format!("is of type {}, which is not written", column.declared)),
        (Kind::Json, given) => json(given).map(Cell::Json),
        (Kind::List | Kind::TextList, Given::List { json, .. }) => Ok(Cell::Json(json)),
        (Kind::List | Kind::TextList, _) => refuse("single value"),
        (Kind::Bytes, Given::List { bytes: Some(bytes), .. }) => Ok(Cell::Blob(bytes)),
        (Kind::Bytes, Given::Cell(Cell::Text(text))) => match STANDARD.decode(text) {
            Ok(bytes) => Ok(Cell::Blob(bytes)),
            Err(_) => refuse("text but bytes in base64"),
        },
        (Kind::Any, Given::List { bytes: Some(bytes), .. }) => Ok(Cell::Blob(bytes)),
        (Kind::Integer, Given::Cell(Cell::Bool(is))) => Ok(Cell::Integer(is.into())),
        (_, Given::List { .. }) => refuse("list; one of type JSON does"),
        (_, Given::Cell(Cell::Json(_))) => refuse("map; one of type JSON does"),
        (_, Given::Cell(cell)) => Ok(cell),
    }
}

fn json(given: Given) -> Result<String, String> {
    let written = match given {
        Given::List { json, .. } | Given::Cell(Cell::Json(json)) => return Ok(json),
        Given::Cell(Cell::Null) => return Ok("null".to_owned()),
        Given::Cell(Cell::Bool(is)) => serde_json::to_string(&is),
        Given::Cell(Cell::Integer(number)) => serde_json::to_string(&number),
        Given::Cell(Cell::Real(number)) if !number.is_finite() => {
            return Err("is JSON, which has no number that is infinite or none".to_owned());
        }
        Given::Cell(Cell::Real(number)) => serde_json::to_string(&number),
        Given::Cell(Cell::Text(text)) => serde_json::to_string(&text),
        Given::Cell(Cell::Blob(bytes)) => serde_json::to_string(&STANDARD.encode(bytes)),
    };
    written.map_err(|error| error.to_string())
}

struct RowSerializer;

/// Refuses every kind of value that the macro's user names.
macro_rules! refuse {
    ($why:literal: $($method:ident($($type:ty),*)),* $(,)?) => {$(
        fn $method(self, $(_: $type),*) -> Result<Self::Ok, Misfit> {
            Err(Misfit($why.to_owned()))
        }
    )*};
}

impl ser::Serializer for RowSerializer {
    type Ok = Record;
    type Error = Misfit;
    type SerializeSeq = Ordered;
    type SerializeTuple = Ordered;
    type SerializeTupleStruct = Ordered;
    type SerializeTupleVariant = Impossible<Record, Misfit>;
    type SerializeMap = Named;
    type SerializeStruct = Named;
    type SerializeStructVariant = Impossible<Record, Misfit>;

    refuse!("it has no fields: a row is made of a struct, a map or a tuple":
        serialize_bool(bool), serialize_i8(i8), serialize_i16(i16), serialize_i32(i32), serialize_i64(i64),
        serialize_u8(u8), serialize_u16(u16), serialize_u32(u32), serialize_u64(u64), serialize_f32(f32),
        serialize_f64(f64), serialize_char(char), serialize_str(&str), serialize_bytes(&[u8]), serialize_none(),
        serialize_unit(), serialize_unit_struct(&'static str), serialize_unit_variant(&'static str, u32, &'static str),
    );

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Record, Misfit> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<Record, Misfit> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Record, Misfit> {
        Err(variant_row())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Ordered, Misfit> {
        Ok(Ordered(Vec::new()))
    }

    fn serialize_tuple(self, _: usize) -> Result<Ordered, Misfit> {
        Ok(Ordered(Vec::new()))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Ordered, Misfit> {
        Ok(Ordered(Vec::new()))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Misfit> {
        Err(variant_row())
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Named, Misfit> {
        Ok(Named::default())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Named, Misfit> {
        Ok(Named::default())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Misfit> {
        Err(variant_row())
    }
}

fn variant_row() -> Misfit {
    Misfit("an enum with data has no columns: put it into a field whose column is JSON".to_owned())
}

struct Ordered(Vec<Given>);

macro_rules! ordered {
    ($($trait:ident, $method:ident);*) => {$(
        impl $trait for Ordered {
            type Ok = Record;
            type Error = Misfit;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Misfit> {
                self.0.push(given(value)?);
                Ok(())
            }

            fn end(self) -> Result<Record, Misfit> {
                Ok(Record::Ordered(self.0))
            }
        }
    )*};
}

ordered!(SerializeSeq, serialize_element; SerializeTuple, serialize_element; SerializeTupleStruct, serialize_field);

#[derive(Default)]
struct Named {
    fields: Vec<(String, Given)>,
    name: Option<String>,
}

impl SerializeStruct for Named {
    type Ok = Record;
    type Error = Misfit;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Misfit> {
        let given = given(value).map_err(|misfit| Misfit(format!("field {name:?}: {misfit}")))?;
        self.fields.push((name.to_owned(), given));
        Ok(())
    }

    fn end(self) -> Result<Record, Misfit> {
        Ok(Record::Named(self.fields))
    }
}

impl SerializeMap for Named {
    type Ok = Record;
    type Error = Misfit;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, name: &T) -> Result<(), Misfit> {
        match given(name)? {
            Given::Cell(Cell::Text(name)) => self.name = Some(name),
            _ => return Err(Misfit("the names of its fields are no text".to_owned())),
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Misfit> {
        let name = self
            .name
            .take()
            .ok_or_else(|| Misfit("a field without a name".to_owned()))?;
        let given = given(value).map_err(|misfit| Misfit(format!("field {name:?}: {misfit}")))?;
        self.fields.push((name, given));
        Ok(())
    }

    fn end(self) -> Result<Record, Misfit> {
        Ok(Record::Named(self.fields))
    }
}

fn given<T: Serialize + ?Sized>(value: &T) -> Result<Given, Misfit> {
    value.serialize(FieldSerializer)
}

/// One field. What is nested goes through JSON as a whole.
struct FieldSerializer;

macro_rules! cells {
    ($($method:ident($type:ty) => |$value:ident| $cell:expr),* $(,)?) => {$(
        fn $method(self, $value: $type) -> Result<Given, Misfit> {
            Ok(Given::Cell($cell))
        }
    )*};
}

/// An integer that fits no `i64` is text: a column of numbers takes its digits, or refuses them.
fn wide(number: impl TryInto<i64> + ToString + Copy) -> Cell {
    number
        .try_into()
        .map_or_else(|_| Cell::Text(number.to_string()), Cell::Integer)
}

impl ser::Serializer for FieldSerializer {
    type Ok = Given;
    type Error = Misfit;
    type SerializeSeq = List;
    type SerializeTuple = List;
    type SerializeTupleStruct = List;
    type SerializeTupleVariant = Impossible<Given, Misfit>;
    type SerializeMap = Document;
    type SerializeStruct = Document;
    type SerializeStructVariant = Impossible<Given, Misfit>;

    cells! {
        serialize_bool(bool) => |is| Cell::Bool(is),
        serialize_i8(i8) => |number| Cell::Integer(number.into()),
        serialize_i16(i16) => |number| Cell::Integer(number.into()),
        serialize_i32(i32) => |number| Cell::Integer(number.into()),
        serialize_i64(i64) => |number| Cell::Integer(number),
        serialize_i128(i128) => |number| wide(number),
        serialize_u8(u8) => |number| Cell::Integer(number.into()),
        serialize_u16(u16) => |number| Cell::Integer(number.into()),
        serialize_u32(u32) => |number| Cell::Integer(number.into()),
        serialize_u64(u64) => |number| wide(number),
        serialize_u128(u128) => |number| wide(number),
        serialize_f32(f32) => |number| Cell::Real(number.into()),
        serialize_f64(f64) => |number| Cell::Real(number),
        serialize_char(char) => |letter| Cell::Text(letter.to_string()),
        serialize_str(&str) => |text| Cell::Text(text.to_owned()),
        serialize_bytes(&[u8]) => |bytes| Cell::Blob(bytes.to_vec()),
        serialize_unit_struct(&'static str) => |_name| Cell::Null,
    }

    fn serialize_none(self) -> Result<Given, Misfit> {
        Ok(Given::Cell(Cell::Null))
    }

    fn serialize_unit(self) -> Result<Given, Misfit> {
        Ok(Given::Cell(Cell::Null))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Given, Misfit> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<Given, Misfit> {
        value.serialize(self)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Given, Misfit> {
        Ok(Given::Cell(Cell::Text(variant.to_owned())))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Given, Misfit> {
        let mut document = Document::default();
        document.push(variant, value)?;
        Ok(document.into())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List, Misfit> {
        Ok(List::default())
    }

    fn serialize_tuple(self, _: usize) -> Result<List, Misfit> {
        Ok(List::default())
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<List, Misfit> {
        Ok(List::default())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Misfit> {
        Err(variant_field())
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Document, Misfit> {
        Ok(Document::default())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Document, Misfit> {
        Ok(Document::default())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Misfit> {
        Err(variant_field())
    }
}

fn variant_field() -> Misfit {
    Misfit("a variant with several fields is not written: wrap them in a struct".to_owned())
}

fn written<T: Serialize + ?Sized>(value: &T) -> Result<String, Misfit> {
    serde_json::to_string(value).map_err(|error| Misfit(error.to_string()))
}

/// A list, kept as bytes for as long as its members are bytes.
struct List {
    json: String,
    bytes: Option<Vec<u8>>,
}

impl Default for List {
    fn default() -> Self {
        Self {
            json: "[".to_owned(),
            bytes: Some(Vec::new()),
        }
    }
}

macro_rules! lists {
    ($($trait:ident, $method:ident);*) => {$(
        impl $trait for List {
            type Ok = Given;
            type Error = Misfit;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Misfit> {
                let member = written(value)?;
                if self.json.len() > 1 {
                    self.json.push(',');
                }
                match (member.parse(), &mut self.bytes) {
                    (Ok(byte), Some(bytes)) => bytes.push(byte),
                    _ => self.bytes = None,
                }
                self.json.push_str(&member);
                Ok(())
            }

            fn end(mut self) -> Result<Given, Misfit> {
                self.json.push(']');
                Ok(Given::List { json: self.json, bytes: self.bytes })
            }
        }
    )*};
}

lists!(SerializeSeq, serialize_element; SerializeTuple, serialize_element; SerializeTupleStruct, serialize_field);

/// A map or a struct within a field.
#[derive(Default)]
struct Document {
    json: String,
    name: Option<String>,
}

impl Document {
    fn push<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Misfit> {
        self.json.push(if self.json.is_empty() { '{' } else { ',' });
        self.json.push_str(&written(name)?);
        self.json.push(':');
        self.json.push_str(&written(value)?);
        Ok(())
    }
}

impl From<Document> for Given {
    fn from(mut document: Document) -> Self {
        if document.json.is_empty() {
            document.json.push('{');
        }
        document.json.push('}');
        Self::Cell(Cell::Json(document.json))
    }
}

impl SerializeStruct for Document {
    type Ok = Given;
    type Error = Misfit;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Misfit> {
        self.push(name, value)
    }

    fn end(self) -> Result<Given, Misfit> {
        Ok(self.into())
    }
}

impl SerializeMap for Document {
    type Ok = Given;
    type Error = Misfit;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, name: &T) -> Result<(), Misfit> {
        let name = match given(name)? {
            Given::Cell(Cell::Text(name)) => name,
            Given::Cell(Cell::Integer(number)) => number.to_string(),
            Given::Cell(Cell::Bool(is)) => is.to_string(),
            _ => return Err(Misfit("JSON takes text as the names of fields".to_owned())),
        };
        self.name = Some(name);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Misfit> {
        let name = self
            .name
            .take()
            .ok_or_else(|| Misfit("a field without a name".to_owned()))?;
        self.push(&name, value)
    }

    fn end(self) -> Result<Given, Misfit> {
        Ok(self.into())
    }
}
