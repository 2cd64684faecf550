//! Any table can be read by its key, whatever it and its columns are called, and no name or key runs as SQL.

use std::{collections::HashMap, time::Duration};

use larder_base::CacheKey;
use larder_sql::{PoolConfig, SqlError, SqlTable, SqlitePool};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

type Row = Map<String, Value>;

/// A database in memory after these statements.
async fn database(statements: &'static [&'static str]) -> SqlitePool {
    let pool = PoolConfig::in_memory().open().await.expect("opens");
    for statement in statements {
        sqlx::query(*statement).execute(&pool).await.expect(statement);
    }
    pool
}

async fn one<K: CacheKey, V: DeserializeOwned>(table: &SqlTable, key: K) -> Option<V> {
    let mut rows = table.rows(&[key]).await.expect("loads");
    assert!(rows.len() <= 1);
    rows.pop().map(|(_, row)| row)
}

async fn failure<K: CacheKey>(table: &SqlTable, key: K) -> SqlError {
    table.rows::<K, Value>(&[key]).await.expect_err("must fail")
}

#[tokio::test]
async fn the_primary_key_is_found_by_itself() {
    let pool = database(&[
        "CREATE TABLE users (name TEXT, id INTEGER PRIMARY KEY, score REAL)",
        "INSERT INTO users VALUES ('Ada', 42, 1.5)",
    ])
    .await;
    let users = SqlTable::new(pool, "users");
    assert_eq!(
        one(&users, 42_u64).await,
        Some(json!({"name": "Ada", "id": 42, "score": 1.5}))
    );
    assert_eq!(one::<_, Value>(&users, 43_u64).await, None);
    assert_eq!(one::<_, Value>(&users, u64::MAX).await, None);
}

#[tokio::test]
async fn odd_names_text_keys_nulls_and_blobs_are_read_as_they_are() {
    let pool = database(&[
        r#"CREATE TABLE "order" ("größe; drop" BLOB, "the ""key""" TEXT PRIMARY KEY, "select" TEXT)"#,
        r#"INSERT INTO "order" VALUES (x'0102ff', 'a''b; --', NULL)"#,
    ])
    .await;
    let orders = SqlTable::new(pool, "order");
    let expected = json!({"größe; drop": "AQL/", "the \"key\"": "a'b; --", "select": null});
    assert_eq!(one(&orders, "a'b; --".to_owned()).await, Some(expected));
}

