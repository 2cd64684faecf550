//! The transactional outbox: what was committed is invalidated, whoever dies.

mod killed;
mod recording;
mod relaying;
mod trouble;

use std::time::Duration;

use larder_cache::Cache;
use larder_sql::{Outbox, OutboxLag, Owed, SqlTable};
use larder_store::Store;
use sqlx::AssertSqlSafe;

use crate::databases::Db;

/// Bounds a hang and nothing else.
const SOON: Duration = Duration::from_secs(60);

/// A row of the table `t`, whose column `v` counts.
type Row = (i64, i64);

pub(crate) async fn store() -> Store {
    Store::open("embedded:").await.expect("opens")
}

/// A cache of the table `t`, which is read and not written.
async fn cache(store: &Store, db: &Db, namespace: &str) -> Cache<i64, Row> {
    let table = SqlTable::new(db.pool.clone(), "t");
    let builder = Cache::builder(namespace).store(store).ttl(Duration::from_secs(3600));
    builder.source(ReadOnly(table)).build().await.expect("builds")
}

/// A source that brings no sink: the test writes by SQL of its own.
struct ReadOnly(SqlTable);

impl larder_cache::Source<i64, Row> for ReadOnly {
    async fn load(&self, key: &i64) -> Result<Option<Row>, larder_cache::BoxError> {
        larder_cache::Source::load(&self.0, key).await
    }
}

/// The table `t` with the row 1, and an outbox whose rows are due at once.
async fn prepared(db: &Db) -> Outbox {
    db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER NOT NULL)")
        .await;
    db.run("INSERT INTO t VALUES (1, 1), (2, 1), (3, 1)").await;
    let outbox = Outbox::new(db.pool.clone()).delay(Duration::ZERO).deadline(SOON);
    outbox.prepare().await.expect("prepares");
    outbox
}

/// The value of `key` as the cache has it.
async fn v(cache: &Cache<i64, Row>, key: i64) -> i64 {
    cache.get(&key).await.expect("reads").expect("it is there").1
}

/// How many rows are in the outbox.
async fn rows(db: &Db) -> i64 {
    db.number("SELECT count(*) FROM larder_outbox").await
}

async fn lag(outbox: &Outbox) -> Vec<OutboxLag> {
    outbox.lag().await.expect("measures")
}

/// What a test does at the end of a transaction.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Commit,
    RollBack,
}

/// Makes the value of the row 1 `v`, by statements of one's own, and records that it is to be invalidated.
async fn write(db: &Db, outbox: &Outbox, cache: &Cache<i64, Row>, v: i64, end: End) -> Owed<i64, Row> {
    macro_rules! within {
        ($pool:expr) => {{
            let mut transaction = $pool.begin().await.expect("begins");
            let sql = AssertSqlSafe(format!("UPDATE t SET v = {v} WHERE id = 1"));
            sqlx::query(sql).execute(&mut *transaction).await.expect("updates");
            let owed = outbox.invalidate(&mut transaction, cache, &1).await.expect("records");
            match end {
                End::Commit => transaction.commit().await.expect("commits"),
                End::RollBack => transaction.rollback().await.expect("rolls back"),
            }
            owed
        }};
    }
    match (db.pool.sqlite(), db.pool.postgres()) {
        (Some(pool), _) => within!(pool),
        (_, Some(pool)) => within!(pool),
        _ => unreachable!("there are two"),
    }
}
