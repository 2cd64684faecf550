//! What differs between databases in the SQL of the outbox.

use super::{Answer, Row, Statement};

/// The words of one database; `outbox/sql.rs` makes statements of them.
#[derive(Debug)]
pub(crate) struct Dialect {
    /// A random number from 0 to 2^63 - 1.
    pub(crate) random: &'static str,
    /// The database's clock, in milliseconds since 1970: processes whose clocks differ agree on it.
    pub(crate) now: &'static str,
    /// Leaves out rows that another takes at this moment; nothing where there is one writer.
    pub(crate) skip_locked: &'static str,
    /// The texts of the JSON array `$n` as rows with a column `value`.
    pub(crate) texts: fn(n: usize) -> String,
}

/// A connection on which somebody else began a transaction.
pub(crate) trait Connection: Send {
    fn fetch(&mut self, statement: Statement) -> Answer<'_, Vec<Row>>;
}

/// A transaction of sqlx's that one's own statements run in: `&mut transaction`, of SQLite or PostgreSQL.
pub struct InTransaction<'a> {
    pub(crate) connection: &'a mut dyn Connection,
    pub(crate) dialect: &'static Dialect,
}

impl std::fmt::Debug for InTransaction<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InTransaction")
    }
}
