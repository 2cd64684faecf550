//! The transactional outbox: invalidations that are committed together with what makes them necessary.
//!
//! A process that is killed between its COMMIT and its invalidation leaves the old value cached until its TTL. With an
//! outbox the transaction itself records the invalidation, in a table of the same database. The writer invalidates at
//! once as ever, and then the row goes; what is left, a [`Relay`] in any process delivers.
//!
//! | file | what it decides |
//! |---|---|
//! | `sql` | the table, and every statement on it |
//! | `owed` | what a writer does after its COMMIT |
//! | `settled` | rows that are no longer needed |
//! | `relay` | who delivers what is left, when, and what becomes of rows that cannot be |
//! | `target` | a cache, whatever its types |
//! | `sink` | a table that records what is written to it |
//! | `lag` | how much is left, and since when |

mod lag;
mod owed;
mod relay;
mod settled;
mod sink;
mod sql;
mod target;

use std::{sync::Arc, time::Duration};

use larder_base::{CacheKey, Clock, Random, WrittenKey};
use larder_cache::{Cache, TAG_BYTES};
use serde::{Serialize, de::DeserializeOwned};

pub use lag::{METRICS, OutboxLag};
pub use owed::Owed;
pub use relay::{Relay, Relaying, Swept};
pub(crate) use sink::SinkOutbox;

use crate::{
    Pool,
    db::{InTransaction, Row, Statement},
    error::SqlError,
    session::{self, DEADLINE, Deadline, Doubt},
};
use lag::Lags;
use settled::Settled;
use sql::{Kind, Table};

/// How long a row is left to its writer: a writer that lives has invalidated by then.
const DELAY: Duration = Duration::from_secs(5);

/// Invalidations that must survive a crash between COMMIT and invalidate, in a table beside the data. A cheap clone.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # async fn shown() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// # use std::time::Duration;
/// use larder_cache::Cache;
/// use larder_sql::{Outbox, PoolConfig};
/// # let pool = PoolConfig::in_memory().open_sqlite().await?;
/// # sqlx::query("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)").execute(&pool).await?;
/// # let store = larder_store::Store::open("embedded:").await?;
/// # let users: Cache<u64, String> = Cache::builder("user").store(&store).ttl(Duration::from_secs(300)).build().await?;
///
/// let outbox = Outbox::new(pool.clone());
/// outbox.prepare().await?; // or `larder sql outbox --db URL`
/// let relaying = outbox.relay().cache(&users).start(); // in one process or in many
///
/// let mut transaction = pool.begin().await?;
/// sqlx::query("INSERT INTO users VALUES (42, 'Ada')").execute(&mut *transaction).await?;
/// let owed = outbox.invalidate(&mut transaction, &users, &42).await?;
/// transaction.commit().await?;
/// owed.deliver().await?; // at once; should this process die here, the relay does it
/// # drop(relaying);
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(shown()).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Outbox {
    pool: Pool,
    table: Table,
    delay: Duration,
    deadline: Deadline,
    random: Random,
    settled: Arc<Settled>,
    lags: Arc<Lags>,
}

impl Outbox {
    /// The outbox in the database behind `pool`: its table `larder_outbox`. Nothing is asked of the database yet.
    #[must_use]
    pub fn new(pool: impl Into<Pool>) -> Self {
        let pool = pool.into();
        Self {
            table: Table::of(None, pool.0.dialect()),
            pool,
            delay: DELAY,
            deadline: Deadline {
                clock: Clock::system(),
                span: DEADLINE,
            },
            random: Random::system(),
            settled: Arc::default(),
            lags: Arc::default(),
        }
    }

    /// The schema that the table is in (default: PostgreSQL's search path; SQLite's main database).
    #[must_use]
    pub fn schema(mut self, schema: &str) -> Self {
        self.table = Table::of(Some(schema), self.table.dialect);
        // What was settled and measured in another table is another table's.
        (self.settled, self.lags) = Default::default();
        self
    }

