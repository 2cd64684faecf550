//! What is done under a lock: a row is read, and after a while written, as something that was computed from it.

use std::time::Duration;

use larder_base::{Clock, Random};
use larder_sql::{FencedTx, Fences, Fencing, PgPool, PoolConfig, SqlError};
use larder_testkit::history::Effect;

/// What the longest work takes between its read and its write, in microseconds.
const THINKS_MAX: u64 = 6_000;

const MAKE: &str = "
CREATE TABLE counters (key BIGINT PRIMARY KEY, n BIGINT NOT NULL);
CREATE TABLE effects (place BIGSERIAL PRIMARY KEY, key BIGINT NOT NULL, fence BIGINT NOT NULL)";

/// A counter is set, and the effect noted: its place is drawn while the fence's row is locked.
const WRITE: &str =
    "WITH noted AS (INSERT INTO effects (key, fence) VALUES ($1, $3)) UPDATE counters SET n = $2 WHERE key = $1";

const READ: &str = "SELECT n FROM counters WHERE key = $1";

/// A database with a counter for each of so many keys.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub(super) pool: PgPool,
}

impl Work {
    /// Patient: the machine may be busy with much else.
    pub(super) async fn open(database: &str) -> Self {
        let patience = Duration::from_secs(60);
        let config = PoolConfig::new(database)
            .connections(6)
            .acquire_timeout(patience)
            .connect_timeout(patience);
        // A process that stands still for as long as in these tests is waited for.
        let opened = config
            .statement_timeout(patience)
            .transaction_timeout(patience)
            .open_postgres()
            .await;
        Self {
            pool: opened.expect("the database opens"),
        }
    }

    pub(super) async fn prepare(&self, keys: u64) {
        Fences::new(self.pool.clone()).prepare().await.expect("it can be made");
        sqlx::raw_sql(MAKE).execute(&self.pool).await.expect("it can be made");
        let fill = sqlx::query("INSERT INTO counters SELECT key, 0 FROM generate_series(0, $1 - 1) AS s(key)");
        fill.bind(signed(keys)).execute(&self.pool).await.expect("it is empty");
    }

    /// Adds one, each step under the fence.
    pub(super) async fn add_fenced(&self, key: u64, guard: &impl Fencing, random: &Random) -> Result<(), SqlError> {
        let seen = self.read_fenced(key, guard).await?;
        think(random).await;
        self.write_fenced(key, guard, seen + 1).await
    }

    /// Reads the counter so that nobody from before can write it any more.
    pub(super) async fn read_fenced(&self, key: u64, guard: &impl Fencing) -> Result<i64, SqlError> {
        let mut tx = FencedTx::begin(&self.pool, guard).await?;
        let n = sqlx::query_scalar(READ).bind(signed(key)).fetch_one(&mut *tx).await;
        tx.commit().await?;
        Ok(n.expect("there is one"))
    }

    pub(super) async fn write_fenced(&self, key: u64, guard: &impl Fencing, n: i64) -> Result<(), SqlError> {
        let mut tx = FencedTx::begin(&self.pool, guard).await?;
        let write = sqlx::query(WRITE).bind(signed(key)).bind(n).bind(tx.fence());
        write.execute(&mut *tx).await.expect("there is one");
        tx.commit().await
    }

    /// Adds one, as it is done under a lock that is trusted.
    pub(super) async fn add(&self, key: u64, fence: u64, random: &Random) {
        let seen = self.read(key).await;
        think(random).await;
        self.write(key, fence, seen + 1).await;
    }

    pub(super) async fn read(&self, key: u64) -> i64 {
        let n = sqlx::query_scalar(READ).bind(signed(key)).fetch_one(&self.pool).await;
        n.expect("there is one")
    }

    pub(super) async fn write(&self, key: u64, fence: u64, n: i64) {
        let write = sqlx::query(WRITE).bind(signed(key)).bind(n).bind(signed(fence));
        write.execute(&self.pool).await.expect("there is one");
    }

    /// What took effect, in the database's order.
    pub(super) async fn effects(&self) -> Vec<Effect> {
        let rows: Vec<(i64, i64, i64)> = sqlx::query_as("SELECT key, fence, place FROM effects")
            .fetch_all(&self.pool)
            .await
            .expect("the table is there");
        let effect = |(key, fence, place): (i64, i64, i64)| Effect {
            key: key.unsigned_abs(),
            fence: fence.unsigned_abs(),
            place: place.unsigned_abs(),
        };
        rows.into_iter().map(effect).collect()
    }

    /// Updates that another was written over which had not seen them.
    pub(super) async fn lost_updates(&self) -> i64 {
        let sql = "SELECT (SELECT count(*) FROM effects) - (SELECT sum(n) FROM counters)::bigint";
        sqlx::query_scalar(sql)
            .fetch_one(&self.pool)
            .await
            .expect("the tables are there")
    }

    /// Ends the connections that are locks.
    pub(super) async fn terminate_locks(&self) {
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE application_name = 'larder lock' AND datname = current_database()";
        let _ended: i64 = sqlx::query_scalar(sql).fetch_one(&self.pool).await.expect("it may");
    }

    /// Whether anybody else is connected, as those are for a moment who were killed.
    pub(super) async fn is_alone(&self) -> bool {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL \
                   AND pid <> pg_backend_pid()";
        let others: i64 = sqlx::query_scalar(sql)
            .fetch_one(&self.pool)
            .await
            .expect("it can be asked");
        others == 0
    }
}

async fn think(random: &Random) {
    let span = Duration::from_micros(random.below(THINKS_MAX));
    Clock::system().sleep(span).await;
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).expect("it is far below")
}
