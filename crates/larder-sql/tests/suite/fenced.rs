//! Transactions under a lock: the last word is that of the latest holder, on both databases.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use larder_cache::BoxError;
use larder_kit::lock::{Fence, Lock as _, StoreLock};
use larder_sql::{FencedDatabase, FencedTx, Fences, Fencing, SqlError};
use larder_testkit::{Kind, PgServer, Topology, eventually};
use sqlx::{Executor, IntoArguments};

use crate::databases::{Db, for_each_database};

/// Of a reader.
const NO_FENCE: u64 = u64::MAX;

/// A grant that some lock gave.
struct Grant {
    resource: String,
    fence: u64,
    is_lost: AtomicBool,
}

impl Grant {
    fn of(resource: &str, fence: u64) -> Self {
        Self {
            resource: resource.to_owned(),
            fence,
            is_lost: AtomicBool::new(false),
        }
    }

    fn lose(&self) {
        self.is_lost.store(true, Ordering::SeqCst);
    }
}

impl Fencing for Grant {
    fn resource(&self) -> &str {
        &self.resource
    }

    fn fence(&self) -> Option<u64> {
        (self.fence != NO_FENCE).then_some(self.fence)
    }

    fn check(&self) -> Result<(), BoxError> {
        match self.is_lost.load(Ordering::SeqCst) {
            true => Err("the store gave it away".into()),
            false => Ok(()),
        }
    }
}

/// Calls an async function that is generic over the database with the pool of `db`.
macro_rules! on {
    ($db:expr, $call:ident $(, $argument:expr)*) => {
        match ($db.pool.sqlite(), $db.pool.postgres()) {
            (Some(pool), _) => $call(pool $(, $argument)*).await,
            (_, Some(pool)) => $call(pool $(, $argument)*).await,
            _ => unreachable!("there are two"),
        }
    };
}

/// A table with one row, and the fences.
async fn prepared(db: &Db) {
    Fences::new(db.pool.clone()).prepare().await.expect("it can be made");
    db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, l_fence INTEGER NOT NULL DEFAULT 0)")
        .await;
    db.run("INSERT INTO t (id, n) VALUES (1, 0)").await;
}

/// Sets the row to `n` in a transaction of `grant`, as far as it gets.
async fn set<DB>(pool: &sqlx::Pool<DB>, grant: &Grant, n: i64) -> Result<(), SqlError>
where
    DB: FencedDatabase,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    DB::Arguments: IntoArguments<DB>,
    for<'q> i64: sqlx::Encode<'q, DB> + sqlx::Type<DB>,
{
    let mut tx = FencedTx::begin(pool, grant).await?;
    let set = sqlx::query("UPDATE t SET n = $1 WHERE id = 1").bind(n);
    set.execute(&mut *tx).await.expect("the row is there");
    tx.commit().await
}

#[tokio::test]
async fn a_holder_that_was_overtaken_changes_nothing() {
    for_each_database(async |db| {
        prepared(&db).await;
        let (earlier, later) = (Grant::of("row", 10), Grant::of("row", 11));
        on!(db, set, &earlier, 1).expect("it is the only one");
        on!(db, set, &later, 2).expect("it is the latest");
        let refused = on!(db, set, &earlier, 3).expect_err("it was overtaken");
        assert!(refused.is_fenced() && !refused.is_retryable(), "{refused:?}");
        let said = refused.to_string();
        assert!(
            said.contains("fence 10 came after 11") && said.contains("`lock:#"),
            "{said}"
        );
        on!(db, set, &later, 4).expect("it still is the latest");
        on!(db, set, &Grant::of("another", 1), 5).expect("another lock has its own fences");
        assert_eq!(db.number("SELECT n FROM t").await, 5);
    })
    .await;
}

#[tokio::test]
async fn what_was_read_under_a_lock_keeps_earlier_holders_from_writing() {
    for_each_database(async |db| {
        prepared(&db).await;
        let (paused, reader) = (Grant::of("row", 10), Grant::of("row", 11));
        // It only reads, and has yet to write.
        on!(db, read, &reader);
        on!(db, set, &paused, 1).expect_err("the later one has read");
        assert_eq!(db.number("SELECT n FROM t").await, 0);
    })
    .await;
}

async fn read<DB: FencedDatabase>(pool: &sqlx::Pool<DB>, grant: &Grant) {
    let tx = FencedTx::begin(pool, grant).await.expect("it is the latest");
    tx.commit().await.expect("it is held");
}

#[tokio::test]
async fn a_later_holder_waits_for_a_transaction_that_is_open() {
    for_each_database(async |db| {
        prepared(&db).await;
        on!(db, overtake, &db);
    })
    .await;
}

