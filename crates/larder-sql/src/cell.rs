//! One value of one row, whatever database it comes from, and what is bound to a statement.

/// A value as a database keeps it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Null,
    Bool(bool),
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
    /// A JSON document, as its text.
    Json(String),
}

/// What stands for one variable of a statement.
#[derive(Clone, Debug)]
pub(crate) enum Bind {
    One(Cell),
    /// An array whose members are all of one kind; only for databases that have arrays.
    Many(Vec<Cell>),
}

impl From<i64> for Bind {
    fn from(number: i64) -> Self {
        Self::One(Cell::Integer(number))
    }
}

impl From<&str> for Bind {
    fn from(text: &str) -> Self {
        Self::One(Cell::Text(text.to_owned()))
    }
}
