//! The relay: delivers what writers left, from any process, and from many at once.
//!
//! Killed anywhere it leaves nothing undone: what it had taken is due again when its visibility ends, and what it had
//! delivered and not deleted is delivered once more, which does no harm.

use std::{fmt, sync::Arc, time::Duration};

use larder_base::{CacheKey, Tasks, metric};
use larder_cache::Cache;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Outbox, millis, sql,
    sql::Due,
    target::{Judged, Target},
};
use crate::error::SqlError;

/// Rows taken at a time: some milliseconds of the store, and little to do twice if the relay dies.
const BATCH: usize = 500;

/// How often it is looked for what is due: the last part of the bound, at one look at an index each time.
const EVERY: Duration = Duration::from_secs(1);

/// More often than this it would do nothing else.
const EVERY_LEAST: Duration = Duration::from_millis(1);

/// How long a row that was taken is its relay's: several times what delivering a batch takes, retries included.
const VISIBILITY: Duration = Duration::from_secs(30);

/// The first pause after the store or the database failed; doubled up to the longest.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// The longest pause: what waited for an outage to end is delivered this much later.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// For how long a row that no cache takes is put off: doubled from the first, up to the last. It is kept, because a later
/// version of the service may know it.
const REFUSED: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));

/// Delivers what is due in an [`Outbox`] to caches, once they are named with [`cache`](Self::cache).
///
/// Any number of relays share an outbox: each row is taken by one of them at a time. Rows of namespaces that a relay was
/// given no cache for are left to others; [`Outbox::lag`] shows them.
#[must_use = "a relay does nothing before `start` or `sweep`"]
pub struct Relay {
    outbox: Outbox,
    targets: Vec<Arc<dyn Target>>,
    batch: usize,
    every: Duration,
    visibility: Duration,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let namespaces: Vec<&str> = self.targets.iter().map(|target| target.namespace()).collect();
        f.debug_struct("Relay")
            .field("outbox", &self.outbox.table)
            .field("namespaces", &namespaces)
            .finish_non_exhaustive()
    }
}

/// What a [sweep](Relay::sweep) came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Rows that the store acknowledged, and that were deleted.
    pub delivered: u64,
    /// Rows that no cache takes: of a key that is not of the cache's type, or of an unknown kind. They are put off for a
    /// minute, doubled up to an hour, and kept.
    pub refused: u64,
    /// Rows that the store did not acknowledge: they are due again.
    pub failed: u64,
}

impl Outbox {
    /// A relay of this outbox, which delivers to no cache yet.
    ///
    /// ```
    /// # async fn shown(outbox: larder_sql::Outbox, users: larder_cache::Cache<u64, String>) {
    /// let relaying = outbox.relay().cache(&users).start();
    /// // .. when the process ends:
    /// relaying.stop(std::time::Duration::from_secs(5)).await;
    /// # }
    /// ```
    pub fn relay(&self) -> Relay {
        Relay {
            outbox: self.clone(),
            targets: Vec::new(),
            batch: BATCH,
            every: EVERY,
            visibility: VISIBILITY,
        }
    }
}

