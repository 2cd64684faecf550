//! Fenced transactions in PostgreSQL.

use sqlx::{Postgres, postgres::PgConnection};

use super::outbox::DIALECT;
use crate::{FencedDatabase, db::InTransaction};

impl FencedDatabase for Postgres {
    const BEGIN: &'static str = "BEGIN";

    fn inside(connection: &mut PgConnection) -> InTransaction<'_> {
        InTransaction {
            connection,
            dialect: &DIALECT,
        }
    }
}
