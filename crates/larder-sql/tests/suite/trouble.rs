//! What a failed write says of itself: nothing happened and it may be tried again, never, or nobody knows.

use std::time::Duration;

use larder_cache::{Change, Sink, SinkError, SinkErrorKind, Version};
use larder_sql::{Pool, PoolConfig, SqlTable};
use larder_testkit::{PgServer, Proxy, eventually};
use serde_json::json;

use crate::{
    databases::Db,
    reads::{Row, one},
    writes::why,
};

const SOON: Duration = Duration::from_secs(20);

fn row(v: &str) -> Row {
    Row::from_iter([("v".to_owned(), json!(v))])
}

async fn put(table: &SqlTable, key: i64, v: &str) -> Result<(), SinkError> {
    Sink::put(table, &key, &row(v)).await
}

async fn run(pool: &Pool, sql: &'static str) {
    sqlx::raw_sql(sql)
        .execute(pool.postgres().expect("it is"))
        .await
        .expect(sql);
}

#[tokio::test]
async fn what_the_server_says_decides() {
    let db = Db::postgres().await;
    run(
        &db.pool,
        "CREATE TABLE t (id bigint PRIMARY KEY, v text);
         CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = NEW.v; END $$;
         CREATE TRIGGER fail BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION fail()",
    )
    .await;
    let table = SqlTable::new(db.pool, "t");
    let kinds = [
        (
            SinkErrorKind::Retryable,
            [
                "40001", "40P01", "53100", "53300", "57014", "55P03", "25006", "58030", "08006",
            ]
            .as_slice(),
        ),
        (
            SinkErrorKind::Permanent,
            ["22003", "23505", "23514", "42501", "54000", "P0001", "XX000"].as_slice(),
        ),
        (SinkErrorKind::InDoubt, ["40003", "08007"].as_slice()),
    ];
    for (kind, codes) in kinds {
        for code in codes {
            let failed = put(&table, 1, code).await.expect_err("it raises");
            assert_eq!(failed.kind(), kind, "{code}: {}", why(&failed));
        }
    }
}

/// A table behind a proxy, whose writes wait at the named moment until the lock 1 is free.
struct Stuck {
    server: &'static PgServer,
    database: String,
    proxy: Proxy,
    direct: Pool,
    table: SqlTable,
}

impl Stuck {
    async fn before(moment: &str) -> Self {
        let server = PgServer::shared().await;
        let url = server.database();
        let database = url.rsplit('/').next().expect("a URL has a path").to_owned();
        let proxy = Proxy::start(server.port()).await.expect("loopback has a free port");
        let direct = PoolConfig::new(&url).open().await.expect("opens");
        run(&direct, "CREATE TABLE t (id bigint PRIMARY KEY, v text)").await;
        let near = url.replace(&server.port().to_string(), &proxy.port().to_string());
        let pool = PoolConfig::new(&near)
            .application_name("stuck")
            .open()
            .await
            .expect("opens");
        let table = SqlTable::new(pool, "t").deadline(SOON);
        table.prepare().namespace("ns").apply().await.expect("prepares");
        table.schema().await.expect("exists");
        server.sql(
            &database,
            &format!(
                "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NEW; END $$; \
                 CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON t {moment} FOR EACH ROW EXECUTE FUNCTION wait()"
            ),
        );
        Self {
            server,
            database,
            proxy,
            direct,
            table,
        }
    }

    /// Waits until the write stands still there.
    async fn is_waiting(&self) {
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'stuck' AND wait_event = 'advisory' AND datname = current_database()";
        eventually(SOON, async || self.server.sql(&self.database, waits) == "1").await;
    }

    async fn apply(&self) -> Result<(), SinkError> {
        let change = Change {
            key: 1_i64,
            version: Version { epoch: 1, seq: 1 },
            value: Some(row("x")),
        };
        self.table.apply("ns", &[change]).await
    }

    async fn lands(&self) {
        let table = SqlTable::new(self.direct.clone(), "t");
        eventually(SOON, async || one::<_, Row>(&table, 1_i64).await.is_some()).await;
    }
}

const AT_ONCE: &str = "NOT DEFERRABLE";
const AT_COMMIT: &str = "DEFERRABLE INITIALLY DEFERRED";

