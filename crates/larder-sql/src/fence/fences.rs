//! The table that knows the highest fence of each lock, and who looks after it.

use std::time::Duration;

use larder_base::Clock;

use super::sql::{self, Table};
use crate::{
    Pool,
    db::{Row, Statement},
    error::SqlError,
    session::{self, DEADLINE, Deadline, Doubt},
};

/// The fences of a database: its table `larder_fences`, which has for each lock the highest fence that a
/// [`FencedTx`](super::FencedTx) had, and when. A cheap clone.
#[derive(Clone, Debug)]
pub struct Fences {
    pool: Pool,
    table: Table,
    deadline: Deadline,
}

impl Fences {
    /// Those of the database behind `pool`. Nothing is asked of it yet.
    #[must_use]
    pub fn new(pool: impl Into<Pool>) -> Self {
        let pool = pool.into();
        Self {
            table: Table::of(pool.0.dialect()),
            pool,
            deadline: Deadline {
                clock: Clock::system(),
                span: DEADLINE,
            },
        }
    }

    /// How long one statement may take, waiting for a connection included (default 5 s).
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline.span = deadline;
        self
    }

    /// The SQL that [`prepare`](Self::prepare) runs, for a migration of one's own.
    #[must_use]
    pub fn statements(&self) -> Vec<String> {
        self.table.ddl()
    }

    /// Creates the table where it is missing. Once more does no harm.
    ///
    /// # Errors
    /// Any [`SqlError`] of the database.
    ///
    /// # Cancel safety
    /// All of it is done or nothing.
    pub async fn prepare(&self) -> Result<(), SqlError> {
        session::make(&self.pool, &self.deadline, "preparing the fences", self.statements()).await
    }

    /// The highest fence that was at the database under the lock on `resource`; `None` if none was, or it was
    /// [forgotten](Self::forget).
    ///
    /// # Errors
    /// [`SqlError::NoFences`] if the table is missing; any other of the database.
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn newest(&self, resource: &str) -> Result<Option<u64>, SqlError> {
        let rows = self.run("looking up a fence", self.table.newest(resource)).await?;
        Ok(sql::newest(&rows))
    }

    /// Deletes the fences that were raised longer than `span` ago, by the database's clock, and says how many: where locks are
    /// many and short-lived, a row for each that there ever was is too much. `span` has to be longer than any holder can stand
    /// still and go on: such a one is not turned away any more. A day is a good choice, for so long the store remembers its
    /// fences, too.
    ///
    /// # Errors
    /// As [`newest`](Self::newest).
    ///
    /// # Cancel safety
    /// Dropped, it is done or not.
    pub async fn forget(&self, span: Duration) -> Result<u64, SqlError> {
        let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX / 4);
        let rows = self.run("forgetting old fences", self.table.forget(span)).await?;
        Ok(rows.len() as u64)
    }

    /// Runs one statement by itself, which is as good twice as once.
    async fn run(&self, doing: &str, statement: Statement) -> Result<Vec<Row>, SqlError> {
        let work = async {
            let rows = self.pool.0.fetch(statement).await;
            rows.map_err(SqlError::query(doing)).map_err(SqlError::or_no_fences)
        };
        self.deadline.run(doing, &Doubt::default(), work).await
    }
}
