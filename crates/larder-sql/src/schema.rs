//! What a table looks like, as the database itself says.

use sqlx::{Row, SqlitePool};

use crate::error::{Names, SqlError};

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, in the spelling of the schema.
    pub name: String,
    /// Its declared type, possibly empty: SQLite lets any value into any column.
    pub declared: String,
    /// Its place in the primary key, from 1; 0 if it is not part of it.
    pub key_place: usize,
}

impl Column {
    /// Whether the column has BLOB affinity: it converts neither what it keeps nor what it is compared with.
    pub(crate) fn is_untyped(&self) -> bool {
        self.declared.is_empty() || self.declared.to_ascii_uppercase().contains("BLOB")
    }
}

/// A table, its columns, and those that make its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSchema {
    /// The table's name, in the spelling of the schema.
    pub name: String,
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
pub(crate) async fn look_up(pool: &SqlitePool, table: &str, wanted: &Wanted) -> Result<TableSchema, SqlError> {
    let name = find_table(pool, table).await?;
    let columns = columns_of(pool, &name).await?;
    let key = key_of(&name, &columns, &wanted.key)?;
    let read = match wanted.columns.as_slice() {
        [] => (0..columns.len()).collect(),
        names => places(&name, &columns, names)?,
    };
    Ok(TableSchema {
        name,
        columns,
        key,
        read,
    })
}

/// The table's name as the schema spells it: SQLite does not tell names apart by ASCII case.
async fn find_table(pool: &SqlitePool, table: &str) -> Result<String, SqlError> {
    let listed = sqlx::query_scalar::<_, String>(
        r"SELECT name FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name",
    )
    .fetch_all(pool)
    .await
    .map_err(SqlError::query("listing the tables"))?;
    let found = listed.iter().find(|name| name.eq_ignore_ascii_case(table)).cloned();
    found.ok_or_else(|| SqlError::UnknownTable {
        table: table.to_owned(),
        existing: Names::new(listed),
    })
}

async fn columns_of(pool: &SqlitePool, table: &str) -> Result<Vec<Column>, SqlError> {
    // `hidden` 1 marks the inner columns of virtual tables; 2 and 3, generated columns, can be read.
    let rows = sqlx::query("SELECT name, type, pk FROM pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY cid")
        .bind(table)
        .fetch_all(pool)
        .await
        .map_err(SqlError::query("listing the columns of the table"))?;
    let column = |row: &sqlx::sqlite::SqliteRow| {
        Ok(Column {
            name: row.try_get(0)?,
            declared: row.try_get(1)?,
            key_place: usize::try_from(row.try_get::<i64, _>(2)?).unwrap_or(0),
        })
    };
    rows.iter()
        .map(column)
        .collect::<Result<_, _>>()
        .map_err(SqlError::query("reading the columns of the table"))
}

fn key_of(table: &str, columns: &[Column], named: &[String]) -> Result<Vec<usize>, SqlError> {
    if !named.is_empty() {
        return places(table, columns, named);
    }
    let mut key: Vec<usize> = (0..columns.len()).filter(|&at| columns[at].key_place > 0).collect();
    key.sort_by_key(|&at| columns[at].key_place);
    if key.is_empty() {
        let (table, existing) = (table.to_owned(), names_of(columns));
        return Err(SqlError::NoKey { table, existing });
    }
    Ok(key)
}

fn places(table: &str, columns: &[Column], names: &[String]) -> Result<Vec<usize>, SqlError> {
    let place = |name: &String| {
        let found = columns.iter().position(|column| column.name.eq_ignore_ascii_case(name));
        found.ok_or_else(|| SqlError::UnknownColumn {
            table: table.to_owned(),
            column: name.clone(),
            existing: names_of(columns),
        })
    };
    names.iter().map(place).collect()
}

fn names_of(columns: &[Column]) -> Names {
    Names::new(columns.iter().map(|column| column.name.as_str()))
}
