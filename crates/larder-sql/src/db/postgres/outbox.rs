//! The outbox in PostgreSQL.

use sqlx::{Postgres, Transaction, postgres::PgConnection};

use super::fetch;
use crate::db::{Answer, Connection, Dialect, InTransaction, Row, Statement};

pub(super) const DIALECT: Dialect = Dialect {
    random: "(random() * 9007199254740992)::bigint * 1024 + (random() * 1023)::bigint",
    // Not `now()`, which is when the transaction began.
    now: "(extract(epoch FROM clock_timestamp()) * 1000)::bigint",
    skip_locked: "FOR UPDATE SKIP LOCKED",
    texts: |n| format!("jsonb_array_elements_text(${n}::jsonb) AS j(value)"),
};

impl Connection for PgConnection {
    fn fetch(&mut self, statement: Statement) -> Answer<'_, Vec<Row>> {
        Box::pin(fetch(self, statement))
    }
}

impl<'a> From<&'a mut Transaction<'_, Postgres>> for InTransaction<'a> {
    fn from(transaction: &'a mut Transaction<'_, Postgres>) -> Self {
        Self {
            connection: &mut **transaction,
            dialect: &DIALECT,
        }
    }
}
