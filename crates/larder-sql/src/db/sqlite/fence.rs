//! Fenced transactions in SQLite.

use sqlx::{Sqlite, SqliteConnection};

use super::outbox::DIALECT;
use crate::{FencedDatabase, db::InTransaction};

impl FencedDatabase for Sqlite {
    /// A transaction that begins by reading could not always go on to write.
    const BEGIN: &'static str = "BEGIN IMMEDIATE";

    fn inside(connection: &mut SqliteConnection) -> InTransaction<'_> {
        InTransaction {
            connection,
            dialect: &DIALECT,
        }
    }
}