/// Holds lock 1 of a database until dropped.
async fn hold(stuck: &Stuck) -> sqlx::pool::PoolConnection<sqlx::Postgres> {
    let mut holder = stuck
        .direct
        .postgres()
        .expect("it is")
        .acquire()
        .await
        .expect("connects");
    sqlx::query("SELECT pg_advisory_lock(1)")
        .execute(&mut *holder)
        .await
        .expect("locks");
    holder
}

async fn free(mut holder: sqlx::pool::PoolConnection<sqlx::Postgres>) {
    sqlx::query("SELECT pg_advisory_unlock(1)")
        .execute(&mut *holder)
        .await
        .expect("unlocks");
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_in_doubt() {
    let stuck = Stuck::before(AT_COMMIT).await;
    let holder = hold(&stuck).await;
    let (applied, ()) = tokio::join!(stuck.apply(), async {
        stuck.is_waiting().await;
        stuck.proxy.reset();
    });
    let failed = applied.expect_err("the answer is lost");
    assert_eq!(failed.kind(), SinkErrorKind::InDoubt, "{}", why(&failed));
    free(holder).await;
    // It was committed; once more does no harm and says so.
    stuck.lands().await;
    stuck.apply().await.expect("applies");
}

#[tokio::test]
async fn a_deadline_that_passes_during_a_commit_leaves_doubt() {
    let stuck = Stuck::before(AT_COMMIT).await;
    let holder = hold(&stuck).await;
    let hurried = SqlTable::new(stuck.direct.clone(), "t").deadline(Duration::from_millis(300));
    hurried.schema().await.expect("exists");
    let failed = put(&hurried, 1, "x").await.expect_err("it waits");
    assert_eq!(failed.kind(), SinkErrorKind::InDoubt, "{}", why(&failed));
    free(holder).await;
}

#[tokio::test]
async fn a_connection_lost_before_the_commit_changed_nothing() {
    let stuck = Stuck::before(AT_ONCE).await;
    let holder = hold(&stuck).await;
    let (applied, ()) = tokio::join!(stuck.apply(), async {
        stuck.is_waiting().await;
        stuck.proxy.reset();
    });
    let failed = applied.expect_err("the connection is lost");
    assert_eq!(failed.kind(), SinkErrorKind::Retryable, "{}", why(&failed));
    free(holder).await;
    stuck.apply().await.expect("applies");
    stuck.lands().await;
}

/// A removal that passed a put on its way would find no row, and the put would bring back what was removed.
#[tokio::test]
async fn a_removal_waits_for_an_older_put_that_is_on_its_way() {
    let stuck = Stuck::before(AT_ONCE).await;
    let holder = hold(&stuck).await;
    let removal = async {
        stuck.is_waiting().await;
        let direct = SqlTable::new(stuck.direct.clone(), "t").deadline(SOON);
        let newer = Version { epoch: 1, seq: 2 };
        let removal = Change::<i64, Row> {
            key: 1,
            version: newer,
            value: None,
        };
        let (removed, ()) = tokio::join!(direct.apply("ns", std::slice::from_ref(&removal)), async {
            let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
                         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
            let done = "SELECT count(*) FROM larder_applied";
            eventually(SOON, async || {
                // It stands behind the put, or it has passed.
                stuck.server.sql(&stuck.database, waits) == "2" || stuck.server.sql(&stuck.database, done) == "1"
            })
            .await;
            free(holder).await;
        });
        removed.expect("applies");
    };
    let (applied, ()) = tokio::join!(stuck.apply(), removal);
    applied.expect("applies");
    assert_eq!(
        one::<_, Row>(&SqlTable::new(stuck.direct.clone(), "t"), 1_i64).await,
        None
    );
}

/// A single statement commits by itself, so that losing its answer says nothing about it.
#[tokio::test]
async fn a_single_statement_whose_answer_is_lost_is_in_doubt() {
    let stuck = Stuck::before(AT_ONCE).await;
    let holder = hold(&stuck).await;
    let (written, ()) = tokio::join!(put(&stuck.table, 1, "x"), async {
        stuck.is_waiting().await;
        stuck.proxy.reset();
    });
    let failed = written.expect_err("the answer is lost");
    assert_eq!(failed.kind(), SinkErrorKind::InDoubt, "{}", why(&failed));
    free(holder).await;
    stuck.lands().await;
}

#[tokio::test]
async fn a_server_that_is_away_took_nothing() {
    let mut server = PgServer::start().await;
    let pool = PoolConfig::new(&server.database())
        .acquire_timeout(Duration::from_millis(500))
        .open()
        .await;
    let pool = pool.expect("opens");
    run(&pool, "CREATE TABLE t (id bigint PRIMARY KEY, v text)").await;
    let table = SqlTable::new(pool, "t").deadline(SOON);
    put(&table, 1, "x").await.expect("puts");
    server.kill();
    // The first may be sent on a connection that is dead already, which is not known before; the second is not sent.
    let _ = put(&table, 1, "y").await;
    eventually(SOON, async || {
        let failed = put(&table, 1, "y").await.expect_err("it is down");
        failed.kind() == SinkErrorKind::Retryable
    })
    .await;
    server.restart().await;
    eventually(SOON, async || put(&table, 1, "z").await.is_ok()).await;
    assert_eq!(one(&table, 1_i64).await, Some(json!({"id": 1, "v": "z"})));
}

#[tokio::test]
async fn a_lock_held_by_another_writer_of_sqlite_is_worth_another_try() {
    let db = Db::sqlite().await;
    db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)").await;
    let pool = PoolConfig::new(&db.url)
        .busy_timeout(Duration::from_millis(20))
        .open()
        .await
        .expect("opens");
    let table = SqlTable::new(pool, "t");
    table.prepare().namespace("ns").apply().await.expect("prepares");
    let mut writer = db
        .pool
        .sqlite()
        .expect("it is")
        .begin_with("BEGIN IMMEDIATE")
        .await
        .expect("locks");
    sqlx::query("INSERT INTO t (id, v) VALUES (7, 'mine')")
        .execute(&mut *writer)
        .await
        .expect("writes");
    let change = Change {
        key: 1_i64,
        version: Version { epoch: 1, seq: 1 },
        value: Some(row("x")),
    };
    for failed in [
        put(&table, 1, "x").await.expect_err("it is locked"),
        table
            .apply("ns", std::slice::from_ref(&change))
            .await
            .expect_err("it is locked"),
    ] {
        assert_eq!(failed.kind(), SinkErrorKind::Retryable, "{}", why(&failed));
    }
    writer.commit().await.expect("commits");
    table.apply("ns", &[change]).await.expect("applies");
    assert_eq!(one(&table, 1_i64).await, Some(json!({"id": 1, "v": "x"})));
}