    /// How long relays leave a row to its writer, by the database's clock (default 5 s, to the millisecond): the bound
    /// within which a killed writer's invalidation is made begins with it. A writer that takes longer has its
    /// invalidation made twice, which does no harm.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// How long one statement may take, waiting for a connection included (default 5 s).
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline.span = deadline;
        self
    }

    /// The clock of deadlines and of a relay's pauses (default: the system's). When a row is due, the database's says.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.deadline.clock = clock;
        self
    }

    /// The SQL that [`prepare`](Self::prepare) runs, for a migration of one's own.
    #[must_use]
    pub fn statements(&self) -> Vec<String> {
        self.table.ddl()
    }

    /// Creates the table where it is missing, in one transaction. Once more does no harm.
    ///
    /// # Errors
    /// Any [`SqlError`] of the database.
    ///
    /// # Cancel safety
    /// All of it is done or nothing.
    pub async fn prepare(&self) -> Result<(), SqlError> {
        session::make(&self.pool, &self.deadline, "preparing the outbox", self.statements()).await
    }

    /// Records, in a transaction of one's own, that `key` of `cache` is to be invalidated: before its COMMIT, and however
    /// often the process dies after it. [`Owed::deliver`] is for after the COMMIT; a transaction that is rolled back
    /// takes the record with it.
    ///
    /// # Errors
    /// [`SqlError::NoOutbox`] if the table is missing; any other of the database. Then the transaction should be rolled
    /// back: nothing was recorded.
    ///
    /// # Cancel safety
    /// Dropped, it may have been recorded or not, within the transaction.
    pub async fn invalidate<'t, K, V>(
        &self,
        transaction: impl Into<InTransaction<'t>>,
        cache: &Cache<K, V>,
        key: &K,
    ) -> Result<Owed<K, V>, SqlError>
    where
        K: CacheKey,
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        self.invalidate_many(transaction, cache, std::slice::from_ref(key))
            .await
    }

    /// [`invalidate`](Self::invalidate) for many keys, with one statement.
    ///
    /// # Errors
    /// As [`invalidate`](Self::invalidate).
    ///
    /// # Cancel safety
    /// As [`invalidate`](Self::invalidate).
    pub async fn invalidate_many<'t, K, V>(
        &self,
        transaction: impl Into<InTransaction<'t>>,
        cache: &Cache<K, V>,
        keys: &[K],
    ) -> Result<Owed<K, V>, SqlError>
    where
        K: CacheKey,
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        let ids = self
            .record(transaction.into(), cache.namespace(), Kind::Key, &written(keys))
            .await?;
        Ok(Owed::keys(self.clone(), cache.clone(), keys.to_vec(), ids))
    }

    /// Records that every value of `cache` with one of `tags` is to be invalidated, as [`invalidate`](Self::invalidate)
    /// does for a key.
    ///
    /// # Errors
    /// As [`invalidate`](Self::invalidate); [`SqlError::Tag`] for a tag that no value can have.
    ///
    /// # Cancel safety
    /// As [`invalidate`](Self::invalidate).
    pub async fn invalidate_tags<'t, K, V, I>(
        &self,
        transaction: impl Into<InTransaction<'t>>,
        cache: &Cache<K, V>,
        tags: I,
    ) -> Result<Owed<K, V>, SqlError>
    where
        K: CacheKey,
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let tags: Vec<String> = tags.into_iter().map(Into::into).collect();
        if let Some(bad) = tags.iter().find(|tag| !(1..=TAG_BYTES).contains(&tag.len())) {
            return Err(SqlError::Tag { bytes: bad.len() });
        }
        let ids = self
            .record(transaction.into(), cache.namespace(), Kind::Tag, &written(&tags))
            .await?;
        Ok(Owed::tags(self.clone(), cache.clone(), tags, ids))
    }

    /// Adds rows on a connection in a transaction; their numbers.
    async fn record(
        &self,
        transaction: InTransaction<'_>,
        namespace: &str,
        kind: Kind,
        items: &[String],
    ) -> Result<Vec<i64>, SqlError> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let table = Table {
            dialect: transaction.dialect,
            ..self.table.clone()
        };
        let statement = table.record(namespace, kind, items, millis(self.delay));
        let recorded = transaction.connection.fetch(statement).await;
        let rows = recorded.map_err(SqlError::query("recording an invalidation in the outbox"));
        let recorded = sql::recorded(rows.map_err(SqlError::or_no_outbox)?);
        Ok(recorded.into_iter().map(|(id, _)| id).collect())
    }

    /// Runs one statement by itself.
    async fn run(&self, doing: &str, statement: Statement) -> Result<Vec<Row>, SqlError> {
        let work = async {
            let rows = self.pool.0.fetch(statement).await;
            rows.map_err(SqlError::query(doing)).map_err(SqlError::or_no_outbox)
        };
        // Each is as good twice as once, so that it does not matter whether it was committed.
        self.deadline.run(doing, &Doubt::default(), work).await
    }

    /// A task that deletes it, soon: rows whose invalidation the store has acknowledged.
    fn settle(&self, ids: Vec<i64>) {
        self.settled.add(self, ids);
    }
}

/// Keys as they stand in the store, in full: text without control bytes, which every database takes.
fn written<K: CacheKey>(keys: &[K]) -> Vec<String> {
    keys.iter().map(|key| WrittenKey::of(key).full().to_owned()).collect()
}

/// Spans as columns keep them.
fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX / 4)
}
