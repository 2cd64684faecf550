//! A write as one step: it is committed, or not, or it is said that nobody knows.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use larder_base::Clock;

use crate::{
    Pool,
    db::{Database, Row, Scope, Session, Statement},
    error::{Doing, SqlError, is_connection_lost},
};

/// Whether what was sent may have been committed, seen by whoever gives up waiting for the answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Doubt(Arc<AtomicBool>);

impl Doubt {
    pub(crate) fn is_open(&self) -> bool {
        // Written and read by one task, through the future that it owns: no other memory hangs on it.
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, is_open: bool) {
        self.0.store(is_open, Ordering::Relaxed);
    }
}

/// How long one load or one write may take, unless it is said: waiting for a connection included.
pub(crate) const DEADLINE: Duration = Duration::from_secs(5);

/// The limit of one load or write.
#[derive(Clone, Debug)]
pub(crate) struct Deadline {
    pub(crate) clock: Clock,
    pub(crate) span: Duration,
}

impl Deadline {
    /// Waits for `work`, and no longer than the deadline. Then what was sent may have been committed, or was not sent.
    pub(crate) async fn run<T>(
        &self,
        doing: &str,
        doubt: &Doubt,
        work: impl Future<Output = Result<T, SqlError>>,
    ) -> Result<T, SqlError> {
        match self.clock.timeout(self.span, work).await {
            Some(done) => done,
            None if doubt.is_open() => Err(SqlError::InDoubt {
                doing: Doing(doing.to_owned()),
                source: None,
            }),
            None => Err(SqlError::Deadline {
                doing: Doing(doing.to_owned()),
                waited: self.span,
            }),
        }
    }
}

/// A connection that is written to. Dropped before [`commit`](Self::commit), it changes nothing.
pub(crate) struct Writing {
    session: Box<dyn Session>,
    is_alone: bool,
    doubt: Doubt,
    doing: String,
}

impl Writing {
    pub(crate) async fn begin(
        database: &dyn Database,
        scope: Scope,
        doing: String,
        doubt: Doubt,
    ) -> Result<Self, SqlError> {
        let is_alone = matches!(scope, Scope::Alone);
        let mut session = database.session(scope.clone()).await;
        if session.as_ref().is_err_and(is_connection_lost) {
            // Nothing was sent but the beginning. The others that stood idle are asked before they are used.
            session = database.session(scope).await;
        }
        Ok(Self {
            session: session.map_err(SqlError::query(doing.clone()))?,
            is_alone,
            doubt,
            doing,
        })
    }

    pub(crate) async fn fetch(&mut self, statement: Statement) -> Result<Vec<Row>, SqlError> {
        self.doubt.set(self.is_alone);
        let rows = self.session.fetch(statement).await;
        rows.map_err(self.judge())
    }

    /// How many rows the statement changed.
    pub(crate) async fn execute(&mut self, statement: Statement) -> Result<u64, SqlError> {
        self.doubt.set(self.is_alone);
        let changed = self.session.execute(statement).await;
        changed.map_err(self.judge())
    }

    /// What the error of a statement means: one that stands alone is also its commit.
    fn judge(&self) -> impl FnOnce(sqlx::Error) -> SqlError {
        self.doubt.set(false);
        let (is_alone, doing) = (self.is_alone, self.doing.clone());
        move |error| match is_alone {
            true => SqlError::committing(doing)(error),
            false => SqlError::query(doing)(error),
        }
    }

    pub(crate) async fn commit(self) -> Result<(), SqlError> {
        self.doubt.set(true);
        let committed = self.session.commit().await;
        self.doubt.set(false);
        committed.map_err(SqlError::committing(self.doing))
    }
}

/// Runs the `statements` that make what is missing: all of them, or none.
pub(crate) async fn make(
    pool: &Pool,
    deadline: &Deadline,
    doing: &str,
    statements: Vec<String>,
) -> Result<(), SqlError> {
    let doubt = Doubt::default();
    let work = async {
        let mut writing = Writing::begin(&*pool.0, Scope::Making, doing.to_owned(), doubt.clone()).await?;
        for statement in statements {
            writing.fetch(Statement::new(statement)).await?;
        }
        writing.commit().await
    };
    deadline.run(doing, &doubt, work).await
}
