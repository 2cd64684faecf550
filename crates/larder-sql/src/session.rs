//! A write as one step: it is committed, or not, or it is said that nobody knows.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::{
    db::{Database, Row, Scope, Session, Statement},
    error::{SqlError, is_connection_lost},
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
        if !self.is_alone {
            let rows = self.session.fetch(statement).await;
            return rows.map_err(SqlError::query(self.doing.clone()));
        }
        self.doubt.set(true);
        let rows = self.session.fetch(statement).await;
        self.doubt.set(false);
        rows.map_err(SqlError::committing(self.doing.clone()))
    }

    pub(crate) async fn commit(self) -> Result<(), SqlError> {
        self.doubt.set(true);
        let committed = self.session.commit().await;
        self.doubt.set(false);
        committed.map_err(SqlError::committing(self.doing))
    }
}
