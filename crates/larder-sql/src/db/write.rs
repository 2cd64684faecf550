//! What differs between databases when they are written to.

use larder_base::KeyPart;

use super::{Answer, Row, Statement};
use crate::{
    cell::{Bind, Cell},
    record::Given,
    schema::{Column, TableSchema},
};

/// The part of a [`Database`](super::Database) that writes.
pub(crate) trait Writes {
    /// The value under which `part` is written into the key column `column`; `Err` says why it has none.
    fn key_cell(&self, part: &KeyPart<'_>, column: &Column) -> Result<Cell, String>;

    /// `given` as `column` takes it; `Err` says why it does not.
    fn fit(&self, column: &Column, given: Given) -> Result<Cell, String>;

    /// How many rows of `columns` values one statement takes.
    fn rows_per_statement(&self, columns: usize) -> usize;

    /// A query for these rows of `columns` of `table`; what it binds goes after `binds`.
    fn given(&self, table: &str, columns: &[&Column], rows: &[&[Cell]], binds: &mut Vec<Bind>) -> String;

    /// A condition on `column` of `t` that its value is spelled as the bound `wanted`, beside being equal to it.
    fn is_spelled(&self, column: &Column, wanted: &str) -> Option<String>;

    /// What stands before VALUES so that columns which the database counts itself may be written.
    fn overriding(&self) -> &'static str;

    /// What stands before a column in RETURNING.
    fn returned(&self) -> &'static str;

    /// Deletes the rows of the table `t` that `condition` finds for the rows of `wanted`.
    fn delete(&self, schema: &TableSchema, condition: &str) -> String;

    /// Begins to write: by itself, or in a transaction.
    fn session(&self, scope: Scope) -> Answer<'_, Box<dyn Session>>;

    /// The table `name` of Larder's own that stands beside `table`, as SQL.
    fn beside(&self, table: &TableSchema, name: &str) -> String;

    /// Statements that make `table` ready to be written behind, beyond what is the same everywhere.
    fn versions_ddl(&self, schema: &TableSchema, what: Ddl) -> Vec<String>;
}

/// How a write begins.
#[derive(Clone, Debug)]
pub(crate) enum Scope {
    /// One statement, committed by itself.
    Alone,
    /// Several, committed together.
    Together,
    /// Several, while others that take the same lock on the table (as SQL) do so together with it, or not at all.
    Locked { table: String, is_exclusive: bool },
    /// Several that make tables, one after the other who does: `IF NOT EXISTS` alone is no guard against two at once.
    Making,
}

/// What to write of the parts that differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ddl {
    /// Columns for versions.
    Columns,
    /// A trigger that keeps other writers from turning them back.
    Trigger,
}

/// A connection that is being written to. Dropped, it rolls back what is not committed.
pub(crate) trait Session: Send {
    fn fetch(&mut self, statement: Statement) -> Answer<'_, Vec<Row>>;

    /// Runs one statement and says how many rows it changed.
    fn execute(&mut self, statement: Statement) -> Answer<'_, u64>;

    fn commit(self: Box<Self>) -> Answer<'static, ()>;
}
