//! What a table looks like, as the database itself says.

use crate::{
    db::{Database, TableName},
    error::{Names, SqlError},
};

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Column {
    /// Its name, in the spelling of the schema.
    pub name: String,
    /// Its declared type; in SQLite possibly empty, for it lets any value into any column.
    pub declared: String,
    /// Its place in the primary key, from 1; 0 if it is not part of it.
    pub key_place: usize,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// Whether the database gives it a value by itself.
    pub generated: Generated,
    /// How its values travel.
    pub(crate) kind: Kind,
    /// The type to cast a bound value to, as SQL.
    pub(crate) sql_type: String,
    /// Whether values that the database calls equal are spelled alike.
    pub(crate) is_exact: bool,
    /// The labels of an enum, in order.
    pub(crate) labels: Vec<String>,
}

/// Whether a database gives a column its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Generated {
    /// It has to be written, or stays NULL.
    No,
    /// Where none is written: a default, an identity, a sequence, SQLite's row number.
    Default,
    /// Always, by counting: another value is taken only where Larder puts a row under its key.
    Identity,
    /// Always, computed from other columns: it is never written.
    Computed,
}

/// How the values of a column are read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Each value has a type of its own, and nothing converts it.
    Any,
    Integer,
    Float,
    /// Numeric, of any precision; in SQLite whatever has numeric affinity.
    Number,
    Bool,
    Text,
    Bytes,
    Uuid,
    Enum,
    Date,
    Time,
    Json,
    /// An array whose elements are as JSON has them.
    List,
    /// An array whose elements are read as text.
    TextList,
    /// A type that is read and written as text, and never a key.
    Other,
    /// A type that is neither read nor written.
    Unknown,
}

/// A table, its columns, and those that make its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSchema {
    /// The table's name, in the spelling of the schema.
    pub name: String,
    /// The name as SQL, quoted.
    pub(crate) sql: String,
    /// The name without that of its schema.
    pub(crate) bare: String,
    /// Every column that a query can read, in order.
    pub columns: Vec<Column>,
    /// Positions in `columns` of the key columns, in key order.
    pub(crate) key: Vec<usize>,
    /// Positions in `columns` of what is read into a value.
    pub(crate) read: Vec<usize>,
}

impl TableSchema {
    /// The names of the key columns, in key order.
    pub fn key(&self) -> impl Iterator<Item = &str> {
        self.key_columns().map(|column| column.name.as_str())
    }

    pub(crate) fn key_columns(&self) -> impl Iterator<Item = &Column> {
        self.key.iter().map(|&at| &self.columns[at])
    }

    pub(crate) fn read_columns(&self) -> impl Iterator<Item = &Column> {
        self.read.iter().map(|&at| &self.columns[at])
    }

    /// The place of the column `name` among all of them.
    pub(crate) fn place(&self, database: &dyn Database, name: &str) -> Result<usize, SqlError> {
        let found = self
            .columns
            .iter()
            .position(|column| database.is_same_name(&column.name, name));
        found.ok_or_else(|| SqlError::UnknownColumn {
            table: self.name.clone(),
            column: name.to_owned(),
            existing: names_of(&self.columns),
        })
    }

    /// Whether the database tells keys apart by their spelling.
    pub(crate) fn is_exact(&self) -> bool {
        self.key_columns().all(|column| column.is_exact)
    }

    /// Whether a key of so many parts can be a key of this table.
    pub(crate) fn check_parts(&self, parts: usize) -> Result<(), SqlError> {
        if self.key.len() == parts {
            return Ok(());
        }
        Err(SqlError::KeyShape {
            table: self.name.clone(),
            parts,
            columns: self.key_names(),
        })
    }

    pub(crate) fn key_names(&self) -> Names {
        Names::new(self.key())
    }
}

/// Which columns were asked for by name; empty lists leave the choice to the schema.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) key: Vec<String>,
    pub(crate) columns: Vec<String>,
}

/// Looks up `table` and checks every name against what exists.
pub(crate) async fn look_up(database: &dyn Database, table: &str, wanted: &Wanted) -> Result<TableSchema, SqlError> {
    describe(database, find_table(database, table).await?, wanted).await
}

/// As [`look_up`], for a table that is known to be there.
pub(crate) async fn describe(
    database: &dyn Database,
    table: TableName,
    wanted: &Wanted,
) -> Result<TableSchema, SqlError> {
    let columns = database.columns(&table).await;
    let columns = columns.map_err(SqlError::query("listing the columns of the table"))?;
    let key = key_of(database, &table, &columns, &wanted.key)?;
    let read = match wanted.columns.as_slice() {
        [] => (0..columns.len()).filter(|&at| !is_version(&columns[at])).collect(),
        names => places(database, &table, &columns, names)?,
    };
    let schema = TableSchema {
        name: table.name,
        sql: table.sql,
        bare: table.bare,
        columns,
        key,
        read,
    };
    check(database, &schema)?;
    Ok(schema)
}

/// The columns in which a row keeps the version of the write behind that made it.
pub(crate) const VERSION: [&str; 2] = ["l_epoch", "l_seq"];

/// Whether this is a column of Larder's own, and no part of a value.
pub(crate) fn is_version(column: &Column) -> bool {
    VERSION.contains(&column.name.as_str())
}

/// The table's name as the schema spells it.
async fn find_table(database: &dyn Database, table: &str) -> Result<TableName, SqlError> {
    let listed = database.tables().await.map_err(SqlError::query("listing the tables"))?;
    let found = database.find(&listed, table).cloned();
    found.ok_or_else(|| SqlError::UnknownTable {
        table: table.to_owned(),
        existing: Names::new(listed.into_iter().map(|table| table.name)),
    })
}

/// Whether every column can play its part.
fn check(database: &dyn Database, schema: &TableSchema) -> Result<(), SqlError> {
    let refused = |column: &Column, part| SqlError::ColumnType {
        table: schema.name.clone(),
        column: column.name.clone(),
        declared: column.declared.clone(),
        part,
    };
    if let Some(column) = schema.key_columns().find(|column| !database.is_key(column)) {
        return Err(refused(column, "be found by; name another with `key`"));
    }
    match schema.read_columns().find(|column| database.read(column, "").is_none()) {
        Some(column) => Err(refused(
            column,
            "be read; cast it in a view, or leave it out with `columns`",
        )),
        None => Ok(()),
    }
}

fn key_of(
    database: &dyn Database,
    table: &TableName,
    columns: &[Column],
    named: &[String],
) -> Result<Vec<usize>, SqlError> {
    if !named.is_empty() {
        return places(database, table, columns, named);
    }
    let mut key: Vec<usize> = (0..columns.len()).filter(|&at| columns[at].key_place > 0).collect();
    key.sort_by_key(|&at| columns[at].key_place);
    if key.is_empty() {
        let (table, existing) = (table.name.clone(), names_of(columns));
        return Err(SqlError::NoKey { table, existing });
    }
    Ok(key)
}

fn places(
    database: &dyn Database,
    table: &TableName,
    columns: &[Column],
    names: &[String],
) -> Result<Vec<usize>, SqlError> {
    let place = |name: &String| {
        let found = columns
            .iter()
            .position(|column| database.is_same_name(&column.name, name));
        found.ok_or_else(|| SqlError::UnknownColumn {
            table: table.name.clone(),
            column: name.clone(),
            existing: names_of(columns),
        })
    };
    names.iter().map(place).collect()
}

fn names_of(columns: &[Column]) -> Names {
    Names::new(columns.iter().map(|column| column.name.as_str()))
}
