//! What is SQLite's own: types that belong to values, files, one lock for all.

use std::time::Duration;

use larder_sql::{PoolConfig, SqlError, SqlTable};
use serde_json::{Value, json};

use crate::{
    databases::Db,
    reads::{Row, failure, one},
};

#[tokio::test]
async fn uuids_are_found_as_bytes_and_as_text() {
    let db = Db::sqlite().await;
    db.run(
        "CREATE TABLE raw (id BLOB PRIMARY KEY, v INTEGER);
         INSERT INTO raw VALUES (x'0123456789abcdef0123456789abcdef', 1);
         CREATE TABLE written (id TEXT PRIMARY KEY, v INTEGER);
         INSERT INTO written VALUES ('01234567-89ab-cdef-0123-456789abcdef', 2)",
    )
    .await;
    let id = uuid::Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
    let by_bytes: Option<(Vec<u8>, i64)> = one(&SqlTable::new(db.pool.clone(), "raw"), id).await;
    assert_eq!(by_bytes, Some((id.as_bytes().to_vec(), 1)));
    let by_text: Option<(String, i64)> = one(&SqlTable::new(db.pool.clone(), "written"), id).await;
    assert_eq!(by_text, Some((id.to_string(), 2)));
    let raw = SqlTable::new(db.pool, "raw");
    let by_hex: Option<(Value, i64)> = one(&raw, "0123456789abcdef0123456789abcdef".to_owned()).await;
    assert_eq!(by_hex.map(|row| row.1), Some(1));
}

#[tokio::test]
async fn a_column_that_converts_nothing_is_searched_in_every_form() {
    let db = Db::sqlite().await;
    db.run("CREATE TABLE t (k BLOB PRIMARY KEY); INSERT INTO t VALUES (x'0aff'), (7), ('text'), (NULL)")
        .await;
    let table = SqlTable::new(db.pool, "t");
    let keys = table.first_keys(10).await.expect("lists");
    assert_eq!(keys, ["7", "text", "0aff"]);
    assert_eq!(table.rows::<String, Row>(&keys).await.expect("loads").len(), 3);
}

#[tokio::test]
async fn bytes_are_base64_in_a_row() {
    let db = Db::sqlite().await;
    db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, b BLOB); INSERT INTO t VALUES (1, x'0102ff')")
        .await;
    assert_eq!(
        one(&SqlTable::new(db.pool, "t"), 1).await,
        Some(json!({"id": 1, "b": "AQL/"}))
    );
}

#[tokio::test]
async fn a_lock_held_by_another_writer_is_a_retryable_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("locked.db");
    let open = || {
        PoolConfig::path(&path)
            .busy_timeout(Duration::from_millis(20))
            .connections(1)
    };
    let writer = open().create().open_sqlite().await.expect("creates");
    let run = async |sql: &'static str| sqlx::query(sql).execute(&writer).await.expect(sql);
    // A write-ahead log would let the reader read on.
    run("PRAGMA journal_mode = DELETE").await;
    run("CREATE TABLE t (id INTEGER PRIMARY KEY)").await;
    let table = SqlTable::new(open().read_only().open().await.expect("opens"), "t");
    table.schema().await.expect("exists");
    run("BEGIN EXCLUSIVE").await;
    let busy = failure(&table, 1_u64).await;
    assert!(busy.is_retryable(), "{busy:?}");
    run("COMMIT").await;
    assert!(one::<_, Row>(&table, 1_u64).await.is_none());
}

#[tokio::test]
async fn a_missing_file_is_named_and_a_text_is_no_database() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = PoolConfig::path(folder.path().join("odd ?name.db")).open().await;
    let missing = missing.expect_err("no such file").to_string();
    assert!(missing.contains("odd ?name.db"), "{missing}");
    assert!(missing.contains("`PoolConfig::create()` makes one"), "{missing}");
    let path = folder.path().join("text");
    std::fs::write(&path, "no database, just a text that is long enough").expect("writes");
    let text = PoolConfig::path(path).open().await.expect_err("no database");
    assert!(matches!(text, SqlError::Open { .. }), "{text}");
}