impl Relay {
    /// Delivers to `cache` as well: what is recorded of its namespace.
    pub fn cache<K, V>(mut self, cache: &Cache<K, V>) -> Self
    where
        K: CacheKey,
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        self.targets.push(Arc::new(cache.clone()));
        self
    }

    /// Rows taken at a time (default 500, at least 1).
    pub fn batch(mut self, rows: usize) -> Self {
        self.batch = rows.max(1);
        self
    }

    /// How often it looks for what is due (default 1 s, at least 1 ms, shortened at random by up to a half).
    pub fn every(mut self, every: Duration) -> Self {
        self.every = every.max(EVERY_LEAST);
        self
    }

    /// How long a row that was taken is left to its relay, by the database's clock (default 30 s): when one dies with
    /// rows taken, others deliver them after so long.
    pub fn visibility(mut self, visibility: Duration) -> Self {
        self.visibility = visibility;
        self
    }

    /// Delivers everything that is due, once: what the task that [`start`](Self::start) starts does again and again.
    ///
    /// # Errors
    /// Any [`SqlError`] of the database. What the store does not acknowledge is no error but [`Swept::failed`].
    ///
    /// # Cancel safety
    /// Dropped before it returns, what it had taken is due again when its visibility ends.
    pub async fn sweep(&self) -> Result<Swept, SqlError> {
        self.sweep_by(self.batch).await
    }

    /// Starts a task that delivers until what is returned is dropped or stopped.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn start(self) -> Relaying {
        let (tasks, clock) = (Tasks::new(), self.outbox.deadline.clock.clone());
        super::lag::METRICS.iter().for_each(metric::Metric::describe);
        metric::register(&self.outbox.lags);
        drop(tasks.spawn("outbox relay", self.run()));
        Relaying { tasks, clock }
    }

    async fn run(self) {
        let (clock, random) = (self.outbox.deadline.clock.clone(), self.outbox.random.clone());
        let mut failures: u32 = 0;
        loop {
            // A store that may be down is asked with one row: what fails becomes pending in this process as well.
            let swept = self.sweep_by(if failures == 0 { self.batch } else { 1 }).await;
            let measured = self.outbox.measure(self.namespaces()).await;
            let is_well = swept.as_ref().is_ok_and(|swept| swept.failed == 0) && measured.is_ok();
            if let Some(error) = swept.err().or(measured.err()) {
                self.outbox.lags.count_database_failure();
                tell(failures, &error);
            }
            let pause = if is_well {
                failures = 0;
                self.every
            } else {
                let pause = PAUSE_MIN.saturating_mul(1 << failures.min(10)).min(PAUSE_MAX);
                failures = failures.saturating_add(1);
                pause
            };
            // Shortened at random, so that many relays do not come together.
            clock.sleep(pause.mul_f64(0.5 + random.unit() / 2.0)).await;
        }
    }

    fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.targets.iter().map(|target| target.namespace())
    }

    /// Takes `first` rows of each cache at first, and whole batches once its store has answered.
    async fn sweep_by(&self, first: usize) -> Result<Swept, SqlError> {
        let mut swept = Swept::default();
        for target in &self.targets {
            let mut batch = first;
            loop {
                let due = self.take(target.namespace(), batch).await?;
                let taken = due.len();
                if taken == 0 {
                    break;
                }
                let judged = target.deliver(&due).await;
                let failed = self.settle(target.namespace(), &due, judged, &mut swept).await?;
                // Its store is away: another cache's need not be.
                if failed || taken < batch {
                    break;
                }
                batch = self.batch;
            }
        }
        Ok(swept)
    }

    async fn take(&self, namespace: &str, batch: usize) -> Result<Vec<Due>, SqlError> {
        let (outbox, table) = (&self.outbox, &self.outbox.table);
        let doing = "looking into the outbox";
        if outbox.run(doing, table.is_due(namespace)).await?.is_empty() {
            return Ok(Vec::new());
        }
        let limit = i64::try_from(batch).unwrap_or(i64::MAX);
        let take = table.take(namespace, millis(self.visibility), limit);
        let rows = outbox.run("taking from the outbox", take).await?;
        Ok(sql::due(rows))
    }

    /// Deletes what was delivered and puts off the rest; whether the store failed.
    async fn settle(&self, namespace: &str, due: &[Due], judged: Judged, swept: &mut Swept) -> Result<bool, SqlError> {
        let (outbox, table) = (&self.outbox, &self.outbox.table);
        if !judged.delivered.is_empty() {
            let delete = table.delete(&judged.delivered);
            outbox.run("deleting from the outbox", delete).await?;
        }
        for (id, why) in &judged.refused {
            let attempts = due.iter().find(|row| row.id == *id).map_or(1, |row| row.attempts);
            let pause = REFUSED.0 * (1 << (attempts - 1).clamp(0, 10));
            let put_off = table.put_off(&[*id], millis(pause.min(REFUSED.1)), Some(why));
            outbox.run("putting off a row of the outbox", put_off).await?;
            tracing::warn!(
                namespace,
                row = id,
                why,
                "an invalidation in the outbox cannot be made, and is kept"
            );
        }
        if let Some(error) = &judged.failure {
            tracing::debug!(namespace, %error, rows = judged.failed.len(), "the store has not acknowledged what is in the outbox");
            let put_off = table.put_off(&judged.failed, millis(PAUSE_MIN), None);
            outbox.run("giving back to the outbox", put_off).await?;
        }
        outbox.lags.count(namespace, &judged);
        swept.delivered += judged.delivered.len() as u64;
        swept.refused += judged.refused.len() as u64;
        swept.failed += judged.failed.len() as u64;
        Ok(judged.failure.is_some())
    }
}

/// Tells of a database that fails: aloud when it begins to.
fn tell(failures: u32, error: &SqlError) {
    if failures == 0 {
        tracing::warn!(%error, "the outbox cannot be relayed; it is tried again");
    } else {
        tracing::debug!(%error, failures, "the outbox cannot be relayed yet");
    }
}

/// A relay that runs. Dropped, it stops at its next await.
#[derive(Debug)]
#[must_use = "dropped, the relay stops"]
pub struct Relaying {
    tasks: Tasks,
    clock: larder_base::Clock,
}

impl Relaying {
    /// Stops, waiting for at most `deadline`; `false` if it was still running then. What it had taken is due again when
    /// its visibility ends.
    ///
    /// # Cancel safety
    /// It has been told to stop at the first poll; only the wait is lost.
    pub async fn stop(self, deadline: Duration) -> bool {
        self.tasks.shutdown(&self.clock, deadline).await
    }
}
