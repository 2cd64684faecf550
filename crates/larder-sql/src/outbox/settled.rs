//! Rows whose invalidation is acknowledged: deleted in the background, so that no writer waits for a second commit.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use larder_base::Tasks;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Outbox, sql::Table};
use crate::{Pool, error::SqlError, session::Deadline};

/// Rows that wait to be deleted at most. When the database is away for longer than that lasts, those beyond are left to
/// a relay, which makes their invalidation once more and then deletes them.
const WAITING_MAX: usize = 10_000;

/// Rows per statement.
const BATCH: usize = 1_000;

/// The pauses after a failed statement: the first, and the longest that doubling leads to.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What waits to be deleted, and the task that does it: started by the first row, ended with the last clone of the outbox.
#[derive(Debug, Default)]
pub(super) struct Settled {
    waiting: Arc<Waiting>,
    is_started: AtomicBool,
    tasks: Tasks,
}

#[derive(Debug, Default)]
struct Waiting {
    ids: Mutex<Vec<i64>>,
    added: Notify,
}

impl Settled {
    pub(super) fn add(&self, outbox: &Outbox, ids: Vec<i64>) {
        if ids.is_empty() {
            return;
        }
        self.waiting.add(ids);
        // Once: whoever is first starts it, and nothing else is published with it.
        if !self.is_started.swap(true, Ordering::Relaxed) {
            let deleting = Deleting {
                waiting: self.waiting.clone(),
                pool: outbox.pool.clone(),
                table: outbox.table.clone(),
                deadline: outbox.deadline.clone(),
            };
            drop(self.tasks.spawn("outbox settled", deleting.run()));
        }
    }
}

impl Waiting {
    fn add(&self, more: Vec<i64>) {
        let mut ids = self.ids.lock();
        let room = WAITING_MAX.saturating_sub(ids.len());
        ids.extend(more.into_iter().take(room));
        drop(ids);
        self.added.notify_one();
    }

    fn take(&self) -> Vec<i64> {
        let mut ids = self.ids.lock();
        let rest = ids.len().saturating_sub(BATCH);
        ids.split_off(rest)
    }
}

/// What the task keeps: not the outbox, whose end is its own.
struct Deleting {
    waiting: Arc<Waiting>,
    pool: Pool,
    table: Table,
    deadline: Deadline,
}

impl Deleting {
    async fn run(self) {
        let mut pause = PAUSES.0;
        loop {
            let ids = self.waiting.take();
            if ids.is_empty() {
                self.waiting.added.notified().await;
                continue;
            }
            match self.delete(&ids).await {
                Ok(()) => pause = PAUSES.0,
                Err(error) => {
                    tracing::debug!(%error, rows = ids.len(), "rows of the outbox are not deleted yet");
                    self.waiting.add(ids);
                    self.deadline.clock.sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
    }

    async fn delete(&self, ids: &[i64]) -> Result<(), SqlError> {
        let doing = "deleting from the outbox";
        let work = async {
            let deleted = self.pool.0.fetch(self.table.delete(ids)).await;
            deleted.map(drop).map_err(SqlError::query(doing))
        };
        self.deadline.run(doing, &crate::session::Doubt::default(), work).await
    }
}