async fn overtake<DB>(pool: &sqlx::Pool<DB>, db: &Db)
where
    DB: FencedDatabase,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    DB::Arguments: IntoArguments<DB>,
    for<'q> i64: sqlx::Encode<'q, DB> + sqlx::Type<DB>,
{
    let (earlier, later) = (Grant::of("row", 10), Grant::of("row", 11));
    let mut open = FencedTx::begin(pool, &earlier).await.expect("it is the only one");
    let overtaking = tokio::spawn({
        let pool = pool.clone();
        async move { set(&pool, &later, 2).await }
    });
    if db.is_postgres() {
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        eventually(Duration::from_secs(20), async || db.number(waiting).await == 1).await;
    }
    let add = sqlx::query("UPDATE t SET n = n + 40 WHERE id = $1").bind(1_i64);
    add.execute(&mut *open).await.expect("the row is there");
    assert!(!overtaking.is_finished());
    open.commit().await.expect("it began first");
    overtaking.await.expect("no panic").expect("its turn has come");
    assert_eq!(db.number("SELECT n FROM t").await, 2, "the later one has the last word");
}

/// Connections that stood idle while the server was started anew are passed over.
#[tokio::test]
async fn a_transaction_begins_on_a_connection_that_lives() {
    let db = Db::postgres().await;
    prepared(&db).await;
    let pool = db.pool.postgres().expect("it is");
    let grant = Grant::of("row", 10);
    let (first, second) = (
        pool.acquire().await.expect("there are four"),
        pool.acquire().await.expect("there are four"),
    );
    drop((first, second));
    let database = db.url.rsplit('/').next().expect("a URL has a path");
    let end_all = format!("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{database}'");
    let server = PgServer::shared().await;
    let ended: i64 = server.sql("postgres", &end_all).parse().expect("a number");
    assert!(ended >= 2, "{ended}");
    set(pool, &grant, 1).await.expect("there is one that lives");
    // Not through the pool: a plain query may draw one of those that were ended.
    assert_eq!(server.sql(database, "SELECT n FROM t"), "1");
}

#[tokio::test]
async fn nothing_is_begun_or_committed_under_a_lock_that_was_lost() {
    for_each_database(async |db| {
        prepared(&db).await;
        let grant = Grant::of("row", 10);
        on!(db, lose_before_commit, &grant);
        let refused = on!(db, set, &grant, 1).expect_err("it is lost");
        assert!(matches!(refused, SqlError::LockLost { .. }), "{refused:?}");
        assert_eq!(db.number("SELECT n FROM t").await, 0);
        let newest = Fences::new(db.pool.clone())
            .newest("row")
            .await
            .expect("it is prepared");
        assert_eq!(newest, None, "the fence was rolled back with the rest");
    })
    .await;
}

async fn lose_before_commit<DB>(pool: &sqlx::Pool<DB>, grant: &Grant)
where
    DB: FencedDatabase,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    DB::Arguments: IntoArguments<DB>,
    for<'q> i64: sqlx::Encode<'q, DB> + sqlx::Type<DB>,
{
    let mut tx = FencedTx::begin(pool, grant).await.expect("it is held");
    let set = sqlx::query("UPDATE t SET n = $1").bind(7_i64);
    set.execute(&mut *tx).await.expect("there is a row");
    grant.lose();
    let refused = tx.commit().await.expect_err("it was lost meanwhile");
    assert!(refused.is_fenced(), "{refused:?}");
    let why = std::error::Error::source(&refused)
        .expect("the guard says why")
        .to_string();
    assert_eq!(why, "the store gave it away");
}

#[tokio::test]
async fn a_transaction_that_is_dropped_changes_nothing() {
    for_each_database(async |db| {
        prepared(&db).await;
        let grant = Grant::of("row", 10);
        on!(db, begin_and_drop, &grant);
        on!(db, set, &Grant::of("row", 9), 1).expect("the fence of what was dropped does not stand");
        on!(db, set, &grant, 2).expect("it is the latest");
    })
    .await;
}

async fn begin_and_drop<DB: FencedDatabase>(pool: &sqlx::Pool<DB>, grant: &Grant) {
    drop(FencedTx::begin(pool, grant).await.expect("it is the latest"));
    let tx = FencedTx::begin(pool, grant).await.expect("it is the latest");
    tx.rollback().await.expect("the database is there");
}