#[tokio::test]
async fn hostile_names_are_errors_that_list_what_exists() {
    let pool = database(&[
        "CREATE TABLE x (id INTEGER PRIMARY KEY)",
        "CREATE TABLE y (id INTEGER PRIMARY KEY)",
    ])
    .await;
    let hostile = failure(&SqlTable::new(pool.clone(), "x; drop table x"), 1_u64)
        .await
        .to_string();
    assert!(
        hostile.contains(r#"no table "x; drop table x""#) && hostile.contains(r#"it has "x", "y""#),
        "{hostile}"
    );
    assert!(hostile.contains("never runs as SQL"), "{hostile}");
    let column = failure(&SqlTable::new(pool.clone(), "x").key("id\" OR 1=1 --"), 1_u64)
        .await
        .to_string();
    assert!(
        column.contains("has no column") && column.contains(r#"it has "id""#),
        "{column}"
    );
    let still: i64 = sqlx::query_scalar("SELECT count(*) FROM x")
        .fetch_one(&pool)
        .await
        .expect("x still exists");
    assert_eq!(still, 0);
}

#[tokio::test]
async fn a_table_without_primary_key_needs_a_named_one() {
    let pool = database(&[
        "CREATE TABLE log (at INTEGER, what TEXT)",
        "INSERT INTO log VALUES (1, 'a'), (2, 'b'), (2, 'c')",
    ])
    .await;
    let unnamed = failure(&SqlTable::new(pool.clone(), "log"), 1_u64).await;
    assert!(matches!(unnamed, SqlError::NoKey { .. }), "{unnamed}");
    let log = SqlTable::new(pool, "log").key("at");
    assert_eq!(one(&log, 1_u64).await, Some(json!({"at": 1, "what": "a"})));
    let twice = failure(&log, 2_u64).await;
    assert!(matches!(twice, SqlError::NotUnique { .. }), "{twice}");
}

#[tokio::test]
async fn composite_keys_are_tuples() {
    let pool = database(&[
        "CREATE TABLE seat (place INTEGER, hall TEXT, free INTEGER, PRIMARY KEY (hall, place))",
        "INSERT INTO seat VALUES (1, 'A', 0), (2, 'A', 1), (1, 'B', 1)",
    ])
    .await;
    let seats = SqlTable::new(pool, "seat").columns(["free"]);
    let key = |hall: &str, place: u32| (hall.to_owned(), place);
    let found: Vec<((String, u32), Row)> = seats
        .rows(&[key("A", 2), key("B", 1), key("B", 2)])
        .await
        .expect("loads");
    let keys: Vec<_> = found.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(keys, [key("A", 2), key("B", 1)]);
    assert_eq!(found[0].1.get("free"), Some(&json!(1)));
    let single = failure(&seats, 1_u64).await.to_string();
    assert!(
        single.contains(r#""hall", "place""#) && single.contains("tuple"),
        "{single}"
    );
}

#[tokio::test]
async fn uuids_are_found_as_bytes_and_as_text() {
    let pool = database(&[
        "CREATE TABLE raw (id BLOB PRIMARY KEY, v INTEGER)",
        "INSERT INTO raw VALUES (x'0123456789abcdef0123456789abcdef', 1)",
        "CREATE TABLE written (id TEXT PRIMARY KEY, v INTEGER)",
        "INSERT INTO written VALUES ('01234567-89ab-cdef-0123-456789abcdef', 2)",
    ])
    .await;
    let id = uuid::Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
    let by_bytes: Option<(Vec<u8>, i64)> = one(&SqlTable::new(pool.clone(), "raw"), id).await;
    assert_eq!(by_bytes, Some((id.as_bytes().to_vec(), 1)));
    let by_text: Option<(String, i64)> = one(&SqlTable::new(pool.clone(), "written"), id).await;
    assert_eq!(by_text, Some((id.to_string(), 2)));
    let by_hex: Option<(Value, i64)> = one(
        &SqlTable::new(pool, "raw"),
        "0123456789abcdef0123456789abcdef".to_owned(),
    )
    .await;
    assert_eq!(by_hex.map(|row| row.1), Some(1));
}

/// An entry under another spelling would outlive the invalidation of the true key.
#[tokio::test]
async fn a_key_in_another_spelling_finds_nothing() {
    let pool = database(&[
        "CREATE TABLE users (name TEXT PRIMARY KEY COLLATE NOCASE)",
        "INSERT INTO users VALUES ('Ada')",
        "CREATE TABLE numbers (n INTEGER PRIMARY KEY)",
        "INSERT INTO numbers VALUES (7)",
    ])
    .await;
    let users = SqlTable::new(pool.clone(), "users");
    assert!(one::<_, Row>(&users, "Ada".to_owned()).await.is_some());
    assert!(one::<_, Row>(&users, "ADA".to_owned()).await.is_none());
    let numbers = SqlTable::new(pool, "numbers");
    assert!(one::<_, Row>(&numbers, "7".to_owned()).await.is_some());
    assert!(one::<_, Row>(&numbers, "07".to_owned()).await.is_none());
}

#[tokio::test]
async fn a_batch_larger_than_one_statement_comes_back_whole() {
    let pool = database(&[
        "CREATE TABLE n (id INTEGER PRIMARY KEY, twice INTEGER)",
        "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 3000) INSERT INTO n SELECT i, i * 2 FROM c",
    ])
    .await;
    let keys: Vec<u32> = (0..3_500).rev().collect();
    let found: HashMap<u32, (u32, u32)> = SqlTable::new(pool, "n")
        .rows(&keys)
        .await
        .expect("loads")
        .into_iter()
        .collect();
    assert_eq!(found.len(), 3_000);
    assert!(found.iter().all(|(key, row)| *row == (*key, key * 2)));
}

#[tokio::test]
async fn a_changed_table_is_looked_at_again() {
    let pool = database(&[
        "CREATE TABLE t (id INTEGER PRIMARY KEY, old TEXT)",
        "INSERT INTO t VALUES (1, 'x')",
    ])
    .await;
    let table = SqlTable::new(pool.clone(), "t");
    assert_eq!(one(&table, 1_u64).await, Some(json!({"id": 1, "old": "x"})));
    sqlx::query("ALTER TABLE t RENAME COLUMN old TO new")
        .execute(&pool)
        .await
        .expect("renames");
    assert_eq!(one(&table, 1_u64).await, Some(json!({"id": 1, "new": "x"})));
}

#[tokio::test]
async fn a_misfit_names_the_column_but_not_the_value() {
    let pool = database(&[
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n)",
        "INSERT INTO t VALUES (1, 'secret')",
    ])
    .await;
    let failed = SqlTable::new(pool, "t")
        .rows::<u64, (u64, u64)>(&[1])
        .await
        .expect_err("text is no number");
    let shown = failed.to_string();
    assert!(shown.contains(r#"column "n""#) && !shown.contains("secret"), "{shown}");
    assert!(!failed.is_retryable());
}

#[tokio::test]
async fn the_first_keys_find_their_rows_again() {
    let pool = database(&[
        "CREATE TABLE t (k BLOB PRIMARY KEY)",
        "INSERT INTO t VALUES (x'0aff'), (7), ('text'), (NULL)",
    ])
    .await;
    let table = SqlTable::new(pool, "t");
    let keys = table.first_keys(10).await.expect("lists");
    assert_eq!(keys, ["7", "text", "0aff"]);
    assert_eq!(table.rows::<String, Row>(&keys).await.expect("loads").len(), 3);
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
    let writer = open().create().open().await.expect("creates");
    sqlx::query("PRAGMA journal_mode = DELETE")
        .execute(&writer)
        .await
        .expect("leaves the write-ahead log");
    sqlx::query("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        .execute(&writer)
        .await
        .expect("creates");
    let table = SqlTable::new(open().read_only().open().await.expect("opens"), "t");
    table.schema().await.expect("exists");
    sqlx::query("BEGIN EXCLUSIVE").execute(&writer).await.expect("locks");
    let busy = failure(&table, 1_u64).await;
    assert!(busy.is_retryable(), "{busy:?}");
    sqlx::query("COMMIT").execute(&writer).await.expect("unlocks");
    assert!(one::<_, Row>(&table, 1_u64).await.is_none());
}

#[tokio::test]
async fn a_read_only_pool_cannot_write_and_a_missing_file_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("odd ?name.db");
    let missing = PoolConfig::path(&path).open().await.expect_err("no such file");
    assert!(missing.to_string().contains("odd ?name.db"), "{missing}");
    let writer = PoolConfig::path(&path).create().open().await.expect("creates");
    sqlx::query("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        .execute(&writer)
        .await
        .expect("creates");
    let reader = PoolConfig::path(&path).read_only().open().await.expect("opens");
    sqlx::query("INSERT INTO t VALUES (1)")
        .execute(&reader)
        .await
        .expect_err("read-only");
    std::fs::write(
        folder.path().join("text"),
        "no database, just a text that is long enough",
    )
    .expect("writes");
    let text = PoolConfig::path(folder.path().join("text"))
        .open()
        .await
        .expect_err("no database");
    assert!(matches!(text, SqlError::Open { .. }), "{text}");
}
