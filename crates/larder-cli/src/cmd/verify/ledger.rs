//! The source of writes behind: a table in SQLite, prepared for versions, with a history that the database itself keeps.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use larder_base::{Clock, Random};
use larder_cache::{BoxError, Change, Sink, SinkError, Source as _, Version};
use larder_sql::{PoolConfig, SqlTable};
use larder_testkit::{
    OwnFolder,
    history::{Event, Taken},
    verify::Rows,
};
use serde::{Deserialize, Serialize};
use sqlx::SqlitePool;

use crate::failure::{Failure, Outcome};

/// A commit takes up to so long, beside what SQLite needs: most kills then meet one.
const COMMIT_MAX: Duration = Duration::from_millis(20);

const TABLE: &str = "CREATE TABLE numbers (id INTEGER PRIMARY KEY, value INTEGER NOT NULL)";

/// Every value that a row was ever given, in the order in which that happened: written by the database, not by who writes.
const HISTORY: [&str; 3] = [
    "CREATE TABLE history (place INTEGER PRIMARY KEY AUTOINCREMENT, id INTEGER, value INTEGER, epoch INTEGER, seq INTEGER)",
    "CREATE TRIGGER numbers_come AFTER INSERT ON numbers BEGIN INSERT INTO history (id, value, epoch, seq) \
     VALUES (new.id, new.value, new.l_epoch, new.l_seq); END",
    "CREATE TRIGGER numbers_change AFTER UPDATE ON numbers BEGIN INSERT INTO history (id, value, epoch, seq) \
     VALUES (new.id, new.value, new.l_epoch, new.l_seq); END",
];

/// The database, as one process has it open; clones share its connections.
#[derive(Clone)]
pub(super) struct Ledger {
    pool: SqlitePool,
    table: SqlTable,
    file: Arc<File>,
}

/// What all processes share. A file: a process that is killed takes its connections with it.
struct File {
    folder: OwnFolder,
    clock: Clock,
    random: Random,
    /// Up to where `history` was told.
    told: AtomicI64,
}

#[derive(Serialize, Deserialize)]
struct Number {
    value: u64,
}

impl Ledger {
    /// An empty one that belongs to `namespace`.
    pub(super) async fn open(namespace: &str, clock: &Clock, random: &Random) -> Outcome<Self> {
        let folder = OwnFolder::new().map_err(|error| Failure::new(error).heading("a folder for the database"))?;
        let file = Arc::new(File {
            folder,
            clock: clock.clone(),
            random: random.clone(),
            told: AtomicI64::new(0),
        });
        let ledger = Self::connect(file).await?;
        sqlx::query(TABLE).execute(&ledger.pool).await?;
        ledger.table.prepare().namespace(namespace).apply().await?;
        for sql in HISTORY {
            sqlx::query(sql).execute(&ledger.pool).await?;
        }
        Ok(ledger)
    }

    /// The same database, as another process opens it.
    pub(super) async fn again(&self) -> Outcome<Self> {
        Self::connect(self.file.clone()).await
    }

    async fn connect(file: Arc<File>) -> Outcome<Self> {
        let path = file.folder.path().join("numbers.db");
        let pool = PoolConfig::path(path).create().open_sqlite().await?;
        let table = SqlTable::new(pool.clone(), "numbers");
        Ok(Self { pool, table, file })
    }

    /// The value of `key`; 0 if it has none.
    pub(super) async fn value(&self, key: u64) -> Result<u64, BoxError> {
        let row: Option<Number> = self.table.load(&key).await?;
        Ok(row.map_or(0, |row| row.value))
    }

    /// `UPDATE`, as a queue written by hand does it: without a version.
    pub(super) async fn overwrite(&self, writes: &[(u64, u64)]) -> Result<(), sqlx::Error> {
        self.pause().await;
        let mut writing = self.pool.begin().await?;
        for (key, value) in writes {
            sqlx::query(
                "INSERT INTO numbers (id, value) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET value = excluded.value",
            )
            .bind(key.cast_signed())
            .bind(value.cast_signed())
            .execute(&mut *writing)
            .await?;
        }
        writing.commit().await?;
        self.pause().await;
        Ok(())
    }

    /// Tells `rows` what the table has, and has had since it told it last.
    pub(super) async fn tell(&self, rows: &Rows) {
        let told = self.history(rows).await;
        told.expect("a database of one's own can be read");
    }

    async fn history(&self, rows: &Rows) -> Result<(), sqlx::Error> {
        type Step = (i64, i64, i64, Option<i64>, Option<i64>);
        let since = "SELECT place, id, value, epoch, seq FROM history WHERE place > ? ORDER BY place";
        let history: Vec<Step> = sqlx::query_as(since)
            .bind(self.file.told.load(Ordering::Acquire))
            .fetch_all(&self.pool)
            .await?;
        for (place, key, value, epoch, seq) in history {
            self.file.told.store(place, Ordering::Release);
            let [place, key, value] = [place, key, value].map(i64::unsigned_abs);
            if let Some((epoch, seq)) = epoch.zip(seq).filter(|(epoch, _)| *epoch > 0) {
                let (epoch, seq) = (epoch.unsigned_abs(), seq.unsigned_abs());
                rows.place(value, as_number(Version { epoch, seq }));
            }
            let version = value;
            rows.recorder().note(Event::Taken(Taken { key, version, place }));
        }
        let table: Vec<(i64, i64)> = sqlx::query_as("SELECT id, value FROM numbers")
            .fetch_all(&self.pool)
            .await?;
        for (key, value) in table {
            rows.rest(key.unsigned_abs(), value.unsigned_abs());
        }
        Ok(())
    }

    async fn pause(&self) {
        self.file
            .clock
            .sleep(COMMIT_MAX.mul_f64(self.file.random.unit() / 2.0))
            .await;
    }
}

/// A version as one number in the same order. Below two to the 32nd each: a run draws a few epochs and counts its writes.
pub(super) const fn as_number(version: Version) -> u64 {
    version.epoch << 32 | version.seq
}

impl Sink<u64, u64> for Ledger {
    async fn put(&self, _: &u64, _: &u64) -> Result<(), SinkError> {
        Err(SinkError::unsupported("takes versioned changes alone"))
    }

    async fn remove(&self, _: &u64) -> Result<bool, SinkError> {
        Err(SinkError::unsupported("takes versioned changes alone"))
    }

    async fn claim_epoch(&self, namespace: &str) -> Result<u64, SinkError> {
        Sink::<u64, Number>::claim_epoch(&self.table, namespace).await
    }

    async fn apply(&self, namespace: &str, changes: &[Change<u64, u64>]) -> Result<(), SinkError> {
        let changes: Vec<Change<u64, Number>> = changes
            .iter()
            .map(|change| Change {
                key: change.key,
                version: change.version,
                value: change.value.map(|value| Number { value }),
            })
            .collect();
        self.pause().await;
        self.table.apply(namespace, &changes).await?;
        self.pause().await;
        Ok(())
    }
}
