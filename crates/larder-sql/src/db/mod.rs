//! The seam between what is written once and what each database does its own way.
//!
//! A database is one folder here, which implements [`Database`] and exports a [`Driver`], and one line in [`DRIVERS`].
//! See decision 0010.

mod outbox;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;
mod write;

pub use self::outbox::InTransaction;
pub(crate) use self::{
    outbox::{Connection, Dialect},
    write::{Ddl, Scope, Session, Writes},
};
use std::{any::Any, fmt, pin::Pin, sync::Arc};

use larder_base::KeyPart;
use sqlx::error::DatabaseError;

use crate::{
    PoolConfig, SqlError,
    cell::{Bind, Cell},
    error::ErrorKind,
    schema::Column,
};

/// The databases that are built in.
const DRIVERS: &[Driver] = &[
    #[cfg(feature = "postgres")]
    postgres::DRIVER,
    #[cfg(feature = "sqlite")]
    sqlite::DRIVER,
];

/// How a database is recognised before a pool is open.
pub(crate) struct Driver {
    /// What it is called.
    pub(crate) product: &'static str,
    /// What its URLs begin with, up to the colon.
    pub(crate) schemes: &'static [&'static str],
    pub(crate) open: fn(PoolConfig) -> Answer<'static, Pool, SqlError>,
    /// What an error means, if it is one of this database's.
    pub(crate) kind_of: fn(&dyn DatabaseError) -> Option<Meaning>,
}

/// The driver for URLs with this scheme.
pub(crate) fn driver(scheme: &str) -> Option<&'static Driver> {
    DRIVERS.iter().find(|driver| driver.schemes.contains(&scheme))
}

/// What can be opened, for an error.
pub(crate) fn schemes() -> String {
    let schemes = DRIVERS.iter().flat_map(|driver| driver.schemes);
    let schemes: Vec<String> = schemes.map(|scheme| format!("`{scheme}:..`")).collect();
    schemes.join(", ")
}

/// What the error of a database means.
pub(crate) fn meaning(error: &dyn DatabaseError) -> Option<Meaning> {
    DRIVERS.iter().find_map(|driver| (driver.kind_of)(error))
}

/// What an error asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// One of these kinds.
    Kind(ErrorKind),
    /// The table is not what it was when it was last looked at.
    SchemaChanged,
    /// Nobody gets in, or at the table, whatever is written: until somebody gives the right or repairs the database.
    Closed,
}

/// The work of a database, boxed: one allocation beside a statement is not noticed.
pub(crate) type Answer<'a, T, E = sqlx::Error> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>;

/// The values of one row.
pub(crate) type Row = Vec<Cell>;

/// SQL and the values of its variables `$1`, `$2`, ...
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) sql: String,
    pub(crate) binds: Vec<Bind>,
}

impl Statement {
    pub(crate) fn new(sql: impl Into<String>) -> Self {
        Self {
            sql: sql.into(),
            binds: Vec::new(),
        }
    }

    pub(crate) fn bind(mut self, value: impl Into<Bind>) -> Self {
        self.binds.push(value.into());
        self
    }
}

/// A table or view that can be named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableName {
    /// As people write it.
    pub(crate) name: String,
    /// With the name of the schema before it, where the database has schemas.
    pub(crate) full: String,
    /// Without it.
    pub(crate) bare: String,
    /// As SQL, quoted.
    pub(crate) sql: String,
}

/// What differs between databases; everything else is written once over it.
pub(crate) trait Database: Writes + fmt::Debug + Send + Sync + 'static {
    /// Its name, for errors.
    fn product(&self) -> &'static str;

    /// Its words for the outbox.
    fn dialect(&self) -> &'static Dialect;

    /// The pool itself, for those who know which it is.
    fn as_any(&self) -> &dyn Any;

    /// Closes every connection.
    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;

    /// Runs one statement by itself and reads its rows. Reads every kind of value that [`read`](Self::read) gives.
    fn fetch(&self, statement: Statement) -> Answer<'_, Vec<Row>>;

    /// The tables and views that a statement can name.
    fn tables(&self) -> Answer<'_, Vec<TableName>>;

    /// The table that `name` means, among `listed`.
    fn find<'a>(&self, listed: &'a [TableName], name: &str) -> Option<&'a TableName>;

    /// The columns of `table` that can be read, in order.
    fn columns<'a>(&'a self, table: &'a TableName) -> Answer<'a, Vec<Column>>;

    /// The columns that a query would give, with what it binds.
    fn describe<'a>(&'a self, query: &'a Statement) -> Answer<'a, Vec<Column>>;

    /// A value for a variable of a user's own SQL.
    fn variable(&self, cell: Cell) -> Bind;

    /// Values for a variable of a user's own SQL that stands for a list.
    fn list(&self, cells: Vec<Cell>) -> Bind;

    /// Whether two spellings of a column's name mean the same.
    fn is_same_name(&self, a: &str, b: &str) -> bool;

    /// `column` of the table or alias `of` as an expression whose value [`fetch`](Self::fetch) can read; `None` if it
    /// cannot be read.
    fn read(&self, column: &Column, of: &str) -> Option<String>;

    /// Whether rows can be found by this column.
    fn is_key(&self, column: &Column) -> bool;

    /// The values under which a row may have `part` in its key column `column`: none if no row can.
    fn key_forms(&self, part: &KeyPart<'_>, column: &Column) -> Vec<Cell>;

    /// How many key tuples of `parts` values one statement takes.
    fn tuples_per_statement(&self, parts: usize) -> usize;

    /// A query for the rows `(place, k0, k1, ..)` of these tuples, places counted from 0; what it binds goes after
    /// `binds`.
    fn wanted(&self, keys: &[&Column], tuples: &[&[Cell]], binds: &mut Vec<Bind>) -> String;
}

/// A pool of connections to a database: what tables are read from and written to.
///
/// A cheap clone. [`PoolConfig::open`] makes one with limits that suit a cache; a pool of sqlx's own becomes one by
/// `into()`, which is what [`SqlTable::new`](crate::SqlTable::new) takes.
#[derive(Clone, Debug)]
pub struct Pool(pub(crate) Arc<dyn Database>);

impl Pool {
    /// What the database is called: `SQLite`, `PostgreSQL`.
    #[must_use]
    pub fn product(&self) -> &'static str {
        self.0.product()
    }

    /// Closes every connection and waits until they are closed. Every clone is closed with it.
    ///
    /// # Cancel safety
    /// No connection is given out after the first poll; those in use are closed when they come back.
    pub async fn close(&self) {
        self.0.close().await;
    }
}

/// A name as SQL: in double quotes, with those inside doubled. Everything else is taken literally.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
