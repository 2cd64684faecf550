//! The table `larder_outbox`, and every statement on it.
//!
//! Rows are found by when they are due, never by their number: transactions commit in another order than they number.

use crate::{
    cell::Cell,
    db::{Dialect, Row, Statement, quoted},
};

/// What the table is called.
pub(super) const TABLE: &str = "larder_outbox";

/// The table with its words.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// Its name as SQL.
    pub(super) name: String,
    pub(super) dialect: &'static Dialect,
}

/// What is to be invalidated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Key,
    Tag,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Key, Self::Tag];

    const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Tag => "tag",
        }
    }
}

/// One invalidation, as a relay takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) id: i64,
    /// `None` if it was written by who knows more kinds.
    pub(super) kind: Option<Kind>,
    pub(super) item: String,
    /// How often it was taken, this time included.
    pub(super) attempts: i64,
}

impl Table {
    pub(super) fn of(schema: Option<&str>, dialect: &'static Dialect) -> Self {
        let name = match schema {
            Some(schema) => format!("{}.{}", quoted(schema), quoted(TABLE)),
            None => quoted(TABLE),
        };
        Self { name, dialect }
    }

    /// What makes the table. Numbers are random: one that was rolled back is given to nobody else.
    pub(super) fn ddl(&self) -> Vec<String> {
        let Self { name, dialect } = self;
        let (now, random) = (dialect.now, dialect.random);
        vec![
            format!(
                "CREATE TABLE IF NOT EXISTS {name} (id BIGINT PRIMARY KEY DEFAULT ({random}), namespace TEXT NOT NULL, \
                 kind TEXT NOT NULL, item TEXT NOT NULL, made_at BIGINT NOT NULL DEFAULT ({now}), \
                 due_at BIGINT NOT NULL DEFAULT ({now}), attempts BIGINT NOT NULL DEFAULT 0, why TEXT)"
            ),
            format!(
                "CREATE INDEX IF NOT EXISTS {} ON {name} (namespace, due_at, id)",
                quoted("larder_outbox_due")
            ),
        ]
    }

    /// Adds `items`, due in `delay_ms`; each with its number.
    pub(super) fn record(&self, namespace: &str, kind: Kind, items: &[String], delay_ms: i64) -> Statement {
        let Self { name, dialect } = self;
        let sql = format!(
            "INSERT INTO {name} (namespace, kind, item, due_at) SELECT $1, $2, value, {} + $4 FROM {} RETURNING id, item",
            dialect.now,
            (dialect.texts)(3)
        );
        Statement::new(sql)
            .bind(namespace)
            .bind(kind.name())
            .bind(array(items).as_str())
            .bind(delay_ms)
    }

    /// Whether something is due: asked before it is taken, so that a relay with nothing to do locks nothing.
    pub(super) fn is_due(&self, namespace: &str) -> Statement {
        let Self { name, dialect } = self;
        let sql = format!(
            "SELECT id FROM {name} WHERE namespace = $1 AND due_at <= {} LIMIT 1",
            dialect.now
        );
        Statement::new(sql).bind(namespace)
    }

    /// Takes what is due, the oldest first, so many at most: nobody else takes it for `visibility_ms`.
    pub(super) fn take(&self, namespace: &str, visibility_ms: i64, limit: i64) -> Statement {
        let Self { name, dialect } = self;
        let (now, skip) = (dialect.now, dialect.skip_locked);
        // Materialised: run once, however the rest is planned.
        let sql = format!(
            "WITH due (due_id) AS MATERIALIZED (SELECT id FROM {name} WHERE namespace = $1 AND due_at <= {now} \
             ORDER BY due_at, id LIMIT $3 {skip}) \
             UPDATE {name} SET due_at = {now} + $2, attempts = attempts + 1 FROM due WHERE id = due_id \
             RETURNING id, kind, item, attempts"
        );
        Statement::new(sql).bind(namespace).bind(visibility_ms).bind(limit)
    }

    /// Forgets what was acknowledged.
    pub(super) fn delete(&self, ids: &[i64]) -> Statement {
        let sql = format!("DELETE FROM {} WHERE id IN ({})", self.name, self.numbers(1));
        Statement::new(sql).bind(array(ids).as_str())
    }

    /// Gives back what could not be delivered, due in `pause_ms`, with the reason if it is theirs.
    pub(super) fn put_off(&self, ids: &[i64], pause_ms: i64, why: Option<&str>) -> Statement {
        let Self { name, dialect } = self;
        let sql = format!(
            "UPDATE {name} SET due_at = {} + $2, why = $3 WHERE id IN ({})",
            dialect.now,
            self.numbers(1)
        );
        // A statement is prepared with the types of its first run, and a NULL has none.
        Statement::new(sql)
            .bind(array(ids).as_str())
            .bind(pause_ms)
            .bind(why.unwrap_or_default())
    }

    /// By namespace, so many at most: rows, milliseconds since the oldest was made, and rows that were refused.
    pub(super) fn lag(&self, limit: i64) -> Statement {
        let Self { name, dialect } = self;
        let sql = format!(
            "SELECT namespace, count(*), {} - min(made_at), count(nullif(why, '')) FROM {name} \
             GROUP BY namespace ORDER BY namespace LIMIT $1",
            dialect.now
        );
        Statement::new(sql).bind(limit)
    }

    /// The numbers of the JSON array `$n`.
    fn numbers(&self, n: usize) -> String {
        format!("SELECT CAST(value AS BIGINT) FROM {}", (self.dialect.texts)(n))
    }
}

/// As a JSON array of texts, which is one variable however many there are.
fn array<T: ToString>(items: &[T]) -> String {
    let texts: Vec<String> = items.iter().map(T::to_string).collect();
    serde_json::to_string(&texts).expect("texts are always JSON")
}

/// What [`Table::record`] added: the number of each item.
pub(super) fn recorded(rows: Vec<Row>) -> Vec<(i64, String)> {
    let read = |row: Row| match <[Cell; 2]>::try_from(row) {
        Ok([Cell::Integer(id), Cell::Text(item)]) => Some((id, item)),
        _ => None,
    };
    rows.into_iter().filter_map(read).collect()
}

/// What [`Table::take`] took, the oldest number first.
pub(super) fn due(rows: Vec<Row>) -> Vec<Due> {
    let read = |row: Row| match <[Cell; 4]>::try_from(row) {
        Ok(
            [
                Cell::Integer(id),
                Cell::Text(kind),
                Cell::Text(item),
                Cell::Integer(attempts),
            ],
        ) => Some(Due {
            id,
            kind: Kind::ALL.into_iter().find(|known| known.name() == kind),
            item,
            attempts,
        }),
        _ => None,
    };
    rows.into_iter().filter_map(read).collect()
}