/// A table prepared for the namespace `ns`, behind one connection.
async fn alone(settings: fn(PoolConfig) -> PoolConfig) -> (Db, SqlTable) {
    let db = Db::postgres().await;
    run(&db.pool, "CREATE TABLE t (id bigint PRIMARY KEY, v text)").await;
    let pool = settings(PoolConfig::new(&db.url).connections(1)).open().await;
    let table = SqlTable::new(pool.expect("opens"), "t");
    table.prepare().namespace("ns").apply().await.expect("prepares");
    (db, table)
}

async fn apply(table: &SqlTable, v: Option<&str>) -> Result<(), SinkError> {
    let change = Change {
        key: 1_i64,
        version: Version { epoch: 1, seq: 1 },
        value: v.map(row),
    };
    table.apply("ns", &[change]).await
}

#[tokio::test]
async fn a_lock_that_was_not_granted_leaves_its_connection_usable() {
    let (db, table) = alone(|config| config.statement_timeout(Duration::from_millis(300))).await;
    let mut holder = db.pool.postgres().expect("it is").begin().await.expect("begins");
    sqlx::query("SELECT pg_advisory_xact_lock_shared(1818325604, 't'::regclass::oid::int4)")
        .execute(&mut *holder)
        .await
        .expect("is free");
    let refused = apply(&table, None).await.expect_err("a removal waits for the lock");
    assert_eq!(refused.kind(), SinkErrorKind::Retryable, "{}", why(&refused));
    holder.rollback().await.expect("ends");
    apply(&table, Some("x")).await.expect("the connection is as before");
    assert_eq!(one(&table, 1_i64).await, Some(json!({"id": 1, "v": "x"})));
}

#[tokio::test]
async fn a_table_that_was_away_leaves_its_connection_usable() {
    let (db, table) = alone(|config| config).await;
    apply(&table, Some("x")).await.expect("applies");
    run(&db.pool, "ALTER TABLE t RENAME TO away").await;
    let refused = apply(&table, Some("x")).await.expect_err("it is away");
    assert!(!why(&refused).contains("aborted"), "{}", why(&refused));
    run(&db.pool, "ALTER TABLE away RENAME TO t").await;
    apply(&table, Some("x")).await.expect("the connection is as before");
}
