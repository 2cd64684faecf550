//! A table whose commits take their time: before, and between a commit and its answer. Most kills then land in one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use larder_base::Clock;
use larder_cache::{BoxError, Change, Counted, SharedSink, Sink, SinkError, Source};
use larder_sql::SqlTable;

use super::ledger::Row;

/// On either side of a commit.
const SPAN: Duration = Duration::from_millis(10);

/// Of how many commits a moody table refuses one for now, as if there had been a deadlock.
const REFUSES: u64 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Even,
    Moody,
}

#[derive(Clone, Debug)]
pub(super) struct Slow {
    table: SqlTable,
    mood: Mood,
    commits: Arc<AtomicU64>,
}

impl Slow {
    pub(super) fn new(table: SqlTable) -> Self {
        Self {
            table,
            mood: Mood::Even,
            commits: Arc::default(),
        }
    }

    pub(super) fn in_mood(self, mood: Mood) -> Self {
        Self { mood, ..self }
    }

    async fn slowly<T>(&self, commit: impl Future<Output = T>) -> T {
        Clock::system().sleep(SPAN).await;
        let done = commit.await;
        Clock::system().sleep(SPAN).await;
        done
    }
}

impl Source<i64, Row> for Slow {
    async fn load(&self, key: &i64) -> Result<Option<Row>, BoxError> {
        self.table.load(key).await
    }

    fn sink(&self) -> Option<SharedSink<i64, Row>> {
        Some(SharedSink::new(self.clone()))
    }
}

impl Sink<i64, Row> for Slow {
    async fn put(&self, key: &i64, value: &Row) -> Result<(), SinkError> {
        self.slowly(self.table.put(key, value)).await
    }

    async fn put_many(&self, values: &[(i64, Row)]) -> Result<(), SinkError> {
        self.slowly(self.table.put_many(values)).await
    }

    async fn remove(&self, key: &i64) -> Result<bool, SinkError> {
        self.slowly(Sink::<i64, Row>::remove(&self.table, key)).await
    }

    async fn claim_epoch(&self, namespace: &str) -> Result<u64, SinkError> {
        Sink::<i64, Row>::claim_epoch(&self.table, namespace).await
    }

    async fn count(&self, namespace: &str, counts: &[Counted<i64>]) -> Result<(), SinkError> {
        let counting = Sink::<i64, Row>::count(&self.table, namespace, counts);
        if counts.is_empty() {
            counting.await
        } else {
            self.slowly(counting).await
        }
    }

    async fn apply(&self, namespace: &str, changes: &[Change<i64, Row>]) -> Result<(), SinkError> {
        let commit = self.commits.fetch_add(1, Ordering::Relaxed) + 1;
        if self.mood == Mood::Moody && commit.is_multiple_of(REFUSES) {
            return Err(SinkError::retryable("it is in a mood"));
        }
        self.slowly(self.table.apply(namespace, changes)).await
    }
}