#[tokio::test]
async fn a_row_with_a_fence_of_its_own_says_that_a_later_holder_wrote_it() {
    for_each_database(async |db| {
        prepared(&db).await;
        // By somebody who keeps to the column, and knows nothing of the table.
        db.run("UPDATE t SET n = 1, l_fence = 20").await;
        let refused = on!(db, set_row, &Grant::of("row", 19)).expect_err("the row is from a later one");
        assert!(matches!(refused, SqlError::Fenced { newest: None, .. }), "{refused:?}");
        on!(db, set_row, &Grant::of("row", 20)).expect("it is the same holder");
        assert_eq!(db.number("SELECT n FROM t").await, 2);
    })
    .await;
}

async fn set_row<DB>(pool: &sqlx::Pool<DB>, grant: &Grant) -> Result<(), SqlError>
where
    DB: FencedDatabase + Counts,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    DB::Arguments: IntoArguments<DB>,
    for<'q> i64: sqlx::Encode<'q, DB> + sqlx::Type<DB>,
{
    let mut tx = FencedTx::begin(pool, grant).await?;
    let set = sqlx::query("UPDATE t SET n = 2, l_fence = $1 WHERE id = 1 AND l_fence <= $1").bind(tx.fence());
    let done = set.execute(&mut *tx).await.expect("the table is there");
    tx.expect_changed(DB::changed(&done))?;
    tx.commit().await
}

trait Counts: sqlx::Database {
    fn changed(result: &Self::QueryResult) -> u64;
}

impl Counts for sqlx::Sqlite {
    fn changed(result: &Self::QueryResult) -> u64 {
        result.rows_affected()
    }
}

impl Counts for sqlx::Postgres {
    fn changed(result: &Self::QueryResult) -> u64 {
        result.rows_affected()
    }
}

/// The one case in which a store's fences go back. Nothing wrong is done, and what the database has seen brings the store forward.
#[tokio::test]
async fn a_store_that_lost_its_fences_and_whose_clock_is_behind_is_told_of_them() {
    for_each_database(async |db| {
        prepared(&db).await;
        let t = Topology::start(Kind::Embedded).await;
        let lock = StoreLock::builder("rows")
            .store(&t.store().await)
            .build()
            .expect("the settings are right");
        let guard = lock.acquire(&1).await.expect("it is free");
        on!(db, begin_on, &guard).expect("it is the first");
        guard.release().await.expect("it answers");

        t.wire().call(&["FLUSHALL"]).expect("it cannot fail");
        t.clock().as_manual().expect("it can be moved").step_wall(-3_600);
        let guard = lock.acquire(&1).await.expect("it is free");
        let refused = on!(db, begin_on, &guard).expect_err("a higher fence was here");
        let SqlError::Fenced {
            newest: Some(newest), ..
        } = refused
        else {
            panic!("{refused:?}")
        };
        lock.raise_fence(&1, Fence::new(newest)).await.expect("it answers");
        guard.release().await.expect("it answers");
        let guard = lock.acquire(&1).await.expect("it is free");
        on!(db, begin_on, &guard).expect("it is the latest");
        guard.release().await.expect("it answers");
    })
    .await;
}

#[tokio::test]
async fn fences_are_prepared_asked_for_and_forgotten() {
    for_each_database(async |db| {
        let fences = Fences::new(db.pool.clone());
        let hostile = "'; DROP TABLE t; -- \"{}\"";
        let refused = on!(db, begin_on, &Grant::of(hostile, 1)).expect_err("there is no table");
        assert!(matches!(refused, SqlError::NoFences { .. }), "{refused:?}");
        assert!(matches!(fences.newest(hostile).await, Err(SqlError::NoFences { .. })));
        prepared(&db).await;
        let refused = on!(db, begin_on, &Grant::of("read", NO_FENCE)).expect_err("it has no fence");
        assert!(matches!(refused, SqlError::NoFence { .. }), "{refused:?}");
        fences.prepare().await.expect("once more does no harm");
        let highest = u64::try_from(i64::MAX).expect("it is positive");
        for (resource, fence) in [(hostile, highest), ("", 0), ("old", 5)] {
            on!(db, set, &Grant::of(resource, fence), 1).expect("it is the first");
            assert_eq!(fences.newest(resource).await.expect("it is prepared"), Some(fence));
        }
        db.run("UPDATE larder_fences SET raised_at = raised_at - 86400001 WHERE resource = 'old'")
            .await;
        let day = Duration::from_secs(86_400);
        assert_eq!(fences.forget(day).await.expect("it is prepared"), 1);
        assert_eq!(fences.newest("old").await.expect("it is prepared"), None);
        assert_eq!(fences.newest(hostile).await.expect("it is prepared"), Some(highest));
    })
    .await;
}

async fn begin_on<DB: FencedDatabase>(pool: &sqlx::Pool<DB>, grant: &impl Fencing) -> Result<(), SqlError> {
    FencedTx::begin(pool, grant).await?.commit().await
}
