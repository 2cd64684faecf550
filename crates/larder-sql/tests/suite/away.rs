//! A table that nobody gets at: changes that were accepted wait for it, and none of them is refused for good, for a dead letter
//! is a write that readers do not see any more.

use larder_cache::{Change, Sink, SinkErrorKind, Version};
use larder_sql::{PoolConfig, SqlTable};
use serde_json::json;

use crate::{
    databases::{Db, for_each_database},
    reads::{Row, one},
    writes::why,
};

fn named(seq: u64, name: &str) -> Change<i64, Row> {
    Change {
        key: 1,
        version: Version { epoch: 1, seq },
        value: Some(Row::from_iter([("name".to_owned(), json!(name))])),
    }
}

async fn prepared(db: &Db) -> SqlTable {
    db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        .await;
    let table = SqlTable::new(db.pool.clone(), "t");
    table.prepare().namespace("ns").apply().await.expect("prepares");
    table.apply("ns", &[named(1, "before")]).await.expect("applies");
    table
}

async fn waits(table: &SqlTable, change: Change<i64, Row>, because: &str) {
    let refused = table.apply("ns", &[change]).await.expect_err(because);
    assert_eq!(refused.kind(), SinkErrorKind::Retryable, "{because}: {}", why(&refused));
}

#[tokio::test]
async fn changes_wait_for_a_table_that_is_away_for_a_while() {
    for_each_database(async |db| {
        let table = prepared(&db).await;
        let away = [
            ("ALTER TABLE t RENAME TO old", "ALTER TABLE old RENAME TO t"),
            (
                "ALTER TABLE t RENAME COLUMN l_seq TO old",
                "ALTER TABLE t RENAME COLUMN old TO l_seq",
            ),
            (
                "ALTER TABLE larder_applied RENAME TO old",
                "ALTER TABLE old RENAME TO larder_applied",
            ),
        ];
        for (seq, (goes, comes)) in (2..).zip(away) {
            db.run(goes).await;
            // Twice: the first may have known the table as it was.
            waits(&table, named(seq, goes), goes).await;
            waits(&table, named(seq, goes), goes).await;
            db.run(comes).await;
            table.apply("ns", &[named(seq, goes)]).await.expect(comes);
            assert_eq!(one(&table, 1_i64).await, Some(json!({"id": 1, "name": goes})));
        }
    })
    .await;
}

#[tokio::test]
async fn changes_wait_for_a_pool_of_another_process_when_this_one_is_closed() {
    for_each_database(async |db| {
        let table = prepared(&db).await;
        db.pool.close().await;
        waits(&table, named(2, "after"), "a closed pool").await;
    })
    .await;
}

#[tokio::test]
async fn changes_wait_for_a_right_that_was_taken_away() {
    let db = Db::postgres().await;
    prepared(&db).await;
    db.run("CREATE ROLE flusher LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO flusher")
        .await;
    let pool = PoolConfig::new(&db.url.replacen("larder@", "flusher@", 1)).open().await;
    let pool = pool.expect("opens");
    let table = SqlTable::new(pool, "t");
    table.apply("ns", &[named(2, "granted")]).await.expect("applies");
    db.run("REVOKE INSERT, UPDATE ON t FROM flusher").await;
    waits(&table, named(3, "revoked"), "no right to write").await;
    db.run("GRANT INSERT, UPDATE ON t TO flusher").await;
    table.apply("ns", &[named(3, "granted again")]).await.expect("applies");
    let refused = Sink::put(&table, &2_i64, &Row::new()).await.expect_err("no name");
    assert_eq!(refused.kind(), SinkErrorKind::Permanent, "{}", why(&refused));
    drop(table);
    db.run("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM flusher; DROP OWNED BY flusher; DROP ROLE flusher")
        .await;
}

#[tokio::test]
async fn changes_wait_for_a_database_that_is_read_only() {
    let db = Db::sqlite().await;
    prepared(&db).await;
    let pool = PoolConfig::path(&db.url).read_only().open().await.expect("opens");
    waits(&SqlTable::new(pool, "t"), named(2, "after"), "read-only").await;
}

#[tokio::test]
async fn a_column_that_is_added_or_widened_while_changes_are_flushed_takes_them() {
    for_each_database(async |db| {
        let table = prepared(&db).await;
        let mut change = named(2, "wide");
        change
            .value
            .as_mut()
            .expect("a put")
            .insert("email".to_owned(), json!("a@b"));
        let refused = table.apply("ns", &[change.clone()]).await.expect_err("no such column");
        assert_eq!(refused.kind(), SinkErrorKind::Permanent, "{}", why(&refused));
        db.run("ALTER TABLE t ADD COLUMN email TEXT").await;
        table.apply("ns", &[change]).await.expect("the column is there");
        let row = json!({"id": 1, "name": "wide", "email": "a@b"});
        assert_eq!(one(&table, 1_i64).await, Some(row));
        if db.is_postgres() {
            db.run("ALTER TABLE t ADD COLUMN n smallint").await;
            let mut change = named(3, "wide");
            change
                .value
                .as_mut()
                .expect("a put")
                .insert("n".to_owned(), json!(70_000));
            let refused = table.apply("ns", &[change.clone()]).await.expect_err("too wide");
            assert_eq!(refused.kind(), SinkErrorKind::Permanent, "{}", why(&refused));
            db.run("ALTER TABLE t ALTER COLUMN n TYPE bigint").await;
            table.apply("ns", &[change.clone()]).await.expect("it fits");
            db.run("ALTER TABLE t ALTER COLUMN n TYPE jsonb USING to_jsonb(n)")
                .await;
            change.version.seq += 1;
            table.apply("ns", &[change]).await.expect("it fits");
        }
    })
    .await;
}

#[tokio::test]
async fn a_table_that_is_prepared_while_it_is_in_use_is_written_to() {
    for_each_database(async |db| {
        db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
            .await;
        let table = SqlTable::new(db.pool.clone(), "t");
        assert_eq!(one::<_, Row>(&table, 1_i64).await, None, "it has looked at the table");
        let other = SqlTable::new(db.pool.clone(), "t");
        other.prepare().namespace("ns").apply().await.expect("prepares");
        table.apply("ns", &[named(1, "after")]).await.expect("applies");
        assert_eq!(one(&table, 1_i64).await, Some(json!({"id": 1, "name": "after"})));
    })
    .await;
}
