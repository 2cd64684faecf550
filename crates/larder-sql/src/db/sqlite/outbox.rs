//! The outbox in SQLite.

use sqlx::{Sqlite, SqliteConnection, Transaction};

use super::fetch;
use crate::db::{Answer, Connection, Dialect, InTransaction, Row, Statement};

pub(super) const DIALECT: Dialect = Dialect {
    random: "random() & 9223372036854775807",
    now: "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
    skip_locked: "",
    texts: |n| format!("json_each(${n})"),
};

impl Connection for SqliteConnection {
    fn fetch(&mut self, statement: Statement) -> Answer<'_, Vec<Row>> {
        Box::pin(fetch(self, statement))
    }
}

impl<'a> From<&'a mut Transaction<'_, Sqlite>> for InTransaction<'a> {
    fn from(transaction: &'a mut Transaction<'_, Sqlite>) -> Self {
        Self {
            connection: &mut **transaction,
            dialect: &DIALECT,
        }
    }
}
