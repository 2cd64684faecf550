//! Values as rows: which columns each gives, in an order in which two writers cannot wait for each other.

use std::collections::BTreeMap;

use larder_base::CacheKey;
use serde::Serialize;

use crate::{
    cell::Cell,
    db::Database,
    error::SqlError,
    key,
    record::{self, Given, Record},
    schema::{Column, Generated, TableSchema, is_version},
};

/// Rows that give the same columns.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// Their places in the table.
    pub(crate) columns: Vec<usize>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

impl Rows {
    pub(crate) fn columns<'a>(&self, schema: &'a TableSchema) -> Vec<&'a Column> {
        self.columns.iter().map(|&at| &schema.columns[at]).collect()
    }

    /// The key of each row, as its columns will spell it.
    pub(crate) fn keys(&self, schema: &TableSchema) -> impl Iterator<Item = Vec<Option<String>>> {
        let places: Vec<Option<usize>> = schema
            .key
            .iter()
            .map(|key| self.columns.iter().position(|column| column == key))
            .collect();
        let cell = |row: &[Cell], place: &Option<usize>| place.and_then(|at| key::written(&row[at]));
        self.rows
            .iter()
            .map(move |row| places.iter().map(|place| cell(row, place)).collect())
    }

    /// In pieces of at most `size` rows.
    pub(crate) fn chunks(self, size: usize) -> impl Iterator<Item = Self> {
        let columns = self.columns;
        let mut rows = self.rows.into_iter();
        std::iter::from_fn(move || {
            let rows: Vec<Vec<Cell>> = rows.by_ref().take(size).collect();
            let columns = columns.clone();
            (!rows.is_empty()).then_some(Self { columns, rows })
        })
    }
}

/// Some columns of one row, by their places.
pub(crate) type Fields = BTreeMap<usize, Cell>;

/// Rows to put, each key once: a later one replaces an earlier. They are written in the order of their keys, so that
/// two writers of the same rows do not wait for each other.
#[derive(Debug, Default)]
pub(crate) struct Batch(BTreeMap<Vec<Option<String>>, Fields>);

impl Batch {
    pub(crate) fn push(&mut self, schema: &TableSchema, row: Fields) {
        let key = schema.key.iter().map(|at| row.get(at).and_then(key::written));
        self.0.insert(key.collect(), row);
    }

    /// As rows that give the same columns, in pieces that fit a statement.
    pub(crate) fn pieces(self, database: &dyn Database) -> Vec<Rows> {
        let mut groups: BTreeMap<Vec<usize>, Rows> = BTreeMap::new();
        for row in self.0.into_values() {
            let (columns, cells): (Vec<usize>, Vec<Cell>) = row.into_iter().unzip();
            let rows = groups.entry(columns.clone()).or_default();
            rows.columns = columns;
            rows.rows.push(cells);
        }
        let pieces = |rows: Rows| {
            let size = database.rows_per_statement(rows.columns.len());
            rows.chunks(size)
        };
        groups.into_values().flat_map(pieces).collect()
    }
}

/// What becomes rows of a table.
pub(crate) struct Writer<'a> {
    pub(crate) database: &'a dyn Database,
    pub(crate) schema: &'a TableSchema,
}

impl Writer<'_> {
    /// The row of `value` under `key`.
    pub(crate) fn row<K: CacheKey, V: Serialize>(&self, key: &K, value: &V) -> Result<Fields, SqlError> {
        let mut row = self.fields(value)?;
        for (at, cell) in self.key(key)? {
            match row.get(&at) {
                Some(Cell::Null) | None => {}
                Some(own) if key::written(own) == key::written(&cell) => {}
                Some(_) => {
                    let why = "of the value has another key in it".to_owned();
                    return Err(self.key_error(at, why));
                }
            }
            row.insert(at, cell);
        }
        Ok(row)
    }

    /// The row of `value` without the columns by which the database draws a key.
    pub(crate) fn keyless_row<V: Serialize>(&self, value: &V) -> Result<Fields, SqlError> {
        let mut row = self.fields(value)?;
        for at in &self.schema.key {
            if self.schema.columns[*at].generated != Generated::No {
                row.remove(at);
            }
        }
        Ok(row)
    }

    /// The columns that `value` names.
    pub(crate) fn fields<V: Serialize + ?Sized>(&self, value: &V) -> Result<Fields, SqlError> {
        let record = record::encode(value).map_err(|misfit| self.misfit::<V>(misfit.to_string()))?;
        let fields: Vec<(usize, Given)> = match record {
            Record::Named(fields) => fields
                .into_iter()
                .map(|(name, given)| Ok((self.schema.place(self.database, &name)?, given)))
                .collect::<Result<_, SqlError>>()?,
            Record::Ordered(fields) if fields.len() == self.schema.read.len() => {
                self.schema.read.iter().copied().zip(fields).collect()
            }
            Record::Ordered(fields) => {
                let why = format!(
                    "it has {} parts, and {} columns are read",
                    fields.len(),
                    self.schema.read.len()
                );
                return Err(self.misfit::<V>(why));
            }
        };
        let mut row = Fields::new();
        for (at, given) in fields {
            let column = &self.schema.columns[at];
            if column.generated == Generated::Computed || is_version(column) {
                continue;
            }
            let cell = self.database.fit(column, given);
            let cell = cell.map_err(|why| self.misfit::<V>(format!("column {:?} {why}", column.name)))?;
            row.insert(at, cell);
        }
        Ok(row)
    }

    /// The key columns with what `key` puts there.
    pub(crate) fn key<K: CacheKey>(&self, key: &K) -> Result<Fields, SqlError> {
        let parts = key::parts_of(key);
        self.schema.check_parts(parts.len())?;
        let cell = |(&at, part)| {
            let cell = self.database.key_cell(part, &self.schema.columns[at]);
            Ok((at, cell.map_err(|why| self.key_error(at, why))?))
        };
        self.schema.key.iter().zip(&parts).map(cell).collect()
    }

    fn key_error(&self, at: usize, why: String) -> SqlError {
        SqlError::Key {
            table: self.schema.name.clone(),
            column: self.schema.columns[at].name.clone(),
            why,
        }
    }

    fn misfit<V: ?Sized>(&self, why: String) -> SqlError {
        SqlError::Value {
            table: self.schema.name.clone(),
            given: std::any::type_name::<V>(),
            why,
        }
    }
}
