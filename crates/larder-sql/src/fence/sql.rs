//! The table `larder_fences`, and every statement on it.

use crate::{
    cell::Cell,
    db::{Dialect, Row, Statement, quoted},
};

/// What the table is called.
const TABLE: &str = "larder_fences";

/// The table with its words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    dialect: &'static Dialect,
}

impl Table {
    pub(crate) const fn of(dialect: &'static Dialect) -> Self {
        Self { dialect }
    }

    /// What makes the table.
    pub(super) fn ddl(self) -> Vec<String> {
        let name = quoted(TABLE);
        vec![format!(
            "CREATE TABLE IF NOT EXISTS {name} (resource TEXT PRIMARY KEY, fence BIGINT NOT NULL, raised_at BIGINT NOT NULL)"
        )]
    }

    /// Makes `fence` the highest of `resource` and locks its row, or changes nothing and answers no row: there is a higher one.
    pub(super) fn raise(self, resource: &str, fence: i64) -> Statement {
        let sql = format!(
            "INSERT INTO {} AS l (resource, fence, raised_at) VALUES ($1, $2, {}) ON CONFLICT (resource) DO UPDATE \
             SET fence = EXCLUDED.fence, raised_at = EXCLUDED.raised_at WHERE l.fence <= EXCLUDED.fence RETURNING fence",
            quoted(TABLE),
            self.dialect.now
        );
        Statement::new(sql).bind(resource).bind(fence)
    }

    /// The highest fence of `resource`.
    pub(super) fn newest(self, resource: &str) -> Statement {
        Statement::new(format!("SELECT fence FROM {} WHERE resource = $1", quoted(TABLE))).bind(resource)
    }

    /// Deletes what was raised longer than `span_ms` ago.
    pub(super) fn forget(self, span_ms: i64) -> Statement {
        let sql = format!(
            "DELETE FROM {} WHERE raised_at < {} - $1 RETURNING fence",
            quoted(TABLE),
            self.dialect.now
        );
        Statement::new(sql).bind(span_ms)
    }
}

/// A fence as columns keep it. One above 2^63 - 1 does not come from this library: it is as high as can be.
pub(super) fn number(fence: u64) -> i64 {
    i64::try_from(fence).unwrap_or(i64::MAX)
}

/// What [`Table::newest`] answered.
pub(super) fn newest(rows: &[Row]) -> Option<u64> {
    match rows.first()?.as_slice() {
        [Cell::Integer(fence)] => u64::try_from(*fence).ok(),
        _ => None,
    }
}
